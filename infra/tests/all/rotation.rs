//! Changing the ledger's key: under load, when its write fails, and across restarts.

use std::sync::Arc;

use greffe_domain::event::ClockKind;
use greffe_domain::key::simulated_party_key;
use greffe_infra::fsck::fsck;
use greffe_infra::keystore::KeyStore;
use greffe_infra::ledger::{Genesis, Ledger};
use greffe_infra::store::SqliteStore;
use greffe_infra::store::faulty::{Failure, FaultyStore};
use greffe_infra::submit::SubmitError;
use greffe_infra::testing::{self, access, sign};

use crate::support::holds;

async fn create(directory: &std::path::Path) -> Ledger {
    let genesis = Genesis {
        origin: testing::ORIGIN.to_owned(),
        registrar: testing::REGISTRAR.to_owned(),
        registrar_key: Some(simulated_party_key(testing::REGISTRAR)),
        clock: ClockKind::Simulated,
        opened_at: Some(greffe_domain::date::Timestamp::from_unix_seconds(testing::OPENED)),
    };
    let ledger = Ledger::create(directory, genesis).await.expect("a ledger");
    testing::settle(&ledger).await;
    ledger
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_change_under_load_and_every_entry_is_signed_by_its_own() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    let ledger = create(&data).await;
    let mut tasks = tokio::task::JoinSet::new();
    for author in 0..16 {
        let ledger = ledger.clone();
        tasks.spawn(async move {
            let mut receipts = Vec::new();
            for n in 0..20 {
                let filing = sign(access("cnamts", "suivi", author * 100 + n));
                receipts.extend(ledger.submit(&filing).await.expect("recorded"));
                // The same bytes, perhaps on the other side of a rotation: recorded once.
                let again = ledger.submit(&filing).await.expect("recorded before");
                assert_eq!(again[0].position, receipts.last().expect("one").position);
            }
            receipts
        });
    }
    for _ in 0..8 {
        let receipt = ledger.rotate_key().await.expect("rotated");
        let head = ledger.head().expect("signed");
        let size = head.signed.size.0;
        let key = ledger.with_register(|r| r.ledger_key(size).cloned()).expect("a key");
        assert!(
            head.signed.verify(testing::ORIGIN, &key),
            "a head is signed by the key of its size"
        );
        assert_ne!(receipt.key, head.signed.kid, "the former key signs the entry that ends it");
    }
    let receipts: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    for receipt in &receipts {
        holds(&**ledger.store(), receipt).await;
    }
    assert_eq!(ledger.size().0, 9 + 16 * 20 + 8);
    let checked = fsck(&**ledger.store(), None, |_, _| {}).await.expect("sound");
    assert_eq!(checked.filings, 8 + 16 * 20);
    ledger.shutdown().await;
    drop(ledger);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&data).expect("a directory").permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "the data directory is its owner's");
    }
    let ledger = Ledger::open(&data).await.expect("it opens with its last key");
    ledger.submit(&sign(access("cnamts", "suivi", 9_999))).await.expect("recorded");
    fsck(&**ledger.store(), None, |_, _| {}).await.expect("sound");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_fails_in_any_way_can_be_made_again() {
    for (failure, heads, landed) in [
        (Failure::Lost, 0, false),
        (Failure::LostAnswerUnknown, 1, false),
        (Failure::LandedAnswerUnknown, 0, true),
        (Failure::LandedAnswerUnknown, 1, true),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let ledger = create(directory.path()).await;
        ledger.shutdown().await;
        drop(ledger);
        let keys = KeyStore::new(directory.path());
        let key = keys.first_ledger_key().expect("the key");
        let first = key.public().kid().to_owned();
        let inner = SqliteStore::open(directory.path()).expect("a store");
        let store = Arc::new(FaultyStore::new(inner));
        let ledger = Ledger::start(
            Arc::clone(&store) as _,
            greffe_infra::clock::Clock::System,
            key,
            [7; 32],
            Some(keys),
        )
        .await
        .expect("a ledger");
        store.fail_writes([failure]);
        store.fail_heads(heads);
        match (failure, heads, ledger.rotate_key().await) {
            (Failure::LandedAnswerUnknown, 0, Ok(_))
            | (Failure::Lost, _, Err(SubmitError::NotRecorded(_)))
            | (_, 1, Err(SubmitError::Unknown(_))) => {}
            (_, _, other) => panic!("{failure:?}, {heads}: {other:?}"),
        }
        let filed = ledger.submit(&sign(access("cnamts", "suivi", 1))).await.expect("recorded");
        assert_eq!(filed[0].key != first, landed, "{failure:?}, {heads}");
        let rotated = ledger.rotate_key().await.expect("rotated");
        assert_eq!(rotated.key, filed[0].key);
        let filed = ledger.submit(&sign(access("cnamts", "suivi", 2))).await.expect("recorded");
        assert_ne!(filed[0].key, rotated.key);
        fsck(&*store, None, |_, _| {}).await.expect("sound");
        ledger.shutdown().await;
        drop((ledger, store));
        let ledger = Ledger::open(directory.path()).await.expect("it opens with its last key");
        assert_eq!(ledger.head().expect("signed").signed.kid, filed[0].key);
    }
}

type Answer = tokio::task::JoinHandle<Result<Vec<greffe_infra::receipt::Receipt>, SubmitError>>;

/// Submits, without waiting for the answer.
async fn hand_in(ledger: &Ledger, text: String) -> Answer {
    let ledger = ledger.clone();
    tokio::spawn(async move { ledger.submit(&text).await })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_decided_after_a_rotation_that_fails_is_signed_by_the_former_key() {
    for (failure, landed) in [(Failure::Lost, false), (Failure::None, true)] {
        let directory = tempfile::tempdir().expect("a directory");
        let ledger = create(directory.path()).await;
        ledger.shutdown().await;
        drop(ledger);
        let keys = KeyStore::new(directory.path());
        let key = keys.first_ledger_key().expect("the key");
        let first = key.public().kid().to_owned();
        let inner = SqliteStore::open(directory.path()).expect("a store");
        let store = Arc::new(FaultyStore::new(inner));
        let clock = greffe_infra::clock::Clock::System;
        let ledger = Ledger::start(Arc::clone(&store) as _, clock, key, [7; 32], Some(keys))
            .await
            .expect("a ledger");
        store.close();
        let rotating = tokio::spawn({
            let ledger = ledger.clone();
            async move { ledger.rotate_key().await }
        });
        store.append_waits().await;
        // Enough that they are signed while the rotation is in flight.
        let bodies: serde_json::Value =
            (0..100).map(|n| testing::access_body("suivi", n)).collect();
        let lot = sign(serde_json::json!({
            "iss": "cnamts", "kind": "access.report", "body": bodies,
        }));
        let staged = store.until_looked_up(hand_in(&ledger, lot.clone())).await;
        let behind =
            store.until_looked_up(hand_in(&ledger, sign(access("cnamts", "suivi", 1)))).await;
        store.fail_writes([failure]);
        store.open();
        assert_eq!(rotating.await.expect("no panic").is_ok(), landed);
        assert_eq!(staged.await.expect("no panic").is_ok(), landed);
        let _ = behind.await.expect("no panic");
        let receipts = ledger.submit(&lot).await.expect("recorded, once");
        assert_eq!(receipts[0].key != first, landed);
        fsck(&*store, None, |_, _| {}).await.expect("each entry is signed by its own key");
        ledger.shutdown().await;
    }
}
