//! The store on PostgreSQL: one database, several servers, one of which appends.
//!
//! Who appends has the **lease**: a row with an epoch that grows each time its holder
//! changes (`infra/migrations/postgres`). It is renewed by every append and, when idle, by
//! [`Store::lead`]; not renewed for [`LEASE`], another server takes it. Time only decides who
//! may ask: what keeps two servers from forking a ledger is holder and epoch, which every
//! append names and the database checks under the row's lock, with the head.
//!
//! An append is one call of one function: one transaction, one round trip, nothing open on
//! the server when a connection breaks. An error that the server answered means that nothing
//! was written. No answer means that nobody knows: then the epoch is raised before anything
//! else, which waits for what may still run and shuts out what may still arrive.
//!
//! Connections are driven by the runtime that opened the store, which must outlive it: the
//! sequencer's own runtime only waits for answers.

mod columns;
mod hosts;
mod row;
mod schema;
mod servers;

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::Pool;
use greffe_domain::date::Timestamp;
use greffe_domain::encoding::{Hash32, base64url};
use greffe_domain::kind::StreamType;
use greffe_domain::seal::{Position, TreeSize};
use tokio::sync::{Mutex, MutexGuard};
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

use self::columns::{APPEND, Columns};
use self::row::{
    DISCLOSURE_COLUMNS, ENTRY_COLUMNS, Either, FILING_COLUMNS, Unreadable, disclosed_row,
    disclosure_row, entry_row, filing_row, found_row, hash32, head_row, int, unsigned, unsigned_32,
};
use self::schema::{MISSING_GUARD, check_version, migrate, schema_of};
use self::servers::{
    ANSWER_LIMIT, APPEND_LIMIT, Failure, READ_LIMIT, READERS, SPARE, Servers, answered, gave_way,
    within,
};
use super::damage::{Damage, Row as DamagedRow};
use super::{
    AppendError, Batch, Disclosed, DisclosureRow, EntryRow, Fault, FaultKind, FilingKey, FilingRow,
    Found, Head, Lead, RecordedFiling, Store,
};
use crate::entropy;

