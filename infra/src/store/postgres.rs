//! The store on PostgreSQL: one database, several servers, one of which appends.
//!
//! Who appends has the **lease**: a row with an epoch that grows each time its holder
//! changes (`infra/migrations/postgres`). It is renewed by every append and, when idle, by
//! [`Store::lead`]; not renewed for [`LEASE`], another server takes it. Time only decides who
//! may ask: what keeps two servers from forking a ledger is the epoch, which every append
//! names and the database checks under the row's lock, with the head.
//!
//! An append is one call of one function: one transaction, one round trip, nothing open on
//! the server when a connection breaks. An error that the server answered means that nothing
//! was written. No answer means that nobody knows: then the epoch is raised before anything
//! else, which waits for what may still run and shuts out what may still arrive.
//!
//! Connections are driven by the runtime that opened the store, which must outlive it: the
//! sequencer's own runtime only waits for answers.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::{Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime};
use greffe_domain::date::Timestamp;
use greffe_domain::encoding::{Hash32, base64url};
use greffe_domain::kind::{EventType, StreamType};
use greffe_domain::seal::{FilingRef, Position, SealedEntry, StreamRef, TreeSize};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, TargetSessionAttrs};
use tokio_postgres::error::{DbError, Severity, SqlState};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::damage::{Damage, Row as DamagedRow, UnreadableCell};
use super::hosts::each_host;
use super::{
    AppendError, Batch, Disclosed, DisclosureRow, EntryRow, Fault, FaultKind, FilingKey, FilingRow,
    Head, Lead, RecordedFiling, Store, half_cited, stream_type_of,
};
use crate::entropy;

/// Indexes and triggers without which a filing may be recorded twice, or a row be changed.
const MISSING_GUARD: &str = "\
    SELECT 'index ' || n AS what, \
           'it is missing, not valid or not unique: a filing, or an entry, may be there twice' \
    FROM unnest(ARRAY['entries_pkey', 'entries_by_stream', 'filings_pkey', 'filings_by_key', \
                      'disclosures_pkey']) AS n \
    WHERE NOT EXISTS (SELECT 1 FROM pg_index i WHERE i.indexrelid = to_regclass(n) \
                      AND i.indisunique AND i.indisvalid AND i.indpred IS NULL) \
    UNION ALL \
    SELECT 'trigger ' || n, 'it is missing, or disabled: what is recorded may be changed' \
    FROM (VALUES ('entries_are_never_changed', 'entries'), \
                 ('filings_are_never_changed', 'filings'), \
                 ('disclosures_are_never_changed', 'disclosures'), \
                 ('origin_is_never_changed', 'ledger'), ('lease_is_never_removed', 'lease'), \
                 ('epoch_never_goes_back', 'lease')) AS guards (n, on_table) \
    WHERE NOT EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgname = n \
                      AND t.tgrelid = to_regclass(on_table) AND t.tgenabled IN ('O', 'A')) \
    LIMIT 1";

/// Schema steps; the number of those applied is in `schema_steps`.
const MIGRATIONS: &[&str] = &[include_str!("../../migrations/postgres/0001_ledger.sql")];
/// Held while the schema is made: two servers started at once make it once.
const MIGRATION_LOCK: i64 = 0x0067_7265_6666_6531;

/// A lease not renewed for so long may be taken by another server.
pub const LEASE: Duration = Duration::from_secs(4);
/// How often a command that must write asks for the lease.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// Connections for reading.
const READERS: usize = 8;
/// How long the database works on an append before it gives up; a URL or a role may ask for
/// less.
const APPEND_LIMIT: Duration = Duration::from_secs(30);
const READ_LIMIT: Duration = Duration::from_secs(60);
/// Past the server's own limit by this much, the network has lost the answer.
const SPARE: Duration = Duration::from_secs(10);
const ANSWER_LIMIT: Duration = APPEND_LIMIT.saturating_add(SPARE);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Longest for a host to be reached, and to let us in.
const HOST_LIMIT: Duration = Duration::from_secs(8);
/// Tries of an append that the server gave up for another's sake, writing nothing.
const TRIES: u32 = 5;

const ENTRY_COLUMNS: &str = "position, stream_type, stream_id, stream_version, event_type, \
     recorded, filing, item, kid, link, signature, leaf";
const FILING_COLUMNS: &str = "first_position, items, digest, iss, jti, jwt";
const DISCLOSURE_COLUMNS: &str = "position, digest, encoded";
/// Disclosures of each entry `e`: in one statement, hence of one moment of one server.
const DISCLOSED: &str = "CROSS JOIN LATERAL (SELECT array_agg(d.digest ORDER BY d.digest) \
     AS digests, array_agg(d.encoded ORDER BY d.digest) AS encodings \
     FROM disclosures d WHERE d.position = e.position) AS k";
const APPEND: &str = "SELECT outcome, size, link FROM append_batch($1, $2, $3, $4, $5, $6, $7, \
     $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)";

/// A ledger in a PostgreSQL database.
pub struct PostgresStore {
    origin: String,
    servers: Servers,
    reads: Pool,
    /// Names this handle in the lease; drawn once.
    me: String,
    writes: Writes,
    /// 0: this handle may not append.
    epoch: AtomicI64,
    writer: Mutex<Writer>,
}

/// What a handle was opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writes {
    WithTheLease,
    Never,
}

struct Writer {
    session: Option<Session>,
    /// False while an append of unknown outcome may still land.
    settled: bool,
}

struct Session {
    client: Client,
    append: Statement,
}

