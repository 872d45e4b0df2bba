//! What several commands need: files, keys, a runtime, ledgers in a directory, tables.

use std::error::Error;
use std::fs;
use std::io::IsTerminal;
use std::path::Path;

use greffe_domain::key::SecretKey;
use greffe_domain::refusal::Refusal;
use greffe_infra::keystore;
use greffe_infra::ledger::{Ledger, OpenError};
use greffe_infra::store::{Fault, FaultKind};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Failure, cannot, no};
use crate::client::{Answer, ClientError};

pub fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|e| {
        cannot(format!("{} cannot be read: {e}", path.display()), "check the path and its rights")
    })
}

pub fn read_text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read_file(path)?)
        .map_err(|_| cannot(format!("{} is not UTF-8 text", path.display()), "save it as UTF-8"))
}

pub fn read_key(path: &Path) -> Result<SecretKey, Failure> {
    keystore::read_key(path).map_err(fault)
}

pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    use std::io::Write;
    fs::File::create_new(path).and_then(|mut file| file.write_all(bytes)).map_err(|e| {
        cannot(
            format!("{} cannot be written: {e}", path.display()),
            "choose another file; nothing is overwritten",
        )
    })
}

/// A fault with its causes, and what to do about it.
pub fn fault(fault: Fault) -> Failure {
    let advice = fault.advice();
    cannot(with_causes(&fault), advice)
}

pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

pub fn refused(refusal: &Refusal) -> Failure {
    let at = refusal.errors.first().map(|e| e.pointer.as_str()).filter(|p| !p.is_empty());
    let at = at.map(|p| format!(" at {p}")).unwrap_or_default();
    cannot(
        format!("refused ({}){at}: {}", refusal.code, refusal.detail.en),
        advice(refusal.code.as_str()),
    )
}

/// What a problem's page says to do.
pub fn advice(code: &str) -> &'static str {
    match crate::words::problem_words(crate::words::Lang::En, code).1 {
        "" => "see the message above",
        advice => advice,
    }
}

/// An HTTP problem: the service answered no.
pub fn problem(answer: &Answer) -> Failure {
    no(answer.problem(), advice(answer.code()))
}

pub fn unanswered(error: ClientError) -> Failure {
    cannot(error, "check the address (--url) and that `greffe serve` runs there")
}

pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| {
        cannot(
            format!("the threads could not be started: {e}"),
            "free some memory or raise the limits",
        )
    })
}

pub async fn open_ledger(directory: &Path) -> Result<Ledger, Failure> {
    Ledger::open(directory).await.map_err(open_error)
}

pub fn open_error(error: OpenError) -> Failure {
    match error {
        OpenError::Fault(f) => fault(f),
        OpenError::Refused(r) => refused(&r),
        unsound => cannot(
            unsound,
            "restore the directory from a sound copy; `greffe fsck` names every bad byte",
        ),
    }
}

/// Whether a directory can receive a new ledger: it is absent, or empty.
pub fn is_vacant(directory: &Path) -> Result<bool, Failure> {
    match fs::read_dir(directory) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(e) => {
            Err(fault(Fault::io(e, "look into the directory", directory.display().to_string())))
        }
    }
}

/// A ledger's directory from `--data`, or `--store sqlite:PATH`. Other stores are served
/// once their engine exists.
pub fn data_directory(
    data: Option<&Path>,
    store: Option<&str>,
) -> Result<std::path::PathBuf, Failure> {
    match (data, store) {
        (Some(directory), None) => Ok(directory.to_owned()),
        (None, Some(url)) => match url.strip_prefix("sqlite:") {
            Some(path) => {
                let path = Path::new(path.trim_start_matches("//"));
                // The file inside a directory, or the directory itself.
                let is_file = path.extension().is_some_and(|e| e == "db");
                Ok(if is_file { path.parent().unwrap_or(path) } else { path }.to_owned())
            }
            None => Err(fault(Fault::new(FaultKind::Missing, "open the store", url))).map_err(
                |f| Failure {
                    to_try:
                        "use --data DIR or --store sqlite:PATH: this version has no other engine"
                            .into(),
                    ..f
                },
            ),
        },
        _ => Err(cannot(
            "where the ledger is was not said, or said twice",
            "give either --data DIR or --store sqlite:PATH",
        )),
    }
}

/// A bar on standard error when somebody watches; silent otherwise.
pub fn progress(total: u64, what: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style).with_message(what)
}

/// Columns padded to their widest cell; the last one is not.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|h| h.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let header: Vec<String> = header.iter().map(|h| h.to_uppercase()).collect();
    for row in std::iter::once(&header).chain(rows) {
        let mut line = String::new();
        for (i, (cell, width)) in row.iter().zip(&widths).enumerate() {
            line.push_str(cell);
            if i + 1 < row.len() {
                line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
