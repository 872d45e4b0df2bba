//! Purpose, legal basis, category, recipient: is it what was declared and decided?

use super::{
    ALL, Findings, Fired, Group, InForceDecision, Question, Rule, SINCE_2004, formality,
    formality::Answer,
};
use crate::body::{Condition, Ending, FileFormality, RecordAgreement};
use crate::date::Certainty;
use crate::register::Fact;
use crate::verdict::Severity::{Blocking, Major};
use crate::vocabulary::{Category, LegalBasis};

const GROUP: Group = Group::Purpose;

pub static RULES: &[Rule] = &[
    Rule {
        code: "PURPOSE-NOT-DECLARED",
        group: GROUP,
        severity: Blocking,
        regimes: ALL,
        source: "Loi 78-17 (2004) art. 30 ; RGPD art. 5-1-b, 30-1-b",
        reason_fr: "La finalité de l’accès n’est pas de celles qui ont été déclarées.",
        reason_en: "The purpose of the access is not one of those declared.",
        judge: not_declared,
    },
    Rule {
        code: "PURPOSE-PENDING",
        group: GROUP,
        severity: Blocking,
        regimes: ALL,
        source: "Loi 78-17 (2004) art. 25-III, 28",
        reason_fr: "La finalité a été soumise à la CNIL, qui ne s’était pas encore prononcée.",
        reason_en: "The purpose was submitted to the authority, which had not decided yet.",
        judge: pending,
    },
    Rule {
        code: "PURPOSE-REFUSED",
        group: GROUP,
        severity: Blocking,
        regimes: ALL,
        source: "Décision de la CNIL sur cette finalité",
        reason_fr: "La dernière décision de la CNIL sur cette finalité est un refus.",
        reason_en: "The authority's last decision on this purpose is a refusal.",
        judge: refused,
    },
    Rule {
        code: "PURPOSE-INCOMPATIBLE",
        group: GROUP,
        severity: Blocking,
        regimes: ALL,
        source: "Loi 78-17 (2004) art. 6-2° ; RGPD art. 5-1-b, 6-4",
        reason_fr: "Les données servent à une fin étrangère à celle pour laquelle elles étaient traitées.",
        reason_en: "The data serve an end foreign to the one they were processed for.",
        judge: incompatible,
    },
    Rule {
        code: "CONDITION-NOT-MET",
        group: GROUP,
        severity: Blocking,
        regimes: ALL,
        source: "Condition posée par la décision de la CNIL",
        reason_fr: "Une condition posée par la décision n’est pas enregistrée comme remplie.",
        reason_en: "A condition set by the decision is not recorded as met.",
        judge: condition_not_met,
    },
    Rule {
        code: "LEGAL-BASIS-UNSTATED",
        group: GROUP,
        severity: Major,
        regimes: SINCE_2004,
        source: "Loi 78-17 (2004) art. 7 ; RGPD art. 6, 13-1-c",
        reason_fr: "Aucune base légale n’est indiquée.",
        reason_en: "No legal basis is stated.",
        judge: basis_unstated,
    },
    Rule {
        code: "ART9-BASIS-MISSING",
        group: GROUP,
        severity: Blocking,
        regimes: SINCE_2004,
        source: "Loi 78-17 (2004) art. 8 ; RGPD art. 9",
        reason_fr: "Des données de santé sont en cause sans dérogation enregistrée à l’interdiction de les traiter.",
        reason_en: "Health data are involved without a recorded exception to the ban on processing them.",
        judge: special_basis_missing,
    },
    Rule {
        code: "BASIS-EXPIRED",
        group: GROUP,
        severity: Blocking,
        regimes: ALL,
        source: "Terme fixé par la décision",
        reason_fr: "La décision sur laquelle repose l’accès était arrivée à son terme.",
        reason_en: "The decision the access rests on had reached its term.",
        judge: expired,
    },
    Rule {
        code: "BASIS-ANNULLED",
        group: GROUP,
        severity: Blocking,
        regimes: ALL,
        source: "Décision d’annulation ou de retrait",
        reason_fr: "La décision sur laquelle repose l’accès a été annulée ou retirée.",
        reason_en: "The decision the access rests on was annulled or withdrawn.",
        judge: annulled,
    },
    Rule {
        code: "BASIS-REPEALED",
        group: GROUP,
        severity: Blocking,
        regimes: ALL,
        source: "Décision d’abrogation",
        reason_fr: "La décision sur laquelle repose l’accès avait été abrogée.",
        reason_en: "The decision the access rests on had been repealed.",
        judge: repealed,
    },
    Rule {
        code: "BASIS-SUSPENDED",
        group: GROUP,
        severity: Blocking,
        regimes: ALL,
        source: "Décision de suspension",
        reason_fr: "La décision sur laquelle repose l’accès était suspendue.",
        reason_en: "The decision the access rests on was suspended.",
        judge: suspended,
    },
    Rule {
        code: "CATEGORY-NOT-DECLARED",
        group: GROUP,
        severity: Blocking,
        regimes: ALL,
        source: "Loi 78-17 (2004) art. 30 ; RGPD art. 30-1-c",
        reason_fr: "Une des catégories de données n’est pas de celles qui ont été déclarées.",
        reason_en: "One of the data categories is not one of those declared.",
        judge: category_not_declared,
    },
    Rule {
        code: "CATEGORY-INFERRED",
        group: GROUP,
        severity: Major,
        regimes: ALL,
        source: "RGPD art. 5-1-d",
        reason_fr: "Le motif n’est pas recueilli : il est reconstitué par un algorithme.",
        reason_en: "The motive is not collected: an algorithm infers it.",
        judge: category_inferred,
    },
    Rule {
        code: "RECIPIENT-NOT-AUTHORISED",
        group: GROUP,
        severity: Blocking,
        regimes: ALL,
        source: "Loi 78-17 (2004) art. 30 ; RGPD art. 30-1-d",
        reason_fr: "Le destinataire n’est pas de ceux qui ont été déclarés, ou ne peut recevoir ces données.",
        reason_en: "The recipient is not one of those declared, or may not receive these data.",
        judge: recipient,
    },
    Rule {
        code: "SUBJECT-AGREEMENT-MISSING",
        group: GROUP,
        severity: Blocking,
        regimes: SINCE_2004,
        source: "Code de la sécurité sociale art. L.315-4",
        reason_fr: "L’accord de l’assuré avant la transmission au service de santé au travail n’est pas enregistré.",
        reason_en: "The insured person's agreement before the transfer to the occupational-health service is not recorded.",
        judge: agreement_missing,
    },
    Rule {
        code: "SUBJECT-OBJECTED",
        group: GROUP,
        severity: Blocking,
        regimes: ALL,
        source: "Loi 78-17 (2004) art. 38 ; RGPD art. 21",
        reason_fr: "La personne s’était opposée au traitement.",
        reason_en: "The person had objected to the processing.",
        judge: objected,
    },
];

