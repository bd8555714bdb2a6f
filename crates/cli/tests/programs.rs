//! Programs that an agent starts, through the built binary and a scripted model.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;

use instar_protocol::time::SystemClock;
use instar_protocol::{Clock as _, Label, Readers};
use instar_store::{FileLabel, Op, Options, Store};
use instar_testkit::component::{COPIER, SPINNER, component};
use instar_testkit::engine::FakeEngine;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::{Instar, Setup, until};
use crate::tools::{calling, said, workspace};

/// A posture in which running asks nothing as long as nobody else has spoken.
pub(crate) fn open() -> Value {
    json!({ "policy": { "posture": "open" } })
}

pub(crate) fn shell(text: &str) -> Value {
    json!({ "shell": text })
}

/// Answers the one question that waits, and gives what was shown of it.
fn approve(instar: &Instar) -> String {
    let id = until("a question waits", || {
        let listed = instar.run(["approvals", "list", "--json"]).json();
        let first = &listed["questions"][0]["id"];
        first.as_str().map(str::to_owned)
    });
    let shown = instar.run(["approvals", "show", &id]).stdout;
    let yes = instar.run(["approvals", "approve", &id]);
    assert_eq!(yes.code, 0, "{yes:?}");
    shown
}

#[test]
fn a_program_is_asked_about_and_runs_behind_walls_as_it_was_shown() {
    let check = "cat \"$1\"; cat /root/.ssh/id_rsa; ls -d /home /root /etc/shadow; env; id -u; \
                 echo made > made.txt; echo end";
    let home = tempfile::tempdir().unwrap();
    let state = home.path().join("state");
    let arguments = json!({ "command": ["sh", "check.sh", state.join("instar.json")],
        "env": ["TZ=Europe/Berlin", "LD_PRELOAD=/tmp/x.so"] });
    let rows = [
        ("start", "exec", arguments),
        ("nothing", "exec", json!({ "command": ["no-such-program"] })),
    ];
    let mut setup = Setup::scripted(calling(&rows));
    setup.state = Some(state);
    let mut here = Instar::prepare(setup);
    std::fs::write(workspace(&here).join("check.sh"), check).unwrap();
    here.launch();
    // Nobody is asked about what cannot be done.
    assert!(said(&here, "nothing").contains("there is no program `no-such-program`"));

    let (told, shown) = std::thread::scope(|scope| {
        let asking = scope.spawn(|| said(&here, "start"));
        let shown = approve(&here);
        (asking.join().unwrap(), shown)
    });
    for line in [
        "check.sh",
        "SHA-256",
        "behind walls: workspace writable, network none",
        "LD_PRELOAD",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    assert!(told.starts_with("[exit code 0 after "), "{told}");
    assert!(
        told.contains("not handed on from env: LD_PRELOAD"),
        "{told}"
    );
    assert!(
        told.contains("TZ=Europe/Berlin") && told.ends_with("1000\nend\n"),
        "{told}"
    );
    assert!(
        !told.contains("INSTAR") && !told.contains("ld.so: object"),
        "{told}"
    );
    let missing = told.matches("No such file or directory").count();
    assert_eq!(missing, 5, "the state folder, keys, homes, shadow: {told}");
    let made = std::fs::read_to_string(workspace(&here).join("made.txt")).unwrap();
    assert_eq!(made, "made\n");
}

#[test]
fn what_would_run_is_compared_with_what_was_approved() {
    let rows = [("start", "exec", json!({ "command": ["sh", "job.sh"] }))];
    let config = json!({ "policy": { "askWaitSeconds": 0 } });
    let mut instar = Instar::prepare(Setup::scripted(calling(&rows)).config(config));
    let script = workspace(&instar).join("job.sh");
    std::fs::write(&script, "echo first").unwrap();
    instar.launch();
    let waits = said(&instar, "start");
    assert!(waits.contains("was asked and has not answered"), "{waits}");
    std::fs::write(&script, "echo second").unwrap();
    approve(&instar);
    let told = until("the call was made", || {
        let entries = instar.entries("main");
        let mut results = entries
            .iter()
            .filter(|entry| entry["body"]["type"] == "tool_result");
        let last = results.next_back()?["body"]["text"].as_str()?.to_owned();
        (!last.contains("has not answered")).then_some(last)
    });
    assert!(told.contains("has changed since it was allowed"), "{told}");
}

#[test]
fn a_background_program_is_seen_fed_and_ended_in_its_conversation_alone() {
    let code = "echo one; read x; echo got $x; sleep 300";
    let rows = [
        (
            "start",
            "exec",
            json!({ "shell": code, "background": true }),
        ),
        ("jobs", "process", json!({ "action": "list" })),
        (
            "look",
            "process",
            json!({ "action": "poll", "job": "job_1" }),
        ),
        (
            "feed",
            "process_write",
            json!({ "job": "job_1", "input": "two\n" }),
        ),
        (
            "end",
            "process",
            json!({ "action": "kill", "job": "job_1" }),
        ),
        (
            "other",
            "exec",
            json!({ "command": ["sleep", "277"], "background": true }),
        ),
    ];
    let instar = Instar::start(Setup::scripted(calling(&rows)).config(open()));
    assert!(said(&instar, "start").contains("runs in the background as job_1"));
    until("its first line", || {
        said(&instar, "look").contains("one").then_some(())
    });
    assert!(said(&instar, "look").contains("nothing new"));
    assert!(said(&instar, "feed").contains("4 bytes went to job_1"));
    until("its answer", || {
        said(&instar, "look").contains("got two").then_some(())
    });
    assert!(said(&instar, "jobs").contains("\"state\":\"running\""));
    let elsewhere = instar.ask("agent:main:elsewhere", "look");
    assert!(
        elsewhere["text"]
            .as_str()
            .unwrap()
            .contains("no job job_1 in this conversation")
    );
    assert_eq!(said(&instar, "end"), "job_1 was ended");
    assert!(said(&instar, "look").contains("was ended from outside"));
    // Stopping the conversation ends what it left running.
    assert!(said(&instar, "other").contains("job_2"));
    until("it runs", || sleeps("277").then_some(()));
    let _told = instar.ask("main", "/stop");
    until("it is gone", || (!sleeps("277")).then_some(()));
}

/// True if some process of this machine sleeps so long.
#[test]
fn what_a_background_program_says_at_length_is_paged_through() {
    let code = "seq 1 20000; touch said; sleep 300";
    let count = json!({ "shell": code, "background": true });
    let poll = json!({ "action": "poll", "job": "job_1" });
    let page = json!({ "handle": "{{text}}", "offset": 60_000, "limit": 200 });
    let rows = [
        ("start", "exec", count),
        ("look", "process", poll),
        ("out_", "output_page", page),
    ];
    let instar = Instar::start(Setup::scripted(calling(&rows)).config(open()));
    let folder = workspace(&instar);
    assert!(said(&instar, "start").contains("job_1"));
    until("it has counted", || {
        folder.join("said").exists().then_some(())
    });
    let cut = said(&instar, "look");
    assert!(
        cut.starts_with("[runs for ") && cut.ends_with("\n20000\n"),
        "{cut}"
    );
    let (_, note) = cut
        .split_once("see them with output_page, handle ")
        .unwrap();
    let handle = note.split(',').next().unwrap();
    let page = said(&instar, handle);
    let (shown, more) = page.split_once("\n[characters 60000 to 60200 of ").unwrap();
    let whole: String = (1..=20_000).map(|number| format!("{number}\n")).collect();
    assert!(
        shown.chars().count() == 200 && whole.contains(shown),
        "{page}"
    );
    assert!(more.contains("go on with offset 60200]"), "{more}");
    assert!(said(&instar, "look").contains("nothing new"));
}

#[test]
fn all_conversations_but_the_main_one_have_walls_where_the_owner_says_so() {
    let rows = [("where", "exec", shell("uname -n"))];
    let config = json!({ "policy": { "posture": "open" },
        "agents": { "defaults": { "sandbox": { "mode": "non-main" } } } });
    let instar = Instar::start(Setup::scripted(calling(&rows)).config(config));
    let main = said(&instar, "where");
    assert!(
        main.contains("exit code 0") && !main.contains("walled"),
        "{main}"
    );
    let other = instar.ask("agent:main:elsewhere", "where");
    let other = other["text"].as_str().unwrap();
    assert!(other.ends_with("walled\n"), "{other}");
}

fn sleeps(seconds: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes.into_iter().any(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line == format!("sleep\0{seconds}\0").into_bytes()
    })
}

