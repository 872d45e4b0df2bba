//! The store on PostgreSQL, against a real server that each test starts and removes.

use std::sync::Arc;
use std::time::Duration;

use greffe_domain::seal::Position;
use greffe_infra::store::contract::{self, Sample};
use greffe_infra::store::{AppendError, Fault, FaultKind, Lead, PostgresStore, Row, Store};
use greffe_infra::testing;
use greffe_infra::testing::cluster::Cluster;
use postgres_es::PostgresEventRepository;

use crate::faults::each_write_fails;
use crate::framework::{filled, loads_as_we_do};
use crate::support::sound;

/// The ledger of the contract suite in a database of its own.
async fn created(cluster: &Cluster, name: &str) -> (PostgresStore, String) {
    let url = cluster.database(name);
    let store = PostgresStore::create(&url, contract::ORIGIN, None).await.expect("a store");
    (store, url)
}

/// The same with a few batches in it.
async fn with_batches(cluster: &Cluster, name: &str) -> (PostgresStore, String, Sample) {
    let (store, url) = created(cluster, name).await;
    let mut sample = Sample::default();
    for _ in 0..3 {
        append(&store, &mut sample).await;
    }
    (store, url, sample)
}

async fn append(store: &PostgresStore, sample: &mut Sample) {
    let batch = sample.batch(5, 2);
    store.append(batch.clone()).await.expect("appended");
    sample.add(&batch);
}

