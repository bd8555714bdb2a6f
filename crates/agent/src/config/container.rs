//! The `sandbox.docker` part of agents: the container that programs run in.
//!
//! Keys have the names that owners know. What can only be one value for a container to be walls takes that
//! value and refuses every other; there is no key for a mount, a device or a security profile.

use super::sandbox::{SandboxBackend, SandboxConfig, is_share, settings as sandbox_settings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most folders in memory, and the longest name of one.
const TMPFS_MAX: usize = 16;
const TMPFS_BYTES_MAX: usize = 200;
/// Where a container has what it lives from: nothing is laid over these.
const TAKEN: [&str; 13] = [
    "/work", "/proc", "/sys", "/dev", "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc",
    "/opt", "/boot",
];

/// The container that programs run in. It has no network, a root that is read only, no capability, and
/// gains none; nothing here can change that.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct DockerConfig {
    /// The image, for example `debian:bookworm-slim`. It is never fetched: run `docker pull` yourself.
    pub image: Option<String>,
    /// User and group by number, for example `1000:1000`. When absent those of the gateway.
    pub user: Option<String>,
    /// Processors, for example 1.5. When absent `limits.cpus`, else all.
    #[schemars(range(min = 0.01, max = 1_024.0))]
    pub cpus: Option<f64>,
    /// The engine's socket. When absent `/var/run/docker.sock`.
    pub socket: Option<String>,
    /// Only `none`.
    pub network: Option<String>,
    /// Only `true`.
    pub read_only_root: Option<bool>,
    /// The capabilities that it has not: `ALL` is among them.
    pub cap_drop: Option<Vec<String>>,
    /// Processes and threads together. When absent `limits.pids`.
    #[schemars(range(min = 4, max = 65_536))]
    pub pids_limit: Option<u32>,
    /// Memory of all its processes, for example `512m` or `2g`. When absent `limits.runMemoryMb`, else
    /// `limits.memoryMb`.
    pub memory: Option<String>,
    /// Folders in memory beside `/tmp`, for example `/run`; each has the size of the memory at most.
    pub tmpfs: Option<Vec<String>>,
}

impl DockerConfig {
    /// The memory of all its processes, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> Option<u64> {
        bytes(self.memory.as_deref()?)
    }
}

/// What an agent says, and else the defaults.
pub(super) fn settings(own: &DockerConfig, defaults: &DockerConfig) -> DockerConfig {
    let text =
        |own: &Option<String>, shared: &Option<String>| own.clone().or_else(|| shared.clone());
    let list = |own: &Option<Vec<String>>, shared: &Option<Vec<String>>| {
        own.clone().or_else(|| shared.clone())
    };
    DockerConfig {
        image: text(&own.image, &defaults.image),
        user: text(&own.user, &defaults.user),
        cpus: own.cpus.or(defaults.cpus),
        socket: text(&own.socket, &defaults.socket),
        network: text(&own.network, &defaults.network),
        read_only_root: own.read_only_root.or(defaults.read_only_root),
        cap_drop: list(&own.cap_drop, &defaults.cap_drop),
        pids_limit: own.pids_limit.or(defaults.pids_limit),
        memory: text(&own.memory, &defaults.memory),
        tmpfs: list(&own.tmpfs, &defaults.tmpfs),
    }
}

/// User and group out of `1000:1000`.
#[must_use]
pub fn user(text: &str) -> Option<(u32, u32)> {
    let (user, group) = text.split_once(':')?;
    Some((user.parse().ok()?, group.parse().ok()?))
}

/// `512m`, `2g`, or a number of bytes; at least what a program needs to start.
fn bytes(text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let (number, shift) = match text.strip_suffix(['b', 'k', 'm', 'g']) {
        Some(number) if text.ends_with('k') => (number, 10),
        Some(number) if text.ends_with('m') => (number, 20),
        Some(number) if text.ends_with('g') => (number, 30),
        Some(number) => (number, 0),
        None => (text.as_str(), 0),
    };
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
    let bytes = number.parse::<u64>().ok().filter(|_| is_plain)?;
    let bytes = bytes.checked_mul(1 << shift)?;
    (16 << 20..=1 << 40).contains(&bytes).then_some(bytes)
}

