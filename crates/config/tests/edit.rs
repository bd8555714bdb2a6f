//! Changing keys, backups, the journal and the watch.

use instar_config::journal::{self, Anomaly};
use instar_config::{Author, ConfigError, Watch, diff, get, parse_value, set, unset};
use serde_json::{Value, json};

use crate::support::{Sample, mode, no_env, state_with};

fn author() -> Author {
    Author {
        who: "test".to_owned(),
        pid: 7,
    }
}

/// Sets one key in a text and gives back the text, or the error.
fn edited(text: &str, path: &str, value: &Value) -> Result<String, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let state = state_with(folder.path(), text);
    set::<Sample>(&state, path, value, &author(), &no_env)?;
    Ok(std::fs::read_to_string(state.config_file()).unwrap())
}

const COMMENTED: &str = "// mine\n{\n  // how to reach it\n  gateway: {\n    port: 0x1F90, // not the usual one\n    'bind': 'lan',\n  },\n  /* agents */\n  agents: { entries: { 'my.agent': { name: 'A' } } },\n}\n";

#[test]
fn set_keeps_comments_and_order() {
    insta::assert_snapshot!(edited(COMMENTED, "gateway.port", &json!(9000)).unwrap(), @"
    // mine
    {
      // how to reach it
      gateway: {
        port: 9000, // not the usual one
        'bind': 'lan',
      },
      /* agents */
      agents: { entries: { 'my.agent': { name: 'A' } } },
    }
    ");
    insta::assert_snapshot!(edited(COMMENTED, "gateway.auth.token", &json!({"source": "env", "id": "T"})).unwrap(), @r#"
    // mine
    {
      // how to reach it
      gateway: {
        port: 0x1F90, // not the usual one
        'bind': 'lan',
        "auth": {
          "token": {
            "source": "env",
            "id": "T",
          },
        },
      },
      /* agents */
      agents: { entries: { 'my.agent': { name: 'A' } } },
    }
    "#);
    insta::assert_snapshot!(edited(COMMENTED, "agents.entries[\"my.agent\"].name", &json!("B \"q\"\n")).unwrap(), @r#"
    // mine
    {
      // how to reach it
      gateway: {
        port: 0x1F90, // not the usual one
        'bind': 'lan',
      },
      /* agents */
      agents: { entries: { 'my.agent': { name: "B \"q\"\n" } } },
    }
    "#);
    insta::assert_snapshot!(edited("", "gateway.trustedProxies[0]", &json!("10.0.0.1")).unwrap(), @r#"
    {
      "gateway": {
        "trustedProxies": ["10.0.0.1"]
      }
    }
    "#);
}
