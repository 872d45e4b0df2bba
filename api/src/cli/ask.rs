//! `greffe ask`: the questions of the three audiences, from the terminal.

use std::path::PathBuf;

use greffe_infra::ledger::Purpose;
use serde_json::Value;

use super::serve::Local;
use super::{CliError, Identity, Place, blocking};
use crate::client::{Client, encode};

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    question: Question,
}

#[derive(clap::Args)]
pub struct Common {
    #[arg(long, env = "GREFFE_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Ask a ledger on this machine instead of a service; no server may hold it.
    #[arg(long, env = "GREFFE_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// The store of that ledger, when it is not in the directory.
    #[arg(long, env = "GREFFE_STORE", value_name = "URL", requires = "data")]
    store: Option<String>,
    #[command(flatten)]
    identity: Identity,
    /// The register as it was valid on this date.
    #[arg(long, value_name = "DATE")]
    as_of: Option<String>,
    /// As known at a position, a time or a date.
    #[arg(long, value_name = "POSITION|TIME")]
    known_at: Option<String>,
    /// For programs.
    #[arg(long)]
    json: bool,
    /// Most lines.
    #[arg(long)]
    limit: Option<u32>,
}

macro_rules! filters {
    ($(#[$doc:meta])* $name:ident { $($field:ident $query:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(clap::Args, Default)]
        pub struct $name { $(#[arg(long = $query)] $field: Option<String>),* }

        impl $name {
            fn pairs(&self) -> Vec<(&'static str, &String)> {
                let mut pairs = Vec::new();
                $(pairs.extend(self.$field.as_ref().map(|v| ($query, v)));)*
                pairs
            }
        }
    };
}

filters!(AccessFilters {
    subject "subject", party "party", site "site", processing "processing", purpose "purpose",
    category "category", basis "basis", verdict "verdict", finding "finding", now "now", from "from", to "to",
});
filters!(FindingFilters { code "code", party "party", state "state", since "since" });
filters!(AuditFilters { event "type", by "by", stream "stream", from "from", to "to", q "q" });

#[derive(clap::Subcommand)]
enum Question {
    /// Who saw what, under which basis; or one access by position.
    Accesses {
        position: Option<u64>,
        #[command(flatten)]
        filters: AccessFilters,
        #[command(flatten)]
        common: Common,
    },
    /// What the register finds.
    Findings {
        #[command(flatten)]
        filters: FindingFilters,
        #[command(flatten)]
        common: Common,
    },
    /// A processing as it was, and as it was known.
    Processing {
        id: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// An experiment as it was, and as it was known.
    Experiment {
        id: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// A decision as it was, and as it was known.
    Decision {
        id: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Every entry, by type, author, stream and time.
    Audit {
        #[command(flatten)]
        filters: AuditFilters,
        #[command(flatten)]
        common: Common,
    },
}

pub async fn run(args: Args) -> Result<(), CliError> {
    let (path, pairs, columns, common) = match args.question {
        Question::Accesses { position: Some(position), common, .. } => {
            (format!("/v1/accesses/{position}"), Vec::new(), &[][..], common)
        }
        Question::Accesses { position: None, filters, common } => {
            (String::from("/v1/accesses"), owned(filters.pairs()), ACCESS_COLUMNS, common)
        }
        Question::Findings { filters, common } => {
            (String::from("/v1/findings"), owned(filters.pairs()), FINDING_COLUMNS, common)
        }
        Question::Audit { filters, common } => {
            (String::from("/v1/audit"), owned(filters.pairs()), AUDIT_COLUMNS, common)
        }
        Question::Processing { id, common } => one_or_all("processings", id, common),
        Question::Experiment { id, common } => one_or_all("experiments", id, common),
        Question::Decision { id, common } => one_or_all("decisions", id, common),
    };
    let mut query: Vec<String> = pairs;
    for (name, value) in [("as_of", &common.as_of), ("known_at", &common.known_at)] {
        query.extend(value.as_ref().map(|v| format!("{name}={}", encode(v))));
    }
    query.extend(common.limit.map(|limit| format!("limit={limit}")));
    let path = if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) };
    let (ledger, local) = match &common.data {
        None => (None, None),
        Some(directory) => {
            let place =
                Place { data: Some(directory.clone()), store: common.store.clone(), keys: None };
            let (_, ledger) = place.open(Purpose::Write).await?;
            let local = Local::start(ledger.clone(), directory).await?;
            (Some(ledger), Some(local))
        }
    };
    let client = match &local {
        // Whoever holds the directory holds the ledger: nothing is kept from them.
        Some(local) => Client::new(&local.url()).with_token(local.operator_token()?),
        None => Client::new(&common.url),
    };
    let identity = common.identity.clone();
    let answer = blocking(move || identity.sign_in(&client)?.get(&path)?.answered()).await;
    if let Some(local) = local {
        local.stop().await;
    }
    if let Some(ledger) = ledger {
        ledger.shutdown().await;
    }
    let answer = answer?;
    if common.json {
        say!("{}", serde_json::to_string_pretty(&answer).unwrap_or_default());
        return Ok(());
    }
    if answer.get("items").is_none() || columns.is_empty() {
        say!("{}", details(&answer, 0).trim_end());
        return Ok(());
    }
    let none = Vec::new();
    let items = answer["items"].as_array().unwrap_or(&none);
    say!("{}", table(columns, items).trim_end());
    match answer["next"]
        .as_str()
        .map(str::to_owned)
        .or(answer["next"].as_u64().map(|n| n.to_string()))
    {
        Some(next) => say!("{} lines; more after cursor {next}", items.len()),
        None => say!("{} lines", items.len()),
    }
    Ok(())
}

type Asked = (String, Vec<String>, &'static [(&'static str, &'static str)], Common);

fn one_or_all(kind: &str, id: Option<String>, common: Common) -> Asked {
    match id {
        // An identifier may hold slashes, and a route takes them.
        Some(id) => {
            let id = encode(&id).replace("%2F", "/");
            (format!("/v1/{kind}/{id}"), Vec::new(), &[], common)
        }
        None => (format!("/v1/{kind}"), Vec::new(), REGISTER_COLUMNS, common),
    }
}

fn owned(pairs: Vec<(&'static str, &String)>) -> Vec<String> {
    pairs.into_iter().map(|(name, value)| format!("{name}={}", encode(value))).collect()
}

/// Title and JSON Pointer of each column.
const ACCESS_COLUMNS: &[(&str, &str)] = &[
    ("entry", "/position"),
    ("when", "/at/text"),
    ("recipient", "/recipient/party"),
    ("processing", "/processing"),
    ("purpose", "/purpose"),
    ("categories", "/categories"),
    ("basis", "/basis/codes"),
    ("then", "/then/verdict"),
    ("now", "/now/verdict"),
    ("changed by", "/changed_by"),
];
const FINDING_COLUMNS: &[(&str, &str)] = &[
    ("entry", "/position"),
    ("code", "/code"),
    ("severity", "/severity"),
    ("evidence", "/evidence"),
    ("state", "/state"),
    ("since", "/since/time"),
    ("cause", "/cause"),
    ("recipient", "/recipient"),
    ("processing", "/processing"),
    ("reason", "/reason"),
];
const AUDIT_COLUMNS: &[(&str, &str)] = &[
    ("entry", "/position"),
    ("time", "/time"),
    ("type", "/type"),
    ("by", "/by"),
    ("stream", "/stream/type"),
    ("id", "/stream/id"),
];
const REGISTER_COLUMNS: &[(&str, &str)] =
    &[("id", "/id"), ("title", "/title"), ("controller", "/controller"), ("outcome", "/outcome")];

/// Columns as wide as their widest cell; columns that are empty throughout are left out.
fn table(columns: &[(&str, &str)], items: &[Value]) -> String {
    let cells: Vec<Vec<String>> = items
        .iter()
        .map(|item| {
            columns.iter().map(|(_, at)| item.pointer(at).map(cell).unwrap_or_default()).collect()
        })
        .collect();
    let shown: Vec<usize> =
        (0..columns.len()).filter(|&c| cells.iter().any(|row| !row[c].is_empty())).collect();
    let width = |c: usize| {
        cells
            .iter()
            .map(|row| row[c].chars().count())
            .chain([columns[c].0.len()])
            .max()
            .unwrap_or(0)
    };
    let line = |texts: Vec<&str>| {
        let padded: Vec<String> = texts
            .iter()
            .zip(&shown)
            .map(|(text, &c)| format!("{text}{}", " ".repeat(width(c) - text.chars().count())))
            .collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let mut out = line(shown.iter().map(|&c| columns[c].0).collect());
    for row in &cells {
        out.push_str(&line(shown.iter().map(|&c| row[c].as_str()).collect()));
    }
    out
}

/// One thing, a member a line; what has members of its own is written below it, indented.
fn details(value: &Value, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    let flat = |value: &Value| match value {
        Value::Array(values) => values.iter().all(|v| !v.is_object() && !v.is_array()),
        Value::Object(_) => false,
        _ => true,
    };
    let mut out = String::new();
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match cell(member) {
                    text if text.is_empty() => {}
                    text if flat(member) => out.push_str(&format!("{indent}{name}: {text}\n")),
                    _ => {
                        let below = details(member, depth + 1);
                        out.push_str(&format!("{indent}{name}:\n{below}"));
                    }
                }
            }
        }
        Value::Array(values) => {
            for value in values.iter().filter(|value| !cell(value).is_empty()) {
                let below = details(value, depth + 1);
                // The first line of each is marked.
                let below = below.trim_start();
                out.push_str(&format!("{indent}- {below}"));
            }
        }
        other => out.push_str(&format!("{indent}{}\n", cell(other))),
    }
    out
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(" "),
        Value::Object(members) => members.values().map(cell).collect::<Vec<_>>().join("/"),
        other => other.to_string(),
    }
}