/// Fires unless what was in force has a property: contradicted by a formal declaration
/// without it, not evidenced when only a description, or nothing, is recorded.
fn require_declared(
    q: &Question<'_>,
    out: &mut Findings,
    has: impl Fn(&crate::body::Declaration) -> bool,
) {
    let d = &q.declaration;
    match d.whether(|f| has(&f.data)) {
        Certainty::Yes => {}
        Certainty::Maybe => out.fire(Fired::dates_overlap(d.positions())),
        Certainty::No if q.formal_declaration() => {
            out.fire(Fired::contradicted(d.positions()));
        }
        Certainty::No => out.fire(Fired::not_evidenced(d.positions())),
    }
}

fn not_declared(q: &Question<'_>, out: &mut Findings) {
    let purpose = q.access.purpose;
    require_declared(q, out, |d| d.declares_purpose(purpose));
    // A text relied on whose objects do not hold the purpose shows nothing for it.
    let cited = q.access.basis.reference.as_deref().and_then(|id| q.view.reference(id));
    if let Some(text) = cited
        && !matches!(text.data.kind.as_str(), "report" | "press")
        && !text.data.objects.contains(&purpose)
    {
        out.fire(Fired::not_evidenced(vec![text.position]));
    }
}

/// New requests on a purpose refused as it was submitted, filed after that refusal and not
/// answered yet. One that silence rejected leaves the refusal the last answer.
fn resubmitted<'a>(
    q: &Question<'a>,
    refusal: &InForceDecision<'_>,
) -> Vec<(&'a Fact<FileFormality>, Answer)> {
    if refusal.outcome.outcome != *"REFUSED-AS-SUBMITTED" {
        return Vec::new();
    }
    formality::covering(q)
        .filter(|(_, f)| f.formal && refusal.rendered.at.strictly_before(&f.at) == Certainty::Yes)
        .map(|(_, f)| (f, formality::answer(q, f)))
        .filter(|(_, answer)| matches!(answer, Answer::Awaited | Answer::Open))
        .collect()
}

