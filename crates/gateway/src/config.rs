//! The whole configuration: each crate's part, composed, and the gateway's own.
//!
//! The types are here; what they alone cannot refuse, and which keys wait for a restart or are
//! hidden, is in `rules`.

mod rules;

use instar_agent::{
    AgentsConfig, CommandsConfig, CronConfig, LearningConfig, MessagesConfig, PolicyConfig,
    SessionConfig,
};
use instar_browser::BrowserConfig;
use instar_egress::EgressConfig;
use instar_models::ModelsConfig;
use instar_policy::Writer;
use instar_protocol::SecretRef;
use instar_tools::{McpConfig, ToolsConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::gates::ImproveConfig;
pub use rules::{is_secret, needs_restart};

/// The port that is listened on when nobody says otherwise.
pub const DEFAULT_PORT: u16 = 18_789;

/// `instar.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct InstarConfig {
    /// Where the gateway listens and who may talk to it.
    pub gateway: GatewayConfig,
    /// Who answers, with which model and within which bounds.
    pub agents: AgentsConfig,
    /// Model providers, budgets and how calls are made.
    pub models: ModelsConfig,
    /// How messages are sorted into conversations and how long these live.
    pub session: SessionConfig,
    /// What happens to messages that arrive while a turn is running.
    pub messages: MessagesConfig,
    /// Commands that are typed as messages.
    pub commands: CommandsConfig,
    /// What the event log keeps of message contents.
    pub learning: LearningConfig,
    /// How much is let through without a question.
    pub policy: PolicyConfig,
    /// How schedules are kept.
    pub cron: CronConfig,
    /// Which hosts tools and programs may reach, and through which proxy.
    pub egress: EgressConfig,
    /// Which tools agents have, and how these work.
    pub tools: ToolsConfig,
    /// Servers whose tools agents may use.
    pub mcp: McpConfig,
    /// The browser that agents have.
    pub browser: BrowserConfig,
    /// Whether the local network is told that the gateway is here.
    pub discovery: DiscoveryConfig,
    /// What is logged, and where.
    pub logging: LoggingConfig,
    /// How the agents' behaviour gets better, and how far by itself.
    pub improve: ImproveConfig,
}

impl InstarConfig {
    /// The parts that sessions and turns read.
    #[must_use]
    pub fn agent_config(&self) -> instar_agent::Config {
        instar_agent::Config {
            agents: self.agents.clone(),
            session: self.session.clone(),
            messages: self.messages.clone(),
            commands: self.commands.clone(),
            learning: self.learning.clone(),
            policy: self.policy.clone(),
            cron: self.cron.clone(),
        }
    }

    /// What types alone cannot refuse: path and message.
    #[must_use]
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = self.agent_config().problems();
        problems.extend(self.gateway.problems());
        problems.extend(self.egress.problems());
        problems.extend(self.tools.problems());
        problems.extend(self.mcp.problems());
        problems.extend(self.browser.problems());
        problems.extend(self.logging.problems());
        problems.extend(self.improve.rollout.problems());
        let posture = crate::behaviour::posture(self.policy.posture);
        if let Some(why) = instar_policy::refused(posture, &self.writers()) {
            problems.push(("policy.posture".to_owned(), why));
        }
        problems
    }

    /// Whoever besides the one owner can put words before the agent. Every part that lets somebody in
    /// adds whom; a new way in belongs here before it is opened.
    #[must_use]
    pub fn writers(&self) -> Vec<Writer> {
        self.gateway.auth.writers()
    }
}

