//! How soon a page's first byte is there, on a register of many entries:
//!
//! `cargo bench -p greffe-tests --bench pages -- [ENTRIES]` (default 100,000)
//!
//! The demonstration's ledger (embedded store, documented cases) is grown to ENTRIES: one in
//! six declares, decides, launches or enrols, the rest are accesses. Each page is then asked for
//! by one reader, one request after the other, in turn with `/healthz`, which tells what the
//! machine and the connection cost. Prints a table of medians, 99th percentiles and weights,
//! and says what is above the limits of docs/performance.md.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use greffe::sign::{Draft, Stamp};
use greffe_domain::encoding::base64url;
use greffe_domain::key::{enrolment_text, simulated_party_key};
use greffe_infra::ledger::Ledger;
use greffe_tests::browser::Browser;
use greffe_tests::server::Server;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const FUND: &str = "fund-invented";
/// Other controllers, among whom processings are spread.
const FUNDS: u64 = 200;
/// Processings of one controller, which has the heaviest page of a party.
const OWN_PROCESSINGS: u64 = 2_000;
/// Sites of one experiment, which has the heaviest page of an experiment.
const SITES: u64 = 1_000;
/// Accesses about the demonstration's citizen.
const OWN_ACCESSES: u64 = 60;
const CITIZEN: &str = "MHV5zDsVw4Ib6gxEK5sCqqbc8OmTdyrbxbVGDybL2ls";
/// The clock of the entries added: after those of the documented cases.
const NOW_S: i64 = 1_800_000_000;
const BATCH: u64 = 100;
const REQUESTS: usize = 200;
const WARM_UP: usize = 5;

/// What a page may take to its first byte, and weigh.
const FIRST_BYTE: Duration = Duration::from_millis(10);
const WEIGHT: usize = 100_000;

fn signed(origin: &str, iss: &str, kind: &str, at: &str, body: Value, jti: &str) -> String {
    let draft = json!({"iss": iss, "kind": kind, "at": at, "evidence": "act", "body": body});
    let draft = Draft::from_value(draft).expect("a filing's shape");
    let mut drawn = 0u64;
    let mut salts = || {
        drawn += 1;
        let seed = blake3::hash(format!("{jti} {drawn}").as_bytes());
        seed.as_bytes()[..16].try_into().expect("16 of 32 bytes")
    };
    let stamp = Stamp { aud: origin, iat: NOW_S, jti };
    draft.sign(&stamp, &mut salts, &simulated_party_key(iss))
}

fn fund(n: u64) -> String {
    format!("caisse-{n}")
}

/// Who declares the processing of that number.
fn controller(n: u64) -> String {
    if n < OWN_PROCESSINGS { FUND.to_owned() } else { fund(n % FUNDS) }
}

fn processing(n: u64) -> String {
    format!("suivi-{n}")
}

fn declaration(n: u64) -> Value {
    json!({
        "processing": processing(n), "title": format!("Suivi des arrêts de travail, caisse n° {n}"),
        "purposes": [{"code": "PUR-CASE-MGMT", "main": true}],
        "categories": [{"code": "REINTEGRATION-PLAN"}, {"code": "EMP-IDENTITY"}],
        "subjects": ["Assurés"], "recipients": [{"role": "R-CASE-MANAGER"}],
        "legal_basis": ["A6-1-E"],
    })
}

/// The access of that number, to one of the processings of one controller.
fn access(n: u64, of: u64) -> Value {
    let subject = match n < OWN_ACCESSES {
        true => CITIZEN.to_owned(),
        false => base64url(blake3::hash(&(n % 20_000).to_le_bytes()).as_bytes()),
    };
    json!({
        "processing": processing(of), "purpose": "PUR-CASE-MGMT",
        "categories": ["REINTEGRATION-PLAN", "EMP-IDENTITY"],
        "recipient": {"party": FUND, "role": "R-CASE-MANAGER"}, "discloser": controller(of),
        "basis": {"codes": ["LIL7-3", "A6-1-E"]}, "subjects": [subject], "channel": "portal",
    })
}

/// Filings of at most a hundred facts of one author and kind.
struct Filings {
    origin: String,
    texts: Vec<String>,
}

impl Filings {
    fn add(&mut self, iss: &str, kind: &str, at: &str, bodies: impl Iterator<Item = Value>) {
        let bodies: Vec<Value> = bodies.collect();
        for chunk in bodies.chunks(BATCH as usize) {
            let jti = format!("pages {}", self.texts.len());
            let body = Value::Array(chunk.to_vec());
            self.texts.push(signed(&self.origin, iss, kind, at, body, &jti));
        }
    }

