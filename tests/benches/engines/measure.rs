//! Time, processor time and memory, as Linux counts them, and tables of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use greffe_infra::ledger::Ledger;
use tokio::sync::{Semaphore, mpsc};

/// Processor time of a process so far, all threads, to a hundredth of a second. Zero where
/// it cannot be read.
pub fn processor_time(pid: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // After the name, which may hold spaces: fields 14 and 15.
    let ticks: u64 = stat.rsplit_once(')').map_or(0, |(_, fields)| {
        fields.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<u64>().ok()).sum()
    });
    Duration::from_millis(ticks * 10)
}

/// The same of a process and all its children that live.
pub fn family_time(pid: &str) -> Duration {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    children.split_whitespace().map(processor_time).sum::<Duration>() + processor_time(pid)
}

/// Time this thread has had a core, as of the last tick of some milliseconds.
pub fn thread_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let spent = stat.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0);
    Duration::from_nanos(spent)
}

/// Most memory that a process has had at once, MiB.
pub fn peak_memory(pid: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Forgets the peak of this process so far.
pub fn reset_peak_memory() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Answers, in order of how long they took.
#[derive(Default, Clone)]
pub struct Latencies(pub Vec<Duration>);

impl Latencies {
    pub fn sort(&mut self) {
        self.0.sort_unstable();
    }

    /// Milliseconds that `per_mille` of a thousand took at most.
    pub fn ms(&self, per_mille: usize) -> f64 {
        match self.0.len() {
            0 => 0.0,
            len => self.0[(len - 1) * per_mille / 1000].as_secs_f64() * 1000.0,
        }
    }
}

/// One pass of a measurement.
#[derive(Clone)]
pub struct Pass {
    /// Entries a second.
    pub rate: f64,
    pub latencies: Latencies,
    /// Microseconds of processor time an entry: ours, the client's where it is another
    /// process, the database's.
    pub processor: [f64; 3],
}

/// Several passes of one measurement, by rate.
pub struct Passes(Vec<Pass>);

impl Passes {
    pub fn new(mut passes: Vec<Pass>) -> Self {
        passes.sort_by(|a, b| a.rate.total_cmp(&b.rate));
        Self(passes)
    }

    pub fn median(&self) -> &Pass {
        &self.0[self.0.len() / 2]
    }

    /// The slowest and the fastest.
    pub fn range(&self) -> (f64, f64) {
        (self.0[0].rate, self.0[self.0.len() - 1].rate)
    }
}

pub fn heading(title: &str) {
    println!("\n## {title}");
    println!(
        "{:<46} {:>8} {:>15} {:>24} {:>20}",
        "", "median/s", "all passes", "p50/p99/p99.9 ms", "µs an entry"
    );
}

/// A line of a table. The last column: our processor time, the client's, the database's.
pub fn line(what: &str, passes: &Passes, ratios: &[(f64, &str)]) {
    let (low, high) = passes.range();
    let pass = passes.median();
    let range = format!("{low:.0}–{high:.0}");
    let waits = [500, 990, 999].map(|p| format!("{:.1}", pass.latencies.ms(p))).join(" / ");
    let spent = pass.processor.map(|us| format!("{us:.0}")).join(" + ");
    print!("{what:<46} {:>8.0} {range:>15} {waits:>24} {spent:>20}", pass.rate);
    for (other, name) in ratios {
        print!("  {:.2} × {name}", pass.rate / other);
    }
    println!();
}

/// Filings on their way into a ledger, so many at once, and the waits for their receipts.
pub struct Submitting {
    ledger: Ledger,
    permits: Arc<Semaphore>,
    waited: mpsc::UnboundedSender<Duration>,
    waits: mpsc::UnboundedReceiver<Duration>,
}

impl Submitting {
    pub fn new(ledger: &Ledger, room: usize) -> Self {
        let (waited, waits) = mpsc::unbounded_channel();
        Self { ledger: ledger.clone(), permits: Arc::new(Semaphore::new(room)), waited, waits }
    }

    /// Sends one as soon as there is room. Its wait counts from when it was due, if it was,
    /// and from its sending otherwise.
    pub async fn submit(&self, text: String, due: Option<Instant>) {
        let permit = Arc::clone(&self.permits).acquire_owned().await.expect("never closed");
        let (ledger, waited) = (self.ledger.clone(), self.waited.clone());
        let since = due.unwrap_or_else(Instant::now);
        tokio::spawn(async move {
            ledger.submit(&text).await.expect("recorded");
            waited.send(since.elapsed()).expect("somebody listens");
            drop(permit);
        });
    }

    /// Once every receipt is there.
    pub async fn receipts(mut self) -> Latencies {
        drop(self.waited);
        let mut latencies = Latencies::default();
        while let Some(wait) = self.waits.recv().await {
            latencies.0.push(wait);
        }
        latencies.sort();
        latencies
    }
}
