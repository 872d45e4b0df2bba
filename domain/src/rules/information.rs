//! Information and consultation: did those concerned know beforehand?

use super::{ALL, Findings, Fired, Group, Question, Rule, purpose::is_employer};
use crate::body::{Opinion, RecordConsultation};
use crate::date::Certainty;
use crate::register::Fact;
use crate::verdict::Severity::{Blocking, Major};

const GROUP: Group = Group::Information;

pub static RULES: &[Rule] = &[
    Rule {
        code: "SUBJECTS-NOT-INFORMED",
        group: GROUP,
        severity: Major,
        regimes: ALL,
        source: "Code du travail art. L.1222-4 ; loi 78-17 (2004) art. 32 ; RGPD art. 13-14",
        reason_fr: "Les personnes n’ont pas été informées au préalable, ou rien d’inscrit ne montre qu’elles l’ont été.",
        reason_en: "The persons were not informed beforehand, or nothing recorded shows that they were.",
        judge: subjects_not_informed,
    },
    Rule {
        code: "CALLERS-NOT-INFORMED",
        group: GROUP,
        severity: Major,
        regimes: ALL,
        source: "CNIL, fiche sur l’écoute et l’enregistrement des appels",
        reason_fr: "Des appels sont enregistrés sans message d’information des appelants au registre.",
        reason_en: "Calls are recorded without a caller notice in the register.",
        judge: callers_not_informed,
    },
    Rule {
        code: "WORKS-COUNCIL-NOT-CONSULTED",
        group: GROUP,
        severity: Major,
        regimes: ALL,
        source: "Code du travail art. L.2312-38 (ancien L.2323-32)",
        reason_fr: "La consultation préalable du comité d’entreprise ou du CSE n’est pas enregistrée.",
        reason_en: "Prior consultation of the works council is not recorded.",
        judge: works_council_not_consulted,
    },
    Rule {
        code: "WORKS-COUNCIL-OBJECTED",
        group: GROUP,
        severity: Major,
        regimes: ALL,
        source: "Avis du comité d’entreprise ou du CSE (consultatif)",
        reason_fr: "Les représentants du personnel s’étaient déclarés défavorables ; leur avis est consultatif.",
        reason_en: "The staff representatives were opposed; their opinion is consultative.",
        judge: works_council_objected,
    },
    Rule {
        code: "CONCERTATION-MISSING",
        group: GROUP,
        severity: Major,
        regimes: ALL,
        source: "Concertation annoncée ou posée en condition",
        reason_fr: "Une concertation était attendue ; rien ne montre qu’elle a eu lieu.",
        reason_en: "A concertation was expected; nothing shows that it took place.",
        judge: concertation_missing,
    },
];

/// Whether a step of information formally preceded the access, and the entries.
fn informed(q: &Question<'_>, steps: &[&str]) -> (Certainty, Vec<u64>) {
    let mut certainty = Certainty::No;
    let mut positions = Vec::new();
    for fact in q.view.known(&q.processing.information) {
        if fact.formal && steps.contains(&fact.data.step.as_str()) {
            let precedes = fact.precedes(&q.days);
            if precedes != Certainty::No {
                positions.push(fact.position);
                certainty = certainty.or(precedes);
            }
        }
    }
    (certainty, positions)
}

fn subjects_not_informed(q: &Question<'_>, out: &mut Findings) {
    match q.established("SUBJECTS-NOT-INFORMED") {
        Some((ruling, true)) => {
            return out.fire(Fired::contradicted(vec![ruling]).weighing(Blocking));
        }
        Some((_, false)) => return,
        None => {}
    }
    let (told, positions) = informed(q, &["I-NOTICE-INDIVIDUAL", "I-NOTICE-COLLECTIVE"]);
    if told == Certainty::No {
        let (never, positions) = informed(q, &["I-NOTICE-NONE"]);
        if never != Certainty::No {
            return out.fire(Fired::contradicted(positions).weighing(Blocking));
        }
    }
    out.require(told, positions);
}

