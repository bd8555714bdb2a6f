//! What this gateway does not have yet, said truthfully: lists that are empty because nothing is
//! there. Clients ask for them at their start.

use serde::Deserialize;
use serde_json::{Value, json};

use super::key;
use crate::control::method::{Call, Method, Need, Refusal, Scope};

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "cron.list",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(cron_list(call)),
    },
    Method {
        name: "cron.status",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(cron_status(call)),
    },
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
struct CronParams {
    limit: Option<u64>,
    offset: u64,
    agent_id: Option<String>,
}

/// Nothing is scheduled: whatever is asked of the jobs, none fits.
async fn cron_list(call: Call) -> Result<Value, Refusal> {
    let params: CronParams = call.read(&[
        "includeDisabled",
        "query",
        "enabled",
        "scheduleKind",
        "lastRunStatus",
        "trigger",
        "sortBy",
        "sortDir",
        "compact",
        "includeDeliveryPreviews",
    ])?;
    key::agent_or_default(&call.app, params.agent_id.as_deref())?;
    Ok(json!({
        "jobs": [],
        "snapshotRevision": "empty",
        "total": 0,
        "offset": params.offset,
        "limit": params.limit.unwrap_or(50).clamp(1, 200),
        "hasMore": false,
        "nextOffset": null,
        "deliveryPreviews": {},
    }))
}

async fn cron_status(call: Call) -> Result<Value, Refusal> {
    let Nothing {} = call.params()?;
    Ok(json!({
        "enabled": false,
        "triggersEnabled": false,
        "storage": "sqlite",
        "jobs": 0,
        "nextWakeAtMs": null,
    }))
}

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
