//! A dry run answers what recording would: the same event, findings, evidence, positions and
//! term, or the same refusal, at every size of random registers.

use std::cell::RefCell;
use std::collections::BTreeMap;

use greffe::sign::hypothetical_access;
use greffe_domain::encoding::base64url;
use greffe_domain::event::At;
use greffe_domain::kind::Kind;
use greffe_domain::verdict::Verdict;
use greffe_infra::ledger::Ledger;
use greffe_infra::submit::SubmitError;
use greffe_tests::server::{Server, create_ledger, submit};
use greffe_tests::signing::sign;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};
use serde_json::{Value, json};

const PARTIES: &[(&str, &[&str])] = &[
    ("caisse-a", &["controller"]),
    ("caisse-b", &["controller"]),
    ("employeur", &["employer"]),
    ("cnil", &["regulator"]),
    ("tribunal", &["court"]),
    ("cse", &["works-council"]),
    ("presse", &["observer"]),
    ("guichet", &["subject-desk"]),
];

/// A fact or an access, as its author writes it.
#[derive(Debug, Clone)]
struct Step {
    iss: &'static str,
    kind: &'static str,
    at: Option<&'static str>,
    body: Value,
}

impl Step {
    fn is_access(&self) -> bool {
        self.kind.starts_with("access.")
    }
}

const DATES: &[&str] =
    &["1996", "2005-03-10", "2010-06", "2012", "2017-11-05", "2019-01-15", "2024", "2026-05-02"];
const PURPOSES: &[&str] = &["PUR-CASE-MGMT", "PUR-ABSENCE-BENCHMARK", "PUR-BENEFITS"];
const CATEGORIES: &[&str] = &["ABS-RATE", "ABS-DURATION", "ABS-MOTIVE", "EMP-IDENTITY"];
const PROCESSINGS: &[&str] = &["suivi", "visites"];
const ROLES: &[&str] = &["R-CARSAT", "R-EMPLOYER-HR", "R-CASE-MANAGER"];
const SITES: &[&str] = &["site-1", "site-2"];

fn person(n: u8) -> String {
    base64url(&[n; 32])
}

