//! The documented affairs, each with the question whose answer is sharpest: for the first
//! page and for `greffe demo`. Questions are data (`assets/affairs.json`), words are in
//! `locales/`; answers are judged each time, never kept.

use std::sync::LazyLock;

use greffe_domain::date::Interval;
use greffe_domain::event::At;
use greffe_domain::kind::{EventType, StreamType};
use greffe_domain::rules::generalise;
use greffe_domain::seal::TreeSize;
use greffe_domain::verdict::{Finding, Severity, Verdict};
use greffe_infra::projection::AccessFilter;
use greffe_infra::store::Fault;
use serde::Deserialize;
use serde_json::Value;

use crate::http::{App, queries};
use crate::sign::hypothetical_access;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Affair {
    /// Key of its words, and its anchor on the page.
    key: String,
    processing: String,
    ask: Ask,
    /// The finding that says it best, if it is found.
    sharpest: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Ask {
    /// A hypothetical access.
    Access { at: String, body: Value },
    /// The first recorded access to the processing.
    Recorded,
    Generalise {
        #[serde(rename = "type")]
        kind: StreamType,
        id: String,
        at: String,
    },
}

static AFFAIRS: LazyLock<Vec<Affair>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../assets/affairs.json"))
        .expect("the shipped questions are valid JSON")
});

/// One affair, answered.
#[derive(Debug)]
pub struct Answer {
    pub key: &'static str,
    pub processing: &'static str,
    /// When it was recorded, for a recorded access.
    pub then: Option<Verdict>,
    /// `None`: the question is about generalising, which has findings and no verdict.
    pub now: Option<Verdict>,
    /// The sharpest first, then by weight.
    pub findings: Vec<Finding>,
    /// Its own position, when it is a recorded access.
    pub position: Option<u64>,
    pub changed_by: Vec<u64>,
}

/// The affairs whose processing is in the ledger.
pub async fn answers(app: &App) -> Result<Vec<Answer>, Fault> {
    let mut answers = Vec::new();
    for affair in AFFAIRS.iter() {
        let known = app.ledger.with_register(|r| r.processing(&affair.processing).is_some());
        if known && let Some(answer) = answer(app, affair).await? {
            answers.push(answer);
        }
    }
    Ok(answers)
}

async fn answer(app: &App, affair: &'static Affair) -> Result<Option<Answer>, Fault> {
    let size = app.ledger.size().0;
    let mut answer = Answer {
        key: &affair.key,
        processing: &affair.processing,
        then: None,
        now: None,
        findings: Vec::new(),
        position: None,
        changed_by: Vec::new(),
    };
    match &affair.ask {
        Ask::Access { at, body } => {
            let (Ok((_, access)), Some(at)) = (hypothetical_access(body), At::parse(at)) else {
                return Ok(None);
            };
            let Ok(judgement) = app.ledger.judge(&access, &at, TreeSize(size)) else {
                return Ok(None);
            };
            answer.now = Some(judgement.verdict);
        }
        Ask::Recorded => {
            let filter = AccessFilter {
                processing: Some(affair.processing.clone()),
                limit: 20,
                ..AccessFilter::default()
            };
            let (found, _) = queries::accesses(app, filter).await?;
            let first =
                found.iter().find(|(read, _)| read.row.event_type == EventType::AccessRecorded);
            if let Some((read, row)) = first
                && let Some(recorded) = read.recorded()
            {
                let (now, changed_by) = queries::stored(&recorded, row.now.clone());
                answer.then = Some(recorded.then.clone());
                answer.now = Some(now);
                answer.position = Some(recorded.position);
                answer.changed_by = changed_by;
            }
            if answer.now.is_none() {
                return Ok(None);
            }
        }
        Ask::Generalise { kind, id, at } => {
            let days =
                At::parse(at).map_or(Interval { earliest: None, latest: None }, |at| at.interval);
            let found =
                app.ledger.with_register(|r| generalise::obstacles(r.view(size), *kind, id, &days));
            match found {
                None => return Ok(None),
                Some(found) => answer.findings = found,
            }
        }
    }
    if let Some(now) = &answer.now {
        answer.findings = now.findings.clone();
    }
    answer.findings.retain(|f| f.severity != Severity::Info);
    answer
        .findings
        .sort_by_key(|f| (f.code.as_str() != affair.sharpest, std::cmp::Reverse(f.severity)));
    Ok(Some(answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_can_be_asked() {
        assert!(AFFAIRS.len() >= 5);
        for affair in AFFAIRS.iter() {
            if let Ask::Access { at, body } = &affair.ask {
                assert!(At::parse(at).is_some(), "{}", affair.key);
                assert!(hypothetical_access(body).is_ok(), "{}", affair.key);
            }
        }
    }
}
