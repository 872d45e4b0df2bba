//! What these tests share: a ledger in memory, sound or not, and what it answered.

use std::sync::Arc;

use greffe_domain::refusal::{Refusal, RefusalCode};
use greffe_infra::fsck::{Checked, fsck};
use greffe_infra::ledger::Ledger;
use greffe_infra::receipt::Receipt;
use greffe_infra::store::{MemoryStore, Store};
use greffe_infra::submit::SubmitError;
use greffe_infra::testing;
use greffe_infra::trust::Trust;

/// A ledger in memory with its parties and one processing, and its store.
pub async fn settled() -> (Ledger, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::new(testing::ORIGIN));
    let ledger = testing::open(Arc::clone(&store) as _).await.expect("a ledger");
    testing::settle(&ledger).await;
    (ledger, store)
}

/// Checks every stored byte.
pub async fn sound(store: &dyn Store) -> Checked {
    let trust = Trust {
        origin: testing::ORIGIN.to_owned(),
        ledger_key: testing::ledger_key().public().clone(),
        min_size: None,
    };
    match fsck(store, Some(&trust), |_, _| {}).await {
        Ok(checked) => checked,
        Err(error) => panic!("the ledger is not sound: {error}"),
    }
}

/// Checks that the entry a receipt names is in the store, byte for byte.
pub async fn holds(store: &dyn Store, receipt: &Receipt) {
    let row = store.entry(receipt.position).await.expect("readable").expect("recorded");
    assert_eq!(row.sealed.leaf, receipt.leaf.get().as_bytes());
    assert_eq!(row.sealed.link, receipt.link);
    assert_eq!(row.sealed.signature, receipt.signature);
    assert_eq!(row.sealed.kid, receipt.key);
    assert_eq!(row.filing.map(|f| f.digest), receipt.filing);
}

/// A receipt as its holder sees it.
pub fn json(receipts: &[Receipt]) -> String {
    serde_json::to_string(receipts).expect("a receipt is JSON")
}

pub fn refusal(answer: Result<Vec<Receipt>, SubmitError>) -> Refusal {
    match answer {
        Err(SubmitError::Refused(refusal)) => refusal,
        Err(other) => panic!("refused, not failed: {other:?}"),
        Ok(receipts) => panic!("recorded at {}", receipts[0].position),
    }
}

/// Submits what must be refused with this code, and leave no trace.
pub async fn refused(ledger: &Ledger, text: &str, code: RefusalCode) -> Refusal {
    let (size, head) = (ledger.size(), ledger.known_head());
    let refusal = refusal(ledger.submit(text).await);
    assert_eq!(refusal.code, code, "{refusal}");
    assert_eq!(ledger.size(), size);
    assert_eq!(ledger.known_head(), head, "nothing is recorded by what is refused");
    assert_eq!(ledger.store().head().await.expect("the head").link, head.head.link);
    refusal
}