fn pick(among: &[&'static str], index: usize) -> &'static str {
    among[index]
}

fn fact() -> impl Strategy<Value = Step> {
    let choices = (
        0..18u8,
        select(PROCESSINGS),
        select(PURPOSES),
        select(CATEGORIES),
        prop::option::weighted(0.9, select(DATES)),
        select(DATES),
        select(SITES),
        0..4u8,
    );
    choices.prop_map(|(what, processing, purpose, category, at, day, site, n)| {
        let controller = if processing == "suivi" { "caisse-a" } else { "caisse-b" };
        let decision = format!("decision-{n}");
        let experiment = format!("essai-{processing}");
        let (iss, kind, body) = match what {
            0..=2 => (controller, if what == 0 { "processing.declare" } else { "processing.amend" }, json!({
                "processing": processing, "title": "Suivi (inventé)",
                "purposes": [{"code": purpose}, {"code": PURPOSES[usize::from(n) % 3]}],
                "categories": [{"code": category, "retention_days": 365}, {"code": "ABS-RATE"}],
                "subjects": ["Salariés"],
                "recipients": ROLES[..1 + usize::from(n) % 3].iter().map(|r| json!({"role": r})).collect::<Vec<_>>(),
                "legal_basis": ["A6-1-E"], "monitors_staff": n == 1, "high_risk": n == 2,
            })),
            3 | 4 => (controller, "formality.file", json!({
                "formality": format!("formalite-{processing}-{n}"), "processing": processing,
                "kind": pick(&["F78-16-DECL", "F04-23-DN", "F04-25-AUT", "F18-30-REG"], usize::from(n)),
                "purposes": PURPOSES,
            })),
            5 => ("cnil", "formality.acknowledge", json!({
                "formality": format!("formalite-{processing}-{n}"), "number": "1",
            })),
            6 | 7 => {
                let outcome = ["ACCEPTED", "REFUSED", "ACCEPTED-CONDITIONS", "ACCEPTED"][usize::from(n)];
                let mut body = json!({
                    "decision": decision, "processing": processing,
                    "outcomes": [{"purpose": purpose, "outcome": outcome}],
                });
                if n != 0 {
                    body["until"] = day.into();
                }
                ("cnil", "decision.render", body)
            }
            8 => ("tribunal", "decision.end", json!({
                "decision": decision, "effective_from": day,
                "how": pick(&["ANNULLED-EX-TUNC", "SUSPENDED", "EXPIRED", "ANNULLED-DEFERRED"], usize::from(n)),
            })),
            9 => (controller, "information.record", json!({
                "processing": processing, "audience": "Salariés",
                "step": pick(&["I-NOTICE-COLLECTIVE", "I-NOTICE-INDIVIDUAL"], usize::from(n) % 2),
            })),
            10 => ("cse", "works-council.opine", json!({
                "processing": processing, "on": "suivi",
                "opinion": pick(&["favourable", "unfavourable", "none", "favourable"], usize::from(n)),
            })),
            11 => (controller, "assessment.file", json!({
                "processing": processing, "residual_risk": pick(&["low", "high"], usize::from(n) % 2),
            })),
            12 => (controller, "experiment.launch", json!({
                "experiment": experiment, "processing": processing, "unit": "establishment",
                "headcount_above": 200, "categories": [category, "ABS-RATE"], "start": "2010",
                "end": day, "evaluation_planned": n == 3,
            })),
            13 => (controller, "experiment.enrol", json!({
                "experiment": experiment, "site": {"id": site, "name": site,
                    "headcount": 199 + i64::from(n), "headcount_on": day},
            })),
            14 => (controller, pick(&["agreement.record", "objection.record"], usize::from(n) % 2), json!({
                "processing": processing, "subject": person(n), "scope": "tout",
            })),
            15 => ("presse", "statement.record", json!({
                "about": {"type": "processing", "id": processing},
                "claims": [{"fact": pick(&["SUBJECTS-NOT-INFORMED", "NO-DECLARATION"], usize::from(n) % 2),
                            "holds": n > 1}],
            })),
            16 => ("tribunal", "ruling.record", json!({
                "ruling": format!("jugement-{n}"), "court": "Tribunal", "processing": processing,
                "outcome": "ANNULLED", "establishes": [{"fact": "NO-DECLARATION", "holds": n > 1}],
            })),
            _ => (controller, "processing.deploy", json!({"processing": processing})),
        };
        Step { iss, kind, at, body }
    })
}

fn access() -> impl Strategy<Value = Step> {
    let choices = (
        prop::bool::weighted(0.7),
        select(&["suivi", "suivi", "suivi", "visites", "visites", "visites", "inconnu"][..]),
        select(PURPOSES),
        prop::sample::subsequence(CATEGORIES.to_vec(), 1..=2),
        (
            select(
                &["employeur", "employeur", "employeur", "caisse-a", "caisse-b", "cse", "absent"][..],
            ),
            select(ROLES),
        ),
        prop::option::weighted(0.3, select(SITES)),
        prop::option::weighted(0.9, prop_oneof![select(DATES), select(&DATES[5..])]),
        (
            prop::collection::vec(0..4u8, 0..3),
            prop::option::weighted(0.1, select(&["essai-suivi", "essai-visites"][..])),
            select(&["caisse-a", "caisse-b", "employeur", "employeur", "cnil", "presse"][..]),
            prop::option::weighted(0.2, select(&["caisse-a", "employeur"][..])),
        ),
    );
    choices.prop_map(|(asked, processing, purpose, categories, (party, role), site, at, rest)| {
        let (persons, experiment, iss, discloser) = rest;
        let mut body = json!({
            "processing": processing, "purpose": purpose, "categories": categories,
            "recipient": {"party": party, "role": role}, "basis": {"codes": ["A6-1-E"]},
            "channel": "report",
        });
        if persons.is_empty() {
            body["cohort"] = json!({"units": ["site-1"], "cells": [], "headcount": 300});
        } else {
            body["subjects"] = persons.iter().map(|n| person(*n)).collect();
        }
        if let Some(site) = site {
            body["recipient"]["site"] = json!({"id": site, "headcount": 250});
        }
        for (member, value) in [("experiment", experiment), ("discloser", discloser)] {
            if let Some(value) = value {
                body[member] = value.into();
            }
        }
        Step { iss, kind: if asked { "access.request" } else { "access.report" }, at, body }
    })
}

/// What makes accesses of these years covered: without it nearly none would be.
fn base() -> Vec<Step> {
    let step = |iss, kind, body| Step { iss, kind, at: Some("2018-06-01"), body };
    let declared = |controller: &'static str, processing: &str| {
        let (purposes, categories): (Vec<Value>, Vec<Value>) = (
            PURPOSES.iter().map(|code| json!({"code": code})).collect(),
            CATEGORIES.iter().map(|code| json!({"code": code})).collect(),
        );
        let recipients: Vec<Value> = ROLES.iter().map(|role| json!({"role": role})).collect();
        [
            step(
                controller,
                "processing.declare",
                json!({
                    "processing": processing, "title": "Suivi (inventé)", "purposes": purposes,
                    "categories": categories, "subjects": ["Salariés"], "recipients": recipients,
                    "legal_basis": ["A6-1-E"],
                }),
            ),
            step(
                controller,
                "formality.file",
                json!({
                    "formality": format!("registre-{processing}"), "processing": processing,
                    "kind": "F18-30-REG", "purposes": PURPOSES,
                }),
            ),
            step(
                controller,
                "information.record",
                json!({
                    "processing": processing, "step": "I-NOTICE-COLLECTIVE", "audience": "Salariés",
                }),
            ),
        ]
    };
    let outcomes: Vec<Value> =
        PURPOSES.iter().map(|p| json!({"purpose": p, "outcome": "ACCEPTED"})).collect();
    let decided = step(
        "cnil",
        "decision.render",
        json!({
            "decision": "decision-a-terme", "processing": "suivi", "until": "2027-06-30",
            "outcomes": outcomes,
        }),
    );
    let mut steps: Vec<Step> = declared("caisse-a", "suivi").into();
    steps.extend(declared("caisse-b", "visites"));
    steps.push(decided);
    steps
}

/// Some of the base, then facts and accesses in any order.
fn steps(least: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![1 => fact().boxed(), 2 => access().boxed()];
    let base = base();
    let some = prop::sample::subsequence(base.clone(), base.len() - 1..=base.len());
    (some, prop::collection::vec(step, least..least + 40))
        .prop_map(|(base, rest)| base.into_iter().chain(rest).collect())
}

/// What was compared, by event or refusal code.
type Met = BTreeMap<String, u32>;

/// Runs so many cases, and as many again, up to ten times, while chance left something out.
fn run_until_met(
    cases: u32,
    least: usize,
    seen: &RefCell<Met>,
    all: &[&str],
    run: impl Fn(Vec<Step>) -> TestCaseResult,
) {
    for _ in 0..10 {
        TestRunner::new(config(cases)).run(&steps(least), &run).unwrap_or_else(|e| panic!("{e}"));
        if all.iter().all(|what| seen.borrow().contains_key(*what)) {
            return;
        }
    }
    panic!("not all of {all:?} among {:?}", seen.borrow());
}

fn config(cases: u32) -> Config {
    Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() }
}

