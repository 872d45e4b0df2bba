//! Liveness, readiness, metrics.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use greffe_infra::ledger::Standing;
use serde_json::{Value, json};

use super::Shared;

/// What this process has counted since it started.
#[derive(Debug, Default)]
pub struct Counters {
    /// By status class, from 1xx.
    responses: [AtomicU64; 5],
    problems: Mutex<BTreeMap<&'static str, u64>>,
    subjects: AtomicU64,
}

impl Counters {
    pub fn response(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.responses[class].fetch_add(1, Ordering::Relaxed);
    }

    pub fn problem(&self, code: &'static str) {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        *problems.entry(code).or_default() += 1;
    }

    pub fn subjects(&self, count: u64) {
        self.subjects.fetch_add(count, Ordering::Relaxed);
    }
}

pub async fn live() -> Json<Value> {
    Json(json!({"live": true}))
}

/// A store that takes longer to say where it ends is out of reach: whoever watches must hear
/// of it before giving up.
const STORE_ANSWERS: Duration = Duration::from_secs(3);

/// Whether this server is of use, and what that rests on.
struct Readiness {
    ready: bool,
    reachable: bool,
    verified: bool,
    standing: Standing,
}

/// Ready: the store answers, and the head verifies under the key the register names. A
/// server that follows is ready; one whose store lost entries is not. What it says of a
/// follower that was given no key is that the head is not verified here.
async fn readiness(app: &Shared) -> Readiness {
    let size = app.ledger.known_head().head.size.0;
    let store = Arc::clone(app.ledger.store());
    // Asked to the end by itself: what it settles on the way is not broken off.
    let asked = tokio::spawn(async move { store.head().await.is_ok() });
    let answer = tokio::time::timeout(STORE_ANSWERS, asked).await;
    let reachable = matches!(answer, Ok(Ok(true)));
    let verified = app.ledger.head().is_ok_and(|head| {
        app.ledger.with_register(|register| {
            let key = size.checked_sub(1).and_then(|last| register.ledger_key(last + 1));
            key.is_some_and(|key| head.signed.verify(&head.origin, key))
        })
    });
    let standing = app.ledger.standing();
    let ready = reachable && (verified || standing == Standing::Follows);
    Readiness { ready, reachable, verified, standing }
}

pub async fn ready(State(app): State<Shared>) -> Response {
    let known = app.ledger.known_head();
    let Readiness { ready, reachable, verified, standing } = readiness(&app).await;
    let lag = app.projections.lag(&app.ledger);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut answer = json!({
        "ready": ready,
        "store_reachable": reachable,
        "head_verified": verified,
        "read_only": known.read_only,
        "standing": standing_name(standing),
        "size": known.head.size.0,
        "lag": lag,
        "store_lag": app.ledger.lag(),
    });
    if let Standing::Behind(loss) = standing {
        let (first, last) = loss.positions();
        answer["missing"] = json!({"first": first, "last": last});
    }
    (status, Json(answer)).into_response()
}

fn standing_name(standing: Standing) -> &'static str {
    match standing {
        Standing::Writes => "writes",
        Standing::Follows => "follows",
        Standing::Behind(_) => "behind",
        Standing::Stopped => "stopped",
    }
}

/// Prometheus text format 0.0.4.
pub async fn metrics(State(app): State<Shared>) -> Response {
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, rows: &[(String, u64)]| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in rows {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let head = app.ledger.known_head();
    let Readiness { ready, reachable, .. } = readiness(&app).await;
    family(
        "greffe_ready",
        "gauge",
        "1 when /readyz answers 200.",
        &[(String::new(), u64::from(ready))],
    );
    family(
        "greffe_store_reachable",
        "gauge",
        "1 when the store answers.",
        &[(String::new(), u64::from(reachable))],
    );
    family(
        "greffe_ledger_size",
        "gauge",
        "Entries in the ledger.",
        &[(String::new(), head.head.size.0)],
    );
    family(
        "greffe_ledger_read_only",
        "gauge",
        "1 when this server does not write the ledger.",
        &[(String::new(), u64::from(head.read_only))],
    );
    family(
        "greffe_ledger_behind",
        "gauge",
        "1 when entries that were acknowledged are missing from the store.",
        &[(String::new(), u64::from(matches!(app.ledger.standing(), Standing::Behind(_))))],
    );
    family(
        "greffe_store_lag",
        "gauge",
        "Entries of the store that this server has not seen yet.",
        &[(String::new(), app.ledger.lag())],
    );
    family(
        "greffe_projection_lag",
        "gauge",
        "Entries that lists and searches do not show yet.",
        &[(String::new(), app.projections.lag(&app.ledger))],
    );
    let counters = &app.counters;
    let responses: Vec<_> = counters
        .responses
        .iter()
        .enumerate()
        .map(|(i, n)| (format!("{{class=\"{}xx\"}}", i + 1), n.load(Ordering::Relaxed)))
        .collect();
    family("greffe_http_responses_total", "counter", "Answers by status class.", &responses);
    let problems: Vec<_> = {
        let problems = counters.problems.lock().unwrap_or_else(PoisonError::into_inner);
        problems.iter().map(|(code, n)| (format!("{{code=\"{code}\"}}"), *n)).collect()
    };
    family("greffe_problems_total", "counter", "Problem documents by code.", &problems);
    family(
        "greffe_subject_references_total",
        "counter",
        "Subject references given.",
        &[(String::new(), counters.subjects.load(Ordering::Relaxed))],
    );
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
