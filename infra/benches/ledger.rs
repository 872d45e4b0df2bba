//! How fast the whole way in is: `cargo bench -p greffe-infra --bench ledger -- [N] [directory]`.
//!
//! Baselines first, on this machine and in this run: Ed25519 strict verification on one
//! core, and SQLite committing rows of the same size in groups. Then N access reports, each
//! signed by itself, then N in filings of 100, through everything: read, verified, decided,
//! sealed, signed, appended durably, answered. Filings are signed beforehand. The rate of
//! each tenth shows whether cost grows with the ledger. The figures are CPU-bound: run it on
//! a quiet machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use greffe_domain::key::simulated_party_key;
use greffe_infra::ledger::Ledger;
use greffe_infra::store::contract::Sample;
use greffe_infra::store::{SqliteStore, Store};
use greffe_infra::testing;
use serde_json::{Value, json};

/// Filings that wait for an answer at any time, when each is signed by itself.
const IN_FLIGHT: usize = 2_048;
/// Facts of one filing in the second run.
const PER_FILING: usize = 100;
/// Filings signed before they are submitted: memory stays bounded, signing is not measured.
const SIGNED_AHEAD: usize = 20_000;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let entries: u64 = arguments.next().map_or(100_000, |a| a.parse().expect("entries"));
    let parent = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{entries} entries, {cores} cores, in {}", parent.display());

    let verify = verify_rate();
    println!("{:<44} {verify:>9.0}/s", "Ed25519 verify_strict, one core");
    let raw: Vec<(usize, f64)> = [256, 1_024].map(|batch| (batch, raw_rate(&parent, batch))).into();
    for (batch, rate) in &raw {
        println!("{:<44} {rate:>9.0}/s", format!("SQLite group commit, {batch} rows"));
    }
    let best = raw.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);

    for (name, per_filing) in [("signed one by one", 1), ("in filings of 100", PER_FILING)] {
        let directory = tempfile::tempdir_in(&parent).expect("a directory");
        let run = run(directory.path(), entries, per_filing);
        let rate = entries as f64 / run.spent.as_secs_f64();
        println!("\n{:<44} {rate:>9.0} entries/s", format!("Access reports, {name}"));
        println!("{:<44} {:>9.2}", "  of Ed25519 verification on all cores", {
            let filings = rate / per_filing as f64;
            filings / (verify * cores as f64)
        });
        println!("{:<44} {:>9.2}", "  of SQLite group commit alone", rate / best);
        println!("{:<44} {:>9.1}", "  processor time an entry, µs", {
            run.processor.as_secs_f64() * 1e6 / entries as f64
        });
        println!("{:<44} {:>9}", "  bytes of one leaf", run.leaf_bytes);
        println!(
            "{:<44} {:>9}",
            "  bytes on disk an entry, log included",
            run.disk_bytes / entries
        );
        let tenths: Vec<String> = run.tenths.iter().map(|r| format!("{r:.0}")).collect();
        println!("{:<44} {}", "  entries/s in each tenth", tenths.join(" "));
        println!("{:<44} {:>7.0?}", "  start-up", run.start_up);
    }
}

fn verify_rate() -> f64 {
    let key = simulated_party_key("cnamts");
    let message = vec![b'a'; 900];
    let signature = key.sign(&message);
    let start = Instant::now();
    let mut count = 0_u32;
    while start.elapsed() < Duration::from_secs(1) {
        for _ in 0..100 {
            assert!(key.public().verify(std::hint::black_box(&message), &signature));
        }
        count += 100;
    }
    f64::from(count) / start.elapsed().as_secs_f64()
}

/// Rows of the store contract's shape, one filing each: neither signed nor decided.
fn raw_rate(parent: &Path, per_batch: usize) -> f64 {
    let directory = tempfile::tempdir_in(parent).expect("a directory");
    let store =
        SqliteStore::create(directory.path(), greffe_infra::store::contract::ORIGIN).expect("one");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut sample = Sample::default();
    let mut spent = Duration::ZERO;
    let mut written = 0;
    while written < 40_000 {
        let batch = sample.batch(per_batch, 1);
        sample.entries = batch.entries.last().cloned().into_iter().collect();
        written += batch.entries.len();
        let start = Instant::now();
        runtime.block_on(store.append(batch)).expect("an append");
        spent += start.elapsed();
    }
    written as f64 / spent.as_secs_f64()
}

/// Processor time of this process so far, all threads; zero where it cannot be read.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name, which may hold spaces: fields 14 and 15, in hundredths of a second.
    let ticks = stat.rsplit_once(')').map_or(0, |(_, fields)| {
        fields.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<u64>().ok()).sum()
    });
    Duration::from_millis(ticks * 10)
}

