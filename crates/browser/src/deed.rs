//! The actions of the tools on one browser.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use instar_tools::ToolError;
use instar_tools::browser::{Action, Page, Scroll, Seen, TabSeen};
use serde_json::{Value, json};
use std::time::Duration;
use url::Url;

use crate::engine::{CALL_TIME, Engine};
use crate::tabs::{TABS_MAX, Tab, Tabs};

/// Until a page that was asked for has come; what is there by then is read.
const LOAD_TIME: Duration = Duration::from_secs(25);
/// A click may lead somewhere; so long it is waited for a beginning of that.
const SETTLE_TIME: Duration = Duration::from_millis(350);
/// Printing and drawing take longer than other commands.
const DRAW_TIME: Duration = Duration::from_secs(30);
/// The lowest part of a whole page that is drawn.
const HEIGHT_MAX: f64 = 8_000.0;
/// The longest that a script of the model's may take.
const SCRIPT_MS: u64 = 5_000;
/// The longest answer of such a script.
const ANSWER_BYTES_MAX: usize = 200_000;

/// Keys with their code, and the text that they write.
const KEYS: [(&str, &str, u32, &str); 14] = [
    ("Enter", "Enter", 13, "\r"),
    ("Escape", "Escape", 27, ""),
    ("Tab", "Tab", 9, ""),
    ("Space", " ", 32, " "),
    ("Backspace", "Backspace", 8, ""),
    ("Delete", "Delete", 46, ""),
    ("ArrowUp", "ArrowUp", 38, ""),
    ("ArrowDown", "ArrowDown", 40, ""),
    ("ArrowLeft", "ArrowLeft", 37, ""),
    ("ArrowRight", "ArrowRight", 39, ""),
    ("PageUp", "PageUp", 33, ""),
    ("PageDown", "PageDown", 34, ""),
    ("Home", "Home", 36, ""),
    ("End", "End", 35, ""),
];

impl Engine {
    pub(crate) async fn act(&self, action: Action) -> Result<Seen, ToolError> {
        self.forget_refusals();
        match action {
            Action::Open { url, new_tab } => self.open(&url, new_tab).await,
            Action::Read { tab } => {
                let number = self.pick(tab.as_deref()).await?;
                self.page(number).await
            }
            Action::Back { tab } => self.back(tab.as_deref()).await,
            Action::Scroll { tab, to } => self.scroll(tab.as_deref(), to).await,
            Action::Click { tab, element } => self.click(tab.as_deref(), &element).await,
            Action::Type {
                tab,
                element,
                text,
                submit,
            } => {
                let number = self.pick(tab.as_deref()).await?;
                let tab = self.tab(number)?;
                let focus = json!({ "op": "focus" });
                let _focused = self.with_element(&tab, &element, focus).await?;
                let insert = json!({ "text": text });
                self.call(Some(&tab.session), "Input.insertText", insert)
                    .await?;
                if submit {
                    self.key(&tab, "Enter").await?;
                }
                self.settled(number).await
            }
            Action::Select {
                tab,
                element,
                option,
            } => {
                let number = self.pick(tab.as_deref()).await?;
                let tab = self.tab(number)?;
                let choose = json!({ "op": "choose", "option": option });
                let _chosen = self.with_element(&tab, &element, choose).await?;
                self.settled(number).await
            }
            Action::Press { tab, key } => {
                let number = self.pick(tab.as_deref()).await?;
                let tab = self.tab(number)?;
                self.key(&tab, &key).await?;
                self.settled(number).await
            }
            Action::Screenshot { tab, whole } => {
                let number = self.pick(tab.as_deref()).await?;
                self.draw(&self.tab(number)?, whole).await
            }
            Action::Pdf { tab } => {
                let number = self.pick(tab.as_deref()).await?;
                let tab = self.tab(number)?;
                let print = json!({ "printBackground": true });
                self.bytes(&tab, "Page.printToPDF", print).await
            }
            Action::Tabs => Ok(Seen::Tabs(self.list())),
            Action::Close { tab } => self.close_tab(tab.as_deref()).await,
            Action::Evaluate { tab, script } => {
                let number = self.pick(tab.as_deref()).await?;
                self.evaluate(&self.tab(number)?, &script).await
            }
        }
    }

