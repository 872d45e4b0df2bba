//! Export: the whole ledger, or what concerns one subject, as lines a stranger can check.
//!
//! For each entry: the filing it cites if not yet written, the sealed entry (or, in an
//! extract, only its seal), the disclosures the reader may see; last the signed head.
//! Format: `docs/format.md` §5. Read in runs of entries: memory does not grow with the ledger.

use std::collections::HashMap;
use std::io::Write;

use greffe_domain::encoding::base64url;
use greffe_domain::kind::StreamType;
use greffe_domain::sdjwt::Disclosure;
use greffe_domain::seal::{Head as SignedHead, Position, TreeSize};
use greffe_domain::subject::SubjectRef;
use serde_json::json;

use crate::store::{DisclosureRow, EntryRow, Fault, FaultKind, Store};

/// Entries read at once.
const RUN: usize = 1_000;

/// What a reader gets.
#[derive(Debug, Clone, Copy)]
pub enum Scope {
    /// Every entry and every disclosure.
    Whole,
    /// Registrations and register entries whole; accesses and erasures only where they are
    /// about this subject, the others hidden.
    Subject(SubjectRef),
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exported {
    pub entries: u64,
    pub hidden: u64,
    pub filings: u64,
    pub disclosures: u64,
}

/// Writes the entries below `head.size`, then `head`. `progress(done, all)` is called after
/// each run.
pub async fn export(
    store: &dyn Store,
    head: &SignedHead,
    scope: Scope,
    out: &mut dyn Write,
    mut progress: impl FnMut(u64, u64),
) -> Result<Exported, Fault> {
    let TreeSize(size) = head.size;
    let mut done = Exported::default();
    // Positions about the subject: an answer or a ruling is about it if its access is.
    let mut about_subject: Vec<u64> = Vec::new();
    let mut written_filing = None;
    let mut from = Position(0);
    while from.0 < size {
        let limit = RUN.min(usize::try_from(size - from.0).unwrap_or(RUN));
        let rows = store.entries(from, limit).await?;
        let until = match rows.last() {
            Some(last) => last.position.tree_size().next(),
            None => return Err(missing(from)),
        };
        let mut disclosures = store.disclosures(from, until).await?.into_iter().peekable();
        let mut filings: HashMap<Position, String> = store
            .filings(from, limit)
            .await?
            .into_iter()
            .map(|filing| (filing.first_position, filing.jwt))
            .collect();
        for row in rows {
            let mut own = Vec::new();
            while let Some(disclosure) = disclosures.next_if(|d| d.position == row.position) {
                own.push(disclosure);
            }
            let shown = match scope {
                Scope::Whole => true,
                Scope::Subject(subject) => {
                    let shown = is_about(&row, &own, subject, &about_subject);
                    if shown && row.stream.kind == StreamType::Access {
                        about_subject.push(row.position.0);
                    }
                    shown
                }
            };
            // In an extract the first entry shown of a filing may not be its first item.
            if let (true, Some(cited)) = (shown, row.filing)
                && written_filing != Some(cited.digest)
            {
                let first = row.first_position().unwrap_or(row.position);
                let jwt = match filings.remove(&first) {
                    Some(jwt) => jwt,
                    // It began in an earlier run.
                    None => store.filing(first).await?.ok_or_else(|| missing(first))?.jwt,
                };
                let line = json!({"filing": jwt}).to_string();
                write_line(out, line.as_bytes())?;
                written_filing = Some(cited.digest);
                done.filings += 1;
            }
            if !shown {
                write_line(out, &row.sealed.hide().to_json_line())?;
                done.hidden += 1;
                done.entries += 1;
                continue;
            }
            write_line(out, &row.sealed.to_json_line())?;
            done.entries += 1;
            for disclosure in visible(scope, &row, own) {
                let line =
                    json!({"position": row.position, "disclosure": disclosure.encoded}).to_string();
                write_line(out, line.as_bytes())?;
                done.disclosures += 1;
            }
        }
        from = until;
        progress(from.0, size);
    }
    let line = json!({"head": {
        "size": head.size, "link": head.link, "signature": base64url(&head.signature),
        "key": head.kid,
    }});
    write_line(out, line.to_string().as_bytes())?;
    out.flush().map_err(written)?;
    Ok(done)
}

/// Whether an extract shows an entry whole.
fn is_about(
    row: &EntryRow,
    disclosures: &[DisclosureRow],
    subject: SubjectRef,
    accesses: &[u64],
) -> bool {
    if !matches!(row.stream.kind, StreamType::Access | StreamType::Subject) {
        return true;
    }
    let text = subject.to_string();
    let named = disclosures
        .iter()
        .filter_map(|d| Disclosure::parse(&d.encoded).ok())
        .any(|d| d.value.as_str() == Some(&text));
    let follows = row.stream.id.parse().is_ok_and(|id: u64| accesses.binary_search(&id).is_ok());
    named || (row.stream.kind == StreamType::Access && follows)
}

/// Disclosures the reader may see: in an extract, of an access, the subject's own value and
/// what names nobody else.
fn visible(scope: Scope, row: &EntryRow, own: Vec<DisclosureRow>) -> Vec<DisclosureRow> {
    let Scope::Subject(subject) = scope else { return own };
    let text = subject.to_string();
    own.into_iter()
        .filter(|row_disclosure| {
            Disclosure::parse(&row_disclosure.encoded).is_ok_and(|d| {
                let is_reference = d.value.as_str().and_then(SubjectRef::parse).is_some();
                let is_self = d.value.as_str() == Some(&text);
                // A named agent is for the authority to see.
                let names_agent = d.name.as_deref() == Some("agent");
                is_self || (row.stream.kind == StreamType::Access && !is_reference && !names_agent)
            })
        })
        .collect()
}

fn write_line(out: &mut dyn Write, line: &[u8]) -> Result<(), Fault> {
    out.write_all(line).and_then(|()| out.write_all(b"\n")).map_err(written)
}

fn written(error: std::io::Error) -> Fault {
    Fault::io(error, "write the export", "the export file")
}

fn missing(position: Position) -> Fault {
    Fault::new(FaultKind::Corrupt, "export", "the entries")
        .because(format!("the entry at position {position} is missing"))
}
