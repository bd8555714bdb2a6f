//! Fields that both endpoints share: reading JSON with the failing field named, ranges, tools.

use instar_protocol::model::ToolChoice;
use instar_protocol::tool::{ToolCall, ToolSpec};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::problem::{Problem, shorten};

/// The most tools of a caller's own in one request.
pub(crate) const TOOLS_MAX: usize = 128;
/// The longest description of a caller's tool.
const DESCRIPTION_CHARS_MAX: usize = 8_000;
/// The most stop sequences.
const STOPS_MAX: usize = 4;
/// The longest `user` value.
const USER_BYTES_MAX: usize = 512;
/// More output tokens than any model gives.
const OUTPUT_TOKENS_MAX: u64 = 10_000_000;

/// Reads a body; the refusal names the field that did not fit.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value: T = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if inner.is_data() && path != "." {
            Problem::invalid(path.clone(), format!("{path}: {inner}"))
        } else {
            Problem::body(format!("the body is not the expected JSON: {inner}"))
        }
    })?;
    reader
        .end()
        .map_err(|_| Problem::body("there is more after the end of the JSON body"))?;
    Ok(value)
}

/// A number within its documented range.
pub(crate) fn range(
    param: &str,
    value: Option<f64>,
    min: f64,
    max: f64,
) -> Result<Option<f64>, Problem> {
    match value {
        Some(number) if !(min..=max).contains(&number) => Err(Problem::invalid(
            param,
            format!("{param} has to be between {min} and {max}, not {number}"),
        )),
        fine => Ok(fine),
    }
}

/// A positive number of tokens.
pub(crate) fn tokens(param: &str, value: Option<u64>) -> Result<Option<u32>, Problem> {
    let Some(number) = value else {
        return Ok(None);
    };
    if !(1..=OUTPUT_TOKENS_MAX).contains(&number) {
        return Err(Problem::invalid(
            param,
            format!("{param} has to be between 1 and {OUTPUT_TOKENS_MAX}, not {number}"),
        ));
    }
    Ok(u32::try_from(number).ok())
}

/// One or several stop sequences.
#[derive(Deserialize, Debug, Clone)]
#[serde(untagged)]
pub(crate) enum Stop {
    One(String),
    Many(Vec<String>),
}

pub(crate) fn stops(stop: Option<Stop>) -> Result<Vec<String>, Problem> {
    let list = match stop {
        None => Vec::new(),
        Some(Stop::One(one)) => vec![one],
        Some(Stop::Many(many)) => many,
    };
    if list.len() > STOPS_MAX {
        return Err(Problem::invalid(
            "stop",
            format!("at most {STOPS_MAX} stop sequences are accepted"),
        ));
    }
    if list.iter().any(|stop| stop.is_empty() || stop.len() > 500) {
        return Err(Problem::invalid(
            "stop",
            "a stop sequence has to have 1 to 500 bytes",
        ));
    }
    Ok(list)
}

pub(crate) fn user(user: Option<String>) -> Result<Option<String>, Problem> {
    match user {
        Some(name) if name.len() > USER_BYTES_MAX => Err(Problem::invalid(
            "user",
            format!("user may have at most {USER_BYTES_MAX} bytes"),
        )),
        Some(name) if name.trim().is_empty() => Ok(None),
        other => Ok(other),
    }
}

/// A caller's own function, checked. `at` is the field's path for the refusal.
pub(crate) fn tool(
    at: &str,
    name: String,
    description: Option<String>,
    parameters: Option<Value>,
) -> Result<ToolSpec, Problem> {
    let named = (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if !named {
        return Err(Problem::invalid(
            format!("{at}.name"),
            format!(
                "'{}' is not 1 to 64 letters, digits, '_' or '-'",
                shorten(&name)
            ),
        ));
    }
    let description = description.unwrap_or_default();
    if description.chars().count() > DESCRIPTION_CHARS_MAX {
        return Err(Problem::invalid(
            format!("{at}.description"),
            format!("a description may have at most {DESCRIPTION_CHARS_MAX} characters"),
        ));
    }
    let parameters = parameters
        .filter(|value| !value.is_null())
        .unwrap_or_else(|| json!({"type": "object", "properties": {}}));
    let object = parameters
        .as_object()
        .is_some_and(|schema| schema.get("type").is_none_or(|kind| kind == "object"));
    if !object {
        return Err(Problem::invalid(
            format!("{at}.parameters"),
            "parameters have to be a JSON Schema of type object",
        ));
    }
    Ok(ToolSpec {
        name,
        description,
        parameters,
    })
}

/// Checks the list as a whole and the choice against it.
pub(crate) fn tool_choice(
    tools: &[ToolSpec],
    choice: Option<&Value>,
) -> Result<ToolChoice, Problem> {
    if tools.len() > TOOLS_MAX {
        return Err(Problem::invalid(
            "tools",
            format!("at most {TOOLS_MAX} tools are accepted"),
        ));
    }
    for (index, tool) in tools.iter().enumerate() {
        if tools[..index].iter().any(|other| other.name == tool.name) {
            return Err(Problem::invalid(
                "tools",
                format!("there are two tools called '{}'", tool.name),
            ));
        }
    }
    let named = |name: &str| {
        if tools.iter().any(|tool| tool.name == name) {
            Ok(ToolChoice::Named(name.to_owned()))
        } else {
            Err(Problem::invalid(
                "tool_choice",
                format!("there is no tool called '{}'", shorten(name)),
            ))
        }
    };
    match choice {
        None | Some(Value::Null) => Ok(ToolChoice::Auto),
        Some(Value::String(word)) => match word.as_str() {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" if tools.is_empty() => Err(Problem::invalid(
                "tool_choice",
                "tool_choice 'required' needs at least one tool",
            )),
            "required" => Ok(ToolChoice::Required),
            other => Err(Problem::invalid(
                "tool_choice",
                format!(
                    "tool_choice is auto, none, required or a named function, not '{}'",
                    shorten(other)
                ),
            )),
        },
        Some(choice) => choice
            .get("function")
            .unwrap_or(choice)
            .get("name")
            .and_then(Value::as_str)
            .filter(|_| choice.get("type").is_some_and(|kind| kind == "function"))
            .ok_or_else(|| Problem::invalid("tool_choice", "only functions can be chosen by name"))
            .and_then(named),
    }
}

