//! Which recorded accesses a new entry may touch.
//!
//! `entry → Scope → accesses judged again (again.rs)`. Complete: an access outside the scope
//! has the same verdict before and after the entry, digests compared aside. Narrow: what a
//! rule cannot see of an access leaves it out. It follows the rules closely on purpose; a
//! rule that reads something new of the register has its line here, and the random ledgers
//! of the projections' tests find out when it has not.

use crate::body::{About, Body, Ending, RenderDecision};
use crate::date::{Interval, LegalDate};
use crate::event::{Event, Filed};
use crate::kind::StreamType;
use crate::register::View;
use crate::vocabulary::Purpose;

/// The accesses an entry may touch. Empty for most entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// An access is in scope when one of these holds it.
    pub parts: Vec<Part>,
    /// Digests whose values are gone: of the persons accesses are about.
    pub digests: Vec<String>,
    /// Earlier answers rested on values that are gone, so each access is followed again from
    /// its recording.
    pub afresh: bool,
}

/// Accesses for which all of these hold; `None` asks for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub among: Among,
    pub purposes: Option<Vec<Purpose>>,
    /// Shown to this site.
    pub site: Option<SiteName>,
    /// About a group of persons.
    pub group: bool,
    /// Found, as known before the entry: the code of a rule.
    pub standing: Option<&'static str>,
    /// That may have happened on this day or later.
    pub from: Option<LegalDate>,
}

/// A site, by its id or by its SIRET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteName {
    pub id: String,
    pub siret: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Among {
    /// To this processing.
    Processing(String),
    /// Inside this experiment: that name it, or name none and are to its processing.
    Experiment { id: String, processing: String },
    /// About a group, and no longer as recorded.
    ChangedGroups,
    /// At these positions.
    Positions(Vec<u64>),
    /// That cite one of these as their basis.
    Citing(Vec<String>),
    /// To this processing and about this person as an individual, or about an individual
    /// whose reference was erased.
    Person { processing: String, reference: String },
}

impl Scope {
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.digests.is_empty()
    }

    fn part(part: Part) -> Self {
        Self { parts: vec![part], ..Self::default() }
    }
}

impl Part {
    fn of(among: Among) -> Self {
        Self { among, purposes: None, site: None, group: false, standing: None, from: None }
    }

    fn processing(id: &str) -> Self {
        Self::of(Among::Processing(id.to_owned()))
    }

    /// A fact on one of these days says nothing of what came before them.
    fn from(self, days: &Interval) -> Self {
        Self { from: days.earliest, ..self }
    }

    fn standing(self, code: &'static str) -> Self {
        Self { standing: Some(code), ..self }
    }
}

/// The accesses that the entry at `position` may touch.
///
/// `view`: the register as known with it, at `position + 1`.
pub fn touched(event: &Event, view: View<'_>) -> Scope {
    match event.filed() {
        Some(filed) => touched_by(filed, view),
        None => Scope::default(),
    }
}

fn touched_by(filed: &Filed, view: View<'_>) -> Scope {
    let at = match filed.at.text {
        Some(_) => filed.at.interval,
        None => Interval { earliest: None, latest: None },
    };
    match &*filed.body {
        Body::Declare(b) | Body::Amend(b) => Scope::part(Part::processing(&b.processing).from(&at)),
        // That none was filed, or one after the access, is found whatever its day.
        Body::FileFormality(b) => Scope::part(Part::processing(&b.processing)),
        Body::AcknowledgeFormality(b) => {
            Scope::part(Part::of(Among::Citing(vec![b.number.clone(), b.formality.clone()])))
        }
        Body::RecordInformation(b) => Scope::part(Part::processing(&b.processing).from(&at)),
        // An opinion that came too late is cited.
        Body::WorksCouncilOpine(b) => Scope::part(Part::processing(&b.processing)),
        Body::FileAssessment(b) => Scope::part(Part::processing(&b.processing).from(&at)),
        Body::RecordConsultation(b) => about(&b.about, view),
        Body::RecordStatement(b) => about(&b.about, view),
        Body::SetCondition(b) => about(&b.about, view),
        Body::MeetCondition(b) => {
            let mut scope = about(&b.about, view);
            for part in &mut scope.parts {
                part.from = at.earliest;
            }
            scope
        }
        Body::RecordAgreement(b) | Body::RecordObjection(b) => {
            let processing = b.processing.clone();
            let among = match b.subject.as_ref().and_then(|s| s.value.clone()) {
                Some(reference) => Among::Person { processing, reference },
                // Erased: of whom it speaks cannot be told, so of anybody.
                None => Among::Processing(processing),
            };
            Scope::part(Part::of(among).from(&at))
        }
        Body::RenderDecision(b) => rendered(b, view),
        Body::EndDecision(b) => {
            let Some(decision) = view.decision(&b.decision) else { return Scope::default() };
            let mut scope = rendered(&decision.rendered.data, view);
            let takes_effect = match b.how {
                Ending::AnnulledExTunc | Ending::WithdrawnExTunc => None,
                _ => b.effective_from.interval().earliest,
            };
            for part in &mut scope.parts {
                part.from = part.from.max(takes_effect);
                if let (Some(all), Some(ended)) = (&mut part.purposes, &b.purposes) {
                    all.retain(|purpose| ended.contains(purpose));
                }
            }
            scope
        }
        Body::RecordRuling(b) => match &b.processing {
            _ if !b.accesses.is_empty() => {
                Scope::part(Part::of(Among::Positions(b.accesses.clone())))
            }
            Some(id) => Scope::part(Part::processing(id)),
            None => Scope::default(),
        },
        Body::RecordMilestone(b) => match (b.about.kind, b.milestone.as_str()) {
            (StreamType::Experiment, "evaluation-planned")
            | (StreamType::Ruling, "appeal-reserved" | "appeal-lodged") => about(&b.about, view),
            _ => Scope::default(),
        },
        // An access that names no experiment is judged inside the only one there is.
        Body::LaunchExperiment(b) => experiment(&b.experiment, view),
        Body::EnrolSite(b) => sites(&b.experiment, [&b.site], view),
        Body::PlanExpansion(b) => {
            inside(&b.experiment, view, |p| p.standing("OUTSIDE-EXPERIMENT-SCOPE"))
        }
        Body::ExpandExperiment(b) => {
            if !b.categories.is_empty() || b.end.is_some() {
                experiment(&b.experiment, view)
            } else {
                sites(&b.experiment, &b.sites, view)
            }
        }
        Body::EvaluateExperiment(b) => {
            inside(&b.experiment, view, |p| p.standing("EVALUATION-MISSING"))
        }
        Body::EndExperiment(b) => inside(&b.experiment, view, |p| p.from(&at)),
        Body::RecordUse(b) => match b.access {
            Some(access) => Scope::part(Part::of(Among::Positions(vec![access]))),
            None => Scope::default(),
        },
        Body::PublishReference(b) => {
            Scope::part(Part::of(Among::Citing(vec![b.reference.clone()])))
        }
        Body::EraseSubject(b) => erased(&b.digests, view),
        // No rule reads these of the register.
        Body::RegisterParty(_)
        | Body::EnrolKey(_)
        | Body::RevokeKey(_)
        | Body::Deploy(_)
        | Body::Withdraw(_)
        | Body::DecideGeneralisation(_)
        | Body::RequestAccess(_)
        | Body::ReportAccess(_)
        | Body::ContestAccess(_)
        | Body::AnswerContest(_)
        | Body::RefuseErasure(_) => Scope::default(),
    }
}

