//! How fast each engine is, beside what bounds it on the same machine in the same run:
//!
//! `cargo bench -p greffe-tests --bench engines -- [quick|full] [stock] [memory] [sqlite] [postgres]`
//! `cargo bench -p greffe-tests --bench engines -- grow ENTRIES [sqlite] [postgres]
//! [without-rebuild] [without-verification]`
//!
//! The first prints tables (`quick`: three short passes; `full`, the default: five): the
//! stages of an entry and the ceiling they leave when every core does nothing else, the same
//! event through cqrs-es and postgres-es, rows of the same size written plainly, then ours,
//! in process and as `greffe serve` over HTTP. A line's last column is processor time an
//! entry: ours, the client's where it is another process, the database server's. The second
//! grows a ledger (`grow.rs`). PostgreSQL is a server of the bench's own, with every commit
//! on disk.

mod filings;
mod grow;
mod measure;
mod ours;
mod place;
mod raw;
mod stages;
mod stock;

use std::sync::Arc;
use std::time::{Duration, Instant};

use greffe_infra::projection::Projections;
use greffe_infra::store::{Head, Store};
use greffe_infra::testing::cluster::Cluster;
use greffe_tests::server::Server;

use crate::filings::{BATCH, Maker};
use crate::grow::AtTheEnd;
use crate::measure::{
    Latencies, Pass, Passes, heading, line, peak_memory, processor_time, reset_peak_memory,
};
use crate::ours::Load;
use crate::place::{Engine, Place};
use crate::stages::{Made, STAGES};

/// How much is measured.
#[derive(Clone, Copy)]
struct Size {
    passes: usize,
    /// What the numbers of a full pass are divided by.
    divisor: u64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let asked = |name: &str| arguments.iter().any(|a| a == name);
    let all = !["stock", "memory", "sqlite", "postgres"].into_iter().any(asked);
    let wants = |name: &str| all || asked(name);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let needs_cluster = wants("postgres") || wants("stock");
    let cluster = needs_cluster.then(place::cluster);
    let cluster = cluster.as_ref();
    if asked("grow") {
        let entries = arguments.iter().find_map(|a| a.parse().ok());
        let entries = entries.expect("grow ENTRIES: how many");
        let at_the_end =
            AtTheEnd { rebuild: !asked("without-rebuild"), verify: !asked("without-verification") };
        for (name, engine) in [("sqlite", Engine::Sqlite), ("postgres", Engine::Postgres)] {
            if wants(name) {
                runtime.block_on(grow::run(engine, cluster, entries, at_the_end));
            }
        }
        return;
    }
    let size = if asked("quick") {
        Size { passes: 3, divisor: 4 }
    } else {
        Size { passes: 5, divisor: 1 }
    };
    let single = Maker::new(1);
    let batch = Maker::new(BATCH);
    let sample = runtime.block_on(stages_table(size, &single, &batch));
    let stock = wants("stock").then(|| {
        let cluster = cluster.expect("started above");
        runtime.block_on(stock_table(size, cluster, &sample.event))
    });
    let stock = stock.as_deref().unwrap_or_default();
    let engines =
        [("memory", Engine::Memory), ("sqlite", Engine::Sqlite), ("postgres", Engine::Postgres)];
    for (name, engine) in engines {
        if wants(name) {
            let makers = (&single, &batch);
            runtime.block_on(measure_engine(size, engine, cluster, sample.bytes, stock, makers));
        }
    }
}

/// What entries of a filing of many are made of.
struct Sample {
    bytes: usize,
    event: serde_json::Value,
}

/// The table of stages.
async fn stages_table(size: Size, single: &Maker, batch: &Maker) -> Sample {
    let place = Place::new(Engine::Memory, None, "").await;
    let ledger = place.open().await;
    let register = ledger.with_register(|r| Arc::new(r.clone()));
    let head = ledger.known_head().head;
    let mut sample = Sample { bytes: 0, event: serde_json::Value::Null };
    println!("\n## Stages, µs of processor time an entry");
    println!("{:<36} {}", "", STAGES.map(|s| format!("{s:>13}")).join(""));
    for (name, maker, filings) in
        [("signed one by one", single, 8_000), ("filings of 100", batch, 160)]
    {
        let texts = maker.many(0, 0, filings);
        let (mut alone, mut together) = (Vec::new(), Vec::new());
        for _ in 0..size.passes {
            let made = stages::run(maker, &texts, &register, head);
            alone.push(made.costs);
            sample = Sample { bytes: made.bytes_an_entry(), event: made.event };
            together.push(stages::on_all_cores(maker, &texts, &register, head));
        }
        for (how, all) in [("one thread", alone), ("all cores", together)] {
            let median = stages::medians(&all);
            let shown = median.map(|us| format!("{us:>13.2}")).join("");
            println!("{:<36} {shown}", format!("{name}, {how}"));
        }
    }
    println!(
        "an entry of a filing of 100 is {} bytes: leaf, share of the filing, disclosure",
        sample.bytes
    );
    ledger.shutdown().await;
    sample
}

