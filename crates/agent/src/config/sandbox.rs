//! The `sandbox` part of agents: which walls their programs run behind.

use super::container::{self, DockerConfig};
use instar_protocol::SessionKey;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Walls around the programs that an agent starts. What an agent does not say, the defaults do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct SandboxConfig {
    /// Which conversations' programs run behind walls: `all` (as installed), `non-main` (all but the
    /// agent's main conversation), or `off`.
    pub mode: Option<SandboxMode>,
    /// Who shares a set of walls. The native back end makes walls of its own for each run, whatever
    /// stands here.
    pub scope: Option<SandboxScope>,
    /// What programs see of the workspace: `none`, `ro` (they read it) or `rw` (as installed: they
    /// write in it, too, but not to what shapes the agent).
    pub workspace_access: Option<WorkspaceAccess>,
    /// Who builds the walls.
    pub backend: Option<SandboxBackend>,
    /// The hosts that programs reach: `example.org`, `*.example.org`, `example.org:8443`. As installed
    /// none. What `egress` denies stays denied.
    pub network: Option<Vec<String>>,
    /// Let programs run without walls also in a conversation that has read what others wrote. Without
    /// this, `mode: off` refuses to run anything there.
    pub dangerously_allow_untrusted_without_walls: Option<bool>,
    /// What a program may use up.
    pub limits: SandboxLimits,
    /// The container, for the back end `docker`.
    pub docker: DockerConfig,
    /// The engine, for the back end `wasm`.
    pub wasm: WasmConfig,
}

/// Which conversations' programs run behind walls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SandboxMode {
    /// None: programs have the rights of the gateway's user.
    Off,
    /// All but the agent's main conversation.
    NonMain,
    /// All.
    #[default]
    All,
}

/// Who shares a set of walls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SandboxScope {
    /// The runs of one conversation.
    #[default]
    Session,
    /// The runs of one agent.
    Agent,
    /// All runs.
    Shared,
}

/// What programs see of the workspace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WorkspaceAccess {
    /// An empty folder instead.
    None,
    /// All of it, to read.
    Ro,
    /// All of it, to read and write.
    #[default]
    Rw,
}

/// Who builds the walls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SandboxBackend {
    /// The machine itself, without privilege and without a service.
    #[default]
    Native,
    /// A container engine of this machine, over its Unix socket.
    Docker,
    /// The machine itself, and inside these walls an engine that runs WebAssembly components of the
    /// workspace and nothing else.
    Wasm,
}

/// What a WebAssembly component may use up beside `limits`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct WasmConfig {
    /// Steps that a component may take, in millions; about one for each instruction. When absent a thousand
    /// for each second of `limits.cpuSeconds`.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub fuel_millions: Option<u32>,
}

/// What a program may use up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct SandboxLimits {
    /// Processor time, in seconds; 120 when absent.
    #[schemars(range(min = 1, max = 86_400))]
    pub cpu_seconds: Option<u32>,
    /// Memory of one process, in megabytes; 2048 when absent.
    #[schemars(range(min = 16, max = 1_048_576))]
    pub memory_mb: Option<u32>,
    /// Memory of all processes of a run together, in megabytes. When absent twice `memoryMb`, where the
    /// machine hands control groups to the gateway; when set, nothing runs where it does not.
    #[schemars(range(min = 16, max = 1_048_576))]
    pub run_memory_mb: Option<u32>,
    /// Processors of all processes of a run together, for example 1.5. When absent all; when set, nothing
    /// runs where the machine hands no control groups to the gateway.
    #[schemars(range(min = 0.01, max = 1_024.0))]
    pub cpus: Option<f64>,
    /// Processes and threads together; 256 when absent.
    #[schemars(range(min = 4, max = 65_536))]
    pub pids: Option<u32>,
    /// Open files of one process; 1024 when absent.
    #[schemars(range(min = 16, max = 65_536))]
    pub files: Option<u32>,
    /// The largest file that it may write, in megabytes; 1024 when absent.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub file_mb: Option<u32>,
    /// The longest that it may run, in seconds; 300 when absent, 3600 in the background.
    #[schemars(range(min = 1, max = 3_600))]
    pub wall_seconds: Option<u32>,
    /// Programs in the background of one conversation at once; 4 when absent.
    #[schemars(range(min = 1, max = 64))]
    pub jobs: Option<u32>,
}

/// The walls of one agent, with the defaults filled in.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SandboxSettings {
    pub mode: SandboxMode,
    pub scope: SandboxScope,
    pub access: WorkspaceAccess,
    pub backend: SandboxBackend,
    pub network: Vec<String>,
    pub untrusted_without_walls: bool,
    pub limits: SandboxLimits,
    pub docker: DockerConfig,
    pub wasm: WasmConfig,
}

impl SandboxSettings {
    /// Whether programs of a conversation run behind walls.
    #[must_use]
    pub fn walls(&self, session: &SessionKey) -> bool {
        match self.mode {
            SandboxMode::All => true,
            SandboxMode::NonMain => !session.is_main(),
            SandboxMode::Off => false,
        }
    }
}

