//! Windows and prices of well-known models, as their vendors published them.
//!
//! Written in 2026-11. Prices change: the configuration overrides every number here, and a model
//! that is not here costs nothing in our books and is shown as unpriced.

use crate::config::Cost;
use crate::config::Dollars;
use instar_protocol::model::Usage;

/// When the table was written.
pub const WRITTEN: &str = "2026-11";

/// What is known of one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    pub vendor: &'static str,
    pub model: &'static str,
    pub context_window: u64,
    pub max_tokens: u64,
    pub reasoning: bool,
    pub images: bool,
    /// Thousandths of a dollar per million tokens: input, output, cache read, cache write.
    prices: [u64; 4],
}

impl Known {
    #[must_use]
    pub fn cost(&self) -> Cost {
        let [input, output, cache_read, cache_write] =
            self.prices.map(|price| Dollars::from_micros(price * 1000));
        Cost {
            input,
            output,
            cache_read,
            cache_write,
        }
    }
}

const fn known(
    vendor: &'static str,
    model: &'static str,
    context_window: u64,
    max_tokens: u64,
    prices: [u64; 4],
) -> Known {
    Known {
        vendor,
        model,
        context_window,
        max_tokens,
        reasoning: false,
        images: false,
        prices,
    }
}

const fn sees(mut known: Known) -> Known {
    known.images = true;
    known
}

const fn reasons(mut known: Known) -> Known {
    known.reasoning = true;
    known
}

/// The table.
pub const KNOWN: &[Known] = &[
    sees(known(
        "anthropic",
        "claude-opus-4-5",
        200_000,
        64_000,
        [5000, 25_000, 500, 6250],
    )),
    sees(known(
        "anthropic",
        "claude-opus-4-1",
        200_000,
        32_000,
        [15_000, 75_000, 1500, 18_750],
    )),
    sees(known(
        "anthropic",
        "claude-sonnet-4-5",
        200_000,
        64_000,
        [3000, 15_000, 300, 3750],
    )),
    sees(known(
        "anthropic",
        "claude-sonnet-4",
        200_000,
        64_000,
        [3000, 15_000, 300, 3750],
    )),
    sees(known(
        "anthropic",
        "claude-haiku-4-5",
        200_000,
        64_000,
        [1000, 5000, 100, 1250],
    )),
    sees(known(
        "anthropic",
        "claude-3-5-haiku",
        200_000,
        8192,
        [800, 4000, 80, 1000],
    )),
    reasons(sees(known(
        "openai",
        "gpt-5.1",
        400_000,
        128_000,
        [1250, 10_000, 125, 1250],
    ))),
    reasons(sees(known(
        "openai",
        "gpt-5",
        400_000,
        128_000,
        [1250, 10_000, 125, 1250],
    ))),
    reasons(sees(known(
        "openai",
        "gpt-5-mini",
        400_000,
        128_000,
        [250, 2000, 25, 250],
    ))),
    reasons(sees(known(
        "openai",
        "gpt-5-nano",
        400_000,
        128_000,
        [50, 400, 5, 50],
    ))),
    sees(known(
        "openai",
        "gpt-4.1",
        1_047_576,
        32_768,
        [2000, 8000, 500, 2000],
    )),
    sees(known(
        "openai",
        "gpt-4.1-mini",
        1_047_576,
        32_768,
        [400, 1600, 100, 400],
    )),
    sees(known(
        "openai",
        "gpt-4.1-nano",
        1_047_576,
        32_768,
        [100, 400, 25, 100],
    )),
    sees(known(
        "openai",
        "gpt-4o",
        128_000,
        16_384,
        [2500, 10_000, 1250, 2500],
    )),
    sees(known(
        "openai",
        "gpt-4o-mini",
        128_000,
        16_384,
        [150, 600, 75, 150],
    )),
    reasons(sees(known(
        "openai",
        "o3",
        200_000,
        100_000,
        [2000, 8000, 500, 2000],
    ))),
    reasons(sees(known(
        "openai",
        "o4-mini",
        200_000,
        100_000,
        [1100, 4400, 275, 1100],
    ))),
    reasons(sees(known(
        "gemini",
        "gemini-2.5-pro",
        1_048_576,
        65_536,
        [1250, 10_000, 125, 1250],
    ))),
    reasons(sees(known(
        "gemini",
        "gemini-2.5-flash",
        1_048_576,
        65_536,
        [300, 2500, 30, 300],
    ))),
    reasons(sees(known(
        "gemini",
        "gemini-2.5-flash-lite",
        1_048_576,
        65_536,
        [100, 400, 10, 100],
    ))),
    known(
        "deepseek",
        "deepseek-chat",
        128_000,
        8192,
        [280, 420, 28, 280],
    ),
    reasons(known(
        "deepseek",
        "deepseek-reasoner",
        128_000,
        64_000,
        [280, 420, 28, 280],
    )),
    sees(known(
        "mistral",
        "mistral-medium-latest",
        128_000,
        32_768,
        [400, 2000, 400, 400],
    )),
    sees(known(
        "mistral",
        "mistral-small-latest",
        128_000,
        32_768,
        [100, 300, 100, 100],
    )),
    reasons(sees(known(
        "xai",
        "grok-4",
        256_000,
        64_000,
        [3000, 15_000, 750, 3000],
    ))),
    reasons(known(
        "xai",
        "grok-code-fast-1",
        256_000,
        64_000,
        [200, 1500, 20, 200],
    )),
    known(
        "groq",
        "llama-3.3-70b-versatile",
        131_072,
        32_768,
        [590, 790, 590, 590],
    ),
    known(
        "groq",
        "llama-3.1-8b-instant",
        131_072,
        131_072,
        [50, 80, 50, 50],
    ),
    known(
        "moonshot",
        "kimi-k2-0905-preview",
        262_144,
        32_768,
        [600, 2500, 150, 600],
    ),
    reasons(known(
        "minimax",
        "MiniMax-M2",
        204_800,
        128_000,
        [300, 1200, 300, 300],
    )),
    reasons(known(
        "zai",
        "glm-4.6",
        200_000,
        128_000,
        [600, 2200, 110, 600],
    )),
];

