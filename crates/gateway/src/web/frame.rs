//! What every signed-in page shares: the bar with the pages, the banner, the dialog with the
//! shortcuts, and the small parts that pages are made of.

use instar_protocol::Timestamp;
use maud::{DOCTYPE, Markup, html};

use super::words::Words;
use crate::app::App;

/// The pages of the bar, with the letter that leads to each behind `g`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tab {
    Chat,
    Approvals,
    Sessions,
    Usage,
    Releases,
    Events,
    Faults,
    Agents,
    Models,
    Devices,
    Config,
    Policy,
    Audit,
    Health,
    Logs,
}

impl Tab {
    const ALL: [Self; 15] = [
        Self::Chat,
        Self::Approvals,
        Self::Sessions,
        Self::Usage,
        Self::Releases,
        Self::Events,
        Self::Faults,
        Self::Agents,
        Self::Models,
        Self::Devices,
        Self::Config,
        Self::Policy,
        Self::Audit,
        Self::Health,
        Self::Logs,
    ];

    /// The pages that are open most often: they stand in the bar itself, all others in its menu.
    const FRONT: [Self; 6] = [
        Self::Chat,
        Self::Approvals,
        Self::Sessions,
        Self::Usage,
        Self::Releases,
        Self::Events,
    ];

    fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat",
            Self::Approvals => "/approvals",
            Self::Sessions => "/sessions",
            Self::Usage => "/usage",
            Self::Releases => "/releases",
            Self::Events => "/events",
            Self::Faults => "/faults",
            Self::Agents => "/agents",
            Self::Models => "/models",
            Self::Devices => "/devices",
            Self::Config => "/config",
            Self::Policy => "/policy",
            Self::Audit => "/audit",
            Self::Health => "/status",
            Self::Logs => "/logs",
        }
    }

    fn letter(self) -> &'static str {
        match self {
            Self::Chat => "c",
            Self::Approvals => "p",
            Self::Sessions => "s",
            Self::Usage => "u",
            Self::Releases => "r",
            Self::Events => "e",
            Self::Faults => "f",
            Self::Agents => "a",
            Self::Models => "m",
            Self::Devices => "d",
            Self::Config => "o",
            Self::Policy => "y",
            Self::Audit => "t",
            Self::Health => "h",
            Self::Logs => "l",
        }
    }

    pub(super) fn title(self, words: &Words) -> &'static str {
        match self {
            Self::Chat => words.chat,
            Self::Approvals => words.approvals,
            Self::Sessions => words.sessions,
            Self::Usage => words.usage,
            Self::Releases => words.releases,
            Self::Events => words.events,
            Self::Faults => words.faults,
            Self::Agents => words.agents,
            Self::Models => words.models,
            Self::Devices => words.devices,
            Self::Config => words.config_file,
            Self::Policy => words.policy,
            Self::Audit => words.audit,
            Self::Health => words.health,
            Self::Logs => words.logs,
        }
    }
}

/// A page in its frame.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    pub(super) words: &'static Words,
    pub(super) tab: Tab,
    /// The page's own name where it is not the tab's.
    pub(super) title: Option<&'a str>,
    /// Something the owner should know whatever page is open.
    pub(super) banner: Option<String>,
    /// Questions that wait for an answer.
    pub(super) waiting: usize,
}

impl<'a> Frame<'a> {
    pub(super) async fn new(app: &App, words: &'static Words, tab: Tab) -> Self {
        Self {
            words,
            tab,
            title: None,
            banner: banner(app),
            waiting: waiting(app).await,
        }
    }

    pub(super) fn titled(mut self, title: &'a str) -> Self {
        self.title = Some(title);
        self
    }

    /// The whole page around `body`, which is the content of its `main`.
    pub(super) fn around(&self, body: &Markup) -> Markup {
        let words = self.words;
        let title = self.title.unwrap_or_else(|| self.tab.title(words));
        html! {
            (DOCTYPE)
            html lang=(words.tag) {
                (head(title, &["/assets/ui.js"], None))
                body class="framed" data-unreachable=(words.unreachable) {
                    a class="skip" href="#content" { (words.skip) }
                    (bar(words, self.tab, self.waiting))
                    main class="page" id="content" tabindex="-1" {
                        @if let Some(banner) = &self.banner { p class="banner" role="alert" { (banner) } }
                        h1 { (title) }
                        @if matches!(self.tab, Tab::Events | Tab::Logs) { noscript { p class="soft" { (words.needs_script) } } }
                        (body)
                    }
                    (shortcuts(words))
                }
            }
        }
    }
}

/// How many questions and letters wait for the owner.
pub(super) async fn waiting(app: &App) -> usize {
    let counted = async {
        let asked = app.sessions.asking().open().await?.len();
        Ok::<_, instar_store::StoreError>(asked + app.sessions.letters().open().await?.len())
    };
    counted.await.unwrap_or_else(|error| {
        tracing::warn!(%error, "what waits for the owner cannot be counted");
        0
    })
}

/// What is wrong with the configuration on disk, if anything is.
pub(super) fn banner(app: &App) -> Option<String> {
    let health = app.config_health();
    let problem = health.problem?;
    Some(match health.next_step {
        Some(step) => format!("{problem}: {step}"),
        None => problem,
    })
}

/// `reload` loads the page again after so many seconds where no script keeps it up to date.
pub(super) fn head(title: &str, scripts: &[&str], reload: Option<&str>) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1, interactive-widget=resizes-content";
            meta name="color-scheme" content="light dark";
            // Without it a form's origin is sent as `null`, which the door refuses.
            meta name="referrer" content="same-origin";
            title { (title) " · Instar" }
            link rel="icon" type="image/svg+xml" href="/assets/icon.svg";
            link rel="stylesheet" href="/assets/app.css";
            link rel="stylesheet" href="/assets/pages.css";
            @for script in scripts { script type="module" src=(script) {} }
            @if let Some(seconds) = reload {
                noscript { meta http-equiv="refresh" content=(seconds); }
            }
        }
    }
}

