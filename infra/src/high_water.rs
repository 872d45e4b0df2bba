//! The high-water mark: how far the ledger was when somebody was last told, kept in a small
//! file that is not in the store.
//!
//! A store can lose what it acknowledged without knowing: a replica that was promoted
//! before the last entries reached it, a copy restored from last night. The mark is raised
//! after an append is durable and before anyone is told, so a store that is behind it has
//! lost entries for which receipts were given; one that holds another link there is another
//! ledger's past. Either way nothing may be signed: a second entry at a position somebody
//! holds a receipt for is what this ledger exists to make impossible.
//!
//! A store elsewhere has its mark synced to the disk; beside an embedded store, which is
//! synced itself and shares the disk's fate, it is only written
//! (`docs/adr/0028-high-water-mark.md`).

use std::fmt;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use greffe_domain::date::Timestamp;
use greffe_domain::encoding::Hash32;
use greffe_domain::kind::StreamType;
use greffe_domain::seal::{Position, TreeSize};

use crate::store::{
    AppendError, Batch, Damage, Disclosed, DisclosureRow, EntryRow, Fault, FaultKind, FilingKey,
    FilingRow, Found, Head, Lead, RecordedFiling, Store,
};

/// Its usual name, in the data directory.
pub const HIGH_WATER_FILE: &str = "high-water";
/// The same, of the last export: what others may hold.
pub const EXPORTED_FILE: &str = "high-water-exported";

/// A mark is written to two places in turn, each a sector: one torn in half leaves the other.
const SLOT: usize = 512;
const TITLE: &str = "greffe high-water 1";

/// Whether a mark waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// Before anybody is told.
    Always,
    /// When the system sees fit: a power cut may leave an older mark.
    Never,
}

/// Entries that were acknowledged and are not in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// What the store holds.
    pub stored: Head,
    /// What was acknowledged.
    pub mark: Head,
    pub kind: LossKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossKind {
    /// The store ends before the mark.
    Missing,
    /// The store has another entry where the mark is.
    Replaced,
}

impl Loss {
    /// First and last position known to be wrong.
    pub fn positions(&self) -> (Position, Position) {
        let last = Position(self.mark.size.0.saturating_sub(1));
        match self.kind {
            LossKind::Missing => (self.stored.size.next(), last),
            LossKind::Replaced => (last, last),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = self.positions();
        match self.kind {
            LossKind::Missing => write!(
                f,
                "the store has {} entries and {} were acknowledged: positions {first} to {last} \
                 are missing",
                self.stored.size, self.mark.size
            ),
            LossKind::Replaced => write!(
                f,
                "the entry at position {last} is not the one that was acknowledged (its link was {})",
                self.mark.link
            ),
        }
    }
}

/// The mark of one ledger.
#[derive(Debug)]
pub struct HighWater {
    path: PathBuf,
    origin: String,
    sync: Sync,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    at: Head,
    next_slot: usize,
}

impl HighWater {
    /// Opens the mark, at nothing if there is none yet.
    ///
    /// Errors: `OtherOrigin`, `Corrupt` when neither place can be read, and those of files.
    pub fn open(path: &Path, origin: &str, sync: Sync) -> Result<Self, Fault> {
        let shown = path.display().to_string();
        let failed = |e| Fault::io(e, "open the high-water mark", &shown);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        let mut bytes = [0; 2 * SLOT];
        let read = read_up_to(&file, &mut bytes).map_err(failed)?;
        let slots = [slot(&bytes[..SLOT]), slot(&bytes[SLOT..])];
        let written = bytes[..read].iter().any(|b| *b != 0);
        let mark = match (&slots[0], &slots[1]) {
            (Some(a), Some(b)) if a.head.size >= b.head.size => Some((a, 0)),
            (Some(a), None) => Some((a, 0)),
            (_, Some(b)) => Some((b, 1)),
            (None, None) => None,
        };
        let (at, next_slot) = match mark {
            Some((mark, slot)) if mark.origin == origin => (mark.head, 1 - slot),
            Some((mark, _)) => {
                return Err(Fault::new(FaultKind::OtherOrigin, "open the high-water mark", shown)
                    .because(format!("it is of `{}`", mark.origin)));
            }
            // The first one of all was torn: nothing had been acknowledged before it.
            None if written && read > SLOT => {
                return Err(Fault::new(FaultKind::Corrupt, "read the high-water mark", shown));
            }
            None => (Head::empty(), 0),
        };
        let state = Mutex::new(State { file, at, next_slot });
        Ok(Self { path: path.to_owned(), origin: origin.to_owned(), sync, state })
    }

