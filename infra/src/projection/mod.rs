//! Projections: what the ledger's lists, searches and counts are answered from.
//!
//! `Ledger → read → rows + how far they go, in one transaction → queries`. What was just
//! recorded here is still in memory and is not read back. A file of its own beside the
//! ledger, computed from the entries and from nothing else, so it is disposable: of another
//! schema, of another ledger, or damaged, it is dropped and filled again. Behind the ledger
//! by its lag, and ahead only of a replica that is late. Who may read what is not decided
//! here (`visible_to` is what the caller says). Beside the verdict recorded stands the one as
//! known now, kept up to date by judging again the accesses that an entry touches
//! (`again.rs`).

mod again;
mod counts;
mod query;
mod read;
mod row;
mod subjects;
#[cfg(test)]
mod tests;
mod words;
mod write;
mod writing;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use greffe_domain::encoding::Hash32;
use greffe_domain::register::Register;
use greffe_domain::rules::CURRENT;
use greffe_domain::seal::{Position, TreeSize};
use rusqlite::Connection;
use tokio::sync::{Notify, watch};

use crate::ledger::{Ledger, Standing};
use crate::recent::Recent;
use crate::store::sqlite::{fault, fold_log_now};
use crate::store::{Disclosed, DisclosureRow, EntryRow, Fault, FaultKind, Store};
use again::Source;
use read::{ReadEntry, read_entries, take_entries};
use row::WriteError;
use subjects::{Keys, WAITING};
use words::Words;
use write::{Progress, read_progress, write_batch};

pub use query::{
    AccessCount, AccessFilter, AccessRow, AuditFilter, AuditRow, Changed, FindingCount,
    FindingFilter, FindingRow, MAX_COUNTED, MAX_PAGE, Moment, Now, Order, Own, Page, PartyCount,
    RowFinding, Stats,
};

/// The projections' file in a ledger's data directory.
pub const PROJECTIONS_FILE: &str = "projections.db";

const MIGRATION: &str = include_str!("../../migrations/projection/0001_projection.sql");
/// Number of the schema, the file's `user_version`. Any other one is dropped.
const SCHEMA: i64 = 5;

/// Entries of one transaction.
const BATCH_ENTRIES: usize = 8_192;
/// Bytes of leaves and disclosures from which on no more are read for one transaction: an
/// access about a cohort has a hundred times those of another.
const BATCH_BYTES: usize = 24 * 1024 * 1024;
/// Entries read from the store at once.
const READ_ENTRIES: usize = 256;
/// Idle reading connections kept open.
const READERS: usize = 4;
const BUSY: Duration = Duration::from_secs(5);
/// Longest wait for more entries before a few are applied, when nobody asks for them. A
/// transaction changes some hundred pages however few they are, and each time the log of
/// these is moved, the ledger's commits wait for the same disk.
const GATHER: Duration = Duration::from_millis(250);
/// Wait after a failure, before trying again.
const RETRY: Duration = Duration::from_secs(1);

/// The writing connection, and what it knows by heart.
struct Writer {
    connection: Connection,
    words: Words,
    progress: Option<Progress>,
}

pub struct Projections {
    path: PathBuf,
    /// `None` after a failure: what is in memory may not be what is in the file.
    writer: Mutex<Option<Writer>>,
    /// By which a person's accesses are found.
    keys: RwLock<Keys>,
    /// How many of them wait in memory.
    waiting: usize,
    idle: Mutex<Vec<Connection>>,
    /// Held for writing while the file is replaced.
    file: RwLock<()>,
    /// Something in the file could not be read: the next pass drops it.
    damaged: AtomicBool,
    /// What was erased may still be in the log.
    fold_owed: AtomicBool,
    /// One pass over the ledger at a time.
    pass: tokio::sync::Mutex<()>,
    applied: watch::Sender<u64>,
    /// Told when somebody waits for entries that are not applied.
    awaited: Notify,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Projections {
    /// Opens them, creating the file if need be. One of another schema, or that is not a
    /// database, is dropped.
    ///
    /// Errors: `ReadOnly`, `Full`, `Unavailable`.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        Self::open_with(path, WAITING)
    }

