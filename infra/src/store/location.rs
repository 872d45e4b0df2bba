//! Where a ledger's bytes are: which engine, and its address.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::sqlite::LEDGER_FILE;
use super::{DirectoryLock, Fault, FaultKind, PostgresStore, SqliteStore, Store};
use crate::ledger::Purpose;

/// A store's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// The directory of an embedded store.
    Sqlite(PathBuf),
    /// A database.
    Postgres {
        url: String,
        /// The role of its servers, if the tables are another's.
        service: Option<String>,
    },
}

impl Location {
    /// The embedded store in a data directory.
    pub fn in_directory(directory: &Path) -> Self {
        Self::Sqlite(directory.to_owned())
    }

    /// `sqlite:PATH` (the directory, or the ledger's file in it) or `postgres://…`. `None`:
    /// no engine of ours.
    pub fn parse(url: &str) -> Option<Self> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Some(Self::Postgres { url: url.to_owned(), service: None });
        }
        let path = url.strip_prefix("sqlite:")?;
        let path = PathBuf::from(path.strip_prefix("//").unwrap_or(path));
        let is_file = path.file_name().is_some_and(|name| name == LEDGER_FILE) || path.is_file();
        match path.parent() {
            Some(parent) if is_file => Some(Self::Sqlite(parent.to_owned())),
            _ => Some(Self::Sqlite(path)),
        }
    }

    /// The directory of an embedded store.
    pub fn directory(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(directory) => Some(directory),
            Self::Postgres { .. } => None,
        }
    }

    /// Whether the store shares this directory's disk and its fate.
    pub fn is_embedded_in(&self, directory: &Path) -> bool {
        self.directory() == Some(directory)
    }

    /// Keeps a data directory to this process; an embedded store in it does so itself.
    pub fn lock(&self, directory: &Path) -> Result<Option<DirectoryLock>, Fault> {
        if self.is_embedded_in(directory) {
            return Ok(None);
        }
        DirectoryLock::take(directory).map(Some)
    }

    /// Opens a ledger of this origin to write it, making what is not there yet.
    pub async fn create(&self, origin: &str) -> Result<Arc<dyn Store>, Fault> {
        Ok(match self {
            Self::Sqlite(directory) => Arc::new(SqliteStore::create(directory, origin)?),
            Self::Postgres { url, service } => {
                Arc::new(PostgresStore::create(url, origin, service.as_deref()).await?)
            }
        })
    }

    /// Opens the ledger that is there.
    pub async fn open(&self, purpose: Purpose) -> Result<Arc<dyn Store>, Fault> {
        Ok(match (self, purpose) {
            (Self::Sqlite(directory), Purpose::Serve | Purpose::Write) => {
                Arc::new(SqliteStore::open(directory)?)
            }
            (Self::Sqlite(directory), Purpose::Follow | Purpose::Read) => {
                Arc::new(SqliteStore::open_read_only(directory)?)
            }
            (Self::Postgres { url, .. }, Purpose::Serve) => {
                Arc::new(PostgresStore::open(url).await?)
            }
            (Self::Postgres { url, .. }, Purpose::Write) => {
                Arc::new(PostgresStore::open_to_write(url).await?)
            }
            (Self::Postgres { url, .. }, Purpose::Follow | Purpose::Read) => {
                Arc::new(PostgresStore::open_read_only(url).await?)
            }
        })
    }

    /// What is not an engine of ours.
    pub fn unknown(url: &str) -> Fault {
        Fault::new(
            FaultKind::Missing,
            "open the ledger",
            format!("store for `{url}` in this build"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_a_directory_or_a_database() {
        let sqlite = |path: &str| Some(Location::Sqlite(PathBuf::from(path)));
        assert_eq!(Location::parse("sqlite:/var/lib/greffe"), sqlite("/var/lib/greffe"));
        assert_eq!(Location::parse("sqlite:///var/lib/greffe"), sqlite("/var/lib/greffe"));
        assert_eq!(Location::parse("sqlite:/var/lib/greffe/ledger.db"), sqlite("/var/lib/greffe"));
        assert_eq!(Location::parse("sqlite:greffe"), sqlite("greffe"));
        let url = "postgres://greffe@a,b/ledger";
        let postgres = Location::Postgres { url: url.to_owned(), service: None };
        assert_eq!(Location::parse(url), Some(postgres));
        for other in ["nonsense://x", "/var/lib/greffe", "mysql://a/b", ""] {
            assert_eq!(Location::parse(other), None, "{other}");
        }
    }
}
