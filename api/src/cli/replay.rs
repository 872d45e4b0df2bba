//! `greffe replay`: case files, played and checked.

use std::path::PathBuf;

use greffe_domain::date::Timestamp;
use greffe_domain::event::ClockKind;
use greffe_domain::key::simulated_party_key;
use greffe_infra::ledger::{Genesis, Ledger};

use super::{CliError, blocking, progress, read_file};
use crate::client::Client;
use crate::replay::{Case, ORIGIN, Player, REGISTRAR, Report, earliest};

#[derive(clap::Args)]
pub struct Args {
    /// Case files; several are merged by clock into one ledger.
    #[arg(required = true)]
    cases: Vec<PathBuf>,
    /// Empty directory for the simulated ledger; a temporary one without it.
    #[arg(long, env = "GREFFE_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// A service that holds a simulated ledger, instead of a directory.
    #[arg(long, value_name = "URL", conflicts_with = "data")]
    url: Option<String>,
    #[arg(long, value_enum, default_value = "text")]
    report: Format,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

pub async fn run(args: Args) -> Result<(), CliError> {
    let mut cases = Vec::new();
    for path in &args.cases {
        let text = String::from_utf8(read_file(path)?).map_err(|_| {
            CliError::broken(format!("{} is not UTF-8", path.display()), "save it as UTF-8")
        })?;
        cases.push(Case::read(&path.display().to_string(), &text)?);
    }
    let report = match &args.url {
        Some(url) => play(Client::new(url), cases).await?,
        None => {
            let kept = args.data.clone();
            let directory = match kept {
                Some(directory) => directory,
                None => std::env::temp_dir().join(format!("greffe-replay-{}", std::process::id())),
            };
            let ledger = open_simulated(&directory, ORIGIN, &cases).await?;
            let server = super::serve::Local::start(ledger.clone(), &directory).await?;
            let report = play(Client::new(&server.url()), cases).await;
            server.stop().await;
            ledger.shutdown().await;
            if args.data.is_none() {
                let _ = std::fs::remove_dir_all(&directory);
            }
            report?
        }
    };
    show(&report, args.report)
}

/// Creates a simulated ledger that starts when the cases do.
pub async fn open_simulated(
    directory: &std::path::Path,
    origin: &str,
    cases: &[Case],
) -> Result<Ledger, CliError> {
    let opened_at = earliest(cases).ok_or_else(|| {
        CliError::broken("no case file sets the clock", "add a line {\"clock\":\"…\"}")
    })?;
    let genesis = Genesis {
        origin: origin.to_owned(),
        registrar: REGISTRAR.to_owned(),
        registrar_key: Some(simulated_party_key(REGISTRAR)),
        clock: ClockKind::Simulated,
        opened_at: Some(Timestamp::from_unix_seconds(opened_at.unix_seconds())),
    };
    Ok(Ledger::create(directory, genesis).await?)
}

/// Plays cases off the runtime's threads.
pub async fn play(client: Client, cases: Vec<Case>) -> Result<Report, CliError> {
    let lines = cases.iter().map(Case::lines).sum::<usize>() as u64;
    blocking(move || {
        let bar = progress(lines, "replaying");
        let report = Player::new(client)?.play(&cases, || bar.inc(1));
        bar.finish_and_clear();
        report
    })
    .await
}

fn show(report: &Report, format: Format) -> Result<(), CliError> {
    match format {
        Format::Json => say!("{}", serde_json::to_string_pretty(report).unwrap_or_default()),
        Format::Text => {
            for outcome in report.failed() {
                say!("FAILED {}:{} ({})", outcome.file, outcome.line, outcome.ask);
                for difference in &outcome.differences {
                    say!("  {difference}");
                }
            }
            let failed = report.failed().count();
            say!(
                "{} filings recorded, {} expectations hold, {failed} fail",
                report.filings,
                report.expectations.len() - failed
            );
        }
    }
    match report.failed().next() {
        None => Ok(()),
        Some(first) => Err(CliError::no(
            format!(
                "{} expectation(s) failed, the first at {}:{}",
                report.failed().count(),
                first.file,
                first.line
            ),
            "see what differed above",
        )),
    }
}
