//! The questions as they are shown.

use instar_models::config::Api;

use super::draft::Draft;
use super::offer::{KeyPlace, Offer, VendorOffer};
use super::step::{Choice, Step};
use super::wizard::{Question, Summary};
use super::words::{Tongue, Words, filled};
use crate::config::Bind;

pub(super) const KEEP: &str = "keep";
pub(super) const AGAIN: &str = "again";
pub(super) const CORRECT: &str = "correct";
pub(super) const CHANGE: &str = "change";
pub(super) const LATER: &str = "later";
pub(super) const MORE: &str = "more";
pub(super) const CUSTOM: &str = "custom";
pub(super) const OTHER: &str = "other…";
pub(super) const LOOPBACK: &str = "loopback";
pub(super) const LAN: &str = "lan";
pub(super) const AS_IT_IS: &str = "as-it-is";
pub(super) const VENDOR: &str = "vendor:";
pub(super) const LOCAL: &str = "local:";

/// Models of one local server that are offered; more can be named by hand.
const LOCAL_MODELS_MAX: usize = 6;
/// Vendors without a key that are offered at once.
const USUAL: [&str; 4] = ["anthropic", "openai", "gemini", "openrouter"];

/// What a question is put together from.
pub(super) struct Asking<'a> {
    pub(super) tongue: Tongue,
    pub(super) words: &'static Words,
    pub(super) offer: &'a Offer,
    pub(super) draft: &'a Draft,
    pub(super) summary: &'a Summary,
}

