//! `GET /v1/accesses`: who saw what under which basis, then and now.

use axum::Json;
use axum::extract::{Path, State};
use greffe_domain::body::{Concealed, Measure};
use greffe_domain::event::At;
use greffe_domain::kind::StreamType;
use greffe_domain::refusal::{Refusal, RefusalCode as C};
use greffe_domain::register::{Register, View};
use greffe_domain::rules::{CURRENT, again};
use greffe_domain::seal::TreeSize;
use greffe_domain::subject::SubjectRef;
use greffe_domain::verdict::{Outcome, Verdict};
use greffe_domain::vocabulary::{Category, LegalBasis, Purpose, Role, RuleCode};
use greffe_infra::projection::{AccessFilter, Order};
use serde_json::{Value, json};

use super::authz::{Reach, Reader, Route, admit};
use super::problem::Problem;
use super::queries::{self, Recorded};
use super::{Language, Params, Shared};
use crate::words::Lang;

/// Verdict and finding are those recorded: what an access was found then never changes.
/// `now` is the verdict as known now.
pub const PARAMS: &[&str] = &[
    "subject",
    "party",
    "recipient",
    "discloser",
    "site",
    "processing",
    "experiment",
    "purpose",
    "category",
    "basis",
    "verdict",
    "finding",
    "now",
    "from",
    "to",
    "as_of",
    "known_at",
    "cursor",
    "limit",
];

