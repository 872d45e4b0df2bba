//! The tables of a ledger: numbered steps, who may use them, and what guards them.

use tokio_postgres::Client;

use super::row::int_32;
use super::servers::Servers;
use crate::store::{Fault, FaultKind};

/// Schema steps; the number of those applied is in `schema_steps`.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../migrations/postgres/0001_ledger.sql"),
    include_str!("../../../migrations/postgres/0002_holder.sql"),
];
/// Held while the schema is made: two servers started at once make it once.
const MIGRATION_LOCK: i64 = 0x0067_7265_6666_6531;

/// Indexes and triggers without which a filing may be recorded twice, or a row be changed.
pub(super) const MISSING_GUARD: &str = "\
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

/// Steps applied; 0 where there is nothing of ours.
pub(super) async fn schema_of(client: &Client, servers: &Servers) -> Result<usize, Fault> {
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
pub(super) fn check_version(version: usize, servers: &Servers) -> Result<(), Fault> {
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
pub(super) async fn migrate(
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
    let applied = schema_of(transaction.client(), servers).await?;
    if applied == 0 {
        transaction
            .batch_execute(
                "CREATE TABLE IF NOT EXISTS schema_steps (\
                 step integer PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now())",
            )
            .await
            .map_err(failed)?;
    }
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
