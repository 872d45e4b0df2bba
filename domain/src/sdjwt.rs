//! SD-JWT (RFC 9901), the strict subset that filings use.
//!
//! `<issuer-signed JWT>~<disclosure>~…~`. Concealed values stand in the signed part as salted
//! SHA-256 digests; their disclosures travel beside it and can be erased without touching
//! the signature. Not here: nested disclosures, decoy digests, key binding (all refused).
//! Which paths may be concealed is the caller's business (`schema.rs`).

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::encoding::{Hash32, base64url, base64url_decode};
use crate::json;
use crate::key::{PublicKey, SecretKey};
use crate::refusal::{Refusal, RefusalCode as C};

/// `typ` of a filing.
pub const TYP_FILING: &str = "greffe-filing+sd-jwt";
/// `typ` of a token request.
pub const TYP_TOKEN: &str = "greffe-token+jwt";
/// Least bytes of a disclosure's salt: 128 bits.
pub const MIN_SALT_BYTES: usize = 16;
/// Most disclosures of a filing.
const MAX_DISCLOSURES: usize = 20_000;

/// One value revealed: `[salt, name, value]` for an object's member, `[salt, value]` for an
/// array's element.
#[derive(Debug, Clone, PartialEq)]
pub struct Disclosure {
    encoded: String,
    digest: String,
    pub name: Option<String>,
    pub value: Value,
}

impl Disclosure {
    /// Reads one disclosure, base64url.
    pub fn parse(encoded: &str) -> Result<Self, Refusal> {
        let bad = |fr: &str, en: &str| {
            Refusal::new(
                C::Malformed,
                format!("divulgation illisible : {fr}"),
                format!("unreadable disclosure: {en}"),
            )
        };
        let bytes = base64url_decode(encoded).ok_or_else(|| {
            bad("base64url sans remplissage attendu", "expected unpadded base64url")
        })?;
        let value = json::parse(&bytes).map_err(|e| e.refusal())?;
        let Value::Array(mut parts) = value else {
            return Err(bad("un tableau JSON est attendu", "expected a JSON array"));
        };
        let shape = || {
            bad(
                "[sel, nom, valeur] ou [sel, valeur] attendu",
                "expected [salt, name, value] or [salt, value]",
            )
        };
        let value = parts.pop().ok_or_else(shape)?;
        let name = match parts.len() {
            1 => None,
            2 => match parts.pop() {
                Some(Value::String(name)) => Some(name),
                _ => return Err(shape()),
            },
            _ => return Err(shape()),
        };
        let salt = parts[0]
            .as_str()
            .and_then(base64url_decode)
            .ok_or_else(|| bad("le sel doit être du base64url", "the salt must be base64url"))?;
        if salt.len() < MIN_SALT_BYTES {
            return Err(bad(
                "un sel d’au moins 128 bits est attendu",
                "expected a salt of at least 128 bits",
            ));
        }
        if matches!(name.as_deref(), Some("_sd" | "..." | "_sd_alg")) || holds_digests(&value) {
            return Err(bad(
                "les divulgations imbriquées ne sont pas admises",
                "nested disclosures are not allowed",
            ));
        }
        Ok(Self { digest: digest_of(encoded), encoded: encoded.to_owned(), name, value })
    }

    fn new(salt: &[u8; 16], name: Option<&str>, value: Value) -> Self {
        let salt = base64url(salt);
        let array = match name {
            Some(name) => json!([salt, name, value]),
            None => json!([salt, value]),
        };
        let encoded = base64url(&json::canonical(&array));
        Self { digest: digest_of(&encoded), encoded, name: name.map(str::to_owned), value }
    }

    /// As it travels.
    pub fn encoded(&self) -> &str {
        &self.encoded
    }

    /// SHA-256 of the encoded text, base64url (RFC 9901 §4.2.3).
    pub fn digest(&self) -> String {
        self.digest.clone()
    }

