//! What drills have in common: a program run to its end, filings under load, and what must be
//! true of them afterwards.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use serde_json::Value;

use crate::http::{Answer, Client};
use crate::server::{Server, greffe, program, submit};
use crate::signing::{access, declaration, sign};

const CLIENTS: usize = 4;

pub fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Runs `greffe`; what it says, with its exit code.
pub fn run(args: &[&str]) -> (Option<i32>, String) {
    let output = greffe(args);
    let both = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&both).into_owned())
}

pub fn done(args: &[&str]) -> String {
    let (code, said) = run(args);
    assert_eq!(code, Some(0), "{args:?}: {said}");
    said
}

pub fn report(jti: &str) -> String {
    let subject = *blake3::hash(jti.as_bytes()).as_bytes();
    sign("caisse", "access.report", Some("2026"), access("p", "caisse", "R-CPAM", subject), jti)
}

pub fn declared(client: &Client) -> Vec<Value> {
    let body = declaration("p", &["R-CPAM"]);
    submit(client, &sign("caisse", "processing.declare", Some("2020"), body, "declare"))
        .expect("declared")
}

pub fn position(receipt: &Value) -> u64 {
    receipt["position"].as_u64().expect("a position")
}

/// Ends the load, whether the work succeeds or not.
struct Enough<'a>(&'a AtomicBool);

impl Drop for Enough<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Reports while `work` runs, which is told each time a receipt comes; all the receipts.
pub fn under_load(server: &Server, work: impl FnOnce(&mpsc::Receiver<()>)) -> Vec<Value> {
    let receipts = Mutex::new(Vec::new());
    let enough = AtomicBool::new(false);
    let (given, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (http, given, receipts) = (server.client(), given.clone(), &receipts);
            let enough = &enough;
            scope.spawn(move || {
                for n in 0.. {
                    if enough.load(Ordering::Relaxed) {
                        return;
                    }
                    let answer = submit(&http, &report(&format!("{client}/{n}")));
                    receipts.lock().expect("no panic").extend(answer.expect("recorded"));
                    let _ = given.send(());
                }
            });
        }
        // The last client to end, however it does, ends the waiting.
        drop(given);
        let _enough = Enough(&enough);
        work(&receiver);
    });
    let mut receipts = receipts.into_inner().expect("no client panics");
    receipts.sort_by_key(position);
    receipts
}

pub fn some(given: &mpsc::Receiver<()>) {
    for _ in 0..40 {
        given.recv().expect("receipts come");
    }
}

pub fn ready(client: &Client) -> Answer {
    client.get("/readyz").expect("an answer")
}

/// Waits until `/readyz` says so: what only another process brings about.
pub fn until(client: &Client, so: impl Fn(&Value) -> bool) {
    for _ in 0..600 {
        if so(&ready(client).body) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("it never comes: {}", ready(client).body);
}

/// Whether every receipt's entry is where it says, with the bytes it says, and no position
/// was given twice.
pub fn all_there(server: &Server, receipts: &[Value]) {
    let authority = server.client_of("cnil");
    for receipt in receipts {
        let path = format!("/v1/entries/{}", receipt["position"]);
        let entry = authority.get(&path).expect("an answer").accepted().expect("it is there");
        assert_eq!((&entry["link"], &entry["leaf"]), (&receipt["link"], &receipt["leaf"]));
    }
    let positions: BTreeSet<u64> = receipts.iter().map(position).collect();
    assert_eq!(positions.len(), receipts.len(), "no position was given twice");
}

/// Exports a ledger that nobody writes, and has a stranger's program check it. `more`: where
/// its store or its keys are, as arguments of `greffe export`.
pub fn verified(data: &Path, more: &[&str]) {
    let out = data.join("verified.ndjson");
    let _ = std::fs::remove_file(&out);
    done(&[&["export", "--data", text(data), "--out", text(&out)], more].concat());
    let output = Command::new(program("greffe-verify"))
        .args([&out, Path::new("--trust"), &data.join("trust.json")])
        .output()
        .expect("the verifier runs");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}
