//! `/regulator/dossier`: what a search of accesses, an access, a party or an experiment rests
//! on, to take away: as a page to print, and as the sealed entries themselves.
//!
//! A dossier says as of which position it is known, so that the same address gives the same
//! dossier later. Concealed values are not in it: whoever reads it checks seals and
//! signatures, and learns about nobody.

use std::collections::BTreeSet;

use askama::Template;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use greffe_domain::encoding::base64url;
use greffe_domain::seal::{Position, TreeSize};
use greffe_infra::projection::{AccessFilter, AccessRow, AuditFilter, Order};
use serde_json::json;

use super::super::super::accesses::entries;
use super::super::super::problem::Problem;
use super::super::super::{Params, Shared, queries};
use super::super::Frame;
use super::accesses::{AccessView, FIELDS, Search, as_known, views};
use super::{Authority, Standing, address, name_of, processing_title, standings};

/// Most accesses of a dossier: each is judged again as known at its position.
const MOST: usize = 5_000;
/// Accesses listed on the page; the lines have all of them.
const LISTED: usize = 150;
/// Entries sent at once.
const CHUNK: usize = 256;

/// What a dossier is about.
enum Of {
    Accesses,
    Access(u64),
    Party(String),
    Experiment(String),
}

impl Of {
    fn read(params: &Params) -> Result<Self, Problem> {
        let id = || {
            params.text("id").map(str::to_owned).ok_or_else(|| {
                Problem::parameter("id", "identifiant attendu", "an identifier is expected")
            })
        };
        match params.text("of").unwrap_or("accesses") {
            "accesses" => Ok(Self::Accesses),
            "access" => Ok(Self::Access(params.number("id")?.ok_or_else(|| {
                Problem::parameter("id", "position attendue", "a position is expected")
            })?)),
            "party" => id().map(Self::Party),
            "experiment" => id().map(Self::Experiment),
            _ => Err(Problem::parameter(
                "of",
                "attendu : accesses, access, party ou experiment",
                "expected accesses, access, party or experiment",
            )),
        }
    }
}

/// What is in it.
struct Dossier {
    of: Of,
    /// Tree size as known at which it is.
    size: u64,
    asked: Vec<(String, String)>,
    accesses: Vec<AccessRow>,
    /// Whether there are more accesses than a dossier holds.
    cut: bool,
    /// Positions of entries other than accesses, and of what accesses rest on.
    positions: BTreeSet<u64>,
}