/// Notes a file of the workspace as a stranger's.
pub(crate) fn note_stranger(instar: &Instar, path: &str, text: &str) {
    note(instar, path, hex::encode(Sha256::digest(text)));
}

/// Notes that a stranger wrote what the label is kept under.
pub(crate) fn note(instar: &Instar, path: &str, digest: String) {
    let row = FileLabel {
        path: format!("main/{path}"),
        digest,
        label: Label::stranger(Readers::Private),
        writer: "test".to_owned(),
        at: SystemClock.now(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let store = Store::open(&instar.state, Options::default()).unwrap();
        store.commit(vec![Op::PutFileLabel(row)]).await.unwrap();
        store.close().await.unwrap();
    });
}

/// Whether the model's last tool result in a conversation has a stranger's label.
fn is_strangers(instar: &Instar, session: &str, word: &str) -> bool {
    let outcome = instar.ask(session, word);
    let entries = instar.entries(session);
    let mut results = entries
        .iter()
        .filter(|entry| entry["body"]["type"] == "tool_result");
    let last = results.next_back().unwrap_or_else(|| panic!("{outcome:#}"));
    assert_eq!(last["body"]["is_error"], false, "{last:#}");
    last["label"].to_string().contains("stranger")
}

#[test]
fn what_a_program_writes_has_the_label_of_what_it_saw_also_when_all_is_cut() {
    let read = |path: &str| json!({ "path": path });
    let rows = [
        ("clean", "exec", shell("echo x > clean.txt")),
        (
            "mixed",
            "exec",
            shell("cat mail.txt > mixed.txt; mv old.txt new.txt"),
        ),
        (
            "stay",
            "exec",
            json!({ "shell": "echo x > late.txt; sleep 288", "background": true }),
        ),
        ("r-clean", "read", read("clean.txt")),
        ("r-mixed", "read", read("mixed.txt")),
        ("r-own", "read", read("own.txt")),
        ("r-late", "read", read("late.txt")),
        ("r-new", "read", read("new.txt")),
        ("r-after", "read", read("after.txt")),
    ];
    let mut instar = Instar::prepare(Setup::scripted(calling(&rows)).config(open()));
    let folder = workspace(&instar);
    std::fs::write(folder.join("own.txt"), "mine").unwrap();
    instar.launch();
    assert!(!is_strangers(&instar, "agent:main:a", "clean"));
    assert!(!is_strangers(&instar, "agent:main:b", "r-clean"));
    assert_eq!(instar.terminate().code, Some(0));

    std::fs::write(folder.join("mail.txt"), "from somebody").unwrap();
    std::fs::write(folder.join("old.txt"), "from somebody, too").unwrap();
    note_stranger(&instar, "mail.txt", "from somebody");
    note_stranger(&instar, "old.txt", "from somebody, too");
    instar.launch();
    assert!(
        is_strangers(&instar, "agent:main:c", "mixed"),
        "it saw the workspace"
    );
    assert!(
        is_strangers(&instar, "agent:main:d", "r-mixed"),
        "so did the file"
    );
    assert!(
        is_strangers(&instar, "agent:main:e", "r-new"),
        "another name washes nothing"
    );
    assert!(
        !is_strangers(&instar, "agent:main:f", "r-own"),
        "what it did not touch is the owner's"
    );

    let _started = instar.ask("agent:main:g", "stay");
    until("it has written", || {
        folder.join("late.txt").exists().then_some(())
    });
    assert!(
        is_strangers(&instar, "agent:main:h", "r-late"),
        "as long as it runs"
    );
    let _killed = instar.kill9();
    until("nothing outlives the gateway", || {
        (!sleeps("288")).then_some(())
    });
    instar.launch();
    assert!(
        is_strangers(&instar, "agent:main:i", "r-late"),
        "after the cut"
    );
    std::fs::write(folder.join("after.txt"), "mine, later").unwrap();
    assert!(!is_strangers(&instar, "agent:main:j", "r-after"));
}

