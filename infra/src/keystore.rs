//! The ledger's secrets on disk: files of mode 0600 in the data directory, beside the store
//! and never in it.
//!
//! * `ledger-key.pem`: signs entries and heads (PKCS#8 PEM).
//! * `ledger-key-next.pem`: while the key is being changed. It takes the other's place once
//!   the entry that names it is in the ledger; a crash between the two is found at start-up,
//!   when the ledger asks for the key that it names ([`KeyStore::ledger_key`]).
//! * `subject-secret`: 32 bytes; keys the references to persons. Lost, no reference can be
//!   computed again; leaked, they can be guessed.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use greffe_domain::key::SecretKey;

use crate::entropy;
use crate::store::{Fault, FaultKind};

const LEDGER_KEY: &str = "ledger-key.pem";
const NEXT_LEDGER_KEY: &str = "ledger-key-next.pem";
const SUBJECT_SECRET: &str = "subject-secret";

/// A fresh key.
pub fn generate_key() -> Result<SecretKey, Fault> {
    Ok(SecretKey::from_seed(&entropy::draw()?))
}

/// Reads a private key file (PKCS#8 PEM).
pub fn read_key(path: &Path) -> Result<SecretKey, Fault> {
    let shown = path.display().to_string();
    let pem = fs::read_to_string(path).map_err(|e| Fault::io(e, "read the key", &shown))?;
    SecretKey::from_pem(&pem).ok_or_else(|| {
        Fault::new(FaultKind::Corrupt, "read the key", shown)
            .because("it is not an Ed25519 private key in PKCS#8 PEM")
    })
}

/// Writes a private key file of mode 0600. Errors: `AlreadyThere`; nothing is overwritten.
pub fn write_key(path: &Path, key: &SecretKey) -> Result<(), Fault> {
    write_private(path, key.to_pem().as_bytes(), "write the key")
}

#[derive(Debug, Clone)]
pub struct KeyStore {
    directory: PathBuf,
}

impl KeyStore {
    /// `directory`: the data directory, which exists.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// Draws the ledger's first key. Errors: `AlreadyThere`.
    pub fn create_ledger_key(&self) -> Result<SecretKey, Fault> {
        self.create(LEDGER_KEY)
    }

    /// The key that the next rotation names: the one a rotation that did not get there left
    /// behind, which nobody has seen, or a fresh one.
    pub fn next_ledger_key(&self) -> Result<SecretKey, Fault> {
        let path = self.directory.join(NEXT_LEDGER_KEY);
        if path.exists() { read_key(&path) } else { self.create(NEXT_LEDGER_KEY) }
    }

    fn create(&self, file: &str) -> Result<SecretKey, Fault> {
        let key = generate_key()?;
        write_key(&self.directory.join(file), &key)?;
        Ok(key)
    }

    /// The key the ledger names. If that is the next one, its rotation is in the ledger: the
    /// former key is replaced.
    ///
    /// Errors: `Missing` when neither file holds it.
    pub fn ledger_key(&self, kid: &str) -> Result<SecretKey, Fault> {
        let path = self.directory.join(LEDGER_KEY);
        let key = read_key(&path)?;
        if key.public().kid() == kid {
            return Ok(key);
        }
        let next = self.directory.join(NEXT_LEDGER_KEY);
        if next.exists() {
            let key = read_key(&next)?;
            if key.public().kid() == kid {
                fs::rename(&next, &path)
                    .and_then(|()| sync_directory(&self.directory))
                    .map_err(|e| Fault::io(e, "put the new key in place", shown(&path)))?;
                return Ok(key);
            }
        }
        Err(Fault::new(FaultKind::Missing, "sign for the ledger", shown(&path))
            .because(format!("the ledger's key is {kid}, which is in neither key file")))
    }

    /// The ledger's first key, before a ledger says which is its.
    pub fn first_ledger_key(&self) -> Result<SecretKey, Fault> {
        read_key(&self.directory.join(LEDGER_KEY))
    }

    /// Draws the secret of subject references. Errors: `AlreadyThere`.
    pub fn create_subject_secret(&self) -> Result<[u8; 32], Fault> {
        let secret = entropy::draw()?;
        let path = self.directory.join(SUBJECT_SECRET);
        write_private(&path, &secret, "write the subject secret")?;
        Ok(secret)
    }

    pub fn subject_secret(&self) -> Result<[u8; 32], Fault> {
        let path = self.directory.join(SUBJECT_SECRET);
        let bytes =
            fs::read(&path).map_err(|e| Fault::io(e, "read the subject secret", shown(&path)))?;
        bytes.try_into().map_err(|_| {
            Fault::new(FaultKind::Corrupt, "read the subject secret", shown(&path))
                .because("it is not 32 bytes long")
        })
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Writes a file that only its owner reads: whole or not at all, and never over another.
fn write_private(path: &Path, bytes: &[u8], attempted: &str) -> Result<(), Fault> {
    let fault = |e| Fault::io(e, attempted, shown(path));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft).map_err(fault)?;
    // A link, unlike a rename, fails when the name is taken.
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(&draft, path));
    let removed = fs::remove_file(&draft);
    written.and(removed).map_err(fault)?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_directory(parent).map_err(fault),
        _ => sync_directory(Path::new(".")).map_err(fault),
    }
}

/// Makes new names durable.
fn sync_directory(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_written_once_and_for_their_owner_only() {
        let directory = tempfile::tempdir().expect("a directory");
        let keys = KeyStore::new(directory.path());
        let key = keys.create_ledger_key().expect("a key");
        let secret = keys.create_subject_secret().expect("a secret");
        assert_eq!(keys.subject_secret().expect("readable"), secret);
        assert_eq!(keys.first_ledger_key().expect("readable").public().kid(), key.public().kid());
        for again in [keys.create_ledger_key().err(), keys.create_subject_secret().err()] {
            assert_eq!(again.expect("refused").kind(), FaultKind::AlreadyThere);
        }
        let names: Vec<_> = fs::read_dir(directory.path())
            .expect("a directory")
            .map(|file| file.expect("a file"))
            .collect();
        assert_eq!(names.len(), 2, "no draft stays behind");
        #[cfg(unix)]
        for file in names {
            use std::os::unix::fs::PermissionsExt;
            let mode = file.metadata().expect("its mode").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{:?}", file.path());
        }
    }

    #[test]
    fn a_rotation_interrupted_before_or_after_its_entry_ends_with_the_right_key() {
        let directory = tempfile::tempdir().expect("a directory");
        let keys = KeyStore::new(directory.path());
        let first = keys.create_ledger_key().expect("a key");
        let next = keys.next_ledger_key().expect("a key");
        let again = keys.next_ledger_key().expect("that of the rotation that was interrupted");
        assert_eq!(again.public(), next.public());
        let kid = |key: SecretKey| key.public().kid().to_owned();
        let (first, next) = (kid(first), kid(next));
        assert_eq!(kid(keys.ledger_key(&first).expect("the former key")), first);
        assert_eq!(kid(keys.ledger_key(&next).expect("the new key")), next);
        assert_eq!(kid(keys.ledger_key(&next).expect("in its place")), next);
        assert_eq!(keys.ledger_key(&first).expect_err("gone").kind(), FaultKind::Missing);
        let fresh = keys.next_ledger_key().expect("free for the next rotation");
        assert_ne!(kid(fresh), next);
    }
}