/// Salts differ from one signature to the next, and so do the digests.
fn but_digests(mut verdict: Value) -> Value {
    for finding in verdict["findings"].as_array_mut().into_iter().flatten() {
        let digests = finding.get("rests_on").and_then(Value::as_array).map(Vec::len);
        finding["rests_on"] = json!(digests);
    }
    verdict
}

async fn try_and_record(ledger: &Ledger, step: &Step, jti: &str, seen: &mut Met) {
    let text = sign(step.iss, step.kind, step.at, step.body.clone(), jti);
    if !step.is_access() {
        // A fact that the register refuses is one fact less.
        let _ = ledger.submit(&text).await;
        return;
    }
    let (signed, access) = hypothetical_access(&step.body).expect("an access's shape");
    let at = step.at.map_or_else(At::unknown, |at| At::parse(at).expect("a date"));
    let kind = Kind::parse(step.kind).expect("a kind");
    let size = ledger.size();
    let tried = ledger.try_access(kind, step.iss, &signed, &access, &at);
    assert_eq!(ledger.size(), size, "a dry run records nothing");
    let what = match (tried, ledger.submit(&text).await) {
        (Ok((event, judgement)), Ok(receipts)) => {
            let receipt = serde_json::to_value(&receipts[0]).expect("JSON");
            let recorded = &receipt["leaf"]["event"];
            assert_eq!(json!(event), recorded["type"], "{step:?}");
            let verdict = judgement.verdict;
            assert_eq!(
                but_digests(verdict.to_value()),
                but_digests(recorded["data"]["verdict"].clone()),
                "{step:?}"
            );
            assert_eq!(verdict.judged_at, size.0);
            if recorded["type"] == "AccessGranted" {
                assert_eq!(json!(verdict.valid_until), receipt["valid_until"], "{step:?}");
                if verdict.valid_until.is_some() {
                    *seen.entry("a term".to_owned()).or_default() += 1;
                }
            }
            if !verdict.findings.is_empty() {
                *seen.entry("findings".to_owned()).or_default() += 1;
            }
            recorded["type"].as_str().expect("a type").to_owned()
        }
        (Err(tried), Err(SubmitError::Refused(refused))) => {
            assert_eq!(tried, refused, "{step:?}");
            refused.code.to_string()
        }
        (tried, recorded) => {
            let tried = tried.map(|(event, _)| event);
            panic!("{step:?}: the dry run answers {tried:?}, recording {recorded:?}")
        }
    };
    *seen.entry(what).or_default() += 1;
}

