//! `instar security`.

use instar_protocol::api::Severity;
use instar_protocol::security::{SecurityFinding, SecurityReport};
use instar_sandbox::native::Native;
use instar_sandbox::probe::{State, probe};
use serde_json::json;

use super::{mend, offline};
use crate::args::Security;
use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::out::{Style, visible};

/// The check that only this program itself can make.
const WALLS: &str = "sandbox.layers";

pub(crate) async fn run(command: &Security, run: &Context) -> anyhow::Result<()> {
    let Security::Audit { deep, fix } = command;
    let mut report = look(*deep, run).await?;
    let mut mended = Vec::new();
    if *fix && report.findings.iter().any(|finding| finding.mendable) {
        let root = run.state()?.root().to_owned();
        let closed = mend::close(&root)?;
        mended.push(format!("closed {closed} files and folders to other users"));
        report = look(*deep, run).await?;
    }
    if run.out.json() {
        let mut value = serde_json::to_value(&report)?;
        value["mended"] = json!(mended);
        run.out.value(&value)?;
    } else {
        for done in &mended {
            run.out
                .line(&run.out.paint(Style::Good, &format!("mended: {done}")));
        }
        if *fix && mended.is_empty() {
            run.out
                .note("nothing here can be mended without a choice of yours");
        }
        tell(&report, run);
    }
    if !report.has_errors() {
        return Ok(());
    }
    Err(
        Failure::new(Code::Failed, "something is wrong that should not wait")
            .next("mend what is marked with error above")
            .into(),
    )
}

async fn look(deep: bool, run: &Context) -> anyhow::Result<SecurityReport> {
    let report = look_at_all(deep, run).await?;
    if !deep {
        return Ok(report);
    }
    let mut findings = report.findings;
    findings.retain(|finding| finding.id != WALLS);
    findings.push(walls());
    Ok(SecurityReport::of(findings, deep))
}

/// The walls around programs, tried for real: each begins as this very program.
fn walls() -> SecurityFinding {
    let (mut weak, mut missing) = (Vec::new(), Vec::new());
    for layer in probe(&Native::of_this_binary(), None) {
        match layer.state {
            State::Holds => {}
            State::Weak(why) => weak.push(format!("{}: {why}", layer.name)),
            State::Missing(why) => missing.push(format!("{} is missing: {why}", layer.name)),
        }
    }
    let (severity, message, fix) = if missing.is_empty() {
        (Severity::Fine, "the walls around programs stand", None)
    } else {
        (
            Severity::Warning,
            "walls around programs are missing; nothing that needs them runs",
            Some("do what stands beside each, and look again".to_owned()),
        )
    };
    missing.extend(weak);
    SecurityFinding {
        id: WALLS.to_owned(),
        severity,
        message: message.to_owned(),
        evidence: missing,
        fix,
        threats: vec!["T-IMPACT-001".to_owned(), "T-DISC-004".to_owned()],
        mendable: false,
    }
}

async fn look_at_all(deep: bool, run: &Context) -> anyhow::Result<SecurityReport> {
    match offline::live(run).await? {
        Some(client) => {
            let mut report: SecurityReport =
                client.get(&format!("/api/v1/security?deep={deep}")).await?;
            if client.run.version != env!("CARGO_PKG_VERSION") {
                report.findings.push(other_version(&client.run.version));
                report = SecurityReport::of(report.findings, report.deep);
            }
            Ok(report)
        }
        None => offline::security(run, deep).await,
    }
}

/// A program that was replaced is not in use before it is started again.
fn other_version(running: &str) -> SecurityFinding {
    SecurityFinding {
        id: "version.running".to_owned(),
        severity: Severity::Warning,
        message: format!(
            "version {} runs, and this is {}",
            visible(running),
            env!("CARGO_PKG_VERSION")
        ),
        evidence: Vec::new(),
        fix: Some("`instar gateway restart`".to_owned()),
        threats: vec!["T-PERSIST-002".to_owned()],
        mendable: false,
    }
}

fn tell(report: &SecurityReport, run: &Context) {
    for finding in &report.findings {
        let (style, word) = match finding.severity {
            Severity::Fine => (Style::Good, "fine"),
            Severity::Notice => (Style::Faint, "notice"),
            Severity::Warning => (Style::Warn, "warning"),
            Severity::Error => (Style::Bad, "error"),
        };
        let word = run.out.paint(style, &format!("{word:<8}"));
        let threats = match finding.threats.join(" ") {
            threats if threats.is_empty() => String::new(),
            threats => run.out.paint(Style::Faint, &format!("  [{threats}]")),
        };
        run.out.line(&format!(
            "{word} {:<22} {}{threats}",
            finding.id,
            visible(&finding.message)
        ));
        for line in &finding.evidence {
            run.out.line(&format!("         - {}", visible(line)));
        }
        if let Some(fix) = &finding.fix {
            run.out.line(&format!("         next: {fix}"));
        }
    }
    run.out.line(&format!("score {} of 100", report.score));
    if !report.deep {
        run.out
            .note("--deep also goes through the chain of receipts and tries the walls");
    }
}
