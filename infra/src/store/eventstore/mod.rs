//! The store on EventStoreDB or KurrentDB: one stream, whose revision is the position.
//!
//! The stream holds what is for ever: the leaves, their seals, the filings. It forgets
//! nothing, so that personal values are not in it: they are in the **side**, an embedded
//! store in a directory, which also keeps a copy of every entry to be searched
//! (`docs/adr/0034-event-store.md`). Entries in order are read from the stream, scattered
//! ones from the side.
//!
//! `append`: the batch's values are kept in the side (`pending.rs`), its events are sent with
//! the expected revision (`server.rs`), the batch is copied to the side, and only then is it
//! acknowledged. Whatever breaks in between, [`KurrentStore::catch_up`] brings the copy to
//! where the stream is before anything else. What must hold: what was acknowledged is in
//! both; what the stream has and no side knows of is never served as if nothing were missing.
//!
//! An append whose answer was lost is sent again until the server says what became of it: its
//! events have the same ids, so that they land once, and another's are in their place if
//! theirs did not.

mod pending;
mod server;
mod wire;

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use greffe_domain::date::Timestamp;
use greffe_domain::encoding::Hash32;
use greffe_domain::kind::StreamType;
use greffe_domain::seal::{Position, TreeSize};
use serde::Deserialize;
use tokio::sync::{Mutex, MutexGuard};

use self::pending::{Pending, Record};
use self::server::{NotAppended, Server};
use self::wire::{Message, Read};
use super::{
    AppendError, Batch, Damage, Disclosed, DisclosureRow, EntryRow, Fault, FaultKind, FilingKey,
    FilingRow, Found, Head, Lead, RecordedFiling, SqliteStore, Store, disclosed,
};
use crate::migrate::erased_in;

/// Directory of the side, in the data directory.
pub const SIDE: &str = "side";
/// The stream, unless the URL names another.
const STREAM: &str = "greffe";
/// Most bytes of one append. A server takes 1 MiB unless it is told otherwise.
const APPEND_BYTES: usize = 960 * 1024;
/// Entries copied together when a side is built again.
const PAGE: usize = 512;

/// Where the stream is, and the side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// What the client is given.
    url: String,
    stream: String,
    side: Option<PathBuf>,
    /// Build a side again from the stream, without the values that only a lost one had.
    rebuild: bool,
}

impl Address {
    /// Reads `esdb://…`, `kurrentdb://…`, or either with `+discover`. Ours among its
    /// parameters are `stream=NAME`, `side=sqlite:DIRECTORY` and `rebuild=yes`; the others
    /// are the client's.
    pub fn parse(url: &str) -> Option<Self> {
        let (scheme, _) = url.split_once("://")?;
        let (engine, discover) = match scheme.split_once('+') {
            Some((engine, "discover")) => (engine, true),
            Some(_) => return None,
            None => (scheme, false),
        };
        if !matches!(engine, "esdb" | "kurrentdb" | "kurrent" | "kdb") {
            return None;
        }
        let (server, query) = url.split_once('?').unwrap_or((url, ""));
        let mut address =
            Self { url: server.to_owned(), stream: STREAM.to_owned(), side: None, rebuild: false };
        debug_assert_eq!(discover, server.contains("+discover://"));
        let mut kept = Vec::new();
        for parameter in query.split('&').filter(|p| !p.is_empty()) {
            match parameter.split_once('=') {
                Some(("stream", name)) if !name.is_empty() => name.clone_into(&mut address.stream),
                Some(("side", side)) => {
                    let path = side.strip_prefix("sqlite:").unwrap_or(side);
                    address.side = Some(PathBuf::from(path.strip_prefix("//").unwrap_or(path)));
                }
                Some(("rebuild", answer)) => address.rebuild = answer == "yes",
                _ => kept.push(parameter),
            }
        }
        if !kept.is_empty() {
            address.url = format!("{server}?{}", kept.join("&"));
        }
        Some(address)
    }

    /// The side in a data directory, if the URL names none.
    pub fn with_side_in(mut self, data: &Path) -> Self {
        self.side.get_or_insert_with(|| data.join(SIDE));
        self
    }

    fn side(&self) -> Result<&Path, Fault> {
        self.side.as_deref().ok_or_else(|| {
            Fault::new(FaultKind::Missing, "open the ledger", "directory for its personal values")
                .because("add `side=sqlite:DIRECTORY` to the URL, or --data DIR")
        })
    }
}

