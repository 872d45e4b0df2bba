//! A ledger that grows: what appending and asking cost, a tenth of the way after the other.
//!
//! Filings of 100 are made on other threads while the ledger records: making them costs
//! little, and the ledger is what one waits for. Projections follow after each tenth, apart,
//! so that each is timed by itself.

use std::io::{BufReader, BufWriter};
use std::sync::Arc;
use std::time::{Duration, Instant};

use greffe_domain::date::Timestamp;
use greffe_domain::subject::SubjectRef;
use greffe_infra::export::{Scope, export};
use greffe_infra::ledger::Ledger;
use greffe_infra::projection::{
    AccessFilter, AuditFilter, FindingFilter, PROJECTIONS_FILE, Projections,
};
use greffe_infra::store::Fault;
use greffe_infra::testing::cluster::Cluster;
use greffe_tests::server::NOW_S;
use tokio::sync::mpsc;

use crate::filings::{BATCH, Maker, processing, site, subject};
use crate::measure::{Latencies, Submitting, peak_memory, processor_time, reset_peak_memory};
use crate::place::{Engine, Place};

/// Size from which tenths are counted.
const FROM: u64 = 100_000;
/// Filings that wait for their receipts.
const IN_FLIGHT: usize = 64;
/// Times each query is asked.
const ASKED: u64 = 300;
/// Name of the database.
const DATABASE: &str = "grow";

const QUERIES: [&str; 6] = ["subject", "party", "site", "processing", "finding", "audit"];

/// What is done with a ledger at its full size, beside what takes no time.
#[derive(Clone, Copy)]
pub struct AtTheEnd {
    pub rebuild: bool,
    pub verify: bool,
}

/// Grows a new ledger on one engine to so many entries.
pub async fn run(engine: Engine, cluster: Option<&Cluster>, entries: u64, at_the_end: AtTheEnd) {
    let began = Instant::now();
    println!("\n## {} to {entries} entries, filings of {BATCH}", engine.name());
    let place = Place::new(engine, cluster, DATABASE).await;
    let ledger = place.open().await;
    let file = place.path().join(PROJECTIONS_FILE);
    let projections = Arc::new(Projections::open(&file).expect("projections"));
    let maker = Maker::new(BATCH);
    reset_peak_memory();
    println!(
        "{:>10} {:>9} {:>14} {:>9} {:>8} {:>8}  p99 ms: {}",
        "size",
        "entries/s",
        "receipt p50/99",
        "µs/entry",
        "proj./s",
        "MiB",
        QUERIES.join(", ")
    );
    let filings = entries.div_ceil(BATCH);
    let (mut done, mut recording, mut following) = (0, Duration::ZERO, Duration::ZERO);
    // The first stretch brings it to where tenths are counted from.
    let start = (FROM / BATCH).min(filings / 4);
    for tenth in 0..=10 {
        let until = start + (filings - start) * tenth / 10;
        let (spent, latencies, ours) = record(&place, &ledger, &maker, done, until).await;
        let recorded = (until - done) * BATCH;
        done = until;
        let began = Instant::now();
        projections.catch_up(&ledger).await.expect("the projections follow");
        let followed = began.elapsed();
        recording += spent;
        following += followed;
        let waits = ask(&projections, done * BATCH).await.expect("answers");
        let waits: Vec<String> = waits.iter().map(|w| format!("{:.2}", w.ms(990))).collect();
        println!(
            "{:>10} {:>9.0} {:>14} {:>9.1} {:>8.0} {:>8}  {}",
            ledger.size().0,
            recorded as f64 / spent.as_secs_f64(),
            format!("{:.0} / {:.0} ms", latencies.ms(500), latencies.ms(990)),
            ours.as_secs_f64() * 1e6 / recorded as f64,
            recorded as f64 / followed.as_secs_f64(),
            peak_memory("self"),
            waits.join(", "),
        );
    }
    ledger.shutdown().await;
    drop(ledger);
    println!(
        "recorded in {:.0} s; the projections made in {:.0} s, from nothing and apart",
        recording.as_secs_f64(),
        following.as_secs_f64()
    );
    finish(&place, cluster, projections, at_the_end).await;
    println!("all of it: {:.0} s", began.elapsed().as_secs_f64());
}

