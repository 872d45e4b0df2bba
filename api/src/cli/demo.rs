//! `greffe demo`: a simulated ledger with the documented cases, served.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use greffe_domain::key::simulated_party_key;
use greffe_domain::rules::CURRENT;
use greffe_infra::keystore::write_key;
use greffe_infra::ledger::Ledger;

use super::CliError;
use super::replay::{open_simulated, play};
use super::serve::{Local, at_once, bind, default_address, told_to_stop};
use crate::affairs::{self, Answer};
use crate::client::Client;
use crate::config::Limits;
use crate::http::desk::Desk;
use crate::http::pages::signin::SignIn;
use crate::http::tokens::Bearer;
use crate::http::{App, queries, router};
use crate::replay::{Case, ORIGIN, Report};
use crate::words::{Lang, word};

#[derive(clap::Args)]
pub struct Args {
    /// Address to listen on.
    #[arg(long, env = "GREFFE_LISTEN", value_name = "ADDR", default_value_t = default_address())]
    listen: SocketAddr,
    /// Directory of the demonstration.
    #[arg(long, env = "GREFFE_DATA", value_name = "DIR", default_value = "greffe-demo")]
    data: PathBuf,
}

macro_rules! cases {
    ($($name:literal),+ $(,)?) => {
        /// The documented cases, as shipped.
        const CASES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../../tests/cases/", $name)))),+];
    };
}

cases!(
    "absence-motives.ndjson",
    "anaiss.ndjson",
    "call-monitoring.ndjson",
    "case-management.ndjson",
    "risk-index.ndjson",
    "annulment.ndjson",
);

/// After the documented cases: the desk through which the demonstration's citizen contests.
const DESK: &str = r#"{"clock":"2026-03-02T09:00:00Z"}
{"party":"guichet-demo","name":"Guichet des personnes (démonstration)","roles":["subject-desk"]}"#;
const DESK_PARTY: &str = "guichet-demo";
/// Its key, in the demonstration's directory.
const DESK_KEY: &str = "subject-desk-key.pem";

/// The party whose bearer token is printed.
const READER: &str = "cnil";

pub async fn run(args: Args) -> Result<(), CliError> {
    // The port first: nothing is written for a demonstration nobody can open.
    let listener = bind(args.listen).await?;
    let address = listener.local_addr().unwrap_or(args.listen);
    let ledger = if is_vacant(&args.data) {
        load(&args.data).await?
    } else {
        let ledger = Ledger::open(&args.data).await?;
        if ledger.origin() != ORIGIN {
            return Err(CliError::broken(
                format!("{} holds another ledger, {}", args.data.display(), ledger.origin()),
                "choose another directory with --data, or serve that one with `greffe serve`",
            ));
        }
        say!("{}: {} entries, loaded before", args.data.display(), ledger.size());
        ledger
    };
    // Anybody who can reach the address could choose somebody to be.
    let sign_in = match address.ip().is_loopback() {
        true => SignIn::demonstration(),
        false => SignIn::default(),
    };
    let desk_key = args.data.join(DESK_KEY);
    let desk = desk_key.exists().then(|| Desk::open(&desk_key)).transpose()?;
    let app = App::open(ledger.clone(), &args.data, Limits::default(), sign_in, desk).await?;
    introduce(&app, &format!("http://{address}")).await?;
    let routes = router(app).into_make_service_with_connect_info::<SocketAddr>();
    let served =
        axum::serve(at_once(listener), routes).with_graceful_shutdown(told_to_stop()).await;
    ledger.shutdown().await;
    served.map_err(|e| CliError::broken(format!("the server stopped: {e}"), "start it again"))
}

fn is_vacant(directory: &Path) -> bool {
    // A directory that cannot be read is not ours to fill: opening it says why.
    match std::fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_none(),
        Err(e) => e.kind() == std::io::ErrorKind::NotFound,
    }
}

