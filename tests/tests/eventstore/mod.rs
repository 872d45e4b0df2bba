//! The store on EventStoreDB or KurrentDB, against a double of its protocol, and against a
//! real server where one is named.

mod failures;
mod served;
mod sides;

use std::path::Path;

use greffe_domain::encoding::Hash32;
use greffe_infra::store::contract::{self, ORIGIN, Sample};
use greffe_infra::store::eventstore::Address;
use greffe_infra::store::{AppendError, Batch, Fault, KurrentStore, Store};
use greffe_tests::eventstore::Node;
use serde_json::Value;

/// The stream, unless the URL names another.
const STREAM: &str = "greffe";

fn address(url: &str, side: &Path) -> Address {
    Address::parse(url).expect("an event store's URL").with_side_in(side)
}

async fn open(node: &Node, side: &Path) -> KurrentStore {
    try_open(node, side, "").await.expect("it opens")
}

async fn try_open(node: &Node, side: &Path, parameters: &str) -> Result<KurrentStore, Fault> {
    KurrentStore::create(&address(&node.url(parameters), side), ORIGIN).await
}

/// A store that holds some batches, and what they were.
async fn filled(node: &Node, side: &Path) -> (KurrentStore, Sample) {
    let store = open(node, side).await;
    let mut sample = Sample::default();
    for _ in 0..2 {
        let batch = sample.batch(3, 2);
        sample.add(&batch);
        store.append(batch).await.expect("an append");
    }
    (store, sample)
}

/// Appends what must succeed, and adds it to the sample.
async fn append(store: &KurrentStore, sample: &mut Sample, batch: Batch) {
    sample.add(&batch);
    store.append(batch).await.expect("an append");
}

fn fault(error: AppendError) -> (&'static str, Fault) {
    match error {
        AppendError::NotApplied(fault) => ("not applied", fault),
        AppendError::Unknown(fault) => ("unknown", fault),
        AppendError::Conflict { actual } => panic!("a conflict with {actual:?}"),
    }
}

fn cause(fault: &Fault) -> String {
    std::error::Error::source(fault).map(ToString::to_string).unwrap_or_default()
}

/// Whether a file below a directory holds this text.
fn holds(directory: &Path, needle: &str) -> bool {
    std::fs::read_dir(directory).expect("a directory").any(|file| {
        let path = file.expect("a file").path();
        if path.is_dir() {
            return holds(&path, needle);
        }
        let bytes = std::fs::read(path).expect("readable");
        bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_on_an_event_store_keeps_the_contract() {
    let node = Node::start().await;
    let side = tempfile::tempdir().expect("a directory");
    contract::run(|| open(&node, side.path())).await;
}

/// `GREFFE_TEST_EVENTSTORE=esdb://…`: the same suite, in a new stream of a real server.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_keeps_the_contract_where_one_is_named() {
    let Ok(url) = std::env::var("GREFFE_TEST_EVENTSTORE") else {
        println!("GREFFE_TEST_EVENTSTORE names no server: nothing was asked of one");
        return;
    };
    let side = tempfile::tempdir().expect("a directory");
    // The name of a temporary directory is one that nobody else has now.
    let name = side.path().file_name().and_then(|n| n.to_str()).expect("UTF-8");
    let name = format!("greffe-contract-{}-{}", std::process::id(), name.trim_matches('.'));
    let separator = if url.contains('?') { '&' } else { '?' };
    let address = address(&format!("{url}{separator}stream={name}"), side.path());
    let open = || async { KurrentStore::create(&address, ORIGIN).await.expect("it opens") };
    contract::run(open).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_the_leaf_its_seal_and_an_id_that_follows_from_its_link() {
    let node = Node::start().await;
    let side = tempfile::tempdir().expect("a directory");
    let (_store, sample) = filled(&node, side.path()).await;
    let events = node.events(STREAM);
    assert_eq!(events.len(), sample.entries.len());
    for (event, entry) in events.iter().zip(&sample.entries) {
        assert_eq!(event.data, entry.sealed.leaf, "byte for byte");
        assert_eq!(event.metadata["type"], entry.event_type.as_str());
        assert_eq!(event.metadata["content-type"], "application/json");
        let mut id = [0; 16];
        id.copy_from_slice(&entry.sealed.link.0[..16]);
        id[6] = id[6] & 0x0f | 0x80;
        id[8] = id[8] & 0x3f | 0x80;
        assert_eq!(event.id, u128::from_be_bytes(id));
        let metadata: Value = serde_json::from_slice(&event.custom_metadata).expect("JSON");
        assert_eq!(metadata["v"], 1);
        assert_eq!(metadata["kid"], entry.sealed.kid);
        let link = greffe_domain::encoding::base64url(&entry.sealed.link.0);
        assert_eq!(metadata["link"], link);
        assert_eq!(metadata["stream"]["version"], 1);
    }
    // The text of a filing is the shares of its entries, in order.
    let jwt: String = events[1..3]
        .iter()
        .map(|event| {
            let metadata: Value = serde_json::from_slice(&event.custom_metadata).expect("JSON");
            metadata["filing"]["jwt"].as_str().expect("a share").to_owned()
        })
        .collect();
    assert_eq!(jwt, sample.filings[0].jwt);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_personal_value_is_never_in_the_stream_and_erased_in_no_file() {
    let node = Node::start().await;
    let side = tempfile::tempdir().expect("a directory");
    let (store, mut sample) = filled(&node, side.path()).await;
    let last = sample.disclosures.last().expect("some").clone();
    let in_stream = |needle: &str| {
        node.events(STREAM).iter().any(|event| {
            let both = [&event.data, &event.custom_metadata];
            both.iter().any(|b| b.windows(needle.len()).any(|w| w == needle.as_bytes()))
        })
    };
    for disclosure in &sample.disclosures {
        assert!(!in_stream(&disclosure.encoded));
        assert!(holds(side.path(), &disclosure.encoded));
    }
    let mut batch = sample.batch(1, 1);
    batch.erased = sample.disclosures.iter().map(|d| d.digest).collect::<Vec<Hash32>>();
    append(&store, &mut sample, batch).await;
    contract::compare(&store, &sample).await;
    assert!(!holds(side.path(), &last.encoded), "of the batch before, too");
}