/// A code of a list, as text; refused when the list does not hold it.
fn code<T>(
    params: &Params,
    name: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<String>, Problem> {
    let known = |text: &str| read(text).map(|_| text.to_owned());
    params.parsed(name, known, "un code de /v1/vocabulary", "a code of /v1/vocabulary")
}

pub async fn list(
    State(app): State<Shared>,
    reader: Reader,
    params: Params,
) -> Result<Json<Value>, Problem> {
    params.only(PARAMS)?;
    let subject = params.parsed(
        "subject",
        SubjectRef::parse,
        "une référence de personne",
        "a subject reference",
    )?;
    let route = if subject.is_some() { Route::AccessesOfSubject } else { Route::Accesses };
    let reach = admit(route, &reader)?;
    let known_at = params.text("known_at").is_some();
    let size = params.known_at(&app).await?;
    if known_at && params.text("now").is_some() {
        return Err(now_is_now());
    }
    let (from, to, as_of) = (params.date("from")?, params.date("to")?, params.date("as_of")?);
    Params::in_order(("from", from), ("to", to))?;
    Params::in_order(("from", from), ("as_of", as_of))?;
    let text = |name: &str| params.text(name).map(str::to_owned);
    let outcome = |t: &str| serde_json::from_value::<Outcome>(Value::from(t)).ok();
    let filter = AccessFilter {
        subject,
        party: text("party"),
        recipient: text("recipient"),
        discloser: text("discloser"),
        site: text("site"),
        processing: text("processing"),
        experiment: text("experiment"),
        purpose: code(&params, "purpose", Purpose::parse)?,
        category: code(&params, "category", Category::parse)?,
        basis: code(&params, "basis", LegalBasis::parse)?,
        verdict: code(&params, "verdict", outcome)?,
        finding: code(&params, "finding", RuleCode::parse)?,
        now: code(&params, "now", outcome)?,
        from,
        // As of a day: without those that certainly came after it.
        to: [to, as_of].into_iter().flatten().min(),
        known_at: Some(TreeSize(size)),
        groups_only: false,
        visible_to: reader.sees_only(reach),
        order: Order::OldestFirst,
        cursor: params.number("cursor")?,
        limit: params.limit()?,
    };
    let (found, next) = queries::accesses(&app, filter).await?;
    let mut items = Vec::with_capacity(found.len());
    for (read, found) in found {
        let Some(recorded) = read.recorded() else { continue };
        let item = app.ledger.with_register(|register| {
            sees(reach, &reader, &recorded, register).then(|| {
                let (now, changed_by) = if known_at {
                    queries::now_and_changes(&recorded, register, size)
                } else {
                    queries::stored(&recorded, found.now)
                };
                row(&recorded, &now, &changed_by, register.view(now.judged_at))
            })
        });
        items.extend(item);
    }
    Ok(Json(json!({"items": items, "next": next.map(|n| n.to_string())})))
}

fn now_is_now() -> Problem {
    Refusal::at(
        "/now",
        C::Malformed,
        "`now` et `known_at` ne vont pas ensemble : retirer l’un des deux",
        "`now` and `known_at` do not go together: leave one of them out",
    )
    .into()
}

fn sees(reach: Reach, reader: &Reader, recorded: &Recorded<'_>, register: &Register) -> bool {
    match reach {
        Reach::Everything => true,
        Reach::Own => {
            let processing = register.processing(&recorded.access.processing);
            reader.concerns(recorded.filed, processing.and_then(|p| p.controller.as_deref()))
        }
        Reach::Nothing => false,
    }
}

/// `{"text","earliest","latest"}`, as in the leaf.
pub fn at_json(at: &At) -> Value {
    json!({"text": at.text, "earliest": at.interval.earliest, "latest": at.interval.latest})
}

pub fn row(recorded: &Recorded<'_>, now: &Verdict, changed_by: &[u64], view: View<'_>) -> Value {
    let access = recorded.access;
    let mut recipient = json!({"party": access.recipient.party, "role": access.recipient.role});
    if let Some(site) = &access.recipient.site {
        recipient["site"] =
            json!({"id": site.id, "siret": site.siret, "headcount": site.headcount});
    }
    json!({
        "position": recorded.position,
        "recorded": recorded.time,
        "at": at_json(&recorded.filed.at),
        "kind": recorded.filed.kind,
        "by": recorded.filed.iss,
        "evidence": recorded.filed.evidence,
        "recipient": recipient,
        "discloser": access.discloser,
        "processing": access.processing,
        "experiment": access.experiment,
        "purpose": access.purpose,
        "categories": access.categories,
        "basis": {"codes": access.basis.codes, "reference": access.basis.reference},
        "then": recorded.then,
        "now": now,
        "changed_by": changed_by,
        "good_faith":
            again::is_good_faith(&recorded.case(), recorded.then, now, changed_by, view),
    })
}

pub async fn one(
    State(app): State<Shared>,
    Path(position): Path<String>,
    reader: Reader,
    Language(lang): Language,
    params: Params,
) -> Result<Json<Value>, Problem> {
    params.only(&["as_of", "known_at"])?;
    let reach = admit(Route::Accesses, &reader)?;
    let size = params.known_at(&app).await?;
    let nothing = || Problem::not_found(&format!("/v1/accesses/{position}"));
    let number: u64 = position.parse().map_err(|_| nothing())?;
    let read = queries::entry(&app, number).await?.ok_or_else(nothing)?;
    let as_of = params.date("as_of")?;
    let had_come = |r: &Recorded<'_>| {
        let first_day = r.case().days.earliest;
        as_of.is_none_or(|day| first_day.is_none_or(|first| first <= day))
    };
    let recorded =
        read.recorded().filter(|r| r.position < size && had_come(r)).ok_or_else(nothing)?;
    let stored = match params.text("known_at") {
        Some(_) => None,
        None => queries::standing(&app, number).await?,
    };
    let answer = app.ledger.with_register(|register| {
        if !sees(reach, &reader, &recorded, register) {
            return Err(not_yours());
        }
        let (now, changed_by) = match stored {
            Some(now) => queries::stored(&recorded, now),
            None => queries::now_and_changes(&recorded, register, size),
        };
        let view = register.view(now.judged_at);
        let mut answer = row(&recorded, &now, &changed_by, view);
        answer["notes"] = again::notes(&recorded.case(), &changed_by, view)
            .into_iter()
            .map(|note| json!({"position": note.position, "note": note.note}))
            .collect();
        detail(&mut answer, &recorded, &reader);
        answer["costs"] = costs(&recorded, register, size).into();
        answer["entries"] = entries(&recorded, &now, &changed_by, register).into();
        answer["reasons"] = reasons(&[recorded.then, &now], lang);
        Ok(answer)
    })?;
    Ok(Json(answer))
}

pub fn not_yours() -> Problem {
    Refusal::new(
        C::NotYours,
        "une partie lit ce qu’elle a déposé, communiqué ou reçu ; ceci n’en fait pas partie",
        "a party reads what it filed, disclosed or received; this is not among it",
    )
    .into()
}

