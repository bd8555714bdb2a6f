//! `instar gene add --skill`: recipes that a skill brings, shown first, and taken up when the owner says so.

use instar_gateway::healing::{FromSkill, GeneAsked, SKILL_GENES};
use instar_gateway::skills::{Scanned, Verdict};
use instar_improve::gene::brought;
use instar_release::skill::scan::{Found, Weight};
use serde_json::json;
use std::path::Path;

use super::heal::{keep, word};
use super::skill;
use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::out::{Style, visible};

/// The rule of a skill's recipes.
const RULE: &str = "genes";

/// Shows what the skill in service would bring, and brings it with a yes.
pub(super) async fn add(name: &str, agent: &str, yes: bool, run: &Context) -> anyhow::Result<()> {
    let text = skill::text(name, SKILL_GENES, agent, run).await?;
    let genes = brought(&text).map_err(|error| {
        let told = format!("{name}/{SKILL_GENES}: {}", visible(&error.to_string()));
        Failure::new(Code::Failed, told)
            .next("`instar skill scan FOLDER` tells the same before it is served")
    })?;
    let from = FromSkill::of(agent, name, &text);
    let mut shown = Vec::with_capacity(genes.len());
    for (value, gene) in genes {
        if yes {
            let asked = GeneAsked {
                gene: Some(value.clone()),
                from: Some(from.clone()),
                ..word(&gene.id, false)
            };
            let _kept = keep(run, asked).await?;
        }
        if !run.out.json() {
            let id = run.out.paint(Style::Strong, &gene.id);
            let does = serde_json::to_string(&gene.writes)?;
            run.out
                .line(&format!("{id}  {}: {does}", visible(&gene.title)));
        }
        shown.push(value);
    }
    if run.out.json() {
        return run
            .out
            .value(&json!({ "skill": name, "agent": agent, "added": yes, "genes": shown }));
    }
    if yes {
        run.out.note(&format!(
            "they are there as long as {name} has them in these words"
        ));
    } else {
        run.out.note(&format!(
            "nothing is added yet; `instar gene add --skill {name} --yes` adds them"
        ));
    }
    Ok(())
}

/// What is wrong with the recipes in a folder that was looked through.
pub(super) fn look(folder: &Path, found: &mut Scanned) {
    if !found.files.iter().any(|file| file == SKILL_GENES) {
        return;
    }
    // It was read as text within the bounds of a skill just now.
    let text = std::fs::read_to_string(folder.join(SKILL_GENES)).unwrap_or_default();
    if let Err(error) = brought(&text) {
        found.findings.push(Found {
            file: SKILL_GENES.to_owned(),
            line: 1,
            rule: RULE,
            weight: Weight::Refuse,
            what: visible(&error.to_string()),
        });
        found.verdict = Verdict::Refuse;
    }
}

/// True if nothing else than its recipes speaks against the skill: it is served without them.
pub(super) fn are_left_out(found: &Scanned) -> bool {
    let refused = |one: &&Found| one.weight == Weight::Refuse;
    let mut refused = found.findings.iter().filter(refused);
    found.problem.is_none() && refused.all(|one| one.rule == RULE)
}
