//! The rules on statistical disclosure: each where it fires, where it does not, and the
//! numbers at which it changes its mind.

use greffe_domain::kind::Kind::{AccessReport, ExperimentEnrol, ExperimentLaunch};
use greffe_domain::rules::{CURRENT, Rulebook, VERSIONS, statistics};
use greffe_domain::verdict::Evidence::{Contradicted, Uncertain};
use greffe_domain::verdict::{Outcome, Severity};
use greffe_domain::vocabulary::RuleCode;
use greffe_tests::register::{Affair, EMPLOYER, FUND, PROCESSING, PURPOSE};
use serde_json::{Value, json};

const PERIOD: &str = "2019-01/2019-12";

fn cell(units: &[&str], categories: &[&str], unit: &str, value: Option<i64>) -> Value {
    let mut cell =
        json!({"units": units, "categories": categories, "unit": unit, "suppressed": false});
    if let Some(value) = value {
        cell["value"] = json!(value);
    }
    cell
}

fn suppressed(units: &[&str], categories: &[&str]) -> Value {
    let mut cell = cell(units, categories, "days", None);
    cell["suppressed"] = json!(true);
    cell
}

/// What an access shows of a group: units, number of absentees, cells.
fn shown(units: &[&str], absentees: Option<i64>, cells: Vec<Value>) -> Value {
    let mut cohort = json!({"units": units, "cells": cells});
    if let Some(absentees) = absentees {
        cohort["absentees"] = json!(absentees);
    }
    json!({
        "processing": PROCESSING, "purpose": PURPOSE, "categories": ["ABS-RATE"],
        "recipient": {"party": EMPLOYER, "role": "R-CARSAT"},
        "basis": {"codes": ["A6-1-E"]}, "period": PERIOD, "cohort": cohort, "channel": "report",
    })
}

/// A sound affair whose access shows that.
fn affair(units: &[&str], absentees: Option<i64>, cells: Vec<Value>) -> Affair {
    let access = shown(units, absentees, cells);
    Affair::of(2020).access(|a| *a = access.clone())
}

/// The same after those earlier disclosures, to the same employer.
fn after(earlier: &[Value], next: Value) -> Affair {
    let base = Affair::of(2020).access(|a| *a = next.clone());
    earlier
        .iter()
        .fold(base, |affair, body| affair.with(FUND, AccessReport, "2020-03-01", body.clone()))
}

fn rate(units: &[&str]) -> Value {
    cell(units, &["ABS-RATE"], "days", Some(500))
}

#[test]
fn small_cell_by_the_number_of_absentees() {
    const CODE: &str = "SMALL-CELL";
    let of = |absentees| affair(&["s"], Some(absentees), vec![rate(&["s"])]);
    for few in [0, 1, 8, 10] {
        let finding = of(few).fires(CODE, Contradicted);
        assert_eq!(finding.severity, Severity::Blocking);
        assert_eq!(finding.rests_on.len(), 1, "the digest of the number of absentees");
        assert_eq!(finding.cells.len(), 1);
        assert_eq!(finding.cells[0].units, ["s"]);
        assert_eq!(finding.cells[0].period.as_deref(), Some("2019-01-01/2019-12-31"));
        assert_eq!(of(few).verdict(), Outcome::NotCovered);
    }
    assert_eq!(of(11).judge().verdict.findings, []);
    assert_eq!(of(11).verdict(), Outcome::Covered);
    // A headcount above any threshold does not save a group of 8.
    of(8).access(|a| a["cohort"]["headcount"] = json!(250)).fires(CODE, Contradicted);
    // What is suppressed is not shown.
    affair(&["s"], Some(8), vec![suppressed(&["s"], &["ABS-RATE"])]).quiet(CODE);
    // A headcount and a comparison with others are not about the absent.
    affair(&["s"], Some(8), vec![cell(&["s"], &["HEADCOUNT"], "persons", Some(250))]).quiet(CODE);
    affair(&["s"], Some(8), vec![cell(&["s"], &["BENCHMARK"], "permille", Some(50))]).quiet(CODE);
}

#[test]
fn small_cell_by_its_value_and_by_what_it_leaves() {
    const CODE: &str = "SMALL-CELL";
    let of = |unit: &str, value| {
        affair(&["s"], Some(40), vec![cell(&["s"], &["ABS-RATE"], unit, Some(value))])
    };
    for unit in ["persons", "spells", "days"] {
        of(unit, 0).quiet(CODE);
        of(unit, 1).fires(CODE, Contradicted);
        let finding = of(unit, 10).fires(CODE, Contradicted);
        assert_eq!(finding.rests_on.len(), 2, "the value, and the number of absentees");
        of(unit, 11).quiet(CODE);
    }
    for unit in ["cents", "permille"] {
        of(unit, 5).quiet(CODE);
    }
    // 40 absentees: 29 leave 11, 30 leave 10, 39 leave one, 40 leave none.
    of("persons", 29).quiet(CODE);
    of("persons", 30).fires(CODE, Contradicted);
    of("persons", 39).fires(CODE, Contradicted);
    of("persons", 40).quiet(CODE);
    of("days", 39).quiet(CODE);
}

