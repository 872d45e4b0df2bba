//! A backup put back, on each store, by the means that `docs/operations.md` names: what was
//! acknowledged is there, or what is missing is named and nothing is signed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use greffe_infra::store::eventstore::SIDE;
use greffe_infra::testing::cluster::Cluster;
use greffe_tests::drill::{
    all_there, declared, done, position, ready, report, run, some, text, under_load, until,
    verified,
};
use greffe_tests::eventstore::Node;
use greffe_tests::server::{Server, create_ledger, has_event_store, submit};
use serde_json::Value;

const PARTIES: [(&str, &[&str]); 2] = [("caisse", &["controller"]), ("cnil", &["regulator"])];
/// What a data directory must have kept for a server to sign.
const KEYS: [&str; 3] = ["ledger-key.pem", "subject-secret", "trust.json"];
const MARKS: [&str; 2] = ["high-water", "high-water-exported"];

/// A ledger that lacks what somebody holds receipts for is served for reading, says which
/// positions are missing, and records nothing.
fn is_behind(server: &Server, size: u64, last: u64) {
    let ready = ready(&server.client());
    assert_eq!((ready.status, &ready.body["standing"]), (503, &"behind".into()));
    assert_eq!(
        (&ready.body["missing"]["first"], &ready.body["missing"]["last"]),
        (&size.into(), &last.into())
    );
    let metrics = server.client().get("/metrics").expect("an answer");
    let metrics = metrics.body.as_str().expect("text").to_owned();
    assert!(metrics.contains("\ngreffe_ledger_behind 1\n"), "{metrics}");
    let refused = submit(&server.client(), &report("late")).expect_err("nothing is recorded");
    assert_eq!(refused["code"], "read-only");
    let page = server.client().get("/v1/processings/p").expect("an answer");
    assert!(page.is_ok(), "what is there is served: {page:?}");
}

fn told_to_stop(server: Server) {
    server.signal_terminate();
    assert_eq!(server.wait(), Some(0));
}

