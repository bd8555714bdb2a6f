//! Taking changes of configuration and workspace while running. A bad one changes nothing and is
//! told loudly; the gateway stays up.

use instar_config::{ConfigError, Watch, diff, journal};
use instar_protocol::api::{Health, RunFile};
use instar_protocol::event::{ConfigOutcome, EventKind};
use serde_json::Value;
use std::path::PathBuf;

use crate::app::{App, AppState, Current};
use crate::behaviour;
use crate::certificate::Files;
use crate::config::{InstarConfig, ReloadMode, needs_restart};
use crate::door::{Digest, Settings, stored_token, token_file};
use crate::hands;
use crate::ledger::zone_named;
use crate::problem::chain;

/// Looks at the files when asked.
#[derive(Debug)]
pub(crate) struct Reloader {
    app: AppState,
    config: Watch,
    workspace: Watch,
    token: Watch,
    certificate: Watch,
    /// What the files said when they were read last without a problem. The configuration in force
    /// differs from it by the keys that wait for a restart.
    on_disk: Value,
}

impl Reloader {
    pub(crate) fn new(app: AppState) -> Self {
        let current = app.config.current();
        let files = watched(&app, &current);
        let workspace = Watch::new(behaviour::files(&current.value, &app.state_dir));
        let token = Watch::new(vec![token_file(&app.state_dir)]);
        let pair = Files::of(&current.value.gateway, &app.state_dir);
        let certificate = Watch::new(vec![pair.certificate, pair.key]);
        Self {
            app,
            config: Watch::new(files),
            workspace,
            token,
            certificate,
            on_disk: current.document.clone(),
        }
    }

    /// Takes what changed since the last call.
    pub(crate) async fn tick(&mut self) {
        if self.config.changed() {
            self.take_config().await;
            crate::control::methods::config::tell_changed(&self.app);
        }
        if self.workspace.changed() {
            let config = self.app.config.current();
            // A file of rules may have come or gone.
            let files = behaviour::files(&config.value, &self.app.state_dir);
            self.workspace.follow(files);
            if let Err(why) = self.adopt(&config.value, "an edit of the workspace").await {
                self.refuse_behaviour(&why);
            }
        }
        if self.certificate.changed() {
            self.take_certificate();
        }
        if self.token.changed() && !self.app.token_override {
            let config = self.app.config.current();
            self.apply_auth(&config.value).await;
            tracing::warn!("the API token was changed");
        }
    }

    /// The owner, or who renews for the owner, put another certificate there. Two files are not
    /// replaced in one step: as long as they do not fit, the old ones stay in force.
    fn take_certificate(&self) {
        let Some(tls) = &self.app.tls else {
            return;
        };
        let config = self.app.config.current();
        let files = Files::of(&config.value.gateway, &self.app.state_dir);
        match files.read().and_then(|identity| tls.replace(identity)) {
            Ok(()) => {
                let fingerprint = tls.fingerprint().to_string();
                tracing::warn!(fingerprint, "the certificate was changed");
                if let Err(error) = self.tell_clients(&fingerprint) {
                    tracing::error!(%error, "the run file still names the old certificate");
                }
            }
            Err(error) => tracing::error!(
                error = chain(&error),
                "the certificate on disk cannot be used; the last good one stays in force"
            ),
        }
    }

    /// Commands of the same user speak to the certificate that the run file names.
    fn tell_clients(&self, fingerprint: &str) -> std::io::Result<()> {
        let path = self.app.state_dir.run_file();
        let mut run: RunFile = serde_json::from_slice(&std::fs::read(&path)?)?;
        run.fingerprint = Some(fingerprint.to_owned());
        instar_config::write_atomically(&path, &serde_json::to_vec(&run)?)
    }

