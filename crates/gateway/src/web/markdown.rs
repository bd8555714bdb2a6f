//! Markdown to HTML for text that nobody vouches for.
//!
//! The renderer knows a closed set of elements and escapes everything else: raw HTML is shown as
//! text, links open only `http`, `https` and `mailto`, images are links and load nothing. Its input
//! and its nesting are bounded. What may scroll sideways can be reached by the keyboard.

use maud::{Escaper, Markup, PreEscaped};
use pulldown_cmark::{Alignment, CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use std::fmt::Write;

/// Text beyond this many bytes is shown as it is, without structure.
const STRUCTURED_BYTES_MAX: usize = 256 << 10;
/// Quotes and lists inside each other beyond this depth are flattened.
const DEPTH_MAX: usize = 24;

/// Renders text as a fragment that is safe to put into any of our pages.
#[must_use]
pub fn render(text: &str) -> Markup {
    if text.len() > STRUCTURED_BYTES_MAX {
        let mut out = String::from("<pre class=\"plain\">");
        escape(&mut out, text);
        out.push_str("</pre>");
        return PreEscaped(out);
    }
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut writer = Writer::default();
    for event in Parser::new_ext(text, options) {
        writer.event(event);
    }
    PreEscaped(writer.finish())
}

/// Escapes the five characters that mean something in HTML text and attributes.
fn escape(out: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let _infallible = Escaper::new(out).write_str(text);
}

#[derive(Default)]
struct Writer {
    out: String,
    /// Closing tags of what is open; `None` where the element was flattened.
    open: Vec<Option<&'static str>>,
    columns: Vec<Alignment>,
    column: usize,
    in_head: bool,
    /// How deep the last heading was; none yet is 0.
    heading: usize,
}

impl Writer {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text)
            | Event::Html(text)
            | Event::InlineHtml(text)
            | Event::InlineMath(text)
            | Event::DisplayMath(text)
            | Event::FootnoteReference(text) => escape(&mut self.out, &text),
            Event::Code(code) => {
                self.out.push_str("<code>");
                escape(&mut self.out, &code);
                self.out.push_str("</code>");
            }
            Event::SoftBreak => self.out.push('\n'),
            Event::HardBreak => self.out.push_str("<br>"),
            Event::Rule => self.out.push_str("<hr>"),
            Event::TaskListMarker(done) => self.out.push_str(if done { "☑ " } else { "☐ " }),
        }
    }

    /// The page's title is its h1. Below it a message's headings go down one step at a time, whatever
    /// the message says, so that a reader who goes from heading to heading misses no level.
    fn heading(&mut self, level: HeadingLevel) {
        const TAGS: [&str; 5] = ["h2", "h3", "h4", "h5", "h6"];
        let depth = (level as usize).min(self.heading + 1).min(TAGS.len());
        self.heading = depth;
        self.element(TAGS[depth - 1]);
    }

    fn start(&mut self, tag: &Tag<'_>) {
        let deep = self.open.len() >= DEPTH_MAX;
        match tag {
            Tag::Paragraph => self.element("p"),
            Tag::Heading { level, .. } => self.heading(*level),
            Tag::BlockQuote(_) if !deep => self.element("blockquote"),
            Tag::List(None) if !deep => self.element("ul"),
            Tag::List(Some(first)) if !deep => {
                let _infallible = write!(self.out, "<ol start=\"{first}\">");
                self.open.push(Some("ol"));
            }
            Tag::Item if !deep => self.element("li"),
            Tag::CodeBlock(kind) => self.code_block(kind),
            Tag::Emphasis => self.element("em"),
            Tag::Strong => self.element("strong"),
            Tag::Strikethrough => self.element("del"),
            Tag::Link { dest_url, .. } => self.link(dest_url),
            Tag::Image { dest_url, .. } => {
                self.out.push_str("🖼 ");
                self.link(dest_url);
            }
            Tag::Table(columns) => {
                self.columns.clone_from(columns);
                self.out.push_str("<div class=\"wide\" tabindex=\"0\">");
                self.element("table");
            }
            Tag::TableHead => {
                self.in_head = true;
                self.column = 0;
                self.out.push_str("<thead>");
                self.element("tr");
            }
            Tag::TableRow => {
                self.column = 0;
                self.element("tr");
            }
            Tag::TableCell => self.cell(),
            Tag::BlockQuote(_)
            | Tag::List(_)
            | Tag::Item
            | Tag::HtmlBlock
            | Tag::FootnoteDefinition(_)
            | Tag::DefinitionList
            | Tag::DefinitionListTitle
            | Tag::DefinitionListDefinition
            | Tag::Superscript
            | Tag::Subscript
            | Tag::MetadataBlock(_) => self.open.push(None),
        }
    }

    fn element(&mut self, name: &'static str) {
        self.out.push('<');
        self.out.push_str(name);
        self.out.push('>');
        self.open.push(Some(name));
    }

    fn code_block(&mut self, kind: &CodeBlockKind<'_>) {
        if let CodeBlockKind::Fenced(language) = kind
            && !language.is_empty()
        {
            self.out.push_str("<pre tabindex=\"0\" data-language=\"");
            escape(
                &mut self.out,
                language.split_whitespace().next().unwrap_or_default(),
            );
            self.out.push_str("\"><code>");
        } else {
            self.out.push_str("<pre tabindex=\"0\"><code>");
        }
        self.open.push(Some("code"));
    }

    fn link(&mut self, target: &str) {
        let Some(target) = safe_link(target) else {
            self.open.push(None);
            return;
        };
        self.out
            .push_str("<a rel=\"noopener noreferrer nofollow\" target=\"_blank\" href=\"");
        escape(&mut self.out, &target);
        self.out.push_str("\">");
        self.open.push(Some("a"));
    }

    fn cell(&mut self) {
        let align = match self.columns.get(self.column) {
            Some(Alignment::Right) => " class=\"right\"",
            Some(Alignment::Center) => " class=\"center\"",
            Some(Alignment::Left | Alignment::None) | None => "",
        };
        let name = if self.in_head { "th" } else { "td" };
        let _infallible = write!(self.out, "<{name}{align}>");
        self.open.push(Some(name));
        self.column += 1;
    }

    fn end(&mut self, tag: TagEnd) {
        if let Some(Some(name)) = self.open.pop() {
            let _infallible = write!(self.out, "</{name}>");
        }
        match tag {
            TagEnd::CodeBlock => self.out.push_str("</pre>"),
            TagEnd::Table => self.out.push_str("</div>"),
            TagEnd::TableHead => {
                self.in_head = false;
                self.out.push_str("</thead>");
            }
            _ => {}
        }
    }

    fn finish(mut self) -> String {
        while let Some(open) = self.open.pop() {
            if let Some(name) = open {
                let _infallible = write!(self.out, "</{name}>");
            }
        }
        self.out
    }
}

