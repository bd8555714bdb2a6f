//! The same jobs through a container engine. No engine is to be had where these run: a stand-in answers
//! as the documented interface does, so what is shown is what is asked for, not what an engine builds.

use instar_sandbox::docker::{Docker, own_user, thousandths};
use instar_sandbox::native::{Ended, Maker, Native, StartError};
use instar_sandbox::root::{Inside, Root};
use instar_sandbox::spec::{Access, Argv, Input, Job, Network, Walls};
use instar_testkit::engine::FakeEngine;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const IMAGE: &str = "debian:bookworm-slim";

fn native(socket: &Path, image: &str) -> Native {
    let stage = PathBuf::from(env!("CARGO_BIN_EXE_instar-walls-probe"));
    Native::of_this_binary()
        .with_binary(stage)
        .with_maker(Maker::Docker(Docker {
            socket: socket.to_owned(),
            image: image.to_owned(),
            user: own_user(),
            cpu_thousandths: Some(thousandths(1.5)),
            pids: None,
            memory_bytes: None,
            cap_drop: Vec::new(),
            tmpfs: Vec::new(),
        }))
}

fn job(workspace: Access, folder: &Path, script: &str) -> Job {
    let walls = Walls {
        workspace,
        ..Walls::default()
    };
    let words = ["sh", "-c", script].map(str::to_owned).to_vec();
    let mut job = Job::new(walls, Argv::new(words).unwrap());
    job.workspace = Some(Root::open(folder).unwrap());
    job
}

#[test]
fn a_container_gets_no_more_than_the_walls_say_and_is_gone_at_the_end() {
    let home = tempfile::tempdir().unwrap();
    let work = home.path().join("work");
    std::fs::create_dir_all(work.join("skills")).unwrap();
    let engine = FakeEngine::start(&home.path().join("e.sock"), IMAGE).unwrap();
    let mut job = job(
        Access::Write,
        &work,
        "cat; echo no >&2; echo made > a; exit 7",
    );
    job.input = Input::Bytes(b"given".to_vec());
    job.shielded = vec![Inside::parse("skills").unwrap()];
    let outcome = native(engine.socket(), IMAGE).run(job).unwrap();
    assert_eq!(outcome.ended, Ended::Exit(7), "{outcome:?}");
    assert_eq!(outcome.stdout.bytes, b"given");
    assert_eq!(outcome.stderr.bytes, b"no\n");
    assert_eq!(std::fs::read(work.join("a")).unwrap(), b"made\n");
    assert_eq!(engine.left(), 0);
    let asked = engine.asked();
    let order: Vec<&str> = asked.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(
        order[..5],
        [
            "GET /_ping",
            "POST /containers/create",
            "POST /containers/ID/attach?stream=1&stdin=1&stdout=1&stderr=1",
            "POST /containers/ID/wait?condition=next-exit",
            "POST /containers/ID/start",
        ]
    );
    let made = &asked[1].1;
    let host = &made["HostConfig"];
    for (key, expected) in [
        ("NetworkMode", serde_json::json!("none")),
        ("ReadonlyRootfs", serde_json::json!(true)),
        ("CapDrop", serde_json::json!(["ALL"])),
        ("SecurityOpt", serde_json::json!(["no-new-privileges:true"])),
        ("Privileged", serde_json::json!(false)),
        ("PidsLimit", serde_json::json!(256)),
        ("Memory", serde_json::json!(2_u64 << 30)),
        ("MemorySwap", serde_json::json!(2_u64 << 30)),
        ("NanoCpus", serde_json::json!(1_500_000_000_u64)),
        ("AutoRemove", serde_json::json!(true)),
    ] {
        assert_eq!(host[key], expected, "{key}");
    }
    for never in [
        "Binds",
        "Devices",
        "CapAdd",
        "PortBindings",
        "PidMode",
        "VolumesFrom",
    ] {
        assert!(host.get(never).is_none(), "{never}");
    }
    let (user, group) = own_user();
    assert_eq!(made["User"], format!("{user}:{group}"));
    assert_eq!(made["NetworkDisabled"], true);
    let mounts = host["Mounts"].as_array().unwrap();
    let shown: Vec<(&str, bool)> = mounts
        .iter()
        .map(|mount| {
            let target = mount["Target"].as_str().unwrap();
            (target, mount["ReadOnly"].as_bool().unwrap())
        })
        .collect();
    assert_eq!(shown, [("/work", false), ("/work/skills", true)]);
}

