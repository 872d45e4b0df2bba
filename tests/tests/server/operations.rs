//! What an operator does, by the real program: sets the environment, watches, hands over keys.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use greffe_tests::drill::{declared, done, text};
use greffe_tests::server::{Server, create_ledger, greffe, program, submit};
use serde_json::Value;

/// What a server says of itself.
fn standing(server: &Server) -> Value {
    server.client().get("/readyz").expect("an answer").body["standing"].clone()
}

fn refused_to_start(environment: &[(&str, &str)], says: &str) {
    let error = Server::try_start_in(environment, &[]).err().expect("it does not start");
    assert!(error.contains(says), "{error}");
    assert_eq!(error.trim_end().lines().count(), 2, "{error}");
}

/// Sets each variable, and sees its effect; the names of those set.
fn environment_of_serve(base: &Path) -> BTreeSet<&'static str> {
    let (data, other, empty) = (base.join("registre"), base.join("other"), base.join("empty"));
    let mut seen = BTreeSet::new();
    let origin = |server: &Server| {
        let head = server.client().get("/v1/head").expect("an answer");
        head.body["origin"].as_str().map(str::to_owned)
    };
    let elsewhere = ("GREFFE_LISTEN", "127.0.0.3:0");

    seen.extend(["GREFFE_DATA", "GREFFE_LISTEN"]);
    let server = Server::try_start_in(&[("GREFFE_DATA", text(&data)), elsewhere], &[]);
    let server = server.expect("it starts");
    assert!(server.url().starts_with("http://127.0.0.3:"), "{}", server.url());
    assert_eq!(standing(&server), "writes");
    drop(server);
    // A flag wins.
    let flags = ["--listen", "127.0.0.4:0"];
    let server = Server::try_start_in(&[("GREFFE_DATA", text(&data)), elsewhere], &flags);
    assert!(server.expect("it starts").url().starts_with("http://127.0.0.4:"));
    refused_to_start(&[("GREFFE_DATA", text(&data)), ("GREFFE_LISTEN", "here")], "here");

    seen.insert("GREFFE_STORE");
    let store = format!("sqlite:{}", text(&other));
    let server = Server::try_start_in(&[("GREFFE_STORE", &store), elsewhere], &[]);
    assert_eq!(origin(&server.expect("it starts")).as_deref(), Some("other.example/ledger"));
    refused_to_start(&[("GREFFE_STORE", "nonsense://x")], "nonsense");

    seen.insert("GREFFE_FOLLOW");
    for (value, expected) in [("1", "follows"), ("true", "follows"), ("0", "writes")] {
        let environment = [("GREFFE_DATA", text(&data)), ("GREFFE_FOLLOW", value), elsewhere];
        let server = Server::try_start_in(&environment, &[]).expect("it starts");
        assert_eq!(standing(&server), expected, "{value}");
    }

    seen.insert("GREFFE_SUBJECT_DESK_KEY");
    let desk = ("GREFFE_SUBJECT_DESK_KEY", "nowhere/desk.pem");
    refused_to_start(&[("GREFFE_DATA", text(&data)), desk], "nowhere/desk.pem");

    seen.insert("GREFFE_CONFIG");
    let settings = base.join("greffe.toml");
    let lines = format!("data = {:?}\nlisten = \"127.0.0.5:0\"\n", text(&data));
    fs::write(&settings, lines).expect("written");
    let config = ("GREFFE_CONFIG", text(&settings));
    let server = Server::try_start_in(&[config], &[]).expect("it starts");
    assert!(server.url().starts_with("http://127.0.0.5:"), "{}", server.url());
    drop(server);
    let server = Server::try_start_in(&[config, elsewhere], &[]).expect("it starts");
    assert!(server.url().starts_with("http://127.0.0.3:"), "the environment wins over the file");
    drop(server);

    seen.insert("GREFFE_KEYS");
    let keys = base.join("keys");
    fs::create_dir(&keys).expect("a directory");
    for name in ["ledger-key.pem", "subject-secret"] {
        fs::rename(other.join(name), keys.join(name)).expect("moved");
    }
    let of_other = ("GREFFE_DATA", text(&other));
    refused_to_start(&[of_other, elsewhere], "ledger-key.pem");
    let kept_apart = [of_other, ("GREFFE_KEYS", text(&keys)), elsewhere];
    let server = Server::try_start_in(&kept_apart, &[]).expect("it starts");
    assert_eq!(standing(&server), "writes");
    assert!(origin(&server).is_some(), "it signs");
    drop(server);

    seen.extend(["GREFFE_LEDGER_KEY", "GREFFE_SUBJECT_SECRET"]);
    let pem = fs::read_to_string(keys.join("ledger-key.pem")).expect("readable");
    let secret = fs::read(keys.join("subject-secret")).expect("readable");
    let secret = greffe_domain::encoding::base64url(&secret);
    let handed = |pem, secret| {
        [of_other, ("GREFFE_LEDGER_KEY", pem), ("GREFFE_SUBJECT_SECRET", secret), elsewhere]
    };
    let server = Server::try_start_in(&handed(&pem, &secret), &[]).expect("it starts");
    assert_eq!(standing(&server), "writes");
    assert!(origin(&server).is_some(), "it signs");
    drop(server);
    refused_to_start(&handed("no key", &secret), "GREFFE_LEDGER_KEY");
    refused_to_start(&handed(&pem, "short"), "GREFFE_SUBJECT_SECRET");
    let another = fs::read_to_string(data.join("ledger-key.pem")).expect("readable");
    refused_to_start(&handed(&another, &secret), "was given");

    fs::create_dir(&empty).expect("a directory");
    refused_to_start(&[("GREFFE_DATA", text(&empty))], "greffe init");
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn every_variable_that_serve_names_has_its_effect() {
    let base = tempfile::tempdir().expect("a directory");
    create_ledger(&base.path().join("registre"), &[]).await;
    let other = base.path().join("other");
    done(&["init", "--data", text(&other), "--origin", "other.example/ledger"]);
    let work = move || environment_of_serve(base.path());
    let tried = tokio::task::spawn_blocking(work).await.expect("each has its effect");
    let help = done(&["serve", "--help"]);
    let named: BTreeSet<&str> = names(&help, "GREFFE_");
    assert_eq!(tried, named, "those that `greffe serve --help` names");
}

