//! `greffe check`: would this access be covered?

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{CliError, Identity, read_file};
use crate::client::Client;
use crate::sign::Draft;

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
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<(), CliError> {
    let draft = Draft::read(&read_file(&args.filing)?)?;
    let client = Client::new(&args.url);
    let identity = Identity {
        party: args.identity.party.clone().or_else(|| Some(draft.iss.clone())),
        ..args.identity
    };
    let client = identity.sign_in(&client)?;
    let mut question = json!({"kind": "access.request", "body": draft.body});
    if let Some(at) = &draft.at {
        question["at"] = at.as_str().into();
    }
    if let Some(known_at) = &args.known_at {
        question["known_at"] =
            known_at.parse::<u64>().map_or_else(|_| known_at.as_str().into(), Value::from);
    }
    let answer =
        client.post("/v1/judgements", "application/json", &question.to_string())?.accepted()?;
    let verdict = answer["verdict"].as_str().unwrap_or_default().to_owned();
    if args.json {
        say!("{}", serde_json::to_string_pretty(&answer).unwrap_or_default());
    } else {
        say!(
            "{verdict} (finding of the register, not a ruling; regime {})",
            answer["regime"].as_str().unwrap_or_default()
        );
        for finding in answer["findings"].as_array().into_iter().flatten() {
            say!("  {}", describe(finding));
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

/// One finding in a line.
pub fn describe(finding: &Value) -> String {
    let text = |name: &str| finding[name].as_str().unwrap_or_default();
    let code = text("code");
    let reason = greffe_domain::vocabulary::RuleCode::parse(code)
        .and_then(|_| greffe_domain::rules::CURRENT.rule(code))
        .map(|rule| rule.reason_en)
        .unwrap_or_default();
    format!(
        "{:<9} {:<14} {code}: {reason} [{}]",
        text("severity"),
        text("evidence"),
        text("source")
    )
}
