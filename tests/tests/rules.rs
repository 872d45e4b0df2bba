//! Each rule of the rulebook: a case in which it fires and one in which it does not, and the
//! days and numbers at which it changes its mind.
//!
//! Affairs start sound (`Affair::of`); a test changes what its rule looks at.

use greffe_domain::kind::Kind::*;
use greffe_domain::verdict::Evidence::{Contradicted, NotEvidenced, Uncertain};
use greffe_domain::verdict::{Outcome, Severity};
use greffe_tests::register::{
    AUTHORITY, Affair, COUNCIL, COURT, DESK, EMPLOYER, FUND, PROCESSING, PURPOSE, person,
};
use serde_json::{Value, json};

fn on_processing(body: Value) -> Value {
    let mut body = body;
    body["about"] = json!({"type": "processing", "id": PROCESSING});
    body
}

/// A declaration that also has this category, and an access to it.
fn with_category(affair: Affair, category: &str) -> Affair {
    affair
        .change(ProcessingDeclare, |body| {
            body["categories"] = json!([{"code": "ABS-RATE"}, {"code": category}]);
        })
        .access(|access| access["categories"] = json!([category]))
}

#[test]
fn a_sound_affair_is_covered_without_a_finding_under_each_law() {
    for year in [1990, 2011, 2020] {
        let verdict = Affair::of(year).judge().verdict;
        assert_eq!(verdict.findings, [], "{year}");
        assert_eq!(verdict.verdict, Outcome::Covered);
        assert_eq!(verdict.basis.len(), 2, "the declaration and the formality");
    }
}

// Formalities.

#[test]
fn no_declaration() {
    const CODE: &str = "NO-DECLARATION";
    for year in [1990, 2011] {
        let none = Affair::of(year).without(FormalityFile);
        none.fires(CODE, NotEvidenced);
        assert_eq!(none.verdict(), Outcome::NotCovered);
        Affair::of(year).quiet(CODE);
        Affair::of(year).only_told(FormalityFile).fires(CODE, NotEvidenced);
    }
    Affair::of(2011)
        .without(FormalityFile)
        .formality("F-NONE", "2011-01-10")
        .fires(CODE, Contradicted);
    Affair::of(2011).dated(FormalityFile, "2011-06-14").quiet(CODE);
    let same_day = Affair::of(2011).dated(FormalityFile, "2011-06-15");
    same_day.fires(CODE, Uncertain);
    assert_eq!(same_day.verdict(), Outcome::Undetermined);
    Affair::of(2011).dated(FormalityFile, "2011-06-16").fires(CODE, NotEvidenced);
    Affair::of(2011).dated(FormalityFile, "2011-06").fires(CODE, Uncertain);
    Affair::of(2011).dated(FormalityFile, "").fires(CODE, Uncertain);
    Affair::of(2020).without(FormalityFile).quiet(CODE);
}

#[test]
fn register_entry_missing() {
    const CODE: &str = "REGISTER-ENTRY-MISSING";
    Affair::of(2020).without(FormalityFile).fires(CODE, NotEvidenced);
    Affair::of(2020).quiet(CODE);
    Affair::of(2020).dated(FormalityFile, "2020-06-15").fires(CODE, Uncertain);
    Affair::of(2020).only_told(FormalityFile).fires(CODE, NotEvidenced);
    Affair::of(2011).without(FormalityFile).quiet(CODE);
}

#[test]
fn the_law_changes_between_24_and_25_may_2018_and_between_6_and_7_august_2004() {
    let eve = Affair::of(2018).on("2018-05-24");
    eve.quiet("REGISTER-ENTRY-MISSING");
    assert_eq!(eve.verdict(), Outcome::Covered);
    let first = Affair::of(2018).on("2018-05-25");
    first.fires("REGISTER-ENTRY-MISSING", NotEvidenced);
    first.quiet("NO-DECLARATION");
    let either = Affair::of(2018).on("2018-05-24/2018-05-25");
    either.fires("DATE-UNCERTAIN", Uncertain);
    Affair::of(2018).on("2018-05-23/2018-05-24").quiet("DATE-UNCERTAIN");

    for (day, regime) in [
        ("2004-08-06", "LIL-1978"),
        ("2004-08-07", "LIL-2004"),
        ("2018-05-24", "LIL-2004"),
        ("2018-05-25", "RGPD-2018"),
    ] {
        assert_eq!(Affair::of(2004).on(day).judge().verdict.regime, regime, "{day}");
    }
    // A legal basis is asked for by the law of 2004 and later ones only.
    let unstated = Affair::of(2004)
        .change(ProcessingDeclare, |body| body["legal_basis"] = json!(["UNSTATED"]))
        .access(|access| access["basis"] = json!({"codes": ["UNSTATED"]}));
    unstated.clone().on("2004-08-06").quiet("LEGAL-BASIS-UNSTATED");
    unstated.on("2004-08-07").fires("LEGAL-BASIS-UNSTATED", NotEvidenced);
    // What was regularly filed under the law of 1978 remained good.
    Affair::of(2004).on("2004-08-07").quiet("NO-DECLARATION");
}

#[test]
fn wrong_formality() {
    const CODE: &str = "WRONG-FORMALITY";
    let social = with_category(Affair::of(2011), "SOC-DIFFICULTY");
    social.fires(CODE, Contradicted);
    social.clone().formality("F04-25-AUT", "2011-02-01").quiet(CODE);
    social.without(FormalityFile).formality("F78-16-DECL", "2003-02-01").quiet(CODE);
    with_category(Affair::of(2011), "NIR").fires(CODE, Contradicted);
    Affair::of(2011).quiet(CODE);
    let before = with_category(Affair::of(2004), "SOC-DIFFICULTY")
        .without(FormalityFile)
        .formality("F04-23-DN", "2004-01-10");
    before.clone().on("2004-08-06").quiet(CODE);
    before.on("2004-08-07").fires(CODE, Contradicted);
}

#[test]
fn formality_reference_missing() {
    const CODE: &str = "FORMALITY-REFERENCE-MISSING";
    let bare = Affair::of(2011).formality("F04-24-NS", "2011-02-01");
    bare.fires(CODE, NotEvidenced);
    assert_eq!(bare.verdict(), Outcome::CoveredWithReservations);
    bare.clone().change(FormalityFile, |body| body["number"] = json!("46")).quiet(CODE);
    bare.change(FormalityFile, |body| body["reference"] = json!("ns-46")).quiet(CODE);
    Affair::of(2011).quiet(CODE);
}