#[test]
fn the_dry_run_is_what_recording_answers() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("one");
    let seen = RefCell::new(Met::new());
    let run = |steps: Vec<Step>| {
        let seen = &mut *seen.borrow_mut();
        runtime.block_on(async {
            let directory = tempfile::tempdir().expect("a directory");
            create_ledger(directory.path(), PARTIES).await;
            let ledger = Ledger::open(directory.path()).await.expect("a ledger");
            for (n, step) in steps.iter().enumerate() {
                try_and_record(&ledger, step, &format!("step {n}"), seen).await;
            }
            ledger.shutdown().await;
        });
        Ok(())
    };
    let all = [
        "AccessGranted",
        "AccessDenied",
        "AccessRecorded",
        "id-unknown",
        "not-yours",
        "role-not-allowed",
        "a term",
        "findings",
    ];
    run_until_met(24, 90, &seen, &all, run);
}

#[test]
fn the_dry_run_over_http_is_what_recording_answers() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("one");
    let seen = RefCell::new(Met::new());
    let run = |steps: Vec<Step>| {
        let seen = &mut *seen.borrow_mut();
        let directory = tempfile::tempdir().expect("a directory");
        runtime.block_on(create_ledger(directory.path(), PARTIES));
        let server = Server::start(directory.path());
        let http = server.client();
        let filers = ["caisse-a", "caisse-b", "employeur"].map(|p| (p, server.client_of(p)));
        for (n, step) in steps.iter().enumerate() {
            let text = sign(step.iss, step.kind, step.at, step.body.clone(), &format!("step {n}"));
            let filer = filers.iter().find(|(party, _)| *party == step.iss);
            let (true, Some((_, client))) = (step.is_access(), filer) else {
                let _ = submit(&http, &text);
                continue;
            };
            let mut question = json!({"kind": step.kind, "body": step.body});
            if let Some(at) = step.at {
                question["at"] = at.into();
            }
            let tried = client
                .post("/v1/judgements", "application/json", &question.to_string())
                .expect("an answer");
            let what = match submit(&http, &text) {
                Ok(receipts) => {
                    assert!(tried.is_ok(), "{step:?}: {}", tried.body);
                    let event = &receipts[0]["leaf"]["event"];
                    assert_eq!(tried.body["event"], event["type"], "{step:?}");
                    same_but_words(&tried.body, &event["data"]["verdict"]);
                    event["type"].as_str().expect("a type").to_owned()
                }
                Err(problem) if tried.code() == "not-yours" => {
                    assert_eq!(problem["status"].as_u64().map(|s| s >= 400), Some(true));
                    "not-yours".to_owned()
                }
                Err(problem) => {
                    assert_eq!(json!(tried.code()), problem["code"], "{step:?}: {}", tried.body);
                    tried.code().to_owned()
                }
            };
            *seen.entry(what).or_default() += 1;
        }
        Ok(())
    };
    let all = ["AccessGranted", "AccessDenied", "AccessRecorded", "not-yours"];
    run_until_met(3, 80, &seen, &all, run);
}

/// The answer is the verdict recorded, and its reasons in words.
fn same_but_words(answer: &Value, recorded: &Value) {
    let mut answer = answer.clone();
    let members = answer.as_object_mut().expect("an object");
    for words in ["event", "reasons", "notice"] {
        assert!(members.remove(words).is_some(), "no `{words}`");
    }
    let mut recorded = recorded.clone();
    for finding in answer["findings"].as_array_mut().into_iter().flatten() {
        let reason = finding.as_object_mut().and_then(|f| f.remove("reason"));
        assert!(
            reason.is_some_and(|r| r.as_str().is_some_and(|r| r.ends_with(['.', ')']))),
            "{finding}"
        );
    }
    for finding in recorded["findings"].as_array_mut().into_iter().flatten() {
        // Nothing was signed, so there is no digest to rest on.
        finding.as_object_mut().map(|f| f.remove("rests_on"));
    }
    assert_eq!(answer, recorded);
    let read: Verdict = serde_json::from_value(answer).expect("a verdict");
    assert_eq!(read.to_value(), recorded);
}
