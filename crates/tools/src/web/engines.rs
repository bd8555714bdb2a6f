//! Search engines: one row each.

use serde_json::{Value, json};

/// How an engine is asked and where its results stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Engine {
    pub name: &'static str,
    /// `None`: the owner names his own.
    pub endpoint: Option<&'static str>,
    /// Behind a base address of the owner's.
    pub path: &'static str,
    pub ask: Ask,
    pub key: Option<KeyPlace>,
    /// Where the list of results stands in the answer.
    list: &'static str,
    url: &'static str,
    text: &'static str,
}

/// How the words go there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ask {
    /// In the address: the name of the words, the name of the number of results if there is one, and
    /// what is always sent.
    Query {
        words: &'static str,
        count: Option<&'static str>,
        always: &'static [(&'static str, &'static str)],
    },
    /// As JSON: the same.
    Body {
        words: &'static str,
        count: &'static str,
    },
}

/// Where the key goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyPlace {
    /// In this header, behind this word.
    Header {
        name: &'static str,
        prefix: &'static str,
    },
    /// In the address under this name.
    Query(&'static str),
    /// There is none.
    Nowhere,
}

const BEARER: KeyPlace = KeyPlace::Header {
    name: "authorization",
    prefix: "Bearer ",
};

impl Engine {
    pub const ALL: [Self; 5] = [
        Self {
            name: "brave",
            endpoint: Some("https://api.search.brave.com"),
            path: "/res/v1/web/search",
            ask: Ask::Query {
                words: "q",
                count: Some("count"),
                always: &[],
            },
            key: Some(KeyPlace::Header {
                name: "x-subscription-token",
                prefix: "",
            }),
            list: "/web/results",
            url: "url",
            text: "description",
        },
        Self {
            name: "tavily",
            endpoint: Some("https://api.tavily.com"),
            path: "/search",
            ask: Ask::Body {
                words: "query",
                count: "max_results",
            },
            key: Some(BEARER),
            list: "/results",
            url: "url",
            text: "content",
        },
        Self {
            name: "serpapi",
            endpoint: Some("https://serpapi.com"),
            path: "/search.json",
            ask: Ask::Query {
                words: "q",
                count: Some("num"),
                always: &[("engine", "google")],
            },
            key: Some(KeyPlace::Query("api_key")),
            list: "/organic_results",
            url: "link",
            text: "snippet",
        },
        Self {
            name: "perplexity",
            endpoint: Some("https://api.perplexity.ai"),
            path: "/search",
            ask: Ask::Body {
                words: "query",
                count: "max_results",
            },
            key: Some(BEARER),
            list: "/results",
            url: "url",
            text: "snippet",
        },
        Self {
            name: "searxng",
            endpoint: None,
            path: "/search",
            ask: Ask::Query {
                words: "q",
                count: None,
                always: &[("format", "json")],
            },
            key: None,
            list: "/results",
            url: "url",
            text: "content",
        },
    ];

    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|engine| engine.name == name)
    }

    /// Address and body of a question. `base` is the owner's own, if he named one.
    pub(super) fn question(
        &self,
        base: Option<&str>,
        words: &str,
        count: usize,
    ) -> Option<(String, Vec<u8>)> {
        let base = base.or(self.endpoint)?.trim_end_matches('/');
        let address = format!("{base}{}", self.path);
        match self.ask {
            Ask::Body {
                words: name,
                count: number,
            } => {
                let body = json!({ name: words, number: count });
                Some((address, body.to_string().into_bytes()))
            }
            Ask::Query {
                words: name,
                count: number,
                always,
            } => {
                let mut query = form_urlencoded::Serializer::new(String::new());
                let _pairs = query.append_pair(name, words).extend_pairs(always);
                if let Some(number) = number {
                    let _pair = query.append_pair(number, &count.to_string());
                }
                Some((format!("{address}?{}", query.finish()), Vec::new()))
            }
        }
    }

    /// The results of an answer, at most so many.
    pub(super) fn results(&self, answer: &Value, count: usize) -> Vec<Found> {
        let rows = answer.pointer(self.list).and_then(Value::as_array);
        let text = |row: &Value, key: &str| {
            let text = row.get(key).and_then(Value::as_str).unwrap_or_default();
            super::readable(text).text
        };
        rows.into_iter()
            .flatten()
            .filter_map(|row| {
                let url = row.get(self.url)?.as_str()?.to_owned();
                let is_web = url.starts_with("https://") || url.starts_with("http://");
                is_web.then(|| Found {
                    url,
                    title: text(row, "title"),
                    text: text(row, self.text),
                })
            })
            .take(count)
            .collect()
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Found {
    pub(super) title: String,
    pub(super) url: String,
    pub(super) text: String,
}
