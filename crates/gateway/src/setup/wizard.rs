//! The conversation: which question follows which answer, and what is done between them.

use instar_protocol::Secret;
use instar_protocol::event::ErrorClass;
use serde::Serialize;
use std::path::PathBuf;

use super::ask;
use super::candidate::{Candidate, Custom, format_named};
use super::draft::Draft;
use super::offer::{KeyPlace, Offer};
use super::step::{Answer, Refused, Step};
use super::words::Tongue;
use crate::config::Bind;

/// A setting-up under way. It does no I/O: whoever drives it shows [`Step`]s and does [`Task`]s.
#[derive(Debug)]
pub struct Wizard {
    tongue: Tongue,
    offer: Offer,
    stage: Stage,
    /// The questions that were answered, for going back.
    trail: Vec<Question>,
    draft: Draft,
    problem: Option<String>,
    summary: Summary,
}

/// What has to happen now.
#[derive(Debug)]
pub enum Now<'a> {
    /// Show this and bring the answer.
    Ask(Box<Step>),
    /// Do this and report.
    Work(&'a Task),
    /// Everything is answered.
    Done(&'a Summary),
    /// The risks were not accepted.
    Declined,
}

/// Work between two questions. Each leaves a sound state, done or not.
#[derive(Clone, Debug)]
pub enum Task {
    AcceptRisk,
    /// Make the folder and name it in the configuration.
    Workspace(PathBuf),
    /// Make one tiny real call.
    Probe(Candidate),
    /// Store the key and name the model in the configuration.
    UseModel(Candidate),
    /// See whether the port is free and name it in the configuration.
    Port(u16),
    Bind(Bind),
    /// Hand the gateway to the service manager. Only the terminal can.
    Service,
    /// Write down that everything was answered.
    Finish,
}

/// How a task went.
#[derive(Clone, Debug)]
pub enum Report {
    /// Done; the keys of the configuration that changed.
    Done(Vec<String>),
    Probed(Verdict),
    /// Not done, for a reason that the person can mend.
    Refused(Refused),
    /// Not done: why, and what to do, in the words of the system.
    Failed(String),
}

/// What a model said to the tiny call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub ok: bool,
    pub millis: u64,
    /// What kind of failure it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<ErrorClass>,
    /// What happened and what to do, in English, with the names.
    pub message: String,
}

impl Verdict {
    /// For whoever reads another language, without the names.
    #[must_use]
    pub fn told(&self, tongue: Tongue) -> String {
        let words = tongue.words();
        let row = match self.class {
            _ if tongue == Tongue::English => None,
            Some(ErrorClass::Auth) => Some(words.said_auth),
            Some(ErrorClass::Quota) => Some(words.said_quota),
            Some(ErrorClass::Rate) => Some(words.said_rate),
            Some(ErrorClass::Network) => Some(words.said_network),
            Some(ErrorClass::Server) => Some(words.said_server),
            Some(ErrorClass::Malformed) => Some(words.said_malformed),
            Some(ErrorClass::Timeout) => Some(words.said_timeout),
            Some(ErrorClass::Config | ErrorClass::Refusal) => Some(words.said_refused),
            Some(ErrorClass::Budget) => Some(words.said_budget),
            Some(
                ErrorClass::ContextLength
                | ErrorClass::Cancelled
                | ErrorClass::Tool
                | ErrorClass::Storage
                | ErrorClass::Loop
                | ErrorClass::Internal,
            )
            | None => None,
        };
        row.map_or_else(|| self.message.clone(), str::to_owned)
    }
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    pub workspace: PathBuf,
    /// Absent if it was left for later.
    pub model: Option<String>,
    pub verdict: Option<Verdict>,
    pub port: Option<u16>,
    pub bind: Option<Bind>,
    pub service: bool,
    /// The keys of the configuration that were changed.
    pub changed: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    Risk,
    Workspace,
    Model,
    Vendor,
    StoreKey,
    Key,
    VendorModel,
    ModelName,
    BaseUrl,
    Format,
    ServerKey,
    ServerModel,
    ProviderName,
    Verdict,
    Port,
    Bind,
    Service,
}

#[derive(Debug)]
enum Stage {
    Ask(Question),
    /// And the question to come back to if it fails.
    Work(Task, Question),
    Done,
    Declined,
}