/// A ledger in a stream of an event store, and its side.
pub struct KurrentStore {
    server: Server,
    side: SqliteStore,
    /// `None` when opened for reading only.
    writer: Option<Mutex<Writer>>,
    pending: Option<Pending>,
    rebuild: bool,
}

struct Writer {
    /// Where stream and copy end, both; `None` until it is known (again).
    head: Option<Head>,
    /// A batch that may have landed, or in part, whole.
    unsettled: Option<(TreeSize, Head, Vec<Message>)>,
}

impl KurrentStore {
    /// Opens the ledger of this origin to write it, making its side where there is none.
    ///
    /// Errors: `InUse`, `OtherOrigin`, `NewerSchema`, `Unavailable`, and `Corrupt` when the
    /// stream holds what the side does not know of.
    pub async fn create(address: &Address, origin: &str) -> Result<Self, Fault> {
        let server = Server::new(&address.url, &address.stream)?;
        let directory = address.side()?;
        let side = SqliteStore::create(directory, origin)?;
        Self::open_writer(server, side, directory, address.rebuild).await
    }

    /// Opens the ledger that is there to write it. Errors: `Missing` and those of
    /// [`KurrentStore::create`].
    pub async fn open(address: &Address) -> Result<Self, Fault> {
        let server = Server::new(&address.url, &address.stream)?;
        let directory = address.side()?;
        let side = SqliteStore::open(directory)?;
        Self::open_writer(server, side, directory, address.rebuild).await
    }

    /// Opens it for reading, beside the process that writes it if there is one: as far as
    /// its side goes. Every append is refused.
    pub async fn open_read_only(address: &Address) -> Result<Self, Fault> {
        let server = Server::new(&address.url, &address.stream)?;
        let side = SqliteStore::open_read_only(address.side()?)?;
        let store = Self { server, side, writer: None, pending: None, rebuild: false };
        store.check_origin().await?;
        Ok(store)
    }

    async fn open_writer(
        server: Server,
        side: SqliteStore,
        directory: &Path,
        rebuild: bool,
    ) -> Result<Self, Fault> {
        let pending = Some(Pending::open(directory)?);
        let writer = Some(Mutex::new(Writer { head: None, unsettled: None }));
        let store = Self { server, side, writer, pending, rebuild };
        store.check_origin().await?;
        store.head().await?;
        Ok(store)
    }

    /// Two ledgers must not meet in one stream.
    async fn check_origin(&self) -> Result<(), Fault> {
        #[derive(Deserialize)]
        struct Leaf {
            origin: String,
        }
        let first = self.server.events(0, 1).await?;
        let Some(first) = first.first() else { return Ok(()) };
        let leaf: Leaf = serde_json::from_slice(&first.row.sealed.leaf).map_err(|e| {
            self.server.damaged("open the ledger", format!("its first event is no leaf: {e}"))
        })?;
        if leaf.origin != self.side.origin() {
            return Err(Fault::new(FaultKind::OtherOrigin, "open the ledger", self.server.shown())
                .because(format!("it holds `{}`", leaf.origin)));
        }
        Ok(())
    }

    fn writing(&self) -> Result<(&Mutex<Writer>, &Pending), Fault> {
        self.writer.as_ref().zip(self.pending.as_ref()).ok_or_else(|| {
            Fault::new(FaultKind::ReadOnly, "append to the ledger", self.server.shown())
        })
    }

    /// Where the ledger ends, once nothing of ours is on its way and the copy is whole.
    async fn settled_head(
        &self,
        writer: &mut MutexGuard<'_, Writer>,
        pending: &Pending,
    ) -> Result<Head, Fault> {
        // Forgotten only once it is known: whoever asks may go away meanwhile.
        if let Some((size, after, messages)) = &writer.unsettled {
            match self.send(*size, *after, messages).await {
                Ok(()) | Err(NotAppended::WrongRevision) => writer.unsettled = None,
                Err(NotAppended::Refused(fault) | NotAppended::Unknown(fault)) => {
                    return Err(fault);
                }
            }
        }
        let head = self.catch_up(pending).await?;
        writer.head = Some(head);
        Ok(head)
    }