    /// The tab of that name, which becomes the current one.
    async fn pick(&self, name: Option<&str>) -> Result<u32, ToolError> {
        let named = self.tabs().named(name);
        let number = named.ok_or_else(|| {
            ToolError::Arguments(match name {
                Some(name) => format!("there is no tab {name}; browser_tabs shows them"),
                None => "no page is open; begin with browser_open".to_owned(),
            })
        })?;
        self.take(number).await?;
        Ok(number)
    }

    /// Makes it the current one, and makes sure that it is heard: a page that is only coming up does
    /// not yet tell what happens in it.
    async fn take(&self, number: u32) -> Result<(), ToolError> {
        let tab = self.tab(number)?;
        if !tab.is_heard {
            let session = Some(tab.session.as_str());
            self.call(session, "Page.enable", json!({})).await?;
        }
        let mut tabs = self.tabs();
        tabs.make_current(number);
        if let Some(tab) = tabs.get_mut(number) {
            tab.is_heard = true;
        }
        Ok(())
    }

    fn tab(&self, number: u32) -> Result<Tab, ToolError> {
        let tab = self.tabs().get(number).cloned();
        tab.ok_or_else(|| ToolError::Failed("the page was closed".to_owned()))
    }

    async fn open(&self, url: &str, new_tab: bool) -> Result<Seen, ToolError> {
        let url = instar_tools::web_address(url)?;
        let current = self.current();
        let number = match current {
            Some(number) if !new_tab => number,
            _ => self.new_tab().await?,
        };
        self.take(number).await?;
        let tab = self.tab(number)?;
        let before = tab.arrivals;
        let go = json!({ "url": url.as_str() });
        let went = self
            .wire
            .call(Some(&tab.session), "Page.navigate", go, LOAD_TIME)
            .await?;
        if let Some(why) = went["errorText"].as_str() {
            let host = url.host_str().unwrap_or_default();
            self.settle(number, SETTLE_TIME).await;
            let notes = self.tabs().take_notes(number);
            return Err(self.not_reached(host, why, &notes));
        }
        self.arrived(number, before).await
    }

    /// The page that was used last, or the empty one that every browser begins with.
    fn current(&self) -> Option<u32> {
        let tabs = self.tabs();
        let blank = || {
            let found = tabs.iter().find(|(_, tab)| tab.url == "about:blank");
            found.map(|(number, _)| number)
        };
        tabs.current().or_else(blank)
    }

    async fn new_tab(&self) -> Result<u32, ToolError> {
        if self.tabs().len() >= TABS_MAX {
            return Err(ToolError::Failed(format!(
                "{TABS_MAX} pages are open, which is all there may be; close one"
            )));
        }
        let blank = json!({ "url": "about:blank" });
        let made = self.call(None, "Target.createTarget", blank).await?;
        let target = made["targetId"].as_str().unwrap_or_default();
        let _there = self
            .until(LOAD_TIME, |tabs| tabs.of_target(target).is_some())
            .await;
        let number = self.tabs().of_target(target);
        number.ok_or_else(|| ToolError::Failed("the page was not opened".to_owned()))
    }

    async fn back(&self, tab: Option<&str>) -> Result<Seen, ToolError> {
        let number = self.pick(tab).await?;
        let tab = self.tab(number)?;
        let session = Some(tab.session.as_str());
        let history = self
            .call(session, "Page.getNavigationHistory", json!({}))
            .await?;
        let at = history["currentIndex"].as_u64().unwrap_or_default();
        let before = at.checked_sub(1).and_then(|at| usize::try_from(at).ok());
        let entry = before.and_then(|at| history["entries"].get(at));
        let Some(entry) = entry.filter(|entry| entry["url"] != "about:blank") else {
            return Err(ToolError::Failed(
                "there is no page before this one".to_owned(),
            ));
        };
        let go = json!({ "entryId": entry["id"] });
        self.call(session, "Page.navigateToHistoryEntry", go)
            .await?;
        self.arrived(number, tab.arrivals).await
    }

