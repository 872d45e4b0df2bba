//! Signing in and out.
//!
//! `/signin → a page that leads on → provider → /signin/callback → session → where the reader
//! was going`. In the demonstration, people to choose from instead, for browsers on this machine
//! only. Why a page leads on to the provider and no redirect does is ADR 0033.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use askama::Template;
use axum::Form;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use greffe_domain::encoding::base64url;
use greffe_domain::subject::SubjectRef;
use greffe_domain::vocabulary::Role;
use greffe_infra::entropy;
use serde::Deserialize;

use super::super::problem::Problem;
use super::super::session::{self, Person, Visitor, form_expired};
use super::super::{Params, Shared, cookie};
use super::Frame;
use crate::oidc::{Identity, Pending, Provider, Settings, SignInError};

/// Cookie that ties a sign-in under way to the browser that began it.
const UNDER_WAY: &str = "greffe-signin";
/// Most sign-ins under way.
const MAX_PENDING: usize = 10_000;
/// How long one may take.
const PENDING_LIFE_S: i64 = 10 * 60;

/// How people sign in on this server.
#[derive(Default)]
pub struct SignIn {
    pub oidc: Option<Settings>,
    /// Where people reach this service, `https://…`.
    pub public_url: Option<String>,
    /// People to choose from, on the loopback only.
    pub demonstration: Vec<DemoPerson>,
    provider: Mutex<Option<Arc<Provider>>>,
    pending: Mutex<HashMap<String, (Pending, String, i64)>>,
}

/// Somebody invented, to look around as.
#[derive(Debug, Clone)]
pub struct DemoPerson {
    /// In the form, and of its words.
    pub key: &'static str,
    pub person: Person,
}

impl SignIn {
    /// Sign-in by a provider.
    pub fn oidc(settings: Settings, public_url: String) -> Self {
        Self { oidc: Some(settings), public_url: Some(public_url), ..Self::default() }
    }

    /// The demonstration's people: the person of the documented case, an invented controller,
    /// the authority.
    pub fn demonstration() -> Self {
        const EMPLOYEE: &str = "MHV5zDsVw4Ib6gxEK5sCqqbc8OmTdyrbxbVGDybL2ls";
        let subject = SubjectRef::parse(EMPLOYEE).expect("a reference of 32 bytes");
        let agent = |party: &str| Person::Agent { party: party.to_owned() };
        Self {
            demonstration: vec![
                DemoPerson { key: "citizen", person: Person::Citizen { subject } },
                DemoPerson { key: "controller", person: agent("fund-invented") },
                DemoPerson { key: "regulator", person: agent("cnil") },
            ],
            ..Self::default()
        }
    }

    /// Whether cookies are for HTTPS only.
    fn is_secure(&self) -> bool {
        self.public_url.as_deref().is_some_and(|url| url.starts_with("https:"))
    }

    /// The provider, discovered at the first sign-in; a failure is tried again at the next.
    fn provider(&self) -> Result<Arc<Provider>, SignInError> {
        let mut held = self.provider.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(provider) = &*held {
            return Ok(Arc::clone(provider));
        }
        let settings = self.oidc.as_ref().ok_or(SignInError::Setting("oidc"))?;
        let url = self.public_url.as_deref().ok_or(SignInError::Setting("public_url"))?;
        let provider = Arc::new(Provider::discover(settings, url)?);
        *held = Some(Arc::clone(&provider));
        Ok(provider)
    }

    fn forget_provider(&self) {
        *self.provider.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn remember(&self, pending: Pending, then: String, now: i64) -> Result<(), Problem> {
        let mut all = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, (_, _, expires)| *expires > now);
        if all.len() >= MAX_PENDING {
            return Err(Problem::too_many_requests(60));
        }
        all.insert(pending.state.clone(), (pending, then, now + PENDING_LIFE_S));
        Ok(())
    }

    fn recall(&self, state: &str, now: i64) -> Option<(Pending, String)> {
        let mut all = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let (pending, then, expires) = all.remove(state)?;
        (expires > now).then_some((pending, then))
    }
}

#[derive(Template)]
#[template(path = "signin.html")]
struct Page {
    frame: Frame,
    oidc: bool,
    people: Vec<&'static str>,
    form: String,
    then: String,
}

