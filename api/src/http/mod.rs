//! The HTTP service: routes, and what every request goes through.
//!
//! `request → body limit → route → Reader (token) → authz::admit → handler → Problem or
//! answer → language of the reader`. One file a resource. Status codes are `problem.rs`,
//! rights `authz.rs`, searches over entries `queries.rs`.

mod accesses;
mod audit;
pub mod authz;
pub mod desk;
mod entries;
mod extract;
mod filings;
mod findings;
mod generalisations;
mod health;
mod judgements;
mod me;
mod openapi;
pub mod pages;
pub mod problem;
pub mod queries;
mod register;
pub mod session;
mod stats;
mod subjects;
pub mod tokens;
mod vocabulary;

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::FutureExt;
use greffe_infra::clock::Clock;
use greffe_infra::ledger::Ledger;
use greffe_infra::projection::{PROJECTIONS_FILE, Projections};
use greffe_infra::store::Fault;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use extract::{Json, Known, Language, Params, Text};
use pages::signin::SignIn;
use problem::Problem;

use crate::config::Limits;
use crate::words::Lang;

/// What handlers share.
pub struct App {
    pub ledger: Ledger,
    /// What lists and searches are answered from.
    pub projections: Arc<Projections>,
    /// The time outside the ledger: for tokens.
    pub clock: Clock,
    pub tokens: tokens::Tokens,
    pub counters: health::Counters,
    pub quotas: judgements::Quotas,
    pub limits: Limits,
    /// People signed in on pages.
    pub sessions: session::Sessions,
    pub sign_in: SignIn,
    /// Files what citizens contest. `None`: they are told where to turn instead.
    pub desk: Option<desk::Desk>,
    /// Batches that wait for a signature.
    pub drafts: pages::controller::batch::Drafts,
    /// Follows the ledger; ends with the app, or before it by `close`.
    follower: Mutex<Option<Follower>>,
}

/// The task that keeps the projections up, and what tells it to end.
struct Follower {
    task: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

pub type Shared = Arc<App>;

impl App {
    /// Serves a ledger whose projections are in `directory`, and keeps them up with it.
    pub async fn open(
        ledger: Ledger,
        directory: &Path,
        limits: Limits,
        sign_in: SignIn,
        desk: Option<desk::Desk>,
    ) -> Result<Shared, Fault> {
        let projections = Arc::new(Projections::open(&directory.join(PROJECTIONS_FILE))?);
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            let _ = stopped.await;
        };
        let task = tokio::spawn(Arc::clone(&projections).run_until(ledger.clone(), stopped));
        Ok(Arc::new(Self {
            ledger,
            projections,
            clock: Clock::System,
            tokens: tokens::Tokens::default(),
            counters: health::Counters::default(),
            quotas: judgements::Quotas::default(),
            limits,
            sessions: session::Sessions::new()?,
            sign_in,
            desk,
            drafts: Default::default(),
            follower: Mutex::new(Some(Follower { task, stop })),
        }))
    }

    /// Ends what follows the ledger, and waits until it let go of it: the directory may then
    /// be opened again, or moved.
    pub async fn close(&self) {
        let follower = self.follower.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Follower { task, stop }) = follower else { return };
        let _ = stop.send(());
        let _ = task.await;
    }

    /// Rebuilds the projections of `directory` from the first entry; answers the size they
    /// then cover.
    pub async fn rebuild(ledger: &Ledger, directory: &Path) -> Result<u64, Fault> {
        let projections = Arc::new(Projections::open(&directory.join(PROJECTIONS_FILE))?);
        Ok(projections.rebuild(ledger).await?.0)
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let follower = self.follower.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(follower) = follower {
            follower.task.abort();
        }
    }
}

/// Every route of the service.
pub fn router(app: Shared) -> Router {
    Router::new()
        .merge(page_routes())
        .merge(pages::regulator::routes())
        .merge(pages::controller::routes())
        .route("/openapi.json", get(openapi::document))
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/v1/head", get(entries::head))
        .route("/v1/filings", post(filings::create))
        .route("/v1/judgements", post(judgements::create))
        .route("/v1/tokens", post(tokens::create))
        .route("/v1/subjects", post(subjects::create))
        .route("/v1/entries", get(entries::list))
        .route("/v1/entries/{position}", get(entries::one))
        .route("/v1/processings", get(register::processings))
        .route("/v1/processings/{*id}", get(register::processing))
        .route("/v1/decisions", get(register::decisions))
        .route("/v1/decisions/{*id}", get(register::decision))
        .route("/v1/experiments", get(register::experiments))
        .route("/v1/experiments/{*id}", get(register::experiment))
        .route("/v1/parties", get(register::parties))
        .route("/v1/parties/{*id}", get(register::party))
        .route("/v1/accesses", get(accesses::list))
        .route("/v1/accesses/{position}", get(accesses::one))
        .route("/v1/me/accesses", get(me::accesses))
        .route("/v1/findings", get(findings::list))
        .route("/v1/audit", get(audit::list))
        .route("/v1/stats", get(stats::all))
        .route("/v1/regimes", get(vocabulary::regimes))
        .route("/v1/vocabulary", get(vocabulary::all))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), around))
        .with_state(app)
}

