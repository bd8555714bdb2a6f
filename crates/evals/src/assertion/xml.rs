//! Answers that are XML, or hold some.

use serde_json::Value;

use super::{Asked, Verdict};
use crate::bounds::DEPTH_MAX;
use crate::data::show;
use crate::error::Trouble;

pub(super) fn is_xml(asked: &Asked<'_>) -> Result<Verdict, Trouble> {
    let required = required(&asked.value)?;
    let parsed = document(asked.text);
    let problem = match &parsed {
        Ok(root) => missing(std::slice::from_ref(root), &required),
        Err(problem) => Some(problem.clone()),
    };
    Ok(asked.decide(problem.is_none(), || {
        format!(
            "be XML{}",
            problem.map_or_else(String::new, |p| format!("; {p}"))
        )
    }))
}

pub(super) fn contains_xml(asked: &Asked<'_>) -> Result<Verdict, Trouble> {
    let required = required(&asked.value)?;
    let found = elements(asked.text);
    let all = missing(&found, &required).is_none();
    let fits = !found.is_empty()
        && (all
            || found
                .iter()
                .any(|one| missing(std::slice::from_ref(one), &required).is_none()));
    Ok(asked.decide(fits, || format!("contain XML with {required:?}")))
}

/// The elements that must be there, as paths with dots.
fn required(value: &Value) -> Result<Vec<String>, Trouble> {
    let list = |items: &[Value]| items.iter().map(show).collect();
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(text.split(',').map(|part| part.trim().to_owned()).collect()),
        Value::Array(items) if !items.is_empty() => Ok(list(items)),
        Value::Object(map) => match map.get("requiredElements") {
            Some(Value::Array(items)) => Ok(list(items)),
            _ => Trouble::wrong("XML is asked for with a list of elements or none"),
        },
        _ => Trouble::wrong("XML is asked for with a list of elements or none"),
    }
}

#[derive(Clone, Debug)]
struct Element {
    name: String,
    attributes: Vec<String>,
    children: Vec<Self>,
}

/// The first path that leads to no element.
fn missing(roots: &[Element], required: &[String]) -> Option<String> {
    required
        .iter()
        .find(|path| !leads(roots, &path.split('.').collect::<Vec<_>>()))
        .map(|path| format!("the element {path:?} is missing"))
}

/// True if the path leads somewhere. Of several elements of one name, the next step is a number.
fn leads(among: &[Element], path: &[&str]) -> bool {
    let Some((step, rest)) = path.split_first() else {
        return true;
    };
    let named: Vec<&Element> = among.iter().filter(|one| one.name == *step).collect();
    match (named.as_slice(), rest) {
        ([], _) => false,
        (_, []) => true,
        ([one], rest) => enters(one, rest),
        (several, [index, rest @ ..]) => {
            let one = index.parse::<usize>().ok().and_then(|at| several.get(at));
            one.is_some_and(|one| rest.is_empty() || enters(one, rest))
        }
    }
}

fn enters(one: &Element, rest: &[&str]) -> bool {
    let attribute = match rest {
        [name] => name.strip_prefix("@_"),
        _ => None,
    };
    match attribute {
        Some(name) => one.attributes.iter().any(|has| has == name),
        None => leads(&one.children, rest),
    }
}

/// A whole document: one element, with nothing but notes around it.
fn document(text: &str) -> Result<Element, String> {
    let mut reader = Reader { text, at: 0 };
    if text.starts_with("<?xml") {
        reader.skip_past("?>")?;
    }
    reader.skip_notes(true)?;
    let root = reader.element(0)?;
    reader.skip_notes(false)?;
    match reader.rest().is_empty() {
        true => Ok(root),
        false => Err("something stands behind the last element".to_owned()),
    }
}

