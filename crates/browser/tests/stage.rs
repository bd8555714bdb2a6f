//! Builds the walls of the tests' browsers: the test binary itself starts no stage.

fn main() -> std::process::ExitCode {
    instar_sandbox::stage().map_or(std::process::ExitCode::FAILURE, Into::into)
}
