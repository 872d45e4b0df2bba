//! The world failed: what was attempted on what, why, and whether to try again.

use std::error::Error;
use std::fmt;

/// What went wrong, as far as it changes what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// Another process owns the data directory.
    InUse,
    /// Opened for reading, or the file system does not let us write.
    ReadOnly,
    /// No room on the disk.
    Full,
    /// Nothing there.
    Missing,
    /// Something there that would be overwritten.
    AlreadyThere,
    /// It holds another ledger.
    OtherOrigin,
    /// A later version of Greffe wrote it.
    NewerSchema,
    /// What is stored cannot be read as what was stored.
    Corrupt,
    /// A secret that every user of the machine can read.
    Exposed,
    /// Anything else: input and output, locks, a stopped thread.
    Unavailable,
}

/// A failure of the world. Its cause is `source()`, not part of the message.
#[derive(Debug)]
pub struct Fault {
    kind: FaultKind,
    /// E.g. `append 12 entries at position 40`.
    attempted: String,
    /// E.g. `/var/lib/greffe/ledger.db`.
    on: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Fault {
    pub fn new(kind: FaultKind, attempted: impl Into<String>, on: impl Into<String>) -> Self {
        Self { kind, attempted: attempted.into(), on: on.into(), source: None }
    }

    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// A failed call on a file or directory.
    pub fn io(error: std::io::Error, attempted: impl Into<String>, on: impl Into<String>) -> Self {
        use std::io::ErrorKind as E;
        let kind = match error.kind() {
            E::PermissionDenied | E::ReadOnlyFilesystem => FaultKind::ReadOnly,
            E::StorageFull | E::QuotaExceeded => FaultKind::Full,
            E::NotFound | E::NotADirectory => FaultKind::Missing,
            E::AlreadyExists => FaultKind::AlreadyThere,
            _ => FaultKind::Unavailable,
        };
        Self::new(kind, attempted, on).because(error)
    }

    pub fn kind(&self) -> FaultKind {
        self.kind
    }

    /// Whether the same attempt may succeed later without doing harm.
    pub fn retry_is_safe(&self) -> bool {
        use FaultKind as K;
        matches!(self.kind, K::InUse | K::ReadOnly | K::Full | K::Unavailable)
    }

    /// What to try, in one line.
    pub fn advice(&self) -> &'static str {
        match self.kind {
            FaultKind::InUse => "stop the other process, or choose another data directory",
            FaultKind::ReadOnly => "make the directory and its files writable by this user",
            FaultKind::Full => "free some disk space, then try again: nothing was lost",
            FaultKind::Missing => "check the path, or create a ledger there with `greffe init`",
            FaultKind::AlreadyThere => "choose another directory; nothing is overwritten",
            FaultKind::OtherOrigin => "choose the data directory of this ledger, or another one",
            FaultKind::NewerSchema => "run a version of Greffe at least as recent as its writer",
            FaultKind::Corrupt => "run `greffe fsck` on it and restore from a copy",
            FaultKind::Exposed => {
                "let only its owner read it: chmod 600; if others may have, change it"
            }
            FaultKind::Unavailable => {
                "try again; if it persists, look at the disk or the database, and their logs"
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attempted, on, .. } = self;
        match self.kind {
            FaultKind::InUse => write!(f, "cannot {attempted}: another process uses {on}"),
            FaultKind::ReadOnly => write!(f, "cannot {attempted}: {on} cannot be written"),
            FaultKind::Full => write!(f, "cannot {attempted}: no room left for {on}"),
            FaultKind::Missing => write!(f, "cannot {attempted}: there is no {on}"),
            FaultKind::AlreadyThere => write!(f, "cannot {attempted}: {on} exists already"),
            FaultKind::OtherOrigin => write!(f, "cannot {attempted}: {on} holds another ledger"),
            FaultKind::NewerSchema => {
                write!(f, "cannot {attempted}: {on} was written by a later version")
            }
            FaultKind::Corrupt => write!(f, "cannot {attempted}: {on} is damaged"),
            FaultKind::Exposed => write!(f, "cannot {attempted}: anybody can read {on}"),
            FaultKind::Unavailable => write!(f, "cannot {attempted} on {on}"),
        }
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as _)
    }
}
