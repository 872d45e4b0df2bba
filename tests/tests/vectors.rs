//! The frozen vectors of `tests/vectors` against the domain crate.
//!
//! They were made by a script that shares no code with it (`tests/vectors/README.md`). Good
//! ones give the same bytes; bad ones are refused at the check they name, so that a refusal
//! for another reason does not pass for the right one.

use greffe_domain::date::Timestamp;
use greffe_domain::encoding::{Hash32, base64url, base64url_decode};
use greffe_domain::event::Event;
use greffe_domain::filing::{Disclosures, Filing, UnverifiedFiling};
use greffe_domain::json;
use greffe_domain::key::{PublicKey, SecretKey, simulated_party_key};
use greffe_domain::refusal::{Refusal, RefusalCode};
use greffe_domain::sdjwt::{Disclosure, Jwt, TYP_FILING, TYP_TOKEN};
use greffe_domain::seal::{
    Head, Leaf, LeafError, MAX_LEAF_BYTES, PendingEntry, Position, SealError, SealedEntry,
    SealedLine, TreeSize, check_entry, check_link, entry_text, head_text, link,
};
use greffe_tests::vectors::{list, read, text};
use serde_json::Value;

fn hex<const N: usize>(text: &str) -> [u8; N] {
    let bytes: Vec<u8> = (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).expect("hexadecimal"))
        .collect();
    bytes.try_into().expect("the length of the vector")
}

fn hash(value: &Value, name: &str) -> Hash32 {
    Hash32::parse(text(value, name)).expect("a hash")
}

fn signature(value: &Value) -> [u8; 64] {
    base64url_decode(text(value, "signature")).expect("base64url").try_into().expect("64 bytes")
}

fn key(value: &Value) -> PublicKey {
    PublicKey::from_jwk(&value["jwk"]).expect("a key of the vectors")
}

fn position(value: &Value) -> Position {
    Position(value["position"].as_u64().expect("a position"))
}

/// The ledger's key that signs the entry at `position` of `seal.json`.
fn ledger_key(file: &Value, position: Position) -> PublicKey {
    key(&file[if position.0 <= 5 { "ledger_key" } else { "next_ledger_key" }])
}

// seal.json

#[test]
fn the_sealed_ledger_checks_from_end_to_end() {
    let file = read("seal.json");
    let origin = text(&file, "origin");
    let mut signer = key(&file["ledger_key"]);
    let mut prev = Hash32::ZERO;
    let entries = list(&file, "good");
    for (index, vector) in entries.iter().enumerate() {
        let at = Position(index as u64);
        assert_eq!(position(vector), at);
        assert_eq!(hash(vector, "prev"), prev);
        let line = text(vector, "line");
        let Ok(SealedLine::Entry(sealed)) = SealedLine::parse(line) else {
            panic!("entry {index} does not read");
        };
        assert_eq!(sealed.leaf, text(vector, "leaf").as_bytes());
        assert_eq!(link(&sealed.leaf), hash(vector, "link"));
        assert_eq!(sealed.link, hash(vector, "link"));
        assert_eq!(entry_text(origin, at, &sealed.link), text(vector, "text"));
        assert_eq!(sealed.signature, signature(vector));
        assert_eq!(sealed.kid, text(vector, "key"));
        assert_eq!(sealed.to_json_line(), line.as_bytes());
        let leaf = check_entry(origin, at, &prev, &sealed, &signer).expect("a sound entry");
        if let Ok(Event::LedgerKeyRotated { ledger_key }) = Event::read(&leaf.event) {
            signer = ledger_key;
        }
        prev = sealed.link;
    }
    assert_eq!(signer, key(&file["next_ledger_key"]), "the ledger's key was rotated");
    let head = read_head(&file["head"]);
    assert_eq!(head.size, TreeSize(entries.len() as u64));
    assert_eq!(head.link, prev);
    assert_eq!(head_text(origin, head.size, &head.link), text(&file["head"], "text"));
    assert!(head.verify(origin, &signer));
    assert!(!head.verify("autre.example", &signer), "a head names its ledger");
}

