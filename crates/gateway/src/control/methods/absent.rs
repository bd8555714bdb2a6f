//! What this gateway does not have yet, said truthfully: lists that are empty because nothing is
//! there. Clients ask for them at their start.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::control::method::{Call, Method, Need, Refusal, Scope};

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "channels.status",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(channels_status(call)),
    },
    Method {
        name: "plugin.approval.list",
        need: Need::Scope(Scope::Approvals),
        advertised: true,
        run: |call| Box::pin(approvals(call)),
    },
];

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct ChannelParams {
    channel: Option<String>,
}

async fn channels_status(call: Call) -> Result<Value, Refusal> {
    let params: ChannelParams = call.read(&["probe", "timeoutMs"])?;
    if let Some(channel) = params.channel {
        let channel: String = channel.chars().take(80).collect();
        return Err(Refusal::invalid(format!("unknown channel: {channel}")));
    }
    Ok(json!({
        "ts": call.app.clock.now().millis(),
        "channelOrder": [],
        "channelLabels": {},
        "channelDetailLabels": {},
        "channelSystemImages": {},
        "channelMeta": [],
        "channels": {},
        "channelAccounts": {},
        "channelDefaultAccountId": {},
    }))
}

/// Plug-ins ask nothing of their own: every question is about a call.
async fn approvals(call: Call) -> Result<Value, Refusal> {
    let Nothing {} = call.params()?;
    Ok(json!([]))
}
