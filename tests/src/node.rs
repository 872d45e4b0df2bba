//! Running the scripts of `tests/` with Node.js, which shares no code with ours.
//!
//! What is missing is a failure that says what to install, never a test passed over.

use std::path::Path;
use std::process::{Command, Output};

use crate::vectors::path;

/// Modules of `tests/package-lock.json`: without them `npm ci` was not run.
const MODULES: [&str; 2] =
    ["node_modules/@noble/hashes/package.json", "node_modules/playwright-core/package.json"];

/// Runs a script.
///
/// `script`: absolute, or under `tests/`. Panics if Node.js 20 or the modules are missing.
pub fn run(script: &Path, arguments: &[&str]) -> Output {
    command(script, arguments).output().unwrap_or_else(|e| panic!("run {}: {e}", script.display()))
}

/// The same, not started yet.
pub fn command(script: &Path, arguments: &[&str]) -> Command {
    assert!(
        MODULES.iter().all(|module| path(module).exists()),
        "the modules of tests/package-lock.json are missing: run `cd tests && npm ci`"
    );
    let version = Command::new("node").arg("--version").output();
    let version = version.unwrap_or_else(|e| panic!("node cannot run ({e}): {INSTALL}"));
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let major = version.trim().trim_start_matches('v').split('.').next().unwrap_or_default();
    assert!(major.parse().is_ok_and(|n: u32| n >= 20), "node {}: {INSTALL}", version.trim());
    let mut command = Command::new("node");
    command.arg(path("").join(script)).args(arguments);
    command
}

const INSTALL: &str = "install Node.js 20 or later (Debian: `apt install nodejs npm`)";