    pub fn digest_str(&self) -> &str {
        &self.digest
    }
}

fn digest_of(encoded: &str) -> String {
    base64url(&Sha256::digest(encoded.as_bytes()))
}

fn holds_digests(value: &Value) -> bool {
    match value {
        Value::Array(values) => values.iter().any(holds_digests),
        Value::Object(members) => {
            members.iter().any(|(name, v)| name == "_sd" || name == "..." || holds_digests(v))
        }
        _ => false,
    }
}

/// A text read as an SD-JWT; nothing verified.
#[derive(Debug, Clone)]
pub struct SdJwt {
    jwt: Jwt,
    disclosures: Vec<Disclosure>,
}

/// A compact JWT, read.
#[derive(Debug, Clone)]
pub struct Jwt {
    text: String,
    /// Where the signing input ends in `text`.
    signed_until: usize,
    kid: String,
    typ: String,
    payload: Value,
    signature: [u8; 64],
}

impl Jwt {
    /// Reads `header.payload.signature`, without `~`: a token request, or a filing's signed part.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let malformed = |fr: &str, en: &str| Refusal::new(C::Malformed, fr, en);
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed(
                "un JWT compact a trois parties séparées par des points",
                "a compact JWT has three parts separated by dots",
            ));
        };
        let decode = |part: &str| {
            base64url_decode(part).ok_or_else(|| {
                malformed(
                    "base64url sans remplissage et canonique attendu",
                    "expected unpadded, canonical base64url",
                )
            })
        };
        let header = json::parse(&decode(header)?).map_err(|e| e.refusal())?;
        let members = header.as_object().filter(|h| h.len() == 3);
        let text_of = |name: &str| members.and_then(|h| h.get(name)).and_then(Value::as_str);
        let (Some(alg), Some(kid), Some(typ)) = (text_of("alg"), text_of("kid"), text_of("typ"))
        else {
            return Err(malformed(
                "l’en-tête doit être exactement {alg, kid, typ}",
                "the header must be exactly {alg, kid, typ}",
            ));
        };
        // RFC 8037 `EdDSA`, RFC 9864 `Ed25519`; nothing else, `none` least of all.
        if !matches!(alg, "EdDSA" | "Ed25519") {
            return Err(malformed(
                "`alg` doit être EdDSA ou Ed25519",
                "`alg` must be EdDSA or Ed25519",
            ));
        }
        if base64url_decode(kid).is_none_or(|k| k.len() != 32) {
            return Err(malformed(
                "`kid` doit être l’empreinte RFC 7638 de la clé",
                "`kid` must be the RFC 7638 thumbprint of the key",
            ));
        }
        let payload = json::parse(&decode(payload)?).map_err(|e| e.refusal())?;
        let signature_bytes: [u8; 64] = decode(signature)?.try_into().map_err(|_| {
            malformed("une signature Ed25519 a 64 octets", "an Ed25519 signature has 64 bytes")
        })?;
        Ok(Self {
            signed_until: text.len() - signature.len() - 1,
            kid: kid.to_owned(),
            typ: typ.to_owned(),
            payload,
            signature: signature_bytes,
            text: text.to_owned(),
        })
    }

    pub fn kid(&self) -> &str {
        &self.kid
    }

    pub fn typ(&self) -> &str {
        &self.typ
    }

    pub fn payload(&self) -> &Value {
        &self.payload
    }

    pub fn verify(&self, key: &PublicKey) -> Result<(), Refusal> {
        let input = &self.text.as_bytes()[..self.signed_until];
        if self.kid == key.kid() && key.verify(input, &self.signature) {
            return Ok(());
        }
        Err(Refusal::new(
            C::SignatureInvalid,
            "la signature ne correspond ni au texte ni à la clé",
            "the signature does not match the text and the key",
        ))
    }
}