#[test]
fn formality_pending_and_silence_rejected() {
    let asked = |day: &str| {
        Affair::of(2011).without(FormalityFile).formality("F04-25-AUT", "2011-01-10").on(day)
    };
    // Two months, renewable once; the last day of a delay is still within it.
    for day in ["2011-01-11", "2011-03-09", "2011-03-10"] {
        asked(day).fires("FORMALITY-PENDING", Contradicted);
        asked(day).fires("PURPOSE-PENDING", Contradicted);
        asked(day).quiet("SILENCE-REJECTED");
    }
    for day in ["2011-03-11", "2011-05-10"] {
        asked(day).fires("FORMALITY-PENDING", Uncertain);
        asked(day).quiet("SILENCE-REJECTED");
    }
    asked("2011-05-11").quiet("FORMALITY-PENDING");
    asked("2011-05-11").fires("SILENCE-REJECTED", Contradicted);
    assert_eq!(asked("2011-05-11").verdict(), Outcome::NotCovered);

    let answered = asked("2011-06-15").decision("d", "ACCEPTED", "2011-03-01");
    answered.quiet("FORMALITY-PENDING");
    answered.quiet("PURPOSE-PENDING");
    answered.quiet("SILENCE-REJECTED");
    assert_eq!(answered.verdict(), Outcome::Covered);
    Affair::of(2011).quiet("FORMALITY-PENDING");
    // Another formality that needs no answer is enough.
    asked("2011-02-01").formality("F04-23-DN", "2011-01-11").quiet("FORMALITY-PENDING");

    // Silence was consent for an opinion under the law of 1978.
    let opinion = |day: &str| {
        Affair::of(1990).without(FormalityFile).formality("F78-15-AVIS", "1990-01-10").on(day)
    };
    opinion("1990-03-10").fires("FORMALITY-PENDING", Contradicted);
    opinion("1990-05-11").quiet("FORMALITY-PENDING");
    opinion("1990-05-11").quiet("SILENCE-REJECTED");

    // A request overtaken by the law of 2018 is no longer rejected by silence.
    let overtaken = Affair::of(2018)
        .without(FormalityFile)
        .formality("F04-25-AUT", "2018-01-25")
        .on("2018-05-24");
    overtaken.fires("FORMALITY-PENDING", Contradicted);
    let in_time = Affair::of(2018)
        .without(FormalityFile)
        .formality("F04-25-AUT", "2018-01-20")
        .on("2018-05-24");
    in_time.fires("SILENCE-REJECTED", Contradicted);
}

#[test]
fn formality_unknown() {
    const CODE: &str = "FORMALITY-UNKNOWN";
    Affair::of(2011).without(FormalityFile).fires(CODE, NotEvidenced);
    Affair::of(2011).without(FormalityFile).formality("F-NONE", "2011-01-10").quiet(CODE);
    Affair::of(2011).quiet(CODE);
}

#[test]
fn authorisation_not_sought() {
    const CODE: &str = "AUTHORISATION-NOT-SOUGHT";
    let said = Affair::of(2011).claim(CODE, true);
    said.fires(CODE, Contradicted);
    assert_eq!(said.verdict(), Outcome::Covered, "for information");
    said.formality("F04-25-AUT", "2011-01-11").quiet(CODE);
    Affair::of(2011).claim(CODE, false).quiet(CODE);
}

#[test]
fn receipt_not_approval() {
    const CODE: &str = "RECEIPT-NOT-APPROVAL";
    let receipt = json!({"formality": "f04-23-dn-2011-01-10", "number": "1234"});
    let cited = |reference: &str| {
        let basis = json!({"codes": ["A6-1-E"], "reference": reference});
        Affair::of(2011)
            .with(AUTHORITY, FormalityAcknowledge, "2011-01-12", receipt.clone())
            .access(|access| access["basis"] = basis.clone())
    };
    cited("1234").fires(CODE, Contradicted);
    cited("f04-23-dn-2011-01-10").fires(CODE, Contradicted);
    cited("4321").quiet(CODE);
}

#[test]
fn dpia_missing() {
    const CODE: &str = "DPIA-MISSING";
    let risky =
        |year| Affair::of(year).change(ProcessingDeclare, |body| body["high_risk"] = json!(true));
    let assessed = json!({"processing": PROCESSING, "residual_risk": "low"});
    risky(2020).fires(CODE, NotEvidenced);
    risky(2011).quiet(CODE);
    Affair::of(2020).quiet(CODE);
    risky(2020).with(FUND, AssessmentFile, "2020-06-14", assessed.clone()).quiet(CODE);
    risky(2020).with(FUND, AssessmentFile, "2020-06-15", assessed).fires(CODE, Uncertain);
    risky(2020).formality("F18-35-AIPD", "2020-02-01").quiet(CODE);
    // Regularly filed on the eve of the regulation: three years, their last day included.
    let filed = |at: &str, day: &str| risky(2020).formality("F04-23-DN", at).on(day);
    filed("2018-05-24", "2021-05-25").quiet(CODE);
    filed("2018-05-24", "2021-05-26").fires(CODE, NotEvidenced);
    filed("2018-05-25", "2021-05-25").fires(CODE, NotEvidenced);
}

#[test]
fn prior_consultation_missing() {
    const CODE: &str = "PRIOR-CONSULTATION-MISSING";
    let assessed = |risk: &str| {
        let body = json!({"processing": PROCESSING, "residual_risk": risk});
        Affair::of(2020).with(FUND, AssessmentFile, "2020-02-01", body)
    };
    assessed("high").fires(CODE, NotEvidenced);
    assert_eq!(assessed("high").verdict(), Outcome::NotCovered);
    assessed("medium").quiet(CODE);
    assessed("high").change(AssessmentFile, |b| b["consulted_regulator"] = json!(true)).quiet(CODE);
    assessed("high").formality("F18-36-CONS", "2020-03-01").quiet(CODE);
    assessed("high").formality("F18-36-CONS", "2020-06-15").fires(CODE, Uncertain);
}

