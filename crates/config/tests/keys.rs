//! The generated reference.

use instar_config::{keys, markdown};

use crate::support::Sample;

#[test]
fn every_key_is_told() {
    let lines: Vec<_> = keys::<Sample>()
        .into_iter()
        .map(|key| {
            let default = key
                .default
                .map_or_else(|| "-".to_owned(), |default| default.to_string());
            format!(
                "{} | {} | {default} | {}",
                key.path,
                key.kind,
                key.docs.replace('\n', "/")
            )
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    gateway | an object | {"port":18789,"bind":"loopback","publicOrigin":null,"trustedProxies":[],"auth":{"token":null}} | How the gateway is reached.
    gateway.port | a whole number from 1 to 65535 | 18789 | The TCP port.//Ports below 1024 need rights.
    gateway.bind | one of "lan", "custom", "loopback" | "loopback" | `loopback`: This machine alone.
    gateway.publicOrigin | text | - | 
    gateway.trustedProxies | a list of text | [] | 
    gateway.auth | an object | {"token":null} | 
    gateway.auth.token | a reference to a secret | - | Where a secret is kept. Configuration holds these, never the secret itself.
    agents | an object | {"defaults":{"model":null,"temperature":0.7,"bootstrapMaxChars":20000},"entries":{}} | 
    agents.defaults | an object | {"model":null,"temperature":0.7,"bootstrapMaxChars":20000} | 
    agents.defaults.model | text or an object | - | A model by name, or with what follows when it fails.
    agents.defaults.model.primary | text | - | 
    agents.defaults.model.fallbacks | a list of text | [] | 
    agents.defaults.temperature | a number | 0.7 | 
    agents.defaults.bootstrapMaxChars | a whole number from 0 to 4294967295 | 20000 | 
    agents.entries | objects by name | {} | 
    agents.entries.<id>.name | text | - | 
    agents.entries.<id>.model | text or an object | - | A model by name, or with what follows when it fails.
    agents.entries.<id>.model.primary | text | - | 
    agents.entries.<id>.model.fallbacks | a list of text | [] | 
    models | an object | {"providers":{}} | 
    models.providers | objects by name | {} | 
    models.providers.<id>.baseUrl | text | - | 
    models.providers.<id>.apiKey | a reference to a secret | - | Where a secret is kept. Configuration holds these, never the secret itself.
    models.providers.<id>.headers | text by name | {} | 
    bindings | a list of objects | [] | 
    bindings[].agentId | text | - | 
    bindings[].match | an object | - | 
    bindings[].match.kind | "channel" or "everything" | - | 
    bindings[].match.id | text | - |
    "#);
}

#[test]
fn the_page_is_markdown() {
    insta::assert_snapshot!(markdown::<Sample>(), @r#"
    # Configuration

    Every key of `instar.json`. This page is generated from the types that read the file.

    ## `gateway`

    How the gateway is reached.

    | key | value | default | meaning |
    | --- | --- | --- | --- |
    | `gateway.port` | a whole number from 1 to 65535 | `18789` | The TCP port. Ports below 1024 need rights. |
    | `gateway.bind` | one of "lan", "custom", "loopback" | `"loopback"` | `loopback`: This machine alone. |
    | `gateway.publicOrigin` | text |  |  |
    | `gateway.trustedProxies` | a list of text | `[]` |  |
    | `gateway.auth` | an object |  |  |
    | `gateway.auth.token` | a reference to a secret |  | Where a secret is kept. Configuration holds these, never the secret itself. |

    ## `agents`

    | key | value | default | meaning |
    | --- | --- | --- | --- |
    | `agents.defaults` | an object |  |  |
    | `agents.defaults.model` | text or an object |  | A model by name, or with what follows when it fails. |
    | `agents.defaults.model.primary` | text |  |  |
    | `agents.defaults.model.fallbacks` | a list of text | `[]` |  |
    | `agents.defaults.temperature` | a number | `0.7` |  |
    | `agents.defaults.bootstrapMaxChars` | a whole number from 0 to 4294967295 | `20000` |  |
    | `agents.entries` | objects by name |  |  |
    | `agents.entries.<id>.name` | text |  |  |
    | `agents.entries.<id>.model` | text or an object |  | A model by name, or with what follows when it fails. |
    | `agents.entries.<id>.model.primary` | text |  |  |
    | `agents.entries.<id>.model.fallbacks` | a list of text | `[]` |  |

    ## `models`

    | key | value | default | meaning |
    | --- | --- | --- | --- |
    | `models.providers` | objects by name |  |  |
    | `models.providers.<id>.baseUrl` | text |  |  |
    | `models.providers.<id>.apiKey` | a reference to a secret |  | Where a secret is kept. Configuration holds these, never the secret itself. |
    | `models.providers.<id>.headers` | text by name |  |  |

    ## `bindings`

    | key | value | default | meaning |
    | --- | --- | --- | --- |
    | `bindings[].agentId` | text |  |  |
    | `bindings[].match` | an object |  |  |
    | `bindings[].match.kind` | "channel" or "everything" |  |  |
    | `bindings[].match.id` | text |  |  |
    "#);
}
