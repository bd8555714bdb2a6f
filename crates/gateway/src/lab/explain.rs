//! Asking the lab why: what each recipe would do about a fault. The answer is the job's and is shown as
//! such; what is proposed from it is checked like whatever the lab proposes.

use instar_protocol::fault::Fault;
use instar_protocol::lab::{Proposed, TAKE_NOTE, ToLab};
use instar_release::{Candidate, Class};
use serde_json::{Value, json};

use super::{blocking, job, one};
use crate::api::queries::QueryError;
use crate::app::AppState;
use crate::healing;

/// The fault, and what is said of every recipe.
pub async fn explain(
    app: &AppState,
    fault: &str,
    agent: &str,
) -> Result<(Fault, Vec<Value>), QueryError> {
    let fault = one(&app.store, fault).await?.fault;
    let case = healing::case_here(app, agent).await?;
    let asked = ToLab::Explain {
        case: Box::new(case),
        fault: fault.id.clone(),
    };
    let told = blocking(move || {
        let mut job = job(instar_protocol::lab::ROLE)?;
        job.tell(&asked)?;
        job.hear::<Vec<Value>>()
    });
    let mut told = told.await.map_err(|error| QueryError::Invalid {
        param: "lab",
        why: error.to_string(),
    })?;
    for edit in healing::notes_that_wait(&app.store, &fault.id).await? {
        let of_gene = told.iter_mut().find(|one| one["gene"] == edit.gene);
        if let Some(one) = of_gene {
            one["would"] = json!(format!(
                "waits for you: take a note of {} away (`instar memory edit show {}`)",
                edit.note.path, edit.id
            ));
            one["class"] = json!(Class::C);
            one["why_not"] = Value::Null;
        }
    }
    Ok((fault, told))
}

/// Makes a candidate of what a recipe would do: the one that is believed in most, or the one that is named.
pub async fn attempt(
    app: &AppState,
    fault: &str,
    gene: Option<&str>,
    agent: &str,
) -> Result<Candidate, QueryError> {
    let (fault, told) = explain(app, fault, agent).await?;
    // A note is no matter of a trial.
    let is_able = |one: &&Value| !one["delta"].is_null() && one["delta"][TAKE_NOTE].is_null();
    let able = told.iter().filter(is_able);
    let chosen = able
        .into_iter()
        .find(|one| gene.is_none_or(|gene| one["gene"] == gene));
    let nothing = || QueryError::Invalid {
        param: "fault",
        why: "no recipe does anything about it; `heal.explain` says why".to_owned(),
    };
    let chosen = chosen.ok_or_else(nothing)?;
    let word = |field: &str| chosen[field].as_str().unwrap_or_default().to_owned();
    let proposed = Proposed {
        fault: fault.id.clone(),
        gene: word("gene"),
        delta: chosen["delta"].clone(),
        because: vec![word("title")],
    };
    healing::chosen(
        &app.store,
        &app.releases,
        agent,
        &fault,
        &proposed,
        app.clock.now(),
    )
    .await
}