    pub fn at(&self) -> Head {
        self.state().at
    }

    /// What a mark says that is only to be read: one saved from a lost directory.
    ///
    /// Errors: `Missing`, `OtherOrigin`, `Corrupt` when neither place can be read.
    pub fn read(path: &Path, origin: &str) -> Result<Head, Fault> {
        let attempted = "read the high-water mark";
        let shown = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|e| Fault::io(e, attempted, &shown))?;
        let further = bytes.chunks(SLOT).filter_map(slot).max_by_key(|mark| mark.head.size);
        match further {
            Some(mark) if mark.origin == origin => Ok(mark.head),
            Some(mark) => Err(Fault::new(FaultKind::OtherOrigin, attempted, shown)
                .because(format!("it is of `{}`", mark.origin))),
            None => Err(Fault::new(FaultKind::Corrupt, attempted, shown)),
        }
    }

    /// Remembers a head, if it is further than the mark.
    pub fn raise(&self, head: Head) -> Result<(), Fault> {
        let mut state = self.state();
        if head.size <= state.at.size {
            return Ok(());
        }
        let text = text_of(&self.origin, head);
        let mut bytes = [b'\n'; SLOT];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        let offset = (state.next_slot * SLOT) as u64;
        state
            .file
            .write_all_at(&bytes, offset)
            .and_then(|()| match self.sync {
                Sync::Always => state.file.sync_data(),
                Sync::Never => Ok(()),
            })
            .map_err(|e| {
                Fault::io(e, "raise the high-water mark", self.path.display().to_string())
            })?;
        state.at = head;
        state.next_slot = 1 - state.next_slot;
        Ok(())
    }

    /// Whether a store holds all that was acknowledged.
    pub async fn loss(&self, store: &dyn Store) -> Result<Option<Loss>, Fault> {
        let stored = store.head().await?;
        loss(store, stored, self.at()).await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What of `mark` is not in a store that ends at `stored`.
pub async fn loss(store: &dyn Store, stored: Head, mark: Head) -> Result<Option<Loss>, Fault> {
    let Some(last) = mark.size.0.checked_sub(1) else { return Ok(None) };
    if stored.size < mark.size {
        return Ok(Some(Loss { stored, mark, kind: LossKind::Missing }));
    }
    match store.entry(Position(last)).await? {
        Some(row) if row.sealed.link == mark.link => Ok(None),
        Some(_) => Ok(Some(Loss { stored, mark, kind: LossKind::Replaced })),
        None => Err(Fault::new(FaultKind::Corrupt, "read an entry", format!("position {last}"))),
    }
}

struct Mark {
    origin: String,
    head: Head,
}

fn text_of(origin: &str, head: Head) -> String {
    let text = format!("{TITLE}\n{origin}\n{}\n{}\n", head.size, head.link);
    let check = Hash32(*blake3::hash(text.as_bytes()).as_bytes());
    format!("{text}{check}\n")
}

fn slot(bytes: &[u8]) -> Option<Mark> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.lines();
    let (title, origin) = (lines.next()?, lines.next()?);
    let head =
        Head { size: TreeSize(lines.next()?.parse().ok()?), link: Hash32::parse(lines.next()?)? };
    let whole = text_of(origin, head);
    (title == TITLE && text.starts_with(&whole)).then(|| Mark { origin: origin.to_owned(), head })
}

fn read_up_to(file: &File, bytes: &mut [u8]) -> std::io::Result<usize> {
    let mut read = 0;
    loop {
        match file.read_at(&mut bytes[read..], read as u64)? {
            0 => return Ok(read),
            n => read += n,
        }
    }
}

/// A store whose appends are marked before anybody is told.
///
/// Heads that others appended are not marked here: whether they follow from what was
/// acknowledged is for whoever follows them to see first.
pub struct Marked {
    inner: Arc<dyn Store>,
    mark: Arc<HighWater>,
    /// The head after an append that may be durable and is not marked.
    owed: Mutex<Option<Head>>,
}

impl Marked {
    pub fn new(inner: Arc<dyn Store>, mark: Arc<HighWater>) -> Self {
        Self { inner, mark, owed: Mutex::new(None) }
    }

    fn owe(&self, head: Option<Head>) {
        *self.owed.lock().unwrap_or_else(PoisonError::into_inner) = head;
    }
}

#[async_trait]
impl Store for Marked {
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

