//! Each code of the published list, with a case that fires its rule, one that leaves it quiet,
//! and the step at which it changes its mind.
//!
//! The table is walked from the code list, not from the rulebook: a code without a rule, a
//! rule without its words, source or regimes, or without one of the three sorts of case, is
//! named by a test. Each case is run, and fails when it does not show what it claims. What
//! else a rule does is in `rules.rs`.

use std::collections::BTreeMap;

use greffe_domain::kind::Kind::*;
use greffe_domain::rules::{CURRENT, generalise, regime};
use greffe_domain::verdict::Evidence::{self, Contradicted, NotEvidenced, Uncertain};
use greffe_domain::verdict::{Finding, Severity};
use greffe_domain::vocabulary::RuleCode;
use greffe_tests::register::{
    AUTHORITY, Affair, COUNCIL, COURT, DESK, EMPLOYER, FUND, PROCESSING, PURPOSE,
};
use serde_json::{Value, json};

use crate::rules::{
    agreement, enrolled, experiment, on_processing, opinion, ruling, to_physician, with_category,
};

/// What is asked of an affair.
#[derive(Clone, Copy)]
enum Asked {
    /// The verdict on its access.
    Access,
    /// What stands in the way of generalising its experiment, or its processing.
    Generalisation(Option<&'static str>),
}

struct Case {
    affair: Affair,
    /// How the rule fires; `None`: it does not.
    expected: Option<Evidence>,
}

fn fires(affair: Affair, evidence: Evidence) -> Case {
    Case { affair, expected: Some(evidence) }
}

fn quiet(affair: Affair) -> Case {
    Case { affair, expected: None }
}

struct Row {
    asked: Asked,
    fires: Case,
    quiet: Case,
    /// One step apart, and answered differently.
    boundary: (&'static str, [Case; 2]),
}

#[derive(Default)]
struct Table(BTreeMap<&'static str, Row>);

impl Table {
    fn row(
        &mut self,
        code: &'static str,
        fires: Case,
        quiet: Case,
        boundary: (&'static str, [Case; 2]),
    ) {
        let row = Row { asked: Asked::Access, fires, quiet, boundary };
        assert!(self.0.insert(code, row).is_none(), "{code} has two rows");
    }

    fn asked(&mut self, code: &'static str, asked: Asked) {
        self.0.get_mut(code).expect("the row was just added").asked = asked;
    }
}

const DAY_BEFORE: &str = "the day before, and the same day";
const SAME_DAY: &str = "the same day, and the day after";
const LAST_DAY: &str = "the last day of a term, and the day after";
const LAW: &str = "the last day of the law of 1978, and the first of the law of 2004";

fn formalities(table: &mut Table) {
    let filed = |at: &str| Affair::of(2011).dated(FormalityFile, at);
    table.row(
        "NO-DECLARATION",
        fires(Affair::of(1990).without(FormalityFile), NotEvidenced),
        quiet(Affair::of(1990)),
        (DAY_BEFORE, [quiet(filed("2011-06-14")), fires(filed("2011-06-15"), Uncertain)]),
    );
    let register = |at: &str| Affair::of(2020).dated(FormalityFile, at);
    table.row(
        "REGISTER-ENTRY-MISSING",
        fires(Affair::of(2020).without(FormalityFile), NotEvidenced),
        quiet(Affair::of(2020)),
        (DAY_BEFORE, [quiet(register("2020-06-14")), fires(register("2020-06-15"), Uncertain)]),
    );
    let social = |year| with_category(Affair::of(year), "SOC-DIFFICULTY");
    let declared = |day: &str| {
        social(2004).without(FormalityFile).formality("F04-23-DN", "2004-01-10").on(day)
    };
    table.row(
        "WRONG-FORMALITY",
        fires(social(2011), Contradicted),
        quiet(social(2011).formality("F04-25-AUT", "2011-02-01")),
        (LAW, [quiet(declared("2004-08-06")), fires(declared("2004-08-07"), Contradicted)]),
    );
    let norm = |at: &str| Affair::of(2011).formality("F04-24-NS", at);
    table.row(
        "FORMALITY-REFERENCE-MISSING",
        fires(norm("2011-02-01"), NotEvidenced),
        quiet(norm("2011-02-01").change(FormalityFile, |b| b["number"] = json!("46"))),
        (SAME_DAY, [fires(norm("2011-06-15"), NotEvidenced), quiet(norm("2011-06-16"))]),
    );
    let asked = |day: &str| {
        Affair::of(2011).without(FormalityFile).formality("F04-25-AUT", "2011-01-10").on(day)
    };
    table.row(
        "FORMALITY-PENDING",
        fires(asked("2011-03-10"), Contradicted),
        quiet(asked("2011-06-15").decision("d", "ACCEPTED", "2011-03-01")),
        (LAST_DAY, [fires(asked("2011-05-10"), Uncertain), quiet(asked("2011-05-11"))]),
    );
    table.row(
        "SILENCE-REJECTED",
        fires(asked("2011-06-15"), Contradicted),
        quiet(asked("2011-02-15")),
        (LAST_DAY, [quiet(asked("2011-05-10")), fires(asked("2011-05-11"), Contradicted)]),
    );
    table.row(
        "FORMALITY-UNKNOWN",
        fires(Affair::of(2011).without(FormalityFile), NotEvidenced),
        quiet(Affair::of(2011)),
        (
            "nothing recorded, and that nothing was filed",
            [
                fires(Affair::of(2020).without(FormalityFile), NotEvidenced),
                quiet(Affair::of(2020).without(FormalityFile).formality("F-NONE", "2020-01-10")),
            ],
        ),
    );
    let said = Affair::of(2011).claim("AUTHORISATION-NOT-SOUGHT", true);
    let sought = |at: &str| said.clone().formality("F04-25-AUT", at);
    table.row(
        "AUTHORISATION-NOT-SOUGHT",
        fires(said.clone(), Contradicted),
        quiet(Affair::of(2011).claim("AUTHORISATION-NOT-SOUGHT", false)),
        (SAME_DAY, [quiet(sought("2011-06-15")), fires(sought("2011-06-16"), Contradicted)]),
    );
    let cited = |reference: &str| {
        let receipt = json!({"formality": "f04-23-dn-2011-01-10", "number": "1234"});
        let basis = json!({"codes": ["A6-1-E"], "reference": reference});
        Affair::of(2011)
            .with(AUTHORITY, FormalityAcknowledge, "2011-01-12", receipt)
            .access(|access| access["basis"] = basis.clone())
    };
    table.row(
        "RECEIPT-NOT-APPROVAL",
        fires(cited("1234"), Contradicted),
        quiet(Affair::of(2011)),
        (
            "the number of the receipt, and one like it",
            [fires(cited("f04-23-dn-2011-01-10"), Contradicted), quiet(cited("12340"))],
        ),
    );
    let risky = || Affair::of(2020).change(ProcessingDeclare, |b| b["high_risk"] = json!(true));
    let before = |day: &str| risky().formality("F04-23-DN", "2018-05-24").on(day);
    let assessed = |risk: &str| {
        let body = json!({"processing": PROCESSING, "residual_risk": risk});
        risky().with(FUND, AssessmentFile, "2020-02-01", body)
    };
    table.row(
        "DPIA-MISSING",
        fires(risky(), NotEvidenced),
        quiet(assessed("low")),
        (LAST_DAY, [quiet(before("2021-05-25")), fires(before("2021-05-26"), NotEvidenced)]),
    );
    let consulted = |at: &str| assessed("high").formality("F18-36-CONS", at);
    table.row(
        "PRIOR-CONSULTATION-MISSING",
        fires(assessed("high"), NotEvidenced),
        quiet(assessed("medium")),
        (DAY_BEFORE, [quiet(consulted("2020-06-14")), fires(consulted("2020-06-15"), Uncertain)]),
    );
    let nir = || with_category(Affair::of(2011), "NIR");
    let decree = |at: &str| nir().formality("F04-27-NIR", at);
    table.row(
        "NIR-NOT-AUTHORISED",
        fires(nir(), NotEvidenced),
        quiet(Affair::of(2011)),
        (DAY_BEFORE, [quiet(decree("2011-06-14")), fires(decree("2011-06-15"), Uncertain)]),
    );
}

fn purposes(table: &mut Table) {
    let declared = |at: &str| Affair::of(2011).dated(ProcessingDeclare, at);
    table.row(
        "PURPOSE-NOT-DECLARED",
        fires(
            Affair::of(2011).access(|access| access["purpose"] = json!("PUR-DISCIPLINE")),
            Contradicted,
        ),
        quiet(Affair::of(2011)),
        (DAY_BEFORE, [quiet(declared("2011-06-14")), fires(declared("2011-06-15"), Uncertain)]),
    );
    let asked = Affair::of(2011).without(FormalityFile).formality("F04-25-AUT", "2011-06-01");
    let decided = |at: &str| asked.clone().decision("d", "ACCEPTED", at);
    table.row(
        "PURPOSE-PENDING",
        fires(asked.clone(), Contradicted),
        quiet(Affair::of(2011)),
        (DAY_BEFORE, [quiet(decided("2011-06-14")), fires(decided("2011-06-15"), Uncertain)]),
    );
    let refused = |at: &str| Affair::of(2011).decision("refus", "REFUSED", at);
    table.row(
        "PURPOSE-REFUSED",
        fires(refused("2011-02-01"), Contradicted),
        quiet(Affair::of(2011).decision("accord", "ACCEPTED", "2011-03-01")),
        (SAME_DAY, [fires(refused("2011-06-15"), Uncertain), quiet(refused("2011-06-16"))]),
    );
    let grounds = |at: &str| {
        refused(at).change(DecisionRender, |b| {
            b["outcomes"][0]["grounds"] = json!([{"fact": "PURPOSE-INCOMPATIBLE"}]);
        })
    };
    table.row(
        "PURPOSE-INCOMPATIBLE",
        fires(grounds("2011-02-01"), Contradicted),
        quiet(refused("2011-02-01")),
        (SAME_DAY, [fires(grounds("2011-06-15"), Uncertain), quiet(grounds("2011-06-16"))]),
    );
    let bound = || {
        Affair::of(2011)
            .decision("accord", "ACCEPTED-CONDITIONS", "2011-02-01")
            .change(DecisionRender, |b| {
                b["outcomes"][0]["conditions"] = json!([{"condition": "affichage"}])
            })
    };
    let met = |at: &str| {
        bound().with(FUND, ConditionMeet, at, on_processing(json!({"condition": "affichage"})))
    };
    table.row(
        "CONDITION-NOT-MET",
        fires(bound(), NotEvidenced),
        quiet(Affair::of(2011).decision("accord", "ACCEPTED", "2011-02-01")),
        (DAY_BEFORE, [quiet(met("2011-06-14")), fires(met("2011-06-15"), Uncertain)]),
    );
    let unstated = |year, day: &str| {
        Affair::of(year)
            .change(ProcessingDeclare, |body| body["legal_basis"] = json!(["UNSTATED"]))
            .access(|access| access["basis"] = json!({"codes": ["UNSTATED"]}))
            .on(day)
    };
    table.row(
        "LEGAL-BASIS-UNSTATED",
        fires(unstated(2020, "2020-06-15"), NotEvidenced),
        quiet(Affair::of(2020)),
        (
            LAW,
            [
                quiet(unstated(2004, "2004-08-06")),
                fires(unstated(2004, "2004-08-07"), NotEvidenced),
            ],
        ),
    );
    let health = |year| with_category(Affair::of(year), "ABS-MOTIVE-TMS");
    table.row(
        "ART9-BASIS-MISSING",
        fires(health(2020), NotEvidenced),
        quiet(health(2020).change(ProcessingDeclare, |b| b["special_basis"] = json!(["A9-2-B"]))),
        (
            LAW,
            [
                quiet(health(2004).on("2004-08-06")),
                fires(health(2004).on("2004-08-07"), NotEvidenced),
            ],
        ),
    );
    let accepted = || Affair::of(2011).decision("accord", "ACCEPTED", "2011-02-01");
    let until = |until: &str| {
        let until = json!(until);
        accepted().change(DecisionRender, |body| body["until"] = until.clone())
    };
    table.row(
        "BASIS-EXPIRED",
        fires(until("2011-03-31"), Contradicted),
        quiet(accepted()),
        (LAST_DAY, [quiet(until("2011-06-15")), fires(until("2011-06-14"), Contradicted)]),
    );
    for (code, how) in [
        ("BASIS-ANNULLED", "ANNULLED-DEFERRED"),
        ("BASIS-REPEALED", "REPEALED-EX-NUNC"),
        ("BASIS-SUSPENDED", "SUSPENDED"),
    ] {
        let ended = |effective: &str| accepted().ended("accord", how, effective, "2013-11-20");
        table.row(
            code,
            fires(ended("2011-03-01"), Contradicted),
            quiet(accepted()),
            (
                "in effect from the start of that day, and from the next",
                [fires(ended("2011-06-15"), Contradicted), quiet(ended("2011-06-16"))],
            ),
        );
    }
    let other = || Affair::of(2011).access(|a| a["categories"] = json!(["ABS-RATE", "ABS-FACT"]));
    let amended = |at: &str| {
        let body = json!({
            "processing": PROCESSING, "title": "Suivi", "purposes": [{"code": PURPOSE}],
            "categories": [{"code": "ABS-RATE"}, {"code": "ABS-FACT"}],
            "subjects": ["Salariés"], "recipients": [{"role": "R-CARSAT"}],
            "legal_basis": ["A6-1-E"],
        });
        other().with(FUND, ProcessingAmend, at, body)
    };
    table.row(
        "CATEGORY-NOT-DECLARED",
        fires(other(), Contradicted),
        quiet(Affair::of(2011)),
        (DAY_BEFORE, [quiet(amended("2011-06-14")), fires(amended("2011-06-15"), Uncertain)]),
    );
    let motive = |category: &str| with_category(Affair::of(2020), category);
    let claimed = |category: &str| motive(category).claim("CATEGORY-INFERRED", true);
    table.row(
        "CATEGORY-INFERRED",
        fires(motive("ABS-MOTIVE-INFERRED"), Contradicted),
        quiet(motive("ABS-MOTIVE-TMS")),
        (
            "said of a motive, and of the mere absence",
            [fires(claimed("ABS-MOTIVE-TMS"), Uncertain), quiet(claimed("ABS-FACT"))],
        ),
    );
    let employer = || {
        with_category(Affair::of(2011), "ABS-MOTIVE-TMS")
            .change(ProcessingDeclare, |b| b["recipients"] = json!([{"role": "R-EMPLOYER-HR"}]))
            .access(|a| a["recipient"] = json!({"party": EMPLOYER, "role": "R-EMPLOYER-HR"}))
    };
    table.row(
        "RECIPIENT-NOT-AUTHORISED",
        fires(
            Affair::of(2011).access(|a| a["recipient"]["role"] = json!("R-VENDOR")),
            Contradicted,
        ),
        quiet(Affair::of(2011)),
        (
            "motives of a group, and of one person",
            [quiet(employer()), fires(employer().to_persons(&[1]), Contradicted)],
        ),
    );
    let agreed = |at: &str| to_physician(&[1]).with(DESK, AgreementRecord, at, agreement(1));
    table.row(
        "SUBJECT-AGREEMENT-MISSING",
        fires(to_physician(&[1]), NotEvidenced),
        quiet(Affair::of(2020).to_persons(&[1])),
        (DAY_BEFORE, [quiet(agreed("2020-06-14")), fires(agreed("2020-06-15"), Uncertain)]),
    );
    let objected = |at: &str, person: u8| {
        Affair::of(2020).to_persons(&[1]).with(DESK, ObjectionRecord, at, agreement(person))
    };
    table.row(
        "SUBJECT-OBJECTED",
        fires(objected("2020-02-01", 1), Contradicted),
        quiet(objected("2020-02-01", 2)),
        (SAME_DAY, [fires(objected("2020-06-15", 1), Uncertain), quiet(objected("2020-06-16", 1))]),
    );
}

fn experiments(table: &mut Table) {
    let at_site = |affair: Affair, id: &str| {
        let id = json!(id);
        affair.access(|a| a["recipient"]["site"]["id"] = id.clone())
    };
    let expand = |affair: Affair, at: &str, mut body: Value| {
        body["experiment"] = json!("essai");
        affair.with(FUND, ExperimentExpand, at, body)
    };
    let fact = || with_category(enrolled(), "ABS-FACT");
    let widened = |at: &str| expand(fact(), at, json!({"categories": ["ABS-FACT"]}));
    table.row(
        "CATEGORY-OUTSIDE-SCOPE",
        fires(fact(), Contradicted),
        quiet(enrolled()),
        (DAY_BEFORE, [quiet(widened("2020-06-14")), fires(widened("2020-06-15"), Uncertain)]),
    );
    let since = |at: &str| enrolled().dated(ExperimentEnrol, at);
    table.row(
        "OUTSIDE-EXPERIMENT-SCOPE",
        fires(at_site(enrolled(), "site-2"), Contradicted),
        quiet(enrolled()),
        (DAY_BEFORE, [quiet(since("2020-06-14")), fires(since("2020-06-15"), Uncertain)]),
    );
    table.row(
        "HEADCOUNT-BELOW-THRESHOLD",
        fires(experiment(Some(12)), Contradicted),
        quiet(experiment(Some(1_000))),
        (
            "200 and 201 employees",
            [fires(experiment(Some(200)), Contradicted), quiet(experiment(Some(201)))],
        ),
    );
    let counted = |on: &str| {
        let on = json!(on);
        enrolled().change(ExperimentEnrol, |body| body["site"]["headcount_on"] = on.clone())
    };
    table.row(
        "HEADCOUNT-STALE",
        fires(experiment(None), Uncertain),
        quiet(enrolled()),
        (
            "counted 366 and 365 days before",
            [fires(counted("2019-06-15"), Contradicted), quiet(counted("2019-06-16"))],
        ),
    );
    let disputed = || enrolled().claim("HEADCOUNT-UNIT-AMBIGUOUS", true);
    table.row(
        "HEADCOUNT-UNIT-AMBIGUOUS",
        fires(disputed(), Contradicted),
        quiet(enrolled()),
        (
            "with a threshold, and without",
            [
                fires(disputed(), Contradicted),
                quiet(disputed().change(ExperimentLaunch, |b| {
                    b.as_object_mut().expect("a body").remove("headcount_above");
                })),
            ],
        ),
    );
    let planned = || {
        let body = json!({"experiment": "essai", "target_sites": 100});
        enrolled().with(FUND, ExperimentPlanExpansion, "2020-02-01", body)
    };
    let expanded = |at: &str| {
        let sites = json!({"sites": [{"id": "site-2", "name": "Autre (inventé)"}]});
        expand(at_site(planned(), "site-2"), at, sites)
    };
    table.row(
        "EXPERIMENT-EXPANSION-UNRECORDED",
        fires(at_site(planned(), "site-2"), NotEvidenced),
        quiet(planned()),
        (SAME_DAY, [quiet(expanded("2020-06-15")), fires(expanded("2020-06-16"), NotEvidenced)]),
    );
    let until = |end: &str| {
        let end = json!(end);
        enrolled().change(ExperimentLaunch, |body| body["end"] = end.clone())
    };
    table.row(
        "EXPERIMENT-EXPIRED",
        fires(until("2020-03-31"), Contradicted),
        quiet(enrolled()),
        (LAST_DAY, [quiet(until("2020-06-15")), fires(until("2020-06-14"), Contradicted)]),
    );
    let announced = |end: &str| {
        until(end).change(ExperimentLaunch, |body| body["evaluation_planned"] = json!(true))
    };
    table.row(
        "EVALUATION-MISSING",
        fires(announced("2020-03-31"), NotEvidenced),
        quiet(until("2020-03-31")),
        (LAST_DAY, [quiet(announced("2020-06-15")), fires(announced("2020-06-14"), NotEvidenced)]),
    );
    let report = |kind: &str| {
        let body = json!({"reference": "rapport", "kind": kind, "title": "Rapport (inventé)",
                          "objects": [PURPOSE], "authority": "autorité"});
        Affair::of(2020)
            .without(FormalityFile)
            .only_told(ProcessingDeclare)
            .with(AUTHORITY, ReferencePublish, "2020-01-01", body)
            .access(|access| access["basis"]["reference"] = json!("rapport"))
    };
    let filed = |at: &str| report("report").formality("F18-30-REG", at);
    table.row(
        "NO-LEGAL-EFFECT",
        fires(report("report"), Contradicted),
        quiet(report("law")),
        (SAME_DAY, [quiet(filed("2020-06-15")), fires(filed("2020-06-16"), Contradicted)]),
    );
}

fn generalisations(table: &mut Table) {
    let evaluated = |at: &str| {
        let body = json!({"experiment": "essai", "conclusions": ["positive"]});
        enrolled().with(FUND, ExperimentEvaluate, at, body)
    };
    table.row(
        "GENERALISATION-WITHOUT-EVALUATION",
        fires(enrolled(), NotEvidenced),
        quiet(evaluated("2020-03-01")),
        (DAY_BEFORE, [quiet(evaluated("2020-06-14")), fires(evaluated("2020-06-15"), Uncertain)]),
    );
    table.asked("GENERALISATION-WITHOUT-EVALUATION", Asked::Generalisation(Some("essai")));
    let condition = || on_processing(json!({"condition": "evaluation-independante"}));
    let set = || Affair::of(2020).with(AUTHORITY, ConditionSet, "2020-02-01", condition());
    let met = |at: &str| set().with(FUND, ConditionMeet, at, condition());
    table.row(
        "GENERALISATION-CONDITION-UNMET",
        fires(set(), NotEvidenced),
        quiet(Affair::of(2020)),
        (DAY_BEFORE, [quiet(met("2020-06-14")), fires(met("2020-06-15"), Uncertain)]),
    );
    table.asked("GENERALISATION-CONDITION-UNMET", Asked::Generalisation(None));
}

fn information(table: &mut Table) {
    let told = |at: &str| Affair::of(2011).dated(InformationRecord, at);
    table.row(
        "SUBJECTS-NOT-INFORMED",
        fires(Affair::of(2011).without(InformationRecord), NotEvidenced),
        quiet(Affair::of(2011)),
        (DAY_BEFORE, [quiet(told("2011-06-14")), fires(told("2011-06-15"), Uncertain)]),
    );
    let calls = || with_category(Affair::of(2011), "CALL-RECORDING");
    let notice = |at: &str| {
        let body = json!({"processing": PROCESSING, "step": "I-CALLER-NOTICE",
                          "audience": "Appelants"});
        calls().with(FUND, InformationRecord, at, body)
    };
    table.row(
        "CALLERS-NOT-INFORMED",
        fires(calls(), NotEvidenced),
        quiet(Affair::of(2011)),
        (DAY_BEFORE, [quiet(notice("2011-06-14")), fires(notice("2011-06-15"), Uncertain)]),
    );
    let watched =
        || Affair::of(2011).change(ProcessingDeclare, |body| body["monitors_staff"] = json!(true));
    let asked =
        |said: &str, at: &str| watched().with(COUNCIL, WorksCouncilOpine, at, opinion(said));
    table.row(
        "WORKS-COUNCIL-NOT-CONSULTED",
        fires(watched(), NotEvidenced),
        quiet(Affair::of(2011)),
        (
            DAY_BEFORE,
            [
                quiet(asked("favourable", "2011-06-14")),
                fires(asked("favourable", "2011-06-15"), Uncertain),
            ],
        ),
    );
    table.row(
        "WORKS-COUNCIL-OBJECTED",
        fires(asked("unfavourable", "2011-02-01"), Contradicted),
        quiet(asked("favourable", "2011-02-01")),
        (
            SAME_DAY,
            [
                fires(asked("unfavourable", "2011-06-15"), Uncertain),
                quiet(asked("unfavourable", "2011-06-16")),
            ],
        ),
    );
    let condition = || on_processing(json!({"condition": "concertation-sociale"}));
    let set = || Affair::of(2020).with(AUTHORITY, ConditionSet, "2020-02-01", condition());
    let met = |at: &str| set().with(FUND, ConditionMeet, at, condition());
    table.row(
        "CONCERTATION-MISSING",
        fires(set(), NotEvidenced),
        quiet(Affair::of(2020)),
        (DAY_BEFORE, [quiet(met("2020-06-14")), fires(met("2020-06-15"), Uncertain)]),
    );
}

fn time(table: &mut Table) {
    let period = |period: &str| {
        let period = json!(period);
        Affair::of(2020)
            .change(ProcessingDeclare, |b| b["categories"][0]["retention_days"] = json!(30))
            .access(|access| access["period"] = period.clone())
    };
    table.row(
        "RETENTION-EXCEEDED",
        fires(period("2019"), Contradicted),
        quiet(Affair::of(2020).access(|access| access["period"] = json!("2019"))),
        (LAST_DAY, [quiet(period("2020-05-16")), fires(period("2020-05-15"), Contradicted)]),
    );
    table.row(
        "LATE-RECORDED",
        fires(Affair::of(2020).recorded("2020-12-01"), Contradicted),
        quiet(Affair::of(2020).recorded("2020-06-15")),
        (
            "three days after, and four",
            [
                quiet(Affair::of(2020).recorded("2020-06-18")),
                fires(Affair::of(2020).recorded("2020-06-19"), Contradicted),
            ],
        ),
    );
    let seen = Affair::of(2011).recorded("2011-06-15");
    let ruled = |member: &str, value: Value, access: u64| {
        let mut body = ruling(json!([]));
        body[member] = value;
        body["accesses"] = json!([access]);
        seen.clone().with(COURT, RulingRecord, "2012-01-01", body)
    };
    let here = seen.position();
    for (code, member, value, other) in [
        ("EVIDENCE-EXCLUDED", "excludes_evidence", json!(true), json!(false)),
        ("RULING-SUBJECT-TO-APPEAL", "appeal", json!("open"), json!("closed")),
    ] {
        table.row(
            code,
            fires(ruled(member, value.clone(), here), Contradicted),
            quiet(ruled(member, other, here)),
            (
                "a ruling on this access, and on the next",
                [
                    fires(ruled(member, value.clone(), here), Contradicted),
                    quiet(ruled(member, value, here + 1)),
                ],
            ),
        );
    }
    let said = || Affair::of(2011).claim("CALLERS-NOT-INFORMED", true);
    table.row(
        "CONFLICTING-STATEMENTS",
        fires(said().claim("CALLERS-NOT-INFORMED", false), Uncertain),
        quiet(Affair::of(2011)),
        (
            "the contrary of one fact, and of another",
            [
                fires(said().claim("CALLERS-NOT-INFORMED", false), Uncertain),
                quiet(said().claim("CATEGORY-INFERRED", false)),
            ],
        ),
    );
    let filed = |at: &str| Affair::of(2011).dated(FormalityFile, at);
    table.row(
        "FORMALITY-ABSENT-THEN-REGULARISED",
        fires(filed("2011-09-01"), Contradicted),
        quiet(Affair::of(2011)),
        (SAME_DAY, [quiet(filed("2011-06-15")), fires(filed("2011-06-16"), Contradicted)]),
    );
    table.row(
        "DATE-UNCERTAIN",
        fires(filed("2011"), Uncertain),
        quiet(Affair::of(2011)),
        (
            "a year that ended before the access, and the year of it",
            [quiet(filed("2010")), fires(filed("2011"), Uncertain)],
        ),
    );
}

fn disclosure(table: &mut Table) {
    use crate::statistics::rules::{
        affair, cell, enrol, experiment, rate, subtraction, suppressed,
    };
    let of = |absentees| affair(&["s"], absentees, vec![rate(&["s"])]);
    table.row(
        "SMALL-CELL",
        fires(of(Some(3)), Contradicted),
        quiet(of(Some(40))),
        ("10 and 11 absentees", [fires(of(Some(10)), Contradicted), quiet(of(Some(11)))]),
    );
    let motives = ["ABS-MOTIVE-TMS", "ABS-MOTIVE-RPS"];
    let masked = |site: &str, second: Value| {
        let total = cell(&["s"], &motives, "days", Some(900));
        let first = cell(&["s"], &motives[..1], "days", Some(300));
        affair(&["s"], Some(40), vec![total, first, suppressed(&[site], &motives[1..]), second])
    };
    let unrelated = || cell(&["s"], &["HEADCOUNT"], "persons", Some(250));
    table.row(
        "SECONDARY-SUPPRESSION",
        fires(masked("s", unrelated()), Contradicted),
        quiet(of(Some(40))),
        (
            "a cell of the same site, and of another",
            [fires(masked("s", rate(&["s"])), Contradicted), quiet(masked("t", rate(&["s"])))],
        ),
    );
    table.row(
        "DIFFERENCING-RISK",
        fires(subtraction(40, 37), Contradicted),
        quiet(of(Some(40))),
        (
            "a difference of 10 persons, and of 11",
            [fires(subtraction(40, 30), Contradicted), quiet(subtraction(41, 30))],
        ),
    );
    let sites = |b| {
        let first = enrol(experiment(subtraction(60, 30), 200), "a", 250);
        enrol(first, "b", b)
    };
    table.row(
        "THRESHOLD-BYPASS",
        fires(sites(12), Contradicted),
        quiet(sites(1_000)),
        ("200 and 201 employees", [fires(sites(200), Contradicted), quiet(sites(201))]),
    );
    let share = |permille: i64| {
        let mut cell = rate(&["s"]);
        cell["largest_share_permille"] = json!(permille);
        affair(&["s"], Some(40), vec![cell])
    };
    table.row(
        "DOMINANCE",
        fires(share(1_000), Contradicted),
        quiet(of(Some(40))),
        ("849 and 850 thousandths", [quiet(share(849)), fires(share(850), Contradicted)]),
    );
    let persons = |value: i64| {
        affair(&["s"], Some(40), vec![cell(&["s"], &motives[..1], "persons", Some(value))])
    };
    table.row(
        "UNANIMOUS-CELL",
        fires(persons(0), Contradicted),
        quiet(persons(20)),
        ("all of 40, and all but one", [fires(persons(40), Contradicted), quiet(persons(39))]),
    );
    let during = |period: &str| {
        let period = json!(period);
        of(Some(40)).access(|a| a["period"] = period.clone())
    };
    table.row(
        "DIFFERENCING-UNVERIFIABLE",
        fires(of(None), Uncertain),
        quiet(of(Some(40))),
        (
            "a period, and one that is open",
            [quiet(during("2019-01/2019-12")), fires(during("2019-01/.."), Uncertain)],
        ),
    );
}

fn table() -> Table {
    let mut table = Table::default();
    formalities(&mut table);
    purposes(&mut table);
    experiments(&mut table);
    generalisations(&mut table);
    information(&mut table);
    time(&mut table);
    disclosure(&mut table);
    table
}

/// What a rule found in an affair.
fn found(code: &str, asked: Asked, affair: &Affair) -> Vec<Finding> {
    match asked {
        Asked::Access => affair.found(code),
        Asked::Generalisation(experiment) => {
            affair.obstacles(experiment).into_iter().filter(|f| f.code == *code).collect()
        }
    }
}

/// What keeps a case from showing what it claims; `None`: it shows it.
fn fault(code: &str, asked: Asked, case: &Case) -> Option<String> {
    let found = found(code, asked, &case.affair);
    let evidence: Vec<Evidence> = found.iter().map(|f| f.evidence).collect();
    let expected: Vec<Evidence> = case.expected.into_iter().collect();
    if evidence != expected {
        return Some(format!("found {evidence:?} instead of {expected:?}"));
    }
    let rule = CURRENT.rule(code);
    if let (Some(rule), Some(finding)) = (rule, found.first()) {
        // Two rules weigh more once their fact is established.
        let raised = matches!(code, "SUBJECTS-NOT-INFORMED" | "WORKS-COUNCIL-NOT-CONSULTED")
            && finding.severity == Severity::Blocking;
        if finding.severity != rule.severity && !raised {
            return Some(format!("weighs {:?}", finding.severity));
        }
        if finding.source != rule.source || !finding.positions.is_sorted() {
            return Some("its source or its positions are not the rule's".to_owned());
        }
    }
    None
}

#[test]
fn every_published_code_has_a_rule_with_its_words_its_source_and_its_three_sorts_of_case() {
    let table = table();
    let mut faults = Vec::new();
    for code in RuleCode::all().map(RuleCode::as_str) {
        let mut fail = |what: String| faults.push(format!("{code}: {what}"));
        let rule = CURRENT.rule(code);
        let asked = generalise::REQUIREMENTS.iter().find(|r| r.code == code);
        let words = match (rule, asked) {
            (Some(r), _) => [r.source, r.reason_fr, r.reason_en],
            (None, Some(r)) => [r.source, r.reason_fr, r.reason_en],
            (None, None) => {
                fail("no rule".to_owned());
                continue;
            }
        };
        if words.iter().any(|w| w.trim().is_empty()) || words[1] == words[2] {
            fail("its source or its reasons are missing".to_owned());
        }
        if rule.is_some_and(|r| r.regimes.is_empty()) {
            fail("it never runs".to_owned());
        }
        let Some(row) = table.0.get(code) else {
            fail("no cases".to_owned());
            continue;
        };
        if row.fires.expected.is_none() || row.quiet.expected.is_some() {
            fail("its cases are not what they are called".to_owned());
        }
        let (step, [one, other]) = &row.boundary;
        if one.expected == other.expected || step.is_empty() {
            fail("its boundary changes nothing".to_owned());
        }
        for (sort, case) in
            [("fires", &row.fires), ("quiet", &row.quiet), (*step, one), (*step, other)]
        {
            if let Some(fault) = fault(code, row.asked, case) {
                fail(format!("{sort}: {fault}"));
            }
        }
        // Quiet because it ran and found nothing, not because it did not run.
        if let (Some(rule), Asked::Access) = (rule, row.asked) {
            let ran = |case: &Case| {
                let regime = case.affair.judge().verdict.regime;
                rule.regimes.iter().any(|r| r.as_str() == regime)
            };
            if !ran(&row.quiet) {
                fail("does not run where it is said to be quiet".to_owned());
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_row_is_of_a_published_code() {
    for code in table().0.keys() {
        assert!(RuleCode::parse(code).is_some(), "{code} is not published");
    }
    assert_eq!(table().0.len(), RuleCode::all().count());
}

/// The rules whose text, delay or effect in time is known from general knowledge only.
#[test]
fn what_was_not_checked_at_its_source_is_marked_as_such() {
    for code in [
        "SILENCE-REJECTED",
        "DPIA-MISSING",
        "NIR-NOT-AUTHORISED",
        "BASIS-ANNULLED",
        "BASIS-REPEALED",
        "BASIS-SUSPENDED",
        "RECIPIENT-NOT-AUTHORISED",
    ] {
        assert!(CURRENT.rule(code).is_some_and(|r| r.to_check().is_some()), "{code}");
    }
    assert!(CURRENT.rule("REGISTER-ENTRY-MISSING").is_some_and(|r| r.to_check().is_none()));
    // A rule that reads an unverified delay says so.
    assert!(regime::ANSWERS.iter().any(|row| !row.verified));
    for code in ["FORMALITY-PENDING", "PURPOSE-PENDING"] {
        assert!(CURRENT.rule(code).is_some_and(|r| r.to_check().is_some()), "{code}");
    }
}
