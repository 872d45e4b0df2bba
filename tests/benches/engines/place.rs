//! Ledgers to measure, one an engine: made anew, with the parties and processings that the
//! filings need.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use greffe_domain::date::Timestamp;
use greffe_domain::event::{ClockKind, LedgerOpened};
use greffe_domain::key::simulated_party_key;
use greffe_infra::clock::Clock;
use greffe_infra::ledger::{Ledger, Purpose, open_ledger};
use greffe_infra::store::{Lead, Location, MemoryStore, Store};
use greffe_infra::testing::cluster::Cluster;
use greffe_tests::server::{NOW_S, ORIGIN, create_ledger_at, register_party};

use crate::filings::declarations;
use crate::measure::family_time;

pub const PARTIES: &[(&str, &[&str])] = &[("caisse", &["controller"]), ("cnil", &["regulator"])];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Memory,
    Sqlite,
    Postgres,
}

impl Engine {
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// Segments of PostgreSQL's log that are there before anything is measured, of 16 MiB.
const LOG_SEGMENTS: u32 = 320;

/// A server of PostgreSQL with what a machine of this size gives it, and every commit on
/// disk before it is answered. It has segments of its log to use again, as any that has run
/// for a while: a new server makes and zeroes each within somebody's commit.
pub fn cluster() -> Cluster {
    let settings =
        ["shared_buffers=1GB", "min_wal_size=6GB", "max_wal_size=8GB", "wal_compression=off"];
    let cluster = Cluster::start(&settings);
    let fill = format!(
        "SELECT count(pg_logical_emit_message(false, 'greffe', '')), count(pg_switch_wal()) \
         FROM generate_series(1, {LOG_SEGMENTS})"
    );
    cluster.psql("postgres", &fill);
    cluster.psql("postgres", "CHECKPOINT");
    let waiting =
        "SELECT count(*) FROM pg_ls_waldir() WHERE name > pg_walfile_name(pg_current_wal_lsn())";
    let waiting: u32 = cluster.psql("postgres", waiting).parse().expect("a number");
    assert!(waiting > LOG_SEGMENTS / 2, "{waiting} segments wait to be used again");
    for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
        let value = cluster.psql("postgres", &format!("SHOW {setting}"));
        assert_eq!(value, "on", "{setting}: what is measured is durable");
    }
    cluster
}

/// Process id of a cluster's server.
pub fn postmaster(cluster: &Cluster) -> String {
    let file = cluster.directory().join("data").join("postmaster.pid");
    let text = std::fs::read_to_string(file).expect("a running server says its id");
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// A ledger that holds its parties and processings, closed.
pub struct Place {
    pub engine: Engine,
    directory: tempfile::TempDir,
    /// `None` in memory.
    location: Option<Location>,
    url: Option<String>,
    postmaster: Option<String>,
}

impl Place {
    pub async fn new(engine: Engine, cluster: Option<&Cluster>, name: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let (mut location, mut url, mut server) = (None, None, None);
        match engine {
            Engine::Memory => {}
            Engine::Sqlite => location = Some(Location::in_directory(directory.path())),
            Engine::Postgres => {
                let cluster = cluster.expect("a cluster was started for this engine");
                let database = cluster.database(name);
                location = Location::parse(&database);
                server = Some(postmaster(cluster));
                url = Some(database);
            }
        }
        let place = Self { engine, directory, location, url, postmaster: server };
        if let Some(location) = &place.location {
            create_ledger_at(place.directory.path(), location, PARTIES).await;
            let ledger = place.open().await;
            declare(&ledger).await;
            ledger.shutdown().await;
        }
        place
    }

    /// Opens it to write; in memory, a new one each time.
    pub async fn open(&self) -> Ledger {
        match &self.location {
            Some(location) => Ledger::open_at(self.directory.path(), location, Purpose::Write)
                .await
                .expect("the ledger opens"),
            None => in_memory().await,
        }
    }

    /// An empty store on the same engine, beside the ledger's.
    pub async fn scratch_store(&self) -> Arc<dyn Store> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let location = match &self.url {
            Some(url) => {
                let client = self.cluster_client(url).await;
                let name = format!("scratch{number}");
                client.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("made");
                let (base, rest) = url.split_once("/ledger?").expect("the ledger's database");
                Location::parse(&format!("{base}/{name}?{rest}")).expect("an address")
            }
            None => Location::in_directory(&self.path().join(format!("scratch{number}"))),
        };
        let store = location.create(ORIGIN).await.expect("a store");
        assert_eq!(store.lead().await.expect("an answer"), Lead::Held);
        store
    }

    async fn cluster_client(&self, url: &str) -> tokio_postgres::Client {
        let (client, connection) =
            tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("a connection");
        tokio::spawn(connection);
        client
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// What `greffe serve` is told to serve it.
    pub fn arguments(&self) -> Vec<&str> {
        let mut arguments = vec!["--data", self.path().to_str().expect("UTF-8")];
        if let Some(url) = &self.url {
            arguments.extend(["--store", url]);
        }
        arguments
    }

    /// Processor time of the database so far; none where it runs in our own process.
    pub fn database_time(&self) -> std::time::Duration {
        self.postmaster.as_deref().map_or_else(Default::default, family_time)
    }

    /// Bytes on disk: the ledger's and the projections'.
    pub fn bytes(&self, cluster: Option<&Cluster>, name: &str) -> (u64, u64) {
        let files = std::fs::read_dir(self.path()).expect("a directory");
        let (mut ledger, mut projections) = (0, 0);
        for file in files.flatten() {
            let bytes = file.metadata().map_or(0, |m| m.len());
            if file.file_name().to_string_lossy().contains("projections") {
                projections += bytes;
            } else {
                ledger += bytes;
            }
        }
        if let (Engine::Postgres, Some(cluster)) = (self.engine, cluster) {
            let sql = format!("SELECT pg_database_size('{name}')");
            ledger = cluster.psql("postgres", &sql).parse().expect("a number of bytes");
        }
        (ledger, projections)
    }
}

async fn declare(ledger: &Ledger) {
    for filing in declarations() {
        ledger.submit(&filing).await.expect("declared");
    }
}

async fn in_memory() -> Ledger {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(ORIGIN));
    let key = simulated_party_key("ledger");
    let opened = LedgerOpened {
        origin: ORIGIN.to_owned(),
        ledger_key: key.public().clone(),
        registrar: "greffe".to_owned(),
        registrar_key: simulated_party_key("greffe").public().clone(),
        clock: ClockKind::Simulated,
        opened_at: Timestamp::from_unix_seconds(NOW_S),
    };
    open_ledger(&*store, &key, opened).await.expect("position 0");
    let ledger = Ledger::start(store, Clock::System, key, [7; 32], None).await.expect("opens");
    for (party, roles) in PARTIES {
        ledger.submit(&register_party(party, roles)).await.expect("registered");
    }
    declare(&ledger).await;
    ledger
}