/// What a decision decides on, from the first day on which it may have counted.
fn rendered(body: &RenderDecision, view: View<'_>) -> Scope {
    let Some(decision) = view.decision(&body.decision).filter(|d| d.rendered.formal) else {
        return Scope::default();
    };
    let effective = body.effective_from.as_ref().map(|e| e.interval().earliest);
    let at = decision.rendered.at.earliest;
    Scope::part(Part {
        purposes: Some(body.outcomes.iter().map(|o| o.purpose).collect()),
        from: effective.map_or(at, |effective| effective.min(at)),
        ..Part::processing(&body.processing)
    })
}

fn about(about: &About, view: View<'_>) -> Scope {
    match about.kind {
        StreamType::Processing => Scope::part(Part::processing(&about.id)),
        StreamType::Experiment => experiment(&about.id, view),
        StreamType::Access => match about.id.parse() {
            Ok(position) => Scope::part(Part::of(Among::Positions(vec![position]))),
            Err(_) => Scope::default(),
        },
        StreamType::Ruling => match view.register().ruling(&about.id) {
            Some(ruling) if !ruling.data.accesses.is_empty() => {
                Scope::part(Part::of(Among::Positions(ruling.data.accesses.clone())))
            }
            Some(ruling) => match &ruling.data.processing {
                Some(id) => Scope::part(Part::processing(id)),
                None => Scope::default(),
            },
            None => Scope::default(),
        },
        _ => Scope::default(),
    }
}

fn experiment(id: &str, view: View<'_>) -> Scope {
    inside(id, view, |part| part)
}

fn inside(id: &str, view: View<'_>, narrow: impl FnOnce(Part) -> Part) -> Scope {
    let Some(experiment) = view.experiment(id) else { return Scope::default() };
    let processing = experiment.processing.clone();
    Scope::part(narrow(Part::of(Among::Experiment { id: id.to_owned(), processing })))
}

/// A site's own accesses; those about a group, which may give away what is known of another
/// site than the one they are shown to; and those shown to a site that is not enrolled, whose finding
/// names every enrolment.
fn sites<'a>(
    id: &str,
    sites: impl IntoIterator<Item = &'a crate::body::Site>,
    view: View<'_>,
) -> Scope {
    let mut scope = Scope::default();
    for site in sites {
        let site = SiteName { id: site.id.clone(), siret: site.siret.clone() };
        scope.parts.extend(inside(id, view, |p| Part { site: Some(site), ..p }).parts);
    }
    scope.parts.extend(inside(id, view, |p| Part { group: true, ..p }).parts);
    scope.parts.extend(inside(id, view, |p| p.standing("OUTSIDE-EXPERIMENT-SCOPE")).parts);
    scope
}

/// Accesses about the persons erased, and those to a processing for which one of them had
/// agreed or objected: nobody can be told apart from that person any more. A number erased
/// leaves open what is found of groups, and that is then as recorded.
fn erased(digests: &[String], view: View<'_>) -> Scope {
    let mut parts = vec![Part::of(Among::ChangedGroups)];
    for (id, processing) in view.register().processings() {
        let said = processing.agreements.iter().chain(&processing.objections);
        let erased = said.filter(|fact| {
            fact.data.subject.as_ref().is_some_and(|subject| digests.contains(&subject.digest))
        });
        if let Some(from) = erased.map(|fact| fact.at.earliest).min() {
            parts.push(Part { from, ..Part::processing(id) });
        }
    }
    Scope { parts, digests: digests.to_vec(), afresh: true }
}
