//! Why something a command asked for did not succeed: what, and what to do, in two lines.
//!
//! Everything that fails below the command line becomes one of these here.

use std::fmt;
use std::path::Path;

use greffe_domain::key::SecretKey;
use greffe_domain::refusal::Refusal;
use greffe_infra::backup::BackupError;
use greffe_infra::ledger::OpenError;
use greffe_infra::migrate::MigrateError;
use greffe_infra::store::{Fault, FaultKind};
use greffe_infra::submit::SubmitError;

/// Why a command did not end with 0.
#[derive(Debug)]
pub struct CliError {
    what: String,
    advice: String,
    code: u8,
}

impl CliError {
    /// The answer is no.
    pub fn no(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what: what.into(), advice: advice.into(), code: 1 }
    }

    /// It could not run.
    pub fn broken(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what: what.into(), advice: advice.into(), code: 2 }
    }

    /// The same, of a file that is named.
    pub fn about(self, path: &Path) -> Self {
        Self { what: format!("{}: {}", path.display(), self.what), ..self }
    }

    /// The exit code of the process.
    pub fn code(&self) -> u8 {
        self.code
    }

    fn caused(error: &dyn std::error::Error) -> String {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        text
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.what, self.advice)
    }
}

impl From<Fault> for CliError {
    fn from(fault: Fault) -> Self {
        Self::broken(Self::caused(&fault), fault.advice())
    }
}

impl From<Refusal> for CliError {
    fn from(refusal: Refusal) -> Self {
        let fields: String = refusal
            .errors
            .iter()
            .map(|e| format!("; {} {}: {}", e.pointer, e.code, e.detail))
            .collect();
        Self::no(
            format!("refused ({}): {}{fields}", refusal.code, refusal.detail),
            "correct it and try again: nothing was recorded",
        )
    }
}

impl From<OpenError> for CliError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Refused(refusal) => Self { code: 2, ..Self::from(refusal) },
            OpenError::Fault(fault) => fault.into(),
            OpenError::Unsound { .. } => Self::broken(
                Self::caused(&error),
                "run `greffe fsck` on it, and restore the ledger from a copy",
            ),
        }
    }
}

impl From<MigrateError> for CliError {
    fn from(error: MigrateError) -> Self {
        let what = Self::caused(&error);
        match error {
            MigrateError::Fault(fault) => {
                Self::broken(what, format!("{}; the next run goes on from there", fault.advice()))
            }
            MigrateError::NotAPrefix(_) => {
                Self::no(what, "choose an empty target, or the one of an earlier run")
            }
            MigrateError::Source(_) => {
                Self::no(what, "restore the ledger from a copy; keep this one as evidence")
            }
            MigrateError::Copy(_) => Self::no(what, "drop the copy, and copy again"),
        }
    }
}

impl From<BackupError> for CliError {
    fn from(error: BackupError) -> Self {
        let what = Self::caused(&error);
        match error {
            BackupError::Fault(fault) => fault.into(),
            BackupError::Opening(error) => error.into(),
            BackupError::Unsound(_) => {
                Self::no(what, "run `greffe fsck` on what was copied; use an earlier copy")
            }
            BackupError::NoReceipt { .. } => {
                Self::no(what, "give receipts of this ledger, one a file; nothing was restored")
            }
            BackupError::Keys(_) => {
                Self::no(what, "use an earlier copy; keep this one as evidence")
            }
        }
    }
}

impl From<SubmitError> for CliError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Refused(refusal) => refusal.into(),
            SubmitError::NotRecorded(_) => {
                Self::broken(Self::caused(&error), "try again: nothing was recorded")
            }
            SubmitError::Unknown(_) => Self::broken(
                Self::caused(&error),
                "send the same bytes again: that is safe, and tells",
            ),
        }
    }
}

/// Reads a whole file.
pub fn read_file(path: &Path) -> Result<Vec<u8>, CliError> {
    std::fs::read(path).map_err(|e| {
        CliError::broken(format!("cannot read {}: {e}", path.display()), "check the path")
    })
}

/// Reads a private key.
pub fn read_key(path: &Path) -> Result<SecretKey, CliError> {
    greffe_infra::keystore::read_key(path).map_err(|fault| match fault.kind() {
        FaultKind::Exposed => fault.into(),
        _ => CliError::broken(
            CliError::caused(&fault),
            "give an Ed25519 private key in PKCS#8 PEM, as `greffe keygen` makes them",
        ),
    })
}