    /// Sends a batch, in parts if it must be, each after those that the stream has already.
    async fn send(
        &self,
        size: TreeSize,
        after: Head,
        messages: &[Message],
    ) -> Result<(), NotAppended> {
        let mut sent = 0;
        let mut lost = None;
        while sent < messages.len() {
            let part = part_of(&messages[sent..]);
            let events = messages[sent..sent + part].iter().map(Message::event).collect();
            let at = TreeSize(size.0 + sent as u64);
            match self.server.append(at, events).await {
                Ok(()) => {}
                Err(NotAppended::WrongRevision) => {
                    // Ours, if what stands at its end is ours: it was sent before. A link is
                    // of all that goes before it.
                    let last = size.0 + (sent + part) as u64 - 1;
                    let link = self.server.link_at(last).await.map_err(NotAppended::Unknown)?;
                    if link.map(|l| wire::event_id(&l)) != Some(messages[sent + part - 1].id) {
                        return Err(NotAppended::WrongRevision);
                    }
                }
                // What went before stays: the rest must follow.
                Err(NotAppended::Refused(fault)) if sent > 0 => {
                    return Err(NotAppended::Unknown(fault));
                }
                Err(NotAppended::Unknown(fault)) => lost = Some(fault),
                Err(refused) => return Err(refused),
            }
            if let Some(fault) = lost {
                return Err(NotAppended::Unknown(fault));
            }
            sent += part;
        }
        debug_assert_eq!(size.0 + messages.len() as u64, after.size.0);
        Ok(())
    }

    /// Brings the copy to where the stream ends, and says where that is. A stream that is
    /// shorter than its copy lost something, which its ledger finds out.
    ///
    /// Errors: `Corrupt` when they differ, or when the stream holds entries whose personal
    /// values were never here.
    async fn catch_up(&self, pending: &Pending) -> Result<Head, Fault> {
        let mut head = self.server.head().await?;
        loop {
            let copy = self.side.head().await?;
            if head.size < copy.size {
                return Ok(head);
            }
            if let Some(last) = copy.size.0.checked_sub(1)
                && self.server.link_at(last).await? != Some(copy.link)
            {
                return Err(self.server.damaged(
                    "open the ledger",
                    format!("it differs from its side at position {last}"),
                ));
            }
            if head.size == copy.size {
                return Ok(head);
            }
            match self.recorded_next(pending, copy).await? {
                Some(record) if record.after.size <= head.size => self.copy(copy, record).await?,
                // A part of it: whoever began it did not come to its end.
                Some(record) => {
                    let messages = record.messages.as_deref().unwrap_or_default();
                    match self.send(record.first, record.after, messages).await {
                        Ok(()) | Err(NotAppended::WrongRevision) => {}
                        Err(NotAppended::Refused(f) | NotAppended::Unknown(f)) => return Err(f),
                    }
                    head = self.server.head().await?;
                }
                None if self.rebuild => self.copy_without_values(copy).await?,
                None => {
                    return Err(Fault::new(
                        FaultKind::Corrupt,
                        "open the ledger",
                        format!("the side of {}", self.server.shown()),
                    )
                    .because(format!(
                        "it knows nothing of the entries from position {} to {}: restore it from \
                         a copy, or build it again without their personal values with \
                         `rebuild=yes` in the URL",
                        copy.size,
                        head.size.0 - 1
                    )));
                }
            }
        }
    }