/// A page of this site to go to, never another site's.
fn local(path: Option<&str>) -> String {
    let path = path.unwrap_or("/");
    let is_local = path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && path.bytes().all(|b| b.is_ascii_graphic());
    if is_local { path.to_owned() } else { "/".to_owned() }
}

fn people(app: &Shared, from: SocketAddr) -> Vec<DemoPerson> {
    // A proxy on this machine makes everybody local: the demonstration is not for it, and says
    // so when it starts.
    if from.ip().is_loopback() { app.sign_in.demonstration.clone() } else { Vec::new() }
}

pub fn redirect(to: &str) -> Response {
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    let cookie = HeaderValue::from_str(cookie).expect("a cookie of ASCII");
    response.headers_mut().append(header::SET_COOKIE, cookie);
    response
}

pub async fn page(
    State(app): State<Shared>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    frame: Frame,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&["then"])?;
    let nonce: [u8; 16] = entropy::draw()?;
    let nonce = base64url(&nonce);
    let page = Page {
        oidc: app.sign_in.oidc.is_some(),
        people: people(&app, from).iter().map(|p| p.key).collect(),
        form: app.sessions.form_token(&nonce),
        then: local(params.text("then")),
        frame: frame.clone(),
    };
    let under_way = format!("{UNDER_WAY}={nonce}; Path=/signin; HttpOnly; SameSite=Lax");
    Ok(with_cookie(frame.render(&page), &under_way))
}

/// Leads on to the provider.
#[derive(Template)]
#[template(path = "leaving.html")]
struct Leaving {
    frame: Frame,
    url: String,
}

#[derive(Deserialize)]
pub struct Begin {
    #[serde(default)]
    form: String,
    then: Option<String>,
    /// A demonstration's person; left out for the provider.
    person: Option<String>,
}

pub async fn begin(
    State(app): State<Shared>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    frame: Frame,
    Form(form): Form<Begin>,
) -> Result<Response, Problem> {
    app.quotas.take("sign-ins", &from.ip().to_string(), 1, app.limits.sign_ins_per_minute)?;
    let nonce = cookie(&headers, UNDER_WAY).unwrap_or_default();
    if app.sessions.form_token(nonce) != form.form {
        return Err(form_expired());
    }
    let then = local(form.then.as_deref());
    let now = app.clock.now().unix_seconds();
    if let Some(key) = &form.person {
        let chosen = people(&app, from).into_iter().find(|p| p.key == key);
        let chosen = chosen.ok_or_else(|| Problem::not_found("/signin"))?;
        let (_, cookie) = app.sessions.start(chosen.person, true, now)?;
        return Ok(with_cookie(redirect(&then), &session::set_cookie(&cookie, false)));
    }
    let asked = Arc::clone(&app);
    let provider = tokio::task::spawn_blocking(move || asked.sign_in.provider())
        .await
        .expect("discovery does not panic")
        .map_err(|e| unavailable(&e))?;
    let (url, pending) = provider.begin();
    let under_way = format!(
        "{UNDER_WAY}={}; Path=/signin; HttpOnly; SameSite=Lax; Max-Age={PENDING_LIFE_S}",
        pending.state
    );
    app.sign_in.remember(pending, then, now)?;
    // Browsers hold a form's redirects to `form-action`, which names this site alone.
    let page = frame.render(&Leaving { frame: frame.clone(), url });
    Ok(with_cookie(page, &under_way))
}

