//! An invented affair that grows to any size: declared, authorised, deployed, then one
//! access after the other, with agreements, objections, contestations and erasures among
//! them. Every party, number and person is invented. Deterministic.

use greffe_domain::encoding::base64url;
use greffe_domain::event::ClockKind;
use greffe_domain::kind::Kind;
use greffe_domain::rules::{CURRENT, Rulebook};
use serde_json::{Value, json};

use crate::ledger::{Draft, TestLedger};

pub const ORIGIN: &str = "registre.example/verification";
pub const FUND: &str = "fund-invented";
pub const AUTHORITY: &str = "authority-invented";
pub const EMPLOYER: &str = "employer-invented";
pub const COUNCIL: &str = "works-council-invented";
pub const DESK: &str = "desk-invented";
pub const COURT: &str = "court-invented";
pub const PROCESSING: &str = "accompagnement-invente";
pub const DECISION: &str = "deliberation-inventee";

/// Reference to the `n`th invented person.
pub fn subject(n: u64) -> String {
    base64url(&blake3_of(n))
}

fn blake3_of(n: u64) -> [u8; 32] {
    blake3::derive_key("greffe tests subject", &n.to_le_bytes())
}

/// An access of the fund's case managers to the plans of these persons.
pub fn access(subjects: &[u64]) -> Value {
    let subjects: Vec<String> = subjects.iter().map(|n| subject(*n)).collect();
    json!({
        "processing": PROCESSING, "purpose": "PUR-CASE-MGMT",
        "categories": ["REINTEGRATION-PLAN", "EMP-IDENTITY"],
        "recipient": {"party": FUND, "role": "R-CASE-MANAGER"}, "discloser": FUND,
        "identifiability": "NOMINATIVE", "basis": {"codes": ["LIL7-3", "LIL8-DEROG"]},
        "subjects": subjects, "channel": "portal",
    })
}

/// The same to their employer's management, which the authorisation does not cover.
pub fn access_by_employer(subjects: &[u64]) -> Value {
    let mut body = access(subjects);
    body["recipient"] = json!({"party": EMPLOYER, "role": "R-EMPLOYER-HR"});
    body["categories"] = json!(["REINTEGRATION-PLAN"]);
    body
}

/// The same by the fund, about a group of one of its own sites instead of persons.
pub fn access_to_cohort(site: &str) -> Value {
    let mut body = access(&[]);
    let members = body.as_object_mut().expect("an access is an object");
    members.remove("subjects");
    members["recipient"]["site"] = json!({"id": site});
    body["cohort"] = json!({"headcount": 412, "units": [site], "cells": []});
    body
}

/// A later authorisation than that of [`opened`], with a last day.
pub fn authorise_until(ledger: &mut TestLedger, until: &str) {
    let body = json!({
        "decision": "deliberation-a-terme-inventee", "processing": PROCESSING, "until": until,
        "outcomes": [{"purpose": "PUR-CASE-MGMT", "outcome": "ACCEPTED"}],
    });
    let draft = Draft::act(AUTHORITY, Kind::DecisionRender, body).at("2011-08-15");
    ledger.file(&draft).expect("a decision of the authority");
}

/// Body of `statement.record` about the processing, with a concealed text.
pub fn statement(text: &str) -> Value {
    json!({
        "about": {"type": "processing", "id": PROCESSING},
        "claims": [{"fact": "SUBJECT-OBJECTED", "holds": false, "text": text}],
    })
}

/// A ledger with its parties, an authorised processing, and no access yet.
pub fn opened(clock: ClockKind) -> TestLedger {
    opened_under(&CURRENT, clock)
}

