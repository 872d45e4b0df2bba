//! Filings to measure with, made fast enough to keep a ledger busy beside their making.
//!
//! One filing of each shape is signed the ordinary way; the others are that text with new
//! digests and a new `jti`, signed again. What a ledger then reads differs in nothing from
//! what parties sign.

use std::sync::Arc;

use greffe_domain::encoding::{base64url, base64url_decode};
use greffe_domain::key::{SecretKey, simulated_party_key};
use greffe_tests::signing::{access, declaration, sign};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Accesses about each subject.
const EACH: u64 = 50;
/// Subjects among whom a million accesses are spread. The next million is about others: a
/// ledger that grows knows more people, and not more of each.
const SUBJECTS: u64 = 20_000;
/// Processings that are accessed.
pub const PROCESSINGS: u64 = 4;
/// Sites whose people are accessed.
pub const SITES: u64 = 50;
/// Items of a filing that is not signed one by one.
pub const BATCH: u64 = 100;

/// A number no other filing of the bench has stands here until the filing is made.
const JTI: &str = "mesure-00000000-000000000000";

pub fn subject(n: u64) -> [u8; 32] {
    let others = n / (SUBJECTS * EACH) * SUBJECTS;
    *blake3::hash(&(others + n % SUBJECTS).to_le_bytes()).as_bytes()
}

pub fn processing(n: u64) -> String {
    format!("suivi-{}", n % PROCESSINGS)
}

pub fn site(n: u64) -> String {
    format!("site-{:02}", n % SITES)
}

/// What must be recorded before the accesses: the processings they are to.
pub fn declarations() -> Vec<String> {
    let declare = |n| {
        let name = processing(n);
        let body = declaration(&name, &["R-CPAM"]);
        sign("caisse", "processing.declare", Some("2020"), body, &format!("declare {name}"))
    };
    (0..PROCESSINGS).map(declare).collect()
}

fn body(n: u64) -> Value {
    let mut body = access(&processing(n), "caisse", "R-CPAM", subject(n));
    body["recipient"]["site"] = serde_json::json!({"id": site(n)});
    body
}

/// One shape of filing.
struct Template {
    header: String,
    payload: String,
    /// Digests of its disclosures, in the order in which their items come.
    digests: Vec<String>,
}

/// Makes filings of `items` accesses each; clones share the shapes.
#[derive(Clone)]
pub struct Maker {
    shapes: Arc<Vec<Template>>,
    key: SecretKey,
    items: u64,
}

impl Maker {
    pub fn new(items: u64) -> Self {
        // A filing of many has every site and processing in it; of one, each has its own shape.
        let shapes = if items == 1 { SITES * PROCESSINGS } else { 1 };
        let template = |n: u64| {
            let body = match items {
                1 => body(n),
                many => (0..many).map(body).collect(),
            };
            let text = sign("caisse", "access.report", Some("2026"), body, JTI);
            let mut parts = text.trim_end_matches('~').split('~');
            let mut jwt = parts.next().expect("a signed part").split('.');
            let header = jwt.next().expect("a header").to_owned();
            let payload = base64url_decode(jwt.next().expect("a payload")).expect("base64url");
            let digests: Vec<String> =
                parts.map(|d| base64url(&Sha256::digest(d.as_bytes()))).collect();
            assert_eq!(digests.len() as u64, items, "an access conceals its one subject");
            let payload = String::from_utf8(payload).expect("JSON");
            Template { header, payload, digests }
        };
        let shapes = Arc::new((0..shapes).map(template).collect());
        Self { shapes, key: simulated_party_key("caisse"), items }
    }

    pub fn items(&self) -> u64 {
        self.items
    }

    /// The filing numbered `n` of a run; its subjects follow from `n`.
    pub fn make(&self, run: u32, n: u64) -> String {
        let shape = &self.shapes[usize::try_from(n).expect("64 bits") % self.shapes.len()];
        let jti = format!("mesure-{run:08}-{n:012}");
        let mut disclosures = String::with_capacity(shape.digests.len() * 120);
        let mut payload = String::with_capacity(shape.payload.len());
        let mut rest = shape.payload.as_str();
        for (item, digest) in (0..).zip(&shape.digests) {
            let salt = blake3::hash(format!("{jti} {item}").as_bytes());
            let about = base64url(&subject(n * self.items + item));
            let disclosure = format!("[\"{}\",\"{about}\"]", base64url(&salt.as_bytes()[..16]));
            let encoded = base64url(disclosure.as_bytes());
            let at = rest.find(digest.as_str()).expect("items come in order");
            payload.push_str(&rest[..at]);
            payload.push_str(&base64url(&Sha256::digest(encoded.as_bytes())));
            rest = &rest[at + digest.len()..];
            disclosures.push_str(&encoded);
            disclosures.push('~');
        }
        payload.push_str(rest);
        let payload = payload.replacen(JTI, &jti, 1);
        let signed = format!("{}.{}", shape.header, base64url(payload.as_bytes()));
        let signature = base64url(&self.key.sign(signed.as_bytes()));
        format!("{signed}.{signature}~{disclosures}")
    }

    /// Filings `from..until` of a run, made on all cores.
    pub fn many(&self, run: u32, from: u64, until: u64) -> Vec<String> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        let share = (until - from).div_ceil(cores).max(1);
        std::thread::scope(|scope| {
            let parts: Vec<_> = (0..cores)
                .map(|core| {
                    let first = (from + core * share).min(until);
                    let last = (first + share).min(until);
                    scope
                        .spawn(move || (first..last).map(|n| self.make(run, n)).collect::<Vec<_>>())
                })
                .collect();
            parts.into_iter().flat_map(|part| part.join().expect("making ends")).collect()
        })
    }
}
