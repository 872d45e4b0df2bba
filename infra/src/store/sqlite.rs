//! The embedded store: one SQLite file in a data directory owned by one process.
//!
//! A writer thread owns the only writing connection; reads take a connection from a small
//! pool on tokio's blocking threads, and see what was committed. WAL with
//! `synchronous=FULL`: what was acknowledged survives a power cut.
//!
//! The log is folded into the file when the writer opens it and when it stops: the file
//! alone is the ledger then, to copy, to check and to keep. In between, the writer moves it
//! a little at a time, within its commits, and nobody else does.
//!
//! A commit that fails half-way may have left its frames in the log, where a crash would
//! find and replay them. So after a commit of unknown outcome the writer first commits a
//! small row of its own, which overwrites such frames: only then is the head what it says.

mod own;

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, mpsc};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use greffe_domain::date::Timestamp;
use greffe_domain::encoding::Hash32;
use greffe_domain::kind::{EventType, StreamType};
use greffe_domain::seal::{FilingRef, Position, SealedEntry, StreamRef, TreeSize};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, params};
use tokio::sync::oneshot;

use super::damage::UnreadableCell;
use super::{
    AppendError, Batch, Damage, Disclosed, DisclosureRow, EntryRow, Fault, FaultKind, FilingKey,
    FilingRow, Found, Head, Lead, RecordedFiling, Store, disclosed, disclosed_at, half_cited,
    stream_type_of,
};
use crate::late_index::{self, LateIndex};
use crate::rows::{self, Bound, blob, integer};

/// The ledger's file in its data directory.
pub const LEDGER_FILE: &str = "ledger.db";
/// Locked by the process that owns the directory; its content means nothing.
pub const LOCK_FILE: &str = "lock";

/// Schema steps; the number of those applied is the file's `user_version`.
const MIGRATIONS: &[&str] = &[include_str!("../../migrations/sqlite/0001_ledger.sql")];

/// Idle reading connections kept open.
const READERS: usize = 4;
/// Keys of each late index that wait in memory (about 1 MB), and are read back at start-up.
const WAITING: usize = 32_768;
/// How long a statement waits for another process's lock before it fails.
const BUSY: Duration = Duration::from_secs(5);

const ENTRY_COLUMNS: &str = "position, stream_type, stream_id, stream_version, event_type, \
     recorded, filing, item, kid, link, signature, leaf";
const FILING_COLUMNS: &str = "first_position, items, digest, iss, jti, jwt";
const DISCLOSURE_COLUMNS: &str = "position, digest, encoded";

/// Keeps a data directory to one process, until dropped.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Creates the directory if need be, for its owner's eyes only, and locks it.
    ///
    /// Errors: `InUse` when another process holds it, `ReadOnly` when it cannot be written.
    pub fn take(directory: &Path) -> Result<Self, Fault> {
        let shown = directory.display().to_string();
        create_private_directory(directory)
            .map_err(|e| Fault::io(e, "create the data directory", &shown))?;
        let path = directory.join(LOCK_FILE);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| Fault::io(e, "lock the data directory", path.display().to_string()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(std::fs::TryLockError::WouldBlock) => {
                Err(Fault::new(FaultKind::InUse, "open the data directory", shown))
            }
            Err(std::fs::TryLockError::Error(e)) => {
                Err(Fault::io(e, "lock the data directory", shown))
            }
        }
    }
}

#[cfg(unix)]
fn create_private_directory(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

#[cfg(not(unix))]
fn create_private_directory(directory: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)
}

/// A ledger in a data directory.
pub struct SqliteStore {
    shared: Arc<Shared>,
    /// `None` when opened for reading only.
    writer: Option<Writer>,
}

/// What the readers and the writer have in common.
struct Shared {
    path: PathBuf,
    /// Set where nothing can be written, SQLite's own files included.
    still: Option<Still>,
    origin: String,
    idle: Mutex<Vec<Connection>>,
    keys: RwLock<Keys>,
}

/// The two late indexes. A store opened for reading only reads them once: a filing recorded
/// later is not found by its key there, though it is by its position.
struct Keys {
    filings: LateIndex,
    disclosures: LateIndex,
}

struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<thread::JoinHandle<()>>,
    /// Released last: when the thread has ended.
    _lock: DirectoryLock,
}

enum Job {
    Append(Box<Batch>, oneshot::Sender<Result<(), AppendError>>),
    Head(oneshot::Sender<Result<Head, Fault>>),
}

impl SqliteStore {
    /// Opens the ledger of this origin in a directory, creating what is not there yet.
    ///
    /// Errors: `InUse`, `OtherOrigin`, `NewerSchema`, `ReadOnly`, `Full`.
    pub fn create(directory: &Path, origin: &str) -> Result<Self, Fault> {
        Self::open_writer(directory, Some(origin), WriterOptions::default())
    }

    /// Opens the ledger that is in a directory, whatever its origin.
    ///
    /// Errors: `Missing` and those of [`SqliteStore::create`].
    pub fn open(directory: &Path) -> Result<Self, Fault> {
        Self::open_writer(directory, None, WriterOptions::default())
    }

    /// Opens it for reading, beside the process that owns it if there is one. Every append
    /// is refused.
    pub fn open_read_only(directory: &Path) -> Result<Self, Fault> {
        let path = existing(directory)?;
        let fault = |e| fault(e, "open the ledger", &path);
        let (connection, still) = connect_reader(directory, &path).map_err(fault)?;
        check_version(&connection, &path)?;
        let origin = read_origin(&connection).map_err(fault)?.ok_or_else(|| {
            Fault::new(FaultKind::Missing, "open the ledger", path.display().to_string())
        })?;
        let keys = Keys::load_to_read(&connection).map_err(fault)?;
        let shared = Shared { still, ..Shared::new(path, origin, keys) };
        Ok(Self { shared: Arc::new(shared), writer: None })
    }

    /// Writes the ledger as it is at one moment to a new file, beside whoever writes it;
    /// appends go on meanwhile. What was erased is not in the copy.
    ///
    /// `to`: a directory. Errors: `AlreadyThere`, `Full`, and those of reading.
    pub async fn copy_to(&self, to: &Path) -> Result<(), Fault> {
        let path = to.join(LEDGER_FILE);
        let shown = path.display().to_string();
        if path.exists() {
            return Err(Fault::new(FaultKind::AlreadyThere, "copy the ledger", shown));
        }
        let target = path.clone();
        self.read("copy the ledger", move |connection, _| {
            // One read transaction: the copy has no part of an append.
            connection.execute("VACUUM INTO ?1", [target.to_string_lossy()]).map(drop)
        })
        .await?;
        // SQLite does not wait for the disk here.
        File::open(&path)
            .and_then(|file| file.sync_all())
            .map_err(|e| Fault::io(e, "copy the ledger", shown))
    }

