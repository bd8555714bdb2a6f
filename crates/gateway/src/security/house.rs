//! What may be done here: standing rules, tools, walls, the chain of receipts, the program's age.

use instar_protocol::api::Severity;
use instar_protocol::security::SecurityFinding;
use instar_protocol::tool::Effect;

use super::{Subject, With as _, advisories, finding, fine, not_looked};

pub(super) fn look(subject: &Subject) -> Vec<SecurityFinding> {
    vec![tools(subject), old_program(), advisories::look(subject)]
}

pub(super) fn look_deep(subject: &Subject) -> Vec<SecurityFinding> {
    vec![chain(subject), walls()]
}

/// A tool of which nothing is known may do anything with any argument.
fn tools(subject: &Subject) -> SecurityFinding {
    let id = "tools.annotations";
    let Some(tools) = &subject.tools else {
        return not_looked(id, "which tools there are is known while a gateway runs");
    };
    let unknown: Vec<String> = tools
        .iter()
        .filter(|(_, one)| one.effect == Effect::Execute && one.slots.is_empty())
        .map(|(name, _)| name.clone())
        .collect();
    if unknown.is_empty() {
        return fine(id, format!("{} tools, each says what it does", tools.len()));
    }
    finding(
        id,
        Severity::Notice,
        "of these tools nothing is known: every call of them asks",
        &["T-EXEC-006", "T-EXEC-003"],
    )
    .seen(unknown)
    .fix("remove the server that brings them if you do not need it")
}

/// A program that was replaced on the disk goes on as it was until it is started again.
fn old_program() -> SecurityFinding {
    let id = "version.stale";
    match std::fs::read_link("/proc/self/exe") {
        Ok(program) if program.to_string_lossy().ends_with(" (deleted)") => finding(
            id,
            Severity::Warning,
            "the program was replaced on the disk, and the old one still runs",
            &["T-PERSIST-002"],
        )
        .fix("`instar gateway restart`"),
        Ok(_) => fine(
            id,
            concat!(
                "version ",
                env!("CARGO_PKG_VERSION"),
                ", as it lies on the disk"
            ),
        ),
        Err(_) => not_looked(id, "this system does not tell which program runs"),
    }
}

fn chain(subject: &Subject) -> SecurityFinding {
    let id = "audit.chain";
    let Some(report) = &subject.kept.chain else {
        return not_looked(id, "the chain of receipts is gone through with --deep");
    };
    if report.problems.is_empty() {
        return fine(
            id,
            format!("{} receipts, none was changed", report.receipts),
        );
    }
    let problems = report.problems.iter();
    finding(
        id,
        Severity::Error,
        "receipts of what was decided were changed or are missing",
        &["T-PERSIST-003", "T-IMPACT-004"],
    )
    .seen(
        problems
            .map(|one| format!("receipt {}: {}", one.seq, one.what))
            .collect(),
    )
    .fix("look who could write to the state folder, and compare with a backup")
}

/// The walls begin as the program itself, which only the command line can be asked to be.
fn walls() -> SecurityFinding {
    not_looked(
        "sandbox.layers",
        "the walls around programs are tried by `instar security audit --deep`",
    )
}
