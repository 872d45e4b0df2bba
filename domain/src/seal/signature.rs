//! Sealed entries: their signatures, their JSON line, and how one is checked.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::encoding::{Hash32, base64url, base64url_decode};
use crate::key::{PublicKey, SecretKey};
use crate::seal::{Leaf, LeafError, Position, TreeSize, link};

/// Text the ledger signs for an entry, UTF-8.
pub fn entry_text(origin: &str, position: Position, link: &Hash32) -> String {
    format!("greffe v1 entry\n{origin}\n{position}\n{link}\n")
}

/// Text the ledger signs for its head, UTF-8. `link` is that of the last entry.
pub fn head_text(origin: &str, size: TreeSize, link: &Hash32) -> String {
    format!("greffe v1 head\n{origin}\n{size}\n{link}\n")
}

/// An entry as the ledger holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedEntry {
    /// Canonical bytes.
    pub leaf: Vec<u8>,
    pub link: Hash32,
    /// Ed25519 over [`entry_text`].
    pub signature: [u8; 64],
    /// Thumbprint of the ledger's key that signed.
    pub kid: String,
}

/// An entry whose leaf the reader may not see; still bound to its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HiddenEntry {
    pub link: Hash32,
    pub signature: [u8; 64],
    pub kid: String,
}

/// One line of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SealedLine {
    Entry(SealedEntry),
    Hidden(HiddenEntry),
}

/// A signed statement of the ledger's size and last link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub size: TreeSize,
    pub link: Hash32,
    pub signature: [u8; 64],
    pub kid: String,
}

impl Head {
    pub fn sign(origin: &str, size: TreeSize, link: Hash32, key: &SecretKey) -> Self {
        let signature = key.sign(head_text(origin, size, &link).as_bytes());
        Self { size, link, signature, kid: key.public().kid().to_owned() }
    }

    pub fn verify(&self, origin: &str, key: &PublicKey) -> bool {
        self.kid == key.kid()
            && key.verify(head_text(origin, self.size, &self.link).as_bytes(), &self.signature)
    }
}

impl SealedEntry {
    /// Signs a leaf in its place.
    pub fn sign(
        origin: &str,
        position: Position,
        leaf: Vec<u8>,
        link: Hash32,
        key: &SecretKey,
    ) -> Self {
        let signature = key.sign(entry_text(origin, position, &link).as_bytes());
        Self { leaf, link, signature, kid: key.public().kid().to_owned() }
    }

    /// `{"leaf":…,"link":…,"signature":…,"key":…}`, without a line end.
    pub fn to_json_line(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.leaf.len() + 256);
        out.extend_from_slice(b"{\"leaf\":");
        out.extend_from_slice(&self.leaf);
        out.push(b',');
        write_seal(&self.link, &self.signature, &self.kid, &mut out);
        out
    }

    pub fn hide(&self) -> HiddenEntry {
        HiddenEntry { link: self.link, signature: self.signature, kid: self.kid.clone() }
    }
}

impl HiddenEntry {
    pub fn to_json_line(&self) -> Vec<u8> {
        let mut out = vec![b'{'];
        write_seal(&self.link, &self.signature, &self.kid, &mut out);
        out
    }
}

fn write_seal(link: &Hash32, signature: &[u8; 64], kid: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(
        format!(
            "\"link\":\"{link}\",\"signature\":\"{}\",\"key\":\"{kid}\"}}",
            base64url(signature)
        )
        .as_bytes(),
    );
}

impl SealedLine {
    /// Reads one line. The bytes of `leaf` are kept exactly as they stand.
    pub fn parse(line: &str) -> Result<Self, SealError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Line<'a> {
            #[serde(borrow, default)]
            leaf: Option<&'a RawValue>,
            link: String,
            signature: String,
            key: String,
        }
        let line: Line<'_> =
            serde_json::from_str(line).map_err(|e| SealError::Line(e.to_string()))?;
        let link = Hash32::parse(&line.link).ok_or(SealError::Member("link"))?;
        let signature: [u8; 64] = base64url_decode(&line.signature)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(SealError::Member("signature"))?;
        Ok(match line.leaf {
            Some(leaf) => Self::Entry(SealedEntry {
                leaf: leaf.get().as_bytes().to_vec(),
                link,
                signature,
                kid: line.key,
            }),
            None => Self::Hidden(HiddenEntry { link, signature, kid: line.key }),
        })
    }
}

/// What is wrong with a sealed entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("the line is not a sealed entry: {0}")]
    Line(String),
    #[error("`{0}` is not of its form")]
    Member(&'static str),
    #[error(transparent)]
    Leaf(#[from] LeafError),
    #[error("the link is not the hash of the leaf")]
    Link,
    #[error("`prev` is not the link of the entry before")]
    Prev,
    #[error("`position` is {found}, and this is position {expected}")]
    Position { expected: Position, found: Position },
    #[error("`origin` is `{0}`, not this ledger's")]
    Origin(String),
    #[error("the entry is signed by key `{0}`, which is not the ledger's at this position")]
    Key(String),
    #[error("the ledger's signature does not verify")]
    Signature,
}

/// Checks a link's signature in its place: all that a hidden entry lets one check.
pub fn check_link(
    origin: &str,
    position: Position,
    link: &Hash32,
    signature: &[u8; 64],
    kid: &str,
    key: &PublicKey,
) -> Result<(), SealError> {
    if kid != key.kid() {
        return Err(SealError::Key(kid.to_owned()));
    }
    if !key.verify(entry_text(origin, position, link).as_bytes(), signature) {
        return Err(SealError::Signature);
    }
    Ok(())
}

/// Checks one entry in its place: form, link, chain, position, origin, signature.
///
/// `prev`: link of the entry before (zeros at position 0). `key`: the ledger's key for this
/// position.
pub fn check_entry(
    origin: &str,
    expected: Position,
    prev: &Hash32,
    entry: &SealedEntry,
    key: &PublicKey,
) -> Result<Leaf, SealError> {
    let leaf = Leaf::parse(&entry.leaf)?;
    if link(&entry.leaf) != entry.link {
        return Err(SealError::Link);
    }
    if leaf.origin != origin {
        return Err(SealError::Origin(leaf.origin));
    }
    if leaf.position != expected {
        return Err(SealError::Position { expected, found: leaf.position });
    }
    if leaf.prev != *prev {
        return Err(SealError::Prev);
    }
    check_link(origin, expected, &entry.link, &entry.signature, &entry.kid, key)?;
    Ok(leaf)
}