fn pending(q: &Question<'_>, out: &mut Findings) {
    let Some(last) = q.decisions.last() else { return formality::fire_if_awaited(q, out) };
    // Whatever else was filed, a purpose refused and asked for again has no answer yet.
    let open = resubmitted(q, last);
    let at = |wanted: Answer| -> Vec<u64> {
        open.iter().filter(|(_, a)| *a == wanted).map(|(f, _)| f.position).collect()
    };
    let awaited = at(Answer::Awaited);
    if !awaited.is_empty() {
        out.fire(Fired::contradicted(awaited));
    } else if !open.is_empty() {
        out.fire(Fired::uncertain(at(Answer::Open)));
    }
}

fn refused(q: &Question<'_>, out: &mut Findings) {
    let refusing: Vec<&InForceDecision<'_>> = q.decisions.iter().filter(|d| d.refuses()).collect();
    let Some(last) = refusing.last() else { return };
    if !resubmitted(q, last).is_empty() {
        return;
    }
    let positions = refusing.iter().map(|d| d.rendered.position).collect();
    let certain = refusing.len() == q.decisions.len() && q.decisions[0].precedes == Certainty::Yes;
    out.fire(if certain {
        Fired::contradicted(positions)
    } else {
        Fired::dates_overlap(positions)
    });
}

fn incompatible(q: &Question<'_>, out: &mut Findings) {
    const CODE: &str = "PURPOSE-INCOMPATIBLE";
    for d in &q.decisions {
        if d.outcome.grounds.iter().any(|g| g.fact.is_some_and(|f| f == *CODE)) {
            let positions = vec![d.rendered.position];
            return out.fire(if d.precedes == Certainty::Yes {
                Fired::contradicted(positions)
            } else {
                Fired::dates_overlap(positions)
            });
        }
    }
    match q.established(CODE) {
        Some((ruling, true)) => return out.fire(Fired::contradicted(vec![ruling])),
        Some((_, false)) => return,
        None => {}
    }
    // Data seen for one purpose and used for another that was never declared.
    let declares = |p| q.declaration.whether(|f| f.data.declares_purpose(p)) != Certainty::No;
    if let Some(position) = q.position() {
        let foreign: Vec<u64> = q
            .view
            .uses_of(position)
            .filter(|u| u.data.purpose != q.access.purpose && !declares(u.data.purpose))
            .map(|u| u.position)
            .collect();
        if !foreign.is_empty() {
            return out.fire(Fired::contradicted(foreign));
        }
    }
    if !q.declaration.facts.is_empty() && !declares(q.access.purpose) {
        return out.fire(Fired::not_evidenced(q.declaration.positions()));
    }
    let claimed = q.claims(CODE, true);
    if !claimed.is_empty() {
        out.fire(Fired::uncertain(claimed));
    }
}

fn condition_not_met(q: &Question<'_>, out: &mut Findings) {
    let Some(decision) = q.decisions.last() else { return };
    if !decision.accepts() {
        return;
    }
    let met = q.about_processing.conditions_met();
    for Condition { condition, .. } in &decision.outcome.conditions {
        let certainty = met
            .iter()
            .filter(|m| m.data == *condition)
            .map(|m| m.precedes(&q.days))
            .fold(Certainty::No, Certainty::or);
        out.require(certainty, vec![decision.rendered.position]);
    }
}

fn states_a_basis(codes: &[LegalBasis]) -> bool {
    codes.iter().any(|c| *c != *"UNSTATED" && *c != *"N-A-1978")
}

fn basis_unstated(q: &Question<'_>, out: &mut Findings) {
    let declared = q.declaration.facts.iter().any(|f| states_a_basis(&f.data.legal_basis));
    if !declared && !states_a_basis(&q.access.basis.codes) {
        out.fire(Fired::not_evidenced(q.declaration.positions()));
    }
}

