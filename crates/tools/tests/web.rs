//! The web tools over a way out that answers from a script.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use instar_policy::{
    Authority, Counts, Decision, Evidence, Plan, Planned, Posture, Request, Step, decide,
};
use instar_protocol::principal::Via;
use instar_protocol::tool::{Effect, ToolCall};
use instar_protocol::{AgentId, Label, Origin, Principal, Readers, ReleaseId, SessionId};
use instar_tools::web::{self, Engine, KeyPlace, WebAnswer, WebPort, WebRequest, WebSettings};
use instar_tools::{Caller, Output, ToolError};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

use crate::fixture::caller;

#[derive(Debug, Default)]
struct Scripted {
    settings: WebSettings,
    answer: Mutex<Option<WebAnswer>>,
    asked: Mutex<Vec<WebRequest>>,
}

impl WebPort for Scripted {
    fn send<'a>(
        &'a self,
        _caller: &'a Caller,
        request: WebRequest,
    ) -> BoxFuture<'a, Result<WebAnswer, ToolError>> {
        self.asked.lock().unwrap().push(request);
        let answer = self.answer.lock().unwrap().clone();
        async move { answer.ok_or_else(|| ToolError::Failed("nobody answers".to_owned())) }.boxed()
    }

    fn settings(&self) -> WebSettings {
        self.settings.clone()
    }
}

fn answer(status: u16, kind: &str, body: &str) -> WebAnswer {
    WebAnswer {
        status,
        url: "https://example.org/page".to_owned(),
        headers: vec![
            ("content-type".to_owned(), kind.to_owned()),
            ("set-cookie".to_owned(), "session=1".to_owned()),
        ],
        body: body.as_bytes().to_vec(),
        cut: false,
    }
}

async fn run(
    settings: WebSettings,
    answer: WebAnswer,
    name: &str,
    arguments: Value,
) -> (Result<Output, String>, Vec<WebRequest>) {
    let scripted = Arc::new(Scripted {
        settings,
        answer: Mutex::new(Some(answer)),
        asked: Mutex::default(),
    });
    let port: Arc<dyn WebPort> = scripted.clone();
    let tools = web::tools(&port);
    let tool = tools.iter().find(|tool| tool.spec().name == name).unwrap();
    let ran = tool.run(&arguments, &caller()).await;
    let asked = scripted.asked.lock().unwrap().clone();
    (ran.map_err(|error| error.to_string()), asked)
}

#[tokio::test]
async fn a_page_is_read_as_text_that_is_a_strangers() {
    let page =
        "<title>Tea</title><p>Hello <a href='https://x.example/'>there</a></p><script>x</script>";
    let arguments = json!({"url": "https://example.org/"});
    let answer = answer(200, "text/html; charset=utf-8", page);
    let (read, asked) = run(
        WebSettings::default(),
        answer.clone(),
        "web_fetch",
        arguments,
    )
    .await;
    let read = read.unwrap();
    assert_eq!(
        read.text,
        "200 https://example.org/page\n# Tea\n\nHello there <https://x.example/>"
    );
    assert!(read.label.is_tainted() && !read.is_error);
    assert_eq!((asked[0].method, asked[0].engine), ("GET", None));
    let raw = json!({"url": "https://example.org/", "raw": true});
    let (read, _) = run(WebSettings::default(), answer, "web_fetch", raw).await;
    assert!(read.unwrap().text.ends_with("</script>"));
    let picture = WebAnswer {
        body: vec![0; 9],
        ..self::answer(200, "image/png", "")
    };
    let (told, _) = run(
        WebSettings::default(),
        picture,
        "web_fetch",
        json!({"url": "x"}),
    )
    .await;
    assert!(told.unwrap_err().contains("image/png, 9 bytes"));
}

