//! An extract for one person holds nothing of another, even of an access that both share.

use greffe_domain::encoding::base64url;
use greffe_domain::sdjwt::Disclosure;
use greffe_domain::subject::SubjectRef;
use greffe_infra::export::{Scope, export};
use greffe_infra::ledger::Ledger;
use greffe_infra::testing;
use serde_json::{Value, json};

use crate::support::settled;

fn reference(subject: u64) -> String {
    base64url(blake3::hash(&subject.to_be_bytes()).as_bytes())
}

async fn file(ledger: &Ledger, filing: Value) -> u64 {
    let receipts = ledger.submit(&testing::sign(filing)).await.expect("recorded");
    receipts[0].position.0
}

/// What an extract discloses, as text.
async fn disclosed(ledger: &Ledger, subject: u64) -> Vec<String> {
    let scope = Scope::Subject(SubjectRef::parse(&reference(subject)).expect("32 bytes"));
    let head = ledger.head().expect("signed").signed;
    let mut out = Vec::new();
    export(&**ledger.store(), &head, scope, &mut out, |_, _| {}).await.expect("exported");
    let text = String::from_utf8(out).expect("UTF-8");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let disclosures = lines.filter_map(|line| Some(line["disclosure"].as_str()?.to_owned()));
    disclosures.map(|d| Disclosure::parse(&d).expect("a disclosure").value.to_string()).collect()
}

#[tokio::test]
async fn what_another_said_of_a_shared_access_stays_concealed() {
    let (ledger, _) = settled().await;
    let mut shared = testing::access("cnamts", "suivi", 1);
    shared["body"]["subjects"] = json!([reference(1), reference(2)]);
    let access = file(&ledger, shared).await;
    let contest = |subject, ground: &str| {
        json!({"iss": "desk-1", "kind": "access.contest", "body": {
            "access": access, "subject": reference(subject), "ground": ground,
        }})
    };
    let answer = |reason: &str| {
        json!({"iss": "cnamts", "kind": "access.answer", "body": {
            "access": access, "outcome": "rejected", "reason": reason,
        }})
    };
    file(&ledger, contest(1, "first says")).await;
    file(&ledger, answer("first is told")).await;
    let told = disclosed(&ledger, 1).await;
    assert!(told.iter().any(|t| t.contains("first is told")), "{told:?}");

    file(&ledger, contest(2, "second says")).await;
    file(&ledger, answer("second is told")).await;
    for (own, other, says) in [(1, 2, "first says"), (2, 1, "second says")] {
        let told = disclosed(&ledger, own).await;
        assert!(told.iter().any(|t| t.contains(says)), "{told:?}");
        assert!(told.iter().any(|t| t.contains(&reference(own))), "{told:?}");
        assert!(!told.iter().any(|t| t.contains(&reference(other))), "{told:?}");
        let of_other = if own == 1 { "second" } else { "first" };
        assert!(!told.iter().any(|t| t.contains(of_other)), "{told:?}");
    }
    // A third person sees none of it.
    assert!(disclosed(&ledger, 3).await.is_empty());
    ledger.shutdown().await;
}
