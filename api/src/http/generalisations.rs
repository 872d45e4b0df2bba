//! What stands in the way of the generalisations that are recorded as decided, considered or
//! subject to conditions, as known now: read from the register, beside the findings on accesses.
//!
//! These requirements judge no access, so no row of the projection is theirs and nothing of
//! them is open, changed or closed: they are asked of the register each time
//! ([ADR 0040](../../../docs/adr/0040-generalisations-on-the-board.md)). An experiment that
//! nobody speaks of generalising is not listed, though it could not be generalised either.

use greffe_domain::date::Interval;
use greffe_domain::kind::StreamType;
use greffe_domain::register::{AboutView, Register};
use greffe_domain::rules::generalise;
use greffe_domain::verdict::Finding;

/// Things listed at most: they are few in any register of experiments.
const MOST: usize = 200;

/// Whose generalisations are asked for.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    pub code: Option<String>,
    /// The controller.
    pub parties: Vec<String>,
}

/// One thing that would be generalised, and what stands in the way.
pub struct Hindered {
    pub kind: StreamType,
    pub id: String,
    pub processing: String,
    pub controller: Option<String>,
    /// Days on which it was decided; `None`: it is only considered.
    pub decided: Option<Interval>,
    pub findings: Vec<Finding>,
}

/// In order of kind and id.
pub fn hindered(register: &Register, asked: &Asked) -> Vec<Hindered> {
    let experiments = register
        .experiments()
        .map(|(id, e)| (StreamType::Experiment, id.as_str(), e.processing.as_str()));
    let processings =
        register.processings().map(|(id, _)| (StreamType::Processing, id.as_str(), id.as_str()));
    let mut found: Vec<Hindered> = experiments
        .chain(processings)
        .filter_map(|(kind, id, processing)| one(register, asked, kind, id, processing))
        .collect();
    found.sort_by(|a, b| (a.kind.as_str(), &a.id).cmp(&(b.kind.as_str(), &b.id)));
    found.truncate(MOST);
    found
}

fn one(
    register: &Register,
    asked: &Asked,
    kind: StreamType,
    id: &str,
    processing: &str,
) -> Option<Hindered> {
    let view = register.now();
    let about = view.about(kind, id);
    // What is said of its processing is said of an experiment too.
    let spoken_of = is_spoken_of(about)
        || (kind == StreamType::Experiment
            && is_spoken_of(view.about(StreamType::Processing, processing)));
    if !spoken_of {
        return None;
    }
    let controller = view.processing(processing).and_then(|p| p.controller.clone());
    if asked.parties.iter().any(|party| controller.as_deref() != Some(party)) {
        return None;
    }
    let decided = about.generalisations().last().map(|fact| fact.at);
    let days = decided.unwrap_or(Interval { earliest: None, latest: None });
    let mut findings = generalise::obstacles(view, kind, id, &days)?;
    findings.retain(|f| asked.code.as_deref().is_none_or(|code| f.code.as_str() == code));
    (!findings.is_empty()).then(|| Hindered {
        kind,
        id: id.to_owned(),
        processing: processing.to_owned(),
        controller,
        decided,
        findings,
    })
}

/// Whether a generalisation is decided, considered or subject to conditions.
fn is_spoken_of(about: AboutView<'_>) -> bool {
    !about.generalisations().is_empty()
        || !about.conditions_set().is_empty()
        || about.milestones().iter().any(|m| m.data.milestone == "generalisation-planned")
}
