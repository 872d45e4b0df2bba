//! Who is signed in: sessions of people on pages. Programs use tokens (`tokens.rs`).
//!
//! A session lives in this process's memory and is named by a random, signed cookie; ending it
//! here ends it whatever the browser keeps. Nothing of an identity is kept: of a citizen only
//! the reference to them in this ledger, of an agent the party they act for, whose roles are
//! read from the register at each request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use greffe_domain::encoding::{base64url, base64url_decode};
use greffe_domain::refusal::{Refusal, RefusalCode as C};
use greffe_domain::subject::SubjectRef;
use greffe_domain::vocabulary::Role;
use greffe_infra::entropy;

use super::authz::Reader;
use super::problem::Problem;
use super::{Shared, cookie};

/// Name of the cookie of a session.
pub const COOKIE: &str = "greffe-session";
/// How long a session lasts from sign-in, however much it is used.
pub const SESSION_LIFE_S: i64 = 4 * 60 * 60;
/// Most sessions at once.
const MAX_SESSIONS: usize = 100_000;

/// Who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Person {
    /// Somebody whose data the ledger may hold.
    Citizen { subject: SubjectRef },
    /// An agent of a party.
    Agent { party: String },
}

/// One sign-in.
#[derive(Debug)]
pub struct Session {
    pub person: Person,
    /// Must come back with each form.
    pub csrf: String,
    /// By the demonstration's sign-in, which proves nothing.
    pub demonstration: bool,
    /// Seconds since 1970.
    expires: i64,
    id: [u8; 32],
}

/// Sessions of this process.
#[derive(Clone)]
pub struct Sessions {
    /// Signs cookies; drawn at start, so that a restart ends every session.
    key: [u8; 32],
    live: Arc<Mutex<HashMap<[u8; 32], Arc<Session>>>>,
}

impl Sessions {
    pub fn new() -> Result<Self, greffe_infra::store::Fault> {
        Ok(Self { key: entropy::draw()?, live: Arc::default() })
    }

    fn live(&self) -> MutexGuard<'_, HashMap<[u8; 32], Arc<Session>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session, and the value of its cookie. `now`: seconds since 1970.
    ///
    /// Errors: `too-many-requests` when too many people are signed in; a fault of randomness.
    pub fn start(
        &self,
        person: Person,
        demonstration: bool,
        now: i64,
    ) -> Result<(Arc<Session>, String), Problem> {
        let (id, csrf): ([u8; 32], [u8; 32]) = (entropy::draw()?, entropy::draw()?);
        let session = Arc::new(Session {
            person,
            csrf: base64url(&csrf),
            demonstration,
            expires: now + SESSION_LIFE_S,
            id,
        });
        let mut live = self.live();
        live.retain(|_, session| session.expires > now);
        if live.len() >= MAX_SESSIONS {
            return Err(Problem::too_many_requests(60));
        }
        live.insert(id, Arc::clone(&session));
        Ok((session, format!("{}.{}", base64url(&id), self.sign(&id))))
    }

    /// Ends it: the cookie is worth nothing from now on.
    pub fn end(&self, session: &Session) {
        self.live().remove(&session.id);
    }

    /// The session a request belongs to, if it still lives.
    pub fn of(&self, headers: &HeaderMap, now: i64) -> Option<Arc<Session>> {
        let (id, signature) = cookie(headers, COOKIE)?.split_once('.')?;
        let id: [u8; 32] = base64url_decode(id)?.try_into().ok()?;
        let signed: [u8; 32] = base64url_decode(signature)?.try_into().ok()?;
        // `blake3::Hash` compares in constant time.
        if blake3::keyed_hash(&self.key, &id) != blake3::Hash::from_bytes(signed) {
            return None;
        }
        self.live().get(&id).filter(|session| session.expires > now).cloned()
    }

    fn sign(&self, bytes: &[u8]) -> String {
        base64url(blake3::keyed_hash(&self.key, bytes).as_bytes())
    }

    /// The token of a form shown before anybody is signed in, for a value kept in a cookie.
    pub fn form_token(&self, nonce: &str) -> String {
        self.sign(format!("form {nonce}").as_bytes())
    }
}

/// The cookie of a session. `secure`: the service is reached by HTTPS.
pub fn set_cookie(value: &str, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={SESSION_LIFE_S}{secure}")
}

/// What makes a browser forget it.
pub fn clear_cookie() -> String {
    format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0")
}

/// Whoever is signed in, if anybody is.
#[derive(Clone)]
pub struct Visitor(pub Option<Arc<Session>>);