    /// The batch under way that the stream has after what is copied, whole or in part.
    async fn recorded_next(&self, pending: &Pending, copy: Head) -> Result<Option<Record>, Fault> {
        let first = self.server.link_at(copy.size.0).await?;
        for record in pending.after(copy.size).await? {
            let last = record.after.size.0 - 1;
            if self.server.link_at(last).await? == Some(record.after.link) {
                return Ok(Some(record));
            }
            let begun = record.messages.as_ref().and_then(|m| m.first()).map(|m| m.id);
            if begun.is_some() && begun == first.map(|l| wire::event_id(&l)) {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Copies a batch that the stream has.
    async fn copy(&self, copy: Head, record: Record) -> Result<(), Fault> {
        let count = usize::try_from(record.after.size.0 - copy.size.0).unwrap_or(usize::MAX);
        let events = self.server.events(copy.size.0, count).await?;
        self.copy_events(copy, events, record.disclosures, record.erased).await
    }

    /// Copies a page of entries of which nothing else is known.
    async fn copy_without_values(&self, copy: Head) -> Result<(), Fault> {
        let mut events = self.server.events(copy.size.0, PAGE).await?;
        let missing = wire::missing_items(&events);
        let next = copy.size.0 + events.len() as u64;
        events.extend(self.server.events(next, missing).await?);
        if wire::missing_items(&events) > 0 {
            return Err(self.server.damaged(
                "build its side again",
                "its last filing is not there to its end".to_owned(),
            ));
        }
        let rows: Vec<EntryRow> = events.iter().map(|e| e.row.clone()).collect();
        let erased = erased_in(&rows)?;
        self.copy_events(copy, events, Vec::new(), erased).await
    }

    async fn copy_events(
        &self,
        expected: Head,
        events: Vec<Read>,
        disclosures: Vec<DisclosureRow>,
        erased: Vec<Hash32>,
    ) -> Result<(), Fault> {
        let filings = wire::filings(&events).map_err(|e| self.server.damaged("copy it", e))?;
        let entries = events.into_iter().map(|e| e.row).collect();
        let batch = Batch { expected, entries, filings, disclosures, erased };
        self.side.append(batch).await.map_err(|error| match error {
            AppendError::NotApplied(fault) | AppendError::Unknown(fault) => fault,
            AppendError::Conflict { .. } => Fault::new(
                FaultKind::InUse,
                "copy the stream",
                self.side.path().display().to_string(),
            ),
        })
    }
}

/// How many of these messages go into one append: at least one.
fn part_of(messages: &[Message]) -> usize {
    let mut bytes = 0;
    let fits = messages.iter().take_while(|m| {
        bytes += m.size();
        bytes <= APPEND_BYTES
    });
    fits.count().max(1)
}

#[async_trait]
impl Store for KurrentStore {
    fn origin(&self) -> &str {
        self.side.origin()
    }

    async fn lead(&self) -> Result<Lead, Fault> {
        // The side's directory is locked: nobody else writes with it.
        Ok(if self.writer.is_some() { Lead::Held } else { Lead::Elsewhere })
    }

    async fn head(&self) -> Result<Head, Fault> {
        let Ok((writer, pending)) = self.writing() else { return self.side.head().await };
        let mut writer = writer.lock().await;
        self.settled_head(&mut writer, pending).await
    }

    async fn append(&self, batch: Batch) -> Result<(), AppendError> {
        batch.assert_consecutive();
        let (writer, pending) = self.writing().map_err(AppendError::NotApplied)?;
        let mut writer = writer.lock().await;
        let head = match writer.head {
            Some(head) if head == batch.expected && writer.unsettled.is_none() => head,
            // Whatever we believed: a conflict names the head that there is.
            _ => self.settled_head(&mut writer, pending).await.map_err(AppendError::NotApplied)?,
        };
        if head != batch.expected {
            return Err(AppendError::Conflict { actual: head });
        }
        if batch.entries.is_empty() {
            return Ok(());
        }
        let (size, after) = (batch.expected.size, batch.head_after());
        let messages = wire::messages(&batch);
        let in_parts = (part_of(&messages) < messages.len()).then(|| messages.clone());
        let record = Record::of(&batch, in_parts);
        pending.keep(record, size).await.map_err(AppendError::NotApplied)?;
        // Until there is an answer nobody knows; if we are stopped meanwhile, it stays so.
        writer.head = None;
        writer.unsettled = Some((size, after, messages));
        let sent = {
            let messages = writer.unsettled.as_ref().map_or(&[][..], |(_, _, m)| m);
            self.send(size, after, messages).await
        };
        match sent {
            Ok(()) => writer.unsettled = None,
            Err(NotAppended::Unknown(fault)) => return Err(AppendError::Unknown(fault)),
            Err(NotAppended::Refused(fault)) => {
                writer.unsettled = None;
                // What cannot be dropped now is dropped with the next batch that is copied.
                let _ = pending.drop(after.link).await;
                return Err(AppendError::NotApplied(fault));
            }
            Err(NotAppended::WrongRevision) => {
                writer.unsettled = None;
                let _ = pending.drop(after.link).await;
                let actual = self.server.head().await.map_err(AppendError::NotApplied)?;
                return Err(AppendError::Conflict { actual });
            }
        }
        // It is recorded. What the copy lacks, it gets before anything else is answered.
        self.side.append(batch).await.map_err(|error| match error {
            AppendError::NotApplied(fault) | AppendError::Unknown(fault) => {
                AppendError::Unknown(fault)
            }
            AppendError::Conflict { .. } => AppendError::Unknown(Fault::new(
                FaultKind::InUse,
                "copy the stream",
                self.side.path().display().to_string(),
            )),
        })?;
        writer.head = Some(after);
        Ok(())
    }

    async fn entries(&self, from: Position, limit: usize) -> Result<Vec<EntryRow>, Fault> {
        let events = self.server.events(from.0, limit).await?;
        Ok(events.into_iter().map(|e| e.row).collect())
    }

    async fn entries_of_types(
        &self,
        types: &[StreamType],
        from: Position,
        limit: usize,
    ) -> Result<Found, Fault> {
        self.side.entries_of_types(types, from, limit).await
    }

    async fn group_disclosures(&self, from: Position, limit: usize) -> Result<Found, Fault> {
        self.side.group_disclosures(from, limit).await
    }

    async fn entry(&self, position: Position) -> Result<Option<EntryRow>, Fault> {
        Ok(self.entries(position, 1).await?.pop())
    }

    /// From the side: each would be a call of its own.
    async fn entries_at(&self, positions: &[Position]) -> Result<Vec<EntryRow>, Fault> {
        self.side.entries_at(positions).await
    }

    async fn stream(&self, stream: StreamType, id: &str) -> Result<Vec<EntryRow>, Fault> {
        self.side.stream(stream, id).await
    }

    async fn size_at(&self, time: Timestamp) -> Result<TreeSize, Fault> {
        self.side.size_at(time).await
    }

    async fn filing(&self, first_position: Position) -> Result<Option<FilingRow>, Fault> {
        self.side.filing(first_position).await
    }

    async fn filings(&self, from: Position, limit: usize) -> Result<Vec<FilingRow>, Fault> {
        self.side.filings(from, limit).await
    }

    async fn filings_by_key(
        &self,
        keys: &[FilingKey<'_>],
    ) -> Result<Vec<Option<RecordedFiling>>, Fault> {
        self.side.filings_by_key(keys).await
    }

    async fn disclosures(
        &self,
        from: Position,
        until: Position,
    ) -> Result<Vec<DisclosureRow>, Fault> {
        self.side.disclosures(from, until).await
    }

    async fn disclosures_at(&self, positions: &[Position]) -> Result<Vec<DisclosureRow>, Fault> {
        self.side.disclosures_at(positions).await
    }

    async fn disclosed(&self, from: Position, limit: usize) -> Result<Disclosed, Fault> {
        disclosed(self, from, limit).await
    }

    async fn disclosed_at(&self, positions: &[Position]) -> Result<Disclosed, Fault> {
        // One by its position is the stream's, a list the copy's.
        let entries = match positions {
            [one] => self.entry(*one).await?.into_iter().collect(),
            _ => self.entries_at(positions).await?,
        };
        Ok((entries, self.disclosures_at(positions).await?))
    }

    async fn disclosure_positions(&self, digests: &[Hash32]) -> Result<Vec<Vec<Position>>, Fault> {
        self.side.disclosure_positions(digests).await
    }

    /// The copy, which answers every search, is what the stream holds; and the side's own.
    async fn own_damage(&self) -> Result<Option<Damage>, Fault> {
        let mut from = Position(0);
        loop {
            let copied = self.side.entries(from, PAGE).await?;
            let Some(last) = copied.last() else { break };
            let next = last.position.tree_size().next();
            for (copy, row) in copied.iter().zip(self.entries(from, PAGE).await?) {
                if let Some(column) = first_difference(copy, &row) {
                    let reason = "the side's copy is not what the stream holds";
                    return Ok(Some(Damage::at("entries", row.position, column, reason)));
                }
            }
            from = next;
        }
        self.side.own_damage().await
    }
}

/// The column in which a copy is not its original.
fn first_difference(copy: &EntryRow, row: &EntryRow) -> Option<&'static str> {
    let columns = [
        ("position", copy.position != row.position),
        ("stream_type", copy.stream.kind != row.stream.kind),
        ("stream_id", copy.stream.id != row.stream.id),
        ("stream_version", copy.stream.version != row.stream.version),
        ("event_type", copy.event_type != row.event_type),
        ("recorded", copy.time != row.time),
        ("filing", copy.filing.map(|f| f.digest) != row.filing.map(|f| f.digest)),
        ("item", copy.filing.map(|f| f.item) != row.filing.map(|f| f.item)),
        ("kid", copy.sealed.kid != row.sealed.kid),
        ("link", copy.sealed.link != row.sealed.link),
        ("signature", copy.sealed.signature != row.sealed.signature),
        ("leaf", copy.sealed.leaf != row.sealed.leaf),
    ];
    columns.into_iter().find(|(_, differs)| *differs).map(|(column, _)| column)
}
