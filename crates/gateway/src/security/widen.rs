//! What widens policy: the posture, rules of the owner's that let everything through, standing rules,
//! and lists of hosts that name half the world.

use instar_policy::{Wide, wide};
use instar_protocol::Clock as _;
use instar_protocol::api::Severity;
use instar_protocol::approvals::ShownRule;
use instar_protocol::security::SecurityFinding;
use instar_protocol::time::SystemClock;
use instar_protocol::tool::Effect;
use std::time::Duration;

use super::{Subject, With as _, finding, fine, not_looked};
use crate::behaviour;
use crate::config::InstarConfig;
use instar_agent::config::{PostureChoice, SandboxMode};

/// A standing rule that was kept longer ago than this is worth a look.
const OLD: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// Days after which a version has missed what was found since.
const VERSION_DAYS_MAX: u64 = 180;

pub(super) fn look(subject: &Subject) -> Vec<SecurityFinding> {
    let mut all = vec![own_rules(subject), standing(subject), age()];
    if let Ok(config) = &subject.config {
        all.push(posture(config));
        all.push(egress(config));
        all.push(walls(config));
    }
    all
}

fn posture(config: &InstarConfig) -> SecurityFinding {
    let id = "policy.posture";
    match config.policy.posture {
        PostureChoice::Careful => fine(id, "every effect asks (posture careful)"),
        PostureChoice::Balanced => fine(id, "plan and evidence decide (posture balanced)"),
        PostureChoice::Open => finding(
            id,
            Severity::Warning,
            "only the hard rules ask (posture open)",
            &["T-EXEC-001", "T-EXEC-002", "T-EXFIL-001"],
        )
        .fix("`instar policy posture` shows what balanced would ask; `instar config set policy.posture balanced`"),
    }
}

/// Rules of the owner's that permit whatever is called, and files that cannot be taken.
fn own_rules(subject: &Subject) -> SecurityFinding {
    let id = "policy.own-rules";
    let threats = ["T-EXEC-001", "T-EXEC-004", "T-PERSIST-003"];
    let rules = match behaviour::rules(&subject.state) {
        Ok(rules) => rules,
        Err(error) => {
            let wrong = finding(
                id,
                Severity::Warning,
                "rules on the disk are not right: what they forbid is not in force",
                &threats,
            );
            return wrong
                .seen(behaviour::problems(error))
                .fix("mend the lines; `instar policy test` tells when they are right");
        }
    };
    let found = wide(&rules);
    if found.is_empty() {
        let own = rules.all().filter(|rule| rule.is_owners).count();
        return fine(id, format!("{own} rules of yours, none permits everything"));
    }
    let is_weighty = found
        .iter()
        .any(|one| one.anybody || one.effects.iter().any(|effect| *effect > Effect::Write));
    let severity = if is_weighty {
        Severity::Warning
    } else {
        Severity::Notice
    };
    finding(
        id,
        severity,
        "rules of yours permit calls without naming a tool, a place or a person",
        &threats,
    )
    .seen(found.iter().map(told).collect())
    .fix("name the tool, folder, domain or person that is meant; a `permit` lifts posture and plan for all it fits")
}

fn told(one: &Wide) -> String {
    let effects: Vec<&str> = one.effects.iter().map(|effect| effect.name()).collect();
    let whom = if one.anybody {
        "for anybody"
    } else {
        "for you"
    };
    format!(
        "{} ({}) permits {whom}: {}",
        one.rule,
        one.place,
        effects.join(", ")
    )
}

/// Rules that let calls through without a question: without an end, for any value, or old.
fn standing(subject: &Subject) -> SecurityFinding {
    let id = "policy.rules";
    let holding = subject.kept.rules.iter().filter(|rule| rule.holds);
    let (mut seen, mut is_wide, mut count) = (Vec::new(), false, 0);
    for rule in holding {
        count += 1;
        let any = fits_any_value(rule);
        is_wide |= any;
        let is_old = SystemClock.now().since(rule.created_at) > OLD;
        let marks = [
            (any, "for any value"),
            (rule.expires_at.is_none(), "without an end"),
            (is_old, "kept long ago"),
        ];
        let marks: Vec<&str> = marks
            .iter()
            .filter(|(is, _)| *is)
            .map(|(_, mark)| *mark)
            .collect();
        if !marks.is_empty() {
            seen.push(format!("{}, {}: {}", rule.id, marks.join(", "), rule.words));
        }
    }
    if seen.is_empty() {
        return fine(
            id,
            format!("{count} standing rules, each narrow and with an end"),
        );
    }
    let severity = if is_wide {
        Severity::Warning
    } else {
        Severity::Notice
    };
    finding(
        id,
        severity,
        "standing rules let calls through unasked",
        &["T-EXEC-004", "T-EVADE-003"],
    )
    .seen(seen)
    .fix("look at them now and then; `instar approvals rules revoke RULE` takes one back")
}