#[test]
fn nir_not_authorised() {
    const CODE: &str = "NIR-NOT-AUTHORISED";
    for (year, text) in [(1990, "F78-18-NIR"), (2011, "F04-27-NIR"), (2020, "F18-L30-NIR")] {
        with_category(Affair::of(year), "NIR").fires(CODE, NotEvidenced);
        let at = format!("{year}-02-01");
        with_category(Affair::of(year), "NIR").formality(text, &at).quiet(CODE);
        Affair::of(year).quiet(CODE);
    }
}

#[test]
fn formality_absent_then_regularised() {
    const CODE: &str = "FORMALITY-ABSENT-THEN-REGULARISED";
    let late = Affair::of(2011).dated(FormalityFile, "2011-06-16");
    late.fires(CODE, Contradicted);
    Affair::of(2011).dated(FormalityFile, "2011-06-14").quiet(CODE);
    Affair::of(2011).dated(FormalityFile, "2011-06-15").quiet(CODE);
    late.formality("F04-23-DN", "2011-01-10").quiet(CODE);
}

// Purposes, bases, decisions.

#[test]
fn purpose_not_declared() {
    const CODE: &str = "PURPOSE-NOT-DECLARED";
    let other = Affair::of(2011).access(|access| access["purpose"] = json!("PUR-DISCIPLINE"));
    other.fires(CODE, Contradicted);
    assert_eq!(other.verdict(), Outcome::NotCovered);
    other.only_told(ProcessingDeclare).fires(CODE, NotEvidenced);
    Affair::of(2011).quiet(CODE);
    Affair::of(2011).dated(ProcessingDeclare, "2011-06-14").quiet(CODE);
    Affair::of(2011).dated(ProcessingDeclare, "2011-06-15").fires(CODE, Uncertain);
    Affair::of(2011).dated(ProcessingDeclare, "2011-06-16").fires(CODE, NotEvidenced);
    // The text relied on does not speak of that purpose.
    let norm = |objects: Value| {
        let body = json!({"reference": "ns-46", "kind": "norm", "title": "Norme", "objects": objects,
                          "authority": "autorité"});
        Affair::of(2011).with(AUTHORITY, ReferencePublish, "2010-01-01", body).access(|access| {
            access["basis"]["reference"] = json!("ns-46");
        })
    };
    norm(json!(["PUR-TRAINING"])).fires(CODE, NotEvidenced);
    norm(json!([PURPOSE])).quiet(CODE);
}

#[test]
fn an_amendment_counts_from_the_day_after_its_own() {
    let declared = Affair::of(2011);
    let amended =
        |at: &str| {
            declared.clone().with(FUND, ProcessingAmend, at, json!({
            "processing": PROCESSING, "title": "Suivi", "purposes": [{"code": "PUR-TRAINING"}],
            "categories": [{"code": "ABS-RATE"}], "subjects": ["Salariés"],
            "recipients": [{"role": "R-CARSAT"}], "legal_basis": ["A6-1-E"],
        }))
        };
    amended("2011-06-14").fires("PURPOSE-NOT-DECLARED", Contradicted);
    amended("2011-06-15").fires("PURPOSE-NOT-DECLARED", Uncertain);
    amended("2011-06-16").quiet("PURPOSE-NOT-DECLARED");
}

#[test]
fn purpose_refused() {
    const CODE: &str = "PURPOSE-REFUSED";
    let refused = |at: &str| Affair::of(2011).decision("refus", "REFUSED", at);
    refused("2011-06-14").fires(CODE, Contradicted);
    assert_eq!(refused("2011-06-14").verdict(), Outcome::NotCovered);
    refused("2011-06-15").fires(CODE, Uncertain);
    refused("2011-06-16").quiet(CODE);
    refused("2011-02-01").decision("accord", "ACCEPTED", "2011-03-01").quiet(CODE);
    refused("2011-02-01").only_told(DecisionRender).quiet(CODE);
    refused("2011-02-01")
        .change(DecisionRender, |body| body["outcomes"][0]["purpose"] = json!("PUR-TRAINING"))
        .quiet(CODE);
    Affair::of(2011).decision("accord", "ACCEPTED", "2011-03-01").quiet(CODE);
}

#[test]
fn a_refusal_as_submitted_is_answered_by_a_new_request_and_a_plain_one_is_not() {
    let refused = |outcome: &str| {
        Affair::of(2011)
            .without(FormalityFile)
            .formality("F04-25-AUT", "2011-01-10")
            .decision("refus", outcome, "2011-03-01")
            .on("2011-06-15")
    };
    refused("REFUSED-AS-SUBMITTED").fires("PURPOSE-REFUSED", Contradicted);
    refused("REFUSED-AS-SUBMITTED").quiet("PURPOSE-PENDING");

    let again = refused("REFUSED-AS-SUBMITTED").formality("F04-25-AUT", "2011-05-01");
    again.quiet("PURPOSE-REFUSED");
    again.fires("PURPOSE-PENDING", Contradicted);
    assert_eq!(again.verdict(), Outcome::NotCovered);
    // An ordinary declaration beside it changes nothing.
    let declared = again.clone().formality("F04-23-DN", "2011-01-10");
    declared.fires("PURPOSE-PENDING", Contradicted);
    // Past two months the answer may be silence; past four it was, and the refusal stands.
    again.clone().on("2011-07-02").fires("PURPOSE-PENDING", Uncertain);
    again.clone().on("2011-09-02").quiet("PURPOSE-PENDING");
    again.clone().on("2011-09-02").fires("PURPOSE-REFUSED", Contradicted);
    // A request of the day of the refusal may have come before it.
    refused("REFUSED-AS-SUBMITTED")
        .formality("F04-25-AUT", "2011-03-01")
        .fires("PURPOSE-REFUSED", Contradicted);
    let accepted = again.decision("accord", "ACCEPTED", "2011-06-01");
    accepted.quiet("PURPOSE-PENDING");
    accepted.quiet("PURPOSE-REFUSED");
    assert_eq!(accepted.verdict(), Outcome::Covered);

    refused("REFUSED").formality("F04-25-AUT", "2011-05-01").fires("PURPOSE-REFUSED", Contradicted);
}

#[test]
fn purpose_pending() {
    const CODE: &str = "PURPOSE-PENDING";
    let asked = Affair::of(2011).without(FormalityFile).formality("F04-25-AUT", "2011-06-01");
    asked.fires(CODE, Contradicted);
    asked.clone().decision("d", "ACCEPTED", "2011-06-14").quiet(CODE);
    asked.decision("d", "ACCEPTED", "2011-06-16").fires(CODE, Contradicted);
    Affair::of(2011).quiet(CODE);
}

