//! From the words of a call to a job behind walls: what is shown, what is bound, what is told.

use instar_agent::config::{
    SandboxBackend, SandboxSettings, WorkspaceAccess, user as sandbox_user,
};
use instar_policy::canonical;
use instar_protocol::SessionKey;
use instar_protocol::approval::visible;
use instar_sandbox::bind::{Bound, bind};
use instar_sandbox::docker::{self, Docker};
use instar_sandbox::native::Maker;
use instar_sandbox::root::{Entry, Inside, Kind, Root};
use instar_sandbox::spec::{
    Access, Argv, Component, Environment, Extra, Job, Limits, Network, Walls,
};
use instar_tools::exec::Order;
use instar_tools::files::{FileError, guarded};
use instar_tools::{Caller, ToolError};
use serde_json::{Value, json};

use super::{Programs, input, seconds};
use crate::hands::files::told;

/// Most entries at the top of a workspace that are looked at for what is to be shielded.
const TOP_MAX: usize = 20_000;

/// What programs are shown beside the system's own.
pub(super) const EXTRAS: [Extra; 3] = [Extra::Opt, Extra::Certificates, Extra::TimeZone];

/// How one call would run.
pub(super) struct Plan {
    /// False: the owner has switched them off for this conversation.
    pub(super) walls: bool,
    /// Who builds them, where it is not this machine as it is.
    pub(super) maker: Option<Maker>,
    /// Set where programs are components.
    pub(super) component: Option<Component>,
    pub(super) spec: Walls,
    pub(super) argv: Argv,
    pub(super) folder: Inside,
    pub(super) environment: Environment,
    pub(super) left_out: Vec<String>,
}

impl Plan {
    pub(super) fn of(
        settings: &SandboxSettings,
        session: &SessionKey,
        order: &Order,
    ) -> Result<Self, ToolError> {
        let argv = Argv::new(order.words.clone());
        let argv = argv.map_err(|why| ToolError::Arguments(why.to_string()))?;
        let folder = match order.folder.as_str() {
            "" => Inside::root(),
            name => Inside::parse(name).map_err(|why| ToolError::Arguments(why.to_string()))?,
        };
        let (environment, left_out) = Environment::project(&order.environment);
        let component = component(settings, session, order)?;
        Ok(Self {
            component,
            walls: settings.walls(session),
            maker: maker(settings, session)?,
            spec: walls(settings, seconds(order, settings)),
            argv,
            folder,
            environment,
            left_out: left_out.into_iter().collect(),
        })
    }

    /// True if files of the workspace may be changed.
    pub(super) fn writes(&self) -> bool {
        !self.walls || self.spec.workspace == Access::Write
    }
}

fn maker(settings: &SandboxSettings, session: &SessionKey) -> Result<Option<Maker>, ToolError> {
    let docker = &settings.docker;
    match (settings.walls(session), settings.backend) {
        (false, _) => Ok(Some(Maker::Nobody)),
        (true, SandboxBackend::Native | SandboxBackend::Wasm) => Ok(None),
        (true, SandboxBackend::Docker) => {
            let image = docker.image.clone().ok_or_else(|| {
                ToolError::Failed("the owner has to name sandbox.docker.image".to_owned())
            })?;
            let named = docker.user.as_deref().and_then(sandbox_user);
            let socket = docker.socket.as_deref().unwrap_or(docker::SOCKET);
            Ok(Some(Maker::Docker(Docker {
                socket: socket.into(),
                image,
                user: named.unwrap_or_else(docker::own_user),
                cpu_thousandths: docker.cpus.map(docker::thousandths),
                pids: docker.pids_limit.map(u64::from),
                memory_bytes: docker.memory_bytes(),
                cap_drop: docker.cap_drop.clone().unwrap_or_default(),
                tmpfs: docker.tmpfs.clone().unwrap_or_default(),
            })))
        }
    }
}

