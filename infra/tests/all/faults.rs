//! Each write fails twice: once lost, once landed with the answer lost. Then a restart, a
//! check of every byte, and each receipt ever given is there and nothing refused is.

use std::sync::Arc;

use greffe_domain::refusal::RefusalCode as C;
use greffe_domain::seal::Position;
use greffe_infra::ledger::Ledger;
use greffe_infra::receipt::Receipt;
use greffe_infra::store::faulty::{Failure, FaultyStore};
use greffe_infra::store::{FaultKind, MemoryStore, SqliteStore, Store};
use greffe_infra::submit::SubmitError;
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

type Answer = tokio::task::JoinHandle<Result<Vec<Receipt>, SubmitError>>;

/// Hands a lot to the writer, without waiting for its answer.
async fn hand_in(ledger: &Ledger, lot: &[String]) -> Answer {
    let mut filings = Vec::new();
    for text in lot {
        filings.push(Arc::new(ledger.read_filing(text).await.expect("readable")));
    }
    let ledger = ledger.clone();
    tokio::spawn(async move { ledger.record(filings).await })
}

#[tokio::test]
async fn a_batch_decided_while_the_one_before_fails_is_as_if_it_had_not_been() {
    let gone = |answer: &Result<Vec<Receipt>, SubmitError>| match answer {
        Err(SubmitError::NotRecorded(_)) => "not recorded",
        Err(SubmitError::Unknown(_)) => "unknown",
        Err(SubmitError::Refused(refusal)) => refusal.code.as_str(),
        Ok(_) => "recorded",
    };
    const LOST: [&str; 8] = ["not recorded"; 8];
    const UNKNOWN: [&str; 8] = {
        let mut told = ["not recorded"; 8];
        (told[0], told[3]) = ("unknown", "unknown");
        told
    };
    const LANDED: [&str; 8] = [
        "recorded",
        "recorded",
        "recorded",
        "recorded",
        "already-exists",
        "recorded",
        "already-exists",
        "id-unknown",
    ];
    for (failure, heads, expected, landed) in [
        (Failure::None, 0, LANDED, true),
        (Failure::Lost, 0, LOST, false),
        (Failure::LostAnswerUnknown, 0, LOST, false),
        (Failure::LostAnswerUnknown, 1, UNKNOWN, false),
        (Failure::LandedAnswerUnknown, 0, LANDED, true),
        (Failure::LandedAnswerUnknown, 1, UNKNOWN, true),
        (Failure::LandedByAnother, 0, ["read-only"; 8], true),
    ] {
        let store = Arc::new(FaultyStore::new(MemoryStore::new(testing::ORIGIN)));
        let ledger = testing::open(Arc::clone(&store) as _).await.expect("a ledger");
        testing::settle(&ledger).await;
        let size = ledger.size().0;
        let reported = sign(access("cnamts", "suivi", 1));
        let contest = sign(json!({"iss": "desk-1", "kind": "access.contest", "body": {
            "access": size, "subject": access_body("suivi", 1)["subjects"][0],
            "ground": "inexact",
        }}));
        let lots = [
            vec![reported.clone()],
            vec![sign(declaration("cnamts", "second"))],
            vec![sign(access("cnamts", "second", 2))],
            // The bytes of what is being appended.
            vec![reported],
            // Refused for what is decided only.
            vec![sign(declaration("cnamts", "second"))],
            // On an access that is being appended.
            vec![contest],
            // Undone, while a batch is in flight; then refused, because it was.
            vec![sign(declaration("cnamts", "third")), sign(declaration("cnamts", "suivi"))],
            vec![sign(access("cnamts", "third", 3))],
        ];
        store.close();
        let mut answers = vec![hand_in(&ledger, &lots[0]).await];
        store.append_waits().await;
        for lot in &lots[1..] {
            answers.push(store.until_looked_up(hand_in(&ledger, lot)).await);
        }
        // Looked up after the last, it tells that the last was decided.
        let behind = [sign(access("cnamts", "suivi", 4))];
        let behind = store.until_looked_up(hand_in(&ledger, &behind)).await;
        assert_eq!(ledger.size().0, size, "nothing of it is visible");
        store.fail_writes([failure]);
        store.fail_heads(heads);
        store.open();
        let mut told = Vec::new();
        for answer in answers {
            told.push(answer.await.expect("no panic"));
        }
        let behind = behind.await.expect("no panic");
        assert_eq!(told.iter().map(gone).collect::<Vec<_>>(), expected, "{failure:?}, {heads}");
        let held = store.entry(Position(size)).await.expect("readable");
        assert_eq!(held.is_some(), landed);
        if failure == Failure::LandedByAnother {
            assert!(ledger.known_head().read_only);
            sound(&*store).await;
            continue;
        }
        // Whoever asks again with the same bytes finds each recorded once.
        let mut given: Vec<Receipt> = told.into_iter().flatten().flatten().collect();
        given.extend(behind.ok().into_iter().flatten());
        for lot in &lots[..6] {
            match ledger.submit_all(lot).await {
                Ok(receipts) => given.extend(receipts),
                Err(SubmitError::Refused(refusal)) => assert_eq!(refusal.code, C::AlreadyExists),
                Err(other) => panic!("{failure:?}, {heads}: {other:?}"),
            }
        }
        assert!(ledger.with_register(|r| r.processing("third").is_none()));
        ledger.shutdown().await;
        for receipt in &given {
            holds(&*store, receipt).await;
        }
        let first_of: std::collections::HashMap<_, _> =
            given.iter().rev().map(|r| (r.filing, r.position)).collect();
        assert!(given.iter().all(|r| first_of[&r.filing] == r.position), "one entry a filing");
        crate::writing::assert_versions(&*store).await;
        sound(&*store).await;
    }
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
        let lot = [text];
        answers.push(store.until_looked_up(hand_in(&ledger, &lot)).await);
        // The first is at the gate before the others come.
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