fn ruling(establishes: Value) -> Value {
    json!({"ruling": "jugement", "court": "Tribunal (inventé)", "processing": PROCESSING,
           "outcome": "COURT-UNLAWFUL", "establishes": establishes})
}

#[test]
fn purpose_incompatible() {
    const CODE: &str = "PURPOSE-INCOMPATIBLE";
    let said = |holds: bool| json!([{"fact": CODE, "holds": holds}]);
    Affair::of(2011)
        .with(COURT, RulingRecord, "2012-01-01", ruling(said(true)))
        .fires(CODE, Contradicted);
    Affair::of(2011).claim(CODE, true).fires(CODE, Uncertain);
    Affair::of(2011)
        .claim(CODE, true)
        .with(COURT, RulingRecord, "2012-01-01", ruling(said(false)))
        .quiet(CODE);
    Affair::of(2011).access(|a| a["purpose"] = json!("PUR-DISCIPLINE")).fires(CODE, NotEvidenced);
    Affair::of(2011).quiet(CODE);
    // A ground of the decision itself.
    let grounds = |at: &str| {
        Affair::of(2011).decision("refus", "REFUSED", at).change(DecisionRender, |b| {
            b["outcomes"][0]["grounds"] = json!([{"fact": CODE}]);
        })
    };
    grounds("2011-06-14").fires(CODE, Contradicted);
    grounds("2011-06-15").fires(CODE, Uncertain);
    // Data seen for one purpose and used for another.
    let seen = Affair::of(2011).recorded("2011-06-15");
    let used = |purpose: &str| {
        let body = json!({"processing": PROCESSING, "access": seen.position(), "purpose": purpose,
                          "consequence": "licenciement"});
        seen.clone().with(EMPLOYER, UseRecord, "2011-07-01", body)
    };
    used("PUR-DISCIPLINE").fires(CODE, Contradicted);
    used(PURPOSE).quiet(CODE);
}

#[test]
fn a_ruling_that_names_other_accesses_says_nothing_of_this_one() {
    const CODE: &str = "PURPOSE-INCOMPATIBLE";
    let seen = Affair::of(2011).recorded("2011-06-15");
    let ruled = |access: u64| {
        let mut body = ruling(json!([{"fact": CODE, "holds": true}]));
        body["accesses"] = json!([access]);
        seen.clone().with(COURT, RulingRecord, "2012-01-01", body)
    };
    ruled(seen.position()).fires(CODE, Contradicted);
    ruled(seen.position() + 1).quiet(CODE);
}

#[test]
fn condition_not_met() {
    const CODE: &str = "CONDITION-NOT-MET";
    let bound = |outcome: &str| {
        Affair::of(2011).decision("accord", outcome, "2011-02-01").change(DecisionRender, |b| {
            b["outcomes"][0]["conditions"] = json!([{"condition": "affichage"}]);
        })
    };
    let met = |at: &str, condition: &str| {
        let body = on_processing(json!({"condition": condition}));
        bound("ACCEPTED-CONDITIONS").with(FUND, ConditionMeet, at, body)
    };
    bound("ACCEPTED-CONDITIONS").fires(CODE, NotEvidenced);
    assert_eq!(bound("ACCEPTED-CONDITIONS").verdict(), Outcome::Undetermined);
    met("2011-06-14", "affichage").quiet(CODE);
    met("2011-06-15", "affichage").fires(CODE, Uncertain);
    met("2011-06-16", "affichage").fires(CODE, NotEvidenced);
    met("2011-06-14", "autre").fires(CODE, NotEvidenced);
    bound("REFUSED").quiet(CODE);
}

#[test]
fn legal_basis_unstated() {
    const CODE: &str = "LEGAL-BASIS-UNSTATED";
    let unstated = |year, code: &str| {
        let code = json!([code]);
        Affair::of(year)
            .change(ProcessingDeclare, |body| body["legal_basis"] = code.clone())
            .access(|access| access["basis"]["codes"] = code.clone())
    };
    unstated(2011, "UNSTATED").fires(CODE, NotEvidenced);
    unstated(2020, "N-A-1978").fires(CODE, NotEvidenced);
    unstated(1990, "UNSTATED").quiet(CODE);
    unstated(2011, "UNSTATED").access(|a| a["basis"]["codes"] = json!(["LIL7-3"])).quiet(CODE);
    Affair::of(2011).quiet(CODE);
}

#[test]
fn art9_basis_missing() {
    const CODE: &str = "ART9-BASIS-MISSING";
    let health = |year| with_category(Affair::of(year), "ABS-MOTIVE-TMS");
    health(2011).fires(CODE, NotEvidenced);
    health(1990).quiet(CODE);
    health(2020).change(ProcessingDeclare, |b| b["special_basis"] = json!(["A9-2-B"])).quiet(CODE);
    health(2011).access(|access| access["basis"]["codes"] = json!(["LIL8-DEROG"])).quiet(CODE);
    Affair::of(2011).quiet(CODE);
}

#[test]
fn basis_expired() {
    const CODE: &str = "BASIS-EXPIRED";
    let until = |until: &str| {
        Affair::of(2011)
            .decision("accord", "ACCEPTED", "2011-02-01")
            .change(DecisionRender, |body| body["until"] = json!(until))
    };
    until("2011-06-14").fires(CODE, Contradicted);
    // The last day of the term is still in it.
    until("2011-06-15").quiet(CODE);
    assert_eq!(until("2011-06-15").verdict(), Outcome::Covered);
    until("2011-06").fires(CODE, Uncertain);
    until("2011-07").quiet(CODE);
    Affair::of(2011)
        .decision("accord", "ACCEPTED", "2011-02-01")
        .ended("accord", "EXPIRED", "2011-06-01", "2011-06-01")
        .fires(CODE, Contradicted);
    Affair::of(2011).decision("accord", "ACCEPTED", "2011-02-01").quiet(CODE);
}

