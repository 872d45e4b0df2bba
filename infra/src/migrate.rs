//! Moving a ledger from one store to another, byte for byte.
//!
//! `source → checked as fsck checks it → appended, whole filings at a time → the copy checked
//! again`. What is moved is never parsed into something else and written back. Interrupted,
//! the copy ends earlier, with whole filings, and the next run goes on from its head. Until
//! then it may lack values that are erased further on.
//! Keys, marks and trust are not in a store: they stay where they are.

use std::collections::HashSet;

use greffe_domain::encoding::Hash32;
use greffe_domain::event::Event;
use greffe_domain::kind::{EventType, StreamType};
use greffe_domain::seal::{Leaf, Position};

use crate::commit::erased_by;
use crate::fsck::{Check, Checked, Erased, FsckError, fsck, read_filings, read_page};
use crate::store::{AppendError, Batch, EntryRow, Fault, FaultKind, Head, Lead, Store};
use crate::trust::Trust;

/// Why a ledger was not moved, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The source is not sound: nothing of that page, or after it, was copied.
    #[error("the ledger to copy is not sound")]
    Source(#[source] FsckError),
    /// The copy is not sound, or does not end where the source does.
    #[error("the copy is not sound")]
    Copy(#[source] FsckError),
    /// The target holds something else.
    #[error("the target is not a beginning of the ledger to copy: they differ at position {0}")]
    NotAPrefix(Position),
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// What is in the copy now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    pub head: Head,
    /// Where this run began.
    pub resumed_at: Position,
    pub checked: Checked,
}

/// Copies what the target does not have yet. Both stores are this process's to write: a
/// source that somebody else appends to would not end.
///
/// `trust`: whose ledger it must be. `progress(done, all)`: entries of the source seen.
pub async fn migrate(
    from: &dyn Store,
    to: &dyn Store,
    trust: Option<&Trust>,
    mut progress: impl FnMut(u64, u64),
) -> Result<Migrated, MigrateError> {
    let head = from.head().await?;
    let start = to.head().await?;
    check_prefix(from, head, start).await?;
    let mut erased = Erased::default();
    erased.read_on(from, head.size).await.map_err(MigrateError::Source)?;
    let mut check = Check::new(from.origin(), trust, head, erased);
    let mut copied = start;
    while check.position() < head.size.next() {
        let at = check.position();
        let entries = read_whole_filings(from, at).await?;
        let Some(until) = entries.last().map(|e| e.position.tree_size().next()) else {
            let gone = Fault::new(FaultKind::Corrupt, "read entries", format!("position {at}"));
            return Err(gone.into());
        };
        let filings = read_filings(from, at, until).await.map_err(MigrateError::Source)?;
        let disclosures = from.disclosures(at, until).await?;
        check
            .page(&entries, filings.clone(), disclosures.clone())
            .map_err(|damage| MigrateError::Source(damage.into()))?;
        if until > start.size.next() {
            let first = start.size.next();
            let mut batch =
                Batch { expected: copied, entries, filings, disclosures, erased: vec![] };
            batch.entries.retain(|e| e.position >= first);
            batch.filings.retain(|f| f.first_position >= first);
            batch.disclosures.retain(|d| d.position >= first);
            batch.erased = erased_in(&batch.entries)?;
            copied = batch.head_after();
            if from.lead().await? == Lead::Elsewhere {
                return Err(Fault::new(FaultKind::InUse, "copy the ledger", "its store").into());
            }
            append(to, batch).await?;
        }
        progress(check.position().0, head.size.0);
    }
    check.end(from).await.map_err(MigrateError::Source)?;
    let checked = fsck(to, trust, |_, _| {}).await.map_err(MigrateError::Copy)?;
    let reached = to.head().await?;
    if reached != head {
        return Err(MigrateError::NotAPrefix(head.size.next().min(reached.size.next())));
    }
    Ok(Migrated { head, resumed_at: start.size.next(), checked })
}

/// The target may hold the first entries of the source and nothing else.
async fn check_prefix(from: &dyn Store, head: Head, start: Head) -> Result<(), MigrateError> {
    if start.size > head.size {
        return Err(MigrateError::NotAPrefix(head.size.next()));
    }
    let Some(last) = start.size.0.checked_sub(1).map(Position) else { return Ok(()) };
    match from.entry(last).await? {
        Some(row) if row.sealed.link == start.link => Ok(()),
        _ => Err(MigrateError::NotAPrefix(last)),
    }
}

/// A page of entries that no filing runs out of: a copy interrupted after it holds no part
/// of one.
async fn read_whole_filings(from: &dyn Store, at: Position) -> Result<Vec<EntryRow>, MigrateError> {
    let mut page = read_page(from, at).await.map_err(MigrateError::Source)?;
    let Some(first) = page.last().and_then(EntryRow::first_position) else { return Ok(page) };
    let Some(filing) = from.filing(first).await? else { return Ok(page) };
    let end = first.0 + u64::from(filing.items);
    while let Some(last) = page.last()
        && last.position.tree_size().0 < end
    {
        let next = last.position.tree_size().next();
        let more = usize::try_from(end - next.0).unwrap_or(usize::MAX);
        let rest = from.entries(next, more).await?;
        if rest.is_empty() {
            break;
        }
        page.extend(rest);
    }
    Ok(page)
}

/// Digests that entries of a batch erase: their values may have been copied by a run before
/// the source erased them.
pub(crate) fn erased_in(entries: &[EntryRow]) -> Result<Vec<Hash32>, Fault> {
    let mut erased = HashSet::new();
    let subjects = entries.iter().filter(|e| {
        e.stream.kind == StreamType::Subject && e.event_type == EventType::SubjectErased
    });
    for entry in subjects {
        let unreadable = |e: String| {
            let which = format!("the entry at position {}", entry.position);
            Fault::new(FaultKind::Corrupt, "read an erasure", which).because(e)
        };
        let leaf = Leaf::parse(&entry.sealed.leaf).map_err(|e| unreadable(e.to_string()))?;
        let event = Event::read(&leaf.event).map_err(|e| unreadable(e.to_string()))?;
        erased.extend(erased_by(&event));
    }
    Ok(erased.into_iter().collect())
}

async fn append(to: &dyn Store, batch: Batch) -> Result<(), MigrateError> {
    let expected = batch.expected;
    to.append(batch).await.map_err(|error| match error {
        AppendError::NotApplied(fault) | AppendError::Unknown(fault) => MigrateError::Fault(fault),
        AppendError::Conflict { actual } => {
            let differ = expected.size.next().min(actual.size.next());
            MigrateError::NotAPrefix(differ)
        }
    })
}