impl Session {
    /// The one row that a statement answers.
    async fn answer<T: tokio_postgres::ToStatement + ?Sized>(
        &self,
        statement: &T,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Row, Failure> {
        within(ANSWER_LIMIT, self.client.query_one(statement, parameters)).await
    }

    async fn answer_if_any(&self, statement: &str) -> Result<Option<Row>, Failure> {
        within(ANSWER_LIMIT, self.client.query_opt(statement, &[])).await
    }
}

impl PostgresStore {
    /// Opens the ledger of this origin, making its tables where there are none, and waits for
    /// the lease as long as a server that died may still hold it.
    ///
    /// `url`: `postgres://user@host1,host2/database`; several hosts for a primary and those
    /// that may take its place. `service`: the role under which servers connect, if it is
    /// not the one that makes the tables: it gets the rights that they need, and no more.
    ///
    /// Errors: `InUse`, `OtherOrigin`, `NewerSchema`, `ReadOnly` (rights are missing), `Full`.
    pub async fn create(url: &str, origin: &str, service: Option<&str>) -> Result<Self, Fault> {
        let servers = Servers::parse(url)?;
        let (mut client, _) = servers.connect(TargetSessionAttrs::ReadWrite).await?;
        migrate(&mut client, &servers, origin, service).await?;
        let store = Self::open_checked(servers, Writes::WithTheLease).await?;
        if store.origin != origin {
            return Err(Fault::new(FaultKind::OtherOrigin, "open the ledger", store.shown())
                .because(format!("it holds `{}`", store.origin)));
        }
        store.wait_for_the_lease().await?;
        Ok(store)
    }

    /// Opens the ledger that is there, to append once [`Store::lead`] says so.
    ///
    /// Errors: `Missing`, `NewerSchema`, `Unavailable`.
    pub async fn open(url: &str) -> Result<Self, Fault> {
        Self::open_checked(Servers::parse(url)?, Writes::WithTheLease).await
    }

    /// Opens it to append at once. Errors: `InUse` and those of [`PostgresStore::open`].
    pub async fn open_to_write(url: &str) -> Result<Self, Fault> {
        let store = Self::open(url).await?;
        store.wait_for_the_lease().await?;
        Ok(store)
    }

    /// Opens it for reading, on a replica if the URL names one. Every append is refused.
    pub async fn open_read_only(url: &str) -> Result<Self, Fault> {
        Self::open_checked(Servers::parse(url)?, Writes::Never).await
    }

    async fn open_checked(servers: Servers, writes: Writes) -> Result<Self, Fault> {
        // Whoever appends must read what it appended: a replica may be behind.
        let hosts = match writes {
            Writes::WithTheLease => TargetSessionAttrs::ReadWrite,
            Writes::Never => servers.config.get_target_session_attrs(),
        };
        let reads = servers.pool(hosts)?;
        let origin = {
            let client = reads.get().await.map_err(|e| servers.pool_fault(e, "open the ledger"))?;
            check_version(schema_of(&client, &servers).await?, &servers)?;
            let row = client
                .query_opt("SELECT origin FROM ledger", &[])
                .await
                .map_err(|e| servers.fault(e, "open the ledger"))?;
            row.ok_or_else(|| Fault::new(FaultKind::Missing, "open the ledger", servers.shown()))?
                .get(0)
        };
        Ok(Self {
            origin,
            reads,
            me: base64url(&entropy::draw::<16>()?),
            writes,
            epoch: AtomicI64::new(0),
            writer: Mutex::new(Writer { session: None, settled: true }),
            servers,
        })
    }

    async fn wait_for_the_lease(&self) -> Result<(), Fault> {
        let waiting = async {
            while self.lead().await? == Lead::Elsewhere {
                tokio::time::sleep(ASK_AGAIN).await;
            }
            Ok(())
        };
        tokio::time::timeout(LEASE + LEASE / 4, waiting)
            .await
            .unwrap_or_else(|_| Err(Fault::new(FaultKind::InUse, "write the ledger", self.shown())))
    }

    fn shown(&self) -> String {
        self.servers.shown()
    }

    /// Reads; a connection that was lost is replaced, once the server is back.
    async fn rows(
        &self,
        attempted: &str,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Fault> {
        let mut lost = 0;
        loop {
            let client =
                self.reads.get().await.map_err(|e| self.servers.pool_fault(e, attempted))?;
            let answer = async {
                let statement = client.prepare_cached(sql).await?;
                client.query(&statement, parameters).await
            };
            match within(READ_LIMIT + SPARE, answer).await {
                Ok(rows) => return Ok(rows),
                // One connection after the other may turn out to be gone.
                Err(Failure::Database(e)) if !answered(&e) && lost <= READERS => {
                    lost += 1;
                    drop(deadpool_postgres::Object::take(client));
                }
                Err(Failure::Database(e)) => return Err(self.servers.fault(e, attempted)),
                Err(silent) => {
                    drop(deadpool_postgres::Object::take(client));
                    return Err(self.servers.failure(silent, attempted));
                }
            }
        }
    }

    async fn read<T>(
        &self,
        attempted: &str,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
        of: impl Fn(&Row) -> Result<T, Unreadable>,
    ) -> Result<Vec<T>, Fault> {
        let rows = self.rows(attempted, sql, parameters).await?;
        rows.iter().map(|row| of(row).map_err(|e| self.damaged(attempted, e))).collect()
    }

    fn damaged(&self, attempted: &str, error: Unreadable) -> Fault {
        Fault::new(FaultKind::Corrupt, attempted, self.shown()).because(error)
    }

    /// The connection that appends, opened if need be.
    async fn session<'w>(
        &self,
        writer: &'w mut MutexGuard<'_, Writer>,
    ) -> Result<&'w mut Session, Fault> {
        if writer.session.as_ref().is_none_or(|s| s.client.is_closed()) {
            writer.session = None;
            let (client, _) = self.servers.connect(TargetSessionAttrs::ReadWrite).await?;
            let failed = |e| self.servers.fault(e, "prepare to append");
            client
                .batch_execute(&format!(
                    "SET lock_timeout = {}; \
                     SELECT set_config(name, CASE WHEN setting::bigint BETWEEN 1 AND {limit} \
                                             THEN setting ELSE '{limit}' END, false) \
                     FROM pg_settings WHERE name = 'statement_timeout'",
                    (APPEND_LIMIT / 2).as_millis(),
                    limit = APPEND_LIMIT.as_millis(),
                ))
                .await
                .map_err(failed)?;
            // A receipt is for what is on disk, whatever the role's setting is. Stronger
            // settings are its operator's to choose.
            let durable = client.query_one("SHOW synchronous_commit", &[]).await.map_err(failed)?;
            if durable.get::<_, &str>(0) == "off" {
                client.batch_execute("SET synchronous_commit = on").await.map_err(failed)?;
            }
            let append = client.prepare(APPEND).await.map_err(failed)?;
            writer.session = Some(Session { client, append });
        }
        Ok(writer.session.as_mut().expect("just opened"))
    }