/// A backup is taken under load, the directory is lost, and the backup put back.
fn on_the_embedded_store(base: &Path) {
    let at = |name: &str| base.join(name);
    let (data, copy, exported) = (at("registre"), at("copy"), at("export.ndjson"));
    let keys = at("keys");
    let server = Server::start(&data);
    let mut receipts = declared(&server.client());
    let mut promised = (0, 0);
    receipts.extend(under_load(&server, |given| {
        some(given);
        let before = server.client().get("/v1/head").expect("an answer").body["size"].as_u64();
        let keys = ["--keys-out", text(&keys)];
        let said =
            done(&[&["backup", "--data", text(&data), "--out", text(&copy)], &keys[..]].concat());
        let (_, rest) = said.split_once(": ").expect("what was copied");
        let size = rest.split_once(' ').and_then(|(n, _)| n.parse().ok()).expect("a size");
        promised = (before.expect("a size"), size);
        assert!(said.contains("ledger-key.pem, subject-secret; keep it apart"), "{said}");
        some(given);
    }));
    let (before, size) = promised;
    assert!(before <= size, "what was recorded before it began is in it: {before}, {size}");
    let last = receipts.last().expect("receipts came").clone();
    assert!(position(&last) >= size, "the ledger went on");
    done(&["export", "--data", text(&data), "--out", text(&exported)]);
    let marks = ["high-water", "high-water-exported"].map(|name| {
        fs::copy(data.join(name), at(name)).expect("the mark is there");
        at(name)
    });
    server.kill();
    fs::remove_dir_all(&data).expect("the directory is lost");
    let held: BTreeSet<_> = fs::read_dir(&copy)
        .expect("the copy")
        .map(|file| file.expect("a file").file_name().into_string().expect("UTF-8"))
        .collect();
    assert_eq!(held, ["high-water", "ledger.db", "trust.json"].map(str::to_owned).into());

    // What is known of the lost ledger: a receipt, its mark, that of its last export.
    let receipt = at("last.receipt.json");
    fs::write(&receipt, serde_json::to_vec(&last).expect("JSON")).expect("written");
    let hints = [
        vec!["--receipt", text(&receipt)],
        vec!["--high-water", text(&marks[0])],
        vec!["--high-water", text(&marks[1])],
        vec!["--receipt", text(&receipt), "--high-water", text(&marks[1])],
    ];
    for (n, hint) in hints.iter().enumerate() {
        let restored = at(&format!("restored-{n}"));
        let args =
            ["restore", "--from", text(&copy), "--keys", text(&keys), "--data", text(&restored)];
        let said = done(&[&args[..], hint].concat());
        let range = format!("positions {size} to {} are missing", position(&last));
        assert!(said.contains(&range), "{said}, expected {range}");
        let server = Server::start(&restored);
        is_behind(&server, size, position(&last));
        told_to_stop(server);
        let sound = done(&["fsck", "--data", text(&restored)]);
        assert!(sound.contains(&format!("{size} entries")), "{sound}");
    }

    // Nobody says what is missing, so the restored ledger goes on from where the copy ends.
    let restored = at("restored");
    fs::create_dir(&restored).expect("an empty directory, as a service manager makes it");
    done(&["restore", "--from", text(&copy), "--data", text(&restored)]);
    let listen = ["--data", text(&restored), "--listen", "127.0.0.1:0"];
    let without = Server::try_start_in(&[], &listen).err().expect("there is no key in it");
    assert!(without.contains("ledger-key.pem"), "{without}");
    let given = [("GREFFE_KEYS", text(&keys))];
    let server = Server::try_start_in(&given, &listen).expect("with its keys");
    assert_eq!(server.client().get("/readyz").expect("an answer").body["size"], size);
    let kept = receipts.iter().find(|r| position(r) == size - 1).expect("it has a receipt");
    let path = format!("/v1/entries/{}", position(kept));
    let entry = server.client_of("cnil").get(&path).expect("an answer").accepted().expect("there");
    assert!(entry.to_string().contains(kept["link"].as_str().expect("a link")), "{entry}");
    submit(&server.client(), &report("after")).expect("recorded");
    told_to_stop(server);
    verified(&restored, &["--keys", text(&keys)]);

    // A directory that holds something is evidence: nothing is put over it.
    let (code, said) = run(&["restore", "--from", text(&copy), "--data", text(&restored)]);
    assert_eq!(code, Some(2), "{said}");
    let (code, said) = run(&["backup", "--data", text(&restored), "--out", text(&copy)]);
    assert_eq!(code, Some(2), "{said}");
    // A receipt that is not this ledger's proves nothing about it.
    let mut forged = last;
    forged["link"] = "00".repeat(32).into();
    fs::write(&receipt, forged.to_string()).expect("written");
    let elsewhere = at("elsewhere");
    let args = ["restore", "--from", text(&copy), "--data", text(&elsewhere), "--receipt"];
    let (code, said) = run(&[&args[..], &[text(&receipt)]].concat());
    assert_eq!(code, Some(1), "{said}");
    assert!(!elsewhere.exists(), "nothing was restored");
    // A changed byte in a copy is found before anything is made of it.
    let file = copy.join("ledger.db");
    let mut bytes = fs::read(&file).expect("readable");
    let leaf = b"\"nonce\":\"";
    // Pages keep remains of rows beside the rows themselves: every place that looks like one.
    let found: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(leaf)).collect();
    assert!(!found.is_empty(), "leaves are stored as they are");
    found.iter().for_each(|at| bytes[at + 12] ^= 1);
    fs::write(&file, bytes).expect("written");
    let (code, said) = run(&["restore", "--from", text(&copy), "--data", text(&elsewhere)]);
    assert_eq!(code, Some(1), "{said}");
    assert!(!elsewhere.exists(), "nothing was restored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_taken_under_load_is_restored_and_names_what_it_lacks() {
    let base = tempfile::tempdir().expect("a directory");
    create_ledger(&base.path().join("registre"), &PARTIES).await;
    let work = move || on_the_embedded_store(base.path());
    tokio::task::spawn_blocking(work).await.expect("the drill succeeds");
}

