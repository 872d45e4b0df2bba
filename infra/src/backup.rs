//! A copy of a ledger to keep elsewhere, taken beside whoever writes it, and what is made
//! of it when the ledger is lost (`docs/adr/0035-backup-and-restore.md`).
//!
//! A copy is a data directory without its secrets: the ledger as it was at one moment,
//! `trust.json`, the mark. Secrets, if asked for, go to a directory of their own: whoever has
//! both can sign for the ledger and find persons in it. A copy exists whole, checked byte by
//! byte and synced, or not at all. Restored, it is told what others saw of the ledger, so that
//! what it lacks is named and no position is signed twice.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use greffe_domain::encoding::Hash32;
use greffe_domain::kind::StreamType;
use greffe_domain::receipt::{self, LedgerKeys, NoGrant, RotationError};
use greffe_domain::seal::{Position, TreeSize};

use crate::fsck::{Checked, FsckError, fsck};
use crate::high_water::{HIGH_WATER_FILE, HighWater, Loss, Sync};
use crate::keystore::KeyStore;
use crate::ledger::{OpenError, current_kid};
use crate::store::{Fault, FaultKind, Head, SqliteStore, Store};
use crate::trust::{TRUST_FILE, Trust};

/// Why there is no copy, or nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error("the copy is not sound")]
    Unsound(#[source] FsckError),
    #[error(transparent)]
    Opening(#[from] OpenError),
    #[error("{shown} proves nothing about this ledger: {reason}")]
    NoReceipt { shown: String, reason: NoGrant },
    #[error("the ledger's keys are not known")]
    Keys(#[from] RotationError),
}

/// What a copy holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackedUp {
    pub head: Head,
    pub checked: Checked,
}

/// What was restored, and what is known to be missing from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    pub head: Head,
    pub checked: Checked,
    pub loss: Option<Loss>,
}

/// What others saw of a ledger that was lost.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Receipts, as the ledger gave them: files of one each.
    pub receipts: Vec<PathBuf>,
    /// High-water marks that outlived it.
    pub marks: Vec<PathBuf>,
}

/// Copies the embedded ledger of a data directory to a new directory.
///
/// `progress(done, all)`: entries of the copy checked. Errors: `AlreadyThere`; those of
/// reading and writing; nothing is left behind then.
pub async fn backup(
    directory: &Path,
    to: &Path,
    progress: impl FnMut(u64, u64),
) -> Result<BackedUp, BackupError> {
    whole_or_not(to, async |draft| {
        let source = SqliteStore::open_read_only(directory)?;
        copy(TRUST_FILE, directory, draft)?;
        source.copy_to(draft).await?;
        let (head, checked) = check(draft, progress).await?;
        mark(draft, source.origin(), head)?;
        Ok(BackedUp { head, checked })
    })
    .await
}

/// Copies the secrets of a ledger to a new directory; the files' names. Those that were
/// handed over are in no file, and are not written to one.
///
/// `backup`: a copy of the ledger; the key that it names is among them. Errors: `Missing` when
/// it is not, which is so if it was changed since.
pub async fn back_up_keys(
    keys: &KeyStore,
    to: &Path,
    backup: &Path,
) -> Result<Vec<&'static str>, BackupError> {
    whole_or_not(to, async |draft| {
        let copied = keys.copy_to(draft)?;
        if keys.holds_ledger_key() {
            let store = SqliteStore::open_read_only(backup)?;
            KeyStore::new(draft).ledger_key(&current_kid(&store).await?)?;
        }
        Ok(copied)
    })
    .await
}

/// Puts a copy back as a data directory, and tells it what others saw.
///
/// `keys`: a directory of secrets to put with it. Errors: `AlreadyThere` when `to` holds
/// anything: what is left of a lost ledger is evidence, and nothing is put over it. A receipt
/// that does not verify under the copy's keys.
pub async fn restore(
    from: &Path,
    keys: Option<&Path>,
    to: &Path,
    seen: &Seen,
    progress: impl FnMut(u64, u64),
) -> Result<Restored, BackupError> {
    whole_or_not(to, async |draft| {
        let backup = SqliteStore::open_read_only(from)?;
        backup.copy_to(draft).await?;
        copy(TRUST_FILE, from, draft)?;
        let (head, checked) = check(draft, progress).await?;
        let store = SqliteStore::open_read_only(draft)?;
        if let Some(keys) = keys {
            KeyStore::new(keys).copy_to(draft)?;
            KeyStore::new(draft).ledger_key(&current_kid(&store).await?)?;
        }
        let own = from.join(HIGH_WATER_FILE);
        let marks = seen.marks.iter().chain(own.exists().then_some(&own));
        let mut furthest = head;
        for path in marks {
            further(&mut furthest, HighWater::read(path, store.origin())?);
        }
        for (position, link) in proven(&store, draft, &seen.receipts).await? {
            further(&mut furthest, Head { size: TreeSize(position.0 + 1), link });
        }
        let mark = mark(draft, store.origin(), furthest)?;
        Ok(Restored { head, checked, loss: mark.loss(&store).await? })
    })
    .await
}

