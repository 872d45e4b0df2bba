//! Export: the whole ledger, or what concerns one subject, as lines a stranger can check.
//!
//! For each entry: the filing it cites if not yet written, the sealed entry (or, in an
//! extract, only its seal), the disclosures the reader may see; last the signed head.
//! Format: `docs/format.md` §5. Read in runs of entries: memory does not grow with the ledger.

use std::collections::HashMap;
use std::io::Write;

use greffe_domain::encoding::{Hash32, base64url};
use greffe_domain::kind::{EventType, StreamType};
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

/// An export under way: run after run of lines, for whoever writes or sends them.
pub struct Export {
    head: SignedHead,
    scope: Scope,
    done: Exported,
    /// The next entry; `None` once the head is given.
    from: Option<Position>,
    written_filing: Option<Hash32>,
    /// Positions about the subject, ascending: an answer or a ruling is about it if its
    /// access is.
    about_subject: Vec<u64>,
    /// Accesses about the subject that somebody else contested, ascending: what is answered
    /// there may be said to the other.
    contested_by_others: Vec<u64>,
}

impl Export {
    /// The entries below `head.size`, then `head`.
    pub fn new(head: SignedHead, scope: Scope) -> Self {
        Self {
            head,
            scope,
            done: Exported::default(),
            from: Some(Position(0)),
            written_filing: None,
            about_subject: Vec::new(),
            contested_by_others: Vec::new(),
        }
    }

    /// What was given so far.
    pub fn done(&self) -> Exported {
        self.done
    }

    /// The next lines, each with its end. `None`: there are no more.
    pub async fn next_run(&mut self, store: &dyn Store) -> Result<Option<Vec<u8>>, Fault> {
        let Some(from) = self.from else { return Ok(None) };
        let TreeSize(size) = self.head.size;
        let mut out = Vec::new();
        if from.0 >= size {
            let head = &self.head;
            let line = json!({"head": {
                "size": head.size, "link": head.link, "signature": base64url(&head.signature),
                "key": head.kid,
            }});
            push_line(&mut out, line.to_string().as_bytes());
            self.from = None;
            return Ok(Some(out));
        }
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
            self.done.entries += 1;
            if !self.shows(&row, &own) {
                push_line(&mut out, &row.sealed.hide().to_json_line());
                self.done.hidden += 1;
                continue;
            }
            // In an extract the first entry shown of a filing may not be its first item.
            if let Some(cited) = row.filing
                && self.written_filing != Some(cited.digest)
            {
                let first = row.first_position().unwrap_or(row.position);
                let jwt = match filings.remove(&first) {
                    Some(jwt) => jwt,
                    // It began in an earlier run.
                    None => store.filing(first).await?.ok_or_else(|| missing(first))?.jwt,
                };
                push_line(&mut out, json!({"filing": jwt}).to_string().as_bytes());
                self.written_filing = Some(cited.digest);
                self.done.filings += 1;
            }
            push_line(&mut out, &row.sealed.to_json_line());
            for disclosure in self.visible(&row, own) {
                let line =
                    json!({"position": row.position, "disclosure": disclosure.encoded}).to_string();
                push_line(&mut out, line.as_bytes());
                self.done.disclosures += 1;
            }
        }
        self.from = Some(until);
        Ok(Some(out))
    }

    /// Whether an entry is shown whole; takes note of what later entries depend on.
    fn shows(&mut self, row: &EntryRow, own: &[DisclosureRow]) -> bool {
        let Scope::Subject(subject) = self.scope else { return true };
        let shown = is_about(row, own, subject, &self.about_subject);
        if shown && row.stream.kind == StreamType::Access {
            self.about_subject.push(row.position.0);
            let names_subject = own.iter().any(|d| is_reference_to(d, subject));
            if row.event_type == EventType::AccessContested
                && !names_subject
                && let Ok(access) = row.stream.id.parse()
                && let Err(place) = self.contested_by_others.binary_search(&access)
            {
                self.contested_by_others.insert(place, access);
            }
        }
        shown
    }

    /// Disclosures the reader may see: in an extract, of an access, the subject's own value
    /// and what neither names nor was said by or to anybody else.
    fn visible(&self, row: &EntryRow, own: Vec<DisclosureRow>) -> Vec<DisclosureRow> {
        let Scope::Subject(subject) = self.scope else { return own };
        let in_access = row.stream.kind == StreamType::Access;
        let contested_by_other = || {
            let access = row.stream.id.parse();
            access.is_ok_and(|id: u64| self.contested_by_others.binary_search(&id).is_ok())
        };
        let of_another = match row.event_type {
            EventType::AccessContested => !own.iter().any(|d| is_reference_to(d, subject)),
            EventType::ContestationAnswered => contested_by_other(),
            _ => false,
        };
        own.into_iter()
            .filter(|disclosed| {
                Disclosure::parse(&disclosed.encoded).is_ok_and(|d| {
                    let is_reference = d.value.as_str().and_then(SubjectRef::parse).is_some();
                    // A named agent is for the authority to see.
                    let names_agent = d.name.as_deref() == Some("agent");
                    is_reference_to(disclosed, subject)
                        || (in_access && !of_another && !is_reference && !names_agent)
                })
            })
            .collect()
    }
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
    let mut export = Export::new(head.clone(), scope);
    while let Some(lines) = export.next_run(store).await? {
        out.write_all(&lines).map_err(written)?;
        progress(export.done.entries, head.size.0);
    }
    out.flush().map_err(written)?;
    Ok(export.done)
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
    let named = disclosures.iter().any(|d| is_reference_to(d, subject));
    let follows = row.stream.id.parse().is_ok_and(|id: u64| accesses.binary_search(&id).is_ok());
    named || (row.stream.kind == StreamType::Access && follows)
}

fn is_reference_to(disclosed: &DisclosureRow, subject: SubjectRef) -> bool {
    let text = subject.to_string();
    Disclosure::parse(&disclosed.encoded).is_ok_and(|d| d.value.as_str() == Some(&text))
}

fn push_line(out: &mut Vec<u8>, line: &[u8]) {
    out.extend_from_slice(line);
    out.push(b'\n');
}

fn written(error: std::io::Error) -> Fault {
    Fault::io(error, "write the export", "the export file")
}

fn missing(position: Position) -> Fault {
    Fault::new(FaultKind::Corrupt, "export", "the entries")
        .because(format!("the entry at position {position} is missing"))
}
