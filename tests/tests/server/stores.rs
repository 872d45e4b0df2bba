//! A ledger in a database, by the real program: moved there, served by two processes and a
//! reader, and taken over when the writer is killed.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use greffe_infra::testing::cluster::Cluster;
use greffe_tests::drill::{self, all_there, declared, done, ready, until, verified};
use greffe_tests::server::{Server, create_ledger, program, submit};
use greffe_tests::signing::{access, sign};
use serde_json::Value;

fn report(n: u32) -> String {
    drill::report(&format!("report {n}"))
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
    declared(&first.client());
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

/// A writer that is stopped and wakes, by signals, as a virtual machine that is paused.
fn put_to_sleep_and_woken(data: &Path, standby: &Path) {
    let cluster = Cluster::start(&[]);
    let url = cluster.database("ledger");
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let (data, standby) = (text(data), text(standby));
    done(&["migrate", "--from", &format!("sqlite:{data}"), "--to", &url]);
    for file in ["ledger-key.pem", "subject-secret", "trust.json"] {
        std::fs::copy(Path::new(&data).join(file), Path::new(&standby).join(file)).expect("copied");
    }
    let serve = |data: &str| {
        Server::try_start_with(&["--data", data, "--store", &url]).expect("the server starts")
    };
    let (first, second) = (serve(&data), serve(&standby));
    let mut receipts = declared(&first.client());
    receipts.extend(submit(&first.client(), &report(1)).expect("recorded"));
    first.signal("-STOP");
    // What reaches it while it sleeps waits in its socket, and is tried when it wakes.
    let asleep = first.client();
    let late = std::thread::spawn(move || submit(&asleep, &report(2)));
    until(&second.client(), |r| r["standing"] == "writes");
    receipts.extend(submit(&second.client(), &report(3)).expect("recorded"));
    first.signal("-CONT");
    let refused = late.join().expect("no panic").expect_err("its time is over");
    assert_eq!(refused["code"], "read-only", "{refused}");
    until(&first.client(), |r| r["standing"] == "follows" && r["size"] == 5);
    let again = submit(&second.client(), &report(2)).expect("recorded now, once");
    receipts.extend(again);
    for (n, receipt) in (2..).zip(&receipts) {
        assert_eq!(receipt["position"], n, "no position is given twice, and none left out");
    }
    drop((first, second));
    done(&["fsck", "--data", &data, "--store", &url]);
    verified(Path::new(&data), &["--store", &url]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_slept_through_its_lease_wakes_as_a_follower_and_appends_nothing() {
    let [data, standby] = [0; 2].map(|_| tempfile::tempdir().expect("a directory"));
    create_ledger(data.path(), &[("caisse", &["controller"])]).await;
    let work = move || put_to_sleep_and_woken(data.path(), standby.path());
    tokio::task::spawn_blocking(work).await.expect("no step fails");
}

/// What the program has when the primary is killed under load and its synchronous replica is
/// promoted: every receipt that was given.
fn failed_over(data: &Path) {
    const CLIENTS: u32 = 3;
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let mut primary = Cluster::start(&[]);
    let first_url = primary.database("ledger");
    done(&["migrate", "--from", &format!("sqlite:{}", text(data)), "--to", &first_url]);
    let replica = primary.replica(&[]);
    primary.wait_for("replica");
    let hosts = [&primary, &replica].map(|c| c.directory().display().to_string());
    let url = format!("postgres:///ledger?user=greffe&host={}&host={}", hosts[0], hosts[1]);
    let server = Server::try_start_with(&["--data", &text(data), "--store", &url]);
    let server = server.expect("the server starts");
    let receipts = Mutex::new(declared(&server.client()));
    let (given, enough) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (http, receipts, given, enough) = (server.client(), &receipts, &given, &enough);
            scope.spawn(move || {
                for n in (client..).step_by(CLIENTS as usize) {
                    // The same bytes until there is an answer: recorded once, however often.
                    let answer = loop {
                        if enough.load(Ordering::Relaxed) {
                            return;
                        }
                        match submit(&http, &report(n)) {
                            Ok(answer) => break answer,
                            Err(_) => std::thread::sleep(Duration::from_millis(20)),
                        }
                    };
                    receipts.lock().expect("no client panics").extend(answer);
                    given.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let until_given = |count: usize| {
            let deadline = 2_400;
            let came = (0..deadline).any(|_| {
                std::thread::sleep(Duration::from_millis(25));
                given.load(Ordering::Relaxed) >= count
            });
            enough.fetch_or(!came, Ordering::Relaxed);
            assert!(came, "receipts do not come: {}", ready(&server.client()).body);
        };
        until_given(20);
        primary.kill();
        let before = given.load(Ordering::Relaxed);
        replica.promote();
        until_given(before + CLIENTS as usize + 8);
        enough.store(true, Ordering::Relaxed);
    });
    let receipts = receipts.into_inner().expect("no client panics");
    server.kill();

    // Another server, which knows the new primary alone.
    let url = replica.url("ledger", "greffe");
    let server = Server::try_start_with(&["--data", &text(data), "--store", &url]);
    let server = server.expect("the server starts");
    until(&server.client(), |r| r["standing"] == "writes");
    all_there(&server, &receipts);
    server.signal_terminate();
    assert_eq!(server.wait(), Some(0));
    done(&["fsck", "--data", &text(data), "--store", &url]);
    verified(data, &["--store", &url]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_primary_is_killed_goes_on_with_the_replica_and_keeps_every_receipt() {
    let data = tempfile::tempdir().expect("a directory");
    create_ledger(data.path(), &[("caisse", &["controller"]), ("cnil", &["regulator"])]).await;
    tokio::task::spawn_blocking(move || failed_over(data.path())).await.expect("no step fails");
}

/// Kills copies of a ledger to a database part of the way, until one comes to its end.
fn moved_in_pieces(data: &Path) {
    const ENTRIES: u64 = 3 + 60 * 100;
    let server = Server::start(data);
    declared(&server.client());
    for lot in 0..60 {
        let bodies: Value = (0..100)
            .map(|n| {
                let subject = *blake3::hash(format!("{lot} {n}").as_bytes()).as_bytes();
                access("p", "caisse", "R-CPAM", subject)
            })
            .collect();
        let lot = sign("caisse", "access.report", Some("2026"), bodies, &format!("lot {lot}"));
        submit(&server.client(), &lot).expect("recorded");
    }
    let head = server.client().get("/v1/head").expect("an answer").accepted().expect("a head");
    assert_eq!(head["size"], ENTRIES);
    server.signal_terminate();
    assert_eq!(server.wait(), Some(0));

    let cluster = Cluster::start(&[]);
    let url = cluster.database("ledger");
    let from = format!("sqlite:{}", data.to_str().expect("UTF-8"));
    let copied = || {
        let there = cluster.psql("ledger", "SELECT to_regclass('entries') IS NOT NULL");
        if there != "t" {
            return 0;
        }
        let count = cluster.psql("ledger", "SELECT count(*) FROM entries");
        count.parse::<u64>().expect("a number")
    };
    let mut reached = Vec::new();
    while reached.len() < 3 {
        let before = copied();
        let mut running = std::process::Command::new(program("greffe"))
            .args(["migrate", "--from", &from, "--to", &url])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("the program starts");
        // Killed as soon as it has copied something more; if it was faster, it is done.
        while copied() == before && running.try_wait().expect("it is ours").is_none() {
            std::thread::yield_now();
        }
        let _ = running.kill();
        let _ = running.wait();
        let now = copied();
        assert_eq!((now - 3) % 100, 0, "it ends with a whole filing: {now}");
        reached.push(now);
        if now == ENTRIES {
            break;
        }
    }
    assert!(reached[0] < ENTRIES, "it was interrupted: {reached:?}");
    let said = done(&["migrate", "--from", &from, "--to", &url]);
    let link = head["link"].as_str().expect("a link");
    assert!(said.contains(&format!("{ENTRIES} entries, head {link}")), "{said}");
    assert!(said.contains("went on from position"), "{said}");
    done(&["fsck", "--data", data.to_str().expect("UTF-8"), "--store", &url]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_to_a_database_killed_on_the_way_goes_on_and_ends_at_the_same_head() {
    let data = tempfile::tempdir().expect("a directory");
    create_ledger(data.path(), &[("caisse", &["controller"])]).await;
    tokio::task::spawn_blocking(move || moved_in_pieces(data.path())).await.expect("moved");
}
