//! The sequencer when nothing fails: order, all or nothing, once only, many at a time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use greffe_domain::refusal::RefusalCode as C;
use greffe_domain::seal::Position;
use greffe_infra::ledger::Ledger;
use greffe_infra::sequencer::QUEUE;
use greffe_infra::store::faulty::FaultyStore;
use greffe_infra::store::{FaultKind, MemoryStore, SqliteStore, Store};
use greffe_infra::submit::SubmitError;
use greffe_infra::testing::{self, access, access_body, declaration, draft, party_register, sign};
use serde_json::{Value, json};

use crate::support::{holds, json as shown, refusal, refused, settled, sound};

/// Versions of every stream, which must have no gap.
pub async fn assert_versions(store: &dyn Store) {
    let mut next = HashMap::new();
    for row in store.entries(Position(0), usize::MAX >> 1).await.expect("entries") {
        let version = next.entry((row.stream.kind, row.stream.id)).or_insert(0_u64);
        *version += 1;
        assert_eq!(row.stream.version, *version, "at position {}", row.position);
    }
}

#[tokio::test]
async fn a_filing_becomes_an_entry_with_a_receipt_that_holds() {
    let (ledger, store) = settled().await;
    let size = ledger.size();
    let receipts = ledger.submit(&sign(access("cnamts", "suivi", 1))).await.expect("recorded");
    assert_eq!(receipts.len(), 1);
    assert_eq!(receipts[0].position, size.next());
    assert!(receipts[0].verdict.is_some());
    holds(&*store, &receipts[0]).await;
    assert_eq!(ledger.head().expect("signed").signed.link, receipts[0].link);
    assert_eq!(ledger.with_register(|r| r.size()), ledger.size().0);
    let disclosures = store.disclosures_at(&[receipts[0].position]).await.expect("disclosures");
    assert_eq!(disclosures.len(), 1, "the person is kept apart");
    sound(&*store).await;
}

#[tokio::test]
async fn a_thousand_facts_under_one_signature_are_a_thousand_entries() {
    let (ledger, store) = settled().await;
    let size = ledger.size().0;
    let bodies: Value = (0..1_000).map(|n| access_body("suivi", n)).collect();
    let filing = sign(json!({"iss": "cnamts", "kind": "access.report", "body": bodies}));
    let receipts = ledger.submit(&filing).await.expect("recorded");
    let positions: Vec<u64> = receipts.iter().map(|r| r.position.0).collect();
    assert_eq!(positions, (size..size + 1_000).collect::<Vec<_>>());
    for receipt in &receipts {
        holds(&*store, receipt).await;
    }
    assert_eq!(sound(&*store).await.disclosures, 1_000);
}

#[tokio::test]
async fn one_bad_fact_among_many_leaves_no_trace() {
    let (ledger, store) = settled().await;
    // Declarations fold into the register and amend a stream: all of that must go back.
    let amend = |processing: &str| {
        let mut filing = declaration("cnamts", processing);
        filing["kind"] = "processing.amend".into();
        filing["body"].clone()
    };
    let bodies = json!([amend("suivi"), amend("suivi"), amend("inconnu"), amend("suivi")]);
    let batch = sign(json!({"iss": "cnamts", "kind": "processing.amend", "body": bodies}));
    let refusal = refused(&ledger, &batch, C::NotDeclared).await;
    assert_eq!(refusal.errors[0].pointer, "/body/2/processing");
    let versions = ledger.with_register(|r| r.processing("suivi").expect("it").versions.len());
    assert_eq!(versions, 1);

    // The same across filings of one lot, the first of which would have been right.
    let lot = [
        sign(declaration("cnamts", "second")),
        sign(party_register("employer-2", &["employer"])),
        sign(declaration("cnamts", "suivi")),
    ];
    let answer = ledger.submit_all(&lot).await;
    assert_eq!(crate::support::refusal(answer).code, C::AlreadyExists);
    assert!(ledger.with_register(|r| r.processing("second").is_none()));
    assert!(ledger.with_register(|r| r.party("employer-2").is_none()));

    // What was undone can be done, and its stream has no gap.
    ledger.submit(&lot[0]).await.expect("free");
    ledger.submit(&lot[1]).await.expect("free");
    let single = sign(json!({
        "iss": "cnamts", "kind": "processing.amend", "body": amend("suivi"),
    }));
    ledger.submit(&single).await.expect("recorded");
    assert_versions(&*store).await;
    sound(&*store).await;
}

