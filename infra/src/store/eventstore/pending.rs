//! Batches on their way to the stream: what must survive if this process does not.
//!
//! Written before the first event of a batch is sent: its personal values, which go nowhere
//! else, the digests it erases, and, where one append cannot hold it, all of its events, so
//! that whoever finds a part in the stream sends the rest. A batch stays here until the one
//! after it is written. Kept by the link of its last entry, hence the batch of a server that
//! was overtaken does no harm to another's.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use greffe_domain::encoding::{Hash32, base64url, base64url_decode};
use greffe_domain::seal::{Position, TreeSize};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::wire::Message;
use crate::store::{Batch, DisclosureRow, Fault, FaultKind, Head, sqlite};

const FILE: &str = "pending.db";

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS pending (\
     link BLOB PRIMARY KEY, \
     first INTEGER NOT NULL, \
     until INTEGER NOT NULL, \
     content TEXT NOT NULL) STRICT, WITHOUT ROWID";

/// What is kept of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub first: TreeSize,
    pub after: Head,
    pub disclosures: Vec<DisclosureRow>,
    pub erased: Vec<Hash32>,
    /// All events of the batch, if it is sent in parts.
    pub messages: Option<Vec<Message>>,
}

impl Record {
    pub fn of(batch: &Batch, messages: Option<Vec<Message>>) -> Self {
        Self {
            first: batch.expected.size,
            after: batch.head_after(),
            disclosures: batch.disclosures.clone(),
            erased: batch.erased.clone(),
            messages,
        }
    }
}

/// The JSON of the column `content`.
#[derive(Serialize, Deserialize)]
struct Content {
    /// Position, digest, text.
    disclosures: Vec<(u64, String, String)>,
    erased: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<Message>>,
}

#[derive(Clone)]
pub(super) struct Pending {
    path: PathBuf,
    connection: Arc<Mutex<Connection>>,
}