/// A lease not renewed for so long may be taken by another server.
pub const LEASE: Duration = Duration::from_secs(4);
/// How often a command that must write asks for the lease.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// Tries of an append that the server gave up for another's sake, writing nothing.
const TRIES: u32 = 5;

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
    /// Whether what the last append came to is still to be looked at: on the server that
    /// settled it, since other connections may be to one that led before it.
    doubtful: bool,
    /// Whether the lease was lost, and [`Store::lead`] has not said so yet.
    lost: bool,
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
            writer: Mutex::new(Writer {
                session: None,
                settled: true,
                doubtful: false,
                lost: false,
            }),
            servers,
        })
    }

    async fn wait_for_the_lease(&self) -> Result<(), Fault> {
        // Reaching a server has a limit of its own.
        self.session(&mut self.writer.lock().await).await?;
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

    /// Entries whose positions meet a condition, and their disclosures, both in order: one
    /// statement, hence one moment of one server.
    async fn with_disclosures(
        &self,
        condition: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Disclosed, Fault> {
        let sql = format!(
            "SELECT {ENTRY_COLUMNS}, NULL, NULL FROM entries WHERE {condition} UNION ALL \
             SELECT position, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, \
             digest, encoded FROM disclosures WHERE {condition}"
        );
        let (mut entries, mut disclosures) = (Vec::new(), Vec::new());
        for row in self.read("read entries", &sql, parameters, disclosed_row).await? {
            match row {
                Either::Entry(entry) => entries.push(entry),
                Either::Disclosure(disclosure) => disclosures.push(disclosure),
            }
        }
        entries.sort_unstable_by_key(|entry| entry.position);
        disclosures.sort_unstable_by_key(|d| (d.position, d.digest));
        Ok((entries, disclosures))
    }

    /// Entries that meet a condition, and how far the ledger went on the server that was
    /// asked: one statement, hence one moment of one server. The condition may have
    /// parameters from $3 on.
    async fn found(
        &self,
        attempted: &str,
        condition: &str,
        from: Position,
        limit: usize,
        more: &[&(dyn ToSql + Sync)],
    ) -> Result<Found, Fault> {
        let sql = format!(
            "SELECT {ENTRY_COLUMNS}, size \
             FROM (SELECT coalesce(max(position) + 1, 0) AS size FROM entries) AS s \
             LEFT JOIN LATERAL (SELECT {ENTRY_COLUMNS} FROM entries \
             WHERE {condition} AND position >= $1 ORDER BY position LIMIT $2) AS e ON true"
        );
        let (from, limit) = (int(from.0), limit as i64);
        let parameters = [&[&from, &limit as &(dyn ToSql + Sync)], more].concat();
        let mut size = TreeSize(0);
        let mut entries = Vec::new();
        for (entry, at) in self.read(attempted, &sql, &parameters, found_row).await? {
            entries.extend(entry);
            size = at;
        }
        // They come in order, which no clause promises: one would sort a page on disk.
        entries.sort_unstable_by_key(|entry| entry.position);
        Ok(Found { entries, size })
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
        writer.lost |= epoch.is_none();
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
        let parameters = columns.parameters(&self.me, &epoch, &size, &link);
        // Until there is an answer nobody knows; if we are stopped meanwhile, it stays so.
        (writer.settled, writer.doubtful) = (false, true);
        let session = writer.session.as_ref().expect("opened above");
        let answer = session.answer(&session.append, &parameters).await;
        writer.settled = match &answer {
            Ok(_) => true,
            Err(Failure::Database(e)) => answered(e),
            Err(Failure::NoAnswer(_)) => false,
        };
        writer.doubtful = !writer.settled;
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
                writer.lost = true;
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
        self.settle(&mut writer).await?;
        let epoch = self.epoch.load(Ordering::SeqCst);
        if epoch != 0 {
            // Losing a renewal does no harm: it need not wait for a disk, nor for a replica.
            let sql = "SELECT renew_lease($1, $2)";
            let renewed = self.rows("renew the lease", sql, &[&self.me, &epoch]).await?;
            if renewed.first().is_some_and(|row| row.get(0)) {
                return Ok(Lead::Held);
            }
            self.epoch.store(0, Ordering::SeqCst);
            writer.lost = true;
        }
        if std::mem::take(&mut writer.lost) {
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
            let sql = "SELECT release_lease($1, $2)";
            let _ = self.rows("give the lease back", sql, &[&self.me, &epoch]).await;
        }
    }

    async fn head(&self) -> Result<Head, Fault> {
        if self.writes == Writes::WithTheLease {
            let mut writer = self.writer.lock().await;
            self.settle(&mut writer).await?;
            if writer.doubtful {
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
    ) -> Result<Found, Fault> {
        let names: Vec<&str> = types.iter().map(|t| t.as_str()).collect();
        // The condition of the partial index, in its own words.
        let register =
            if types.contains(&StreamType::Access) { "" } else { "stream_type <> 'access' AND" };
        let condition = format!("{register} stream_type = ANY ($3)");
        self.found("read entries", &condition, from, limit, &[&names]).await
    }

    async fn group_disclosures(&self, from: Position, limit: usize) -> Result<Found, Fault> {
        // The condition of the index, word for word.
        let condition = "stream_type = 'access' AND event_type <> 'AccessDenied' \
                         AND strpos(leaf, '\"cohort\":{') > 0";
        self.found("read disclosures about groups", condition, from, limit, &[]).await
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
        // Positions follow each other: those of a page are known before it is read.
        let until = from.0.saturating_add(limit as u64);
        let condition = "position >= $1 AND position < $2";
        self.with_disclosures(condition, &[&int(from.0), &int(until)]).await
    }

    async fn disclosed_at(&self, positions: &[Position]) -> Result<Disclosed, Fault> {
        let positions: Vec<i64> = positions.iter().map(|p| int(p.0)).collect();
        self.with_disclosures("position = ANY ($1)", &[&positions]).await
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
