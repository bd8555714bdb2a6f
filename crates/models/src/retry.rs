//! Whether and when a model is asked again.

use crate::config::RetryConfig;
use crate::error::Failure;
use crate::models::Mend;
use http::HeaderMap;
use instar_protocol::event::ErrorClass;
use std::time::Duration;

/// Failures that may pass by themselves.
fn may_pass(class: ErrorClass) -> bool {
    matches!(
        class,
        ErrorClass::Rate | ErrorClass::Server | ErrorClass::Network
    )
}

/// The pause before the next attempt; `None` if there is none. `attempt` counts from one.
///
/// The pause is random over its whole length (full jitter), so that callers that failed together
/// do not come back together. A longer pause that the vendor asks for is kept to; one beyond the
/// bound means that this model is given up.
pub(crate) fn pause(
    config: &RetryConfig,
    attempt: u32,
    failure: &Failure,
    random: u64,
) -> Option<Duration> {
    if attempt >= config.max_attempts || !may_pass(failure.class) {
        return None;
    }
    let longest = config
        .base_ms
        .saturating_mul(1 << (attempt - 1).min(20))
        .min(config.max_ms);
    let jittered = Duration::from_millis(random % (longest + 1));
    match failure.retry_after {
        Some(asked) if asked > Duration::from_millis(config.max_ms) => None,
        Some(asked) => Some(asked.max(jittered)),
        None => Some(jittered),
    }
}

/// The pause before a model is asked again that would be given up, where a behaviour does so. `number`
/// counts from one.
pub(crate) fn mended(mend: &Mend, number: u32, failure: &Failure) -> Option<Duration> {
    let may_help = may_pass(failure.class)
        || matches!(failure.class, ErrorClass::Timeout | ErrorClass::Malformed);
    if number > u32::from(mend.again) || !may_help {
        return None;
    }
    let doubled = u64::from(mend.pause_ms) << (number - 1).min(8);
    Some(Duration::from_millis(doubled).max(failure.retry_after.unwrap_or_default()))
}

/// Reads `retry-after-ms` and `Retry-After` (seconds or a date).
pub(crate) fn retry_after(headers: &HeaderMap, now_millis: u64) -> Option<Duration> {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::trim)
    };
    if let Some(millis) = text("retry-after-ms").and_then(|text| text.parse::<f64>().ok()) {
        return Duration::try_from_secs_f64(millis / 1000.0).ok();
    }
    let text = text("retry-after")?;
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let at = jiff::fmt::rfc2822::parse(text)
        .ok()?
        .timestamp()
        .as_millisecond();
    let now = i64::try_from(now_millis).ok()?;
    Some(Duration::from_millis(u64::try_from(at - now).unwrap_or(0)))
}

/// Random bits; without a source of them the pause is the shortest.
pub(crate) fn random() -> u64 {
    let mut bytes = [0; 8];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u64::from_le_bytes(bytes),
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(class: ErrorClass, seconds: Option<u64>) -> Failure {
        Failure {
            retry_after: seconds.map(Duration::from_secs),
            ..Failure::new(class, "")
        }
    }

    #[test]
    fn pauses_double_within_bounds_and_honour_the_vendor() {
        let config = RetryConfig {
            max_attempts: 4,
            base_ms: 100,
            max_ms: 300,
        };
        let longest =
            |attempt, random| pause(&config, attempt, &failure(ErrorClass::Rate, None), random);
        assert_eq!(longest(1, 100), Some(Duration::from_millis(100)));
        assert_eq!(longest(2, 200), Some(Duration::from_millis(200)));
        assert_eq!(longest(3, 300), Some(Duration::from_millis(300)));
        assert_eq!(longest(3, 301), Some(Duration::ZERO));
        assert_eq!(longest(4, 0), None);
        let long = RetryConfig {
            max_ms: 5000,
            ..config.clone()
        };
        let asked = failure(ErrorClass::Rate, Some(3));
        assert_eq!(pause(&long, 1, &asked, 0), Some(Duration::from_secs(3)));
        assert_eq!(
            pause(&long, 1, &failure(ErrorClass::Rate, Some(6)), 0),
            None
        );
        for class in [
            ErrorClass::Auth,
            ErrorClass::Malformed,
            ErrorClass::Quota,
            ErrorClass::ContextLength,
        ] {
            assert_eq!(pause(&long, 1, &failure(class, None), 0), None);
        }
    }

    #[test]
    fn retry_after_comes_in_three_forms() {
        let read = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            retry_after(&headers, 1_445_412_480_000)
        };
        assert_eq!(read("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(
            read("retry-after-ms", "250"),
            Some(Duration::from_millis(250))
        );
        assert_eq!(
            read("retry-after", "Wed, 21 Oct 2015 07:28:30 GMT"),
            Some(Duration::from_secs(30))
        );
        assert_eq!(
            read("retry-after", "Wed, 21 Oct 2015 07:00:00 GMT"),
            Some(Duration::ZERO)
        );
        assert_eq!(read("retry-after", "soon"), None);
        assert_eq!(read("retry-after", "-1"), None);
    }
}
