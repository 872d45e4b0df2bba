//! `POST /v1/judgements`: would this access be covered? Nothing is recorded.
//!
//! The body is that of an `access.request` or `access.report` with personal values in clear;
//! they are used and forgotten. The answer is what recording it now would give, refusals
//! included, as filed by whoever may file it: a recipient who may not asks all the same. As
//! known at an earlier size the register alone answers. With `kind` = `generalise.decide` the question is what stands in the way of
//! generalising: it reads only the public register.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use greffe_domain::event::At;
use greffe_domain::kind::{Kind, StreamType};
use greffe_domain::refusal::{Refusal, RefusalCode as C};
use greffe_domain::rules::{CURRENT, generalise};
use greffe_domain::seal::TreeSize;
use serde_json::{Value, json};

use super::accesses::reasons;
use super::authz::{Reach, Reader, Route, admit};
use super::problem::Problem;
use super::{Json, Known, Language, Shared};
use crate::sign::hypothetical_access;
use crate::words::{Lang, word};

/// How often each party asked within the minute.
#[derive(Debug, Clone, Default)]
pub struct Quotas(Arc<Mutex<HashMap<(&'static str, String), u32>>>);

const MINUTE_S: u32 = 60;

impl Quotas {
    /// Counts `n` requests; refuses past `limit` within a minute of the first.
    pub fn take(&self, what: &'static str, party: &str, n: u32, limit: u32) -> Result<(), Problem> {
        let name = (what, party.to_owned());
        let mut counts = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let new = !counts.contains_key(&name);
        let count = counts.entry(name.clone()).or_default();
        let total = count.saturating_add(n);
        if total > limit {
            return Err(Problem::too_many_requests(MINUTE_S));
        }
        *count = total;
        drop(counts);
        if new {
            let counts = Arc::clone(&self.0);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(MINUTE_S.into())).await;
                counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(&name);
            });
        }
        Ok(())
    }
}

pub async fn create(
    State(app): State<Shared>,
    reader: Reader,
    Language(lang): Language,
    Json(question): Json,
) -> Result<axum::Json<Value>, Problem> {
    admit(Route::Judgements, &reader)?;
    take(&app, &reader, 1)?;
    answer(&app, &reader, lang, &question).await.map(axum::Json)
}

/// Counts `n` dry runs of this reader's within the minute.
pub fn take(app: &Shared, reader: &Reader, n: u32) -> Result<(), Problem> {
    let party = reader.party().unwrap_or_default();
    app.quotas.take("judgements", party, n, app.limits.judgements_per_minute)
}