impl SdJwt {
    /// Reads the compact form, which ends in `~`.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let malformed = |fr: &str, en: &str| Refusal::new(C::Malformed, fr, en);
        let Some(body) = text.strip_suffix('~') else {
            return Err(malformed(
                "un dépôt est un SD-JWT : <JWT>~<divulgations>~, sans JWT de liaison à la fin",
                "a filing is an SD-JWT: <JWT>~<disclosures>~, with no key-binding JWT at the end",
            ));
        };
        let mut parts = body.split('~');
        let jwt = Jwt::parse(parts.next().unwrap_or_default())?;
        let mut disclosures = Vec::new();
        let mut seen = HashSet::new();
        for part in parts {
            if disclosures.len() == MAX_DISCLOSURES {
                return Err(malformed("trop de divulgations", "too many disclosures"));
            }
            let disclosure = Disclosure::parse(part)?;
            if !seen.insert(disclosure.digest.clone()) {
                return Err(unexpected(
                    "",
                    "une divulgation figure deux fois",
                    "a disclosure appears twice",
                ));
            }
            disclosures.push(disclosure);
        }
        Ok(Self { jwt, disclosures })
    }

    pub fn kid(&self) -> &str {
        self.jwt.kid()
    }

    pub fn typ(&self) -> &str {
        self.jwt.typ()
    }

    pub fn payload(&self) -> &Value {
        self.jwt.payload()
    }

    /// The issuer-signed part, verbatim.
    pub fn jwt(&self) -> &str {
        &self.jwt.text
    }

    pub fn disclosures(&self) -> &[Disclosure] {
        &self.disclosures
    }

    /// The issuer-signed part, its payload, and the disclosures.
    pub fn into_parts(self) -> (String, Value, Vec<Disclosure>) {
        (self.jwt.text, self.jwt.payload, self.disclosures)
    }

    /// BLAKE3 of the issuer-signed part: what identifies the filing in the ledger.
    pub fn digest(&self) -> Hash32 {
        Hash32(*blake3::hash(self.jwt.text.as_bytes()).as_bytes())
    }

    pub fn verify(&self, key: &PublicKey) -> Result<(), Refusal> {
        self.jwt.verify(key)
    }
}

/// One step from the root of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathStep<'a> {
    Member(&'a str),
    Index(usize),
}

