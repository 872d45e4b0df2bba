//! Experiments: was the site in it, above its threshold, within its term?

use super::{ALL, Findings, Fired, Group, Question, Rule, purpose, regime::HEADCOUNT_FRESH};
use crate::body::LaunchExperiment;
use crate::date::{Certainty, Interval};
use crate::edtf::Edtf;
use crate::kind::StreamType;
use crate::register::{Experiment, Fact, View, minimum_end};
use crate::verdict::Severity::{Blocking, Major, Minor};
use crate::vocabulary::Category;

const GROUP: Group = Group::Experiment;

pub static RULES: &[Rule] = &[
    Rule {
        code: "CATEGORY-OUTSIDE-SCOPE",
        group: GROUP,
        severity: Blocking,
        regimes: ALL,
        source: "Périmètre enregistré de l’expérimentation",
        reason_fr: "Une des catégories de données sort du périmètre de l’expérimentation.",
        reason_en: "One of the data categories is outside the experiment's scope.",
        judge: category_outside_scope,
    },
    Rule {
        code: "OUTSIDE-EXPERIMENT-SCOPE",
        group: GROUP,
        severity: Blocking,
        regimes: ALL,
        source: "Périmètre enregistré de l’expérimentation",
        reason_fr: "Le site n’est pas de ceux qui participaient à l’expérimentation.",
        reason_en: "The site is not one of those enrolled in the experiment.",
        judge: outside_scope,
    },
    Rule {
        code: "HEADCOUNT-BELOW-THRESHOLD",
        group: GROUP,
        severity: Blocking,
        regimes: ALL,
        source: "Seuil enregistré de l’expérimentation",
        reason_fr: "L’effectif ne dépasse pas le seuil de l’expérimentation.",
        reason_en: "The headcount does not exceed the experiment's threshold.",
        judge: below_threshold,
    },
    Rule {
        code: "HEADCOUNT-STALE",
        group: GROUP,
        severity: Minor,
        regimes: ALL,
        source: "Règle du registre",
        reason_fr: "L’effectif est inconnu, sans date, ou date de plus de douze mois.",
        reason_en: "The headcount is unknown, undated or more than twelve months old.",
        judge: headcount_stale,
    },
    Rule {
        code: "HEADCOUNT-UNIT-AMBIGUOUS",
        group: GROUP,
        severity: Minor,
        regimes: ALL,
        source: "Sources contradictoires sur l’unité du seuil",
        reason_fr: "Les sources se contredisent : le seuil vise-t-il l’établissement ou l’entreprise ?",
        reason_en: "The sources disagree: does the threshold apply to the establishment or the company?",
        judge: unit_ambiguous,
    },
    Rule {
        code: "EXPERIMENT-EXPANSION-UNRECORDED",
        group: GROUP,
        severity: Blocking,
        regimes: ALL,
        source: "Périmètre enregistré de l’expérimentation",
        reason_fr: "Le site dépasse le périmètre : une extension était projetée, aucune n’est enregistrée.",
        reason_en: "The site is beyond the enrolled set: an expansion was planned, none is recorded.",
        judge: expansion_unrecorded,
    },
    Rule {
        code: "EXPERIMENT-EXPIRED",
        group: GROUP,
        severity: Blocking,
        regimes: ALL,
        source: "Terme enregistré de l’expérimentation",
        reason_fr: "L’expérimentation était, ou pouvait être, arrivée à son terme.",
        reason_en: "The experiment had, or may have, reached its term.",
        judge: expired,
    },
    Rule {
        code: "EVALUATION-MISSING",
        group: GROUP,
        severity: Major,
        regimes: ALL,
        source: "Évaluation annoncée par l’expérimentation",
        reason_fr: "Une évaluation était prévue, le terme est passé, aucune n’est enregistrée comme publiée.",
        reason_en: "An evaluation was planned, the term has passed, none is recorded as published.",
        judge: evaluation_missing,
    },
    Rule {
        code: "NO-LEGAL-EFFECT",
        group: GROUP,
        severity: Blocking,
        regimes: ALL,
        source: "Nature du texte invoqué",
        reason_fr: "Le seul texte invoqué est un rapport ou un article : il n’autorise rien.",
        reason_en: "The only text relied on is a report or an article: it authorises nothing.",
        judge: no_legal_effect,
    },
];

/// The last launch known.
pub(super) fn launch<'a>(q: &Question<'a>) -> Option<(&'a Experiment, &'a Fact<LaunchExperiment>)> {
    let (_, experiment) = q.experiment?;
    Some((experiment, q.view.known(&experiment.launches).last()?))
}