fn special_basis_missing(q: &Question<'_>, out: &mut Findings) {
    let allows = |codes: &[LegalBasis]| {
        codes.iter().any(|c| c.as_str().starts_with("A9-2-") || *c == *"LIL8-DEROG")
    };
    let declared = q
        .declaration
        .facts
        .iter()
        .any(|f| allows(&f.data.special_basis) || allows(&f.data.legal_basis));
    let special = q.access.categories.iter().any(|c| c.is_special());
    if special && !declared && !allows(&q.access.basis.codes) {
        out.fire(Fired::not_evidenced(q.declaration.positions()));
    }
}

/// Accepting decisions on the purpose that were ended in one of these ways, and when.
fn ended(q: &Question<'_>, how: &[Ending], out: &mut Findings) {
    for decision in q.view.decisions_on(q.processing) {
        let endings = q.view.known(&decision.endings);
        if !endings.iter().any(|e| how.contains(&e.data.how)) {
            continue;
        }
        let Some(outcome) =
            decision.rendered.data.outcomes.iter().find(|o| o.purpose == q.access.purpose)
        else {
            continue;
        };
        let this = InForceDecision {
            decision,
            rendered: &decision.rendered,
            outcome,
            starts: decision.rendered.at,
            precedes: decision.rendered.precedes(&q.days),
        };
        // A later decision that stands has taken its place.
        let replaced = q.decisions.iter().any(|s| {
            s.precedes == Certainty::Yes
                && s.rendered.position > decision.rendered.position
                && s.accepts()
        });
        if !decision.rendered.formal
            || !this.accepts()
            || this.precedes == Certainty::No
            || replaced
        {
            continue;
        }
        for ending in endings {
            let concerned =
                ending.data.purposes.as_ref().is_none_or(|p| p.contains(&q.access.purpose));
            if !ending.formal || !concerned || !how.contains(&ending.data.how) {
                continue;
            }
            let positions = vec![decision.rendered.position, ending.position];
            let over = if ending.data.how.is_retroactive() {
                Certainty::Yes
            } else {
                ending.data.effective_from.interval().on_or_before(&q.days)
            };
            match over {
                Certainty::Yes => out.fire(Fired::contradicted(positions)),
                Certainty::Maybe => out.fire(Fired::dates_overlap(positions)),
                Certainty::No => {}
            }
        }
    }
}

fn expired(q: &Question<'_>, out: &mut Findings) {
    ended(q, &[Ending::Expired], out);
    if let Some(decision) = q.decisions.last()
        && decision.accepts()
        && let Some(until) = &decision.rendered.data.until
    {
        match until.interval().over_before(&q.days) {
            Certainty::Yes => out.fire(Fired::contradicted(vec![decision.rendered.position])),
            Certainty::Maybe => out.fire(Fired::dates_overlap(vec![decision.rendered.position])),
            Certainty::No => {}
        }
    }
}

fn annulled(q: &Question<'_>, out: &mut Findings) {
    ended(q, &[Ending::AnnulledExTunc, Ending::WithdrawnExTunc, Ending::AnnulledDeferred], out);
}

fn repealed(q: &Question<'_>, out: &mut Findings) {
    ended(q, &[Ending::RepealedExNunc], out);
}

fn suspended(q: &Question<'_>, out: &mut Findings) {
    ended(q, &[Ending::Suspended], out);
}

fn category_not_declared(q: &Question<'_>, out: &mut Findings) {
    // One finding for all of them: the entries at stake are the same.
    let categories = &q.access.categories;
    require_declared(q, out, |d| categories.iter().all(|c| d.declares_category(*c)));
}

fn category_inferred(q: &Question<'_>, out: &mut Findings) {
    let has = |test: fn(Category) -> bool| q.access.categories.iter().any(|c| test(*c));
    if has(|c| c == *"ABS-MOTIVE-INFERRED") {
        return out.fire(Fired::contradicted(q.declaration.positions()));
    }
    let claimed = q.claims("CATEGORY-INFERRED", true);
    if !claimed.is_empty() && has(Category::is_motive) {
        out.fire(Fired::uncertain(claimed));
    }
}

/// Whether a role is the employer's side.
pub fn is_employer(q: &Question<'_>) -> bool {
    matches!(
        q.access.recipient.role.as_str(),
        "R-EMPLOYER-MGMT" | "R-EMPLOYER-HR" | "R-LINE-MANAGER"
    )
}