pub async fn callback(
    State(app): State<Shared>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Problem> {
    let now = app.clock.now().unix_seconds();
    let state = params.text("state").unwrap_or_default();
    // The browser that comes back must be the one that went.
    let begun = cookie(&headers, UNDER_WAY).is_some_and(|cookie| cookie == state);
    let (pending, then) =
        app.sign_in.recall(state, now).filter(|_| begun).ok_or_else(form_expired)?;
    let Some(code) = params.text("code").map(str::to_owned) else {
        return Err(refused(
            "le fournisseur d’identité n’a pas confirmé la connexion ; recommencer",
            "the identity provider did not confirm the sign-in; start over",
        ));
    };
    let asked = Arc::clone(&app);
    let identity =
        tokio::task::spawn_blocking(move || asked.sign_in.provider()?.finish(code, pending))
            .await
            .expect("a sign-in does not panic")
            .map_err(|e| {
                // Its keys may have changed since it was discovered.
                app.sign_in.forget_provider();
                unavailable(&e)
            })?;
    let person = match identity {
        // As `POST /v1/subjects` derives it for controllers.
        Identity::Person(pivot) => Person::Citizen {
            subject: app.ledger.subject_reference(&pivot).map_err(|e| unreadable(&e))?,
        },
        Identity::Agent(party) => {
            let known = app.ledger.with_register(|r| r.party(&party).is_some());
            if !known {
                return Err(refused(
                    "l’organisme pour lequel vous vous connectez n’est pas inscrit au registre",
                    "the organisation you sign in for is not registered",
                ));
            }
            Person::Agent { party }
        }
    };
    let (_, cookie) = app.sessions.start(person, false, now)?;
    let cookie = session::set_cookie(&cookie, app.sign_in.is_secure());
    Ok(with_cookie(redirect(&then), &cookie))
}

/// Nobody is signed in, and what the reader can do.
fn refused(fr: impl Into<String>, en: impl Into<String>) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "sign-in-refused", fr, en)
}

fn unavailable(error: &SignInError) -> Problem {
    // The causes are the operator's; none holds a claim's value.
    crate::log::fault(error);
    match error {
        SignInError::ClaimMissing(claim) => refused(
            format!(
                "le fournisseur d’identité n’a pas transmis « {claim} », sans quoi on ne sait pas qui se connecte ; compléter l’identité auprès de lui"
            ),
            format!(
                "the identity provider did not give `{claim}`, without which it is not known who signs in; complete the identity there"
            ),
        ),
        SignInError::Assurance => refused(
            "ce mode de connexion n’est pas assez sûr pour ce registre ; en choisir un autre auprès du fournisseur d’identité",
            "this way of signing in is not safe enough for this register; choose another at the identity provider",
        ),
        SignInError::Refused(_) => refused(
            "le fournisseur d’identité n’a pas confirmé cette connexion ; la reprendre du début",
            "the identity provider did not confirm this sign-in; start it over",
        ),
        SignInError::Provider(_) | SignInError::Setting(_) => Problem::new(
            StatusCode::BAD_GATEWAY,
            "sign-in-unavailable",
            "le fournisseur d’identité ne répond pas ; réessayer plus tard",
            "the identity provider does not answer; try again later",
        ),
    }
}

/// An identity that no reference can be made of: the claim is named, its value is not.
fn unreadable(refusal: &greffe_domain::refusal::Refusal) -> Problem {
    let claim = refusal.errors.first().map_or("?", |e| e.pointer.trim_start_matches('/'));
    refused(
        format!(
            "« {claim} », transmis par le fournisseur d’identité, ne peut pas être lu : {} ; compléter l’identité auprès de lui",
            refusal.detail.fr
        ),
        format!(
            "`{claim}`, given by the identity provider, cannot be read: {}; complete the identity there",
            refusal.detail.en
        ),
    )
}

#[derive(Deserialize)]
pub struct End {
    #[serde(default)]
    csrf: String,
}

pub async fn end(
    State(app): State<Shared>,
    visitor: Visitor,
    Form(form): Form<End>,
) -> Result<Response, Problem> {
    if let Some(session) = &visitor.0 {
        session.check_form(Some(&form.csrf))?;
        app.sessions.end(session);
    }
    Ok(with_cookie(redirect("/"), &session::clear_cookie()))
}

/// Where somebody starts after signing in.
pub fn home_of(app: &Shared, person: &Person) -> &'static str {
    match person {
        Person::Citizen { .. } => "/me",
        Person::Agent { party } => {
            let has =
                |role| app.ledger.with_register(|r| r.party(party).is_some_and(|p| p.has(role)));
            if has(Role::Regulator) {
                "/regulator"
            } else if has(Role::Controller) {
                "/controller"
            } else {
                "/register/processings"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::local;

    #[test]
    fn after_signing_in_nobody_is_sent_elsewhere() {
        for elsewhere in ["https://a.b", "//a.b", "/\\a.b", "", "/a b", "javascript:1"] {
            assert_eq!(local(Some(elsewhere)), "/", "{elsewhere}");
        }
        assert_eq!(local(Some("/me?x=1")), "/me?x=1");
    }
}
