//! The vendors that Instar knows, as rows of one table.

use crate::codec::tool_ids::ToolIds;
use crate::config::{Api, Auth};

/// One vendor. Everything that differs between vendors of one wire format is data in its row.
#[derive(Debug, Clone)]
pub struct Vendor {
    pub id: &'static str,
    pub name: &'static str,
    pub base_url: &'static str,
    pub api: Api,
    /// Environment variables that may hold the key, in the order in which they are tried.
    pub keys: &'static [&'static str],
    pub auth: Auth,
    /// Runs on the owner's machine: its address may be local and it needs no key.
    pub local: bool,
    /// The model that is taken if a key is all there is.
    pub default_model: Option<&'static str>,
    pub quirks: Quirks,
}

/// Where a vendor departs from its wire format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quirks {
    pub max_tokens: MaxTokens,
    pub tool_ids: ToolIds,
    /// Tool results carry the tool's name.
    pub tool_result_name: bool,
    /// Understands `cache_control` in messages.
    pub cache_markers: bool,
    /// Understands `stream_options.include_usage`.
    pub stream_usage: bool,
    /// Reasoning models take no temperature and the like.
    pub reasoning_fixes_sampling: bool,
    pub reasoning_back: ReasoningBack,
    /// The word that makes a tool call obligatory.
    pub required_word: &'static str,
    /// The seed is called `random_seed`.
    pub random_seed: bool,
    /// Results may hold pictures themselves, and no message of a person may follow them.
    pub pictures_in_results: bool,
}

/// What the limit of an answer is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxTokens {
    MaxTokens,
    MaxCompletionTokens,
}

/// How reasoning goes back to a vendor of chat completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReasoningBack {
    No,
    /// As `reasoning_content`, always.
    Content,
    /// As `reasoning_content` beside tool calls.
    ContentWithCalls,
    /// As `reasoning_details`.
    Details,
    /// As a thought signature at each tool call.
    Google,
}

impl Quirks {
    /// What most vendors do.
    pub const PLAIN: Self = Self {
        max_tokens: MaxTokens::MaxTokens,
        tool_ids: ToolIds::Word(64),
        tool_result_name: false,
        cache_markers: false,
        stream_usage: true,
        reasoning_fixes_sampling: false,
        reasoning_back: ReasoningBack::No,
        required_word: "required",
        random_seed: false,
        pictures_in_results: false,
    };
    const OPENAI: Self = Self {
        max_tokens: MaxTokens::MaxCompletionTokens,
        tool_ids: ToolIds::Word(40),
        reasoning_fixes_sampling: true,
        ..Self::PLAIN
    };
    const MISTRAL: Self = Self {
        tool_ids: ToolIds::Exactly(9),
        tool_result_name: true,
        stream_usage: false,
        required_word: "any",
        random_seed: true,
        pictures_in_results: true,
        ..Self::PLAIN
    };
    const fn reasoning(back: ReasoningBack) -> Self {
        Self {
            reasoning_back: back,
            ..Self::PLAIN
        }
    }
}

const fn row(
    id: &'static str,
    name: &'static str,
    base_url: &'static str,
    keys: &'static [&'static str],
) -> Vendor {
    Vendor {
        id,
        name,
        base_url,
        api: Api::OpenaiCompletions,
        keys,
        auth: Auth::Bearer,
        local: false,
        default_model: None,
        quirks: Quirks::PLAIN,
    }
}

const fn local(
    id: &'static str,
    name: &'static str,
    base_url: &'static str,
    keys: &'static [&'static str],
) -> Vendor {
    Vendor {
        local: true,
        ..row(id, name, base_url, keys)
    }
}

