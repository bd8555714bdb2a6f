//! Bytes from a model server are decoded or refused, and where they are cut makes no difference.
#![no_main]

use instar_models::codec::Decoder;
use instar_models::config::Api;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let whole = decode(std::iter::once(bytes));
    let cut = decode(bytes.chunks(7));
    assert_eq!(whole, cut);
});

/// The events, and whether the stream was sound.
fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (String, bool) {
    let mut decoder = Decoder::new(Api::OpenaiCompletions, 1);
    let mut events = Vec::new();
    let mut sound = true;
    for piece in pieces {
        if decoder.push(piece, &mut events).is_err() {
            sound = false;
            break;
        }
    }
    let sound = sound && decoder.finish(&mut events).is_ok();
    (if sound { format!("{events:?}") } else { String::new() }, sound)
}
