//! The systemd user unit.

use std::fmt::Write as _;

use super::plan::Plan;

/// Units that begin with this were made here and may be made anew.
pub(super) const MARK: &str = "# Made by `instar gateway install`; made anew by the next one.";

/// The unit's text.
pub(super) fn text(plan: &Plan) -> String {
    let mut words = vec![quoted(&plan.program.to_string_lossy())];
    words.extend(plan.arguments.iter().map(|word| quoted(word)));
    let mut variables = String::new();
    for (name, value) in &plan.variables {
        let set = environment_quoted(&format!("{name}={value}"));
        // Writing to a text cannot fail.
        let _done = writeln!(variables, "Environment={set}");
    }
    format!(
        "{MARK}
# Your own settings go into a drop-in: systemctl --user edit {name}.service
[Unit]
Description=Instar gateway ({state})
StartLimitIntervalSec=300
StartLimitBurst=5

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
{variables}Restart=on-failure
RestartSec=2
# What a new start would not mend: wrong arguments, a wrong configuration, another gateway.
RestartPreventExitStatus=2 3 7
TimeoutStartSec=120
TimeoutStopSec={stop}
KillMode=mixed
# So that the programs of tools are limited as a whole, each run in a control group of its own.
Delegate=memory pids cpu

# Hardening. Namespaces, mounts and executable memory are left alone: the walls around tools are
# made of them, and a process that may not make walls runs tools without.
NoNewPrivileges=yes
UMask=0077
LimitCORE=0
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=~@clock @cpu-emulation @module @obsolete @raw-io @reboot @swap
SystemCallErrorNumber=EPERM

[Install]
WantedBy=default.target
",
        name = plan.name,
        state = escaped(&plan.state.to_string_lossy()),
        command = words.join(" "),
        stop = plan.stop.as_secs(),
    )
}

/// One word of a command line: systemd expands `%` and `$`, and reads quotes and backslashes.
fn quoted(word: &str) -> String {
    let doubled = escaped(word).replace('$', "$$");
    format!("\"{}\"", backslashed(&doubled))
}

/// One assignment: no variable is expanded there.
fn environment_quoted(word: &str) -> String {
    format!("\"{}\"", backslashed(&escaped(word)))
}

fn escaped(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = text.chars().map(plain).collect();
    text.replace('%', "%%")
}

fn backslashed(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn strange_paths_are_written_so_that_systemd_reads_them_as_they_are() {
        let plan = Plan {
            name: "instar-a".to_owned(),
            program: "/opt/a b/100%/$x/\"q\"/instar".into(),
            arguments: vec!["gateway".to_owned()],
            variables: vec![("INSTAR_STATE_DIR".to_owned(), "/a $HOME %h".to_owned())],
            state: "/a".into(),
            stop: Duration::from_secs(45),
        };
        let text = text(&plan);
        let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap();
        assert_eq!(
            line("ExecStart="),
            r#"ExecStart="/opt/a b/100%%/$$x/\"q\"/instar" "gateway""#
        );
        assert_eq!(
            line("Environment="),
            r#"Environment="INSTAR_STATE_DIR=/a $HOME %%h""#
        );
        for forbidden in [
            "RestrictNamespaces",
            "MemoryDenyWriteExecute",
            "PrivateMounts",
        ] {
            assert!(!text.contains(&format!("{forbidden}=")), "{text}");
        }
    }
}