#[test]
fn no_program_writes_what_shapes_the_agent() {
    let code = "echo evil >> AGENTS.md; echo evil > MEMORY.md; mkdir -p skills/x; echo evil > skills/x/SKILL.md; \
                rm SOUL.md; mv IDENTITY.md x.md; ls";
    let rows = [("start", "exec", shell(code))];
    let mut instar = Instar::prepare(Setup::scripted(calling(&rows)).config(open()));
    let folder = workspace(&instar);
    instar.launch();
    let names = ["AGENTS.md", "SOUL.md", "IDENTITY.md"];
    let read = || names.map(|name| std::fs::read_to_string(folder.join(name)).unwrap());
    let (before, release) = (read(), instar.run(["release", "show", "--json"]).json());
    let told = said(&instar, "start");
    assert!(
        told.contains("MEMORY.md shapes the agent and is no program's to make"),
        "{told}"
    );
    assert_eq!(read(), before);
    assert!(!folder.join("MEMORY.md").exists() && !folder.join("skills").exists());
    assert!(put_aside(&folder, "MEMORY.md") && put_aside(&folder, "skills"));
    let _more = said(&instar, "start");
    let after = instar.run(["release", "show", "--json"]).json();
    assert_eq!(after["id"], release["id"]);
}

fn put_aside(folder: &Path, name: &str) -> bool {
    let start = format!("{name}.from-program-");
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    entries
        .into_iter()
        .any(|entry| entry.file_name().to_string_lossy().starts_with(&start))
}