    /// The same with another number of keys that wait in memory.
    fn open_with(path: &Path, waiting: usize) -> Result<Self, Fault> {
        let (writer, keys, folded) = match open_writer(path, waiting) {
            Err(fault) if fault.kind() == FaultKind::Corrupt => {
                remove(path)?;
                open_writer(path, waiting)?
            }
            opened => opened?,
        };
        let size = writer.progress.as_ref().map_or(0, |p| p.size);
        Ok(Self {
            path: path.to_owned(),
            writer: Mutex::new(Some(writer)),
            keys: RwLock::new(keys),
            waiting,
            idle: Mutex::default(),
            file: RwLock::new(()),
            damaged: AtomicBool::new(false),
            fold_owed: AtomicBool::new(!folded),
            pass: tokio::sync::Mutex::default(),
            applied: watch::Sender::new(size),
            awaited: Notify::new(),
        })
    }

    /// Follows the ledger until the task is aborted: at once for whoever waits
    /// ([`Projections::wait_for`]), soon otherwise. A failure is tried again; meanwhile the
    /// lag grows, which is what to watch.
    pub async fn run(self: Arc<Self>, ledger: Ledger) {
        self.run_until(ledger, std::future::pending()).await;
    }

    /// The same until `stop`. When this returns nothing of it uses the ledger or the file any
    /// more; an aborted task may still be writing.
    pub async fn run_until(self: Arc<Self>, ledger: Ledger, stop: impl Future<Output = ()>) {
        let mut head = ledger.watch_head();
        let recent = ledger.keep_recent();
        let mut stop = std::pin::pin!(stop);
        loop {
            head.borrow_and_update();
            let failed = self.follow(&ledger, &recent).await.is_err();
            let owed = self.fold_owed.load(Ordering::SeqCst);
            let again = async {
                if failed {
                    tokio::time::sleep(RETRY).await;
                    return true;
                }
                tokio::select! {
                    changed = head.changed() => if changed.is_err() { return false },
                    () = tokio::time::sleep(RETRY), if owed => return true,
                }
                // Elapsed or told, entries are applied now.
                let _ = tokio::time::timeout(GATHER, self.awaited.notified()).await;
                true
            };
            tokio::select! {
                () = &mut stop => return,
                again = again => if !again { return },
            }
        }
    }

    /// Applies what the ledger holds now. Returns the size reached.
    pub async fn catch_up(self: &Arc<Self>, ledger: &Ledger) -> Result<TreeSize, Fault> {
        let _pass = self.pass.lock().await;
        self.pass(ledger, None, BATCH_ENTRIES).await
    }

    /// The same, taking from memory what is still there.
    async fn follow(self: &Arc<Self>, ledger: &Ledger, recent: &Recent) -> Result<TreeSize, Fault> {
        let _pass = self.pass.lock().await;
        self.pass(ledger, Some(recent), BATCH_ENTRIES).await
    }

    /// Drops everything and applies the ledger from its first entry.
    pub async fn rebuild(self: &Arc<Self>, ledger: &Ledger) -> Result<TreeSize, Fault> {
        let _pass = self.pass.lock().await;
        self.reset()?;
        self.pass(ledger, None, BATCH_ENTRIES).await
    }

    /// Entries applied.
    pub fn size(&self) -> TreeSize {
        TreeSize(*self.applied.borrow())
    }

    /// Entries of the ledger that are not applied yet; of a replica that is late, those that
    /// it lacks.
    pub fn lag(&self, ledger: &Ledger) -> u64 {
        ledger.size().0.abs_diff(self.size().0)
    }

    /// Waits until that many entries are applied: a filer then reads what it filed. Somebody
    /// must be running `run` or `catch_up`.
    pub async fn wait_for(&self, size: TreeSize) {
        let mut applied = self.applied.subscribe();
        if *applied.borrow() < size.0 {
            self.awaited.notify_one();
        }
        applied
            .wait_for(|applied| *applied >= size.0)
            .await
            .expect("the sender is in `self`, which is borrowed");
    }