/// What an owner may say reaches the engine, each under its name there, and nothing else does.
#[test]
fn what_the_owner_says_of_the_container_is_what_the_engine_is_asked_for() {
    let home = tempfile::tempdir().unwrap();
    let engine = FakeEngine::start(&home.path().join("e.sock"), IMAGE).unwrap();
    let plain = native(engine.socket(), IMAGE);
    let Maker::Docker(docker) = plain.maker().clone() else {
        panic!("it is one")
    };
    let said = Docker {
        pids: Some(33),
        memory_bytes: Some(64 << 20),
        cap_drop: vec!["ALL".to_owned(), "NET_RAW".to_owned()],
        tmpfs: vec!["/run".to_owned()],
        cpu_thousandths: None,
        ..docker
    };
    let mut together = job(Access::Read, home.path(), "true");
    together.walls.limits.together_bytes = Some(128 << 20);
    together.walls.limits.cpu_thousandths = Some(500);
    let outcome = plain.clone().run(together).unwrap();
    assert_eq!(outcome.ended, Ended::Exit(0), "{outcome:?}");
    let own = job(Access::Read, home.path(), "true");
    let outcome = plain.with_maker(Maker::Docker(said)).run(own).unwrap();
    assert_eq!(outcome.ended, Ended::Exit(0), "{outcome:?}");
    let made: Vec<serde_json::Value> = engine
        .asked()
        .into_iter()
        .filter(|(what, _)| what == "POST /containers/create")
        .map(|(_, body)| body["HostConfig"].clone())
        .collect();
    assert_eq!(made[0]["Memory"], 128 << 20);
    assert_eq!(made[0]["PidsLimit"], 256);
    // What was said of containers comes first.
    assert_eq!(made[0]["NanoCpus"], 1_500_000_000_u64);
    assert_eq!(made[0]["CapDrop"], serde_json::json!(["ALL"]));
    assert_eq!(made[1]["Memory"], 64 << 20);
    assert_eq!(made[1]["MemorySwap"], 64 << 20);
    assert_eq!(made[1]["PidsLimit"], 33);
    assert_eq!(made[1]["CapDrop"], serde_json::json!(["ALL", "NET_RAW"]));
    let folders: Vec<&String> = made[1]["Tmpfs"].as_object().unwrap().keys().collect();
    assert_eq!(folders, ["/run", "/tmp"]);
    assert_eq!(made[1]["NetworkMode"], "none");
    assert_eq!(made[1]["ReadonlyRootfs"], true);
}

#[test]
fn a_run_that_is_ended_takes_its_container_with_it() {
    let home = tempfile::tempdir().unwrap();
    let engine = FakeEngine::start(&home.path().join("e.sock"), IMAGE).unwrap();
    let mut running = native(engine.socket(), IMAGE)
        .start(job(Access::Read, home.path(), "echo up; sleep 600"), None)
        .unwrap();
    assert_eq!(engine.left(), 1);
    let mounts = engine.asked()[1].1["HostConfig"]["Mounts"].clone();
    assert_eq!(mounts[0]["ReadOnly"], true);
    running.kill();
    assert_eq!(running.wait().unwrap().ended, Ended::Killed);
    let deadline = Instant::now() + Duration::from_secs(20);
    while engine.left() > 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(engine.left(), 0, "{:?}", engine.asked());
}

#[test]
fn without_engine_image_or_way_out_nothing_runs_and_the_words_say_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let refused = |native: Native, job: Job| match native.run(job) {
        Err(StartError::Refused(why)) => why,
        other => panic!("{other:?}"),
    };
    let none = refused(
        native(&home.path().join("none.sock"), IMAGE),
        job(Access::None, home.path(), "true"),
    );
    assert!(none.contains("apt-get install docker.io"), "{none}");
    let engine = FakeEngine::start(&home.path().join("e.sock"), IMAGE).unwrap();
    let other = refused(
        native(engine.socket(), "other:1"),
        job(Access::None, home.path(), "true"),
    );
    assert!(other.contains("docker pull other:1"), "{other}");
    let mut outwards = job(Access::None, home.path(), "true");
    outwards.walls.network = Network::Broker;
    let socket = std::os::unix::net::UnixListener::bind(home.path().join("b.sock")).unwrap();
    outwards.broker =
        Some(instar_sandbox::spec::BrokerSocket::new(&home.path().join("b.sock")).unwrap());
    let outwards = refused(native(engine.socket(), IMAGE), outwards);
    assert!(
        outwards.contains("no way to the egress broker"),
        "{outwards}"
    );
    drop(socket);
    assert_eq!(engine.left(), 0);
}
