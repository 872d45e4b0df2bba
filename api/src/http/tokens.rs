//! `POST /v1/tokens`: a signed request, accepted once, for a short-lived bearer token.
//!
//! Tokens are random and live in memory: a restart forgets them all, and asking again is one
//! request. The same holds for the requests already seen, which is why one is accepted only
//! within five minutes of its signature (on a simulated ledger, whose clock stands still,
//! at any time). No clock is read here: what expires is removed by a timer.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use greffe_domain::encoding::base64url;
use greffe_domain::event::ClockKind;
use greffe_domain::refusal::{Refusal, RefusalCode as C};
use greffe_domain::sdjwt::{Jwt, TYP_TOKEN};
use greffe_infra::entropy;
use serde_json::{Value, json};

use super::Shared;
use super::problem::Problem;
use crate::http::Text;

/// How long a token is good for.
pub const TOKEN_LIFE_S: u64 = 15 * 60;
/// How far a request's `iat` may be from now, either way.
const REQUEST_WINDOW_S: i64 = 5 * 60;
/// Most tokens at once: past it the oldest requests wait for a timer.
const MAX_TOKENS: usize = 100_000;

/// Whose token it is, and the key that asked for it (`None`: minted by this process).
#[derive(Debug, Clone)]
pub struct Bearer {
    pub id: String,
    pub kid: Option<String>,
}

#[derive(Debug, Default)]
struct Memory {
    tokens: HashMap<String, Bearer>,
    /// Requests seen: (`iss`, `jti`).
    seen: HashSet<(String, String)>,
}

#[derive(Debug, Clone, Default)]
pub struct Tokens(Arc<Mutex<Memory>>);

impl Tokens {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Nothing in here panics while the lock is held.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub fn party(&self, token: &str) -> Option<Bearer> {
        self.memory().tokens.get(token).cloned()
    }

    /// A token for a party. `life_s`: `None` = as long as the process.
    pub fn issue(&self, bearer: Bearer, life_s: Option<u64>) -> Result<String, Problem> {
        let bytes: [u8; 32] = entropy::draw()?;
        let token = base64url(&bytes);
        {
            let mut memory = self.memory();
            if memory.tokens.len() >= MAX_TOKENS {
                return Err(Problem::too_many_requests(60));
            }
            memory.tokens.insert(token.clone(), bearer);
        }
        if let Some(life_s) = life_s {
            let (tokens, token) = (self.clone(), token.clone());
            after(life_s, move || {
                tokens.memory().tokens.remove(&token);
            });
        }
        Ok(token)
    }

    /// Remembers a request; `false` if it was seen before. `forget`: once `iat` alone
    /// refuses it; a simulated ledger never does.
    fn first_time(&self, iss: &str, jti: &str, forget: bool) -> bool {
        let name = (iss.to_owned(), jti.to_owned());
        if !self.memory().seen.insert(name.clone()) {
            return false;
        }
        if !forget {
            return true;
        }
        let tokens = self.clone();
        // Twice the window on each side: by then `iat` alone refuses it.
        after(4 * REQUEST_WINDOW_S.unsigned_abs(), move || {
            tokens.memory().seen.remove(&name);
        });
        true
    }
}

fn after(seconds: u64, then: impl FnOnce() + Send + 'static) {
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        then();
    });
}

pub async fn create(State(app): State<Shared>, Text(text): Text) -> Result<Response, Problem> {
    let jwt = Jwt::parse(text.trim())?;
    let invalid = |fr: &str, en: &str| Refusal::new(C::TokenInvalid, fr, en);
    if jwt.typ() != TYP_TOKEN {
        return Err(invalid(
            "l’en-tête `typ` doit être greffe-token+jwt : un dépôt n’est pas un jeton",
            "the header's `typ` must be greffe-token+jwt: a filing is not a token",
        )
        .into());
    }
    let payload = jwt.payload().as_object().filter(|p| p.len() == 4);
    let member = |name: &str| payload.and_then(|p| p.get(name));
    let (Some(iss), Some(aud), Some(iat), Some(jti)) = (
        member("iss").and_then(Value::as_str),
        member("aud").and_then(Value::as_str),
        member("iat").and_then(Value::as_i64),
        member("jti").and_then(Value::as_str),
    ) else {
        return Err(invalid(
            "la charge doit être exactement {iss, aud, iat, jti}",
            "the payload must be exactly {iss, aud, iat, jti}",
        )
        .into());
    };
    let key = app.ledger.with_register(|r| match r.key(jwt.kid()) {
        Some((owner, _, key)) if owner == iss => match key.revoked {
            None => Ok(key.key.clone()),
            Some(position) => Err(Refusal::forbidden_by(
                position,
                C::KeyRevoked,
                format!("cette clé est révoquée depuis l’entrée {position}"),
                format!("this key has been revoked since entry {position}"),
            )),
        },
        _ => Err(Refusal::new(
            C::KeyUnknown,
            format!("cette clé n’est pas inscrite pour « {iss} »"),
            format!("this key is not enrolled for `{iss}`"),
        )),
    })?;
    jwt.verify(&key)?;
    if aud != app.ledger.origin() {
        return Err(Refusal::at(
            "/aud",
            C::AudMismatch,
            format!(
                "cette demande vise un autre registre ; celui-ci est « {} »",
                app.ledger.origin()
            ),
            format!("this request is for another ledger; this one is `{}`", app.ledger.origin()),
        )
        .into());
    }
    let real = app.ledger.clock() == ClockKind::Real;
    let ahead = iat.saturating_sub(app.clock.now().unix_seconds());
    if real && ahead.abs() > REQUEST_WINDOW_S {
        return Err(Refusal::at(
            "/iat",
            C::IatOutOfWindow,
            "`iat` s’écarte de plus de cinq minutes de l’heure ; régler l’horloge et signer de nouveau",
            "`iat` is more than five minutes off; set the clock and sign again",
        )
        .into());
    }
    if jti.is_empty() || jti.len() > 512 || !app.tokens.first_time(iss, jti, real) {
        return Err(invalid(
            "cette demande a déjà servi ; en signer une autre, avec un autre `jti`",
            "this request was used before; sign another one, with another `jti`",
        )
        .into());
    }
    let bearer = Bearer { id: iss.to_owned(), kid: Some(jwt.kid().to_owned()) };
    let token = app.tokens.issue(bearer, Some(TOKEN_LIFE_S))?;
    let answer = json!({
        "access_token": token, "token_type": "Bearer", "expires_in": TOKEN_LIFE_S, "party": iss,
    });
    Ok((StatusCode::CREATED, axum::Json(answer)).into_response())
}
