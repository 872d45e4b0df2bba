//! A client of the HTTP service, for the commands that talk to one.

use std::io::{BufReader, Read};
use std::time::Duration;

use greffe_domain::key::SecretKey;
use greffe_domain::sdjwt::{self, TYP_TOKEN};
use greffe_infra::clock::Clock;
use greffe_infra::entropy;
use serde_json::{Value, json};

use crate::failure::CliError;

/// A service, and on whose behalf it is asked.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
    token: Option<String>,
}

const CHECK_THE_KEY: &str = "check the key, and that its party is enrolled with this ledger";
const TRY_AGAIN: &str = "try again in a few seconds";

/// What the service answered.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The problem's code, when it is one.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// The body of what was accepted; a problem document as two lines otherwise. A refusal is
    /// an answer, "no"; a service that cannot answer now gives none.
    pub fn accepted(self) -> Result<Value, CliError> {
        if self.is_ok() {
            return Ok(self.body);
        }
        let what = self.problem();
        Err(match self.status {
            401 => CliError::no(what, CHECK_THE_KEY),
            403 => CliError::no(what, "submit it with the key of a party that may"),
            429 | 500.. => CliError::broken(what, TRY_AGAIN),
            _ => CliError::no(what, "correct it and try again: nothing was recorded"),
        })
    }

    /// The answer to a question; a problem document as two lines otherwise: it was not asked
    /// as it must be, or not of somebody who can tell.
    pub fn answered(self) -> Result<Value, CliError> {
        if self.is_ok() {
            return Ok(self.body);
        }
        let advice = match self.status {
            401 => CHECK_THE_KEY,
            403 => "ask with --as PARTY and the key of a party that may",
            404 => "check the position or the identifier; it may be known only later",
            429 | 500.. => TRY_AGAIN,
            _ => "correct the question and ask again",
        };
        Err(CliError::broken(self.problem(), advice))
    }

    fn problem(&self) -> String {
        let detail = self.body["detail"].as_str().unwrap_or("no detail given");
        let mut what = format!("refused ({} {}): {detail}", self.status, self.code());
        for error in self.body["errors"].as_array().into_iter().flatten() {
            what.push_str(&format!(
                "; {} {}: {}",
                error["pointer"].as_str().unwrap_or_default(),
                error["code"].as_str().unwrap_or_default(),
                error["detail"].as_str().unwrap_or_default()
            ));
        }
        what
    }
}

impl Client {
    pub fn new(url: &str) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(120)))
            .build()
            .new_agent();
        Self { agent, base: url.trim_end_matches('/').to_owned(), token: None }
    }

    pub fn with_token(&self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    /// Signs in as a party: a token for its key.
    pub fn signed_in(&self, party: &str, key: &SecretKey) -> Result<Self, CliError> {
        let head = self.get("/v1/head")?.answered()?;
        let origin = head["origin"].as_str().unwrap_or_default();
        let jti = greffe_domain::encoding::base64url(&entropy::draw::<16>()?);
        let payload = json!({
            "iss": party, "aud": origin, "iat": Clock::System.now().unix_seconds(), "jti": jti,
        });
        let request = sdjwt::sign(&payload, TYP_TOKEN, key);
        let answer = self.post("/v1/tokens", "application/jwt", &request)?.answered()?;
        let token = answer["access_token"].as_str().or(answer["token"].as_str());
        let token = token.ok_or_else(|| {
            CliError::broken("the service gave no token", "check that the address is Greffe's")
        })?;
        Ok(self.with_token(token))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn failed(&self, error: ureq::Error) -> CliError {
        CliError::broken(
            format!("cannot reach {}: {error}", self.base),
            "check the address, and that `greffe serve` runs there",
        )
    }

    pub fn get(&self, path: &str) -> Result<Answer, CliError> {
        let mut request = self
            .agent
            .get(self.url(path))
            .header("Accept-Language", "en")
            .header("Accept", "application/json");
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        self.read(request.call().map_err(|e| self.failed(e))?)
    }

    pub fn post(&self, path: &str, content_type: &str, body: &str) -> Result<Answer, CliError> {
        let mut request = self
            .agent
            .post(self.url(path))
            .header("Content-Type", content_type)
            .header("Accept-Language", "en");
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        self.read(request.send(body).map_err(|e| self.failed(e))?)
    }

    fn read(&self, response: ureq::http::Response<ureq::Body>) -> Result<Answer, CliError> {
        let status = response.status().as_u16();
        let mut text = String::new();
        BufReader::new(response.into_body().into_reader())
            .read_to_string(&mut text)
            .map_err(|e| CliError::broken(format!("the answer broke off: {e}"), "try again"))?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Answer { status, body })
    }
}

/// Percent-encodes a query value.
pub fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
