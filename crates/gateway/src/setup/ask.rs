//! The words of the questions.

use super::offer::{KeyPlace, Offer, VendorOffer};
use super::step::{Choice, Step};
use super::wizard::{Draft, Question, Summary};
use crate::config::Bind;

pub(super) const KEEP: &str = "keep";
pub(super) const AGAIN: &str = "again";
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

const RISK: &str = "\
Instar lets a language model read what it is sent and act through tools, on your behalf.

- Assume that the model can be talked into anything by a text that it reads. What it may do is \
decided by plain code, and by what you allow.
- Whoever has the token or a sign-in link talks to your agent as you. Keep the port on this machine, \
or behind a proxy that signs people in.
- What you write goes to the model that you choose. If it runs elsewhere, your messages leave this \
machine, and calls may cost money; `models.budget` sets limits.
- The state folder holds your conversations. Keep it and its backups to yourself.";

pub(super) fn step(question: Question, offer: &Offer, draft: &Draft, summary: &Summary) -> Step {
    match question {
        Question::Risk => {
            Step::confirm("risk", "I understand this and want to go on", false).message(RISK)
        }
        Question::Workspace => Step::text("workspace", "Workspace folder")
            .message("It holds the files that tell the agent who it is and who you are.")
            .initially(offer.workspace.display().to_string()),
        Question::Model => model(offer),
        Question::Vendor => vendor(offer),
        Question::StoreKey => store_key(offer.vendor(&draft.vendor)),
        Question::Key => key(offer.vendor(&draft.vendor)),
        Question::VendorModel => vendor_model(offer.vendor(&draft.vendor)),
        Question::ModelName => {
            Step::text("model-name", "Name of the model, as the vendor writes it")
        }
        Question::BaseUrl => Step::text("base-url", "Address of the server")
            .message("With the path before /chat/completions or /messages.")
            .like("http://192.168.1.20:8000/v1"),
        Question::Format => format(),
        Question::ServerKey => Step::secret("server-key", "Key for the server, if it wants one")
            .message("It goes into the encrypted store; nothing shows it again."),
        Question::ServerModel => {
            Step::text("server-model", "Name of the model, as the server knows it")
                .like("qwen3-32b")
        }
        Question::ProviderName => Step::text("provider-name", "A short name for the server")
            .message("The model is then called NAME/MODEL.")
            .initially(draft.usual_id()),
        Question::Verdict => verdict(draft),
        Question::Port => port(offer, summary),
        Question::Bind => bind(offer),
        Question::Service => service(offer),
    }
}