    /// Waits until another page is there and reads it, unless the way to it was refused. What was
    /// asked for is told to have begun before it has come.
    async fn arrived(&self, number: u32, before: u64) -> Result<Seen, ToolError> {
        let has_moved = |tabs: &Tabs| tabs.get(number).is_none_or(|tab| tab.arrivals > before);
        let _moved = self.until(CALL_TIME, has_moved).await;
        self.settle(number, Duration::ZERO).await;
        let tab = self.tab(number)?;
        let host = Url::parse(&tab.url)
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned))
            .unwrap_or_default();
        if tab.url.starts_with("chrome-error:") || self.refused().iter().any(|one| one.host == host)
        {
            let notes = self.tabs().take_notes(number);
            return Err(self.not_reached(&host, "the page could not be loaded", &notes));
        }
        self.page(number).await
    }

    fn not_reached(&self, host: &str, why: &str, notes: &[String]) -> ToolError {
        let refused = self.refused();
        let of_host = refused.iter().find(|one| one.host == host);
        let told = match of_host.or_else(|| refused.last()) {
            Some(refusal) => format!("the way there is closed: {}", refusal.why),
            None if notes.is_empty() => format!("{host} was not reached: {why}"),
            None => notes.join("; "),
        };
        ToolError::Failed(told)
    }

    /// Gives a page the time to begin something, and to end what it has begun.
    async fn settle(&self, number: u32, begin: Duration) {
        let arrivals = |tabs: &Tabs| tabs.get(number).map_or(0, |tab| tab.arrivals);
        let before = arrivals(&self.tabs());
        let is_loading = |tabs: &Tabs| tabs.get(number).is_none_or(|tab| tab.is_loading);
        let has_begun = begin.is_zero() || self.until(begin, is_loading).await;
        let is_done = |tabs: &Tabs| tabs.get(number).is_none_or(|tab| !tab.is_loading);
        let _ended = self.until(LOAD_TIME, is_done).await;
        // It led nowhere: what was made of it instead is told a moment later.
        if has_begun && arrivals(&self.tabs()) == before && !begin.is_zero() {
            let has_notes = |tabs: &Tabs| tabs.get(number).is_none_or(Tab::has_notes);
            let _told = self.until(SETTLE_TIME, has_notes).await;
        }
    }

    /// What a page is after it was worked: where it is, without reading it.
    async fn settled(&self, number: u32) -> Result<Seen, ToolError> {
        self.settle(number, SETTLE_TIME).await;
        let tab = self.tab(number)?;
        Ok(Seen::Page(Page {
            tab: format!("t{number}"),
            url: tab.url,
            title: tab.title,
            notes: self.notes(number),
            ..Page::default()
        }))
    }

    /// The page as it reads.
    async fn page(&self, number: u32) -> Result<Seen, ToolError> {
        let tab = self.tab(number)?;
        let read = self.read(number, &tab).await?;
        let mut notes = self.notes(number);
        if tab.is_loading {
            notes.push("the page was still loading".to_owned());
        }
        if read.status >= 400 {
            notes.push(format!("the server answered with status {}", read.status));
        }
        Ok(Seen::Page(Page {
            tab: format!("t{number}"),
            url: read.url,
            title: read.title,
            text: Some(read.text),
            elements: read.elements,
            notes,
        }))
    }

    fn notes(&self, number: u32) -> Vec<String> {
        let mut notes = self.tabs().take_notes(number);
        let mut refused = self.refused();
        refused.dedup_by(|one, other| one.host == other.host);
        for refusal in refused.into_iter().take(3) {
            notes.push(format!("a request was refused: {}", refusal.why));
        }
        notes
    }

    async fn scroll(&self, tab: Option<&str>, to: Scroll) -> Result<Seen, ToolError> {
        let number = self.pick(tab).await?;
        let tab = self.tab(number)?;
        let word = match to {
            Scroll::Element(element) => {
                let show = json!({ "op": "show" });
                let _shown = self.with_element(&tab, &element, show).await?;
                return self.settled(number).await;
            }
            Scroll::Up => "up",
            Scroll::Down => "down",
            Scroll::Top => "top",
            Scroll::Bottom => "bottom",
        };
        let _at = self
            .ask(&tab, json!({ "op": "scroll", "to": word }))
            .await?;
        self.settled(number).await
    }

    async fn click(&self, tab: Option<&str>, element: &str) -> Result<Seen, ToolError> {
        let number = self.pick(tab).await?;
        let tab = self.tab(number)?;
        let locate = json!({ "op": "locate" });
        let place = self.with_element(&tab, element, locate).await?;
        for (kind, buttons) in [("mouseMoved", 0), ("mousePressed", 1), ("mouseReleased", 0)] {
            let event = json!({
                "type": kind, "x": place["x"], "y": place["y"], "buttons": buttons, "clickCount": 1,
                "button": if kind == "mouseMoved" { "none" } else { "left" },
            });
            self.call(Some(&tab.session), "Input.dispatchMouseEvent", event)
                .await?;
        }
        self.settled(number).await
    }

    async fn key(&self, tab: &Tab, name: &str) -> Result<(), ToolError> {
        let found = KEYS.iter().find(|(known, ..)| *known == name);
        let Some((_, key, code, text)) = found else {
            return Err(ToolError::Arguments(format!("there is no key {name}")));
        };
        let code_name = if *key == " " { "Space" } else { key };
        let event = |kind: &str| {
            let mut event = json!({
                "type": kind, "key": key, "code": code_name,
                "windowsVirtualKeyCode": code, "nativeVirtualKeyCode": code,
            });
            if kind == "keyDown" && !text.is_empty() {
                event["text"] = json!(text);
            }
            event
        };
        for kind in ["keyDown", "keyUp"] {
            self.call(Some(&tab.session), "Input.dispatchKeyEvent", event(kind))
                .await?;
        }
        Ok(())
    }

    async fn draw(&self, tab: &Tab, whole: bool) -> Result<Seen, ToolError> {
        let mut shot = json!({ "format": "png" });
        if whole {
            let session = Some(tab.session.as_str());
            let sizes = self
                .call(session, "Page.getLayoutMetrics", json!({}))
                .await?;
            let size = |key: &str| sizes["cssContentSize"][key].as_f64().unwrap_or(900.0);
            shot["captureBeyondViewport"] = json!(true);
            shot["clip"] = json!({ "x": 0, "y": 0, "scale": 1,
                "width": size("width").min(2_560.0), "height": size("height").min(HEIGHT_MAX) });
        }
        self.bytes(tab, "Page.captureScreenshot", shot).await
    }

    async fn bytes(&self, tab: &Tab, method: &str, params: Value) -> Result<Seen, ToolError> {
        let drawn = self
            .wire
            .call(Some(&tab.session), method, params, DRAW_TIME)
            .await?;
        let data = drawn["data"].as_str().unwrap_or_default();
        let bytes = STANDARD
            .decode(data)
            .map_err(|_| ToolError::Failed("the page could not be drawn".to_owned()))?;
        Ok(Seen::Bytes(bytes))
    }

    fn list(&self) -> Vec<TabSeen> {
        let tabs = self.tabs();
        let current = tabs.current();
        tabs.iter()
            .map(|(number, tab)| TabSeen {
                tab: format!("t{number}"),
                url: tab.url.clone(),
                title: tab.title.clone(),
                is_current: current == Some(number),
            })
            .collect()
    }

    async fn close_tab(&self, tab: Option<&str>) -> Result<Seen, ToolError> {
        let number = self.pick(tab).await?;
        let tab = self.tab(number)?;
        let target = json!({ "targetId": tab.target });
        self.call(None, "Target.closeTarget", target).await?;
        let _gone = self
            .until(LOAD_TIME, |tabs| tabs.get(number).is_none())
            .await;
        Ok(Seen::Tabs(self.list()))
    }

    async fn evaluate(&self, tab: &Tab, script: &str) -> Result<Seen, ToolError> {
        let run = json!({
            "expression": script, "returnByValue": true, "awaitPromise": true, "timeout": SCRIPT_MS,
        });
        let mut answer = self
            .call(Some(&tab.session), "Runtime.evaluate", run)
            .await?;
        if let Some(thrown) = answer.get("exceptionDetails") {
            let what = thrown["exception"]["description"].as_str();
            let what: String = what.unwrap_or("it threw").chars().take(500).collect();
            return Err(ToolError::Failed(format!("the script failed: {what}")));
        }
        let value = answer["result"]["value"].take();
        if value.to_string().len() > ANSWER_BYTES_MAX {
            return Err(ToolError::Failed(
                "the script gave more than can be taken; let it give less".to_owned(),
            ));
        }
        Ok(Seen::Value(value))
    }
}
