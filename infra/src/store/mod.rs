//! Where the ledger's bytes are kept: one contract, several engines.
//!
//! The sequencer hands over a sealed batch with the head it was sealed on; a store appends
//! it whole, durably, and only if that is still its head. Nothing here decides, hashes or
//! signs. Every store passes `contract.rs`.

#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub(crate) mod damage;
#[cfg(feature = "eventstore")]
pub mod eventstore;
mod fault;
#[cfg(any(test, feature = "contract"))]
pub mod faulty;
mod location;
mod memory;
pub mod postgres;
pub mod sqlite;

use std::collections::HashMap;

use async_trait::async_trait;
use greffe_domain::date::Timestamp;
use greffe_domain::encoding::Hash32;
use greffe_domain::kind::{EventType, StreamType};
use greffe_domain::sdjwt::Disclosure;
use greffe_domain::seal::{FilingRef, Position, SealedEntry, StreamRef, TreeSize};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::StrDeserializer;

pub use damage::{Damage, Row};
#[cfg(feature = "eventstore")]
pub use eventstore::KurrentStore;
pub use fault::{Fault, FaultKind};
pub use location::Location;
pub use memory::MemoryStore;
pub use postgres::PostgresStore;
pub use sqlite::{DirectoryLock, SqliteStore};

/// How far a ledger goes, and the link of its last entry (zeros when it has none).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub size: TreeSize,
    pub link: Hash32,
}

impl Head {
    pub fn empty() -> Self {
        Self { size: TreeSize(0), link: Hash32::ZERO }
    }
}

/// One sealed entry, with the members of its leaf that are searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryRow {
    pub position: Position,
    pub sealed: SealedEntry,
    /// `None` for the ledger's own events.
    pub filing: Option<FilingRef>,
    pub stream: StreamRef,
    pub event_type: EventType,
    /// When it was recorded, by the ledger's clock.
    pub time: Timestamp,
}

impl EntryRow {
    /// Whether it records an access, not denied, that discloses something about a group.
    ///
    /// Told from the bytes: in a JSON text the quotes of a value are escaped, so that these
    /// ones can only be those of a member's name.
    pub fn discloses_group(&self) -> bool {
        const COHORT: &[u8] = b"\"cohort\":{";
        self.stream.kind == StreamType::Access
            && self.event_type != EventType::AccessDenied
            && self.sealed.leaf.windows(COHORT.len()).any(|bytes| bytes == COHORT)
    }

    /// First position of the filing it comes from.
    pub fn first_position(&self) -> Option<Position> {
        let filing = self.filing?;
        Some(Position(self.position.0 - u64::from(filing.item)))
    }
}

/// A filing, verbatim, at the position of its first item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilingRow {
    pub first_position: Position,
    /// How many entries it became.
    pub items: u32,
    pub digest: Hash32,
    pub iss: String,
    pub jti: String,
    /// The issuer-signed JWT, without its disclosures.
    pub jwt: String,
}

/// Who filed under which name: unique for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FilingKey<'a> {
    pub iss: &'a str,
    pub jti: &'a str,
}

/// Where a filing went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordedFiling {
    pub digest: Hash32,
    pub first_position: Position,
    pub items: u32,
}

/// A personal value, kept apart so that it can be erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisclosureRow {
    pub position: Position,
    /// SHA-256 of `encoded`, as it stands in the entry.
    pub digest: Hash32,
    /// The base64url text of the disclosure.
    pub encoded: String,
}

/// What is appended together: all of it or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The head it was sealed on.
    pub expected: Head,
    /// From `expected.size` on, without gaps.
    pub entries: Vec<EntryRow>,
    /// In order of position.
    pub filings: Vec<FilingRow>,
    /// In order of position.
    pub disclosures: Vec<DisclosureRow>,
    /// Digests whose disclosures go, wherever they stand; those of this batch stay.
    pub erased: Vec<Hash32>,
}

