//! `POST /v1/filings`: one SD-JWT, or many as NDJSON.

use std::io::Write as _;

use axum::body::Body;
use axum::extract::{FromRequest, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use greffe_domain::refusal::{Refusal, RefusalCode as C};
use greffe_infra::receipt::Receipt;
use serde_json::json;

use super::extract::{media_type, unsupported_media_type};
use super::problem::Problem;
use super::{Params, Shared, Text, raw_json};

pub async fn create(
    State(app): State<Shared>,
    params: Params,
    request: Request,
) -> Result<Response, Problem> {
    params.only(&["partial"])?;
    let partial = params.flag("partial")?;
    let media = media_type(request.headers());
    match media.as_deref() {
        Some("application/sd-jwt") => {
            let Text(text) = Text::from_request(request, &app).await?;
            let receipts = app.ledger.submit(text.trim_end_matches(['\r', '\n'])).await?;
            Ok(created(&receipts))
        }
        Some("application/x-ndjson") => {
            let lang = super::language(&request);
            let Text(text) = Text::from_request(request, &app).await?;
            if partial {
                return Ok(line_by_line(&app, &text, lang).await);
            }
            let mut filings = Vec::new();
            for (number, line) in lines(&text) {
                filings.push((number, read_line(number, line)?));
            }
            if filings.is_empty() {
                return Err(Refusal::new(C::Malformed, "aucun dépôt", "no filing").into());
            }
            let filings: Vec<(usize, &str)> =
                filings.iter().map(|(number, text)| (*number, text.as_str())).collect();
            let receipts = app.ledger.submit_lines(&filings).await?;
            Ok(created(&receipts))
        }
        _ => Err(unsupported_media_type()),
    }
}

fn created(receipts: &[Receipt]) -> Response {
    let mut body = raw_json(recorded(None, receipts));
    *body.status_mut() = StatusCode::CREATED;
    body
}

/// `{"line":…,"receipts":[…]}`.
fn recorded(line: Option<usize>, receipts: &[Receipt]) -> Vec<u8> {
    let room = receipts.iter().map(Receipt::written_bytes).sum::<usize>();
    let mut out = Vec::with_capacity(room + 64);
    out.push(b'{');
    if let Some(line) = line {
        write!(out, "\"line\":{line},").expect("writing to memory does not fail");
    }
    out.extend_from_slice(b"\"receipts\":[");
    for (index, receipt) in receipts.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        receipt.write_canonical(&mut out);
    }
    out.extend_from_slice(b"]}");
    out
}

/// Lines that hold something, numbered from 1.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(i, line)| (i + 1, line.trim()));
    numbered.filter(|(_, line)| !line.is_empty())
}

fn read_line(number: usize, line: &str) -> Result<String, Problem> {
    let bad = || {
        Refusal::new(
            C::Malformed,
            format!("ligne {number} : attendu {{\"filing\":\"<SD-JWT>\"}}"),
            format!("line {number}: expected {{\"filing\":\"<SD-JWT>\"}}"),
        )
    };
    let value = greffe_domain::json::parse(line.as_bytes()).map_err(|_| bad())?;
    let members = value.as_object().filter(|m| m.len() == 1).ok_or_else(bad)?;
    let filing = members.get("filing").and_then(|f| f.as_str()).ok_or_else(bad)?;
    Ok(filing.to_owned())
}

/// One answer a line; a line refused does not stop the next.
async fn line_by_line(app: &Shared, text: &str, lang: crate::words::Lang) -> Response {
    let mut out = Vec::new();
    for (number, line) in lines(text) {
        let answer = match read_line(number, line) {
            Ok(filing) => app.ledger.submit(&filing).await.map_err(Problem::from),
            Err(problem) => Err(problem),
        };
        match answer {
            Ok(receipts) => out.extend_from_slice(&recorded(Some(number), &receipts)),
            Err(problem) => {
                app.counters.problem(problem.code);
                let line = json!({"line": number, "problem": problem.document(lang)});
                serde_json::to_writer(&mut out, &line).expect("writing to memory does not fail");
            }
        }
        out.push(b'\n');
    }
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from(out)).into_response()
}
