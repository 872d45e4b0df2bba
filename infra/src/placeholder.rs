//! Stand-ins for the domain's own types until they are merged.

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position(pub u64);

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TreeSize(pub u64);

impl std::fmt::Display for TreeSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash32(pub [u8; 32]);

impl Hash32 {
    pub const ZERO: Self = Self([0; 32]);

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StreamType {
    Ledger,
    Party,
    Processing,
    Access,
}

impl StreamType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Party => "party",
            Self::Processing => "processing",
            Self::Access => "access",
        }
    }
}

impl StreamType {
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Ledger, Self::Party, Self::Processing, Self::Access]
            .into_iter()
            .find(|t| t.as_str() == text)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventType {
    LedgerOpened,
    ProcessingDeclared,
    AccessRecorded,
}

impl EventType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LedgerOpened => "LedgerOpened",
            Self::ProcessingDeclared => "ProcessingDeclared",
            Self::AccessRecorded => "AccessRecorded",
        }
    }
    pub fn parse(text: &str) -> Option<Self> {
        [Self::LedgerOpened, Self::ProcessingDeclared, Self::AccessRecorded]
            .into_iter()
            .find(|t| t.as_str() == text)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedEntry {
    pub leaf: Vec<u8>,
    pub link: Hash32,
    pub signature: [u8; 64],
    pub kid: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilingRef {
    pub digest: Hash32,
    pub item: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRef {
    pub id: String,
    pub kind: StreamType,
    pub version: u64,
}
