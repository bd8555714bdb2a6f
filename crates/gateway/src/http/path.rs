//! One reading of a path: what could be read in two ways is refused.

/// Longer paths are refused.
const PATH_BYTES_MAX: usize = 2_048;

/// True if every reader of this path reads the same: no empty or dot segments, no backslashes, no
/// encoded separators, dots, NULs or percent signs, nothing beyond printable ASCII.
pub(crate) fn is_plain(path: &str) -> bool {
    if !path.starts_with('/') || path.len() > PATH_BYTES_MAX {
        return false;
    }
    let plain = |segment: &str| !matches!(segment, "" | "." | "..") && is_plain_segment(segment);
    path == "/" || path[1..].split('/').all(plain)
}

/// True for a path under `/v1/models/` that is plain once `%2F` is read as the slash that it stands
/// for. Official clients send a model's id as one segment; here, and nowhere else, both spellings
/// name the same model and nothing else.
pub(crate) fn is_model(path: &str) -> bool {
    path.strip_prefix("/v1/models/").is_some_and(|id| {
        let id = id.replace("%2F", "/").replace("%2f", "/");
        !id.is_empty() && is_plain(&format!("/{id}"))
    })
}

fn is_plain_segment(segment: &str) -> bool {
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let digits = [bytes.next(), bytes.next()];
                let [Some(high), Some(low)] = digits.map(|digit| digit.and_then(hex)) else {
                    return false;
                };
                let decoded = high * 16 + low;
                if decoded < 0x20 || decoded == 0x7f || b"./\\%".contains(&decoded) {
                    return false;
                }
            }
            b'\\' | 0..=0x20 | 0x7f.. => return false,
            _ => {}
        }
    }
    true
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

/// True if the query tries to carry a credential.
pub(crate) fn query_has_secret(query: &str) -> bool {
    query.split('&').any(|pair| {
        let name = pair.split('=').next().unwrap_or(pair);
        let name = name.to_ascii_lowercase().replace('-', "_");
        matches!(
            name.as_str(),
            "token" | "access_token" | "auth" | "password" | "api_key" | "apikey" | "secret"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_paths_pass() {
        for path in [
            "/",
            "/health",
            "/api/v1/sessions/agent%3Amain%3Amain",
            "/v1/models/a/b:c",
        ] {
            assert!(is_plain(path), "{path}");
        }
        for path in [
            "",
            "health",
            "//health",
            "/a/",
            "/./a",
            "/a/../b",
            "/%2e%2e/a",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/a%00",
            "/%252e",
            "/a%zz",
            "/a%2",
            "/ä",
            "/a b",
            "/a%0d%0a",
        ] {
            assert!(!is_plain(path), "{path}");
        }
    }

    #[test]
    fn a_path_has_a_length_and_its_spaces_are_encoded() {
        let long = |bytes: usize| format!("/{}", "a".repeat(bytes - 1));
        assert!(is_plain(&long(PATH_BYTES_MAX)));
        assert!(!is_plain(&long(PATH_BYTES_MAX + 1)));
        assert!(!is_plain(&long(PATH_BYTES_MAX * 2)));
        assert!(is_plain("/a%20b") && !is_plain("/a%1fb") && !is_plain("/a%7f"));
    }

    #[test]
    fn a_model_may_have_encoded_slashes_and_nothing_else_may() {
        for path in [
            "/v1/models/demo%2Fguide",
            "/v1/models/openrouter%2fa%2Fb%3Afree",
            "/v1/models/openai%2Fgpt-4.1",
            "/v1/models/a/b",
        ] {
            assert!(is_model(path), "{path}");
        }
        for path in [
            "/v1/models%2Fdemo",
            "/v1%2Fmodels/demo",
            "/v1/models/",
            "/v1/models/%2F",
            "/v1/models/a%2F",
            "/v1/models/a%2F%2Fb",
            "/v1/models/a/%2Fb",
            "/v1/models/..%2F..%2Fapi%2Fv1%2Fstatus",
            "/v1/models/%2e%2e%2Fa",
            "/v1/models/a%252Fb",
            "/v1/models/a%5Cb",
            "/v1/models/a%00",
            "/v1/models/../a%2Fb",
            "/api/v1/sessions/a%2Fb",
            "/assets/..%2fv1/models/a",
        ] {
            assert!(!is_model(path), "{path}");
        }
    }

    proptest! {
        /// However a protected path is disguised: as it is, or refused.
        #[test]
        fn a_disguised_path_is_not_plain(
            path in "/(health|sign-in|assets)(/|%2f|%2F|\\\\|%5c)(\\.|%2e|%2E|%252e){1,2}(/|%2f)api/v1/status"
        ) {
            prop_assert!(!is_plain(&path));
        }

        /// A plain path decodes to the same segments that it is routed by.
        #[test]
        fn decoding_changes_no_segment_border(path in "(/[ -~]{0,8}){1,4}") {
            if is_plain(&path) {
                let decoded: Vec<u8> = url::form_urlencoded::parse(
                    format!("x={}", path.replace('+', "%2B").replace('&', "%26")).as_bytes(),
                ).next().map(|(_, text)| text.into_owned().into_bytes()).unwrap_or_default();
                prop_assert_eq!(
                    decoded.iter().filter(|b| **b == b'/').count(),
                    path.matches('/').count()
                );
            }
        }
    }
}