/// Conceals the values at the paths the caller names; returns the signed form and the
/// disclosures. `salts`: fresh random bytes at each call.
pub fn conceal(
    value: Value,
    is_concealed: &dyn Fn(&[PathStep<'_>]) -> bool,
    salts: &mut dyn FnMut() -> [u8; 16],
) -> (Value, Vec<Disclosure>) {
    let mut disclosures = Vec::new();
    let value = conceal_below(value, &[], is_concealed, salts, &mut disclosures);
    (value, disclosures)
}

fn conceal_below(
    value: Value,
    path: &[PathStep<'_>],
    is_concealed: &dyn Fn(&[PathStep<'_>]) -> bool,
    salts: &mut dyn FnMut() -> [u8; 16],
    disclosures: &mut Vec<Disclosure>,
) -> Value {
    match value {
        Value::Object(members) => {
            let mut kept = Map::new();
            let mut digests = Vec::new();
            for (name, value) in members {
                let mut path: Vec<PathStep<'_>> = path.to_vec();
                path.push(PathStep::Member(&name));
                if is_concealed(&path) {
                    let disclosure = Disclosure::new(&salts(), Some(&name), value);
                    digests.push(disclosure.digest.clone());
                    disclosures.push(disclosure);
                } else {
                    let value = conceal_below(value, &path, is_concealed, salts, disclosures);
                    kept.insert(name, value);
                }
            }
            if !digests.is_empty() {
                // Sorted, so that their order tells nothing of the members' names.
                digests.sort();
                kept.insert("_sd".to_owned(), digests.into());
            }
            Value::Object(kept)
        }
        Value::Array(values) => values
            .into_iter()
            .enumerate()
            .map(|(i, value)| {
                let mut path: Vec<PathStep<'_>> = path.to_vec();
                path.push(PathStep::Index(i));
                if is_concealed(&path) {
                    let disclosure = Disclosure::new(&salts(), None, value);
                    let digest = disclosure.digest.clone();
                    disclosures.push(disclosure);
                    json!({"...": digest})
                } else {
                    conceal_below(value, &path, is_concealed, salts, disclosures)
                }
            })
            .collect(),
        other => other,
    }
}

fn unexpected(pointer: &str, fr: &str, en: &str) -> Refusal {
    Refusal::at(pointer, C::DisclosureUnexpected, fr, en)
}

/// Puts disclosed values back beside their digests.
///
/// A disclosed value becomes `{"digest":…,"value":…}`, under its member's name or in its
/// element's place; an element not disclosed `{"digest":…}`; digests of an object not
/// disclosed stay in its `_sd`. Errors: `disclosure-unexpected` for a disclosure that no
/// digest asks for, or a digest that stands twice.
pub fn reveal(value: &Value, disclosures: &[Disclosure]) -> Result<Value, Refusal> {
    let mut by_digest: HashMap<&str, &Disclosure> =
        disclosures.iter().map(|d| (d.digest.as_str(), d)).collect();
    let mut seen = HashSet::new();
    let revealed = reveal_below(value, &mut String::new(), &mut by_digest, &mut seen)?;
    if by_digest.is_empty() {
        Ok(revealed)
    } else {
        Err(unexpected(
            "",
            "une divulgation ne correspond à aucune empreinte du dépôt",
            "a disclosure matches no digest of the filing",
        ))
    }
}

fn reveal_below<'v>(
    value: &'v Value,
    at: &mut String,
    by_digest: &mut HashMap<&str, &Disclosure>,
    seen: &mut HashSet<&'v str>,
) -> Result<Value, Refusal> {
    let depth = at.len();
    match value {
        Value::Array(values) => {
            let mut out = Vec::with_capacity(values.len());
            for (i, value) in values.iter().enumerate() {
                at.push('/');
                at.push_str(&i.to_string());
                let element = match value {
                    Value::Object(members) if members.contains_key("...") => {
                        let digest = element_digest(members, at)?;
                        once(seen, digest, at)?;
                        match by_digest.remove(digest) {
                            None => json!({"digest": digest}),
                            Some(d) if d.name.is_none() => {
                                json!({"digest": digest, "value": d.value})
                            }
                            Some(_) => {
                                return Err(unexpected(
                                    at,
                                    "[sel, valeur] attendu ici",
                                    "expected [salt, value] here",
                                ));
                            }
                        }
                    }
                    value => reveal_below(value, at, by_digest, seen)?,
                };
                out.push(element);
                at.truncate(depth);
            }
            Ok(Value::Array(out))
        }
        Value::Object(members) => {
            let mut out = Map::new();
            for (name, value) in members {
                if name == "_sd" || name == "..." {
                    continue;
                }
                at.push('/');
                at.push_str(name);
                out.insert(name.clone(), reveal_below(value, at, by_digest, seen)?);
                at.truncate(depth);
            }
            if members.contains_key("...") {
                return Err(unexpected(
                    at,
                    "« ... » n’est admis que dans un tableau",
                    "`...` is allowed only in an array",
                ));
            }
            if let Some(digests) = members.get("_sd") {
                let digests = digests.as_array().filter(|d| !d.is_empty()).ok_or_else(|| {
                    Refusal::at(
                        format!("{at}/_sd"),
                        C::Malformed,
                        "`_sd` : une liste d’empreintes",
                        "`_sd`: a list of digests",
                    )
                })?;
                let mut withheld = Vec::new();
                for digest in digests {
                    let digest = valid_digest(digest, at)?;
                    once(seen, digest, at)?;
                    match by_digest.remove(digest) {
                        None => withheld.push(Value::from(digest)),
                        Some(Disclosure { name: Some(name), value, .. }) => {
                            let revealed = json!({"digest": digest, "value": value});
                            if out.insert(name.clone(), revealed).is_some() {
                                return Err(unexpected(
                                    &format!("{at}/{name}"),
                                    "ce champ est donné deux fois",
                                    "this field is given twice",
                                ));
                            }
                        }
                        Some(_) => {
                            return Err(unexpected(
                                at,
                                "[sel, nom, valeur] attendu ici",
                                "expected [salt, name, value] here",
                            ));
                        }
                    }
                }
                if !withheld.is_empty() {
                    out.insert("_sd".to_owned(), Value::Array(withheld));
                }
            }
            Ok(Value::Object(out))
        }
        other => Ok(other.clone()),
    }
}

fn element_digest<'v>(members: &'v Map<String, Value>, at: &str) -> Result<&'v str, Refusal> {
    if members.len() != 1 {
        return Err(unexpected(at, "« ... » doit être seul", "`...` must stand alone"));
    }
    valid_digest(&members["..."], at)
}

fn valid_digest<'v>(digest: &'v Value, at: &str) -> Result<&'v str, Refusal> {
    digest.as_str().filter(|d| base64url_decode(d).is_some_and(|b| b.len() == 32)).ok_or_else(
        || {
            Refusal::at(
                at,
                C::Malformed,
                "empreinte SHA-256 en base64url attendue",
                "expected a SHA-256 digest in base64url",
            )
        },
    )
}

