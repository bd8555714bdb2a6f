//! The pages of one browser as its events tell of them, and what is answered at once: dialogs with no,
//! downloads and file pickers with nothing, pages beyond the bound with their end.

use serde_json::{Value, json};
use std::collections::BTreeMap;

use crate::wire::{Event, Wire};

/// Pages of one browser at once.
pub(crate) const TABS_MAX: usize = 8;
const NOTES_MAX: usize = 10;
const NOTE_CHARS_MAX: usize = 300;
/// Places that a page may be at. Files and the browser's own pages are not among them.
const SCHEMES: [&str; 6] = ["http", "https", "about", "data", "blob", "chrome-error"];

#[derive(Clone, Debug, Default)]
pub(crate) struct Tab {
    pub(crate) target: String,
    pub(crate) session: String,
    pub(crate) url: String,
    pub(crate) title: String,
    pub(crate) is_loading: bool,
    /// It tells what happens in it.
    pub(crate) is_heard: bool,
    /// How often it was somewhere else.
    pub(crate) arrivals: u64,
    /// The number that the next element gets, so that no reference ever means two elements.
    pub(crate) next_ref: u64,
    /// What each element said when it was read.
    pub(crate) elements: BTreeMap<String, String>,
    notes: Vec<String>,
}

impl Tab {
    pub(crate) fn has_notes(&self) -> bool {
        !self.notes.is_empty()
    }

