//! `trust.json`: what a stranger needs to check a ledger (`docs/format.md` §4).

use std::fs;
use std::path::Path;

use greffe_domain::json;
use greffe_domain::key::PublicKey;
use greffe_domain::seal::TreeSize;
use serde_json::{Value, json};

use crate::store::{Fault, FaultKind};

/// Its usual name, in the data directory.
pub const TRUST_FILE: &str = "trust.json";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    pub origin: String,
    /// The key that signed position 0.
    pub ledger_key: PublicKey,
    /// The ledger was seen to have at least this many entries.
    pub min_size: Option<TreeSize>,
}

impl Trust {
    pub fn read(path: &Path) -> Result<Self, Fault> {
        let shown = path.display().to_string();
        let bytes = fs::read(path).map_err(|e| Fault::io(e, "read the trust file", &shown))?;
        Self::parse(&bytes).ok_or_else(|| {
            Fault::new(FaultKind::Corrupt, "read the trust file", shown).because(
                "expected {\"v\":1,\"origin\":…,\"ledger_key\":{JWK},\"min_size\"?:n} and nothing else",
            )
        })
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let trust = greffe_domain::trust::Trust::parse(bytes).ok()?;
        Some(Self { origin: trust.origin, ledger_key: trust.ledger_key, min_size: trust.min_size })
    }

    /// Writes it whole or not at all, over an older one if need be.
    pub fn write(&self, path: &Path) -> Result<(), Fault> {
        let mut value: Value =
            json!({"v": 1, "origin": self.origin, "ledger_key": self.ledger_key.to_jwk()});
        if let Some(size) = self.min_size {
            value["min_size"] = size.0.into();
        }
        let mut bytes = json::canonical(&value);
        bytes.push(b'\n');
        let draft = path.with_extension("json.draft");
        fs::write(&draft, bytes)
            .and_then(|()| fs::rename(&draft, path))
            .map_err(|e| Fault::io(e, "write the trust file", path.display().to_string()))
    }
}

#[cfg(test)]
mod tests {
    use greffe_domain::key::simulated_party_key;

    use super::*;

    #[test]
    fn a_trust_file_reads_back_and_nothing_else_is_taken_for_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(TRUST_FILE);
        for min_size in [None, Some(TreeSize(7))] {
            let trust = Trust {
                origin: "registre.example/absences".to_owned(),
                ledger_key: simulated_party_key("ledger").public().clone(),
                min_size,
            };
            trust.write(&path).expect("written");
            assert_eq!(Trust::read(&path).expect("read"), trust);
        }
        let good = fs::read_to_string(&path).expect("text");
        for bad in [
            "",
            "{}",
            &good.replace("\"v\":1", "\"v\":2"),
            &good.replace("min_size", "max_size"),
            &good.replace("OKP", "EC"),
            &good.replace(":7", ":-7"),
        ] {
            fs::write(&path, bad).expect("written");
            assert_eq!(Trust::read(&path).expect_err(bad).kind(), FaultKind::Corrupt);
        }
    }
}