fn once<'v>(seen: &mut HashSet<&'v str>, digest: &'v str, at: &str) -> Result<(), Refusal> {
    if seen.insert(digest) {
        Ok(())
    } else {
        Err(unexpected(at, "la même empreinte figure deux fois", "the same digest stands twice"))
    }
}

/// Refuses a digest without its disclosure (a decoy, or a value withheld).
pub fn require_complete(value: &Value, disclosures: &[Disclosure]) -> Result<(), Refusal> {
    let given: HashSet<&str> = disclosures.iter().map(Disclosure::digest_str).collect();
    complete_below(value, &given, &mut String::new())
}

fn complete_below(value: &Value, given: &HashSet<&str>, at: &mut String) -> Result<(), Refusal> {
    let depth = at.len();
    let missing = |digest: Option<&str>, at: &str| match digest {
        Some(digest) if given.contains(digest) => Ok(()),
        _ => Err(Refusal::at(
            at,
            C::DisclosureMissing,
            "une empreinte n’a pas sa divulgation : joindre chaque valeur dissimulée",
            "a digest has no disclosure: send each concealed value along",
        )),
    };
    match value {
        Value::Array(values) => {
            for (i, value) in values.iter().enumerate() {
                at.push('/');
                at.push_str(&i.to_string());
                complete_below(value, given, at)?;
                at.truncate(depth);
            }
        }
        Value::Object(members) => {
            for (name, value) in members {
                match (name.as_str(), value) {
                    ("_sd", Value::Array(digests)) => {
                        for digest in digests {
                            missing(digest.as_str(), at)?;
                        }
                    }
                    ("...", digest) => missing(digest.as_str(), at)?,
                    _ => {
                        at.push('/');
                        at.push_str(name);
                        complete_below(value, given, at)?;
                        at.truncate(depth);
                    }
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// Signs a payload: compact JWT, canonical payload.
pub fn sign(payload: &Value, typ: &str, key: &SecretKey) -> String {
    let header = json!({"alg": "EdDSA", "kid": key.public().kid(), "typ": typ});
    let mut text = base64url(&json::canonical(&header));
    text.push('.');
    text.push_str(&base64url(&json::canonical(payload)));
    let signature = key.sign(text.as_bytes());
    text.push('.');
    text.push_str(&base64url(&signature));
    text
}

/// The compact form of a signed part and its disclosures.
pub fn compact(jwt: &str, disclosures: &[Disclosure]) -> String {
    let mut text = format!("{jwt}~");
    for disclosure in disclosures {
        text.push_str(&disclosure.encoded);
        text.push('~');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::simulated_party_key;

    #[test]
    fn digests_are_those_of_rfc_9901() {
        // RFC 9901 §4.2.3 and §4.2.4.2: a member's and an array element's disclosure.
        for (encoded, digest) in [
            (
                "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0",
                "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0",
            ),
            (
                "WyJsa2x4RjVqTVlsR1RQVW92TU5JdkNBIiwgIkZSIl0",
                "w0I8EKcdCtUPkGCNUrfwVp2xEgNjtoIDlOxc9-PlOhs",
            ),
        ] {
            let disclosure = Disclosure::parse(encoded).expect("the RFC's disclosure");
            assert_eq!(disclosure.digest(), digest);
        }
    }

    fn example() -> (Value, Vec<Disclosure>) {
        let mut n = 0u8;
        conceal(
            json!({"a": {"secret": "x", "clear": 1}, "list": ["p", "q"]}),
            &|path| {
                matches!(path, [PathStep::Member("a"), PathStep::Member("secret")])
                    || matches!(path, [PathStep::Member("list"), PathStep::Index(_)])
            },
            &mut || {
                n += 1;
                [n; 16]
            },
        )
    }

    #[test]
    fn what_is_concealed_is_revealed_beside_its_digest() {
        let (signed, disclosures) = example();
        assert!(signed["a"].get("secret").is_none());
        let revealed = reveal(&signed, &disclosures).expect("all there");
        assert_eq!(revealed["a"]["secret"]["value"], "x");
        assert_eq!(revealed["list"][1]["value"], "q");
        let withheld = reveal(&signed, &[]).expect("nothing revealed");
        assert!(withheld["list"][0].get("value").is_none());
        assert_eq!(withheld["a"]["_sd"], signed["a"]["_sd"]);
        assert!(require_complete(&signed, &disclosures).is_ok());
        let missing = require_complete(&signed, &disclosures[1..]).expect_err("one is missing");
        assert_eq!(missing.code, C::DisclosureMissing);
    }

    #[test]
    fn a_disclosure_that_nothing_asks_for_is_refused() {
        let (signed, mut disclosures) = example();
        disclosures.push(Disclosure::new(&[9; 16], Some("other"), json!(1)));
        let refusal = reveal(&signed, &disclosures).expect_err("one too many");
        assert_eq!(refusal.code, C::DisclosureUnexpected);
    }

    #[test]
    fn a_signed_text_reads_and_verifies_only_under_its_key() {
        let key = simulated_party_key("cnil");
        let (signed, disclosures) = example();
        let text = compact(&sign(&signed, TYP_FILING, &key), &disclosures);
        let read = SdJwt::parse(&text).expect("our own text");
        assert!(read.verify(key.public()).is_ok());
        assert!(read.verify(simulated_party_key("other").public()).is_err());
        assert_eq!(read.disclosures().len(), 3);
        assert!(SdJwt::parse(text.trim_end_matches('~')).is_err());
    }

    #[test]
    fn short_salts_and_nested_digests_are_refused() {
        let encode = |value: Value| base64url(&json::canonical(&value));
        assert!(Disclosure::parse(&encode(json!(["c2hvcnQ", "n", 1]))).is_err());
        let salt = base64url(&[1; 16]);
        assert!(Disclosure::parse(&encode(json!([salt, "n", {"_sd": ["x"]}]))).is_err());
        assert!(Disclosure::parse(&encode(json!([salt, "n", [{"...": "x"}]]))).is_err());
        assert!(Disclosure::parse(&encode(json!([salt, "_sd", 1]))).is_err());
        assert!(Disclosure::parse(&encode(json!([salt, "n", 1]))).is_ok());
    }
}
