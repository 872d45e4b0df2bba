//! Sets that grow with the ledger, kept small: a few bytes a member.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

/// Things met so far, 16 bytes each: a hash under a key drawn at each run, so that nobody
/// can prepare two that are taken for one.
pub struct Seen {
    key: [u8; 32],
    hashes: HashSet<u128>,
}

impl Seen {
    pub fn new() -> Self {
        // The standard library seeds its hashers from the operating system's randomness.
        let mut key = [0; 32];
        for word in key.chunks_exact_mut(8) {
            word.copy_from_slice(&RandomState::new().hash_one(0u8).to_le_bytes());
        }
        Self { key, hashes: HashSet::new() }
    }

    fn hash(&self, parts: &[&str]) -> u128 {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for part in parts {
            // Each part after its length, so that no two lists read the same.
            hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let bytes = *hasher.finalize().as_bytes();
        u128::from_le_bytes(std::array::from_fn(|i| bytes[i]))
    }

    /// Whether it is met for the first time.
    pub fn insert(&mut self, parts: &[&str]) -> bool {
        let hash = self.hash(parts);
        self.hashes.insert(hash)
    }

    pub fn contains(&self, parts: &[&str]) -> bool {
        self.hashes.contains(&self.hash(parts))
    }

    pub fn len(&self) -> usize {
        self.hashes.len()
    }
}

/// A set of positions, one bit each.
#[derive(Default)]
pub struct Positions(Vec<u64>);

impl Positions {
    fn place(position: u64) -> Option<(usize, u64)> {
        Some((usize::try_from(position / 64).ok()?, 1 << (position % 64)))
    }

    pub fn insert(&mut self, position: u64) {
        let Some((word, bit)) = Self::place(position) else { return };
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= bit;
    }

    pub fn contains(&self, position: u64) -> bool {
        Self::place(position)
            .is_some_and(|(word, bit)| self.0.get(word).is_some_and(|w| w & bit != 0))
    }
}
