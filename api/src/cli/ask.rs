//! `greffe ask`: the questions of the three audiences from the terminal.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::check::{bearer, verdict_text};
use super::support::{open_ledger, problem, runtime, table, unanswered};
use super::{Failure, cannot};
use crate::client::Client;
use crate::config::Limits;
use crate::http::App;

#[derive(Debug, Args)]
pub struct Arguments {
    /// What is asked
    #[arg(value_enum)]
    what: What,
    /// Of which one: a processing, an experiment, or the position of an access
    #[arg(value_name = "ID")]
    id: Option<String>,
    /// Address of the ledger
    #[arg(long, env = "GREFFE_URL", required_unless_present = "data")]
    url: Option<String>,
    /// Directory of a ledger that nobody serves; everything in it can be read
    #[arg(long, value_name = "DIR", env = "GREFFE_DATA", conflicts_with = "url")]
    data: Option<PathBuf>,
    /// Secret key of the party that asks
    #[arg(long, value_name = "FILE", env = "GREFFE_KEY", requires = "party")]
    key: Option<PathBuf>,
    /// The party that asks
    #[arg(long, value_name = "ID", env = "GREFFE_AS")]
    #[arg(id = "party", long = "as")]
    party: Option<String>,
    /// A bearer token instead of a key
    #[arg(long, env = "GREFFE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The register as valid on a day
    #[arg(long, value_name = "DATE", env = "GREFFE_AS_OF")]
    as_of: Option<String>,
    /// As known at a position, a time or a day
    #[arg(long, value_name = "POSITION|TIME", env = "GREFFE_KNOWN_AT")]
    known_at: Option<String>,
    /// Filter NAME=VALUE, as in the HTTP interface; several
    #[arg(
        long,
        short = 'w',
        value_name = "NAME=VALUE",
        env = "GREFFE_WHERE",
        value_delimiter = ','
    )]
    r#where: Vec<String>,
    /// Most lines
    #[arg(long, default_value_t = 100, env = "GREFFE_LIMIT")]
    limit: usize,
    /// The answer as JSON
    #[arg(long, env = "GREFFE_JSON")]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    Accesses,
    Findings,
    Audit,
    Processing,
    Experiment,
    Decision,
    Party,
    Stats,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let answer = match (&arguments.url, &arguments.data) {
        (Some(url), _) => {
            let client = Client::remote(url);
            let party = arguments.party.as_deref().unwrap_or_default();
            let token =
                bearer(&client, arguments.token.as_deref(), arguments.key.as_deref(), party)?;
            ask(arguments, &client, token.as_deref())?
        }
        (None, Some(directory)) => {
            // Whoever holds the files reads them all: as a party that may.
            let runtime = runtime()?;
            let ledger = runtime.block_on(open_ledger(directory))?;
            let reader = arguments.party.clone().or_else(|| {
                ledger.with_register(|r| {
                    use greffe_domain::vocabulary::Role;
                    let mut regulators: Vec<_> = r
                        .parties()
                        .filter(|(_, p)| p.has(Role::Regulator))
                        .map(|(id, _)| id)
                        .collect();
                    regulators.sort();
                    regulators.first().map(|id| (*id).clone())
                })
            });
            let app = App::new(ledger.clone(), Limits::default());
            let client = Client::local(&app, runtime.handle().clone());
            let token = reader.and_then(|party| {
                let bearer = crate::http::tokens::Bearer { id: party, kid: None };
                app.tokens.issue(bearer, None).ok()
            });
            let answer = ask(arguments, &client, token.as_deref());
            runtime.block_on(ledger.shutdown());
            answer?
        }
        (None, None) => return Err(cannot("no ledger was named", "give --url URL or --data DIR")),
    };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&answer).expect("JSON read is JSON written"));
    } else {
        print!("{}", text(arguments, &answer));
    }
    Ok(())
}

