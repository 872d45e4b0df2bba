//! A ledger goes on under the current rules, and is not opened by a build that lacks those of
//! its last entry.

use std::sync::Arc;

use greffe_domain::rules::{CURRENT, Rulebook, VERSIONS, formality, statistics};
use greffe_domain::seal::{Leaf, Position};
use greffe_infra::clock::Clock;
use greffe_infra::ledger::{Ledger, OpenError};
use greffe_infra::store::{FaultKind, MemoryStore, Store};
use greffe_infra::testing;

use crate::support::settled;

/// Made up: what comes after ours.
static NEXT: Rulebook = Rulebook {
    version: "2999-12-31",
    rules: &[formality::RULES],
    states_term: true,
    thresholds: &statistics::THRESHOLDS,
};

async fn start(
    store: &Arc<MemoryStore>,
    rulebooks: &[&'static Rulebook],
) -> Result<Ledger, OpenError> {
    let store = Arc::clone(store) as Arc<dyn Store>;
    Ledger::start_under(rulebooks, store, Clock::System, testing::ledger_key(), [7; 32], None).await
}

/// Records an access; the rulebook its entry names, and how many findings it has.
async fn record(ledger: &Ledger, subject: u64) -> (String, usize) {
    let text = testing::sign(testing::access("cnamts", "suivi", subject));
    let receipt = ledger.submit(&text).await.expect("recorded").remove(0);
    let leaf = Leaf::parse(receipt.leaf.get().as_bytes()).expect("a leaf");
    (leaf.rulebook, receipt.verdict.expect("judged").findings.len())
}

#[tokio::test]
async fn new_entries_are_judged_by_the_last_rulebook_and_old_ones_keep_theirs() {
    let (ledger, store) = settled().await;
    let (rulebook, findings) = record(&ledger, 1).await;
    assert_eq!(rulebook, CURRENT.version);
    let old = ledger.size().0 - 1;
    ledger.shutdown().await;
    let ledger = start(&store, &[&CURRENT, &NEXT]).await.expect("opened");
    let (rulebook, fewer) = record(&ledger, 2).await;
    assert_eq!(rulebook, NEXT.version);
    assert!(fewer < findings, "the made-up rules are fewer: {fewer} of {findings}");
    let kept = store.entry(Position(old)).await.expect("readable").expect("there");
    assert_eq!(Leaf::parse(&kept.sealed.leaf).expect("a leaf").rulebook, CURRENT.version);
    ledger.shutdown().await;
}

#[tokio::test]
async fn a_ledger_with_later_rules_is_not_opened() {
    let (ledger, store) = settled().await;
    ledger.shutdown().await;
    let ledger = start(&store, &[&CURRENT, &NEXT]).await.expect("opened");
    record(&ledger, 1).await;
    ledger.shutdown().await;
    match start(&store, VERSIONS).await {
        Err(OpenError::Fault(fault)) => assert_eq!(fault.kind(), FaultKind::NewerSchema),
        Err(other) => panic!("another reason: {other}"),
        Ok(_) => panic!("opened by a build that cannot judge its last entry"),
    }
    let ledger = start(&store, &[&CURRENT, &NEXT]).await.expect("by its own build");
    ledger.shutdown().await;
}
