//! Disclosures about groups: what was shown to an employer weighs on what it asks for next,
//! before anything is shown, after a restart, and after an erasure.

use std::sync::Arc;

use greffe_domain::kind::EventType;
use greffe_domain::verdict::Outcome;
use greffe_domain::vocabulary::RuleCode;
use greffe_infra::ledger::Ledger;
use greffe_infra::receipt::Receipt;
use greffe_infra::store::{MemoryStore, SqliteStore, Store};
use greffe_infra::testing::{self, access, sign};
use serde_json::{Value, json};

use crate::support::sound;

const RISK: &str = "DIFFERENCING-RISK";

/// Declares, files and announces statistics, so that what is shown decides alone.
async fn prepare(ledger: &Ledger) {
    testing::settle(ledger).await;
    let act = |kind: &str, body: Value| {
        sign(json!({"iss": "cnamts", "kind": kind, "at": "2015-01-01", "body": body}))
    };
    let filings = [
        act(
            "processing.declare",
            json!({
                "processing": "statistiques", "controller": "cnamts", "title": "Statistiques",
                "purposes": [{"code": "PUR-ABSENCE-BENCHMARK"}],
                "categories": [{"code": "ABS-RATE"}], "subjects": ["Salariés"],
                "recipients": [{"role": "R-EMPLOYER-HR"}], "legal_basis": ["LIL7-3"],
            }),
        ),
        act(
            "formality.file",
            json!({
                "formality": "dn-1", "processing": "statistiques", "kind": "F04-23-DN",
                "purposes": ["PUR-ABSENCE-BENCHMARK"],
            }),
        ),
        act(
            "information.record",
            json!({
                "processing": "statistiques", "step": "I-NOTICE-COLLECTIVE",
                "audience": "Salariés",
            }),
        ),
    ];
    ledger.submit_all(&filings).await.expect("recorded");
}

fn shown(units: &[&str], absentees: i64) -> Value {
    json!({
        "processing": "statistiques", "purpose": "PUR-ABSENCE-BENCHMARK",
        "categories": ["ABS-RATE"],
        "recipient": {"party": "employer-1", "role": "R-EMPLOYER-HR"},
        "basis": {"codes": ["LIL7-3"]}, "period": "2015-01/2015-12",
        "cohort": {"units": units, "absentees": absentees, "cells": [
            {"units": units, "categories": ["ABS-RATE"], "unit": "days", "value": 900,
             "suppressed": false},
        ]},
        "channel": "portal",
    })
}

async fn request(ledger: &Ledger, units: &[&str], absentees: i64) -> Receipt {
    let filing = sign(json!({
        "iss": "cnamts", "kind": "access.request", "at": "2016-03-04",
        "body": shown(units, absentees),
    }));
    ledger.submit(&filing).await.expect("recorded").remove(0)
}

fn found(receipt: &Receipt, code: &str) -> Vec<Vec<u64>> {
    let verdict = receipt.verdict.as_ref().expect("an access has a verdict");
    let code = RuleCode::parse(code).expect("a code");
    verdict.findings.iter().filter(|f| f.code == code).map(|f| f.positions.clone()).collect()
}

async fn event_type(store: &dyn Store, receipt: &Receipt) -> EventType {
    store.entry(receipt.position).await.expect("readable").expect("recorded").event_type
}

fn outcome(receipt: &Receipt) -> Outcome {
    receipt.verdict.as_ref().expect("an access has a verdict").verdict
}