/// Replays into a directory beside the final one, so that a demonstration interrupted while
/// loading is not taken for a whole one.
async fn load(directory: &Path) -> Result<Ledger, CliError> {
    let mut name = directory.file_name().unwrap_or_default().to_owned();
    name.push(".loading");
    let staging = directory.with_file_name(name);
    let moved = |e: std::io::Error| {
        CliError::broken(
            format!("{} cannot be prepared: {e}", directory.display()),
            "check the rights of the directory around it, or choose another with --data",
        )
    };
    if staging.exists() {
        std::fs::remove_dir_all(&staging).map_err(moved)?;
    }
    let mut cases = Vec::new();
    for (name, text) in CASES {
        cases.push(Case::read(name, text)?);
    }
    cases.push(Case::read("desk.ndjson", DESK)?);
    let ledger = open_simulated(&staging, ORIGIN, &cases).await?;
    let server = Local::start(ledger.clone(), &staging).await?;
    let played = play(Client::new(&server.url()), cases).await;
    server.stop().await;
    let size = ledger.size();
    ledger.shutdown().await;
    drop(ledger);
    let report = played?;
    write_key(&staging.join(DESK_KEY), &simulated_party_key(DESK_PARTY))?;
    if directory.exists() {
        std::fs::remove_dir(directory).map_err(moved)?;
    }
    std::fs::rename(&staging, directory).map_err(moved)?;
    say!("{}: {size} entries", directory.display());
    for (name, _) in CASES {
        say!("  {}", loaded(name, &report));
    }
    for failed in report.failed() {
        complain!("{}:{}: {}", failed.file, failed.line, failed.differences.join("; "));
    }
    Ok(Ledger::open(directory).await?)
}

fn loaded(name: &str, report: &Report) -> String {
    let asked = report.expectations.iter().filter(|o| o.file == name);
    let (total, held) = asked.fold((0, 0), |(n, ok), o| (n + 1, ok + usize::from(o.ok)));
    format!("{name}: {held} of {total} expectations hold")
}

async fn introduce(app: &App, url: &str) -> Result<(), CliError> {
    let lang = spoken();
    say!("\n{}", word(lang, "demo-affairs"));
    let answers = affairs::answers(app).await?;
    for answer in &answers {
        say!("  {}", line(answer, lang));
    }
    let bearer = Bearer { id: READER.to_owned(), kid: None };
    let token = app
        .tokens
        .issue(bearer, None)
        .map_err(|_| CliError::broken("no token could be made", "start it again"))?;
    let signed = format!("curl -H 'Authorization: Bearer {token}'");
    say!("\n{}", word(lang, "demo-open"));
    say!("  {url}/");
    say!("  {url}/openapi.json");
    say!("\n{}", word(lang, "demo-try"));
    say!("  curl {url}/v1/head");
    say!("  curl {url}/v1/decisions/anaiss-2005-038");
    say!("  curl '{url}/v1/experiments/motifs-2017?as_of=2018-03-01'");
    say!("  {signed} '{url}/v1/accesses?limit=3'");
    say!("  {signed} '{url}/v1/findings?code=SUBJECTS-NOT-INFORMED'");
    if let Some(position) = answers.iter().find(|a| a.key == "annulment").and_then(|a| a.position) {
        say!("  {signed} {url}/v1/accesses/{position}");
    }
    say!();
    Ok(())
}

/// The language of the terminal.
fn spoken() -> Lang {
    let set = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let locale = set("LC_ALL").or_else(|| set("LC_MESSAGES")).or_else(|| set("LANG"));
    locale.and_then(|l| Lang::parse(&l)).unwrap_or_default()
}

/// An affair, its question and its sharpest answer.
fn line(answer: &Answer, lang: Lang) -> String {
    let of_affair = |part: &str| word(lang, &format!("affair-{}-{part}", answer.key));
    let said = |verdict: &greffe_domain::verdict::Verdict| {
        word(lang, &format!("verdict-{}", verdict.verdict.as_str()))
    };
    let verdict = match (&answer.then, &answer.now) {
        (Some(then), Some(now)) if then.verdict != now.verdict => {
            format!("{} → {}", said(then), said(now)).into()
        }
        (_, Some(now)) => said(now),
        (_, None) if answer.findings.is_empty() => word(lang, "verdict-free"),
        (_, None) => word(lang, "verdict-obstacles"),
    };
    let reason = answer.findings.first().map(|first| {
        let times = answer.findings.iter().filter(|f| f.code == first.code).count();
        let code = first.code.as_str();
        let words = queries::reason(code, &CURRENT, lang).unwrap_or_else(|| code.to_owned());
        let times = if times > 1 { format!(" ×{times}") } else { String::new() };
        format!(" — {words} [{code}{times}]")
    });
    format!(
        "{}. {} {verdict}{}",
        of_affair("title"),
        of_affair("question"),
        reason.unwrap_or_default()
    )
}
