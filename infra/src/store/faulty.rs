//! A store that fails on demand: each write once lost, once landed with the answer lost.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use greffe_domain::date::Timestamp;
use greffe_domain::encoding::Hash32;
use greffe_domain::kind::StreamType;
use greffe_domain::seal::{Position, TreeSize};
use tokio::sync::watch;

use super::{
    AppendError, Batch, Damage, Disclosed, DisclosureRow, EntryRow, Fault, FaultKind, FilingKey,
    FilingRow, Found, Head, Lead, RecordedFiling, Store,
};

/// How one write goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// As it should.
    None,
    /// Nothing is written, and that is the answer.
    Lost,
    /// Nothing is written, and nobody can tell.
    LostAnswerUnknown,
    /// It is written, and nobody can tell.
    LandedAnswerUnknown,
    /// Another writer got there first: this batch is written by it, then refused.
    LandedByAnother,
}

/// Wraps a store; the failures asked for come one a write, in order.
pub struct FaultyStore<S> {
    inner: S,
    writes: Mutex<VecDeque<Failure>>,
    heads: Mutex<usize>,
    /// Where entries end that are looked for, or read with their disclosures, as on a replica
    /// that is late; the head and single ones are of the primary.
    late: AtomicU64,
    /// Appends wait while it is false.
    gate: watch::Sender<bool>,
    /// Whether an append has come to the gate since it was closed.
    came: watch::Sender<bool>,
    /// Times that filings were looked up by name.
    lookups: watch::Sender<u64>,
}

impl<S: Store> FaultyStore<S> {
    pub fn new(inner: S) -> Self {
        let (gate, came) = (watch::Sender::new(true), watch::Sender::new(false));
        let (writes, heads) = (Mutex::default(), Mutex::default());
        let (late, lookups) = (AtomicU64::new(u64::MAX), watch::Sender::new(0));
        Self { inner, writes, heads, late, gate, came, lookups }
    }

    /// Entries from this position on are neither found among others nor read together with
    /// their disclosures.
    pub fn end_at(&self, Position(late): Position) {
        self.late.store(late, Ordering::SeqCst);
    }

    fn until_late(&self, found: Found) -> Found {
        let late = TreeSize(self.late.load(Ordering::SeqCst));
        let Found { mut entries, size } = found;
        entries.retain(|row| row.position < late.next());
        Found { entries, size: size.min(late) }
    }

    /// Lets the appends to come wait.
    pub fn close(&self) {
        self.came.send_replace(false);
        self.gate.send_replace(false);
    }

    /// Waits until an append waits.
    pub async fn append_waits(&self) {
        let mut came = self.came.subscribe();
        came.wait_for(|came| *came).await.expect("the sender is in `self`, which is borrowed");
    }

    /// Does something, and waits until filings were looked up by name once more. The writer
    /// does that before it decides: what it was given earlier is decided then.
    pub async fn until_looked_up<T>(&self, act: impl Future<Output = T>) -> T {
        let mut lookups = self.lookups.subscribe();
        let before = *lookups.borrow();
        let done = act.await;
        let more = lookups.wait_for(|count| *count > before).await;
        more.expect("the sender is in `self`, which is borrowed");
        done
    }

    /// Lets those that wait, and the others, go on.
    pub fn open(&self) {
        self.gate.send_replace(true);
    }

    /// The writes to come go like this, those after them as they should.
    pub fn fail_writes(&self, failures: impl IntoIterator<Item = Failure>) {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner).extend(failures);
    }

    /// The next `count` questions for the head fail.
    pub fn fail_heads(&self, count: usize) {
        *self.heads.lock().unwrap_or_else(PoisonError::into_inner) = count;
    }

    pub fn inner(&self) -> &S {
        &self.inner
    }
}

fn injected(attempted: &str) -> Fault {
    Fault::new(FaultKind::Unavailable, attempted, "the failing store").because("asked to fail")
}

#[async_trait]
impl<S: Store> Store for FaultyStore<S> {
    fn origin(&self) -> &str {
        self.inner.origin()
    }

    fn is_shared(&self) -> bool {
        self.inner.is_shared()
    }

    async fn lead(&self) -> Result<Lead, Fault> {
        self.inner.lead().await
    }

    async fn resign(&self) {
        self.inner.resign().await;
    }

    async fn head(&self) -> Result<Head, Fault> {
        let failing = {
            let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
            let failing = *heads > 0;
            *heads = heads.saturating_sub(1);
            failing
        };
        if failing { Err(injected("read the head")) } else { self.inner.head().await }
    }

