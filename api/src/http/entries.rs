//! The ledger itself: its head, and its sealed entries as stored.
//!
//! A party gets its own entries whole; the others keep their place as hidden entries (link
//! and signature, no leaf), so that what it has still hangs together.

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use greffe_domain::encoding::base64url;
use greffe_domain::register::Register;
use greffe_infra::ledger::PublicHead;
use serde_json::{Value, json};

use super::accesses::not_yours;
use super::authz::{Reach, Reader, Route, admit};
use super::problem::Problem;
use super::queries::{self, Read};
use super::{Params, Shared, raw_json};

pub async fn head(State(app): State<Shared>, params: Params) -> Result<axum::Json<Value>, Problem> {
    params.only(&[])?;
    Ok(axum::Json(head_json(&app.ledger.head()?)))
}

/// `{origin, size, link, signature, key, time}`, which proves itself under `trust.json`.
pub fn head_json(head: &PublicHead) -> Value {
    json!({
        "origin": head.origin,
        "size": head.signed.size,
        "link": head.signed.link,
        "signature": base64url(&head.signed.signature),
        "key": head.signed.kid,
        "time": head.time,
    })
}

fn sees(reach: Reach, reader: &Reader, read: &Read, register: &Register) -> bool {
    reach == Reach::Everything
        || read.filed().is_some_and(|filed| {
            let access = filed.body.access();
            let processing = access.and_then(|a| register.processing(&a.processing));
            reader.concerns(filed, processing.and_then(|p| p.controller.as_deref()))
        })
}

pub async fn one(
    State(app): State<Shared>,
    Path(position): Path<String>,
    reader: Reader,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let reach = admit(Route::Entries, &reader)?;
    let nothing = || Problem::not_found(&format!("/v1/entries/{position}"));
    let number: u64 = position.parse().map_err(|_| nothing())?;
    let read = queries::entry(&app, number).await?.ok_or_else(nothing)?;
    if !app.ledger.with_register(|register| sees(reach, &reader, &read, register)) {
        return Err(not_yours());
    }
    Ok(raw_json(read.row.sealed.to_json_line()))
}

/// Entries sent at once.
const CHUNK: u64 = 256;

pub async fn list(
    State(app): State<Shared>,
    reader: Reader,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&["from", "limit"])?;
    let reach = admit(Route::Entries, &reader)?;
    let from = params.number("from")?.unwrap_or(0);
    let size = app.ledger.size().0;
    let until = match params.number("limit")? {
        Some(limit) => size.min(from.saturating_add(limit)),
        None => size,
    };
    let stream = futures_util::stream::try_unfold(from, move |next| {
        let (app, reader) = (app.clone(), reader.clone());
        async move {
            if next >= until {
                return Ok::<_, std::io::Error>(None);
            }
            let end = until.min(next + CHUNK);
            let mut lines = Vec::new();
            let scanned = queries::scan(
                &app,
                next,
                end,
                |_| true,
                |read| {
                    let line = if app.ledger.with_register(|r| sees(reach, &reader, &read, r)) {
                        read.row.sealed.to_json_line()
                    } else {
                        read.row.sealed.hide().to_json_line()
                    };
                    lines.extend_from_slice(&line);
                    lines.push(b'\n');
                    true
                },
            );
            scanned.await.map_err(|fault| {
                // The status is sent; breaking off is the only way left to say so.
                crate::log::fault(&fault);
                std::io::Error::other("the ledger could not be read")
            })?;
            Ok(Some((Bytes::from(lines), end)))
        }
    });
    let body = Body::from_stream(stream);
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}
