//! HTML to text: what a reader would see, with headings, lists, links and preformatted text kept.
//!
//! A tokenizer, not a browser: it follows no style sheet. What a page hides (scripts, templates,
//! `hidden`, `display:none`, comments) is left out, so that a page cannot say more to the model than
//! to the owner who looks at it; what is hidden by other means stays, and is a stranger's text.

/// Elements whose content is not text of the page.
const SKIPPED: [&str; 11] = [
    "script", "style", "noscript", "template", "svg", "math", "iframe", "object", "select",
    "button", "canvas",
];
/// Elements that begin on a line of their own.
const BLOCKS: [&str; 28] = [
    "p",
    "div",
    "section",
    "article",
    "main",
    "header",
    "footer",
    "nav",
    "aside",
    "ul",
    "ol",
    "table",
    "tr",
    "blockquote",
    "pre",
    "form",
    "figure",
    "figcaption",
    "dl",
    "dt",
    "dd",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
];
/// Elements without an end.
const VOID: [&str; 14] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
    "track", "wbr",
];
const DEPTH_MAX: usize = 200;
const TEXT_BYTES_MAX: usize = 2 << 20;
const LINK_CHARS_MAX: usize = 500;

/// A page as it is read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Readable {
    pub title: String,
    pub text: String,
}

/// The readable part of an HTML page; plain text comes out as it was, but for its white space.
#[must_use]
pub fn readable(html: &str) -> Readable {
    let mut reader = Reader::default();
    let mut rest = html;
    while !rest.is_empty() && reader.text.len() < TEXT_BYTES_MAX {
        rest = match rest.find('<') {
            None => {
                reader.words(rest);
                ""
            }
            Some(0) => reader.markup(rest),
            Some(at) => {
                reader.words(&rest[..at]);
                &rest[at..]
            }
        };
    }
    reader.finish()
}

#[derive(Default)]
struct Reader {
    text: String,
    title: String,
    in_title: bool,
    in_head: bool,
    /// Open elements, and whether each hides what is in it.
    open: Vec<(String, bool)>,
    hidden: usize,
    preformatted: usize,
    links: Vec<Option<(usize, String)>>,
    space: bool,
}

impl Reader {
    fn words(&mut self, raw: &str) {
        if self.hidden > 0 {
            return;
        }
        let text = decoded(raw);
        if self.in_title {
            self.title.push_str(&text);
        } else if self.in_head {
        } else if self.preformatted > 0 {
            self.text.push_str(&text);
        } else {
            self.flow(&text);
        }
    }

    /// Words with one space between them, wherever their white space stood.
    fn flow(&mut self, text: &str) {
        for c in text.chars() {
            if c.is_whitespace() {
                self.space = true;
                continue;
            }
            // Signs without a width say nothing to a reader.
            if matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{ad}' | '\u{e0000}'..='\u{e007f}')
            {
                continue;
            }
            if self.space && !self.text.is_empty() && !self.text.ends_with(['\n', ' ']) {
                self.text.push(' ');
            }
            self.space = false;
            self.text.push(c);
        }
    }

    fn newline(&mut self, lines: usize) {
        self.space = false;
        let trimmed = self.text.trim_end_matches(' ').len();
        self.text.truncate(trimmed);
        let there = self.text.len() - self.text.trim_end_matches('\n').len();
        if !self.text.is_empty() {
            (there..lines).for_each(|_| self.text.push('\n'));
        }
    }

