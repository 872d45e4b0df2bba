//! A ledger moved between engines: the same bytes, whatever happens on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use greffe_domain::seal::Position;
use greffe_infra::migrate::{MigrateError, migrate};
use greffe_infra::store::faulty::{Failure, FaultyStore};
use greffe_infra::store::{MemoryStore, PostgresStore, SqliteStore, Store};
use greffe_infra::testing::cluster::Cluster;
use greffe_infra::testing::{self, access, access_body, sign};
use serde_json::json;

use crate::framework::filled;
use crate::support::sound;

/// Every row of two stores is the same.
async fn same(a: &dyn Store, b: &dyn Store) {
    let head = a.head().await.expect("readable");
    assert_eq!(head, b.head().await.expect("readable"));
    let all = usize::try_from(head.size.0).expect("few");
    let (from, until) = (Position(0), head.size.next());
    assert_eq!(
        a.entries(from, all).await.expect("entries"),
        b.entries(from, all).await.expect("entries")
    );
    assert_eq!(
        a.filings(from, all).await.expect("filings"),
        b.filings(from, all).await.expect("filings")
    );
    assert_eq!(
        a.disclosures(from, until).await.expect("disclosures"),
        b.disclosures(from, until).await.expect("disclosures")
    );
}

/// More pages than one, filings that span them, and an erasure.
async fn lots(store: Arc<dyn Store>) -> u64 {
    let ledger = filled(store).await;
    for lot in 0..5 {
        let accesses: serde_json::Value =
            (0..400).map(|n| access_body("suivi", 1_000 * lot + n)).collect();
        let filing = json!({"iss": "cnamts", "kind": "access.report", "body": accesses});
        ledger.submit(&sign(filing)).await.expect("recorded");
    }
    let size = ledger.size().0;
    ledger.shutdown().await;
    size
}

async fn erase(store: Arc<dyn Store>, position: u64) {
    let ledger = testing::open(Arc::clone(&store)).await.expect("a ledger");
    let digests: Vec<String> = store
        .disclosures_at(&[Position(position)])
        .await
        .expect("disclosures")
        .iter()
        .map(|d| greffe_domain::encoding::base64url(&d.digest.0))
        .collect();
    assert!(!digests.is_empty(), "there is something to erase");
    let body = json!({"digests": digests, "ground": "request", "scope": "tout"});
    let erasure = json!({"iss": "desk-1", "kind": "subject.erase", "body": body});
    ledger.submit(&sign(erasure)).await.expect("erased");
    ledger.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_moves_to_a_database_and_back_interrupted_and_changed_on_the_way() {
    let cluster = Cluster::start(&[]);
    let url = cluster.database("ledger");
    let directory = tempfile::tempdir().expect("a directory");
    let source = Arc::new(SqliteStore::create(directory.path(), testing::ORIGIN).expect("one"));
    let size = lots(Arc::clone(&source) as _).await;
    erase(Arc::clone(&source) as _, 30).await;

    // The first write of the copy lands, and its answer is lost.
    let create = || PostgresStore::create(&url, testing::ORIGIN, None);
    {
        let target = FaultyStore::new(create().await.expect("a store"));
        target.fail_writes([Failure::LandedAnswerUnknown]);
        let broken = migrate(&*source, &target, None, |_, _| {}).await;
        assert!(matches!(broken, Err(MigrateError::Fault(_))), "{broken:?}");
        let reached = target.head().await.expect("readable").size.0;
        assert!(0 < reached && reached < size, "it was interrupted in the middle: {reached}");
        target.resign().await;
    }
    // Meanwhile the source goes on, and erases what was copied already.
    erase(Arc::clone(&source) as _, 31).await;
    let target = create().await.expect("a store");
    let seen = AtomicU64::new(0);
    let moved =
        migrate(&*source, &target, None, |done, _| seen.store(done, Ordering::Relaxed)).await;
    let moved = moved.expect("moved");
    assert!(moved.resumed_at > Position(0));
    assert_eq!(moved.head.size.0, seen.load(Ordering::Relaxed));
    same(&*source, &target).await;
    let checked = sound(&target).await;
    assert!(checked.erased >= 2, "{checked:?}");
    // Again: there is nothing left to do.
    let again = migrate(&*source, &target, None, |_, _| {}).await.expect("nothing to do");
    assert_eq!(again.resumed_at, moved.head.size.next());

    // And into memory, from the database.
    let back = MemoryStore::new(testing::ORIGIN);
    migrate(&target, &back, None, |_, _| {}).await.expect("moved back");
    same(&*source, &back).await;
}

#[tokio::test]
async fn nothing_is_copied_over_another_ledger_or_from_one_that_is_not_sound() {
    let source = Arc::new(MemoryStore::new(testing::ORIGIN));
    lots(Arc::clone(&source) as _).await;
    let other = Arc::new(MemoryStore::new(testing::ORIGIN));
    let ledger = testing::open(Arc::clone(&other) as _).await.expect("a ledger");
    testing::settle(&ledger).await;
    ledger.submit(&sign(access("cnamts", "suivi", 1))).await.expect("recorded");
    let before = other.head().await.expect("readable");
    let refused = migrate(&*source, &*other, None, |_, _| {}).await;
    assert!(matches!(refused, Err(MigrateError::NotAPrefix(_))), "{refused:?}");
    assert_eq!(other.head().await.expect("readable"), before);

    // One byte of one leaf.
    let rows = source.entries(Position(0), 10_000).await.expect("rows");
    let damaged = MemoryStore::new(testing::ORIGIN);
    let mut batch = greffe_infra::store::Batch {
        expected: greffe_infra::store::Head::empty(),
        entries: rows,
        filings: source.filings(Position(0), 10_000).await.expect("filings"),
        disclosures: source.disclosures(Position(0), Position(10_000)).await.expect("rows"),
        erased: vec![],
    };
    let leaf = &mut batch.entries[1_500].sealed.leaf;
    let last = leaf.len() - 3;
    leaf[last] ^= 1;
    damaged.append(batch).await.expect("a store does not look");
    let target = MemoryStore::new(testing::ORIGIN);
    let refused = migrate(&damaged, &target, None, |_, _| {}).await;
    assert!(matches!(refused, Err(MigrateError::Source(_))), "{refused:?}");
    let copied = target.head().await.expect("readable").size.0;
    assert!(0 < copied && copied <= 1_500, "only what comes before it was copied: {copied}");
    sound(&target).await;
}
