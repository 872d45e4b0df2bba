//! The failover drill: the primary is killed under load, its replica takes its place, and
//! the server goes on. With a synchronous replica nothing is lost; without one something may
//! be, and then the server says so and signs nothing.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use greffe_domain::seal::Position;
use greffe_infra::clock::Clock;
use greffe_infra::high_water::{HIGH_WATER_FILE, HighWater, LossKind, Sync};
use greffe_infra::ledger::{Ledger, Opening, Purpose, Standing};
use greffe_infra::receipt::Receipt;
use greffe_infra::store::PostgresStore;
use greffe_infra::testing::cluster::Cluster;
use greffe_infra::testing::{self, access, sign};

use crate::support::{holds, sound};

const KILLS: u64 = 10;
const CLIENTS: u64 = 4;

async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    for _ in 0..1_200 {
        if so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it never comes: {what}");
}

/// A server that knows both hosts, and writes on the one that lets it.
async fn server(hosts: [&Cluster; 2], data: &Path) -> Ledger {
    let [a, b] = hosts.map(|c| c.directory().display().to_string());
    let url = format!("postgres:///ledger?user=greffe&host={a}&host={b}");
    let mark = HighWater::open(&data.join(HIGH_WATER_FILE), testing::ORIGIN, Sync::Always);
    let opening = Opening {
        store: Arc::new(PostgresStore::open(&url).await.expect("a store")),
        clock: Clock::System,
        key: Some(testing::ledger_key()),
        subject_secret: Some([7; 32]),
        keys: None,
        purpose: Purpose::Serve,
        marks: vec![Arc::new(mark.expect("a mark"))],
        lock: None,
        rulebooks: greffe_domain::rules::VERSIONS.to_vec(),
    };
    Ledger::open_with(opening).await.expect("a ledger")
}

async fn settled(cluster: &Cluster) {
    let url = cluster.database("ledger");
    let store = PostgresStore::create(&url, testing::ORIGIN, None).await.expect("a store");
    let ledger = testing::open(Arc::new(store)).await.expect("a ledger");
    testing::settle(&ledger).await;
    ledger.shutdown().await;
}

/// A replica that has everything before the primary says that it has.
fn synchronous_replica(primary: &Cluster) -> Cluster {
    let replica = primary.replica(&[]);
    primary.wait_for("replica");
    replica
}

/// Kills the primary once that many receipts were given, and lets the replica take over,
/// while clients file and ask again until they are told.
async fn round(
    ledger: &Ledger,
    primary: &mut Cluster,
    replica: &Cluster,
    round: u64,
) -> Vec<Receipt> {
    let hash = blake3::hash(format!("kill {round}").as_bytes());
    let kill_after = 1 + usize::from(hash.as_bytes()[0]) / 4;
    let receipts: Arc<Mutex<Vec<Receipt>>> = Arc::default();
    let (given, enough) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut clients = Vec::new();
    for client in 0..CLIENTS {
        let (ledger, receipts) = (ledger.clone(), Arc::clone(&receipts));
        let (given, enough) = (Arc::clone(&given), Arc::clone(&enough));
        clients.push(tokio::spawn(async move {
            for n in 0.. {
                if enough.load(Ordering::Relaxed) {
                    return;
                }
                let filing = sign(access("cnamts", "suivi", (round * 10 + client) * 100_000 + n));
                // The same bytes until there is an answer: recorded once, however often.
                let answer = loop {
                    match ledger.submit(&filing).await {
                        Ok(answer) => break answer,
                        Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                    }
                };
                receipts.lock().expect("no client panics").extend(answer);
                given.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    until("receipts", async || given.load(Ordering::Relaxed) >= kill_after).await;
    primary.kill();
    let before = given.load(Ordering::Relaxed);
    replica.promote();
    until("receipts again", async || given.load(Ordering::Relaxed) >= before + 8).await;
    enough.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("no client panics");
    }
    Arc::try_unwrap(receipts).expect("all clients ended").into_inner().expect("no client panics")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_synchronous_replica_every_receipt_outlives_the_primary_killed_ten_times() {
    let data = tempfile::tempdir().expect("a directory");
    let mut primary = Cluster::start(&[]);
    settled(&primary).await;
    let mut given = Vec::new();
    for n in 0..KILLS {
        let replica = synchronous_replica(&primary);
        let ledger = server([&primary, &replica], data.path()).await;
        until("the lease", async || ledger.standing() == Standing::Writes).await;
        given.extend(round(&ledger, &mut primary, &replica, n).await);
        assert_eq!(ledger.standing(), Standing::Writes, "it went on by itself");
        for receipt in &given {
            holds(&**ledger.store(), receipt).await;
        }
        // Linked and signed from the first entry to the last: there is one past.
        let checked = sound(&**ledger.store()).await;
        assert!(checked.entries >= given.len() as u64);
        ledger.shutdown().await;
        primary = replica;
    }
    let mut positions: Vec<Position> = given.iter().map(|r| r.position).collect();
    positions.sort_unstable();
    positions.dedup();
    assert_eq!(positions.len(), given.len(), "no position was given twice");
    assert!(given.len() as u64 > KILLS * CLIENTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_one_what_the_replica_had_not_is_lost_and_the_server_says_so_and_signs_nothing() {
    let data = tempfile::tempdir().expect("a directory");
    let mut primary = Cluster::start(&[]);
    settled(&primary).await;
    let mut replica = primary.replica(&[]);
    let ledger = server([&primary, &replica], data.path()).await;
    assert_eq!(ledger.standing(), Standing::Writes);
    let kept = ledger.submit(&sign(access("cnamts", "suivi", 0))).await.expect("recorded");
    let sent = "SELECT count(*) FROM pg_stat_replication WHERE flush_lsn = pg_current_wal_lsn()";
    until("the replica", async || primary.psql("postgres", sent) == "1").await;
    // The replica is late by what comes now.
    replica.stop();
    let size = ledger.size();
    let mut lost = Vec::new();
    for n in 1..=5 {
        lost.extend(ledger.submit(&sign(access("cnamts", "suivi", n))).await.expect("recorded"));
    }
    primary.kill();
    replica.start_again();
    replica.promote();

    // The server that was running finds out as soon as it has something to append.
    until("the loss", async || {
        let _ = ledger.submit(&sign(access("cnamts", "suivi", 6))).await;
        matches!(ledger.standing(), Standing::Behind(_))
    })
    .await;
    assert!(ledger.head().is_err(), "nothing is signed");
    ledger.shutdown().await;
    // So does one that starts.
    let started = server([&primary, &replica], data.path()).await;
    let Standing::Behind(loss) = started.standing() else {
        panic!("entries are missing: {:?}", started.standing())
    };
    assert_eq!(loss.kind, LossKind::Missing);
    let range = (lost[0].position, lost[4].position);
    assert_eq!(loss.positions(), range, "it names what is missing");
    assert_eq!(loss.stored.size, size);
    let refused = started.head().expect_err("nothing is signed");
    assert!(refused.detail.en.contains(&format!("{} to {}", range.0, range.1)), "{refused}");
    // What is there is still served.
    holds(&**started.store(), &kept[0]).await;
    sound(&**started.store()).await;
}