impl Batch {
    /// The head once it is appended.
    pub fn head_after(&self) -> Head {
        match self.entries.last() {
            Some(last) => Head { size: TreeSize(last.position.0 + 1), link: last.sealed.link },
            None => self.expected,
        }
    }

    /// Panics if its positions are not the next ones: the sequencer sealed nonsense.
    fn assert_consecutive(&self) {
        for (entry, position) in self.entries.iter().zip(self.expected.size.0..) {
            assert_eq!(
                entry.position.0, position,
                "the entries of a batch take the positions after its expected head, in order"
            );
        }
    }
}

/// Why an append did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Another writer appended first. Nothing was written.
    #[error("the ledger's head moved: another writer appended up to size {}", actual.size)]
    Conflict { actual: Head },
    /// Nothing was written; the same batch may be appended again.
    #[error("nothing was appended")]
    NotApplied(#[source] Fault),
    /// It may or may not have been written: ask for the head before anything else.
    #[error("it is not known whether the entries were appended")]
    Unknown(#[source] Fault),
}

/// Whether this process may append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lead {
    /// It may, and nobody else.
    Held,
    /// Another one may, or nobody: this one only reads.
    Elsewhere,
}

/// Entries, and those of their disclosures that are kept: by position, then digest.
pub type Disclosed = (Vec<EntryRow>, Vec<DisclosureRow>);

/// A ledger's bytes. Reads see only what was durably appended.
#[async_trait]
pub trait Store: Send + Sync {
    /// Name of the ledger, fixed when the store was created.
    fn origin(&self) -> &str;

    /// Whether several processes can hold this store open to write it, one at a time. Then
    /// whoever leads calls [`Store::lead`] every second or so.
    fn is_shared(&self) -> bool {
        false
    }

    /// Takes the right to append if nobody has it, and keeps it. Once lost to another, what
    /// this process still sends is refused as a conflict.
    async fn lead(&self) -> Result<Lead, Fault> {
        Ok(Lead::Held)
    }

    /// Gives the right to append back, for whoever waits for it. What cannot be given back
    /// runs out by itself.
    async fn resign(&self) {}

    /// Where the ledger ends. After [`AppendError::Unknown`] this is the answer to whether
    /// the batch landed, and it holds: a batch that is not under this head never appears.
    async fn head(&self) -> Result<Head, Fault>;

    /// Appends if the head is still the expected one, in one durable transaction.
    async fn append(&self, batch: Batch) -> Result<(), AppendError>;

    /// At most `limit` entries from a position on, in order.
    async fn entries(&self, from: Position, limit: usize) -> Result<Vec<EntryRow>, Fault>;

    /// The same, of these stream types only. Without `access` among them, accesses are not
    /// read at all.
    async fn entries_of_types(
        &self,
        types: &[StreamType],
        from: Position,
        limit: usize,
    ) -> Result<Found, Fault>;

    /// At most `limit` accesses from a position on, in order, that disclose something about
    /// a group ([`EntryRow::discloses_group`]). Accesses to individuals are not read.
    async fn group_disclosures(&self, from: Position, limit: usize) -> Result<Found, Fault>;

    async fn entry(&self, position: Position) -> Result<Option<EntryRow>, Fault>;

    /// The entries at these positions, in that order; those that are not there are left out.
    async fn entries_at(&self, positions: &[Position]) -> Result<Vec<EntryRow>, Fault>;

    /// Every entry of a stream, by version.
    async fn stream(&self, stream: StreamType, id: &str) -> Result<Vec<EntryRow>, Fault>;

    /// How many entries were recorded at or before a time.
    async fn size_at(&self, time: Timestamp) -> Result<TreeSize, Fault>;

    /// The filing whose first item is at this position (see [`EntryRow::first_position`]).
    async fn filing(&self, first_position: Position) -> Result<Option<FilingRow>, Fault>;

    /// At most `limit` filings whose first item is at a position or after it, in order.
    async fn filings(&self, from: Position, limit: usize) -> Result<Vec<FilingRow>, Fault>;

