//! Time, retention, evidence: what dates, delays and courts add.

use std::collections::HashSet;

use super::{
    ALL, Findings, Fired, Group, Question, Rule,
    regime::{RECORDING_IN_TIME, Regime},
};
use crate::body::Appeal;
use crate::date::{Certainty, Interval};
use crate::kind::StreamType;
use crate::verdict::Severity::{Blocking, Info, Major, Minor};
use crate::vocabulary::RuleCode;

const GROUP: Group = Group::Time;

/// `DATE-UNCERTAIN` stands last: it reads what the others left open.
pub static RULES: &[Rule] = &[
    Rule {
        code: "RETENTION-EXCEEDED",
        group: GROUP,
        severity: Blocking,
        regimes: ALL,
        source: "Durée déclarée ; RGPD art. 5-1-e",
        reason_fr: "Les données dépassaient la durée de conservation déclarée.",
        reason_en: "The data were older than the declared retention.",
        judge: retention_exceeded,
    },
    Rule {
        code: "LATE-RECORDED",
        group: GROUP,
        severity: Minor,
        regimes: ALL,
        source: "Règle du registre : 72 heures",
        reason_fr: "L’accès a été enregistré plus de 72 heures après avoir eu lieu.",
        reason_en: "The access was recorded more than 72 hours after it happened.",
        judge: late_recorded,
    },
    Rule {
        code: "EVIDENCE-EXCLUDED",
        group: GROUP,
        severity: Major,
        regimes: ALL,
        source: "Décision de justice",
        reason_fr: "Une juridiction a écarté ces données comme preuve.",
        reason_en: "A court set these data aside as evidence.",
        judge: evidence_excluded,
    },
    Rule {
        code: "RULING-SUBJECT-TO-APPEAL",
        group: GROUP,
        severity: Info,
        regimes: ALL,
        source: "Décision de justice",
        reason_fr: "La décision de justice n’est pas définitive : un recours est ouvert ou réservé.",
        reason_en: "The ruling is not final: an appeal is open or reserved.",
        judge: subject_to_appeal,
    },
    Rule {
        code: "CONFLICTING-STATEMENTS",
        group: GROUP,
        severity: Info,
        regimes: ALL,
        source: "Déclarations enregistrées",
        reason_fr: "Deux déclarations se contredisent sur un même fait ; les deux sont conservées.",
        reason_en: "Two statements contradict each other on one fact; both are kept.",
        judge: conflicting_statements,
    },
    Rule {
        code: "FORMALITY-ABSENT-THEN-REGULARISED",
        group: GROUP,
        severity: Major,
        regimes: ALL,
        source: "Règle du registre",
        reason_fr: "La formalité a été accomplie après l’accès.",
        reason_en: "The formality was filed after the access.",
        judge: regularised,
    },
    Rule {
        code: "DATE-UNCERTAIN",
        group: GROUP,
        severity: Info,
        regimes: ALL,
        source: "Règle du registre",
        reason_fr: "La réponse dépend d’une date qui n’est pas connue assez précisément.",
        reason_en: "The answer depends on a date that is not known precisely enough.",
        judge: date_uncertain,
    },
];

fn retention_exceeded(q: &Question<'_>, out: &mut Findings) {
    let Some(period) = &q.access.period else { return };
    let mut worst = Certainty::No;
    let mut positions = Vec::new();
    for declared in &q.declaration.facts {
        for category in &declared.data.categories {
            let Some(days) = category.retention_days.and_then(|d| i32::try_from(d).ok()) else {
                continue;
            };
            if !q.access.categories.contains(&category.code) {
                continue;
            }
            // Everything in the period must still be within its retention.
            let interval = period.interval();
            let Some(oldest) = interval.earliest else { continue };
            let kept_until = Interval::day(oldest.add_days(days));
            let past = kept_until.over_before(&q.days);
            if past != Certainty::No {
                worst = worst.or(past);
                positions.push(declared.position);
            }
        }
    }
    match worst {
        Certainty::Yes => out.fire(Fired::contradicted(positions)),
        Certainty::Maybe => out.fire(Fired::dates_overlap(positions)),
        Certainty::No => {}
    }
}

fn late_recorded(q: &Question<'_>, out: &mut Findings) {
    let (Some((_, recorded)), Some(last)) = (q.recorded, q.days.latest) else { return };
    if recorded.date() > last.add_days(RECORDING_IN_TIME.days) {
        out.fire(Fired::contradicted(q.position().into_iter().collect()));
    }
}

fn evidence_excluded(q: &Question<'_>, out: &mut Findings) {
    let rulings: Vec<u64> = q
        .rulings
        .iter()
        .filter(|r| r.data.excludes_evidence == Some(true))
        .map(|r| r.position)
        .collect();
    if !rulings.is_empty() {
        out.fire(Fired::contradicted(rulings));
    }
}

fn subject_to_appeal(q: &Question<'_>, out: &mut Findings) {
    let mut positions = Vec::new();
    for ruling in &q.rulings {
        if matches!(ruling.data.appeal, Some(Appeal::Open | Appeal::Reserved)) {
            positions.push(ruling.position);
        }
        let reserved =
            q.view.about(StreamType::Ruling, &ruling.data.ruling).milestones().iter().filter(|m| {
                matches!(m.data.milestone.as_str(), "appeal-reserved" | "appeal-lodged")
            });
        positions.extend(reserved.map(|m| m.position));
    }
    if !positions.is_empty() {
        out.fire(Fired::contradicted(positions));
    }
}

fn conflicting_statements(q: &Question<'_>, out: &mut Findings) {
    let claims = || {
        q.statements
            .iter()
            .flat_map(|s| s.data.claims.iter().map(|c| (c.fact, c.holds, s.position)))
    };
    let said: HashSet<(RuleCode, bool)> = claims().map(|(fact, holds, _)| (fact, holds)).collect();
    let contradicted = claims().filter(|(fact, holds, _)| said.contains(&(*fact, !*holds)));
    let positions: Vec<u64> = contradicted.map(|(_, _, position)| position).collect();
    if !positions.is_empty() {
        out.fire(Fired::uncertain(positions));
    }
}

fn regularised(q: &Question<'_>, out: &mut Findings) {
    let covered = q.formalities.iter().any(|(_, f)| f.formal);
    let after: Vec<u64> = q
        .view
        .known(&q.processing.formalities)
        .iter()
        .filter(|f| f.formal && f.precedes(&q.days) == Certainty::No && f.data.kind != *"F-NONE")
        .map(|f| f.position)
        .collect();
    if !covered && !after.is_empty() {
        out.fire(Fired::contradicted(after));
    }
}

fn date_uncertain(q: &Question<'_>, out: &mut Findings) {
    // It reads what the others found, so it is no more decided than they are.
    if out.any_undecided() {
        return out.undecided();
    }
    let open = out.open_by_date();
    let regimes_differ = match (q.days.earliest, q.days.latest) {
        (Some(first), Some(last)) => Regime::on(first) != Regime::on(last),
        _ => false,
    };
    if !open.is_empty() || regimes_differ {
        out.fire(Fired::uncertain(open));
    }
}
