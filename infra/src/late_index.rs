//! An index of random keys whose cost hardly grows with the ledger.
//!
//! Every filing, every disclosure and every person an access is about brings a random 8-byte
//! key. Put into a B-tree at once, each touches a page of its own, so that a batch of 1,024
//! rewrites 16 MB once the ledger is large. Here the newest keys wait in memory, in key
//! order, and a cursor sweeps round the key space: each step writes a run of neighbouring
//! keys, which share pages. Nothing is lost with the memory: the keys that may be missing are
//! those of rows after `complete_below`, and they are computed from these rows again at
//! start-up.
//!
//! Pure bookkeeping: the SQL is that of `store/sqlite.rs` and `projection/subjects.rs`.

use std::collections::BTreeSet;

/// Least part of the capacity written by one step of the sweep.
const STEP: usize = 16;

/// The first eight bytes of a hash, and which row holds the whole.
pub(crate) type Key = (i64, i64);

/// What one append has to write, and what holds once that is durable.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    added: Vec<Key>,
    /// Goes into the index table, in this order.
    pub(crate) swept: Vec<Key>,
    /// A sweep ended: every key of a row below is in the table.
    pub(crate) complete_below: Option<i64>,
    size_before: i64,
}

#[derive(Debug)]
pub(crate) struct LateIndex {
    /// Keys in memory before the sweep starts; bounds memory and start-up.
    capacity: usize,
    waiting: BTreeSet<Key>,
    /// Keys from here on are still to be swept in this round.
    cursor: Key,
    /// Ledger size when this round started: its end covers every row below.
    round_started_at: i64,
}

impl LateIndex {
    /// `waiting`: keys of the rows from `complete_below` up to the ledger's size; some may be
    /// in the table.
    pub(crate) fn new(capacity: usize, waiting: impl IntoIterator<Item = Key>, size: i64) -> Self {
        Self {
            capacity,
            waiting: waiting.into_iter().collect(),
            cursor: (i64::MIN, i64::MIN),
            round_started_at: size,
        }
    }

    /// Positions whose key in memory has this hash.
    pub(crate) fn waiting(&self, hash: i64) -> impl Iterator<Item = i64> + '_ {
        self.waiting.range((hash, i64::MIN)..=(hash, i64::MAX)).map(|&(_, position)| position)
    }

    /// Everything in memory, in key order.
    #[cfg(test)]
    pub(crate) fn all(&self) -> impl Iterator<Item = &Key> {
        self.waiting.iter()
    }

    /// Plans an append that adds these keys to a ledger of this size.
    pub(crate) fn plan(&self, added: Vec<Key>, size_before: i64) -> Plan {
        if self.waiting.len() + added.len() < self.capacity {
            return Plan { added, size_before, ..Plan::default() };
        }
        // What a large batch left behind goes with the next one.
        let excess = self.waiting.len().saturating_sub(self.capacity);
        let step = (self.capacity / STEP).max(added.len() * 2).max(excess);
        let swept: Vec<Key> = self.waiting.range(self.cursor..).take(step).copied().collect();
        let complete_below = (swept.len() < step).then_some(self.round_started_at);
        Plan { added, swept, complete_below, size_before }
    }

    /// The append that was planned is durable.
    pub(crate) fn apply(&mut self, plan: Plan) {
        for key in &plan.swept {
            self.waiting.remove(key);
        }
        if plan.complete_below.is_some() {
            self.cursor = (i64::MIN, i64::MIN);
            self.round_started_at = plan.size_before;
        } else if let Some(&(hash, position)) = plan.swept.last() {
            self.cursor = (hash, position.saturating_add(1));
        }
        self.waiting.extend(plan.added);
    }

    /// A key whose row is gone, and that is in the table no more.
    pub(crate) fn forget(&mut self, key: &Key) {
        self.waiting.remove(key);
    }
}

/// The key of a uniformly distributed hash.
pub(crate) fn key(hash: &[u8], position: u64) -> Key {
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    (i64::from_be_bytes(first), position as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPACITY: usize = 32_768;

    /// However many keys one batch brings, the next has no more waiting than there may be.
    #[test]
    fn what_a_large_batch_left_goes_with_the_next() {
        let mut index = LateIndex::new(64, [], 0);
        for (batch, (added, waiting)) in [(1_000, 1_000), (1, 65), (3, 67)].into_iter().enumerate()
        {
            let size = batch as i64;
            let added: Vec<Key> = (0..added)
                .map(|n| key(blake3::hash(&[n as u8, (n >> 8) as u8]).as_bytes(), batch as u64))
                .collect();
            let plan = index.plan(added, size);
            index.apply(plan);
            assert!(index.waiting.len() <= waiting, "{} wait", index.waiting.len());
        }
    }

    /// Whatever is swept, every key is in memory or in the table, and a restart from the
    /// rows after `complete_below` finds the rest.
    #[test]
    fn a_key_is_always_in_memory_in_the_table_or_in_a_row_read_at_start() {
        let mut index = LateIndex::new(CAPACITY, [], 0);
        let (mut table, mut complete_below) = (BTreeSet::new(), 0);
        let mut rows: Vec<Key> = Vec::new();
        let mut widest = 0;
        for batch in 0..400_i64 {
            let size = rows.len() as i64;
            let added: Vec<Key> = (size..size + 1_000)
                .map(|n| key(blake3::hash(&n.to_le_bytes()).as_bytes(), n as u64))
                .collect();
            let plan = index.plan(added.clone(), size);
            table.extend(plan.swept.iter().copied());
            complete_below = plan.complete_below.unwrap_or(complete_below);
            rows.extend(added);
            index.apply(plan);
            // More than the capacity only after a restart, until the sweep has caught up.
            assert!(index.waiting.len() <= 4 * CAPACITY, "{} wait", index.waiting.len());
            widest = widest.max(rows.len() as i64 - complete_below);
            if batch % 57 == 0 {
                let reread = rows[complete_below as usize..].iter().copied();
                let restarted = LateIndex::new(CAPACITY, reread, rows.len() as i64);
                assert!(
                    rows.iter().all(|k| table.contains(k) || restarted.waiting.contains(k)),
                    "a key was lost at restart after batch {batch}"
                );
                index = restarted;
            }
            assert!(
                rows.iter().step_by(97).all(|&(hash, position)| table.contains(&(hash, position))
                    || index.waiting(hash).any(|p| p == position))
            );
        }
        assert!(complete_below > 0 && widest < 4 * CAPACITY as i64, "start-up reads {widest} rows");
    }
}