/// What an agent says, and else the defaults.
pub(super) fn settings(own: &SandboxConfig, defaults: &SandboxConfig) -> SandboxSettings {
    let (mine, shared) = (&own.limits, &defaults.limits);
    let untrusted = own
        .dangerously_allow_untrusted_without_walls
        .or(defaults.dangerously_allow_untrusted_without_walls);
    SandboxSettings {
        mode: own.mode.or(defaults.mode).unwrap_or_default(),
        scope: own.scope.or(defaults.scope).unwrap_or_default(),
        access: own
            .workspace_access
            .or(defaults.workspace_access)
            .unwrap_or_default(),
        backend: own.backend.or(defaults.backend).unwrap_or_default(),
        network: own
            .network
            .clone()
            .or_else(|| defaults.network.clone())
            .unwrap_or_default(),
        untrusted_without_walls: untrusted.unwrap_or(false),
        limits: SandboxLimits {
            cpu_seconds: mine.cpu_seconds.or(shared.cpu_seconds),
            memory_mb: mine.memory_mb.or(shared.memory_mb),
            run_memory_mb: mine.run_memory_mb.or(shared.run_memory_mb),
            cpus: mine.cpus.or(shared.cpus),
            pids: mine.pids.or(shared.pids),
            files: mine.files.or(shared.files),
            file_mb: mine.file_mb.or(shared.file_mb),
            wall_seconds: mine.wall_seconds.or(shared.wall_seconds),
            jobs: mine.jobs.or(shared.jobs),
        },
        docker: container::settings(&own.docker, &defaults.docker),
        wasm: WasmConfig {
            fuel_millions: own.wasm.fuel_millions.or(defaults.wasm.fuel_millions),
        },
    }
}

/// Whether a number of processors can be asked for.
pub(super) fn is_share(cpus: f64) -> bool {
    (0.01..=1_024.0).contains(&cpus)
}

/// What the back end `wasm` cannot give: key of the sandbox, and expectation.
pub(super) fn beyond_components(
    own: &SandboxConfig,
    defaults: &SandboxConfig,
) -> Option<(&'static str, &'static str)> {
    let all = settings(own, defaults);
    if all.backend != SandboxBackend::Wasm {
        None
    } else if !all.network.is_empty() {
        Some(("network", "no hosts: a component has no sockets"))
    } else if all.access == WorkspaceAccess::None {
        Some((
            "workspaceAccess",
            "ro or rw: components are files of the workspace",
        ))
    } else {
        None
    }
}

/// What is out of range: key and expectation.
pub(super) fn out_of_range(config: &SandboxConfig) -> Vec<(&'static str, u32, u32)> {
    let limits = &config.limits;
    [
        ("limits.cpuSeconds", limits.cpu_seconds, 1, 86_400),
        ("limits.memoryMb", limits.memory_mb, 16, 1_048_576),
        ("limits.runMemoryMb", limits.run_memory_mb, 16, 1_048_576),
        ("limits.pids", limits.pids, 4, 65_536),
        ("limits.files", limits.files, 16, 65_536),
        ("limits.fileMb", limits.file_mb, 1, 1_048_576),
        ("limits.wallSeconds", limits.wall_seconds, 1, 3_600),
        ("limits.jobs", limits.jobs, 1, 64),
        (
            "wasm.fuelMillions",
            config.wasm.fuel_millions,
            1,
            1_000_000_000,
        ),
    ]
    .into_iter()
    .filter(|(_, value, low, high)| value.is_some_and(|value| !(*low..=*high).contains(&value)))
    .map(|(key, _, low, high)| (key, low, high))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_have_no_network_and_need_the_workspace() {
        let config = |text| serde_json::from_str::<SandboxConfig>(text).unwrap();
        let key =
            |own, defaults| beyond_components(&config(own), &config(defaults)).map(|(key, _)| key);
        assert_eq!(key(r#"{"backend": "wasm"}"#, "{}"), None);
        assert_eq!(
            key(r#"{"backend": "wasm"}"#, r#"{"network": ["example.org"]}"#),
            Some("network")
        );
        assert_eq!(
            key(r#"{"workspaceAccess": "none"}"#, r#"{"backend": "wasm"}"#),
            Some("workspaceAccess")
        );
        assert_eq!(key(r#"{"network": ["example.org"]}"#, "{}"), None);
    }

    #[test]
    fn an_agent_narrows_or_widens_for_itself_key_by_key() {
        let defaults = SandboxConfig {
            mode: Some(SandboxMode::NonMain),
            network: Some(vec!["a.example".to_owned()]),
            limits: SandboxLimits {
                pids: Some(9),
                ..SandboxLimits::default()
            },
            ..SandboxConfig::default()
        };
        let own = SandboxConfig {
            network: Some(Vec::new()),
            workspace_access: Some(WorkspaceAccess::Ro),
            ..SandboxConfig::default()
        };
        let all = settings(&own, &defaults);
        assert_eq!(
            (all.mode, all.access),
            (SandboxMode::NonMain, WorkspaceAccess::Ro)
        );
        assert_eq!((all.network.len(), all.limits.pids), (0, Some(9)));
        let none = settings(&SandboxConfig::default(), &SandboxConfig::default());
        assert_eq!(
            (none.mode, none.access),
            (SandboxMode::All, WorkspaceAccess::Rw)
        );
        assert!(none.network.is_empty() && !none.untrusted_without_walls);
        assert!(none.walls(&SessionKey::main(&instar_protocol::AgentId::main())));
    }
}
