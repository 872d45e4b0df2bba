//! Where a ledger's bytes are: which engine, and its address.

use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(feature = "eventstore")]
use super::eventstore::{Address, KurrentStore};
use super::sqlite::LEDGER_FILE;
use super::{DirectoryLock, Fault, FaultKind, PostgresStore, SqliteStore, Store};
use crate::running::Purpose;

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
    /// A stream of an event store, with a side in a directory.
    #[cfg(feature = "eventstore")]
    EventStore(Address),
}

/// Schemes of the event store's URLs, which need the feature `eventstore`.
const EVENT_STORE_SCHEMES: [&str; 4] = ["esdb", "kurrentdb", "kurrent", "kdb"];

impl Location {
    /// The embedded store in a data directory.
    pub fn in_directory(directory: &Path) -> Self {
        Self::Sqlite(directory.to_owned())
    }

    /// `sqlite:PATH` (the directory, or the ledger's file in it), `postgres://…`, or, in a
    /// build that has it, `esdb://…` or `kurrentdb://…`. `None`: no engine of ours.
    pub fn parse(url: &str) -> Option<Self> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Some(Self::Postgres { url: url.to_owned(), service: None });
        }
        #[cfg(feature = "eventstore")]
        if let Some(address) = Address::parse(url) {
            return Some(Self::EventStore(address));
        }
        let path = url.strip_prefix("sqlite:")?;
        let path = PathBuf::from(path.strip_prefix("//").unwrap_or(path));
        let is_file = path.file_name().is_some_and(|name| name == LEDGER_FILE) || path.is_file();
        match path.parent() {
            Some(parent) if is_file => Some(Self::Sqlite(parent.to_owned())),
            _ => Some(Self::Sqlite(path)),
        }
    }

    /// Whether a URL names an engine that another build has, with the feature `eventstore`.
    pub fn needs_event_store(url: &str) -> bool {
        let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
        let engine = scheme.strip_suffix("+discover").unwrap_or(scheme);
        !cfg!(feature = "eventstore") && EVENT_STORE_SCHEMES.contains(&engine)
    }

    /// The same store, used with this data directory: what a store elsewhere keeps on this
    /// machine is in it, unless the URL says where.
    #[cfg_attr(not(feature = "eventstore"), expect(unused_variables))]
    pub fn beside(self, data: &Path) -> Self {
        match self {
            #[cfg(feature = "eventstore")]
            Self::EventStore(address) => Self::EventStore(address.with_side_in(data)),
            other => other,
        }
    }

    /// The directory of an embedded store.
    pub fn directory(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(directory) => Some(directory),
            Self::Postgres { .. } => None,
            #[cfg(feature = "eventstore")]
            Self::EventStore(_) => None,
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
            #[cfg(feature = "eventstore")]
            Self::EventStore(address) => Arc::new(KurrentStore::create(address, origin).await?),
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
            #[cfg(feature = "eventstore")]
            (Self::EventStore(address), Purpose::Serve | Purpose::Write) => {
                Arc::new(KurrentStore::open(address).await?)
            }
            #[cfg(feature = "eventstore")]
            (Self::EventStore(address), Purpose::Follow | Purpose::Read) => {
                Arc::new(KurrentStore::open_read_only(address).await?)
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
