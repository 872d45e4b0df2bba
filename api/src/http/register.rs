//! The register, as it was valid on a day, as it was known at a position: processings,
//! decisions, experiments, parties.
//!
//! `as_of` leaves out what certainly came later than that day and marks the rest with
//! `valid`: `yes`, or `maybe` where dates overlap. `known_at` leaves out entries recorded
//! later. Every fact carries the position it comes from, and its body as it was signed.
//! What persons filed one by one (agreements, objections, uses) is counted, not listed.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, State};
use greffe_domain::date::{Certainty, Interval, LegalDate};
use greffe_domain::kind::StreamType;
use greffe_domain::register::{Decision, Fact, Party, Register, View};
use greffe_domain::rules::generalise;
use greffe_domain::seal::{Leaf, Position};
use greffe_domain::verdict::Evidence;
use serde_json::{Map, Value, json};

use super::problem::Problem;
use super::{App, Params, Shared};

const ONE: &[&str] = &["as_of", "known_at"];
const LIST: &[&str] = &["as_of", "known_at", "cursor", "limit"];

/// When the register is read.
pub struct When {
    pub as_of: Option<LegalDate>,
    pub size: u64,
}

impl When {
    pub async fn read(app: &Shared, params: &Params) -> Result<Self, Problem> {
        Ok(Self { as_of: params.date("as_of")?, size: params.known_at(app).await? })
    }

    /// `None`: it certainly came after.
    pub fn valid(&self, at: &Interval) -> Option<&'static str> {
        let Some(day) = self.as_of else { return Some("yes") };
        match at.on_or_before(&Interval::day(day)) {
            Certainty::Yes => Some("yes"),
            Certainty::Maybe => Some("maybe"),
            Certainty::No => None,
        }
    }

    fn fact<T>(&self, fact: &Fact<T>) -> Option<Value> {
        let valid = self.valid(&fact.at)?;
        Some(json!({
            "position": fact.position,
            "recorded": fact.recorded,
            "at": fact.at,
            "by": &*fact.iss,
            "evidence": fact.evidence,
            "formal": fact.formal,
            "valid": valid,
        }))
    }

    fn facts<T>(&self, view: View<'_>, facts: &[Fact<T>]) -> Value {
        // Positions are below the size: facts are in order of position.
        facts.iter().filter(|f| f.position < view.size()).filter_map(|f| self.fact(f)).collect()
    }

    fn count<T>(&self, view: View<'_>, facts: &[Fact<T>]) -> usize {
        facts.iter().filter(|f| f.position < view.size() && self.valid(&f.at).is_some()).count()
    }

    fn head(&self, id: &str) -> Map<String, Value> {
        let mut head = Map::new();
        head.insert("id".to_owned(), id.into());
        head.insert("as_of".to_owned(), json!(self.as_of));
        head.insert("known_at".to_owned(), self.size.checked_sub(1).into());
        head
    }
}

/// Puts the signed body beside each fact that has a position and no body yet.
async fn with_bodies(app: &App, mut value: Value) -> Result<Value, Problem> {
    let mut wanted = Vec::new();
    collect(&value, &mut wanted);
    let mut bodies = HashMap::new();
    let wanted: Vec<Position> = wanted.into_iter().map(Position).collect();
    for row in app.ledger.store().entries_at(&wanted).await? {
        if let Ok(leaf) = Leaf::parse(&row.sealed.leaf) {
            bodies.insert(row.position.0, leaf.event["data"]["body"].clone());
        }
    }
    insert(&mut value, &bodies);
    Ok(value)
}

fn is_fact(members: &Map<String, Value>) -> Option<u64> {
    let position = members.get("position")?.as_u64()?;
    (members.contains_key("evidence") && members.contains_key("formal")).then_some(position)
}

fn collect(value: &Value, out: &mut Vec<u64>) {
    match value {
        Value::Array(values) => values.iter().for_each(|v| collect(v, out)),
        Value::Object(members) => {
            out.extend(is_fact(members));
            members.values().for_each(|v| collect(v, out));
        }
        _ => {}
    }
}

fn insert(value: &mut Value, bodies: &HashMap<u64, Value>) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|v| insert(v, bodies)),
        Value::Object(members) => {
            members.values_mut().for_each(|v| insert(v, bodies));
            if let Some(body) = is_fact(members).and_then(|p| bodies.get(&p)) {
                members.insert("body".to_owned(), body.clone());
            }
        }
        _ => {}
    }
}

