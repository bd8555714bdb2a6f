//! `instar onboard`: setting up, in questions or in one command.

mod quiet;
mod terminal;

use instar_config::StateDir;
use instar_gateway::setup::{Offer, Report, Service, Setup, SetupError, Task, Tongue, Words};
use std::collections::BTreeMap;

use super::config::explain;
use crate::args::Onboard;
use crate::context::{Context, environment};
use crate::failure::{Code, Failure};
use crate::service::{Manager, Reach, Standing};

pub(crate) async fn run(command: &Onboard, run: &Context) -> anyhow::Result<()> {
    let state = run.state()?;
    let local = BTreeMap::from([("demo".to_owned(), instar_demo::guide())]);
    let setup = Setup::open(state.clone(), environment, "instar onboard", local)
        .map_err(|error| refused(error, run))?;
    let mut offer = setup.look().await.map_err(|error| refused(error, run))?;
    offer.service = service(&state, run)?;
    let tongue = tongue();
    let bench = Bench {
        setup,
        state,
        run,
        tongue,
    };
    if command.non_interactive {
        quiet::run(command, &bench, &offer).await
    } else {
        terminal::run(command, &bench, offer).await
    }
}

/// What the work is done with.
struct Bench<'a> {
    setup: Setup,
    state: StateDir,
    run: &'a Context,
    tongue: Tongue,
}

/// The language of the terminal, as the system's own programs find it.
fn tongue() -> Tongue {
    let names = ["LC_ALL", "LC_MESSAGES", "LANG"];
    let set = names.iter().filter_map(|name| environment(name));
    let mut set = set.filter(|value| !value.is_empty());
    Tongue::named(&set.next().unwrap_or_default())
}

impl Bench<'_> {
    fn words(&self) -> &'static Words {
        self.tongue.words()
    }

    /// Does one task; the service is this program's part.
    async fn perform(&self, task: &Task) -> Report {
        let Task::Service = task else {
            return self.setup.perform(task).await;
        };
        match super::service::install(&self.state, false, self.run).await {
            Ok(_) => Report::Done(Vec::new()),
            Err(error) => {
                let step = error
                    .downcast_ref::<Failure>()
                    .and_then(|one| one.next_step.clone());
                let why = crate::out::chain(&error);
                Report::Failed(step.map_or(why.clone(), |step| format!("{why}; {step}")))
            }
        }
    }
}

fn refused(error: SetupError, run: &Context) -> anyhow::Error {
    match error {
        SetupError::Config(error) => explain(error, run),
        other => other.into(),
    }
}

/// The service manager, if it answers.
fn service(state: &StateDir, run: &Context) -> anyhow::Result<Option<Service>> {
    let manager = Manager::here();
    if manager.reach() != Reach::Reached {
        return Ok(None);
    }
    let plan = super::service::plan(state, run)?;
    Ok(Some(Service {
        manager: manager.name(),
        installed: manager.standing(&plan)? != Standing::Absent,
    }))
}

/// What to do next, once everything is answered.
fn next_step(
    words: &Words,
    offer: &Offer,
    serviced: bool,
    changed: &[String],
    running: bool,
) -> &'static str {
    let restart = changed
        .iter()
        .any(|path| instar_gateway::config::needs_restart(path));
    if serviced {
        words.next_talk
    } else if running && restart {
        words.next_restart
    } else if running {
        words.next_taken
    } else if offer.service.is_some() {
        words.next_up_or_install
    } else {
        words.next_up
    }
}

fn declined(words: &Words) -> anyhow::Error {
    Failure::new(Code::Usage, words.declined)
        .next(words.declined_next)
        .into()
}
