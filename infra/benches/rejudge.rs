//! What one later entry costs when a thousandth of all accesses are its business, against
//! judging every access again. `cargo bench -p greffe-infra --bench rejudge [-- ACCESSES]`
//!
//! The entries are not signed and not stored, for what is measured is reading, judging and
//! writing again; verdicts are those that the judge gives. Both sides run the same code on the
//! same projections in the same run: the later entry is the annulment of one decision, and
//! the whole is a ruling that names every access.

use std::sync::Arc;
use std::time::Instant;

use greffe_domain::date::{LegalDate, Timestamp};
use greffe_domain::encoding::{Hash32, base64url, base64url_decode};
use greffe_domain::event::Event;
use greffe_domain::key::simulated_party_key;
use greffe_domain::kind::{EventType, Kind, StreamType};
use greffe_domain::register::Register;
use greffe_domain::rules::{CURRENT, Case, judge};
use greffe_domain::sdjwt::{self, Disclosure};
use greffe_domain::seal::{FilingRef, Position, SealedEntry, StreamRef};
use greffe_infra::projection::{AccessFilter, PROJECTIONS_FILE, Projections};
use greffe_infra::store::{Disclosed, DisclosureRow, EntryRow};
use serde_json::{Value, json};

const ORIGIN: &str = "bench.greffe.example/rejudge";
const BATCH: u64 = 8_192;
const PURPOSE: &str = "PUR-CASE-MGMT";
/// Decisions, each on a processing of its own: one of them ends.
const PROCESSINGS: u64 = 1_000;

/// Everything recorded so far.
struct Made {
    register: Register,
    rows: Vec<EntryRow>,
    disclosures: Vec<Option<DisclosureRow>>,
}

