//! `/regulator/parties/{id}`: a party as the authority looks at it: what it declared, its
//! accesses by verdict, what is found on what it disclosed, and its keys.

use std::borrow::Cow;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;

use super::super::super::problem::Problem;
use super::super::super::{Params, Shared};
use super::super::{Badge, Frame};
use super::{Authority, CodeRow, Standing, address, code_chart, code_rows, standings};

struct Declared {
    id: String,
    title: String,
    days: String,
    formalities: Vec<String>,
    decisions: Vec<(String, String, Option<Badge>)>,
    described: bool,
}

struct Key {
    kid: String,
    enrolled: u64,
    revoked: Option<u64>,
}

#[derive(Template)]
#[template(path = "regulator/party.html")]
struct Page {
    frame: Frame,
    id: String,
    name: String,
    roles: Vec<Cow<'static, str>>,
    siren: Option<String>,
    position: u64,
    declared: Vec<Declared>,
    more_declared: usize,
    total: usize,
    standings: Vec<Standing>,
    codes: Vec<CodeRow>,
    chart: Option<String>,
    keys: Vec<Key>,
    live: usize,
    accesses: String,
    findings: String,
    filed: String,
    dossier: String,
    lines: String,
}

/// Processings shown.
const SHOWN: usize = 50;

pub async fn one(
    State(app): State<Shared>,
    Path(id): Path<String>,
    _: Authority,
    frame: Frame,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let counts = app.projections.party_counts(id.clone()).await?;
    let codes = code_rows(&frame, &app.projections.finding_counts(Some(id.clone())).await?);
    let known_at = app.ledger.size().0.saturating_sub(1).to_string();
    let of = |path: &str, more: &[(&str, &str)]| address(path, more.iter().copied());
    let dossier = [("of", "party"), ("id", id.as_str()), ("known_at", known_at.as_str())];
    let page = app.ledger.with_register(|register| {
        let party = register.party(&id)?;
        let own = register.controlled_by(&id);
        let declared: Vec<Declared> = own
            .iter()
            .take(SHOWN)
            .filter_map(|processing| {
                let p = register.processing(processing)?;
                let version = p.versions.last()?;
                let formalities = p.formalities.iter().map(|f| {
                    let kind = frame.label(f.data.kind.as_str());
                    match &f.data.number {
                        Some(number) => format!("{kind} ({number})"),
                        None => kind,
                    }
                });
                let decisions = p.decisions.iter().map(|d| {
                    let data = &d.rendered.data;
                    let codes: Vec<&str> =
                        data.outcomes.iter().map(|o| o.outcome.as_str()).collect();
                    let badge = super::super::super::register::overall(&codes).map(|code| {
                        Badge::new(super::super::timeline::weight(code), frame.label(code))
                    });
                    let number = data.number.clone().unwrap_or_else(|| data.decision.clone());
                    (data.decision.clone(), number, badge)
                });
                Some(Declared {
                    id: processing.clone(),
                    title: version.data.title.clone(),
                    days: frame.days(&version.at),
                    formalities: formalities.collect(),
                    decisions: decisions.collect(),
                    described: !version.formal,
                })
            })
            .collect();
        let more_declared = own.len().saturating_sub(declared.len());
        let keys: Vec<Key> = party
            .keys
            .iter()
            .map(|key| Key {
                kid: key.key.kid().to_owned(),
                enrolled: key.enrolled,
                revoked: key.revoked,
            })
            .collect();
        Some(Page {
            name: party.name.clone(),
            roles: party.roles.iter().map(|r| frame.t(&format!("role-{}", r.as_str()))).collect(),
            siren: party.siren.clone(),
            position: party.position,
            declared,
            more_declared,
            total: usize::try_from(counts.iter().map(|c| c.accesses).sum::<u64>())
                .unwrap_or(usize::MAX),
            standings: standings(
                &frame,
                counts.iter().map(|c| (c.then.as_str(), c.now.as_str(), c.accesses)),
                |code| of("/regulator/accesses", &[("party", &id), ("now", code)]),
            ),
            chart: code_chart(&frame, &codes),
            live: keys.iter().filter(|key| key.revoked.is_none()).count(),
            keys,
            codes,
            accesses: of("/regulator/accesses", &[("party", &id)]),
            findings: of("/regulator/findings", &[("party", &id)]),
            filed: of("/regulator/audit", &[("by", &id)]),
            dossier: of("/regulator/dossier", &dossier),
            lines: of("/regulator/dossier.ndjson", &dossier),
            id: id.clone(),
            frame: frame.clone(),
        })
    });
    let page = page.ok_or_else(|| Problem::not_found(&format!("/regulator/parties/{id}")))?;
    Ok(frame.render(&page))
}