    /// Takes one piece of markup and gives the rest.
    fn markup<'a>(&mut self, rest: &'a str) -> &'a str {
        if let Some(comment) = rest.strip_prefix("<!--") {
            return comment.find("-->").map_or("", |end| &comment[end + 3..]);
        }
        let is_tag = rest[1..]
            .starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'));
        if !is_tag {
            self.words("<");
            return &rest[1..];
        }
        let Some(end) = tag_end(rest) else {
            return "";
        };
        let (tag, rest) = (&rest[1..end], &rest[end + 1..]);
        if let Some(name) = tag.strip_prefix('/') {
            self.close(&name_of(name));
            return rest;
        }
        let name = name_of(tag);
        if name.is_empty() {
            return rest;
        }
        self.begin(&name, tag);
        // The content of these is not markup: it ends at their own end alone.
        if matches!(name.as_str(), "script" | "style" | "textarea" | "title") {
            let end = find_ignoring_case(rest, &format!("</{name}")).unwrap_or(rest.len());
            if name == "title" {
                self.words(&rest[..end]);
            }
            return &rest[end..];
        }
        rest
    }

    fn begin(&mut self, name: &str, tag: &str) {
        match name {
            "br" => self.newline(1),
            "li" => {
                self.newline(1);
                if self.hidden == 0 {
                    self.text.push_str("- ");
                }
            }
            "td" | "th" if self.hidden == 0 && !self.text.ends_with(['\n', ' ']) => {
                self.text.push_str(" | ");
            }
            "img" if self.hidden == 0 => {
                let told = attribute(tag, "alt").filter(|alt| !alt.trim().is_empty());
                if let Some(alt) = told {
                    self.flow(&format!("[{alt}]"));
                }
            }
            name if BLOCKS.contains(&name) => self.newline(2),
            _ => {}
        }
        if let Some(level) = heading(name)
            && self.hidden == 0
        {
            self.text.push_str(&"#".repeat(level));
            self.space = true;
        }
        if VOID.contains(&name) || tag.ends_with('/') || self.open.len() >= DEPTH_MAX {
            return;
        }
        let hides = SKIPPED.contains(&name) || is_hidden(tag);
        self.hidden += usize::from(hides);
        self.open.push((name.to_owned(), hides));
        match name {
            "title" if self.title.is_empty() => self.in_title = true,
            "head" => self.in_head = true,
            "body" => self.in_head = false,
            "pre" => self.preformatted += 1,
            "a" => {
                let href = attribute(tag, "href").filter(|href| href.starts_with("http"));
                self.links.push(href.map(|href| (self.text.len(), href)));
            }
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        let Some(at) = self.open.iter().rposition(|(open, _)| open == name) else {
            return;
        };
        // What was left open inside ends here too.
        while self.open.len() > at {
            let Some((name, hides)) = self.open.pop() else {
                break;
            };
            self.hidden -= usize::from(hides);
            match name.as_str() {
                "title" => self.in_title = false,
                "head" => self.in_head = false,
                "pre" => self.preformatted = self.preformatted.saturating_sub(1),
                "a" => self.link(),
                _ => {}
            }
            if BLOCKS.contains(&name.as_str()) {
                self.newline(2);
            }
        }
    }

    fn link(&mut self) {
        let Some(Some((begun, href))) = self.links.pop() else {
            return;
        };
        let shown = self.text.get(begun..).unwrap_or_default().trim();
        let is_worth_it = !shown.is_empty() && shown != href && href.len() <= LINK_CHARS_MAX;
        if is_worth_it && self.hidden == 0 {
            self.text.push_str(&format!(" <{href}>"));
        }
    }

    fn finish(self) -> Readable {
        let title = self.title.split_whitespace().collect::<Vec<_>>().join(" ");
        Readable {
            title,
            text: self.text.trim().to_owned(),
        }
    }
}

fn heading(name: &str) -> Option<usize> {
    let level = name.strip_prefix('h')?.parse().ok()?;
    (1..=6).contains(&level).then_some(level)
}

/// Where a tag ends: at the first `>` outside quotes.
fn tag_end(rest: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in rest.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at),
            (None, b'"' | b'\'') if rest.as_bytes()[..at].ends_with(b"=") => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

fn name_of(tag: &str) -> String {
    let name: String = tag
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
        .take(40)
        .collect();
    name.to_ascii_lowercase()
}

fn is_hidden(tag: &str) -> bool {
    let style = attribute(tag, "style")
        .unwrap_or_default()
        .to_ascii_lowercase();
    let style: String = style.chars().filter(|c| !c.is_whitespace()).collect();
    [
        "display:none",
        "visibility:hidden",
        "opacity:0;",
        "font-size:0",
    ]
    .iter()
    .any(|hiding| style.contains(hiding))
        || style.ends_with("opacity:0")
        || attribute(tag, "hidden").is_some()
        || attribute(tag, "aria-hidden").as_deref() == Some("true")
}

/// The decoded value of an attribute; empty if it has none.
fn attribute(tag: &str, wanted: &str) -> Option<String> {
    let mut rest = tag.trim_start_matches(|c: char| !c.is_whitespace() && c != '/');
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        if rest.is_empty() {
            return None;
        }
        let end = rest
            .find(|c: char| c.is_whitespace() || matches!(c, '=' | '/'))
            .unwrap_or(rest.len());
        let name = &rest[..end];
        rest = rest[end..].trim_start();
        let mut value = "";
        if let Some(given) = rest.strip_prefix('=') {
            let given = given.trim_start();
            (value, rest) = match given.chars().next() {
                Some(quote @ ('"' | '\'')) => {
                    given[1..].split_once(quote).unwrap_or((&given[1..], ""))
                }
                _ => {
                    let end = given.find(char::is_whitespace).unwrap_or(given.len());
                    given.split_at(end)
                }
            };
        } else if end == 0 {
            // A sign that begins no name.
            let mut chars = rest.chars();
            let _sign = chars.next();
            rest = chars.as_str();
        }
        if name.eq_ignore_ascii_case(wanted) {
            return Some(decoded(value));
        }
    }
}