impl Made {
    fn size(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Records an entry; an access is judged.
    fn record(&mut self, iss: &str, kind: Kind, event_type: EventType, at: &str, body: Value) {
        let position = self.size();
        let time = Timestamp::from_unix_seconds(1_600_000_000 + position as i64 / 10);
        let salt = *blake3::hash(&position.to_le_bytes())
            .as_bytes()
            .first_chunk::<16>()
            .expect("32 bytes");
        let (body, disclosures) =
            sdjwt::conceal(body, &|path| kind.is_concealed(path), &mut || salt);
        let interval = greffe_domain::edtf::Edtf::parse(at).expect("a date").interval();
        let mut event = json!({"type": event_type.as_str(), "version": 1, "data": {
            "at": {"earliest": interval.earliest, "latest": interval.latest, "text": at},
            "body": body, "evidence": "act", "iss": iss, "kind": kind.as_str(),
        }});
        if event_type == EventType::AccessRecorded {
            event["data"]["verdict"] = placeholder();
            let read = Event::read_disclosed(&event, &disclosures).expect("an event");
            let access = read.filed().and_then(|f| f.body.access()).expect("an access");
            let case = Case { access, days: interval, recorded: Some((position, time)) };
            let judged = judge(&CURRENT, &case, self.register.view(position));
            event["data"]["verdict"] = judged.expect("a processing").verdict.to_value();
            self.register.advance(position + 1);
        } else {
            let read = Event::read_disclosed(&event, &disclosures).expect("an event");
            self.register.apply(position, time, &read);
        }
        let leaf = json!({
            "event": event, "nonce": base64url(&salt), "origin": ORIGIN, "position": position,
            "rulebook": CURRENT.version, "v": 1,
        });
        let hash = Hash32(*blake3::hash(&position.to_be_bytes()).as_bytes());
        self.rows.push(EntryRow {
            position: Position(position),
            sealed: SealedEntry {
                leaf: serde_json::to_vec(&leaf).expect("JSON"),
                link: hash,
                signature: [0; 64],
                kid: String::new(),
            },
            filing: Some(FilingRef { digest: hash, item: 0 }),
            stream: StreamRef { id: position.to_string(), kind: StreamType::Access, version: 1 },
            event_type,
            time,
        });
        self.disclosures.push(disclosures.first().map(|d| kept(position, d)));
    }

    /// Has the projections apply what they have not. Seconds.
    fn apply(&self, projections: &Projections) -> f64 {
        let earlier = |positions: &[Position]| -> Result<Disclosed, _> {
            let index = |p: &Position| usize::try_from(p.0).expect("a position");
            let rows = positions.iter().map(|p| self.rows[index(p)].clone()).collect();
            let kept = positions.iter().filter_map(|p| self.disclosures[index(p)].clone());
            Ok((rows, kept.collect()))
        };
        let start = Instant::now();
        while projections.size().0 < self.size() {
            let from = projections.size().0;
            let batch = from as usize..(from + BATCH).min(self.size()) as usize;
            let kept: Vec<_> = self.disclosures[batch.clone()].iter().flatten().cloned().collect();
            let rows = self.rows[batch].to_vec();
            projections.apply(ORIGIN, rows, kept, &self.register, &earlier).expect("a batch");
        }
        start.elapsed().as_secs_f64()
    }
}

fn kept(position: u64, disclosure: &Disclosure) -> DisclosureRow {
    let digest = base64url_decode(disclosure.digest_str()).and_then(|d| d.try_into().ok());
    DisclosureRow {
        position: Position(position),
        digest: Hash32(digest.expect("a digest")),
        encoded: disclosure.encoded().to_owned(),
    }
}

fn placeholder() -> Value {
    json!({"verdict": "COVERED", "findings": [], "basis": [], "regime": "", "judged_at": 0})
}

fn party(made: &mut Made, id: &str, role: &str) {
    let key = simulated_party_key(id);
    let body = json!({
        "party": id, "name": id, "roles": [role], "key": key.public().to_jwk(),
        "proof": base64url(&[0; 64]),
    });
    made.record("greffe", Kind::PartyRegister, EventType::PartyRegistered, "2020", body);
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let accesses: u64 = arguments.next().map_or(100_000, |a| a.parse().expect("accesses"));
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(PROJECTIONS_FILE);
    let projections = Arc::new(Projections::open(&path).expect("projections"));
    let mut made = Made { register: Register::new(), rows: Vec::new(), disclosures: Vec::new() };
    for (id, role) in [("caisse", "controller"), ("autorite", "regulator"), ("usine", "employer")] {
        party(&mut made, id, role);
    }
    for n in 0..PROCESSINGS {
        let processing = format!("suivi-{n}");
        made.record(
            "caisse",
            Kind::ProcessingDeclare,
            EventType::ProcessingDeclared,
            "2015",
            json!({
                "processing": processing, "controller": "caisse", "title": "Suivi",
                "purposes": [{"code": PURPOSE, "main": true}],
                "categories": [{"code": "EMP-IDENTITY"}], "subjects": ["Assurés"],
                "recipients": [{"role": "R-EMPLOYER-HR"}], "legal_basis": ["A6-1-E"],
            }),
        );
        made.record(
            "caisse",
            Kind::FormalityFile,
            EventType::FormalityFiled,
            "2015",
            json!({
                "formality": format!("registre-{n}"), "processing": processing,
                "kind": "F18-30-REG", "purposes": [PURPOSE],
            }),
        );
        made.record(
            "caisse",
            Kind::InformationRecord,
            EventType::SubjectsInformed,
            "2015",
            json!({
                "processing": processing, "step": "I-NOTICE-INDIVIDUAL", "audience": "Assurés",
            }),
        );
        made.record(
            "autorite",
            Kind::DecisionRender,
            EventType::DecisionRendered,
            "2016",
            json!({
                "decision": format!("accord-{n}"), "processing": processing,
                "outcomes": [{"purpose": PURPOSE, "outcome": "ACCEPTED"}],
            }),
        );
    }
    let first = made.size();
    for n in 0..accesses {
        let subject = base64url(blake3::hash(&(n / 5).to_be_bytes()).as_bytes());
        let day = LegalDate::from_ymd(2019, 1, 1).expect("a day").add_days((n % 600) as i32);
        made.record(
            "caisse",
            Kind::AccessReport,
            EventType::AccessRecorded,
            &day.to_string(),
            json!({
                "processing": format!("suivi-{}", n % PROCESSINGS), "purpose": PURPOSE,
                "categories": ["EMP-IDENTITY"],
                "recipient": {
                    "party": "usine", "role": "R-EMPLOYER-HR",
                    "site": {"id": format!("site-{}", n % 10_007)},
                },
                "basis": {"codes": ["A6-1-E"]}, "subjects": [subject], "channel": "portal",
            }),
        );
    }
    let last = made.size();
    let filled = made.apply(&projections);
    println!("{accesses} accesses written for the first time: {filled:.1} s");

    made.record(
        "autorite",
        Kind::DecisionEnd,
        EventType::DecisionEnded,
        "2026",
        json!({
            "decision": "accord-7", "how": "ANNULLED-EX-TUNC", "effective_from": "2016",
        }),
    );
    let one = made.apply(&projections);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut touched = 0;
    let mut filter = AccessFilter {
        processing: Some("suivi-7".to_owned()),
        limit: 1_000,
        ..AccessFilter::default()
    };
    loop {
        let page = runtime.block_on(projections.accesses(filter.clone())).expect("a page");
        touched += page.items.iter().filter(|row| !row.now.changed_by.is_empty()).count();
        match page.next {
            None => break,
            next => filter.cursor = next,
        }
    }
    println!("one annulment: {touched} accesses judged again and changed, {:.1} ms", one * 1e3);

    let nothing = |made: &mut Made| {
        made.record(
            "caisse",
            Kind::ProcessingDeploy,
            EventType::SystemDeployed,
            "2026",
            json!({
                "processing": "suivi-7",
            }),
        );
        made.apply(&projections)
    };
    println!("an entry that touches nothing: {:.2} ms", nothing(&mut made) * 1e3);

    made.record(
        "autorite",
        Kind::RulingRecord,
        EventType::CourtRuling,
        "2026",
        json!({
            "ruling": "tous", "court": "Tribunal", "outcome": "COURT-LAWFUL", "establishes": [],
            "accesses": (first..last).collect::<Vec<u64>>(),
        }),
    );
    let all = made.apply(&projections);
    println!("every access judged again: {all:.2} s");
    println!("ratio {:.5}", one / all);
}
