//! What several targets share.

use instar_models::codec::Decoder;
use instar_models::config::Api;

/// Decodes the bytes in one piece and in small ones: where they are cut makes no difference.
pub fn stream(api: Api, bytes: &[u8]) {
    let whole = decode(api, std::iter::once(bytes));
    let cut = decode(api, bytes.chunks(7));
    assert_eq!(whole, cut);
}

/// The events, and whether the stream was sound.
fn decode<'a>(api: Api, pieces: impl Iterator<Item = &'a [u8]>) -> (String, bool) {
    let mut decoder = Decoder::new(api, 1);
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
