//! `greffe file`: signs filings, submits them one by one, keeps their receipts.
//!
//! An access that was requested and denied is recorded, and its receipt kept; the answer is
//! "no" all the same, so the exit code is 1.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::sign::sign_file;
use super::{CliError, progress, read_key};
use crate::client::Client;

#[derive(clap::Args)]
pub struct Args {
    /// Filings: `{iss, kind, at?, evidence, reference?, body}` each.
    #[arg(required = true)]
    filings: Vec<PathBuf>,
    #[arg(long, env = "GREFFE_KEY", value_name = "FILE")]
    key: PathBuf,
    #[arg(long, env = "GREFFE_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Where receipts go; beside each filing without it.
    #[arg(long, value_name = "DIR")]
    receipts: Option<PathBuf>,
}

pub fn run(args: Args) -> Result<(), CliError> {
    // Before anything is recorded: a receipt that has no place is hard to come by afterwards.
    for path in &args.filings {
        let directory = directory_for(path, args.receipts.as_deref());
        if !directory.is_dir() {
            return Err(CliError::broken(
                format!("receipts cannot be kept in {}: it is no directory", directory.display()),
                "make it, or name another with --receipts: nothing was filed",
            ));
        }
    }
    let key = read_key(&args.key)?;
    let client = Client::new(&args.url);
    let head = client.get("/v1/head")?.answered()?;
    let origin = head["origin"].as_str().unwrap_or_default().to_owned();
    let bar = progress(args.filings.len() as u64, "filing");
    let mut denied = Vec::new();
    for path in &args.filings {
        let text = sign_file(path, &key, &origin, None, None)?;
        let answer = client.post("/v1/filings", "application/sd-jwt", &text)?;
        let answer = answer.accepted().map_err(|error| error.about(path))?;
        let receipts = answer["receipts"].as_array().cloned().unwrap_or_default();
        let kept = keep(path, args.receipts.as_deref(), &receipts)?;
        bar.inc(1);
        bar.suspend(|| report(path, &receipts, &kept));
        denied.extend(receipts.iter().filter(|r| is_denial(r)).map(|r| r["position"].to_string()));
    }
    bar.finish_and_clear();
    if denied.is_empty() {
        return Ok(());
    }
    Err(CliError::no(
        format!("access denied: {} {}", entries(denied.len()), denied.join(", ")),
        "serve nothing; the receipt names the findings, and `greffe check` tells what they ask for",
    ))
}

fn entries(count: usize) -> &'static str {
    if count == 1 { "entry" } else { "entries" }
}

/// Whether what was recorded is that an access was denied.
fn is_denial(receipt: &Value) -> bool {
    receipt["leaf"]["event"]["type"] == "AccessDenied"
}

fn report(path: &Path, receipts: &[Value], kept: &Path) {
    for receipt in receipts {
        let verdict =
            receipt["verdict"]["verdict"].as_str().map(|v| format!(", {v}")).unwrap_or_default();
        let denied = if is_denial(receipt) { ", denied" } else { "" };
        say!(
            "{}: entry {}{denied}{verdict}; receipt in {}",
            path.display(),
            receipt["position"],
            kept.display()
        );
    }
}

/// Where the receipts of a filing go.
fn directory_for<'a>(filing: &'a Path, receipts: Option<&'a Path>) -> &'a Path {
    let beside = filing.parent().filter(|parent| !parent.as_os_str().is_empty());
    receipts.or(beside).unwrap_or(Path::new("."))
}

/// Writes the receipts of a filing, never over others.
fn keep(filing: &Path, directory: Option<&Path>, receipts: &[Value]) -> Result<PathBuf, CliError> {
    let stem = filing.file_stem().unwrap_or_default().to_string_lossy();
    let position = receipts.first().map(|r| r["position"].to_string()).unwrap_or_default();
    let directory = directory_for(filing, directory);
    let mut path = directory.join(format!("{stem}.{position}.receipt.json"));
    let bytes = serde_json::to_vec_pretty(receipts).unwrap_or_default();
    let create = |path: &Path| File::options().write(true).create_new(true).open(path);
    let mut created = create(&path);
    if created.as_ref().is_err_and(|e| e.kind() == ErrorKind::AlreadyExists) {
        // Of another ledger: the link tells them apart.
        let link = receipts.first().and_then(|r| r["link"].as_str()).unwrap_or_default();
        path = directory.join(format!("{stem}.{position}.{link}.receipt.json"));
        created = create(&path);
    }
    created.and_then(|mut file| file.write_all(&bytes)).map_err(|e| {
        CliError::broken(
            format!(
                "recorded at position {position}, but the receipt cannot be written to {}: {e}",
                path.display()
            ),
            "submit the same signed bytes again to get the same receipt, or ask GET /v1/entries",
        )
    })?;
    Ok(path)
}
