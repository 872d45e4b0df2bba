//! The programs on a terminal that goes away, in a pipe that is closed, and what their exit
//! codes tell whoever runs them from a script.

use std::fs;
use std::io::pipe;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use greffe_tests::http::Client;
use greffe_tests::server::{Server, create_ledger, greffe, program};
use greffe_tests::signing::{access, declaration};
use serde_json::{Value, json};

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// A stream that nobody reads any more.
fn closed() -> Stdio {
    let (reader, writer) = pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

fn run(name: &str, args: &[&str], stdout: Stdio, stderr: Stdio) -> Output {
    let mut command = Command::new(program(name));
    command.args(args).stdin(Stdio::null()).stdout(stdout).stderr(stderr);
    command.spawn().expect("the program starts").wait_with_output().expect("it ends")
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_output_changes_no_exit_code_and_is_no_error() {
    let directory = tempfile::tempdir().expect("a directory");
    create_ledger(directory.path(), &[("caisse", &["controller"])]).await;
    let data = text(directory.path());
    let nowhere = text(&directory.path().join("nowhere")).to_owned();
    for (name, args, code) in [
        ("greffe", &["nothing"][..], 2),
        ("greffe", &["fsck", "--data", &nowhere], 2),
        ("greffe", &["ask", "processing", "x", "--data", data], 2),
        ("greffe", &["serve", "--data", &nowhere], 2),
        ("greffe-verify", &[&nowhere, "--trust", &nowhere], 2),
    ] {
        let output = run(name, args, Stdio::piped(), closed());
        assert_eq!(output.status.code(), Some(code), "{name} {args:?}");
    }
    for args in [
        &["fsck", "--data", data][..],
        &["--help"],
        &["export", "--data", data, "--out", "-"],
        &["ask", "audit", "--data", data],
    ] {
        let output = run("greffe", args, closed(), Stdio::piped());
        assert_eq!((output.status.code(), &*said(&output.stderr)), (Some(0), ""), "{args:?}");
    }
    let output = run("greffe-verify", &["--help"], closed(), Stdio::piped());
    assert_eq!((output.status.code(), &*said(&output.stderr)), (Some(0), ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_standard_error_is_closed_serves_on() {
    let directory = tempfile::tempdir().expect("a directory");
    create_ledger(directory.path(), &[]).await;
    // A follower says so on standard error when it starts.
    let mut child = Command::new(program("greffe"))
        .args(["serve", "--follow", "--listen", "127.0.0.1:0", "--data", text(directory.path())])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(closed())
        .spawn()
        .expect("the program starts");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("piped");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).expect("text");
    let url = line.rsplit_once(" on ").map(|(_, url)| url.trim().to_owned());
    let answer = url.map(|url| Client::new(&url).get("/healthz"));
    let _ = child.kill();
    let _ = child.wait();
    assert!(answer.expect("it says where it listens").expect("it answers").is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_to_standard_output_or_to_a_pipe_is_the_file_it_would_be() {
    let directory = tempfile::tempdir().expect("a directory");
    create_ledger(directory.path(), &[("caisse", &["controller"])]).await;
    let data = text(directory.path());
    let file = directory.path().join("export.ndjson");
    let written = greffe(&["export", "--data", data, "--out", text(&file)]);
    assert_eq!(written.status.code(), Some(0), "{}", said(&written.stderr));
    let expected = fs::read(&file).expect("an export");

    let elsewhere = tempfile::tempdir().expect("a directory");
    let output = Command::new(program("greffe"))
        .args(["export", "--data", data, "--out", "-"])
        .current_dir(elsewhere.path())
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output.stderr));
    assert!(output.stdout == expected, "the same bytes, and nothing else");
    assert!(said(&output.stderr).contains("2 entries"), "{}", said(&output.stderr));
    assert_eq!(fs::read_dir(elsewhere.path()).expect("a directory").count(), 0, "no file `-`");

    let fifo = elsewhere.path().join("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs");
    assert!(made.success());
    let reader = {
        let fifo = fifo.clone();
        std::thread::spawn(move || fs::read(fifo).expect("what is written"))
    };
    let piped = greffe(&["export", "--data", data, "--out", text(&fifo)]);
    assert_eq!(piped.status.code(), Some(0), "{}", said(&piped.stderr));
    assert!(reader.join().expect("it read") == expected);
    assert!(!fs::metadata(&fifo).expect("still there").is_file(), "still a pipe");

    // What cannot be written leaves nothing behind, and what was there stays.
    for bad in ["", "/", text(elsewhere.path()), "/nowhere/at/all"] {
        let refused = greffe(&["export", "--data", data, "--out", bad]);
        assert_eq!(refused.status.code(), Some(2), "{bad}: {}", said(&refused.stderr));
        assert_eq!(said(&refused.stderr).trim_end().lines().count(), 2);
    }
    assert_eq!(fs::read_dir(elsewhere.path()).expect("a directory").count(), 1, "the pipe only");
}

fn done(args: &[&str]) -> String {
    let output = greffe(args);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", said(&output.stderr));
    said(&output.stdout)
}

#[test]
fn a_request_that_is_denied_is_recorded_and_the_program_says_no() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    let (data, key) = (at("registre"), at("caisse.pem"));
    done(&["init", "--data", text(&data), "--origin", "tests.greffe.example/denied"]);
    let made = done(&[
        "keygen",
        "--out",
        text(&key),
        "--origin",
        "tests.greffe.example/denied",
        "--party",
        "caisse",
    ]);
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let server = Server::start(&data);
    let filing = |name: &str, filing: Value| {
        fs::write(at(name), filing.to_string()).expect("written");
        text(&at(name)).to_owned()
    };
    let party = filing(
        "party.json",
        json!({"iss": "greffe", "kind": "party.register", "evidence": "act", "body": {
            "party": "caisse", "name": "Caisse", "roles": ["controller"],
            "key": made["jwk"], "proof": made["proof"],
        }}),
    );
    let registrar = data.join("registrar-key.pem");
    let said_of = done(&["file", &party, "--key", text(&registrar), "--url", server.url()]);
    assert!(said_of.contains("entry 1; receipt in"), "{said_of}");

    // Declared for benefits: whoever asks in order to discipline is not to be served.
    let request = |kind: &str, body: &Value| {
        filing(
            &format!("{kind}.json"),
            json!({"iss": "caisse", "kind": kind, "evidence": "act", "body": body}),
        )
    };
    let declared = request("processing.declare", &declaration("p", &["R-CPAM"]));
    done(&["file", &declared, "--key", text(&key), "--url", server.url()]);
    let mut body = access("p", "caisse", "R-CPAM", [7; 32]);
    body["purpose"] = "PUR-DISCIPLINE".into();
    let asked = request("access.request", &body);
    let args = ["file", &asked, "--key", text(&key), "--url", server.url()];
    let denied = greffe(&args);
    assert_eq!(denied.status.code(), Some(1), "{}", said(&denied.stderr));
    assert!(said(&denied.stdout).contains("entry 3, denied, NOT-COVERED"), "{denied:?}");
    let error = said(&denied.stderr);
    assert!(error.starts_with("access denied: entry 3\n") && error.lines().count() == 2, "{error}");
    let kept = fs::read(at("access.request.3.receipt.json")).expect("its receipt is kept");

    // No place for a receipt: nothing is filed.
    let nowhere = at("nowhere");
    let unkept = greffe(&[&args[..], &["--receipts", text(&nowhere)]].concat());
    assert_eq!(unkept.status.code(), Some(2), "{}", said(&unkept.stderr));
    assert!(said(&unkept.stderr).contains("nothing was filed"), "{}", said(&unkept.stderr));
    // A receipt of another ledger stays.
    fs::write(at("access.report.4.receipt.json"), "another's").expect("written");

    // A report of what happened is recorded whatever its verdict: nothing was asked for.
    let reported = request("access.report", &body);
    let told = done(&["file", &reported, "--key", text(&key), "--url", server.url()]);
    assert!(told.contains("entry 4, NOT-COVERED"), "{told}");
    let other = fs::read_to_string(at("access.report.4.receipt.json")).expect("still there");
    assert_eq!(other, "another's");
    assert!(serde_json::from_slice::<Value>(&kept).is_ok_and(|v| v.is_array()));
}

#[tokio::test(flavor = "multi_thread")]
async fn health_tells_a_server_that_lives_from_one_that_is_of_use_and_from_none() {
    let directory = tempfile::tempdir().expect("a directory");
    create_ledger(directory.path(), &[]).await;
    let server = Server::start(directory.path());
    let url = server.url().to_owned();
    let listen = url.trim_start_matches("http://").to_owned();
    for args in [
        &["health", "--url", &url][..],
        &["health", "--url", &url, "--ready"],
        &["health", "--listen", &listen],
        // What a container's command line says: every address.
        &["health", "--listen", &listen.replace("127.0.0.1", "0.0.0.0"), "--ready"],
    ] {
        let output = greffe(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", said(&output.stderr));
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert!(answer.is_object(), "{answer}");
    }
    let elsewhere = greffe(&["health", "--url", &format!("{url}/nothing")]);
    assert_eq!(elsewhere.status.code(), Some(1), "{}", said(&elsewhere.stderr));
    assert!(said(&elsewhere.stderr).contains("answers 404"));

    // Entries that it has a mark of are missing: it lives, and is of no use.
    drop(server);
    let mark = directory.path().join("high-water");
    let past = greffe_infra::high_water::HighWater::open(
        &mark,
        greffe_tests::server::ORIGIN,
        greffe_infra::high_water::Sync::Always,
    )
    .expect("a mark");
    let size = greffe_domain::seal::TreeSize(40);
    let link = greffe_domain::encoding::Hash32([7; 32]);
    past.raise(greffe_infra::store::Head { size, link }).expect("raised");
    let server = Server::start(directory.path());
    let url = server.url().to_owned();
    assert_eq!(greffe(&["health", "--url", &url]).status.code(), Some(0));
    let unready = greffe(&["health", "--url", &url, "--ready"]);
    assert_eq!(unready.status.code(), Some(1), "{}", said(&unready.stdout));
    assert!(said(&unready.stderr).contains("answers 503"), "{}", said(&unready.stderr));

    drop(server);
    let none = greffe(&["health", "--url", &url]);
    assert_eq!(none.status.code(), Some(2), "{}", said(&none.stderr));
}

/// A list between two days in the wrong order would look like "nobody saw anything".
#[tokio::test(flavor = "multi_thread")]
async fn bounds_in_the_wrong_order_are_refused_naming_both() {
    let directory = tempfile::tempdir().expect("a directory");
    create_ledger(directory.path(), &[("cnil", &["regulator"])]).await;
    let server = Server::start(directory.path());
    let authority = server.client_of("cnil");
    for (path, last) in [
        ("/v1/accesses?from=2020-01-02&to=2020-01-01", "/to"),
        ("/v1/accesses?from=2020-01-02&as_of=2020-01-01", "/as_of"),
        ("/v1/audit?from=2020-01-02&to=2020-01-01", "/to"),
        ("/v1/audit?from=2020-01-01T00:00:01Z&to=2020-01-01T00:00:00Z", "/to"),
    ] {
        let answer = authority.get(path).expect("an answer");
        assert_eq!((answer.status, answer.code()), (400, "parameter-invalid"), "{path}");
        let fields: Vec<&str> = answer.body["errors"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|e| e["pointer"].as_str())
            .collect();
        assert_eq!(fields, ["/from", last], "{path}: {}", answer.body);
    }
    for path in [
        "/v1/accesses?from=2020-01-01&to=2020-01-01",
        "/v1/audit?from=2020-01-01&to=2020-01-01",
        "/v1/audit?from=2020-01-01T00:00:01Z&to=2020-01-01",
    ] {
        let answer = authority.get(path).expect("an answer");
        assert!(answer.is_ok(), "{path}: {}", answer.body);
    }
    // A day before there was a law.
    let regime = |day: &str| {
        let answer = server.client().get(&format!("/v1/regimes?at={day}")).expect("an answer");
        assert!(answer.is_ok(), "{}", answer.body);
        answer.body
    };
    let before = regime("1970-01-01");
    assert_eq!((&before["regime"], &before["from"]), (&"LIL-1978".into(), &"1978-01-06".into()));
    assert!(before["note"].as_str().is_some_and(|note| note.contains("in force")), "{before}");
    assert!(regime("1978-01-06").get("note").is_none());
    assert!(regime("1978-01-05").get("note").is_some());
}

/// Numbers that no ledger has, wherever a number is read.
#[tokio::test(flavor = "multi_thread")]
async fn a_position_beyond_any_is_nothing_there_and_stops_nobody() {
    let directory = tempfile::tempdir().expect("a directory");
    create_ledger(directory.path(), &[("cnil", &["regulator"])]).await;
    let server = Server::start(directory.path());
    let authority = server.client_of("cnil");
    for number in [1_u64 << 53, (1 << 63) - 1, 1 << 63, u64::MAX] {
        for path in ["/v1/entries/", "/v1/accesses/"] {
            let answer = authority.get(&format!("{path}{number}")).expect("an answer");
            assert_eq!((answer.status, answer.code()), (404, "not-found"), "{path}{number}");
        }
        for path in [
            "/v1/entries?from=",
            "/v1/entries?limit=",
            "/v1/accesses?cursor=",
            "/v1/accesses?known_at=",
            "/v1/findings?cursor=",
            "/v1/audit?cursor=",
            "/v1/processings?cursor=",
            "/v1/processings?known_at=",
            "/v1/parties?cursor=",
        ] {
            let answer = authority.get(&format!("{path}{number}")).expect("an answer");
            assert!(answer.is_ok(), "{path}{number}: {} {}", answer.status, answer.body);
        }
    }
    // A name that is no text, and a filter where there is none.
    for path in ["/v1/processings/%ff", "/v1/parties/a%fe", "/v1/entries/%ff"] {
        let answer = authority.get(path).expect("an answer");
        assert_eq!((answer.status, answer.code()), (404, "not-found"), "{path}: {}", answer.body);
    }
    for path in ["/v1/head", "/v1/stats", "/v1/vocabulary", "/v1/entries/0"] {
        let answer = authority.get(&format!("{path}?as_of=2010-01-01")).expect("an answer");
        assert_eq!((answer.status, answer.code()), (400, "parameter-invalid"), "{path}");
        assert!(authority.get(&format!("{path}?lang=en")).expect("an answer").is_ok(), "{path}");
    }
    assert!(authority.get("/v1/head").expect("it serves on").is_ok());
}
