//! `greffe replay`: plays case files and checks what the ledger answers.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use greffe_domain::date::Timestamp;
use greffe_domain::event::ClockKind;
use greffe_domain::key::simulated_party_key;
use greffe_infra::ledger::{Genesis, Ledger};
use greffe_infra::store::{Fault, FaultKind};

use super::support::{
    fault, is_vacant, open_error, progress, read_key, read_text, runtime, unanswered,
};
use super::{Failure, cannot, no};
use crate::client::Client;
use crate::config::Limits;
use crate::http::App;
use crate::replay::{CaseFile, ORIGIN, REGISTRAR, ReplayError, Report, play};

#[derive(Debug, Args)]
pub struct Arguments {
    /// Case files; several go into one ledger, merged by clock
    #[arg(value_name = "CASE.ndjson", required = true)]
    cases: Vec<PathBuf>,
    /// An empty directory, for a ledger with a simulated clock
    #[arg(long, value_name = "DIR", env = "GREFFE_DATA", required_unless_present = "url")]
    data: Option<PathBuf>,
    /// A server instead, whose clock is simulated
    #[arg(long, env = "GREFFE_URL", conflicts_with = "data")]
    url: Option<String>,
    /// Key of that server's registrar, when it is not the simulated one
    #[arg(long, value_name = "FILE", env = "GREFFE_REGISTRAR_KEY", requires = "url")]
    registrar_key: Option<PathBuf>,
    /// How the outcome is written
    #[arg(long, value_enum, default_value = "text", env = "GREFFE_REPORT")]
    report: ReportFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ReportFormat {
    Json,
    Text,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut files = Vec::new();
    for path in &arguments.cases {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.push(CaseFile::parse(&name, &read_text(path)?).map_err(|e| stopped(e.into()))?);
    }
    let report = match (&arguments.data, &arguments.url) {
        (_, Some(url)) => {
            let registrar = match &arguments.registrar_key {
                Some(path) => read_key(path)?,
                None => simulated_party_key(REGISTRAR),
            };
            played(&files, &Client::remote(url), &registrar)?
        }
        (Some(directory), None) => {
            let runtime = runtime()?;
            let ledger = runtime.block_on(create_simulated(directory, &files))?;
            let app = App::new(ledger.clone(), unlimited());
            let client = Client::local(&app, runtime.handle().clone());
            let report = played(&files, &client, &simulated_party_key(REGISTRAR));
            runtime.block_on(ledger.shutdown());
            report?
        }
        (None, None) => {
            return Err(cannot("no ledger was named", "give --data DIR or --url URL"));
        }
    };
    match arguments.report {
        ReportFormat::Json => {
            println!("{}", serde_json::to_string_pretty(&report).expect("texts and numbers"));
        }
        ReportFormat::Text => print!("{}", text(&report)),
    }
    match report.failures().next() {
        None => Ok(()),
        Some(first) => Err(no(
            format!("{}, line {}: {}", first.file, first.line, first.what),
            "compare that line with the answer; --report json lists every one",
        )),
    }
}

/// A replay in this process asks as fast as it can.
pub fn unlimited() -> Limits {
    Limits { judgements_per_minute: u32::MAX, subjects_per_minute: u32::MAX }
}

/// A ledger whose clock starts where the first case does.
pub async fn create_simulated(directory: &Path, files: &[CaseFile]) -> Result<Ledger, Failure> {
    if !is_vacant(directory)? {
        let shown = directory.display().to_string();
        return Err(fault(Fault::new(FaultKind::AlreadyThere, "replay into a directory", shown)));
    }
    let start = files.iter().filter_map(CaseFile::starts).min();
    let genesis = Genesis {
        origin: ORIGIN.to_owned(),
        registrar: REGISTRAR.to_owned(),
        registrar_key: Some(simulated_party_key(REGISTRAR)),
        clock: ClockKind::Simulated,
        opened_at: Some(start.unwrap_or(Timestamp::from_unix_seconds(0))),
    };
    Ledger::create(directory, genesis).await.map_err(open_error)
}

pub fn played(
    files: &[CaseFile],
    client: &Client,
    registrar: &greffe_domain::key::SecretKey,
) -> Result<Report, Failure> {
    let bar = progress(0, "replaying");
    let report = play(files, client, registrar, |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    report.map_err(stopped)
}

fn stopped(error: ReplayError) -> Failure {
    match error {
        ReplayError::Case(case) => {
            cannot(case, "correct that line; tests/cases/README.md says how they are written")
        }
        ReplayError::Client(client) => unanswered(client),
    }
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for file in &report.files {
        text.push_str(&format!(
            "{}: {} entries, {} of {} expectations met\n",
            file.file, file.entries, file.met, file.expectations
        ));
        for failure in &file.failures {
            text.push_str(&format!("  line {}: {}\n", failure.line, failure.what));
        }
    }
    text
}
