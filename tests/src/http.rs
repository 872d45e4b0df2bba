//! A plain HTTP client for tests: what the service answers, as it answers it.

use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use greffe_domain::key::SecretKey;
use greffe_domain::sdjwt::{self, TYP_TOKEN};
use serde_json::{Value, json};

use crate::server::{NOW_S, ORIGIN};

#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
    token: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// JSON, or the text where it is none.
    pub body: Value,
}

impl Answer {
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The problem's code; empty when it is none.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// The body of a success.
    pub fn accepted(self) -> Result<Value, String> {
        if self.is_ok() { Ok(self.body) } else { Err(format!("{} {}", self.status, self.body)) }
    }
}

impl Client {
    pub fn new(url: &str) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .new_agent();
        Self { agent, base: url.trim_end_matches('/').to_owned(), token: None }
    }

    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// Signs in as a party of a ledger made by `create_ledger`.
    pub fn signed_in(&self, party: &str, key: &SecretKey) -> Result<Self, String> {
        static REQUESTS: AtomicU64 = AtomicU64::new(0);
        let jti = format!("{party} {}", REQUESTS.fetch_add(1, Ordering::Relaxed));
        let claims = json!({"iss": party, "aud": ORIGIN, "iat": NOW_S, "jti": jti});
        let request = sdjwt::sign(&claims, TYP_TOKEN, key);
        let answer = self.post("/v1/tokens", "application/jwt", &request)?.accepted()?;
        let token = answer["access_token"].as_str().ok_or_else(|| answer.to_string())?;
        Ok(Self { token: Some(token.to_owned()), ..self.clone() })
    }

    pub fn get(&self, path: &str) -> Result<Answer, String> {
        let mut request =
            self.agent.get(format!("{}{path}", self.base)).header("Accept-Language", "en");
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        read(request.call())
    }

    pub fn post(&self, path: &str, content_type: &str, body: &str) -> Result<Answer, String> {
        let mut request = self
            .agent
            .post(format!("{}{path}", self.base))
            .header("Content-Type", content_type)
            .header("Accept-Language", "en");
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        read(request.send(body))
    }
}

fn read(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Answer, String> {
    let response = response.map_err(|e| e.to_string())?;
    let status = response.status().as_u16();
    let mut text = String::new();
    response.into_body().into_reader().read_to_string(&mut text).map_err(|e| e.to_string())?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Answer { status, body })
}