/// A proxy on the way out: answers whatever it is asked for by itself.
pub(crate) fn outside() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let _thread = std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            for answer in [
                "HTTP/1.1 200 Connected\r\n\r\n",
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello",
            ] {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && client.read_exact(&mut byte).is_ok() {
                    head.push(byte[0]);
                }
                let _sent = client.write_all(answer.as_bytes());
            }
        }
    });
    address
}

#[test]
fn a_program_reaches_the_hosts_that_its_owner_named_and_no_other() {
    // Nothing but a socket of the base system: what the proxy variables name is asked.
    let code = r#"use IO::Socket::INET; my ($where) = $ENV{HTTP_PROXY} =~ m{//(.*)};
        for my $host ("8.8.8.8", "9.9.9.9", "127.0.0.1") {
          my $way = IO::Socket::INET->new($where) or die "no way: $!";
          print $way "GET http://$host/x HTTP/1.1\r\nhost: $host\r\nconnection: close\r\n\r\n";
          my $all = join "", <$way>; $all =~ s/\r//g; print "$host: $all\n"; }
        print IO::Socket::INET->new(PeerAddr => "8.8.8.8:80", Timeout => 2) ? "direct" : "no other way";"#;
    let rows = [("start", "exec", json!({ "command": ["perl", "-e", code] }))];
    let mut config = open();
    config["egress"] = json!({ "proxy": outside() });
    config["agents"] = json!({ "defaults": { "sandbox": { "network": ["8.8.8.8"] } } });
    let instar = Instar::start(Setup::scripted(calling(&rows)).config(config));
    let told = said(&instar, "start");
    assert!(
        told.contains("8.8.8.8: HTTP/1.1 200 OK\n") && told.contains("hello"),
        "{told}"
    );
    assert!(
        told.contains("9.9.9.9: HTTP/1.1 403") && told.contains("not on the list of hosts"),
        "{told}"
    );
    assert!(
        told.contains("127.0.0.1: HTTP/1.1 403") && told.ends_with("no other way"),
        "{told}"
    );
    let sockets = std::fs::read_dir(instar.state.join("sockets")).unwrap();
    assert_eq!(sockets.count(), 0, "the way is gone with the program");
}

#[test]
fn without_walls_nothing_runs_where_strangers_were_read() {
    let rows = [
        ("start", "exec", shell("echo $HOME; ls instar.json")),
        ("mail", "read", json!({ "path": "mail.txt" })),
    ];
    let config = json!({ "policy": { "posture": "open" },
        "agents": { "defaults": { "sandbox": { "mode": "off" } } } });
    let mut instar = Instar::prepare(Setup::scripted(calling(&rows)).config(config));
    let folder = workspace(&instar);
    instar.launch();
    let told = said(&instar, "start");
    assert!(told.contains("exit code 2"), "{told}");
    assert_eq!(instar.terminate().code, Some(0));
    std::fs::write(folder.join("mail.txt"), "from somebody").unwrap();
    note_stranger(&instar, "mail.txt", "from somebody");
    instar.launch();
    let told = said(&instar, "start");
    let report = instar.run(["security", "audit", "--json"]);
    assert!(
        report
            .stdout
            .contains("main: programs have the rights of the gateway"),
        "{report:?}"
    );
    let doctor = instar.run(["doctor", "--json"]);
    assert!(doctor.stdout.contains("\"landlock: "), "{doctor:?}");
    assert!(
        told.contains("nothing was run") && told.contains("sandbox.mode to all"),
        "{told}"
    );
}

#[test]
fn a_program_runs_in_a_container_where_the_owner_says_so_and_nowhere_without_an_engine() {
    let rows = [("start", "exec", shell("cat; pwd; echo made > made.txt"))];
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("engine.sock");
    let docker = json!({
        "image": "debian:bookworm-slim", "socket": socket, "cpus": 0.5, "network": "none", "readOnlyRoot": true,
        "capDrop": ["ALL", "NET_RAW"], "pidsLimit": 33, "memory": "64m", "tmpfs": ["/run"],
    });
    let config = json!({
        "policy": { "posture": "open" },
        "agents": { "defaults": { "sandbox": { "backend": "docker", "docker": docker } } },
    });
    let instar = Instar::start(Setup::scripted(calling(&rows)).config(config));
    let told = said(&instar, "start");
    assert!(told.contains("no container engine answers at"), "{told}");
    assert!(!workspace(&instar).join("made.txt").exists(), "{told}");
    let engine = FakeEngine::start(&socket, "debian:bookworm-slim").unwrap();
    let told = said(&instar, "start");
    assert!(told.starts_with("[exit code 0 after "), "{told}");
    let made = std::fs::read_to_string(workspace(&instar).join("made.txt")).unwrap();
    assert_eq!(made, "made\n");
    let asked = engine.asked();
    let create = asked
        .iter()
        .find(|(what, _)| what == "POST /containers/create");
    let host = &create.unwrap().1["HostConfig"];
    assert_eq!(host["NetworkMode"], "none", "{host}");
    assert_eq!(host["NanoCpus"], 500_000_000, "{host}");
    assert_eq!(host["PidsLimit"], 33, "{host}");
    assert_eq!(host["Memory"], 64 << 20, "{host}");
    assert_eq!(host["CapDrop"], json!(["ALL", "NET_RAW"]), "{host}");
    assert!(host["Tmpfs"].get("/run").is_some(), "{host}");
    assert_eq!(engine.left(), 0, "{asked:?}");
    for (key, weaker) in [
        ("network", "bridge"),
        ("readOnlyRoot", "false"),
        ("capAdd", "[\"SYS_ADMIN\"]"),
        ("privileged", "true"),
    ] {
        let path = format!("agents.defaults.sandbox.docker.{key}");
        let refused = instar.run(["config", "set", &path, weaker]);
        assert_ne!(refused.code, 0, "{key}: {refused:?}");
        assert!(refused.stderr.contains(key), "{key}: {refused:?}");
    }
}

/// With this back end there is nothing to run but components, and these have the workspace and no more.
#[test]
fn a_component_runs_where_the_owner_says_so_and_no_program_of_the_machine() {
    let rows = [
        ("start", "exec", json!({ "command": ["./copier.wasm"] })),
        ("spin", "exec", json!({ "command": ["./spinner.wasm"] })),
        ("shell", "exec", shell("echo made > made.txt")),
        ("plain", "exec", json!({ "command": ["touch", "made.txt"] })),
    ];
    let config = json!({
        "policy": { "posture": "open" },
        "agents": { "defaults": { "sandbox": { "backend": "wasm", "wasm": { "fuelMillions": 100 } } } },
    });
    let instar = Instar::start(Setup::scripted(calling(&rows)).config(config));
    let folder = workspace(&instar);
    std::fs::write(folder.join("copier.wasm"), component(COPIER).unwrap()).unwrap();
    std::fs::write(folder.join("spinner.wasm"), component(SPINNER).unwrap()).unwrap();
    std::fs::write(folder.join("note.txt"), "milk and bread").unwrap();
    let told = said(&instar, "start");
    assert!(
        told.starts_with("[exit code 0 after ") && told.contains("milk and bread"),
        "{told}"
    );
    let copy = std::fs::read_to_string(folder.join("copy.txt")).unwrap();
    assert_eq!(copy, "milk and bread");
    let told = said(&instar, "spin");
    assert!(told.contains("more steps than it was given"), "{told}");
    for asked in ["shell", "plain"] {
        let told = said(&instar, asked);
        assert!(told.contains("WebAssembly components here"), "{told}");
    }
    assert!(!folder.join("made.txt").exists());
    let path = "agents.defaults.sandbox.network";
    let refused = instar.run(["config", "set", path, "[\"example.org\"]"]);
    assert_ne!(refused.code, 0, "{refused:?}");
    assert!(
        refused.stderr.contains("a component has no sockets"),
        "{refused:?}"
    );
}

/// A limit for a run as a whole holds, or nothing runs: which of them is told by `instar doctor`.
#[test]
fn a_limit_for_all_processes_of_a_run_together_holds_or_nothing_runs() {
    let rows = [("start", "exec", shell("echo made > made.txt"))];
    let limits = json!({ "runMemoryMb": 512 });
    let config = json!({
        "policy": { "posture": "open" },
        "agents": { "defaults": { "sandbox": { "limits": limits } } },
    });
    let instar = Instar::start(Setup::scripted(calling(&rows)).config(config));
    let doctor = instar.run(["doctor", "--json"]).stdout;
    let told = said(&instar, "start");
    let made = workspace(&instar).join("made.txt").exists();
    if doctor.contains("cgroup limits: holds") {
        assert!(made, "{told}");
    } else {
        assert!(doctor.contains("cgroup limits: "), "{doctor}");
        assert!(told.contains("need control groups"), "{told}");
        assert!(!made, "{told}");
    }
}
