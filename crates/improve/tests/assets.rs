//! Content addresses: published vectors, and that what was sealed verifies after it was stored.

use instar_improve::asset::{AssetError, address, seal, verify};
use proptest::prelude::*;
use serde_json::{Value, json};

#[test]
fn the_published_vectors_hold() {
    let vectors = [
        (
            r#"{"type":"Gene","id":"g1"}"#,
            "aa914307d9b1985176b409544b0c1bc7071af361d1c31bd37b65bb5de0f03f8d",
        ),
        (
            r#"{"b":2,"a":[3,1,{"z":null,"y":true}],"asset_id":"sha256:ignored"}"#,
            "a301d5e5c27c31d4eb6747aa3806bc000f3e5334a0e8ba75fee52db2e7df473e",
        ),
        (
            r#"{"x":1.0,"y":0.30000000000000004,"z":1e21,"w":-0.0,"t":1e-7}"#,
            "345c3502323b1f06b26a68baf561fb3d43fe074e6809e3db98ef439055856f6a",
        ),
        (
            r#"{"o":{"asset_id":"kept-inside"}}"#,
            "0cf16b12d6c48669bfd54199f515a493218e3a41572b2a93af0f9751f85f2565",
        ),
        // Keys go by UTF-16 units, which puts U+1F600 before U+FFEE; by characters it would stand behind.
        (
            r#"{"\uFFEE":4,"\uD83D\uDE00":3,"\u00E9":2,"z":1}"#,
            "e27a15c27566908932248f2afc519f665df5f32117bfd397d0904b0ce82a808c",
        ),
        (
            "{}",
            "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        ),
    ];
    for (text, digest) in vectors {
        let asset: Value = serde_json::from_str(text).unwrap();
        assert_eq!(
            address(&asset).unwrap(),
            format!("sha256:{digest}"),
            "{text}"
        );
    }
}

#[test]
fn an_asset_that_was_changed_or_never_sealed_is_refused() {
    let mut sealed = seal(json!({"type": "Gene", "id": "g", "n": 0.1})).unwrap();
    verify(&sealed).unwrap();
    sealed["n"] = json!(0.2);
    assert!(matches!(verify(&sealed), Err(AssetError::Mismatch { .. })));
    assert!(matches!(verify(&json!({"a": 1})), Err(AssetError::Unnamed)));
    assert!(matches!(verify(&json!([1])), Err(AssetError::Shape)));
}

proptest! {
    #[test]
    fn what_is_sealed_verifies_after_it_was_written_and_read(
        text in ".{0,40}",
        number in any::<f64>().prop_filter("JSON has no other", |number| number.is_finite()),
        whole in -9_007_199_254_740_991_i64..9_007_199_254_740_991,
        key in "[\\PC]{1,8}",
    ) {
        let asset = json!({ "text": text, "number": number, "whole": whole, "none": null, "inner": { key: [1] } });
        let stored = serde_json::to_vec_pretty(&seal(asset).unwrap()).unwrap();
        let read: Value = serde_json::from_slice(&stored).unwrap();
        prop_assert!(verify(&read).is_ok());
    }
}
