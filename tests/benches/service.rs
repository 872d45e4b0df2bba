//! The figures of `docs/performance.md`, in one run:
//!
//! `cargo bench -p greffe-tests --bench service -- [ENTRIES]` (default 100,000)
//!
//! Entries in process, signed one by one and in filings of 100; entries over HTTP on
//! loopback; then a ledger of ENTRIES: the rate of each tenth, bytes, start-up, the query by
//! subject, export and verification. Beside them what bounds them on the same machine:
//! Ed25519 strict verification, and SQLite committing rows in groups. Prints ratios.

use std::io::{BufReader, BufWriter};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use greffe_domain::key::simulated_party_key;
use greffe_infra::export::{Scope, export};
use greffe_infra::ledger::Ledger;
use greffe_infra::projection::{AccessFilter, Projections};
use greffe_infra::store::{SqliteStore, Store, contract};
use greffe_tests::http::Client;
use greffe_tests::server::{Server, create_ledger, submit};
use greffe_tests::signing::{access, declaration, sign};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const CLIENTS: usize = 8;
const BATCH: usize = 100;
/// Passes of a measurement in process; their median is given.
const PASSES: usize = 3;
/// Filings that wait for their answer at any time, in process.
const IN_FLIGHT: usize = 2_048;
/// Subjects among whom the accesses are spread.
const SUBJECTS: u64 = 20_000;

fn subject(n: u64) -> [u8; 32] {
    *blake3::hash(&(n % SUBJECTS).to_le_bytes()).as_bytes()
}

fn single(run: &str, n: u64) -> String {
    sign(
        "caisse",
        "access.report",
        Some("2026"),
        access("p", "caisse", "R-CPAM", subject(n)),
        &format!("{run}/{n}"),
    )
}

fn batch(run: &str, n: u64) -> String {
    let bodies: Vec<Value> = (0..BATCH as u64)
        .map(|i| access("p", "caisse", "R-CPAM", subject(n * BATCH as u64 + i)))
        .collect();
    sign("caisse", "access.report", Some("2026"), Value::Array(bodies), &format!("{run}/{n}"))
}

/// Calls per second of `work` on one core.
fn rate(mut work: impl FnMut()) -> f64 {
    let started = Instant::now();
    let mut calls = 0u32;
    while started.elapsed() < Duration::from_secs(2) {
        (0..100).for_each(|_| work());
        calls += 100;
    }
    f64::from(calls) / started.elapsed().as_secs_f64()
}

fn percentile(sorted: &[Duration], per_mille: usize) -> Duration {
    sorted[(sorted.len() - 1) * per_mille / 1000]
}

/// Sends prepared filings from several connections; filings per second and latencies.
fn over_http(url: &str, filings: &[String]) -> (f64, Vec<Duration>) {
    let next = AtomicUsize::new(0);
    let started = Instant::now();
    let mut latencies: Vec<Duration> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    let http = Client::new(url);
                    let mut latencies = Vec::new();
                    while let Some(text) = filings.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let sent = Instant::now();
                        submit(&http, text).expect("recorded");
                        latencies.push(sent.elapsed());
                    }
                    latencies
                })
            })
            .collect();
        clients.into_iter().flat_map(|c| c.join().expect("a client ends")).collect()
    });
    let rate = filings.len() as f64 / started.elapsed().as_secs_f64();
    latencies.sort_unstable();
    (rate, latencies)
}

fn bytes_in(directory: &Path) -> u64 {
    let files = std::fs::read_dir(directory).expect("a directory");
    files.filter_map(|f| f.ok()?.metadata().ok()).map(|m| m.len()).sum()
}

fn line(what: &str, figure: String, ratio: Option<(f64, &str)>) {
    match ratio {
        Some((ratio, of)) => println!("{what:<46} {figure:>18}   {ratio:>6.2} x {of}"),
        None => println!("{what:<46} {figure:>18}"),
    }
}

