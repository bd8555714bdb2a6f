//! WebAssembly components out of a few lines of text.

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
};
use wit_component::ComponentEncoder;

/// Makes a component of a module in the text format that calls `wasi_snapshot_preview1` and begins at
/// `_start`, with the adapter that compilers use.
pub fn component(module: &str) -> anyhow::Result<Vec<u8>> {
    ComponentEncoder::default()
        .module(&wat::parse_str(module)?)?
        .adapter(
            WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME,
            WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
        )?
        .validate(true)
        .encode()
}

/// A component or a module as it stands in the text.
pub fn bytes(text: &str) -> anyhow::Result<Vec<u8>> {
    Ok(wat::parse_str(text)?)
}

/// Reads `note.txt` of the folder in which it begins, says it, and writes it to `copy.txt`; ends with 0, or
/// with the number of the step that failed.
pub const COPIER: &str = r#"
(module
  (import "wasi_snapshot_preview1" "path_open" (func $open
    (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "note.txt")
  (data (i32.const 16) "copy.txt")
  ;; one buffer: 256 bytes from 512 on
  (data (i32.const 32) "\00\02\00\00\00\01\00\00")
  (func $need (param $failed i32) (param $step i32)
    (if (local.get $failed) (then (call $exit (local.get $step)))))
  (func (export "_start")
    ;; the first folder that is handed over is the one in which it begins
    (call $need (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 8)
      (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 48)) (i32.const 11))
    (call $need (call $read (i32.load (i32.const 48)) (i32.const 32) (i32.const 1) (i32.const 52))
      (i32.const 12))
    (i32.store (i32.const 36) (i32.load (i32.const 52)))
    (call $need (call $write (i32.const 1) (i32.const 32) (i32.const 1) (i32.const 56)) (i32.const 13))
    (call $need (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 8)
      (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 48)) (i32.const 14))
    (call $need (call $write (i32.load (i32.const 48)) (i32.const 32) (i32.const 1) (i32.const 56))
      (i32.const 15))))
"#;

/// Never ends.
pub const SPINNER: &str = r#"(module (memory (export "memory") 1)
  (func (export "_start") (loop $again (br $again))))"#;