/// The `gateway` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewayConfig {
    /// The port to listen on.
    #[schemars(range(min = 1, max = 65_535))]
    pub port: u16,
    /// The addresses to listen on. Anything but `loopback` needs `tls.enabled`, a proxy in front that
    /// signs people in (`auth.mode` `trusted-proxy`), or a network that encrypts by itself.
    pub bind: Bind,
    /// The address to listen on when `bind` is `custom`.
    pub custom_bind_host: Option<String>,
    /// The origin that people type when a proxy stands in front, for example
    /// `https://agent.example.org`.
    pub public_origin: Option<String>,
    /// Networks of yours whose links are encrypted already, such as WireGuard: `custom` may listen on an
    /// address in one of them without TLS.
    pub private_overlays: Vec<String>,
    /// TLS on the listener itself.
    pub tls: TlsConfig,
    /// How people and programs prove who they are.
    pub auth: AuthConfig,
    /// Addresses or networks of proxies whose forwarded headers are read, for example `127.0.0.1/32`.
    pub trusted_proxies: Vec<String>,
    /// The web pages.
    pub control_ui: ControlUiConfig,
    /// What happens when this file changes while the gateway runs.
    pub reload: ReloadConfig,
    /// The HTTP interfaces.
    pub http: HttpConfig,
    /// Bounds on what callers may use.
    pub limits: LimitsConfig,
    /// Days after its release from which this version answers to this machine only. When absent it
    /// never grows too old.
    #[schemars(range(min = 1, max = 3_650))]
    pub max_version_age_days: Option<u32>,
    /// How long turns may go on after the gateway was asked to stop, in seconds.
    #[schemars(range(min = 0, max = 600))]
    pub shutdown_grace_seconds: u32,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            port: DEFAULT_PORT,
            bind: Bind::default(),
            custom_bind_host: None,
            public_origin: None,
            private_overlays: Vec::new(),
            tls: TlsConfig::default(),
            auth: AuthConfig::default(),
            trusted_proxies: Vec::new(),
            control_ui: ControlUiConfig::default(),
            reload: ReloadConfig::default(),
            http: HttpConfig::default(),
            limits: LimitsConfig::default(),
            max_version_age_days: None,
            shutdown_grace_seconds: 20,
        }
    }
}

/// Where to listen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Bind {
    /// This machine only.
    #[default]
    Loopback,
    /// Every address of this machine.
    Lan,
    /// This machine's address in its tailnet, which Tailscale encrypts.
    Tailnet,
    /// The address in `customBindHost`.
    Custom,
}

/// The `discovery` section.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct DiscoveryConfig {
    /// Multicast DNS, also known as Bonjour.
    pub mdns: MdnsConfig,
}

/// The `discovery.mdns` section.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct MdnsConfig {
    /// What machines of the same network are told. They are told nothing while the gateway listens on
    /// this machine only, or in a tailnet.
    pub mode: MdnsMode,
}

/// What is told over multicast DNS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MdnsMode {
    /// Nothing.
    #[default]
    Off,
    /// That there is a gateway, its port and its certificate's fingerprint.
    Minimal,
    /// The name of the machine, the version, the path of the program and the port of SSH, too.
    Full,
}

/// The `gateway.tls` section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct TlsConfig {
    /// Speak TLS, and nothing else.
    pub enabled: bool,
    /// The certificate with its chain, in PEM. It is read again when the file changes.
    pub cert_path: Option<String>,
    /// The certificate's private key, in PEM.
    pub key_path: Option<String>,
    /// Make a certificate that vouches for itself, when no paths are given. Its fingerprint is shown
    /// at the start and by `instar status`: compare it with what your browser says.
    pub auto_generate: bool,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            cert_path: None,
            key_path: None,
            auto_generate: true,
        }
    }
}

/// The `gateway.auth` section.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthConfig {
    /// `token`: a token made at the first start; `password`: the one behind `password`;
    /// `trusted-proxy`: a proxy in front says who it is.
    pub mode: AuthMode,
    /// Where the password is kept, for mode `password`.
    pub password: Option<SecretRef>,
    /// When wrong attempts lock the door.
    pub rate_limit: RateLimitConfig,
    /// What the proxy in front says, for mode `trusted-proxy`.
    pub trusted_proxy: TrustedProxyConfig,
    /// Let in who Cloudflare Access vouches for, whatever the mode.
    pub cloudflare_access: Option<AccessConfig>,
    /// Let in who Tailscale knows behind an address of your tailnet, whatever the mode.
    pub allow_tailscale: bool,
    /// Who of the tailnet is the owner.
    pub tailscale: TailscaleConfig,
    /// Days after which the gateway makes a new API token by itself, for mode `token`. The old one
    /// stops working then; `instar token take` shows the new one once.
    #[schemars(range(min = 1, max = 3_650))]
    pub rotate_every_days: Option<u32>,
}

/// How callers prove who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AuthMode {
    #[default]
    Token,
    Password,
    TrustedProxy,
}

impl AuthMode {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Password => "password",
            Self::TrustedProxy => "trusted-proxy",
        }
    }
}

/// The `gateway.auth.rateLimit` section. It holds for every secret and every peer, loopback included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimitConfig {
    /// Wrong attempts of one peer before it is locked out.
    #[schemars(range(min = 1, max = 1_000))]
    pub max_attempts: u32,
    /// The time in which they are counted, in milliseconds.
    #[schemars(range(min = 1_000, max = 3_600_000))]
    pub window_ms: u32,
    /// How long the lock-out lasts, in milliseconds.
    #[schemars(range(min = 1_000, max = 86_400_000))]
    pub lockout_ms: u32,
}

