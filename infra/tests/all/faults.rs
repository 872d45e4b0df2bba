//! Each write fails twice: once lost, once landed with the answer lost. Then a restart, a
//! check of every byte, and each receipt ever given is there and nothing refused is.

use std::sync::Arc;

use greffe_domain::refusal::RefusalCode as C;
use greffe_infra::receipt::Receipt;
use greffe_infra::sequencer::SubmitError;
use greffe_infra::store::faulty::{Failure, FaultyStore};
use greffe_infra::store::{FaultKind, MemoryStore, SqliteStore, Store};
use greffe_infra::testing::{self, access, access_body, declaration, party_register, sign};
use serde_json::json;

use crate::support::{holds, json as shown, refusal, sound};

/// Writes of every sort, one after the other.
fn writes() -> Vec<Vec<String>> {
    let batch: serde_json::Value = (10..20).map(|n| access_body("suivi", n)).collect();
    vec![
        vec![sign(party_register("employer-2", &["employer"]))],
        vec![sign(declaration("cnamts", "second"))],
        vec![sign(json!({"iss": "cnamts", "kind": "access.report", "body": batch}))],
        vec![sign(access("cnamts", "suivi", 1)), sign(declaration("cnamts", "third"))],
        vec![sign(json!({"iss": "cnamts", "kind": "agreement.record", "body": {
            "processing": "suivi", "subject": access_body("suivi", 1)["subjects"][0],
            "scope": "suivi",
        }}))],
        vec![sign(access("cnamts", "second", 2))],
    ]
}

pub async fn each_write_fails<S: Store + 'static>(inner: S) {
    let store = Arc::new(FaultyStore::new(inner));
    let ledger = testing::open(Arc::clone(&store) as _).await.expect("a ledger");
    testing::settle(&ledger).await;
    let known = sign(access("cnamts", "suivi", 0));
    let mut given: Vec<Receipt> = ledger.submit(&known).await.expect("recorded");
    for (n, lot) in writes().into_iter().enumerate() {
        let head = ledger.head().expect("signed");
        for (failure, heads, landed) in [
            (Failure::Lost, 0, false),
            (Failure::LostAnswerUnknown, 0, false),
            (Failure::LostAnswerUnknown, 1, false),
            // Alternately found out at once, and only when the writer reloads.
            (Failure::LandedAnswerUnknown, n % 2, true),
        ] {
            // Asked for something it holds, the writer first gets in step with the store.
            let again = ledger.submit(&known).await.expect("recorded before");
            assert_eq!(shown(&again), shown(&given[..1]));
            store.fail_writes([failure]);
            store.fail_heads(heads);
            let answer = ledger.submit_all(&lot).await;
            match (failure, heads, answer) {
                (Failure::LandedAnswerUnknown, 0, Ok(receipts)) => given.extend(receipts),
                (_, 1, Err(SubmitError::Unknown(_)))
                | (
                    Failure::Lost | Failure::LostAnswerUnknown,
                    0,
                    Err(SubmitError::NotRecorded(_)),
                ) => {}
                (_, _, other) => panic!("write {n}, {failure:?}, {heads}: {other:?}"),
            }
            let durable = store.inner().head().await.expect("the head");
            assert_eq!(durable.link != head.signed.link, landed, "write {n}, {failure:?}");
            // What is not durable is not visible.
            assert!(ledger.size() <= durable.size);
        }
        // Whoever does not know asks again with the same bytes.
        let receipts = ledger.submit_all(&lot).await.expect("recorded, once");
        for receipt in &receipts {
            holds(&*store, receipt).await;
        }
        assert_eq!(ledger.size(), store.inner().head().await.expect("the head").size);
        given.extend(receipts);
    }
    let size = ledger.size();
    ledger.shutdown().await;
    let ledger = testing::open(Arc::clone(&store) as _).await.expect("it starts again");
    assert_eq!(ledger.size(), size);
    for receipt in &given {
        holds(&*store, receipt).await;
        let asked = ledger.receipt(receipt.position).await.expect("readable").expect("there");
        assert_eq!(shown(&[asked]), shown(std::slice::from_ref(receipt)));
    }
    // Each filing once: 1 + 1 + 10 + 2 + 1 + 1 entries after the 10 there were.
    assert_eq!(size.0, 10 + 16);
    let checked = sound(&*store).await;
    assert_eq!((checked.entries, checked.filings), (26, 16));
}

