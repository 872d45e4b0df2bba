//! `/regulator/findings`: what rules found and what became of it, by code and by who
//! disclosed; and the findings themselves, each with the entry that brought, changed or took
//! it away.

use std::borrow::Cow;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use greffe_domain::kind::StreamType;
use greffe_domain::register::Register;
use greffe_domain::rules::again::State as FindingState;
use greffe_domain::vocabulary::RuleCode;
use greffe_infra::projection::{FindingFilter, FindingRow};

use super::super::super::generalisations::{Asked, Hindered, hindered};
use super::super::super::problem::Problem;
use super::super::super::{Params, Shared, queries};
use super::super::home::{FindingView as Told, tell};
use super::super::{Badge, Frame};
use super::accesses::rule_codes;
use super::form::{Form, Input};
use super::{
    Authority, CodeRow, code_chart, code_rows, day_of, name_of, processing_title, severity_badge,
};

const FIELDS: &[&str] = &["code", "party", "state", "since"];
/// Findings of one page: each is said in a whole sentence.
const ROWS: usize = 40;
/// Parties of the table by who disclosed.
const PARTIES: usize = 20;

struct FindingView {
    position: u64,
    code: String,
    reason: String,
    severity: Badge,
    evidence: Cow<'static, str>,
    state: Badge,
    recipient: (String, String),
    discloser: Option<(String, String)>,
    processing: (String, String),
    /// The entry that made it so, and when that was recorded; `None`: the rules changed.
    cause: Option<u64>,
    on: String,
    then: Option<String>,
}

#[derive(Template)]
#[template(path = "regulator/findings.html")]
struct Board {
    frame: Frame,
    form: Form,
    rows: Vec<FindingView>,
    codes: Vec<CodeRow>,
    chart: Option<String>,
    parties: Vec<(String, String, u64)>,
    next: Option<String>,
    first_page: bool,
    generalisations: Vec<Generalisation>,
}

/// A generalisation, and what stands in its way.
struct Generalisation {
    href: String,
    name: String,
    kind: Cow<'static, str>,
    processing: (String, String),
    /// When it was decided, in words.
    decided: Option<String>,
    findings: Vec<Told>,
}

fn generalisation(register: &Register, frame: &Frame, hindered: Hindered) -> Generalisation {
    let processing =
        (hindered.processing.clone(), processing_title(register, &hindered.processing));
    let (href, name, kind) = match hindered.kind {
        StreamType::Experiment => (
            format!("/regulator/experiments/{}", hindered.id),
            hindered.id.clone(),
            "kind-of-experiment",
        ),
        _ => (
            format!("/register/processings/{}", hindered.id),
            processing.1.clone(),
            "kind-of-processing",
        ),
    };
    Generalisation {
        href,
        name,
        kind: frame.t(kind),
        processing,
        decided: hindered.decided.map(|days| frame.days(&days)),
        findings: tell(frame, &hindered.findings),
    }
}

fn view(app: &Shared, frame: &Frame, row: FindingRow) -> FindingView {
    let state = match row.state {
        FindingState::Open => ("no", "reg-state-open"),
        FindingState::Changed => ("partly", "reg-state-changed"),
        FindingState::Closed => ("yes", "reg-state-closed"),
    };
    let weight = |severity: &str, evidence: &str| {
        let evidence = frame.t(&format!("evidence-{}", evidence.to_lowercase()));
        format!("{}, {evidence}", frame.t(&format!("severity-{severity}")))
    };
    let changed = row.then.as_ref().is_some_and(|(s, e)| (s, e) != (&row.severity, &row.evidence));
    let (recipient, discloser, title) = app.ledger.with_register(|r| {
        let named = |id: &str| (id.to_owned(), name_of(r, id));
        (
            named(&row.recipient),
            row.discloser.as_deref().map(named),
            processing_title(r, &row.processing),
        )
    });
    FindingView {
        position: row.position,
        reason: frame.reason(&row.code),
        severity: severity_badge(frame, &row.severity),
        evidence: frame.t(&format!("evidence-{}", row.evidence.to_lowercase())),
        state: Badge::new(state.0, frame.t(state.1)),
        recipient,
        discloser,
        processing: (row.processing, title),
        cause: row.cause,
        on: day_of(frame, row.until.unwrap_or(row.since).time),
        then: row.then.filter(|_| changed).map(|(s, e)| weight(&s, &e)),
        code: row.code,
    }
}

pub async fn board(
    State(app): State<Shared>,
    _: Authority,
    frame: Frame,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[FIELDS, &["cursor"]].concat())?;
    let mut form = Form::new("/regulator/findings");
    for name in FIELDS {
        let input = match *name {
            "code" => rule_codes(),
            "party" => Input::Offered("parties"),
            "state" => Input::Choice(
                FindingState::ALL
                    .iter()
                    .map(|s| {
                        let words = frame.t(&format!("reg-state-{}", s.as_str()));
                        (s.as_str().to_owned(), words.into_owned())
                    })
                    .collect(),
            ),
            _ => Input::Date,
        };
        form.field(&frame, &params, name, input);
    }
    app.ledger.with_register(|r| form.offer_parties(r));
    let lang = frame.lang;
    let code = params.parsed("code", RuleCode::parse, "un code de la liste", "a code of the list");
    let state = params.parsed(
        "state",
        FindingState::parse,
        "open, changed ou closed",
        "open, changed or closed",
    );
    let party = params.text("party").map(str::to_owned);
    let filter = FindingFilter {
        code: form.read(lang, "code", code)?.map(|c| c.as_str().to_owned()),
        party: party.clone(),
        state: form.read(lang, "state", state)?,
        since: form.read(lang, "since", params.date("since"))?.map(|day| day.start()),
        visible_to: None,
        cursor: params.number("cursor")?,
        limit: ROWS,
    };
    let asked = Asked { code: filter.code.clone(), parties: party.iter().cloned().collect() };
    let whole =
        filter.since.is_none() && filter.state.is_none_or(|state| state == FindingState::Open);
    let status = if form.errors() == 0 { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let (mut rows, mut cursor) = (Vec::new(), None);
    if status == StatusCode::OK {
        let page = queries::findings(&app, filter).await?;
        rows = page.items.into_iter().map(|row| view(&app, &frame, row)).collect();
        cursor = page.next;
    }
    let first_page = params.text("cursor").is_none();
    let (mut codes, mut parties) = (Vec::new(), Vec::new());
    if first_page {
        codes = code_rows(&frame, &app.projections.finding_counts(party).await?);
        let most = app.projections.findings_by_party(PARTIES).await?;
        parties = app.ledger.with_register(|r| {
            let named = |(id, n): (String, u64)| {
                let name = name_of(r, &id);
                (id, name, n)
            };
            most.into_iter().map(named).collect()
        });
    }
    let mut generalisations = Vec::new();
    if first_page && whole && status == StatusCode::OK {
        generalisations = app.ledger.with_register(|r| {
            let found = hindered(r, &asked).into_iter();
            found.map(|h| generalisation(r, &frame, h)).collect()
        });
    }
    let next = cursor.map(|c| form.here(&[("cursor", &c.to_string())]));
    let page = Board {
        form,
        rows,
        chart: code_chart(&frame, &codes),
        codes,
        parties,
        next,
        first_page,
        generalisations,
        frame: frame.clone(),
    };
    let mut response = frame.render(&page);
    *response.status_mut() = status;
    Ok(response)
}
