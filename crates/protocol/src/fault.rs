//! Faults: failures of one kind in one place, and what was counted of them.
//!
//! A fault is counted from the event log alone. What names its kind and its template is a proposal of
//! the improvement plane; when it was seen, where and how often is not.

use serde::{Deserialize, Serialize};

/// The nineteen kinds of signs that something went wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalKind {
    /// A program ended with another code than zero, or by a signal.
    ExitCode,
    /// An exception or panic, by its class.
    Exception,
    /// A tool did not take the shape of its arguments.
    ArgumentShape,
    /// An HTTP status of 400 or above.
    HttpStatus,
    /// A model's vendor failed, by the class of its error.
    ProviderError,
    Timeout,
    /// It worked, but not at the first try.
    Retries,
    /// The user said that it was wrong.
    Correction,
    /// The turn was cut off before it had answered.
    Abandoned,
    /// A turn cost many times what turns cost here.
    CostSpike,
    /// The same call again and again.
    RepeatedCall,
    /// A tool failed in a way that no other kind names.
    ToolError,
    /// A call that policy refused.
    RefusedCall,
    /// A limit on requests or a quota was reached.
    RateLimit,
    /// No connection, no name, no route.
    Network,
    /// More than the model's window holds.
    ContextLength,
    /// A file, page or thing that is not there.
    NotFound,
    /// Something may not be read, written or run.
    Permission,
    /// A disk is full, or what was stored cannot be read.
    Storage,
}

impl SignalKind {
    pub const ALL: [Self; 19] = [
        Self::ExitCode,
        Self::Exception,
        Self::ArgumentShape,
        Self::HttpStatus,
        Self::ProviderError,
        Self::Timeout,
        Self::Retries,
        Self::Correction,
        Self::Abandoned,
        Self::CostSpike,
        Self::RepeatedCall,
        Self::ToolError,
        Self::RefusedCall,
        Self::RateLimit,
        Self::Network,
        Self::ContextLength,
        Self::NotFound,
        Self::Permission,
        Self::Storage,
    ];

    /// The name as it is stored and shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ExitCode => "exit_code",
            Self::Exception => "exception",
            Self::ArgumentShape => "argument_shape",
            Self::HttpStatus => "http_status",
            Self::ProviderError => "provider_error",
            Self::Timeout => "timeout",
            Self::Retries => "retries",
            Self::Correction => "correction",
            Self::Abandoned => "abandoned",
            Self::CostSpike => "cost_spike",
            Self::RepeatedCall => "repeated_call",
            Self::ToolError => "tool_error",
            Self::RefusedCall => "refused_call",
            Self::RateLimit => "rate_limit",
            Self::Network => "network",
            Self::ContextLength => "context_length",
            Self::NotFound => "not_found",
            Self::Permission => "permission",
            Self::Storage => "storage",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}
