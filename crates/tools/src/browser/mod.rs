//! The browser tools: a real browser that opens, reads and works pages.
//!
//! The port is filled by the browser of the house. What is read is a stranger's text; what acts on a
//! page can do anything that the page can do, so that it counts as sending to somebody unnamed: who
//! it reaches is up to the page. An answer of the owner's is bound to the page and to the element as
//! they were when he was asked.

mod act;
mod look;
mod record;

use futures_util::future::BoxFuture;
use instar_policy::Annotation;
use instar_protocol::tool::ToolSpec;
use instar_protocol::{Label, Readers};
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

use crate::files::FilesPort;
use crate::plain::Running;
use crate::tool::{Caller, Output, Tool, ToolError};

/// What the names of all browser tools begin with.
pub const BROWSER_PREFIX: &str = "browser_";

/// A browser for each agent; supplied by the gateway.
pub trait BrowserPort: Send + Sync + fmt::Debug {
    fn act<'a>(
        &'a self,
        caller: &'a Caller,
        action: Action,
    ) -> BoxFuture<'a, Result<Seen, ToolError>>;

    /// What an action would be done to, as it was read last. Starts nothing and asks no page.
    fn target<'a>(
        &'a self,
        caller: &'a Caller,
        tab: Option<&'a str>,
        element: Option<&'a str>,
    ) -> BoxFuture<'a, Target>;
}

/// The page and the element that an action is for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Target {
    pub page: Option<String>,
    pub element: Option<String>,
}

/// Something to do. A tab that is not named is the one that was used last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    Open {
        url: String,
        new_tab: bool,
    },
    Read {
        tab: Option<String>,
    },
    Back {
        tab: Option<String>,
    },
    Scroll {
        tab: Option<String>,
        to: Scroll,
    },
    Click {
        tab: Option<String>,
        element: String,
    },
    Type {
        tab: Option<String>,
        element: String,
        text: String,
        submit: bool,
    },
    Select {
        tab: Option<String>,
        element: String,
        option: String,
    },
    Press {
        tab: Option<String>,
        key: String,
    },
    Screenshot {
        tab: Option<String>,
        whole: bool,
    },
    Pdf {
        tab: Option<String>,
    },
    Tabs,
    Close {
        tab: Option<String>,
    },
    Evaluate {
        tab: Option<String>,
        script: String,
    },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scroll {
    Up,
    Down,
    Top,
    Bottom,
    Element(String),
}

/// What came of an action.
#[derive(Clone, PartialEq, Debug)]
pub enum Seen {
    Page(Page),
    Tabs(Vec<TabSeen>),
    /// An image or a document.
    Bytes(Vec<u8>),
    /// What a script gave back.
    Value(Value),
}

/// A page as it is shown.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Page {
    pub tab: String,
    pub url: String,
    pub title: String,
    /// Readable text with the references of its elements, where it was read.
    pub text: Option<String>,
    pub elements: Vec<Element>,
    /// What the browser has to say: dialogs that were answered, downloads that were refused.
    pub notes: Vec<String>,
}

/// Something on a page that can be worked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Element {
    pub reference: String,
    pub role: String,
    pub name: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TabSeen {
    pub tab: String,
    pub url: String,
    pub title: String,
    pub is_current: bool,
}

/// The browser tools over the browser of the house. `scripts`: with the one that runs scripts of the
/// model's in a page.
#[must_use]
pub fn tools(
    browser: &Arc<dyn BrowserPort>,
    files: &Arc<dyn FilesPort>,
    scripts: bool,
) -> Vec<Arc<dyn Tool>> {
    let ports = Ports {
        browser: Arc::clone(browser),
        files: Arc::clone(files),
    };
    let mut all = look::tools(&ports);
    all.extend(act::tools(&ports));
    all.extend(record::tools(&ports));
    if scripts {
        all.push(act::evaluate(&ports));
    }
    all
}

#[derive(Clone, Debug)]
struct Ports {
    browser: Arc<dyn BrowserPort>,
    files: Arc<dyn FilesPort>,
}

type Run = for<'a> fn(&'a Ports, &'a Value, &'a Caller) -> Running<'a>;

/// One of the family.
struct BrowserTool {
    spec: ToolSpec,
    annotation: Annotation,
    /// Whether an answer is bound to the page and the element.
    is_bound: bool,
    ports: Ports,
    run: Run,
}

impl fmt::Debug for BrowserTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BrowserTool").field(&self.spec.name).finish()
    }
}

impl Tool for BrowserTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn annotation(&self) -> Annotation {
        self.annotation.clone()
    }

    fn environment<'a>(&'a self, arguments: &'a Value, caller: &'a Caller) -> BoxFuture<'a, Value> {
        Box::pin(async move {
            if !self.is_bound {
                return Value::Null;
            }
            let text = |key| crate::plain::text(arguments, key);
            let browser = &self.ports.browser;
            let target = browser.target(caller, text("tab"), text("ref")).await;
            let mut tells = Vec::new();
            tells.extend(target.page.map(|page| format!("page: {page}")));
            tells.extend(target.element.map(|element| format!("element: {element}")));
            json!({
                "tells": tells,
                // A yes is for this once.
                "open": "what stands on a page is another thing tomorrow",
            })
        })
    }

    fn run<'a>(&'a self, arguments: &'a Value, caller: &'a Caller) -> Running<'a> {
        (self.run)(&self.ports, arguments, caller)
    }
}

/// Who wrote a page, and who may see it: the owner's own browser may be signed in somewhere.
fn label(caller: &Caller) -> Label {
    Label::stranger(if caller.principal.is_owner() {
        Readers::Private
    } else {
        Readers::Public
    })
}

fn tab_property() -> Value {
    json!({ "type": "string", "maxLength": 12,
        "description": "As browser_tabs names it; when left out the tab that was used last." })
}

fn tab(arguments: &Value) -> Option<String> {
    crate::plain::text(arguments, "tab").map(str::to_owned)
}

/// Properties with the one that names a tab.
fn with_tab(mut properties: Value) -> Value {
    if let Some(all) = properties.as_object_mut() {
        let _none = all.insert("tab".to_owned(), tab_property());
    }
    properties
}

async fn show(ports: &Ports, caller: &Caller, action: Action) -> Result<Output, ToolError> {
    match ports.browser.act(caller, action).await? {
        Seen::Page(page) => Ok(shown(&page, caller)),
        Seen::Tabs(_) | Seen::Bytes(_) | Seen::Value(_) => Err(ToolError::Failed(
            "the browser answered with something else; read the page".to_owned(),
        )),
    }
}

/// A page for the model, and its fields for policy.
fn shown(page: &Page, caller: &Caller) -> Output {
    let mut text = format!("{} [tab {}]\n", page.url, page.tab);
    if !page.title.is_empty() {
        text.push_str(&format!("# {}\n", page.title));
    }
    for note in &page.notes {
        text.push_str(&format!("[{note}]\n"));
    }
    match &page.text {
        Some(body) => text.push_str(&format!("\n{body}")),
        None => text.push_str("[browser_read shows what is on it now]"),
    }
    let elements: Vec<Value> = page
        .elements
        .iter()
        .map(|one| json!({ "ref": one.reference, "role": one.role, "name": one.name }))
        .collect();
    let value = json!({
        "tab": page.tab, "url": page.url, "title": page.title,
        "text": page.text, "notes": page.notes, "elements": elements,
    });
    Output::words(text.trim_end(), label(caller)).with_value(value)
}