async fn gather(app: &Shared, frame: &Frame, params: &Params) -> Result<Dossier, Problem> {
    params.only(&[FIELDS, &["order", "of", "id"]].concat())?;
    let of = Of::read(params)?;
    let Search { form, filter, .. } = Search::read(app, frame, params).await?;
    if let Some(field) = form.fields.iter().find(|field| field.error.is_some()) {
        let why = field.error.as_deref().unwrap_or_default();
        return Err(Problem::parameter(field.name, why, why));
    }
    queries::up_to_date(app).await?;
    let size = filter.known_at.map_or(0, |size| size.0);
    let none = AccessFilter { known_at: filter.known_at, ..AccessFilter::default() };
    let mut positions = BTreeSet::new();
    let mut asked = form.asked();
    let filter = match &of {
        Of::Accesses => filter,
        Of::Access(_) => none,
        Of::Party(id) => {
            let known = app.ledger.with_register(|r| r.view(size).party(id).is_some());
            if !known {
                return Err(Problem::not_found(&format!("/regulator/parties/{id}")));
            }
            let filed = AuditFilter { visible_to: Some(id.clone()), ..AuditFilter::default() };
            let own = AuditFilter { stream: Some(format!("party/{id}")), ..AuditFilter::default() };
            listed(app, filed, size, &mut positions).await?;
            listed(app, own, size, &mut positions).await?;
            asked = vec![(frame.t("kind-of-party").into_owned(), id.clone())];
            AccessFilter { party: Some(id.clone()), ..none }
        }
        Of::Experiment(id) => {
            let processing = app
                .ledger
                .with_register(|r| r.view(size).experiment(id).map(|e| e.processing.clone()));
            let processing = processing
                .ok_or_else(|| Problem::not_found(&format!("/regulator/experiments/{id}")))?;
            let decisions: Vec<String> = app.ledger.with_register(|r| {
                let view = r.view(size);
                let of = view.processing(&processing);
                let decisions = of.into_iter().flat_map(|p| view.decisions_on(p));
                decisions.map(|d| format!("decision/{}", d.rendered.data.decision)).collect()
            });
            let streams = [format!("experiment/{id}"), format!("processing/{processing}")];
            for stream in streams.into_iter().chain(decisions) {
                let stream = AuditFilter { stream: Some(stream), ..AuditFilter::default() };
                listed(app, stream, size, &mut positions).await?;
            }
            asked = vec![(frame.t("kind-of-experiment").into_owned(), id.clone())];
            AccessFilter { experiment: Some(id.clone()), ..none }
        }
    };
    let mut filter = AccessFilter { order: Order::OldestFirst, cursor: None, ..filter };
    // What stands now is stored; what stood at an earlier size is worked out below.
    let stands = filter.now.take();
    if size == app.ledger.size().0 {
        filter.now.clone_from(&stands);
    }
    let mut accesses = Vec::new();
    let mut cut = false;
    if let Of::Access(position) = of {
        let row = app.projections.access(position).await?.filter(|row| row.position < size);
        accesses.extend(row);
        if accesses.is_empty() {
            return Err(Problem::not_found(&format!("/regulator/accesses/{position}")));
        }
        asked = vec![(frame.t("entry").into_owned(), position.to_string())];
    } else {
        loop {
            filter.limit = greffe_infra::projection::MAX_PAGE.min(MOST - accesses.len());
            let page = app.projections.accesses(filter.clone()).await?;
            accesses.extend(page.items);
            filter.cursor = page.next;
            if page.next.is_none() || accesses.len() >= MOST {
                cut = page.next.is_some();
                break;
            }
        }
    }
    as_known(app, &mut accesses, TreeSize(size)).await?;
    accesses.retain(|row| stands.as_ref().is_none_or(|outcome| row.now.outcome == *outcome));
    Ok(Dossier { of, size, asked, accesses, cut, positions })
}

/// Adds the positions of the entries a search of the journal finds.
async fn listed(
    app: &Shared,
    mut filter: AuditFilter,
    size: u64,
    positions: &mut BTreeSet<u64>,
) -> Result<(), Problem> {
    filter.limit = greffe_infra::projection::MAX_PAGE;
    loop {
        let page = app.projections.audit(filter.clone()).await?;
        positions.extend(page.items.iter().map(|row| row.position).filter(|p| *p < size));
        match page.next {
            Some(next) if positions.len() < 2 * MOST && next < size => filter.cursor = Some(next),
            _ => return Ok(()),
        }
    }
}

struct Title {
    kind: String,
    name: String,
}

fn title(app: &Shared, frame: &Frame, of: &Of) -> Title {
    let (kind, name) = match of {
        Of::Accesses => ("reg-dossier-accesses", String::new()),
        Of::Access(position) => ("reg-dossier-access", position.to_string()),
        Of::Party(id) => ("reg-dossier-party", app.ledger.with_register(|r| name_of(r, id))),
        Of::Experiment(id) => ("reg-dossier-experiment", id.clone()),
    };
    Title { kind: frame.t(kind).into_owned(), name }
}

#[derive(Template)]
#[template(path = "regulator/dossier.html")]
struct Page {
    frame: Frame,
    title: Title,
    about: Option<(String, String)>,
    origin: String,
    on: String,
    known_at: u64,
    asked: Vec<(String, String)>,
    total: usize,
    others: usize,
    cut: bool,
    standings: Vec<Standing>,
    rows: Vec<AccessView>,
    more: usize,
    lines: String,
}