    /// Opens it as on a disk with room for so many pages only.
    #[cfg(any(test, feature = "contract"))]
    pub fn open_with_room(directory: &Path, pages: u32) -> Result<Self, Fault> {
        let options = WriterOptions {
            max_pages: Some(pages),
            #[cfg(test)]
            failing_commits: Arc::default(),
        };
        Self::open_writer(directory, None, options)
    }

    fn open_writer(
        directory: &Path,
        origin: Option<&str>,
        options: WriterOptions,
    ) -> Result<Self, Fault> {
        let path = match origin {
            Some(_) => directory.join(LEDGER_FILE),
            None => existing(directory)?,
        };
        let lock = DirectoryLock::take(directory)?;
        let fault = |e| fault(e, "open the ledger", &path);
        let mut connection =
            connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)
                .map_err(fault)?;
        check_version(&connection, &path)?;
        prepare_for_writing(&connection, &options).map_err(fault)?;
        migrate(&mut connection, origin).map_err(fault)?;
        // A server that was killed left its log. A reader or a full disk may hold it back:
        // the ledger is whole with it too, and nobody waits here.
        let folded = fold_log_now(&connection);
        let held = read_origin(&connection).map_err(fault)?.ok_or_else(|| {
            Fault::new(FaultKind::Missing, "open the ledger", path.display().to_string())
        })?;
        if origin.is_some_and(|asked| asked != held) {
            return Err(Fault::new(
                FaultKind::OtherOrigin,
                "open the ledger",
                path.display().to_string(),
            )
            .because(format!("it holds `{held}`")));
        }
        // What a statement would undo by is kept in memory, and in no file beside the ledger's.
        connection.pragma_update(None, "temp_store", "MEMORY").map_err(fault)?;
        let keys = Keys::load(&connection).map_err(fault)?;
        #[cfg(test)]
        tests::fail_commits(&connection, &options);
        let shared = Arc::new(Shared::new(path, held, keys));
        let (jobs, queue) = mpsc::channel();
        let state = WriterThread {
            connection,
            shared: Arc::clone(&shared),
            settled: true,
            checkpoint_owed: !folded,
        };
        let thread = thread::Builder::new()
            .name("ledger-writer".to_owned())
            .spawn(move || state.run(queue))
            .map_err(|e| Fault::io(e, "start the writer of", shared.shown()))?;
        let writer = Writer { jobs: Some(jobs), thread: Some(thread), _lock: lock };
        Ok(Self { shared, writer: Some(writer) })
    }

    /// The ledger's file.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Sends a job to the writer and waits for its answer.
    async fn ask<T>(
        &self,
        attempted: &'static str,
        job: impl FnOnce(oneshot::Sender<T>) -> Job,
    ) -> Result<T, Fault> {
        let Some(writer) = &self.writer else {
            return Err(Fault::new(FaultKind::ReadOnly, attempted, self.shared.shown()));
        };
        let stopped = || {
            Fault::new(FaultKind::Unavailable, attempted, self.shared.shown())
                .because("its writer has stopped")
        };
        let (answer, answered) = oneshot::channel();
        let jobs = writer.jobs.as_ref().expect("the queue is only taken when dropped");
        jobs.send(job(answer)).map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())
    }

    /// Runs a read on a blocking thread, with a connection of its own.
    async fn read<T: Send + 'static>(
        &self,
        attempted: &'static str,
        read: impl FnOnce(&Connection, &Shared) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || shared.read_here(attempted, read)).await.unwrap_or_else(
            |e| Err(Fault::new(FaultKind::Unavailable, attempted, self.shared.shown()).because(e)),
        )
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has said so already.
            let _ = thread.join();
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn origin(&self) -> &str {
        &self.shared.origin
    }

    async fn lead(&self) -> Result<Lead, Fault> {
        Ok(if self.writer.is_some() { Lead::Held } else { Lead::Elsewhere })
    }

    async fn head(&self) -> Result<Head, Fault> {
        match self.writer {
            // Only the writer knows whether an append is still undecided.
            Some(_) => self.ask("read the head", Job::Head).await?,
            None => self.read("read the head", |c, _| read_head(c)).await,
        }
    }

    async fn append(&self, batch: Batch) -> Result<(), AppendError> {
        batch.assert_consecutive();
        self.ask("append to the ledger", |answer| Job::Append(Box::new(batch), answer))
            .await
            // A writer that stopped while it had the batch may have written it.
            .map_err(|f| match f.kind() {
                FaultKind::ReadOnly => AppendError::NotApplied(f),
                _ => AppendError::Unknown(f),
            })?
    }

    async fn entries(&self, from: Position, limit: usize) -> Result<Vec<EntryRow>, Fault> {
        self.read("read entries", move |c, _| {
            let sql = format!(
                "SELECT {ENTRY_COLUMNS} FROM entries WHERE position >= ?1 ORDER BY position LIMIT ?2"
            );
            let mut statement = c.prepare_cached(&sql)?;
            let rows = statement.query_map(params![int(from.0), limit as i64], entry_row)?;
            rows.collect()
        })
        .await
    }

    async fn entries_of_types(
        &self,
        types: &[StreamType],
        from: Position,
        limit: usize,
    ) -> Result<Found, Fault> {
        let sql = sql_of_types(types);
        self.read("read entries", move |c, _| found(c, &sql, from, limit)).await
    }

    async fn group_disclosures(&self, from: Position, limit: usize) -> Result<Found, Fault> {
        // The condition of the index, word for word.
        let sql = format!(
            "SELECT {ENTRY_COLUMNS} FROM entries INDEXED BY entries_about_groups \
             WHERE stream_type = 'access' AND event_type <> 'AccessDenied' \
             AND instr(leaf, '\"cohort\":{{') > 0 \
             AND position >= ?1 ORDER BY position LIMIT ?2"
        );
        self.read("read disclosures about groups", move |c, _| found(c, &sql, from, limit)).await
    }

    async fn entry(&self, position: Position) -> Result<Option<EntryRow>, Fault> {
        self.read("read an entry", move |c, _| {
            let sql = format!("SELECT {ENTRY_COLUMNS} FROM entries WHERE position = ?1");
            c.prepare_cached(&sql)?.query_row([int(position.0)], entry_row).optional()
        })
        .await
    }

    async fn entries_at(&self, positions: &[Position]) -> Result<Vec<EntryRow>, Fault> {
        let positions = positions.to_vec();
        self.read("read entries", move |c, _| {
            let sql = format!("SELECT {ENTRY_COLUMNS} FROM entries WHERE position = ?1");
            let mut statement = c.prepare_cached(&sql)?;
            let mut rows = Vec::with_capacity(positions.len());
            for position in positions {
                rows.extend(statement.query_row([int(position.0)], entry_row).optional()?);
            }
            Ok(rows)
        })
        .await
    }

    async fn stream(&self, stream: StreamType, id: &str) -> Result<Vec<EntryRow>, Fault> {
        let id = id.to_owned();
        self.read("read a stream", move |c, _| {
            let sql = format!(
                "SELECT {ENTRY_COLUMNS} FROM entries WHERE stream_type = ?1 AND stream_id = ?2 \
                 ORDER BY stream_version"
            );
            let mut statement = c.prepare_cached(&sql)?;
            statement.query_map(params![stream.as_str(), id], entry_row)?.collect()
        })
        .await
    }

    async fn size_at(&self, time: Timestamp) -> Result<TreeSize, Fault> {
        self.read("find a time", move |c, _| {
            let mut recorded =
                c.prepare_cached("SELECT recorded FROM entries WHERE position = ?1")?;
            // Times never decrease along positions: the first later one is found by halving.
            let (mut low, mut high) = (0, read_head(c)?.size.0);
            while low < high {
                let middle = low + (high - low) / 2;
                let at: i64 = recorded.query_row([int(middle)], |row| row.get(0))?;
                if at <= time.micros() { low = middle + 1 } else { high = middle }
            }
            Ok(TreeSize(low))
        })
        .await
    }

    async fn filing(&self, first_position: Position) -> Result<Option<FilingRow>, Fault> {
        self.read("read a filing", move |c, _| {
            let sql = format!("SELECT {FILING_COLUMNS} FROM filings WHERE first_position = ?1");
            c.prepare_cached(&sql)?.query_row([int(first_position.0)], filing_row).optional()
        })
        .await
    }

    async fn filings(&self, from: Position, limit: usize) -> Result<Vec<FilingRow>, Fault> {
        self.read("read filings", move |c, _| {
            let sql = format!(
                "SELECT {FILING_COLUMNS} FROM filings WHERE first_position >= ?1 \
                 ORDER BY first_position LIMIT ?2"
            );
            let mut statement = c.prepare_cached(&sql)?;
            let rows = statement.query_map(params![int(from.0), limit as i64], filing_row)?;
            rows.collect()
        })
        .await
    }

    async fn filings_by_key(
        &self,
        keys: &[FilingKey<'_>],
    ) -> Result<Vec<Option<RecordedFiling>>, Fault> {
        // Here, on the thread that asks: the ledger's writer asks for each group of filings
        // and has nothing else to do, and waking another thread costs more than looking.
        self.shared.read_here("look a filing up", |c, shared| {
            let mut filing = c.prepare_cached(
                "SELECT digest, items FROM filings \
                 WHERE first_position = ?1 AND iss = ?2 AND jti = ?3",
            )?;
            let hashes: Vec<i64> = keys.iter().map(|k| filing_key(k.iss, k.jti, 0).0).collect();
            let positions = shared.positions(c, "filing_keys", |k| &k.filings, &hashes)?;
            let mut answers = Vec::with_capacity(keys.len());
            for (FilingKey { iss, jti }, positions) in keys.iter().zip(positions) {
                let mut found = None;
                for position in positions {
                    let row = filing.query_row(params![position, iss, jti], |row| {
                        Ok(RecordedFiling {
                            digest: hash32(row, 0)?,
                            first_position: Position(unsigned(position, 0)?),
                            items: row.get(1)?,
                        })
                    });
                    found = row.optional()?;
                    if found.is_some() {
                        break;
                    }
                }
                answers.push(found);
            }
            Ok(answers)
        })
    }

    async fn disclosures(
        &self,
        from: Position,
        until: Position,
    ) -> Result<Vec<DisclosureRow>, Fault> {
        self.read("read disclosures", move |c, _| {
            let sql = format!(
                "SELECT {DISCLOSURE_COLUMNS} FROM disclosures \
                 WHERE position >= ?1 AND position < ?2 ORDER BY position, digest"
            );
            let mut statement = c.prepare_cached(&sql)?;
            let range = params![int(from.0), int(until.0)];
            statement.query_map(range, disclosure_row)?.collect()
        })
        .await
    }

    async fn disclosures_at(&self, positions: &[Position]) -> Result<Vec<DisclosureRow>, Fault> {
        let mut positions = positions.to_vec();
        positions.sort_unstable();
        positions.dedup();
        self.read("read disclosures", move |c, _| {
            let sql = format!(
                "SELECT {DISCLOSURE_COLUMNS} FROM disclosures WHERE position = ?1 ORDER BY digest"
            );
            let mut statement = c.prepare_cached(&sql)?;
            let mut rows = Vec::new();
            for position in positions {
                for row in statement.query_map([int(position.0)], disclosure_row)? {
                    rows.push(row?);
                }
            }
            Ok(rows)
        })
        .await
    }

    async fn disclosed(&self, from: Position, limit: usize) -> Result<Disclosed, Fault> {
        disclosed(self, from, limit).await
    }

    async fn disclosed_at(&self, positions: &[Position]) -> Result<Disclosed, Fault> {
        disclosed_at(self, positions).await
    }

    async fn disclosure_positions(&self, digests: &[Hash32]) -> Result<Vec<Vec<Position>>, Fault> {
        let digests = digests.to_vec();
        self.read("look disclosures up", move |c, shared| {
            digests
                .iter()
                .map(|digest| {
                    let positions = shared.disclosures_of(c, digest)?;
                    positions.into_iter().map(|p| Ok(Position(unsigned(p, 0)?))).collect()
                })
                .collect()
        })
        .await
    }

    async fn own_damage(&self) -> Result<Option<Damage>, Fault> {
        self.read("check the ledger's own tables", |c, _| own::damage(c)).await
    }
}

