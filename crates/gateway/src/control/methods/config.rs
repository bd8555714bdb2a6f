//! The configuration file: reading it without secrets, writing it whole or as a patch, its schema.
//!
//! Every write goes the road of `instar config set`: checked before it is written, journalled,
//! comments kept. Whoever writes has to have read the file as it is: `baseHash` says so.

use std::sync::OnceLock;
use std::time::Duration;

use instar_config::{Author, ConfigError, KeyPath, Sheet, StateDir, Step, Writing};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::app::AppState;
use crate::config::{InstarConfig, is_secret, needs_restart};
use crate::control::method::{Call, Method, Need, Refusal, Scope};
use crate::control::show::iso;

/// The longest text that is taken.
const RAW_BYTES_MAX: usize = 1024 * 1024;
/// How long a change may take to be in force, for those who go on from it.
const IN_FORCE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "config.get",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(get(call)),
    },
    Method {
        name: "config.set",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(set(call)),
    },
    Method {
        name: "config.apply",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(apply(call)),
    },
    Method {
        name: "config.patch",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(patch_raw(call)),
    },
    Method {
        name: "config.schema",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(schema(call)),
    },
    Method {
        name: "config.schema.lookup",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(lookup(call)),
    },
];

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn get(call: Call) -> Result<Value, Refusal> {
    let Nothing {} = call.params()?;
    let app = call.app.clone();
    let (sheet, issues, revision) = blocking(move || {
        let sheet = sheet(&app.state_dir)?;
        let loaded = instar_config::load_with(
            app.state_dir.config_file(),
            &app.env,
            InstarConfig::problems,
        );
        let (issues, revision) = match loaded {
            Ok(loaded) => (Vec::new(), Some(loaded.hash)),
            Err(error) => (issues(&error), None),
        };
        Ok((sheet, issues, revision))
    })
    .await?;
    let in_force = call.app.config.current();
    let written = sheet.document.clone().unwrap_or_else(|| json!({}));
    let effective = over_defaults(&written);
    Ok(json!({
        "path": shown_path(&call),
        "exists": sheet.exists,
        "raw": sheet.text,
        "parsed": written,
        "sourceConfig": written,
        "resolved": written,
        "runtimeConfig": effective,
        "config": effective,
        "valid": issues.is_empty(),
        "hash": keyed(&sheet.digest)?,
        "configRevisionHash": revision.as_deref().map(keyed).transpose()?,
        "appliedConfigHash": keyed(&in_force.hash)?,
        "issues": issues,
        "warnings": [],
        "legacyIssues": [],
        "includedPaths": in_force.files.iter().skip(1).collect::<Vec<_>>(),
    }))
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawParams {
    raw: String,
    base_hash: Option<String>,
    #[serde(default)]
    replace_paths: Vec<String>,
}

/// Where an answer about the change would go: nothing here restarts behind its writer's back.
const WRITE_BESIDE: &[&str] = &["sessionKey", "deliveryContext", "note", "restartDelayMs"];

async fn set(call: Call) -> Result<Value, Refusal> {
    let params: RawParams = call.params()?;
    replace(&call, params).await
}

/// As `config.set`: what can change while running does so at once, the answer names the rest.
async fn apply(call: Call) -> Result<Value, Refusal> {
    let params: RawParams = call.read(WRITE_BESIDE)?;
    replace(&call, params).await
}

async fn replace(call: &Call, params: RawParams) -> Result<Value, Refusal> {
    if !params.replace_paths.is_empty() {
        return Err(Refusal::invalid("replacePaths belongs to config.patch"));
    }
    let seen = seen(call, params.base_hash.as_deref())?;
    let raw = bounded(params.raw)?;
    let (app, author) = (call.app.clone(), author(call));
    let changed = blocking(move || {
        let writing = writing(&app, &author, seen.as_deref());
        instar_config::replace::<InstarConfig>(&app.state_dir, &raw, &writing)
    })
    .await?;
    written(call, &changed)
}

async fn patch_raw(call: Call) -> Result<Value, Refusal> {
    let params: RawParams = call.read(WRITE_BESIDE)?;
    let seen = seen(&call, params.base_hash.as_deref())?;
    let change = instar_config::parse_str(&bounded(params.raw)?).map_err(ConfigError::Invalid)?;
    let whole = params
        .replace_paths
        .iter()
        .map(|path| KeyPath::parse(path).map_err(ConfigError::from))
        .collect::<Result<Vec<_>, _>>()?;
    let changed = lay(&call, change, whole, seen).await?;
    written(&call, &changed)
}

/// Lays a change over the file for another method, and waits until it is in force.
pub(super) async fn patch(call: &Call, change: Value) -> Result<(), Refusal> {
    let before = call.app.config.current().hash.clone();
    let changed = lay(call, change, Vec::new(), None).await?;
    if changed.is_empty() {
        return Ok(());
    }
    // An edit of before may come into force meanwhile: this one is waited for, not any.
    let file = call.app.state_dir.config_file();
    let written = instar_config::load_with(file, &call.app.env, InstarConfig::problems);
    let written = written.map(|new| new.hash).ok();
    let is_there = |hash: &String| written.as_ref().map_or(*hash != before, |new| hash == new);
    let deadline = tokio::time::Instant::now() + IN_FORCE;
    while !is_there(&call.app.config.current().hash) {
        if tokio::time::Instant::now() >= deadline {
            let health = call.app.config_health();
            let why = health
                .problem
                .unwrap_or_else(|| "it is not in force yet".to_owned());
            return Err(Refusal::unavailable(format!(
                "the change is written, but {why}"
            )));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

async fn lay(
    call: &Call,
    change: Value,
    whole: Vec<KeyPath>,
    seen: Option<String>,
) -> Result<Vec<String>, Refusal> {
    let (app, author) = (call.app.clone(), author(call));
    blocking(move || {
        let writing = writing(&app, &author, seen.as_deref());
        instar_config::patch::<InstarConfig>(&app.state_dir, &change, &whole, &writing)
    })
    .await
}

fn written(call: &Call, changed: &[String]) -> Result<Value, Refusal> {
    let sheet = sheet(&call.app.state_dir)?;
    let document = sheet.document.unwrap_or_else(|| json!({}));
    let later: Vec<&String> = changed.iter().filter(|path| needs_restart(path)).collect();
    Ok(json!({
        "ok": true,
        "path": shown_path(call),
        "hash": keyed(&sheet.digest)?,
        "config": over_defaults(&document),
        "changedPaths": changed,
        "needsRestart": later,
    }))
}

/// The digest of the file that the writer says to have seen. Where there is a file it has to say.
fn seen(call: &Call, base: Option<&str>) -> Result<Option<String>, Refusal> {
    let sheet = sheet(&call.app.state_dir)?;
    match base {
        Some(base) if base == keyed(&sheet.digest)? => Ok(Some(sheet.digest)),
        Some(_) => Err(ConfigError::Changed {
            path: call.app.state_dir.config_file().to_owned(),
        }
        .into()),
        None if sheet.exists => Err(Refusal::invalid(
            "config base hash required; re-run config.get and retry",
        )),
        None => Ok(Some(sheet.digest)),
    }
}

fn bounded(raw: String) -> Result<String, Refusal> {
    if raw.len() > RAW_BYTES_MAX {
        return Err(Refusal::invalid(format!(
            "raw: at most {RAW_BYTES_MAX} bytes"
        )));
    }
    Ok(raw)
}

fn writing<'a>(
    app: &'a AppState,
    author: &'a Author,
    seen: Option<&'a str>,
) -> Writing<'a, InstarConfig> {
    Writing {
        author,
        env: &app.env,
        rules: &InstarConfig::problems,
        seen,
    }
}

fn author(call: &Call) -> Author {
    let who = call.who.device.as_deref().unwrap_or("token-holder");
    Author {
        who: format!("control plane: {who}"),
        pid: std::process::id(),
    }
}

/// The file as everybody may see it.
fn sheet(state: &StateDir) -> Result<Sheet, ConfigError> {
    instar_config::sheet(state, &is_secret)
}

/// A hash that tells one file from another and nothing else: a plain one would let its reader try
/// out what the hidden texts might be.
fn keyed(digest: &str) -> Result<String, Refusal> {
    static KEY: OnceLock<Option<[u8; 32]>> = OnceLock::new();
    let key = KEY.get_or_init(|| {
        let mut key = [0; 32];
        getrandom::fill(&mut key).ok().map(|()| key)
    });
    let key = key.ok_or_else(|| Refusal::unavailable("the system gives no random bytes"))?;
    let hash = Sha256::new()
        .chain_update(key)
        .chain_update(digest)
        .finalize();
    Ok(format!("keyed-sha256:v1:{}", hex::encode(hash)))
}

/// Where the file lies is for those who may change it.
fn shown_path(call: &Call) -> String {
    let file = call.app.state_dir.config_file();
    if call.who.may(Scope::Admin) {
        return file.display().to_string();
    }
    let name = file.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Tells clients that may read that the file is another one, whoever wrote it.
pub(crate) fn tell_changed(app: &AppState) {
    let hash = sheet(&app.state_dir)
        .map_err(Refusal::from)
        .and_then(|sheet| keyed(&sheet.digest));
    match hash {
        Ok(hash) => {
            let file = app.state_dir.config_file().file_name().unwrap_or_default();
            let payload = json!({
                "path": file.to_string_lossy(), "hash": hash, "ts": app.clock.now().millis(),
            });
            app.control
                .tell_holders(Scope::Read, "config.changed", &payload);
        }
        Err(refusal) => tracing::debug!(why = refusal.message, "clients are not told of an edit"),
    }
}

/// What is written, laid over what holds where nothing is.
fn over_defaults(written: &Value) -> Value {
    let mut effective = serde_json::to_value(InstarConfig::default()).unwrap_or(Value::Null);
    over(&mut effective, written);
    effective
}

fn over(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                over(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

fn issues(error: &ConfigError) -> Vec<Value> {
    if error.problems().is_empty() {
        return vec![json!({ "path": "", "message": error.to_string() })];
    }
    let told = error.problems().iter().map(|problem| {
        json!({
            "path": problem.path, "message": problem.message, "line": problem.line,
            "expected": problem.expected, "hint": problem.hint,
        })
    });
    told.collect()
}

async fn schema(call: Call) -> Result<Value, Refusal> {
    let Nothing {} = call.params()?;
    let mut hints = serde_json::Map::new();
    for key in instar_config::keys::<InstarConfig>() {
        let path = key.path.replace("<id>", "*").replace("[]", ".*");
        let mut hint = json!({ "help": key.docs });
        if key.path.ends_with(".headers") {
            hint["sensitive"] = json!(true);
        }
        hints.insert(path, hint);
    }
    Ok(json!({
        "schema": instar_config::schema::<InstarConfig>(),
        "uiHints": hints,
        "version": env!("CARGO_PKG_VERSION"),
        "generatedAt": iso(call.app.started_at),
    }))
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct LookupParams {
    path: String,
}

async fn lookup(call: Call) -> Result<Value, Refusal> {
    let params: LookupParams = call.params()?;
    let path = dotted(&params.path)?;
    let place = instar_config::place::<InstarConfig>(&path)
        .ok_or_else(|| Refusal::invalid("config schema path not found"))?;
    let children: Vec<Value> = place
        .children
        .iter()
        .map(|child| {
            let below = if params.path.is_empty() || params.path == "." {
                child.key.clone()
            } else {
                format!("{}.{}", params.path, child.key)
            };
            json!({
                "key": child.key,
                "type": child.types,
                "required": child.required,
                "hasChildren": child.has_children,
                "reloadKind": reload_kind(&below),
                "hint": { "help": child.docs.as_deref().unwrap_or_default() },
                "hintPath": below,
                "path": below,
            })
        })
        .collect();
    Ok(json!({
        "path": params.path,
        "schema": place.schema,
        "reloadKind": reload_kind(&params.path),
        "children": children,
    }))
}

/// A path of the protocol: words between dots or slashes, `*` for any name or position.
fn dotted(text: &str) -> Result<KeyPath, Refusal> {
    let fine = (1..=1024).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_./[]-*".contains(&b));
    if !fine {
        return Err(Refusal::invalid("path: words between dots are expected"));
    }
    let words = text
        .split(['.', '/', '[', ']'])
        .filter(|word| !word.is_empty())
        .map(|word| match word {
            "*" => Step::Key("0".to_owned()),
            word => Step::Key(word.to_owned()),
        });
    Ok(KeyPath(words.collect()))
}

fn reload_kind(path: &str) -> &'static str {
    if needs_restart(path) {
        "restart"
    } else {
        "hot"
    }
}

/// Reads a field that may be `null`, so that `null` is told from being absent.
pub(super) fn present<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// Runs file work off the threads that serve connections.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ConfigError> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|_| Refusal::unavailable("the configuration could not be read"))??)
}