/// A page of what the register has of one kind, in order of the position it was first
/// recorded at; what `row` answers nothing about is left out.
fn page(
    app: &Shared,
    params: &Params,
    kind: StreamType,
    row: impl Fn(&Register, &str) -> Option<Value>,
) -> Result<Json<Value>, Problem> {
    let (cursor, limit) = (params.number("cursor")?.unwrap_or(0), params.limit()?);
    let (items, next) = app.ledger.with_register(|register| {
        let all = register.in_order(kind);
        let rest = &all[all.partition_point(|(position, _)| *position < cursor)..];
        let mut rows = rest.iter().filter_map(|(p, id)| Some((*p, row(register, id)?)));
        let items: Vec<Value> = rows.by_ref().take(limit).map(|(_, row)| row).collect();
        (items, rows.next().map(|(position, _)| position.to_string()))
    });
    Ok(Json(json!({"items": items, "next": next})))
}

fn nothing(kind: &str, id: &str) -> Problem {
    Problem::not_found(&format!("/v1/{kind}/{id}"))
}

pub async fn processings(
    State(app): State<Shared>,
    params: Params,
) -> Result<Json<Value>, Problem> {
    params.only(LIST)?;
    let when = When::read(&app, &params).await?;
    page(&app, &params, StreamType::Processing, |register, id| {
        let view = register.view(when.size);
        let p = view.processing(id)?;
        let versions = view.known(&p.versions);
        let version = versions.iter().rev().find(|v| when.valid(&v.at).is_some())?;
        let data = &version.data;
        let purposes: Vec<_> = data.purposes.iter().map(|p| p.code).collect();
        let categories: Vec<_> = data.categories.iter().map(|c| c.code).collect();
        Some(json!({
            "id": id,
            "position": version.position,
            "first_position": p.first,
            "controller": p.controller,
            "title": data.title,
            "purposes": purposes,
            "categories": categories,
            "legal_basis": data.legal_basis,
            "formal": version.formal,
            "valid": when.valid(&version.at),
        }))
    })
}

