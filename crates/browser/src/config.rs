//! The `browser` section of the configuration.

use instar_protocol::api::{Finding, Severity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::program::{self, FOLDERS};

/// The `browser` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct BrowserConfig {
    /// Whether agents have a browser.
    pub enabled: bool,
    /// Whether an agent may run scripts of its own in pages; each asks in every posture but `open`.
    pub evaluate_enabled: bool,
    /// The browser's program, Chromium or Chrome, below `/usr`, `/bin` or `/opt`. When absent it is
    /// looked for where systems put it.
    pub executable_path: Option<String>,
    /// Without a window. Inside its walls there is no screen, so that nothing else can be set.
    pub headless: bool,
    /// Minutes without use after which a browser is closed.
    #[schemars(range(min = 1, max = 1_440))]
    pub idle_minutes: u32,
}

impl Default for BrowserConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            evaluate_enabled: false,
            executable_path: None,
            headless: true,
            idle_minutes: 10,
        }
    }
}

impl BrowserConfig {
    /// Whether there is a program to run; nothing where none is wanted.
    #[must_use]
    pub fn finding(&self) -> Option<Finding> {
        let found = self
            .enabled
            .then(|| program::find(self.executable_path.as_deref()))?;
        let (severity, message, next_step) = match found {
            Ok(program) => (
                Severity::Fine,
                format!("agents browse with {program}"),
                None,
            ),
            Err(why) => (
                Severity::Notice,
                why,
                Some("or set browser.enabled to false".to_owned()),
            ),
        };
        Some(Finding {
            check: "browser".to_owned(),
            severity,
            message,
            next_step,
        })
    }

    /// What types alone cannot refuse: path and message.
    #[must_use]
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        if !self.headless {
            let why = "the browser runs inside walls, where there is no screen: leave it on true"
                .to_owned();
            problems.push(("browser.headless".to_owned(), why));
        }
        if let Some(path) = &self.executable_path
            && !program::is_shown(path)
        {
            let why = format!(
                "{path:?} cannot be seen inside the walls: name a program below {}",
                FOLDERS.join(", ")
            );
            problems.push(("browser.executablePath".to_owned(), why));
        }
        problems
    }
}