#[test]
fn each_leaf_is_what_write_leaf_writes() {
    let file = read("seal.json");
    for vector in list(&file, "good") {
        let bytes = text(vector, "leaf").as_bytes();
        let leaf = Leaf::parse(bytes).expect("a sound leaf");
        let event = Event::read(&leaf.event).expect("a known event");
        let value = json::parse(bytes).expect("a leaf is JSON");
        let nonce = base64url_decode(text(&value, "nonce")).expect("base64url");
        let pending = PendingEntry {
            event: &event,
            filing: leaf.filing,
            nonce: nonce.try_into().expect("16 bytes"),
            origin: &leaf.origin,
            position: leaf.position,
            prev: leaf.prev,
            rulebook: &leaf.rulebook,
            stream: &leaf.stream,
            time: leaf.time,
        };
        let written = pending.write_leaf().expect("a small leaf");
        assert_eq!(String::from_utf8_lossy(&written), text(vector, "leaf"));
    }
}

/// The leaves again, from the filings and disclosures they cite instead of from themselves.
#[test]
fn each_filed_event_is_the_function_of_its_filing() {
    let file = read("seal.json");
    let mut filed = 0;
    for vector in list(&file, "good") {
        let leaf = Leaf::parse(text(vector, "leaf").as_bytes()).expect("a sound leaf");
        let Some(cited) = leaf.filing else { continue };
        let filing = list(&file, "filings")
            .iter()
            .find(|f| hash(f, "digest") == cited.digest)
            .expect("a filing of the file");
        let filing =
            UnverifiedFiling::parse(&format!("{}~", text(filing, "filing")), Disclosures::AsFound)
                .expect("a filing without its disclosures");
        assert_eq!(filing.digest(), cited.digest);
        let author = key(&file["party_keys"][filing.iss()]);
        let filing = filing.verify(&author).expect("its author's signature");
        let event = filing.event(cited.item as usize, filing.kind.event(), None);
        let mut written = Vec::new();
        Event::Filed(event).write_canonical(&mut written);
        assert_eq!(written, json::canonical(&leaf.event), "position {}", leaf.position);
        filed += 1;
    }
    assert_eq!(filed, 6);
}

#[test]
fn each_disclosure_has_its_digest_in_its_entry() {
    let file = read("seal.json");
    for vector in list(&file, "disclosures") {
        let disclosure = Disclosure::parse(text(vector, "disclosure")).expect("a disclosure");
        assert_eq!(disclosure.digest(), text(vector, "digest"));
        let entry = &list(&file, "good")[position(vector).0 as usize];
        let leaf = Leaf::parse(text(entry, "leaf").as_bytes()).expect("a sound leaf");
        let mut digests = std::collections::HashSet::new();
        greffe_domain::filing::collect_digests(&leaf.event, &mut digests);
        assert!(digests.contains(disclosure.digest_str()));
        let event = Event::read_disclosed(&leaf.event, &[disclosure]).expect("its own value");
        assert!(event.filed().is_some());
    }
}

#[test]
fn our_own_key_makes_the_same_signatures() {
    let file = read("seal.json");
    let origin = text(&file, "origin");
    for vector in list(&file, "good") {
        let seed = &file[if position(vector).0 <= 5 { "ledger_key" } else { "next_ledger_key" }];
        let signer = SecretKey::from_seed(&hex(text(seed, "seed")));
        let leaf = text(vector, "leaf").as_bytes().to_vec();
        let sealed =
            SealedEntry::sign(origin, position(vector), leaf.clone(), link(&leaf), &signer);
        assert_eq!(sealed.to_json_line(), text(vector, "line").as_bytes());
    }
    let signer = SecretKey::from_seed(&hex(text(&file["next_ledger_key"], "seed")));
    let head = read_head(&file["head"]);
    assert_eq!(Head::sign(origin, head.size, head.link, &signer), head);
}

#[test]
fn a_hidden_entry_proves_its_place_and_no_other() {
    let file = read("seal.json");
    let (origin, vector) = (text(&file, "origin"), &file["hidden"]);
    let at = position(vector);
    let Ok(SealedLine::Hidden(hidden)) = SealedLine::parse(text(vector, "line")) else {
        panic!("the hidden entry does not read as one");
    };
    let signer = ledger_key(&file, at);
    let check = |origin: &str, at: Position| {
        check_link(origin, at, &hidden.link, &hidden.signature, &hidden.kid, &signer)
    };
    assert_eq!(check(origin, at), Ok(()));
    assert_eq!(check(origin, Position(at.0 + 1)), Err(SealError::Signature));
    assert_eq!(check("autre.example", at), Err(SealError::Signature));
    assert_eq!(hidden.to_json_line(), text(vector, "line").as_bytes());
}