    /// Where the filings of these names went; one answer a name, in order.
    async fn filings_by_key(
        &self,
        keys: &[FilingKey<'_>],
    ) -> Result<Vec<Option<RecordedFiling>>, Fault>;

    /// Disclosures not erased, of entries in `from..until`, by position, then digest.
    async fn disclosures(
        &self,
        from: Position,
        until: Position,
    ) -> Result<Vec<DisclosureRow>, Fault>;

    /// The same, of these positions only, which need not be in order.
    async fn disclosures_at(&self, positions: &[Position]) -> Result<Vec<DisclosureRow>, Fault>;

    /// [`Store::entries`] with their disclosures. What is not there was erased: where several
    /// servers hold the store, both are read from the same one.
    async fn disclosed(&self, from: Position, limit: usize) -> Result<Disclosed, Fault>;

    /// The same of [`Store::entries_at`], in whatever order. No position is asked for twice.
    async fn disclosed_at(&self, positions: &[Position]) -> Result<Disclosed, Fault>;

    /// Whether a disclosure of this digest is kept, and where; one answer a digest.
    async fn disclosure_positions(&self, digests: &[Hash32]) -> Result<Vec<Vec<Position>>, Fault>;

    /// The first thing wrong in what this kind of store keeps for itself, beside the rows
    /// above. Reads everything: for `fsck`.
    async fn own_damage(&self) -> Result<Option<Damage>, Fault>;
}

/// Entries among others, and how far the server that was asked went at that moment: that it
/// found none, or no more, tells nothing of positions from `size` on.
#[derive(Debug, Clone)]
pub struct Found {
    pub entries: Vec<EntryRow>,
    pub size: TreeSize,
}

/// Entries, then their disclosures, of a store that only one server holds: what was appended
/// together is seen together, since the disclosures are read later.
async fn disclosed<S: Store + ?Sized>(
    store: &S,
    from: Position,
    limit: usize,
) -> Result<Disclosed, Fault> {
    let entries = store.entries(from, limit).await?;
    let until = entries.last().map_or(from, |last| last.position.tree_size().next());
    let disclosures = store.disclosures(from, until).await?;
    Ok((entries, disclosures))
}

impl Found {
    /// Errors: `Unavailable` when none was found by a server that does not go so far.
    pub fn or_late(self, wanted: TreeSize) -> Result<Vec<EntryRow>, Fault> {
        if self.entries.is_empty() && self.size < wanted {
            return Err(late(self.size.next()));
        }
        Ok(self.entries)
    }
}

/// The server that was asked, a replica, lacks an entry that the ledger has.
pub fn late(position: Position) -> Fault {
    Fault::new(FaultKind::Unavailable, "read an entry", format!("the entry at position {position}"))
        .because("the server that was asked does not have it yet")
}

/// The same of the entries at these positions.
async fn disclosed_at<S: Store + ?Sized>(
    store: &S,
    positions: &[Position],
) -> Result<Disclosed, Fault> {
    Ok((store.entries_at(positions).await?, store.disclosures_at(positions).await?))
}

/// Each entry with its own disclosures, in the order of the entries, each there once.
pub fn each_with_its_own(
    (entries, disclosures): Disclosed,
) -> impl ExactSizeIterator<Item = (EntryRow, Vec<DisclosureRow>)> {
    let mut of: HashMap<Position, Vec<DisclosureRow>> = HashMap::new();
    for disclosure in disclosures {
        of.entry(disclosure.position).or_default().push(disclosure);
    }
    entries.into_iter().map(move |entry| {
        let own = of.remove(&entry.position).unwrap_or_default();
        (entry, own)
    })
}

/// Those that can be read: what is damaged discloses nothing.
pub fn readable(disclosures: &[DisclosureRow]) -> Vec<Disclosure> {
    disclosures.iter().filter_map(|d| Disclosure::parse(&d.encoded).ok()).collect()
}

/// Of a filing's digest without an item, or an item without a digest: which column is wrong,
/// and why. Only the leaf knows.
///
/// The members of a leaf are in order, and quotes are escaped in a value: these bytes are of
/// its own members only.
fn half_cited(leaf: &str, has_digest: bool) -> (&'static str, &'static str) {
    let cites_none = leaf.contains("\"filing\":null,\"nonce\":");
    let column = if has_digest == cites_none { "filing" } else { "item" };
    (column, if cites_none { "the leaf cites no filing" } else { "the leaf cites a filing" })
}

/// A stream type by its name in a column.
fn stream_type_of(name: &str) -> Option<StreamType> {
    let name: StrDeserializer<'_, serde::de::value::Error> = name.into_deserializer();
    StreamType::deserialize(name).ok()
}

/// A store behind a pointer is the same store.
#[async_trait]
impl<S: Store + ?Sized> Store for std::sync::Arc<S> {
    fn origin(&self) -> &str {
        (**self).origin()
    }