/// Start-up, rebuilding, verification, and bytes on disk, at full size.
async fn finish(
    place: &Place,
    cluster: Option<&Cluster>,
    projections: Arc<Projections>,
    at_the_end: AtTheEnd,
) {
    let began = Instant::now();
    let ledger = place.open().await;
    let size = ledger.size().0;
    println!("start-up: {:.0} ms", began.elapsed().as_secs_f64() * 1000.0);
    let (bytes, projected) = place.bytes(cluster, DATABASE);
    println!("disk: {} bytes an entry, {} of projections", bytes / size, projected / size);
    println!("memory while it grew: at most {} MiB", peak_memory("self"));
    if at_the_end.rebuild {
        reset_peak_memory();
        let began = Instant::now();
        projections.rebuild(&ledger).await.expect("rebuilt");
        let spent = began.elapsed().as_secs_f64();
        println!(
            "projections rebuilt: {:.0} s, {:.0} entries/s, at most {} MiB",
            spent,
            size as f64 / spent,
            peak_memory("self")
        );
    }
    if at_the_end.verify {
        verify(place, &ledger).await;
    }
    ledger.shutdown().await;
}

/// Exports a ledger and verifies the export as it comes.
async fn verify(place: &Place, ledger: &Ledger) {
    let size = ledger.size().0;
    reset_peak_memory();
    let began = Instant::now();
    let head = ledger.head().expect("signed").signed;
    let trust = std::fs::read(place.path().join("trust.json")).expect("trust.json");
    let trust = greffe_verify::Trust::parse(&trust).expect("trust.json");
    // Through a pipe: the export alone may be larger than what is left of the disk.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let verifier = std::thread::spawn(move || {
        greffe_verify::verify(BufReader::with_capacity(1 << 20, reader), &trust)
    });
    let mut out = BufWriter::with_capacity(1 << 20, writer);
    let store = ledger.store();
    export(&**store, &head, Scope::Whole, &mut out, |_, _| {}).await.expect("exported");
    drop(out);
    verifier.join().expect("the verifier ends").expect("sound");
    let spent = began.elapsed().as_secs_f64();
    println!(
        "exported and verified: sound, {:.0} s, {:.0} entries/s, at most {} MiB",
        spent,
        size as f64 / spent,
        peak_memory("self")
    );
}

/// Records filings `from..until`; how long it took, each wait, and our processor time, that
/// of making the filings included.
async fn record(
    place: &Place,
    ledger: &Ledger,
    maker: &Maker,
    from: u64,
    until: u64,
) -> (Duration, Latencies, Duration) {
    let (made, mut filings) = mpsc::channel(4 * IN_FLIGHT);
    let maker = maker.clone();
    let making = std::thread::spawn(move || {
        for n in from..until {
            if made.blocking_send(maker.make(0, n)).is_err() {
                return;
            }
        }
    });
    let submitting = Submitting::new(ledger, IN_FLIGHT);
    let (began, before) = (Instant::now(), processor_time("self") + place.database_time());
    while let Some(text) = filings.recv().await {
        submitting.submit(text, None).await;
    }
    let latencies = submitting.receipts().await;
    let spent = began.elapsed();
    making.join().expect("making ends");
    (spent, latencies, processor_time("self") + place.database_time() - before)
}

/// Asks each query many times, of ever other things; waits by query, in their order.
async fn ask(projections: &Arc<Projections>, entries: u64) -> Result<Vec<Latencies>, Fault> {
    let some = FindingFilter { limit: 1, ..FindingFilter::default() };
    let code = projections.findings(some).await?.items.into_iter().next().map(|found| found.code);
    let mut all = Vec::new();
    for query in QUERIES {
        let mut latencies = Latencies::default();
        for n in 0..ASKED {
            let mut filter = AccessFilter { limit: 100, ..AccessFilter::default() };
            let asked = Instant::now();
            let found = match query {
                "finding" => {
                    let code = code.clone();
                    let cursor = Some(n.wrapping_mul(7_919) % entries);
                    let filter =
                        FindingFilter { code, cursor, limit: 100, ..FindingFilter::default() };
                    projections.findings(filter).await?.items.len()
                }
                "audit" => {
                    let from = Some(Timestamp::from_unix_seconds(NOW_S));
                    let by = Some("caisse".to_owned());
                    let cursor = Some(n.wrapping_mul(7_919) % entries);
                    let filter =
                        AuditFilter { from, by, cursor, limit: 100, ..AuditFilter::default() };
                    projections.audit(filter).await?.items.len()
                }
                _ => {
                    match query {
                        "subject" => {
                            filter.subject = Some(SubjectRef(subject(n * 7_919 % entries)))
                        }
                        "party" => filter.party = Some("caisse".to_owned()),
                        "site" => filter.site = Some(site(n)),
                        _ => filter.processing = Some(processing(n)),
                    }
                    if query == "party" {
                        filter.cursor = Some(n.wrapping_mul(7_919) % entries);
                    }
                    projections.accesses(filter).await?.items.len()
                }
            };
            latencies.0.push(asked.elapsed());
            assert!(found > 0 || n > 0, "{query}: the first of each finds something");
        }
        latencies.sort();
        all.push(latencies);
    }
    Ok(all)
}