    fn note(&mut self, text: &str) {
        if self.notes.len() < NOTES_MAX {
            let short: String = text.chars().take(NOTE_CHARS_MAX).collect();
            self.notes.push(short.replace('\n', " "));
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Tabs {
    all: BTreeMap<u32, Tab>,
    last: u32,
    current: Option<u32>,
}

impl Tabs {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Tab)> {
        self.all.iter().map(|(number, tab)| (*number, tab))
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn current(&self) -> Option<u32> {
        self.current.filter(|number| self.all.contains_key(number))
    }

    pub(crate) fn make_current(&mut self, number: u32) {
        self.current = Some(number);
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Tab> {
        self.all.get(&number)
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut Tab> {
        self.all.get_mut(&number)
    }

    /// The number behind a name like `t3`; without a name the one that was used last.
    pub(crate) fn named(&self, name: Option<&str>) -> Option<u32> {
        match name {
            None => self.current(),
            Some(name) => {
                let number = name.strip_prefix('t')?.parse().ok()?;
                self.all.contains_key(&number).then_some(number)
            }
        }
    }

    pub(crate) fn of_target(&self, target: &str) -> Option<u32> {
        let found = self.all.iter().find(|(_, tab)| tab.target == target);
        found.map(|(number, _)| *number)
    }

    /// What happened since it was asked last.
    pub(crate) fn take_notes(&mut self, number: u32) -> Vec<String> {
        self.all
            .get_mut(&number)
            .map(|tab| std::mem::take(&mut tab.notes))
            .unwrap_or_default()
    }

    fn note_current(&mut self, text: &str) {
        if let Some(tab) = self.current.and_then(|number| self.all.get_mut(&number)) {
            tab.note(text);
        }
    }

    fn of_session(&mut self, session: &str) -> Option<&mut Tab> {
        self.all.values_mut().find(|tab| tab.session == session)
    }

    /// Takes an event in, and answers what wants an answer at once.
    pub(crate) fn hear(&mut self, event: &Event, wire: &Wire) {
        let params = &event.params;
        let text = |key: &str| params.get(key).and_then(Value::as_str).unwrap_or_default();
        match event.method.as_str() {
            "Target.attachedToTarget" => self.attached(params, wire),
            "Target.detachedFromTarget" => {
                let session = text("sessionId");
                self.all.retain(|_, tab| tab.session != session);
            }
            "Browser.downloadWillBegin" => {
                self.note_current("the page wanted to give a file; files are not taken");
            }
            method => {
                let Some(tab) = self.of_session(&event.session) else {
                    return;
                };
                match method {
                    "Page.frameStartedLoading" if text("frameId") == tab.target => {
                        tab.is_loading = true;
                    }
                    "Page.frameStoppedLoading" if text("frameId") == tab.target => {
                        tab.is_loading = false;
                    }
                    "Page.frameNavigated" => navigated(tab, params, wire),
                    "Page.navigatedWithinDocument" if text("frameId") == tab.target => {
                        text("url").clone_into(&mut tab.url);
                        tab.arrivals += 1;
                    }
                    "Page.javascriptDialogOpening" => dialog(tab, params, wire),
                    "Page.fileChooserOpened" => {
                        tab.note("the page asked for a file; none was given");
                    }
                    "Inspector.targetCrashed" => {
                        tab.is_loading = false;
                        tab.note("the page broke down; open it again");
                    }
                    _ => {}
                }
            }
        }
    }

    fn attached(&mut self, params: &Value, wire: &Wire) {
        let about = &params["targetInfo"];
        let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let (session, target) = (text(params, "sessionId"), text(about, "targetId"));
        if about["type"] != "page" || self.all.len() >= TABS_MAX {
            wire.tell(None, "Target.closeTarget", json!({ "targetId": target }));
            self.note_current("one page more than may be open was closed");
            return;
        }
        for (method, params) in [
            ("Page.enable", json!({})),
            ("Inspector.enable", json!({})),
            (
                "Page.setInterceptFileChooserDialog",
                json!({ "enabled": true }),
            ),
            ("Runtime.runIfWaitingForDebugger", json!({})),
        ] {
            wire.tell(Some(&session), method, params);
        }
        self.last += 1;
        if about["openerId"].is_string() {
            let note = format!("a new page was opened, tab t{}", self.last);
            self.note_current(&note);
        }
        let tab = Tab {
            target,
            session,
            url: text(about, "url"),
            next_ref: 1,
            ..Tab::default()
        };
        let _new = self.all.insert(self.last, tab);
    }
}

fn navigated(tab: &mut Tab, params: &Value, wire: &Wire) {
    let frame = &params["frame"];
    if frame["parentId"].is_string() {
        return;
    }
    frame["url"]
        .as_str()
        .unwrap_or_default()
        .clone_into(&mut tab.url);
    tab.title.clear();
    tab.elements.clear();
    tab.arrivals += 1;
    let scheme = tab.url.split(':').next().unwrap_or_default();
    if !SCHEMES.contains(&scheme) {
        tab.note("the page went where no page may be, and was left");
        let blank = json!({ "url": "about:blank" });
        wire.tell(Some(&tab.session), "Page.navigate", blank);
    }
}

fn dialog(tab: &mut Tab, params: &Value, wire: &Wire) {
    let kind = params["type"].as_str().unwrap_or_default();
    // A page may not keep anybody from leaving it.
    let accept = kind == "beforeunload";
    let answer = json!({ "accept": accept });
    wire.tell(Some(&tab.session), "Page.handleJavaScriptDialog", answer);
    if !accept {
        let said = params["message"].as_str().unwrap_or_default();
        tab.note(&format!("the page put up a box, answered with no: {said}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Order;

    fn hear(tabs: &mut Tabs, wire: &Wire, session: &str, method: &str, params: Value) {
        let event = Event {
            session: session.to_owned(),
            method: method.to_owned(),
            params,
        };
        tabs.hear(&event, wire);
    }

    fn page(target: &str) -> Value {
        json!({ "sessionId": format!("s-{target}"),
            "targetInfo": { "targetId": target, "type": "page", "url": "about:blank" } })
    }

    #[test]
    fn dialogs_are_answered_with_no_and_pages_beyond_the_bound_are_closed() {
        let (orders, sent) = std::sync::mpsc::sync_channel(200);
        let wire = Wire::new(orders);
        let mut tabs = Tabs::default();
        for number in 0..=TABS_MAX {
            let target = format!("T{number}");
            hear(
                &mut tabs,
                &wire,
                "",
                "Target.attachedToTarget",
                page(&target),
            );
        }
        assert_eq!(tabs.len(), TABS_MAX);
        tabs.make_current(1);
        let ask = json!({ "type": "confirm", "message": "Pay?\nNow" });
        hear(
            &mut tabs,
            &wire,
            "s-T0",
            "Page.javascriptDialogOpening",
            ask,
        );
        let away = json!({ "frame": { "id": "T0", "url": "file:///work/profile/Cookies" } });
        hear(&mut tabs, &wire, "s-T0", "Page.frameNavigated", away);
        let notes = tabs.take_notes(1).join(" / ");
        assert!(notes.contains("answered with no: Pay? Now"), "{notes}");
        assert!(notes.contains("went where no page may be"), "{notes}");
        let written: Vec<String> = sent
            .try_iter()
            .filter_map(|order| match order {
                Order::Write(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
                Order::End => None,
            })
            .collect();
        let has = |parts: &[&str]| {
            let fits = |line: &&String| parts.iter().all(|part| line.contains(part));
            written.iter().any(|line| fits(&line))
        };
        assert!(has(&["Target.closeTarget", "T8"]), "{written:?}");
        assert!(has(&["handleJavaScriptDialog", "\"accept\":false", "s-T0"]));
        assert!(has(&["Page.navigate", "about:blank", "s-T0"]));
    }

    #[test]
    fn a_name_means_one_tab() {
        let (orders, _sent) = std::sync::mpsc::sync_channel(200);
        let wire = Wire::new(orders);
        let mut tabs = Tabs::default();
        hear(&mut tabs, &wire, "", "Target.attachedToTarget", page("A"));
        hear(&mut tabs, &wire, "", "Target.attachedToTarget", page("B"));
        assert_eq!(tabs.named(Some("t2")), tabs.of_target("B"));
        assert_eq!(tabs.named(Some("2")), None);
        assert_eq!(tabs.named(None), None);
        tabs.make_current(2);
        let gone = json!({ "sessionId": "s-B" });
        hear(&mut tabs, &wire, "", "Target.detachedFromTarget", gone);
        assert_eq!((tabs.named(Some("t2")), tabs.named(None)), (None, None));
    }
}
