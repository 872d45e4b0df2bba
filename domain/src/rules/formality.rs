//! Formalities: was the processing filed with the authority as its regime required?

use super::{
    ALL, BEFORE_2018, Case, Findings, Fired, Group, Question, RGPD, Rule, regime, regime::Regime,
    regime::Silence,
};
use crate::body::{FileFormality, ResidualRisk};
use crate::date::{Certainty, Interval, LegalDate};
use crate::register::{Fact, Processing, View};
use crate::verdict::Severity::{Blocking, Info, Major};
use crate::vocabulary::FormalityKind;

const GROUP: Group = Group::Formality;

pub static RULES: &[Rule] = &[
    Rule {
        code: "NO-DECLARATION",
        group: GROUP,
        severity: Blocking,
        regimes: BEFORE_2018,
        source: "Loi 78-17 (version de 1978) art. 15-16 ; (version de 2004) art. 22-27",
        reason_fr: "Aucune formalité auprès de la CNIL n’est enregistrée pour ce traitement à cette date.",
        reason_en: "No formality before the authority is recorded for this processing on that date.",
        judge: no_declaration,
    },
    Rule {
        code: "REGISTER-ENTRY-MISSING",
        group: GROUP,
        severity: Blocking,
        regimes: RGPD,
        source: "RGPD art. 30",
        reason_fr: "Aucune inscription au registre des activités de traitement n’est enregistrée à cette date.",
        reason_en: "No entry in the records of processing activities is recorded on that date.",
        judge: register_entry_missing,
    },
    Rule {
        code: "WRONG-FORMALITY",
        group: GROUP,
        severity: Blocking,
        regimes: &[Regime::Lil2004],
        source: "Loi 78-17 (version de 2004) art. 25-27",
        reason_fr: "La formalité accomplie n’est pas celle que ces données exigeaient.",
        reason_en: "The formality filed is not the one these data required.",
        judge: wrong_formality,
    },
    Rule {
        code: "FORMALITY-REFERENCE-MISSING",
        group: GROUP,
        severity: Major,
        regimes: ALL,
        source: "Loi 78-17 (version de 2004) art. 24, 25-II, 26-IV",
        reason_fr: "L’engagement de conformité ne nomme ni le texte auquel il se réfère ni un numéro.",
        reason_en: "The commitment to conform names neither the text it refers to nor a number.",
        judge: reference_missing,
    },
    Rule {
        code: "FORMALITY-PENDING",
        group: GROUP,
        severity: Blocking,
        regimes: ALL,
        source: "Loi 78-17 (version de 2004) art. 25-III, 28",
        reason_fr: "La demande était déposée et la réponse de la CNIL attendue.",
        reason_en: "The request was filed and the authority's answer awaited.",
        judge: pending,
    },
    Rule {
        code: "FORMALITY-UNKNOWN",
        group: GROUP,
        severity: Major,
        regimes: ALL,
        source: "Règle du registre",
        reason_fr: "Rien n’indique si une formalité a été accomplie ou non.",
        reason_en: "Nothing says whether a formality was filed or not.",
        judge: unknown,
    },
    Rule {
        code: "SILENCE-REJECTED",
        group: GROUP,
        severity: Blocking,
        regimes: &[Regime::Lil2004],
        source: "Loi 78-17 (version de 2004) art. 25-III (à vérifier)",
        reason_fr: "Le délai de réponse de la CNIL est écoulé sans décision : la demande d’autorisation est tenue pour rejetée, sous réserve de vérification du texte.",
        reason_en: "The authority's delay ran out without a decision: the request is taken as rejected, subject to checking the text.",
        judge: silence_rejected,
    },
    Rule {
        code: "AUTHORISATION-NOT-SOUGHT",
        group: GROUP,
        severity: Info,
        regimes: ALL,
        source: "Déclaration du responsable",
        reason_fr: "Il est déclaré qu’aucune autorisation n’a été demandée à la CNIL.",
        reason_en: "It is stated that no authorisation was sought from the authority.",
        judge: authorisation_not_sought,
    },
    Rule {
        code: "RECEIPT-NOT-APPROVAL",
        group: GROUP,
        severity: Info,
        regimes: ALL,
        source: "Loi 78-17 (version de 2004) art. 23",
        reason_fr: "Un récépissé est invoqué comme une autorisation ; il constate un dépôt, il n’approuve rien.",
        reason_en: "A receipt is relied on as an authorisation; it acknowledges a filing and approves nothing.",
        judge: receipt_not_approval,
    },
    Rule {
        code: "DPIA-MISSING",
        group: GROUP,
        severity: Major,
        regimes: RGPD,
        source: "RGPD art. 35",
        reason_fr: "Le traitement est dit à haut risque et aucune analyse d’impact n’est enregistrée.",
        reason_en: "The processing is said to be high-risk and no impact assessment is recorded.",
        judge: dpia_missing,
    },
    Rule {
        code: "PRIOR-CONSULTATION-MISSING",
        group: GROUP,
        severity: Blocking,
        regimes: RGPD,
        source: "RGPD art. 36",
        reason_fr: "L’analyse d’impact laisse un risque élevé et la CNIL n’a pas été consultée.",
        reason_en: "The impact assessment leaves a high risk and the authority was not consulted.",
        judge: prior_consultation_missing,
    },
    Rule {
        code: "NIR-NOT-AUTHORISED",
        group: GROUP,
        severity: Blocking,
        regimes: ALL,
        source: "Loi 78-17 (1978) art. 18 ; (2004) art. 27-I ; (2019) art. 30",
        reason_fr: "Le numéro de sécurité sociale est traité sans texte enregistré qui l’autorise.",
        reason_en: "The social-security number is processed without a recorded text that allows it.",
        judge: nir_not_authorised,
    },
];

