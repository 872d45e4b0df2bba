//! `greffe export`: the ledger as one file that `greffe-verify` checks without us.
//!
//! For each entry, first the filing it cites, then the sealed entry, then its disclosures;
//! last the signed head (`docs/format.md` §5). With `--subject`, entries that are not about
//! that person are hidden, and disclosures are only those of entries about them; parties,
//! keys and register entries stay whole, because every check rests on them.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use greffe_domain::body::Body;
use greffe_domain::encoding::base64url;
use greffe_domain::kind::StreamType;
use greffe_domain::seal::Position;
use greffe_domain::subject::SubjectRef;
use greffe_infra::ledger::Ledger;
use serde_json::{Value, json};

use super::support::{data_directory, fault, open_ledger, progress, runtime};
use super::{Failure, cannot};
use crate::config::Limits;
use crate::http::queries::{self, Read};
use crate::http::{App, Shared};

#[derive(Debug, Args)]
pub struct Arguments {
    /// Directory of the ledger
    #[arg(long, value_name = "DIR", env = "GREFFE_DATA")]
    data: Option<PathBuf>,
    /// Where the ledger is kept: sqlite:PATH
    #[arg(long, value_name = "URL", env = "GREFFE_STORE")]
    store: Option<String>,
    /// The file to write; nothing is overwritten
    #[arg(long, value_name = "FILE", env = "GREFFE_OUT")]
    out: PathBuf,
    /// Only what is about this subject reference; the rest is hidden
    #[arg(long, value_name = "REF", env = "GREFFE_SUBJECT")]
    subject: Option<String>,
}

/// Entries read at once.
const CHUNK: u64 = 512;

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let subject = match arguments.subject.as_deref().map(|s| (s, SubjectRef::parse(s))) {
        None => None,
        Some((_, Some(subject))) => Some(subject.to_string()),
        Some((text, None)) => {
            return Err(cannot(
                format!("`{text}` is not a subject reference"),
                "give the 43 characters that POST /v1/subjects answers",
            ));
        }
    };
    let directory = data_directory(arguments.data.as_deref(), arguments.store.as_deref())?;
    runtime()?.block_on(async {
        let ledger = open_ledger(&directory).await?;
        let app = App::new(ledger.clone(), Limits::default());
        let exported = write(&app, &ledger, arguments, subject.as_deref()).await;
        ledger.shutdown().await;
        let entries = exported?;
        println!("{}: {entries} entries", arguments.out.display());
        Ok(())
    })
}

async fn write(
    app: &Shared,
    ledger: &Ledger,
    arguments: &Arguments,
    subject: Option<&str>,
) -> Result<u64, Failure> {
    let unwritten = |e: std::io::Error| {
        cannot(
            format!("{} cannot be written: {e}", arguments.out.display()),
            "choose another file; nothing is overwritten",
        )
    };
    let mut out = BufWriter::new(File::create_new(&arguments.out).map_err(unwritten)?);
    let head = ledger.head();
    let size = head.signed.size.0;
    let bar = progress(size, "exporting");
    let mut next = 0;
    // The filing written last: items of one filing follow each other.
    let mut last_filing = None;
    while next < size {
        let end = size.min(next + CHUNK);
        let mut page: Vec<Read> = Vec::new();
        queries::scan(
            app,
            next,
            end,
            |_| true,
            |read| {
                page.push(read);
                true
            },
        )
        .await
        .map_err(fault)?;
        let shown: Vec<bool> = page.iter().map(|read| is_shown(read, subject)).collect();
        let kept =
            ledger.store().disclosures(Position(next), Position(end)).await.map_err(fault)?;
        let mut kept = kept.iter().peekable();
        for (read, shown) in page.iter().zip(shown) {
            let row = &read.row;
            if shown
                && let (Some(filing), Some(first)) = (row.filing, row.first_position())
                && last_filing != Some(filing.digest)
            {
                // A batch travels whole when one of its items is shown: without the signed
                // text nobody could check that item. Personal values in it are digests.
                if let Some(cited) = ledger.store().filing(first).await.map_err(fault)? {
                    line(&mut out, &json!({"filing": cited.jwt})).map_err(unwritten)?;
                }
                last_filing = Some(filing.digest);
            }
            let sealed =
                if shown { row.sealed.to_json_line() } else { row.sealed.hide().to_json_line() };
            out.write_all(&sealed).and_then(|()| out.write_all(b"\n")).map_err(unwritten)?;
            while let Some(disclosure) = kept.next_if(|d| d.position <= row.position) {
                let about = subject.is_none_or(|s| is_about(read, s));
                if disclosure.position == row.position && shown && about {
                    let value = json!({"position": row.position, "disclosure": disclosure.encoded});
                    line(&mut out, &value).map_err(unwritten)?;
                }
            }
        }
        next = end;
        bar.set_position(next);
    }
    bar.finish_and_clear();
    let signature = base64url(&head.signed.signature);
    let last = json!({"head": {
        "size": size, "link": head.signed.link, "signature": signature, "key": head.signed.kid,
    }});
    line(&mut out, &last).and_then(|()| out.flush()).map_err(unwritten)?;
    Ok(size)
}

fn line(out: &mut impl Write, value: &Value) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

/// Everything for a whole export; else the register, and what is about the person.
fn is_shown(read: &Read, subject: Option<&str>) -> bool {
    let Some(subject) = subject else { return true };
    match read.row.stream.kind {
        StreamType::Access | StreamType::Subject => is_about(read, subject),
        _ => match read.filed().map(|f| &*f.body) {
            Some(Body::RecordAgreement(_) | Body::RecordObjection(_) | Body::RecordUse(_)) => {
                is_about(read, subject)
            }
            _ => true,
        },
    }
}

fn is_about(read: &Read, subject: &str) -> bool {
    let Some(filed) = read.filed() else { return false };
    let is = |value: Option<&String>| value.is_some_and(|v| v == subject);
    match &*filed.body {
        Body::RequestAccess(access) | Body::ReportAccess(access) => {
            let members = access.cohort.iter().flat_map(|c| &c.members);
            access.subjects.iter().chain(members).any(|s| is(s.value.as_ref()))
        }
        Body::RecordAgreement(b) | Body::RecordObjection(b) => {
            is(b.subject.as_ref().and_then(|s| s.value.as_ref()))
        }
        Body::RecordUse(b) => is(b.subject.as_ref().and_then(|s| s.value.as_ref())),
        Body::ContestAccess(b) => is(b.subject.as_ref().and_then(|s| s.value.as_ref())),
        _ => false,
    }
}
