//! `GET /v1/findings`: what rules found when accesses were recorded, one line each.

use axum::Json;
use axum::extract::State;
use greffe_domain::kind::EventType;
use greffe_domain::rules::CURRENT;
use greffe_domain::verdict::Severity;
use greffe_domain::vocabulary::RuleCode;
use serde_json::{Value, json};

use super::accesses::at_json;
use super::authz::{Reach, Reader, Route, admit};
use super::problem::Problem;
use super::{Language, Params, Shared, queries};

pub const PARAMS: &[&str] =
    &["code", "party", "processing", "severity", "since", "until", "cursor", "limit"];

pub async fn list(
    State(app): State<Shared>,
    reader: Reader,
    Language(lang): Language,
    params: Params,
) -> Result<Json<Value>, Problem> {
    params.only(PARAMS)?;
    let reach = admit(Route::Findings, &reader)?;
    let code = params.parsed("code", RuleCode::parse, "un code de règle", "a rule code")?;
    let severity = params.parsed(
        "severity",
        |t| serde_json::from_value::<Severity>(Value::from(t)).ok(),
        "INFO, MINOR, MAJOR ou BLOCKING",
        "INFO, MINOR, MAJOR or BLOCKING",
    )?;
    let (party, processing) = (params.text("party"), params.text("processing"));
    // `since` and `until` are days of recording.
    let (since, until) = (params.date("since")?, params.date("until")?);
    let size = app.ledger.size().0;
    let from = params.number("cursor")?.unwrap_or(0);
    let limit = params.limit()?;
    let mut items = Vec::new();
    let ledger = app.ledger.clone();
    let wanted = |row: &greffe_infra::store::EntryRow| {
        let day = row.time.date();
        matches!(
            row.event_type,
            EventType::AccessGranted | EventType::AccessDenied | EventType::AccessRecorded
        ) && since.is_none_or(|s| s <= day)
            && until.is_none_or(|u| day <= u)
    };
    let next = queries::scan(&app, from, size, wanted, |read| {
        let Some(recorded) = read.recorded() else { return true };
        let access = recorded.access;
        let controller = ledger
            .with_register(|r| r.processing(&access.processing).and_then(|p| p.controller.clone()));
        let discloser = access.discloser.as_deref().or(controller.as_deref());
        let concerned = party.is_none_or(|p| {
            access.recipient.party == p || discloser == Some(p) || recorded.filed.iss == p
        });
        let visible =
            reach == Reach::Everything || reader.concerns(recorded.filed, controller.as_deref());
        if !(concerned && visible) || processing.is_some_and(|p| p != access.processing) {
            return true;
        }
        for finding in &recorded.then.findings {
            if code.is_some_and(|c| c != finding.code)
                || severity.is_some_and(|s| s != finding.severity)
            {
                continue;
            }
            let words = queries::reason(finding.code.as_str(), &CURRENT);
            items.push(json!({
                "position": recorded.position,
                "recorded": recorded.time,
                "at": at_json(&recorded.filed.at),
                "code": finding.code,
                "severity": finding.severity,
                "evidence": finding.evidence,
                "positions": finding.positions,
                "source": finding.source,
                "reason": words.map(|(fr, en)| lang.pick(fr, en)),
                "verdict": recorded.then.verdict,
                "processing": access.processing,
                "purpose": access.purpose,
                "recipient": access.recipient.party,
                "discloser": discloser,
            }));
        }
        // The findings of one access stay together, so that the cursor is a position.
        items.len() < limit
    })
    .await?;
    Ok(Json(json!({"items": items, "next": next.map(|n| n.to_string())})))
}