#[test]
fn basis_annulled_ex_tunc_deferred_repealed_and_suspended() {
    let accepted = || Affair::of(2011).decision("accord", "ACCEPTED", "2011-02-01");
    let ended =
        |how: &str, effective: &str| accepted().ended("accord", how, effective, "2013-11-20");
    // As if it had never existed, whenever it is said.
    for how in ["ANNULLED-EX-TUNC", "WITHDRAWN-EX-TUNC"] {
        let annulled = ended(how, "2011-02-01");
        annulled.fires("BASIS-ANNULLED", Contradicted);
        assert_eq!(annulled.verdict(), Outcome::NotCovered);
    }
    for (how, code) in [
        ("ANNULLED-DEFERRED", "BASIS-ANNULLED"),
        ("REPEALED-EX-NUNC", "BASIS-REPEALED"),
        ("SUSPENDED", "BASIS-SUSPENDED"),
    ] {
        // From the start of its day on.
        ended(how, "2011-06-14").fires(code, Contradicted);
        ended(how, "2011-06-15").fires(code, Contradicted);
        ended(how, "2011-06-16").quiet(code);
        assert_eq!(ended(how, "2011-06-16").verdict(), Outcome::Covered);
        ended(how, "2011-06").fires(code, Uncertain);
        accepted().quiet(code);
        // Of another purpose only, or said by nobody who can.
        ended(how, "2011-03-01")
            .change(DecisionEnd, |body| body["purposes"] = json!(["PUR-TRAINING"]))
            .quiet(code);
        ended(how, "2011-03-01").only_told(DecisionEnd).quiet(code);
    }
    // A new decision that stands takes the place of the annulled one.
    ended("ANNULLED-EX-TUNC", "2011-02-01")
        .decision("nouvel-accord", "ACCEPTED", "2011-05-01")
        .quiet("BASIS-ANNULLED");
    // What is annulled was never a refusal either.
    Affair::of(2011)
        .decision("refus", "REFUSED", "2011-02-01")
        .ended("refus", "ANNULLED-EX-TUNC", "2011-02-01", "2013-11-20")
        .quiet("PURPOSE-REFUSED");
}

#[test]
fn category_not_declared() {
    const CODE: &str = "CATEGORY-NOT-DECLARED";
    let other = Affair::of(2011).access(|a| a["categories"] = json!(["ABS-RATE", "ABS-FACT"]));
    other.fires(CODE, Contradicted);
    other.only_told(ProcessingDeclare).fires(CODE, NotEvidenced);
    with_category(Affair::of(2011), "ABS-FACT").quiet(CODE);
    Affair::of(2011).quiet(CODE);
}

#[test]
fn category_inferred() {
    const CODE: &str = "CATEGORY-INFERRED";
    with_category(Affair::of(2020), "ABS-MOTIVE-INFERRED").fires(CODE, Contradicted);
    with_category(Affair::of(2020), "ABS-MOTIVE-TMS").claim(CODE, true).fires(CODE, Uncertain);
    with_category(Affair::of(2020), "ABS-MOTIVE-TMS").quiet(CODE);
    Affair::of(2020).claim(CODE, true).quiet(CODE);
}

#[test]
fn recipient_not_authorised() {
    const CODE: &str = "RECIPIENT-NOT-AUTHORISED";
    let to = |role: &str| {
        let role = json!(role);
        Affair::of(2011).access(|access| access["recipient"]["role"] = role.clone())
    };
    to("R-VENDOR").fires(CODE, Contradicted);
    to("R-VENDOR").only_told(ProcessingDeclare).fires(CODE, NotEvidenced);
    to("R-CARSAT").quiet(CODE);
    // Declared for another party only.
    let for_other = Affair::of(2011).change(ProcessingDeclare, |body| {
        body["recipients"] = json!([{"role": "R-CARSAT", "party": EMPLOYER}]);
    });
    for_other.fires(CODE, Contradicted);
    // Whatever was declared, an employer never sees a named person's motive, nor the file.
    let employer = |category: &str| {
        with_category(Affair::of(2011), category)
            .change(ProcessingDeclare, |b| b["recipients"] = json!([{"role": "R-EMPLOYER-HR"}]))
            .access(|a| a["recipient"] = json!({"party": EMPLOYER, "role": "R-EMPLOYER-HR"}))
    };
    employer("ABS-MOTIVE-TMS").quiet(CODE);
    employer("ABS-MOTIVE-TMS").to_persons(&[1]).fires(CODE, Contradicted);
    employer("ABS-MOTIVE-TMS")
        .access(|access| access["identifiability"] = json!("NOMINATIVE"))
        .fires(CODE, Contradicted);
    employer("DMST").fires(CODE, Contradicted);
    employer("IRDP-SCORE").fires(CODE, Contradicted);
}

fn agreement(n: u8) -> Value {
    json!({"processing": PROCESSING, "subject": person(n), "scope": "transmission"})
}

/// Sick leave of named persons, sent to the occupational physician.
fn to_physician(persons: &[u8]) -> Affair {
    with_category(Affair::of(2020), "ABS-DURATION").to_persons(persons).access(|access| {
        access["recipient"]["role"] = json!("R-OCC-PHYSICIAN");
    })
}

#[test]
fn subject_agreement_missing() {
    const CODE: &str = "SUBJECT-AGREEMENT-MISSING";
    let finding = to_physician(&[1]).fires(CODE, NotEvidenced);
    assert_eq!(finding.rests_on.len(), 1, "the digest of the person");
    let agreed = |at: &str| to_physician(&[1]).with(DESK, AgreementRecord, at, agreement(1));
    agreed("2020-06-14").quiet(CODE);
    agreed("2020-06-15").fires(CODE, Uncertain);
    agreed("2020-06-16").fires(CODE, NotEvidenced);
    to_physician(&[1])
        .with(DESK, AgreementRecord, "2020-06-14", agreement(2))
        .fires(CODE, NotEvidenced);
    // One finding for each person without an agreement.
    let two = to_physician(&[1, 2, 3]).with(DESK, AgreementRecord, "2020-06-14", agreement(2));
    assert_eq!(two.found(CODE).len(), 2);
    with_category(Affair::of(2020), "ABS-DURATION").to_persons(&[1]).quiet(CODE);
}

#[test]
fn subject_objected() {
    const CODE: &str = "SUBJECT-OBJECTED";
    let objected = |at: &str, n: u8| {
        Affair::of(2020).to_persons(&[1]).with(DESK, ObjectionRecord, at, agreement(n))
    };
    objected("2020-06-14", 1).fires(CODE, Contradicted);
    assert_eq!(objected("2020-06-14", 1).verdict(), Outcome::NotCovered);
    objected("2020-06-15", 1).fires(CODE, Uncertain);
    objected("2020-06-16", 1).quiet(CODE);
    objected("2020-06-14", 2).quiet(CODE);
}