/// The stock baselines: median rates, each with what it is called.
async fn stock_table(
    size: Size,
    cluster: &Cluster,
    event: &serde_json::Value,
) -> Vec<(f64, &'static str)> {
    heading("Stock: cqrs-es and postgres-es, one event a command, nothing signed");
    cluster.psql("postgres", "CREATE DATABASE stock");
    let server = place::postmaster(cluster);
    let database = || measure::family_time(&server);
    let mut baselines = Vec::new();
    for (clients, commands, name) in
        [(1, 4_000, "stock, 1"), (8, 12_000, "stock, 8"), (32, 16_000, "stock, 32")]
    {
        let options = sqlx::postgres::PgConnectOptions::new()
            .socket(cluster.directory())
            .username("greffe")
            .database("stock");
        let plan = (size.passes, clients, commands / size.divisor);
        let passes = stock::run(options, event, plan, &database).await;
        line(&format!("{clients} clients"), &passes, &[]);
        baselines.push((passes.median().rate, name));
    }
    baselines
}

/// One engine: raw, committing, in process, over HTTP.
async fn measure_engine(
    size: Size,
    engine: Engine,
    cluster: Option<&Cluster>,
    bytes: usize,
    stock: &[(f64, &str)],
    (single, batch): (&Maker, &Maker),
) {
    heading(engine.name());
    let mut raw = None;
    let rows = 40_000 / size.divisor;
    for per_batch in [256, 1_024] {
        let passes = match (engine, cluster) {
            (Engine::Memory, _) => continue,
            (Engine::Sqlite, _) => {
                let passes = raw::sqlite(size.passes, per_batch, rows, bytes);
                line(&format!("raw rows, {per_batch} a commit"), &passes, &[]);
                vec![passes]
            }
            (Engine::Postgres, cluster) => {
                raw_postgres(size, cluster.expect("started"), per_batch, rows, bytes).await
            }
        };
        let best = passes.iter().map(|p| p.median().rate).fold(0.0, f64::max);
        raw = Some(raw.unwrap_or(0.0_f64).max(best));
    }
    let mut runs = 0;
    let place = Place::new(engine, cluster, "ledger").await;
    let mut inside = [0.0; 2];
    let shapes = [("signed one by one", single, 12_000), ("filings of 100", batch, 400)];
    for (index, (name, maker, filings)) in shapes.into_iter().enumerate() {
        let filings = filings / size.divisor;
        let commit = commit_passes(size, &place, maker, filings, &mut runs).await;
        let commit_us = match &commit {
            Some(passes) => {
                line(&format!("commit alone, {name}"), passes, &[]);
                passes.median().processor.iter().sum()
            }
            None => 0.0,
        };
        let ledger = place.open().await;
        let register = ledger.with_register(|r| Arc::new(r.clone()));
        let texts = maker.many(0, 0, filings / 4);
        reset_peak_memory();
        let mut all = Vec::new();
        let mut make = |count: u64| {
            runs += 1;
            maker.many(runs, 0, count)
        };
        let mut costs = [Vec::new(), Vec::new()];
        for _ in 0..size.passes {
            // Beside each pass: such machines change from one minute to the next.
            let head = ledger.known_head().head;
            costs[0].push(stages::on_all_cores(maker, &texts, &register, head));
            costs[1].push(stages::run(maker, &texts, &register, head).costs);
            let texts = make(filings);
            all.push(ours::in_process(&place, &ledger, texts, maker.items(), Load::Closed).await);
        }
        let passes = Passes::new(all);
        let rate = passes.median().rate;
        inside[index] = rate;
        let [ceiling, apart] = costs.map(|all| stages::ceiling(&stages::medians(&all), commit_us));
        let mut ratios = vec![(ceiling, "the ceiling"), (apart, "that of a thread alone")];
        ratios.extend(stock);
        ratios.extend(raw.map(|raw| (raw, "raw rows")));
        line(&format!("in process, {name}"), &passes, &ratios);
        println!("  ceiling {ceiling:.0}/s; peak memory {} MiB", peak_memory("self"));
        let per_second = rate / maker.items() as f64 / 2.0;
        let half = Load::Open(per_second.max(1.0));
        let texts = make(filings / 2);
        let half = ours::in_process(&place, &ledger, texts, maker.items(), half).await;
        line("  at half load", &Passes::new(vec![half]), &[]);
        ledger.shutdown().await;
    }
    if engine == Engine::Memory {
        return;
    }
    projections_line(&place).await;
    let server = Server::try_start_with(&place.arguments()).expect("the server starts");
    for (index, (name, maker, _)) in shapes.into_iter().enumerate() {
        for connections in [1, 8, 64, 256] {
            let filings = match (maker.items(), connections) {
                (1, 1) => 2_000,
                (1, 8) => 8_000,
                (1, _) => 16_000,
                (_, 1) => 160,
                (_, 8) => 480,
                _ => 1_024,
            };
            let plan = (size.passes, filings / size.divisor, &mut runs);
            let load = (connections, maker);
            ours::follow(&server);
            let passes = ours::http_passes(&place, &server, load, plan);
            let ratios = [(inside[index], "in process")];
            line(&format!("HTTP, {connections} connections, {name}"), &passes, &ratios);
            if connections == 64 {
                let half = passes.median().rate / maker.items() as f64 / 2.0;
                ours::follow(&server);
                let plan = (half.max(1.0), filings / size.divisor, &mut runs);
                let half = ours::http_at(&place, &server, load, plan);
                line("  at half load", &Passes::new(vec![half]), &[]);
            }
        }
    }
    println!("  the server's peak memory: {} MiB", peak_memory(&server.pid().to_string()));
}

