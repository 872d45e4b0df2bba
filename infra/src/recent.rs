//! What was just recorded, kept in memory for whoever would read it back at once.
//!
//! Reading an entry from the store and parsing it again costs the projections more than
//! writing its rows. Nothing rests on what is kept: it is bounded, it is gone after a
//! restart, and whoever does not find an entry here reads the store. Only entries that are
//! durable come in, and what they disclose is as filed: later entries may have erased it.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use greffe_domain::seal::Position;

use crate::entry::Entry;

/// Entries kept at most, by the bytes of their leaves and disclosures; what those are read
/// into takes some times as much.
const MAX_BYTES: usize = 48 * 1024 * 1024;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everybody for whom entries are kept.
#[derive(Default)]
pub(crate) struct Readers(Mutex<Vec<Weak<Recent>>>);

impl Readers {
    /// Keeps entries from now on, until what is returned is dropped.
    pub fn add(&self) -> Arc<Recent> {
        let recent = Arc::new(Recent::default());
        lock(&self.0).push(Arc::downgrade(&recent));
        recent
    }

    /// Hands over a batch that is durable. `bytes`: of its leaves and disclosures.
    pub fn push(&self, entries: &[Entry], bytes: usize) {
        let mut kept = None;
        lock(&self.0).retain(|reader| {
            let reader = reader.upgrade();
            if let Some(recent) = &reader {
                let kept = kept
                    .get_or_insert_with(|| Arc::new(entries.iter().map(Entry::to_keep).collect()));
                recent.push(Arc::clone(kept), bytes);
            }
            reader.is_some()
        });
    }
}

/// The last batches recorded, without a gap.
#[derive(Default)]
pub(crate) struct Recent(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// None is empty.
    batches: VecDeque<(Arc<Vec<Entry>>, usize)>,
    bytes: usize,
}

impl Kept {
    /// The position after the last entry.
    fn until(&self) -> Option<Position> {
        let (last, _) = self.batches.back()?;
        Some(last.last()?.position.tree_size().next())
    }

    fn pop_first(&mut self) -> Option<Arc<Vec<Entry>>> {
        let (batch, bytes) = self.batches.pop_front()?;
        self.bytes -= bytes;
        Some(batch)
    }
}

impl Recent {
    fn push(&self, entries: Arc<Vec<Entry>>, bytes: usize) {
        let Some(first) = entries.first() else { return };
        // Freed once the lock is.
        let mut gone = Vec::new();
        let mut kept = lock(&self.0);
        // What another writer recorded, or a batch known only later to have landed, is
        // missing in between.
        if kept.until().is_some_and(|until| until != first.position) {
            gone.extend(std::mem::take(&mut *kept).batches.into_iter().map(|(batch, _)| batch));
        }
        kept.batches.push_back((entries, bytes));
        kept.bytes += bytes;
        while kept.bytes > MAX_BYTES {
            gone.extend(kept.pop_first());
        }
    }

    /// At most `limit` entries from a position on, and no others twice: those before it, and
    /// the batches taken whole, are let go.
    ///
    /// `None`: the entry at `from` is not here.
    pub fn take(&self, from: Position, limit: usize) -> Option<Run> {
        let mut gone = Vec::new();
        let mut kept = lock(&self.0);
        while kept.batches.front()?.0.last()?.position < from {
            gone.extend(kept.pop_first());
        }
        let first = kept.batches.front()?.0.first()?.position;
        let mut from = usize::try_from(from.0.checked_sub(first.0)?).ok()?;
        let mut run = Run::default();
        while run.len < limit
            && let Some((batch, _)) = kept.batches.front()
        {
            let until = batch.len().min(from + limit - run.len);
            run.len += until - from;
            run.parts.push((Arc::clone(batch), from..until));
            if until < batch.len() {
                break;
            }
            kept.pop_first();
            from = 0;
        }
        Some(run)
    }
}

/// Consecutive entries.
#[derive(Default)]
pub(crate) struct Run {
    parts: Vec<(Arc<Vec<Entry>>, Range<usize>)>,
    len: usize,
}

impl Run {
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.parts.iter().flat_map(|(batch, range)| &batch[range.clone()])
    }
}

#[cfg(test)]
mod tests {
    use greffe_domain::date::Timestamp;
    use greffe_domain::encoding::Hash32;
    use greffe_domain::event::Event;
    use greffe_domain::key::simulated_party_key;
    use greffe_domain::kind::StreamType;
    use greffe_domain::seal::StreamRef;

    use super::*;

    fn batch(positions: Range<u64>) -> Arc<Vec<Entry>> {
        let ledger_key = simulated_party_key("ledger").public().clone();
        let event = Arc::new(Event::LedgerKeyRotated { ledger_key });
        let entry = |position| Entry {
            event: Arc::clone(&event),
            stream: StreamRef {
                id: "ledger".to_owned(),
                kind: StreamType::Ledger,
                version: position,
            },
            filing: None,
            time: Timestamp::from_unix_seconds(0),
            position: Position(position),
            link: Hash32::ZERO,
            rulebook: "",
            valid_until: None,
        };
        Arc::new(positions.map(entry).collect())
    }

    fn taken(recent: &Recent, from: u64, limit: usize) -> Option<Vec<u64>> {
        let run = recent.take(Position(from), limit)?;
        Some(run.iter().map(|entry| entry.position.0).collect())
    }

    #[test]
    fn a_run_crosses_batches_and_ends_where_it_is_told() {
        let recent = Recent::default();
        for positions in [3..5, 5..6, 6..6, 6..9] {
            recent.push(batch(positions), 1);
        }
        assert_eq!(taken(&recent, 2, 9), None, "what came before is not here");
        assert_eq!(taken(&recent, 4, 3), Some(vec![4, 5, 6]));
        assert_eq!(taken(&recent, 4, 1), None, "taken whole, a batch is let go");
        assert_eq!(taken(&recent, 7, 9), Some(vec![7, 8]));
        assert_eq!(taken(&recent, 9, 9), None, "nothing is left");
    }

    #[test]
    fn what_follows_a_gap_stands_alone() {
        let recent = Recent::default();
        recent.push(batch(3..5), 1);
        recent.push(batch(6..8), 1);
        assert_eq!(taken(&recent, 3, 9), None);
        assert_eq!(taken(&recent, 6, 9), Some(vec![6, 7]));
    }

    #[test]
    fn the_oldest_go_when_there_is_too_much() {
        let recent = Recent::default();
        recent.push(batch(3..5), MAX_BYTES);
        recent.push(batch(5..6), 1);
        assert_eq!(taken(&recent, 4, 9), None);
        assert_eq!(taken(&recent, 5, 9), Some(vec![5]));
        recent.push(batch(6..7), MAX_BYTES + 1);
        assert_eq!(taken(&recent, 6, 9), None, "more than everything that may be kept");
    }

    #[test]
    fn nothing_is_kept_for_who_went_away() {
        let readers = Readers::default();
        let (stays, goes) = (readers.add(), readers.add());
        drop(goes);
        let recorded = batch(3..5);
        readers.push(&recorded, 1);
        assert_eq!(lock(&readers.0).len(), 1);
        assert_eq!(taken(&stays, 3, 9), Some(vec![3, 4]));
        assert_eq!(taken(&stays, 3, 9), None);
    }
}