struct Run {
    spent: Duration,
    processor: Duration,
    leaf_bytes: usize,
    disk_bytes: u64,
    /// Entries a second.
    tenths: Vec<f64>,
    start_up: Duration,
}

fn run(directory: &Path, entries: u64, per_filing: usize) -> Run {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let store = Arc::new(SqliteStore::create(directory, testing::ORIGIN).expect("a store"));
    let (mut spent, mut processor) = (Duration::ZERO, Duration::ZERO);
    let (mut tenths, mut done) = (Vec::new(), 0);
    let leaf_bytes = runtime.block_on(async {
        let ledger = testing::open(store).await.expect("a ledger");
        testing::settle(&ledger).await;
        // What makes an access covered, as most are.
        for filing in [
            json!({"iss": "cnamts", "kind": "formality.file", "at": "2015-01-02", "body": {
                "formality": "suivi/dn", "processing": "suivi", "kind": "F04-23-DN",
                "number": "1", "purposes": ["PUR-CASE-MGMT"]}}),
            json!({"iss": "cnamts", "kind": "information.record", "at": "2015-01-03", "body": {
                "processing": "suivi", "step": "I-NOTICE-INDIVIDUAL", "audience": "Assurés"}}),
            json!({"iss": "cnamts", "kind": "information.record", "at": "2015-01-04", "body": {
                "processing": "suivi", "step": "I-CE-CONSULTED", "audience": "CSE"}}),
        ] {
            ledger.submit(&testing::sign(filing)).await.expect("recorded");
        }
        for tenth in 1..=10 {
            let (mut tenth_spent, from) = (Duration::ZERO, done);
            while done < entries * tenth / 10 {
                let left = entries * tenth / 10 - done;
                let filings = left.div_ceil(per_filing as u64).min(SIGNED_AHEAD as u64);
                let signed = signed(done, filings, per_filing);
                let (start, before) = (Instant::now(), processor_time());
                submit(&ledger, signed, IN_FLIGHT / per_filing.min(32)).await;
                tenth_spent += start.elapsed();
                processor += processor_time() - before;
                done += filings * per_filing as u64;
            }
            tenths.push((done - from) as f64 / tenth_spent.as_secs_f64());
            spent += tenth_spent;
        }
        let head = ledger.size().0;
        let last = ledger.receipt(greffe_domain::seal::Position(head - 1)).await;
        ledger.shutdown().await;
        last.expect("readable").expect("an entry").leaf.get().len()
    });
    drop(runtime);
    let disk_bytes = std::fs::read_dir(directory)
        .expect("a directory")
        .map(|file| file.expect("a file").metadata().expect("its size").len())
        .sum();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let start = Instant::now();
    runtime.block_on(async {
        let store = Arc::new(SqliteStore::open(directory).expect("a store"));
        let ledger = testing::open(store).await.expect("a ledger");
        assert!(ledger.size().0 > entries);
    });
    Run { spent, processor, leaf_bytes, disk_bytes, tenths, start_up: start.elapsed() }
}

/// Filings from the `first` subject on, signed on all cores.
fn signed(first: u64, filings: u64, per_filing: usize) -> Vec<String> {
    use rayon::prelude::*;
    (0..filings)
        .into_par_iter()
        .map(|n| {
            let subject = first + n * per_filing as u64;
            let body = |i| testing::access_body("suivi", subject + i);
            let body = match per_filing {
                1 => body(0),
                many => (0..many as u64).map(body).collect::<Value>(),
            };
            let jti = format!("mesure-{subject}");
            testing::sign(json!({
                "iss": "cnamts", "kind": "access.report", "at": "2016-03-04", "jti": jti, "body": body,
            }))
        })
        .collect()
}

/// Keeps `in_flight` filings waiting until all are answered.
async fn submit(ledger: &Ledger, filings: Vec<String>, in_flight: usize) {
    let permits = Arc::new(tokio::sync::Semaphore::new(in_flight));
    let mut tasks = tokio::task::JoinSet::new();
    for filing in filings {
        let permit = Arc::clone(&permits).acquire_owned().await.expect("never closed");
        let ledger = ledger.clone();
        tasks.spawn(async move {
            let receipts = ledger.submit(&filing).await.expect("recorded");
            drop(permit);
            receipts.len()
        });
    }
    while let Some(task) = tasks.join_next().await {
        assert!(task.expect("no panic") > 0);
    }
}
