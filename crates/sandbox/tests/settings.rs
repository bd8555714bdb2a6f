//! What walls can be asked for, and what names them.

use instar_sandbox::native::{Native, StartError};
use instar_sandbox::probe::{State, probe};
use instar_sandbox::spec::{
    Access, Argv, ArgvError, BrokerSocket, Environment, Extra, Job, Limits, Network, Walls,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn walls() -> impl Strategy<Value = Walls> {
    let access = prop::sample::select(vec![Access::None, Access::Read, Access::Write]);
    let extra = prop::sample::select(vec![Extra::Opt, Extra::Certificates, Extra::TimeZone]);
    let network = prop::sample::select(vec![Network::None, Network::Broker]);
    let number = || prop::sample::select(vec![1_u64, 2, 12, 21, 112]);
    let limits = (
        number(),
        number(),
        number(),
        number(),
        number(),
        number(),
        number(),
        prop::option::of(number()),
        prop::option::of(number()),
    )
        .prop_map(
            |(
                cpu_seconds,
                memory_bytes,
                pids,
                files,
                file_bytes,
                output_bytes,
                wall_seconds,
                together_bytes,
                cpu_thousandths,
            )| {
                Limits {
                    cpu_seconds,
                    memory_bytes,
                    pids,
                    files,
                    file_bytes,
                    output_bytes,
                    wall_seconds,
                    together_bytes,
                    cpu_thousandths,
                }
            },
        );
    (access, prop::collection::vec(extra, 0..4), network, limits).prop_map(
        |(workspace, extras, network, limits)| Walls {
            workspace,
            extras,
            network,
            limits,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn different_settings_have_different_digests(one in walls(), other in walls()) {
        prop_assert_eq!(one == other, one.digest() == other.digest());
        let text = serde_json::to_string(&one).unwrap();
        let read: Walls = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(read.digest(), one.digest());
    }

    #[test]
    fn every_single_change_and_the_order_change_the_digest(walls in walls(), field in 0..10) {
        let mut other = walls.clone();
        let limits = &mut other.limits;
        match field {
            0 => limits.cpu_seconds += 1,
            1 => limits.memory_bytes += 1,
            2 => limits.pids += 1,
            3 => limits.files += 1,
            4 => limits.file_bytes += 1,
            5 => limits.output_bytes += 1,
            6 => limits.wall_seconds += 1,
            7 => other.extras.push(Extra::Opt),
            8 => other.extras.reverse(),
            _ => other.workspace = if walls.workspace == Access::Read { Access::Write } else { Access::Read },
        }
        prop_assert_eq!(walls == other, walls.digest() == other.digest());
    }

    #[test]
    fn an_environment_is_the_allowed_projection(
        asked in prop::collection::btree_map(
            "PATH|HOME|LD_PRELOAD|LD_LIBRARY_PATH|IFS|ENV|BASH_ENV|PYTHONPATH|NODE_OPTIONS|LANG|TZ|CI|[A-Z_]{1,8}",
            "\\PC{0,12}|de_DE.UTF-8|Europe/Berlin|\\.\\./etc|1|a\nb",
            0..8,
        ),
    ) {
        let (environment, left_out) = Environment::project(&asked);
        let kept = environment.values();
        for (name, value) in &asked {
            prop_assert_ne!(left_out.contains(name), kept.get(name) == Some(value) && ["CI", "COLUMNS", "LANG", "LC_ALL", "LINES", "NO_COLOR", "RUST_BACKTRACE", "SOURCE_DATE_EPOCH", "TERM", "TZ"].contains(&name.as_str()));
        }
        prop_assert_eq!(kept["PATH"].as_str(), "/usr/local/bin:/usr/bin:/bin");
        prop_assert_eq!(kept["HOME"].as_str(), "/tmp");
        for value in kept.values() {
            prop_assert!(!value.contains("..") && !value.contains(char::is_control), "{}", value);
        }
    }
}

#[test]
fn settings_that_widen_cannot_be_written_down() {
    for text in [
        r#"{"network":"host"}"#,
        r#"{"network":"container:other"}"#,
        r#"{"network":"0.0.0.0"}"#,
        r#"{"network":{"mode":"bridge"}}"#,
        r#"{"extras":["/"]}"#,
        r#"{"extras":["/var/run/docker.sock"]}"#,
        r#"{"extras":[{"host":"/etc"}]}"#,
        r#"{"binds":["/:/host"]}"#,
        r#"{"workspace":"/home"}"#,
        r#"{"privileged":true}"#,
        r#"{"capAdd":["SYS_ADMIN"]}"#,
        r#"{"user":"root"}"#,
        r#"{"limits":{"pids":-1}}"#,
    ] {
        assert!(serde_json::from_str::<Walls>(text).is_err(), "{text}");
    }
    let folder = tempfile::tempdir().unwrap();
    assert!(
        BrokerSocket::new(folder.path()).is_err(),
        "a folder is no socket"
    );
}

#[test]
fn a_command_is_words() {
    let words = |words: &[&str]| Argv::new(words.iter().map(|word| (*word).to_owned()).collect());
    assert_eq!(words(&[]), Err(ArgvError::Empty));
    assert_eq!(words(&[""]), Err(ArgvError::Empty));
    assert_eq!(words(&["a\0b"]), Err(ArgvError::Nul));
    assert_eq!(words(&["a"; 5_000]), Err(ArgvError::Long));
    assert!(words(&["echo", "$(id)"]).is_ok());
    assert!(words(&["a"; 4_096]).is_ok());
    assert_eq!(words(&["a"; 4_097]), Err(ArgvError::Long));
    let long = |bytes: usize| words(&["a", &"b".repeat(bytes - 1)]);
    assert!(long(512 * 1024).is_ok());
    assert_eq!(long(512 * 1024 + 1), Err(ArgvError::Long));
}

#[test]
fn a_value_of_the_environment_has_the_form_of_its_name() {
    let long = "a".repeat(64);
    let longer = "a".repeat(65);
    let zone = format!("{}/{}", "a".repeat(31), "b".repeat(32));
    let zones = format!("{}/{}", "a".repeat(32), "b".repeat(32));
    for (name, value, kept) in [
        ("LANG", "de_DE.UTF-8@euro", true),
        ("LANG", "", true),
        ("LANG", &*long, true),
        ("LANG", &*longer, false),
        ("LANG", "a b", false),
        ("LANG", "a/b", false),
        ("COLUMNS", "80", true),
        ("COLUMNS", "123456789012", true),
        ("COLUMNS", "1234567890123", false),
        ("COLUMNS", "", false),
        ("COLUMNS", "8o", false),
        ("TZ", "Europe/Berlin", true),
        ("TZ", "UTC", true),
        ("TZ", &*zone, true),
        ("TZ", &*zones, false),
        ("TZ", "", false),
        ("TZ", "/etc/passwd", false),
        ("TZ", "Europe/", false),
        ("TZ", "Europe/../x", false),
        ("TZ", ":Europe", false),
        ("PATH", "x", false),
        ("OWN", "80", false),
    ] {
        let asked = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let (environment, left_out) = Environment::project(&asked);
        let taken = environment.values().get(name).map(String::as_str) == Some(value);
        assert_eq!(taken, kept, "{name}={value:?}");
        assert_eq!(left_out.contains(name), !kept, "{name}={value:?}");
    }
}

#[test]
fn an_owner_gives_a_program_values_but_leads_no_start_with_them() {
    let none = || Environment::project(&BTreeMap::new()).0;
    let longest = "N".repeat(64);
    for name in ["TOKEN", "A1", "_A", "API_KEY_2", "LDAP", "X_LD_Y", &longest] {
        let given = none().with(name, "value").unwrap();
        assert_eq!(given.values()[name], "value");
        assert_eq!(given.values().len(), none().values().len() + 1, "{name}");
    }
    for name in [
        "",
        "1A",
        "token",
        "A B",
        "A=B",
        "A-B",
        "\u{c4}",
        "LD_PRELOAD",
        "GLIBC_TUNABLES",
        "MALLOC_CHECK_",
        "PATH",
        "HOME",
        "TMPDIR",
        &format!("{longest}N"),
    ] {
        let told = none().with(name, "value").unwrap_err();
        assert!(told.contains("is not given the variable"), "{name}: {told}");
    }
    let long = "v".repeat(16 * 1024);
    assert!(none().with("TOKEN", &long).is_ok());
    for value in ["a\0b", &format!("{long}v")] {
        assert!(none().with("TOKEN", value).is_err());
    }
}

#[test]
fn what_an_order_needs_is_asked_for_before_anything_starts() {
    let native = Native::of_this_binary();
    let argv = || Argv::new(vec!["true".to_owned()]).unwrap();
    let mut walls = Walls {
        workspace: Access::Write,
        ..Walls::default()
    };
    let refused = native.run(Job::new(walls.clone(), argv()));
    assert!(
        matches!(refused, Err(StartError::NoWorkspace)),
        "{refused:?}"
    );
    walls.workspace = Access::None;
    walls.network = Network::Broker;
    let refused = native.run(Job::new(walls, argv()));
    assert!(matches!(refused, Err(StartError::NoBroker)), "{refused:?}");
}

#[test]
fn what_is_no_answer_of_walls_is_taken_for_none() {
    for program in ["/bin/true", "/bin/cat", "/bin/yes"] {
        let native = Native::of_this_binary().with_binary(program.into());
        let job = Job::new(
            Walls::default(),
            Argv::new(vec!["true".to_owned()]).unwrap(),
        );
        assert!(
            matches!(native.run(job), Err(StartError::Refused(_))),
            "{program}"
        );
    }
}

/// A binary that builds no walls when it is started a second time, as this one: nothing may run.
#[test]
fn a_layer_that_is_missing_is_told_and_nothing_runs_without_it() {
    let native = Native::of_this_binary();
    let layers = probe(&native, None);
    let walls = layers.iter().find(|layer| layer.name == "walls").unwrap();
    assert!(matches!(walls.state, State::Missing(_)), "{layers:?}");
    let job = Job::new(
        Walls::default(),
        Argv::new(vec!["true".to_owned()]).unwrap(),
    );
    assert!(matches!(
        Native::of_this_binary().run(job),
        Err(StartError::Refused(_))
    ));
    assert_eq!(
        BTreeMap::from_iter(layers.iter().map(|layer| (layer.name, ()))).len(),
        6
    );
}