fn model(offer: &Offer) -> Step {
    let mut options = Vec::new();
    if let Some(model) = &offer.model {
        options.push(Choice::new(KEEP, format!("Keep {model}")).hint("as it is set up now"));
    }
    for server in &offer.local {
        for model in server.models.iter().take(LOCAL_MODELS_MAX) {
            let name = format!("{}/{model}", server.provider);
            let hint = format!("{}, on this machine; nothing leaves it", server.name);
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
    options.extend(offer.vendors.iter().filter(offered).map(vendor_choice));
    options.push(Choice::new(MORE, "Another vendor"));
    let hint = "any server that speaks the format of OpenAI, Anthropic or Ollama";
    options.push(Choice::new(CUSTOM, "A server of my own").hint(hint));
    if offer.model.is_none() {
        let hint = "until then a scripted guide answers, offline";
        options.push(Choice::new(LATER, "Decide later").hint(hint));
    }
    Step::select("model", "Which model is to answer?", options)
}

fn vendor(offer: &Offer) -> Step {
    let options = offer.vendors.iter().map(vendor_choice).map(|choice| {
        let value = choice.value.trim_start_matches(VENDOR).to_owned();
        Choice { value, ..choice }
    });
    Step::select("vendor", "Which vendor?", options.collect())
}

fn vendor_choice(vendor: &VendorOffer) -> Choice {
    let choice = Choice::new(format!("{VENDOR}{}", vendor.id), &vendor.name);
    match &vendor.key {
        KeyPlace::Missing => choice.hint("needs a key"),
        KeyPlace::Environment(variable) => choice.hint(format!("its key is in {variable}")),
        KeyPlace::Kept => choice.hint("its key is there"),
        KeyPlace::NotNeeded => choice.hint("runs on this machine"),
    }
}

fn store_key(vendor: Option<&VendorOffer>) -> Step {
    let variable = match vendor.map(|vendor| &vendor.key) {
        Some(KeyPlace::Environment(variable)) => variable.as_str(),
        _ => "the environment",
    };
    Step::confirm(
        "store-key",
        "Keep a copy of the key in the encrypted store?",
        true,
    )
    .message(format!(
        "{variable} is set in this terminal. A service started by the system does not see it."
    ))
}

fn key(vendor: Option<&VendorOffer>) -> Step {
    let name = vendor.map_or("the vendor", |vendor| vendor.name.as_str());
    Step::secret("key", &format!("Key for {name}"))
        .message("It goes into the encrypted store; nothing shows it again.")
}

fn vendor_model(vendor: Option<&VendorOffer>) -> Step {
    let models = vendor.map_or(&[][..], |vendor| &vendor.models);
    if models.is_empty() {
        return Step::text("vendor-model", "Name of the model, as the vendor writes it");
    }
    let mut options: Vec<Choice> = models.iter().map(|id| Choice::new(id, id)).collect();
    options.push(Choice::new(OTHER, "Another, by its name"));
    Step::select("vendor-model", "Which of its models?", options)
}

fn format() -> Step {
    let options = vec![
        Choice::new("openai", "OpenAI chat completions")
            .hint("vLLM, llama.cpp, LM Studio and most others"),
        Choice::new("anthropic", "Anthropic messages"),
        Choice::new("openai-responses", "OpenAI responses"),
        Choice::new("ollama", "Ollama's own"),
    ];
    Step::select("format", "Which format does it speak?", options)
}

fn verdict(draft: &Draft) -> Step {
    let why = draft
        .verdict
        .as_ref()
        .map(|verdict| verdict.message.clone());
    let options = vec![
        Choice::new(AGAIN, "Try again"),
        Choice::new(CHANGE, "Choose another, or describe it anew"),
        Choice::new(KEEP, "Use it all the same").hint("messages fail until it answers"),
    ];
    Step::select("verdict", "The model did not answer. What now?", options)
        .message(why.unwrap_or_default())
}

fn port(offer: &Offer, summary: &Summary) -> Step {
    let present = summary.port.or(offer.listen.map(|listen| listen.port));
    let port = present.unwrap_or(crate::config::DEFAULT_PORT);
    Step::text("port", "Port").initially(port.to_string())
}

fn bind(offer: &Offer) -> Step {
    let mut options = vec![
        Choice::new(LOOPBACK, "This machine only")
            .hint("reach it from elsewhere through an SSH tunnel or a proxy on this machine"),
        Choice::new(LAN, "Every address of this machine")
            .hint("only behind a proxy that speaks TLS and signs people in"),
    ];
    let present = offer.listen.map(|listen| listen.bind);
    if present == Some(Bind::Custom) {
        options.push(Choice::new(
            AS_IT_IS,
            "The address in gateway.customBindHost",
        ));
    }
    let initially = match present {
        Some(Bind::Lan) => LAN,
        Some(Bind::Custom) => AS_IT_IS,
        Some(Bind::Loopback) | None => LOOPBACK,
    };
    Step::select("bind", "Who may reach the port?", options).initially(initially)
}

fn service(offer: &Offer) -> Step {
    let (manager, installed) = match &offer.service {
        Some(service) => (service.manager, service.installed),
        None => ("the system", false),
    };
    let title = if installed {
        "Write the service anew and start it?"
    } else {
        "Run it as a service, from now on?"
    };
    Step::confirm("service", title, true).message(format!(
        "{manager} then starts it when you log in, and again when it fails."
    ))
}