    async fn pass(
        self: &Arc<Self>,
        ledger: &Ledger,
        recent: Option<&Recent>,
        batch: usize,
    ) -> Result<TreeSize, Fault> {
        self.recover()?;
        self.fold_if_owed().await;
        self.check_same_ledger(ledger).await?;
        let start = self.size().0;
        let target = ledger.size().0;
        let read = |from: u64| async move {
            let limit = batch.min(usize::try_from(target - from).unwrap_or(usize::MAX));
            if limit == 0 {
                return Ok((Vec::new(), Origin::Store));
            }
            read_batch(ledger, recent, Position(from), limit).await
        };
        // Of several servers, one may bring an access and another what erased it since.
        let mixed = ledger.store().is_shared() && ledger.standing() == Standing::Follows;
        let mut read_from = if mixed { u64::MAX } else { start };
        let (mut entries, mut origin) = read(start).await?;
        while let Some(last) = entries.last() {
            if origin == Origin::Memory {
                // What this pass erases, entries in memory still disclose.
                read_from = u64::MAX;
            }
            // The next batch is read while this one is written.
            let next = last.position + 1;
            let (written, read) = tokio::join!(self.write(ledger, entries, read_from), read(next));
            written?;
            (entries, origin) = read?;
        }
        let size = self.size();
        if size.0 < target {
            let on = format!("the entry at position {}", size.0);
            return Err(Fault::new(FaultKind::Unavailable, "read entries", on)
                .because("the store does not have it yet, though the ledger does"));
        }
        Ok(size)
    }

    /// Empties the log of what was erased. A reader may hold it: nobody waits for it, this is
    /// tried again.
    fn fold(&self, connection: &Connection) {
        if self.fold_owed.load(Ordering::SeqCst) {
            self.fold_owed.store(!fold_log_now(connection), Ordering::SeqCst);
        }
    }

    async fn fold_if_owed(self: &Arc<Self>) {
        if self.fold_owed.load(Ordering::SeqCst) {
            let this = Arc::clone(self);
            let fold = move || {
                if let Some(writer) = &*lock(&this.writer) {
                    this.fold(&writer.connection);
                }
            };
            // Whatever becomes of it, it is owed until it is done.
            let _ = tokio::task::spawn_blocking(fold).await;
        }
    }

    /// Writes a batch on a blocking thread.
    async fn write(
        self: &Arc<Self>,
        ledger: &Ledger,
        entries: Vec<ReadEntry>,
        read_from: u64,
    ) -> Result<(), Fault> {
        let (this, ledger) = (Arc::clone(self), ledger.clone());
        let runtime = tokio::runtime::Handle::current();
        let write = move || {
            let store = ledger.store();
            let source = Source {
                register: &|ask: &mut dyn FnMut(&Register)| ledger.with_register(|r| ask(r)),
                entries: &|positions: &[Position]| runtime.block_on(store.disclosed_at(positions)),
            };
            this.write_now(ledger.origin(), &entries, read_from, &source)
        };
        tokio::task::spawn_blocking(write).await.unwrap_or_else(|e| {
            let fault = Fault::new(FaultKind::Unavailable, "write the projections", self.shown());
            Err(fault.because(e))
        })
    }