impl Default for RateLimitConfig {
    fn default() -> Self {
        Self {
            max_attempts: 10,
            window_ms: 60_000,
            lockout_ms: 300_000,
        }
    }
}

/// The `gateway.auth.trustedProxy` section.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct TrustedProxyConfig {
    /// The header that names the user, for example `x-forwarded-user`.
    pub user_header: Option<String>,
    /// Headers that must be there besides.
    pub required_headers: Vec<String>,
    /// The users who are the owner.
    pub allow_users: Vec<String>,
}

/// The `gateway.auth.cloudflareAccess` section.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessConfig {
    /// The team's address, `https://TEAM.cloudflareaccess.com`.
    pub team_domain: String,
    /// The application's audience tag (AUD).
    pub audience: String,
    /// The mail addresses of the people who are the owner.
    pub allow_users: Vec<String>,
}

/// The `gateway.auth.tailscale` section.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct TailscaleConfig {
    /// The sign-in names of the people who are the owner, for example `you@example.org`.
    pub allow_users: Vec<String>,
    /// The daemon's socket. When absent: `/var/run/tailscale/tailscaled.sock`.
    pub socket: Option<String>,
}

/// The `gateway.controlUi` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ControlUiConfig {
    /// Serve the web pages.
    pub enabled: bool,
    /// Further origins whose pages may call this gateway, for example `https://desk.example.org`.
    pub allowed_origins: Vec<String>,
}

impl Default for ControlUiConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            allowed_origins: Vec::new(),
        }
    }
}

/// The `gateway.reload` section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ReloadConfig {
    /// `hybrid`: what can change at once does, the rest is reported; `off`: nothing before a restart.
    pub mode: ReloadMode,
}

/// Whether changes are taken while running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReloadMode {
    #[default]
    Hybrid,
    Off,
}

/// The `gateway.http` section.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpConfig {
    /// The interfaces for existing clients.
    pub endpoints: EndpointsConfig,
}

/// The `gateway.http.endpoints` section.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct EndpointsConfig {
    /// `/v1/chat/completions`.
    pub chat_completions: EndpointConfig,
    /// `/v1/responses`.
    pub responses: EndpointConfig,
    /// `/mcp`, and with it `instar mcp serve`.
    pub mcp: EndpointConfig,
}

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct EndpointConfig {
    /// Serve it.
    pub enabled: bool,
}

impl Default for EndpointConfig {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// The `gateway.limits` section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct LimitsConfig {
    /// Connections at once. One address may have an eighth of them, but at least 16; this machine
    /// itself and trusted proxies may have them all.
    #[schemars(range(min = 8, max = 65_536))]
    pub connections: u32,
    /// Requests of one peer in a minute that prove no identity. Who has proved one is bounded by
    /// `connections` and by the queues behind.
    #[schemars(range(min = 10, max = 100_000_000))]
    pub requests_per_minute: u32,
    /// The largest request body, in bytes. Attachments travel as base 64: 20 MiB of them, the most
    /// that one request may carry, are 27 MiB of body.
    #[schemars(range(min = 65_536, max = 268_435_456))]
    pub body_bytes: u32,
    /// How long a request's body may take to arrive, in seconds.
    #[schemars(range(min = 1, max = 600))]
    pub body_seconds: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            connections: 512,
            requests_per_minute: 1_200,
            body_bytes: 32 << 20,
            body_seconds: 30,
        }
    }
}

/// The `logging` section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct LoggingConfig {
    /// What goes into the log file.
    pub level: Level,
    /// The log file. When absent: `logs/instar.log` in the state folder.
    pub file: Option<String>,
    /// The size at which a new file is begun; five are kept.
    #[schemars(range(min = 65_536, max = 1_073_741_824))]
    pub max_file_bytes: u32,
    /// What goes to the terminal.
    pub console_level: Level,
    /// How the terminal shows it.
    pub console_style: ConsoleStyle,
    /// Words and beginnings of words that are masked in the log and on the terminal, with what
    /// follows them up to the end of the word. They are plain text, told apart by case.
    pub redact_patterns: Vec<String>,
}

impl Default for LoggingConfig {
    fn default() -> Self {
        Self {
            level: Level::Info,
            file: None,
            max_file_bytes: 8 << 20,
            console_level: Level::Warn,
            console_style: ConsoleStyle::Pretty,
            redact_patterns: Vec::new(),
        }
    }
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// How the terminal shows log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ConsoleStyle {
    Pretty,
    Json,
}
