//! The side: lost, restored late, built again, or another ledger's.

use greffe_domain::seal::Position;
use greffe_infra::store::contract::{self, ORIGIN};
use greffe_infra::store::eventstore::{Address, SIDE};
use greffe_infra::store::{AppendError, FaultKind, KurrentStore, Lead, Store};
use greffe_tests::eventstore::Node;

use super::{append, cause, filled, try_open};

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_side_is_built_again_only_when_told_to_and_without_personal_values() {
    let node = Node::start().await;
    let side = tempfile::tempdir().expect("a directory");
    let (store, mut sample) = filled(&node, side.path()).await;
    let batch = sample.batch(4, 700);
    append(&store, &mut sample, batch).await;
    drop(store);
    let other = tempfile::tempdir().expect("a directory");
    let refused = try_open(&node, other.path(), "").await.err().expect("refused");
    assert_eq!(refused.kind(), FaultKind::Corrupt);
    let said = cause(&refused);
    let last = sample.entries.len() - 1;
    assert!(said.contains(&format!("from position 0 to {last}")), "{said}");
    assert!(said.contains("rebuild=yes"), "{said}");

    let store = try_open(&node, other.path(), "&rebuild=yes").await.expect("built again");
    assert_eq!(store.head().await.expect("readable"), sample.head());
    sample.disclosures.clear();
    contract::compare(&store, &sample).await;
    let batch = sample.batch(2, 2);
    append(&store, &mut sample, batch).await;
    drop(store);
    let store = try_open(&node, other.path(), "").await.expect("nothing is missing now");
    contract::compare(&store, &sample).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_side_restored_from_a_copy_says_from_where_on_it_knows_nothing() {
    let node = Node::start().await;
    let side = tempfile::tempdir().expect("a directory");
    let copy = tempfile::tempdir().expect("a directory");
    let (store, mut sample) = filled(&node, side.path()).await;
    drop(store);
    std::fs::create_dir(copy.path().join(SIDE)).expect("a directory");
    for file in std::fs::read_dir(side.path().join(SIDE)).expect("a directory") {
        let file = file.expect("a file");
        std::fs::copy(file.path(), copy.path().join(SIDE).join(file.file_name())).expect("copied");
    }
    let store = super::open(&node, side.path()).await;
    let first = sample.entries.len();
    for _ in 0..2 {
        let batch = sample.batch(1, 3);
        append(&store, &mut sample, batch).await;
    }
    drop(store);
    let refused = try_open(&node, copy.path(), "").await.err().expect("refused");
    assert!(cause(&refused).contains(&format!("from position {first} ")), "{}", cause(&refused));
    let store = try_open(&node, copy.path(), "&rebuild=yes").await.expect("built again");
    sample.disclosures.retain(|d| d.position.0 < first as u64);
    contract::compare(&store, &sample).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_ledgers_stream_and_a_second_process_on_a_side_are_refused() {
    let node = Node::start().await;
    let side = tempfile::tempdir().expect("a directory");
    let (store, sample) = filled(&node, side.path()).await;
    let busy = try_open(&node, side.path(), "").await.err().expect("refused");
    assert_eq!(busy.kind(), FaultKind::InUse);

    // Whoever only reads may, beside it.
    let address = super::address(&node.url(""), side.path());
    let reader = KurrentStore::open_read_only(&address).await.expect("a reader");
    contract::compare(&reader, &sample).await;
    assert_eq!(reader.lead().await.expect("an answer"), Lead::Elsewhere);
    match reader.append(sample.batch(1, 1)).await {
        Err(AppendError::NotApplied(f)) => assert_eq!(f.kind(), FaultKind::ReadOnly),
        other => panic!("a reader appends nothing: {other:?}"),
    }
    drop((store, reader));

    let other = tempfile::tempdir().expect("a directory");
    let address = super::address(&node.url(""), other.path());
    let refused = KurrentStore::create(&address, "other.example").await.err().expect("refused");
    assert_eq!(refused.kind(), FaultKind::OtherOrigin);
    assert!(cause(&refused).contains(ORIGIN), "{}", cause(&refused));
    // In a stream of its own it begins.
    let address = super::address(&node.url("&stream=other"), other.path());
    KurrentStore::open(&address).await.expect("the side was made for this origin");
    assert_eq!(node.events("other"), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_says_where_the_side_is_and_without_one_there_is_none_to_open() {
    let node = Node::start().await;
    let directory = tempfile::tempdir().expect("a directory");
    let side = directory.path().join("elsewhere");
    let url = format!("kurrentdb://{}?tls=false&side=sqlite:{}", node.address(), side.display());
    let address = Address::parse(&url).expect("an address");
    let store = KurrentStore::create(&address, ORIGIN).await.expect("it opens");
    assert!(side.join("ledger.db").exists());
    assert_eq!(store.entries(Position(0), 9).await.expect("entries"), []);
    let bare = Address::parse(&node.url("")).expect("an address");
    let refused = KurrentStore::create(&bare, ORIGIN).await.err().expect("no side");
    assert_eq!(refused.kind(), FaultKind::Missing);
    assert!(cause(&refused).contains("side=sqlite:"), "{}", cause(&refused));
    for none in ["esdb:", "postgres://a/b", "esdb+nonsense://a", "mysql://a"] {
        assert_eq!(Address::parse(none), None, "{none}");
    }
}
