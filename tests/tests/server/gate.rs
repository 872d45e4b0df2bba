//! No receipt, no data: a request recorded by the real service, its receipt shown to a data
//! source that asks nobody, and every way in which nothing is released.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};

use greffe_domain::date::LegalDate;
use greffe_domain::receipt::LedgerKeys;
use greffe_domain::trust::Trust;
use greffe_tests::data_source::{DataSource, Row};
use greffe_tests::http::{Answer, Client};
use greffe_tests::server::{Server, create_ledger, greffe, submit};
use greffe_tests::signing::sign;
use serde_json::{Value, json};

const PARTIES: &[(&str, &[&str])] = &[
    ("caisse", &["controller"]),
    ("employeur", &["employer"]),
    ("concurrent", &["employer"]),
    ("cnil", &["regulator"]),
];
const PROCESSING: &str = "absences-par-site";
const PURPOSE: &str = "PUR-ABSENCE-BENCHMARK";
const UNTIL: &str = "2027-03-31";

/// A processing declared, filed, told to the employees, and authorised for a term.
fn settle(http: &Client) {
    let file = |iss, kind, body: Value| {
        let text = sign(iss, kind, Some("2026-02-01"), body, &format!("{iss} {kind}"));
        submit(http, &text).unwrap_or_else(|problem| panic!("{kind}: {problem}"));
    };
    file(
        "caisse",
        "processing.declare",
        json!({
            "processing": PROCESSING, "controller": "caisse", "title": "Absences par site",
            "purposes": [{"code": PURPOSE}], "categories": [{"code": "ABS-RATE"}],
            "subjects": ["Salariés"], "recipients": [{"role": "R-EMPLOYER-HR"}],
            "legal_basis": ["A6-1-E"],
        }),
    );
    file(
        "caisse",
        "formality.file",
        json!({
            "formality": "registre-2026", "processing": PROCESSING, "kind": "F18-30-REG",
            "purposes": [PURPOSE],
        }),
    );
    file(
        "caisse",
        "information.record",
        json!({"processing": PROCESSING, "step": "I-NOTICE-COLLECTIVE", "audience": "Salariés"}),
    );
    file(
        "cnil",
        "decision.render",
        json!({
            "decision": "decision-a-terme", "processing": PROCESSING, "until": UNTIL,
            "outcomes": [{"purpose": PURPOSE, "outcome": "ACCEPTED"}],
        }),
    );
}

/// Records a request by the employer for one of its sites; the receipt.
fn request(http: &Client, purpose: &str, site: &str) -> Value {
    request_for(http, "2027-01-15", purpose, site)
}

fn request_for(http: &Client, at: &str, purpose: &str, site: &str) -> Value {
    let body = json!({
        "processing": PROCESSING, "purpose": purpose, "categories": ["ABS-RATE"],
        "recipient": {"party": "employeur", "role": "R-EMPLOYER-HR", "site": {"id": site}},
        "discloser": "caisse", "basis": {"codes": ["A6-1-E"]}, "channel": "api",
        "cohort": {"headcount": 412, "units": [site], "cells": []},
    });
    let jti = format!("request {at} {purpose} {site}");
    let text = sign("employeur", "access.request", Some(at), body, &jti);
    submit(http, &text).expect("recorded, granted or not").remove(0)
}

fn source(trust: &Path) -> Arc<DataSource> {
    let trust = Trust::parse(&std::fs::read(trust).expect("trust.json")).expect("a trust file");
    let row = |unit, category, permille| Row { unit, category, permille };
    Arc::new(DataSource {
        ledger: LedgerKeys::of(&trust),
        processing: PROCESSING,
        table: vec![
            row("site-1", "ABS-RATE", 47),
            row("site-1", "ABS-MOTIVE", 12),
            row("site-2", "ABS-RATE", 63),
        ],
        clients: HashMap::from([("employer-secret", "employeur"), ("rival-secret", "concurrent")]),
        today: RwLock::new(LegalDate::parse("2027-01-16").expect("a day")),
        released: AtomicUsize::new(0),
    })
}

