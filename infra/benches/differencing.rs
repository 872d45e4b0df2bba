//! What one more disclosure costs after thousands to one employer: `cargo bench -p
//! greffe-infra --bench differencing -- [disclosures]`.
//!
//! Two employers. The first is shown, month after month, each of its fifty sites and then
//! all of them, by three motives and in all; the second one year after another that slides
//! by a month, on sets of sites that overlap. Cost: the question asked of the history
//! (`History::derived`), all memory, one core.

use std::sync::Arc;
use std::time::{Duration, Instant};

use greffe_domain::body::Measure;
use greffe_domain::differencing::{Cell, Count, Days, Disclosure, History, Limits};
use greffe_domain::vocabulary::Category;

const LIMITS: Limits = Limits { k: 11, sets: 20_000 };
const SITES: usize = 50;
const ASKED: usize = 200;

fn cells(units: &Arc<[Arc<str>]>, categories: &[&[&str]]) -> Arc<[Cell]> {
    categories
        .iter()
        .map(|codes| Cell {
            units: Arc::clone(units),
            categories: codes.iter().filter_map(|c| Category::parse(c)).collect(),
            measure: Measure::Days,
            suppressed: false,
        })
        .collect()
}

fn disclosure(position: usize, sites: &[usize], days: Days) -> Disclosure {
    const MOTIVES: [&[&str]; 4] = [
        &["ABS-MOTIVE-TMS"],
        &["ABS-MOTIVE-LOMB"],
        &["ABS-MOTIVE-RPS"],
        &["ABS-MOTIVE-TMS", "ABS-MOTIVE-LOMB", "ABS-MOTIVE-RPS"],
    ];
    let names: Vec<String> = sites.iter().map(|s| format!("site-{s}")).collect();
    let units = greffe_domain::differencing::names(&names);
    let persons = i64::try_from(sites.len() * 25).expect("few sites");
    let count = Count::Known { persons, digest: Arc::from(format!("{position}")) };
    Disclosure {
        position: position as u64,
        days,
        cells: cells(&units, &MOTIVES),
        absentees: vec![(units, count)],
        headcounts: Vec::new(),
    }
}

fn month(n: usize) -> Days {
    let first = i32::try_from(n).expect("few months") * 30;
    Days { first, last: first + 29 }
}

/// Each site, then all of them, and the next month.
fn monthly(n: usize) -> Disclosure {
    let (period, which) = (n / (SITES + 1), n % (SITES + 1));
    match which {
        SITES => disclosure(n, &(0..SITES).collect::<Vec<_>>(), month(period)),
        site => disclosure(n, &[site], month(period)),
    }
}

/// Years that slide by a month, on runs of sites that overlap.
fn sliding(n: usize) -> Disclosure {
    let (start, which) = (n / SITES, n % SITES);
    let sites: Vec<usize> = (which..(which + 3).min(SITES)).collect();
    let (first, last) = (month(start), month(start + 11));
    disclosure(n, &sites, Days { first: first.first, last: last.last })
}

fn measure(name: &str, disclosures: usize, nth: impl Fn(usize) -> Disclosure) {
    let mut history = History::default();
    let started = Instant::now();
    for n in 0..disclosures {
        let next = nth(n);
        history.derived(n, &next, LIMITS);
        history.push(Arc::new(next));
    }
    let filled = started.elapsed();
    let mut costs: Vec<Duration> = Vec::new();
    let mut named = 0;
    let mut incomplete = 0;
    for n in disclosures..disclosures + ASKED {
        let next = nth(n);
        let asked = Instant::now();
        let answer = history.derived(n, &next, LIMITS);
        costs.push(asked.elapsed());
        named += answer.sets.len();
        incomplete += usize::from(answer.incomplete);
        history.push(Arc::new(next));
    }
    // Asked, denied, asked for something else: nothing was kept of the first.
    let len = history.disclosures().len();
    let mut denied: Vec<Duration> = Vec::new();
    for n in 0..ASKED {
        let mut next = nth(len + n);
        next.position = len as u64;
        let asked = Instant::now();
        history.derived(len, &next, LIMITS);
        denied.push(asked.elapsed());
    }
    costs.sort_unstable();
    denied.sort_unstable();
    let at = |costs: &[Duration], permille: usize| costs[(costs.len() - 1) * permille / 1_000];
    println!(
        "{name}: {disclosures} disclosures in {:.2} s; the next one: median {:?}, p99 {:?}, \
         most {:?}; after a denial: median {:?}; {named} sets newly derivable, {incomplete} incomplete",
        filled.as_secs_f64(),
        at(&costs, 500),
        at(&costs, 990),
        at(&costs, 1_000),
        at(&denied, 500),
    );
}

fn main() {
    let asked = std::env::args().skip(1).find_map(|a| a.parse().ok());
    let disclosures: usize = asked.unwrap_or(10_000);
    for size in [disclosures / 10, disclosures] {
        measure("each site, then all, monthly", size, monthly);
    }
    for size in [disclosures / 10, disclosures] {
        measure("sliding years, overlapping sites", size, sliding);
    }
}
