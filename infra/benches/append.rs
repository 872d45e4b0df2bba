//! How fast sealed batches become durable: `cargo bench -p greffe-infra --bench append
//! --features contract -- [entries] [entries per batch] [directory]`.
//!
//! No signatures, no decisions: the store alone, with one filing of one entry each, leaves
//! of about 500 bytes and JWTs of about 600. Prints the rate of each tenth of the run, to
//! show whether it depends on the size reached.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use greffe_infra::store::contract::{ORIGIN, Sample};
use greffe_infra::store::{SqliteStore, Store};

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let entries: u64 = arguments.next().map_or(100_000, |a| a.parse().expect("entries"));
    let per_batch: usize = arguments.next().map_or(256, |a| a.parse().expect("batch size"));
    let directory = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = tempfile::tempdir_in(directory).expect("a directory");
    let store = SqliteStore::create(directory.path(), ORIGIN).expect("a store");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");

    let mut sample = Sample::default();
    let mut written = 0;
    for tenth in 0..10 {
        let (mut spent, mut count) = (Duration::ZERO, 0_u64);
        let mut waits = Vec::new();
        while written < entries * (tenth + 1) / 10 {
            let batch = sample.batch(per_batch, 1);
            let size = batch.entries.len() as u64;
            sample.entries = batch.entries.last().cloned().into_iter().collect();
            let start = Instant::now();
            runtime.block_on(store.append(batch)).expect("an append");
            waits.push(start.elapsed());
            spent += start.elapsed();
            written += size;
            count += size;
        }
        waits.sort_unstable();
        println!(
            "{written:>9} entries: {:>7.0}/s, batch p50 {:?}, p99 {:?}",
            count as f64 / spent.as_secs_f64(),
            waits[waits.len() / 2],
            waits[waits.len() * 99 / 100],
        );
    }
    let bytes: u64 = std::fs::read_dir(directory.path())
        .expect("a directory")
        .map(|file| file.expect("a file").metadata().expect("its size").len())
        .sum();
    println!("{} bytes per entry on disk, log included", bytes / written);
}
