//! A ledger in a database, by the real program: moved there, served by two processes and a
//! reader, and taken over when the writer is killed.

use std::path::Path;
use std::time::Duration;

use greffe_infra::testing::cluster::Cluster;
use greffe_tests::http::{Answer, Client};
use greffe_tests::server::{Server, create_ledger, greffe, submit};
use greffe_tests::signing::{access, declaration, sign};
use serde_json::Value;

fn done(args: &[&str]) -> String {
    let output = greffe(args);
    let (out, error) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert_eq!(output.status.code(), Some(0), "{args:?}: {error}");
    out
}

fn ready(client: &Client) -> Answer {
    client.get("/readyz").expect("an answer")
}

/// Waits until `/readyz` says so: what only another process brings about.
fn until(client: &Client, so: impl Fn(&Value) -> bool) {
    for _ in 0..600 {
        if so(&ready(client).body) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("it never comes: {}", ready(client).body);
}

fn report(n: u32) -> String {
    let jti = format!("report {n}");
    let subject = *blake3::hash(jti.as_bytes()).as_bytes();
    sign("caisse", "access.report", Some("2026"), access("p", "caisse", "R-CPAM", subject), &jti)
}

fn moved_and_served(data: &Path, standby: &Path, reader: &Path) {
    let cluster = Cluster::start(&[]);
    let url = cluster.database("ledger");
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let (data, standby, reader) = (text(data), text(standby), text(reader));
    let copied = done(&["migrate", "--from", &format!("sqlite:{data}"), "--to", &url]);
    assert!(copied.contains("3 entries"), "{copied}");
    done(&["fsck", "--data", &data, "--store", &url]);
    for file in ["ledger-key.pem", "subject-secret", "trust.json"] {
        std::fs::copy(Path::new(&data).join(file), Path::new(&standby).join(file)).expect("copied");
    }

    let serve = |data: &str, more: &[&str]| {
        let mut args = vec!["--data", data, "--store", &url];
        args.extend(more);
        Server::try_start_with(&args).expect("the server starts")
    };
    let first = serve(&data, &[]);
    let second = serve(&standby, &[]);
    let third = serve(&reader, &["--follow"]);
    assert_eq!(ready(&first.client()).body["standing"], "writes");
    let declare = sign(
        "caisse",
        "processing.declare",
        Some("2020"),
        declaration("p", &["R-CPAM"]),
        "declare",
    );
    submit(&first.client(), &declare).expect("declared");
    let receipts = submit(&first.client(), &report(1)).expect("recorded");
    for follower in [&second, &third] {
        until(&follower.client(), |r| r["size"] == 5 && r["lag"] == 0 && r["store_lag"] == 0);
        let answer = ready(&follower.client());
        assert_eq!((answer.status, &answer.body["standing"]), (200, &Value::from("follows")));
        let refused = submit(&follower.client(), &report(2)).expect_err("it follows");
        assert_eq!((&refused["code"], &refused["status"]), (&"read-only".into(), &503.into()));
        let found = follower.client().get("/v1/processings/p").expect("an answer");
        assert!(found.is_ok(), "its register is up to date: {found:?}");
        let accesses = follower.client_of("cnil").get("/v1/accesses").expect("an answer");
        assert_eq!(accesses.body["items"].as_array().map(Vec::len), Some(1), "{accesses:?}");
    }
    let head = |server: &Server| server.client().get("/v1/head").expect("an answer");
    assert_eq!(head(&first).body, head(&second).body);
    assert_eq!((head(&third).status, head(&third).code()), (503, "read-only"), "it has no key");
    let metrics = third.client().get("/metrics").expect("an answer");
    let metrics = metrics.body.as_str().expect("text").to_owned();
    assert!(metrics.contains("\ngreffe_store_lag 0\n"), "{metrics}");

    // Beside the servers.
    let out = Path::new(&standby).join("export.ndjson");
    done(&["export", "--data", &standby, "--store", &url, "--out", &text(&out)]);

    first.kill();
    until(&second.client(), |r| r["standing"] == "writes");
    let again = submit(&second.client(), &report(1)).expect("recorded before");
    assert_eq!(again, receipts, "the same bytes, the same receipt, from another server");
    submit(&second.client(), &report(2)).expect("recorded");
    until(&third.client(), |r| r["size"] == 6);
    second.signal_terminate();
    assert_eq!(second.wait(), Some(0));
    done(&["fsck", "--data", &data, "--store", &url]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_moved_to_a_database_is_served_by_two_and_survives_its_writer() {
    let [data, standby, reader] = [0; 3].map(|_| tempfile::tempdir().expect("a directory"));
    create_ledger(data.path(), &[("caisse", &["controller"]), ("cnil", &["regulator"])]).await;
    let work = move || moved_and_served(data.path(), standby.path(), reader.path());
    tokio::task::spawn_blocking(work).await.expect("no step fails");
}
