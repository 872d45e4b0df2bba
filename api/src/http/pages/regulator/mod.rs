//! The authority's pages: what to look at first, searches over accesses, findings and
//! entries, one access then and now, a party, an experiment, and dossiers to take away.
//!
//! `request → Authority (signed in, as a regulator) → projections and register → view →
//! template`. The address of a page is the whole search: who is given it, and may, sees the
//! same. Nothing is decided or recorded here; everything shown is a finding of the register.

mod accesses;
mod audit;
mod compare;
mod dossier;
mod experiment;
mod findings;
mod form;
mod party;

use std::borrow::Cow;
use std::collections::BTreeMap;

use askama::Template;
use axum::Router;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use greffe_domain::date::{LegalDate, Timestamp};
use greffe_domain::rules::CURRENT;
use greffe_domain::rules::again::State as FindingState;
use greffe_domain::verdict::Severity;
use greffe_domain::vocabulary::Role;
use greffe_infra::projection::{AccessCount, FindingCount, MAX_COUNTED};

use super::super::problem::Problem;
use super::super::session::Visitor;
use super::super::{Params, Shared, queries};
use super::{Badge, Frame, name_of, processing_title};
use crate::charts::{self, Bar, Caption, Column, STACK};
use form::address;

/// Rows of one page of a list.
const PAGE: usize = 50;
/// Days of the ledger's clock in which a change is news.
const NEWS_DAYS: i32 = 30;
/// Columns of a chart; earlier periods are in the table alone.
const COLUMNS: usize = 8;
/// Bases that have a chart of their own.
const BASES: usize = 4;
/// Codes of a chart of findings.
const CODES: usize = 10;

/// The authority's pages, each with its address.
pub fn routes() -> Router<Shared> {
    Router::new()
        .route("/regulator", get(start))
        .route("/regulator/accesses", get(accesses::search))
        .route("/regulator/accesses/{position}", get(compare::one))
        .route("/regulator/findings", get(findings::board))
        .route("/regulator/audit", get(audit::search))
        .route("/regulator/entries/{position}", get(audit::one))
        .route("/regulator/parties/{*id}", get(party::one))
        .route("/regulator/experiments/{*id}", get(experiment::one))
        .route("/regulator/dossier", get(dossier::page))
        .route("/regulator/dossier.ndjson", get(dossier::lines))
        .route("/regulator/saved.js", get(saved))
}

impl Frame {
    /// Whether this is the page of that path, whatever is asked of it.
    fn is_at(&self, path: &str) -> bool {
        self.here.split('?').next() == Some(path)
    }
}

/// Proof that the reader is signed in for the authority. A visitor is sent to sign in first
/// and comes back; anybody else is refused.
pub struct Authority;

impl FromRequestParts<Shared> for Authority {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Response> {
        let visitor = Visitor::from_request_parts(parts, app).await;
        let visitor = visitor.map_err(IntoResponse::into_response)?;
        if visitor.0.is_none() {
            let here = parts.uri.path_and_query().map_or("/regulator", |here| here.as_str());
            let sign_in = format!("/signin?then={}", form::encode(here));
            let sign_in = HeaderValue::from_str(&sign_in).expect("encoded as ASCII");
            return Err((StatusCode::SEE_OTHER, [(header::LOCATION, sign_in)]).into_response());
        }
        visitor.agent(app, Role::Regulator).map_err(IntoResponse::into_response)?;
        Ok(Self)
    }
}

/// The script that keeps addresses under a name in the browser. Without it the address bar
/// does.
async fn saved() -> Response {
    let script = include_str!("../../../../assets/saved.js");
    let kind = (header::CONTENT_TYPE, "text/javascript; charset=utf-8");
    ([kind, (header::CACHE_CONTROL, "no-cache")], script).into_response()
}

/// How many accesses of each verdict, as charts stack them.
type Parts4 = [u64; 4];

fn place(verdict: &str) -> Option<usize> {
    STACK.iter().position(|(code, _)| *code == verdict)
}

/// A verdict's code as a badge.
fn verdict_badge(frame: &Frame, code: &str) -> Badge {
    let class = match code {
        "COVERED" => "yes",
        "COVERED-WITH-RESERVATIONS" => "partly",
        "NOT-COVERED" => "no",
        _ => "open",
    };
    match code {
        // In the ledger without having been judged.
        "" => Badge::new(class, frame.t("reg-not-judged")),
        _ => Badge::new(class, frame.t(&format!("verdict-{code}"))),
    }
}

fn severity_badge(frame: &Frame, code: &str) -> Badge {
    let class = match code {
        "BLOCKING" => "no",
        "MAJOR" => "partly",
        _ => "open",
    };
    Badge::new(class, frame.t(&format!("severity-{code}")))
}

fn day_of(frame: &Frame, time: Timestamp) -> String {
    crate::words::day(frame.lang, time.date())
}

