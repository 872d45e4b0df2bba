//! What readers of a ledger see: only what is durable.
//!
//! Written by whoever follows the store (`standby.rs`) or appends to it (`commit.rs`), read
//! through `Ledger`.

use std::sync::RwLock;

use greffe_domain::date::Timestamp;
use greffe_domain::key::SecretKey;
use greffe_domain::register::Register;
use tokio::sync::watch;

use crate::recent::Readers;
use crate::store::Head;

pub struct Published {
    pub register: RwLock<Register>,
    pub head: watch::Sender<PublishedHead>,
    /// `None`: this process has none, and signs nothing.
    pub key: RwLock<Option<SecretKey>>,
    /// For whom entries just recorded are kept in memory.
    pub(crate) recent: Readers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedHead {
    pub head: Head,
    /// Time of the last entry.
    pub time: Timestamp,
    /// This process does not write: another one does, or entries are missing.
    pub read_only: bool,
}

impl Published {
    /// The head and the key that signs it change together: whoever signs a head holds the
    /// key's lock while reading both.
    pub(crate) fn set_head(&self, head: Head, time: Timestamp, next_key: Option<&SecretKey>) {
        let mut key = self.key.write().expect("no writer panics with this lock");
        if let Some(next) = next_key {
            *key = Some(next.clone());
        }
        self.head.send_modify(|h| {
            h.head = head;
            h.time = time;
        });
    }

    /// Another writer writes this ledger.
    pub(crate) fn give_up(&self) {
        self.head.send_modify(|h| h.read_only = true);
    }
}