    fn is_shared(&self) -> bool {
        (**self).is_shared()
    }

    async fn lead(&self) -> Result<Lead, Fault> {
        (**self).lead().await
    }

    async fn resign(&self) {
        (**self).resign().await;
    }

    async fn head(&self) -> Result<Head, Fault> {
        (**self).head().await
    }

    async fn append(&self, batch: Batch) -> Result<(), AppendError> {
        (**self).append(batch).await
    }

    async fn entries(&self, from: Position, limit: usize) -> Result<Vec<EntryRow>, Fault> {
        (**self).entries(from, limit).await
    }

    async fn entries_of_types(
        &self,
        types: &[StreamType],
        from: Position,
        limit: usize,
    ) -> Result<Found, Fault> {
        (**self).entries_of_types(types, from, limit).await
    }

    async fn group_disclosures(&self, from: Position, limit: usize) -> Result<Found, Fault> {
        (**self).group_disclosures(from, limit).await
    }

    async fn entry(&self, position: Position) -> Result<Option<EntryRow>, Fault> {
        (**self).entry(position).await
    }

    async fn entries_at(&self, positions: &[Position]) -> Result<Vec<EntryRow>, Fault> {
        (**self).entries_at(positions).await
    }

    async fn stream(&self, stream: StreamType, id: &str) -> Result<Vec<EntryRow>, Fault> {
        (**self).stream(stream, id).await
    }

    async fn size_at(&self, time: Timestamp) -> Result<TreeSize, Fault> {
        (**self).size_at(time).await
    }

    async fn filing(&self, first_position: Position) -> Result<Option<FilingRow>, Fault> {
        (**self).filing(first_position).await
    }

    async fn filings(&self, from: Position, limit: usize) -> Result<Vec<FilingRow>, Fault> {
        (**self).filings(from, limit).await
    }

    async fn filings_by_key(
        &self,
        keys: &[FilingKey<'_>],
    ) -> Result<Vec<Option<RecordedFiling>>, Fault> {
        (**self).filings_by_key(keys).await
    }

    async fn disclosures(
        &self,
        from: Position,
        until: Position,
    ) -> Result<Vec<DisclosureRow>, Fault> {
        (**self).disclosures(from, until).await
    }

    async fn disclosures_at(&self, positions: &[Position]) -> Result<Vec<DisclosureRow>, Fault> {
        (**self).disclosures_at(positions).await
    }

    async fn disclosed(&self, from: Position, limit: usize) -> Result<Disclosed, Fault> {
        (**self).disclosed(from, limit).await
    }

    async fn disclosed_at(&self, positions: &[Position]) -> Result<Disclosed, Fault> {
        (**self).disclosed_at(positions).await
    }

    async fn disclosure_positions(&self, digests: &[Hash32]) -> Result<Vec<Vec<Position>>, Fault> {
        (**self).disclosure_positions(digests).await
    }

    async fn own_damage(&self) -> Result<Option<Damage>, Fault> {
        (**self).own_damage().await
    }
}
