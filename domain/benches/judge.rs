//! What judging one access costs, in process, before a large register.
//!
//! `cargo bench -p greffe-domain --bench judge` folds two registers that differ in the
//! number of processings (1,000 and 10,000), each with 1,000 experiments of 100 sites, and
//! judges the same mix of accesses before both. Reading, signatures, differencing and the
//! store are not here. The digest of all verdicts is printed too: a change that is only
//! about speed leaves it as it was.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use greffe_domain::body::{Access, Body};
use greffe_domain::date::{Interval, Timestamp};
use greffe_domain::edtf::Edtf;
use greffe_domain::encoding::base64url;
use greffe_domain::event::{At, Event, Filed};
use greffe_domain::key::simulated_party_key;
use greffe_domain::kind::{EvidenceKind, Kind};
use greffe_domain::register::Register;
use greffe_domain::rules::{self, CURRENT, Case};
use serde_json::{Value, json};

const EXPERIMENTS: usize = 1_000;
const SITES: usize = 100;
/// Rounds over the whole mix; the median of their averages is reported.
const ROUNDS: usize = 9;
const JUDGED_A_ROUND: usize = 80_000;

const FUND: &str = "caisse";
const AUTHORITY: &str = "cnil";
const COUNCIL: &str = "comite";
const DESK: &str = "guichet";
const PURPOSE: &str = "PUR-ABSENCE-BENCHMARK";

/// A register being filled, one act after the other.
struct Fold {
    register: Register,
    position: u64,
    now: Timestamp,
}

impl Fold {
    fn new() -> Self {
        let now = Timestamp::parse("2026-11-21T12:00:00Z").expect("an instant");
        let mut fold = Self { register: Register::new(), position: 0, now };
        for (party, role) in [
            (FUND, "controller"),
            (AUTHORITY, "regulator"),
            (COUNCIL, "works-council"),
            (DESK, "subject-desk"),
        ] {
            let key = simulated_party_key(party).public().to_jwk();
            fold.act(
                "greffe",
                Kind::PartyRegister,
                "2004-01-01",
                json!({
                    "party": party, "name": party, "roles": [role], "key": key,
                    "proof": base64url(&[0; 64]),
                }),
            );
        }
        fold
    }

    fn act(&mut self, iss: &str, kind: Kind, at: &str, body: Value) {
        let event = Event::Filed(Filed {
            event_type: kind.event(),
            kind,
            iss: iss.to_owned(),
            at: At::parse(at).expect("a date"),
            evidence: EvidenceKind::parse("act").expect("a kind of evidence"),
            reference: None,
            signed: Arc::new(Value::Null),
            body: Arc::new(Body::read(kind, body).expect("a body of its kind")),
            verdict: None,
        });
        self.register.apply(self.position, self.now, &event);
        self.position += 1;
    }

    /// A processing filed as the laws asked, `versions` times over.
    fn processing(&mut self, id: &str, versions: u32) {
        for version in 0..versions {
            let kind = if version == 0 { Kind::ProcessingDeclare } else { Kind::ProcessingAmend };
            let month = version % 12 + 1;
            self.act(
                FUND,
                kind,
                &format!("2019-{month:02}-10"),
                json!({
                    "processing": id, "controller": FUND, "title": "Suivi (inventé)",
                    "purposes": [{"code": PURPOSE}, {"code": "PUR-TRAINING"}],
                    "categories": [{"code": "ABS-RATE", "retention_days": 3650},
                                   {"code": "ABS-DURATION"}, {"code": "ABS-MOTIVE-TMS"}],
                    "subjects": ["Salariés"],
                    "recipients": [{"role": "R-CARSAT"}, {"role": "R-EMPLOYER-HR"},
                                   {"role": "R-OCC-PHYSICIAN"}],
                    "legal_basis": ["A6-1-E"], "special_basis": ["A9-2-H"], "monitors_staff": true,
                }),
            );
            self.act(
                FUND,
                Kind::FormalityFile,
                &format!("2019-{month:02}-11"),
                json!({
                    "formality": format!("{id}-f{version}"), "processing": id, "kind": "F18-30-REG",
                    "purposes": [PURPOSE, "PUR-TRAINING"],
                }),
            );
            self.act(
                AUTHORITY,
                Kind::DecisionRender,
                &format!("2019-{month:02}-12"),
                json!({
                    "decision": format!("{id}-d{version}"), "processing": id,
                    "outcomes": [{"purpose": PURPOSE, "outcome": "ACCEPTED"}],
                }),
            );
        }
        self.act(
            FUND,
            Kind::InformationRecord,
            "2019-01-13",
            json!({
                "processing": id, "step": "I-NOTICE-COLLECTIVE", "audience": "Salariés",
            }),
        );
        self.act(
            COUNCIL,
            Kind::WorksCouncilOpine,
            "2019-01-14",
            json!({
                "processing": id, "opinion": "favourable", "on": "le projet",
            }),
        );
    }