    async fn append(&self, batch: Batch) -> Result<(), AppendError> {
        self.came.send_replace(true);
        let mut gate = self.gate.subscribe();
        gate.wait_for(|open| *open).await.expect("the sender is in `self`, which is borrowed");
        let failure = self.writes.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let fault = || injected("append to the ledger");
        match failure.unwrap_or(Failure::None) {
            Failure::None => self.inner.append(batch).await,
            Failure::Lost => Err(AppendError::NotApplied(fault())),
            Failure::LostAnswerUnknown => Err(AppendError::Unknown(fault())),
            Failure::LandedAnswerUnknown => {
                self.inner.append(batch).await?;
                Err(AppendError::Unknown(fault()))
            }
            Failure::LandedByAnother => {
                self.inner.append(batch.clone()).await?;
                self.inner.append(batch).await
            }
        }
    }

    async fn entries(&self, from: Position, limit: usize) -> Result<Vec<EntryRow>, Fault> {
        self.inner.entries(from, limit).await
    }

    async fn entries_of_types(
        &self,
        types: &[StreamType],
        from: Position,
        limit: usize,
    ) -> Result<Found, Fault> {
        Ok(self.until_late(self.inner.entries_of_types(types, from, limit).await?))
    }

    async fn group_disclosures(&self, from: Position, limit: usize) -> Result<Found, Fault> {
        Ok(self.until_late(self.inner.group_disclosures(from, limit).await?))
    }

    async fn entry(&self, position: Position) -> Result<Option<EntryRow>, Fault> {
        self.inner.entry(position).await
    }

    async fn entries_at(&self, positions: &[Position]) -> Result<Vec<EntryRow>, Fault> {
        self.inner.entries_at(positions).await
    }

    async fn stream(&self, stream: StreamType, id: &str) -> Result<Vec<EntryRow>, Fault> {
        self.inner.stream(stream, id).await
    }

    async fn size_at(&self, time: Timestamp) -> Result<TreeSize, Fault> {
        self.inner.size_at(time).await
    }

    async fn filing(&self, first_position: Position) -> Result<Option<FilingRow>, Fault> {
        self.inner.filing(first_position).await
    }

    async fn filings(&self, from: Position, limit: usize) -> Result<Vec<FilingRow>, Fault> {
        self.inner.filings(from, limit).await
    }

    async fn filings_by_key(
        &self,
        keys: &[FilingKey<'_>],
    ) -> Result<Vec<Option<RecordedFiling>>, Fault> {
        self.lookups.send_modify(|count| *count += 1);
        self.inner.filings_by_key(keys).await
    }

    async fn disclosures(
        &self,
        from: Position,
        until: Position,
    ) -> Result<Vec<DisclosureRow>, Fault> {
        self.inner.disclosures(from, until).await
    }

    async fn disclosures_at(&self, positions: &[Position]) -> Result<Vec<DisclosureRow>, Fault> {
        self.inner.disclosures_at(positions).await
    }

    async fn disclosed(&self, from: Position, limit: usize) -> Result<Disclosed, Fault> {
        let left = self.late.load(Ordering::SeqCst).saturating_sub(from.0);
        self.inner.disclosed(from, limit.min(usize::try_from(left).unwrap_or(limit))).await
    }

    async fn disclosed_at(&self, positions: &[Position]) -> Result<Disclosed, Fault> {
        {
            let late = Position(self.late.load(Ordering::SeqCst));
            let there: Vec<Position> = positions.iter().copied().filter(|p| *p < late).collect();
            self.inner.disclosed_at(&there).await
        }
    }

    async fn disclosure_positions(&self, digests: &[Hash32]) -> Result<Vec<Vec<Position>>, Fault> {
        self.inner.disclosure_positions(digests).await
    }

    async fn own_damage(&self) -> Result<Option<Damage>, Fault> {
        self.inner.own_damage().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{MemoryStore, contract};

    #[tokio::test]
    async fn each_failure_leaves_what_its_name_says() {
        use Failure as F;
        for (failure, lands) in [
            (F::None, true),
            (F::Lost, false),
            (F::LostAnswerUnknown, false),
            (F::LandedAnswerUnknown, true),
            (F::LandedByAnother, true),
        ] {
            let store = FaultyStore::new(MemoryStore::new(contract::ORIGIN));
            store.fail_writes([failure]);
            let batch = contract::Sample::default().batch(2, 2);
            let after = batch.head_after();
            let answer = store.append(batch).await;
            assert_eq!(answer.is_ok(), failure == F::None);
            let expected = if lands { after } else { Head::empty() };
            assert_eq!(store.head().await.expect("the head"), expected, "{failure:?}");
        }
    }
}
