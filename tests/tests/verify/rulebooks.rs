//! Several rulebooks in one ledger: each access judged again under the version its own entry
//! names, and no way back to kinder rules.

use greffe_domain::event::ClockKind;
use greffe_domain::key::simulated_party_key;
use greffe_domain::kind::Kind;
use greffe_domain::rules::{CURRENT, Rulebook, VERSIONS, formality, statistics};
use greffe_tests::ledger::{Draft, Force, TestLedger};
use greffe_tests::sample::{self, EMPLOYER, FUND};
use greffe_verify::{Failure, Reason, Report, verify_under};
use serde_json::{Value, json};

use super::{assert_broken, broken, sound, trust};

/// Made up, and older than ours: it looks at formalities alone, so that it covers what the
/// rules on recipients refuse.
static LENIENT: Rulebook = Rulebook {
    version: "1999-12-31",
    rules: &[formality::RULES],
    states_term: false,
    thresholds: &statistics::THRESHOLDS,
};

static BOTH: &[&Rulebook] = &[&LENIENT, &CURRENT];

fn check(ledger: &TestLedger) -> Result<Report, Failure> {
    verify_under(ledger.export().as_slice(), &trust(ledger), BOTH)
}

#[track_caller]
fn breaks(ledger: &TestLedger) -> (u64, Reason) {
    match check(ledger) {
        Err(Failure::Broken { position, reason, .. }) => (position.0, *reason),
        Err(failure) => panic!("should be broken: {failure}"),
        Ok(report) => panic!("should be broken: {report}"),
    }
}

/// The employer's request, which only the lenient rules cover.
fn request() -> Draft<'static> {
    Draft::act(EMPLOYER, Kind::AccessRequest, sample::access_by_employer(&[1])).at("2012-01-20")
}

fn requested(ledger: &mut TestLedger) -> String {
    let position = ledger.file(&request()).expect("recorded")[0];
    ledger.receipt(position)["leaf"]["event"]["type"].as_str().expect("a type").to_owned()
}

/// A ledger of both: opened under the lenient rules, then under ours.
fn ledger() -> TestLedger {
    let mut ledger = sample::opened_under(&LENIENT, ClockKind::Real);
    (0..12).for_each(|n| sample::grow(&mut ledger, n));
    assert_eq!(requested(&mut ledger), "AccessGranted");
    ledger.adopt(&CURRENT);
    assert_eq!(requested(&mut ledger), "AccessDenied");
    (0..12).for_each(|n| sample::grow(&mut ledger, n));
    ledger.pass_seconds(60);
    ledger
}

/// Records the request by force, with a change to its leaf; then goes on.
fn force(ledger: &mut TestLedger, tamper: &dyn Fn(&mut Value)) -> u64 {
    let text = ledger.sign(&request());
    let force = Force { tamper: Some(tamper), ..Force::default() };
    let position = ledger.force(&text, simulated_party_key(EMPLOYER).public(), &force)[0];
    ledger.adopt(&CURRENT);
    (0..3).for_each(|n| sample::grow(ledger, n));
    position
}

#[test]
fn each_access_is_judged_again_under_the_rules_of_its_entry() {
    let ledger = ledger();
    let report = check(&ledger).unwrap_or_else(|failure| panic!("should be sound: {failure}"));
    let versions: Vec<&str> = report.rulebooks.iter().map(|(v, _)| v.as_str()).collect();
    assert_eq!(versions, [LENIENT.version, CURRENT.version]);
    assert_eq!(report.rulebooks.iter().map(|(_, n)| n).sum::<u64>(), report.entries);
    assert_eq!(report.not_rejudged, 0);
}

#[test]
fn rules_this_verifier_does_not_know_are_named_where_they_begin() {
    let ledger = ledger();
    assert_broken!(&ledger, &ledger.export(), 0, Reason::Rulebook(_));
    let mut ledger = self::ledger();
    let position = force(&mut ledger, &|leaf| leaf["rulebook"] = json!("2999-01-01"));
    let (found, reason) = breaks(&ledger);
    assert_eq!(found, position, "{reason}");
    assert!(matches!(reason, Reason::Rulebook(version) if version == "2999-01-01"));
}

#[test]
fn going_back_to_kinder_rules_is_named() {
    let mut ledger = ledger();
    ledger.adopt(&LENIENT);
    let position = force(&mut ledger, &|leaf| {
        assert_eq!(leaf["event"]["type"], "AccessGranted");
        assert_eq!(leaf["rulebook"], LENIENT.version);
    });
    let (found, reason) = breaks(&ledger);
    assert_eq!(found, position, "{reason}");
    assert!(matches!(reason, Reason::RulebookWentBack { .. }), "{reason}");
}

#[test]
fn a_verdict_by_kinder_rules_than_its_entry_names_is_named() {
    let mut ledger = ledger();
    ledger.adopt(&LENIENT);
    let position = force(&mut ledger, &|leaf| leaf["rulebook"] = json!(CURRENT.version));
    let (found, reason) = breaks(&ledger);
    assert_eq!(found, position, "{reason}");
    assert!(matches!(reason, Reason::Outcome { .. }), "{reason}");
}

#[test]
fn a_verdict_by_harsher_rules_than_its_entry_names_is_named_too() {
    let mut ledger = sample::opened_under(&LENIENT, ClockKind::Real);
    ledger.adopt(&CURRENT);
    let position = force(&mut ledger, &|leaf| leaf["rulebook"] = json!(LENIENT.version));
    let (found, reason) = breaks(&ledger);
    assert_eq!(found, position, "{reason}");
    assert!(matches!(reason, Reason::Outcome { .. }), "{reason}");
}

#[test]
fn every_version_ever_shipped_still_judges_and_none_comes_after_a_later_one() {
    assert!(std::ptr::eq(*VERSIONS.last().expect("one at least"), &CURRENT));
    assert!(VERSIONS.is_sorted_by(|a, b| a.version < b.version), "versions are days, ascending");
    let mut ledger = sample::opened_under(VERSIONS[0], ClockKind::Real);
    for rulebook in VERSIONS {
        ledger.adopt(rulebook);
        (0..20).for_each(|n| sample::grow(&mut ledger, n));
    }
    let report = sound(&ledger, &ledger.export());
    assert_eq!(report.rulebooks.len(), VERSIONS.len());
    for pair in VERSIONS.windows(2) {
        let mut ledger = sample::opened_under(pair[1], ClockKind::Real);
        ledger.adopt(pair[0]);
        let position = ledger.size();
        let draft = Draft::act(FUND, Kind::AccessReport, sample::access(&[1])).at("2012-01-20");
        ledger.file(&draft).expect("recorded");
        let (found, reason) = broken(&ledger, &ledger.export());
        assert_eq!(found, position, "{reason}");
        assert!(matches!(reason, Reason::RulebookWentBack { .. }), "{reason}");
    }
}
