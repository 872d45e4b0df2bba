//! What an entry costs by stage, one after the other: processor time, of a thread that has the
//! machine to itself, and of one on every core at once, which share memory and caches.

use std::sync::Arc;

use greffe_domain::aggregate::{Access, Aggregate};
use greffe_domain::command::{Command, Context, stream_of};
use greffe_domain::date::Timestamp;
use greffe_domain::encoding::{Hash32, base64url_decode};
use greffe_domain::filing::{Disclosures, Filing, UnverifiedFiling};
use greffe_domain::key::simulated_party_key;
use greffe_domain::kind::StreamType;
use greffe_domain::register::Register;
use greffe_domain::rules::CURRENT;
use greffe_domain::seal::{
    FilingRef, PendingEntry, Position, SealedEntry, StreamRef, TreeSize, entry_text, link,
};
use greffe_infra::store::{Batch, DisclosureRow, EntryRow, FilingRow, Head};
use greffe_tests::server::{NOW_S, ORIGIN};

use crate::filings::Maker;
use crate::measure::thread_time;

/// Names of the stages, in order.
pub const STAGES: [&str; 6] = ["parse", "verify", "decide", "canonicalise", "hash", "sign"];

/// Microseconds of processor time an entry, one figure a stage.
pub type Costs = [f64; STAGES.len()];

/// What one pass made, as rows to commit, and what each stage cost.
pub struct Made {
    pub costs: Costs,
    pub entries: Vec<EntryRow>,
    pub filings: Vec<FilingRow>,
    pub disclosures: Vec<DisclosureRow>,
    /// The last event, as it stands in its leaf.
    pub event: serde_json::Value,
}

/// Takes filings through every stage but the commit.
///
/// `register`: that of a ledger with the parties and processings; entries follow `head`.
pub fn run(maker: &Maker, texts: &[String], register: &Arc<Register>, head: Head) -> Made {
    let author = simulated_party_key("caisse");
    let ledger_key = simulated_party_key("ledger");
    let now = Timestamp::from_unix_seconds(NOW_S);
    let mut costs = Costs::default();
    let mut last = thread_time();
    let mut spent = |stage: usize| {
        let now = thread_time();
        costs[stage] += (now - last).as_secs_f64() * 1e6;
        // Reading the clock is not a stage's.
        last = thread_time();
    };
    let parsed: Vec<UnverifiedFiling> = texts
        .iter()
        .map(|text| UnverifiedFiling::parse(text, Disclosures::Complete).expect("a filing"))
        .collect();
    spent(0);
    let filings: Vec<Arc<Filing>> = parsed
        .into_iter()
        .map(|filing| Arc::new(filing.verify(author.public()).expect("signed")))
        .collect();
    spent(1);
    // Decided as the next entries of the register's ledger, wherever they are committed.
    let mut position = register.size() + head.size.0;
    let mut decided = Vec::new();
    for filing in &filings {
        for item in 0..filing.items.len() {
            let at = Position(position);
            let stream = stream_of(filing, item, at, register).expect("an access");
            let context = Context {
                now,
                position: at,
                register: Arc::clone(register),
                rulebook: &CURRENT,
                accesses: Vec::new(),
            };
            let command = Command { filing: Arc::clone(filing), item, context };
            let mut events = Access::default().decide(&command).expect("recorded");
            decided.push((stream.1, events.pop().expect("one event"), filing.digest, item as u32));
            position += 1;
        }
    }
    spent(2);
    // A leaf holds the hash of the one before: written and hashed in turn, told apart after.
    let (mut prev, mut rows) = (head.link, Vec::with_capacity(decided.len()));
    for (id, event, digest, item) in decided {
        let position = Position(head.size.0 + rows.len() as u64);
        let stream = StreamRef { id, kind: StreamType::Access, version: 1 };
        let filing = Some(FilingRef { digest, item });
        let leaf = PendingEntry {
            event: &event,
            filing,
            nonce: [7; 16],
            origin: ORIGIN,
            position,
            prev,
            rulebook: CURRENT.version,
            stream: &stream,
            time: now,
        }
        .write_leaf()
        .expect("a leaf");
        prev = link(&leaf);
        let sealed = SealedEntry { leaf, link: prev, signature: [0; 64], kid: String::new() };
        let event_type = event.event_type();
        rows.push(EntryRow { position, sealed, filing, stream, event_type, time: now });
    }
    spent(3);
    for row in &rows {
        assert_eq!(std::hint::black_box(link(&row.sealed.leaf)), row.sealed.link);
    }
    spent(4);
    for row in &mut rows {
        let text = entry_text(ORIGIN, row.position, &row.sealed.link);
        row.sealed.signature = ledger_key.sign(text.as_bytes());
        row.sealed.kid = ledger_key.public().kid().to_owned();
    }
    spent(5);
    let [_, _, _, canonicalise, hash, _] = &mut costs;
    *canonicalise -= *hash;
    for cost in &mut costs {
        *cost /= rows.len() as f64;
    }
    finish(maker, costs, rows, &filings)
}