    /// Makes certain that no append of ours is under way or still to arrive.
    async fn settle(&self, writer: &mut MutexGuard<'_, Writer>) -> Result<(), Fault> {
        if writer.settled {
            return Ok(());
        }
        let session = self.session(writer).await?;
        let epoch: Option<i64> = session
            .answer("SELECT settle_lease($1)", &[&self.me])
            .await
            .map_err(|e| self.servers.failure(e, "settle an append of unknown outcome"))?
            .get(0);
        self.epoch.store(epoch.unwrap_or(0), Ordering::SeqCst);
        writer.settled = true;
        Ok(())
    }

    async fn stored_head(&self) -> Result<Head, Fault> {
        let head = self.read("read the head", HEAD, &[], head_row).await?;
        Ok(head.first().copied().unwrap_or(Head::empty()))
    }

    /// The head on the server that settled an append: other connections may still be to one
    /// that led before it.
    async fn settled_head(&self, writer: &mut MutexGuard<'_, Writer>) -> Result<Head, Fault> {
        let session = self.session(writer).await?;
        let failed = |e| self.servers.failure(e, "read the head");
        let head = session.answer_if_any(HEAD).await.map_err(failed)?;
        let head = head.map(|row| head_row(&row)).transpose();
        Ok(head.map_err(|e| self.damaged("read the head", e))?.unwrap_or(Head::empty()))
    }

    async fn append_once(
        &self,
        writer: &mut MutexGuard<'_, Writer>,
        batch: &Batch,
    ) -> Result<(), AppendError> {
        let attempted =
            format!("append {} entries at position {}", batch.entries.len(), batch.expected.size.0);
        self.settle(writer).await.map_err(AppendError::NotApplied)?;
        let epoch = self.epoch.load(Ordering::SeqCst);
        if epoch == 0 {
            let actual = self.stored_head().await.map_err(AppendError::NotApplied)?;
            return Err(AppendError::Conflict { actual });
        }
        let columns = Columns::of(batch);
        let size = int(batch.expected.size.0);
        let link = &batch.expected.link.0[..];
        self.session(writer).await.map_err(AppendError::NotApplied)?;
        let parameters = columns.parameters(&epoch, &size, &link);
        // Until there is an answer nobody knows; if we are stopped meanwhile, it stays so.
        writer.settled = false;
        let session = writer.session.as_ref().expect("opened above");
        let answer = session.answer(&session.append, &parameters).await;
        writer.settled = match &answer {
            Ok(_) => true,
            Err(Failure::Database(e)) => answered(e),
            Err(Failure::NoAnswer(_)) => false,
        };
        let row = match answer {
            Ok(row) => row,
            Err(failure) if writer.settled => {
                return Err(AppendError::NotApplied(self.servers.failure(failure, attempted)));
            }
            Err(failure) => {
                writer.session = None;
                return Err(AppendError::Unknown(self.servers.failure(failure, attempted)));
            }
        };
        let read = || -> Result<(String, Head), Unreadable> {
            let head = Head { size: TreeSize(unsigned(row.try_get(1)?)), link: hash32(&row, 2)? };
            Ok((row.try_get(0)?, head))
        };
        let (outcome, actual) = read().map_err(|e| {
            AppendError::NotApplied(self.damaged("read the answer to an append", e))
        })?;
        match outcome.as_str() {
            "appended" => Ok(()),
            "fenced" => {
                self.epoch.store(0, Ordering::SeqCst);
                Err(AppendError::Conflict { actual })
            }
            _ => Err(AppendError::Conflict { actual }),
        }
    }
}

const HEAD: &str = "SELECT position + 1, link FROM entries ORDER BY position DESC LIMIT 1";

