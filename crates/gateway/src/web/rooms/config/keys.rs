//! Every key with its value, and where that comes from.

use instar_config::{ConfigError, KeyDoc, KeyPath, sheet, without_secrets};
use serde_json::Value;

use crate::app::App;
use crate::config::{InstarConfig, is_secret, needs_restart};

/// Entries of one map whose keys are listed.
const ENTRIES_MAX: usize = 64;

/// Where a value comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Source {
    Default,
    File,
    Include,
    /// The file names a variable.
    Variable(String),
}

impl Source {
    pub(super) fn is_written(&self) -> bool {
        *self != Self::Default
    }
}

/// One key.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) path: String,
    pub(super) doc: KeyDoc,
    /// What holds now, secrets hidden.
    pub(super) value: Option<Value>,
    /// What the file says, before variables are filled in.
    pub(super) written: Option<Value>,
    pub(super) source: Source,
    /// The file says something that holds only after a restart.
    pub(super) waits: bool,
    /// False for sections, and for keys of entries that do not exist.
    pub(super) editable: bool,
}

/// Every key of the types; those below a name once for each name that is there.
pub(super) fn keys(app: &App) -> Result<Vec<Key>, ConfigError> {
    let docs = instar_config::keys::<InstarConfig>();
    let seen = Seen::of(app)?;
    let mut keys = Vec::with_capacity(docs.len());
    for (at, doc) in docs.iter().enumerate() {
        if doc.path.contains("[]") {
            // Told by the list that holds it.
            keys.push(Key::told(doc));
            continue;
        }
        let holds_more = docs
            .get(at + 1)
            .is_some_and(|next| next.path.starts_with(&format!("{}.", doc.path)));
        let section = holds_more && doc.kind == "an object";
        if !doc.path.contains("<id>") {
            keys.push(seen.key(&doc.path, doc, !section));
            continue;
        }
        let set = seen
            .instances(&doc.path)
            .into_iter()
            .filter(|_| !section)
            .map(|path| seen.key(&path, doc, true))
            .filter(|key| key.source.is_written());
        keys.push(Key::told(doc));
        keys.extend(set);
    }
    Ok(keys)
}

/// The key at a concrete path, whether something is written there or not.
pub(super) fn key(app: &App, path: &KeyPath) -> Result<Option<Key>, ConfigError> {
    let found = instar_config::keys::<InstarConfig>()
        .into_iter()
        .find(|doc| fits(&doc.path, path));
    let Some(doc) = found else { return Ok(None) };
    Ok(Some(Seen::of(app)?.key(&path.to_string(), &doc, true)))
}

/// True if a documented path, with `<id>` for any name, is this one.
fn fits(documented: &str, path: &KeyPath) -> bool {
    let words: Vec<String> = path
        .0
        .iter()
        .map(|step| match step {
            instar_config::Step::Key(key) => key.clone(),
            instar_config::Step::Index(_) => String::new(),
        })
        .collect();
    let wanted: Vec<&str> = documented.split('.').collect();
    wanted.len() == words.len()
        && wanted
            .iter()
            .zip(&words)
            .all(|(wanted, word)| *wanted == "<id>" && !word.is_empty() || wanted == word)
}

impl Key {
    /// True if there is nothing to say of where its value comes from.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.source, Source::Default) && !self.waits
    }

    fn told(doc: &KeyDoc) -> Self {
        Self {
            path: doc.path.clone(),
            doc: doc.clone(),
            value: None,
            written: None,
            source: Source::Default,
            waits: false,
            editable: false,
        }
    }

    /// True if its value may be only a reference to a secret: what is typed is not shown again.
    pub(super) fn is_secret(&self) -> bool {
        self.doc.kind.contains("secret")
    }
}

/// The configuration in force and the file as it is written, secrets hidden.
struct Seen {
    value: Value,
    document: Value,
    written: Value,
}

impl Seen {
    fn of(app: &App) -> Result<Self, ConfigError> {
        let current = app.config.current();
        let value = serde_json::to_value(&current.value).unwrap_or(Value::Null);
        Ok(Self {
            value: without_secrets(&value, &is_secret),
            document: without_secrets(&current.document, &is_secret),
            // A file that cannot be read as a document says nothing; the banner tells why.
            written: sheet(&app.state_dir, &is_secret)?
                .document
                .unwrap_or(Value::Null),
        })
    }

    fn key(&self, path: &str, doc: &KeyDoc, editable: bool) -> Key {
        let steps = KeyPath::parse(path).unwrap_or_default();
        let find = |document| steps.find(document).filter(|value| !value.is_null());
        let value = find(&self.value).cloned();
        let written = find(&self.written).cloned();
        let variable = written.as_ref().and_then(Value::as_str).and_then(variable);
        let source = match (&written, variable) {
            (Some(_), Some(name)) => Source::Variable(name),
            (Some(_), None) => Source::File,
            (None, _) if find(&self.document).is_some() => Source::Include,
            (None, _) => Source::Default,
        };
        let differs = source == Source::File && written != value && editable;
        Key {
            path: path.to_owned(),
            doc: doc.clone(),
            waits: differs && needs_restart(path),
            value: value.filter(|_| editable),
            written,
            source,
            editable,
        }
    }

    /// The paths with a name that is there in the place of each `<id>`.
    fn instances(&self, documented: &str) -> Vec<String> {
        let mut found = vec![KeyPath::default()];
        for word in documented.split('.') {
            found = found
                .iter()
                .flat_map(|path| match word {
                    "<id>" => names(path.find(&self.document))
                        .iter()
                        .map(|name| path.key(name))
                        .collect(),
                    word => vec![path.key(word)],
                })
                .collect();
        }
        found.iter().map(ToString::to_string).collect()
    }
}

fn names(map: Option<&Value>) -> Vec<String> {
    let members = map.and_then(Value::as_object);
    let names = members.into_iter().flat_map(|map| map.keys().cloned());
    names.take(ENTRIES_MAX).collect()
}

/// The variable that a text takes its value from.
fn variable(text: &str) -> Option<String> {
    let (before, rest) = text.split_once("${")?;
    if before.ends_with('$') {
        return None;
    }
    let (name, _) = rest.split_once('}')?;
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_paths_fit_the_names_that_people_give() {
        let fits = |documented, path: &str| fits(documented, &KeyPath::parse(path).unwrap());
        assert!(fits("gateway.port", "gateway.port"));
        assert!(fits("agents.entries.<id>.name", "agents.entries.work.name"));
        assert!(!fits("agents.entries.<id>.name", "agents.entries.work"));
        assert!(!fits("gateway.port", "gateway.bind"));
        assert!(!fits("agents.entries.<id>.name", "agents.entries[0].name"));
    }

    #[test]
    fn a_text_with_a_variable_names_it() {
        assert_eq!(variable("${HOME}/x").as_deref(), Some("HOME"));
        assert_eq!(variable("a${B}").as_deref(), Some("B"));
        assert_eq!(variable("$${B}"), None);
        assert_eq!(variable("plain"), None);
    }
}