/// Two backups are taken under load, a copy of the server's files with its log as it is
/// written, and a dump. Then the server's disk is lost.
fn in_a_database(base: &Path) {
    let data = base.join("registre");
    let dump = base.join("ledger.dump");
    let mut primary = Cluster::start(&[]);
    primary.psql("postgres", "CREATE ROLE server LOGIN");
    let owner = primary.database("ledger");
    let from = format!("sqlite:{}", text(&data));
    done(&["migrate", "--from", &from, "--to", &owner, "--service-role", "server"]);
    let archive = primary.archive();
    primary.wait_for("archive");
    let serve = |cluster: &Cluster, data: &Path| {
        let url = cluster.url("ledger", "server");
        Server::try_start_with(&["--data", text(data), "--store", &url]).expect("it starts")
    };
    let server = serve(&primary, &data);
    let mut copy = None;
    let mut receipts = declared(&server.client());
    receipts.extend(under_load(&server, |given| {
        some(given);
        copy = Some(primary.base_backup(&[]));
        some(given);
        primary.dump("ledger", &dump);
        some(given);
    }));
    primary.kill();
    server.kill();
    drop(primary);

    let mut restored = copy.expect("it was taken");
    restored.recover(&archive);
    // Its commits wait for a receiver, as those of the lost server did.
    let _archive = restored.archive();
    let owner = restored.url("ledger", "greffe");
    done(&["fsck", "--data", text(&data), "--store", &owner]);
    let server = serve(&restored, &data);
    until(&server.client(), |r| r["standing"] == "writes");
    all_there(&server, &receipts);
    let after = submit(&server.client(), &report("after")).expect("recorded");
    told_to_stop(server);
    verified(&data, &["--store", &owner]);

    // A dump ends where it was started. What somebody was told since, or given in the export
    // just made, either mark tells.
    let other = Cluster::start(&[]);
    other.psql("postgres", "CREATE ROLE server LOGIN");
    let owner = other.restore("ledger", &dump);
    done(&["fsck", "--data", text(&data), "--store", &owner]);
    let size = other.psql("ledger", "SELECT count(*) FROM entries").parse().expect("a number");
    let with = |name: &str, marks: &[&str]| {
        let directory = base.join(name);
        fs::create_dir(&directory).expect("a new directory");
        for file in KEYS.iter().chain(marks) {
            fs::copy(data.join(file), directory.join(file)).expect("it was kept");
        }
        directory
    };
    for mark in MARKS {
        let server = serve(&other, &with(mark, &[mark]));
        is_behind(&server, size, position(&after[0]));
        told_to_stop(server);
    }
    // Nobody says what is missing, so it goes on from where the dump ends.
    let bare = with("bare", &[]);
    let server = serve(&other, &bare);
    until(&server.client(), |r| r["standing"] == "writes");
    let known: Vec<Value> = receipts.into_iter().filter(|r| position(r) < size).collect();
    all_there(&server, &known);
    let next = submit(&server.client(), &report("after")).expect("the rights came along");
    assert_eq!(position(&next[0]), size);
    told_to_stop(server);
    verified(&bare, &["--store", &owner]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_database_comes_back_whole_from_its_archive_and_a_dump_names_what_it_lacks() {
    let base = tempfile::tempdir().expect("a directory");
    create_ledger(&base.path().join("registre"), &PARTIES).await;
    let work = move || in_a_database(base.path());
    tokio::task::spawn_blocking(work).await.expect("the drill succeeds");
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a new directory");
    for file in fs::read_dir(from).expect("a directory") {
        let file = file.expect("a file");
        fs::copy(file.path(), to.join(file.file_name())).expect("copied");
    }
}

/// The side is copied while nothing runs, lost later, and put back beside a stream that has
/// gone on; then the stream itself loses its end.
fn in_an_event_store(node: &Node, base: &Path) {
    let (data, copy) = (base.join("registre"), base.join("side"));
    let (url, side) = (node.url(""), data.join(SIDE));
    let to = format!("{url}&side=sqlite:{}", text(&side));
    done(&["migrate", "--from", &format!("sqlite:{}", text(&data)), "--to", &to]);
    let serve = |url: &str| Server::try_start_with(&["--data", text(&data), "--store", url]);
    let server = serve(&url).expect("it starts");
    let mut receipts = declared(&server.client());
    receipts.extend(under_load(&server, some));
    let kept = ready(&server.client()).body["size"].as_u64().expect("a size");
    told_to_stop(server);
    copy_files(&side, &copy);

    // A copy of the last moment is the side again.
    fs::remove_dir_all(&side).expect("the side is lost");
    copy_files(&copy, &side);
    let server = serve(&url).expect("it starts");
    all_there(&server, &receipts);
    receipts.extend(submit(&server.client(), &report("later")).expect("recorded"));
    server.kill();

    // One that is older is not, unless somebody says that what it never had may be lost.
    fs::remove_dir_all(&side).expect("the side is lost");
    copy_files(&copy, &side);
    let refused = serve(&url).err().expect("it does not start");
    assert!(refused.contains(&format!("from position {kept} ")), "{refused}");
    assert!(refused.contains("rebuild=yes"), "{refused}");
    let server = serve(&format!("{url}&rebuild=yes")).expect("it starts");
    until(&server.client(), |r| r["standing"] == "writes" && r["lag"] == 0);
    all_there(&server, &receipts);
    submit(&server.client(), &report("after")).expect("recorded");
    told_to_stop(server);
    let (code, said) = run(&["fsck", "--data", text(&data), "--store", &url]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("position {kept}, column encoded: a value")), "{said}");
    verified(&data, &["--store", &url]);

    // A stream put back from a copy that is older than what was acknowledged.
    node.tamper("greffe", |events| events.truncate(events.len() - 2));
    let server = serve(&url).expect("it starts");
    is_behind(&server, kept, kept + 1);
    told_to_stop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_side_put_back_is_whole_or_names_what_it_lacks_and_so_is_its_stream() {
    has_event_store();
    let node = Node::start().await;
    let base = tempfile::tempdir().expect("a directory");
    create_ledger(&base.path().join("registre"), &PARTIES).await;
    let work = move || in_an_event_store(&node, base.path());
    tokio::task::spawn_blocking(work).await.expect("the drill succeeds");
}
