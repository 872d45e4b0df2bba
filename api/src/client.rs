//! Speaking to a ledger: over HTTP, or to the same routes in this process.
//!
//! What a command asks is the same either way, so a replay in a directory exercises the
//! service that a server runs. Blocking: commands do one thing at a time.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, header};
use greffe_domain::encoding::base64url;
use greffe_domain::key::SecretKey;
use greffe_domain::sdjwt::{self, TYP_TOKEN};
use greffe_infra::clock::Clock;
use greffe_infra::entropy;
use greffe_infra::store::Fault;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tower::ServiceExt;

use crate::http::{App, Shared, router, tokens::Bearer};

/// Why there was no answer at all.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("{url} does not answer: {reason}")]
    Unreachable { url: String, reason: String },
    #[error("{url} answered something that is not JSON")]
    NotJson { url: String },
    #[error("no random bytes: {0}")]
    NoRandomness(String),
}

/// A `jti` nobody used before: 128 random bits.
pub fn fresh_jti() -> Result<String, Fault> {
    entropy::draw::<16>().map(|bytes| base64url(&bytes))
}

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Code of a problem document.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or("unknown")
    }

    /// A problem in one line.
    pub fn problem(&self) -> String {
        let detail = self.body["detail"].as_str().unwrap_or("no detail");
        let pointer = self.body["errors"][0]["pointer"].as_str().unwrap_or_default();
        match pointer {
            "" => format!("{} ({}): {detail}", self.status, self.code()),
            pointer => format!("{} ({}) at {pointer}: {detail}", self.status, self.code()),
        }
    }
}

/// Where to ask.
pub enum Client {
    Remote { url: String, agent: ureq::Agent },
    Local { app: Shared, router: Router, handle: Handle },
}

impl Client {
    pub fn remote(url: &str) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(std::time::Duration::from_secs(10)))
            .build()
            .into();
        Self::Remote { url: url.trim_end_matches('/').to_owned(), agent }
    }

    /// The routes of an app in this process. Not to be called from an async task.
    pub fn local(app: &Shared, handle: Handle) -> Self {
        Self::Local { app: app.clone(), router: router(app.clone()), handle }
    }

    pub fn app(&self) -> Option<&App> {
        match self {
            Self::Remote { .. } => None,
            Self::Local { app, .. } => Some(app),
        }
    }

    pub fn get(&self, path: &str, token: Option<&str>) -> Result<Answer, ClientError> {
        self.call(Method::GET, path, None, token)
    }

    pub fn post_json(
        &self,
        path: &str,
        body: &Value,
        token: Option<&str>,
    ) -> Result<Answer, ClientError> {
        self.call(Method::POST, path, Some(("application/json", body.to_string())), token)
    }

    /// Submits one SD-JWT.
    pub fn submit(&self, filing: &str) -> Result<Answer, ClientError> {
        let body = ("application/sd-jwt", filing.to_owned());
        self.call(Method::POST, "/v1/filings", Some(body), None)
    }

    /// The ledger's origin.
    pub fn origin(&self) -> Result<String, ClientError> {
        let head = self.get("/v1/head", None)?;
        head.body["origin"].as_str().map(str::to_owned).ok_or_else(|| ClientError::NotJson {
            url: match self {
                Self::Remote { url, .. } => format!("{url}/v1/head"),
                Self::Local { .. } => "/v1/head".to_owned(),
            },
        })
    }

    /// A bearer token for a party, or the problem it was refused with.
    pub fn token(
        &self,
        party: &str,
        key: &SecretKey,
    ) -> Result<Result<String, Answer>, ClientError> {
        if let Self::Local { app, .. } = self {
            let bearer = Bearer { id: party.to_owned(), kid: None };
            return Ok(app.tokens.issue(bearer, None).map_err(|problem| Answer {
                status: problem.status.as_u16(),
                body: problem.document(crate::words::Lang::En),
            }));
        }
        let origin = self.origin()?;
        let iat = Clock::System.now().unix_seconds();
        let jti = fresh_jti().map_err(|fault| ClientError::NoRandomness(fault.to_string()))?;
        let payload = json!({"iss": party, "aud": origin, "iat": iat, "jti": jti});
        let jwt = sdjwt::sign(&payload, TYP_TOKEN, key);
        let answer = self.call(Method::POST, "/v1/tokens", Some(("application/jwt", jwt)), None)?;
        match answer.body["token"].as_str() {
            Some(token) => Ok(Ok(token.to_owned())),
            None => Ok(Err(answer)),
        }
    }

    fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, String)>,
        token: Option<&str>,
    ) -> Result<Answer, ClientError> {
        let mut request = Request::builder().method(method).header(header::ACCEPT_LANGUAGE, "en");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some((media_type, _)) = &body {
            request = request.header(header::CONTENT_TYPE, *media_type);
        }
        let text = body.map(|(_, text)| text).unwrap_or_default();
        match self {
            Self::Remote { url, agent } => {
                let url = format!("{url}{path}");
                let unreachable =
                    |reason: String| ClientError::Unreachable { url: url.clone(), reason };
                let request =
                    request.uri(&url).body(text).map_err(|e| unreachable(e.to_string()))?;
                let mut response = agent.run(request).map_err(|e| unreachable(e.to_string()))?;
                let status = response.status().as_u16();
                let bytes = response
                    .body_mut()
                    .with_config()
                    .limit(64 * 1024 * 1024)
                    .read_to_vec()
                    .map_err(|e| unreachable(e.to_string()))?;
                let body = serde_json::from_slice(&bytes)
                    .map_err(|_| ClientError::NotJson { url: url.clone() })?;
                Ok(Answer { status, body })
            }
            Self::Local { router, handle, .. } => {
                let not_json = || ClientError::NotJson { url: path.to_owned() };
                let request = request.uri(path).body(Body::from(text)).map_err(|e| {
                    ClientError::Unreachable { url: path.to_owned(), reason: e.to_string() }
                })?;
                let router = router.clone();
                handle.block_on(async move {
                    let response = match router.oneshot(request).await {
                        Ok(response) => response,
                        Err(never) => match never {},
                    };
                    let status = response.status().as_u16();
                    let bytes =
                        response.into_body().collect().await.map_err(|_| not_json())?.to_bytes();
                    let body = serde_json::from_slice(&bytes).map_err(|_| not_json())?;
                    Ok(Answer { status, body })
                })
            }
        }
    }
}
