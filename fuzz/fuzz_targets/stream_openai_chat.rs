//! Bytes from a model server are decoded or refused, and where they are cut makes no difference.
#![no_main]

use instar_models::config::Api;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| instar_fuzz::stream(Api::OpenaiCompletions, bytes));
