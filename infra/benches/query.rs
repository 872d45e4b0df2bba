//! How fast the projections fill, and how long who-saw-what takes: `cargo bench -p
//! greffe-infra --bench query -- [accesses] [directory]`.
//!
//! Accesses of one person each, five a person, given straight to `Projections::apply` as
//! leaves and disclosures: nothing is signed, judged or read from a ledger. The rate covers
//! reading the leaves and writing the rows.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use greffe_domain::date::Timestamp;
use greffe_domain::encoding::{Hash32, base64url};
use greffe_domain::kind::{EventType, Kind, StreamType};
use greffe_domain::register::Register;
use greffe_domain::rules::CURRENT;
use greffe_domain::sdjwt;
use greffe_domain::seal::{FilingRef, Position, SealedEntry, StreamRef};
use greffe_domain::subject::SubjectRef;
use greffe_infra::projection::{
    AccessFilter, AuditFilter, FindingFilter, PROJECTIONS_FILE, Projections,
};
use greffe_infra::store::{DisclosureRow, EntryRow};
use serde_json::json;

const ORIGIN: &str = "bench.greffe.example/query";
const BATCH: u64 = 8_192;
const ACCESSES_PER_PERSON: u64 = 5;
const QUERIES: u64 = 2_000;

fn random(seed: u64) -> [u8; 32] {
    *blake3::hash(&seed.to_le_bytes()).as_bytes()
}

fn person(position: u64, people: u64) -> SubjectRef {
    let seed = random(position);
    let drawn = u64::from_le_bytes(*seed.first_chunk().expect("32 bytes")) % people;
    SubjectRef(random(drawn ^ 0x5eed << 40))
}