impl Pending {
    /// Opens it in the side's directory, whose lock the side's store holds.
    pub fn open(directory: &Path) -> Result<Self, Fault> {
        let path = directory.join(FILE);
        let open = || {
            let connection = Connection::open(&path)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "secure_delete", "ON")?;
            connection.execute_batch(SCHEMA)?;
            Ok(connection)
        };
        let connection =
            open().map_err(|e| sqlite::fault(e, "open the batches under way", &path))?;
        Ok(Self { path, connection: Arc::new(Mutex::new(connection)) })
    }

    /// Keeps a record, durably, and lets go of those that are copied: of `copied` entries.
    pub async fn keep(&self, record: Record, copied: TreeSize) -> Result<(), Fault> {
        let erases = !record.erased.is_empty();
        self.run("keep a batch under way", move |connection| {
            let digest = |d: &Hash32| base64url(&d.0);
            let content = Content {
                disclosures: record
                    .disclosures
                    .iter()
                    .map(|d| (d.position.0, digest(&d.digest), d.encoded.clone()))
                    .collect(),
                erased: record.erased.iter().map(digest).collect(),
                messages: record.messages,
            };
            let content = serde_json::to_string(&content)
                .map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
            let transaction = connection.transaction()?;
            transaction.execute("DELETE FROM pending WHERE until <= ?1", [copied.0 as i64])?;
            transaction.execute(
                "INSERT OR REPLACE INTO pending VALUES (?1, ?2, ?3, ?4)",
                params![
                    record.after.link.0,
                    record.first.0 as i64,
                    record.after.size.0 as i64,
                    content
                ],
            )?;
            transaction.commit()?;
            if erases {
                // What the deleted rows held must not stay in the log either.
                empty_log(connection)?;
            }
            Ok(())
        })
        .await
    }

    /// Lets go of a batch that is known not to have been recorded.
    pub async fn drop(&self, link: Hash32) -> Result<(), Fault> {
        self.run("drop a batch that was refused", move |connection| {
            connection.execute("DELETE FROM pending WHERE link = ?1", [link.0])?;
            empty_log(connection)
        })
        .await
    }

    /// The batches that begin where so many entries are copied.
    pub async fn after(&self, copied: TreeSize) -> Result<Vec<Record>, Fault> {
        let rows = self.run("read the batches under way", move |connection| {
            let mut statement =
                connection.prepare("SELECT link, until, content FROM pending WHERE first = ?1")?;
            let row = |row: &rusqlite::Row<'_>| {
                Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
            };
            let rows = statement.query_map([copied.0 as i64], row)?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        });
        let damaged = |e: String| {
            let on = self.path.display().to_string();
            Fault::new(FaultKind::Corrupt, "read the batches under way", on).because(e)
        };
        let record = |(link, until, content): ([u8; 32], i64, String)| {
            let content: Content = serde_json::from_str(&content).map_err(|e| e.to_string())?;
            let digest = |text: &str| {
                let bytes = base64url_decode(text).and_then(|b| b.try_into().ok());
                bytes.map(Hash32).ok_or_else(|| format!("`{text}` is no digest"))
            };
            let disclosures = content.disclosures.into_iter().map(|(position, text, encoded)| {
                Ok(DisclosureRow { position: Position(position), digest: digest(&text)?, encoded })
            });
            Ok::<_, String>(Record {
                first: copied,
                after: Head { size: TreeSize(until.unsigned_abs()), link: Hash32(link) },
                disclosures: disclosures.collect::<Result<_, String>>()?,
                erased: content.erased.iter().map(|d| digest(d)).collect::<Result<_, _>>()?,
                messages: content.messages,
            })
        };
        rows.await?.into_iter().map(|row| record(row).map_err(damaged)).collect()
    }

    async fn run<T: Send + 'static>(
        &self,
        attempted: &'static str,
        run: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        let Self { path, connection } = self.clone();
        let shown = path.display().to_string();
        tokio::task::spawn_blocking(move || {
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            run(&mut connection).map_err(|e| sqlite::fault(e, attempted, &path))
        })
        .await
        .unwrap_or_else(|e| Err(Fault::new(FaultKind::Unavailable, attempted, shown).because(e)))
    }
}

fn empty_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract::Sample;
    use crate::store::eventstore::wire;

    #[tokio::test]
    async fn a_batch_is_kept_until_the_next_is_and_then_in_no_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut sample = Sample::default();
        let batch = sample.batch(2, 3);
        let first = Record::of(&batch, Some(wire::messages(&batch)));
        {
            let pending = Pending::open(directory.path()).expect("it opens");
            pending.keep(first.clone(), TreeSize(0)).await.expect("kept");
        }
        let pending = Pending::open(directory.path()).expect("it opens again");
        assert_eq!(
            pending.after(TreeSize(0)).await.expect("readable"),
            std::slice::from_ref(&first)
        );
        assert_eq!(pending.after(TreeSize(1)).await.expect("readable"), []);

        sample.add(&batch);
        let mut next = sample.batch(1, 1);
        next.erased = vec![first.disclosures[0].digest];
        let next = Record::of(&next, None);
        pending.keep(next.clone(), first.after.size).await.expect("kept");
        assert_eq!(pending.after(TreeSize(0)).await.expect("readable"), []);
        assert_eq!(
            pending.after(first.after.size).await.expect("readable"),
            std::slice::from_ref(&next)
        );
        let holds = |needle: &str| {
            std::fs::read_dir(directory.path()).expect("a directory").any(|file| {
                let bytes = std::fs::read(file.expect("a file").path()).expect("readable");
                bytes.windows(needle.len()).any(|w| w == needle.as_bytes())
            })
        };
        assert!(!holds(&first.disclosures[0].encoded), "the erased value is nowhere");
        assert!(holds(&next.disclosures[0].encoded));
        pending.drop(next.after.link).await.expect("dropped");
        assert!(!holds(&next.disclosures[0].encoded), "nor is one that was refused");
    }
}