fn recipient(q: &Question<'_>, out: &mut Findings) {
    let nominative = !q.access.subjects.is_empty()
        || q.access.identifiability.is_some_and(|i| i == *"NOMINATIVE");
    let forbidden = is_employer(q)
        && q.access
            .categories
            .iter()
            .any(|c| matches!(c.as_str(), "DMST" | "IRDP-SCORE") || (nominative && c.is_motive()));
    if forbidden {
        return out.fire(Fired::contradicted(q.declaration.positions()));
    }
    let to = &q.access.recipient;
    require_declared(q, out, |d| {
        d.recipients
            .iter()
            .any(|r| r.role == to.role && r.party.as_ref().is_none_or(|p| *p == to.party))
    });
}

/// Whether a fact about a person is about that subject: unknown without both values.
fn same_subject(fact: &Fact<RecordAgreement>, subject: Option<&String>) -> Option<bool> {
    let recorded = fact.data.subject.as_ref()?.value.as_ref()?;
    Some(recorded == subject?)
}

/// What the facts about persons say of one subject of the access.
struct OfSubject<'a> {
    /// Whether one of them came before the access; `None` where a value is not at hand.
    before: Option<Certainty>,
    positions: Vec<u64>,
    /// Digests of the values compared.
    digests: Vec<&'a str>,
}

impl OfSubject<'_> {
    fn resting(&self, fired: fn(Vec<u64>) -> Fired) -> Fired {
        let digests = self.digests.iter().map(|d| (*d).to_owned()).collect();
        fired(self.positions.clone()).resting_on(digests)
    }
}

/// What `facts` say of each subject of the access.
fn by_subject<'a>(q: &Question<'a>, facts: &'a [Fact<RecordAgreement>]) -> Vec<OfSubject<'a>> {
    let mut found = Vec::with_capacity(q.access.subjects.len());
    for subject in &q.access.subjects {
        let mut of = OfSubject {
            before: Some(Certainty::No),
            positions: Vec::new(),
            digests: vec![subject.digest.as_str()],
        };
        for fact in facts {
            let precedes = fact.precedes(&q.days);
            if precedes == Certainty::No {
                continue;
            }
            of.digests.extend(fact.data.subject.as_ref().map(|s| s.digest.as_str()));
            match same_subject(fact, subject.value.as_ref()) {
                Some(true) => {
                    of.before = of.before.map(|c| c.or(precedes));
                    of.positions.push(fact.position);
                }
                Some(false) => {}
                None => of.before = None,
            }
        }
        found.push(of);
    }
    found
}

fn agreement_missing(q: &Question<'_>, out: &mut Findings) {
    let to_occupational_health =
        matches!(q.access.recipient.role.as_str(), "R-SPST-CELL" | "R-OCC-PHYSICIAN");
    let sick_leave = q.access.categories.iter().any(|c| {
        c.as_str().starts_with("ABS-") || matches!(c.as_str(), "CLAIMS-CARE" | "MED-CONTROL")
    });
    if !to_occupational_health || !sick_leave {
        return;
    }
    if q.access.subjects.is_empty() {
        return out.fire(Fired::not_evidenced(Vec::new()));
    }
    let agreements = q.view.known(&q.processing.agreements);
    for subject in by_subject(q, agreements) {
        match subject.before {
            None => out.undecided(),
            Some(Certainty::Yes) => {}
            Some(Certainty::Maybe) => out.fire(subject.resting(Fired::dates_overlap)),
            Some(Certainty::No) => out.fire(subject.resting(Fired::not_evidenced)),
        }
    }
}

fn objected(q: &Question<'_>, out: &mut Findings) {
    let objections = q.view.known(&q.processing.objections);
    for subject in by_subject(q, objections) {
        match subject.before {
            None => out.undecided(),
            Some(Certainty::No) => {}
            Some(Certainty::Maybe) => out.fire(subject.resting(Fired::dates_overlap)),
            Some(Certainty::Yes) => out.fire(subject.resting(Fired::contradicted)),
        }
    }
}

/// Reports and press cuttings authorise nothing: the only instrument an access cites.
pub fn cites_only_a_report(q: &Question<'_>) -> Option<u64> {
    let text = q.view.reference(q.access.basis.reference.as_deref()?)?;
    let formal = q.formal_declaration()
        || q.formalities.iter().any(|(_, f)| f.formal)
        || q.decisions.iter().any(InForceDecision::accepts);
    (matches!(text.data.kind.as_str(), "report" | "press") && !formal).then_some(text.position)
}