/// Shows a receipt to the source.
fn show(source: &Client, receipt: &Value, purpose: &str, site: &str) -> Answer {
    let request = json!({"receipt": receipt, "purpose": purpose, "site": site});
    source.post("/table", "application/json", &request.to_string()).expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cohort_is_released_against_the_receipt_of_its_grant_and_nothing_else() {
    let directory = tempfile::tempdir().expect("a directory");
    create_ledger(directory.path(), PARTIES).await;
    let source = source(&directory.path().join("trust.json"));
    let address = Arc::clone(&source).serve().await;
    let path = directory.path().to_owned();
    tokio::task::spawn_blocking(move || {
        let server = Server::start(&path);
        let http = server.client();
        settle(&http);
        let granted = request(&http, PURPOSE, "site-1");
        assert_eq!(granted["leaf"]["event"]["type"], "AccessGranted", "{granted:#}");
        assert_eq!(granted["valid_until"], UNTIL);
        let denied = request(&http, "PUR-BENEFITS", "site-1");
        assert_eq!(denied["leaf"]["event"]["type"], "AccessDenied", "{denied:#}");

        let anybody = Client::new(&format!("http://{address}"));
        let employer = anybody.with_token("employer-secret");
        let answer = show(&employer, &granted, PURPOSE, "site-1");
        assert_eq!(answer.status, 200, "{}", answer.body);
        let expected = json!([{"unit": "site-1", "category": "ABS-RATE", "permille": 47}]);
        assert_eq!(answer.body["rows"], expected, "what the grant names, and no more");
        let released = source.released.load(Ordering::Relaxed);

        let refused = |client: &Client, receipt: &Value, purpose, site, status, code: &str| {
            let answer = show(client, receipt, purpose, site);
            assert_eq!((answer.status, answer.code()), (status, code), "{}", answer.body);
            assert!(answer.body.get("rows").is_none());
        };
        let rival = anybody.with_token("rival-secret");
        refused(&employer, &denied, "PUR-BENEFITS", "site-1", 403, "denied");
        refused(&employer, &granted, "PUR-BENEFITS", "site-1", 403, "other-purpose");
        refused(&employer, &granted, PURPOSE, "site-2", 403, "other-site");
        refused(&rival, &granted, PURPOSE, "site-1", 403, "other-recipient");
        refused(&anybody, &granted, PURPOSE, "site-1", 401, "unknown-client");
        let mut longer = granted.clone();
        longer["valid_until"] = json!("2027-12-31");
        refused(&employer, &longer, PURPOSE, "site-1", 403, "altered");
        let mut elsewhere = granted.clone();
        elsewhere["leaf"]["event"]["data"]["body"]["cohort"]["units"] = json!(["site-2"]);
        refused(&employer, &elsewhere, PURPOSE, "site-1", 403, "altered");
        refused(&employer, &json!("granted"), PURPOSE, "site-1", 400, "malformed");
        let none = json!({"purpose": PURPOSE, "site": "site-1"}).to_string();
        let none = employer.post("/table", "application/json", &none).expect("an answer");
        assert_eq!((none.status, none.code()), (403, "no-receipt"));

        // Any one byte of what is sent.
        let sent = json!({"receipt": granted, "purpose": PURPOSE, "site": "site-1"}).to_string();
        for index in (0..sent.len()).step_by(7) {
            let mut altered = sent.clone().into_bytes();
            altered[index] ^= 1;
            let Ok(altered) = String::from_utf8(altered) else { continue };
            let answer = employer.post("/table", "application/json", &altered);
            let answer = answer.expect("an answer");
            assert!([400, 403].contains(&answer.status), "byte {index}: {}", answer.body);
        }

        // A day that had passed when it was asked for: lawful then, and nothing today.
        let past = request_for(&http, "2026-03-01", PURPOSE, "site-1");
        assert_eq!(past["leaf"]["event"]["type"], "AccessGranted", "{past:#}");
        refused(&employer, &past, PURPOSE, "site-1", 403, "other-day");

        // The last day, and the day after it.
        let set = |day| {
            *source.today.write().expect("unpoisoned") = LegalDate::parse(day).expect("a day")
        };
        set("2027-04-01");
        refused(&employer, &granted, PURPOSE, "site-1", 403, "expired");
        assert_eq!(source.released.load(Ordering::Relaxed), released, "nothing more was released");
        set(UNTIL);
        assert_eq!(show(&employer, &granted, PURPOSE, "site-1").status, 200);

        command_line(&path, &granted, &denied);
        server.signal_terminate();
        assert_eq!(server.wait(), Some(0));
        after_a_rotation(&path, &granted);
    })
    .await
    .expect("every case holds");
}

/// Once the ledger changed its key, its receipts need that of the change.
fn after_a_rotation(directory: &Path, before: &Value) {
    let data = directory.to_str().expect("UTF-8");
    let at = |name: &str| directory.join(name).to_str().expect("UTF-8").to_owned();
    let rotation = at("rotation.json");
    let rotated = greffe(&["rotate-key", "--data", data, "--receipt", &rotation]);
    assert_eq!(rotated.status.code(), Some(0), "{}", String::from_utf8_lossy(&rotated.stderr));
    let server = Server::start(directory);
    let after = request(&server.client(), PURPOSE, "site-2");
    assert_ne!(after["key"], before["key"]);
    let check = |receipt: &Value, more: &[&str]| {
        let file = at("shown.json");
        std::fs::write(&file, receipt.to_string()).expect("written");
        let trust = at("trust.json");
        let args = ["receipt", "check", &file, "--trust", &trust, "--at", UNTIL];
        let output = greffe(&[&args[..], more].concat());
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = check(&after, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("key-unknown") && said.contains("rotation"), "{said}");
    for receipt in [&after, before] {
        let (code, said) = check(receipt, &["--rotation", &rotation]);
        assert_eq!(code, Some(0), "{said}");
    }
}

/// The same answers from the terminal, with their exit codes.
fn command_line(directory: &Path, granted: &Value, denied: &Value) {
    let file = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let trust = directory.join("trust.json");
    let trust = trust.to_str().expect("UTF-8");
    // As `greffe file` keeps it: a list of one, indented.
    let kept = serde_json::to_string_pretty(&json!([granted])).expect("text");
    let granted_file = file("granted.json", &kept);
    let denied_file = file("denied.json", &denied.to_string());
    let check = |receipt: &str, more: &[&str]| {
        let mut args = vec!["receipt", "check", receipt, "--trust", trust];
        args.extend(more);
        let output = greffe(&args);
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), out, errors)
    };
    let (code, said, _) = check(&granted_file, &["--at", UNTIL]);
    assert_eq!(code, Some(0), "{said}");
    for fact in [PROCESSING, PURPOSE, "employeur", "site-1", "412", UNTIL, "not a ruling"] {
        assert!(said.contains(fact), "no {fact} in {said}");
    }
    let (code, said, _) = check(&granted_file, &["--lang", "fr", "--at", "2027-01-16T10:00:00Z"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("pas un jugement") && said.contains("destinataire"), "{said}");
    let asked = ["--json", "--purpose", PURPOSE, "--recipient", "employeur", "--site", "site-1"];
    let (code, said, errors) =
        check(&granted_file, &[&asked[..], &["--at", "2027-01-16"]].concat());
    assert_eq!(code, Some(0), "{errors}");
    let said: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((&said["granted"], &said["valid_until"]), (&json!(true), &json!(UNTIL)));

    for (receipt, more, reason) in [
        (&granted_file, &["--at", "2027-04-01"][..], "expired"),
        (&granted_file, &["--at", UNTIL, "--purpose", "PUR-BENEFITS"][..], "other-purpose"),
        (&granted_file, &["--at", UNTIL, "--recipient", "concurrent"][..], "other-recipient"),
        (&denied_file, &["--at", UNTIL][..], "denied"),
    ] {
        let (code, said, errors) = check(receipt, &[more, &["--json"]].concat());
        assert_eq!(code, Some(1), "{reason}: {said}{errors}");
        let said: Value = serde_json::from_str(&said).expect("JSON");
        assert_eq!((&said["granted"], &said["code"]), (&json!(false), &json!(reason)));
        assert_eq!(errors.trim_end().lines().count(), 2, "what happened, what to try: {errors}");
    }
    let unreadable = file("unreadable.json", "granted");
    let nowhere = directory.join("nowhere.json");
    for receipt in [unreadable.as_str(), nowhere.to_str().expect("UTF-8")] {
        assert_eq!(check(receipt, &["--at", UNTIL]).0, Some(2));
    }
    let wrong = ["receipt", "check", &granted_file, "--trust", &denied_file];
    assert_eq!(greffe(&wrong).status.code(), Some(2), "no trust file");
    let rotation = check(&granted_file, &["--at", UNTIL, "--rotation", &denied_file]);
    assert_eq!(rotation.0, Some(2), "no rotation: {}", rotation.2);
}