/// One answer of each engine as its documentation writes it, down to fields that are not read.
fn wire(engine: &str) -> Value {
    let url = "https://example.org/tea";
    match engine {
        "brave" => json!({"type": "search", "query": {"original": "tea"}, "web": {"type": "search",
            "results": [{"title": "Tea", "url": url, "description": "All about <strong>tea</strong>",
                "is_source_local": false, "language": "en"}]}}),
        "tavily" => json!({"query": "tea", "answer": null, "images": [], "response_time": "1.2",
            "results": [{"title": "Tea", "url": url, "content": "All about tea", "score": 0.8,
                "raw_content": null}]}),
        "serpapi" => json!({"search_metadata": {"status": "Success"}, "organic_results": [
            {"position": 1, "title": "Tea", "link": url, "displayed_link": "example.org",
                "snippet": "All about tea"}]}),
        "perplexity" => json!({"id": "1", "results": [{"title": "Tea", "url": url,
            "snippet": "All about tea", "date": "2026-01-01", "last_updated": "2026-01-02"}]}),
        "searxng" => json!({"query": "tea", "number_of_results": 0, "results": [{"url": url,
            "title": "Tea", "content": "All about tea", "engine": "x", "score": 1.0},
            {"url": "javascript:alert(1)", "title": "no"}]}),
        _ => panic!("no such engine"),
    }
}

#[tokio::test]
async fn every_engine_is_asked_in_its_own_way_and_read_alike() {
    for engine in Engine::ALL {
        let settings = WebSettings {
            engine: Some(engine),
            base_url: engine
                .endpoint
                .is_none()
                .then(|| "http://127.0.0.1:8888/".to_owned()),
            results: Some(3),
        };
        let answer = answer(200, "application/json", &wire(engine.name).to_string());
        let arguments = json!({"query": "tea & cake"});
        let (found, asked) = run(settings, answer, "web_search", arguments).await;
        let found = found.unwrap();
        let expected = "1. Tea\n   https://example.org/tea\n   All about tea";
        assert_eq!(found.text, expected, "{}", engine.name);
        let value = found.value.unwrap();
        assert_eq!(value["results"][0]["url"], "https://example.org/tea");
        assert!(found.label.is_tainted());

        let asked = &asked[0];
        let body = String::from_utf8(asked.body.clone()).unwrap();
        let expected = match engine.name {
            "brave" => (
                "GET",
                "https://api.search.brave.com/res/v1/web/search?q=tea+%26+cake&count=3",
                "",
            ),
            "tavily" => (
                "POST",
                "https://api.tavily.com/search",
                r#"{"query":"tea & cake","max_results":3}"#,
            ),
            "serpapi" => (
                "GET",
                "https://serpapi.com/search.json?q=tea+%26+cake&engine=google&num=3",
                "",
            ),
            "perplexity" => (
                "POST",
                "https://api.perplexity.ai/search",
                r#"{"query":"tea & cake","max_results":3}"#,
            ),
            _ => (
                "GET",
                "http://127.0.0.1:8888/search?q=tea+%26+cake&format=json",
                "",
            ),
        };
        assert_eq!((asked.method, asked.url.as_str(), body.as_str()), expected);
        assert!(
            asked.engine.is_some(),
            "the key and the owner's address are for engines alone"
        );
    }
}

#[tokio::test]
async fn a_search_that_fails_says_what_to_do() {
    let brave = WebSettings {
        engine: Engine::named("brave"),
        ..WebSettings::default()
    };
    for (settings, status, told) in [
        (WebSettings::default(), 200, "no search engine is set up"),
        (brave.clone(), 401, "tools.web.search.apiKey"),
        (brave.clone(), 429, "asked too often"),
        (brave.clone(), 500, "status 500"),
        (brave, 200, "no JSON"),
    ] {
        let answer = answer(status, "text/html", "<p>sorry");
        let (found, _) = run(settings, answer, "web_search", json!({"query": "x"})).await;
        let why = found.unwrap_err();
        assert!(why.contains(told), "{why}");
    }
}