/// The pages people open.
fn page_routes() -> Router<Shared> {
    use pages::{home, me, problems, register as shown, signin};
    Router::new()
        .route("/", get(home::home))
        .route("/favicon.ico", get(pages::icon))
        .route("/search", get(shown::search))
        .route("/register", get(shown::index))
        .route("/register/processings", get(shown::processings))
        .route("/register/processings/{*id}", get(shown::processing))
        .route("/register/decisions", get(shown::decisions))
        .route("/register/decisions/{*id}", get(shown::decision))
        .route("/register/experiments", get(shown::experiments))
        .route("/register/experiments/{*id}", get(shown::experiment))
        .route("/register/parties", get(shown::parties))
        .route("/register/parties/{*id}", get(shown::party))
        .route("/signin", get(signin::page).post(signin::begin))
        .route("/signin/callback", get(signin::callback))
        .route("/signout", post(signin::end))
        .route("/me", get(me::history))
        .route("/me/extract.ndjson", get(me::extract))
        .route("/me/accesses/{position}", get(me::access))
        .route("/me/accesses/{position}/contest", post(me::contest))
        .route("/me/accesses/{position}/receipt.json", get(me::receipt))
        .route("/me/accesses/{position}/letter", get(me::letter))
        .route("/me/accesses/{position}/letter.txt", get(me::letter_text))
        .route("/problems", get(problems::all))
        .route("/problems/{code}", get(problems::one))
}

/// Whether an address is a person's page: its problems are then pages too.
fn is_page(path: &str) -> bool {
    !path.starts_with("/v1/")
        && !matches!(path, "/openapi.json" | "/healthz" | "/readyz" | "/metrics")
}

/// Whether the reader would rather have a page than a document.
fn prefers_page(request: &Request) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|v| v.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

async fn nothing_here(request: Request) -> Problem {
    Problem::not_found(request.uri().path())
}

async fn wrong_method(request: Request) -> Problem {
    let method = request.method();
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        format!("{method} n’est pas possible ici"),
        format!("{method} is not possible here"),
    )
}

/// Counts the request, writes problems in the reader's language, sets the common headers.
async fn around(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let lang = language(&request);
    let page = (is_page(request.uri().path()) && prefers_page(&request))
        .then(|| pages::Frame::new(lang, request.uri()));
    let path = request.uri().path().to_owned();
    let records = may_record(&request);
    let mut response = answer(next.run(request), records).await;
    let mut problem = response.extensions_mut().remove::<Problem>();
    if problem.is_none() && response.status() == StatusCode::BAD_REQUEST && !is_text(&path) {
        // The router's own words, of a path that is not UTF-8: nothing can be there.
        let nothing = Problem::not_found(&path);
        *response.status_mut() = nothing.status;
        problem = Some(nothing);
    }
    if let (Some(problem), Some(frame)) = (&problem, &page) {
        app.counters.problem(problem.code);
        let status = response.status();
        response = pages::problems::failure(frame.clone(), problem);
        *response.status_mut() = status;
    } else if let Some(problem) = &problem {
        app.counters.problem(problem.code);
        let document = serde_json::to_vec(&problem.document(lang))
            .expect("a problem document holds only texts and numbers");
        *response.body_mut() = Body::from(document);
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, json);
        headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(lang.as_str()));
        if problem.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
    }
    app.counters.response(response.status());
    let headers = response.headers_mut();
    if let Some(seconds) = problem.and_then(|problem| problem.retry_after_s) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers
        .insert(header::VARY, HeaderValue::from_static("Accept-Language, Authorization, Cookie"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_SECURITY_POLICY, pages::SECURITY_POLICY.clone());
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response
}

/// The answer, or a problem when a defect stops what makes it: a connection that closes
/// says nothing.
async fn answer(making: impl Future<Output = Response>, records: bool) -> Response {
    match AssertUnwindSafe(making).catch_unwind().await {
        Ok(response) => response,
        // What the panic had to say is on standard error.
        Err(_) => Problem::defect(records).into_response(),
    }
}

/// Whether a request may be to file: by whoever signs, or on a page of a citizen or controller.
fn may_record(request: &Request) -> bool {
    let path = request.uri().path();
    let files =
        path == "/v1/filings" || path.starts_with("/controller") || path.starts_with("/me/");
    files && !request.method().is_safe()
}

/// Whether a path is UTF-8 once its percent codes are read.
fn is_text(path: &str) -> bool {
    let mut parts = path.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let code = part.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.extend(code);
        bytes.extend(part.get(if code.is_some() { 2 } else { 0 }..).unwrap_or_default().bytes());
    }
    String::from_utf8(bytes).is_ok()
}

/// `?lang=`, else the language chosen before, else the header, else French.
fn language(request: &Request) -> Lang {
    let asked = request.uri().query().and_then(|query| {
        query.split('&').find_map(|pair| pair.strip_prefix("lang=")).and_then(Lang::parse)
    });
    let chosen = || cookie(request.headers(), "lang").and_then(Lang::parse);
    let accepted = || {
        let header = request.headers().get(header::ACCEPT_LANGUAGE)?;
        Lang::accepted(header.to_str().ok()?)
    };
    asked.or_else(chosen).or_else(accepted).unwrap_or_default()
}

/// The value of a cookie.
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// JSON bytes already written, as an answer.
fn raw_json(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_defect_is_answered() {
        let defect = || async { panic!("a defect") };
        for (records, code) in [(false, "unavailable"), (true, "unknown-outcome")] {
            let response = answer(defect(), records).await;
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            let problem = response.extensions().get::<Problem>().expect("a problem");
            assert_eq!(problem.code, code);
        }
        let response = answer(async { StatusCode::CREATED.into_response() }, true).await;
        assert_eq!(response.status(), StatusCode::CREATED);
    }
}