impl Shared {
    fn new(path: PathBuf, origin: String, keys: Keys) -> Self {
        let (idle, keys) = (Mutex::new(Vec::new()), RwLock::new(keys));
        Self { path, still: None, origin, idle, keys }
    }

    fn shown(&self) -> String {
        self.path.display().to_string()
    }

    fn connection(&self) -> Result<Connection, Fault> {
        if let Some(connection) = lock(&self.idle).pop() {
            return Ok(connection);
        }
        match &self.still {
            None => connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY),
            Some(_) => connect_still(&self.path),
        }
        .map_err(|e| fault(e, "open the ledger", &self.path))
    }

    /// Runs a read on this thread, with a connection that nobody else uses meanwhile.
    fn read_here<T>(
        &self,
        attempted: &'static str,
        read: impl FnOnce(&Connection, &Self) -> rusqlite::Result<T>,
    ) -> Result<T, Fault> {
        let connection = self.connection()?;
        let result = read(&connection, self);
        let mut idle = lock(&self.idle);
        if idle.len() < READERS {
            idle.push(connection);
        }
        drop(idle);
        result.map_err(|e| fault(e, attempted, &self.path))
    }

    /// For each hash, positions of the rows whose key has it, in order. Memory is looked at
    /// first: a key leaves it only after it is committed to the table.
    fn positions(
        &self,
        connection: &Connection,
        table: &str,
        index: impl Fn(&Keys) -> &LateIndex,
        hashes: &[i64],
    ) -> rusqlite::Result<Vec<Vec<i64>>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<Vec<i64>> =
            hashes.iter().map(|hash| index(&keys).waiting(*hash).collect()).collect();
        drop(keys);
        // One transaction takes its locks once. Within an append it is open already.
        let alone = connection.is_autocommit();
        let transaction = alone.then(|| connection.unchecked_transaction()).transpose()?;
        let sql = format!("SELECT position FROM {table} WHERE hash = ?1");
        let mut statement = connection.prepare_cached(&sql)?;
        for (hash, positions) in hashes.iter().zip(&mut found) {
            for position in statement.query_map([hash], |row| row.get(0))? {
                positions.push(position?);
            }
            positions.sort_unstable();
            positions.dedup();
        }
        transaction.map_or(Ok(()), rusqlite::Transaction::finish)?;
        Ok(found)
    }

    /// Positions of the entries that keep a disclosure of this digest, in order.
    fn disclosures_of(
        &self,
        connection: &Connection,
        digest: &Hash32,
    ) -> rusqlite::Result<Vec<i64>> {
        let (hash, _) = late_index::key(&digest.0, 0);
        let found = self.positions(connection, "disclosure_keys", |k| &k.disclosures, &[hash])?;
        let mut positions: Vec<i64> = found.into_iter().flatten().collect();
        let mut kept = connection.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM disclosures WHERE position = ?1 AND digest = ?2)",
        )?;
        let mut failed = None;
        positions.retain(|position| {
            kept.query_row(params![position, digest.0], |row| row.get(0)).unwrap_or_else(|e| {
                failed = Some(e);
                false
            })
        });
        failed.map_or(Ok(positions), Err)
    }
}