#[tokio::test]
async fn a_subtraction_is_denied_before_anything_is_shown_and_the_denial_is_an_entry() {
    let store = Arc::new(MemoryStore::new(testing::ORIGIN));
    let ledger = testing::open(Arc::clone(&store) as _).await.expect("a ledger");
    prepare(&ledger).await;
    let whole = request(&ledger, &["atelier", "logistique"], 60).await;
    assert!(outcome(&whole).is_covered(), "{:?}", whole.verdict);
    assert_eq!(event_type(&*store, &whole).await, EventType::AccessGranted);

    let size = ledger.size();
    let part = request(&ledger, &["atelier"], 51).await;
    assert_eq!(part.position, size.next(), "the denial has its place");
    assert_eq!(event_type(&*store, &part).await, EventType::AccessDenied);
    assert_eq!(outcome(&part), Outcome::NotCovered);
    assert_eq!(found(&part, RISK), [[whole.position.0, part.position.0]]);

    // What was denied was not shown: it weighs on nothing.
    let rest = request(&ledger, &["logistique"], 9).await;
    assert_eq!(found(&rest, "SMALL-CELL"), [[rest.position.0]]);
    let again = request(&ledger, &["atelier"], 51).await;
    assert_eq!(found(&again, RISK), [[whole.position.0, again.position.0]]);
    let other = request(&ledger, &["atelier", "bureau"], 80).await;
    assert_eq!(event_type(&*store, &other).await, EventType::AccessGranted);
    sound(&*store).await;
}

#[tokio::test]
async fn two_requests_of_one_lot_are_held_against_each_other() {
    let store = Arc::new(MemoryStore::new(testing::ORIGIN));
    let ledger = testing::open(Arc::clone(&store) as _).await.expect("a ledger");
    prepare(&ledger).await;
    let filing = sign(json!({
        "iss": "cnamts", "kind": "access.request", "at": "2016-03-04",
        "body": [shown(&["a", "b"], 60), shown(&["a"], 51)],
    }));
    let receipts = ledger.submit(&filing).await.expect("recorded");
    assert_eq!(event_type(&*store, &receipts[0]).await, EventType::AccessGranted);
    assert_eq!(event_type(&*store, &receipts[1]).await, EventType::AccessDenied);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_remembers_what_was_shown_and_what_was_erased() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Arc::new(SqliteStore::create(directory.path(), testing::ORIGIN).expect("a store"));
    let ledger = testing::open(Arc::clone(&store) as _).await.expect("a ledger");
    prepare(&ledger).await;
    ledger.submit(&sign(access("cnamts", "suivi", 1))).await.expect("recorded");
    let whole = request(&ledger, &["a", "b"], 60).await;
    let reported = sign(json!({
        "iss": "cnamts", "kind": "access.report", "at": "2016-03-04",
        "body": shown(&["c", "d"], 70),
    }));
    let reported = ledger.submit(&reported).await.expect("recorded").remove(0);
    ledger.shutdown().await;
    drop((ledger, store));

    let store = Arc::new(SqliteStore::open(directory.path()).expect("free again"));
    let ledger = testing::open(Arc::clone(&store) as _).await.expect("a ledger");
    let part = request(&ledger, &["a"], 51).await;
    assert_eq!(found(&part, RISK), [[whole.position.0, part.position.0]]);
    let part = request(&ledger, &["c"], 65).await;
    assert_eq!(found(&part, RISK), [[reported.position.0, part.position.0]]);

    // The number declared for `c` and `d` is erased: what is left cannot be ruled out.
    let leaf: Value = serde_json::from_str(reported.leaf.get()).expect("a leaf");
    let digest = leaf["event"]["data"]["body"]["cohort"]["_sd"][0].clone();
    let erase = sign(json!({
        "iss": "desk-1", "kind": "subject.erase",
        "body": {"digests": [digest], "ground": "request", "scope": "nombre d’absents"},
    }));
    ledger.submit(&erase).await.expect("recorded");
    let open = |receipt: &Receipt| {
        assert_eq!(found(receipt, RISK), Vec::<Vec<u64>>::new());
        assert_eq!(
            found(receipt, "DIFFERENCING-UNVERIFIABLE"),
            [[reported.position.0, receipt.position.0]]
        );
    };
    open(&request(&ledger, &["d"], 65).await);
    ledger.shutdown().await;
    drop((ledger, store));
    let store = Arc::new(SqliteStore::open(directory.path()).expect("free again"));
    let ledger = testing::open(Arc::clone(&store) as _).await.expect("a ledger");
    sound(&*store).await;
    // Granted with a reservation, so the other half is now derivable from both.
    let other = request(&ledger, &["c"], 65).await;
    assert_eq!(found(&other, RISK), Vec::<Vec<u64>>::new(), "derivable before");
}
