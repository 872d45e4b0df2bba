//! `/regulator/accesses`: who saw what under which basis, by everything that tells accesses
//! apart, newest first.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use greffe_domain::verdict::Outcome;
use greffe_domain::vocabulary::{Category, LegalBasis, Purpose, RuleCode};
use greffe_infra::projection::{AccessFilter, AccessRow, Order};
use serde_json::Value;

use super::super::super::problem::Problem;
use super::super::super::{Params, Shared, queries};
use super::super::{Badge, Frame};
use super::form::{Form, Input, codes};
use super::{Authority, PAGE, STACK, name_of, processing_title, verdict_badge};
use greffe_domain::seal::TreeSize;

/// Fields of the search, in order. The address may also hold `order` and `cursor`.
pub const FIELDS: &[&str] = &[
    "recipient",
    "discloser",
    "site",
    "processing",
    "experiment",
    "purpose",
    "category",
    "basis",
    "verdict",
    "now",
    "finding",
    "from",
    "to",
    "as_of",
    "known_at",
    "party",
];

/// A search of accesses, read from an address.
pub struct Search {
    pub form: Form,
    pub filter: AccessFilter,
    /// The answers wanted are those known at `filter.known_at`, not now.
    pub dated: bool,
}

impl Search {
    /// Errors: what is wrong with no field in particular; else it is in the form.
    pub async fn read(app: &Shared, frame: &Frame, params: &Params) -> Result<Self, Problem> {
        let mut form = Form::new("/regulator/accesses");
        let verdicts = || {
            let codes = STACK.iter().map(|(code, _)| {
                ((*code).to_owned(), frame.t(&format!("verdict-{code}")).into_owned())
            });
            Input::Choice(codes.collect())
        };
        for name in FIELDS {
            let input = match *name {
                "recipient" | "discloser" | "party" => Input::Offered("parties"),
                "processing" => Input::Offered("processings"),
                "experiment" => Input::Offered("experiments"),
                "purpose" => codes(frame.lang, Purpose::LIST),
                "category" => codes(frame.lang, Category::LIST),
                "basis" => codes(frame.lang, LegalBasis::LIST),
                "verdict" | "now" => verdicts(),
                "finding" => rule_codes(),
                "from" | "to" | "as_of" => Input::Date,
                _ => Input::Text,
            };
            form.field(frame, params, name, input);
        }
        app.ledger.with_register(|r| {
            form.offer_parties(r);
            let titled = r.processings().map(|(id, _)| (id.clone(), processing_title(r, id)));
            form.offer("processings", titled);
            let titled = r.experiments().map(|(id, e)| (id.clone(), e.processing.clone()));
            form.offer("experiments", titled);
        });
        let lang = frame.lang;
        let text = |name: &str| params.text(name).map(str::to_owned);
        let outcome = |t: &str| serde_json::from_value::<Outcome>(Value::from(t)).ok();
        fn code<T>(
            params: &Params,
            name: &str,
            read: impl FnOnce(&str) -> Option<T>,
        ) -> Result<Option<String>, Problem> {
            let known = |text: &str| read(text).map(|_| text.to_owned());
            params.parsed(name, known, "un code de la liste", "a code of the list")
        }
        let dated = params.text("known_at").is_some();
        let size = form.read(lang, "known_at", params.known_at(app).await.map(Some))?;
        let dates = ["to", "as_of"].map(|name| form.read(lang, name, params.date(name)));
        let [to, as_of] = dates;
        let filter = AccessFilter {
            party: text("party"),
            recipient: text("recipient"),
            discloser: text("discloser"),
            site: text("site"),
            processing: text("processing"),
            experiment: text("experiment"),
            purpose: form.read(lang, "purpose", code(params, "purpose", Purpose::parse))?,
            category: form.read(lang, "category", code(params, "category", Category::parse))?,
            basis: form.read(lang, "basis", code(params, "basis", LegalBasis::parse))?,
            verdict: form.read(lang, "verdict", code(params, "verdict", outcome))?,
            finding: form.read(lang, "finding", code(params, "finding", RuleCode::parse))?,
            now: form.read(lang, "now", code(params, "now", outcome))?,
            from: form.read(lang, "from", params.date("from"))?,
            to: [to?, as_of?].into_iter().flatten().min(),
            known_at: Some(TreeSize(size.unwrap_or(0))),
            order: order(params)?,
            cursor: params.number("cursor")?,
            limit: PAGE,
            ..AccessFilter::default()
        };
        Ok(Self { form, filter, dated })
    }
}

/// Newest first unless the address says otherwise.
pub fn order(params: &Params) -> Result<Order, Problem> {
    let read = |text: &str| match text {
        "oldest" => Some(Order::OldestFirst),
        "newest" => Some(Order::NewestFirst),
        _ => None,
    };
    let order = params.parsed("order", read, "oldest ou newest", "oldest or newest")?;
    Ok(order.unwrap_or(Order::NewestFirst))
}