    fn write_now(
        &self,
        origin: &str,
        entries: &[ReadEntry],
        read_from: u64,
        source: &Source<'_>,
    ) -> Result<(), Fault> {
        let mut held = lock(&self.writer);
        // Taken out: after a failure or a panic it is opened again from what is durable.
        let Some(mut writer) = held.take() else {
            return Err(Fault::new(FaultKind::Unavailable, "write the projections", self.shown()));
        };
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            *held = Some(writer);
            return Ok(());
        };
        assert_eq!(
            first.position,
            writer.progress.as_ref().map_or(0, |p| p.size),
            "a batch starts where the projections end"
        );
        let Writer { connection, words, .. } = &mut writer;
        let written =
            write_batch(connection, words, &self.keys, origin, entries, read_from, source);
        let settled = written.map_err(|e| match e {
            WriteError::Sql(e) => self.fault(e, "write the projections"),
            WriteError::Source(fault) => fault,
        })?;
        let size = last.position + 1;
        self.keys.write().unwrap_or_else(PoisonError::into_inner).settle(settled, size);
        if read_from > 0 && entries.iter().any(|e| !e.erased.is_empty()) {
            self.fold_owed.store(true, Ordering::SeqCst);
        }
        self.fold(&writer.connection);
        let rules = CURRENT.version.to_owned();
        writer.progress =
            Some(Progress { origin: origin.to_owned(), size, link: last.link, rules });
        *held = Some(writer);
        drop(held);
        self.applied.send_replace(size);
        Ok(())
    }

    /// Applies entries that are not read from a ledger: measurements and tests.
    ///
    /// `earlier` gives the entries applied before, by position, when they are judged again.
    /// Panics unless these start where the projections end.
    pub fn apply(
        &self,
        origin: &str,
        rows: Vec<EntryRow>,
        disclosures: Vec<DisclosureRow>,
        register: &Register,
        earlier: &dyn Fn(&[Position]) -> Result<Disclosed, Fault>,
    ) -> Result<(), Fault> {
        let entries = read_entries((rows, disclosures), |ask| ask(register))?;
        let read_from = entries.first().map_or(0, |e| e.position);
        let register = |ask: &mut dyn FnMut(&Register)| ask(register);
        let source = Source { register: &register, entries: earlier };
        self.write_now(origin, &entries, read_from, &source)
    }

    /// A fault of the file, remembered if the file is damaged.
    fn fault(&self, error: rusqlite::Error, attempted: &str) -> Fault {
        use rusqlite::ErrorCode as E;
        if matches!(error.sqlite_error_code(), Some(E::DatabaseCorrupt | E::NotADatabase)) {
            self.damaged.store(true, Ordering::SeqCst);
        }
        fault(error, attempted, &self.path)
    }

    /// Opens the writer again after a failure; a damaged file is dropped.
    fn recover(&self) -> Result<(), Fault> {
        if self.damaged.load(Ordering::SeqCst) {
            return self.reset();
        }
        let mut held = lock(&self.writer);
        if held.is_some() {
            return Ok(());
        }
        match self.install(&mut held) {
            Err(fault) if fault.kind() == FaultKind::Corrupt => {
                drop(held);
                self.reset()
            }
            installed => installed,
        }
    }

    /// Drops the rows of another ledger, or of one that has since lost entries.
    ///
    /// Errors: `Unavailable` when a follower's database ends before them: it may be a replica
    /// that is late.
    async fn check_same_ledger(&self, ledger: &Ledger) -> Result<(), Fault> {
        let progress = lock(&self.writer).as_ref().and_then(|w| w.progress.clone());
        let Some(progress) = progress.filter(|p| p.size > 0) else { return Ok(()) };
        if progress.origin != ledger.origin() {
            return self.reset();
        }
        let last = Position(progress.size - 1);
        match link_at(&**ledger.store(), last).await? {
            Some(link) if link == progress.link && progress.size <= ledger.size().0 => Ok(()),
            Some(link) if link != progress.link => self.reset(),
            _ if ledger.store().is_shared() && ledger.standing() == Standing::Follows => {
                let on = format!("the entry at position {last}");
                Err(Fault::new(FaultKind::Unavailable, "find where the projections end", on)
                    .because("what is read here is behind them; rebuild them if it lost entries"))
            }
            _ => self.reset(),
        }
    }

    fn reset(&self) -> Result<(), Fault> {
        let _file = self.file.write().unwrap_or_else(PoisonError::into_inner);
        let mut held = lock(&self.writer);
        lock(&self.idle).clear();
        *held = None;
        remove(&self.path)?;
        self.install(&mut held)?;
        // Whoever reads the file holds it: nobody found this one damaged.
        self.damaged.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// Opens the writer, and knows what its file holds.
    fn install(&self, held: &mut Option<Writer>) -> Result<(), Fault> {
        let (writer, keys, folded) = open_writer(&self.path, self.waiting)?;
        self.fold_owed.store(!folded, Ordering::SeqCst);
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        self.applied.send_replace(writer.progress.as_ref().map_or(0, |p| p.size));
        *held = Some(writer);
        Ok(())
    }

    fn shown(&self) -> String {
        self.path.display().to_string()
    }

    /// Runs a query in one snapshot, on a blocking thread with a connection of its own.
    async fn query<T: Send + 'static>(
        self: &Arc<Self>,
        attempted: &'static str,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        let this = Arc::clone(self);
        tokio::task::spawn_blocking(move || this.query_now(attempted, query)).await.unwrap_or_else(
            |e| Err(Fault::new(FaultKind::Unavailable, attempted, self.shown()).because(e)),
        )
    }

    fn query_now<T>(
        &self,
        attempted: &'static str,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Fault> {
        let _file = self.file.read().unwrap_or_else(PoisonError::into_inner);
        let failed = |e| self.fault(e, attempted);
        let idle = lock(&self.idle).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => open_reader(&self.path).map_err(failed)?,
        };
        let snapshot = connection.transaction().map_err(failed)?;
        let answer = query(&snapshot).map_err(failed)?;
        drop(snapshot);
        let mut idle = lock(&self.idle);
        if idle.len() < READERS {
            idle.push(connection);
        }
        Ok(answer)
    }
}