/// The largest elements of a text that are whole.
fn elements(text: &str) -> Vec<Element> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(open) = text[from..].find('<').map(|at| from + at) {
        let mut reader = Reader { text, at: open };
        match reader.element(0) {
            Ok(element) => {
                found.push(element);
                from = reader.at;
            }
            Err(_) => from = open + 1,
        }
        if found.len() >= 1_000 {
            break;
        }
    }
    found
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn take(&mut self, what: &str) -> bool {
        let fits = self.rest().starts_with(what);
        if fits {
            self.at += what.len();
        }
        fits
    }

    fn skip_past(&mut self, end: &str) -> Result<(), String> {
        let at = self
            .rest()
            .find(end)
            .ok_or_else(|| format!("{end:?} is missing"))?;
        self.at += at + end.len();
        Ok(())
    }

    fn skip_space(&mut self) -> bool {
        let trimmed = self.rest().trim_start_matches([' ', '\t', '\r', '\n']);
        let skipped = self.rest().len() - trimmed.len();
        self.at += skipped;
        skipped > 0
    }

    /// White space, comments, instructions, and a declaration of the type where one may stand.
    fn skip_notes(&mut self, before: bool) -> Result<(), String> {
        loop {
            self.skip_space();
            if self.take("<!--") {
                self.skip_past("-->")?;
            } else if self.take("<?") {
                self.skip_past("?>")?;
            } else if before && self.take("<!DOCTYPE") {
                let inner = self.rest().split('>').next().unwrap_or_default();
                if inner.contains('[') {
                    return Err("a type declared inside is not supported".to_owned());
                }
                self.skip_past(">")?;
            } else {
                return Ok(());
            }
        }
    }

    fn name(&mut self) -> Result<String, String> {
        let rest = self.rest();
        let inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '-' | '.' | '\u{b7}');
        let end = rest.find(|c| !inside(c)).unwrap_or(rest.len());
        let name = rest[..end].to_owned();
        let starts = name.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == ':');
        if !starts {
            return Err("a name is missing".to_owned());
        }
        self.at += end;
        Ok(name)
    }

    fn element(&mut self, depth: usize) -> Result<Element, String> {
        if depth > DEPTH_MAX {
            return Err("nested too deep".to_owned());
        }
        if !self.take("<") {
            return Err("no element begins here".to_owned());
        }
        let name = self.name()?;
        let mut element = Element {
            name,
            attributes: Vec::new(),
            children: Vec::new(),
        };
        loop {
            let space = self.skip_space();
            if self.take("/>") {
                return Ok(element);
            }
            if self.take(">") {
                break;
            }
            if !space {
                return Err("an attribute is wrong".to_owned());
            }
            let attribute = self.attribute()?;
            if element.attributes.contains(&attribute) {
                return Err(format!("the attribute {attribute:?} stands there twice"));
            }
            element.attributes.push(attribute);
        }
        loop {
            if self.take("</") {
                let closed = self.name()?;
                self.skip_space();
                if closed != element.name || !self.take(">") {
                    return Err(format!("{:?} is closed by {closed:?}", element.name));
                }
                return Ok(element);
            }
            if self.take("<!--") {
                self.skip_past("-->")?;
            } else if self.take("<![CDATA[") {
                self.skip_past("]]>")?;
            } else if self.take("<?") {
                self.skip_past("?>")?;
            } else if self.rest().starts_with('<') {
                element.children.push(self.element(depth + 1)?);
            } else {
                self.characters(&element.name)?;
            }
        }
    }

    fn attribute(&mut self) -> Result<String, String> {
        let name = self.name()?;
        self.skip_space();
        if !self.take("=") {
            return Err(format!("the attribute {name:?} has no value"));
        }
        self.skip_space();
        let Some(quote @ ('"' | '\'')) = self.rest().chars().next() else {
            return Err(format!("the value of {name:?} is not quoted"));
        };
        self.at += 1;
        let end = self.rest().find(quote).ok_or("a quoted value has no end")?;
        let value = &self.rest()[..end];
        if value.contains('<') {
            return Err(format!("the value of {name:?} holds \"<\""));
        }
        entities(value)?;
        self.at += end + 1;
        Ok(name)
    }

    fn characters(&mut self, inside: &str) -> Result<(), String> {
        let end = self
            .rest()
            .find('<')
            .ok_or_else(|| format!("{inside:?} has no end"))?;
        let text = &self.rest()[..end];
        if text.contains("]]>") {
            return Err("\"]]>\" stands in text".to_owned());
        }
        entities(text)?;
        self.at += end;
        Ok(())
    }
}

/// Every `&` begins one of the five names, or the number of a character.
fn entities(text: &str) -> Result<(), String> {
    for part in text.split('&').skip(1) {
        let name = part.split_once(';').map(|(name, _)| name);
        let fine = match name {
            Some("amp" | "lt" | "gt" | "quot" | "apos") => true,
            Some(number) => number.strip_prefix('#').is_some_and(|number| {
                let code = match number.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16).ok(),
                    None => number.parse().ok(),
                };
                code.and_then(char::from_u32).is_some_and(|c| c != '\0')
            }),
            None => false,
        };
        if !fine {
            return Err("an \"&\" begins no known name".to_owned());
        }
    }
    Ok(())
}
