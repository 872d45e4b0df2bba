//! The seal: leaf, link, signature. The bytes that are hashed and signed.
//!
//! `PendingEntry → write_leaf → link → sign → SealedEntry`. Checking goes the other way and
//! never re-serialises: it hashes the bytes it was given. Format: `docs/format.md` §2.

mod leaf;
mod link;
mod signature;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use leaf::{FilingRef, Leaf, LeafError, MAX_LEAF_BYTES, PendingEntry, StreamRef};
pub use link::{LINK_CONTEXT, link};
pub use signature::{
    Head, HiddenEntry, SealError, SealedEntry, SealedLine, check_entry, check_link, entry_text,
    head_text,
};

/// Place of an entry in the ledger, from 0.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct Position(pub u64);

/// How many entries there are.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct TreeSize(pub u64);

impl TreeSize {
    /// Position of the next entry.
    pub fn next(self) -> Position {
        Position(self.0)
    }
}

impl Position {
    /// Size of a tree whose last entry this is.
    pub fn tree_size(self) -> TreeSize {
        TreeSize(self.0 + 1)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for TreeSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