/// Words that begin so.
fn names<'a>(text: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with(prefix) && word.len() > prefix.len())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_served_is_explained_and_every_alert_is_on_one_that_is_served() {
    let directory = tempfile::tempdir().expect("a directory");
    create_ledger(directory.path(), &[]).await;
    let path = directory.path().to_owned();
    let served = tokio::task::spawn_blocking(move || {
        let client = Server::start(&path);
        let http = client.client();
        // A problem, so that its counter has a row.
        submit(&http, "no filing").expect_err("refused");
        let answer = http.get("/metrics").expect("an answer");
        answer.body.as_str().expect("text").to_owned()
    });
    let served = served.await.expect("served");
    let families: BTreeSet<&str> = served
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ').map(|(name, _)| name))
        .collect();
    for family in &families {
        let has_row = served
            .lines()
            .any(|l| l.strip_prefix(family).is_some_and(|r| r.starts_with([' ', '{'])));
        assert!(has_row, "{family} has a value");
    }
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let read = |name: &str| fs::read_to_string(docs.join(name)).expect("a page");
    let alerts = read("alerts.yml");
    let watched: BTreeSet<&str> = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr: "))
        .flat_map(|expression| names(expression, "greffe_"))
        .collect();
    assert!(!watched.is_empty());
    assert_eq!(watched.difference(&families).collect::<Vec<_>>(), [&""; 0], "alerts on nothing");
    let page = read("operations.md");
    assert_eq!(names(&page, "greffe_"), families, "docs/operations.md explains what is served");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bar_is_drawn_for_whoever_watches_and_for_nobody_else() {
    let directory = tempfile::tempdir().expect("a directory");
    create_ledger(directory.path(), &[("caisse", &["controller"])]).await;
    let program = program("greffe");
    let command = format!("{} fsck --data {}", text(&program), text(directory.path()));
    // `script` runs it on a terminal of its own.
    let watched = Command::new("script")
        .args(["-q", "-e", "-c", &command, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .output();
    match watched {
        Ok(output) => {
            let seen = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(output.status.code(), Some(0), "{seen}");
            assert!(seen.contains("checking"), "a bar: {seen:?}");
        }
        Err(error) => println!("not tested on a terminal: there is no `script` ({error})"),
    }
    let piped = greffe(&["fsck", "--data", text(directory.path())]);
    assert_eq!(String::from_utf8_lossy(&piped.stderr), "", "nothing but the answer");
    let answer = String::from_utf8_lossy(&piped.stdout).into_owned();
    assert!(answer.starts_with("sound: ") && !answer.contains('\u{1b}'), "{answer:?}");
}

/// The key is handed over, changed, and handed over again.
fn handed_over(base: &Path) {
    let (data, next, receipt) = (base.join("registre"), base.join("next.pem"), base.join("r.json"));
    let pem = fs::read_to_string(data.join("ledger-key.pem")).expect("readable");
    fs::remove_file(data.join("ledger-key.pem")).expect("it is kept elsewhere");
    let with_key = |pem: &str, args: &[&str]| {
        let mut command = Command::new(program("greffe"));
        let output = command.args(args).env("GREFFE_LEDGER_KEY", pem).output();
        let output = output.expect("the program starts");
        let both = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&both).into_owned())
    };
    let rotate = ["rotate-key", "--data", text(&data), "--receipt", text(&receipt)];
    let (code, said) = with_key(&pem, &rotate);
    assert_eq!(code, Some(2), "it has nowhere to put a new key: {said}");
    assert!(said.contains("--new-key"), "{said}");
    done(&["keygen", "--out", text(&next)]);
    let (code, said) = with_key(&pem, &[&rotate[..], &["--new-key", text(&next)]].concat());
    assert_eq!(code, Some(0), "{said}");
    let new = fs::read_to_string(&next).expect("readable");
    let listen = ["--data", text(&data), "--listen", "127.0.0.1:0"];
    let with_old = Server::try_start_in(&[("GREFFE_LEDGER_KEY", &pem)], &listen);
    assert!(with_old.err().expect("the former key").contains("was given"));
    let server = Server::try_start_in(&[("GREFFE_LEDGER_KEY", &new)], &listen);
    let server = server.expect("the new key");
    declared(&server.client());
    drop(server);
    let copy = base.join("copy");
    let (code, said) = with_key(&new, &["backup", "--data", text(&data), "--out", text(&copy)]);
    assert_eq!(code, Some(0), "{said}");
    assert!(!copy.join("ledger-key.pem").exists(), "what was handed over is written nowhere");
    done(&["fsck", "--data", text(&copy)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_handed_over_is_written_nowhere_and_can_be_changed() {
    let base = tempfile::tempdir().expect("a directory");
    create_ledger(&base.path().join("registre"), &[("caisse", &["controller"])]).await;
    let work = move || handed_over(base.path());
    tokio::task::spawn_blocking(work).await.expect("handed over");
}
