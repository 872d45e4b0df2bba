//! What the reader trusts beforehand: the ledger's name and its first key.

use crate::identifier;
use crate::json;
use crate::key::PublicKey;
use crate::seal::TreeSize;
use serde_json::Value;

/// A trust file, `{"v":1,"origin":…,"ledger_key":{JWK},"min_size"?:n}`.
#[derive(Debug, Clone)]
pub struct Trust {
    pub origin: String,
    /// The key that signs position 0; later ones are named by the ledger itself.
    pub ledger_key: PublicKey,
    /// A head the reader saw before: a smaller one hides entries.
    pub min_size: Option<TreeSize>,
}

/// Why a text is no trust file.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("{0}")]
    Json(#[from] json::JsonError),
    #[error(
        "expected {{\"v\":1,\"origin\":…,\"ledger_key\":{{…}},\"min_size\"?:n}}; `{0}` is missing, unknown or not of its form"
    )]
    Member(String),
}

impl Trust {
    pub fn parse(bytes: &[u8]) -> Result<Self, TrustError> {
        let value = json::parse(bytes)?;
        let bad = |name: &str| TrustError::Member(name.to_owned());
        let members = value.as_object().ok_or_else(|| bad("v"))?;
        const KNOWN: [&str; 4] = ["v", "origin", "ledger_key", "min_size"];
        if let Some(name) = members.keys().find(|name| !KNOWN.contains(&name.as_str())) {
            return Err(bad(name));
        }
        if members.get("v").and_then(Value::as_u64) != Some(1) {
            return Err(bad("v"));
        }
        let origin = members
            .get("origin")
            .and_then(Value::as_str)
            .filter(|o| identifier::valid_origin(o))
            .ok_or_else(|| bad("origin"))?;
        let ledger_key = members
            .get("ledger_key")
            .and_then(|jwk| PublicKey::from_jwk(jwk).ok())
            .ok_or_else(|| bad("ledger_key"))?;
        let min_size = match members.get("min_size") {
            None => None,
            Some(n) => Some(TreeSize(n.as_u64().ok_or_else(|| bad("min_size"))?)),
        };
        Ok(Self { origin: origin.to_owned(), ledger_key, min_size })
    }
}
