//! `greffe check`: a dry run of an access. Exit 1 when it would not be covered.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::support::{problem, read_file, read_key, refused, unanswered};
use super::{Failure, no};
use crate::client::Client;
use crate::sign::Draft;

#[derive(Debug, Args)]
pub struct Arguments {
    /// The access, as for `greffe sign`
    #[arg(value_name = "FILING.json")]
    filing: PathBuf,
    /// Address of the ledger
    #[arg(long, env = "GREFFE_URL")]
    url: String,
    /// Secret key of the party that asks
    #[arg(long, value_name = "FILE", env = "GREFFE_KEY")]
    key: Option<PathBuf>,
    /// A bearer token instead of a key
    #[arg(long, env = "GREFFE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// As known at a position, a time or a day
    #[arg(long, env = "GREFFE_KNOWN_AT")]
    known_at: Option<String>,
    /// The answer as JSON
    #[arg(long, env = "GREFFE_JSON")]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let draft = Draft::read(&read_file(&arguments.filing)?).map_err(|r| refused(&r))?;
    let client = Client::remote(&arguments.url);
    let token = bearer(&client, arguments.token.as_deref(), arguments.key.as_deref(), &draft.iss)?;
    let mut question = json!({"kind": "access.request", "body": draft.body});
    for (name, value) in [("at", &draft.at), ("known_at", &arguments.known_at)] {
        if let Some(value) = value {
            question[name] = value.as_str().into();
        }
    }
    let answer =
        client.post_json("/v1/judgements", &question, token.as_deref()).map_err(unanswered)?;
    if !answer.is_success() {
        return Err(Failure { exit: 2, ..problem(&answer) });
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&answer.body).expect("JSON read"));
    } else {
        print!("{}", verdict_text(&answer.body));
    }
    let verdict = answer.body["verdict"].as_str().unwrap_or("UNDETERMINED");
    if verdict.starts_with("COVERED") {
        return Ok(());
    }
    Err(no(
        format!("the access would not be covered: {verdict}"),
        "meet the findings above, or do not show the data",
    ))
}

/// A token from a key, or the one given. None at all: only what is public.
pub fn bearer(
    client: &Client,
    token: Option<&str>,
    key: Option<&std::path::Path>,
    party: &str,
) -> Result<Option<String>, Failure> {
    match (token, key) {
        (Some(token), _) => Ok(Some(token.to_owned())),
        (None, None) => Ok(None),
        (None, Some(path)) => {
            let key = read_key(path)?;
            match client.token(party, &key).map_err(unanswered)? {
                Ok(token) => Ok(Some(token)),
                Err(answer) => Err(Failure { exit: 2, ..problem(&answer) }),
            }
        }
    }
}

/// A verdict for people.
pub fn verdict_text(verdict: &Value) -> String {
    let mut text = format!(
        "{} (regime {}, known up to entry {})\n",
        verdict["verdict"].as_str().unwrap_or("?"),
        verdict["regime"].as_str().unwrap_or("?"),
        verdict["judged_at"].as_u64().map_or(0, |size| size.saturating_sub(1)),
    );
    for finding in verdict["findings"].as_array().into_iter().flatten() {
        let code = finding["code"].as_str().unwrap_or_default();
        let word = |name: &str| finding[name].as_str().unwrap_or_default();
        text.push_str(&format!("  {code} [{}, {}]", word("severity"), word("evidence")));
        if let Some(reason) = verdict["reasons"][code].as_str() {
            text.push_str(&format!(" {reason}"));
        }
        if finding["positions"].as_array().is_some_and(|p| !p.is_empty()) {
            text.push_str(&format!(" entries {}", finding["positions"]));
        }
        text.push('\n');
    }
    text
}
