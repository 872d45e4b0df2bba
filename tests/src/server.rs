//! The real binary, serving a real directory, for tests that kill it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::http::Client;
use greffe_domain::date::Timestamp;
use greffe_domain::encoding::base64url;
use greffe_domain::event::ClockKind;
use greffe_domain::key::{enrolment_text, simulated_party_key};
use greffe_infra::ledger::{Genesis, Ledger};
use greffe_infra::store::Location;
use serde_json::{Value, json};

use crate::signing;

/// Name of the ledgers made here.
pub const ORIGIN: &str = "tests.greffe.example/server";
/// Seconds since 1970 at which their clock stands.
pub const NOW_S: i64 = 1_800_000_000;

/// A program of the workspace, built beside this test.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let directory = test.parent().and_then(Path::parent).expect("target/<profile>/deps/<test>");
    let path = directory.join(name);
    assert!(
        path.is_file(),
        "{} is not built: run tests/run, or cargo build --release --workspace first",
        path.display()
    );
    path
}

/// Runs `greffe` to its end.
pub fn greffe(args: &[&str]) -> Output {
    Command::new(program("greffe"))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}

/// Panics, saying how to build it, where the program has no event store: one that was built
/// alone has only the features that it asks for itself.
pub fn has_event_store() {
    let output = greffe(&["fsck", "--store", "esdb://127.0.0.1:1"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !said.contains("this build has no store"),
        "{} is built without feature eventstore: cargo build --workspace --bins (with this \
         profile) builds it with it",
        program("greffe").display()
    );
}

/// Creates a simulated ledger in a directory and registers parties: (id, roles).
pub async fn create_ledger(directory: &Path, parties: &[(&str, &[&str])]) {
    create_ledger_at(directory, &Location::in_directory(directory), parties).await;
}

/// The same with the ledger's bytes somewhere else than in the directory.
pub async fn create_ledger_at(directory: &Path, location: &Location, parties: &[(&str, &[&str])]) {
    let genesis = Genesis {
        origin: ORIGIN.to_owned(),
        registrar: "greffe".to_owned(),
        registrar_key: Some(simulated_party_key("greffe")),
        clock: ClockKind::Simulated,
        opened_at: Some(Timestamp::from_unix_seconds(NOW_S)),
    };
    let ledger = Ledger::create_at(directory, location, genesis).await.expect("a new ledger");
    for (party, roles) in parties {
        let text = register_party(party, roles);
        ledger.submit(&text).await.expect("the registrar registers");
    }
    ledger.shutdown().await;
}

/// The signed registration of a party.
pub fn register_party(party: &str, roles: &[&str]) -> String {
    let key = simulated_party_key(party);
    let proof = key.sign(enrolment_text(ORIGIN, party, key.public().kid()).as_bytes());
    let body = json!({
        "party": party, "name": format!("Partie {party}"), "roles": roles,
        "key": key.public().to_jwk(), "proof": base64url(&proof),
    });
    signing::sign("greffe", "party.register", None, body, &format!("register {party}"))
}

/// A server process; killed when dropped.
pub struct Server {
    child: Child,
    url: String,
}

impl Server {
    /// Starts `greffe serve` on a free port and waits until it says where it listens.
    pub fn start(directory: &Path) -> Self {
        Self::try_start(directory).expect("the server starts")
    }

    /// The same; the process's standard error when it ends instead.
    pub fn try_start(directory: &Path) -> Result<Self, String> {
        Self::try_start_with(&["--data", directory.to_str().expect("UTF-8")])
    }

    /// The same with other arguments than a data directory's.
    pub fn try_start_with(args: &[&str]) -> Result<Self, String> {
        Self::try_start_on("127.0.0.1:0", args)
    }

    /// The same at an address.
    pub fn try_start_on(address: &str, args: &[&str]) -> Result<Self, String> {
        Self::try_start_in(&[], &[&["--listen", address], args].concat())
    }

    /// Starts `greffe serve` with these arguments, and no other, in this environment, which
    /// holds no setting but these.
    pub fn try_start_in(environment: &[(&str, &str)], args: &[&str]) -> Result<Self, String> {
        let ours =
            std::env::vars_os().filter(|(name, _)| !name.to_string_lossy().starts_with("GREFFE_"));
        let mut child = Command::new(program("greffe"))
            .arg("serve")
            .args(args)
            .env_clear()
            .envs(ours)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stdout = child.stdout.take().expect("piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("text on standard output");
        match line.rsplit_once(" on ") {
            Some((_, url)) => Ok(Self { child, url: url.trim().to_owned() }),
            None => {
                let output = child.wait_with_output().expect("it ended");
                Err(String::from_utf8_lossy(&output.stderr).into_owned())
            }
        }
    }

    /// Starts `greffe demo`, with the documented cases and people to choose from, in a new
    /// directory.
    pub fn demo(directory: &Path) -> Self {
        Self::demo_and_token(directory).0
    }

    /// The same, and a token of the authority's.
    pub fn demo_and_token(directory: &Path) -> (Self, String) {
        let mut child = Command::new(program("greffe"))
            .args(["demo", "--listen", "127.0.0.1:0"])
            .args(["--data", directory.join("demo").to_str().expect("UTF-8")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut said = BufReader::new(child.stdout.take().expect("piped")).lines();
        let (mut url, mut token) = (None, None);
        // The address comes first, then lines to copy that hold a token.
        for line in said.by_ref() {
            let line = line.expect("text on standard output");
            let word = line.split_whitespace().find(|word| word.starts_with("http://"));
            url = url.or(word.map(|word| word.trim_end_matches('/').to_owned()));
            token =
                line.split("Bearer ").nth(1).and_then(|t| t.split('\'').next().map(str::to_owned));
            if token.is_some() {
                break;
            }
        }
        std::thread::spawn(move || said.for_each(drop));
        let url = url.expect("the demonstration says where to open it");
        (Self { child, url }, token.expect("the demonstration shows a token"))
    }

    pub fn client(&self) -> Client {
        Client::new(&self.url)
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The server's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks as a party with a simulated key.
    pub fn client_of(&self, party: &str) -> Client {
        self.client().signed_in(party, &simulated_party_key(party)).expect("a token")
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    pub fn kill(mut self) {
        self.child.kill().expect("a running process");
        self.child.wait().expect("it ended");
    }

    pub fn signal_terminate(&self) {
        self.signal("-TERM");
    }

    /// `-STOP`, `-CONT`, …
    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status()
            .expect("kill runs");
        assert!(status.success());
    }

    /// Waits for the end; the exit code.
    pub fn wait(mut self) -> Option<i32> {
        self.child.wait().expect("it ended").code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends one filing; the receipts, or what was refused.
pub fn submit(client: &Client, text: &str) -> Result<Vec<Value>, Value> {
    let answer = client.post("/v1/filings", "application/sd-jwt", text).map_err(|e| json!(e))?;
    if answer.is_ok() {
        Ok(answer.body["receipts"].as_array().cloned().unwrap_or_default())
    } else {
        Err(answer.body)
    }
}
