//! A ledger moved to an event store and back, and one served from it by the real program.

use std::path::Path;
use std::sync::Arc;

use greffe_infra::migrate::{MigrateError, migrate};
use greffe_infra::store::faulty::{Failure, FaultyStore};
use greffe_infra::store::{KurrentStore, MemoryStore, PostgresStore, SqliteStore, Store};
use greffe_infra::testing::cluster::Cluster;
use greffe_infra::testing::{self, access_body, sign as sign_there};
use greffe_tests::drill::{self, declared, done, verified};
use greffe_tests::eventstore::Node;
use greffe_tests::server::{Server, create_ledger, greffe, has_event_store, submit};
use serde_json::json;

use super::STREAM;

async fn same(a: &dyn Store, b: &dyn Store) {
    let head = a.head().await.expect("readable");
    assert_eq!(head, b.head().await.expect("readable"));
    let all = usize::try_from(head.size.0).expect("few");
    let (from, until) = (greffe_domain::seal::Position(0), head.size.next());
    let entries = (a.entries(from, all).await, b.entries(from, all).await);
    assert!(entries.0.expect("entries") == entries.1.expect("entries"));
    let filings = (a.filings(from, all).await, b.filings(from, all).await);
    assert!(filings.0.expect("filings") == filings.1.expect("filings"));
    let values = (a.disclosures(from, until).await, b.disclosures(from, until).await);
    assert!(values.0.expect("values") == values.1.expect("values"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_moves_to_an_event_store_interrupted_and_on_to_a_database() {
    let node = Node::start().await;
    let [data, side] = [0; 2].map(|_| tempfile::tempdir().expect("a directory"));
    let source = Arc::new(SqliteStore::create(data.path(), testing::ORIGIN).expect("a store"));
    let ledger = testing::open(Arc::clone(&source) as _).await.expect("a ledger");
    testing::settle(&ledger).await;
    for lot in 0..5 {
        let accesses: serde_json::Value =
            (0..400).map(|n| access_body("suivi", 1_000 * lot + n)).collect();
        let filing = json!({"iss": "cnamts", "kind": "access.report", "body": accesses});
        ledger.submit(&sign_there(filing)).await.expect("recorded");
    }
    ledger.shutdown().await;
    let address = super::address(&node.url(""), side.path());
    let create = || KurrentStore::create(&address, testing::ORIGIN);
    {
        let target = FaultyStore::new(create().await.expect("a store"));
        target.fail_writes([Failure::LandedAnswerUnknown]);
        let broken = migrate(&*source, &target, None, |_, _| {}).await;
        assert!(matches!(broken, Err(MigrateError::Fault(_))), "{broken:?}");
    }
    let target = create().await.expect("a store");
    let moved = migrate(&*source, &target, None, |_, _| {}).await.expect("moved");
    assert!(moved.resumed_at.0 > 0, "it went on from where it was");
    same(&*source, &target).await;

    let cluster = Cluster::start(&[]);
    let url = cluster.database("ledger");
    let database = PostgresStore::create(&url, testing::ORIGIN, None).await.expect("a database");
    migrate(&target, &database, None, |_, _| {}).await.expect("moved on");
    same(&*source, &database).await;
    let memory = MemoryStore::new(testing::ORIGIN);
    migrate(&database, &memory, None, |_, _| {}).await.expect("moved on");
    same(&target, &memory).await;
}

fn moved_and_served(node: &Node, data: &Path) {
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let (url, dir) = (node.url(""), text(data));
    let to = format!("{url}&side=sqlite:{}", text(&data.join("side")));
    let copied = done(&["migrate", "--from", &format!("sqlite:{dir}"), "--to", &to]);
    assert!(copied.contains("3 entries"), "{copied}");
    let serve = || Server::try_start_with(&["--data", &dir, "--store", &url]);
    let report = |n: u32| drill::report(&format!("report {n}"));
    let server = serve().expect("the server starts");
    declared(&server.client());
    let receipts = submit(&server.client(), &report(1)).expect("recorded");
    assert_eq!(node.events(STREAM).len(), 5);
    server.kill();

    let server = serve().expect("it starts again");
    let again = submit(&server.client(), &report(1)).expect("recorded before");
    assert_eq!(again, receipts, "the same filing, the same receipt");
    submit(&server.client(), &report(2)).expect("recorded");
    let accesses = server.client_of("cnil").get("/v1/accesses").expect("an answer");
    assert_eq!(accesses.body["items"].as_array().map(Vec::len), Some(2), "{accesses:?}");
    server.signal_terminate();
    assert_eq!(server.wait(), Some(0));

    done(&["fsck", "--data", &dir, "--store", &url]);
    verified(data, &["--store", &url]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_is_served_from_an_event_store_killed_started_again_and_verified() {
    has_event_store();
    let node = Arc::new(Node::start().await);
    let data = tempfile::tempdir().expect("a directory");
    create_ledger(data.path(), &[("caisse", &["controller"]), ("cnil", &["regulator"])]).await;
    let path = data.path().to_owned();
    let work = move || moved_and_served(&node, &path);
    tokio::task::spawn_blocking(work).await.expect("no step fails");
}

#[test]
fn a_server_that_is_not_there_is_named_without_its_password() {
    let data = tempfile::tempdir().expect("a directory");
    let data = data.path().to_str().expect("UTF-8");
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
    let port = port.expect("a free port").port();
    let url = format!("esdb://greffe:secret@127.0.0.1:{port}?tls=false");
    let output = greffe(&["init", "--data", data, "--store", &url, "--origin", "a.example/b"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_ne!(output.status.code(), Some(0));
    assert!(error.contains(&format!("127.0.0.1:{port}")), "{error}");
    assert!(!error.contains("secret"), "{error}");
}