#[tokio::test]
async fn each_write_lost_or_landed_unknown_leaves_a_sound_ledger_in_memory() {
    each_write_fails(MemoryStore::new(testing::ORIGIN)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_write_lost_or_landed_unknown_leaves_a_sound_ledger_on_disk() {
    let directory = tempfile::tempdir().expect("a directory");
    each_write_fails(SqliteStore::create(directory.path(), testing::ORIGIN).expect("one")).await;
}

#[tokio::test]
async fn what_was_refused_beside_a_batch_that_failed_is_not_refused_for_it() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new(testing::ORIGIN)));
    let ledger = testing::open(Arc::clone(&store) as _).await.expect("a ledger");
    testing::settle(&ledger).await;
    // While one batch waits, two declarations of one processing queue behind it, as do the
    // bytes of what is recorded already.
    let known = sign(access("cnamts", "suivi", 1));
    let recorded = ledger.submit(&known).await.expect("recorded");
    store.close();
    let mut answers = Vec::new();
    for text in [
        sign(access("cnamts", "suivi", 2)),
        sign(declaration("cnamts", "second")),
        sign(declaration("cnamts", "second")),
        known,
    ] {
        let filing = Arc::new(ledger.read_filing(&text).await.expect("readable"));
        let ledger = ledger.clone();
        answers.push(tokio::spawn(async move { ledger.record(vec![filing]).await }));
        tokio::task::yield_now().await;
        // The writer takes the first alone: it is at the gate before the others come.
        store.append_waits().await;
    }
    store.fail_writes([Failure::None, Failure::Lost]);
    store.open();
    let mut told = Vec::new();
    for answer in answers {
        told.push(answer.await.expect("no panic"));
    }
    assert!(told[0].is_ok());
    assert!(matches!(told[1], Err(SubmitError::NotRecorded(_))), "{:?}", told[1]);
    assert!(matches!(told[2], Err(SubmitError::NotRecorded(_))), "its cause is not recorded");
    assert_eq!(shown(told[3].as_ref().expect("recorded before")), shown(&recorded));
    assert!(ledger.with_register(|r| r.processing("second").is_none()));
    sound(&*store).await;
}

#[tokio::test]
async fn another_writer_makes_the_ledger_read_only_and_says_so() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new(testing::ORIGIN)));
    let ledger = testing::open(Arc::clone(&store) as _).await.expect("a ledger");
    testing::settle(&ledger).await;
    let before = ledger.head().expect("signed");
    store.fail_writes([Failure::LandedByAnother]);
    for n in 1..=2 {
        let answer = ledger.submit(&sign(access("cnamts", "suivi", n))).await;
        assert_eq!(refusal(answer).code, C::ReadOnly);
        assert!(ledger.head().expect("signed").read_only);
        assert_eq!(
            ledger.head().expect("signed").signed,
            before.signed,
            "readers still see what was durable"
        );
    }
    sound(&*store).await;
}

#[tokio::test]
async fn a_head_moved_by_another_while_in_doubt_is_found_when_the_writer_reloads() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new(testing::ORIGIN)));
    let ledger = testing::open(Arc::clone(&store) as _).await.expect("a ledger");
    testing::settle(&ledger).await;
    let other = testing::open(Arc::clone(&store) as _).await.expect("a second writer");
    store.fail_writes([Failure::LostAnswerUnknown]);
    store.fail_heads(1);
    let answer = ledger.submit(&sign(access("cnamts", "suivi", 1))).await;
    assert!(matches!(answer, Err(SubmitError::Unknown(_))), "{answer:?}");
    other.submit(&sign(access("cnamts", "suivi", 2))).await.expect("recorded");
    let answer = ledger.submit(&sign(access("cnamts", "suivi", 3))).await;
    assert_eq!(refusal(answer).code, C::ReadOnly);
    sound(&*store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_said_and_loses_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Arc::new(SqliteStore::create(directory.path(), testing::ORIGIN).expect("one"));
    let ledger = testing::open(Arc::clone(&store) as _).await.expect("a ledger");
    testing::settle(&ledger).await;
    ledger.shutdown().await;
    drop((ledger, store));

    let store = Arc::new(SqliteStore::open_with_room(directory.path(), 60).expect("it opens"));
    let ledger = testing::open(Arc::clone(&store) as _).await.expect("a ledger");
    let mut given = Vec::new();
    let mut n = 0;
    let (lost, fault) = loop {
        n += 1;
        let filing = sign(access("cnamts", "suivi", n));
        match ledger.submit(&filing).await {
            Ok(receipts) => given.extend(receipts),
            Err(SubmitError::NotRecorded(fault)) => break (filing, fault),
            Err(other) => panic!("a full disk is known to record nothing: {other:?}"),
        }
    };
    assert_eq!(fault.kind(), FaultKind::Full);
    assert!(fault.retry_is_safe());
    assert!(!given.is_empty());
    // It still answers, and still says so.
    let again = ledger.submit(&lost).await;
    assert!(matches!(again, Err(SubmitError::NotRecorded(f)) if f.kind() == FaultKind::Full));
    assert_eq!(ledger.size().0, 9 + given.len() as u64);
    sound(&*store).await;
    ledger.shutdown().await;
    drop((ledger, store));

    let store = Arc::new(SqliteStore::open(directory.path()).expect("it opens"));
    let ledger = testing::open(Arc::clone(&store) as _).await.expect("a ledger");
    given.extend(ledger.submit(&lost).await.expect("there is room again"));
    for receipt in &given {
        holds(&*store, receipt).await;
    }
    sound(&*store).await;
}