#[async_trait]
impl Store for PostgresStore {
    fn origin(&self) -> &str {
        &self.origin
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn lead(&self) -> Result<Lead, Fault> {
        if self.writes == Writes::Never {
            return Ok(Lead::Elsewhere);
        }
        let Ok(mut writer) = self.writer.try_lock() else {
            // An append is under way, which renews the lease or learns that it is lost.
            let held = self.epoch.load(Ordering::SeqCst) != 0;
            return Ok(if held { Lead::Held } else { Lead::Elsewhere });
        };
        let led = self.epoch.load(Ordering::SeqCst) != 0;
        self.settle(&mut writer).await?;
        let epoch = self.epoch.load(Ordering::SeqCst);
        if epoch != 0 {
            // Losing a renewal does no harm: it need not wait for a disk, nor for a replica.
            let renewed = self.rows("renew the lease", "SELECT renew_lease($1)", &[&epoch]).await?;
            if renewed.first().is_some_and(|row| row.get(0)) {
                return Ok(Lead::Held);
            }
            self.epoch.store(0, Ordering::SeqCst);
        }
        if led {
            // Somebody may have appended since, even if nobody has the lease now: whoever led
            // must hear of it, and look at the store before leading again.
            return Ok(Lead::Elsewhere);
        }
        let session = self.session(&mut writer).await?;
        let patience = format!("{} milliseconds", LEASE.as_millis());
        let sql = "SELECT take_lease($1, $2::text::interval)";
        let taken: Option<i64> = match session.answer(sql, &[&self.me, &patience]).await {
            Ok(row) => row.get(0),
            Err(failure) => {
                // It may be ours now: settling finds out.
                writer.settled = false;
                writer.session = None;
                return Err(self.servers.failure(failure, "take the lease"));
            }
        };
        self.epoch.store(taken.unwrap_or(0), Ordering::SeqCst);
        Ok(if taken.is_some() { Lead::Held } else { Lead::Elsewhere })
    }

    async fn resign(&self) {
        let _writer = self.writer.lock().await;
        let epoch = self.epoch.swap(0, Ordering::SeqCst);
        if epoch != 0 {
            // Not given back, it runs out.
            let _ = self.rows("give the lease back", "SELECT release_lease($1)", &[&epoch]).await;
        }
    }

    async fn head(&self) -> Result<Head, Fault> {
        if self.writes == Writes::WithTheLease {
            let mut writer = self.writer.lock().await;
            if !writer.settled {
                self.settle(&mut writer).await?;
                return self.settled_head(&mut writer).await;
            }
        }
        self.stored_head().await
    }

    async fn append(&self, batch: Batch) -> Result<(), AppendError> {
        batch.assert_consecutive();
        if self.writes == Writes::Never {
            return Err(AppendError::NotApplied(Fault::new(
                FaultKind::ReadOnly,
                "append to the ledger",
                self.shown(),
            )));
        }
        let mut writer = self.writer.lock().await;
        let mut tries = 1;
        loop {
            match self.append_once(&mut writer, &batch).await {
                Err(AppendError::NotApplied(fault)) if tries < TRIES && gave_way(&fault) => {
                    tries += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn entries(&self, from: Position, limit: usize) -> Result<Vec<EntryRow>, Fault> {
        let sql = format!(
            "SELECT {ENTRY_COLUMNS} FROM entries WHERE position >= $1 ORDER BY position LIMIT $2"
        );
        self.read("read entries", &sql, &[&int(from.0), &(limit as i64)], entry_row).await
    }

    async fn entries_of_types(
        &self,
        types: &[StreamType],
        from: Position,
        limit: usize,
    ) -> Result<Vec<EntryRow>, Fault> {
        let names: Vec<&str> = types.iter().map(|t| t.as_str()).collect();
        // The condition of the partial index, in its own words.
        let register =
            if types.contains(&StreamType::Access) { "" } else { "stream_type <> 'access' AND" };
        let sql = format!(
            "SELECT {ENTRY_COLUMNS} FROM entries \
             WHERE {register} stream_type = ANY ($1) AND position >= $2 ORDER BY position LIMIT $3"
        );
        self.read("read entries", &sql, &[&names, &int(from.0), &(limit as i64)], entry_row).await
    }

    async fn group_disclosures(
        &self,
        from: Position,
        limit: usize,
    ) -> Result<Vec<EntryRow>, Fault> {
        // The condition of the index, word for word.
        let sql = format!(
            "SELECT {ENTRY_COLUMNS} FROM entries \
             WHERE stream_type = 'access' AND event_type <> 'AccessDenied' \
             AND strpos(leaf, '\"cohort\":{{') > 0 \
             AND position >= $1 ORDER BY position LIMIT $2"
        );
        let parameters: [&(dyn ToSql + Sync); 2] = [&int(from.0), &(limit as i64)];
        self.read("read disclosures about groups", &sql, &parameters, entry_row).await
    }

    async fn entry(&self, position: Position) -> Result<Option<EntryRow>, Fault> {
        let sql = format!("SELECT {ENTRY_COLUMNS} FROM entries WHERE position = $1");
        let mut rows = self.read("read an entry", &sql, &[&int(position.0)], entry_row).await?;
        Ok(rows.pop())
    }

    async fn entries_at(&self, positions: &[Position]) -> Result<Vec<EntryRow>, Fault> {
        let sql = format!(
            "SELECT {ENTRY_COLUMNS} FROM unnest($1::bigint[]) WITH ORDINALITY AS k (at, n) \
             CROSS JOIN LATERAL (SELECT * FROM entries e WHERE e.position = k.at) AS e \
             ORDER BY k.n"
        );
        let positions: Vec<i64> = positions.iter().map(|p| int(p.0)).collect();
        self.read("read entries", &sql, &[&positions], entry_row).await
    }

    async fn stream(&self, stream: StreamType, id: &str) -> Result<Vec<EntryRow>, Fault> {
        let sql = format!(
            "SELECT {ENTRY_COLUMNS} FROM entries WHERE stream_type = $1 AND stream_id = $2 \
             ORDER BY stream_version"
        );
        self.read("read a stream", &sql, &[&stream.as_str(), &id], entry_row).await
    }

    async fn size_at(&self, time: Timestamp) -> Result<TreeSize, Fault> {
        let sizes = self
            .read("find a time", "SELECT size_at($1)", &[&time.micros()], |row| {
                Ok(TreeSize(unsigned(row.try_get(0)?)))
            })
            .await?;
        Ok(sizes.first().copied().unwrap_or(TreeSize(0)))
    }

    async fn filing(&self, first_position: Position) -> Result<Option<FilingRow>, Fault> {
        let sql = format!("SELECT {FILING_COLUMNS} FROM filings WHERE first_position = $1");
        let mut rows =
            self.read("read a filing", &sql, &[&int(first_position.0)], filing_row).await?;
        Ok(rows.pop())
    }

    async fn filings(&self, from: Position, limit: usize) -> Result<Vec<FilingRow>, Fault> {
        let sql = format!(
            "SELECT {FILING_COLUMNS} FROM filings WHERE first_position >= $1 \
             ORDER BY first_position LIMIT $2"
        );
        self.read("read filings", &sql, &[&int(from.0), &(limit as i64)], filing_row).await
    }

    async fn filings_by_key(
        &self,
        keys: &[FilingKey<'_>],
    ) -> Result<Vec<Option<RecordedFiling>>, Fault> {
        const SQL: &str = "SELECT k.n, f.digest, f.first_position, f.items \
             FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS k (iss, jti, n) \
             CROSS JOIN LATERAL (SELECT * FROM filings f WHERE f.iss = k.iss AND f.jti = k.jti \
             LIMIT 1) AS f";
        let issuers: Vec<&str> = keys.iter().map(|k| k.iss).collect();
        let jtis: Vec<&str> = keys.iter().map(|k| k.jti).collect();
        let found = self
            .read("look a filing up", SQL, &[&issuers, &jtis], |row| {
                let filing = RecordedFiling {
                    digest: hash32(row, 1)?,
                    first_position: Position(unsigned(row.try_get(2)?)),
                    items: unsigned_32(row.try_get(3)?),
                };
                Ok((row.try_get::<_, i64>(0)?, filing))
            })
            .await?;
        let mut answers = vec![None; keys.len()];
        for (n, filing) in found {
            answers[n as usize - 1] = Some(filing);
        }
        Ok(answers)
    }

    async fn disclosures(
        &self,
        from: Position,
        until: Position,
    ) -> Result<Vec<DisclosureRow>, Fault> {
        let sql = format!(
            "SELECT {DISCLOSURE_COLUMNS} FROM disclosures \
             WHERE position >= $1 AND position < $2 ORDER BY position, digest"
        );
        self.read("read disclosures", &sql, &[&int(from.0), &int(until.0)], disclosure_row).await
    }

    async fn disclosures_at(&self, positions: &[Position]) -> Result<Vec<DisclosureRow>, Fault> {
        let sql = format!(
            "SELECT {DISCLOSURE_COLUMNS} FROM disclosures \
             WHERE position = ANY ($1) ORDER BY position, digest"
        );
        let positions: Vec<i64> = positions.iter().map(|p| int(p.0)).collect();
        self.read("read disclosures", &sql, &[&positions], disclosure_row).await
    }

    async fn disclosed(&self, from: Position, limit: usize) -> Result<Disclosed, Fault> {
        let sql = format!(
            "SELECT {ENTRY_COLUMNS}, digests, encodings FROM entries e {DISCLOSED} \
             WHERE e.position >= $1 ORDER BY e.position LIMIT $2"
        );
        let parameters: [&(dyn ToSql + Sync); 2] = [&int(from.0), &(limit as i64)];
        Ok(unzip(self.read("read entries", &sql, &parameters, disclosed_row).await?))
    }

    async fn disclosed_at(&self, positions: &[Position]) -> Result<Disclosed, Fault> {
        let sql = format!(
            "SELECT {ENTRY_COLUMNS}, digests, encodings FROM entries e {DISCLOSED} \
             WHERE e.position = ANY ($1) ORDER BY e.position"
        );
        let positions: Vec<i64> = positions.iter().map(|p| int(p.0)).collect();
        Ok(unzip(self.read("read entries", &sql, &[&positions], disclosed_row).await?))
    }

    async fn disclosure_positions(&self, digests: &[Hash32]) -> Result<Vec<Vec<Position>>, Fault> {
        const SQL: &str = "SELECT k.n, d.position \
             FROM unnest($1::bytea[]) WITH ORDINALITY AS k (digest, n) \
             CROSS JOIN LATERAL (SELECT position FROM disclosures WHERE digest = k.digest) AS d \
             ORDER BY d.position";
        let keys: Vec<&[u8]> = digests.iter().map(|d| &d.0[..]).collect();
        let found = self
            .read("look disclosures up", SQL, &[&keys], |row| {
                Ok((row.try_get::<_, i64>(0)?, Position(unsigned(row.try_get(1)?))))
            })
            .await?;
        let mut answers = vec![Vec::new(); digests.len()];
        for (n, position) in found {
            answers[n as usize - 1].push(position);
        }
        Ok(answers)
    }

    async fn own_damage(&self) -> Result<Option<Damage>, Fault> {
        let found = self
            .read("look for what guards the ledger", MISSING_GUARD, &[], |row| {
                Ok((row.try_get::<_, String>(0)?, row.try_get::<_, String>(1)?))
            })
            .await?;
        Ok(found.into_iter().next().map(|(row, reason)| Damage {
            table: "pg_catalog",
            row: DamagedRow::Named(row),
            column: "(row)",
            reason,
        }))
    }
}

/// A batch by columns, as the database takes it: one array a column.
struct Columns<'a> {
    stream_versions: Vec<i64>,
    times: Vec<i64>,
    items: Vec<Option<i32>>,
    stream_types: Vec<&'a str>,
    stream_ids: Vec<&'a str>,
    event_types: Vec<&'a str>,
    kids: Vec<&'a str>,
    filings: Vec<Option<&'a [u8]>>,
    links: Vec<&'a [u8]>,
    signatures: Vec<&'a [u8]>,
    leaves: Vec<&'a str>,
    first_positions: Vec<i64>,
    item_counts: Vec<i32>,
    digests: Vec<&'a [u8]>,
    issuers: Vec<&'a str>,
    jtis: Vec<&'a str>,
    jwts: Vec<&'a str>,
    disclosed_at: Vec<i64>,
    disclosed: Vec<&'a [u8]>,
    encodings: Vec<&'a str>,
    erased: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a Batch) -> Self {
        let Batch { entries, filings, disclosures, erased, .. } = batch;
        let leaf = |e: &'a EntryRow| {
            std::str::from_utf8(&e.sealed.leaf).expect("a leaf is canonical JSON, hence UTF-8")
        };
        let digest_of = |e: &'a EntryRow| e.filing.as_ref().map(|f| &f.digest.0[..]);
        Self {
            stream_versions: entries.iter().map(|e| int(e.stream.version)).collect(),
            times: entries.iter().map(|e| e.time.micros()).collect(),
            items: entries.iter().map(|e| e.filing.map(|f| int_32(f.item))).collect(),
            stream_types: entries.iter().map(|e| e.stream.kind.as_str()).collect(),
            stream_ids: entries.iter().map(|e| e.stream.id.as_str()).collect(),
            event_types: entries.iter().map(|e| e.event_type.as_str()).collect(),
            kids: entries.iter().map(|e| e.sealed.kid.as_str()).collect(),
            filings: entries.iter().map(digest_of).collect(),
            links: entries.iter().map(|e| &e.sealed.link.0[..]).collect(),
            signatures: entries.iter().map(|e| &e.sealed.signature[..]).collect(),
            leaves: entries.iter().map(leaf).collect(),
            first_positions: filings.iter().map(|f| int(f.first_position.0)).collect(),
            item_counts: filings.iter().map(|f| int_32(f.items)).collect(),
            digests: filings.iter().map(|f| &f.digest.0[..]).collect(),
            issuers: filings.iter().map(|f| f.iss.as_str()).collect(),
            jtis: filings.iter().map(|f| f.jti.as_str()).collect(),
            jwts: filings.iter().map(|f| f.jwt.as_str()).collect(),
            disclosed_at: disclosures.iter().map(|d| int(d.position.0)).collect(),
            disclosed: disclosures.iter().map(|d| &d.digest.0[..]).collect(),
            encodings: disclosures.iter().map(|d| d.encoded.as_str()).collect(),
            erased: erased.iter().map(|d| &d.0[..]).collect(),
        }
    }

    /// In the order of `append_batch`.
    fn parameters<'p>(
        &'p self,
        epoch: &'p i64,
        size: &'p i64,
        link: &'p &'p [u8],
    ) -> [&'p (dyn ToSql + Sync); 24] {
        [
            epoch,
            size,
            link,
            &self.stream_versions,
            &self.times,
            &self.items,
            &self.stream_types,
            &self.stream_ids,
            &self.event_types,
            &self.kids,
            &self.filings,
            &self.links,
            &self.signatures,
            &self.leaves,
            &self.first_positions,
            &self.item_counts,
            &self.digests,
            &self.issuers,
            &self.jtis,
            &self.jwts,
            &self.disclosed_at,
            &self.disclosed,
            &self.encodings,
            &self.erased,
        ]
    }
}

// Connecting.

/// Where the database is, and how it is reached.
#[derive(Clone)]
struct Servers {
    config: Config,
    tls: MakeRustlsConnect,
    runtime: Handle,
}

impl Servers {
    fn parse(url: &str) -> Result<Self, Fault> {
        let mut config: Config = url.parse().map_err(|e: tokio_postgres::Error| {
            // The URL itself may hold a password.
            Fault::new(FaultKind::Missing, "open the ledger", "usable database URL").because(e)
        })?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_LIMIT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(CONNECT_LIMIT * 2);
        }
        config.keepalives_idle(CONNECT_LIMIT).keepalives_interval(CONNECT_LIMIT / 5);
        config.keepalives_retries(3);
        if config.get_application_name().is_none() {
            config.application_name("greffe");
        }
        Ok(Self { config, tls: tls()?, runtime: Handle::current() })
    }

    /// Host, port and database, without user and password.
    fn shown(&self) -> String {
        let hosts: Vec<String> = self
            .config
            .get_hosts()
            .iter()
            .map(|host| match host {
                Host::Tcp(name) => name.clone(),
                Host::Unix(path) => path.display().to_string(),
            })
            .collect();
        let database = self.config.get_dbname().unwrap_or_default();
        format!("the database {database} at {}", hosts.join(","))
    }

    /// A connection driven by the runtime of this store.
    async fn connect(&self, hosts: TargetSessionAttrs) -> Result<(Client, JoinHandle<()>), Fault> {
        let mut config = self.config.clone();
        config.target_session_attrs(hosts);
        let connecting = connect_on(&self.runtime, config, self.tls.clone());
        match tokio::time::timeout(self.connecting_limit(), connecting).await {
            Ok(connected) => connected.map_err(|e| self.fault(e, "connect to the store")),
            Err(_) => {
                let fault =
                    Fault::new(FaultKind::Unavailable, "connect to the store", self.shown());
                Err(fault.because("it does not answer"))
            }
        }
    }

    /// Longest for all hosts to be tried.
    fn connecting_limit(&self) -> Duration {
        let hosts = self.config.get_hosts().len().max(self.config.get_hostaddrs().len()).max(1);
        HOST_LIMIT * u32::try_from(hosts).unwrap_or(u32::MAX) + Duration::from_secs(1)
    }

    fn pool(&self, hosts: TargetSessionAttrs) -> Result<Pool, Fault> {
        let mut config = self.config.clone();
        config.target_session_attrs(hosts);
        // Every query of ours has its index: a plan must not turn to reading whole tables
        // because statistics are old. What is written here are renewals of the lease.
        let own = format!(
            "-c enable_seqscan=off -c jit=off -c synchronous_commit=off -c statement_timeout={}",
            READ_LIMIT.as_millis()
        );
        let options = match config.get_options() {
            // The last one counts: a shorter time that the URL asks for.
            Some(given) => format!("{own} {given}"),
            None => own,
        };
        config.options(options);
        let connect = Connector { runtime: self.runtime.clone(), tls: self.tls.clone() };
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        Pool::builder(Manager::from_connect(config, connect, recycling))
            .max_size(READERS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(READ_LIMIT))
            .create_timeout(Some(self.connecting_limit()))
            .build()
            .map_err(|e| {
                Fault::new(FaultKind::Unavailable, "open the ledger", self.shown()).because(e)
            })
    }

    fn fault(&self, error: tokio_postgres::Error, attempted: impl Into<String>) -> Fault {
        let kind = error.as_db_error().map_or(FaultKind::Unavailable, kind_of);
        Fault::new(kind, attempted, self.shown()).because(Cause::from(error))
    }

    fn failure(&self, failure: Failure, attempted: impl Into<String>) -> Fault {
        match failure {
            Failure::Database(error) => self.fault(error, attempted),
            Failure::NoAnswer(limit) => Fault::new(FaultKind::Unavailable, attempted, self.shown())
                .because(format!("no answer within {} s", limit.as_secs())),
        }
    }

    fn pool_fault(&self, error: PoolError, attempted: &str) -> Fault {
        match error {
            PoolError::Backend(error) => self.fault(error, attempted),
            other => Fault::new(FaultKind::Unavailable, attempted, self.shown()).because(other),
        }
    }
}

/// TLS by the machine's certificates, or those that `SSL_CERT_FILE` names.
fn tls() -> Result<MakeRustlsConnect, Fault> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Fault::new(FaultKind::Unavailable, "prepare", "TLS").because(e))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

