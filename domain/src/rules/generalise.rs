//! May an experiment or a processing be generalised? Asked, and never a verdict on an
//! access: what stands in the way, as known at a tree size.

use super::experiment::evaluation_planned;
use crate::date::{Certainty, Interval};
use crate::kind::StreamType;
use crate::register::View;
use crate::verdict::{Evidence, Finding, Severity};
use crate::vocabulary::RuleCode;

/// One requirement of a generalisation. Not a row of `Rulebook`: it judges no access.
pub struct Requirement {
    pub code: &'static str,
    pub source: &'static str,
    pub reason_fr: &'static str,
    pub reason_en: &'static str,
}

pub const WITHOUT_EVALUATION: Requirement = Requirement {
    code: "GENERALISATION-WITHOUT-EVALUATION",
    source: "Évaluation annoncée par l’expérimentation",
    reason_fr: "La généralisation précède la publication de l’évaluation.",
    reason_en: "Generalisation comes before the evaluation is published.",
};

pub const CONDITION_UNMET: Requirement = Requirement {
    code: "GENERALISATION-CONDITION-UNMET",
    source: "Condition enregistrée de la généralisation",
    reason_fr: "Une condition posée à la généralisation n’est pas enregistrée comme remplie.",
    reason_en: "A condition set for generalisation is not recorded as met.",
};

pub const REPORT_ONLY: Requirement = Requirement {
    code: "NO-LEGAL-EFFECT",
    source: "Nature du texte invoqué",
    reason_fr: "Le seul appui enregistré est un rapport ou une recommandation : il n’autorise rien.",
    reason_en: "The only recorded support is a report or a recommendation: it authorises nothing.",
};

pub const REQUIREMENTS: &[Requirement] = &[WITHOUT_EVALUATION, CONDITION_UNMET, REPORT_ONLY];

/// What stands in the way of generalising on one of `days`. `None`: nothing of that name
/// is in the register at that size.
pub fn obstacles(
    view: View<'_>,
    kind: StreamType,
    id: &str,
    days: &Interval,
) -> Option<Vec<Finding>> {
    let mut found = Vec::new();
    let mut fire = |requirement: &Requirement, evidence, mut positions: Vec<u64>| {
        positions.sort_unstable();
        positions.dedup();
        found.push(Finding {
            code: RuleCode::parse(requirement.code).expect("requirements use published codes"),
            severity: Severity::Blocking,
            evidence,
            positions,
            rests_on: Vec::new(),
            cells: Vec::new(),
            source: requirement.source.to_owned(),
        });
    };
    let about = view.about(kind, id);
    let processing = match kind {
        StreamType::Experiment => {
            let experiment = view.experiment(id)?;
            let evaluated = view
                .known(&experiment.evaluations)
                .iter()
                .map(|e| e.precedes(days))
                .fold(Certainty::No, Certainty::or);
            let mut positions = evaluation_planned(view, id, experiment);
            positions.extend(view.known(&experiment.launches).iter().map(|l| l.position));
            match evaluated {
                Certainty::Yes => {}
                Certainty::Maybe => fire(&WITHOUT_EVALUATION, Evidence::Uncertain, positions),
                Certainty::No => fire(&WITHOUT_EVALUATION, Evidence::NotEvidenced, positions),
            }
            view.processing(&experiment.processing)
        }
        _ => Some(view.processing(id)?),
    };
    let mut asked = std::collections::HashSet::new();
    // A condition set twice is still one condition.
    for set in about.conditions_set().iter().filter(|c| asked.insert(&c.data)) {
        let met = about
            .conditions_met()
            .iter()
            .filter(|m| m.data == set.data)
            .map(|m| m.precedes(days))
            .fold(Certainty::No, Certainty::or);
        match met {
            Certainty::Yes => {}
            Certainty::Maybe => fire(&CONDITION_UNMET, Evidence::Uncertain, vec![set.position]),
            Certainty::No => fire(&CONDITION_UNMET, Evidence::NotEvidenced, vec![set.position]),
        }
    }
    if let Some(processing) = processing {
        let formal = view.known(&processing.versions).iter().any(|v| v.formal)
            || view.known(&processing.formalities).iter().any(|f| f.formal)
            || view.decisions_on(processing).any(|d| {
                d.rendered.formal
                    && d.rendered.data.outcomes.iter().any(|o| o.outcome != *"RECOMMENDATION")
            });
        let recommended: Vec<u64> = view
            .decisions_on(processing)
            .filter(|d| d.rendered.data.outcomes.iter().any(|o| o.outcome == *"RECOMMENDATION"))
            .map(|d| d.rendered.position)
            .collect();
        if !formal && !recommended.is_empty() {
            fire(&REPORT_ONLY, Evidence::Contradicted, recommended);
        }
    }
    Some(found)
}