type FormalityFact = Fact<FileFormality>;

/// See [`Question::formalities`].
pub fn before<'a>(
    case: &Case<'a>,
    view: View<'a>,
    processing: &'a Processing,
) -> Vec<(Certainty, &'a FormalityFact)> {
    view.known(&processing.formalities)
        .iter()
        .map(|f| (f.precedes(&case.days), f))
        .filter(|(c, f)| *c != Certainty::No && f.data.kind != *"F-NONE")
        .collect()
}

/// A formality, and whether it came before the access.
type Filed<'a> = (Certainty, &'a FormalityFact);

/// Formalities before the access that cover its purpose.
pub fn covering<'a>(q: &Question<'a>) -> impl Iterator<Item = Filed<'a>> {
    let purpose = q.access.purpose;
    q.formalities.iter().copied().filter(move |(_, f)| f.data.purposes.contains(&purpose))
}

fn positions(facts: &[Filed<'_>]) -> Vec<u64> {
    facts.iter().map(|(_, f)| f.position).collect()
}

/// Whether one of these formal formalities certainly, possibly or not at all came before.
fn any_of(facts: &[Filed<'_>]) -> Certainty {
    if facts.iter().any(|(c, _)| *c == Certainty::Yes) {
        Certainty::Yes
    } else if facts.is_empty() {
        Certainty::No
    } else {
        Certainty::Maybe
    }
}

/// Formal formalities before the access that are of one of these kinds.
fn formal<'a>(q: &Question<'a>, of_kind: impl Fn(FormalityKind) -> bool) -> Vec<Filed<'a>> {
    let fits = |(_, f): &Filed<'_>| f.formal && of_kind(f.data.kind);
    q.formalities.iter().copied().filter(fits).collect()
}

/// Formal formalities of the laws of 1978 and 2004.
fn formal_before_2018<'a>(q: &Question<'a>) -> Vec<Filed<'a>> {
    formal(q, |kind| matches!(kind.regime(), Some(Regime::Lil1978 | Regime::Lil2004)))
}

fn no_declaration(q: &Question<'_>, out: &mut Findings) {
    let none_filed: Vec<u64> = q
        .view
        .known(&q.processing.formalities)
        .iter()
        .filter(|f| f.formal && f.data.kind == *"F-NONE")
        .map(|f| f.position)
        .collect();
    let filed = formal_before_2018(q);
    if filed.is_empty() && !none_filed.is_empty() {
        return out.fire(Fired::contradicted(none_filed));
    }
    out.require(any_of(&filed), positions(&filed));
}

fn register_entry_missing(q: &Question<'_>, out: &mut Findings) {
    let entries = formal(q, |kind| kind == *"F18-30-REG");
    out.require(any_of(&entries), positions(&entries));
}