fn fault(error: &SealError) -> &'static str {
    match error {
        SealError::Line(_) => "line",
        SealError::Member(_) => "member",
        SealError::Leaf(LeafError::Json(_)) => "leaf-json",
        SealError::Leaf(LeafError::NotCanonical) => "leaf-not-canonical",
        SealError::Leaf(LeafError::TooLarge(_)) => "leaf-too-large",
        SealError::Leaf(LeafError::Member(_)) => "leaf-member",
        SealError::Link => "link",
        SealError::Prev => "prev",
        SealError::Position { .. } => "position",
        SealError::Origin(_) => "origin",
        SealError::Key(_) => "key",
        SealError::Signature => "signature",
    }
}

#[test]
fn each_bad_entry_fails_at_its_own_check() {
    let file = read("seal.json");
    let origin = text(&file, "origin");
    for vector in list(&file, "bad") {
        let name = text(vector, "name");
        let at = position(vector);
        let sealed = SealedEntry {
            leaf: text(vector, "leaf").as_bytes().to_vec(),
            link: hash(vector, "link"),
            signature: signature(vector),
            kid: text(vector, "key").to_owned(),
        };
        let signer = ledger_key(&file, at);
        let checked = check_entry(origin, at, &hash(vector, "prev"), &sealed, &signer);
        let error = checked.err().unwrap_or_else(|| panic!("{name}: accepted"));
        assert_eq!(fault(&error), text(vector, "fault"), "{name}: {error}");
        // Whatever stands in place of the leaf, its line must not read as a better one.
        match SealedLine::parse(&String::from_utf8_lossy(&sealed.to_json_line())) {
            Ok(SealedLine::Entry(read)) => assert_eq!(read, sealed, "{name}"),
            Ok(SealedLine::Hidden(_)) => panic!("{name}: a leaf taken for none"),
            Err(error) => panic!("{name}: its line does not read: {error}"),
        }
    }
}

#[test]
fn bad_members_of_a_leaf_are_named() {
    let file = read("seal.json");
    for (name, member) in [
        ("short nonce", "nonce"),
        ("upper-case prev", "prev"),
        ("time in milliseconds", "time"),
        ("unknown version", "v"),
    ] {
        let vector = list(&file, "bad").iter().find(|v| text(v, "name") == name).expect(name);
        let read = Leaf::parse(text(vector, "leaf").as_bytes());
        assert_eq!(read.err(), Some(LeafError::Member(member)), "{name}");
    }
}

fn read_head(value: &Value) -> Head {
    Head {
        size: TreeSize(value["size"].as_u64().expect("a size")),
        link: hash(value, "link"),
        signature: signature(value),
        kid: text(value, "key").to_owned(),
    }
}

#[test]
fn each_bad_head_is_refused() {
    let file = read("seal.json");
    let signer = key(&file["next_ledger_key"]);
    assert_eq!(list(&file, "bad_heads").len(), 5);
    for vector in list(&file, "bad_heads") {
        let head = read_head(vector);
        assert!(!head.verify(text(&file, "origin"), &signer), "{}", text(vector, "name"));
    }
}

#[test]
fn a_leaf_of_65_535_bytes_is_written_and_one_of_65_536_is_not() {
    let file = read("seal.json");
    let vector = &list(&file, "good")[2];
    let leaf = Leaf::parse(text(vector, "leaf").as_bytes()).expect("a sound leaf");
    let sized = |more: usize| {
        let mut event = leaf.event.clone();
        // The title is one member of the body; `Filed::read` checks no length.
        let title = text(&event["data"]["body"], "title").to_owned();
        event["data"]["body"]["title"] = format!("{title}{}", "x".repeat(more)).into();
        let event = Event::read(&event).expect("a known event");
        let pending = PendingEntry {
            event: &event,
            filing: leaf.filing,
            nonce: [7; 16],
            origin: &leaf.origin,
            position: leaf.position,
            prev: leaf.prev,
            rulebook: &leaf.rulebook,
            stream: &leaf.stream,
            time: leaf.time,
        };
        pending.write_leaf()
    };
    let short = sized(0).expect("a small leaf").len();
    let largest = sized(MAX_LEAF_BYTES - short).expect("a leaf of the largest size");
    assert_eq!(largest.len(), 65_535);
    assert!(Leaf::parse(&largest).is_ok());
    let refusal = sized(MAX_LEAF_BYTES + 1 - short).expect_err("one byte too many");
    assert_eq!(refusal.code, RefusalCode::LeafTooLarge);
    let mut bytes = largest;
    bytes.push(b' ');
    assert_eq!(Leaf::parse(&bytes).err(), Some(LeafError::TooLarge(65_536)));
}