fn callers_not_informed(q: &Question<'_>, out: &mut Findings) {
    if q.access.categories.iter().any(|c| *c == *"CALL-RECORDING") {
        match q.established("CALLERS-NOT-INFORMED") {
            Some((ruling, true)) => return out.fire(Fired::contradicted(vec![ruling])),
            Some((_, false)) => return,
            None => {}
        }
        let (told, positions) = informed(q, &["I-CALLER-NOTICE"]);
        out.require(told, positions);
    }
}

fn works_council_not_consulted(q: &Question<'_>, out: &mut Findings) {
    let monitors = q.declaration.facts.iter().any(|f| f.data.monitors_staff == Some(true));
    if !monitors && !is_employer(q) {
        return;
    }
    match q.established("WORKS-COUNCIL-NOT-CONSULTED") {
        Some((ruling, true)) => {
            return out.fire(Fired::contradicted(vec![ruling]).weighing(Blocking));
        }
        Some((_, false)) => return,
        None => {}
    }
    let (mut consulted, mut positions) =
        informed(q, &["I-CE-CONSULTED", "I-CE-OPINION-FAV", "I-CE-OPINION-UNFAV"]);
    for opinion in q.view.known(&q.processing.opinions) {
        if opinion.data.opinion != Opinion::None {
            consulted = consulted.or(opinion.precedes(&q.days));
            positions.push(opinion.position);
        }
    }
    for held in council_consultations(q).filter(|c| c.data.held) {
        consulted = consulted.or(held.precedes(&q.days));
        positions.push(held.position);
    }
    out.require(consulted, positions);
}

/// What instruments say of consultations of the works council.
fn council_consultations<'a>(
    q: &Question<'a>,
) -> impl Iterator<Item = &'a Fact<RecordConsultation>> {
    let of_council =
        |step: &str| matches!(step, "I-CE-CONSULTED" | "I-CE-OPINION-FAV" | "I-CE-OPINION-UNFAV");
    q.about_processing
        .consultations()
        .iter()
        .filter(move |c| c.formal && of_council(c.data.step.as_str()))
}

fn works_council_objected(q: &Question<'_>, out: &mut Findings) {
    let mut certainty = Certainty::No;
    let mut positions = Vec::new();
    for opinion in q.view.known(&q.processing.opinions) {
        let precedes = opinion.precedes(&q.days);
        if opinion.data.opinion == Opinion::Unfavourable && precedes != Certainty::No {
            certainty = certainty.or(precedes);
            positions.push(opinion.position);
        }
    }
    for against in council_consultations(q).filter(|c| {
        c.data.held
            && (c.data.outcome == Some(Opinion::Unfavourable)
                || c.data.step == *"I-CE-OPINION-UNFAV")
    }) {
        let precedes = against.precedes(&q.days);
        if precedes != Certainty::No {
            certainty = certainty.or(precedes);
            positions.push(against.position);
        }
    }
    out.forbid(certainty, positions);
}

fn concertation_missing(q: &Question<'_>, out: &mut Findings) {
    for about in [Some(q.about_processing), q.about_experiment].into_iter().flatten() {
        for set in about.conditions_set().iter().filter(|c| c.data.contains("concertation")) {
            let met = about
                .conditions_met()
                .iter()
                .filter(|m| m.data == set.data)
                .map(|m| m.precedes(&q.days))
                .fold(Certainty::No, Certainty::or);
            out.require(met, vec![set.position]);
        }
        let is_concertation =
            |step: &str| matches!(step, "I-SOCIAL-PARTNERS" | "I-HEALTH-PROFESSION");
        for held in about.consultations().iter().filter(|c| is_concertation(c.data.step.as_str())) {
            // Held before the access after all: what was missing at first was made good.
            let made_good = about
                .consultations()
                .iter()
                .filter(|c| c.formal && c.data.held && c.data.step == held.data.step)
                .map(|c| c.precedes(&q.days))
                .fold(Certainty::No, Certainty::or);
            if !held.data.held && made_good == Certainty::Maybe {
                out.fire(Fired::dates_overlap(vec![held.position]));
            } else if !held.data.held && made_good == Certainty::No {
                let positions = vec![held.position];
                // Said not to have taken place: by an instrument, or by somebody.
                out.fire(if held.formal {
                    Fired::contradicted(positions)
                } else {
                    Fired::uncertain(positions)
                });
            }
        }
    }
}