    fn experiment(&mut self, id: &str, processing: &str) {
        self.act(
            FUND,
            Kind::ExperimentLaunch,
            "2019-03-01",
            json!({
                "experiment": id, "processing": processing, "unit": "establishment",
                "headcount_above": 200, "categories": ["ABS-RATE", "ABS-MOTIVE-TMS"],
                "start": "2019-03-01", "evaluation_planned": true,
            }),
        );
        for site in 0..SITES {
            self.act(
                FUND,
                Kind::ExperimentEnrol,
                "2019-03-02",
                json!({
                    "experiment": id,
                    "site": {"id": format!("{id}-s{site}"), "name": "Site (inventé)",
                             "headcount": 250, "headcount_on": "2020-01-01"},
                }),
            );
        }
    }
}

/// Of a hundred processings, ten have ten versions, ten decisions and ten formalities.
fn has_long_history(processing: usize) -> bool {
    processing % 10 == 7
}

/// Of a hundred processings, ten run the experiments, which are shared out among them.
fn runs_experiments(processing: usize) -> bool {
    processing.is_multiple_of(10)
}

/// The processing that an experiment belongs to.
fn processing_of(experiment: usize, processings: usize) -> usize {
    experiment * 10 % processings
}

fn register(processings: usize) -> Register {
    let mut fold = Fold::new();
    for n in 0..processings {
        let id = format!("traitement-{n}");
        fold.processing(&id, if has_long_history(n) { 10 } else { 1 });
        if n % 5 == 1 {
            fold.act(
                DESK,
                Kind::ObjectionRecord,
                "2019-06-01",
                json!({
                    "processing": id, "subject": {"digest": base64url(&[1; 32]),
                                                  "value": base64url(&[2; 32])},
                    "scope": "tout",
                }),
            );
        }
    }
    for n in 0..EXPERIMENTS {
        let processing = processing_of(n, processings);
        fold.experiment(&format!("essai-{n}"), &format!("traitement-{processing}"));
    }
    fold.register
}

/// One sort of access in the mix: its day, and what it changes in a plain one, given the number of
/// an experiment.
struct Sort {
    name: &'static str,
    day: &'static str,
    /// Judged within an experiment, or to a processing that runs none.
    in_experiment: bool,
    long_history: bool,
    change: fn(&mut Value, usize),
}

const SORTS: [Sort; 8] = [
    Sort {
        name: "covered, plain processing",
        day: "2020-06-15",
        in_experiment: false,
        long_history: false,
        change: |_, _| {},
    },
    Sort {
        name: "covered, ten versions and ten decisions",
        day: "2020-06-15",
        in_experiment: false,
        long_history: true,
        change: |_, _| {},
    },
    Sort {
        name: "covered, site of an experiment",
        day: "2020-06-15",
        in_experiment: true,
        long_history: false,
        change: |access, n| {
            access["recipient"]["site"] = json!({"id": format!("essai-{n}-s{}", n % SITES)});
        },
    },
    Sort {
        name: "site that is not in the experiment",
        day: "2020-06-15",
        in_experiment: true,
        long_history: false,
        change: |access, _| access["recipient"]["site"] = json!({"id": "ailleurs"}),
    },
    Sort {
        name: "one person, dated by a month",
        day: "2020-06",
        in_experiment: false,
        long_history: false,
        change: |access, n| {
            access.as_object_mut().expect("an object").remove("cohort");
            access["subjects"] = json!([{"digest": base64url(&[3; 32]),
                                         "value": base64url(&[(n % 4) as u8; 32])}]);
            access["period"] = json!("2019-06/2020-05");
        },
    },
    Sort {
        name: "employer, motives, foreign purpose",
        day: "2020-06-15",
        in_experiment: false,
        long_history: false,
        change: |access, _| {
            access["purpose"] = json!("PUR-DISCIPLINE");
            access["categories"] = json!(["ABS-MOTIVE-RPS", "NIR"]);
            access["recipient"]["role"] = json!("R-LINE-MANAGER");
        },
    },
    Sort {
        name: "before anything was filed",
        day: "2012-06-15",
        in_experiment: false,
        long_history: false,
        change: |_, _| {},
    },
    Sort {
        name: "the same, ten versions and ten decisions",
        day: "2012-06-15",
        in_experiment: false,
        long_history: true,
        change: |_, _| {},
    },
];