fn wrong_formality(q: &Question<'_>, out: &mut Findings) {
    let has = |code: &str| q.access.categories.iter().any(|c| *c == *code);
    let required: &[&str] = if has("NIR") {
        &["F04-27-NIR", "F04-27-AVIS", "F04-RU"]
    } else if has("SOC-DIFFICULTY") {
        &["F04-25-AUT", "F04-25-AU", "F04-27-AVIS", "F04-RU"]
    } else {
        return;
    };
    let filed = formal_before_2018(q);
    // What was regularly filed under the law of 1978 remained good.
    let fits = |f: &FormalityFact| {
        required.contains(&f.data.kind.as_str()) || f.data.kind.regime() == Some(Regime::Lil1978)
    };
    if !filed.is_empty() && !filed.iter().any(|(_, f)| fits(f)) {
        out.fire(Fired::contradicted(positions(&filed)));
    }
}

fn reference_missing(q: &Question<'_>, out: &mut Findings) {
    let bare: Vec<u64> = q
        .formalities
        .iter()
        .filter(|(_, f)| {
            f.data.kind.is_conformity() && f.data.reference.is_none() && f.data.number.is_none()
        })
        .map(|(_, f)| f.position)
        .collect();
    if !bare.is_empty() {
        out.fire(Fired::not_evidenced(bare));
    }
}

/// What became of a formality that awaited an answer, for a purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// A decision, or the end of a delay in the applicant's favour.
    Given,
    Awaited,
    /// The delay ran out, to the applicant's loss.
    RejectedBySilence,
    /// The delay may have run out: it could be renewed once.
    Open,
}

/// The answer to a formality, for the purpose of the access and on its days.
pub fn answer(q: &Question<'_>, filed: &FormalityFact) -> Answer {
    let Some(awaited) = filed.data.kind.answer() else { return Answer::Given };
    let decided = q.view.decisions_on(q.processing).any(|d| {
        d.rendered.formal
            && d.rendered.data.outcomes.iter().any(|o| o.purpose == q.access.purpose)
            && match &d.rendered.data.formality {
                Some(id) => *id == filed.data.formality,
                // A decision that names no formality answers those filed before it.
                None => filed.at.strictly_before(&d.rendered.at) != Certainty::No,
            }
            && d.rendered.at.strictly_before(&q.days) != Certainty::No
    });
    if decided {
        return Answer::Given;
    }
    let Some(delay) = awaited.delay else { return Answer::Awaited };
    let (Some(first), Some(last)) = (filed.at.earliest, filed.at.latest) else {
        return Answer::Awaited;
    };
    let earliest_end = delay.plain.after(first);
    let latest_end = delay.prolonged.after(last);
    // A request still pending when the law changed is answered under the new law.
    let overtaken = filed
        .data
        .kind
        .regime()
        .and_then(Regime::superseded_on)
        .is_some_and(|change| change <= latest_end);
    if overtaken {
        return Answer::Awaited;
    }
    match past(latest_end, &q.days) {
        Certainty::Yes => match awaited.silence {
            Silence::TacitRejected => Answer::RejectedBySilence,
            _ => Answer::Given,
        },
        _ if past(earliest_end, &q.days) == Certainty::No => Answer::Awaited,
        _ => Answer::Open,
    }
}

fn past(end: LegalDate, days: &Interval) -> Certainty {
    Interval::day(end).over_before(days)
}

/// Formal formalities for the purpose, when all of them await an answer; else nothing.
fn all_awaiting<'a>(q: &Question<'a>) -> Vec<(&'a FormalityFact, Answer)> {
    let mut awaiting = Vec::new();
    for (_, filed) in covering(q).filter(|(_, f)| f.formal) {
        match answer(q, filed) {
            Answer::Given => return Vec::new(),
            answer => awaiting.push((filed, answer)),
        }
    }
    awaiting
}