/// The bar with the first pages, and its menu with all of them. On a phone the menu is all there is.
pub(super) fn bar(words: &Words, open: Tab, waiting: usize) -> Markup {
    let badge = html! {
        span class="badge" data-waiting="" title=(words.questions_wait) hidden[waiting == 0] { (waiting) }
    };
    let name = |tab: Tab| html! { (tab.title(words)) @if tab == Tab::Approvals { " " (badge) } };
    // Wherever one is, the bar says so.
    let front = Tab::FRONT
        .into_iter()
        .chain((!Tab::FRONT.contains(&open)).then_some(open));
    html! {
        header class="bar" {
            a class="brand" href="/chat" { "Instar" }
            nav class="tabs" aria-label=(words.pages) {
                @for tab in front {
                    a href=(tab.path()) aria-current=[(tab == open).then_some("page")] { (name(tab)) }
                }
            }
            p class="sr" role="status" data-waiting-told="" data-words=(words.questions_wait) {}
            details class="more" {
                summary { (words.menu) " " (badge) }
                div class="sheet" {
                    nav class="fold" aria-label=(words.menu) {
                        @for tab in Tab::ALL {
                            a href=(tab.path()) data-go=(tab.letter()) aria-current=[(tab == open).then_some("page")] {
                                (name(tab))
                            }
                        }
                    }
                    p { a href="/setup" { (words.setup) } }
                    p { button type="button" class="quiet" data-shortcuts="" { (words.shortcuts) " " kbd { "?" } } }
                    p class="languages" { span { (words.language) }
                        @for (name, own, other) in Words::ALL {
                            a href={ "/language?to=" (name) "&back=" (open.path()) } lang=(other.tag) hreflang=(other.tag)
                                aria-current=[(other.tag == words.tag).then_some("true")] { (own) }
                        }
                    }
                    form method="post" action="/sign-out" { button { (words.sign_out) } }
                }
            }
        }
    }
}

pub(super) fn shortcuts(words: &Words) -> Markup {
    let rows = [
        ("?", words.shortcut_help),
        ("/", words.shortcut_search),
        ("Esc", words.shortcut_stop),
        ("Enter", words.shortcut_send),
        ("Shift Enter", words.shortcut_line),
        ("↑", words.shortcut_edit),
        ("← →", words.shortcut_version),
    ];
    html! {
        dialog class="shortcuts" aria-labelledby="shortcuts-title" {
            h2 id="shortcuts-title" { (words.shortcuts) }
            dl {
                @for (key, what) in rows {
                    div { dt { kbd { (key) } } dd { (what) } }
                }
                div { dt { kbd { "g" } } dd { (words.shortcut_go) } }
                @for tab in Tab::ALL {
                    div { dt { kbd { "g" } " " kbd { (tab.letter()) } } dd { (tab.title(words)) } }
                }
            }
            form method="dialog" { button class="primary" { (words.close) } }
        }
    }
}

/// What stands where there is nothing yet: that it is so, and what to do.
pub(super) fn empty(title: &str, advice: &str) -> Markup {
    html! {
        div class="nothing" { h2 { (title) } p { (coded(advice)) } }
    }
}

/// Text whose parts between back ticks are code.
pub(super) fn coded(text: &str) -> Markup {
    html! {
        @for (at, part) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// Micro-dollars for people.
pub(super) fn dollars(micros: u64) -> String {
    let whole = micros / 1_000_000;
    let rest = micros % 1_000_000;
    if micros > 0 && micros < 10_000 {
        return format!("${whole}.{rest:06}")
            .trim_end_matches('0')
            .to_owned();
    }
    // Half a cent and more counts as one.
    let cents = (micros + 5_000) / 10_000;
    format!("${}.{:02}", cents / 100, cents % 100)
}

/// A number with its thousands apart.
pub(super) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// A moment in the gateway's time zone, with the exact one behind it.
pub(super) fn moment(at: Timestamp) -> Markup {
    let millis = i64::try_from(at.millis()).unwrap_or(i64::MAX);
    let exact = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let local = exact.to_zoned(jiff::tz::TimeZone::system());
    html! {
        time datetime=(exact.to_string()) title=(local.strftime("%Y-%m-%d %H:%M:%S %Z").to_string()) {
            (local.strftime("%Y-%m-%d %H:%M").to_string())
        }
    }
}

/// The beginning of a hash, with the whole behind it.
pub(super) fn short(id: &str) -> Markup {
    html! { code title=(id) { (beginning(id)) } }
}

/// Enough of a hash to tell it from others.
pub(super) fn beginning(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_told_as_people_tell_them() {
        let told = [0, 7, 1_234, 10_000, 15_000, 1_239_999, 12_000_000].map(dollars);
        assert_eq!(
            told,
            [
                "$0.00",
                "$0.000007",
                "$0.001234",
                "$0.01",
                "$0.02",
                "$1.24",
                "$12.00"
            ]
        );
        let apart = [0, 999, 1_000, 1_234_567].map(number);
        assert_eq!(
            apart,
            ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]
        );
    }

    #[test]
    fn advice_shows_its_commands_as_code_and_escapes_the_rest() {
        let shown = coded("run `instar <up>` & wait").into_string();
        assert_eq!(shown, "run <code>instar &lt;up&gt;</code> &amp; wait");
    }
}