    async fn take_config(&mut self) {
        let in_force = self.app.config.current();
        let file = self.app.state_dir.config_file();
        let loaded = instar_config::load_with(file, &self.app.env, InstarConfig::problems);
        let new = match loaded {
            Ok(new) => new,
            Err(error) => {
                journal_edit(&self.app, &self.on_disk, None);
                return self.refuse(&told(&error));
            }
        };
        journal_edit(&self.app, &self.on_disk, Some(&new));
        self.on_disk = new.document.clone();
        let (now, later, next) = split(&in_force, new);
        if let Some(next) = next {
            if let Err(why) = self.apply(&in_force, &next).await {
                return self.refuse(&why);
            }
            self.config.follow(watched(&self.app, &next));
            let files = behaviour::files(&next.value, &self.app.state_dir);
            self.workspace.follow(files);
            self.app.config.replace(next);
        }
        self.app.conditions.set_config(Health::sound());
        if !now.is_empty() {
            self.app.metrics.config_applied.add(1);
            let changed = now.join(" ");
            tracing::info!(changed, "configuration changes are in force");
            self.tell(ConfigOutcome::Applied, now);
        }
        self.wait(later);
    }

    /// Puts what can change while running in force: all of it, or nothing.
    async fn apply(&self, old: &Current, new: &Current) -> Result<(), String> {
        let app = &self.app;
        self.adopt(&new.value, "an edit of the configuration")
            .await?;
        if let Err(why) = app.models.reload(new.value.models.clone()) {
            self.adopt(&old.value, "the edit was refused").await?;
            return Err(format!("models: {why}"));
        }
        if let Err(why) = crate::seams::configure(&app.egress, &new.value.egress, &*app.secrets) {
            self.adopt(&old.value, "the edit was refused").await?;
            app.models.reload(old.value.models.clone())?;
            return Err(format!("egress: {why}"));
        }
        app.sessions.reload(new.value.agent_config());
        let zone = zone_named(new.value.agents.defaults.user_timezone.as_deref());
        if let Err(error) = app.ledger.set_zone(zone).await {
            tracing::error!(
                error = chain(&error),
                "spending cannot be read back; days keep their zone"
            );
        }
        self.apply_auth(&new.value).await;
        app.logs.set_level(new.value.logging.level);
        app.logs.set_patterns(&new.value.logging.redact_patterns);
        Ok(())
    }

    /// The limits of the door, and the token if it was rotated. The mode changes with a restart.
    async fn apply_auth(&self, config: &InstarConfig) {
        let before = self.app.auth.settings();
        let mut auth = config.gateway.auth.clone();
        auth.mode = before.mode;
        let token = if self.app.token_override || before.token.is_none() {
            before.token
        } else {
            match stored_token(&self.app.state_dir) {
                Ok(token) => token,
                Err(error) => {
                    // Nobody gets in with a token that cannot be known.
                    tracing::error!(error = chain(&error), "the token cannot be read");
                    None
                }
            }
        };
        let password = before.password.clone();
        let proxies = &config.gateway.trusted_proxies;
        let known = |token: Option<Digest>| token.map(Digest::to_hex);
        let rotated = known(before.token) != known(token);
        self.app
            .auth
            .reload(Settings::new(
                &auth,
                proxies,
                &self.app.egress,
                token,
                password,
            ))
            .await;
        if rotated {
            self.app.auth.end_holders();
            self.app.control.close_holders();
        }
    }

    async fn adopt(&self, config: &InstarConfig, reason: &str) -> Result<(), String> {
        let app = &self.app;
        adopt(app, config, reason).await?;
        if !app.conditions.config().ok && self.is_behaviour_problem() {
            app.conditions.set_config(Health::sound());
        }
        Ok(())
    }

    fn is_behaviour_problem(&self) -> bool {
        let problem = self.app.conditions.config().problem;
        problem.is_some_and(|problem| problem.starts_with(WORKSPACE_PROBLEM))
    }

    fn refuse_behaviour(&self, why: &str) {
        tracing::error!(why, "the edit of the workspace is not in force");
        let problem = format!("{WORKSPACE_PROBLEM}: {why}");
        let next = "mend the file; the last good behaviour goes on until then";
        self.app
            .conditions
            .set_config(Health::broken(problem, next));
        self.tell(ConfigOutcome::Refused, vec!["workspace".to_owned()]);
    }

    fn refuse(&self, why: &str) {
        tracing::error!(
            why,
            "the configuration on disk is wrong; the last good one stays in force"
        );
        self.app.metrics.config_refused.add(1);
        let problem = format!("the configuration on disk is not in force: {why}");
        let next = "`instar config validate` shows what to mend; it is taken when it is right";
        self.app
            .conditions
            .set_config(Health::broken(problem, next));
        self.tell(ConfigOutcome::Refused, Vec::new());
    }

