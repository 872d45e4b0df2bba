//! Ed25519 keys: JWK (RFC 8037), thumbprint (RFC 7638), strict verification (RFC 8032).
//!
//! One rule for every signature, a filing's and the ledger's, on the server and in the
//! verifier: `verify_strict`, one at a time. Batch verification accepts some maliciously
//! built signatures that strict verification refuses. A key that verifies often gives the
//! same answer faster (`often.rs`).

mod often;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::encoding::{base64url, base64url_decode};
use crate::refusal::{Refusal, RefusalCode};
use often::Often;

/// A public key that is a point of full order, with its thumbprint.
#[derive(Clone)]
pub struct PublicKey {
    key: VerifyingKey,
    kid: String,
    /// Shared by all copies.
    often: Arc<Often>,
}

impl PublicKey {
    /// Errors: `identifier-invalid` if the bytes are no point, `key-weak` if it is one of
    /// small order (a signature by such a key proves nothing).
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, Refusal> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| {
            Refusal::new(
                RefusalCode::IdentifierInvalid,
                "cette clé n’est pas un point de la courbe Ed25519",
                "this key is not a point of the Ed25519 curve",
            )
        })?;
        if key.is_weak() {
            return Err(Refusal::new(
                RefusalCode::KeyWeak,
                "cette clé est d’ordre petit : n’importe quelle signature la satisferait ; en créer une autre",
                "this key has small order: any signature would satisfy it; create another",
            ));
        }
        // A point has one encoding here; with two it would have two thumbprints.
        if key.to_edwards().compress().as_bytes() != bytes {
            return Err(Refusal::new(
                RefusalCode::IdentifierInvalid,
                "cette clé n’est pas écrite sous sa forme canonique (RFC 8032)",
                "this key is not in its canonical form (RFC 8032)",
            ));
        }
        let x = base64url(bytes);
        let thumbprint = Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#));
        Ok(Self { key, kid: base64url(&thumbprint), often: Arc::default() })
    }

    /// Reads exactly `{"crv":"Ed25519","kty":"OKP","x":…}`.
    pub fn from_jwk(jwk: &Value) -> Result<Self, Refusal> {
        let invalid = || {
            Refusal::new(
                RefusalCode::IdentifierInvalid,
                "attendu : {\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":…} (RFC 8037), sans autre membre",
                "expected {\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":…} (RFC 8037) and no other member",
            )
        };
        let members = jwk.as_object().filter(|m| m.len() == 3).ok_or_else(invalid)?;
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        if text("crv") != Some("Ed25519") || text("kty") != Some("OKP") {
            return Err(invalid());
        }
        let x = text("x").and_then(base64url_decode).ok_or_else(invalid)?;
        Self::from_bytes(&x.try_into().map_err(|_| invalid())?)
    }

    pub fn to_jwk(&self) -> Value {
        json!({"crv": "Ed25519", "kty": "OKP", "x": base64url(self.key.as_bytes())})
    }

    /// RFC 7638 thumbprint: SHA-256, base64url.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// RFC 8032 verification without cofactor, small-order `R` refused.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let afresh = || self.key.verify_strict(message, &Signature::from_bytes(signature)).is_ok();
        self.often.verify_strict(&self.key, message, signature).unwrap_or_else(afresh)
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for PublicKey {}

impl Hash for PublicKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.kid)
    }
}

/// A secret key. Never shown; `Debug` says only whose it is.
#[derive(Clone)]
pub struct SecretKey {
    key: SigningKey,
    public: PublicKey,
}

/// PKCS#8 v1 (RFC 8410) before the 32 bytes of an Ed25519 seed.
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";

impl SecretKey {
    /// `seed`: the 32 bytes of RFC 8032 §5.1.5.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(seed);
        let public = PublicKey::from_bytes(key.verifying_key().as_bytes())
            .expect("the public key of a seed has full order: its scalar is clamped");
        Self { key, public }
    }

    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    /// PKCS#8 PEM, as OpenSSL writes it.
    pub fn to_pem(&self) -> String {
        let mut der = PKCS8_PREFIX.to_vec();
        der.extend_from_slice(self.key.as_bytes());
        format!("{PEM_BEGIN}\n{}\n{PEM_END}\n", data_encoding::BASE64.encode(&der))
    }

    /// Reads a PKCS#8 PEM of an Ed25519 key, v1 or v2 (the public key after the seed is
    /// ignored). `None` if it is something else.
    pub fn from_pem(pem: &str) -> Option<Self> {
        let body = pem.trim().strip_prefix(PEM_BEGIN)?.strip_suffix(PEM_END)?;
        let text: String = body.split_whitespace().collect();
        let der = data_encoding::BASE64.decode(text.as_bytes()).ok()?;
        // The outer length and the version differ between v1 and v2; the rest does not.
        let algorithm_and_key = PKCS8_PREFIX.get(5..)?;
        if der.first() != Some(&0x30) || der.get(5..16)? != algorithm_and_key {
            return None;
        }
        Some(Self::from_seed(der.get(16..48)?.try_into().ok()?))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.public.kid)
    }
}

/// Text a new key signs to prove that its holder enrols it, UTF-8.
pub fn enrolment_text(origin: &str, party: &str, kid: &str) -> String {
    format!("greffe v1 enrol\n{origin}\n{party}\n{kid}\n")
}

/// Key of a party in a simulated ledger: derived from its id, so that case files need none.
pub fn simulated_party_key(party: &str) -> SecretKey {
    SecretKey::from_seed(&blake3::derive_key("greffe v1 simulated party key", party.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_is_that_of_rfc_8037_appendix_a() {
        let jwk =
            json!({"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
        let key = PublicKey::from_jwk(&jwk).expect("the RFC's key");
        assert_eq!(key.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn small_order_keys_are_refused() {
        let mut identity = [0u8; 32];
        identity[0] = 1;
        let zero = [0u8; 32];
        for weak in [identity, zero] {
            let refusal = PublicKey::from_bytes(&weak).expect_err("a small-order point");
            assert_eq!(refusal.code, RefusalCode::KeyWeak);
        }
    }

    #[test]
    fn a_key_survives_its_pem() {
        let key = simulated_party_key("cnil");
        let read = SecretKey::from_pem(&key.to_pem()).expect("our own PEM");
        assert_eq!(read.public(), key.public());
        assert!(
            SecretKey::from_pem("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----")
                .is_none()
        );
    }
}