    /// Never tells that an append landed before it is marked: after one whose mark failed,
    /// this is what the writer asks.
    async fn head(&self) -> Result<Head, Fault> {
        let head = self.inner.head().await?;
        let owed = *self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        if owed == Some(head) {
            self.mark.raise(head)?;
        }
        Ok(head)
    }

    async fn append(&self, batch: Batch) -> Result<(), AppendError> {
        let after = batch.head_after();
        self.owe(Some(after));
        match self.inner.append(batch).await {
            Ok(()) => self.mark.raise(after).map_err(AppendError::Unknown)?,
            Err(AppendError::Unknown(fault)) => return Err(AppendError::Unknown(fault)),
            Err(known) => {
                self.owe(None);
                return Err(known);
            }
        }
        self.owe(None);
        Ok(())
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
        self.inner.entries_of_types(types, from, limit).await
    }

    async fn group_disclosures(&self, from: Position, limit: usize) -> Result<Found, Fault> {
        self.inner.group_disclosures(from, limit).await
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
        self.inner.disclosed(from, limit).await
    }

    async fn disclosed_at(&self, positions: &[Position]) -> Result<Disclosed, Fault> {
        self.inner.disclosed_at(positions).await
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
    use crate::store::MemoryStore;
    use crate::store::contract::{ORIGIN, Sample};

    fn opened(directory: &Path) -> HighWater {
        let path = directory.join(HIGH_WATER_FILE);
        HighWater::open(&path, ORIGIN, Sync::Always).expect("a mark")
    }

    fn head(size: u64) -> Head {
        Head { size: TreeSize(size), link: Hash32([size as u8; 32]) }
    }

    #[test]
    fn a_mark_only_rises_and_outlives_one_torn_write() {
        let directory = tempfile::tempdir().expect("a directory");
        let mark = opened(directory.path());
        assert_eq!(mark.at(), Head::empty());
        for size in [3, 5, 9] {
            mark.raise(head(size)).expect("raised");
            assert_eq!(opened(directory.path()).at(), head(size));
        }
        mark.raise(head(4)).expect("nothing to do");
        assert_eq!(opened(directory.path()).at(), head(9));
        // The next one, torn anywhere, leaves the one before it; both torn are not nothing.
        let path = directory.path().join(HIGH_WATER_FILE);
        let good = std::fs::read(&path).expect("readable");
        let torn = |from: usize, len: usize| {
            let mut bytes = good.clone();
            bytes[from + len..from + SLOT].fill(0);
            bytes
        };
        for len in [0, 1, 30, 100] {
            std::fs::write(&path, torn(0, len)).expect("written");
            assert_eq!(opened(directory.path()).at(), head(5));
            let mut both = torn(0, len);
            both[SLOT + 40..].fill(0);
            std::fs::write(&path, both).expect("written");
            let fault = HighWater::open(&path, ORIGIN, Sync::Never).expect_err("refused");
            assert_eq!(fault.kind(), FaultKind::Corrupt);
        }
        std::fs::write(&path, &good).expect("written");
        let other = HighWater::open(&path, "other.example", Sync::Never).expect_err("refused");
        assert_eq!(other.kind(), FaultKind::OtherOrigin);
    }

    #[tokio::test]
    async fn a_store_behind_its_mark_or_with_another_past_is_found_and_the_range_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let mark = Arc::new(opened(directory.path()));
        let store = Arc::new(MemoryStore::new(ORIGIN));
        let marked = Marked::new(Arc::clone(&store) as _, Arc::clone(&mark));
        let mut sample = Sample::default();
        for _ in 0..2 {
            let batch = sample.batch(4, 1);
            sample.add(&batch);
            marked.append(batch).await.expect("appended");
        }
        assert_eq!(mark.at(), sample.head());
        assert_eq!(mark.loss(&*store).await.expect("readable"), None);

        // What was restored ends after the first batch.
        let restored = MemoryStore::new(ORIGIN);
        restored.append(Sample::default().batch(4, 1)).await.expect("appended");
        let loss = mark.loss(&restored).await.expect("readable").expect("entries are missing");
        assert_eq!(loss.kind, LossKind::Missing);
        assert_eq!(loss.positions(), (Position(5), Position(8)));
        // And has gone on since.
        let mut other = Sample::default();
        other.add(&other.batch(4, 1));
        let mut batch = other.batch(4, 1);
        batch.entries[3].sealed.link = Hash32([1; 32]);
        restored.append(batch).await.expect("appended");
        let loss = mark.loss(&restored).await.expect("readable").expect("another past");
        assert_eq!((loss.kind, loss.positions()), (LossKind::Replaced, (Position(8), Position(8))));
    }
}