/// Verdicts recorded and verdicts now, one row each.
struct Standing {
    badge: Badge,
    then: u64,
    now: u64,
    href: String,
}

fn standings<'a>(
    frame: &Frame,
    counts: impl Iterator<Item = (&'a str, &'a str, u64)>,
    href: impl Fn(&str) -> String,
) -> Vec<Standing> {
    let mut then: Parts4 = [0; 4];
    let mut now: Parts4 = [0; 4];
    for (was, is, n) in counts {
        place(was).into_iter().for_each(|i| then[i] += n);
        place(is).into_iter().for_each(|i| now[i] += n);
    }
    let rows = STACK.iter().enumerate().map(|(i, (code, _))| Standing {
        badge: verdict_badge(frame, code),
        then: then[i],
        now: now[i],
        href: href(code),
    });
    rows.collect()
}

/// A rule with how many of its findings stand, changed and were taken away.
struct CodeRow {
    code: String,
    reason: String,
    severity: Badge,
    open: u64,
    changed: u64,
    closed: u64,
    weight: Severity,
}

/// One row a code, the heaviest and most frequent first.
fn code_rows(frame: &Frame, counts: &[FindingCount]) -> Vec<CodeRow> {
    let mut rows: BTreeMap<&str, CodeRow> = BTreeMap::new();
    for count in counts {
        let row = rows.entry(&count.code).or_insert_with(|| {
            let weight = CURRENT.rule(&count.code).map_or(Severity::Info, |r| r.severity);
            CodeRow {
                code: count.code.clone(),
                reason: frame.reason(&count.code),
                severity: severity_badge(frame, weight.as_str()),
                open: 0,
                changed: 0,
                closed: 0,
                weight,
            }
        });
        match count.state {
            FindingState::Open => row.open += count.findings,
            FindingState::Changed => row.changed += count.findings,
            FindingState::Closed => row.closed += count.findings,
        }
    }
    let mut rows: Vec<CodeRow> = rows.into_values().collect();
    rows.sort_by(|a, b| {
        let key = |row: &CodeRow| (row.weight, row.open + row.changed);
        key(b).cmp(&key(a)).then_with(|| a.code.cmp(&b.code))
    });
    rows
}

/// The codes found most, as a chart: standing as recorded, and changed since.
fn code_chart(frame: &Frame, rows: &[CodeRow]) -> Option<String> {
    let mut most: Vec<&CodeRow> = rows.iter().filter(|row| row.open + row.changed > 0).collect();
    most.sort_by_key(|row| std::cmp::Reverse(row.open + row.changed));
    most.truncate(CODES);
    let bars: Vec<Bar> = most
        .iter()
        .map(|row| Bar { label: row.code.clone(), first: row.open, second: row.changed })
        .collect();
    let desc = frame.count("chart-codes-desc", bars.len());
    charts::bars(&Caption { title: &frame.t("chart-codes"), desc: &desc }, &bars)
}

/// A period of the table beside a chart.
struct Period {
    label: String,
    parts: Parts4,
}

impl Period {
    fn total(&self) -> u64 {
        self.parts.iter().sum()
    }
}

/// A year, or a month, in which accesses happened; `None`: no day is known.
type When = Option<(i32, Option<u32>)>;

/// Accesses by verdict now: of all bases, and of each.
struct OverTime {
    /// What they rest on; `None`: whatever it is.
    basis: Option<String>,
    periods: Vec<Period>,
    chart: Option<String>,
}

fn over_time(frame: &Frame, counts: &[AccessCount]) -> Vec<OverTime> {
    let years = counts.iter().filter_map(|c| c.month).map(|(year, _)| year);
    let span = years.clone().max().zip(years.min()).map_or(0, |(last, first)| last - first);
    // A month is told apart where there are few years.
    let period = |month: Option<(i32, u32)>| -> When {
        month.map(|(year, month)| (year, (span == 0).then_some(month)))
    };
    let mut of: BTreeMap<Option<&str>, BTreeMap<When, Parts4>> = BTreeMap::new();
    for count in counts {
        let periods = of.entry(count.basis.as_deref()).or_default();
        let parts = periods.entry(period(count.month)).or_default();
        place(&count.now).into_iter().for_each(|i| parts[i] += count.accesses);
    }
    let mut bases: Vec<_> = of.into_iter().collect();
    let total = |periods: &BTreeMap<When, Parts4>| -> u64 {
        periods.values().flat_map(|parts| parts.iter()).sum()
    };
    bases.sort_by_key(|(basis, periods)| (basis.is_some(), std::cmp::Reverse(total(periods))));
    let drawn = |(n, (basis, periods)): (usize, (Option<&str>, BTreeMap<When, Parts4>))| {
        let periods: Vec<Period> = periods
            .into_iter()
            .map(|(when, parts)| Period { label: period_words(frame, when), parts })
            .collect();
        let basis = basis.map(|code| frame.label(code));
        let title = match &basis {
            None => frame.t("chart-accesses"),
            Some(basis) => frame.with("chart-accesses-basis", &[("basis", basis.as_str().into())]),
        };
        let columns: Vec<Column> = periods
            .iter()
            .rev()
            .take(COLUMNS)
            .rev()
            .map(|p| Column { label: p.label.clone(), parts: p.parts })
            .collect();
        let desc = frame.count("chart-accesses-desc", columns.len());
        let caption = Caption { title: &title, desc: &desc };
        let worth = n == 0 || (n <= BASES && columns.len() > 1);
        let chart = worth.then(|| charts::stacked(frame, &caption, &columns)).flatten();
        OverTime { basis, periods, chart }
    };
    bases.into_iter().enumerate().map(drawn).collect()
}

