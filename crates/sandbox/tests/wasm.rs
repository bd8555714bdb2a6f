//! Components behind walls: what they have, and what they cannot even ask for.

use instar_sandbox::native::{Ended, Maker, Native, Outcome};
use instar_sandbox::root::Root;
use instar_sandbox::spec::{Access, Argv, Component, Job, Limits, Walls};
use instar_testkit::component::{COPIER, SPINNER, bytes, component};
use std::path::Path;

const PLENTY: u64 = 1 << 40;

#[derive(Clone, Copy)]
struct Bounds {
    access: Access,
    fuel: u64,
    limits: Limits,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            access: Access::Write,
            fuel: PLENTY,
            limits: Limits {
                wall_seconds: 120,
                ..Limits::default()
            },
        }
    }
}

fn run(folder: &Path, content: &[u8], bounds: Bounds) -> Outcome {
    std::fs::write(folder.join("tool.wasm"), content).unwrap();
    let walls = Walls {
        workspace: bounds.access,
        limits: bounds.limits,
        ..Walls::default()
    };
    let mut job = Job::new(walls, Argv::new(vec!["./tool.wasm".to_owned()]).unwrap());
    job.component = Some(Component { fuel: bounds.fuel });
    job.workspace = Some(Root::open(folder).unwrap());
    Native::of_this_binary()
        .with_binary(env!("CARGO_BIN_EXE_instar-walls-probe").into())
        .with_maker(Maker::Own)
        .run(job)
        .unwrap()
}

fn told(outcome: &Outcome) -> (Option<u8>, String) {
    let code = match outcome.ended {
        Ended::Exit(code) => Some(code),
        Ended::TimedOut | Ended::Flooded | Ended::Killed => None,
    };
    (
        code,
        String::from_utf8_lossy(&outcome.stderr.bytes).into_owned(),
    )
}

#[test]
fn a_component_has_its_folder_as_the_walls_show_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("note.txt"), "milk and bread").unwrap();
    let copier = component(COPIER).unwrap();
    let read_only = Bounds {
        access: Access::Read,
        ..Bounds::default()
    };
    let outcome = run(folder.path(), &copier, read_only);
    assert_eq!(told(&outcome).0, Some(1), "{outcome:?}");
    assert_eq!(outcome.stdout.bytes, b"milk and bread");
    assert!(!folder.path().join("copy.txt").exists());
    let outcome = run(folder.path(), &copier, Bounds::default());
    assert_eq!(told(&outcome), (Some(0), String::new()), "{outcome:?}");
    let copy = std::fs::read(folder.path().join("copy.txt")).unwrap();
    assert_eq!(copy, b"milk and bread");
}

#[test]
fn steps_time_and_memory_have_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let spinner = component(SPINNER).unwrap();
    let few = Bounds {
        fuel: 1_000_000,
        ..Bounds::default()
    };
    let (code, why) = told(&run(folder.path(), &spinner, few));
    assert_eq!(code, Some(134), "{why}");
    assert!(why.contains("more steps than it was given"), "{why}");
    let hungry = r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func (export "_start")
          (call $exit (i32.eq (memory.grow (i32.const 1024)) (i32.const -1)))))"#;
    let small = Bounds {
        limits: Limits {
            memory_bytes: 32 << 20,
            ..Limits::default()
        },
        ..Bounds::default()
    };
    let hungry = component(hungry).unwrap();
    assert_eq!(
        told(&run(folder.path(), &hungry, small)),
        (Some(1), String::new())
    );
    assert_eq!(
        told(&run(folder.path(), &hungry, Bounds::default())).0,
        Some(0)
    );
}

#[test]
fn a_component_that_asks_for_a_socket_is_not_started_and_other_files_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let caller = r#"(component (import "wasi:sockets/instance-network@0.2.0" (instance
        (export "network" (type (sub resource))))))"#;
    let (code, why) = told(&run(
        folder.path(),
        &bytes(caller).unwrap(),
        Bounds::default(),
    ));
    assert_eq!(code, Some(134), "{why}");
    assert!(why.contains("wasi:sockets/instance-network"), "{why}");
    for (content, reason) in [
        (bytes("(module)").unwrap(), "no component"),
        (
            b"#!/bin/sh\necho hello\n".to_vec(),
            "no WebAssembly component",
        ),
        (b"\0asm\x0d\0\x01\0nonsense".to_vec(), "stopped"),
    ] {
        let (code, why) = told(&run(folder.path(), &content, Bounds::default()));
        assert_eq!(code, Some(134), "{why}");
        assert!(why.contains(reason), "{why}");
    }
}