struct Connector {
    runtime: Handle,
    tls: MakeRustlsConnect,
}

type Connecting<'a> = std::pin::Pin<
    Box<dyn Future<Output = Result<(Client, JoinHandle<()>), tokio_postgres::Error>> + Send + 'a>,
>;

impl deadpool_postgres::Connect for Connector {
    fn connect(&self, config: &Config) -> Connecting<'_> {
        Box::pin(connect_on(&self.runtime, config.clone(), self.tls.clone()))
    }
}

/// Opens a connection on `runtime`, whose reactor then drives it.
async fn connect_on(
    runtime: &Handle,
    config: Config,
    tls: MakeRustlsConnect,
) -> Result<(Client, JoinHandle<()>), tokio_postgres::Error> {
    let opening = runtime.spawn(async move {
        let mut refused = None;
        for one in each_host(&config) {
            // A host that takes the connection and says nothing must not keep the next, which
            // may have taken its place, from being asked.
            match tokio::time::timeout(HOST_LIMIT, one.connect(tls.clone())).await {
                Ok(Ok((client, connection))) => {
                    // What breaks it, its client learns.
                    let driver = tokio::spawn(async move { drop(connection.await) });
                    return Ok((client, driver));
                }
                Ok(Err(error)) => refused = Some(error),
                Err(_) => {}
            }
        }
        match refused {
            Some(error) => Err(error),
            // None of them answers: whoever asked has a limit.
            None => std::future::pending().await,
        }
    });
    match opening.await {
        Ok(opened) => opened,
        Err(stopped) if stopped.is_panic() => std::panic::resume_unwind(stopped.into_panic()),
        // The runtime is shutting down, and we with it.
        Err(_) => std::future::pending().await,
    }
}