fn period_words(frame: &Frame, when: When) -> String {
    match when {
        None => frame.t("date-unknown-short").into_owned(),
        Some((year, None)) => year.to_string(),
        Some((year, Some(month))) => format!("{month:02}/{year}"),
    }
}

/// One search of those worth keeping.
struct Link {
    href: String,
    text: Cow<'static, str>,
}

/// Questions a regulator asks again and again, each an address.
fn links(frame: &Frame, since: LegalDate) -> Vec<Link> {
    let since = since.to_string();
    [
        ("not-covered", "/regulator/accesses?now=NOT-COVERED".to_owned()),
        ("lost-cover", "/regulator/accesses?verdict=COVERED&now=NOT-COVERED".to_owned()),
        ("changed", format!("/regulator/findings?since={since}")),
        ("refused", "/regulator/audit?type=AccessDenied".to_owned()),
        ("not-informed", "/regulator/findings?code=SUBJECTS-NOT-INFORMED&state=open".to_owned()),
        ("purpose-refused", "/regulator/findings?code=PURPOSE-REFUSED".to_owned()),
        ("motives", "/regulator/accesses?category=ABS-MOTIVE-TMS".to_owned()),
        ("small-cells", "/regulator/findings?code=SMALL-CELL".to_owned()),
        ("decisions", "/regulator/audit?type=DecisionRendered".to_owned()),
        ("endings", "/regulator/audit?type=DecisionEnded".to_owned()),
        ("contested", "/regulator/audit?type=AccessContested".to_owned()),
        ("keys", "/regulator/audit?type=KeyRevoked".to_owned()),
    ]
    .map(|(key, href)| Link { href, text: frame.t(&format!("reg-link-{key}")) })
    .into()
}

#[derive(Template)]
#[template(path = "regulator/start.html")]
struct Start {
    frame: Frame,
    entries: u64,
    size_href: String,
    accesses: u64,
    open: u64,
    news: u64,
    news_href: String,
    news_accesses: u64,
    beyond: u64,
    since: String,
    standings: Vec<Standing>,
    codes: Vec<CodeRow>,
    code_chart: Option<String>,
    over_time: Vec<OverTime>,
    links: Vec<Link>,
    experiments: Vec<(String, String)>,
}

async fn start(
    State(app): State<Shared>,
    _: Authority,
    frame: Frame,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let since = app.ledger.now().date().add_days(-NEWS_DAYS);
    let projections = &app.projections;
    queries::caught_up(&app).await;
    let (stats, counts, found, news) = tokio::try_join!(
        projections.stats(),
        projections.access_counts(),
        projections.finding_counts(None),
        projections.changed_since(since.start()),
    )?;
    let all = || counts.iter().filter(|c| c.basis.is_none());
    let codes = code_rows(&frame, &found);
    let experiments = app.ledger.with_register(|r| {
        let mut ids: Vec<(String, String)> = r
            .experiments()
            .map(|(id, e)| (id.clone(), processing_title(r, &e.processing)))
            .take(PAGE)
            .collect();
        ids.sort();
        ids
    });
    let page = Start {
        entries: stats.entries,
        size_href: format!("/regulator/entries/{}", stats.entries.saturating_sub(1)),
        accesses: all().map(|c| c.accesses).sum(),
        open: codes.iter().map(|c| c.open + c.changed).sum(),
        news: news.findings,
        news_href: format!("/regulator/findings?since={since}"),
        news_accesses: news.accesses,
        beyond: MAX_COUNTED,
        since: crate::words::day(frame.lang, since),
        standings: standings(
            &frame,
            all().map(|c| (c.then.as_str(), c.now.as_str(), c.accesses)),
            |code| format!("/regulator/accesses?now={code}"),
        ),
        code_chart: code_chart(&frame, &codes),
        codes,
        over_time: over_time(&frame, &counts),
        links: links(&frame, since),
        experiments,
        frame: frame.clone(),
    };
    Ok(frame.render(&page))
}