fn find_ignoring_case(text: &str, wanted: &str) -> Option<usize> {
    let wanted = wanted.as_bytes();
    text.as_bytes()
        .windows(wanted.len())
        .position(|window| window.eq_ignore_ascii_case(wanted))
}

/// Text with its character references replaced.
fn decoded(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('&') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.char_indices().take(12).find(|(_, c)| *c == ';');
        match end.and_then(|(end, _)| Some((end, reference(&rest[1..end])?))) {
            Some((end, c)) => {
                text.push(c);
                rest = &rest[end + 1..];
            }
            None => {
                text.push('&');
                rest = &rest[1..];
            }
        }
    }
    text.push_str(rest);
    text
}

fn reference(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code).filter(|c| *c != '\0');
    }
    const NAMED: [(&str, char); 26] = [
        ("amp", '&'),
        ("lt", '<'),
        ("gt", '>'),
        ("quot", '"'),
        ("apos", '\''),
        ("nbsp", ' '),
        ("ndash", '–'),
        ("mdash", '—'),
        ("hellip", '…'),
        ("lsquo", '‘'),
        ("rsquo", '’'),
        ("ldquo", '“'),
        ("rdquo", '”'),
        ("laquo", '«'),
        ("raquo", '»'),
        ("copy", '©'),
        ("reg", '®'),
        ("trade", '™'),
        ("euro", '€'),
        ("auml", 'ä'),
        ("ouml", 'ö'),
        ("uuml", 'ü'),
        ("szlig", 'ß'),
        ("eacute", 'é'),
        ("middot", '·'),
        ("times", '×'),
    ];
    let found = NAMED.iter().find(|(known, _)| *known == name);
    found.map(|(_, c)| *c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_becomes_what_a_reader_sees() {
        let page = r#"<!doctype html><html><head><title>Tea &amp; cake</title>
            <style>p{color:red}</style><script>if (a < b) { say("</p>") }</script></head><body>
            <nav><a href="https://example.org/home">Home</a></nav>
            <h1>Tea</h1><p>Two   cups,<br>please &mdash; at&nbsp;5 &lt; 6.</p>
            <ul><li>green</li><li>black <b>tea</b></ul>
            <pre>a
  b</pre><table><tr><td>1</td><td>2</td></tr></table></body></html>"#;
        let read = readable(page);
        assert_eq!(read.title, "Tea & cake");
        assert_eq!(
            read.text,
            "Home <https://example.org/home>\n\n# Tea\n\nTwo cups,\nplease — at 5 < 6.\n\n- green\n- black tea\n\na\n  b\n\n1 | 2"
        );
    }

    #[test]
    fn what_a_page_hides_is_not_read() {
        for hidden in [
            "<p style=\"display: none\">EVIL</p>",
            "<div hidden><p>EVIL</p></div>",
            "<span aria-hidden='true'>EVIL</span>",
            "<!-- EVIL --><!-- > EVIL -->",
            "<template>EVIL</template>",
            "<noscript><p>EVIL</p></noscript>",
            "<div style='visibility:hidden'><div>x</div>EVIL</div>",
            "<script>EVIL</script >",
            "<input value=\"EVIL>EVIL\">",
            "<div style=\"opacity:0\">EVIL</div>",
        ] {
            let read = readable(&format!("<p>before</p>{hidden}<p>after</p>"));
            assert_eq!(read.text, "before\n\nafter", "{hidden}");
        }
        assert_eq!(readable("a\u{200b}b\u{202e}c\u{e0041}").text, "abc");
    }

    #[test]
    fn broken_markup_ends() {
        for page in [
            "<",
            "<p",
            "a < b",
            "<a href='x",
            "</",
            "<!--",
            "&",
            "&#xffffffff;",
            "&#0;",
            "</p></p>",
            "<p =x y>",
            "<p ===>",
            "<a href=>x</a>",
            "<ä>",
            "<p ä=\"ö\" hidden>x",
        ] {
            let _read = readable(page);
        }
        let deep = "<div>".repeat(50_000);
        assert_eq!(readable(&format!("{deep}x")).text, "x");
        assert_eq!(readable("a < b &amp c").text, "a < b &amp c");
    }
}