impl Keys {
    /// Reads back the keys that may not be in the tables.
    ///
    /// Errors: `late_indexes` says what cannot be. Believing it would lose keys, and with
    /// them the refusal of a filing that was used before.
    fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let size = read_head(connection)?.size;
        let below = complete_below(connection)?;
        for (name, below) in &below {
            if !(0..=int(size.0)).contains(below) {
                let cause = format!(
                    "late_indexes, name = {name}, complete_below: it is {below}, and the ledger \
                     has {size} entries"
                );
                return Err(rusqlite::Error::FromSqlConversionFailure(
                    1,
                    rusqlite::types::Type::Integer,
                    cause.into(),
                ));
            }
        }
        Self::load_above(connection, size, &below)
    }

    /// The same for reading only, where every key can be read back instead.
    fn load_to_read(connection: &Connection) -> rusqlite::Result<Self> {
        let size = read_head(connection)?.size;
        let mut below = complete_below(connection)?;
        below.retain(|_, below| (0..=int(size.0)).contains(below));
        Self::load_above(connection, size, &below)
    }

    fn load_above(
        connection: &Connection,
        size: TreeSize,
        below: &HashMap<String, i64>,
    ) -> rusqlite::Result<Self> {
        let size = int(size.0);
        let below = |name: &str| below.get(name).copied().unwrap_or(0);

        let from = below("filing_keys");
        let filings = connection
            .prepare("SELECT first_position, iss, jti FROM filings WHERE first_position >= ?1")?
            .query_map([from], |row| {
                let position = unsigned(row.get(0)?, 0)?;
                Ok(filing_key(text(row, 1)?, text(row, 2)?, position))
            })?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let filings = LateIndex::new(WAITING, filings, size);

        let from = below("disclosure_keys");
        let disclosures = connection
            .prepare("SELECT position, digest FROM disclosures WHERE position >= ?1")?
            .query_map([from], |row| {
                let position = unsigned(row.get(0)?, 0)?;
                Ok(late_index::key(&hash32(row, 1)?.0, position))
            })?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        Ok(Self { filings, disclosures: LateIndex::new(WAITING, disclosures, size) })
    }
}