fn access(position: u64, people: u64) -> (EntryRow, DisclosureRow) {
    let purpose = ["PUR-EMPLOYER-AWARENESS", "PUR-ABSENCE-BENCHMARK"][(position / 7 % 2) as usize];
    let verdict = ["COVERED", "NOT-COVERED"][(position % 2) as usize];
    let body = json!({
        "processing": format!("processing-{}", position % 7),
        "purpose": purpose,
        "categories": ["ABS-FACT", "ABS-DURATION"],
        "recipient": {
            "party": format!("employer-{}", position % 997),
            "role": "R-EMPLOYER-HR",
            "site": {"id": format!("site-{}", position % 10_007)},
        },
        "discloser": "caisse",
        "basis": {"codes": ["A6-1-E"]},
        "subjects": [person(position, people).to_string()],
        "channel": "portal",
    });
    let mut salt = || *random(position ^ 1 << 63).first_chunk().expect("32 bytes");
    let (body, disclosures) =
        sdjwt::conceal(body, &|path| Kind::AccessReport.is_concealed(path), &mut salt);
    let finding = |code: &str, severity: &str| {
        json!({
            "code": code, "severity": severity, "evidence": "NOT-EVIDENCED", "positions": [1, 2],
            "source": "loi 78-17 art. 15",
        })
    };
    let all: Vec<&str> = greffe_domain::vocabulary::RuleCode::all().map(|c| c.as_str()).collect();
    let findings: Vec<_> = (0..4)
        .map(|n| {
            let code = all[(position as usize + n * 13) % all.len()];
            finding(code, "MAJOR")
        })
        .collect();
    let leaf = json!({
        "event": {
            "type": "AccessRecorded", "version": 1,
            "data": {
                "at": {"earliest": "2005-03-01", "latest": "2005-03-31", "text": "2005-03"},
                "body": body, "evidence": "act", "iss": "caisse", "kind": "access.report",
                "verdict": {
                    "verdict": verdict,
                    "findings": findings, "basis": [3], "regime": "LIL-2004", "judged_at": position,
                },
            },
        },
        "nonce": base64url(&salt()), "origin": ORIGIN, "position": position, "v": 1,
        "rulebook": CURRENT.version,
    });
    let row = EntryRow {
        position: Position(position),
        sealed: SealedEntry {
            leaf: serde_json::to_vec(&leaf).expect("JSON"),
            link: Hash32(random(position)),
            signature: [0; 64],
            kid: String::new(),
        },
        filing: Some(FilingRef { digest: Hash32(random(position)), item: 0 }),
        stream: StreamRef { id: position.to_string(), kind: StreamType::Access, version: 1 },
        event_type: EventType::AccessRecorded,
        time: Timestamp::from_unix_seconds(1_100_000_000 + position as i64),
    };
    let digest: [u8; 32] = greffe_domain::encoding::base64url_decode(disclosures[0].digest_str())
        .and_then(|d| d.try_into().ok())
        .expect("a digest");
    let encoded = disclosures[0].encoded().to_owned();
    (row, DisclosureRow { position: Position(position), digest: Hash32(digest), encoded })
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let accesses: u64 = arguments.next().map_or(100_000, |a| a.parse().expect("accesses"));
    let directory = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = tempfile::tempdir_in(directory).expect("a directory");
    let path = directory.path().join(PROJECTIONS_FILE);
    let projections = Arc::new(Projections::open(&path).expect("projections"));
    let people = (accesses / ACCESSES_PER_PERSON).max(1);
    let register = Register::new();
    // Only accesses are applied, and no access has another judged again.
    let none = |_: &[Position]| Ok((Vec::new(), Vec::new()));

    let (mut total, mut spent, mut count) = (Duration::ZERO, Duration::ZERO, 0);
    let mut from = 0;
    while from < accesses {
        let until = (from + BATCH).min(accesses);
        let (rows, disclosures): (Vec<_>, Vec<_>) =
            (from..until).map(|position| access(position, people)).unzip();
        let start = Instant::now();
        projections.apply(ORIGIN, rows, disclosures, &register, &none).expect("a batch");
        spent += start.elapsed();
        total += start.elapsed();
        count += until - from;
        from = until;
        if count * 10 >= accesses || from == accesses {
            println!("{from:>9} accesses: {:>7.0} entries/s", count as f64 / spent.as_secs_f64());
            (spent, count) = (Duration::ZERO, 0);
        }
    }
    println!("fill: {:.0} entries/s", accesses as f64 / total.as_secs_f64());
    let bytes: u64 = std::fs::read_dir(directory.path())
        .expect("a directory")
        .map(|file| file.expect("a file").metadata().expect("its size").len())
        .sum();
    println!("{} bytes per access on disk, log included", bytes / accesses);

    let runtime = tokio::runtime::Builder::new_multi_thread().build().expect("a runtime");
    let time = |name: &str, queries: u64, ask: &dyn Fn(u64) -> usize| {
        let mut waits = Vec::new();
        let mut items = 0;
        for n in 0..queries {
            let start = Instant::now();
            items += ask(n);
            waits.push(start.elapsed());
        }
        waits.sort_unstable();
        println!(
            "{name}: p50 {:?}, p99 {:?} ({:.1} items a page)",
            waits[waits.len() / 2],
            waits[waits.len() * 99 / 100],
            items as f64 / queries as f64
        );
    };
    let ask = |filter: AccessFilter| {
        runtime.block_on(projections.accesses(filter)).expect("a page").items.len()
    };
    let some = |text: String| Some(text);
    time("accesses by subject", QUERIES, &|n| {
        let subject = Some(person(n * 7_919 % accesses, people));
        ask(AccessFilter { subject, limit: 100, ..AccessFilter::default() })
    });
    time("accesses by site", QUERIES, &|n| {
        let site = some(format!("site-{}", n * 31 % 10_007));
        ask(AccessFilter { site, limit: 100, ..AccessFilter::default() })
    });
    time("accesses by party, from the middle", QUERIES, &|n| {
        let party = some(format!("employer-{}", n % 997));
        ask(AccessFilter {
            party,
            cursor: Some(accesses / 2),
            limit: 100,
            ..AccessFilter::default()
        })
    });
    time("accesses by processing and verdict", 200, &|n| {
        ask(AccessFilter {
            processing: some(format!("processing-{}", n % 7)),
            verdict: some("COVERED".to_owned()),
            limit: 100,
            ..AccessFilter::default()
        })
    });
    time("accesses by two lists that never meet", 3, &|_| {
        ask(AccessFilter {
            verdict: some("COVERED".to_owned()),
            category: some("ABS-FACT".to_owned()),
            purpose: some("PUR-EMPLOYER-AWARENESS".to_owned()),
            to: greffe_domain::date::LegalDate::from_ymd(2004, 1, 1),
            limit: 100,
            ..AccessFilter::default()
        })
    });
    time("findings of a code", 200, &|n| {
        let code = greffe_domain::vocabulary::RuleCode::all()
            .nth(n as usize % 58)
            .map(|c| c.as_str().to_owned());
        let filter = FindingFilter { code, limit: 100, ..FindingFilter::default() };
        runtime.block_on(projections.findings(filter)).expect("a page").items.len()
    });
    time("audit, a text that is nowhere", 3, &|_| {
        let filter =
            AuditFilter { q: some("nowhere".to_owned()), limit: 100, ..AuditFilter::default() };
        runtime.block_on(projections.audit(filter)).expect("a page").items.len()
    });
    time("counts", 200, &|_| runtime.block_on(projections.stats()).expect("counts").events.len());
}