fn ask(arguments: &Arguments, client: &Client, token: Option<&str>) -> Result<Value, Failure> {
    let (path, is_list) = match (arguments.what, &arguments.id) {
        (What::Accesses, None) => ("/v1/accesses".to_owned(), true),
        (What::Accesses, Some(id)) => (format!("/v1/accesses/{}", encode(id)), false),
        (What::Findings, _) => ("/v1/findings".to_owned(), true),
        (What::Audit, _) => ("/v1/audit".to_owned(), true),
        (What::Stats, _) => ("/v1/stats".to_owned(), false),
        (What::Processing, None) => ("/v1/processings".to_owned(), true),
        (What::Processing, Some(id)) => (format!("/v1/processings/{}", encode(id)), false),
        (What::Experiment, None) => ("/v1/experiments".to_owned(), true),
        (What::Experiment, Some(id)) => (format!("/v1/experiments/{}", encode(id)), false),
        (What::Decision, None) => ("/v1/decisions".to_owned(), true),
        (What::Decision, Some(id)) => (format!("/v1/decisions/{}", encode(id)), false),
        (What::Party, None) => ("/v1/parties".to_owned(), true),
        (What::Party, Some(id)) => (format!("/v1/parties/{}", encode(id)), false),
    };
    let mut query: Vec<(String, String)> = Vec::new();
    for filter in &arguments.r#where {
        let (name, value) = filter.split_once('=').ok_or_else(|| {
            cannot(
                format!("`{filter}` is not a filter"),
                "write NAME=VALUE, e.g. -w verdict=NOT-COVERED",
            )
        })?;
        query.push((name.to_owned(), value.to_owned()));
    }
    for (name, value) in [("as_of", &arguments.as_of), ("known_at", &arguments.known_at)] {
        if let Some(value) = value {
            query.push((name.to_owned(), value.clone()));
        }
    }
    let mut items: Vec<Value> = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut page = query.clone();
        if is_list {
            page.push((
                "limit".into(),
                (arguments.limit - items.len()).clamp(1, 1_000).to_string(),
            ));
        }
        if let Some(cursor) = &cursor {
            page.push(("cursor".into(), cursor.clone()));
        }
        let query: Vec<String> = page
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        let address =
            if query.is_empty() { path.clone() } else { format!("{path}?{}", query.join("&")) };
        let answer = client.get(&address, token).map_err(unanswered)?;
        if !answer.is_success() {
            return Err(Failure { exit: 2, ..problem(&answer) });
        }
        if !is_list {
            return Ok(answer.body);
        }
        items.extend(answer.body["items"].as_array().cloned().unwrap_or_default());
        cursor = answer.body["next"].as_str().map(str::to_owned);
        if cursor.is_none() || items.len() >= arguments.limit {
            return Ok(json!({"items": items, "next": cursor}));
        }
    }
}

/// Percent-encodes what is not unreserved; `/` of an id stays.
fn encode(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn text(arguments: &Arguments, answer: &Value) -> String {
    let Some(items) = answer["items"].as_array() else {
        return match arguments.what {
            What::Accesses => access_text(answer),
            _ => format!("{}\n", serde_json::to_string_pretty(answer).expect("JSON read")),
        };
    };
    let columns: &[(&str, &str)] = match arguments.what {
        What::Accesses => &[
            ("entry", "/position"),
            ("at", "/at/text"),
            ("recipient", "/recipient/party"),
            ("role", "/recipient/role"),
            ("processing", "/processing"),
            ("purpose", "/purpose"),
            ("then", "/then/verdict"),
            ("now", "/now/verdict"),
            ("changed by", "/changed_by"),
        ],
        What::Findings => &[
            ("entry", "/position"),
            ("code", "/code"),
            ("severity", "/severity"),
            ("evidence", "/evidence"),
            ("processing", "/processing"),
            ("recipient", "/recipient"),
            ("reason", "/reason"),
        ],
        What::Audit => &[
            ("entry", "/position"),
            ("time", "/time"),
            ("type", "/type"),
            ("by", "/by"),
            ("stream", "/stream/type"),
            ("id", "/stream/id"),
            ("evidence", "/evidence"),
        ],
        What::Decision => &[
            ("id", "/id"),
            ("entry", "/position"),
            ("number", "/number"),
            ("processing", "/processing"),
            ("outcome", "/outcome"),
            ("formal", "/formal"),
        ],
        What::Experiment => &[
            ("id", "/id"),
            ("entry", "/position"),
            ("processing", "/processing"),
            ("start", "/start"),
            ("end", "/end"),
            ("sites", "/sites"),
        ],
        What::Party => {
            &[("id", "/id"), ("entry", "/position"), ("roles", "/roles"), ("name", "/name")]
        }
        What::Processing | What::Stats => &[
            ("id", "/id"),
            ("entry", "/position"),
            ("controller", "/controller"),
            ("formal", "/formal"),
            ("title", "/title"),
        ],
    };
    let header: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let rows: Vec<Vec<String>> = items
        .iter()
        .map(|item| columns.iter().map(|(_, pointer)| cell(item.pointer(pointer))).collect())
        .collect();
    let mut text = table(&header, &rows);
    if let Some(next) = answer["next"].as_str() {
        text.push_str(&format!("… more from entry {next}: raise --limit, or -w cursor={next}\n"));
    }
    text
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(values)) => {
            values.iter().map(|v| cell(Some(v))).collect::<Vec<_>>().join(" ")
        }
        Some(other) => other.to_string(),
    }
}

fn access_text(answer: &Value) -> String {
    let mut text = format!(
        "entry {} · {} · {} receives {} for {}\n",
        answer["position"],
        cell(answer.pointer("/at/text")),
        cell(answer.pointer("/recipient/party")),
        cell(answer.get("categories")),
        cell(answer.get("purpose")),
    );
    for (label, name) in [("then", "then"), ("now", "now")] {
        let mut verdict = answer[name].clone();
        verdict["reasons"] = answer["reasons"].clone();
        text.push_str(&format!("{label}: {}", verdict_text(&verdict)));
    }
    text.push_str(&format!("changed by: {}\n", cell(answer.get("changed_by"))));
    for cost in answer["costs"].as_array().into_iter().flatten() {
        text.push_str(&format!("cost: {cost}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn what_is_not_unreserved_is_encoded() {
        assert_eq!(encode("cnil/2005-038"), "cnil/2005-038");
        assert_eq!(encode("a b&é"), "a%20b%26%C3%A9");
    }
}