/// What `late_indexes` holds.
fn complete_below(connection: &Connection) -> rusqlite::Result<HashMap<String, i64>> {
    connection
        .prepare("SELECT name, complete_below FROM late_indexes")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// The key under which a filing is found by author and jti. An `iss` is a slug: the line
/// break cannot stand in it.
fn filing_key(iss: &str, jti: &str, first_position: u64) -> late_index::Key {
    let mut hasher = blake3::Hasher::new();
    hasher.update(iss.as_bytes()).update(b"\n").update(jti.as_bytes());
    late_index::key(hasher.finalize().as_bytes(), first_position)
}

/// The keys of all rows, by the table that they go into.
#[cfg(test)]
pub(crate) fn keys_of_rows(
    c: &Connection,
) -> rusqlite::Result<[(&'static str, Vec<late_index::Key>); 2]> {
    let filings = c
        .prepare("SELECT first_position, iss, jti FROM filings")?
        .query_map([], |row| {
            Ok(filing_key(text(row, 1)?, text(row, 2)?, unsigned(row.get(0)?, 0)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let disclosures = c
        .prepare("SELECT position, digest FROM disclosures")?
        .query_map([], |row| Ok(late_index::key(&hash32(row, 1)?.0, unsigned(row.get(0)?, 0)?)))?
        .collect::<rusqlite::Result<_>>()?;
    Ok([("filing_keys", filings), ("disclosure_keys", disclosures)])
}

/// Entries of some types by position. The planner would rather search the streams and sort,
/// page after page: it is told to follow the partial index, or the table.
fn sql_of_types(types: &[StreamType]) -> String {
    let names: Vec<String> = types.iter().map(|t| format!("'{}'", t.as_str())).collect();
    let (index, condition) = if types.contains(&StreamType::Access) {
        ("NOT INDEXED", "")
    } else {
        ("INDEXED BY entries_of_register", "stream_type <> 'access' AND")
    };
    format!(
        "SELECT {ENTRY_COLUMNS} FROM entries {index} \
         WHERE {condition} stream_type IN ({}) AND position >= ?1 ORDER BY position LIMIT ?2",
        names.join(",")
    )
}

// The writer.

#[derive(Debug, Default)]
struct WriterOptions {
    /// Most pages the file may have; stands in for a full disk in tests.
    max_pages: Option<u32>,
    /// This many of the commits to come fail.
    #[cfg(test)]
    failing_commits: Arc<std::sync::atomic::AtomicU32>,
}

struct WriterThread {
    connection: Connection,
    shared: Arc<Shared>,
    /// False while a commit of unknown outcome may still come back.
    settled: bool,
    /// Erased values are still in the log until it is checkpointed.
    checkpoint_owed: bool,
}

impl WriterThread {
    fn run(mut self, queue: mpsc::Receiver<Job>) {
        for job in queue {
            // Whoever asked may be gone; the work counts all the same.
            match job {
                Job::Append(batch, answer) => drop(answer.send(self.append(&batch))),
                Job::Head(answer) => drop(answer.send(self.head())),
            }
        }
        // An idle reader that closed last would leave the log where it is.
        lock(&self.shared.idle).clear();
        fold_log(&self.connection);
    }

    fn fault(&self, error: rusqlite::Error, attempted: impl Into<String>) -> Fault {
        fault(error, attempted, &self.shared.path)
    }

    fn head(&mut self) -> Result<Head, Fault> {
        self.settle()?;
        read_head(&self.connection).map_err(|e| self.fault(e, "read the head"))
    }

    /// Commits a row of our own over whatever a failed commit may have left in the log.
    fn settle(&mut self) -> Result<(), Fault> {
        if self.settled {
            return Ok(());
        }
        self.connection
            .execute("UPDATE ledger SET settled = settled + 1", [])
            .map_err(|e| self.fault(e, "settle an append of unknown outcome"))?;
        let keys = Keys::load(&self.connection)
            .map_err(|e| self.fault(e, "read the index of filings back"))?;
        *self.shared.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        self.settled = true;
        Ok(())
    }

    fn append(&mut self, batch: &Batch) -> Result<(), AppendError> {
        self.settle().map_err(AppendError::NotApplied)?;
        let attempted =
            format!("append {} entries at position {}", batch.entries.len(), batch.expected.size.0);
        let size = int(batch.expected.size.0);
        let keys = self.shared.keys.read().unwrap_or_else(PoisonError::into_inner);
        let filings =
            batch.filings.iter().map(|f| filing_key(&f.iss, &f.jti, f.first_position.0)).collect();
        let disclosures =
            batch.disclosures.iter().map(|d| late_index::key(&d.digest.0, d.position.0)).collect();
        let filings = keys.filings.plan(filings, size);
        let disclosures = keys.disclosures.plan(disclosures, size);
        drop(keys);

        match write(&mut self.connection, &self.shared, batch, &filings, &disclosures) {
            Ok(()) => {}
            Err(WriteError::Conflict(actual)) => return Err(AppendError::Conflict { actual }),
            Err(WriteError::BeforeCommit(e)) => {
                return Err(AppendError::NotApplied(self.fault(e, attempted)));
            }
            Err(WriteError::AtCommit(e)) => return self.decide(batch, self.fault(e, attempted)),
        }
        let mut keys = self.shared.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.filings.apply(filings);
        keys.disclosures.apply(disclosures);
        drop(keys);
        self.checkpoint_owed |= !batch.erased.is_empty();
        if self.checkpoint_owed {
            // A reader may hold the log back, a backup for as long as it takes: nobody waits
            // for it, the next append tries again.
            self.checkpoint_owed = !fold_log_now(&self.connection);
        }
        Ok(())
    }

    /// A commit failed: finds out whether it landed, if the disk lets us.
    fn decide(&mut self, batch: &Batch, failure: Fault) -> Result<(), AppendError> {
        self.settled = false;
        match self.head() {
            Ok(head) if head == batch.head_after() => Ok(()),
            Ok(head) if head == batch.expected => Err(AppendError::NotApplied(failure)),
            Ok(actual) => Err(AppendError::Conflict { actual }),
            Err(_) => Err(AppendError::Unknown(failure)),
        }
    }
}

/// Moves what the log holds into the file and empties it; whether that was done.
pub(crate) fn fold_log(connection: &Connection) -> bool {
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
        .is_ok_and(|busy| busy == 0)
}

/// The same, without waiting for whoever reads it; whether that was done.
pub(crate) fn fold_log_now(connection: &Connection) -> bool {
    let _ = connection.busy_timeout(Duration::ZERO);
    let folded = fold_log(connection);
    let _ = connection.busy_timeout(BUSY);
    folded
}

enum WriteError {
    Conflict(Head),
    BeforeCommit(rusqlite::Error),
    AtCommit(rusqlite::Error),
}

impl From<rusqlite::Error> for WriteError {
    fn from(error: rusqlite::Error) -> Self {
        Self::BeforeCommit(error)
    }
}

/// The one transaction of an append.
fn write(
    connection: &mut Connection,
    shared: &Shared,
    batch: &Batch,
    filings: &late_index::Plan,
    disclosures: &late_index::Plan,
) -> Result<(), WriteError> {
    // Rolls back when dropped.
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let head = read_head(&transaction)?;
    if head != batch.expected {
        return Err(WriteError::Conflict(head));
    }
    // Before the batch's own disclosures, which stay.
    for digest in &batch.erased {
        for position in shared.disclosures_of(&transaction, digest)? {
            transaction
                .prepare_cached("DELETE FROM disclosures WHERE position = ?1 AND digest = ?2")?
                .execute(params![position, digest.0])?;
        }
    }
    let verb = rows::OR_ROLLBACK;
    rows::insert(&transaction, verb, "entries", ENTRY_COLUMNS, &batch.entries, |entry, values| {
        let EntryRow { position, sealed, filing, stream, event_type, time } = entry;
        values.extend([
            integer(int(position.0)),
            rows::text(stream.kind.as_str()),
            rows::text(&stream.id),
            integer(int(stream.version)),
            rows::text(event_type.as_str()),
            integer(time.micros()),
            filing.as_ref().map_or(Bound(ValueRef::Null), |f| blob(&f.digest.0)),
            filing.as_ref().map_or(Bound(ValueRef::Null), |f| integer(f.item.into())),
            rows::text(&sealed.kid),
            blob(&sealed.link.0),
            blob(&sealed.signature),
            // Canonical JSON, hence UTF-8; SQLite keeps the bytes as they are.
            Bound(ValueRef::Text(&sealed.leaf)),
        ]);
    })?;
    rows::insert(
        &transaction,
        verb,
        "filings",
        FILING_COLUMNS,
        &batch.filings,
        |filing, values| {
            values.extend([
                integer(int(filing.first_position.0)),
                integer(filing.items.into()),
                blob(&filing.digest.0),
                rows::text(&filing.iss),
                rows::text(&filing.jti),
                rows::text(&filing.jwt),
            ]);
        },
    )?;
    let disclosed = &batch.disclosures;
    rows::insert(&transaction, verb, "disclosures", DISCLOSURE_COLUMNS, disclosed, |d, values| {
        values.extend([integer(int(d.position.0)), blob(&d.digest.0), rows::text(&d.encoded)]);
    })?;
    for (table, plan) in [("filing_keys", filings), ("disclosure_keys", disclosures)] {
        // Some may be there since before a restart.
        let columns = "hash, position";
        rows::insert_pairs(&transaction, rows::OR_IGNORE, table, columns, &plan.swept)?;
        if let Some(below) = plan.complete_below {
            transaction
                .prepare_cached("UPDATE late_indexes SET complete_below = ?1 WHERE name = ?2")?
                .execute(params![below, table])?;
        }
    }
    // Dropping it after a failed commit rolls back what SQLite has not itself.
    transaction.commit().map_err(|e| match e.sqlite_error_code() {
        // The frame that marks the commit is written last: without room for it there is none.
        Some(ErrorCode::DiskFull) => WriteError::BeforeCommit(e),
        _ => WriteError::AtCommit(e),
    })
}

// Opening.

fn existing(directory: &Path) -> Result<PathBuf, Fault> {
    let path = directory.join(LEDGER_FILE);
    match path.try_exists() {
        Ok(true) => Ok(path),
        Ok(false) => {
            Err(Fault::new(FaultKind::Missing, "open the ledger", path.display().to_string()))
        }
        Err(e) => Err(Fault::io(e, "open the ledger", path.display().to_string())),
    }
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Keeps writers away from a file that is read without SQLite's locks, until dropped.
struct Still {
    _lock: Option<File>,
}

/// A reading connection that works. Even to read, SQLite writes beside the file; where it
/// may not, and the log is empty, the file is read as one that does not change.
fn connect_reader(directory: &Path, path: &Path) -> rusqlite::Result<(Connection, Option<Still>)> {
    let refused = match connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .and_then(|connection| read_version(&connection).map(|_| connection))
    {
        Ok(connection) => return Ok((connection, None)),
        Err(error) => error,
    };
    let log = path.with_extension("db-wal");
    let log_is_empty = std::fs::metadata(&log)
        .map_or_else(|e| e.kind() == std::io::ErrorKind::NotFound, |metadata| metadata.len() == 0);
    let code = refused.sqlite_error_code();
    let unwritable = matches!(code, Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly));
    if !unwritable || !log_is_empty {
        return Err(refused);
    }
    let lock = File::open(directory.join(LOCK_FILE)).ok();
    if lock.as_ref().is_some_and(|lock| lock.try_lock_shared().is_err()) {
        return Err(refused);
    }
    Ok((connect_still(path)?, Some(Still { _lock: lock })))
}

fn connect_still(path: &Path) -> rusqlite::Result<Connection> {
    // What means something in a URI is written as its code.
    let mut uri = "file:".to_owned();
    for c in path.to_string_lossy().chars() {
        match c {
            '%' => uri.push_str("%25"),
            '?' => uri.push_str("%3f"),
            '#' => uri.push_str("%23"),
            c => uri.push(c),
        }
    }
    uri.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    connect(Path::new(&uri), flags)
}

fn prepare_for_writing(connection: &Connection, options: &WriterOptions) -> rusqlite::Result<()> {
    // The page size counts only before the first table; 16 KiB pages, a large cache and a log
    // moved 8 MiB at a time (docs/adr/0045) keep the 99th percentile of a commit low.
    connection.pragma_update(None, "page_size", 16_384)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 512)?;
    connection.pragma_update(None, "cache_size", -64 * 1024)?;
    // Erased values are overwritten, not only unlinked.
    connection.pragma_update(None, "secure_delete", "ON")?;
    if let Some(pages) = options.max_pages {
        connection.pragma_update(None, "max_page_count", pages)?;
    }
    Ok(())
}

fn check_version(connection: &Connection, path: &Path) -> Result<(), Fault> {
    let version = read_version(connection).map_err(|e| fault(e, "open the ledger", path))?;
    if version > MIGRATIONS.len() {
        let shown = path.display().to_string();
        let cause = format!("schema {version}; this version knows {}", MIGRATIONS.len());
        return Err(Fault::new(FaultKind::NewerSchema, "open the ledger", shown).because(cause));
    }
    Ok(())
}

fn read_version(connection: &Connection) -> rusqlite::Result<usize> {
    connection.query_row("SELECT user_version FROM pragma_user_version", [], |row| row.get(0))
}

/// Applies the steps that are missing, each in a transaction; the first with the origin.
fn migrate(connection: &mut Connection, origin: Option<&str>) -> rusqlite::Result<()> {
    let applied = read_version(connection)?;
    for (step, sql) in MIGRATIONS.iter().enumerate().skip(applied) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(sql)?;
        if step == 0
            && let Some(origin) = origin
        {
            transaction.execute("INSERT INTO ledger (id, origin) VALUES (1, ?1)", [origin])?;
        }
        transaction.pragma_update(None, "user_version", (step + 1) as i64)?;
        transaction.commit()?;
    }
    Ok(())
}

// Reading rows.

fn read_origin(connection: &Connection) -> rusqlite::Result<Option<String>> {
    connection.query_row("SELECT origin FROM ledger", [], |row| row.get(0)).optional()
}

fn read_head(connection: &Connection) -> rusqlite::Result<Head> {
    connection
        .prepare_cached("SELECT position, link FROM entries ORDER BY position DESC LIMIT 1")?
        .query_row([], |row| {
            let position = unsigned(row.get(0)?, 0)?;
            Ok(Head { size: TreeSize(position + 1), link: hash32(row, 1)? })
        })
        .optional()
        .map(|head| head.unwrap_or(Head::empty()))
}

/// Entries that a query finds from a position on, and how far the ledger goes. What is
/// appended in between is found, and not yet counted.
fn found(
    connection: &Connection,
    sql: &str,
    from: Position,
    limit: usize,
) -> rusqlite::Result<Found> {
    let size = connection
        .prepare_cached("SELECT coalesce(max(position) + 1, 0) FROM entries")?
        .query_row([], |row| Ok(TreeSize(unsigned(row.get(0)?, 0)?)))?;
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params![int(from.0), limit as i64], entry_row)?;
    Ok(Found { entries: rows.collect::<rusqlite::Result<_>>()?, size })
}

fn entry_row(row: &Row<'_>) -> rusqlite::Result<EntryRow> {
    read_entry(row).map_err(|e| in_cell(e, row, "entries", ENTRY_COLUMNS))
}

fn read_entry(row: &Row<'_>) -> rusqlite::Result<EntryRow> {
    let stream_type = text(row, 1)?;
    let event_type = text(row, 4)?;
    let leaf = text(row, 11)?;
    let filing = match (row.get_ref(6)?, row.get_ref(7)?) {
        (ValueRef::Null, ValueRef::Null) => None,
        (ValueRef::Blob(_), ValueRef::Integer(_)) => {
            Some(FilingRef { digest: hash32(row, 6)?, item: row.get(7)? })
        }
        (filing, _) => {
            let (column, cause) = half_cited(leaf, filing != ValueRef::Null);
            let column = if column == "filing" { 6 } else { 7 };
            return Err(damaged(column, cause.to_owned()));
        }
    };
    Ok(EntryRow {
        position: Position(unsigned(row.get(0)?, 0)?),
        sealed: SealedEntry {
            leaf: leaf.as_bytes().to_vec(),
            link: hash32(row, 9)?,
            signature: row.get(10)?,
            kid: row.get(8)?,
        },
        filing,
        stream: StreamRef {
            id: row.get(2)?,
            kind: stream_type_of(stream_type)
                .ok_or_else(|| damaged(1, format!("stream type `{stream_type}` is not known")))?,
            version: unsigned(row.get(3)?, 3)?,
        },
        event_type: EventType::parse(event_type)
            .ok_or_else(|| damaged(4, format!("event type `{event_type}` is not known")))?,
        time: Timestamp::from_micros(row.get(5)?),
    })
}

fn filing_row(row: &Row<'_>) -> rusqlite::Result<FilingRow> {
    let read = || {
        Ok(FilingRow {
            first_position: Position(unsigned(row.get(0)?, 0)?),
            items: row.get(1)?,
            digest: hash32(row, 2)?,
            iss: row.get(3)?,
            jti: row.get(4)?,
            jwt: row.get(5)?,
        })
    };
    read().map_err(|e| in_cell(e, row, "filings", FILING_COLUMNS))
}

fn disclosure_row(row: &Row<'_>) -> rusqlite::Result<DisclosureRow> {
    let read = || {
        Ok(DisclosureRow {
            position: Position(unsigned(row.get(0)?, 0)?),
            digest: hash32(row, 1)?,
            encoded: row.get(2)?,
        })
    };
    read().map_err(|e| in_cell(e, row, "disclosures", DISCLOSURE_COLUMNS))
}

/// Names the cell that a row could not be read for. `columns`: those of the statement, the
/// first of them the row's position.
fn in_cell(
    error: rusqlite::Error,
    row: &Row<'_>,
    table: &'static str,
    columns: &'static str,
) -> rusqlite::Error {
    use rusqlite::Error as E;
    let (index, cause) = match &error {
        E::FromSqlConversionFailure(index, _, cause) => (*index, cause.to_string()),
        E::IntegralValueOutOfRange(index, value) => (*index, format!("{value} is out of range")),
        E::InvalidColumnType(index, ..) => (*index, "it holds another type of value".to_owned()),
        _ => return error,
    };
    let (Some(column), Ok(position)) = (columns.split(", ").nth(index), row.get(0)) else {
        return error;
    };
    let cell = UnreadableCell { table, position, column, cause };
    E::FromSqlConversionFailure(index, rusqlite::types::Type::Null, Box::new(cell))
}

fn hash32(row: &Row<'_>, column: usize) -> rusqlite::Result<Hash32> {
    Ok(Hash32(row.get(column)?))
}

fn text<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<&'a str> {
    row.get_ref(column)?.as_str().map_err(|e| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, e.into())
    })
}