fn category_outside_scope(q: &Question<'_>, out: &mut Findings) {
    let Some((experiment, launched)) = launch(q) else { return };
    let mut scope: Vec<(Certainty, Category)> =
        launched.data.categories.iter().map(|c| (Certainty::Yes, *c)).collect();
    let mut positions = vec![launched.position];
    for expansion in q.view.known(&experiment.expansions) {
        let precedes = expansion.precedes(&q.days);
        if precedes != Certainty::No && !expansion.data.categories.is_empty() {
            positions.push(expansion.position);
            scope.extend(expansion.data.categories.iter().map(|c| (precedes, *c)));
        }
    }
    // A scope that lists only health data limits health data; measures and costs about
    // them are not motives.
    let limits_all = scope.iter().any(|(_, c)| !c.is_special());
    let allowed = |category: &Category| {
        if !category.is_special() && !limits_all {
            return Certainty::Yes;
        }
        scope
            .iter()
            .filter(|(_, c)| c == category)
            .map(|(c, _)| *c)
            .fold(Certainty::No, Certainty::or)
    };
    match q.access.categories.iter().map(allowed).fold(Certainty::Yes, Certainty::and) {
        Certainty::Yes => {}
        Certainty::Maybe => out.fire(Fired::dates_overlap(positions)),
        Certainty::No => out.fire(Fired::contradicted(positions)),
    }
}

/// Whether the recipient's site was enrolled before the access, and the entries looked at.
fn enrolled(q: &Question<'_>, experiment: &Experiment) -> (Certainty, Vec<u64>) {
    let Some(site) = &q.access.recipient.site else { return (Certainty::No, Vec::new()) };
    let same_siret = site.siret.iter().flat_map(|siret| experiment.enrolments_of_siret(siret));
    let mut certainty = Certainty::No;
    let mut positions = Vec::new();
    for fact in experiment.enrolments(&site.id).chain(same_siret).filter(|s| q.view.knows(s)) {
        // Enrolled the day of the access, or on a day that may be that one, leaves it open.
        certainty = certainty.or(fact.precedes(&q.days));
        positions.push(fact.position);
    }
    (certainty, positions)
}

fn outside_scope(q: &Question<'_>, out: &mut Findings) {
    let Some((experiment, launched)) = launch(q) else {
        // The access names an experiment that the register did not hold.
        if q.access.experiment.is_some() {
            out.fire(Fired::not_evidenced(Vec::new()));
        }
        return;
    };
    let (certainty, mut positions) = enrolled(q, experiment);
    positions.push(launched.position);
    match certainty {
        Certainty::Yes => {}
        Certainty::Maybe => out.fire(Fired::dates_overlap(positions)),
        Certainty::No => {
            let sites = q.view.known(&experiment.sites);
            positions.extend(sites.iter().map(|s| s.position));
            let named = q.access.recipient.site.is_some();
            out.fire(if sites.is_empty() || !named {
                Fired::not_evidenced(positions)
            } else {
                Fired::contradicted(positions)
            });
        }
    }
}

fn expansion_unrecorded(q: &Question<'_>, out: &mut Findings) {
    let Some((experiment, _)) = launch(q) else { return };
    let plans: Vec<u64> = q.view.known(&experiment.plans).iter().map(|p| p.position).collect();
    if q.access.recipient.site.is_some()
        && !plans.is_empty()
        && enrolled(q, experiment).0 == Certainty::No
    {
        out.fire(Fired::not_evidenced(plans));
    }
}

/// Where a headcount comes from.
enum Headcount<'a> {
    /// Stated with the access, for the day of the access.
    Stated(i64),
    /// From an enrolment: position, persons, the day it was counted.
    Enrolled(u64, i64, Option<&'a Edtf>),
    Unknown,
}

fn headcount<'a>(q: &Question<'a>, experiment: &'a Experiment) -> Headcount<'a> {
    let site = q.access.recipient.site.as_ref();
    let stated = site
        .and_then(|s| s.headcount)
        .or_else(|| q.access.cohort.as_ref().and_then(|c| c.headcount));
    if let Some(persons) = stated {
        return Headcount::Stated(persons);
    }
    let Some(site) = site else { return Headcount::Unknown };
    experiment
        .enrolments(&site.id)
        .rev()
        .filter(|s| q.view.knows(s))
        .find_map(|s| {
            Some(Headcount::Enrolled(s.position, s.data.headcount?, s.data.headcount_on.as_ref()))
        })
        .unwrap_or(Headcount::Unknown)
}

fn below_threshold(q: &Question<'_>, out: &mut Findings) {
    let Some((experiment, launched)) = launch(q) else { return };
    let Some(threshold) = launched.data.headcount_above else { return };
    let (persons, position) = match headcount(q, experiment) {
        Headcount::Stated(persons) => (persons, None),
        Headcount::Enrolled(position, persons, _) => (persons, Some(position)),
        Headcount::Unknown => return,
    };
    // The threshold must be exceeded: 200 is not above 200.
    if persons <= threshold {
        let mut positions = vec![launched.position];
        positions.extend(position);
        out.fire(Fired::contradicted(positions));
    }
}

