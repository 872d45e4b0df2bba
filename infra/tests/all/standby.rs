//! Several servers on one database, and what becomes of a ledger whose store loses entries.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use greffe_domain::refusal::RefusalCode as C;
use greffe_domain::seal::Position;
use greffe_infra::clock::Clock;
use greffe_infra::high_water::{HIGH_WATER_FILE, HighWater, LossKind, Sync};
use greffe_infra::ledger::{Ledger, Opening, Purpose, Standing};
use greffe_infra::receipt::Receipt;
use greffe_infra::store::{PostgresStore, SqliteStore, Store};
use greffe_infra::submit::SubmitError;
use greffe_infra::testing::cluster::Cluster;
use greffe_infra::testing::{self, access, sign};

use crate::support::{holds, refusal, sound};

/// A server of this ledger, with a mark of its own in `directory`.
async fn server(store: Arc<dyn Store>, directory: &Path, purpose: Purpose) -> Ledger {
    let mark = HighWater::open(&directory.join(HIGH_WATER_FILE), testing::ORIGIN, Sync::Always);
    let marks = match purpose {
        Purpose::Follow => Vec::new(),
        _ => vec![Arc::new(mark.expect("a mark"))],
    };
    let opening = Opening {
        store,
        clock: Clock::System,
        key: Some(testing::ledger_key()),
        subject_secret: Some([7; 32]),
        keys: None,
        purpose,
        marks,
        lock: None,
        rulebooks: greffe_domain::rules::VERSIONS.to_vec(),
    };
    Ledger::open_with(opening).await.expect("a ledger")
}

async fn on(url: &str, directory: &Path, purpose: Purpose) -> Ledger {
    let store: Arc<dyn Store> = match purpose {
        Purpose::Follow => Arc::new(PostgresStore::open_read_only(url).await.expect("a store")),
        _ => Arc::new(PostgresStore::open(url).await.expect("a store")),
    };
    server(store, directory, purpose).await
}

/// A ledger with its parties in a database; nobody holds it open.
async fn settled(cluster: &Cluster) -> String {
    let url = cluster.database("ledger");
    let store = PostgresStore::create(&url, testing::ORIGIN, None).await.expect("a store");
    let ledger = testing::open(Arc::new(store)).await.expect("a ledger");
    testing::settle(&ledger).await;
    ledger.shutdown().await;
    url
}