fn main() {
    let entries: u64 = std::env::args().skip(1).find_map(|a| a.parse().ok()).unwrap_or(100_000);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    runtime.block_on(create_ledger(path, &[("caisse", &["controller"]), ("cnil", &["regulator"])]));

    let key = simulated_party_key("caisse");
    let message = [7u8; 500];
    let signature = key.sign(&message);
    let verifications = rate(|| assert!(key.public().verify(&message, &signature)));
    line("Ed25519 strict verifications, one core", format!("{verifications:.0}/s"), None);
    let baseline = (verifications, "one core's verifications");
    let against = |rate: f64| Some((rate / baseline.0, baseline.1));

    let rows = [256, 1_024].map(raw_rows);
    for (batch, rate) in [256, 1_024].into_iter().zip(rows) {
        line(&format!("SQLite group commit, {batch} rows"), format!("{rate:.0} rows/s"), None);
    }
    let best = rows.into_iter().fold(0.0, f64::max);

    {
        let server = Server::start(path);
        let declare = sign(
            "caisse",
            "processing.declare",
            Some("2020"),
            declaration("p", &["R-CPAM"]),
            "declare",
        );
        submit(&server.client(), &declare).expect("declared");
        let singles: Vec<String> = (0..10_000).map(|n| single("http", n)).collect();
        let (rate, latencies) = over_http(server.url(), &singles);
        line(
            "HTTP, one filing a request, 8 connections",
            format!("{rate:.0} entries/s"),
            against(rate),
        );
        line(
            "  receipt p50 / p99",
            format!(
                "{:.1} / {:.1} ms",
                ms(percentile(&latencies, 500)),
                ms(percentile(&latencies, 990))
            ),
            None,
        );
        let batches: Vec<String> = (0..300).map(|n| batch("http-batch", n)).collect();
        let (rate, latencies) = over_http(server.url(), &batches);
        let rate = rate * BATCH as f64;
        line("HTTP, batches of 100, 8 connections", format!("{rate:.0} entries/s"), against(rate));
        line(
            "  receipts p50 / p99",
            format!(
                "{:.1} / {:.1} ms",
                ms(percentile(&latencies, 500)),
                ms(percentile(&latencies, 990))
            ),
            None,
        );
    }

    runtime.block_on(async {
        let ledger = Ledger::open(path).await.expect("opens");
        for (what, per_filing, passed) in
            [("one filing each", 1, 20_000), ("filings of 100", BATCH as u64, 60_000)]
        {
            let mut rates = Vec::new();
            for pass in 0..PASSES {
                let run = format!("in-process/{per_filing}/{pass}");
                rates.push(in_process(&ledger, &run, 0, passed, per_filing).await);
            }
            rates.sort_by(f64::total_cmp);
            let rate = rates[PASSES / 2];
            let what = format!("in process, {what}, median of {PASSES}");
            line(&what, format!("{rate:.0} entries/s"), against(rate));
            let all: Vec<String> = rates.iter().map(|r| format!("{r:.0}")).collect();
            line("  every pass", all.join(" "), Some((rate / best, "SQLite's best")));
        }
        let tenths = grow(&ledger, entries).await;
        let tenths: Vec<String> = tenths.iter().map(|r| format!("{r:.0}")).collect();
        line("growing, filings of 100, entries/s by tenth", tenths.join(" "), None);
        let size = ledger.size().0;
        ledger.shutdown().await;
        drop(ledger);
        line("entries in the ledger", size.to_string(), None);
        line("bytes per entry on disk", format!("{}", bytes_in(path) / size), None);

        let started = Instant::now();
        let ledger = Ledger::open(path).await.expect("opens");
        line("start-up", format!("{:.0} ms", ms(started.elapsed())), None);

        let started = Instant::now();
        let projections =
            Arc::new(Projections::open(&path.join("bench-projections.db")).expect("opens"));
        projections.rebuild(&ledger).await.expect("rebuilt");
        let rate = size as f64 / started.elapsed().as_secs_f64();
        line("projections rebuilt", format!("{rate:.0} entries/s"), against(rate));
        let mut latencies = Vec::new();
        for n in 0..2_000u64 {
            let filter = AccessFilter {
                subject: Some(greffe_domain::subject::SubjectRef(subject(n * 7_919))),
                limit: 100,
                ..AccessFilter::default()
            };
            let asked = Instant::now();
            let page = projections.accesses(filter).await.expect("an answer");
            latencies.push(asked.elapsed());
            assert!(!page.items.is_empty(), "every subject has accesses");
        }
        latencies.sort_unstable();
        line(
            "accesses of a subject, p50 / p99",
            format!(
                "{:.2} / {:.2} ms",
                ms(percentile(&latencies, 500)),
                ms(percentile(&latencies, 990))
            ),
            None,
        );

        let file = path.join("export.ndjson");
        let started = Instant::now();
        let head = ledger.head().expect("signed").signed;
        let mut out = BufWriter::new(std::fs::File::create(&file).expect("a file"));
        export(&**ledger.store(), &head, Scope::Whole, &mut out, |_, _| {})
            .await
            .expect("exported");
        drop(out);
        let rate = size as f64 / started.elapsed().as_secs_f64();
        line("export", format!("{rate:.0} entries/s"), against(rate));
        let trust = std::fs::read(path.join("trust.json")).expect("trust.json");
        let trust = greffe_verify::Trust::parse(&trust).expect("trust.json");
        let started = Instant::now();
        let reader = BufReader::new(std::fs::File::open(&file).expect("the export"));
        greffe_verify::verify(reader, &trust).expect("sound");
        let rate = size as f64 / started.elapsed().as_secs_f64();
        line("verification of the export", format!("{rate:.0} entries/s"), against(rate));
        ledger.shutdown().await;
    });
}

