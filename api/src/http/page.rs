//! The pages people open: `/`, and one page for each problem code. No script, no cookie,
//! nothing from elsewhere.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use greffe_domain::event::ClockKind;
use greffe_domain::rules::CURRENT;
use greffe_domain::verdict::{Evidence, Verdict};

use super::problem::{Problem, codes};
use super::{Language, Shared, queries};
use crate::affairs;
use crate::words::{Lang, page_word, problem_words};

/// Findings shown for one affair; the rest are counted.
const SHOWN: usize = 4;

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    lang: Lang,
    origin: String,
    simulated: bool,
    size: String,
    link: String,
    key: String,
    signature: String,
    time: String,
    affairs: Vec<AffairView>,
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    lang: Lang,
    items: Vec<ProblemView>,
}

struct ProblemView {
    code: &'static str,
    title: &'static str,
    advice: &'static str,
}

struct AffairView {
    key: &'static str,
    processing: &'static str,
    badges: Vec<Badge>,
    findings: Vec<FindingView>,
    /// How many findings are not shown.
    more: usize,
    position: Option<u64>,
    changed_by: Vec<u64>,
}

struct Badge {
    /// When, if there are two.
    label: &'static str,
    class: &'static str,
    text: &'static str,
}

struct FindingView {
    code: String,
    reason: String,
    times: usize,
    evidence: &'static str,
    source: String,
    positions: String,
}

impl Home {
    fn t(&self, key: &str) -> &'static str {
        page_word(self.lang, key)
    }

    fn affair(&self, key: &str, part: &str) -> &'static str {
        page_word(self.lang, &format!("affair.{key}.{part}"))
    }
}

impl ProblemPage {
    fn t(&self, key: &str) -> &'static str {
        page_word(self.lang, key)
    }
}

fn render(lang: Lang, page: &impl Template) -> Response {
    let html = page.render().expect("writing a page to memory does not fail");
    ([(header::CONTENT_LANGUAGE, lang.as_str())], Html(html)).into_response()
}

pub async fn home(
    State(app): State<Shared>,
    Language(lang): Language,
) -> Result<Response, Problem> {
    let head = app.ledger.known_head();
    // A server that may not sign still shows what it knows.
    let signed = app.ledger.head().ok().map(|head| head.signed);
    let answers = affairs::answers(&app).await?;
    let page = Home {
        lang,
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
        affairs: answers.iter().map(|a| view(a, lang)).collect(),
    };
    Ok(render(lang, &page))
}

fn view(answer: &affairs::Answer, lang: Lang) -> AffairView {
    let badge = |label: &'static str, verdict: &Verdict| Badge {
        label,
        class: class(verdict.verdict.as_str()),
        text: page_word(lang, &format!("verdict.{}", verdict.verdict.as_str())),
    };
    let badges = match (&answer.then, &answer.now) {
        (Some(then), Some(now)) => vec![
            badge(page_word(lang, "affair.then"), then),
            badge(page_word(lang, "affair.now"), now),
        ],
        (_, Some(now)) => vec![badge("", now)],
        (_, None) => vec![if answer.findings.is_empty() {
            Badge { label: "", class: "yes", text: page_word(lang, "verdict.free") }
        } else {
            Badge { label: "", class: "no", text: page_word(lang, "verdict.obstacles") }
        }],
    };
    let mut findings: Vec<FindingView> = Vec::new();
    for finding in &answer.findings {
        let code = finding.code.as_str();
        if let Some(same) = findings.iter_mut().find(|f| f.code == code) {
            same.times += 1;
            continue;
        }
        findings.push(FindingView {
            code: code.to_owned(),
            reason: queries::reason(code, &CURRENT, lang).unwrap_or_else(|| code.to_owned()),
            times: 1,
            evidence: page_word(
                lang,
                match finding.evidence {
                    Evidence::Contradicted => "evidence.contradicted",
                    Evidence::NotEvidenced => "evidence.not-evidenced",
                    Evidence::Uncertain => "evidence.uncertain",
                },
            ),
            source: finding.source.clone(),
            positions: finding.positions.iter().map(u64::to_string).collect::<Vec<_>>().join(", "),
        });
    }
    let more = findings.len().saturating_sub(SHOWN);
    findings.truncate(SHOWN);
    AffairView {
        key: answer.key,
        processing: answer.processing,
        badges,
        findings,
        more,
        position: answer.position,
        changed_by: answer.changed_by.clone(),
    }
}

fn class(verdict: &str) -> &'static str {
    match verdict {
        "COVERED" => "yes",
        "COVERED-WITH-RESERVATIONS" => "partly",
        "NOT-COVERED" => "no",
        _ => "open",
    }
}

pub async fn problems(Language(lang): Language) -> Response {
    let items = codes().map(|code| problem_view(lang, code)).collect();
    render(lang, &ProblemPage { lang, items })
}

pub async fn problem(
    Language(lang): Language,
    Path(code): Path<String>,
) -> Result<Response, Problem> {
    let known = codes()
        .find(|c| *c == code)
        .ok_or_else(|| Problem::not_found(&format!("/problems/{code}")))?;
    Ok(render(lang, &ProblemPage { lang, items: vec![problem_view(lang, known)] }))
}

fn problem_view(lang: Lang, code: &'static str) -> ProblemView {
    let (title, advice) = problem_words(lang, code);
    ProblemView { code, title, advice }
}

pub async fn stylesheet() -> Response {
    (
        [
            (header::CONTENT_TYPE, "text/css; charset=utf-8"),
            (header::CACHE_CONTROL, "public, max-age=3600"),
        ],
        include_str!("../../assets/greffe.css"),
    )
        .into_response()
}