// filing.json

/// What a submitted filing goes through before the register is asked.
fn open(filing: &str, origin: &str, key: &PublicKey) -> Result<Filing, Refusal> {
    let unverified = UnverifiedFiling::parse(filing, Disclosures::Complete)?;
    unverified.check_audience(origin)?;
    unverified.verify(key)
}

#[test]
fn good_filings_open_as_their_maker_says() {
    let file = read("filing.json");
    let (origin, key) = (text(&file, "origin"), key(&file["key"]));
    for vector in list(&file, "good") {
        let name = text(vector, "name");
        let filing = open(text(vector, "text"), origin, &key)
            .unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        assert_eq!(filing.digest, hash(vector, "digest"), "{name}");
        assert_eq!(filing.items.len() as u64, vector["items"], "{name}");
        assert_eq!(filing.iss, text(&file, "iss"), "{name}");
        let expected = list(vector, "disclosures");
        assert_eq!(filing.disclosures.len(), expected.len(), "{name}");
        for (disclosure, expected) in filing.disclosures.iter().zip(expected) {
            assert_eq!(disclosure.encoded(), text(expected, "disclosure"), "{name}");
            assert_eq!(disclosure.digest(), text(expected, "digest"), "{name}");
        }
        let owned: usize = filing.items.iter().map(|item| item.disclosures.len()).sum();
        assert_eq!(owned, expected.len(), "{name}: each disclosure belongs to one item");
    }
}