/// What is wrong with the container of an agent: key and expectation.
pub(super) fn wrong(
    own: &SandboxConfig,
    defaults: &SandboxConfig,
) -> Vec<(&'static str, &'static str)> {
    let all = sandbox_settings(own, defaults);
    let docker = &all.docker;
    let mut wrong = Vec::new();
    if all.backend == SandboxBackend::Docker {
        if !docker.image.as_ref().is_some_and(|image| is_image(image)) {
            wrong.push((
                "image",
                "the name of an image, for example debian:bookworm-slim",
            ));
        }
        if !all.network.is_empty() {
            wrong.push((
                "image",
                "no sandbox.network: a container has no way to the egress broker",
            ));
        }
    }
    wrong.extend(
        checks(docker)
            .into_iter()
            .filter_map(|(key, fine, expected)| (!fine).then_some((key, expected))),
    );
    wrong
}

/// Each key with whether its value will do.
fn checks(docker: &DockerConfig) -> [(&'static str, bool, &'static str); 8] {
    let user_fits = docker
        .user
        .as_deref()
        .is_none_or(|text| user(text).is_some());
    let drops_all = |names: &Vec<String>| {
        names.iter().any(|name| name == "ALL") && names.iter().all(|name| is_capability(name))
    };
    let only_folders =
        |names: &Vec<String>| names.len() <= TMPFS_MAX && names.iter().all(|name| is_free(name));
    [
        (
            "user",
            user_fits,
            "user and group by number, for example 1000:1000",
        ),
        (
            "cpus",
            docker.cpus.is_none_or(is_share),
            "a number from 0.01 to 1024",
        ),
        (
            "network",
            docker.network.as_deref().is_none_or(|name| name == "none"),
            "none: a container of an agent's programs has no network. The native back end has one, through the \
             egress broker: sandbox.network",
        ),
        (
            "readOnlyRoot",
            docker.read_only_root != Some(false),
            "true: what is in the image stays as it is. Folders to write in are sandbox.docker.tmpfs",
        ),
        (
            "capDrop",
            docker.cap_drop.as_ref().is_none_or(drops_all),
            "a list of capabilities with ALL among them",
        ),
        (
            "pidsLimit",
            docker
                .pids_limit
                .is_none_or(|pids| (4..=65_536).contains(&pids)),
            "a number from 4 to 65536",
        ),
        (
            "memory",
            docker
                .memory
                .as_deref()
                .is_none_or(|text| bytes(text).is_some()),
            "a size from 16m to 1024g, for example 512m or 2g",
        ),
        (
            "tmpfs",
            docker.tmpfs.as_ref().is_none_or(only_folders),
            "whole paths of folders, for example /run; not what the system or the workspace needs",
        ),
    ]
}

fn is_image(image: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
    !image.is_empty() && image.len() <= 300 && image.bytes().all(fits)
}

fn is_capability(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
}

