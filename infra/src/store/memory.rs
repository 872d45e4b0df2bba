//! A store in memory: for tests, dry runs and measurements without a disk.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use greffe_domain::date::Timestamp;
use greffe_domain::encoding::Hash32;
use greffe_domain::kind::StreamType;
use greffe_domain::seal::{Position, TreeSize};

use super::{
    AppendError, Batch, Damage, Disclosed, DisclosureRow, EntryRow, Fault, FilingKey, FilingRow,
    Found, Head, RecordedFiling, Store, disclosed, disclosed_at,
};

#[derive(Debug)]
pub struct MemoryStore {
    origin: String,
    rows: Mutex<Rows>,
}

#[derive(Debug, Default)]
struct Rows {
    entries: Vec<EntryRow>,
    streams: HashMap<(StreamType, String), Vec<usize>>,
    filings: BTreeMap<Position, FilingRow>,
    by_key: HashMap<(String, String), Position>,
    disclosures: BTreeMap<(Position, Hash32), String>,
    by_digest: HashMap<Hash32, Vec<Position>>,
}

impl MemoryStore {
    pub fn new(origin: impl Into<String>) -> Self {
        Self { origin: origin.into(), rows: Mutex::default() }
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    fn head(&self) -> Head {
        match self.entries.last() {
            Some(last) => {
                Head { size: TreeSize(self.entries.len() as u64), link: last.sealed.link }
            }
            None => Head::empty(),
        }
    }

    fn after(&self, from: Position) -> impl Iterator<Item = &EntryRow> {
        let from = usize::try_from(from.0).unwrap_or(usize::MAX).min(self.entries.len());
        self.entries[from..].iter()
    }

    fn found(&self, from: Position, limit: usize, so: impl Fn(&EntryRow) -> bool) -> Found {
        let entries = self.after(from).filter(|row| so(row)).take(limit).cloned().collect();
        Found { entries, size: self.head().size }
    }

    fn append(&mut self, batch: Batch) {
        for digest in batch.erased {
            for position in self.by_digest.remove(&digest).unwrap_or_default() {
                self.disclosures.remove(&(position, digest));
            }
        }
        for entry in batch.entries {
            let stream = (entry.stream.kind, entry.stream.id.clone());
            self.streams.entry(stream).or_default().push(self.entries.len());
            self.entries.push(entry);
        }
        for filing in batch.filings {
            self.by_key.insert((filing.iss.clone(), filing.jti.clone()), filing.first_position);
            self.filings.insert(filing.first_position, filing);
        }
        for DisclosureRow { position, digest, encoded } in batch.disclosures {
            self.by_digest.entry(digest).or_default().push(position);
            self.disclosures.insert((position, digest), encoded);
        }
    }
}

fn disclosure((&(position, digest), encoded): (&(Position, Hash32), &String)) -> DisclosureRow {
    DisclosureRow { position, digest, encoded: encoded.clone() }
}

#[async_trait]
impl Store for MemoryStore {
    fn origin(&self) -> &str {
        &self.origin
    }

    async fn head(&self) -> Result<Head, Fault> {
        Ok(self.rows().head())
    }

    async fn append(&self, batch: Batch) -> Result<(), AppendError> {
        batch.assert_consecutive();
        let mut rows = self.rows();
        let actual = rows.head();
        if actual != batch.expected {
            return Err(AppendError::Conflict { actual });
        }
        rows.append(batch);
        Ok(())
    }

    async fn entries(&self, from: Position, limit: usize) -> Result<Vec<EntryRow>, Fault> {
        Ok(self.rows().after(from).take(limit).cloned().collect())
    }

    async fn entries_of_types(
        &self,
        types: &[StreamType],
        from: Position,
        limit: usize,
    ) -> Result<Found, Fault> {
        let rows = self.rows();
        Ok(rows.found(from, limit, |e| types.contains(&e.stream.kind)))
    }

    async fn group_disclosures(&self, from: Position, limit: usize) -> Result<Found, Fault> {
        Ok(self.rows().found(from, limit, EntryRow::discloses_group))
    }

    async fn entry(&self, position: Position) -> Result<Option<EntryRow>, Fault> {
        Ok(self.rows().after(position).next().cloned())
    }

    async fn entries_at(&self, positions: &[Position]) -> Result<Vec<EntryRow>, Fault> {
        let rows = self.rows();
        Ok(positions.iter().filter_map(|p| rows.after(*p).next().cloned()).collect())
    }

    async fn stream(&self, stream: StreamType, id: &str) -> Result<Vec<EntryRow>, Fault> {
        let rows = self.rows();
        let indices = rows.streams.get(&(stream, id.to_owned()));
        Ok(indices.into_iter().flatten().map(|&i| rows.entries[i].clone()).collect())
    }

    async fn size_at(&self, time: Timestamp) -> Result<TreeSize, Fault> {
        let size = self.rows().entries.partition_point(|e| e.time <= time);
        Ok(TreeSize(size as u64))
    }

    async fn filing(&self, first_position: Position) -> Result<Option<FilingRow>, Fault> {
        Ok(self.rows().filings.get(&first_position).cloned())
    }

    async fn filings(&self, from: Position, limit: usize) -> Result<Vec<FilingRow>, Fault> {
        let rows = self.rows();
        Ok(rows.filings.range(from..).take(limit).map(|(_, filing)| filing.clone()).collect())
    }

    async fn filings_by_key(
        &self,
        keys: &[FilingKey<'_>],
    ) -> Result<Vec<Option<RecordedFiling>>, Fault> {
        let rows = self.rows();
        let find = |key: &FilingKey<'_>| {
            let position = rows.by_key.get(&(key.iss.to_owned(), key.jti.to_owned()))?;
            let FilingRow { digest, first_position, items, .. } = rows.filings[position];
            Some(RecordedFiling { digest, first_position, items })
        };
        Ok(keys.iter().map(find).collect())
    }

    async fn disclosures(
        &self,
        from: Position,
        until: Position,
    ) -> Result<Vec<DisclosureRow>, Fault> {
        let (from, until) = ((from, Hash32::ZERO), (until, Hash32::ZERO));
        Ok(self.rows().disclosures.range(from..until.max(from)).map(disclosure).collect())
    }

    async fn disclosures_at(&self, positions: &[Position]) -> Result<Vec<DisclosureRow>, Fault> {
        let rows = self.rows();
        let mut positions = positions.to_vec();
        positions.sort_unstable();
        positions.dedup();
        let at = |p: Position| {
            rows.disclosures.range((p, Hash32::ZERO)..(Position(p.0 + 1), Hash32::ZERO))
        };
        Ok(positions.into_iter().flat_map(at).map(disclosure).collect())
    }

    async fn disclosed(&self, from: Position, limit: usize) -> Result<Disclosed, Fault> {
        disclosed(self, from, limit).await
    }

    async fn disclosed_at(&self, positions: &[Position]) -> Result<Disclosed, Fault> {
        disclosed_at(self, positions).await
    }

    async fn disclosure_positions(&self, digests: &[Hash32]) -> Result<Vec<Vec<Position>>, Fault> {
        let rows = self.rows();
        Ok(digests.iter().map(|d| rows.by_digest.get(d).cloned().unwrap_or_default()).collect())
    }

    async fn own_damage(&self) -> Result<Option<Damage>, Fault> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::contract;

    #[tokio::test]
    async fn the_store_in_memory_keeps_the_contract() {
        let store = Arc::new(MemoryStore::new(contract::ORIGIN));
        contract::run(|| async { Arc::clone(&store) }).await;
    }
}