async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => answer.map_err(Failure::Database),
        Err(_) => Err(Failure::NoAnswer(limit)),
    }
}

/// Why there is no answer.
enum Failure {
    Database(tokio_postgres::Error),
    /// Within this limit.
    NoAnswer(Duration),
}

/// The server answered that nothing was done, and goes on. A fatal error says only that it
/// hung up: a commit that waits for a replica when the server stops is on its disk.
fn answered(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|e| e.parsed_severity() == Some(Severity::Error))
}

/// Given up for the sake of another transaction: to be tried again.
fn gave_way(fault: &Fault) -> bool {
    use std::error::Error;
    fault.source().and_then(|s| s.downcast_ref::<Cause>()).is_some_and(|cause| {
        matches!(
            &cause.state,
            Some(state) if *state == SqlState::T_R_SERIALIZATION_FAILURE
                || *state == SqlState::T_R_DEADLOCK_DETECTED
        )
    })
}

fn kind_of(error: &DbError) -> FaultKind {
    let code = error.code();
    match code.code() {
        "53100" => FaultKind::Full,
        // Rights are missing, or this server is a replica.
        "42501" | "25006" => FaultKind::ReadOnly,
        // The database, a table of ours.
        "3D000" | "3F000" | "42P01" => FaultKind::Missing,
        "XX001" | "XX002" => FaultKind::Corrupt,
        _ => FaultKind::Unavailable,
    }
}