pub async fn processing(
    State(app): State<Shared>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<Value>, Problem> {
    params.only(ONE)?;
    let when = When::read(&app, &params).await?;
    processing_at(&app, &id, &when).await.map(Json)
}

/// The register's answer about one processing.
pub async fn processing_at(app: &Shared, id: &str, when: &When) -> Result<Value, Problem> {
    let answer = app.ledger.with_register(|register| {
        let view = register.view(when.size);
        let p = view.processing(id)?;
        let mut answer = when.head(id);
        let day = when.as_of.map_or(Interval { earliest: None, latest: None }, Interval::day);
        let in_force = view.in_force(&p.versions, &day);
        let rulings: Vec<Value> = view
            .rulings_on(p, None)
            .into_iter()
            .filter_map(|r| {
                when.fact(r).map(|mut f| {
                    f["ruling"] = r.data.ruling.as_str().into();
                    f
                })
            })
            .collect();
        let decisions: Vec<Value> =
            view.decisions_on(p).filter_map(|d| decision_json(when, view, d)).collect();
        for (name, value) in [
            ("position", json!(p.first)),
            ("controller", json!(p.controller)),
            ("declared", json!({"in_force": in_force.positions(), "certain": in_force.certain})),
            ("versions", when.facts(view, &p.versions)),
            ("deployments", when.facts(view, &p.deployments)),
            ("withdrawals", when.facts(view, &p.withdrawals)),
            ("formalities", when.facts(view, &p.formalities)),
            ("receipts", when.facts(view, &p.receipts)),
            ("information", when.facts(view, &p.information)),
            ("opinions", when.facts(view, &p.opinions)),
            ("assessments", when.facts(view, &p.assessments)),
            ("decisions", decisions.into()),
            ("rulings", rulings.into()),
            ("experiments", json!(p.experiments)),
            ("agreements", when.count(view, &p.agreements).into()),
            ("objections", when.count(view, &p.objections).into()),
            ("uses", when.count(view, &p.uses).into()),
            ("about", about(when, view, StreamType::Processing, id)),
            ("generalisation", obstacles(when, view, StreamType::Processing, id)),
        ] {
            answer.insert(name.to_owned(), value);
        }
        Some(Value::Object(answer))
    });
    let answer = answer.ok_or_else(|| nothing("processings", id))?;
    with_bodies(app, answer).await
}

/// What was filed about something.
fn about(when: &When, view: View<'_>, kind: StreamType, id: &str) -> Value {
    let about = view.about(kind, id);
    json!({
        "statements": when.facts(view, about.statements()),
        "milestones": when.facts(view, about.milestones()),
        "consultations": when.facts(view, about.consultations()),
        "conditions_set": when.facts(view, about.conditions_set()),
        "conditions_met": when.facts(view, about.conditions_met()),
        "generalisations": when.facts(view, about.generalisations()),
    })
}

/// What stands in the way of generalising on that day; today's knowledge without one.
fn obstacles(when: &When, view: View<'_>, kind: StreamType, id: &str) -> Value {
    let days = when.as_of.map_or(Interval { earliest: None, latest: None }, Interval::day);
    let found = generalise::obstacles(view, kind, id, &days).unwrap_or_default();
    let open = found.iter().any(|f| f.evidence == Evidence::Uncertain);
    json!({"findings": found, "certain": !open})
}

pub async fn decisions(State(app): State<Shared>, params: Params) -> Result<Json<Value>, Problem> {
    params.only(LIST)?;
    let when = When::read(&app, &params).await?;
    page(&app, &params, StreamType::Decision, |register, id| {
        let view = register.view(when.size);
        decision_json(&when, view, view.decision(id)?)
    })
}

pub async fn decision(
    State(app): State<Shared>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<Value>, Problem> {
    params.only(ONE)?;
    let when = When::read(&app, &params).await?;
    decision_at(&app, &id, &when).await.map(Json)
}

/// The register's answer about one decision.
pub async fn decision_at(app: &Shared, id: &str, when: &When) -> Result<Value, Problem> {
    let found = app.ledger.with_register(|register| {
        let view = register.view(when.size);
        let answer = decision_json(when, view, view.decision(id)?)?;
        Some((answer, about(when, view, StreamType::Decision, id)))
    });
    let (mut answer, about) = found.ok_or_else(|| nothing("decisions", id))?;
    answer["about"] = with_bodies(app, about).await?;
    Ok(answer)
}

fn decision_json(when: &When, view: View<'_>, decision: &Decision) -> Option<Value> {
    let rendered = &decision.rendered;
    let data = &rendered.data;
    let mut answer = when.fact(rendered)?;
    let outcomes: Vec<Value> = data
        .outcomes
        .iter()
        .map(|o| {
            let grounds: Vec<Value> = o
                .grounds
                .iter()
                .map(|g| leave_out_null(json!({"fact": g.fact, "text": g.text})))
                .collect();
            let conditions: Vec<Value> = o
                .conditions
                .iter()
                .map(|c| leave_out_null(json!({"condition": c.condition, "text": c.text})))
                .collect();
            json!({
                "purpose": o.purpose, "outcome": o.outcome, "grounds": grounds,
                "conditions": conditions,
            })
        })
        .collect();
    let endings: Vec<Value> = view
        .known(&decision.endings)
        .iter()
        .filter_map(|e| {
            let mut ending = when.fact(e)?;
            ending["how"] = json!(e.data.how);
            ending["effective_from"] = e.data.effective_from.text().into();
            ending["purposes"] = json!(e.data.purposes);
            Some(ending)
        })
        .collect();
    let codes: Vec<&str> = data.outcomes.iter().map(|o| o.outcome.as_str()).collect();
    let more = json!({
        "id": data.decision,
        "number": data.number,
        "formality": data.formality,
        "processing": data.processing,
        "effective_from": data.effective_from.as_ref().map(|e| e.text()),
        "until": data.until.as_ref().map(|e| e.text()),
        "outcome": overall(&codes),
        "outcomes": outcomes,
        "endings": endings,
    });
    if let (Value::Object(answer), Value::Object(more)) = (&mut answer, more) {
        answer.extend(more);
    }
    Some(answer)
}

/// The outcome of the whole: that of all purposes if they agree, `PARTIAL` if they do not,
/// nothing if no outcome is recorded.
pub fn overall<'a>(codes: &[&'a str]) -> Option<&'a str> {
    let first = codes.first()?;
    Some(if codes.iter().all(|c| c == first) { first } else { "PARTIAL" })
}

fn leave_out_null(mut value: Value) -> Value {
    if let Value::Object(members) = &mut value {
        members.retain(|_, v| !v.is_null());
    }
    value
}

pub async fn experiments(
    State(app): State<Shared>,
    params: Params,
) -> Result<Json<Value>, Problem> {
    params.only(LIST)?;
    let when = When::read(&app, &params).await?;
    page(&app, &params, StreamType::Experiment, |register, id| {
        let view = register.view(when.size);
        let e = view.experiment(id)?;
        let launch = view.known(&e.launches).iter().rev().find(|l| when.valid(&l.at).is_some())?;
        Some(json!({
            "id": id,
            "position": launch.position,
            "processing": e.processing,
            "unit": launch.data.unit,
            "start": launch.data.start.text(),
            "end": launch.data.end.as_ref().map(|e| e.text()),
            "sites": when.count(view, &e.sites),
            "valid": when.valid(&launch.at),
        }))
    })
}