/// Jobs handed over before the writer can take any: they are decided as one group.
async fn together(
    ledger: &Ledger,
    texts: &[&[String]],
) -> Vec<Result<Vec<greffe_infra::receipt::Receipt>, SubmitError>> {
    let mut lots = Vec::new();
    for texts in texts {
        let mut filings = Vec::new();
        for text in *texts {
            filings.push(Arc::new(ledger.read_filing(text).await.expect("readable")));
        }
        lots.push(filings);
    }
    let answers = lots.into_iter().map(|filings| {
        let ledger = ledger.clone();
        async move { ledger.record(filings).await }
    });
    let mut set = tokio::task::JoinSet::new();
    for (n, answer) in answers.enumerate() {
        set.spawn(async move { (n, answer.await) });
    }
    let mut answers = set.join_all().await;
    answers.sort_by_key(|(n, _)| *n);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

#[tokio::test]
async fn the_same_bytes_give_the_same_receipts_and_are_recorded_once() {
    let (ledger, store) = settled().await;
    let filing = sign(access("cnamts", "suivi", 1));
    let other = {
        let jti = draft(access("cnamts", "suivi", 2));
        let mut payload = jti.payload.clone();
        payload["jti"] = ledger.read_filing(&filing).await.expect("readable").jti.into();
        testing::Draft { payload, ..jti }.sign()
    };
    // Alone, then in one group, then after a restart.
    let first = ledger.submit(&filing).await.expect("recorded");
    let again = ledger.submit(&filing).await.expect("recorded before");
    assert_eq!(shown(&first), shown(&again));
    let refusal = refused(&ledger, &other, C::JtiReused).await;
    assert_eq!(refusal.position, Some(first[0].position.0));

    let size = ledger.size().0;
    let twin = sign(access("cnamts", "suivi", 3));
    let answers = together(
        &ledger,
        &[std::slice::from_ref(&twin), std::slice::from_ref(&twin), std::slice::from_ref(&twin)],
    )
    .await;
    let receipts: HashSet<String> =
        answers.into_iter().map(|a| shown(&a.expect("recorded"))).collect();
    assert_eq!(receipts.len(), 1);
    assert_eq!(ledger.size().0, size + 1);

    ledger.shutdown().await;
    let ledger = testing::open(Arc::clone(&store) as _).await.expect("opened again");
    assert_eq!(shown(&first), shown(&ledger.submit(&filing).await.expect("recorded before")));
    refused(&ledger, &other, C::JtiReused).await;
    sound(&*store).await;
}

#[tokio::test]
async fn a_granted_access_has_the_same_receipt_twice_its_term_included() {
    let (ledger, _) = settled().await;
    ledger
        .submit_all(&[sign(
            json!({"iss": "cnamts", "kind": "experiment.launch", "at": "2016-01-01", "body": {
                "experiment": "essai", "processing": "suivi", "unit": "establishment",
                "categories": ["EMP-IDENTITY"], "start": "2016-01-01", "end": "2016-12-31",
            }}),
        )])
        .await
        .expect("recorded");
    let mut filing = access("cnamts", "suivi", 1);
    filing["kind"] = "access.request".into();
    filing["body"]["experiment"] = "essai".into();
    let filing = sign(filing);
    let first = ledger.submit(&filing).await.expect("recorded");
    let again = ledger.submit(&filing).await.expect("recorded before");
    assert_eq!(shown(&first), shown(&again));
    let asked = ledger.receipt(first[0].position).await.expect("readable").expect("recorded");
    assert_eq!(shown(&first), shown(&[asked]));
}

#[tokio::test]
async fn a_name_freed_by_an_undone_lot_is_free_in_the_same_group() {
    let (ledger, store) = settled().await;
    let name = sign(access("cnamts", "suivi", 1));
    let bad = sign(declaration("cnamts", "suivi"));
    let answers = together(
        &ledger,
        &[&[name.clone(), bad.clone()], std::slice::from_ref(&name), std::slice::from_ref(&name)],
    )
    .await;
    assert!(matches!(&answers[0], Err(SubmitError::Refused(r)) if r.code == C::AlreadyExists));
    let positions: HashSet<u64> =
        answers[1..].iter().map(|a| a.as_ref().expect("recorded")[0].position.0).collect();
    assert_eq!(positions.len(), 1);
    sound(&*store).await;
}

#[tokio::test]
async fn the_simulated_clock_never_goes_back() {
    let (ledger, _) = settled().await;
    let at = |iat: i64| {
        let mut filing = access("cnamts", "suivi", 1);
        filing["iat"] = iat.into();
        sign(filing)
    };
    ledger.submit(&at(testing::OPENED + 10)).await.expect("recorded");
    let refusal = refused(&ledger, &at(testing::OPENED + 9), C::TimeWentBack).await;
    assert_eq!(refusal.position, Some(ledger.size().0 - 1));
    ledger.submit(&at(testing::OPENED + 10)).await.expect("the same second is not back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_authors_at_once_get_consecutive_positions() {
    let (ledger, store) = settled().await;
    let from = ledger.size().0;
    let mut tasks = tokio::task::JoinSet::new();
    for author in 0..64 {
        let ledger = ledger.clone();
        tasks.spawn(async move {
            let mut positions = Vec::new();
            for n in 0..20 {
                let filing = sign(access("cnamts", "suivi", author * 100 + n));
                let receipts = ledger.submit(&filing).await.expect("recorded");
                positions.push(receipts[0].position.0);
            }
            assert!(positions.is_sorted(), "an author's filings keep their order");
            positions
        });
    }
    let mut positions: Vec<u64> = tasks.join_all().await.into_iter().flatten().collect();
    positions.sort_unstable();
    assert_eq!(positions, (from..from + 64 * 20).collect::<Vec<_>>());
    assert_versions(&*store).await;
    sound(&*store).await;
}

#[tokio::test]
async fn a_value_erased_in_the_group_that_records_it_is_not_kept() {
    let (ledger, store) = settled().await;
    let access = draft(access("cnamts", "suivi", 1));
    let (_, disclosures) = access.concealed();
    let erase = sign(json!({"iss": "desk-1", "kind": "subject.erase", "body": {
        "digests": [disclosures[0].digest()], "ground": "request", "scope": "tout",
    }}));
    let receipts = ledger.submit_all(&[access.sign(), erase]).await.expect("recorded");
    let kept = store.disclosures_at(&[receipts[0].position]).await.expect("disclosures");
    assert!(kept.is_empty());
    assert_eq!(sound(&*store).await.erased, 1);
}

#[tokio::test]
async fn a_contested_access_keeps_its_versions_across_groups() {
    let (ledger, store) = settled().await;
    let access = ledger.submit(&sign(access("cnamts", "suivi", 1))).await.expect("recorded");
    let contest = || {
        sign(json!({"iss": "desk-1", "kind": "access.contest", "body": {
            "access": access[0].position, "subject": access_body("suivi", 1)["subjects"][0],
            "ground": "inexact",
        }}))
    };
    let answer = || {
        sign(json!({"iss": "cnamts", "kind": "access.answer", "body": {
            "access": access[0].position, "outcome": "maintained",
        }}))
    };
    ledger.submit(&contest()).await.expect("recorded");
    // One that fails after it brought the access in, then one that does not.
    let lot = [contest(), sign(declaration("cnamts", "suivi"))];
    assert_eq!(refusal(ledger.submit_all(&lot).await).code, C::AlreadyExists);
    ledger.submit_all(&[contest(), answer()]).await.expect("recorded");
    ledger.submit(&answer()).await.expect("recorded");
    let id = access[0].position.to_string();
    let stream = store.stream(greffe_domain::kind::StreamType::Access, &id).await.expect("rows");
    assert_eq!(stream.iter().map(|r| r.stream.version).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    sound(&*store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn past_its_queue_the_ledger_says_that_it_is_overloaded_and_shutdown_drains_it() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new(testing::ORIGIN)));
    let ledger = testing::open(Arc::clone(&store) as _).await.expect("a ledger");
    testing::settle(&ledger).await;
    let from = ledger.size().0;
    store.close();
    let filing = |n| Arc::new(ledger_filing(n));
    let mut waiting = tokio::task::JoinSet::new();
    let mut overloaded = 0;
    // One group is with the writer, the queue fills behind it.
    for n in 0..QUEUE as u64 + 4_000 {
        let text = filing(n);
        let parsed = Arc::new(ledger.read_filing(&text).await.expect("readable"));
        let mut answer = Box::pin({
            let ledger = ledger.clone();
            async move { ledger.record(vec![parsed]).await }
        });
        // Polled once, it is in the queue or refused.
        match futures_once(&mut answer).await {
            None => {
                waiting.spawn(answer);
            }
            Some(answer) => {
                assert_eq!(refusal(answer).code, C::Overloaded);
                overloaded += 1;
                break;
            }
        }
    }
    assert_eq!(overloaded, 1);
    let stopping = tokio::spawn({
        let ledger = ledger.clone();
        async move { ledger.shutdown().await }
    });
    store.open();
    stopping.await.expect("it stops");
    let answers = waiting.join_all().await;
    let count = answers.len() as u64;
    for answer in answers {
        answer.expect("what waited is recorded");
    }
    assert_eq!(store.head().await.expect("the head").size.0, from + count);
    let late = ledger.submit(&sign(access("cnamts", "suivi", 1))).await;
    assert!(matches!(late, Err(SubmitError::NotRecorded(f)) if f.kind() == FaultKind::Unavailable));
    sound(&*store).await;
}

fn ledger_filing(n: u64) -> String {
    sign(access("cnamts", "suivi", n))
}

/// The answer if it is there at the first poll.
async fn futures_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
            std::task::Poll::Ready(answer) => Some(answer),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_on_a_directory_is_told_that_it_is_in_use() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Arc::new(SqliteStore::create(directory.path(), testing::ORIGIN).expect("a store"));
    let ledger = testing::open(Arc::clone(&store) as _).await.expect("a ledger");
    testing::settle(&ledger).await;
    let refused = SqliteStore::open(directory.path()).err().expect("refused");
    assert_eq!(refused.kind(), FaultKind::InUse);
    assert_eq!(
        Ledger::open(directory.path()).await.err().map(|e| match e {
            greffe_infra::ledger::OpenError::Fault(fault) => fault.kind(),
            other => panic!("{other:?}"),
        }),
        Some(FaultKind::InUse)
    );
    let receipts = ledger.submit(&sign(access("cnamts", "suivi", 1))).await.expect("recorded");
    ledger.shutdown().await;
    drop((ledger, store));
    let store = Arc::new(SqliteStore::open(directory.path()).expect("free again"));
    let ledger = testing::open(Arc::clone(&store) as _).await.expect("a ledger");
    holds(&*store, &receipts[0]).await;
    ledger.submit(&sign(access("cnamts", "suivi", 2))).await.expect("recorded");
    sound(&*store).await;
}
