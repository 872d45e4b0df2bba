//! What was disclosed to one employer group, in order, and what each disclosure let be
//! derived.
//!
//! Only shapes are kept (units, periods, categories, what was withheld) and the numbers of
//! absentees declared; never a value of a cell. The answer about a disclosure depends on
//! those at lower positions alone, so it is worked out once; the running form that gives
//! the next one is a memo, shared by every copy of the register and checked against the
//! chain of what it was built from.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use super::shape::{Count, Disclosure, Limits, misses};
use super::state::{Derived, State, published_part_of};
use crate::encoding::Hash32;

/// The disclosures to one employer group, oldest first.
#[derive(Debug, Clone, Default)]
pub struct History {
    disclosures: Vec<Arc<Disclosure>>,
    /// Digest of the disclosures up to and including each one.
    chain: Vec<Hash32>,
    memo: Arc<Mutex<Memo>>,
}

#[derive(Debug, Default)]
struct Memo {
    limits: Option<Limits>,
    /// How many disclosures `state` holds.
    len: usize,
    state: State,
    chain: Hash32,
    /// The form after the disclosure last asked about, which may be the next one recorded.
    ahead: Option<(Hash32, State, Arc<Derived>)>,
    answers: HashMap<Hash32, Arc<Derived>>,
}

impl History {
    pub fn disclosures(&self) -> &[Arc<Disclosure>] {
        &self.disclosures
    }

    pub fn push(&mut self, disclosure: Arc<Disclosure>) {
        let link = chained(self.chain.last(), &disclosure);
        self.chain.push(link);
        self.disclosures.push(disclosure);
    }

    /// Forgets the numbers of that digest.
    pub fn erase(&mut self, digest: &str, by: u64) {
        let names = |d: &Disclosure| d.absentees.iter().any(|(_, count)| count.names(digest));
        let Some(from) = self.disclosures.iter().position(|d| names(d)) else { return };
        let rest = self.disclosures.split_off(from);
        self.chain.truncate(from);
        for mut disclosure in rest {
            if names(&disclosure) {
                let absentees = &mut Arc::make_mut(&mut disclosure).absentees;
                for (_, count) in absentees.iter_mut().filter(|(_, c)| c.names(digest)) {
                    *count = Count::Erased { by };
                }
            }
            self.push(disclosure);
        }
        self.memo = Arc::default();
    }

    /// How many disclosures stand before a position.
    pub fn before(&self, position: u64) -> usize {
        self.disclosures.partition_point(|d| d.position < position)
    }

    /// Whether a number of absentees, among the first `len` disclosures, is missing here
    /// and was at hand when the entry at `position` was judged.
    pub fn misses(&self, len: usize, position: u64) -> bool {
        self.disclosures[..len].iter().any(|d| misses(d, position))
    }

    /// What a disclosure lets be derived after the first `len`, and did not before it.
    pub fn derived(&self, len: usize, next: &Disclosure, limits: Limits) -> Arc<Derived> {
        let before = len.checked_sub(1).map(|last| self.chain[last]);
        let asked = chained(before.as_ref(), next);
        let mut memo = self.memo.lock().unwrap_or_else(PoisonError::into_inner);
        if memo.limits != Some(limits) {
            *memo = Memo { limits: Some(limits), ..Memo::default() };
        }
        if let Some(answer) = memo.answers.get(&asked) {
            return Arc::clone(answer);
        }
        if let Some((_, _, answer)) = memo.ahead.as_ref().filter(|(link, ..)| *link == asked) {
            return Arc::clone(answer);
        }
        let follows =
            memo.len <= len && (memo.len == 0 || self.chain.get(memo.len - 1) == Some(&memo.chain));
        if !follows {
            // Answers depend on what came before them alone, and are kept.
            let answers = std::mem::take(&mut memo.answers);
            *memo = Memo { limits: Some(limits), answers, ..Memo::default() };
        }
        while memo.len < len {
            let link = self.chain[memo.len];
            match memo.ahead.take() {
                Some((ahead, state, answer)) if ahead == link => {
                    memo.state = state;
                    memo.answers.insert(link, answer);
                }
                _ => {
                    let disclosure = Arc::clone(&self.disclosures[memo.len]);
                    let answer = self.cited(memo.state.add(&disclosure, limits), memo.len);
                    memo.answers.insert(link, Arc::new(answer));
                }
            }
            memo.chain = link;
            memo.len += 1;
        }
        let mut state = memo.state.clone();
        let answer = Arc::new(self.cited(state.add(next, limits), len));
        memo.ahead = Some((asked, state, Arc::clone(&answer)));
        answer
    }
}

impl History {
    /// Adds to each set the positions of the disclosures, among the first `len`, that
    /// published part of it.
    fn cited(&self, mut derived: Derived, len: usize) -> Derived {
        for set in derived.sets.iter_mut().chain(&mut derived.suppressed) {
            let parts = self.disclosures[..len].iter().filter(|d| published_part_of(set, d));
            let positions: Vec<u64> = parts.map(|d| d.position).collect();
            set.positions.extend(positions);
            set.positions.sort_unstable();
            set.positions.dedup();
        }
        derived
    }
}

/// Feeds what is hashed to BLAKE3: two histories of one chain are one history.
struct Link(blake3::Hasher);

impl Hasher for Link {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

fn chained(before: Option<&Hash32>, disclosure: &Disclosure) -> Hash32 {
    let mut link = Link(blake3::Hasher::new());
    link.write(&before.copied().unwrap_or(Hash32::ZERO).0);
    disclosure.hash(&mut link);
    Hash32(*link.0.finalize().as_bytes())
}