impl Wizard {
    #[must_use]
    pub fn new(offer: Offer, tongue: Tongue) -> Self {
        let first = if offer.risk_accepted.is_some() {
            Question::Workspace
        } else {
            Question::Risk
        };
        let summary = Summary {
            workspace: offer.workspace.clone(),
            model: offer.model.clone(),
            port: Some(offer.listen.port),
            bind: Some(offer.listen.bind),
            service: offer
                .service
                .as_ref()
                .is_some_and(|service| service.installed),
            ..Summary::default()
        };
        Self {
            tongue,
            offer,
            stage: Stage::Ask(first),
            trail: Vec::new(),
            draft: Draft::empty(),
            problem: None,
            summary,
        }
    }

    /// What has to happen now.
    #[must_use]
    pub fn now(&self) -> Now<'_> {
        match &self.stage {
            Stage::Ask(question) => {
                let mut step = ask::Asking {
                    tongue: self.tongue,
                    words: self.tongue.words(),
                    offer: &self.offer,
                    draft: &self.draft,
                    summary: &self.summary,
                }
                .step(*question);
                step.problem.clone_from(&self.problem);
                Now::Ask(Box::new(step))
            }
            Stage::Work(task, _) => Now::Work(task),
            Stage::Done => Now::Done(&self.summary),
            Stage::Declined => Now::Declined,
        }
    }

    /// Takes the answer to the question that is asked now. A refused answer leaves it standing.
    pub fn answer(&mut self, answer: Answer) -> Result<(), Refused> {
        let Stage::Ask(question) = self.stage else {
            return Err(Refused::new(|w| w.nothing_asked));
        };
        let next = match answer {
            Answer::Yes(yes) => self.decided(question, yes)?,
            Answer::Secret(secret) => self.told(question, &secret)?,
            Answer::Text(text) => self.said(question, &text)?,
        };
        // A verdict is about what was answered before it: nobody wants to go back to it.
        if question == Question::Verdict {
            self.turn_back(&next);
        } else {
            self.trail.push(question);
        }
        self.problem = None;
        self.stage = next;
        Ok(())
    }

    /// After a verdict an earlier question may stand again: what came after it is not behind it.
    fn turn_back(&mut self, to: &Stage) {
        if let Stage::Ask(question) = to
            && let Some(at) = self.trail.iter().position(|one| one == question)
        {
            self.trail.truncate(at);
        }
    }

    /// Returns to the question before this one. What was written stays written.
    pub fn back(&mut self) -> Result<(), Refused> {
        let Stage::Ask(_) = self.stage else {
            return Err(Refused::new(|w| w.nothing_asked));
        };
        // The notice was read.
        match self.trail.pop().filter(|last| *last != Question::Risk) {
            Some(last) => {
                self.problem = None;
                self.stage = Stage::Ask(last);
                Ok(())
            }
            None => Err(Refused::new(|w| w.first_question)),
        }
    }

    /// Takes the result of the task that is to be done now.
    pub fn report(&mut self, report: Report) {
        let stage = std::mem::replace(&mut self.stage, Stage::Done);
        let Stage::Work(task, from) = stage else {
            self.stage = stage;
            return;
        };
        self.stage = match report {
            Report::Failed(why) => {
                self.problem = Some(why);
                Stage::Ask(from)
            }
            Report::Refused(why) => {
                self.problem = Some(why.told(self.tongue));
                Stage::Ask(from)
            }
            Report::Probed(verdict) => self.judged(task, verdict),
            Report::Done(changed) => {
                for key in changed {
                    if !self.summary.changed.contains(&key) {
                        self.summary.changed.push(key);
                    }
                }
                self.after(task)
            }
        };
    }

    fn decided(&mut self, question: Question, yes: bool) -> Result<Stage, Refused> {
        Ok(match question {
            Question::Risk if yes => Stage::Work(Task::AcceptRisk, question),
            Question::Risk => Stage::Declined,
            Question::StoreKey => {
                self.draft.key = None;
                self.draft.key_of = None;
                if yes
                    && let Some(KeyPlace::Environment(variable)) = self.vendor().map(|one| &one.key)
                {
                    self.draft.key_of = Some(variable.clone());
                }
                Stage::Ask(Question::VendorModel)
            }
            Question::Service if yes => Stage::Work(Task::Service, question),
            Question::Service => finish(question),
            _ => return Err(Refused::new(|w| w.a_text)),
        })
    }

    fn told(&mut self, question: Question, secret: &Secret) -> Result<Stage, Refused> {
        let given = !secret.expose().trim().is_empty();
        let secret = given.then(|| Secret::new(secret.expose().trim()));
        Ok(match question {
            Question::Key if given => {
                self.draft.key = secret;
                self.draft.key_of = None;
                Stage::Ask(Question::VendorModel)
            }
            // The one that was given before.
            Question::Key if self.draft.key.is_some() => Stage::Ask(Question::VendorModel),
            Question::Key => {
                return Err(Refused::new(|w| w.key_needed));
            }
            Question::ServerKey => {
                if given {
                    // A dash is no key.
                    let letters = |key: &Secret| key.expose().chars().any(char::is_alphanumeric);
                    self.draft.key = secret.filter(letters);
                }
                Stage::Ask(Question::ServerModel)
            }
            _ => return Err(Refused::new(|w| w.no_secret_asked)),
        })
    }

    fn said(&mut self, question: Question, text: &str) -> Result<Stage, Refused> {
        Ok(match question {
            Question::Workspace => Stage::Work(Task::Workspace(self.folder(text)?), question),
            Question::Model => self.chosen(text)?,
            Question::Vendor => self.chosen_vendor(text)?,
            Question::VendorModel if text == ask::OTHER => Stage::Ask(Question::ModelName),
            Question::VendorModel | Question::ModelName => {
                let named = Candidate::named(&format!("{}/{text}", self.draft.vendor))?;
                text.clone_into(&mut self.draft.model);
                let candidate = named
                    .with_key(self.draft.key.clone())
                    .with_key_of(self.draft.key_of.clone());
                self.probe(candidate)
            }
            Question::BaseUrl => {
                Custom::new(text, self.draft.api)?;
                text.clone_into(&mut self.draft.base_url);
                Stage::Ask(Question::Format)
            }
            Question::Format => {
                self.draft.api = format_named(text)?;
                Stage::Ask(Question::ServerKey)
            }
            Question::ServerModel => {
                Candidate::custom(self.draft.server()?, text, None)?;
                text.clone_into(&mut self.draft.model);
                Stage::Ask(Question::ProviderName)
            }
            Question::ProviderName => {
                let server = self.draft.server()?;
                let candidate = Candidate::custom(server, &self.draft.model, Some(text))?;
                self.draft.provider = Some(text.to_owned());
                let candidate = candidate.with_key(self.draft.key.clone());
                self.probe(candidate)
            }
            Question::Verdict => self.after_verdict(text),
            Question::Port => Stage::Work(Task::Port(port(text)?), question),
            Question::Bind => Stage::Work(Task::Bind(self.bind(text)?), question),
            Question::Risk
            | Question::StoreKey
            | Question::Key
            | Question::ServerKey
            | Question::Service => return Err(Refused::new(|w| w.yes_or_no)),
        })
    }

    /// The folder that was named; `~` is the home folder.
    fn folder(&self, text: &str) -> Result<PathBuf, Refused> {
        let path = match (text.strip_prefix('~'), &self.offer.home) {
            (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
                home.join(rest.trim_start_matches('/'))
            }
            _ => PathBuf::from(text),
        };
        if path.is_absolute() {
            Ok(path)
        } else {
            Err(Refused::new(|w| w.folder_from_root))
        }
    }

    fn chosen(&mut self, value: &str) -> Result<Stage, Refused> {
        // What was told of a server of one's own is not asked for anew.
        if value != ask::CUSTOM || self.draft.base_url.is_empty() {
            self.draft = Draft::empty();
        }
        if let Some(vendor) = value.strip_prefix(ask::VENDOR) {
            return self.chosen_vendor(vendor);
        }
        if let Some(model) = value.strip_prefix(ask::LOCAL) {
            let candidate = Candidate::named(model)?;
            return Ok(self.probe(candidate));
        }
        match (value, self.offer.model.clone()) {
            (ask::KEEP, Some(model)) => {
                let candidate = Candidate::named(&model)?;
                Ok(self.probe(candidate))
            }
            (ask::MORE, _) => Ok(Stage::Ask(Question::Vendor)),
            (ask::CUSTOM, _) => Ok(Stage::Ask(Question::BaseUrl)),
            (ask::LATER, _) => Ok(Stage::Ask(Question::Port)),
            _ => Err(Refused::new(|w| w.one_option)),
        }
    }

    fn chosen_vendor(&mut self, id: &str) -> Result<Stage, Refused> {
        let vendor = self
            .offer
            .vendor(id)
            .ok_or_else(|| Refused::about(|w| w.no_vendor, id))?;
        let next = match vendor.key {
            KeyPlace::Missing => Question::Key,
            KeyPlace::Environment(_) => Question::StoreKey,
            KeyPlace::Kept | KeyPlace::NotNeeded => Question::VendorModel,
        };
        let keyed = vendor.key != KeyPlace::NotNeeded;
        self.draft = Draft::empty();
        self.draft.keyed = keyed;
        id.clone_into(&mut self.draft.vendor);
        Ok(Stage::Ask(next))
    }

    fn vendor(&self) -> Option<&super::offer::VendorOffer> {
        self.offer.vendor(&self.draft.vendor)
    }

    fn probe(&mut self, candidate: Candidate) -> Stage {
        self.draft.candidate = Some(candidate.clone());
        Stage::Work(Task::Probe(candidate), Question::Model)
    }

    fn judged(&mut self, task: Task, verdict: Verdict) -> Stage {
        let Task::Probe(candidate) = task else {
            return Stage::Ask(Question::Model);
        };
        let ok = verdict.ok;
        self.draft.verdict = Some(verdict);
        if ok {
            Stage::Work(Task::UseModel(candidate), Question::Model)
        } else {
            Stage::Ask(Question::Verdict)
        }
    }

    fn after_verdict(&self, text: &str) -> Stage {
        match (text, self.draft.candidate.clone()) {
            (ask::AGAIN, Some(candidate)) => Stage::Work(Task::Probe(candidate), Question::Model),
            (ask::CORRECT, _) if self.draft.correctable() => Stage::Ask(self.draft.first()),
            (ask::KEEP, Some(candidate)) => Stage::Work(Task::UseModel(candidate), Question::Model),
            _ => Stage::Ask(Question::Model),
        }
    }

    fn bind(&self, text: &str) -> Result<Bind, Refused> {
        match (text, self.offer.listen) {
            (ask::LOOPBACK, _) => Ok(Bind::Loopback),
            (ask::LAN, listen) if listen.may_open => Ok(Bind::Lan),
            (ask::AS_IT_IS, listen) => Ok(listen.bind),
            _ => Err(Refused::new(|w| w.lan_refused)),
        }
    }

    fn after(&mut self, task: Task) -> Stage {
        match task {
            Task::AcceptRisk => Stage::Ask(Question::Workspace),
            Task::Workspace(folder) => {
                self.summary.workspace.clone_from(&folder);
                self.offer.workspace = folder;
                Stage::Ask(Question::Model)
            }
            Task::UseModel(candidate) => {
                self.summary.model = Some(candidate.name());
                self.summary.verdict = self.draft.verdict.take();
                self.offer.model = Some(candidate.name());
                // Keys are not kept longer than they are needed.
                self.draft = Draft::empty();
                Stage::Ask(Question::Port)
            }
            Task::Port(port) => {
                self.summary.port = Some(port);
                Stage::Ask(Question::Bind)
            }
            Task::Bind(bind) => {
                self.summary.bind = Some(bind);
                self.after_listen()
            }
            Task::Service => {
                self.summary.service = true;
                finish(Question::Service)
            }
            Task::Finish => Stage::Done,
            // A probe ends with a verdict.
            Task::Probe(_) => Stage::Ask(Question::Model),
        }
    }

    fn after_listen(&self) -> Stage {
        if self.offer.service.is_some() {
            return Stage::Ask(Question::Service);
        }
        finish(Question::Bind)
    }
}

fn finish(from: Question) -> Stage {
    Stage::Work(Task::Finish, from)
}

fn port(text: &str) -> Result<u16, Refused> {
    text.parse()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| Refused::new(|w| w.port_refused))
}