/// Fires when the purpose rests only on requests that no answer has met.
pub fn fire_if_awaited(q: &Question<'_>, out: &mut Findings) {
    let awaiting = all_awaiting(q);
    let at = |wanted: Answer| -> Vec<u64> {
        awaiting.iter().filter(|(_, a)| *a == wanted).map(|(f, _)| f.position).collect()
    };
    let awaited = at(Answer::Awaited);
    if !awaited.is_empty() {
        out.fire(Fired::contradicted(awaited));
    } else if !at(Answer::Open).is_empty() {
        out.fire(Fired::uncertain(at(Answer::Open)));
    }
}

fn pending(q: &Question<'_>, out: &mut Findings) {
    fire_if_awaited(q, out);
}

fn silence_rejected(q: &Question<'_>, out: &mut Findings) {
    let rejected: Vec<u64> = all_awaiting(q)
        .into_iter()
        .filter(|(_, a)| *a == Answer::RejectedBySilence)
        .map(|(f, _)| f.position)
        .collect();
    if !rejected.is_empty() {
        out.fire(Fired::contradicted(rejected));
    }
}

fn unknown(q: &Question<'_>, out: &mut Findings) {
    if q.view.known(&q.processing.formalities).is_empty() {
        out.fire(Fired::not_evidenced(Vec::new()));
    }
}

fn authorisation_not_sought(q: &Question<'_>, out: &mut Findings) {
    let said = q.claims("AUTHORISATION-NOT-SOUGHT", true);
    let sought = q.formalities.iter().any(|(_, f)| f.formal && f.data.kind.answer().is_some());
    if !said.is_empty() && !sought {
        out.fire(Fired::contradicted(said));
    }
}

fn receipt_not_approval(q: &Question<'_>, out: &mut Findings) {
    let Some(cited) = &q.access.basis.reference else { return };
    let receipts: Vec<u64> = q
        .view
        .known(&q.processing.receipts)
        .iter()
        .filter(|r| r.data.number == *cited || r.data.formality == *cited)
        .map(|r| r.position)
        .collect();
    if !receipts.is_empty() {
        out.fire(Fired::contradicted(receipts));
    }
}

/// Whether the processing was regularly filed on the eve of 25 May 2018 (see
/// `regime::ASSESSMENT_GRACE`).
fn filed_before_2018(q: &Question<'_>) -> bool {
    let eve = Interval::day(Regime::Rgpd2018.from());
    q.view.known(&q.processing.formalities).iter().any(|f| {
        f.formal
            && matches!(f.data.kind.regime(), Some(Regime::Lil1978 | Regime::Lil2004))
            && f.at.strictly_before(&eve) == Certainty::Yes
    })
}

fn dpia_missing(q: &Question<'_>, out: &mut Findings) {
    let high_risk: Vec<u64> = q
        .declaration
        .facts
        .iter()
        .filter(|f| f.data.high_risk == Some(true))
        .map(|f| f.position)
        .collect();
    if high_risk.is_empty() {
        return;
    }
    let grace = &regime::ASSESSMENT_GRACE;
    if filed_before_2018(q) && q.days.latest.is_some_and(|last| last <= grace.last_day) {
        return;
    }
    let assessed = q
        .view
        .known(&q.processing.assessments)
        .iter()
        .filter(|a| a.formal)
        .map(|a| a.precedes(&q.days))
        .chain(formal(q, |kind| kind == *"F18-35-AIPD").into_iter().map(|(c, _)| c))
        .fold(Certainty::No, Certainty::or);
    out.require(assessed, high_risk);
}

fn prior_consultation_missing(q: &Question<'_>, out: &mut Findings) {
    let risky: Vec<u64> = q
        .view
        .known(&q.processing.assessments)
        .iter()
        .filter(|a| {
            a.precedes(&q.days) != Certainty::No
                && a.data.residual_risk == ResidualRisk::High
                && a.data.consulted_regulator != Some(true)
        })
        .map(|a| a.position)
        .collect();
    if !risky.is_empty() {
        let consulted = formal(q, |kind| kind == *"F18-36-CONS");
        out.require(any_of(&consulted), risky);
    }
}

fn nir_not_authorised(q: &Question<'_>, out: &mut Findings) {
    if q.access.categories.iter().any(|c| *c == *"NIR") {
        let texts =
            formal(q, |kind| matches!(kind.as_str(), "F78-18-NIR" | "F04-27-NIR" | "F18-L30-NIR"));
        out.require(any_of(&texts), positions(&texts));
    }
}