/// True for a rule that names no value and no program: it covers whatever its tool can do.
fn fits_any_value(rule: &ShownRule) -> bool {
    let is_empty = |name: &str| match rule.rule.get(name) {
        None | Some(serde_json::Value::Null) => true,
        Some(serde_json::Value::Object(map)) => map.is_empty(),
        Some(_) => false,
    };
    is_empty("only") && is_empty("environment")
}

/// Lists of hosts with an entry that half the world falls under.
fn egress(config: &InstarConfig) -> SecurityFinding {
    let id = "egress.allow";
    let egress = &config.egress;
    let principals = &egress.principals;
    let lists = [
        ("egress.allow", &egress.allow),
        ("egress.principals.owner.allow", &principals.owner.allow),
        ("egress.principals.contact.allow", &principals.contact.allow),
        (
            "egress.principals.stranger.allow",
            &principals.stranger.allow,
        ),
        (
            "egress.principals.automation.allow",
            &principals.automation.allow,
        ),
    ];
    let mut seen = Vec::new();
    for (key, list) in lists {
        let wide = list.iter().flatten().filter(|host| is_wide_host(host));
        seen.extend(wide.map(|host| format!("{key} names {host}")));
    }
    if !seen.is_empty() {
        return finding(
            id,
            Severity::Warning,
            "lists of hosts have entries that half the world falls under",
            &["T-EXFIL-001"],
        )
        .seen(seen)
        .fix("name the hosts themselves");
    }
    if egress.allow.is_none() {
        return not_looked(
            id,
            "tools may reach every public host; egress.allow narrows that to those you name",
        );
    }
    fine(id, "tools reach the hosts that you named, and no others")
}

/// Agents whose programs run without walls, or with a net around the walls that has wide holes.
fn walls(config: &InstarConfig) -> SecurityFinding {
    let id = "sandbox.mode";
    let (mut seen, mut severity) = (Vec::new(), Severity::Fine);
    let mut found = |weight: Severity, line: String| {
        severity = severity.max(weight);
        seen.push(line);
    };
    for agent in config.agent_config().agents() {
        let (name, walls) = (agent.id.to_string(), &agent.sandbox);
        match walls.mode {
            SandboxMode::All => {}
            SandboxMode::NonMain => found(
                Severity::Notice,
                format!("{name}: programs of the main conversation run without walls"),
            ),
            SandboxMode::Off => found(
                Severity::Warning,
                format!("{name}: programs have the rights of the gateway's user"),
            ),
        }
        if walls.untrusted_without_walls && walls.mode != SandboxMode::All {
            found(
                Severity::Error,
                format!("{name}: also where text of others was read"),
            );
        }
        for host in walls.network.iter().filter(|host| is_wide_host(host)) {
            found(Severity::Warning, format!("{name}: programs reach {host}"));
        }
    }
    if seen.is_empty() {
        return fine(id, "programs of every agent run behind walls");
    }
    finding(
        id,
        severity,
        "programs run without walls, or reach half the world from behind them",
        &["T-IMPACT-001", "T-DISC-004", "T-EXFIL-001"],
    )
    .seen(seen)
    .fix("set sandbox.mode to all; name the hosts that programs need in sandbox.network")
}

/// `*`, `*.com`: what stands behind the star is no name of anybody's.
fn is_wide_host(host: &str) -> bool {
    let name = host.split(':').next().unwrap_or(host);
    name == "*"
        || name
            .strip_prefix("*.")
            .is_some_and(|rest| !rest.contains('.'))
}

fn age() -> SecurityFinding {
    let id = "version.age";
    let days = crate::age::days(SystemClock.now());
    if days <= VERSION_DAYS_MAX {
        return fine(id, format!("this version is {days} days old"));
    }
    finding(
        id,
        Severity::Warning,
        format!("this version is {days} days old: what was found since is not mended in it"),
        &["T-PERSIST-002", "T-RECON-001"],
    )
    .fix("install the newest version and `instar gateway restart`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_before_a_name_of_somebodys_is_not_wide() {
        for wide in ["*", "*.com", "*:443", "*.org:8443"] {
            assert!(is_wide_host(wide), "{wide}");
        }
        for narrow in ["example.org", "*.example.org", "example.org:8443"] {
            assert!(!is_wide_host(narrow), "{narrow}");
        }
    }
}
