//! What the bench found out, and its table for people.

use serde::Serialize;

use crate::machine::Machine;
use crate::report::{row, say};

#[derive(Serialize, Debug)]
pub(super) struct Report {
    pub(super) machine: Machine,
    pub(super) binary_mb: f64,
    pub(super) start: Vec<StartRow>,
    pub(super) idle_mb: f64,
    pub(super) turns: Vec<TurnRow>,
    pub(super) long_session: Growth,
    pub(super) stored_sessions: Growth,
    pub(super) soak: Soak,
}

#[derive(Serialize, Debug)]
pub(super) struct StartRow {
    pub(super) what: &'static str,
    pub(super) wall_ms: f64,
    pub(super) cpu_ms: f64,
}

/// One load, through the gateway and directly at the model.
#[derive(Serialize, Debug)]
pub(super) struct TurnRow {
    pub(super) clients: usize,
    pub(super) turns: usize,
    pub(super) direct_p50_ms: f64,
    pub(super) gateway_p50_ms: f64,
    pub(super) added_p50_ms: f64,
    pub(super) direct_p99_ms: f64,
    pub(super) gateway_p99_ms: f64,
    pub(super) added_p99_ms: f64,
    pub(super) turns_per_s: f64,
    pub(super) cpu_ms_per_turn: f64,
    pub(super) written_bytes_per_turn: f64,
}

/// Cost of the same turn with little and with much stored.
#[derive(Serialize, Debug)]
pub(super) struct Growth {
    pub(super) few: usize,
    pub(super) many: usize,
    pub(super) few_p50_ms: f64,
    pub(super) many_p50_ms: f64,
    pub(super) ratio: f64,
    pub(super) few_cpu_ms: f64,
    pub(super) many_cpu_ms: f64,
    pub(super) cpu_ratio: f64,
}

#[derive(Serialize, Debug)]
pub(super) struct Soak {
    pub(super) turns: usize,
    pub(super) first_tenth_cpu_ms_per_turn: f64,
    pub(super) last_tenth_cpu_ms_per_turn: f64,
    pub(super) idle_before_mb: f64,
    pub(super) after_mb: f64,
    pub(super) memory_ratio: f64,
    pub(super) turns_per_s: f64,
}

pub(super) fn print(report: &Report) {
    let machine = &report.machine;
    say(&format!(
        "{} cores, load {:.2}, flush {:.0} us, kernel {}\n",
        machine.cores, machine.load, machine.flush_us, machine.kernel
    ));
    let second = &report.start[1];
    row(
        "first start: wall / CPU",
        &format!(
            "{:.0} / {:.0} ms",
            report.start[0].wall_ms, report.start[0].cpu_ms
        ),
        "",
        None,
    );
    row(
        "second start: wall / CPU",
        &format!("{:.0} / {:.0} ms", second.wall_ms, second.cpu_ms),
        "< 50 ms",
        Some(second.wall_ms < 50.0),
    );
    row(
        "idle memory",
        &format!("{:.1} MB", report.idle_mb),
        "< 25 MB",
        Some(report.idle_mb < 25.0),
    );
    row(
        "binary",
        &format!("{:.1} MB", report.binary_mb),
        "< 40 MB",
        Some(report.binary_mb < 40.0),
    );
    for turns in &report.turns {
        let name = format!("{} clients: ", turns.clients);
        let sequential = turns.clients == 1;
        row(
            &format!("{name}added p50"),
            &format!("{:.2} ms", turns.added_p50_ms),
            if sequential { "< 1 ms" } else { "" },
            sequential.then_some(turns.added_p50_ms < 1.0),
        );
        row(
            &format!("{name}added p99"),
            &format!("{:.2} ms", turns.added_p99_ms),
            if sequential { "< 5 ms" } else { "" },
            sequential.then_some(turns.added_p99_ms < 5.0),
        );
        let many = turns.clients == 32;
        row(
            &format!("{name}turns per second"),
            &format!("{:.0}", turns.turns_per_s),
            if many { "> 1000" } else { "" },
            many.then_some(turns.turns_per_s > 1000.0),
        );
        row(
            &format!("{name}CPU per turn"),
            &format!("{:.2} ms", turns.cpu_ms_per_turn),
            "< 1 ms",
            Some(turns.cpu_ms_per_turn < 1.0),
        );
        row(
            &format!("{name}bytes written per turn"),
            &format!("{:.0}", turns.written_bytes_per_turn),
            "",
            None,
        );
    }
    for (name, growth) in [
        ("turn", &report.long_session),
        ("stored conversations", &report.stored_sessions),
    ] {
        row(
            &format!("{name} {} against {}: time", growth.many, growth.few),
            &format!("{:.2} x", growth.ratio),
            "< 1.2 x",
            Some(growth.ratio < 1.2),
        );
        row(
            &format!("{name} {} against {}: CPU", growth.many, growth.few),
            &format!("{:.2} x", growth.cpu_ratio),
            "< 1.2 x",
            Some(growth.cpu_ratio < 1.2),
        );
    }
    let soak = &report.soak;
    let flat = soak.last_tenth_cpu_ms_per_turn / soak.first_tenth_cpu_ms_per_turn;
    row(
        &format!("soak of {}: CPU, last tenth against first", soak.turns),
        &format!("{flat:.2} x"),
        "flat",
        None,
    );
    row(
        "soak: memory at rest, after against before",
        &format!("{:.1} / {:.1} MB", soak.after_mb, soak.idle_before_mb),
        "< 1.2 x",
        Some(soak.memory_ratio < 1.2),
    );
}
