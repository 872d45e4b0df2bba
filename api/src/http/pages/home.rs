//! `/`: what this register is, the affairs or what was declared and decided last, the
//! ledger's head and how to check it.

use std::borrow::Cow;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use greffe_domain::event::ClockKind;
use greffe_domain::verdict::{Finding, Verdict};

use super::super::Shared;
use super::super::problem::Problem;
use super::register::{Row, newest};
use super::{Badge, Frame};
use crate::affairs;
use crate::words::{self, Lang};

/// Findings shown for one affair; the rest are counted.
const SHOWN: usize = 3;
/// Declarations and decisions shown where no affair is documented.
const NEWEST: usize = 10;

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    frame: Frame,
    origin: String,
    simulated: bool,
    size: String,
    link: String,
    key: String,
    signature: String,
    time: String,
    moment: String,
    affairs: Vec<AffairView>,
    newest: Vec<Row>,
}

struct AffairView {
    key: &'static str,
    title: Cow<'static, str>,
    question: Cow<'static, str>,
    processing: &'static str,
    badges: Vec<Dated>,
    findings: Vec<FindingView>,
    /// How many findings are not shown.
    more: usize,
    position: Option<u64>,
    changed_by: Vec<u64>,
}

/// A verdict, and when it was or is so, if there are two.
struct Dated {
    when: Option<Cow<'static, str>>,
    badge: Badge,
}

/// Findings of one code, told once.
pub struct FindingView {
    pub code: String,
    pub reason: String,
    pub times: usize,
    pub evidence: Cow<'static, str>,
    pub source: String,
    pub positions: Vec<u64>,
}

/// Findings as a reader is told them: each code once, in the order given.
pub fn tell(frame: &Frame, findings: &[Finding]) -> Vec<FindingView> {
    let mut told: Vec<FindingView> = Vec::new();
    for finding in findings {
        let code = finding.code.as_str();
        if let Some(same) = told.iter_mut().find(|f| f.code == code) {
            same.times += 1;
            same.positions.extend(&finding.positions);
            same.positions.sort_unstable();
            same.positions.dedup();
            continue;
        }
        told.push(FindingView {
            code: code.to_owned(),
            reason: frame.reason(code),
            times: 1,
            evidence: frame.evidence(finding.evidence),
            source: words::spaced(Lang::Fr, &finding.source).into_owned(),
            positions: finding.positions.clone(),
        });
    }
    told
}

pub async fn home(State(app): State<Shared>, frame: Frame) -> Result<Response, Problem> {
    let head = app.ledger.known_head();
    // A server that may not sign still shows what it knows.
    let signed = app.ledger.head().ok().map(|head| head.signed);
    let answers = affairs::answers(&app).await?;
    let newest = if answers.is_empty() { newest(&app, &frame, NEWEST) } else { Vec::new() };
    let page = Home {
        origin: app.ledger.origin().to_owned(),
        simulated: app.ledger.clock() == ClockKind::Simulated,
        size: head.head.size.to_string(),
        link: head.head.link.to_string(),
        signature: signed.as_ref().map_or_else(
            || "—".to_owned(),
            |signed| greffe_domain::encoding::base64url(&signed.signature),
        ),
        key: signed.map_or_else(|| "—".to_owned(), |signed| signed.kid),
        time: head.time.to_string(),
        moment: frame.moment(head.time),
        affairs: answers.iter().map(|a| view(a, &frame)).collect(),
        newest,
        frame: frame.clone(),
    };
    Ok(frame.render(&page))
}

fn view(answer: &affairs::Answer, frame: &Frame) -> AffairView {
    let dated = |when: Option<&str>, verdict: &Verdict| Dated {
        when: when.map(|key| frame.t(key)),
        badge: frame.verdict(verdict.verdict),
    };
    let badges = match (&answer.then, &answer.now) {
        (Some(then), Some(now)) => {
            vec![dated(Some("affair-then"), then), dated(Some("affair-now"), now)]
        }
        (_, Some(now)) => vec![dated(None, now)],
        (_, None) => vec![Dated {
            when: None,
            badge: if answer.findings.is_empty() {
                Badge::new("yes", frame.t("verdict-free"))
            } else {
                Badge::new("no", frame.t("verdict-obstacles"))
            },
        }],
    };
    let mut findings = tell(frame, &answer.findings);
    let more = findings.len().saturating_sub(SHOWN);
    findings.truncate(SHOWN);
    AffairView {
        key: answer.key,
        title: frame.t(&format!("affair-{}-title", answer.key)),
        question: frame.t(&format!("affair-{}-question", answer.key)),
        processing: answer.processing,
        badges,
        findings,
        more,
        position: answer.position,
        changed_by: answer.changed_by.clone(),
    }
}
