//! `POST /v1/subjects`: identities in, references out. Nothing about an identity is stored
//! or logged, and a refusal names the field without repeating its value.

use axum::extract::State;
use greffe_domain::refusal::{Refusal, RefusalCode as C};
use greffe_domain::subject::Pivot;
use serde_json::{Value, json};

use super::authz::{Reader, Route, admit};
use super::problem::Problem;
use super::{Json, Shared};

/// Most identities of one request.
const MAX_IDENTITIES: usize = 1_000;

pub async fn create(
    State(app): State<Shared>,
    reader: Reader,
    Json(request): Json,
) -> Result<axum::Json<Value>, Problem> {
    admit(Route::Subjects, &reader)?;
    let shape = || {
        Refusal::at(
            "/identities",
            C::Malformed,
            "attendu : {\"identities\":[{family_name, given_names, sex, birthdate, birthplace}]}, de 1 à 1 000",
            "expected {\"identities\":[{family_name, given_names, sex, birthdate, birthplace}]}, 1 to 1,000 of them",
        )
    };
    let identities = request
        .as_object()
        .filter(|m| m.len() == 1)
        .and_then(|m| m.get("identities"))
        .and_then(Value::as_array)
        .filter(|list| (1..=MAX_IDENTITIES).contains(&list.len()))
        .ok_or_else(shape)?;
    let count = u32::try_from(identities.len()).unwrap_or(u32::MAX);
    let party = reader.party().unwrap_or_default();
    app.quotas.take("subjects", party, count, app.limits.subjects_per_minute)?;
    let mut references = Vec::with_capacity(identities.len());
    for (i, identity) in identities.iter().enumerate() {
        // Serde's message would repeat the value.
        let pivot: Pivot = serde_json::from_value(identity.clone()).map_err(|_| {
            Refusal::at(
                format!("/identities/{i}"),
                C::FieldMissing,
                "attendu : family_name, given_names, sex, birthdate, birthplace, et rien d’autre",
                "expected family_name, given_names, sex, birthdate, birthplace, and nothing else",
            )
        })?;
        let reference = app.ledger.subject_reference(&pivot).map_err(|mut refusal| {
            for error in &mut refusal.errors {
                error.pointer = format!("/identities/{i}{}", error.pointer);
            }
            refusal
        })?;
        references.push(reference.to_string());
    }
    app.counters.subjects(u64::from(count));
    Ok(axum::Json(json!({"subjects": references})))
}