pub async fn page(
    State(app): State<Shared>,
    _: Authority,
    frame: Frame,
    params: Params,
) -> Result<Response, Problem> {
    let Dossier { of, size, asked, accesses, cut, positions } =
        gather(&app, &frame, &params).await?;
    let about = match &of {
        Of::Experiment(id) => app.ledger.with_register(|r| {
            let processing = r.experiment(id)?.processing.clone();
            let title = processing_title(r, &processing);
            Some((processing, title))
        }),
        _ => None,
    };
    let total = accesses.len();
    let rows = views(&app, &frame, accesses);
    let standings = standings(
        &frame,
        rows.iter().map(|row| (row.then_code.as_str(), row.now_code.as_str(), 1)),
        |_| String::new(),
    );
    let names = FIELDS.iter().chain(&["of", "id"]);
    let kept = names.filter_map(|name| Some((*name, params.text(name)?)));
    let known_at = size.saturating_sub(1);
    let pinned = known_at.to_string();
    let kept: Vec<(&str, &str)> = kept
        .filter(|(name, _)| *name != "known_at")
        .chain([("known_at", pinned.as_str())])
        .collect();
    let mut rows = rows;
    let more = rows.len().saturating_sub(LISTED);
    rows.truncate(LISTED);
    let page = Page {
        title: title(&app, &frame, &of),
        about,
        origin: app.ledger.origin().to_owned(),
        on: crate::words::day(frame.lang, app.clock.now().date()),
        known_at,
        asked,
        total,
        others: positions.len(),
        cut,
        standings,
        rows,
        more,
        lines: address("/regulator/dossier.ndjson", kept.into_iter()),
        frame: frame.clone(),
    };
    Ok(frame.render(&page))
}

/// Positions of everything in a dossier, ascending: its accesses, what they rest on, and the
/// enrolments of whoever filed any of it.
async fn concerned(app: &Shared, dossier: &Dossier) -> Result<BTreeSet<u64>, Problem> {
    let mut positions = dossier.positions.clone();
    for row in &dossier.accesses {
        let Some(read) = queries::entry(app, row.position).await? else { continue };
        positions.insert(row.position);
        let Some(recorded) = read.recorded() else { continue };
        positions.extend(app.ledger.with_register(|register| {
            let (now, changed_by) = queries::now_and_changes(&recorded, register, dossier.size);
            entries(&recorded, &now, &changed_by, register)
        }));
    }
    positions.retain(|position| *position < dossier.size);
    Ok(positions)
}

pub async fn lines(
    State(app): State<Shared>,
    _: Authority,
    frame: Frame,
    params: Params,
) -> Result<Response, Problem> {
    let dossier = gather(&app, &frame, &params).await?;
    let head = app.ledger.head()?.signed;
    let positions: Vec<u64> = concerned(&app, &dossier).await?.into_iter().collect();
    let head = json!({"head": {
        "size": head.size, "link": head.link, "signature": base64url(&head.signature),
        "key": head.kid,
    }});
    let start = (positions, 0_usize, None, Some(head));
    let stream = futures_util::stream::try_unfold(start, move |(positions, from, filing, head)| {
        let app = app.clone();
        async move {
            let mut filing: Option<greffe_domain::encoding::Hash32> = filing;
            let until = positions.len().min(from + CHUNK);
            if from == until {
                // The head is last: without it the file was cut.
                let last = head.map(|head| Bytes::from(format!("{head}\n")));
                return Ok::<_, std::io::Error>(
                    last.map(|line| (line, (positions, until, filing, None))),
                );
            }
            let broken = |fault: greffe_infra::store::Fault| {
                // The status is sent; breaking off is the only way left to say so.
                crate::log::fault(&fault);
                std::io::Error::other("the ledger could not be read")
            };
            let mut out = Vec::new();
            for position in &positions[from..until] {
                let row = app.ledger.store().entry(Position(*position)).await.map_err(broken)?;
                let Some(row) = row else { continue };
                if let Some(cited) = row.filing
                    && filing != Some(cited.digest)
                {
                    let first = row.first_position().unwrap_or(row.position);
                    let jwt = app.ledger.store().filing(first).await.map_err(broken)?;
                    if let Some(found) = jwt {
                        out.extend_from_slice(json!({"filing": found.jwt}).to_string().as_bytes());
                        out.push(b'\n');
                    }
                    filing = Some(cited.digest);
                }
                out.extend_from_slice(&row.sealed.to_json_line());
                out.push(b'\n');
            }
            Ok(Some((Bytes::from(out), (positions, until, filing, head))))
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"dossier.ndjson\""),
    ];
    Ok((headers, Body::from_stream(stream)).into_response())
}