/// What the store takes to commit the same rows, and what of the processor.
async fn commit_passes(
    size: Size,
    place: &Place,
    maker: &Maker,
    filings: u64,
    runs: &mut u32,
) -> Option<Passes> {
    if place.engine == Engine::Memory {
        return None;
    }
    // A ledger of its own: what these rows are signed with is not what it names.
    let ledger = place.open().await;
    let register = ledger.with_register(|r| Arc::new(r.clone()));
    ledger.shutdown().await;
    drop(ledger);
    let store = place.scratch_store().await;
    let mut head = Head::empty();
    let mut all = Vec::new();
    for _ in 0..size.passes {
        *runs += 1;
        let texts = maker.many(*runs, 0, filings);
        let made: Made = stages::run(maker, &texts, &register, head);
        let entries = made.entries.len() as f64;
        let batches = made.batches(head, 512);
        head = batches.last().map_or(head, |batch| batch.head_after());
        let mut latencies = Latencies::default();
        let (began, ours, theirs) = (Instant::now(), processor_time("self"), place.database_time());
        for batch in batches {
            let sent = Instant::now();
            store.append(batch).await.expect("appended");
            latencies.0.push(sent.elapsed());
        }
        let spent = began.elapsed().as_secs_f64();
        let us = |spent: Duration| spent.as_secs_f64() * 1e6 / entries;
        let processor =
            [us(processor_time("self") - ours), 0.0, us(place.database_time() - theirs)];
        latencies.sort();
        all.push(Pass { rate: entries / spent, latencies, processor });
    }
    Some(Passes::new(all))
}

async fn raw_postgres(
    size: Size,
    cluster: &Cluster,
    per_batch: usize,
    rows: u64,
    bytes: usize,
) -> Vec<Passes> {
    if cluster.psql("postgres", "SELECT 1 FROM pg_database WHERE datname = 'raw'").is_empty() {
        cluster.psql("postgres", "CREATE DATABASE raw");
    }
    let host = cluster.directory().display();
    let config = format!("host={host} user=greffe dbname=raw");
    let connecting = tokio_postgres::connect(&config, tokio_postgres::NoTls).await;
    let (mut client, connection) = connecting.expect("a connection");
    let driver = tokio::spawn(connection);
    let mut both = Vec::new();
    for (way, name) in [(raw::Way::Unnest, "UNNEST"), (raw::Way::Copy, "COPY")] {
        let passes = raw::postgres(&mut client, way, (size.passes, per_batch, rows, bytes)).await;
        line(&format!("raw rows, {per_batch} a commit, {name}"), &passes, &[]);
        both.push(passes);
    }
    drop(client);
    let _ = driver.await;
    both
}

/// What a server does beside recording: the rows that lists are answered from.
async fn projections_line(place: &Place) {
    let ledger = place.open().await;
    let projections = Projections::open(&place.path().join("measured.db")).expect("projections");
    let projections = Arc::new(projections);
    let (began, ours) = (Instant::now(), processor_time("self"));
    let size = projections.rebuild(&ledger).await.expect("rebuilt").0;
    let spent = began.elapsed().as_secs_f64();
    let processor = (processor_time("self") - ours).as_secs_f64() * 1e6 / size as f64;
    println!(
        "projections, which only a server keeps up: {:.0} entries/s, {processor:.0} µs an entry",
        size as f64 / spent
    );
    ledger.shutdown().await;
}
