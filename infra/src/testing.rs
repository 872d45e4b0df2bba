//! Ledgers to test with: a simulated one on any store, its parties, and filings signed for it.
//!
//! For tests and benches only (feature `contract`). Every key is derived from its party's
//! name and every salt from its filing's `jti`, so that a run can be repeated byte for byte.

pub mod cluster;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use greffe_domain::date::Timestamp;
use greffe_domain::encoding::base64url;
use greffe_domain::event::{ClockKind, LedgerOpened};
use greffe_domain::key::{SecretKey, enrolment_text, simulated_party_key};
use greffe_domain::kind::Kind;
use greffe_domain::sdjwt::{self, Disclosure, PathStep};
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::ledger::{Ledger, OpenError, open_ledger};
use crate::store::Store;

/// Name of every ledger opened here.
pub const ORIGIN: &str = "essai.greffe.example/absences";
pub const REGISTRAR: &str = "greffe";
/// When they are opened, and the `iat` of filings that name none. Seconds.
pub const OPENED: i64 = 1_600_000_000;

/// Party id, and the roles it is registered with.
pub const PARTIES: [(&str, &[&str]); 7] = [
    ("cnil", &["regulator"]),
    ("cnamts", &["controller"]),
    ("press-archive", &["observer"]),
    ("employer-1", &["employer"]),
    ("works-council-1", &["works-council"]),
    ("desk-1", &["subject-desk"]),
    ("court-1", &["court"]),
];

pub fn ledger_key() -> SecretKey {
    simulated_party_key("ledger")
}

/// Opens the ledger on a store, and writes its position 0 if the store is empty.
pub async fn open(store: Arc<dyn Store>) -> Result<Ledger, OpenError> {
    open_with(store, ClockKind::Simulated, Clock::System).await
}

/// The same with a clock: `Real` needs one that the test sets.
pub async fn open_with(
    store: Arc<dyn Store>,
    kind: ClockKind,
    clock: Clock,
) -> Result<Ledger, OpenError> {
    if store.head().await?.size.0 == 0 {
        let opened = LedgerOpened {
            origin: store.origin().to_owned(),
            ledger_key: ledger_key().public().clone(),
            registrar: REGISTRAR.to_owned(),
            registrar_key: simulated_party_key(REGISTRAR).public().clone(),
            clock: kind,
            opened_at: Timestamp::from_unix_seconds(OPENED),
        };
        open_ledger(&*store, &ledger_key(), opened).await?;
    }
    Ledger::start(store, clock, ledger_key(), [7; 32], None).await
}

/// A filing before it is signed.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The payload; 🔒 values in clear.
    pub payload: Value,
    /// Who signs; `iss` unless a test says otherwise.
    pub signer: String,
}

/// Completes `{iss, kind, at?, evidence?, reference?, body}` with `aud`, `iat`, a fresh `jti`
/// and `_sd_alg`; whatever it already names stays.
pub fn draft(filing: Value) -> Draft {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut payload = filing;
    let signer = payload["iss"].as_str().expect("`iss` is a text").to_owned();
    let members = payload.as_object_mut().expect("a filing is an object");
    let jti = || format!("essai-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    members.entry("aud").or_insert_with(|| ORIGIN.into());
    members.entry("iat").or_insert_with(|| OPENED.into());
    members.entry("jti").or_insert_with(|| jti().into());
    members.entry("evidence").or_insert_with(|| "act".into());
    members.entry("_sd_alg").or_insert_with(|| "sha-256".into());
    Draft { payload, signer }
}

impl Draft {
    /// The payload as it is signed, and its disclosures.
    pub fn concealed(&self) -> (Value, Vec<Disclosure>) {
        let kind = self.payload["kind"].as_str().and_then(Kind::parse);
        let concealed = |path: &[PathStep<'_>]| match (kind, path) {
            (Some(kind), [PathStep::Member("body"), PathStep::Index(_), rest @ ..])
            | (Some(kind), [PathStep::Member("body"), rest @ ..]) => kind.is_concealed(rest),
            _ => false,
        };
        let jti = self.payload["jti"].to_string();
        let mut drawn = 0_u64;
        let mut salt = || {
            drawn += 1;
            let hash = blake3::hash(format!("{jti} {drawn}").as_bytes());
            hash.as_bytes()[..16].try_into().expect("16 bytes of 32")
        };
        sdjwt::conceal(self.payload.clone(), &concealed, &mut salt)
    }

    /// The compact text, as submitted.
    pub fn sign(&self) -> String {
        let (payload, disclosures) = self.concealed();
        seal(&payload, &disclosures, &simulated_party_key(&self.signer))
    }
}

/// Signs a payload just as it stands.
pub fn seal(payload: &Value, disclosures: &[Disclosure], key: &SecretKey) -> String {
    sdjwt::compact(&sdjwt::sign(payload, sdjwt::TYP_FILING, key), disclosures)
}

/// [`draft`] and sign.
pub fn sign(filing: Value) -> String {
    draft(filing).sign()
}

/// Proof that the holder of `key` enrols it for a party.
pub fn proof(party: &str, key: &SecretKey) -> String {
    base64url(&key.sign(enrolment_text(ORIGIN, party, key.public().kid()).as_bytes()))
}

pub fn party_register(party: &str, roles: &[&str]) -> Value {
    let key = simulated_party_key(party);
    json!({"iss": REGISTRAR, "kind": "party.register", "body": {
        "party": party, "name": party, "roles": roles, "key": key.public().to_jwk(),
        "proof": proof(party, &key),
    }})
}

/// The declaration of a processing by `iss`, of one purpose and one category.
pub fn declaration(iss: &str, processing: &str) -> Value {
    json!({"iss": iss, "kind": "processing.declare", "at": "2015-01-01", "body": {
        "processing": processing, "controller": iss, "title": "Suivi des absences",
        "purposes": [{"code": "PUR-CASE-MGMT", "main": true}],
        "categories": [{"code": "EMP-IDENTITY"}], "subjects": ["Assurés"],
        "recipients": [{"role": "R-EMPLOYER-HR"}], "legal_basis": ["LIL7-3"],
    }})
}

/// An access reported by `iss` to `employer-1`, about one person.
pub fn access(iss: &str, processing: &str, subject: u64) -> Value {
    json!({"iss": iss, "kind": "access.report", "at": "2016-03-04", "body": access_body(processing, subject)})
}

/// The body of [`access`].
pub fn access_body(processing: &str, subject: u64) -> Value {
    let subject = base64url(blake3::hash(&subject.to_be_bytes()).as_bytes());
    json!({
        "processing": processing, "purpose": "PUR-CASE-MGMT", "categories": ["EMP-IDENTITY"],
        "recipient": {"party": "employer-1", "role": "R-EMPLOYER-HR"},
        "basis": {"codes": ["LIL7-3"]}, "subjects": [subject], "channel": "portal",
    })
}

/// Registers [`PARTIES`] and declares the processing `suivi` for `cnamts`.
pub async fn settle(ledger: &Ledger) {
    let mut filings: Vec<String> =
        PARTIES.iter().map(|(party, roles)| sign(party_register(party, roles))).collect();
    filings.push(sign(declaration("cnamts", "suivi")));
    ledger.submit_all(&filings).await.expect("parties and a declaration are recorded");
}
