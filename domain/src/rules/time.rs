//! Time, retention, evidence: what dates, delays and courts add.

use std::collections::HashSet;

use super::{
    ALL, Findings, Fired, Group, Question, Rule,
    regime::{RECORDING_IN_TIME, Regime},
};
use crate::body::Appeal;
use crate::body::Declaration;
use crate::date::{Certainty, Interval, LegalDate};
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
    let period = period.interval();
    // Everything in the period must still be within its retention. One without a beginning
    // may hold data of any age.
    let oldest = Interval { earliest: period.earliest, latest: period.earliest.or(period.latest) };
    let too_old = |declared: &Declaration| {
        declared
            .categories
            .iter()
            .filter(|c| q.access.categories.contains(&c.code))
            .filter_map(|c| i32::try_from(c.retention_days?).ok())
            .map(|days| {
                let later = |day: LegalDate| day.add_days(days);
                let kept_until = Interval {
                    earliest: oldest.earliest.map(later),
                    latest: oldest.latest.map(later),
                };
                kept_until.over_before(&q.days)
            })
            .fold(Certainty::No, Certainty::or)
    };
    let d = &q.declaration;
    let each: Vec<Certainty> = d.facts.iter().map(|f| too_old(&f.data)).collect();
    let so =
        if d.certain && each.iter().all(|past| *past == Certainty::Yes) {
            Certainty::Yes
        } else {
            each.iter().fold(Certainty::No, |so, past| {
                if *past == Certainty::No { so } else { Certainty::Maybe }
            })
        };
    let of_it = d.facts.iter().zip(&each).filter(|(_, past)| **past != Certainty::No);
    out.forbid(so, of_it.map(|(f, _)| f.position).collect());
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
    // Days without a beginning may be of the first law, without an end of the last.
    let first = q.days.earliest.map_or(Regime::Lil1978, Regime::on);
    let last = q.days.latest.map_or(Regime::Rgpd2018, Regime::on);
    let regimes_differ = first != last;
    if !open.is_empty() || regimes_differ {
        out.fire(Fired::uncertain(open));
    }
}