/// Every rule's code, by itself: what it says is on the board.
pub fn rule_codes() -> Input {
    let mut choices: Vec<(String, String)> =
        RuleCode::all().map(|c| (c.as_str().to_owned(), c.as_str().to_owned())).collect();
    choices.sort();
    Input::Choice(choices)
}

/// One access of a list.
pub struct AccessView {
    pub position: u64,
    pub days: String,
    pub recipient: (String, String),
    pub role: String,
    pub site: Option<String>,
    pub discloser: Option<(String, String)>,
    pub processing: (String, String),
    pub purpose: String,
    pub categories: Vec<String>,
    pub basis: Vec<String>,
    pub then: Badge,
    pub now: Badge,
    pub then_code: String,
    pub now_code: String,
    pub changed_by: Vec<u64>,
    pub codes: Vec<String>,
    pub contested: Option<u64>,
    pub refused: bool,
}

/// Puts what was known at a size in the place of what is known now.
pub async fn as_known(app: &Shared, rows: &mut [AccessRow], size: TreeSize) -> Result<(), Problem> {
    for row in rows {
        let Some(read) = queries::entry(app, row.position).await? else { continue };
        let Some(recorded) = read.recorded() else { continue };
        let (now, changed_by) = app
            .ledger
            .with_register(|register| queries::now_and_changes(&recorded, register, size.0));
        row.now.outcome = now.verdict.as_str().to_owned();
        row.now.changed_by = changed_by;
    }
    Ok(())
}

/// Rows as a reader is shown them.
pub fn views(app: &Shared, frame: &Frame, rows: Vec<AccessRow>) -> Vec<AccessView> {
    app.ledger.with_register(|r| {
        let named = |id: String| {
            let name = name_of(r, &id);
            (id, name)
        };
        let mut views = Vec::with_capacity(rows.len());
        for row in rows {
            let mut codes: Vec<String> = row.findings.into_iter().map(|f| f.code).collect();
            codes.dedup();
            let title = processing_title(r, &row.processing);
            views.push(AccessView {
                position: row.position,
                days: frame.days(&row.days),
                recipient: named(row.recipient),
                role: frame.label(&row.role),
                site: row.site,
                discloser: row.discloser.map(named),
                processing: (row.processing, title),
                purpose: frame.label(&row.purpose),
                categories: row.categories.iter().map(|c| frame.label(c)).collect(),
                basis: row.basis.iter().map(|b| frame.label(b)).collect(),
                then: verdict_badge(frame, &row.verdict),
                now: verdict_badge(frame, &row.now.outcome),
                then_code: row.verdict,
                now_code: row.now.outcome,
                changed_by: row.now.changed_by,
                codes,
                contested: row.contested,
                refused: row.event_type == "AccessDenied",
            });
        }
        views
    })
}

#[derive(Template)]
#[template(path = "regulator/accesses.html")]
struct Page {
    frame: Frame,
    form: Form,
    rows: Vec<AccessView>,
    newest: bool,
    other_order: String,
    next: Option<String>,
    dossier: String,
    lines: String,
    notice: Option<String>,
}

pub async fn search(
    State(app): State<Shared>,
    _: Authority,
    frame: Frame,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[FIELDS, &["order", "cursor"]].concat())?;
    let Search { mut form, filter, dated } = Search::read(&app, &frame, &params).await?;
    if dated && filter.now.is_some() {
        form.refuse("now", frame.t("reg-now-is-now"));
    }
    let known_at = filter.known_at;
    let newest = filter.order == Order::NewestFirst;
    let (mut rows, mut cursor) = (Vec::new(), None);
    let status = if form.errors() == 0 { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    if status == StatusCode::OK {
        queries::caught_up(&app).await;
        let mut page = app.projections.accesses(filter).await?;
        cursor = page.next;
        if let Some(size) = known_at.filter(|_| dated) {
            as_known(&app, &mut page.items, size).await?;
        }
        rows = views(&app, &frame, page.items);
    }
    let order = if newest { "" } else { "oldest" };
    let next = cursor.map(|c| form.here(&[("order", order), ("cursor", &c.to_string())]));
    // A dossier is of what is known now, and says so: it can be asked for again.
    let last = known_at.map_or(0, |size| size.0.saturating_sub(1)).to_string();
    let pinned = params.text("known_at").unwrap_or(&last).to_owned();
    let pinned = [("of", "accesses"), ("known_at", pinned.as_str())];
    let notice =
        params.text("known_at").map(|known| match greffe_domain::date::LegalDate::parse(known) {
            Some(day) => {
                let day = crate::words::day(frame.lang, day);
                frame.with("reg-known-at", &[("known", day.into())]).into_owned()
            }
            None => frame.with("reg-known-at", &[("known", known.into())]).into_owned(),
        });
    let page = Page {
        other_order: form.here(&[("order", if newest { "oldest" } else { "" })]),
        dossier: form.at("/regulator/dossier", &pinned),
        lines: form.at("/regulator/dossier.ndjson", &pinned),
        form,
        rows,
        newest,
        next,
        notice,
        frame: frame.clone(),
    };
    let mut response = frame.render(&page);
    *response.status_mut() = status;
    Ok(response)
}