/// What the database said, in one line.
#[derive(Debug)]
struct Cause {
    text: String,
    state: Option<SqlState>,
}

impl From<tokio_postgres::Error> for Cause {
    fn from(error: tokio_postgres::Error) -> Self {
        use std::error::Error;
        match error.as_db_error() {
            Some(said) => Self {
                text: format!("{} ({})", said.message(), said.code().code()),
                state: Some(said.code().clone()),
            },
            None => {
                let mut text = error.to_string();
                let mut cause = error.source();
                while let Some(deeper) = cause {
                    text.push_str(&format!(": {deeper}"));
                    cause = deeper.source();
                }
                Self { text, state: None }
            }
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Cause {}

// The schema.

/// Steps applied; 0 where there is nothing of ours.
async fn schema_of(client: &Client, servers: &Servers) -> Result<usize, Fault> {
    let failed = |e| servers.fault(e, "open the ledger");
    let there = client
        .query_one("SELECT to_regclass('schema_steps') IS NOT NULL", &[])
        .await
        .map_err(failed)?;
    if !there.get::<_, bool>(0) {
        return Ok(0);
    }
    let steps = client
        .query_one("SELECT coalesce(max(step), 0) FROM schema_steps", &[])
        .await
        .map_err(failed)?;
    Ok(usize::try_from(steps.get::<_, i32>(0)).unwrap_or(0))
}

/// Errors: `Missing` when there is none or an older one, which only `create` brings up to
/// date: servers may have no right to.
fn check_version(version: usize, servers: &Servers) -> Result<(), Fault> {
    match version.cmp(&MIGRATIONS.len()) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(newer(version, servers)),
        std::cmp::Ordering::Less if version == 0 => Err(Fault::new(
            FaultKind::Missing,
            "open the ledger",
            format!("ledger in {}", servers.shown()),
        )),
        std::cmp::Ordering::Less => Err(Fault::new(
            FaultKind::Missing,
            "open the ledger",
            format!("current schema in {}", servers.shown()),
        )
        .because(format!(
            "it has schema {version}; run `greffe init` as its owner to bring it to {}",
            MIGRATIONS.len()
        ))),
    }
}

fn newer(version: usize, servers: &Servers) -> Fault {
    Fault::new(FaultKind::NewerSchema, "open the ledger", servers.shown())
        .because(format!("schema {version}; this version knows {}", MIGRATIONS.len()))
}

/// Applies the steps that are missing, in one transaction; the first with the origin.
async fn migrate(
    client: &mut Client,
    servers: &Servers,
    origin: &str,
    service: Option<&str>,
) -> Result<(), Fault> {
    let failed = |e| servers.fault(e, "make the tables of the ledger");
    let transaction = client.transaction().await.map_err(failed)?;
    transaction
        .execute("SELECT pg_advisory_xact_lock($1)", &[&MIGRATION_LOCK])
        .await
        .map_err(failed)?;
    let encoding = transaction.query_one("SHOW server_encoding", &[]).await.map_err(failed)?;
    if encoding.get::<_, &str>(0) != "UTF8" {
        return Err(Fault::new(
            FaultKind::Missing,
            "make the tables of the ledger",
            format!("UTF-8 in {}", servers.shown()),
        )
        .because(format!("it is encoded as {}", encoding.get::<_, &str>(0))));
    }
    transaction
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS schema_steps (\
             step integer PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now())",
        )
        .await
        .map_err(failed)?;
    let applied = schema_of(transaction.client(), servers).await?;
    if applied > MIGRATIONS.len() {
        return Err(newer(applied, servers));
    }
    for (step, sql) in MIGRATIONS.iter().enumerate().skip(applied) {
        transaction.batch_execute(sql).await.map_err(failed)?;
        if step == 0 {
            transaction
                .execute("INSERT INTO ledger (id, origin) VALUES (1, $1)", &[&origin])
                .await
                .map_err(failed)?;
            transaction
                .execute("INSERT INTO lease VALUES (1, 0, '', '-infinity')", &[])
                .await
                .map_err(failed)?;
        }
        transaction
            .execute("INSERT INTO schema_steps (step) VALUES ($1)", &[&int_32(step as u32 + 1)])
            .await
            .map_err(failed)?;
    }
    if let Some(role) = service {
        transaction.batch_execute(&grants(role)).await.map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)
}

/// What a role needs to serve the ledger: to read it, and to append through the functions.
fn grants(role: &str) -> String {
    let role = format!("\"{}\"", role.replace('"', "\"\""));
    format!(
        "DO $$ BEGIN EXECUTE format('GRANT USAGE ON SCHEMA %I TO {role}', current_schema()); END $$; \
         GRANT SELECT ON schema_steps, ledger, lease, entries, filings, disclosures, events \
         TO {role}; \
         GRANT EXECUTE ON FUNCTION take_lease, settle_lease, renew_lease, release_lease, \
         append_batch TO {role};"
    )
}

// Rows.

/// Why a row is not one of ours.
type Unreadable = Box<dyn std::error::Error + Send + Sync>;

fn head_row(row: &Row) -> Result<Head, Unreadable> {
    Ok(Head { size: TreeSize(unsigned(row.try_get(0)?)), link: hash32(row, 1)? })
}

fn disclosed_row(row: &Row) -> Result<(EntryRow, Vec<DisclosureRow>), Unreadable> {
    let entry = entry_row(row)?;
    let digests: Option<Vec<&[u8]>> = row.try_get(12)?;
    let encodings: Option<Vec<&str>> = row.try_get(13)?;
    let both = digests.into_iter().flatten().zip(encodings.into_iter().flatten());
    let disclosures = both.map(|(digest, encoded)| {
        Ok(DisclosureRow {
            position: entry.position,
            digest: Hash32(digest.try_into()?),
            encoded: encoded.to_owned(),
        })
    });
    let disclosures = disclosures.collect::<Result<_, Unreadable>>()?;
    Ok((entry, disclosures))
}

fn unzip(rows: Vec<(EntryRow, Vec<DisclosureRow>)>) -> Disclosed {
    let (entries, disclosures): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    (entries, disclosures.into_iter().flatten().collect())
}

fn entry_row(row: &Row) -> Result<EntryRow, Unreadable> {
    let position: i64 = row.try_get(0)?;
    // The other columns cannot hold what is not of their kind: the table checks them.
    let bad = |column: &'static str, cause: String| -> Unreadable {
        UnreadableCell { table: "entries", position, column, cause }.into()
    };
    let (stream_type, event_type): (&str, &str) = (row.try_get(1)?, row.try_get(4)?);
    let leaf: &str = row.try_get(11)?;
    let filing = match (row.try_get::<_, Option<&[u8]>>(6)?, row.try_get::<_, Option<i32>>(7)?) {
        (None, None) => None,
        (Some(digest), Some(item)) => {
            let digest = digest.try_into().map_err(|_| bad("filing", "not 32 bytes".to_owned()))?;
            Some(FilingRef { digest: Hash32(digest), item: unsigned_32(item) })
        }
        (filing, _) => {
            let (column, cause) = half_cited(leaf, filing.is_some());
            return Err(bad(column, cause.to_owned()));
        }
    };
    Ok(EntryRow {
        position: Position(unsigned(position)),
        sealed: SealedEntry {
            leaf: leaf.as_bytes().to_vec(),
            link: hash32(row, 9)?,
            signature: row.try_get::<_, &[u8]>(10)?.try_into()?,
            kid: row.try_get(8)?,
        },
        filing,
        stream: StreamRef {
            id: row.try_get(2)?,
            kind: stream_type_of(stream_type)
                .ok_or_else(|| bad("stream_type", format!("`{stream_type}` is not known")))?,
            version: unsigned(row.try_get(3)?),
        },
        event_type: EventType::parse(event_type)
            .ok_or_else(|| bad("event_type", format!("`{event_type}` is not known")))?,
        time: Timestamp::from_micros(row.try_get(5)?),
    })
}

fn filing_row(row: &Row) -> Result<FilingRow, Unreadable> {
    Ok(FilingRow {
        first_position: Position(unsigned(row.try_get(0)?)),
        items: unsigned_32(row.try_get(1)?),
        digest: hash32(row, 2)?,
        iss: row.try_get(3)?,
        jti: row.try_get(4)?,
        jwt: row.try_get(5)?,
    })
}

fn disclosure_row(row: &Row) -> Result<DisclosureRow, Unreadable> {
    Ok(DisclosureRow {
        position: Position(unsigned(row.try_get(0)?)),
        digest: hash32(row, 1)?,
        encoded: row.try_get(2)?,
    })
}

fn hash32(row: &Row, column: usize) -> Result<Hash32, Unreadable> {
    Ok(Hash32(row.try_get::<_, &[u8]>(column)?.try_into()?))
}

/// Positions and versions stay far below 2^63. One beyond comes from somebody who asks for
/// it: nothing is found there.
fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn int_32(value: u32) -> i32 {
    i32::try_from(value).expect("a filing has at most 1,000 items")
}

/// The tables check that positions are not negative.
fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

fn unsigned_32(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
