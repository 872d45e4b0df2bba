//! The ledger's secrets: files of mode 0600, in the data directory or one of their own,
//! beside the store and never in it; or handed over by whoever starts the process.
//!
//! * `ledger-key.pem`: signs entries and heads (PKCS#8 PEM).
//! * `ledger-key-next.pem`: while the key is being changed. It takes the other's place once
//!   the entry that names it is in the ledger; a crash between the two is found at start-up,
//!   when the ledger asks for the key that it names ([`KeyStore::ledger_key`]).
//! * `subject-secret`: 32 bytes; keys the references to persons. Lost, no reference can be
//!   computed again; leaked, they can be guessed.
//!
//! This is the seam for a hardware module (`docs/operations.md`, "Keys"): all that it asks
//! for is one [`SecretKey`] and one secret at start-up, which such a module unseals. A key
//! that signs inside the module would be a [`SecretKey`] of another sort
//! (`domain/src/key.rs`): entries and heads are signed through it and nothing else.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use greffe_domain::key::SecretKey;

use crate::entropy;
use crate::store::{Fault, FaultKind};

const LEDGER_KEY: &str = "ledger-key.pem";
const NEXT_LEDGER_KEY: &str = "ledger-key-next.pem";
const SUBJECT_SECRET: &str = "subject-secret";
/// Of the registrar, if it was made here: it registers parties, and signs no entry.
pub const REGISTRAR_KEY: &str = "registrar-key.pem";

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

#[derive(Clone)]
pub struct KeyStore {
    directory: PathBuf,
    given: Given,
}

/// Secrets that were handed over, and are in no file of ours.
#[derive(Clone, Default)]
pub struct Given {
    pub ledger_key: Option<SecretKey>,
    pub subject_secret: Option<[u8; 32]>,
}

impl KeyStore {
    /// `directory`: where the files are, which exists.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self::with(directory, Given::default())
    }

    /// What is given is not looked for in the directory.
    pub fn with(directory: impl Into<PathBuf>, given: Given) -> Self {
        Self { directory: directory.into(), given }
    }

    /// Whether the ledger's key is a file here, which a rotation can replace.
    pub fn holds_ledger_key(&self) -> bool {
        self.given.ledger_key.is_none()
    }

    /// Copies the files that are here into another directory, where they are not yet, the
    /// registrar's key with them; their names. Nothing that was handed over is written.
    pub fn copy_to(&self, to: &Path) -> Result<Vec<&'static str>, Fault> {
        let mut copied = Vec::new();
        for name in [LEDGER_KEY, NEXT_LEDGER_KEY, SUBJECT_SECRET, REGISTRAR_KEY] {
            let from = self.directory.join(name);
            match fs::read(&from) {
                Ok(bytes) => {
                    write_private(&to.join(name), &bytes, "copy a key")?;
                    copied.push(name);
                }
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(Fault::io(e, "copy a key", shown(&from))),
            }
        }
        Ok(copied)
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
        if let Some(key) = &self.given.ledger_key {
            if key.public().kid() == kid {
                return Ok(key.clone());
            }
            let given = key.public().kid();
            return Err(Fault::new(FaultKind::Missing, "sign for the ledger", "the key given")
                .because(format!("the ledger's key is {kid}, and {given} was given")));
        }
        let path = self.directory.join(LEDGER_KEY);
        let key = read_secret_key(&path)?;
        if key.public().kid() == kid {
            return Ok(key);
        }
        let next = self.directory.join(NEXT_LEDGER_KEY);
        if next.exists() {
            let key = read_secret_key(&next)?;
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
        if let Some(secret) = self.given.subject_secret {
            return Ok(secret);
        }
        let path = self.directory.join(SUBJECT_SECRET);
        refuse_if_exposed(&path)?;
        let bytes =
            fs::read(&path).map_err(|e| Fault::io(e, "read the subject secret", shown(&path)))?;
        bytes.try_into().map_err(|_| {
            Fault::new(FaultKind::Corrupt, "read the subject secret", shown(&path))
                .because("it is not 32 bytes long")
        })
    }
}

/// The ledger's own key, from a file that not everybody reads.
fn read_secret_key(path: &Path) -> Result<SecretKey, Fault> {
    refuse_if_exposed(path)?;
    read_key(path)
}

/// A secret that every user of the machine reads is none. A group may be let in: some
/// systems hand files over that way.
fn refuse_if_exposed(path: &Path) -> Result<(), Fault> {
    use std::os::unix::fs::PermissionsExt;
    let exposed = fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o007 != 0);
    if exposed {
        return Err(Fault::new(FaultKind::Exposed, "use a secret", shown(path)));
    }
    Ok(())
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
    fn a_secret_that_everybody_reads_is_refused_and_one_given_needs_no_file() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().expect("a directory");
        let keys = KeyStore::new(directory.path());
        let key = keys.create_ledger_key().expect("a key");
        let secret = keys.create_subject_secret().expect("a secret");
        let kid = key.public().kid().to_owned();
        for name in [LEDGER_KEY, SUBJECT_SECRET] {
            let set = |mode| {
                let file = directory.path().join(name);
                fs::set_permissions(file, fs::Permissions::from_mode(mode)).expect("its mode");
            };
            let read = || keys.ledger_key(&kid).and_then(|_| keys.subject_secret());
            set(0o604);
            assert_eq!(read().expect_err("refused").kind(), FaultKind::Exposed, "{name}");
            set(0o640);
            assert_eq!(read().expect("a group may be let in"), secret);
        }
        let nowhere = directory.path().join("nowhere");
        let given = Given { ledger_key: Some(key), subject_secret: Some(secret) };
        let keys = KeyStore::with(nowhere, given);
        assert_eq!(keys.ledger_key(&kid).expect("given").public().kid(), kid);
        assert_eq!(keys.subject_secret().expect("given"), secret);
        assert_eq!(keys.ledger_key("another").expect_err("not it").kind(), FaultKind::Missing);
        assert_eq!(keys.copy_to(directory.path()).expect("nothing to copy"), [""; 0]);
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
