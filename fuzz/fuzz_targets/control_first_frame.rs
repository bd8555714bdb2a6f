//! Any text as the first frame of a connection is a request to connect, or is turned away with an
//! answer in the protocol's form and a close that the protocol has.
#![no_main]

use libfuzzer_sys::fuzz_target;

/// Longer than any answer has to be, however long the question.
const ANSWER_BYTES_MAX: usize = 8 * 1024;

fuzz_target!(|text: &str| {
    match instar_gateway::first_frame(text) {
        Ok(id) => {
            let frame: serde_json::Value = serde_json::from_str(text).expect("it was read");
            assert_eq!((&frame["type"], &frame["method"]), (&"req".into(), &"connect".into()));
            assert_eq!(frame["id"], id.as_str());
            assert!(id.len() <= 256);
        }
        Err((None, close)) => assert_eq!(close, 1000, "only what is no JSON gets no answer: {text:?}"),
        Err((Some(answer), close)) => {
            assert!(matches!(close, 1002 | 1008), "{close}");
            assert!(answer.len() <= text.len() + ANSWER_BYTES_MAX, "{answer}");
            let answer: serde_json::Value = serde_json::from_str(&answer).expect("an answer is JSON");
            assert_eq!((&answer["type"], &answer["ok"]), (&"res".into(), &false.into()));
            assert_eq!(answer["error"]["code"], "INVALID_REQUEST");
        }
    }
});