#[test]
fn absent_persons_counted_in_a_cell_are_a_number_of_absentees() {
    let counted = |n| {
        affair(&["s"], None, vec![cell(&["s"], &["ABS-FACT"], "persons", Some(n)), rate(&["s"])])
    };
    counted(10).fires("SMALL-CELL", Contradicted);
    counted(11).quiet("SMALL-CELL");
    counted(11).quiet("DIFFERENCING-UNVERIFIABLE");
}

#[test]
fn secondary_suppression() {
    const CODE: &str = "SECONDARY-SUPPRESSION";
    let motives = ["ABS-MOTIVE-TMS", "ABS-MOTIVE-LOMB", "ABS-MOTIVE-RPS"];
    let cells = |last: Value| {
        vec![
            cell(&["s"], &motives, "days", Some(900)),
            cell(&["s"], &motives[..1], "days", Some(300)),
            cell(&["s"], &motives[1..2], "days", Some(300)),
            last,
        ]
    };
    let leak = affair(&["s"], Some(40), cells(suppressed(&["s"], &motives[2..])));
    let finding = leak.fires(CODE, Contradicted);
    assert_eq!(finding.severity, Severity::Blocking);
    assert_eq!(finding.cells.len(), 1);
    assert_eq!(finding.cells[0].categories[0], *motives[2]);
    affair(&["s"], Some(40), cells(rate(&["s"]))).quiet(CODE);
    affair(&["s"], Some(40), cells(suppressed(&["t"], &motives[2..]))).quiet(CODE);
    // Without the total, the last motive is not known.
    let mut two = cells(suppressed(&["s"], &motives[2..]));
    two.remove(0);
    affair(&["s"], Some(40), two).quiet(CODE);
    // Withheld numbers change nothing here: it is a matter of shapes.
    leak.access_erased().fires(CODE, Contradicted);
}

/// A whole of `whole` absentees was shown; now a part of `part`.
fn subtraction(whole: i64, part: i64) -> Affair {
    after(
        &[shown(&["a", "b"], Some(whole), vec![rate(&["a", "b"])])],
        shown(&["a"], Some(part), vec![rate(&["a"])]),
    )
}

#[test]
fn differencing_risk() {
    const CODE: &str = "DIFFERENCING-RISK";
    let affair = subtraction(40, 30).recorded("2020-06-16");
    let finding = affair.fires(CODE, Contradicted);
    assert_eq!(finding.severity, Severity::Blocking);
    assert_eq!(finding.cells[0].units, ["b"], "the part that nobody published");
    assert_eq!(finding.positions.len(), 2, "the earlier disclosure and this one");
    assert_eq!(finding.positions.last(), Some(&affair.position()));
    assert_eq!(finding.rests_on.len(), 1, "the number declared for the whole");
    assert_eq!(affair.verdict(), Outcome::NotCovered);
    subtraction(41, 30).quiet(CODE);
    assert_eq!(subtraction(41, 30).verdict(), Outcome::Covered);
    // The part first, then the whole.
    let grown = |whole| {
        after(
            &[shown(&["a"], Some(25), vec![rate(&["a"])])],
            shown(&["a", "b"], Some(whole), vec![rate(&["a", "b"])]),
        )
    };
    grown(55).quiet(CODE);
    grown(35).fires(CODE, Contradicted);
}

#[test]
fn what_was_shown_to_another_employer_does_not_weigh() {
    let mut other = shown(&["a", "b"], Some(40), vec![rate(&["a", "b"])]);
    other["recipient"]["party"] = json!("another");
    let next = shown(&["a"], Some(30), vec![rate(&["a"])]);
    after(&[other.clone()], next.clone()).quiet("DIFFERENCING-RISK");
    // Two establishments of one company are one employer.
    let site = |body: &Value, siret: &str| {
        let mut body = body.clone();
        body["recipient"]["site"] = json!({"id": "x", "siret": siret});
        body
    };
    let same = after(&[site(&other, "73282932000074")], site(&next, "73282932000082"));
    same.fires("DIFFERENCING-RISK", Contradicted);
    after(&[site(&other, "73282932000074")], site(&next, "55208131766522"))
        .quiet("DIFFERENCING-RISK");
}