/// What the route answers, uncounted: also asked by the pages of whoever is signed in.
pub async fn answer(
    app: &Shared,
    reader: &Reader,
    lang: Lang,
    question: &Value,
) -> Result<Value, Problem> {
    let reach = admit(Route::Judgements, reader)?;
    let party = reader.party().unwrap_or_default();
    let members = question.as_object().ok_or_else(|| shape(""))?;
    const MEMBERS: [&str; 4] = ["kind", "at", "known_at", "body"];
    if let Some(name) = members.keys().find(|k| !MEMBERS.contains(&k.as_str())) {
        return Err(Refusal::at(
            format!("/{name}"),
            C::FieldUnknown,
            format!("« {name} » n’est pas attendu ici"),
            format!("`{name}` is not expected here"),
        )
        .into());
    }
    let at = match members.get("at") {
        None => At::unknown(),
        Some(text) => text.as_str().and_then(At::parse).ok_or_else(|| {
            Refusal::at(
                "/at",
                C::DateInvalid,
                "date attendue au format EDTF, par exemple 2017-11",
                "expected an EDTF date, e.g. 2017-11",
            )
        })?,
    };
    let known = match members.get("known_at") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Known::parse(Some(text))?,
        Some(Value::Number(n)) => Known::parse(Some(&n.to_string()))?,
        Some(_) => return Err(shape("/known_at")),
    };
    let known = match known {
        None => None,
        Some(known) => Some(known.size(app).await?),
    };
    let size = known.unwrap_or_else(|| app.ledger.size().0);
    let body = members.get("body").ok_or_else(|| shape("/body"))?;
    let kind = members.get("kind").and_then(Value::as_str).ok_or_else(|| shape("/kind"))?;
    let kind = match Kind::parse(kind) {
        Some(kind @ (Kind::AccessRequest | Kind::AccessReport)) => kind,
        Some(Kind::GeneraliseDecide) => return generalisation(app, body, &at, size, lang),
        _ => {
            return Err(Refusal::at(
                "/kind",
                C::CodeUnknown,
                "attendu : access.request, access.report ou generalise.decide",
                "expected access.request, access.report or generalise.decide",
            )
            .into());
        }
    };
    let (signed, access) = hypothetical_access(body)?;
    let discloser = app.ledger.with_register(|r| {
        let controller = r.processing(&access.processing).and_then(|p| p.controller.clone());
        access.discloser.clone().or(controller)
    });
    let own = access.recipient.party == party || discloser.as_deref() == Some(party);
    if reach == Reach::Own && !own {
        return Err(Refusal::new(
            C::NotYours,
            "une partie fait juger les accès qu’elle communiquerait ou recevrait",
            "a party has judged the accesses it would disclose or receive",
        )
        .into());
    }
    let (event, judgement) = match known {
        Some(size) => (None, app.ledger.judge(&access, &at, TreeSize(size))?),
        None => {
            let filers = [Some(party), discloser.as_deref(), Some(&access.recipient.party)];
            let answers = filers
                .into_iter()
                .flatten()
                .map(|iss| app.ledger.try_access(kind, iss, &signed, &access, &at));
            let (event, judgement) = first_that_may(answers)?;
            (Some(event), judgement)
        }
    };
    let mut verdict = judgement.verdict;
    // Nothing was signed, so there is no digest to rest on.
    verdict.findings.iter_mut().for_each(|f| f.rests_on.clear());
    let mut answer = verdict.to_value();
    for (finding, value) in
        verdict.findings.iter().zip(answer["findings"].as_array_mut().into_iter().flatten())
    {
        if let Some(reason) = super::queries::reason(finding.code.as_str(), &CURRENT, lang) {
            value["reason"] = reason.into();
        }
    }
    answer["reasons"] = reasons(&[&verdict], lang);
    answer["event"] = json!(event);
    answer["notice"] = word(lang, "home-finding-not-ruling").into();
    Ok(answer)
}

/// The first answer that is none of who may file; else why the asker itself may not.
fn first_that_may<T>(answers: impl Iterator<Item = Result<T, Refusal>>) -> Result<T, Refusal> {
    let mut may_not = None;
    for answer in answers {
        match answer {
            Err(refusal) if matches!(refusal.code, C::RoleNotAllowed | C::NotYours) => {
                may_not.get_or_insert(refusal);
            }
            other => return other,
        }
    }
    Err(may_not.expect("the asker itself is among those who might file"))
}

fn shape(pointer: &str) -> Problem {
    Refusal::at(
        pointer,
        C::Malformed,
        "attendu : {\"kind\":\"access.request\",\"at\":…,\"known_at\"?:…,\"body\":{…}}",
        "expected {\"kind\":\"access.request\",\"at\":…,\"known_at\"?:…,\"body\":{…}}",
    )
    .into()
}

fn generalisation(
    app: &Shared,
    body: &Value,
    at: &At,
    size: u64,
    lang: Lang,
) -> Result<Value, Problem> {
    let about = &body["about"];
    let kind = serde_json::from_value::<StreamType>(about["type"].clone())
        .ok()
        .filter(|k| matches!(k, StreamType::Processing | StreamType::Experiment));
    let (Some(kind), Some(id)) = (kind, about["id"].as_str()) else {
        return Err(shape("/body/about"));
    };
    let found = app
        .ledger
        .with_register(|r| {
            let days = at.valid_days(app.ledger.now().date());
            generalise::obstacles(r.view(size), kind, id, &days)
        })
        .ok_or_else(|| {
            Refusal::at(
                "/body/about/id",
                C::IdUnknown,
                format!("« {id} » n’est pas au registre"),
                format!("`{id}` is not in the register"),
            )
        })?;
    let mut words = serde_json::Map::new();
    for finding in &found {
        let code = finding.code.as_str();
        if let Some(reason) = super::queries::reason(code, &CURRENT, lang) {
            words.insert(code.to_owned(), reason.into());
        }
    }
    Ok(json!({"findings": found, "judged_at": size, "reasons": words}))
}