/// Entries that receipts prove, under the keys that the copy names.
async fn proven(
    store: &SqliteStore,
    directory: &Path,
    receipts: &[PathBuf],
) -> Result<Vec<(Position, Hash32)>, BackupError> {
    if receipts.is_empty() {
        return Ok(Vec::new());
    }
    let trust = Trust::read(&directory.join(TRUST_FILE))?;
    let mut keys = LedgerKeys::of(&greffe_domain::trust::Trust {
        origin: trust.origin,
        ledger_key: trust.ledger_key,
        min_size: trust.min_size,
    });
    let own = store.entries_of_types(&[StreamType::Ledger], Position(1), 10_000).await?;
    let rotations: Vec<Vec<u8>> = own.entries.iter().map(|row| row.sealed.to_json_line()).collect();
    keys.follow(rotations.iter().map(Vec::as_slice))?;
    let mut found = Vec::with_capacity(receipts.len());
    for path in receipts {
        let shown = path.display().to_string();
        let bytes = fs::read(path).map_err(|e| Fault::io(e, "read the receipt", &shown))?;
        let entry = receipt::entry_proven(&bytes, &keys)
            .map_err(|reason| BackupError::NoReceipt { shown, reason })?;
        found.push(entry);
    }
    Ok(found)
}

fn further(furthest: &mut Head, seen: Head) {
    if seen.size > furthest.size {
        *furthest = seen;
    }
}

async fn check(
    directory: &Path,
    progress: impl FnMut(u64, u64),
) -> Result<(Head, Checked), BackupError> {
    let store = SqliteStore::open_read_only(directory)?;
    let trust = Trust::read(&directory.join(TRUST_FILE))?;
    let checked = fsck(&store, Some(&trust), progress).await.map_err(BackupError::Unsound)?;
    Ok((store.head().await?, checked))
}

fn mark(directory: &Path, origin: &str, head: Head) -> Result<HighWater, Fault> {
    let mark = HighWater::open(&directory.join(HIGH_WATER_FILE), origin, Sync::Always)?;
    mark.raise(head)?;
    Ok(mark)
}

fn copy(name: &str, from: &Path, to: &Path) -> Result<(), Fault> {
    let from = from.join(name);
    fs::copy(&from, to.join(name))
        .map(drop)
        .map_err(|e| Fault::io(e, "copy", from.display().to_string()))
}

/// Makes a directory under another name, and gives it its own once it is whole and synced.
async fn whole_or_not<T>(
    to: &Path,
    make: impl AsyncFnOnce(&Path) -> Result<T, BackupError>,
) -> Result<T, BackupError> {
    let shown = to.display().to_string();
    let failed = |e| Fault::io(e, "write the copy", &shown);
    let taken = || Fault::new(FaultKind::AlreadyThere, "write the copy", &shown);
    // An empty one, which a service manager may have made, is replaced.
    let is_empty = || fs::read_dir(to).is_ok_and(|mut files| files.next().is_none());
    if to.exists() && !is_empty() {
        return Err(taken().into());
    }
    let name = to.file_name().ok_or_else(taken)?.to_string_lossy().into_owned();
    let draft = to.with_file_name(format!(".{name}.partial"));
    // Left by a run that was killed; nobody else uses this name.
    let _ = fs::remove_dir_all(&draft);
    private_directory(&draft).map_err(failed)?;
    let made = match make(&draft).await {
        Ok(made) => made,
        Err(error) => {
            let _ = fs::remove_dir_all(&draft);
            return Err(error);
        }
    };
    // What SQLite needed to read it is no part of it.
    for name in ["ledger.db-wal", "ledger.db-shm"] {
        let _ = fs::remove_file(draft.join(name));
    }
    let parent = to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync_files(&draft)
        .and_then(|()| fs::rename(&draft, to))
        .and_then(|()| File::open(parent)?.sync_all())
        .map_err(failed)?;
    Ok(made)
}

fn private_directory(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(directory)
}

fn sync_files(directory: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        File::open(entry?.path())?.sync_all()?;
    }
    File::open(directory)?.sync_all()
}
