//! The strict check of a document against a schema: every problem, each at its place.

use serde_json::Value;

use crate::document::{Kind, Member, Node, Source};
use crate::load::EDITOR_KEY;
use crate::path::KeyPath;
use crate::problem::{Problem, SECRET_EXPECTED, is_sensitive};
use crate::schema::{Members, Schema, list, range, types};

/// More problems than this help nobody.
const PROBLEMS_MAX: usize = 100;

/// Walks a document beside its schema.
pub(crate) struct Checker<'a> {
    schema: &'a Schema,
    sources: &'a [Source],
    problems: Vec<Problem>,
}

impl<'a> Checker<'a> {
    pub(crate) fn new(schema: &'a Schema, sources: &'a [Source]) -> Self {
        Self {
            schema,
            sources,
            problems: Vec::new(),
        }
    }

    pub(crate) fn check_root(&mut self, root: &Node) {
        if matches!(root.kind, Kind::Object(_)) {
            self.check(self.schema.root(), root, &KeyPath::default());
        }
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    fn check(&mut self, schema: &'a Value, node: &Node, path: &KeyPath) {
        if self.problems.len() >= PROBLEMS_MAX {
            return;
        }
        let resolved = self.schema.resolve(schema);
        if resolved.is_secret() && !matches!(node.kind, Kind::Object(_)) {
            self.complain_secret(node, path);
            return;
        }
        let schema = resolved.schema;
        if matches!(node.kind, Kind::Null) && self.schema.takes_null(schema) {
            return;
        }
        let alternatives = self.schema.alternatives(schema);
        if !alternatives.is_empty() {
            self.check_alternatives(schema, &alternatives, node, path);
        }
        if self.fits(schema, node) {
            self.check_inside(schema, node, path);
        } else {
            self.complain_kind(schema, node, path);
        }
        for part in list(schema, "allOf") {
            // Members were gathered over all parts; the rest of each part holds by itself.
            if !matches!(node.kind, Kind::Object(_)) {
                self.check(part, node, path);
            }
        }
    }

    /// True if the node is of the kind, and among the words, that the schema itself names.
    fn fits(&self, schema: &Value, node: &Node) -> bool {
        if schema == &Value::Bool(false) {
            return false;
        }
        if let Some(constant) = schema.get("const") {
            return *constant == node.to_value();
        }
        let words = list(schema, "enum");
        if !words.is_empty() {
            return words.contains(&node.to_value());
        }
        let kinds = types(schema);
        kinds.is_empty() || kinds.iter().any(|kind| is_of_kind(kind, node))
    }

    fn check_inside(&mut self, schema: &'a Value, node: &Node, path: &KeyPath) {
        match &node.kind {
            Kind::Number(number) => {
                let value = number.as_f64().unwrap_or(f64::NAN);
                let (low, high) = range(schema);
                if low.is_some_and(|low| value < low) || high.is_some_and(|high| value > high) {
                    let message = format!("{number} is out of range");
                    self.complain_expecting(schema, node, path, message);
                }
            }
            Kind::Text { text, .. } => self.check_length(schema, text, node, path),
            Kind::List(items) => self.check_list(schema, items, node, path),
            Kind::Object(members) => self.check_object(schema, members, node, path),
            Kind::Null | Kind::Bool(_) => {}
        }
    }

    fn check_length(&mut self, schema: &Value, text: &str, node: &Node, path: &KeyPath) {
        let length = text.chars().count() as u64;
        let bound = |word: &str| schema.get(word).and_then(Value::as_u64);
        if let Some(low) = bound("minLength").filter(|low| length < *low) {
            let message = if text.is_empty() {
                "the text is empty".to_owned()
            } else {
                format!("the text is shorter than {low} characters")
            };
            self.complain_expecting(schema, node, path, message);
        }
        if let Some(high) = bound("maxLength").filter(|high| length > *high) {
            let message = format!("the text is longer than {high} characters");
            self.complain_expecting(schema, node, path, message);
        }
    }

    fn check_list(&mut self, schema: &'a Value, items: &[Node], node: &Node, path: &KeyPath) {
        let count = items.len() as u64;
        let bound = |word: &str| schema.get(word).and_then(Value::as_u64);
        if let Some(low) = bound("minItems").filter(|low| count < *low) {
            let message = format!("the list has {count} entries, at least {low} are needed");
            self.complain_expecting(schema, node, path, message);
        }
        if let Some(high) = bound("maxItems").filter(|high| count > *high) {
            let message = format!("the list has {count} entries, at most {high} are allowed");
            self.complain_expecting(schema, node, path, message);
        }
        let fixed = list(schema, "prefixItems");
        for (index, item) in items.iter().enumerate() {
            if let Some(schema) = fixed.get(index).or_else(|| schema.get("items")) {
                self.check(schema, item, &path.index(index));
            }
        }
    }

    fn check_object(&mut self, schema: &'a Value, members: &[Member], node: &Node, path: &KeyPath) {
        let mut known = Members::default();
        self.schema.members(schema, &mut known);
        for member in members {
            let below = path.key(&member.key);
            match known.schema_of(&member.key) {
                Some(schema) => self.check(schema, &member.value, &below),
                None if path.0.is_empty() && member.key == EDITOR_KEY => {}
                None if known.is_record => self.complain_unknown(&known, member, &below),
                None => {}
            }
        }
        for key in &known.required {
            if !members.iter().any(|member| member.key == *key) {
                let expected = known
                    .schema_of(key)
                    .map(|schema| self.schema.describe(schema));
                let mut problem = self.problem(node, path, format!("the key {key:?} is missing"));
                problem.expected = expected;
                self.problems.push(problem);
            }
        }
    }

    /// Accepts the node if one alternative does; otherwise tells what the closest one objects to.
    fn check_alternatives(
        &mut self,
        schema: &'a Value,
        alternatives: &[&'a Value],
        node: &Node,
        path: &KeyPath,
    ) {
        let saved = std::mem::take(&mut self.problems);
        let mut closest: Option<Vec<Problem>> = None;
        let mut accepted = false;
        for choice in alternatives {
            self.check(choice, node, path);
            let found = std::mem::take(&mut self.problems);
            accepted |= found.is_empty();
            if self.is_near(choice, node)
                && closest.as_ref().is_none_or(|best| found.len() < best.len())
            {
                closest = Some(found);
            }
        }
        self.problems = saved;
        match closest {
            _ if accepted => {}
            Some(found) => self.problems.extend(found),
            None if alternatives.len() == 1 => self.check(alternatives[0], node, path),
            None => self.complain_kind(schema, node, path),
        }
    }

    /// True if the alternative is the one that was probably meant: the same kind, and the same
    /// fixed words in its members.
    fn is_near(&self, choice: &'a Value, node: &Node) -> bool {
        let resolved = self.schema.resolve(choice);
        if resolved.is_secret() {
            return !matches!(node.kind, Kind::List(_));
        }
        let Kind::Object(members) = &node.kind else {
            return self.schema.words(choice).is_empty() && self.fits(resolved.schema, node);
        };
        let mut known = Members::default();
        self.schema.members(choice, &mut known);
        let types = types(resolved.schema);
        (known.is_record || types.contains(&"object"))
            && known.properties.iter().all(|(name, schema)| {
                let Some(constant) = self.schema.resolve(schema).schema.get("const") else {
                    return true;
                };
                members
                    .iter()
                    .find(|member| member.key == *name)
                    .is_some_and(|member| member.value.to_value() == *constant)
            })
    }

    fn complain_kind(&mut self, schema: &Value, node: &Node, path: &KeyPath) {
        let words = self.schema.words(schema);
        let found = match &node.kind {
            Kind::Text { text, substituted } if !words.is_empty() => {
                if *substituted || is_sensitive(path) {
                    "this text is not one of the words".to_owned()
                } else {
                    format!("{:?} is not one of the words", clip(text))
                }
            }
            kind => format!("found {}", kind_words(kind)),
        };
        let mut problem = self.problem(node, path, found);
        problem.expected = Some(self.schema.describe(schema));
        problem.hint = match &node.kind {
            Kind::Text { text, .. } if !words.is_empty() => {
                nearest(text, words.into_iter()).map(|word| format!("did you mean \"{word}\"?"))
            }
            Kind::Text {
                substituted: true, ..
            } => Some("a variable always gives text".to_owned()),
            _ => None,
        };
        self.problems.push(problem);
    }

    fn complain_expecting(
        &mut self,
        schema: &Value,
        node: &Node,
        path: &KeyPath,
        message: impl Into<String>,
    ) {
        let mut problem = self.problem(node, path, message);
        problem.expected = Some(self.schema.describe(schema));
        self.problems.push(problem);
    }

    fn complain_unknown(&mut self, known: &Members<'_>, member: &Member, path: &KeyPath) {
        let names = || known.properties.iter().map(|(name, _)| *name);
        let source = &self.sources[member.key_place.source];
        let message = format!("unknown key {:?}", clip(&member.key));
        let mut problem = source.problem(member.key_place.start, path, message);
        problem.hint = nearest(&member.key, names()).map(|name| format!("did you mean {name:?}?"));
        if problem.hint.is_none() && (1..=12).contains(&known.properties.len()) {
            problem.expected = Some(format!("one of {}", names().collect::<Vec<_>>().join(", ")));
        }
        self.problems.push(problem);
    }

    fn complain_secret(&mut self, node: &Node, path: &KeyPath) {
        let found = kind_words(&node.kind);
        let mut problem = self.problem(node, path, format!("found {found}"));
        problem.expected = Some(SECRET_EXPECTED.to_owned());
        problem.hint = Some(crate::problem::secret_hint(path));
        self.problems.push(problem);
    }

    fn problem(&self, node: &Node, path: &KeyPath, message: impl Into<String>) -> Problem {
        self.sources[node.place.source].problem(node.place.start, path, message)
    }
}

fn is_of_kind(kind: &str, node: &Node) -> bool {
    match &node.kind {
        Kind::Null => kind == "null",
        Kind::Bool(_) => kind == "boolean",
        Kind::Number(number) => kind == "number" || (kind == "integer" && !number.is_f64()),
        Kind::Text { .. } => kind == "string",
        Kind::List(_) => kind == "array",
        Kind::Object(_) => kind == "object",
    }
}

fn kind_words(kind: &Kind) -> &'static str {
    match kind {
        Kind::Null => "null",
        Kind::Bool(true) => "true",
        Kind::Bool(false) => "false",
        Kind::Number(number) if number.is_f64() => "a fractional number",
        Kind::Number(_) => "a number",
        Kind::Text { .. } => "text",
        Kind::List(_) => "a list",
        Kind::Object(_) => "an object",
    }
}

/// True if a value may stand at a schema.
pub(crate) fn accepts<'a>(
    schema: &'a Schema,
    at: &'a Value,
    node: &Node,
    source: &'a Source,
) -> bool {
    let mut checker = Checker::new(schema, std::slice::from_ref(source));
    checker.check(at, node, &KeyPath::default());
    checker.problems.is_empty()
}

/// The known word closest to a mistyped one, if any is close.
pub(crate) fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let typed = clip(typed).to_lowercase();
    known
        .map(|word| (strsim::jaro_winkler(&typed, &word.to_lowercase()), word))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, word)| word)
}

/// A long text's beginning, for messages.
fn clip(text: &str) -> &str {
    text.char_indices()
        .nth(60)
        .map_or(text, |(end, _)| &text[..end])
}