    /// Records what was added, many waiting at once.
    async fn record(&mut self, ledger: &Ledger) {
        let permits = Arc::new(Semaphore::new(64));
        let mut tasks = JoinSet::new();
        let at = self.texts.len();
        for text in &mut self.texts[..at] {
            let text = std::mem::take(text);
            if text.is_empty() {
                continue;
            }
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
    }
}

async fn grow(data: &Path, entries: u64) {
    let ledger = Ledger::open(data).await.expect("opens");
    let origin = ledger.origin().to_owned();
    let mut filings = Filings { origin: origin.clone(), texts: Vec::new() };
    for n in 0..FUNDS {
        let id = fund(n);
        let key = simulated_party_key(&id);
        let proof = key.sign(enrolment_text(&origin, &id, key.public().kid()).as_bytes());
        let body = json!({
            "party": id, "name": format!("Caisse n° {n} (inventée)"), "roles": ["controller"],
            "key": key.public().to_jwk(), "proof": base64url(&proof),
        });
        filings.add("greffe", "party.register", "2010", std::iter::once(body));
    }
    filings.record(&ledger).await;
    let processings = (entries / 10).max(OWN_PROCESSINGS + FUNDS);
    let of = |n: u64| move |p: &u64| controller(*p) == fund(n);
    filings.add(FUND, "processing.declare", "2012", (0..OWN_PROCESSINGS).map(declaration));
    for n in 0..FUNDS {
        let own = (OWN_PROCESSINGS..processings).filter(of(n)).map(declaration);
        filings.add(&fund(n), "processing.declare", "2013", own);
    }
    filings.record(&ledger).await;
    let decided = |n: u64| {
        let outcome = if n.is_multiple_of(3) { "REFUSED" } else { "ACCEPTED" };
        json!({
            "decision": format!("deliberation-{n}"), "number": format!("2014-{n}"),
            "processing": processing(n),
            "outcomes": [{"purpose": "PUR-CASE-MGMT", "outcome": outcome}],
        })
    };
    filings.add("cnil", "decision.render", "2014", (0..processings).step_by(2).map(decided));
    let launched = |n: u64| {
        json!({
            "experiment": format!("essai-{n}"), "processing": processing(n),
            "unit": "establishment", "categories": ["EMP-IDENTITY"], "start": "2015-01",
        })
    };
    filings.add(FUND, "experiment.launch", "2015", (0..500).map(launched));
    filings.record(&ledger).await;
    let enrolled = |n: u64| {
        json!({"experiment": "essai-0", "site": {
            "id": format!("site-{n}"), "name": format!("Établissement n° {n}"), "headcount": 250,
        }})
    };
    filings.add(FUND, "experiment.enrol", "2015", (0..SITES).map(enrolled));
    filings.record(&ledger).await;
    let left = entries.saturating_sub(ledger.size().0);
    let mut from = 0;
    while from < left {
        let until = (from + 20_000).min(left);
        let one = |n: u64| access(n, n * 7 % OWN_PROCESSINGS);
        filings.add(FUND, "access.report", "2016-03", (from..until).map(one));
        filings.record(&ledger).await;
        from = until;
    }
    println!("{} entries, {processings} processings", ledger.size());
    ledger.shutdown().await;
}

fn percentile(sorted: &[Duration], per_mille: usize) -> Duration {
    sorted[(sorted.len() - 1) * per_mille / 1000]
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Asks for pages as one reader; the rows above a limit.
fn measure(who: &str, browser: &mut Browser, paths: &[String]) -> Vec<String> {
    let mut above = Vec::new();
    let mut idle = Vec::new();
    for path in paths {
        let mut taken = Vec::new();
        let mut bytes = 0;
        for n in 0..WARM_UP + REQUESTS {
            let (first_byte, page) = browser.first_byte(path);
            assert_eq!(page.status, 200, "{path}: {}", page.text);
            bytes = page.text.len();
            if n < WARM_UP {
                continue;
            }
            taken.push(first_byte);
            idle.push(browser.first_byte("/healthz").0);
        }
        taken.sort_unstable();
        let (median, p99) = (percentile(&taken, 500), percentile(&taken, 990));
        println!("| {who} | `{path}` | {:.2} | {:.2} | {} |", ms(median), ms(p99), bytes / 1000);
        let file = path.contains(".ndjson");
        if p99 > FIRST_BYTE || bytes > WEIGHT && !file {
            above.push(format!(
                "{who} {path}: {:.1} ms, p99 {:.1} ms, {bytes} bytes",
                ms(median),
                ms(p99)
            ));
        }
    }
    idle.sort_unstable();
    let (median, p99) = (percentile(&idle, 500), percentile(&idle, 990));
    println!("| {who} | `/healthz` | {:.2} | {:.2} | 0 |", ms(median), ms(p99));
    above
}

fn main() {
    let entries: u64 = std::env::args().skip(1).find_map(|a| a.parse().ok()).unwrap_or(100_000);
    let directory = tempfile::tempdir().expect("a directory");
    drop(Server::demo(directory.path()));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let started = Instant::now();
    runtime.block_on(grow(&directory.path().join("demo"), entries));
    println!("grown in {:.0} s", started.elapsed().as_secs_f64());
    let server = Server::demo(directory.path());
    let caught_up = Instant::now();
    while server.client().get("/readyz").expect("an answer").body["lag"] != 0 {
        std::thread::yield_now();
    }
    println!("lists caught up in {:.1} s", caught_up.elapsed().as_secs_f64());
    println!("\n| reader | page | median, ms | p99, ms | kB |\n|---|---|---|---|---|");

    let of = |paths: &[&str]| paths.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
    let mut above = Vec::new();
    let public = of(&[
        "/",
        "/register",
        "/register/processings",
        "/register/processings?cursor=5000",
        "/register/decisions",
        "/register/experiments",
        "/register/parties",
        "/register/processings/suivi-4",
        "/register/processings/suivi-4?as_of=2013-06-01",
        "/register/processings/suivi-4?known_at=50000",
        "/register/processings/anaiss",
        "/register/decisions/deliberation-4",
        "/register/experiments/essai-0",
        "/register/parties/fund-invented",
        "/register/parties/cnil",
        "/search?q=suivi",
        "/search?q=caisse%20n%C2%B0%201999",
        "/search?q=anaiss",
        "/search?q=nulle-part",
        "/signin",
        "/problems",
    ]);
    above.extend(measure("visitor", &mut Browser::new(server.url()), &public));
    let mut citizen = Browser::signed_in(server.url(), "citizen");
    let own = positions(&citizen.get("/me").text, "/me/accesses/");
    let mut pages = of(&["/me", "/me?site=grenoble", "/me?site=site-4"]);
    pages.extend([format!("/me/accesses/{}", own[0]), format!("/me/accesses/{}/letter", own[0])]);
    above.extend(measure("citizen", &mut citizen, &pages));
    let mut agent = Browser::signed_in(server.url(), "controller");
    let own = positions(&agent.get("/controller").text, "/controller/accesses/");
    let mut pages = of(&[
        "/controller",
        "/controller/filings",
        "/controller/accesses",
        "/controller/file/processing.declare",
        "/controller/file/access.report",
        "/controller/batch",
    ]);
    pages.push(format!("/controller/accesses/{}", own[0]));
    above.extend(measure("controller", &mut agent, &pages));
    let mut authority = Browser::signed_in(server.url(), "regulator");
    let mut pages = of(&[
        "/regulator",
        "/regulator/accesses",
        "/regulator/accesses?now=NOT-COVERED",
        "/regulator/accesses?processing=suivi-7&purpose=PUR-CASE-MGMT",
        "/regulator/accesses?verdict=COVERED&now=NOT-COVERED",
        "/regulator/findings",
        "/regulator/findings?code=SUBJECTS-NOT-INFORMED",
        "/regulator/audit",
        "/regulator/audit?type=DecisionRendered",
        "/regulator/audit?q=2014-4242",
        "/regulator/audit?q=suivi",
        "/regulator/audit?q=nulle-part",
        "/regulator/entries/30",
        "/regulator/parties/fund-invented",
        "/regulator/experiments/essai-0",
        "/regulator/dossier?of=accesses&processing=suivi-7",
    ]);
    pages.push(format!("/regulator/accesses/{}", own[0]));
    above.extend(measure("regulator", &mut authority, &pages));

    match above.is_empty() {
        true => println!("\nnothing above {} ms at p99, or {WEIGHT} bytes", FIRST_BYTE.as_millis()),
        false => println!("\nabove the limits:\n{}", above.join("\n")),
    }
}

/// Positions that a page links to, under a path.
fn positions(page: &str, under: &str) -> Vec<u64> {
    let link = format!("href=\"{under}");
    let links = page.split(&link).skip(1);
    let positions: Vec<u64> = links
        .filter_map(|link| link.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok())
        .collect();
    assert!(!positions.is_empty(), "no link to {under}");
    positions
}