/// A connection of the test's own, to get in the way.
async fn aside(url: &str) -> tokio_postgres::Client {
    let (client, connection) =
        tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

/// Waits until something is so: what only another process can say.
async fn until(mut so: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it does not come");
}

/// Waits until commits wait for a replica: a server takes in its new settings in its own time.
async fn until_commits_wait(cluster: &Cluster, url: &str) {
    loop {
        let probe = aside(url).await;
        let commit = probe.batch_execute("CREATE TEMPORARY TABLE probe (); DROP TABLE probe");
        tokio::select! {
            done = commit => done.expect("a commit"),
            () = until_one_waits(cluster, "SyncRep") => break,
        }
    }
    cluster.psql(
        "postgres",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
    );
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    until(async || cluster.psql("postgres", waiting) == "0").await;
}

/// Waits until a server's process waits on this: an append that is under way.
async fn until_one_waits(cluster: &Cluster, event: &str) {
    let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE wait_event = '{event}'");
    until(async || cluster.psql("postgres", &sql) != "0").await;
}

fn not_applied(answer: Result<(), AppendError>) -> Fault {
    match answer {
        Err(AppendError::NotApplied(fault)) => fault,
        other => panic!("known not to be applied, not {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_on_postgresql_keeps_the_contract() {
    let cluster = Cluster::start(&[]);
    let url = Arc::new(cluster.database("ledger"));
    contract::run(|| {
        let url = Arc::clone(&url);
        async move { PostgresStore::create(&url, contract::ORIGIN, None).await.expect("it opens") }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_accepts_and_says_nothing_does_not_keep_the_next_from_being_asked() {
    let cluster = Cluster::start(&[]);
    let (store, _, sample) = with_batches(&cluster, "ledger").await;
    store.resign().await;
    drop(store);
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let port = silent.local_addr().expect("an address").port();
    // Nobody accepts: the kernel does.
    let directory = cluster.directory().display().to_string().replace('/', "%2F");
    let both = format!("postgres://greffe@127.0.0.1:{port},{directory}:5432/ledger");
    let store = PostgresStore::open(&both).await.expect("the second host answers");
    assert_eq!(store.head().await.expect("readable"), sample.head());
    assert_eq!(store.lead().await.expect("a lease"), Lead::Held);
    drop(silent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_write_lost_or_landed_unknown_leaves_a_sound_ledger_in_a_database() {
    let cluster = Cluster::start(&[]);
    let url = cluster.database("ledger");
    each_write_fails(PostgresStore::create(&url, testing::ORIGIN, None).await.expect("one")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_es_loads_every_aggregate_of_a_ledger_as_we_do() {
    let cluster = Cluster::start(&[]);
    let url = cluster.database("ledger");
    let store = PostgresStore::create(&url, testing::ORIGIN, None).await.expect("a store");
    let store = Arc::new(store);
    let _ledger = filled(Arc::clone(&store) as _).await;
    let options = sqlx::postgres::PgConnectOptions::new()
        .socket(cluster.directory())
        .username("greffe")
        .database("ledger");
    let pool = sqlx::PgPool::connect_with(options).await.expect("a pool");
    loads_as_we_do(&PostgresEventRepository::new(pool), &*store).await;
    sound(&*store).await;
}

/// What the embedded store's tables of keys do, a unique index does here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_or_a_trigger_that_no_longer_guards_the_ledger_is_named() {
    let cluster = Cluster::start(&[]);
    let (store, url, _) = with_batches(&cluster, "ledger").await;
    assert_eq!(store.own_damage().await.expect("an answer"), None);
    let owner = aside(&url).await;
    for (undo, redo, row) in [
        (
            "DROP INDEX filings_by_key; CREATE INDEX filings_by_key ON filings (iss, jti)",
            "DROP INDEX filings_by_key; CREATE UNIQUE INDEX filings_by_key ON filings (iss, jti)",
            "index filings_by_key",
        ),
        (
            "ALTER TABLE entries DISABLE TRIGGER entries_are_never_changed",
            "ALTER TABLE entries ENABLE TRIGGER entries_are_never_changed",
            "trigger entries_are_never_changed",
        ),
    ] {
        owner.batch_execute(undo).await.expect(undo);
        let damage = store.own_damage().await.expect("an answer").expect("damage");
        assert_eq!(damage.row, Row::Named(row.to_owned()));
        owner.batch_execute(redo).await.expect(redo);
        assert_eq!(store.own_damage().await.expect("an answer"), None);
    }
    // What no column type forbids is named by its cell.
    owner
        .batch_execute(
            "ALTER TABLE entries DISABLE TRIGGER USER; \
             UPDATE entries SET event_type = 'Nothing' WHERE position = 7; \
             UPDATE entries SET item = NULL WHERE position = 9",
        )
        .await
        .expect("an edit");
    for (position, column) in [(7, "event_type"), (9, "item")] {
        let fault = store.entry(Position(position)).await.expect_err("unreadable");
        let cause = std::error::Error::source(&fault).expect("a cause").to_string();
        let cell = format!("table entries, position {position}, column {column}");
        assert!(cause.starts_with(&cell), "{cause}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_recorded_is_changed_by_no_role_and_a_server_can_only_append() {
    let cluster = Cluster::start(&[]);
    cluster.psql("postgres", "CREATE ROLE server LOGIN");
    let url = cluster.database("ledger");
    drop(PostgresStore::create(&url, contract::ORIGIN, Some("server")).await.expect("a store"));
    let store = PostgresStore::open_to_write(&cluster.url("ledger", "server")).await;
    let store = store.expect("the server's role is enough");
    let mut sample = Sample::default();
    append(&store, &mut sample).await;
    let mut batch = sample.batch(1, 1);
    batch.erased = vec![sample.disclosures[0].digest];
    store.append(batch.clone()).await.expect("its role may erase through an append");
    sample.add(&batch);

    let columns = "position, stream_version, recorded, stream_type, stream_id, event_type, kid, \
                   link, signature, leaf";
    let changes = [
        "UPDATE entries SET recorded = 0 WHERE position = 1".to_owned(),
        "UPDATE entries SET leaf = '{}'".to_owned(),
        "DELETE FROM entries WHERE position = 1".to_owned(),
        "TRUNCATE entries".to_owned(),
        "UPDATE filings SET items = 2".to_owned(),
        "DELETE FROM filings".to_owned(),
        "TRUNCATE filings".to_owned(),
        "UPDATE disclosures SET encoded = ''".to_owned(),
        "TRUNCATE disclosures".to_owned(),
        "UPDATE ledger SET origin = 'other'".to_owned(),
        "DELETE FROM lease".to_owned(),
        "UPDATE lease SET epoch = 0".to_owned(),
        "DELETE FROM events WHERE sequence = 1".to_owned(),
        "UPDATE events SET sequence = 7".to_owned(),
        "INSERT INTO events VALUES ('access', '1', 9, 'AccessRecorded', '1', '{}', '{}')"
            .to_owned(),
    ];
    let owners_alone = [
        "DELETE FROM disclosures".to_owned(),
        format!(
            "INSERT INTO entries ({columns}) SELECT position + 100, stream_version + 100, \
                 recorded, stream_type, stream_id, event_type, kid, link, signature, leaf FROM entries"
        ),
        "INSERT INTO disclosures VALUES (0, decode(repeat('00', 32), 'hex'), '')".to_owned(),
        "CREATE TABLE mine ()".to_owned(),
        "ALTER TABLE entries DISABLE TRIGGER ALL".to_owned(),
    ];
    for sql in changes.iter().chain(&owners_alone) {
        let refused = cluster.try_psql("ledger", "server", sql).expect_err(sql);
        assert!(refused.contains("ERROR"), "{sql}: {refused}");
    }
    for sql in &changes {
        cluster.try_psql("ledger", "greffe", sql).expect_err(sql);
    }
    contract::compare(&store, &sample).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_origin_a_newer_schema_an_empty_database_and_a_second_writer_are_refused() {
    let cluster = Cluster::start(&[]);
    let empty = cluster.database("empty");
    let missing = PostgresStore::open(&empty).await.err().expect("refused");
    assert_eq!(missing.kind(), FaultKind::Missing);
    let nowhere = PostgresStore::open(&cluster.url("nowhere", "greffe")).await;
    assert_eq!(nowhere.err().expect("refused").kind(), FaultKind::Missing);
    let (store, url, sample) = with_batches(&cluster, "ledger").await;

    let reader = PostgresStore::open_read_only(&url).await.expect("a reader");
    contract::compare(&reader, &sample).await;
    assert_eq!(reader.lead().await.expect("an answer"), Lead::Elsewhere);
    let refused = not_applied(reader.append(sample.batch(1, 1)).await);
    assert_eq!(refused.kind(), FaultKind::ReadOnly);

    // As long as the first renews its lease, nobody else writes.
    let renewing = async {
        loop {
            assert_eq!(store.lead().await.expect("renewed"), Lead::Held);
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let second = tokio::select! {
        second = PostgresStore::open_to_write(&url) => second,
        () = renewing => unreachable!("it renews for ever"),
    };
    assert_eq!(second.err().expect("refused").kind(), FaultKind::InUse);
    store.resign().await;
    let other = PostgresStore::create(&url, "other.example", None).await.err().expect("refused");
    assert_eq!(other.kind(), FaultKind::OtherOrigin);

    cluster.psql("ledger", "INSERT INTO schema_steps VALUES (99)");
    let newer = PostgresStore::open(&url).await.err().expect("refused");
    assert_eq!(newer.kind(), FaultKind::NewerSchema);
    let newer = PostgresStore::create(&url, contract::ORIGIN, None).await.err().expect("refused");
    assert_eq!(newer.kind(), FaultKind::NewerSchema);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_takes_over_and_the_first_appends_nothing_when_it_wakes() {
    let cluster = Cluster::start(&[]);
    let (first, url, mut sample) = with_batches(&cluster, "ledger").await;
    let second = PostgresStore::open(&url).await.expect("a second server");
    assert_eq!(second.lead().await.expect("an answer"), Lead::Elsewhere);
    // The first sleeps: it neither appends nor renews.
    until(async || second.lead().await.expect("an answer") == Lead::Held).await;
    // Nothing was appended since, and still the first is shut out.
    for _ in 0..2 {
        match first.append(sample.batch(1, 1)).await {
            Err(AppendError::Conflict { actual }) => assert_eq!(actual, sample.head()),
            other => panic!("its epoch has passed: {other:?}"),
        }
    }
    append(&second, &mut sample).await;
    assert_eq!(first.lead().await.expect("an answer"), Lead::Elsewhere);
    assert_eq!(first.head().await.expect("readable"), sample.head());
    contract::compare(&first, &sample).await;
    // And back, at once when the second gives up its place.
    second.resign().await;
    assert_eq!(first.lead().await.expect("an answer"), Lead::Held);
    append(&first, &mut sample).await;
    assert!(matches!(second.append(sample.batch(1, 1)).await, Err(AppendError::Conflict { .. })));
    contract::compare(&second, &sample).await;
}

/// Another server came and went between two renewals: the lease is free, and yet it was lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_could_be_taken_again_at_once_is_first_said_to_be_lost() {
    let cluster = Cluster::start(&[]);
    let (first, url, mut sample) = with_batches(&cluster, "ledger").await;
    cluster.psql("ledger", "UPDATE lease SET renewed = '-infinity'");
    let second = PostgresStore::open(&url).await.expect("a second server");
    assert_eq!(second.lead().await.expect("an answer"), Lead::Held);
    append(&second, &mut sample).await;
    second.resign().await;
    assert_eq!(first.lead().await.expect("an answer"), Lead::Elsewhere);
    assert_eq!(first.lead().await.expect("an answer"), Lead::Held);
    append(&first, &mut sample).await;
    contract::compare(&first, &sample).await;
}

/// What a replica promoted a moment too early does: it gives an epoch out that the former
/// writer has as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_epoch_that_another_server_was_given_as_well_appends_nothing() {
    let cluster = Cluster::start(&[]);
    let (store, _, mut sample) = with_batches(&cluster, "ledger").await;
    let lease = |sql: &str| cluster.psql("ledger", sql);
    let taken = "UPDATE lease SET holder = 'another ' || holder, renewed = clock_timestamp()";
    let given_back = "UPDATE lease SET renewed = '-infinity'";
    // Each is tried while the handle still holds its epoch for the lease's.
    lease(taken);
    match store.append(sample.batch(1, 1)).await {
        Err(AppendError::Conflict { actual }) => assert_eq!(actual, sample.head()),
        other => panic!("the lease is another's: {other:?}"),
    }
    assert_eq!(store.lead().await.expect("an answer"), Lead::Elsewhere, "it was lost");
    lease(given_back);
    assert_eq!(store.lead().await.expect("an answer"), Lead::Held);

    lease(taken);
    assert_eq!(store.lead().await.expect("an answer"), Lead::Elsewhere, "nothing to renew");
    lease(given_back);
    assert_eq!(store.lead().await.expect("an answer"), Lead::Held);

    lease(taken);
    store.resign().await;
    assert_eq!(lease("SELECT renewed > '-infinity' FROM lease"), "t", "not its own to give back");
    lease(given_back);
    assert_eq!(store.lead().await.expect("an answer"), Lead::Held);
    append(&store, &mut sample).await;
    contract::compare(&store, &sample).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_earlier_schema_is_refused_until_its_owner_brings_it_up_to_date() {
    const FIRST: &str = include_str!("../../migrations/postgres/0001_ledger.sql");
    let cluster = Cluster::start(&[]);
    cluster.psql("postgres", "CREATE ROLE server LOGIN");
    let url = cluster.database("ledger");
    let owner = aside(&url).await;
    let made = format!(
        "CREATE TABLE schema_steps (step integer PRIMARY KEY, \
         applied timestamptz NOT NULL DEFAULT now()); \
         {FIRST}; INSERT INTO schema_steps VALUES (1); \
         INSERT INTO ledger VALUES (1, '{}'); INSERT INTO lease VALUES (1, 0, '', '-infinity'); \
         GRANT SELECT ON ALL TABLES IN SCHEMA public TO server; \
         GRANT EXECUTE ON FUNCTION take_lease, settle_lease, renew_lease, release_lease, \
         append_batch TO server",
        contract::ORIGIN
    );
    owner.batch_execute(&made).await.expect("the first schema");
    let earlier = PostgresStore::open(&url).await.err().expect("refused");
    assert_eq!(earlier.kind(), FaultKind::Missing);
    let cause = std::error::Error::source(&earlier).expect("a cause").to_string();
    assert!(cause.contains("greffe init"), "{cause}");
    // Whoever brings it up to date may be another than its owner, and have other schemas.
    cluster.psql("postgres", "CREATE ROLE helper LOGIN SUPERUSER");
    cluster.psql("ledger", "CREATE SCHEMA helper");
    let helper = cluster.url("ledger", "helper");
    let elsewhere = PostgresStore::create(&helper, contract::ORIGIN, None).await.err();
    let cause = std::error::Error::source(&elsewhere.expect("refused")).map(ToString::to_string);
    assert!(
        cause.as_ref().is_some_and(|c| c.contains("schema of its tables, public")),
        "{cause:?}"
    );
    let helper = format!("{helper}&options=-c%20search_path%3Dpublic");
    let created = PostgresStore::create(&helper, contract::ORIGIN, None).await;
    created.expect("brought up to date").resign().await;
    let functions = "SELECT string_agg(format('%s %s %s %s', proname, proowner::regrole, \
                     proconfig IS NOT NULL, has_function_privilege('pg_monitor', oid, 'EXECUTE')), \
                     ', ' ORDER BY proname) FROM pg_proc WHERE prosecdef";
    assert_eq!(
        cluster.psql("ledger", functions),
        "append_batch greffe t f, release_lease greffe t f, renew_lease greffe t f, \
         settle_lease greffe t f, take_lease greffe t f",
        "one of each, of the tables' owner, with a fixed path, and for nobody else"
    );
    // Rights went along.
    let store = PostgresStore::open_to_write(&cluster.url("ledger", "server")).await;
    let store = store.expect("a store");
    let mut sample = Sample::default();
    append(&store, &mut sample).await;
    store.resign().await;
    assert_eq!(store.lead().await.expect("an answer"), Lead::Held);
    append(&store, &mut sample).await;
    contract::compare(&store, &sample).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_refuses_is_known_not_to_be_applied_and_said() {
    let cluster = Cluster::start(&[]);
    let (store, url, mut sample) = with_batches(&cluster, "ledger").await;
    let raise = |code: &str, when: &str| {
        cluster.psql(
            "ledger",
            &format!(
                "CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 IF {when} THEN RAISE EXCEPTION 'made to fail' USING ERRCODE = '{code}'; END IF; \
                 RETURN NEW; END $$;"
            ),
        );
    };
    // Of the last table, so that two have been written by then.
    raise("53100", "true");
    cluster.psql(
        "ledger",
        "CREATE TRIGGER fail BEFORE INSERT ON disclosures FOR EACH ROW EXECUTE FUNCTION fail(); \
         CREATE SEQUENCE tries",
    );
    let full = not_applied(store.append(sample.batch(2, 1)).await);
    assert_eq!(full.kind(), FaultKind::Full);
    assert!(full.retry_is_safe());
    contract::compare(&store, &sample).await;

    // Given up for another transaction's sake: tried again, and it goes through.
    raise("40001", "nextval('tries') < 3");
    append(&store, &mut sample).await;
    assert_eq!(cluster.psql("ledger", "SELECT last_value > 2 FROM tries"), "t");
    // But not for ever.
    raise("40P01", "true");
    assert_eq!(not_applied(store.append(sample.batch(1, 1)).await).kind(), FaultKind::Unavailable);
    cluster.psql("ledger", "DROP TRIGGER fail ON disclosures");

    // Out of time while it waits for a lock: what a statement timeout does.
    let holder = aside(&url).await;
    holder.batch_execute("BEGIN; LOCK TABLE disclosures").await.expect("locked");
    let waiting = store.append(sample.batch(1, 1));
    let cancelled = async {
        until_one_waits(&cluster, "relation").await;
        cluster.psql(
            "postgres",
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'relation'",
        );
    };
    let (answer, ()) = tokio::join!(waiting, cancelled);
    let late = not_applied(answer);
    assert!(late.retry_is_safe());
    holder.batch_execute("ROLLBACK").await.expect("unlocked");
    append(&store, &mut sample).await;
    contract::compare(&store, &sample).await;
}

/// The database itself gives up, at the time that the URL asks for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_database_gives_up_for_want_of_time_is_not_applied_and_said() {
    let cluster = Cluster::start(&[]);
    let (store, url, mut sample) = with_batches(&cluster, "ledger").await;
    drop(store);
    let hurried = format!("{url}&options=-c%20statement_timeout%3D700");
    let store = PostgresStore::open_to_write(&hurried).await.expect("a store");
    append(&store, &mut sample).await;
    let holder = aside(&url).await;
    holder.batch_execute("BEGIN; LOCK TABLE disclosures, filings").await.expect("locked");
    let late = not_applied(store.append(sample.batch(1, 1)).await);
    let unread = store.filing(Position(0)).await.expect_err("it waits for the table");
    for fault in [late, unread] {
        assert_eq!(fault.kind(), FaultKind::Unavailable);
        assert!(fault.retry_is_safe());
        let cause = std::error::Error::source(&fault).expect("a cause").to_string();
        assert!(cause.contains("statement timeout"), "{cause}");
    }
    holder.batch_execute("ROLLBACK").await.expect("unlocked");
    append(&store, &mut sample).await;
    contract::compare(&store, &sample).await;
}

/// A disk of 16 MiB for a server's tables, with a file that takes half of it.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `Err`: why there is none.
    fn mount(cluster: &Cluster) -> Result<Self, String> {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
        let place = tempfile::tempdir().expect("a directory");
        let everybody = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(place.path(), everybody).expect("its mode");
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"])
            .arg(place.path())
            .output()
            .map_err(|e| e.to_string())?;
        if !mount.status.success() {
            return Err(String::from_utf8_lossy(&mount.stderr).trim().to_owned());
        }
        let disk = Self(place);
        let server = std::fs::metadata(cluster.directory()).expect("its directory");
        let tables = disk.tables();
        std::fs::create_dir(&tables).expect("there is room");
        chown(&tables, Some(server.uid()), Some(server.gid())).expect("given away");
        std::fs::write(disk.ballast(), vec![1; 8 << 20]).expect("there is room");
        Ok(disk)
    }

    fn tables(&self) -> std::path::PathBuf {
        self.0.path().join("tables")
    }

    fn ballast(&self) -> std::path::PathBuf {
        self.0.path().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_the_tables_loses_nothing_and_with_room_it_goes_on() {
    let cluster = Cluster::start(&[]);
    let disk = match SmallDisk::mount(&cluster) {
        Ok(disk) => disk,
        Err(why) => {
            println!("not tested: a small disk needs the right to mount one ({why})");
            return;
        }
    };
    let (store, _, mut sample) = with_batches(&cluster, "ledger").await;
    let tables = disk.tables();
    cluster.psql("ledger", &format!("CREATE TABLESPACE small LOCATION '{}'", tables.display()));
    cluster.psql(
        "ledger",
        "ALTER TABLE entries SET TABLESPACE small; ALTER TABLE filings SET TABLESPACE small; \
         ALTER TABLE disclosures SET TABLESPACE small",
    );
    let full = loop {
        let batch = sample.batch(50, 10);
        match store.append(batch.clone()).await {
            Ok(()) => sample.add(&batch),
            refused => break not_applied(refused),
        }
        assert!(sample.entries.len() < 50_000, "16 MiB do not hold so much");
    };
    assert_eq!(full.kind(), FaultKind::Full);
    assert!(full.retry_is_safe());
    // Full, it still answers, with what was acknowledged and no more.
    contract::compare(&store, &sample).await;
    assert_eq!(store.head().await.expect("readable"), sample.head());
    std::fs::remove_file(disk.ballast()).expect("our own file");
    append(&store, &mut sample).await;
    contract::compare(&store, &sample).await;
    drop(cluster);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_down_is_said_and_one_that_is_back_goes_on() {
    let mut cluster = Cluster::start(&[]);
    let (store, _, mut sample) = with_batches(&cluster, "ledger").await;
    cluster.stop();
    let down = not_applied(store.append(sample.batch(1, 1)).await);
    assert_eq!(down.kind(), FaultKind::Unavailable);
    assert!(down.retry_is_safe());
    assert!(store.head().await.is_err(), "no answer is not an empty answer");
    assert!(store.entries(greffe_domain::seal::Position(0), 1).await.is_err());
    cluster.start_again();
    append(&store, &mut sample).await;
    contract::compare(&store, &sample).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_without_an_answer_is_unknown_and_the_head_tells_for_good() {
    let mut cluster = Cluster::start(&[]);
    let (store, url, mut sample) = with_batches(&cluster, "ledger").await;

    // Killed before the end: it waits for a table that another one holds.
    let holder = aside(&url).await;
    holder.batch_execute("BEGIN; LOCK TABLE disclosures").await.expect("locked");
    let batch = sample.batch(2, 1);
    let unknown = {
        let waiting = store.append(batch.clone());
        tokio::pin!(waiting);
        tokio::select! {
            answer = &mut waiting => panic!("it waits for the table: {answer:?}"),
            () = until_one_waits(&cluster, "relation") => {}
        }
        cluster.kill();
        waiting.await
    };
    assert!(matches!(unknown, Err(AppendError::Unknown(_))), "{unknown:?}");
    assert!(store.head().await.is_err(), "nobody can tell while it is down");
    cluster.start_again();
    assert_eq!(store.head().await.expect("settled"), sample.head(), "it did not land");
    append(&store, &mut sample).await;

    // Killed, or disconnected, once it is on the disk: the commit waits for a replica that
    // does not exist.
    for disconnected in [false, true] {
        cluster.psql("postgres", "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
        cluster.psql("postgres", "SELECT pg_reload_conf()");
        until_commits_wait(&cluster, &url).await;
        let batch = sample.batch(2, 1);
        let waiting = store.append(batch.clone());
        tokio::pin!(waiting);
        tokio::select! {
            answer = &mut waiting => panic!("it waits for a replica: {answer:?}"),
            () = until_one_waits(&cluster, "SyncRep") => {}
        }
        cluster.psql("postgres", "ALTER SYSTEM RESET synchronous_standby_names");
        if disconnected {
            cluster.psql(
                "postgres",
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
            );
        } else {
            cluster.kill();
        }
        let answer = waiting.await;
        assert!(matches!(answer, Err(AppendError::Unknown(_))), "{answer:?}");
        if disconnected {
            cluster.psql("postgres", "SELECT pg_reload_conf()");
        } else {
            cluster.start_again();
        }
        sample.add(&batch);
        assert_eq!(store.head().await.expect("settled"), sample.head(), "it landed");
        append(&store, &mut sample).await;
    }
    contract::compare(&store, &sample).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_that_is_given_up_waiting_for_is_waited_for_before_the_head_is_told() {
    let cluster = Cluster::start(&[]);
    let (store, url, mut sample) = with_batches(&cluster, "ledger").await;
    let store = Arc::new(store);
    let holder = aside(&url).await;
    holder.batch_execute("BEGIN; LOCK TABLE disclosures").await.expect("locked");
    let batch = sample.batch(2, 1);
    let waiting = tokio::spawn({
        let (store, batch) = (Arc::clone(&store), batch.clone());
        async move { store.append(batch).await }
    });
    until_one_waits(&cluster, "relation").await;
    // Whoever waited is gone; the statement goes on in the server.
    waiting.abort();
    assert!(waiting.await.is_err_and(|e| e.is_cancelled()));
    let head = store.head();
    tokio::pin!(head);
    // It is told no earlier, however long one waits.
    let early = tokio::time::timeout(Duration::from_millis(300), &mut head).await;
    assert!(early.is_err(), "the append may still land: {early:?}");
    holder.batch_execute("ROLLBACK").await.expect("unlocked");
    sample.add(&batch);
    assert_eq!(head.await.expect("settled"), sample.head());
    append(&store, &mut sample).await;
    contract::compare(&*store, &sample).await;
}
