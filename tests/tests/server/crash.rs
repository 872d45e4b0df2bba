//! Killed at any moment, the server never loses an entry it gave a receipt for.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use greffe_domain::seal::Position;
use greffe_infra::fsck::fsck;
use greffe_infra::store::{SqliteStore, Store};
use greffe_infra::trust::{TRUST_FILE, Trust};
use greffe_tests::server::{Server, create_ledger, submit};
use greffe_tests::signing::{access, declaration, sign};
use serde_json::Value;

const KILLS: usize = 20;
const CLIENTS: usize = 8;

/// A number that differs from run to run would make a failure hard to see again.
fn pseudo_random(round: usize) -> usize {
    let hash = blake3::hash(format!("kill {round}").as_bytes());
    usize::from(hash.as_bytes()[0])
}

#[tokio::test(flavor = "multi_thread")]
async fn every_receipt_given_before_a_kill_is_in_the_ledger_afterwards() {
    let directory = tempfile::tempdir().expect("a directory");
    create_ledger(directory.path(), &[("caisse", &["controller"]), ("cnil", &["regulator"])]).await;
    let receipts: Mutex<BTreeMap<u64, Value>> = Mutex::default();
    let path = directory.path().to_owned();
    let work = move || {
        for round in 0..KILLS {
            // It starts again by itself, whatever the kill left behind.
            let server = Server::start(&path);
            if round == 0 {
                let text = sign("caisse", "processing.declare", Some("2020"), declaration("p", &["R-CPAM"]), "declare");
                submit(&server.client(), &text).expect("declared");
            }
            let given = AtomicUsize::new(0);
            let kill_after = 1 + pseudo_random(round);
            let (enough, killed) = mpsc::channel();
            std::thread::scope(|scope| {
                for client in 0..CLIENTS {
                    let http = server.client();
                    let (receipts, given, enough) = (&receipts, &given, enough.clone());
                    scope.spawn(move || {
                        for n in 0.. {
                            let jti = format!("{round}/{client}/{n}");
                            let subject = *blake3::hash(jti.as_bytes()).as_bytes();
                            let body = access("p", "caisse", "R-CPAM", subject);
                            let text = sign("caisse", "access.report", Some("2026"), body, &jti);
                            // The connection breaks: the server is gone.
                            let Ok(answer) = submit(&http, &text) else { break };
                            let mut receipts = receipts.lock().expect("no client panics");
                            for receipt in answer {
                                let position = receipt["position"].as_u64().expect("a position");
                                receipts.insert(position, receipt);
                            }
                            if given.fetch_add(1, Ordering::Relaxed) + 1 == kill_after {
                                let _ = enough.send(());
                            }
                        }
                    });
                }
                killed.recv().expect("some client got that many receipts");
                server.kill();
            });
        }
        receipts.into_inner().expect("no client panics")
    };
    let receipts = tokio::task::spawn_blocking(work).await.expect("the rounds end");
    assert!(receipts.len() > KILLS * CLIENTS, "only {} receipts were given", receipts.len());

    let store = SqliteStore::open_read_only(directory.path()).expect("readable");
    let trust = Trust::read(&directory.path().join(TRUST_FILE)).expect("trust.json");
    fsck(&store, Some(&trust), |_, _| {}).await.expect("every stored byte is sound");
    for (position, receipt) in &receipts {
        let row = store.entry(Position(*position)).await.expect("readable").expect("the entry is there");
        assert_eq!(receipt["link"], row.sealed.link.to_string(), "position {position}");
        let leaf: Value = serde_json::from_slice(&row.sealed.leaf).expect("JSON");
        assert_eq!(receipt["leaf"], leaf, "position {position}");
    }
}