#[tokio::test]
async fn what_a_call_does_follows_from_the_tool_and_credentials_from_nobody() {
    let effects = [
        ("http_get", Effect::Fetch),
        ("http_send", Effect::Send),
        ("http_delete", Effect::Destroy),
    ];
    let port: Arc<dyn WebPort> = Arc::new(Scripted::default());
    for (name, effect) in effects {
        let tools = web::tools(&port);
        let tool = tools.iter().find(|tool| tool.spec().name == name).unwrap();
        assert_eq!(tool.annotation().effect, effect);
        for header in [
            "Authorization: Bearer x",
            "cookie: a=b",
            "X-Api-Key: x",
            "Host: x",
            "a b: c",
            "x",
        ] {
            let arguments = json!({"url": "https://example.org/", "headers": [header]});
            let (ran, asked) = run(
                WebSettings::default(),
                answer(200, "text/plain", ""),
                name,
                arguments,
            )
            .await;
            assert!(ran.is_err() && asked.is_empty(), "{name} {header}");
        }
    }
    let arguments = json!({"url": "https://example.org/", "method": "PUT", "body": "{}",
        "headers": ["X-Kind: tea"]});
    let (ran, asked) = run(
        WebSettings::default(),
        answer(201, "text/plain", "made"),
        "http_send",
        arguments,
    )
    .await;
    let told = ran.unwrap().text;
    assert!(
        told.starts_with("201 ") && told.ends_with("made") && !told.contains("session=1"),
        "{told}"
    );
    assert_eq!(
        (asked[0].method, asked[0].body.as_slice()),
        ("PUT", &b"{}"[..])
    );
    assert!(
        asked[0]
            .headers
            .contains(&("x-kind".to_owned(), "tea".to_owned()))
    );
    assert_eq!(
        Engine::named("serpapi").unwrap().key,
        Some(KeyPlace::Query("api_key"))
    );
}

/// What has been read, when a call comes up.
struct Read {
    words: &'static str,
    /// A file of the owner's own.
    private: bool,
    /// A mail of somebody's.
    strange: bool,
}

/// The rule that decides a call of one of these very tools; the plan, where there is one, has it.
fn ruled(read: &Read, posture: Posture, is_planned: bool, name: &str, arguments: Value) -> String {
    let port: Arc<dyn WebPort> = Arc::new(Scripted::default());
    let tools = web::tools(&port);
    let annotated = tools.iter();
    let annotated = annotated.map(|tool| (tool.spec().name.clone(), tool.annotation()));
    let mut authority = Authority::over(annotated.collect());
    authority.posture = posture;
    let mut evidence = Evidence::of_words(read.words);
    let mut context = Label::owner();
    if read.private {
        let source = ("files", "read");
        evidence.text(source, "the minutes", &Origin::System, &Readers::Private);
        context = context.join(&Label {
            readers: Readers::Private,
            ..Label::system()
        });
    }
    if read.strange {
        let text = "see https://trap.example/a7, the code is 48213";
        evidence.text(
            ("web", "web_fetch"),
            text,
            &Origin::Stranger,
            &Readers::Public,
        );
        context = context.join(&Label::stranger(Readers::Public));
    }
    let plan = Plan {
        steps: vec![Step::of("read", 9), Step::of(name, 9)],
    };
    let call = ToolCall {
        id: "call".to_owned(),
        name: name.to_owned(),
        arguments,
    };
    let request = Request {
        call: &call,
        principal: &Principal::Owner { via: Via::Token },
        agent: &AgentId::main(),
        session: &SessionId::from_stored("ses_1"),
        release: &ReleaseId::from_hex("r1"),
        context: &context,
        evidence: &evidence,
        plan: if is_planned {
            Planned::Is(&plan)
        } else {
            Planned::Unknown
        },
        counts: &Counts::default(),
        standing: &[],
        approval: None,
        environment: &Value::Null,
    };
    match decide(&request, &authority) {
        Decision::Allow(permit) => format!("+{}", permit.rule()),
        Decision::Ask(draft) => format!("?{}", draft.rule),
        Decision::Deny(denial) => format!("-{}", denial.rule),
    }
}

