//! What the tests of tools are built over: a house without secrets, and its owner who calls.

use instar_config::StateDir;
use instar_egress::Egress;
use instar_protocol::principal::Via;
use instar_protocol::{
    AgentId, Clock, Label, Principal, RunId, Secret, SecretRef, SecretSource, SessionId,
    SessionKey, Timestamp,
};
use instar_store::Store;
use instar_tools::Caller;
use serde_json::json;
use std::sync::Arc;

use super::{Parts, browser};
use crate::app::{ConfigHandle, Current};
use crate::config::InstarConfig;

#[derive(Debug)]
struct Nothing;

impl SecretSource for Nothing {
    fn secret(&self, _reference: &SecretRef) -> Result<Secret, String> {
        Err("there are none".to_owned())
    }
}

pub(crate) fn parts(
    store: &Store,
    config: InstarConfig,
    state: StateDir,
    clock: Arc<dyn Clock>,
) -> Parts {
    let egress = Egress::new("test");
    let config = ConfigHandle::new(Current {
        value: config,
        files: Vec::new(),
        hash: String::new(),
        document: json!({}),
    });
    Parts {
        store: store.clone(),
        browsers: browser::browsers(&state, &config, &egress),
        config,
        state,
        clock,
        egress,
        secrets: Arc::new(Nothing),
    }
}

pub(crate) fn owner() -> Caller {
    Caller {
        agent: AgentId::main(),
        session: SessionId::new(Timestamp::from_millis(1), [1; 10]),
        key: SessionKey::main(&AgentId::main()),
        run: RunId::new(Timestamp::from_millis(1), [1; 10]),
        principal: Principal::Owner { via: Via::Local },
        context: Label::owner(),
        overlay: None,
        skills: None,
    }
}
