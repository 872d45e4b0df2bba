//! An example of a data source behind the gate: no receipt, no data.
//!
//! It holds a table of absences by establishment and releases the rows of one cohort to a
//! party that shows the receipt of a granted `access.request`. It never asks the ledger: the
//! trust file and the day are all it needs. What it does, in order:
//!
//! 1. it establishes **who asks**, by its own means (here a secret each): a receipt says who
//!    may receive, not that the one who shows it is that party;
//! 2. it checks the receipt for this processing, the purpose and site asked, that recipient
//!    and today (`greffe_domain::receipt`);
//! 3. it releases **what the grant names**, never what the request asks: the units and
//!    categories of the receipt, and nothing of a grant that is about persons.
//!
//! Anything else is a problem document, and not a row. A real source would also keep the
//! position of each receipt it served, for `use.record`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use greffe_domain::date::LegalDate;
use greffe_domain::json as strict;
use greffe_domain::receipt::{self, Asked, Grant, LedgerKeys, NoGrant};
use greffe_domain::vocabulary::{Category, Purpose};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Days lost, per mille of the days worked, in one establishment.
pub struct Row {
    pub unit: &'static str,
    pub category: &'static str,
    pub permille: i64,
}

pub struct DataSource {
    /// The ledger whose receipts are accepted, from its trust file.
    pub ledger: LedgerKeys,
    /// The processing these data belong to.
    pub processing: &'static str,
    pub table: Vec<Row>,
    /// Secret → party that holds it.
    pub clients: HashMap<&'static str, &'static str>,
    /// A real source reads its clock. UTC.
    pub today: RwLock<LegalDate>,
    /// Rows released since the start.
    pub released: AtomicUsize,
}

impl DataSource {
    /// Serves `POST /table` on a free port until the runtime ends.
    pub async fn serve(self: Arc<Self>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let router = Router::new().route("/table", post(table)).with_state(self);
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    /// The grant that covers this request, or why there is none.
    fn admit(&self, client: &str, request: &Value) -> Result<Grant, Refusal> {
        let receipt = request.get("receipt").ok_or_else(no_receipt)?;
        let purpose = request["purpose"].as_str().and_then(Purpose::parse);
        let asked = Asked {
            processing: Some(self.processing),
            // Both are always compared: a source that leaves one out accepts a receipt for
            // any purpose, or any site.
            purpose: Some(purpose.ok_or_else(|| malformed("name a `purpose`"))?),
            site: Some(request["site"].as_str().ok_or_else(|| malformed("name a `site`"))?),
            recipient: Some(client),
            categories: &[],
        };
        let today = *self.today.read().expect("nobody panics with this lock");
        // The leaf is canonical JSON, so that writing it again changes none of its bytes.
        let grant = receipt::check(&strict::canonical(receipt), &self.ledger, today, &asked)?;
        match grant.access.cohort {
            Some(_) => Ok(grant),
            None => Err(Refusal::forbidden("not-a-cohort", "the grant is about persons")),
        }
    }

    fn rows(&self, grant: &Grant) -> Vec<Value> {
        let units = grant.access.cohort.as_ref().map_or(&[][..], |cohort| &cohort.units);
        let granted = |row: &&Row| {
            let category = Category::parse(row.category);
            units.iter().any(|unit| unit == row.unit)
                && category.is_some_and(|category| grant.access.categories.contains(&category))
        };
        self.table
            .iter()
            .filter(granted)
            .map(
                |row| json!({"unit": row.unit, "category": row.category, "permille": row.permille}),
            )
            .collect()
    }
}

/// `POST /table` with `{"receipt":{…},"purpose":"…","site":"…"}`.
async fn table(
    State(source): State<Arc<DataSource>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let secret = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let client = secret
        .and_then(|value| source.clients.get(value.strip_prefix("Bearer ")?))
        .ok_or_else(|| Refusal {
            status: StatusCode::UNAUTHORIZED,
            code: "unknown-client",
            detail: "this source does not know you".to_owned(),
        })?;
    // Strictly: a member given twice could be checked once and used once.
    let request = strict::parse_nested(&body, 48).map_err(|e| malformed(&e.to_string()))?;
    let grant = source.admit(client, &request)?;
    let rows = source.rows(&grant);
    source.released.fetch_add(rows.len(), Ordering::Relaxed);
    Ok(Json(json!({"position": grant.position, "rows": rows})))
}

/// Why nothing is released.
struct Refusal {
    status: StatusCode,
    code: &'static str,
    detail: String,
}

impl Refusal {
    fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self { status: StatusCode::FORBIDDEN, code, detail: detail.into() }
    }
}

fn no_receipt() -> Refusal {
    Refusal::forbidden("no-receipt", "no receipt, no data: request access from the ledger first")
}

fn malformed(why: &str) -> Refusal {
    Refusal { status: StatusCode::BAD_REQUEST, code: "malformed", detail: why.to_owned() }
}

impl From<NoGrant> for Refusal {
    fn from(no_grant: NoGrant) -> Self {
        match no_grant {
            NoGrant::Refused(refused) => Self::forbidden(refused.code(), refused.to_string()),
            NoGrant::Unreadable(why) => malformed(&why.to_string()),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let document = json!({
            "type": "about:blank", "title": "Nothing is released", "status": self.status.as_u16(),
            "code": self.code, "detail": self.detail,
        });
        let headers = [(header::CONTENT_TYPE, "application/problem+json")];
        (self.status, headers, document.to_string()).into_response()
    }
}