/// A folder that something in memory may be laid over. Options, which the engine takes behind a colon,
/// have no way in.
fn is_free(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    let is_part = |part: &str| !part.is_empty() && part != "." && part != "..";
    let Some(parts) = name.strip_prefix('/') else {
        return false;
    };
    let is_below = |folder: &str| {
        let rest = name.strip_prefix(folder);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    name.len() <= TMPFS_BYTES_MAX
        && name.bytes().all(fits)
        && parts.split('/').all(is_part)
        && !TAKEN.into_iter().any(is_below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_needs_an_image_and_has_no_network() {
        let docker = |image: Option<&str>, user: &str| SandboxConfig {
            backend: Some(SandboxBackend::Docker),
            docker: DockerConfig {
                image: image.map(str::to_owned),
                user: Some(user.to_owned()),
                ..DockerConfig::default()
            },
            ..SandboxConfig::default()
        };
        let none = SandboxConfig::default();
        let keys = |own: &SandboxConfig, defaults: &SandboxConfig| -> Vec<&str> {
            let wrong = wrong(own, defaults);
            wrong.into_iter().map(|(key, _)| key).collect()
        };
        assert!(keys(&none, &none).is_empty());
        assert_eq!(keys(&docker(None, "root"), &none), ["image", "user"]);
        assert_eq!(keys(&docker(Some("a b"), "1:2"), &none), ["image"]);
        let fine = docker(Some("debian:bookworm-slim"), "1000:1000");
        assert!(keys(&fine, &none).is_empty());
        // The image may stand in the defaults, and so may a network that is too much.
        assert!(keys(&none, &fine).is_empty());
        let outwards = SandboxConfig {
            network: Some(vec!["a.example".to_owned()]),
            ..none
        };
        assert_eq!(keys(&outwards, &fine), ["image"]);
        assert_eq!(user("7:8"), Some((7, 8)));
    }

    #[test]
    fn what_would_weaken_a_container_is_refused_by_its_key() {
        let keys = |text: &str| -> Result<Vec<&str>, String> {
            let docker: DockerConfig = serde_json::from_str(text).map_err(|why| why.to_string())?;
            let own = SandboxConfig {
                docker,
                ..SandboxConfig::default()
            };
            let found = wrong(&own, &SandboxConfig::default());
            Ok(found.into_iter().map(|(key, _)| key).collect())
        };
        let fine = r#"{"network": "none", "readOnlyRoot": true, "capDrop": ["ALL", "NET_RAW"], "pidsLimit": 64,
                       "memory": "512m", "tmpfs": ["/run", "/var/tmp"], "cpus": 2}"#;
        assert_eq!(keys(fine), Ok(vec![]));
        for (text, key) in [
            (r#"{"network": "bridge"}"#, "network"),
            (r#"{"network": "host"}"#, "network"),
            (r#"{"network": "container:other"}"#, "network"),
            (r#"{"readOnlyRoot": false}"#, "readOnlyRoot"),
            (r#"{"capDrop": []}"#, "capDrop"),
            (r#"{"capDrop": ["NET_RAW"]}"#, "capDrop"),
            (r#"{"capDrop": ["ALL", "all but one"]}"#, "capDrop"),
            (r#"{"pidsLimit": 0}"#, "pidsLimit"),
            (r#"{"memory": "lots"}"#, "memory"),
            (r#"{"memory": "+512m"}"#, "memory"),
            (r#"{"memory": "1m"}"#, "memory"),
            (r#"{"memory": "99999999999999999g"}"#, "memory"),
            (r#"{"tmpfs": ["/work/skills"]}"#, "tmpfs"),
            (r#"{"tmpfs": ["/run/../work"]}"#, "tmpfs"),
            (r#"{"tmpfs": ["/run:exec"]}"#, "tmpfs"),
            (r#"{"tmpfs": ["/"]}"#, "tmpfs"),
            (r#"{"tmpfs": ["run"]}"#, "tmpfs"),
        ] {
            assert_eq!(keys(text), Ok(vec![key]), "{text}");
        }
        for never in [
            r#"{"capAdd": ["SYS_ADMIN"]}"#,
            r#"{"privileged": true}"#,
            r#"{"privileged": false}"#,
            r#"{"binds": ["/:/host"]}"#,
            r#"{"devices": ["/dev/kvm"]}"#,
            r#"{"seccompProfile": "unconfined"}"#,
            r#"{"apparmorProfile": "unconfined"}"#,
            r#"{"extraHosts": ["a:1.2.3.4"]}"#,
            r#"{"dns": ["1.1.1.1"]}"#,
            r#"{"setupCommand": "true"}"#,
        ] {
            let why = keys(never).unwrap_err();
            assert!(why.contains("unknown field"), "{never}: {why}");
        }
    }

    #[test]
    fn sizes_are_read_as_owners_write_them() {
        assert_eq!(bytes("512m"), Some(512 << 20));
        assert_eq!(bytes("2G"), Some(2 << 30));
        assert_eq!(bytes("20480k"), Some(20 << 20));
        assert_eq!(bytes("33554432"), Some(32 << 20));
        assert_eq!(bytes("33554432b"), Some(32 << 20));
        for wrong in ["", "m", "-1g", "1.5g", "2t", "0x10m"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }
}