fn component(
    settings: &SandboxSettings,
    session: &SessionKey,
    order: &Order,
) -> Result<Option<Component>, ToolError> {
    if !settings.walls(session) || settings.backend != SandboxBackend::Wasm {
        return Ok(None);
    }
    if !instar_sandbox::HAS_COMPONENTS {
        return Err(ToolError::Failed(
            "this build of Instar has no engine for WebAssembly components; the owner can make one that has: \
             cargo build --release --package instar-cli --features components"
                .to_owned(),
        ));
    }
    let name = order.words.first().map_or("", String::as_str);
    if order.is_shell || !name.contains('/') {
        return Err(ToolError::Arguments(
            "programs are WebAssembly components here: name one of the workspace as the first word, like \
             ./tool.wasm; there is no shell and no program of the machine"
                .to_owned(),
        ));
    }
    let usual = settings
        .limits
        .cpu_seconds
        .map_or(Limits::default().cpu_seconds, u64::from);
    let millions = settings
        .wasm
        .fuel_millions
        .map_or(usual.saturating_mul(1_000), u64::from);
    Ok(Some(Component {
        fuel: millions.saturating_mul(1_000_000),
    }))
}

fn walls(settings: &SandboxSettings, seconds: u64) -> Walls {
    let (limits, usual) = (&settings.limits, Limits::default());
    let mega = |set: Option<u32>, usual: u64| set.map_or(usual, |mb| u64::from(mb) << 20);
    Walls {
        workspace: match settings.access {
            WorkspaceAccess::None => Access::None,
            WorkspaceAccess::Ro => Access::Read,
            WorkspaceAccess::Rw => Access::Write,
        },
        extras: EXTRAS.to_vec(),
        network: if settings.network.is_empty() {
            Network::None
        } else {
            Network::Broker
        },
        limits: Limits {
            cpu_seconds: limits.cpu_seconds.map_or(usual.cpu_seconds, u64::from),
            memory_bytes: mega(limits.memory_mb, usual.memory_bytes),
            pids: limits.pids.map_or(usual.pids, u64::from),
            files: limits.files.map_or(usual.files, u64::from),
            file_bytes: mega(limits.file_mb, usual.file_bytes),
            output_bytes: usual.output_bytes,
            wall_seconds: seconds,
            together_bytes: limits.run_memory_mb.map(|mb| u64::from(mb) << 20),
            cpu_thousandths: limits.cpus.map(docker::thousandths),
        },
    }
}

impl Programs {
    /// What a call would run, as far as it can be pinned down. The same call gives the same value as
    /// long as nothing of it changed.
    pub(super) async fn bound(&self, caller: &Caller, order: &Order) -> Result<Value, ToolError> {
        let settings = self.settings(&caller.agent)?;
        let plan = Plan::of(&settings, &caller.key, order)?;
        let shows = !plan.walls || plan.spec.workspace != Access::None;
        let in_image = matches!(plan.maker, Some(Maker::Docker(_)));
        let (mut spec, argv, folder) = (plan.spec.clone(), plan.argv.clone(), plan.folder.clone());
        if !plan.walls {
            spec.workspace = Access::Write;
        }
        let bound = self.inner.files.with_root(&caller.agent, move |root| {
            let folder_is_there = root
                .stat(&folder)
                .is_ok_and(|stat| stat.kind == Kind::Folder);
            if shows && !folder.is_root() && !folder_is_there {
                return Err(FileError::NoFolder(folder.to_string()));
            }
            if in_image {
                // What the machine has under that name is not what would run.
                return Ok(Ok(Bound::of_words(&argv)));
            }
            Ok(bind(&spec, &argv, &folder, Some(root)))
        });
        let bound = bound.await?;
        let bound = bound.map_err(|why| ToolError::Failed(why.to_string()))?;
        Ok(written(order, &plan, &settings, &bound))
    }

    /// The job of a call, with the workspace held open.
    pub(super) async fn job(
        &self,
        caller: &Caller,
        order: &Order,
        plan: &Plan,
    ) -> Result<Job, ToolError> {
        let mut job = Job::new(plan.spec.clone(), plan.argv.clone());
        job.environment = plan.environment.clone();
        job.component = plan.component;
        job.folder = plan.folder.clone();
        job.input = input(order);
        if plan.walls && plan.spec.workspace == Access::None {
            job.folder = Inside::root();
            return Ok(job);
        }
        let opened = self.inner.files.with_root(&caller.agent, |root| {
            let held = root.try_clone().map_err(|why| FileError::Io {
                path: "the workspace".to_owned(),
                doing: "held",
                why: why.to_string(),
            })?;
            Ok((held, shields(root)?))
        });
        let (root, shielded) = opened.await?;
        job.workspace = Some(root);
        job.shielded = shielded;
        Ok(job)
    }
}