/// Rows of an entry and its filing committed per second, neither signed nor decided.
fn raw_rows(per_batch: usize) -> f64 {
    let directory = tempfile::tempdir().expect("a directory");
    let store = SqliteStore::create(directory.path(), contract::ORIGIN).expect("a store");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut sample = contract::Sample::default();
    let (mut spent, mut written) = (Duration::ZERO, 0);
    while written < 60_000 {
        let batch = sample.batch(per_batch, 1);
        sample.entries = batch.entries.last().cloned().into_iter().collect();
        written += batch.entries.len();
        let started = Instant::now();
        runtime.block_on(store.append(batch)).expect("an append");
        spent += started.elapsed();
    }
    written as f64 / spent.as_secs_f64()
}

/// Filings signed on all cores, before anything is measured.
fn signed(run: &str, first: u64, filings: u64, per_filing: u64) -> Vec<String> {
    let make = |n| if per_filing == 1 { single(run, n) } else { batch(run, n) };
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let share = filings.div_ceil(cores);
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..cores)
            .map(|core| {
                let until = first + filings.min((core + 1) * share);
                let from = (first + core * share).min(until);
                scope.spawn(move || (from..until).map(make).collect::<Vec<_>>())
            })
            .collect();
        parts.into_iter().flat_map(|part| part.join().expect("signing ends")).collect()
    })
}

/// Records filings in process, many waiting at once; entries per second, signing them apart.
async fn in_process(ledger: &Ledger, run: &str, first: u64, entries: u64, per_filing: u64) -> f64 {
    /// Entries signed before they are submitted, so that memory stays bounded.
    const AHEAD: u64 = 20_000;
    let filings = entries.div_ceil(per_filing);
    let (mut spent, mut done) = (Duration::ZERO, 0);
    while done < filings {
        let count = (filings - done).min(AHEAD / per_filing);
        let texts = signed(run, first + done, count, per_filing);
        done += count;
        let permits = Arc::new(Semaphore::new(IN_FLIGHT / per_filing.min(32) as usize));
        let mut tasks = JoinSet::new();
        let started = Instant::now();
        for text in texts {
            let permit = Arc::clone(&permits).acquire_owned().await.expect("never closed");
            let ledger = ledger.clone();
            tasks.spawn(async move {
                ledger.submit(&text).await.expect("recorded");
                drop(permit);
            });
        }
        while let Some(task) = tasks.join_next().await {
            task.expect("no panic");
        }
        spent += started.elapsed();
    }
    (filings * per_filing) as f64 / spent.as_secs_f64()
}

/// Records batches in process until the ledger has that many entries; the rate of each tenth.
async fn grow(ledger: &Ledger, entries: u64) -> Vec<f64> {
    let missing = entries.saturating_sub(ledger.size().0).div_ceil(BATCH as u64);
    let mut rates = Vec::new();
    for tenth in 0..10 {
        let (from, until) = (missing * tenth / 10, missing * (tenth + 1) / 10);
        if from < until {
            let entries = (until - from) * BATCH as u64;
            rates.push(in_process(ledger, "grow", from, entries, BATCH as u64).await);
        }
    }
    rates
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
