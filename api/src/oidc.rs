//! Sign-in by OpenID Connect: authorization code with PKCE (RFC 7636), by the `openidconnect`
//! library; nothing of it is ours but the shape of the claims, which is FranceConnect's.
//!
//! Requests to the provider block; callers run them on a blocking thread.

use greffe_domain::subject::Pivot;
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreGenderClaim, CoreProviderMetadata,
};
use openidconnect::{
    AdditionalClaims, AuthType, AuthenticationContextClass, AuthorizationCode, ClientId,
    ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    RequestTokenError, Scope, UserInfoClaims, UserInfoError,
};
use serde::{Deserialize, Serialize};

/// How people sign in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The provider's issuer URL; its metadata are discovered there.
    pub issuer: String,
    pub client_id: String,
    /// Left out for a public client.
    pub client_secret: Option<String>,
    /// Scopes asked for beside `openid`.
    #[serde(default = "default_scopes")]
    pub scopes: Vec<String>,
    /// Levels of assurance asked for, any of which will do; FranceConnect wants one named.
    /// Left empty, none is asked for and whatever the provider gives is taken.
    #[serde(default)]
    pub acr_values: Vec<String>,
}

fn default_scopes() -> Vec<String> {
    ["given_name", "family_name", "gender", "birthdate", "birthplace", "birthcountry"]
        .map(str::to_owned)
        .into()
}

/// Claims beside the standard ones: the place of birth as FranceConnect gives it (a commune's
/// code, empty for who was born abroad, and the country's), and the party an agent acts for, as
/// the provider vouches for it.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
struct OurClaims {
    birthplace: Option<String>,
    birthcountry: Option<String>,
    greffe_party: Option<String>,
}

impl AdditionalClaims for OurClaims {}

/// What a sign-in under way must be met with when it comes back.
pub struct Pending {
    pub state: String,
    nonce: Nonce,
    verifier: PkceCodeVerifier,
}

/// Who the provider says it is.
pub enum Identity {
    Person(Pivot),
    /// A party's id.
    Agent(String),
}

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    #[error("the identity provider cannot be reached or does not answer as OpenID Connect does")]
    Provider(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the identity provider's answer is not acceptable")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the identity provider gave no {0}")]
    ClaimMissing(&'static str),
    #[error("the identity provider vouches for a lower level of assurance than was asked for")]
    Assurance,
    #[error("the setting `{0}` is not a URL")]
    Setting(&'static str),
}

/// A provider, discovered.
pub struct Provider {
    settings: Settings,
    metadata: CoreProviderMetadata,
    redirect: RedirectUrl,
}

fn provider_failed(error: impl std::error::Error + Send + Sync + 'static) -> SignInError {
    SignInError::Provider(Box::new(error))
}

/// An answer that says no is the provider's word on this sign-in; any other failure is its own.
fn exchange_failed<RE, T>(error: RequestTokenError<RE, T>) -> SignInError
where
    RE: std::error::Error + Send + Sync + 'static,
    T: openidconnect::ErrorResponse + Send + Sync + 'static,
{
    match error {
        RequestTokenError::ServerResponse(_) => refused(error),
        _ => provider_failed(error),
    }
}

fn user_info_failed<RE>(error: UserInfoError<RE>) -> SignInError
where
    RE: std::error::Error + Send + Sync + 'static,
{
    match error {
        UserInfoError::ClaimsVerification(_) => refused(error),
        _ => provider_failed(error),
    }
}

fn refused(error: impl std::error::Error + Send + Sync + 'static) -> SignInError {
    SignInError::Refused(Box::new(error))
}

/// Us, as the provider knows us.
type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// One request to the provider. No redirect is followed: it would be followed with secrets.
fn send(request: HttpRequest) -> Result<HttpResponse, ureq::Error> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(std::time::Duration::from_secs(10)))
        .build()
        .into();
    let (parts, mut body) = agent.run(request)?.into_parts();
    Ok(HttpResponse::from_parts(parts, body.read_to_vec()?))
}

impl Provider {
    /// Reads the provider's metadata. `public_url`: where people reach this service.
    ///
    /// Errors: `Setting`, `Provider`.
    pub fn discover(settings: &Settings, public_url: &str) -> Result<Self, SignInError> {
        let issuer =
            IssuerUrl::new(settings.issuer.clone()).map_err(|_| SignInError::Setting("issuer"))?;
        let redirect = format!("{}/signin/callback", public_url.trim_end_matches('/'));
        let redirect =
            RedirectUrl::new(redirect).map_err(|_| SignInError::Setting("public_url"))?;
        let metadata = CoreProviderMetadata::discover(&issuer, &send).map_err(provider_failed)?;
        Ok(Self { settings: settings.clone(), metadata, redirect })
    }