#[test]
fn a_disclosure_made_later_does_not_weigh_on_an_earlier_one() {
    let later = shown(&["a", "b"], Some(40), vec![rate(&["a", "b"])]);
    let affair = affair(&["a"], Some(30), vec![rate(&["a"])]).recorded("2020-06-16").with(
        FUND,
        AccessReport,
        "2020-07-01",
        later,
    );
    affair.quiet("DIFFERENCING-RISK");
    assert_eq!(affair.verdict(), Outcome::Covered);
}

fn experiment(affair: Affair, above: i64) -> Affair {
    affair
        .with(
            FUND,
            ExperimentLaunch,
            "2019-01-10",
            json!({
                "experiment": "essai", "processing": PROCESSING, "unit": "establishment",
                "headcount_above": above, "categories": ["ABS-RATE"], "start": "2019-02-01",
            }),
        )
        .access(|a| a["experiment"] = json!("essai"))
}

fn enrol(affair: Affair, site: &str, headcount: i64) -> Affair {
    affair.with(
        FUND,
        ExperimentEnrol,
        "2019-02-01",
        json!({"experiment": "essai", "site": {
            "id": site, "name": site, "headcount": headcount, "headcount_on": "2020-01-01",
        }}),
    )
}

#[test]
fn threshold_bypass() {
    const CODE: &str = "THRESHOLD-BYPASS";
    let sites = |a, b| enrol(enrol(experiment(subtraction(60, 30), 200), "a", a), "b", b);
    let finding = sites(250, 200).fires(CODE, Contradicted);
    assert_eq!(finding.severity, Severity::Blocking);
    assert_eq!(finding.cells[0].units, ["b"]);
    sites(250, 201).quiet(CODE);
    // The site that is shown may itself be too small.
    let finding = sites(200, 250).fires(CODE, Contradicted);
    assert_eq!(finding.cells[0].units, ["a"]);
    // A corrected headcount prevails.
    enrol(sites(250, 412), "b", 198).fires(CODE, Contradicted);
    // A headcount that nobody gave is not guessed.
    enrol(experiment(subtraction(60, 30), 200), "a", 250).quiet(CODE);
    // Subtracted headcounts are known too: 300 together, 250 alone.
    let mut whole = shown(&["a", "b"], Some(60), vec![rate(&["a", "b"])]);
    whole["cohort"]["headcount"] = json!(450);
    let mut part = shown(&["a"], Some(30), vec![rate(&["a"])]);
    part["cohort"]["headcount"] = json!(250);
    let both = experiment(after(&[whole.clone()], part.clone()), 200);
    both.fires(CODE, Contradicted);
    whole["cohort"]["headcount"] = json!(451);
    experiment(after(&[whole], part), 200).quiet(CODE);
    subtraction(60, 30).quiet(CODE);
}

#[test]
fn dominance() {
    const CODE: &str = "DOMINANCE";
    let of = |unit: &str, share| {
        let mut cell = cell(&["s"], &["ABS-RATE"], unit, Some(500));
        cell["largest_share_permille"] = json!(share);
        affair(&["s"], Some(40), vec![cell])
    };
    for unit in ["days", "spells", "cents"] {
        of(unit, 849).quiet(CODE);
        let finding = of(unit, 850).fires(CODE, Contradicted);
        assert_eq!(finding.severity, Severity::Major);
        assert_eq!(finding.rests_on.len(), 1, "the digest of the share");
    }
    assert_eq!(of("days", 1_000).verdict(), Outcome::CoveredWithReservations);
    of("permille", 1_000).quiet(CODE);
    affair(&["s"], Some(40), vec![rate(&["s"])]).quiet(CODE);
}

#[test]
fn unanimous_cell() {
    const CODE: &str = "UNANIMOUS-CELL";
    let of = |category: &str, unit: &str, value| {
        affair(&["s"], Some(40), vec![cell(&["s"], &[category], unit, Some(value))])
    };
    let motive = "ABS-MOTIVE-TMS";
    for unit in ["persons", "days", "cents", "permille"] {
        let finding = of(motive, unit, 0).fires(CODE, Contradicted);
        assert_eq!(finding.severity, Severity::Major);
    }
    of(motive, "persons", 40).fires(CODE, Contradicted);
    of(motive, "persons", 39).quiet(CODE);
    of(motive, "persons", 1).quiet(CODE);
    of(motive, "days", 40).quiet(CODE);
    of("ABS-RATE", "persons", 40).quiet(CODE);
    of("ABS-RATE", "persons", 0).quiet(CODE);
    // Without the number of absentees, "all" is not known.
    affair(&["s"], None, vec![cell(&["s"], &[motive], "persons", Some(40))]).quiet(CODE);
}