#[test]
fn each_bad_filing_is_refused_with_its_code() {
    let file = read("filing.json");
    let (origin, key) = (text(&file, "origin"), key(&file["key"]));
    let mut wrong = Vec::new();
    for vector in list(&file, "bad") {
        let found = match open(text(vector, "text"), origin, &key) {
            Ok(_) => "accepted".to_owned(),
            Err(refusal) => {
                assert!(!refusal.detail.fr.is_empty() && refusal.detail.fr != refusal.detail.en);
                refusal.code.to_string()
            }
        };
        if found != text(vector, "code") {
            wrong.push(format!("{}: {found}, not {}", text(vector, "name"), vector["code"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Bad filings whose fault is in one field say which, so that nothing else refused them.
#[test]
fn refusals_point_at_the_field_at_fault() {
    let file = read("filing.json");
    let (origin, key) = (text(&file, "origin"), key(&file["key"]));
    for (name, pointer) in [
        ("telephone in the reference", "/reference"),
        ("e-mail address in clear", "/body/title"),
        ("unknown code", "/body/legal_basis/0"),
        ("unknown kind", "/kind"),
        ("unknown evidence", "/evidence"),
        ("unknown word", "/body/channel"),
        ("unknown member of the payload", "/exp"),
        ("unknown member of the body", "/body/colour"),
        ("missing member of the body", "/body/title"),
        ("missing jti", "/jti"),
        ("number as text", "/body/categories/0/retention_days"),
        ("concealable member in clear", "/body/subject"),
        ("concealable elements in clear", "/body/subjects/0"),
        ("at that is no date", "/at"),
        ("iss that is no id", "/iss"),
        ("id in upper case", "/body/processing"),
        ("individuals and a cohort", "/body"),
        ("empty batch", "/body"),
    ] {
        let vector = list(&file, "bad").iter().find(|v| text(v, "name") == name).expect(name);
        let refusal = open(text(vector, "text"), origin, &key).expect_err(name);
        let pointers: Vec<&str> = refusal.errors.iter().map(|e| e.pointer.as_str()).collect();
        assert_eq!(pointers, [pointer], "{name}");
    }
}

#[test]
fn audience_and_issue_time_are_checked_at_their_bounds() {
    let file = read("filing.json");
    let (origin, key) = (text(&file, "origin"), key(&file["key"]));
    let now = Timestamp::parse(text(&file, "now")).expect("an instant");
    let submit = |vector: &Value| {
        open(text(vector, "text"), origin, &key).and_then(|filing| filing.check_issue_time(now))
    };
    for vector in list(&file, "good_in_context") {
        assert_eq!(submit(vector), Ok(()), "{}", text(vector, "name"));
    }
    for vector in list(&file, "bad_in_context") {
        let code = submit(vector).expect_err(text(vector, "name")).code;
        assert_eq!(code.as_str(), text(vector, "code"), "{}", text(vector, "name"));
    }
}

#[test]
fn a_token_is_no_filing_and_a_filing_no_token() {
    let file = read("filing.json");
    let key = key(&file["key"]);
    let token = text(&file["token"], "text");
    let jwt = Jwt::parse(token).expect("a token request");
    assert_eq!(jwt.typ(), TYP_TOKEN);
    assert!(jwt.verify(&key).is_ok(), "it is rightly signed: only its `typ` tells it apart");
    for replayed in [token.to_owned(), format!("{token}~")] {
        let refusal = UnverifiedFiling::parse(&replayed, Disclosures::Complete).expect_err("typ");
        assert_eq!(refusal.code.as_str(), text(&file["token"], "used_as_filing"));
    }
    let filing = text(&file, "filing_used_as_token");
    assert_eq!(Jwt::parse(filing).expect_err("a filing has `~`").code, RefusalCode::Malformed);
    let (signed, _) = filing.split_once('~').expect("a filing has `~`");
    let jwt = Jwt::parse(signed).expect("the signed part");
    assert!(jwt.verify(&key).is_ok());
    assert_eq!(jwt.typ(), TYP_FILING);
}

// keys.json

#[test]
fn thumbprints_are_those_of_rfc_7638() {
    let file = read("keys.json");
    for vector in list(&file, "thumbprints") {
        let jwk = serde_json::json!({"crv": "Ed25519", "kty": "OKP", "x": vector["x"]});
        let key = PublicKey::from_jwk(&jwk).expect("a key");
        assert_eq!(key.kid(), text(vector, "kid"), "{}", text(vector, "name"));
        assert_eq!(key.to_jwk(), jwk);
        if let Some(seed) = vector["seed"].as_str() {
            assert_eq!(SecretKey::from_seed(&hex(seed)).public(), &key);
        }
    }
    for party in ["cnil", "greffe"] {
        let name = format!("simulated party key of `{party}`");
        let vector = list(&file, "thumbprints").iter().find(|v| v["name"] == *name).expect("it");
        assert_eq!(simulated_party_key(party).public().kid(), text(vector, "kid"));
    }
}

#[test]
fn keys_of_small_order_and_bytes_that_are_no_point_are_refused() {
    let file = read("keys.json");
    assert_eq!(list(&file, "weak").len(), 14);
    for vector in list(&file, "weak").iter().chain(list(&file, "not_points")) {
        let bytes = hex::<32>(text(vector, "hex"));
        assert_eq!(base64url(&bytes), text(vector, "x"));
        let code = PublicKey::from_bytes(&bytes).expect_err("a bad key").code;
        assert_eq!(code.as_str(), text(vector, "code"), "{}", text(vector, "hex"));
    }
}

#[test]
fn malformed_jwks_are_refused() {
    let file = read("keys.json");
    for vector in list(&file, "bad_jwks") {
        let name = text(vector, "name");
        let code = PublicKey::from_jwk(&vector["jwk"]).expect_err(name).code;
        assert_eq!(code.as_str(), text(vector, "code"), "{name}");
    }
}

#[test]
fn signatures_are_judged_strictly() {
    let file = read("keys.json");
    for vector in list(&file, "signatures") {
        let name = text(vector, "name");
        let message = text(vector, "message");
        let message: Vec<u8> = (0..message.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&message[i..i + 2], 16).expect("hexadecimal"))
            .collect();
        let key = PublicKey::from_bytes(&hex(text(vector, "public_key")));
        let read = match &key {
            Ok(_) => "ok",
            Err(refusal) => refusal.code.as_str(),
        };
        assert_eq!(read, text(vector, "key"), "{name}");
        // A key that verifies often has its answers computed otherwise.
        for _ in 0..100 {
            let verify = |key: &PublicKey| key.verify(&message, &hex(text(vector, "signature")));
            let verified = key.as_ref().is_ok_and(verify);
            assert_eq!(Value::Bool(verified), vector["verify"], "{name}: {}", vector["why"]);
        }
    }
}