#[test]
fn rules_that_compare_persons_are_undecided_without_their_disclosures() {
    let objected =
        Affair::of(2020).to_persons(&[1]).with(DESK, ObjectionRecord, "2020-06-14", agreement(1));
    objected.clone().access_erased().undecided("SUBJECT-OBJECTED");
    objected.erased(ObjectionRecord).undecided("SUBJECT-OBJECTED");
    let agreed = to_physician(&[1]).with(DESK, AgreementRecord, "2020-06-14", agreement(1));
    agreed.clone().access_erased().undecided("SUBJECT-AGREEMENT-MISSING");
    agreed.clone().erased(AgreementRecord).undecided("SUBJECT-AGREEMENT-MISSING");
    assert!(agreed.judge().undecided.is_empty());
    // An objection after the access bears on nothing, whoever it is of.
    let later =
        Affair::of(2020).to_persons(&[1]).with(DESK, ObjectionRecord, "2020-06-16", agreement(1));
    assert!(later.access_erased().judge().undecided.is_empty());
}

// Experiments.

/// Headcounts above 200, from January, the employer's site enrolled with that headcount.
fn experiment(headcount: Option<i64>) -> Affair {
    let mut site = json!({"id": "site-1", "name": "Site (inventé)", "headcount_on": "2020-01-20"});
    if let Some(headcount) = headcount {
        site["headcount"] = json!(headcount);
    }
    Affair::of(2020)
        .with(
            FUND,
            ExperimentLaunch,
            "2020-01-15",
            json!({
                "experiment": "essai", "processing": PROCESSING, "unit": "establishment",
                "headcount_above": 200, "categories": ["ABS-RATE"], "start": "2020-01-15",
            }),
        )
        .with(FUND, ExperimentEnrol, "2020-01-20", json!({"experiment": "essai", "site": site}))
        .access(|access| access["recipient"]["site"] = json!({"id": "site-1"}))
}

fn enrolled() -> Affair {
    experiment(Some(250))
}

#[test]
fn an_access_within_its_experiment_is_covered() {
    assert_eq!(enrolled().judge().verdict.findings, []);
}

#[test]
fn headcount_below_threshold() {
    const CODE: &str = "HEADCOUNT-BELOW-THRESHOLD";
    experiment(Some(200)).fires(CODE, Contradicted);
    experiment(Some(201)).quiet(CODE);
    experiment(None).quiet(CODE);
    // What is stated with the access prevails.
    experiment(Some(201))
        .access(|a| a["recipient"]["site"]["headcount"] = json!(200))
        .fires(CODE, Contradicted);
    experiment(Some(200)).access(|a| a["recipient"]["site"]["headcount"] = json!(201)).quiet(CODE);
    experiment(None).access(|a| a["cohort"]["headcount"] = json!(200)).fires(CODE, Contradicted);
}

#[test]
fn headcount_stale() {
    const CODE: &str = "HEADCOUNT-STALE";
    let counted = |on: &str| {
        enrolled().change(ExperimentEnrol, |body| body["site"]["headcount_on"] = json!(on))
    };
    experiment(None).fires(CODE, Uncertain);
    // 365 days before 15 June 2020, a leap year, is 16 June 2019.
    counted("2019-06-16").quiet(CODE);
    counted("2019-06-15").fires(CODE, Contradicted);
    counted("2019-06").fires(CODE, Uncertain);
    let undated = enrolled().change(ExperimentEnrol, |body| {
        body["site"].as_object_mut().expect("a site").remove("headcount_on");
    });
    undated.fires(CODE, Uncertain);
    assert_eq!(undated.verdict(), Outcome::CoveredWithReservations);
    counted("2010").access(|a| a["recipient"]["site"]["headcount"] = json!(250)).quiet(CODE);
}

#[test]
fn headcount_unit_ambiguous() {
    const CODE: &str = "HEADCOUNT-UNIT-AMBIGUOUS";
    enrolled().claim(CODE, true).fires(CODE, Contradicted);
    enrolled().claim(CODE, false).quiet(CODE);
    Affair::of(2020).claim(CODE, true).quiet(CODE);
}

#[test]
fn outside_experiment_scope() {
    const CODE: &str = "OUTSIDE-EXPERIMENT-SCOPE";
    enrolled().quiet(CODE);
    enrolled().access(|a| a["recipient"]["site"]["id"] = json!("site-2")).fires(CODE, Contradicted);
    enrolled().dated(ExperimentEnrol, "2020-06-15").fires(CODE, Uncertain);
    enrolled().dated(ExperimentEnrol, "2020-06-16").fires(CODE, Contradicted);
    enrolled().without(ExperimentEnrol).fires(CODE, NotEvidenced);
    enrolled()
        .access(|a| drop(a["recipient"].as_object_mut().expect("it").remove("site")))
        .fires(CODE, NotEvidenced);
    Affair::of(2020).quiet(CODE);
    Affair::of(2020).access(|a| a["experiment"] = json!("autre")).fires(CODE, NotEvidenced);
}

#[test]
fn experiment_expansion_unrecorded() {
    const CODE: &str = "EXPERIMENT-EXPANSION-UNRECORDED";
    let planned = enrolled().with(
        FUND,
        ExperimentPlanExpansion,
        "2020-02-01",
        json!({
            "experiment": "essai", "target_sites": 100,
        }),
    );
    planned.quiet(CODE);
    let beyond = planned.access(|a| a["recipient"]["site"]["id"] = json!("site-2"));
    beyond.fires(CODE, NotEvidenced);
    let expanded = json!({"experiment": "essai", "sites": [{"id": "site-2", "name": "Autre"}]});
    beyond.clone().with(FUND, ExperimentExpand, "2020-06-14", expanded.clone()).quiet(CODE);
    beyond.with(FUND, ExperimentExpand, "2020-06-16", expanded).fires(CODE, NotEvidenced);
    enrolled().access(|a| a["recipient"]["site"]["id"] = json!("site-2")).quiet(CODE);
}