/// Only schemes that open a page or a letter; anything relative would point into our own origin.
///
/// The address is written as it was understood: a browser takes `http:x` on our own page for a
/// relative one.
fn safe_link(target: &str) -> Option<String> {
    if target.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return None;
    }
    let url = url::Url::parse(target).ok()?;
    let safe = match url.scheme() {
        "http" | "https" => url.username().is_empty() && url.password().is_none(),
        "mailto" => true,
        _ => false,
    };
    safe.then(|| url.into())
}

#[cfg(test)]
mod tests {
    use super::render;

    fn check(text: &str, html: &str) {
        assert_eq!(render(text).into_string(), html, "{text:?}");
    }

    #[test]
    fn what_people_write_becomes_structure() {
        check("a **b** `c`", "<p>a <strong>b</strong> <code>c</code></p>");
        check("# x", "<h2>x</h2>");
        check("### x\n###### y\n# z", "<h2>x</h2><h3>y</h3><h2>z</h2>");
        check("- a\n- b", "<ul><li>a</li><li>b</li></ul>");
        check(
            "```rust\n1<2\n```",
            "<pre tabindex=\"0\" data-language=\"rust\"><code>1&lt;2\n</code></pre>",
        );
        check(
            "|a|b|\n|-|-:|\n|1|2|",
            "<div class=\"wide\" tabindex=\"0\"><table><thead><tr><th>a</th><th class=\"right\">b</th></tr></thead>\
             <tr><td>1</td><td class=\"right\">2</td></tr></table></div>",
        );
    }

    #[test]
    fn nothing_that_runs_or_loads_survives() {
        let corpus = [
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "a <b onclick=x>b</b>",
            "[x](javascript:alert(1))",
            "[x](JaVaScRiPt:alert(1))",
            "[x](&#106;avascript:alert(1))",
            "[x](data:text/html;base64,PHNjcmlwdD4=)",
            "[x](vbscript:x)",
            "[x](http:/sign-out)",
            "[x](http:http://a/b)",
            "[x](/sign-out)",
            "[x](//evil.example)",
            "![x](http://evil.example/pixel.png)",
            "<http://user:pass@evil.example>",
            "```\"><script>\nx\n```",
            "[x](<http://a\"onmouseover=\"alert(1)>)",
            "<svg/onload=alert(1)>",
            "<!--><script>-->",
        ];
        for text in corpus {
            only_known_markup(&render(text).into_string());
        }
    }

    /// Fails on any tag, attribute or link target outside the closed set.
    fn only_known_markup(html: &str) {
        const TAGS: &[&str] = &[
            "p",
            "br",
            "hr",
            "a",
            "em",
            "strong",
            "del",
            "code",
            "pre",
            "ul",
            "ol",
            "li",
            "div",
            "blockquote",
            "table",
            "thead",
            "tr",
            "th",
            "td",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
        ];
        for tag in html.split('<').skip(1) {
            let tag = tag.split('>').next().unwrap_or(tag);
            let name = tag
                .trim_start_matches('/')
                .split(' ')
                .next()
                .unwrap_or_default();
            assert!(TAGS.contains(&name), "<{tag}> in {html}");
            for attribute in tag.split('"').step_by(2) {
                let attribute = attribute.rsplit(' ').next().unwrap_or_default();
                let known = [
                    "",
                    "rel=",
                    "target=",
                    "href=",
                    "class=",
                    "start=",
                    "data-language=",
                    "tabindex=",
                ];
                assert!(
                    known.contains(&attribute) || attribute == name || attribute == tag,
                    "{attribute:?} in {html}"
                );
            }
            if let Some((_, target)) = tag.split_once(" href=\"") {
                let safe = ["http://", "https://", "mailto:"];
                assert!(
                    safe.iter().any(|scheme| target.starts_with(scheme)),
                    "{target} in {html}"
                );
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_gives_known_markup(text in "[<>\"'&a-z\\[\\]()!:/# `*_|\n-]{0,200}") {
            only_known_markup(&render(&text).into_string());
        }
    }

    #[test]
    fn deep_nesting_and_long_text_stay_bounded() {
        let html = render(&">".repeat(5000)).into_string();
        assert!(html.matches("<blockquote>").count() <= super::DEPTH_MAX);
        let long = "x".repeat(super::STRUCTURED_BYTES_MAX + 1);
        assert!(
            render(&long)
                .into_string()
                .starts_with("<pre class=\"plain\">")
        );
    }
}