    fn client(&self) -> Client {
        // What a provider does not say is the standard's default, which is the header.
        let methods = self.metadata.token_endpoint_auth_methods_supported();
        let in_body = methods.is_some_and(|methods| {
            methods.contains(&CoreClientAuthMethod::ClientSecretPost)
                && !methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
        });
        CoreClient::from_provider_metadata(
            self.metadata.clone(),
            ClientId::new(self.settings.client_id.clone()),
            self.settings.client_secret.clone().map(ClientSecret::new),
        )
        .set_redirect_uri(self.redirect.clone())
        .set_auth_type(if in_body { AuthType::RequestBody } else { AuthType::BasicAuth })
    }

    /// Where to send the browser, and what its return must match.
    pub fn begin(&self) -> (String, Pending) {
        let client = self.client();
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut request = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .add_scopes(self.settings.scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(challenge);
        for level in &self.settings.acr_values {
            let level = AuthenticationContextClass::new(level.clone());
            request = request.add_auth_context_value(level);
        }
        let (url, state, nonce) = request.url();
        (url.to_string(), Pending { state: state.secret().clone(), nonce, verifier })
    }

    /// Exchanges the code, checks the identity token, and reads who it is.
    ///
    /// Errors: `Provider`, `Refused`, `Assurance`, `ClaimMissing`.
    pub fn finish(&self, code: String, pending: Pending) -> Result<Identity, SignInError> {
        let client = self.client();
        let tokens = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(refused)?
            .set_pkce_verifier(pending.verifier)
            .request(&send)
            .map_err(exchange_failed)?;
        let id_token = openidconnect::TokenResponse::id_token(&tokens)
            .ok_or(SignInError::ClaimMissing("id_token"))?;
        let claims =
            id_token.claims(&client.id_token_verifier(), &pending.nonce).map_err(refused)?;
        let given = claims.auth_context_ref().map(|level| level.as_str());
        let asked = &self.settings.acr_values;
        if !asked.is_empty() && !asked.iter().any(|level| given == Some(level)) {
            return Err(SignInError::Assurance);
        }
        let access = openidconnect::OAuth2TokenResponse::access_token(&tokens).clone();
        let info: UserInfoClaims<OurClaims, CoreGenderClaim> = client
            .user_info(access, Some(claims.subject().clone()))
            .map_err(refused)?
            .request(&send)
            .map_err(user_info_failed)?;
        if let Some(party) = &info.additional_claims().greffe_party {
            return Ok(Identity::Agent(party.clone()));
        }
        let missing = SignInError::ClaimMissing;
        let name = |claim: Option<String>, what| claim.ok_or(missing(what));
        let family = info.family_name().and_then(|n| n.get(None)).map(|n| n.to_string());
        let given = info.given_name().and_then(|n| n.get(None)).map(|n| n.to_string());
        Ok(Identity::Person(Pivot {
            family_name: name(family, "family_name")?,
            given_names: name(given, "given_name")?,
            sex: name(info.gender().map(|g| g.to_string()), "gender")?,
            birthdate: name(info.birthdate().map(|b| b.to_string()), "birthdate")?,
            birthplace: info.additional_claims().place_of_birth(),
        }))
    }
}

impl OurClaims {
    /// The code of the commune, or of the country for births abroad; empty where unknown.
    fn place_of_birth(&self) -> String {
        let given = |claim: &Option<String>| claim.clone().filter(|code| !code.trim().is_empty());
        given(&self.birthplace).or_else(|| given(&self.birthcountry)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::OurClaims;

    #[test]
    fn who_was_born_abroad_is_known_by_the_country() {
        let claims = |birthplace: Option<&str>, birthcountry: Option<&str>| OurClaims {
            birthplace: birthplace.map(str::to_owned),
            birthcountry: birthcountry.map(str::to_owned),
            ..OurClaims::default()
        };
        assert_eq!(claims(Some("75107"), Some("99100")).place_of_birth(), "75107");
        assert_eq!(claims(Some(""), Some("99134")).place_of_birth(), "99134");
        assert_eq!(claims(None, Some("99134")).place_of_birth(), "99134");
        assert_eq!(claims(None, None).place_of_birth(), "");
    }
}