#[test]
fn category_outside_scope() {
    const CODE: &str = "CATEGORY-OUTSIDE-SCOPE";
    let seen = |category: &str| with_category(enrolled(), category);
    seen("ABS-RATE").quiet(CODE);
    seen("ABS-FACT").fires(CODE, Contradicted);
    let expanded = |at: &str| {
        seen("ABS-FACT").with(
            FUND,
            ExperimentExpand,
            at,
            json!({
                "experiment": "essai", "categories": ["ABS-FACT"],
            }),
        )
    };
    expanded("2020-06-14").quiet(CODE);
    expanded("2020-06-15").fires(CODE, Uncertain);
    expanded("2020-06-16").fires(CODE, Contradicted);
    // A scope of motives limits motives, not measures about them.
    let motives = |category: &str| {
        seen(category).change(ExperimentLaunch, |b| b["categories"] = json!(["ABS-MOTIVE-TMS"]))
    };
    motives("ABS-FACT").quiet(CODE);
    motives("ABS-MOTIVE-TMS").quiet(CODE);
    motives("ABS-MOTIVE-RPS").fires(CODE, Contradicted);
}

#[test]
fn experiment_expired() {
    const CODE: &str = "EXPERIMENT-EXPIRED";
    let until = |end: &str| enrolled().change(ExperimentLaunch, |body| body["end"] = json!(end));
    until("2020-06-14").fires(CODE, Contradicted);
    // The last day of the term is still in it.
    until("2020-06-15").quiet(CODE);
    until("2020-06").fires(CODE, Uncertain);
    until("2020-06-14")
        .with(
            FUND,
            ExperimentExpand,
            "2020-06-01",
            json!({
                "experiment": "essai", "end": "2020-12-31",
            }),
        )
        .quiet(CODE);
    enrolled().quiet(CODE);
    let ended = |at: &str| enrolled().with(FUND, ExperimentEnd, at, json!({"experiment": "essai"}));
    ended("2020-06-14").fires(CODE, Contradicted);
    ended("2020-06-15").fires(CODE, Uncertain);
    ended("2020-06-16").quiet(CODE);
    // A minimum duration is a floor: past it, the end is possible.
    let at_least =
        |days: i64| enrolled().change(ExperimentLaunch, |b| b["minimum_days"] = json!(days));
    at_least(30).fires(CODE, Uncertain);
    at_least(365).quiet(CODE);
}

#[test]
fn evaluation_missing() {
    const CODE: &str = "EVALUATION-MISSING";
    let planned = |end: &str| {
        enrolled().change(ExperimentLaunch, |body| {
            body["evaluation_planned"] = json!(true);
            body["end"] = json!(end);
        })
    };
    planned("2020-06-14").fires(CODE, NotEvidenced);
    planned("2020-06-15").quiet(CODE);
    planned("2020-06").fires(CODE, Uncertain);
    let published = json!({"experiment": "essai", "conclusions": ["positive"]});
    planned("2020-06-14").with(FUND, ExperimentEvaluate, "2020-06-14", published).quiet(CODE);
    enrolled().change(ExperimentLaunch, |b| b["end"] = json!("2020-06-14")).quiet(CODE);
}

#[test]
fn no_legal_effect() {
    const CODE: &str = "NO-LEGAL-EFFECT";
    let report = json!({"reference": "rapport", "kind": "report", "title": "Rapport",
                        "objects": [PURPOSE], "authority": "autorité"});
    let cites = |affair: Affair| {
        affair
            .with(AUTHORITY, ReferencePublish, "2020-01-01", report.clone())
            .access(|access| access["basis"]["reference"] = json!("rapport"))
    };
    let described = || Affair::of(2020).without(FormalityFile).only_told(ProcessingDeclare);
    cites(described()).fires(CODE, Contradicted);
    cites(described()).change(ReferencePublish, |b| b["kind"] = json!("law")).quiet(CODE);
    cites(Affair::of(2020)).quiet(CODE);
    cites(described().decision("accord", "ACCEPTED", "2020-02-01")).quiet(CODE);
    described().quiet(CODE);
}

// Information and consultation.

#[test]
fn subjects_not_informed() {
    const CODE: &str = "SUBJECTS-NOT-INFORMED";
    let none = Affair::of(2011).without(InformationRecord);
    assert_eq!(none.fires(CODE, NotEvidenced).severity, Severity::Major);
    assert_eq!(none.verdict(), Outcome::CoveredWithReservations);
    Affair::of(2011).dated(InformationRecord, "2011-06-14").quiet(CODE);
    Affair::of(2011).dated(InformationRecord, "2011-06-15").fires(CODE, Uncertain);
    Affair::of(2011).only_told(InformationRecord).fires(CODE, NotEvidenced);
    let never = Affair::of(2011).change(InformationRecord, |b| b["step"] = json!("I-NOTICE-NONE"));
    assert_eq!(never.fires(CODE, Contradicted).severity, Severity::Blocking);
    assert_eq!(never.verdict(), Outcome::NotCovered);
    let ruled = |holds: bool| ruling(json!([{"fact": CODE, "holds": holds}]));
    Affair::of(2011).with(COURT, RulingRecord, "2012-01-01", ruled(true)).fires(CODE, Contradicted);
    none.with(COURT, RulingRecord, "2012-01-01", ruled(false)).quiet(CODE);
}

#[test]
fn callers_not_informed() {
    const CODE: &str = "CALLERS-NOT-INFORMED";
    let calls = || with_category(Affair::of(2011), "CALL-RECORDING");
    let told = |at: &str| {
        calls().with(
            FUND,
            InformationRecord,
            at,
            json!({
                "processing": PROCESSING, "step": "I-CALLER-NOTICE", "audience": "Appelants",
            }),
        )
    };
    calls().fires(CODE, NotEvidenced);
    told("2011-06-14").quiet(CODE);
    told("2011-06-15").fires(CODE, Uncertain);
    Affair::of(2011).quiet(CODE);
}

fn opinion(opinion: &str) -> Value {
    json!({"processing": PROCESSING, "opinion": opinion, "on": "le projet"})
}