/// The table. Environment keys are looked for in this order.
pub const VENDORS: &[Vendor] = &[
    Vendor {
        api: Api::AnthropicMessages,
        auth: Auth::ApiKey,
        default_model: Some("claude-sonnet-4-5"),
        quirks: Quirks {
            cache_markers: true,
            ..Quirks::PLAIN
        },
        ..row(
            "anthropic",
            "Anthropic",
            "https://api.anthropic.com",
            &["ANTHROPIC_API_KEY"],
        )
    },
    Vendor {
        default_model: Some("gpt-5"),
        quirks: Quirks::OPENAI,
        ..row(
            "openai",
            "OpenAI",
            "https://api.openai.com/v1",
            &["OPENAI_API_KEY"],
        )
    },
    Vendor {
        default_model: Some("gemini-2.5-flash"),
        quirks: Quirks::reasoning(ReasoningBack::Google),
        ..row(
            "gemini",
            "Google Gemini",
            "https://generativelanguage.googleapis.com/v1beta/openai",
            &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        )
    },
    Vendor {
        default_model: Some("openrouter/auto"),
        quirks: Quirks {
            cache_markers: true,
            reasoning_back: ReasoningBack::Details,
            ..Quirks::PLAIN
        },
        ..row(
            "openrouter",
            "OpenRouter",
            "https://openrouter.ai/api/v1",
            &["OPENROUTER_API_KEY"],
        )
    },
    Vendor {
        default_model: Some("mistral-large-latest"),
        quirks: Quirks::MISTRAL,
        ..row(
            "mistral",
            "Mistral",
            "https://api.mistral.ai/v1",
            &["MISTRAL_API_KEY"],
        )
    },
    Vendor {
        default_model: Some("deepseek-chat"),
        quirks: Quirks::reasoning(ReasoningBack::ContentWithCalls),
        ..row(
            "deepseek",
            "DeepSeek",
            "https://api.deepseek.com",
            &["DEEPSEEK_API_KEY"],
        )
    },
    Vendor {
        default_model: Some("grok-4"),
        ..row("xai", "xAI", "https://api.x.ai/v1", &["XAI_API_KEY"])
    },
    Vendor {
        default_model: Some("llama-3.3-70b-versatile"),
        quirks: Quirks {
            max_tokens: MaxTokens::MaxCompletionTokens,
            ..Quirks::PLAIN
        },
        ..row(
            "groq",
            "Groq",
            "https://api.groq.com/openai/v1",
            &["GROQ_API_KEY"],
        )
    },
    Vendor {
        default_model: Some("kimi-k2-0905-preview"),
        quirks: Quirks::reasoning(ReasoningBack::ContentWithCalls),
        ..row(
            "moonshot",
            "Moonshot",
            "https://api.moonshot.ai/v1",
            &["MOONSHOT_API_KEY"],
        )
    },
    Vendor {
        default_model: Some("MiniMax-M2"),
        quirks: Quirks::reasoning(ReasoningBack::Details),
        ..row(
            "minimax",
            "MiniMax",
            "https://api.minimax.io/v1",
            &["MINIMAX_API_KEY"],
        )
    },
    Vendor {
        default_model: Some("glm-4.6"),
        quirks: Quirks::reasoning(ReasoningBack::ContentWithCalls),
        ..row(
            "zai",
            "Z.ai",
            "https://api.z.ai/api/paas/v4",
            &["ZAI_API_KEY", "ZHIPU_API_KEY"],
        )
    },
    Vendor {
        default_model: Some("meta-llama/Llama-3.3-70B-Instruct-Turbo"),
        ..row(
            "together",
            "Together",
            "https://api.together.xyz/v1",
            &["TOGETHER_API_KEY"],
        )
    },
    Vendor {
        default_model: Some("accounts/fireworks/models/kimi-k2-instruct"),
        ..row(
            "fireworks",
            "Fireworks",
            "https://api.fireworks.ai/inference/v1",
            &["FIREWORKS_API_KEY"],
        )
    },
    row(
        "cerebras",
        "Cerebras",
        "https://api.cerebras.ai/v1",
        &["CEREBRAS_API_KEY"],
    ),
    row(
        "sambanova",
        "SambaNova",
        "https://api.sambanova.ai/v1",
        &["SAMBANOVA_API_KEY"],
    ),
    row(
        "nvidia",
        "NVIDIA",
        "https://integrate.api.nvidia.com/v1",
        &["NVIDIA_API_KEY"],
    ),
    row(
        "deepinfra",
        "DeepInfra",
        "https://api.deepinfra.com/v1/openai",
        &["DEEPINFRA_API_KEY"],
    ),
    row(
        "huggingface",
        "Hugging Face",
        "https://router.huggingface.co/v1",
        &["HF_TOKEN"],
    ),
    row(
        "perplexity",
        "Perplexity",
        "https://api.perplexity.ai",
        &["PERPLEXITY_API_KEY"],
    ),
    row(
        "qwen",
        "Alibaba Qwen",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        &["DASHSCOPE_API_KEY"],
    ),
    Vendor {
        api: Api::Ollama,
        ..local(
            "ollama",
            "Ollama",
            "http://127.0.0.1:11434",
            &["OLLAMA_API_KEY"],
        )
    },
    local(
        "llamacpp",
        "llama.cpp",
        "http://127.0.0.1:8080/v1",
        &["LLAMACPP_API_KEY"],
    ),
    local(
        "lmstudio",
        "LM Studio",
        "http://127.0.0.1:1234/v1",
        &["LMSTUDIO_API_KEY"],
    ),
    local(
        "vllm",
        "vLLM",
        "http://127.0.0.1:8000/v1",
        &["VLLM_API_KEY"],
    ),
    local(
        "docker-model-runner",
        "Docker Model Runner",
        "http://127.0.0.1:12434/engines/v1",
        &[],
    ),
];

/// The row of a vendor.
#[must_use]
pub fn find(id: &str) -> Option<&'static Vendor> {
    VENDORS.iter().find(|vendor| vendor.id == id)
}