/// An access of that sort to every processing, as far as it fits, out of order.
fn accesses(sort: &Sort, processings: usize) -> Vec<(Access, Interval)> {
    let days = Edtf::parse(sort.day).expect("a date").interval();
    (0..processings)
        .map(|i| {
            let experiment = i * 617 % EXPERIMENTS;
            let processing = if sort.in_experiment {
                processing_of(experiment, processings)
            } else {
                let fits =
                    |m: &usize| has_long_history(*m) == sort.long_history && !runs_experiments(*m);
                let start = i * 6_173 % processings;
                (0..).map(|k| (start + k) % processings).find(fits).expect("some do")
            };
            let mut body = json!({
                "processing": format!("traitement-{processing}"), "purpose": PURPOSE,
                "categories": ["ABS-RATE"], "recipient": {"party": FUND, "role": "R-CARSAT"},
                "basis": {"codes": ["A6-1-E"]}, "cohort": {"units": ["site-1"], "cells": []},
                "channel": "report",
            });
            if sort.in_experiment {
                body["experiment"] = json!(format!("essai-{experiment}"));
            }
            (sort.change)(&mut body, experiment);
            match Body::read(Kind::AccessReport, body) {
                Ok(Body::ReportAccess(access)) => (access, days),
                other => panic!("the access does not read: {other:?}"),
            }
        })
        .collect()
}

fn judge_all(register: &Register, accesses: &[(Access, Interval)], times: usize) -> Duration {
    let view = register.now();
    let started = Instant::now();
    for (access, days) in accesses.iter().cycle().take(times) {
        let case = Case { access, days: *days, recorded: None };
        black_box(rules::judge(&CURRENT, &case, view));
    }
    started.elapsed()
}

/// Average of each round, in nanoseconds an access; their median.
fn median(register: &Register, accesses: &[(Access, Interval)], times: usize) -> u128 {
    judge_all(register, accesses, accesses.len());
    let mut rounds: Vec<u128> = (0..ROUNDS)
        .map(|_| judge_all(register, accesses, times).as_nanos() / times as u128)
        .collect();
    rounds.sort_unstable();
    rounds[ROUNDS / 2]
}

/// Digest of every verdict's canonical bytes.
fn digest(register: &Register, accesses: &[(Access, Interval)]) -> blake3::Hash {
    let mut bytes = Vec::new();
    for (access, days) in accesses {
        let case = Case { access, days: *days, recorded: None };
        let judged = rules::judge(&CURRENT, &case, register.now()).expect("it is registered");
        judged.verdict.write_canonical(&mut bytes);
    }
    blake3::hash(&bytes)
}

fn main() {
    let mut averages = Vec::new();
    for processings in [1_000, 10_000] {
        let register = register(processings);
        let sorts = SORTS.iter().map(|sort| accesses(sort, processings)).collect::<Vec<_>>();
        println!("{processings} processings, {EXPERIMENTS} experiments of {SITES} sites");
        for (sort, accesses) in SORTS.iter().zip(&sorts) {
            let nanos = median(&register, accesses, JUDGED_A_ROUND / SORTS.len());
            println!("  {:<42} {:>7} ns", sort.name, nanos);
        }
        // The mix takes one of each sort in turn.
        let mix: Vec<(Access, Interval)> =
            (0..processings).flat_map(|i| sorts.iter().map(move |s| s[i].clone())).collect();
        let nanos = median(&register, &mix, JUDGED_A_ROUND);
        println!("  {:<42} {nanos:>7} ns an access, on average", "all, in turn");
        println!("  verdicts {}", digest(&register, &mix).to_hex());
        averages.push(nanos);
    }
    let growth = averages[1] * 100 / averages[0].max(1);
    println!("ten times the processings: {}.{:02} times the cost", growth / 100, growth % 100);
}