impl FromRequestParts<Shared> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Problem> {
        Ok(Self(app.sessions.of(&parts.headers, app.clock.now().unix_seconds())))
    }
}

impl Visitor {
    /// Errors: `token-invalid` (401) when nobody is signed in.
    pub fn session(&self) -> Result<&Arc<Session>, Problem> {
        self.0.as_ref().ok_or_else(sign_in_first)
    }

    /// The reference of the citizen signed in.
    ///
    /// Errors: 401 when nobody is; `role-not-allowed` for an agent.
    pub fn citizen(&self) -> Result<(&Arc<Session>, SubjectRef), Problem> {
        let session = self.session()?;
        match &session.person {
            Person::Citizen { subject } => Ok((session, *subject)),
            Person::Agent { .. } => Err(not_for_this_role()),
        }
    }

    /// The party of the agent signed in, as a reader of the ledger, if it has the role now.
    ///
    /// Errors: 401 when nobody is signed in; `role-not-allowed`.
    pub fn agent(&self, app: &Shared, role: Role) -> Result<(&Arc<Session>, Reader), Problem> {
        let session = self.session()?;
        let Person::Agent { party } = &session.person else { return Err(not_for_this_role()) };
        let roles = app.ledger.with_register(|r| r.party(party).map(|p| p.roles.clone()));
        match roles {
            Some(roles) if roles.contains(&role) => {
                Ok((session, Reader::Party { id: party.clone(), roles }))
            }
            _ => Err(not_for_this_role()),
        }
    }
}

impl Session {
    /// Whether a form was written for this session.
    ///
    /// Errors: `form-expired` (403): the page is to be opened again.
    pub fn check_form(&self, token: Option<&str>) -> Result<(), Problem> {
        let ours = blake3::hash(self.csrf.as_bytes());
        // `blake3::Hash` compares in constant time.
        match token {
            Some(token) if blake3::hash(token.as_bytes()) == ours => Ok(()),
            _ => Err(form_expired()),
        }
    }
}

pub fn form_expired() -> Problem {
    Problem::new(
        axum::http::StatusCode::FORBIDDEN,
        "form-expired",
        "ce formulaire n’est plus valable ; rouvrir la page et recommencer",
        "this form is no longer valid; open the page again and start over",
    )
}

fn sign_in_first() -> Problem {
    Refusal::new(C::TokenInvalid, "se connecter d’abord", "sign in first").into()
}

fn not_for_this_role() -> Problem {
    Refusal::new(
        C::RoleNotAllowed,
        "cette page n’est pas pour le rôle avec lequel vous êtes connecté",
        "this page is not for the role you are signed in with",
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(cookie: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let value = format!("lang=fr; {COOKIE}={cookie}");
        headers.insert(axum::http::header::COOKIE, value.parse().expect("a header"));
        headers
    }

    fn agent() -> Person {
        Person::Agent { party: "cnil".into() }
    }

    #[test]
    fn a_session_ends_by_time_and_by_will() {
        let sessions = Sessions::new().expect("randomness");
        let (session, cookie) = sessions.start(agent(), false, 1_000).expect("a session");
        let headers = headers(&cookie);
        assert!(sessions.of(&headers, 1_000).is_some());
        assert!(sessions.of(&headers, 1_000 + SESSION_LIFE_S).is_none());
        sessions.end(&session);
        assert!(sessions.of(&headers, 1_000).is_none());
    }

    #[test]
    fn a_cookie_altered_or_of_another_process_is_nobody() {
        let (here, there) = (Sessions::new(), Sessions::new());
        let (here, there) = (here.expect("randomness"), there.expect("randomness"));
        let (_, cookie) = here.start(agent(), false, 0).expect("a session");
        assert!(there.of(&headers(&cookie), 0).is_none());
        let altered = cookie.replace(&cookie[..1], if cookie.starts_with('A') { "B" } else { "A" });
        assert!(here.of(&headers(&altered), 0).is_none());
        assert!(here.of(&headers(cookie.split('.').next().unwrap_or_default()), 0).is_none());
    }

    #[test]
    fn a_form_of_another_session_is_refused() {
        let sessions = Sessions::new().expect("randomness");
        let (one, _) = sessions.start(agent(), false, 0).expect("a session");
        let (other, _) = sessions.start(agent(), false, 0).expect("a session");
        assert!(one.check_form(Some(&one.csrf)).is_ok());
        assert!(one.check_form(Some(&other.csrf)).is_err());
        assert!(one.check_form(None).is_err());
    }
}