/// What is at the top of a workspace and shapes the agent: no program writes it.
fn shields(root: &Root) -> Result<Vec<Inside>, FileError> {
    let is_shielded = |kind: Kind| matches!(kind, Kind::File | Kind::Folder);
    let shaping = shaping(root)?;
    Ok(shaping
        .iter()
        .filter(|entry| is_shielded(entry.kind))
        .filter_map(|entry| Inside::parse(&entry.name).ok())
        .collect())
}

/// What is at the top of a workspace and shapes the agent. Where that cannot be told, nothing may be
/// taken for an answer: a program could have made more entries than are looked at.
pub(super) fn shaping(root: &Root) -> Result<Vec<Entry>, FileError> {
    let entries = root.list(&Inside::root(), TOP_MAX);
    let mut entries = entries.map_err(|error| told("the workspace", "looked through", error))?;
    entries.retain(|entry| guarded(&entry.name));
    Ok(entries)
}

/// What a decision is bound to, and what its question tells of it.
fn written(order: &Order, plan: &Plan, settings: &SandboxSettings, bound: &Bound) -> Value {
    let open = match (plan.walls, order.is_shell, &order.input) {
        (false, _, _) => Some("it would run without walls"),
        (true, true, _) => Some("a text for a shell is arbitrary code"),
        (true, false, Some(_)) => Some("what it reads may be code"),
        (true, false, None) => bound.open,
    };
    let mut value = json!({
        "executable": bound.executable,
        "identity": bound.identity,
        "scripts": bound.scripts,
        "argv": plan.argv.words(),
        "folder": order.folder,
        "environment": plan.environment.values(),
        "input": order.input.as_ref().map(|text| canonical::sha256(text.as_bytes())),
        "walls": if plan.walls { plan.spec.digest() } else { "none".to_owned() },
        "network": settings.network,
        "image": image(plan),
        "fuel": plan.component.map(|component| component.fuel),
        "tells": tells(order, plan, settings, bound, open),
    });
    if let (Some(open), Some(fields)) = (open, value.as_object_mut()) {
        let _new = fields.insert("open".to_owned(), json!(open));
    }
    value
}

/// The image that a container is made of.
fn image(plan: &Plan) -> Option<&str> {
    match &plan.maker {
        Some(Maker::Docker(docker)) => Some(docker.image.as_str()),
        _ => None,
    }
}

fn tells(
    order: &Order,
    plan: &Plan,
    settings: &SandboxSettings,
    bound: &Bound,
    open: Option<&str>,
) -> Vec<String> {
    let hash = |digest: &str| digest.chars().take(16).collect::<String>();
    let mut lines = vec![match &bound.identity {
        Some(identity) => {
            let digest = hash(&identity.sha256);
            format!("runs {} (SHA-256 {digest}…)", visible(&bound.executable))
        }
        None => format!("runs {}", visible(&bound.executable)),
    }];
    for (name, digest) in &bound.scripts {
        lines.push(format!(
            "reads {} (SHA-256 {}…)",
            visible(name),
            hash(digest)
        ));
    }
    lines.push(if plan.walls {
        let workspace = match settings.access {
            WorkspaceAccess::None => "not seen",
            WorkspaceAccess::Ro => "read only",
            WorkspaceAccess::Rw => "writable",
        };
        let network = match settings.network.as_slice() {
            [] => "none".to_owned(),
            hosts => hosts.join(", "),
        };
        let image = match (image(plan), plan.component) {
            (Some(image), _) => format!(" in a container of {}", visible(image)),
            (None, Some(_)) => " as a WebAssembly component".to_owned(),
            (None, None) => String::new(),
        };
        format!("behind walls{image}: workspace {workspace}, network {network}")
    } else {
        "WITHOUT walls: with all rights of the gateway's user".to_owned()
    });
    if order.background {
        lines.push("goes on in the background".to_owned());
    }
    if !plan.left_out.is_empty() {
        lines.push(format!(
            "not handed on: {}",
            visible(&plan.left_out.join(", "))
        ));
    }
    if let Some(open) = open {
        lines.push(format!("cannot be allowed for always: {open}"));
    }
    lines
}
