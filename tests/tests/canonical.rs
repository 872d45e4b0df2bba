//! Whole leaves, as `write_leaf` writes them from random filings, against a general
//! canonicaliser of RFC 8785 that shares no code with ours.

use greffe_domain::date::Timestamp;
use greffe_domain::encoding::{Hash32, base64url};
use greffe_domain::event::Event;
use greffe_domain::json;
use greffe_domain::kind::StreamType;
use greffe_domain::seal::{
    FilingRef, Leaf, MAX_LEAF_BYTES, PendingEntry, Position, SealedEntry, SealedLine, StreamRef,
    check_entry, link,
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Any text the format allows: every character but U+0000, those that need an escape and
/// those on both sides of the surrogates more often than by chance.
fn text() -> impl Strategy<Value = String> {
    let special = prop::sample::select(vec![
        '"',
        '\\',
        '/',
        '\u{1}',
        '\u{8}',
        '\t',
        '\n',
        '\u{b}',
        '\u{c}',
        '\r',
        '\u{1f}',
        '\u{7f}',
        '\u{80}',
        '\u{2028}',
        'é',
        '’',
        '\u{d7ff}',
        '\u{e000}',
        '\u{fb33}',
        '\u{fffd}',
        '\u{ffff}',
        '\u{10000}',
        '\u{1f600}',
        '\u{10ffff}',
    ]);
    let any = any::<char>().prop_filter("U+0000 is refused when read", |c| *c != '\0');
    prop::collection::vec(prop_oneof![special, any], 1..24).prop_map(String::from_iter)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-json::MAX_INTEGER..=json::MAX_INTEGER).prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::hash_map(text(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

prop_compose! {
    /// The `event` of a declaration; members that this version does not know are kept as signed.
    fn event()(
        title in text(), subjects in prop::collection::vec(text(), 1..4),
        reference in prop::option::of(text()), dated in any::<bool>(),
        retention_days in 0..1_000_000i64, extra in prop::collection::hash_map(text(), value(), 0..4),
    ) -> Value {
        let mut body = json!({
            "processing": "p", "title": title, "subjects": subjects, "purposes": [],
            "categories": [{"code": "ABS-RATE", "retention_days": retention_days}],
            "recipients": [], "legal_basis": [],
        });
        for (name, value) in extra {
            body[format!("x{name}")] = value;
        }
        let at = if dated {
            json!({"earliest": "2004-08-01", "latest": "2004-08-31", "text": "2004-08"})
        } else {
            json!({"earliest": null, "latest": null, "text": null})
        };
        let mut data = json!({
            "at": at, "body": body, "evidence": "act", "iss": "caisse", "kind": "processing.declare",
        });
        if let Some(reference) = reference {
            data["reference"] = reference.into();
        }
        json!({"data": data, "type": "ProcessingDeclared", "version": 1})
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_leaf_is_written_as_a_general_canonicaliser_would(
        event in event(), digest in any::<[u8; 32]>(), prev in any::<[u8; 32]>(),
        nonce in any::<[u8; 16]>(), item in 0..1000u32, version in 1..1_000_000u64,
        position in 0..1_000_000_000u64, micros in 0..4_000_000_000_000_000i64,
        cites in any::<bool>(), origin in "[a-z]{1,9}\\.example/[a-z0-9~]{1,9}",
    ) {
        let read = Event::read(&event).expect("an event of this version");
        let stream = StreamRef { id: "p".into(), kind: StreamType::Processing, version };
        let filing = cites.then_some(FilingRef { digest: Hash32(digest), item });
        let time = Timestamp::from_micros(micros);
        let pending = PendingEntry {
            event: &read, filing, nonce, origin: &origin, position: Position(position),
            prev: Hash32(prev), rulebook: "2026-11-21", stream: &stream, time,
        };
        let written = pending.write_leaf().expect("a small leaf");
        prop_assert!(written.len() <= MAX_LEAF_BYTES);

        // Built again member by member, without `write_leaf`.
        let expected = json!({
            "event": event,
            "filing": filing.map(|f| json!({"digest": f.digest.to_string(), "item": item})),
            "nonce": base64url(&nonce), "origin": origin, "position": position,
            "prev": Hash32(prev).to_string(), "rulebook": "2026-11-21",
            "stream": {"id": "p", "type": "processing", "version": version},
            "time": time.to_string(), "v": 1,
        });
        let expected = serde_json_canonicalizer::to_vec(&expected).expect("a general library");
        prop_assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(&expected));

        // And it reads back, raw, through its exported line.
        let key = greffe_domain::key::simulated_party_key("a ledger");
        let sealed =
            SealedEntry::sign(&origin, Position(position), written.clone(), link(&written), &key);
        let line = String::from_utf8(sealed.to_json_line()).expect("JSON is UTF-8");
        prop_assert_eq!(SealedLine::parse(&line), Ok(SealedLine::Entry(sealed.clone())));
        let leaf = check_entry(
            &origin, Position(position), &Hash32(prev), &sealed, key.public(),
        );
        let leaf: Leaf = leaf.expect("a sound entry");
        prop_assert_eq!(json::canonical(&leaf.event), json::canonical(&event));
        prop_assert_eq!(leaf.time, time);
    }
}