/// Where a batch was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// Without what was erased before it was read.
    Store,
    /// As it was filed.
    Memory,
}

async fn read_batch(
    ledger: &Ledger,
    recent: Option<&Recent>,
    from: Position,
    limit: usize,
) -> Result<(Vec<ReadEntry>, Origin), Fault> {
    let reader = ledger.clone();
    let task = match recent.and_then(|recent| recent.take(from, limit)) {
        Some(run) => tokio::task::spawn_blocking(move || {
            Ok((take_entries(&run, |ask| reader.with_register(ask)), Origin::Memory))
        }),
        None => {
            let disclosed = read_rows(&**ledger.store(), from, limit).await?;
            tokio::task::spawn_blocking(move || {
                let entries = read_entries(disclosed, |ask| reader.with_register(ask))?;
                Ok((entries, Origin::Store))
            })
        }
    };
    task.await.unwrap_or_else(|e| {
        Err(Fault::new(FaultKind::Unavailable, "read entries", "a blocking thread").because(e))
    })
}

/// Entries with their disclosures: at most `limit`, and not many more bytes than a batch is
/// to have.
async fn read_rows(store: &dyn Store, from: Position, limit: usize) -> Result<Disclosed, Fault> {
    let (mut rows, mut disclosures) = (Vec::new(), Vec::new());
    let mut bytes = 0;
    while rows.len() < limit && bytes < BATCH_BYTES {
        let next = Position(from.0 + rows.len() as u64);
        let few = READ_ENTRIES.min(limit - rows.len());
        let (more, theirs) = store.disclosed(next, few).await?;
        let ends = more.len() < few;
        bytes += more.iter().map(|row| row.sealed.leaf.len()).sum::<usize>();
        bytes += theirs.iter().map(|row| row.encoded.len()).sum::<usize>();
        rows.extend(more);
        disclosures.extend(theirs);
        if ends {
            break;
        }
    }
    Ok((rows, disclosures))
}

async fn link_at(store: &dyn Store, position: Position) -> Result<Option<Hash32>, Fault> {
    Ok(store.entry(position).await?.map(|row| row.sealed.link))
}

/// The writer, the keys that wait, and whether the log is free of what was erased.
fn open_writer(path: &Path, waiting: usize) -> Result<(Writer, Keys, bool), Fault> {
    let failed = |e| fault(e, "open the projections", path);
    let connection = connect(path).map_err(failed)?;
    let connection = match schema_of(&connection).map_err(failed)? {
        SCHEMA => connection,
        0 => create(connection).map_err(failed)?,
        _ => {
            drop(connection);
            remove(path)?;
            connect(path).and_then(create).map_err(failed)?
        }
    };
    let progress = read_progress(&connection).map_err(failed)?;
    if progress.as_ref().is_some_and(|p| p.rules != CURRENT.version) {
        // What stands now was judged by other rules.
        drop(connection);
        remove(path)?;
        return open_writer(path, waiting);
    }
    let words = Words::load(&connection).map_err(failed)?;
    let keys = Keys::load(&connection, waiting).map_err(failed)?;
    let folded = fold_log_now(&connection);
    Ok((Writer { connection, words, progress }, keys, folded))
}

fn schema_of(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn create(mut connection: Connection) -> rusqlite::Result<Connection> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(MIGRATION)?;
    transaction.pragma_update(None, "user_version", SCHEMA)?;
    transaction.commit()?;
    Ok(connection)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A power cut may cost the last transactions, whole: they are applied again.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "cache_size", -64 * 1024)?;
    // A little at a time: the ledger's log, flushed to the same disk, waits meanwhile.
    connection.pragma_update(None, "wal_autocheckpoint", 2_000)?;
    // What a statement would undo by is kept in memory, and in no other file.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Erased references are overwritten, not only unlinked.
    connection.pragma_update(None, "secure_delete", "ON")?;
    Ok(connection)
}

fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    use rusqlite::OpenFlags;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "cache_size", -16 * 1024)?;
    Ok(connection)
}

/// Removes the file and its log.
fn remove(path: &Path) -> Result<(), Fault> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(&name) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Fault::io(e, "drop the projections", path.display().to_string()));
            }
            _ => {}
        }
    }
    Ok(())
}
