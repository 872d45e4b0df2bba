//! Journeys of `tests/browser` in Chromium, and the identity provider that they sign in with.
//!
//! A journey is a program of Node.js that drives the browser and ends with 1 when a claim does
//! not hold; its own words are then the failure's. Screenshots are kept in `target/browser`.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::node;
use crate::server::program;
use crate::vectors::path;

/// One browser at a time, also where one process runs all tests.
static BROWSER: Mutex<()> = Mutex::new(());

/// Where screenshots are kept: beside the build, whatever its profile.
pub fn screenshots() -> PathBuf {
    let program = program("greffe");
    program.ancestors().nth(2).expect("target/<profile>/greffe").join("browser")
}

/// Walks a journey: the name of its file, and its arguments, of which the first is an address.
///
/// Panics with what the journey said if it did not hold.
pub fn walk(journey: &str, arguments: &[&str]) {
    let _one = BROWSER.lock().unwrap_or_else(PoisonError::into_inner);
    let browser = std::env::var_os("GREFFE_CHROMIUM")
        .map_or_else(|| PathBuf::from("/usr/bin/chromium"), PathBuf::from);
    assert!(
        browser.exists(),
        "{} is missing: install Chromium (Debian: `apt install chromium`), or name it in \
         GREFFE_CHROMIUM",
        browser.display()
    );
    let script = format!("browser/{journey}.mjs");
    let mut command = node::command(Path::new(&script), arguments);
    command.env("GREFFE_SCREENSHOTS", screenshots());
    if let Some(directory) = std::env::var_os("GREFFE_GUIDE_IMAGES") {
        // As it is written at the root of the repository, where it is documented.
        command.env("GREFFE_GUIDE_IMAGES", path("..").join(directory));
    }
    let output = command.output().unwrap_or_else(|e| panic!("run {script}: {e}"));
    assert!(
        output.status.success(),
        "{script} {}\n{}{}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}

/// A real identity provider, `oidc-provider`, with invented people; ends when dropped.
pub struct Provider {
    child: Child,
    issuer: String,
    /// Kept open: a provider that can no longer write would end.
    _said: BufReader<ChildStdout>,
}

impl Provider {
    /// Starts it on a free port, for the services at those addresses.
    pub fn start(services: &[&str]) -> Self {
        let mut child = node::command(Path::new("browser/provider.mjs"), services)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the provider starts");
        let mut said = BufReader::new(child.stdout.take().expect("piped"));
        let mut issuer = String::new();
        said.read_line(&mut issuer).expect("text on standard output");
        let issuer = issuer.trim().to_owned();
        assert!(issuer.starts_with("http://"), "the provider said {issuer:?}, not its address");
        Self { child, issuer, _said: said }
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Settings of a server reached at `service`, whose people sign in with a provider.
pub fn settings(service: &str, issuer: &str) -> String {
    format!(
        "public_url = \"{service}\"\n[oidc]\nissuer = \"{issuer}\"\n\
         client_id = \"greffe\"\nclient_secret = \"a secret of the tests\"\n"
    )
}

/// An address of this machine that nobody listens on.
///
/// A provider must know where people come back to before the service that needs the provider
/// starts: the service is then told to listen here.
pub fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound socket has an address").to_string()
}