pub async fn experiment(
    State(app): State<Shared>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<Value>, Problem> {
    params.only(ONE)?;
    let when = When::read(&app, &params).await?;
    experiment_at(&app, &id, &when).await.map(Json)
}

/// The register's answer about one experiment.
pub async fn experiment_at(app: &Shared, id: &str, when: &When) -> Result<Value, Problem> {
    let mut answer = experiment_in_short(app, id, when).await?;
    answer["sites"] = with_bodies(app, answer["sites"].take()).await?;
    Ok(answer)
}

/// The same, each site by what it is and not as it was filed: there may be thousands.
pub async fn experiment_in_short(app: &Shared, id: &str, when: &When) -> Result<Value, Problem> {
    let answer = app.ledger.with_register(|register| {
        let view = register.view(when.size);
        let e = view.experiment(id)?;
        let mut answer = when.head(id);
        let sites: Vec<Value> = view
            .known(&e.sites)
            .iter()
            .filter_map(|s| {
                let mut site = when.fact(s)?;
                site["site"] = json!({
                    "id": s.data.id, "name": s.data.name, "siret": s.data.siret,
                    "commune": s.data.commune, "headcount": s.data.headcount,
                    "headcount_on": s.data.headcount_on.as_ref().map(|d| d.text()),
                });
                Some(site)
            })
            .collect();
        for (name, value) in [
            ("position", json!(e.first)),
            ("processing", json!(e.processing)),
            ("launches", when.facts(view, &e.launches)),
            ("plans", when.facts(view, &e.plans)),
            ("expansions", when.facts(view, &e.expansions)),
            ("evaluations", when.facts(view, &e.evaluations)),
            ("ends", when.facts(view, &e.ends)),
            ("about", about(when, view, StreamType::Experiment, id)),
            ("generalisation", obstacles(when, view, StreamType::Experiment, id)),
        ] {
            answer.insert(name.to_owned(), value);
        }
        Some((Value::Object(answer), sites))
    });
    let (answer, sites) = answer.ok_or_else(|| nothing("experiments", id))?;
    let mut answer = with_bodies(app, answer).await?;
    answer["sites"] = sites.into();
    Ok(answer)
}

pub async fn parties(State(app): State<Shared>, params: Params) -> Result<Json<Value>, Problem> {
    params.only(LIST)?;
    let when = When::read(&app, &params).await?;
    page(&app, &params, StreamType::Party, |register, id| {
        let party = register.party(id).filter(|p| p.position < when.size)?;
        Some(party_json(&when, id, party))
    })
}

pub async fn party(
    State(app): State<Shared>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<Value>, Problem> {
    params.only(ONE)?;
    let when = When::read(&app, &params).await?;
    party_at(&app, &id, &when).await.map(Json)
}

/// The register's answer about one party.
pub async fn party_at(app: &Shared, id: &str, when: &When) -> Result<Value, Problem> {
    let answer = app.ledger.with_register(|register| {
        let view = register.view(when.size);
        let mut answer = party_json(when, id, view.party(id)?);
        answer["about"] = about(when, view, StreamType::Party, id);
        Some(answer)
    });
    let answer = answer.ok_or_else(|| nothing("parties", id))?;
    with_bodies(app, answer).await
}

fn party_json(when: &When, id: &str, party: &Party) -> Value {
    let keys: Vec<Value> = party
        .keys
        .iter()
        .filter(|k| k.enrolled < when.size)
        .map(|k| {
            json!({
                "kid": k.key.kid(),
                "jwk": k.key.to_jwk(),
                "enrolled": k.enrolled,
                "revoked": k.revoked.filter(|r| *r < when.size),
            })
        })
        .collect();
    json!({
        "id": id,
        "position": party.position,
        "name": party.name,
        "roles": party.roles,
        "siren": party.siren,
        "keys": keys,
    })
}

#[cfg(test)]
mod tests {
    use super::overall;

    #[test]
    fn outcomes_that_differ_are_partial() {
        assert_eq!(overall(&["ACCEPTED", "ACCEPTED"]), Some("ACCEPTED"));
        assert_eq!(overall(&["ACCEPTED", "REFUSED"]), Some("PARTIAL"));
        assert_eq!(overall(&[]), None);
    }
}