impl Asking<'_> {
    pub(super) fn step(&self, question: Question) -> Step {
        let words = self.words;
        match question {
            Question::Risk => Step::confirm("risk", words.risk_title, false).message(words.risk),
            Question::Workspace => Step::text("workspace", words.workspace)
                .message(words.workspace_about)
                .initially(self.offer.workspace.display().to_string()),
            Question::Model => self.model(),
            Question::Vendor => self.vendor(),
            Question::StoreKey => self.store_key(),
            Question::Key => self.key(),
            Question::VendorModel => self.vendor_model(),
            Question::ModelName => self.given(Step::text("model-name", words.model_name)),
            Question::BaseUrl => self.base_url(),
            Question::Format => self.format(),
            Question::ServerKey => self.secret("server-key", words.server_key),
            Question::ServerModel => {
                self.given(Step::text("server-model", words.server_model).like("qwen3-32b"))
            }
            Question::ProviderName => {
                let given = self.draft.provider.clone();
                Step::text("provider-name", words.provider)
                    .message(words.provider_about)
                    .initially(given.unwrap_or_else(|| self.draft.usual_id()))
            }
            Question::Verdict => self.verdict(),
            Question::Port => self.port(),
            Question::Bind => self.bind(),
            Question::Service => self.service(),
        }
    }

    /// A question for the model's name, with the name that was given before.
    fn given(&self, step: Step) -> Step {
        if self.draft.model.is_empty() {
            return step;
        }
        step.initially(self.draft.model.clone())
    }

    /// A question for a key, which is never shown, though one may have been given.
    fn secret(&self, id: &'static str, title: &str) -> Step {
        let words = self.words;
        let given = self.draft.key.is_some();
        let given = given.then(|| format!(" {}", words.key_given));
        let about = format!("{}{}", words.key_about, given.unwrap_or_default());
        Step::secret(id, title).message(about)
    }

    fn model(&self) -> Step {
        let (words, offer) = (self.words, self.offer);
        let mut options = Vec::new();
        if let Some(model) = &offer.model {
            options.push(Choice::new(KEEP, filled(words.keep, model)).hint(words.keep_hint));
        }
        for server in &offer.local {
            for model in server.models.iter().take(LOCAL_MODELS_MAX) {
                let name = format!("{}/{model}", server.provider);
                let hint = filled(words.local_hint, &server.name);
                options.push(Choice::new(format!("{LOCAL}{name}"), name).hint(hint));
            }
        }
        let offered = |vendor: &&VendorOffer| {
            match vendor.key {
                KeyPlace::Environment(_) | KeyPlace::Kept => true,
                KeyPlace::Missing => USUAL.contains(&vendor.id.as_str()),
                // What answers was offered above.
                KeyPlace::NotNeeded => false,
            }
        };
        let vendors = offer.vendors.iter().filter(offered);
        options.extend(vendors.map(|vendor| self.vendor_choice(vendor)));
        options.push(Choice::new(MORE, words.another_vendor));
        options.push(Choice::new(CUSTOM, words.own_server).hint(words.own_server_hint));
        if offer.model.is_none() {
            options.push(Choice::new(LATER, words.later).hint(words.later_hint));
        }
        let step = Step::select("model", words.model, options);
        if self.draft.base_url.is_empty() {
            return step;
        }
        step.initially(CUSTOM)
    }

    fn vendor(&self) -> Step {
        let options = self.offer.vendors.iter().map(|vendor| {
            let choice = self.vendor_choice(vendor);
            let value = choice.value.trim_start_matches(VENDOR).to_owned();
            Choice { value, ..choice }
        });
        Step::select("vendor", self.words.vendor, options.collect())
    }

    fn vendor_choice(&self, vendor: &VendorOffer) -> Choice {
        let words = self.words;
        let choice = Choice::new(format!("{VENDOR}{}", vendor.id), &vendor.name);
        match &vendor.key {
            KeyPlace::Missing => choice.hint(words.needs_key),
            KeyPlace::Environment(variable) => choice.hint(filled(words.key_is_in, variable)),
            KeyPlace::Kept => choice.hint(words.key_is_there),
            KeyPlace::NotNeeded => choice.hint(words.runs_here),
        }
    }

    /// The vendor that was chosen.
    fn chosen(&self) -> Option<&VendorOffer> {
        self.offer.vendor(&self.draft.vendor)
    }

    fn store_key(&self) -> Step {
        let variable = match self.chosen().map(|vendor| &vendor.key) {
            Some(KeyPlace::Environment(variable)) => variable.as_str(),
            _ => self.words.the_environment,
        };
        Step::confirm("store-key", self.words.store_key, true)
            .message(filled(self.words.store_key_about, variable))
    }

    fn key(&self) -> Step {
        let name = self.chosen().map(|vendor| vendor.name.as_str());
        let name = name.unwrap_or(self.words.the_vendor);
        self.secret("key", &filled(self.words.key, name))
    }

    fn vendor_model(&self) -> Step {
        let words = self.words;
        let models = self.chosen().map_or(&[][..], |vendor| &vendor.models);
        if models.is_empty() {
            return self.given(Step::text("vendor-model", words.model_name));
        }
        let mut options: Vec<Choice> = models.iter().map(|id| Choice::new(id, id)).collect();
        options.push(Choice::new(OTHER, words.other_model));
        let step = Step::select("vendor-model", words.vendor_model, options);
        if models.contains(&self.draft.model) {
            return step.initially(self.draft.model.clone());
        }
        step
    }

    fn base_url(&self) -> Step {
        let step = Step::text("base-url", self.words.base_url)
            .message(self.words.base_url_about)
            .like("http://192.168.1.20:8000/v1");
        if self.draft.base_url.is_empty() {
            return step;
        }
        step.initially(self.draft.base_url.clone())
    }

    fn format(&self) -> Step {
        let words = self.words;
        let options = vec![
            Choice::new("openai", "OpenAI chat completions").hint(words.format_openai_hint),
            Choice::new("anthropic", "Anthropic messages"),
            Choice::new("openai-responses", "OpenAI responses"),
            Choice::new("ollama", words.format_ollama),
        ];
        let present = match self.draft.api {
            Api::AnthropicMessages => "anthropic",
            Api::OpenaiResponses => "openai-responses",
            Api::Ollama => "ollama",
            Api::OpenaiCompletions => "openai",
        };
        Step::select("format", words.format, options).initially(present)
    }

    fn verdict(&self) -> Step {
        let words = self.words;
        let verdict = self.draft.verdict.as_ref();
        let mut why = verdict.map_or_else(String::new, |verdict| verdict.told(self.tongue));
        if !self.draft.base_url.is_empty() {
            why.push('\n');
            why.push_str(&filled(words.asked_at, &self.draft.base_url));
        }
        let mut options = vec![Choice::new(AGAIN, words.again)];
        if self.draft.correctable() {
            options.push(Choice::new(CORRECT, words.correct).hint(words.correct_hint));
        }
        options.push(Choice::new(CHANGE, words.change));
        options.push(Choice::new(KEEP, words.use_it).hint(words.use_it_hint));
        let first = if self.draft.correctable() {
            CORRECT
        } else {
            AGAIN
        };
        Step::select("verdict", words.verdict, options)
            .initially(first)
            .message(why)
    }

    fn port(&self) -> Step {
        let port = self.summary.port.unwrap_or(self.offer.listen.port);
        self.listening(Step::text("port", self.words.port).initially(port.to_string()))
    }

    /// Where a gateway runs, a change waits for its next start.
    fn listening(&self, step: Step) -> Step {
        if self.offer.listen.running {
            return step.message(self.words.at_restart);
        }
        step
    }

    fn bind(&self) -> Step {
        let words = self.words;
        let mut options = vec![
            Choice::new(LOOPBACK, words.loopback).hint(words.loopback_hint),
            Choice::new(LAN, words.lan).hint(words.lan_hint),
        ];
        let present = self.offer.listen.bind;
        if matches!(present, Bind::Custom | Bind::Tailnet) {
            options.push(Choice::new(AS_IT_IS, words.as_it_is));
        }
        let initially = match present {
            Bind::Lan => LAN,
            Bind::Custom | Bind::Tailnet => AS_IT_IS,
            Bind::Loopback => LOOPBACK,
        };
        self.listening(Step::select("bind", words.bind, options).initially(initially))
    }

    fn service(&self) -> Step {
        let words = self.words;
        let service = self.offer.service.as_ref();
        let manager = service.map_or(words.the_system, |service| service.manager);
        let title = if service.is_some_and(|service| service.installed) {
            words.service_anew
        } else {
            words.service
        };
        Step::confirm("service", title, true).message(filled(words.service_about, manager))
    }
}
