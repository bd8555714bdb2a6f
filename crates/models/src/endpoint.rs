//! Where a provider is called: its usual address, and the path that its wire format adds.

use crate::config::Api;
use crate::models::Parts;
use crate::vendor::Vendor;
use instar_egress::Origin;
use url::Url;

/// A vendor's address; of a local one, the variable `INSTAR_<VENDOR>_URL` moves it, and of Ollama
/// its own `OLLAMA_HOST`.
pub(crate) fn usual_address(vendor: &Vendor, parts: &Parts) -> String {
    if !vendor.local {
        return vendor.base_url.to_owned();
    }
    let variable = format!("INSTAR_{}_URL", vendor.id.to_uppercase().replace('-', "_"));
    if let Some(address) = (parts.env)(&variable).filter(|address| !address.is_empty()) {
        return address;
    }
    let host = (vendor.id == "ollama")
        .then(|| (parts.env)("OLLAMA_HOST"))
        .flatten();
    host.and_then(|host| ollama_address(&host))
        .unwrap_or_else(|| vendor.base_url.to_owned())
}

/// `OLLAMA_HOST` may lack its scheme and port, and may be what the server listens on.
fn ollama_address(host: &str) -> Option<String> {
    let text = if host.contains("://") {
        host.to_owned()
    } else {
        format!("http://{host}")
    };
    let mut url = Url::parse(&text).ok()?;
    if url.port().is_none() && url.scheme() == "http" && !host.contains("://") {
        url.set_port(Some(11434)).ok()?;
    }
    if url.host_str() == Some("0.0.0.0") {
        url.set_host(Some("127.0.0.1")).ok()?;
    }
    Origin::of(&url).map(|_| url.to_string())
}

/// The address of the call itself. What the owner's address may already hold is not repeated.
pub(crate) fn endpoint(base: &Url, api: Api) -> Url {
    let path = base.path().trim_end_matches('/');
    let path = match api {
        Api::OpenaiCompletions => format!("{path}/chat/completions"),
        Api::OpenaiResponses => format!("{path}/responses"),
        Api::AnthropicMessages if path.ends_with("/v1") => format!("{path}/messages"),
        Api::AnthropicMessages => format!("{path}/v1/messages"),
        Api::Ollama => {
            let path = path
                .strip_suffix("/v1")
                .or(path.strip_suffix("/api"))
                .unwrap_or(path);
            format!("{path}/api/chat")
        }
    };
    let mut url = base.clone();
    url.set_path(&path);
    url.set_fragment(None);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_added_once() {
        for (base, api, want) in [
            (
                "https://h/v1",
                Api::OpenaiCompletions,
                "https://h/v1/chat/completions",
            ),
            (
                "https://h/v1/",
                Api::OpenaiResponses,
                "https://h/v1/responses",
            ),
            ("https://h", Api::AnthropicMessages, "https://h/v1/messages"),
            (
                "https://h/proxy/v1",
                Api::AnthropicMessages,
                "https://h/proxy/v1/messages",
            ),
            ("http://h:11434/v1", Api::Ollama, "http://h:11434/api/chat"),
            (
                "http://h:11434/api/",
                Api::Ollama,
                "http://h:11434/api/chat",
            ),
            (
                "https://h/x?api-version=1",
                Api::OpenaiCompletions,
                "https://h/x/chat/completions?api-version=1",
            ),
        ] {
            assert_eq!(endpoint(&Url::parse(base).unwrap(), api).as_str(), want);
        }
    }

    #[test]
    fn ollamas_own_variable_in_its_forms() {
        for (host, want) in [
            ("0.0.0.0", Some("http://127.0.0.1:11434/")),
            ("box.lan:1234", Some("http://box.lan:1234/")),
            ("https://ollama.example", Some("https://ollama.example/")),
            ("unix:///x", None),
        ] {
            assert_eq!(ollama_address(host).as_deref(), want, "{host}");
        }
    }
}