#[test]
fn works_council_not_consulted_or_opposed() {
    const CODE: &str = "WORKS-COUNCIL-NOT-CONSULTED";
    const OPPOSED: &str = "WORKS-COUNCIL-OBJECTED";
    let watched =
        || Affair::of(2011).change(ProcessingDeclare, |body| body["monitors_staff"] = json!(true));
    let asked =
        |said: &str, at: &str| watched().with(COUNCIL, WorksCouncilOpine, at, opinion(said));
    watched().fires(CODE, NotEvidenced);
    Affair::of(2011).quiet(CODE);
    asked("favourable", "2011-06-14").quiet(CODE);
    asked("favourable", "2011-06-15").fires(CODE, Uncertain);
    asked("favourable", "2011-06-16").fires(CODE, NotEvidenced);
    asked("none", "2011-06-14").fires(CODE, NotEvidenced);
    asked("favourable", "2011-06-14").quiet(OPPOSED);
    // Consulted and opposed: their opinion does not bind.
    asked("unfavourable", "2011-06-14").quiet(CODE);
    asked("unfavourable", "2011-06-14").fires(OPPOSED, Contradicted);
    asked("unfavourable", "2011-06-15").fires(OPPOSED, Uncertain);
    asked("unfavourable", "2011-06-16").quiet(OPPOSED);
    assert_eq!(asked("unfavourable", "2011-06-14").verdict(), Outcome::CoveredWithReservations);
    let ruled = ruling(json!([{"fact": CODE, "holds": true}]));
    let finding = asked("favourable", "2011-06-14")
        .with(COURT, RulingRecord, "2012-01-01", ruled)
        .fires(CODE, Contradicted);
    assert_eq!(finding.severity, Severity::Blocking);
}

#[test]
fn concertation_missing() {
    const CODE: &str = "CONCERTATION-MISSING";
    let set = || {
        let body = on_processing(json!({"condition": "concertation-sociale"}));
        Affair::of(2020).with(AUTHORITY, ConditionSet, "2020-02-01", body)
    };
    let met = |at: &str| {
        let body = on_processing(json!({"condition": "concertation-sociale"}));
        set().with(FUND, ConditionMeet, at, body)
    };
    set().fires(CODE, NotEvidenced);
    met("2020-06-14").quiet(CODE);
    met("2020-06-15").fires(CODE, Uncertain);
    let held = |held: bool| on_processing(json!({"step": "I-SOCIAL-PARTNERS", "held": held}));
    Affair::of(2020)
        .with(FUND, ConsultationRecord, "2020-02-01", held(false))
        .fires(CODE, Contradicted);
    Affair::of(2020).told(ConsultationRecord, "2020-02-01", held(false)).fires(CODE, Uncertain);
    Affair::of(2020).with(FUND, ConsultationRecord, "2020-02-01", held(true)).quiet(CODE);
}

// Time.

#[test]
fn retention_exceeded() {
    const CODE: &str = "RETENTION-EXCEEDED";
    // Kept 30 days: data of 16 May are kept until 15 June, that day included.
    let period = |period: &str| {
        let period = json!(period);
        Affair::of(2020)
            .change(ProcessingDeclare, |b| b["categories"][0]["retention_days"] = json!(30))
            .access(|access| access["period"] = period.clone())
    };
    period("2020-05-16").quiet(CODE);
    period("2020-05-15").fires(CODE, Contradicted);
    period("2020-01-01/2020-06-01").fires(CODE, Contradicted);
    period("2020-05-16/2020-06-01").quiet(CODE);
    period("2020-05-15").on("2020-06").fires(CODE, Uncertain);
    Affair::of(2020).access(|access| access["period"] = json!("1990")).quiet(CODE);
}

#[test]
fn late_recorded() {
    const CODE: &str = "LATE-RECORDED";
    Affair::of(2020).recorded("2020-06-18").quiet(CODE);
    Affair::of(2020).recorded("2020-06-19").fires(CODE, Contradicted);
    Affair::of(2020).quiet(CODE);
}

#[test]
fn evidence_excluded_and_ruling_subject_to_appeal() {
    let ruled = |change: fn(&mut Value)| {
        let mut body = ruling(json!([]));
        change(&mut body);
        Affair::of(2011).with(COURT, RulingRecord, "2012-01-01", body)
    };
    ruled(|b| b["excludes_evidence"] = json!(true)).fires("EVIDENCE-EXCLUDED", Contradicted);
    ruled(|b| b["excludes_evidence"] = json!(false)).quiet("EVIDENCE-EXCLUDED");
    for appeal in ["open", "reserved"] {
        let mut body = ruling(json!([]));
        body["appeal"] = json!(appeal);
        let affair = Affair::of(2011).with(COURT, RulingRecord, "2012-01-01", body);
        affair.fires("RULING-SUBJECT-TO-APPEAL", Contradicted);
    }
    ruled(|b| b["appeal"] = json!("closed")).quiet("RULING-SUBJECT-TO-APPEAL");
    ruled(|_| ()).quiet("RULING-SUBJECT-TO-APPEAL");
    let lodged =
        json!({"about": {"type": "ruling", "id": "jugement"}, "milestone": "appeal-lodged"});
    ruled(|_| ())
        .with(FUND, MilestoneRecord, "2012-02-01", lodged)
        .fires("RULING-SUBJECT-TO-APPEAL", Contradicted);
}

#[test]
fn conflicting_statements() {
    const CODE: &str = "CONFLICTING-STATEMENTS";
    let said = Affair::of(2011).claim("CALLERS-NOT-INFORMED", true);
    said.quiet(CODE);
    said.clone().claim("CALLERS-NOT-INFORMED", true).quiet(CODE);
    said.clone().claim("CATEGORY-INFERRED", false).quiet(CODE);
    let finding = said.claim("CALLERS-NOT-INFORMED", false).fires(CODE, Uncertain);
    assert_eq!(finding.positions.len(), 2, "both are kept");
}

#[test]
fn date_uncertain() {
    const CODE: &str = "DATE-UNCERTAIN";
    Affair::of(2011).quiet(CODE);
    let same_day = Affair::of(2011).dated(FormalityFile, "2011-06-15");
    let finding = same_day.fires(CODE, Uncertain);
    assert_eq!(finding.positions, same_day.found("NO-DECLARATION")[0].positions);
    // What is open for another reason than a date is not this rule's.
    let claimed = Affair::of(2011).claim("PURPOSE-INCOMPATIBLE", true);
    claimed.fires("PURPOSE-INCOMPATIBLE", Uncertain);
    claimed.quiet(CODE);
    // An access itself dated by a month that the law did not change in.
    Affair::of(2011).on("2011-06").quiet(CODE);
}

/// One test for each rule: a rule added without one is noticed here.
#[test]
fn every_rule_is_named_in_this_file() {
    let this = [include_str!("rules.rs"), include_str!("statistics/rules.rs")].concat();
    for rule in greffe_domain::rules::CURRENT.rules() {
        assert!(this.contains(&format!("\"{}\"", rule.code)), "{} has no test here", rule.code);
    }
}