/// A call that the caller repeats from an earlier answer.
pub(crate) fn earlier_call(id: String, name: String, arguments: String) -> ToolCall {
    ToolCall {
        id,
        name,
        arguments: serde_json::from_str(&arguments).unwrap_or(Value::String(arguments)),
    }
}

/// A call's arguments as the text that clients parse.
pub(crate) fn arguments_text(call: &ToolCall) -> String {
    match &call.arguments {
        Value::String(raw) => raw.clone(),
        value => value.to_string(),
    }
}

/// Refuses output formats that the gateway cannot hold to.
pub(crate) fn plain_format(param: &str, format: Option<&Value>) -> Result<(), Problem> {
    match format.and_then(|format| format.get("type")) {
        None => Ok(()),
        Some(kind) if kind == "text" => Ok(()),
        Some(kind) => Err(Problem::invalid(
            param,
            format!(
                "output format {} is not supported; describe the shape in the messages",
                shorten(&kind.to_string())
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_name_their_field() {
        for bad in [-0.1, 2.1, f64::NAN] {
            let problem = range("temperature", Some(bad), 0.0, 2.0).unwrap_err();
            assert_eq!(problem.param.as_deref(), Some("temperature"));
        }
        assert_eq!(range("top_p", Some(1.0), 0.0, 1.0), Ok(Some(1.0)));
        assert!(tokens("max_tokens", Some(0)).is_err());
        assert_eq!(tokens("max_tokens", Some(5)), Ok(Some(5)));
    }

    #[test]
    fn a_wrong_type_names_its_path() {
        #[derive(Debug, Deserialize)]
        struct Body {
            #[expect(dead_code, reason = "read for its error alone")]
            items: Vec<u32>,
        }
        let problem = read::<Body>(br#"{"items":[1,"x"]}"#).unwrap_err();
        assert_eq!(problem.param.as_deref(), Some("items[1]"));
        assert!(read::<Body>(b"{").unwrap_err().param.is_none());
        assert!(read::<Body>(br#"{"items":[]} x"#).is_err());
    }

    #[test]
    fn a_choice_has_to_name_a_tool_that_is_there() {
        let tools = vec![tool("tools[0]", "add".to_owned(), None, None).unwrap()];
        let chat = json!({"type": "function", "function": {"name": "add"}});
        let responses = json!({"type": "function", "name": "add"});
        for choice in [chat, responses] {
            assert_eq!(
                tool_choice(&tools, Some(&choice)),
                Ok(ToolChoice::Named("add".to_owned()))
            );
        }
        for bad in [
            json!({"type": "function", "name": "x"}),
            json!("any"),
            json!(3),
            json!({"type": "mcp", "name": "add"}),
        ] {
            assert!(tool_choice(&tools, Some(&bad)).is_err(), "{bad}");
        }
        assert!(tool_choice(&[], Some(&json!("required"))).is_err());
        let twice = [tools.clone(), tools].concat();
        assert!(tool_choice(&twice, None).is_err());
    }

    #[test]
    fn tool_names_and_schemas_are_checked() {
        for bad in ["", "a b", "a/b", &"x".repeat(65)] {
            assert!(tool("tools[0]", bad.to_owned(), None, None).is_err());
        }
        assert!(tool("t", "x".to_owned(), None, Some(json!([]))).is_err());
        assert!(tool("t", "x".to_owned(), None, Some(json!({"type": "string"}))).is_err());
    }
}