fn headcount_stale(q: &Question<'_>, out: &mut Findings) {
    let Some((experiment, launched)) = launch(q) else { return };
    if launched.data.headcount_above.is_none() {
        return;
    }
    match headcount(q, experiment) {
        Headcount::Stated(_) => {}
        Headcount::Unknown => out.fire(Fired::uncertain(vec![launched.position])),
        Headcount::Enrolled(position, _, None) => out.fire(Fired::uncertain(vec![position])),
        Headcount::Enrolled(position, _, Some(counted)) => {
            let last_fresh = Interval {
                earliest: counted.interval().earliest.map(|d| d.add_days(HEADCOUNT_FRESH.days)),
                latest: counted.interval().latest.map(|d| d.add_days(HEADCOUNT_FRESH.days)),
            };
            match last_fresh.over_before(&q.days) {
                Certainty::Yes => out.fire(Fired::contradicted(vec![position])),
                Certainty::Maybe => out.fire(Fired::dates_overlap(vec![position])),
                Certainty::No => {}
            }
        }
    }
}

fn unit_ambiguous(q: &Question<'_>, out: &mut Findings) {
    let Some((_, launched)) = launch(q) else { return };
    let mut said = q.claims("HEADCOUNT-UNIT-AMBIGUOUS", true);
    if launched.data.headcount_above.is_some() && !said.is_empty() {
        said.push(launched.position);
        out.fire(Fired::contradicted(said));
    }
}

/// Whether the experiment was over on `days`, and the entries that say so. A minimum
/// duration is a floor, not a term: past it, the end is possible and not certain.
fn over(view: View<'_>, experiment: &Experiment, days: &Interval) -> (Certainty, Vec<u64>) {
    let mut certainty = Certainty::No;
    let mut positions = Vec::new();
    let mut note = |c: Certainty, position: u64| {
        if c != Certainty::No {
            positions.push(position);
            certainty = certainty.or(c);
        }
    };
    for end in view.known(&experiment.ends) {
        note(end.precedes(days), end.position);
    }
    // The last term recorded, unless it was extended.
    let extended = view
        .known(&experiment.expansions)
        .iter()
        .rev()
        .find_map(|e| Some((e.position, e.data.end.as_ref()?.interval())));
    if let Some(launched) = view.known(&experiment.launches).last() {
        let term =
            extended.or_else(|| Some((launched.position, launched.data.end.as_ref()?.interval())));
        match (term, launched.data.minimum_days) {
            (Some((position, end)), _) => note(end.over_before(days), position),
            (None, Some(minimum)) => {
                if let Some(floor) = minimum_end(&launched.data.start.interval(), minimum)
                    && Interval::day(floor).strictly_before(days) != Certainty::No
                {
                    note(Certainty::Maybe, launched.position);
                }
            }
            (None, None) => {}
        }
    }
    (certainty, positions)
}

fn expired(q: &Question<'_>, out: &mut Findings) {
    let Some((experiment, _)) = launch(q) else { return };
    match over(q.view, experiment, &q.days) {
        (Certainty::Yes, positions) => out.fire(Fired::contradicted(positions)),
        (Certainty::Maybe, positions) => out.fire(Fired::dates_overlap(positions)),
        (Certainty::No, _) => {}
    }
}

/// Entries that announce an evaluation.
pub fn evaluation_planned(view: View<'_>, id: &str, experiment: &Experiment) -> Vec<u64> {
    let launched = view
        .known(&experiment.launches)
        .iter()
        .filter(|l| l.data.evaluation_planned == Some(true))
        .map(|l| l.position);
    let announced = view
        .about(StreamType::Experiment, id)
        .milestones()
        .iter()
        .filter(|m| m.data.milestone == "evaluation-planned")
        .map(|m| m.position);
    launched.chain(announced).collect()
}

fn evaluation_missing(q: &Question<'_>, out: &mut Findings) {
    let Some((id, experiment)) = q.experiment else { return };
    let planned = evaluation_planned(q.view, id, experiment);
    if planned.is_empty() || !q.view.known(&experiment.evaluations).is_empty() {
        return;
    }
    match over(q.view, experiment, &q.days).0 {
        Certainty::Yes => out.fire(Fired::not_evidenced(planned)),
        Certainty::Maybe => out.fire(Fired::dates_overlap(planned)),
        Certainty::No => {}
    }
}

fn no_legal_effect(q: &Question<'_>, out: &mut Findings) {
    if let Some(report) = purpose::cites_only_a_report(q) {
        out.fire(Fired::contradicted(vec![report]));
    }
}
