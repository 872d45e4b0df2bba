//! Each way in which the server or the network fails, and what follows.

use greffe_infra::store::contract::{self, Sample};
use greffe_infra::store::{AppendError, FaultKind, Lead, Store};
use greffe_tests::eventstore::{Data, Node, Trouble};

use super::{STREAM, append, cause, fault, filled, holds, open, try_open};

/// More of them than an append is tried.
const TOO_MANY: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_is_known_or_feared_lost_is_sent_again_and_lands_once() {
    let node = Node::start().await;
    let side = tempfile::tempdir().expect("a directory");
    let (store, mut sample) = filled(&node, side.path()).await;
    use Trouble as T;
    for trouble in [
        T::NotReady,
        T::TimedOut,
        T::DeadlineExceeded { applied: false },
        T::DeadlineExceeded { applied: true },
        T::Cut { applied: false },
        T::Cut { applied: true },
    ] {
        let before = node.append_calls();
        node.trouble_appends([trouble.clone()]);
        let batch = sample.batch(2, 2);
        append(&store, &mut sample, batch).await;
        assert_eq!(node.append_calls(), before + 2, "{trouble:?}: sent once more");
        assert_eq!(node.events(STREAM).len(), sample.entries.len(), "{trouble:?}: there once");
    }
    contract::compare(&store, &sample).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_is_tried_again_and_then_says_what_failed() {
    let node = Node::start().await;
    let side = tempfile::tempdir().expect("a directory");
    let (store, sample) = filled(&node, side.path()).await;
    use Trouble as T;
    node.trouble_reads([T::NotReady, T::Cut { applied: false }]);
    contract::compare(&store, &sample).await;
    node.trouble_reads(vec![T::NotReady; TOO_MANY]);
    let failed = store.head().await.expect_err("an empty answer would be a lie");
    assert_eq!(failed.kind(), FaultKind::Unavailable);
    assert!(cause(&failed).contains("Server Is Not Ready"), "{}", cause(&failed));
    contract::compare(&store, &sample).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_outcome_is_settled_before_the_head_is_told() {
    let node = Node::start().await;
    let side = tempfile::tempdir().expect("a directory");
    let (store, mut sample) = filled(&node, side.path()).await;
    for applied in [false, true] {
        node.trouble_appends(vec![Trouble::DeadlineExceeded { applied }; TOO_MANY]);
        let batch = sample.batch(2, 3);
        let error = store.append(batch.clone()).await.expect_err("nobody answered");
        assert_eq!(fault(error).0, "unknown");
        node.trouble_appends(vec![Trouble::TimedOut; TOO_MANY]);
        assert!(store.head().await.is_err(), "still nobody knows");
        // Whether it had landed or not, it has now: that is the answer, and it holds.
        sample.add(&batch);
        assert_eq!(store.head().await.expect("settled"), sample.head());
        assert_eq!(node.events(STREAM).len(), sample.entries.len());
        contract::compare(&store, &sample).await;
    }
    let batch = sample.batch(1, 1);
    append(&store, &mut sample, batch).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ends_with_an_unknown_outcome_finds_the_batch_whole_or_not_at_all() {
    let node = Node::start().await;
    let side = tempfile::tempdir().expect("a directory");
    let (mut store, mut sample) = filled(&node, side.path()).await;
    for applied in [false, true] {
        node.trouble_appends(vec![Trouble::DeadlineExceeded { applied }; TOO_MANY]);
        let batch = sample.batch(2, 3);
        store.append(batch.clone()).await.expect_err("nobody answered");
        drop(store);
        store = open(&node, side.path()).await;
        if applied {
            sample.add(&batch);
        }
        // With its personal values, which were never in the stream.
        contract::compare(&store, &sample).await;
        assert_eq!(store.head().await.expect("readable"), sample.head());
        let batch = sample.batch(1, 1);
        append(&store, &mut sample, batch).await;
    }
    contract::compare(&store, &sample).await;
}

/// More than one append holds, in one filing.
fn large(sample: &Sample) -> greffe_infra::store::Batch {
    sample.batch(1, 2_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_append_does_not_hold_is_sent_in_parts_and_ends_whole_whoever_ends_it() {
    let node = Node::start().await;
    let side = tempfile::tempdir().expect("a directory");
    let (mut store, mut sample) = filled(&node, side.path()).await;
    let before = node.append_calls();
    let batch = large(&sample);
    append(&store, &mut sample, batch).await;
    assert!(node.append_calls() > before + 1, "in parts");
    // One part lands, the next is lost, and the process ends.
    let mut troubles = vec![None];
    troubles.extend(vec![Some(Trouble::TimedOut); TOO_MANY]);
    node.trouble_appends(troubles);
    let batch = large(&sample);
    let error = store.append(batch.clone()).await.expect_err("a part is missing");
    assert_eq!(fault(error).0, "unknown");
    let partly = node.events(STREAM).len();
    assert!(sample.entries.len() < partly && partly < sample.entries.len() + 2_000, "{partly}");
    drop(store);
    store = open(&node, side.path()).await;
    sample.add(&batch);
    assert_eq!(store.head().await.expect("readable"), sample.head());
    contract::compare(&store, &sample).await;
    // And without ending: the next question settles it.
    let mut troubles = vec![None];
    troubles.extend(vec![Some(Trouble::TimedOut); TOO_MANY]);
    node.trouble_appends(troubles);
    let batch = large(&sample);
    store.append(batch.clone()).await.expect_err("a part is missing");
    sample.add(&batch);
    assert_eq!(store.head().await.expect("settled"), sample.head());
    contract::compare(&store, &sample).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_is_refused_writes_nothing_and_keeps_no_personal_value() {
    let node = Node::start().await;
    let side = tempfile::tempdir().expect("a directory");
    let (store, mut sample) = filled(&node, side.path()).await;
    let batch = sample.batch(2, 2);
    node.trouble_appends([Trouble::AccessDenied]);
    let (outcome, refused) = fault(store.append(batch.clone()).await.expect_err("denied"));
    assert_eq!((outcome, refused.kind()), ("not applied", FaultKind::ReadOnly));
    assert!(cause(&refused).contains("access denied"), "{}", cause(&refused));
    assert!(!holds(side.path(), &batch.disclosures[0].encoded));
    assert_eq!(store.head().await.expect("readable"), sample.head());
    append(&store, &mut sample, batch).await;
    contract::compare(&store, &sample).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_after_a_lost_answer_leaves_the_outcome_unknown() {
    let node = Node::start().await;
    let side = tempfile::tempdir().expect("a directory");
    let (store, mut sample) = filled(&node, side.path()).await;
    let batch = sample.batch(2, 2);
    node.trouble_appends([Trouble::DeadlineExceeded { applied: true }, Trouble::AccessDenied]);
    let (outcome, _) = fault(store.append(batch.clone()).await.expect_err("denied"));
    assert_eq!(outcome, "unknown", "the first may have landed, and had");
    sample.add(&batch);
    assert_eq!(store.head().await.expect("settled"), sample.head());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_comes_back() {
    let node = Node::start().await;
    let side = tempfile::tempdir().expect("a directory");
    let (store, mut sample) = filled(&node, side.path()).await;
    node.refuse_connections(true);
    let batch = sample.batch(2, 2);
    let error = store.append(batch.clone()).await.expect_err("nobody there");
    let (outcome, failed) = fault(error);
    assert_eq!(failed.kind(), FaultKind::Unavailable);
    assert!(store.head().await.is_err(), "no empty answer");
    assert!(store.entries(sample.entries[0].position, 3).await.is_err());
    node.refuse_connections(false);
    let head = store.head().await.expect("it is back");
    // What might have been sent is settled by sending it; the rest never left.
    if outcome == "unknown" {
        sample.add(&batch);
    }
    assert_eq!(head, sample.head());
    let batch = sample.batch(1, 1);
    append(&store, &mut sample, batch).await;
    contract::compare(&store, &sample).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_sends_us_to_the_leader() {
    let leader = Node::start().await;
    let follower = Node::start_with(leader.data(), Some(leader.address())).await;
    let side = tempfile::tempdir().expect("a directory");
    let (store, sample) = filled(&follower, side.path()).await;
    contract::compare(&store, &sample).await;
    drop(store);
    // A cluster, by its gossip.
    let seeds = format!(
        "esdb://{},{}?tls=false&nodePreference=leader",
        follower.address(),
        leader.address()
    );
    let address = super::address(&seeds, side.path());
    let store = greffe_infra::store::KurrentStore::create(&address, contract::ORIGIN).await;
    let store = store.expect("a node is found");
    contract::compare(&store, &sample).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_user_of_the_url_must_be_known() {
    let node = Node::start_with(Data::default(), None).await;
    node.require_credentials("greffe", "correct");
    let side = tempfile::tempdir().expect("a directory");
    let url = |password: &str| format!("esdb://greffe:{password}@{}?tls=false", node.address());
    let open = |password: &str| {
        let address = super::address(&url(password), side.path());
        async move { greffe_infra::store::KurrentStore::create(&address, contract::ORIGIN).await }
    };
    let refused = open("wrong").await.err().expect("refused");
    assert_eq!(refused.kind(), FaultKind::ReadOnly);
    let said = format!("{refused} {}", cause(&refused));
    assert!(!said.contains("wrong"), "a password is never shown: {said}");
    open("correct").await.expect("it opens");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_deleted_truncated_or_replaced_is_never_taken_for_an_empty_one() {
    for (how, says) in
        [("tombstoned", "deleted"), ("truncated", "truncated"), ("replaced", "differs")]
    {
        let node = Node::start().await;
        let side = tempfile::tempdir().expect("a directory");
        let (store, sample) = filled(&node, side.path()).await;
        match how {
            "tombstoned" => node.tombstone(STREAM),
            "truncated" => node.truncate_before(STREAM, 5),
            _ => node.tamper(STREAM, |events| {
                let (last, rest) = events.split_last_mut().expect("some");
                last.custom_metadata = rest[0].custom_metadata.clone();
            }),
        }
        drop(store);
        let refused = try_open(&node, side.path(), "").await.err().expect("refused");
        assert_eq!(refused.kind(), FaultKind::Corrupt, "{how}");
        assert!(cause(&refused).contains(says), "{how}: {}", cause(&refused));
        assert!(sample.head().size.0 > 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_lost_its_end_shows_how_far_it_goes() {
    let node = Node::start().await;
    let side = tempfile::tempdir().expect("a directory");
    let (store, sample) = filled(&node, side.path()).await;
    node.tamper(STREAM, |events| events.truncate(7));
    // The ledger compares this with its high-water mark, and signs nothing.
    let head = store.head().await.expect("readable");
    assert_eq!((head.size.0, head.link), (7, sample.entries[6].sealed.link));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_its_owner_deleted_ends_at_nothing_and_is_not_begun_again() {
    let node = Node::start().await;
    let side = tempfile::tempdir().expect("a directory");
    let (store, sample) = filled(&node, side.path()).await;
    drop(store);
    node.delete(STREAM);
    let store = open(&node, side.path()).await;
    assert_eq!(store.head().await.expect("readable").size.0, 0);
    // Whoever took it for a new one would be told: its first entry is not number 0.
    let begun = fault(store.append(Sample::default().batch(1, 1)).await.expect_err("refused"));
    assert_eq!((begun.0, begun.1.kind()), ("unknown", FaultKind::Corrupt));
    assert!(cause(&begun.1).contains(&format!("number {}", sample.entries.len() + 1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writers_never_fork_a_stream() {
    let node = Node::start().await;
    let sides = [0; 2].map(|_| tempfile::tempdir().expect("a directory"));
    let first = open(&node, sides[0].path()).await;
    let second = open(&node, sides[1].path()).await;
    assert_eq!(first.lead().await.expect("an answer"), Lead::Held);
    let mut sample = Sample::default();
    let batch = sample.batch(2, 2);
    append(&first, &mut sample, batch).await;
    let mut other = Sample::default().batch(3, 1);
    for entry in &mut other.entries {
        entry.sealed.link.0[0] ^= 1;
    }
    let refused = second.append(other.clone()).await;
    match refused {
        Err(AppendError::Conflict { actual }) => assert_eq!(actual, sample.head()),
        other => panic!("the stream has another end: {other:?}"),
    }
    assert!(!holds(sides[1].path(), &other.disclosures[0].encoded));
    assert_eq!(node.events(STREAM).len(), sample.entries.len());
    contract::compare(&first, &sample).await;
    // Its side has none of the values: it does not go on as if there were none.
    let refused = second.head().await.expect_err("entries that it knows nothing of");
    assert_eq!(refused.kind(), FaultKind::Corrupt);
}
