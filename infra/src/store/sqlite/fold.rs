//! The log of the embedded store, moved into its file beside the writer.
//!
//! Left to itself, SQLite does that inside a commit once the log is long, and that commit
//! waits until tens of megabytes are on disk. Here a thread with a connection of its own
//! moves a little at a time while the writer goes on (`PRAGMA wal_checkpoint(PASSIVE)` waits
//! for nobody and stops nobody); once all of the log is in the file, the next commit starts
//! it again. What is durable is SQLite's affair as before: the log is on disk before a commit
//! returns, and the file before the log is started again. Not here: what must be gone from
//! the log at once (`empty`), which the writer does itself.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use rusqlite::{Connection, OpenFlags};

use super::{connect, fault};
use crate::store::Fault;

/// Bytes appended before they are moved: so few that it is done between two commits, as a
/// rule. Only then is the file synced by this thread, and the log started again.
const FOLD_BYTES: usize = 4 * 1024 * 1024;
/// A log of so many pages is moved by the writer: commits came in between again and again.
const LONG_PAGES: i64 = 4_000;
/// So is that of a thread which has not come to it, told so many times.
const PATIENCE: u32 = 8;

/// The thread, and what it shares with the writer.
pub(super) struct Folder {
    told: Option<mpsc::SyncSender<()>>,
    thread: Option<thread::JoinHandle<()>>,
    shared: Arc<Shared>,
    /// Bytes appended since it was last told.
    appended: usize,
    /// Times in a row that it was told and had not come to what it was told before.
    late: u32,
}

#[derive(Default)]
struct Shared {
    /// SQLite lets one connection do it at a time, and tells others that it is busy.
    folding: Mutex<()>,
    /// The log is long in spite of it all.
    is_long: AtomicBool,
}

impl Shared {
    fn begin(&self) -> MutexGuard<'_, ()> {
        self.folding.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Folder {
    /// Starts it on the file that a writer has opened.
    pub fn start(path: &Path) -> Result<Self, Fault> {
        let failed = |e| fault(e, "open the ledger", path);
        let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
        let shared = Arc::new(Shared::default());
        let (told, queue) = mpsc::sync_channel(1);
        let state = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("ledger-folder".to_owned())
            .spawn(move || {
                for () in queue {
                    let folding = state.begin();
                    let pages = pass(&connection);
                    drop(folding);
                    state.is_long.store(pages >= LONG_PAGES, Ordering::Relaxed);
                }
            })
            .map_err(|e| Fault::io(e, "start a thread of", path.display().to_string()))?;
        Ok(Self { told: Some(told), thread: Some(thread), shared, appended: 0, late: 0 })
    }

    /// Takes note of an append by the writer, whose connection this is.
    pub fn appended(&mut self, bytes: usize, writer: &Connection) {
        self.appended += bytes;
        let mut moves_itself = self.shared.is_long.swap(false, Ordering::Relaxed);
        if self.appended >= FOLD_BYTES {
            self.appended = 0;
            let told = self.told.as_ref().expect("only taken when dropped").try_send(());
            self.late = if told.is_err() { self.late + 1 } else { 0 };
            moves_itself |= self.late >= PATIENCE;
        }
        if moves_itself {
            let _folding = self.shared.begin();
            pass(writer);
            self.late = 0;
        }
    }

    /// Moves everything and empties the log; whether that was done. A reader may hold it back.
    pub fn empty(&self, writer: &Connection) -> bool {
        let _folding = self.shared.begin();
        empty(writer)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.told = None;
        if let Some(thread) = self.thread.take() {
            // One that panicked has said so already; the writer has gone on without it.
            let _ = thread.join();
        }
    }
}

/// Moves what is committed and no reader needs in the log; pages that the log has. A failure
/// leaves the log as it is, which is whole.
fn pass(connection: &Connection) -> i64 {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1)).unwrap_or(0)
}

/// Moves what the log holds into the file and empties it; whether that was done.
pub(super) fn empty(connection: &Connection) -> bool {
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
        .is_ok_and(|busy| busy == 0)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// A writer as the store has one, with a table to fill, and its folder.
    fn writer(directory: &Path) -> (Connection, Folder) {
        let path = directory.join("folded.db");
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let connection = connect(&path, flags).expect("a file");
        connection.pragma_update(None, "journal_mode", "WAL").expect("a log");
        connection.pragma_update(None, "wal_autocheckpoint", 0).expect("left alone");
        connection.execute_batch("CREATE TABLE filled (bytes BLOB)").expect("a table");
        let folder = Folder::start(&path).expect("a thread");
        (connection, folder)
    }

    fn append(connection: &Connection, folder: &mut Folder) {
        let bytes = FOLD_BYTES / 4;
        connection.execute("INSERT INTO filled VALUES (zeroblob(?1))", [bytes]).expect("filled");
        folder.appended(bytes, connection);
    }

    fn log_bytes(directory: &Path) -> u64 {
        std::fs::metadata(directory.join("folded.db-wal")).expect("a log").len()
    }

    /// Appends until something holds; panics after a minute.
    fn append_until(
        connection: &Connection,
        folder: &mut Folder,
        mut holds: impl FnMut() -> bool,
    ) -> usize {
        let begun = Instant::now();
        let mut appended = 0;
        while !holds() {
            assert!(begun.elapsed() < Duration::from_secs(60), "after {appended} appends");
            append(connection, folder);
            appended += 1;
        }
        appended
    }

    #[test]
    fn the_log_is_started_again_while_the_writer_goes_on() {
        let directory = tempfile::tempdir().expect("a directory");
        let (connection, mut folder) = writer(directory.path());
        let file = directory.path().join("folded.db");
        let in_file = || std::fs::metadata(&file).expect("a file").len();
        let appended =
            append_until(&connection, &mut folder, || in_file() > 40 * FOLD_BYTES as u64);
        let longest = LONG_PAGES as u64 * 4_096 + 16 * FOLD_BYTES as u64;
        assert!(log_bytes(directory.path()) < longest, "after {appended} appends");
    }

    #[test]
    fn a_reader_holds_the_log_back_and_nothing_waits() {
        let directory = tempfile::tempdir().expect("a directory");
        let (connection, mut folder) = writer(directory.path());
        append(&connection, &mut folder);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let reader = connect(&directory.path().join("folded.db"), flags).expect("a reader");
        reader.execute_batch("BEGIN").expect("a transaction");
        let count = |c: &Connection| -> i64 {
            c.query_row("SELECT count(*) FROM filled", [], |row| row.get(0)).expect("a number")
        };
        assert_eq!(count(&reader), 1);
        for _ in 0..40 {
            append(&connection, &mut folder);
        }
        assert_eq!(count(&reader), 1, "what it began to read");
        connection.busy_timeout(Duration::ZERO).expect("no patience");
        assert!(!folder.empty(&connection), "the reader holds the log back");
        reader.execute_batch("COMMIT").expect("done");
        assert_eq!(count(&reader), 41);
        assert!(folder.empty(&connection));
        assert_eq!(log_bytes(directory.path()), 0);
    }

    #[test]
    fn without_its_thread_the_writer_moves_the_log() {
        let directory = tempfile::tempdir().expect("a directory");
        let (connection, mut folder) = writer(directory.path());
        // As after a panic: nobody listens.
        folder.told = Some(mpsc::sync_channel(1).0);
        let file = directory.path().join("folded.db");
        let in_file = || std::fs::metadata(&file).expect("a file").len() > 4 * FOLD_BYTES as u64;
        append_until(&connection, &mut folder, in_file);
    }
}
