//! `GET /v1/findings`: what rules found on accesses, one line each: as recorded and standing
//! (`open`), brought or weighed otherwise by a later entry (`changed`), taken away (`closed`).
//!
//! Beside them, on the first page, what stands in the way of generalisations
//! (`generalisations.rs`): no access, no history.

use axum::Json;
use axum::extract::State;
use greffe_domain::rules::CURRENT;
use greffe_domain::rules::again::State as FindingState;
use greffe_domain::vocabulary::RuleCode;
use greffe_infra::projection::FindingFilter;
use serde_json::{Value, json};

use super::authz::{Reader, Route, admit};
use super::generalisations::{Asked, Hindered, hindered};
use super::problem::Problem;
use super::{Language, Params, Shared, queries};
use crate::words::Lang;

pub const PARAMS: &[&str] = &["code", "party", "state", "since", "cursor", "limit"];

pub async fn list(
    State(app): State<Shared>,
    reader: Reader,
    Language(lang): Language,
    params: Params,
) -> Result<Json<Value>, Problem> {
    params.only(PARAMS)?;
    let reach = admit(Route::Findings, &reader)?;
    let code = params.parsed("code", RuleCode::parse, "un code de règle", "a rule code")?;
    let filter = FindingFilter {
        code: code.map(|c| c.as_str().to_owned()),
        party: params.text("party").map(str::to_owned),
        state: params.parsed(
            "state",
            FindingState::parse,
            "open, changed ou closed",
            "open, changed or closed",
        )?,
        since: params.instant("since", false)?,
        visible_to: reader.sees_only(reach),
        cursor: params.number("cursor")?,
        limit: params.limit()?,
    };
    let asked = Asked {
        code: filter.code.clone(),
        parties: filter.party.iter().chain(&filter.visible_to).cloned().collect(),
    };
    // They have no history: as of now, on the first page, is all that can be asked of them.
    let whole = filter.since.is_none()
        && filter.cursor.is_none()
        && filter.state.is_none_or(|state| state == FindingState::Open);
    let page = queries::findings(&app, filter).await?;
    let generalisations: Vec<Value> = match whole {
        true => app.ledger.with_register(|register| {
            hindered(register, &asked).iter().map(|h| generalisation(h, lang)).collect()
        }),
        false => Vec::new(),
    };
    let items: Vec<Value> = page
        .items
        .iter()
        .map(|row| {
            json!({
                "position": row.position,
                "recorded": row.recorded,
                "code": row.code,
                "severity": row.severity,
                "evidence": row.evidence,
                "positions": row.positions,
                "state": row.state.as_str(),
                "since": row.since,
                "until": row.until,
                "cause": row.cause,
                "then": row.then.as_ref().map(|(severity, evidence)| {
                    json!({"severity": severity, "evidence": evidence})
                }),
                "source": CURRENT.rule(&row.code).map(|r| r.source),
                "reason": queries::reason(&row.code, &CURRENT, lang),
                "processing": row.processing,
                "recipient": row.recipient,
                "discloser": row.discloser,
            })
        })
        .collect();
    Ok(Json(json!({
        "items": items,
        "next": page.next.map(|n| n.to_string()),
        "generalisations": generalisations,
    })))
}

fn generalisation(hindered: &Hindered, lang: Lang) -> Value {
    let findings: Vec<Value> = hindered
        .findings
        .iter()
        .map(|finding| {
            let mut told = json!(finding);
            told["reason"] = json!(queries::reason(finding.code.as_str(), &CURRENT, lang));
            told
        })
        .collect();
    json!({
        "about": {"type": hindered.kind, "id": hindered.id},
        "processing": hindered.processing,
        "controller": hindered.controller,
        "decided": hindered.decided,
        "findings": findings,
    })
}