/// Waits until a ledger stands so: what only other tasks bring about.
async fn until(ledger: &Ledger, so: impl Fn(&Ledger) -> bool) {
    for _ in 0..1_200 {
        if so(ledger) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it never comes: {:?}", ledger.standing());
}

async fn recorded(ledger: &Ledger, n: u64) -> Receipt {
    let receipts = ledger.submit(&sign(access("cnamts", "suivi", n))).await.expect("recorded");
    receipts.into_iter().next().expect("one entry")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_servers_one_writes_the_other_follows_and_takes_over_when_it_ends() {
    let cluster = Cluster::start(&[]);
    let url = settled(&cluster).await;
    let [a, b, c] = [0; 3].map(|_| tempfile::tempdir().expect("a directory"));
    let first = on(&url, a.path(), Purpose::Serve).await;
    let second = on(&url, b.path(), Purpose::Serve).await;
    let reader = on(&url, c.path(), Purpose::Follow).await;
    assert_eq!(first.standing(), Standing::Writes);
    for follower in [&second, &reader] {
        assert_eq!(follower.standing(), Standing::Follows);
        let refused = refusal(follower.submit(&sign(access("cnamts", "suivi", 0))).await);
        assert_eq!(refused.code, C::ReadOnly);
    }
    let mut given = vec![recorded(&first, 1).await];
    let declared = sign(testing::declaration("cnamts", "second"));
    given.extend(first.submit(&declared).await.expect("declared"));
    for follower in [&second, &reader] {
        until(follower, |l| l.size() == first.size()).await;
        assert!(follower.with_register(|r| r.processing("second").is_some()));
        let (theirs, ours) = (follower.head().expect("signed"), first.head().expect("signed"));
        assert_eq!((theirs.signed, theirs.time), (ours.signed, ours.time));
        assert_eq!(follower.lag(), 0);
    }
    // The first is gone without a word: its lease runs out.
    drop(first);
    until(&second, |l| l.standing() == Standing::Writes).await;
    given.push(recorded(&second, 2).await);
    // And with one: at once.
    let third = on(&url, a.path(), Purpose::Serve).await;
    assert_eq!(third.standing(), Standing::Follows);
    second.shutdown().await;
    until(&third, |l| l.standing() == Standing::Writes).await;
    given.push(recorded(&third, 3).await);
    until(&reader, |l| l.size() == third.size()).await;
    assert_eq!(reader.standing(), Standing::Follows, "it never writes");
    for receipt in &given {
        holds(&**third.store(), receipt).await;
    }
    sound(&**third.store()).await;
}

/// Two servers, the first as if it had slept: the other one has the lease, and it does not
/// know.
async fn one_asleep(cluster: &Cluster, [a, b]: [&Path; 2]) -> (Ledger, Ledger) {
    let url = settled(cluster).await;
    let first = on(&url, a, Purpose::Serve).await;
    recorded(&first, 1).await;
    loop {
        cluster.psql("ledger", "UPDATE lease SET renewed = '-infinity'");
        let second = on(&url, b, Purpose::Serve).await;
        if second.standing() == Standing::Writes {
            return (first, second);
        }
        // The first renewed it in between.
        second.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_lost_its_lease_unawares_records_nothing_and_follows() {
    let cluster = Cluster::start(&[]);
    let [a, b] = [0; 2].map(|_| tempfile::tempdir().expect("a directory"));
    let (first, second) = one_asleep(&cluster, [a.path(), b.path()]).await;
    assert_eq!(second.standing(), Standing::Writes);
    let size = second.size();
    let late = first.submit(&sign(access("cnamts", "suivi", 2))).await;
    assert_eq!(refusal(late).code, C::ReadOnly);
    assert_eq!(second.store().head().await.expect("readable").size, size);
    let receipt = recorded(&second, 3).await;
    until(&first, |l| l.standing() == Standing::Follows && l.size() == second.size()).await;
    holds(&**first.store(), &receipt).await;
    sound(&**second.store()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_gets_its_lease_back_has_read_what_another_wrote_meanwhile() {
    let cluster = Cluster::start(&[]);
    let [a, b] = [0; 2].map(|_| tempfile::tempdir().expect("a directory"));
    let (first, second) = one_asleep(&cluster, [a.path(), b.path()]).await;
    // The other one writes, and goes.
    let receipt = recorded(&second, 2).await;
    let size = second.size();
    second.shutdown().await;
    until(&first, |l| l.standing() == Standing::Writes && l.size() == size).await;
    assert_eq!(first.head().expect("signed").signed.size, size);
    assert_eq!(recorded(&first, 3).await.position, receipt.position.tree_size().next());
    sound(&**first.store()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_restored_from_before_is_served_for_reading_and_nothing_is_signed() {
    let [data, copy] = [0; 2].map(|_| tempfile::tempdir().expect("a directory"));
    let open =
        |directory: &Path| Arc::new(SqliteStore::create(directory, testing::ORIGIN).expect("one"));
    let before = {
        let ledger = testing::open(open(data.path())).await.expect("a ledger");
        testing::settle(&ledger).await;
        ledger.shutdown().await;
        drop(ledger);
        let ledger = server(open(data.path()), data.path(), Purpose::Serve).await;
        assert_eq!(ledger.standing(), Standing::Writes);
        let size = ledger.size().0;
        ledger.shutdown().await;
        drop(ledger);
        for file in ["ledger.db", "ledger.db-wal"] {
            if data.path().join(file).exists() {
                std::fs::copy(data.path().join(file), copy.path().join(file)).expect("copied");
            }
        }
        let ledger = server(open(data.path()), data.path(), Purpose::Serve).await;
        for n in 0..3 {
            recorded(&ledger, n).await;
        }
        ledger.shutdown().await;
        size
    };
    // The mark stayed where it was; the store is last night's.
    let restored = server(open(copy.path()), data.path(), Purpose::Serve).await;
    let Standing::Behind(loss) = restored.standing() else {
        panic!("entries are missing: {:?}", restored.standing())
    };
    assert_eq!(loss.kind, LossKind::Missing);
    assert_eq!(loss.positions(), (Position(before), Position(before + 2)));
    assert_eq!(restored.size().0, before, "it is served");
    assert!(restored.with_register(|r| r.processing("suivi").is_some()));
    let range = format!("{before} to {}", before + 2);
    let unsigned = restored.head().expect_err("nothing is signed");
    assert!(unsigned.code == C::ReadOnly && unsigned.detail.en.contains(&range), "{unsigned}");
    let refused = restored.submit(&sign(access("cnamts", "suivi", 9))).await;
    assert!(matches!(refused, Err(SubmitError::Refused(_))), "{refused:?}");
    restored.shutdown().await;
    drop(restored);

    // One that goes on as if nothing were has another past, which is noticed as well.
    {
        let careless = testing::open(open(copy.path())).await.expect("without a mark");
        for n in 20..24 {
            recorded(&careless, n).await;
        }
        careless.shutdown().await;
    }
    let forked = server(open(copy.path()), data.path(), Purpose::Serve).await;
    let Standing::Behind(loss) = forked.standing() else { panic!("it is another past") };
    assert_eq!((loss.kind, loss.positions().0), (LossKind::Replaced, Position(before + 2)));
}