/// What the list leaves out.
fn detail(answer: &mut Value, recorded: &Recorded<'_>, reader: &Reader) {
    let access = recorded.access;
    answer["channel"] = access.channel.as_str().into();
    answer["identifiability"] = json!(access.identifiability);
    answer["period"] = json!(access.period.as_ref().map(|p| p.text()));
    answer["data_retention_until"] = json!(access.data_retention_until.as_ref().map(|d| d.text()));
    // Which agent looked is for the authority and the agent's own house.
    let own_house = reader.party() == Some(access.recipient.party.as_str());
    if reader.has(Role::Regulator) || own_house {
        answer["recipient"]["agent"] =
            json!(access.recipient.agent.as_ref().and_then(|a| a.value.as_deref()));
    }
    answer["subjects"] = access.subjects.iter().map(concealed).collect();
    if let Some(cohort) = &access.cohort {
        let cells: Vec<Value> = cohort
            .cells
            .iter()
            .map(|cell| {
                json!({
                    "units": cell.units, "categories": cell.categories, "unit": cell.unit,
                    "suppressed": cell.suppressed,
                    "value": cell.value.as_ref().and_then(|v| v.value),
                    "largest_share_permille":
                        cell.largest_share_permille.as_ref().and_then(|v| v.value),
                })
            })
            .collect();
        answer["cohort"] = json!({
            "headcount": cohort.headcount,
            "absentees": cohort.absentees.as_ref().and_then(|a| a.value),
            "units": cohort.units,
            "members": cohort.members.iter().map(concealed).collect::<Vec<_>>(),
            "cells": cells,
        });
    }
}

fn concealed(value: &Concealed<String>) -> Value {
    json!({"digest": value.digest, "value": value.value})
}

/// For each cell of direct cost: the interval of the indirect and of the total, by the range
/// the experiment announced. Cents; rounded outwards.
pub fn costs(recorded: &Recorded<'_>, register: &Register, size: u64) -> Vec<Value> {
    let access = recorded.access;
    let view = register.view(size);
    let range = access
        .experiment
        .as_deref()
        .or_else(|| {
            let processing = view.processing(&access.processing)?;
            match processing.experiments.as_slice() {
                [only] => Some(only.as_str()),
                _ => None,
            }
        })
        .and_then(|id| view.experiment(id))
        .and_then(|e| {
            view.known(&e.launches)
                .iter()
                .rev()
                .find_map(|l| l.data.indirect_cost_permille.as_ref())
        });
    let cells = access.cohort.iter().flat_map(|c| &c.cells);
    cells
        .filter(|c| c.unit == Measure::Cents)
        .filter_map(|c| c.value.as_ref()?.value)
        .map(|direct| {
            let mut cost = json!({"direct_cents": direct});
            if let Some(range) = range {
                let product = |permille: i64| i128::from(direct) * i128::from(permille);
                let low = product(range.low).div_euclid(1_000);
                let high = -(-product(range.high)).div_euclid(1_000);
                let interval = |low: i128, high: i128| {
                    let cents = |n: i128| i64::try_from(n).unwrap_or(i64::MAX);
                    json!({"low": cents(low), "high": cents(high)})
                };
                cost["indirect_cents"] = interval(low, high);
                cost["total_cents"] = interval(i128::from(direct) + low, i128::from(direct) + high);
            }
            cost
        })
        .collect()
}

/// The entries both verdicts rest on, with what is filed about the access itself.
pub fn entries(
    recorded: &Recorded<'_>,
    now: &Verdict,
    changed_by: &[u64],
    register: &Register,
) -> Vec<u64> {
    let mut positions: std::collections::BTreeSet<u64> = changed_by.iter().copied().collect();
    for verdict in [recorded.then, now] {
        positions.extend(&verdict.basis);
        positions.extend(verdict.findings.iter().flat_map(|f| &f.positions));
    }
    let about = register.now().about(StreamType::Access, &recorded.position.to_string());
    positions.extend(about.statements().iter().map(|s| s.position));
    positions.into_iter().collect()
}

/// Each finding's code in words.
pub fn reasons(verdicts: &[&Verdict], lang: Lang) -> Value {
    let codes = verdicts.iter().flat_map(|v| &v.findings).map(|f| f.code.as_str());
    let mut words = serde_json::Map::new();
    for code in codes {
        if let Some(reason) = queries::reason(code, &CURRENT, lang) {
            words.insert(code.to_owned(), reason.into());
        }
    }
    Value::Object(words)
}