/// The same, judged under these rules.
pub fn opened_under(rulebook: &'static Rulebook, clock: ClockKind) -> TestLedger {
    let mut ledger = TestLedger::open_under(rulebook, ORIGIN, clock);
    for (party, role) in [
        (FUND, "controller"),
        (AUTHORITY, "regulator"),
        (EMPLOYER, "employer"),
        (COUNCIL, "works-council"),
        (DESK, "subject-desk"),
        (COURT, "court"),
    ] {
        ledger.register_party(party, &[role]);
    }
    let mut act = |iss, kind, at: &str, body| {
        ledger.pass_seconds(60);
        ledger.file(&Draft::act(iss, kind, body).at(at)).expect("a filing the affair allows");
    };
    act(
        FUND,
        Kind::ProcessingDeclare,
        "2011-06-01",
        json!({
            "processing": PROCESSING, "controller": FUND,
            "title": "Accompagnement du retour au travail (inventé)",
            "purposes": [{"code": "PUR-CASE-MGMT", "main": true}],
            "categories": [{"code": "REINTEGRATION-PLAN"}, {"code": "EMP-IDENTITY"}],
            "subjects": ["Salariés accompagnés (inventé)"],
            "recipients": [{"role": "R-CASE-MANAGER"}], "legal_basis": ["LIL7-3"],
            "special_basis": ["LIL8-DEROG"], "monitors_staff": false,
            "identifiability": "NOMINATIVE", "high_risk": false,
        }),
    );
    act(
        FUND,
        Kind::FormalityFile,
        "2011-06-10",
        json!({
            "formality": "autorisation-inventee", "processing": PROCESSING,
            "kind": "F04-25-AUT", "number": "inventé-2011-1", "purposes": ["PUR-CASE-MGMT"],
        }),
    );
    act(
        COUNCIL,
        Kind::WorksCouncilOpine,
        "2011-07-01",
        json!({
            "processing": PROCESSING, "opinion": "favourable",
            "on": "Mise en œuvre de l’accompagnement (inventé)",
        }),
    );
    act(
        AUTHORITY,
        Kind::FormalityAcknowledge,
        "2011-07-05",
        json!({"formality": "autorisation-inventee", "number": "inventé-2011-1"}),
    );
    act(
        AUTHORITY,
        Kind::DecisionRender,
        "2011-08-01",
        json!({
            "decision": DECISION, "number": "inventé-2011-2",
            "formality": "autorisation-inventee", "processing": PROCESSING,
            "outcomes": [{"purpose": "PUR-CASE-MGMT", "outcome": "ACCEPTED"}],
        }),
    );
    act(
        FUND,
        Kind::InformationRecord,
        "2011-08-20",
        json!({
            "processing": PROCESSING, "step": "I-NOTICE-INDIVIDUAL",
            "audience": "Salariés accompagnés (inventé)", "means": "Lettre individuelle",
        }),
    );
    act(FUND, Kind::ProcessingDeploy, "2011-09-01", json!({"processing": PROCESSING}));
    ledger
}

/// Adds one filing, the `n`th of a varied round; some are batches.
pub fn grow(ledger: &mut TestLedger, n: u64) {
    ledger.pass_seconds(61);
    let day = ledger.now().date().to_string();
    let batch = |first: u64, count: u64| -> Value {
        (first..first + count).map(|i| access(&[i % 97])).collect()
    };
    let draft = match n % 20 {
        3 => Draft::act(EMPLOYER, Kind::AccessRequest, access_by_employer(&[n % 97])).at(&day),
        5 => Draft::act(FUND, Kind::AccessReport, batch(n, 5)).at(&day),
        7 => Draft::act(FUND, Kind::StatementRecord, statement("Dit par le service (inventé)")),
        9 => {
            let body =
                json!({"processing": PROCESSING, "subject": subject(n % 97), "scope": "tout"});
            Draft::act(DESK, Kind::ObjectionRecord, body).at(&day)
        }
        11 => {
            let access = ledger.last_access().expect("an access was recorded before");
            let body = json!({"access": access, "subject": subject(1), "ground": "Conteste"});
            Draft::act(DESK, Kind::AccessContest, body)
        }
        13 => {
            let body = json!({
                "about": {"type": "processing", "id": PROCESSING}, "milestone": "published",
                "note": "Note (inventée)",
            });
            Draft::act(FUND, Kind::MilestoneRecord, body)
        }
        15 => Draft::act(FUND, Kind::AccessReport, access(&[n % 97, (n + 1) % 97])).at(&day),
        _ => Draft::act(FUND, Kind::AccessRequest, access(&[n % 97])).at(&day),
    };
    ledger.file(&draft).expect("a filing the affair allows");
}

/// A ledger of at least `least` entries.
pub fn ledger_of(least: u64, clock: ClockKind) -> TestLedger {
    let mut ledger = opened(clock);
    let mut n = 0;
    while ledger.size() < least {
        grow(&mut ledger, n);
        n += 1;
    }
    ledger
}

/// Erases every value that the entry at `position` discloses.
pub fn erase(ledger: &mut TestLedger, position: u64) -> u64 {
    ledger.pass_seconds(60);
    let entry = &ledger.entries()[position as usize];
    let digests: Vec<&String> = entry.disclosures.iter().map(|(digest, _)| digest).collect();
    let body = json!({"digests": digests, "ground": "gdpr-17", "scope": "tout"});
    ledger.file(&Draft::act(DESK, Kind::SubjectErase, body)).expect("an erasure")[0]
}

/// Adds one access by one person, signed alone: what a large ledger is made of.
pub fn access_only(ledger: &mut TestLedger, n: u64) {
    ledger.pass_seconds(1);
    let day = ledger.now().date().to_string();
    let draft = Draft::act(FUND, Kind::AccessRequest, access(&[n])).at(&day);
    ledger.file(&draft).expect("an access the affair allows");
}