    /// Says which keys wait for a restart, if that changed.
    fn wait(&self, later: Vec<String>) {
        let before = self.app.conditions.set_waiting(later.clone());
        let fresh: Vec<_> = later
            .into_iter()
            .filter(|path| !before.contains(path))
            .collect();
        if !fresh.is_empty() {
            let keys = fresh.join(" ");
            tracing::warn!(keys, "changes wait for a restart");
            self.tell(ConfigOutcome::NeedsRestart, fresh);
        }
    }

    fn tell(&self, outcome: ConfigOutcome, changed: Vec<String>) {
        self.app.note(EventKind::Config { outcome, changed });
    }
}

const WORKSPACE_PROBLEM: &str = "the workspace on disk is not in force";

/// Parts an edit: the keys that change now, those that wait for a restart, and what is in force
/// then, if that changes. There the keys that wait keep the values that they have.
fn split(in_force: &Current, new: Current) -> (Vec<String>, Vec<String>, Option<Current>) {
    let changed = diff(&in_force.document, &new.document);
    if in_force.value.gateway.reload.mode == ReloadMode::Off {
        return (Vec::new(), changed, None);
    }
    let (later, now): (Vec<_>, Vec<_>) = changed
        .iter()
        .cloned()
        .partition(|path| needs_restart(path));
    let next = new.keeping(&in_force.document, &later);
    match next.filter(|next| next.value.problems().is_empty()) {
        Some(next) => (now, later, Some(next)),
        // Half of the edit would not be sound without the other half.
        None => (Vec::new(), changed, None),
    }
}

/// Makes the behaviour that configuration, workspace and tools give together the one in force.
pub(crate) async fn adopt(app: &App, config: &InstarConfig, reason: &str) -> Result<(), String> {
    for folder in behaviour::folders(config, &app.state_dir) {
        instar_agent::workspace::seed(&folder).map_err(|error| chain(&error))?;
    }
    let offer = |settings| hands::browser::offer(&app.toolbox, &app.browsers, &app.files, settings);
    offer(&config.browser);
    let adopted = Box::pin(put_in_force(app, config, reason)).await;
    if adopted.is_err() {
        offer(&app.config.current().value.browser);
    } else if !config.browser.enabled {
        app.browsers.stop().await;
    }
    adopted
}

async fn put_in_force(app: &App, config: &InstarConfig, reason: &str) -> Result<(), String> {
    let discovered = app.discovered.as_deref();
    let mut behaviour = behaviour::compose(config, &app.toolbox, &app.state_dir, discovered)
        .map_err(|error| chain(&error))?;
    let planted = app.programs.leave_out_planted(&mut behaviour).await;
    planted.map_err(|error| chain(&error))?;
    let (now, random) = (app.clock.now(), app.random());
    let adopted = app
        .releases
        .adopt_files(behaviour, reason, now, random)
        .await;
    let (id, moved) = adopted.map_err(|error| chain(&error))?;
    if moved {
        tracing::info!(release = id.short(), "the behaviour changed");
    }
    Ok(())
}

/// The file itself is watched even while it is missing.
fn watched(app: &AppState, current: &Current) -> Vec<PathBuf> {
    let mut files = current.files.clone();
    let own = app.state_dir.config_file();
    if !files.iter().any(|file| file == own) {
        files.push(own.to_owned());
    }
    files
}

fn journal_edit(app: &AppState, old: &Value, new: Option<&Current>) {
    let after = new.map(|new| &new.document);
    match journal::note_external(&app.state_dir, old, after) {
        Ok(Some(entry)) if !entry.anomalies.is_empty() => {
            tracing::warn!(anomalies = ?entry.anomalies, "the configuration was edited outside");
        }
        Ok(_) => {}
        Err(error) => tracing::error!(error = chain(&error), "an edit could not be journalled"),
    }
}

/// Every problem with its place. They never quote a secret: the configuration sees to that.
fn told(error: &ConfigError) -> String {
    let problems = error.problems();
    if problems.is_empty() {
        return chain(error);
    }
    let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
    told.join("; ")
}