/// What is known of a vendor's model. A dated or `-latest` form counts as the plain one.
#[must_use]
pub fn find(vendor: &str, model: &str) -> Option<&'static Known> {
    KNOWN
        .iter()
        .filter(|known| known.vendor == vendor)
        .find(|known| {
            model.strip_prefix(known.model).is_some_and(|rest| {
                rest.is_empty()
                    || rest == "-latest"
                    || (rest.starts_with("-2") && rest.len() >= 9 && is_date(&rest[1..]))
            })
        })
}

fn is_date(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || b == b'-')
}

/// What a call cost, in micro-dollars, rounded up. `input_tokens` holds the cached ones too.
#[must_use]
pub fn cost_micros(cost: &Cost, usage: Usage) -> u64 {
    let cached = usage
        .cache_read_tokens
        .saturating_add(usage.cache_write_tokens);
    let fresh = usage.input_tokens.saturating_sub(cached);
    let parts = [
        (fresh, cost.input),
        (usage.cache_read_tokens, cost.cache_read),
        (usage.cache_write_tokens, cost.cache_write),
        (usage.output_tokens, cost.output),
    ];
    let sum: u128 = parts
        .iter()
        .map(|(tokens, price)| u128::from(*tokens) * u128::from(price.micros()))
        .sum();
    u64::try_from(sum.div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dated_names_count_and_other_models_do_not() {
        assert_eq!(
            find("anthropic", "claude-sonnet-4-5-20250929")
                .unwrap()
                .model,
            "claude-sonnet-4-5"
        );
        assert_eq!(
            find("anthropic", "claude-sonnet-4-20250514").unwrap().model,
            "claude-sonnet-4"
        );
        assert_eq!(
            find("openai", "gpt-5-mini-2025-08-07").unwrap().model,
            "gpt-5-mini"
        );
        assert!(find("openai", "gpt-5-turbo").is_none());
        assert!(find("openrouter", "gpt-5").is_none());
    }

    #[test]
    fn cached_tokens_are_not_paid_twice() {
        let cost = find("anthropic", "claude-sonnet-4-5").unwrap().cost();
        let usage = Usage {
            input_tokens: 1_000_000,
            output_tokens: 100_000,
            cache_read_tokens: 600_000,
            cache_write_tokens: 100_000,
            reasoning_tokens: 50_000,
        };
        // 0.3 M fresh at 3, 0.6 M read at 0.3, 0.1 M written at 3.75, 0.1 M out at 15 dollars
        assert_eq!(
            cost_micros(&cost, usage),
            900_000 + 180_000 + 375_000 + 1_500_000
        );
    }
}