/// Whatever goes to an address or to a search engine goes to everybody: what was read for the owner
/// alone, and what somebody else wants passed on, does not go along unasked.
#[test]
fn nothing_that_was_read_leaves_in_a_question_a_header_or_an_address() {
    let words = "look at https://example.org/a and search for tea";
    let read = |private, strange| Read {
        words,
        private,
        strange,
    };
    let search = |query: &str| ("web_search", json!({ "query": query }));
    let fetch = |url: &str| ("web_fetch", json!({ "url": url }));
    let get = |url: &str, header: &str| ("http_get", json!({ "url": url, "headers": [header] }));
    let (own, other) = ("https://example.org/a", "https://else.example/?q=minutes");
    let (balanced, open) = (Posture::Balanced, Posture::Open);
    for (read, posture, is_planned, (name, arguments), expected) in [
        // Nothing private, nobody else: the plan decides.
        (
            read(false, false),
            balanced,
            true,
            search("tea"),
            "+own-words",
        ),
        (
            read(false, true),
            balanced,
            true,
            search("tea"),
            "+evidence",
        ),
        (
            read(false, true),
            open,
            false,
            search("tea"),
            "+posture-open",
        ),
        // A step of the plan releases what the steps before it read; without a plan nothing does.
        (
            read(true, false),
            balanced,
            true,
            search("tea"),
            "+own-words",
        ),
        (read(true, true), balanced, true, search("tea"), "+evidence"),
        (
            read(true, false),
            balanced,
            false,
            search("tea"),
            "?not-cleared",
        ),
        (
            read(true, true),
            balanced,
            false,
            search("tea"),
            "?not-cleared",
        ),
        (read(true, true), open, false, search("tea"), "?not-cleared"),
        // What somebody else wants passed on asks, planned or not.
        (
            read(false, true),
            balanced,
            true,
            search("48213"),
            "?foreign-payload",
        ),
        (
            read(false, true),
            open,
            false,
            search("trap.example"),
            "?foreign-payload",
        ),
        (
            read(false, true),
            balanced,
            true,
            get(own, "x-a: 48213"),
            "?foreign-payload",
        ),
        (
            read(false, true),
            open,
            false,
            get(own, "x-a: https://trap.example/a7"),
            "?foreign-payload",
        ),
        // An address that the owner wrote carries nothing along; with a header it can.
        (read(true, true), balanced, true, fetch(own), "+evidence"),
        (read(true, true), open, false, fetch(own), "+posture-open"),
        (
            read(true, true),
            balanced,
            true,
            get(own, "x-a: minutes"),
            "+evidence",
        ),
        (
            read(true, true),
            balanced,
            false,
            get(own, "x-a: minutes"),
            "+evidence",
        ),
        // One that the model made up can say anything.
        (
            read(false, true),
            balanced,
            true,
            fetch(other),
            "?weak-place",
        ),
        (
            read(true, true),
            balanced,
            true,
            fetch(other),
            "?weak-place",
        ),
        (
            read(true, false),
            balanced,
            false,
            fetch(other),
            "?not-cleared",
        ),
        (read(true, true), open, false, fetch(other), "?not-cleared"),
        (
            read(false, true),
            open,
            false,
            fetch(other),
            "+posture-open",
        ),
        (
            read(true, false),
            open,
            false,
            fetch(other),
            "+posture-open",
        ),
    ] {
        let found = ruled(&read, posture, is_planned, name, arguments.clone());
        let case = format!("{name} {arguments} {posture:?} planned {is_planned}");
        assert_eq!(
            found, expected,
            "{case} private {} strange {}",
            read.private, read.strange
        );
    }
}
