//! Starting, stopping, and what goes wrong around a data directory.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc;

use greffe_domain::seal::Position;
use greffe_infra::store::{SqliteStore, Store};
use greffe_tests::server::{Server, create_ledger, greffe, submit};
use greffe_tests::signing::{access, declaration, sign};

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_directory_is_refused_in_two_lines() {
    let directory = tempfile::tempdir().expect("a directory");
    create_ledger(directory.path(), &[]).await;
    let first = Server::start(directory.path());
    let error = Server::try_start(directory.path()).err().expect("refused");
    assert_eq!(error.trim_end().lines().count(), 2, "{error}");
    assert!(error.contains("another process"), "{error}");
    first.client().get("/v1/head").expect("the first still serves");
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_finishes_what_it_began() {
    let directory = tempfile::tempdir().expect("a directory");
    create_ledger(directory.path(), &[("caisse", &["controller"])]).await;
    let path = directory.path().to_owned();
    let receipts = tokio::task::spawn_blocking(move || {
        let server = Server::start(&path);
        let declare = sign(
            "caisse",
            "processing.declare",
            Some("2020"),
            declaration("p", &["R-CPAM"]),
            "declare",
        );
        submit(&server.client(), &declare).expect("declared");
        let receipts = Mutex::new(Vec::new());
        let (started, under_load) = mpsc::channel();
        std::thread::scope(|scope| {
            for client in 0..4 {
                let (http, started, receipts) = (server.client(), started.clone(), &receipts);
                scope.spawn(move || {
                    for n in 0.. {
                        let jti = format!("{client}/{n}");
                        let subject = *blake3::hash(jti.as_bytes()).as_bytes();
                        let body = access("p", "caisse", "R-CPAM", subject);
                        let text = sign("caisse", "access.report", Some("2026"), body, &jti);
                        let Ok(answer) = submit(&http, &text) else { break };
                        receipts.lock().expect("no client panics").extend(answer);
                        let _ = started.send(());
                    }
                });
            }
            for _ in 0..40 {
                under_load.recv().expect("receipts come");
            }
            server.signal_terminate();
        });
        assert_eq!(server.wait(), Some(0), "it stops of its own accord");
        receipts.into_inner().expect("no client panics")
    })
    .await
    .expect("the load ends");
    let store = SqliteStore::open(directory.path()).expect("nobody holds it any more");
    for receipt in receipts {
        let position = receipt["position"].as_u64().expect("a position");
        let row = store.entry(Position(position)).await.expect("readable").expect("recorded");
        assert_eq!(receipt["link"], row.sealed.link.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_does_not_wait_for_a_request_that_never_ends() {
    let directory = tempfile::tempdir().expect("a directory");
    create_ledger(directory.path(), &[]).await;
    let server = Server::start(directory.path());
    let address = server.url().trim_start_matches("http://").to_owned();
    let mut slow = TcpStream::connect(&address).expect("the server listens");
    let head = format!(
        "POST /v1/filings HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/sd-jwt\r\n\
         Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n"
    );
    slow.write_all(head.as_bytes()).expect("sent");
    // It says so once it reads: the request has begun.
    let mut said = [0; 12];
    slow.read_exact(&mut said).expect("an answer");
    assert_eq!(&said, b"HTTP/1.1 100");
    server.signal_terminate();
    assert_eq!(server.wait(), Some(0));
    SqliteStore::open(directory.path()).expect("nobody holds it any more");
}

#[test]
fn what_cannot_run_says_so_in_two_lines_and_exits_with_2() {
    let directory = tempfile::tempdir().expect("a directory");
    let empty = directory.path().to_str().expect("UTF-8");
    for args in [
        &["serve", "--data", empty, "--listen", "127.0.0.1:0"][..],
        &["fsck", "--data", empty],
        &["export", "--data", empty, "--out", "/nowhere/at/all.ndjson"],
        &["serve", "--store", "nonsense://x"],
        &["sign", "/nowhere.json", "--key", "/nowhere.pem", "--aud", "a.b"],
        &["init", "--data", empty, "--origin", "https://not.a/name"],
    ] {
        let output = greffe(args);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert!(error.trim_end().lines().count() >= 2, "{args:?}: {error}");
    }
}

#[test]
fn init_refuses_a_directory_that_holds_a_ledger() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("registre");
    let data = data.to_str().expect("UTF-8");
    let init = || greffe(&["init", "--data", data, "--origin", "registre.example/absences"]);
    assert_eq!(init().status.code(), Some(0));
    let again = init();
    assert_eq!(again.status.code(), Some(2), "{}", String::from_utf8_lossy(&again.stderr));
    let sound = greffe(&["fsck", "--data", data]);
    assert_eq!(sound.status.code(), Some(0), "{}", String::from_utf8_lossy(&sound.stderr));
}
