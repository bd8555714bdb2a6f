//! The owner's embedder, where texts are held against texts by how near they stand: in suites, and in what is asked
//! of answers.

use instar_models::{Embedding, TEXTS_MAX};
use instar_protocol::model::ModelRef;
use instar_protocol::{AgentId, SessionId};
use instar_store::{Op, Spend};

use crate::app::AppState;

/// Under which the calls are booked.
const SESSION: &str = "grading";
/// What is wrong where none is named.
pub(crate) const NONE: &str = "no embedder is named; `improve.embedder` names one";

/// The one that the owner named.
pub(crate) fn model(app: &AppState) -> Option<ModelRef> {
    let named = app.config.current().value.improve.embedder.clone();
    ModelRef::parse(&named.filter(|name| !name.is_empty())?)
}

/// One place for each text.
pub(crate) async fn of(
    app: &AppState,
    embedder: &ModelRef,
    agent: &AgentId,
    texts: &[String],
) -> Result<Vec<Vec<f64>>, String> {
    if texts.is_empty() || texts.len() > TEXTS_MAX {
        return Err(format!("1 to {TEXTS_MAX} texts can be compared at a time"));
    }
    let wide = |vector: Vec<f32>| vector.into_iter().map(f64::from).collect();
    let vectors = vectors(app, embedder, agent, SESSION, texts).await?;
    Ok(vectors.into_iter().map(wide).collect())
}

/// Asks the embedder, and enters the call in the books.
pub(crate) async fn vectors(
    app: &AppState,
    embedder: &ModelRef,
    agent: &AgentId,
    session: &str,
    texts: &[String],
) -> Result<Vec<Vec<f32>>, String> {
    let session = SessionId::from_stored(session);
    let asked = app.models.embed(embedder, texts, agent, &session).await;
    let Embedding { vectors, spent } = asked.map_err(|error| error.to_string())?;
    let day = crate::ledger::local_day(app.clock.now(), &app.ledger.zone());
    let spend = Op::AddSpend(Spend {
        day: day.to_string(),
        agent: spent.agent,
        model: spent.model.to_string(),
        session: spent.session,
        calls: spent.calls,
        input_tokens: spent.input_tokens,
        output_tokens: spent.output_tokens,
        cost_micros: spent.cost_micros,
    });
    let kept = app.store.commit(vec![spend]).await;
    kept.map_err(|error| error.to_string())?;
    Ok(vectors)
}
