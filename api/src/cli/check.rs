//! `greffe check`: would this access be covered?

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{CliError, Identity, read_file};
use crate::client::Client;
use crate::sign::Draft;
use crate::words::Lang;

#[derive(clap::Args)]
pub struct Args {
    /// A filing of kind access.request or access.report, personal values in clear.
    filing: PathBuf,
    #[arg(long, env = "GREFFE_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    #[command(flatten)]
    identity: Identity,
    /// As known at a position, a time or a date.
    #[arg(long)]
    known_at: Option<String>,
    /// Language of the reasons: fr or en.
    #[arg(long, env = "GREFFE_LANG", default_value = "en", value_parser = lang)]
    lang: Lang,
    #[arg(long)]
    json: bool,
}

/// A language we have words in.
pub fn lang(text: &str) -> Result<Lang, String> {
    Lang::parse(text).ok_or_else(|| "fr or en".to_owned())
}

pub fn run(args: Args) -> Result<(), CliError> {
    let draft = Draft::read(&read_file(&args.filing)?)?;
    let client = Client::new(&args.url);
    let identity = Identity {
        party: args.identity.party.clone().or_else(|| Some(draft.iss.clone())),
        ..args.identity
    };
    let client = identity.sign_in(&client)?;
    let mut question = json!({"kind": draft.kind, "body": draft.body});
    if let Some(at) = &draft.at {
        question["at"] = at.as_str().into();
    }
    if let Some(known_at) = &args.known_at {
        question["known_at"] =
            known_at.parse::<u64>().map_or_else(|_| known_at.as_str().into(), Value::from);
    }
    let lang = args.lang;
    let path = format!("/v1/judgements?lang={}", lang.as_str());
    let answer = client.post(&path, "application/json", &question.to_string())?.answered()?;
    let verdict = answer["verdict"].as_str().unwrap_or_default().to_owned();
    if args.json {
        say!("{}", serde_json::to_string_pretty(&answer).unwrap_or_default());
    } else {
        let regime = answer["regime"].as_str().unwrap_or_default();
        let (fr, en) = (
            format!("{verdict} (constat du registre, pas un jugement ; régime {regime})"),
            format!("{verdict} (finding of the register, not a ruling; regime {regime})"),
        );
        say!("{}", lang.pick(&fr, &en));
        for finding in answer["findings"].as_array().into_iter().flatten() {
            say!("  {}", describe(finding, lang));
        }
        if let Some(day) = answer["valid_until"].as_str() {
            let (fr, en) = (format!("à servir jusqu’au {day}"), format!("to be served by {day}"));
            say!("{}", lang.pick(&fr, &en));
        }
    }
    if verdict.starts_with("COVERED") {
        return Ok(());
    }
    Err(CliError::no(
        format!("this access would be {verdict}"),
        "see the findings above for what is missing",
    ))
}

/// One finding in a line: what it weighs, how it is known, its code, the sentence, the source
/// and the entries it rests on.
fn describe(finding: &Value, lang: Lang) -> String {
    let text = |name: &str| finding[name].as_str().unwrap_or_default();
    let positions: Vec<String> =
        finding["positions"].as_array().into_iter().flatten().map(Value::to_string).collect();
    let entries = match positions.len() {
        0 => String::new(),
        _ => format!(" ({} {})", lang.pick("entrées", "entries"), positions.join(", ")),
    };
    format!(
        "{:<9} {:<14} {}: {} [{}]{entries}",
        text("severity"),
        text("evidence"),
        text("code"),
        text("reason"),
        text("source")
    )
}