/// Positions and versions stay far below 2^63. One beyond comes from somebody who asks for
/// it: nothing is found there.
fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64, column: usize) -> rusqlite::Result<u64> {
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

fn damaged(column: usize, cause: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, cause.into())
}

/// What a failure of SQLite on a file means.
pub(crate) fn fault(error: rusqlite::Error, attempted: impl Into<String>, path: &Path) -> Fault {
    use rusqlite::Error as E;
    let kind = match &error {
        E::SqliteFailure(failure, _) => match failure.code {
            ErrorCode::DiskFull => FaultKind::Full,
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied => FaultKind::ReadOnly,
            // The file is there: it, or the log beside it, is not ours to open.
            ErrorCode::CannotOpen if path.exists() => FaultKind::ReadOnly,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => FaultKind::Corrupt,
            _ => FaultKind::Unavailable,
        },
        E::FromSqlConversionFailure(..)
        | E::IntegralValueOutOfRange(..)
        | E::InvalidColumnType(..)
        | E::Utf8Error(_) => FaultKind::Corrupt,
        _ => FaultKind::Unavailable,
    };
    let fault = Fault::new(kind, attempted, path.display().to_string());
    match error {
        // What could not be read says so itself; the number of its column tells nobody more.
        E::FromSqlConversionFailure(_, _, cause) => fault.because(cause),
        error => fault.because(error),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;
    use crate::store::contract::{self, ORIGIN, Sample};

    async fn filled(directory: &Path) -> (SqliteStore, Sample) {
        let store = SqliteStore::create(directory, ORIGIN).expect("a new store");
        let mut sample = Sample::default();
        let batch = sample.batch(20, 2);
        sample.add(&batch);
        store.append(batch).await.expect("an append");
        (store, sample)
    }

    fn direct(directory: &Path) -> Connection {
        Connection::open(directory.join(LEDGER_FILE)).expect("the file opens")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_embedded_store_keeps_the_contract() {
        let directory = tempfile::tempdir().expect("a directory");
        let open = || async { SqliteStore::create(directory.path(), ORIGIN).expect("it opens") };
        contract::run(open).await;
    }

    #[tokio::test]
    async fn an_edit_past_the_store_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let (store, sample) = filled(directory.path()).await;
        let connection = direct(directory.path());
        for edit in [
            "UPDATE entries SET leaf = '{}' WHERE position = 3",
            "DELETE FROM entries WHERE position = 40",
            "INSERT OR REPLACE INTO entries SELECT * FROM entries WHERE position = 3",
            "INSERT INTO entries SELECT position + 60, stream_type, 'x', 1, event_type, recorded, \
             filing, item, kid, link, signature, leaf FROM entries WHERE position = 3",
            "UPDATE filings SET jwt = '' WHERE first_position = 1",
            "DELETE FROM filings",
            "INSERT OR REPLACE INTO filings SELECT * FROM filings WHERE first_position = 1",
            "UPDATE disclosures SET encoded = 'x'",
            "UPDATE ledger SET origin = 'x'",
            "UPDATE events SET payload = '{}'",
            "DELETE FROM events",
            "INSERT INTO events VALUES ('party', 'x', 1, 'PartyRegistered', '1', '{}', '{}')",
        ] {
            assert!(connection.execute(edit, []).is_err(), "refused: {edit}");
        }
        contract::compare(&store, &sample).await;
    }

    #[tokio::test]
    async fn the_events_view_shows_an_entry_as_cqrs_tools_expect_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let (_store, sample) = filled(directory.path()).await;
        let connection = direct(directory.path());
        let row: (i64, String, String, String, String) = connection
            .query_row(
                "SELECT sequence, event_type, event_version, payload, metadata FROM events \
                 WHERE aggregate_type = 'access' AND aggregate_id = '7'",
                [],
                |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?)),
            )
            .expect("one event");
        let (sequence, event_type, event_version, payload, metadata) = row;
        assert_eq!(
            (sequence, event_type.as_str(), event_version.as_str()),
            (1, "AccessRecorded", "1")
        );
        let payload: serde_json::Value = serde_json::from_str(&payload).expect("JSON");
        let leaf: serde_json::Value =
            serde_json::from_slice(&sample.entries[7].sealed.leaf).expect("JSON");
        assert_eq!(payload, leaf["event"]);
        let metadata: HashMap<String, String> =
            serde_json::from_str(&metadata).expect("every value is a string");
        assert_eq!(metadata["position"], "7");
        assert_eq!(metadata["item"], "0");
    }

    #[tokio::test]
    async fn a_query_of_the_register_reads_no_access() {
        let directory = tempfile::tempdir().expect("a directory");
        let (_store, _) = filled(directory.path()).await;
        let sql = sql_of_types(&[StreamType::Party, StreamType::Ledger]);
        let plan: Vec<String> = direct(directory.path())
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .expect("a statement")
            .query_map([5, 9], |row| row.get(3))
            .expect("a plan")
            .collect::<rusqlite::Result<_>>()
            .expect("a plan");
        let plan = plan.join("; ");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        assert!(plan.contains("entries_of_register"), "{plan}");
    }

    #[tokio::test]
    async fn a_second_server_on_a_directory_is_refused_until_the_first_stops() {
        let directory = tempfile::tempdir().expect("a directory");
        let (store, sample) = filled(directory.path()).await;
        let refused = SqliteStore::open(directory.path()).err().expect("refused");
        assert_eq!(refused.kind(), FaultKind::InUse);
        // Readers are welcome, and see what was appended.
        let reader = SqliteStore::open_read_only(directory.path()).expect("a reader");
        contract::compare(&reader, &sample).await;
        match reader.append(sample.batch(1, 1)).await {
            Err(AppendError::NotApplied(f)) => assert_eq!(f.kind(), FaultKind::ReadOnly),
            other => panic!("a reader appends nothing: {other:?}"),
        }
        drop(store);
        SqliteStore::open(directory.path()).expect("free again");
    }

    #[tokio::test]
    async fn another_origin_a_newer_schema_and_an_empty_directory_are_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let missing = SqliteStore::open(directory.path()).err().expect("refused");
        assert_eq!(missing.kind(), FaultKind::Missing);
        let (store, _) = filled(directory.path()).await;
        drop(store);
        let other = SqliteStore::create(directory.path(), "other.example").err().expect("refused");
        assert_eq!(other.kind(), FaultKind::OtherOrigin);
        assert!(other.source().is_some_and(|s| s.to_string().contains(ORIGIN)));
        direct(directory.path()).pragma_update(None, "user_version", 99).expect("an edit");
        let newer = SqliteStore::open(directory.path()).err().expect("refused");
        assert_eq!(newer.kind(), FaultKind::NewerSchema);
        let newer = SqliteStore::open_read_only(directory.path()).err().expect("refused");
        assert_eq!(newer.kind(), FaultKind::NewerSchema);
    }

    #[tokio::test]
    async fn a_full_disk_loses_nothing_and_the_ledger_goes_on_when_there_is_room() {
        let directory = tempfile::tempdir().expect("a directory");
        let (store, mut sample) = filled(directory.path()).await;
        drop(store);
        let store = SqliteStore::open_with_room(directory.path(), 40).expect("it opens");
        let fault = loop {
            let batch = sample.batch(50, 1);
            match store.append(batch.clone()).await {
                Ok(()) => sample.add(&batch),
                Err(AppendError::NotApplied(fault)) => break fault,
                Err(other) => panic!("a full disk is known to apply nothing: {other:?}"),
            }
        };
        assert_eq!(fault.kind(), FaultKind::Full);
        assert!(fault.retry_is_safe());
        contract::compare(&store, &sample).await;
        drop(store);
        let store = SqliteStore::open(directory.path()).expect("it opens");
        let batch = sample.batch(50, 1);
        sample.add(&batch);
        store.append(batch).await.expect("there is room again");
        contract::compare(&store, &sample).await;
    }

    /// A commit hook that says no makes SQLite fail the COMMIT itself.
    pub(super) fn fail_commits(connection: &Connection, options: &WriterOptions) {
        let left = Arc::clone(&options.failing_commits);
        connection.commit_hook(Some(move || {
            left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok()
        }));
    }

    #[tokio::test]
    async fn a_failed_commit_is_settled_before_anything_else() {
        let directory = tempfile::tempdir().expect("a directory");
        let (store, mut sample) = filled(directory.path()).await;
        drop(store);
        let options = WriterOptions::default();
        let failing = Arc::clone(&options.failing_commits);
        let store = SqliteStore::open_writer(directory.path(), None, options).expect("it opens");
        let batch = sample.batch(3, 1);
        // The commit fails and the next one does not: it is known that nothing was applied.
        failing.store(1, Relaxed);
        let answer = store.append(batch.clone()).await;
        assert!(matches!(answer, Err(AppendError::NotApplied(_))), "{answer:?}");
        // The commit and all attempts to settle fail: nobody can tell until one succeeds.
        failing.store(4, Relaxed);
        let answer = store.append(batch.clone()).await;
        assert!(matches!(answer, Err(AppendError::Unknown(_))), "{answer:?}");
        assert!(store.head().await.is_err());
        let answer = store.append(batch.clone()).await;
        assert!(matches!(answer, Err(AppendError::NotApplied(_))), "{answer:?}");
        assert_eq!(store.head().await.expect("settled"), sample.head());
        sample.add(&batch);
        store.append(batch).await.expect("an append");
        contract::compare(&store, &sample).await;
    }

    /// Whether the ledger's own file, without its log, holds these bytes.
    fn file_holds(directory: &Path, needle: &[u8]) -> bool {
        let bytes = std::fs::read(directory.join(LEDGER_FILE)).expect("readable");
        bytes.windows(needle.len()).any(|window| window == needle)
    }

    #[tokio::test]
    async fn the_log_is_folded_into_the_file_when_the_writer_stops_and_when_it_opens() {
        let directory = tempfile::tempdir().expect("a directory");
        let (store, sample) = filled(directory.path()).await;
        let leaf = sample.entries[7].sealed.leaf.clone();
        // A reader that stays open keeps SQLite from folding of its own accord.
        let reader = SqliteStore::open_read_only(directory.path()).expect("a reader");
        contract::compare(&reader, &sample).await;
        contract::compare(&store, &sample).await;
        assert!(!file_holds(directory.path(), &leaf), "still in the log");
        let killed = tempfile::tempdir().expect("a directory");
        for name in ["ledger.db", "ledger.db-wal"] {
            std::fs::copy(directory.path().join(name), killed.path().join(name)).expect("a copy");
        }
        drop(store);
        assert!(file_holds(directory.path(), &leaf), "folded on stopping");
        // What a killed server left behind.
        assert!(!file_holds(killed.path(), &leaf));
        let store = SqliteStore::open(killed.path()).expect("it opens");
        assert!(file_holds(killed.path(), &leaf), "folded on opening");
        contract::compare(&store, &sample).await;
    }

    #[tokio::test]
    async fn an_erased_value_is_in_no_file_afterwards() {
        let directory = tempfile::tempdir().expect("a directory");
        let (store, sample) = filled(directory.path()).await;
        let gone = sample.disclosures[5].clone();
        let holds = |needle: &str| {
            std::fs::read_dir(directory.path()).expect("a directory").any(|file| {
                let bytes = std::fs::read(file.expect("a file").path()).expect("readable");
                bytes.windows(needle.len()).any(|w| w == needle.as_bytes())
            })
        };
        assert!(holds(&gone.encoded));
        let mut batch = sample.batch(1, 1);
        batch.erased.push(gone.digest);
        store.append(batch).await.expect("an append");
        assert!(!holds(&gone.encoded), "overwritten in the file and gone from the log");
        assert!(holds(&sample.disclosures[6].encoded));
    }
}