#[test]
fn differencing_unverifiable() {
    const CODE: &str = "DIFFERENCING-UNVERIFIABLE";
    let unknown = affair(&["s"], None, vec![rate(&["s"])]);
    let finding = unknown.fires(CODE, Uncertain);
    assert_eq!(finding.severity, Severity::Major);
    assert_eq!(finding.cells[0].units, ["s"]);
    assert_eq!(unknown.verdict(), Outcome::CoveredWithReservations);
    unknown.quiet("SMALL-CELL");
    affair(&["s"], Some(11), vec![rate(&["s"])]).quiet(CODE);
    affair(&["s"], Some(10), vec![rate(&["s"])]).quiet(CODE);
    // A cell on part of the units: the part's number is not declared.
    affair(&["s", "t"], Some(40), vec![rate(&["s"])]).fires(CODE, Uncertain);
    affair(&["s", "t"], Some(10), vec![rate(&["s"])]).quiet(CODE);
    // No period, or an open one, is one period of its own.
    let sound = || affair(&["s"], Some(40), vec![rate(&["s"])]);
    for period in ["2019-01/..", "../2019-12"] {
        sound().access(|a| a["period"] = json!(period)).fires(CODE, Uncertain);
    }
    let untold = sound().access(|a| {
        a.as_object_mut().expect("an access").remove("period");
    });
    untold.fires(CODE, Uncertain);
    // A set given away whose number of absentees is not known.
    let open = after(
        &[shown(&["a", "b"], None, vec![rate(&["a", "b"])])],
        shown(&["a"], Some(30), vec![rate(&["a"])]),
    );
    assert_eq!(open.fires(CODE, Uncertain).cells[0].units, ["b"]);
    // Nothing shown, nothing to verify.
    Affair::of(2020).quiet(CODE);
    affair(&["s"], None, vec![suppressed(&["s"], &["ABS-RATE"])]).quiet(CODE);
}

#[test]
fn missing_disclosures_leave_undecided_what_rests_on_them() {
    let small = affair(&["s"], Some(8), vec![rate(&["s"])]).recorded("2020-06-16").access_erased();
    for code in [
        "SMALL-CELL",
        "DIFFERENCING-RISK",
        "DOMINANCE",
        "UNANIMOUS-CELL",
        "DIFFERENCING-UNVERIFIABLE",
    ] {
        small.undecided(code);
    }
    // An earlier number that is not at hand.
    let earlier = subtraction(40, 30).recorded("2020-06-16").erased(AccessReport);
    for code in ["SMALL-CELL", "DIFFERENCING-RISK", "DIFFERENCING-UNVERIFIABLE"] {
        earlier.undecided(code);
    }
    // Values are only those of the disclosure judged.
    assert!(!earlier.judge().undecided.iter().any(|c| *c == *"DOMINANCE"));
}

#[test]
fn an_access_judged_by_the_first_rules_is_judged_by_them_for_ever() {
    let affair = subtraction(40, 30);
    assert_eq!(affair.verdict(), Outcome::NotCovered);
    let [first, current] = VERSIONS else { panic!("two versions are shipped") };
    assert_eq!((first.version, current.version), ("2026-11-21", "2026-11-25"));
    assert_eq!(affair.judge_by(first).verdict.verdict, Outcome::Covered);
    assert_eq!(affair.judge_by(current), affair.judge());
    assert_eq!(CURRENT.version, current.version);
    for rulebook in VERSIONS {
        let found = Rulebook::by_version(rulebook.version).map(|r| r.version);
        assert_eq!(found, Some(rulebook.version));
    }
    assert!(Rulebook::by_version("2026-11-24").is_none());
}

#[test]
fn every_published_rule_is_judged_or_asked_of_a_generalisation() {
    let requirements = greffe_domain::rules::generalise::REQUIREMENTS;
    for code in RuleCode::all() {
        let judged = CURRENT.rule(code.as_str()).is_some();
        let asked = requirements.iter().any(|r| *code.as_str() == *r.code);
        assert!(judged || asked, "{code} is nowhere");
    }
}

#[test]
fn the_rules_of_statistics_say_what_they_are_and_cite_no_law() {
    assert_eq!(statistics::RULES.len(), 7);
    for rule in statistics::RULES {
        for text in [rule.reason_fr, rule.reason_en, rule.source] {
            assert!(text.chars().count() > 10, "{}", rule.code);
        }
        assert_ne!(rule.reason_fr, rule.reason_en);
    }
    let thresholds = statistics::THRESHOLDS;
    assert_eq!(thresholds.persons.value, 11);
    assert!(thresholds.persons.source.contains("Norme d’usage"), "no law sets it");
}
