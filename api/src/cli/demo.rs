//! `greffe demo`: a simulated ledger with the documented cases, served.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use greffe_domain::key::simulated_party_key;
use greffe_infra::ledger::Ledger;

use super::replay::{create_simulated, played, unlimited};
use super::serve::{DEFAULT_LISTEN, bind, serve};
use super::support::{is_vacant, open_ledger, runtime};
use super::{Failure, cannot};
use crate::affairs;
use crate::client::Client;
use crate::config::Limits;
use crate::http::tokens::Bearer;
use crate::http::{App, Shared};
use crate::replay::{CaseFile, ORIGIN, REGISTRAR};
use crate::words::{Lang, page_word};

#[derive(Debug, Args)]
pub struct Arguments {
    /// Address and port to listen on
    #[arg(long, value_name = "ADDR", default_value = DEFAULT_LISTEN, env = "GREFFE_LISTEN")]
    listen: SocketAddr,
    /// Directory of the demonstration
    #[arg(long, value_name = "DIR", default_value = "greffe-demo", env = "GREFFE_DATA")]
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

/// The party whose bearer token is printed.
const READER: &str = "cnil";

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let runtime = runtime()?;
    // The port first: nothing is written for a demonstration nobody can open.
    let listener = runtime.block_on(bind(arguments.listen))?;
    let ledger = if is_vacant(&arguments.data)? {
        load(arguments, &runtime)?
    } else {
        let ledger = runtime.block_on(open_ledger(&arguments.data))?;
        if ledger.origin() != ORIGIN {
            return Err(cannot(
                format!("{} holds another ledger, {}", arguments.data.display(), ledger.origin()),
                "choose another directory with --data, or serve that one with `greffe serve`",
            ));
        }
        println!("{}: {} entries, loaded before", arguments.data.display(), ledger.size());
        ledger
    };
    runtime.block_on(async {
        let app = App::new(ledger, Limits::default());
        let address = listener.local_addr().unwrap_or(arguments.listen);
        introduce(&app, &format!("http://{address}")).await?;
        serve(app, listener).await
    })
}

fn load(arguments: &Arguments, runtime: &tokio::runtime::Runtime) -> Result<Ledger, Failure> {
    let mut files = Vec::new();
    for (name, text) in CASES {
        files.push(
            CaseFile::parse(name, text)
                .map_err(|e| cannot(e, "report it: the shipped cases are tested"))?,
        );
    }
    let ledger = runtime.block_on(create_simulated(&arguments.data, &files))?;
    let app = App::new(ledger.clone(), unlimited());
    let client = Client::local(&app, runtime.handle().clone());
    let report = played(&files, &client, &simulated_party_key(REGISTRAR))?;
    println!("{}: {} entries of {} cases", arguments.data.display(), ledger.size(), files.len());
    for file in &report.files {
        println!(
            "  {}: {} entries, {} of {} expectations met",
            file.file, file.entries, file.met, file.expectations
        );
    }
    for failure in report.failures() {
        eprintln!("greffe: {}, line {}: {}", failure.file, failure.line, failure.what);
    }
    Ok(ledger)
}

async fn introduce(app: &Shared, url: &str) -> Result<(), Failure> {
    let lang = spoken();
    println!("\n{}", page_word(lang, "demo.affairs"));
    let answers = affairs::answers(app).await.map_err(super::support::fault)?;
    for answer in &answers {
        println!("  {}", line(answer, lang));
    }
    let bearer = Bearer { id: READER.to_owned(), kid: None };
    let token = app
        .tokens
        .issue(bearer, None)
        .map_err(|_| cannot("no token could be drawn", "start again"))?;
    println!("\n{}", page_word(lang, "demo.open"));
    println!("  {url}/");
    println!("  {url}/openapi.json");
    println!("\n{}", page_word(lang, "demo.try"));
    println!("  curl {url}/v1/head");
    println!("  curl {url}/v1/decisions/anaiss-2005-038");
    println!("  curl '{url}/v1/experiments/motifs-2017?as_of=2018-03-01'");
    println!("  curl -H 'Authorization: Bearer {token}' '{url}/v1/accesses?limit=3'");
    println!(
        "  curl -H 'Authorization: Bearer {token}' '{url}/v1/findings?code=SUBJECTS-NOT-INFORMED'"
    );
    if let Some(position) = answers.iter().find(|a| a.key == "annulment").and_then(|a| a.position) {
        println!("  curl -H 'Authorization: Bearer {token}' {url}/v1/accesses/{position}");
    }
    println!();
    Ok(())
}

/// The language of the terminal.
fn spoken() -> Lang {
    let set = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let locale = set("LC_ALL").or_else(|| set("LC_MESSAGES")).or_else(|| set("LANG"));
    locale.and_then(|l| Lang::parse(&l)).unwrap_or_default()
}

fn line(answer: &affairs::Answer, lang: Lang) -> String {
    let title = page_word(lang, &format!("affair.{}.title", answer.key));
    let question = page_word(lang, &format!("affair.{}.question", answer.key));
    let verdict = match (&answer.then, &answer.now) {
        (Some(then), Some(now)) if then.verdict != now.verdict => format!(
            "{} → {}",
            page_word(lang, &format!("verdict.{}", then.verdict.as_str())),
            page_word(lang, &format!("verdict.{}", now.verdict.as_str())),
        ),
        (_, Some(now)) => page_word(lang, &format!("verdict.{}", now.verdict.as_str())).to_owned(),
        (_, None) if answer.findings.is_empty() => page_word(lang, "verdict.free").to_owned(),
        (_, None) => page_word(lang, "verdict.obstacles").to_owned(),
    };
    let reason = answer.findings.first().map(|f| {
        let same = answer.findings.iter().filter(|g| g.code == f.code).count();
        let code = f.code.as_str();
        let words = crate::http::queries::reason(code, &greffe_domain::rules::CURRENT)
            .map_or(code, |(fr, en)| lang.pick(fr, en));
        if same > 1 {
            format!(" : {code} ×{same}. {words}")
        } else {
            format!(" : {code}. {words}")
        }
    });
    format!("{title}. {question} {verdict}{}", reason.unwrap_or_default())
}
