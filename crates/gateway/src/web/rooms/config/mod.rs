//! The configuration: every key with what holds and why, and changing one.
//!
//! A change goes the road of `instar config set`. It is shown before it is written, by plain forms,
//! and written only if the file is still the one that was shown.

mod change;
mod keys;
mod list;

use axum::extract::{Query, State};
use instar_config::{ConfigError, journal};
use maud::{Markup, html};
use serde::Deserialize;

pub(super) use change::{apply, edit, preview, settle};

use self::keys::{Key, keys};
use crate::app::AppState;
use crate::door::Caller;
use crate::problem::ApiProblem;
use crate::web::frame::{Frame, Tab, coded};
use crate::web::pages::Refused;
use crate::web::words::{Reader, Words};

/// Changes of the file that are listed.
const HISTORY: usize = 12;

#[derive(Deserialize, Debug, Default)]
#[serde(default)]
pub(super) struct Asked {
    find: String,
    set: Option<String>,
}

impl Asked {
    fn only_set(&self) -> bool {
        self.set.as_deref() == Some("1")
    }

    fn is_narrow(&self) -> bool {
        self.only_set() || !self.find.trim().is_empty()
    }

    fn wants(&self, key: &Key) -> bool {
        let sought = self.find.trim().to_lowercase();
        let found = key.path.to_lowercase().contains(&sought)
            || key.doc.docs.to_lowercase().contains(&sought);
        found && (!self.only_set() || key.source.is_written())
    }
}

pub(super) async fn page(
    State(app): State<AppState>,
    _caller: Caller,
    Reader(words): Reader,
    Query(asked): Query<Asked>,
) -> Result<Markup, Refused> {
    let reading = app.clone();
    let (keys, history) = blocking(move || {
        let history = journal::read(&reading.state_dir, HISTORY);
        Ok((keys(&reading)?, history?))
    })
    .await?;
    let rows: Vec<&Key> = keys.iter().filter(|key| asked.wants(key)).collect();
    let body = html! {
        p class="soft lead" { (coded(words.config_about)) }
        (tools(words, &asked))
        @if !asked.is_narrow() { p class="soft" { (words.config_short) } }
        (list::sections(words, &rows, asked.is_narrow()))
        h2 { (words.config_history) }
        (list::history(words, &history))
    };
    Ok(Frame::new(&app, words, Tab::Config).await.around(&body))
}

fn tools(words: &Words, asked: &Asked) -> Markup {
    html! {
        form class="tools" method="get" role="search" {
            label { (words.config_find) " "
                input type="search" name="find" value=(asked.find) maxlength="100" data-search="";
            }
            label { input type="checkbox" name="set" value="1" checked[asked.only_set()]; " " (words.config_only_set) }
            button { (words.search) }
        }
    }
}

/// Runs file work off the threads that serve connections. What only the log can say becomes 500.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ConfigError> + Send + 'static,
) -> Result<T, ApiProblem> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|error| {
        tracing::error!(%error, "the configuration could not be read");
        ApiProblem::internal()
    })?;
    done.map_err(|error| {
        tracing::error!(%error, "the configuration could not be read");
        ApiProblem::unavailable(error.to_string()).next("look into `instar doctor`")
    })
}