/// The same on every core at once, without what is made: the mean of the threads.
pub fn on_all_cores(
    maker: &Maker,
    texts: &[String],
    register: &Arc<Register>,
    head: Head,
) -> Costs {
    let costs: Vec<Costs> = std::thread::scope(|scope| {
        let one = || run(maker, texts, register, head).costs;
        let threads: Vec<_> = (0..cores()).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().expect("stages do not panic")).collect()
    });
    std::array::from_fn(|stage| costs.iter().map(|c| c[stage]).sum::<f64>() / costs.len() as f64)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Entries a second if every core did nothing but the stages and this commit.
pub fn ceiling(costs: &Costs, commit_us: f64) -> f64 {
    cores() as f64 * 1e6 / (costs.iter().sum::<f64>() + commit_us)
}

pub fn medians(all: &[Costs]) -> Costs {
    std::array::from_fn(|stage| {
        let mut costs: Vec<f64> = all.iter().map(|costs| costs[stage]).collect();
        costs.sort_by(f64::total_cmp);
        costs[costs.len() / 2]
    })
}

fn finish(maker: &Maker, costs: Costs, entries: Vec<EntryRow>, filings: &[Arc<Filing>]) -> Made {
    let items = usize::try_from(maker.items()).expect("64 bits");
    let first = |filing: usize| entries[filing * items].position;
    let mut disclosures = Vec::new();
    let mut rows = Vec::new();
    for (number, filing) in filings.iter().enumerate() {
        for (item, at) in filing.items.iter().zip(first(number).0..) {
            disclosures.extend(item.disclosures.iter().map(|&index| {
                let disclosure = &filing.disclosures[index];
                let digest = base64url_decode(disclosure.digest_str()).expect("base64url");
                let digest = Hash32(digest.try_into().expect("32 bytes"));
                let encoded = disclosure.encoded().to_owned();
                DisclosureRow { position: Position(at), digest, encoded }
            }));
        }
        rows.push(FilingRow {
            first_position: first(number),
            items: items as u32,
            digest: filing.digest,
            iss: filing.iss.clone(),
            jti: filing.jti.clone(),
            jwt: filing.jwt.clone(),
        });
    }
    let leaf = &entries[entries.len() - 1].sealed.leaf;
    let leaf: serde_json::Value = serde_json::from_slice(leaf).expect("a leaf is JSON");
    Made { costs, event: leaf["event"].clone(), entries, filings: rows, disclosures }
}

impl Made {
    /// Bytes of an entry, its share of a filing, and its disclosure.
    pub fn bytes_an_entry(&self) -> usize {
        let leaves: usize = self.entries.iter().map(|e| e.sealed.leaf.len()).sum();
        let filings: usize = self.filings.iter().map(|f| f.jwt.len()).sum();
        let disclosures: usize = self.disclosures.iter().map(|d| d.encoded.len() + 32).sum();
        (leaves + filings + disclosures) / self.entries.len()
    }

    /// The rows as batches of about so many entries, whole filings each.
    pub fn batches(mut self, head: Head, entries: usize) -> Vec<Batch> {
        let per_filing = self.entries.len() / self.filings.len();
        let mut batches = Vec::new();
        let mut expected = head;
        while !self.filings.is_empty() {
            let filings = (entries / per_filing).max(1).min(self.filings.len());
            let taken: Vec<EntryRow> = self.entries.drain(..filings * per_filing).collect();
            let last = taken.last().expect("a filing has items");
            let after = Head { size: TreeSize(last.position.0 + 1), link: last.sealed.link };
            let until = last.position;
            let kept = self.disclosures.iter().take_while(|d| d.position <= until).count();
            batches.push(Batch {
                expected,
                entries: taken,
                filings: self.filings.drain(..filings).collect(),
                disclosures: self.disclosures.drain(..kept).collect(),
                erased: Vec::new(),
            });
            expected = after;
        }
        batches
    }
}
