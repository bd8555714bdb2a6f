//! Vectors of texts, from an embedder that the owner has: a server of his own, or a vendor's. One request,
//! one answer; the same road out, the same keys and the same budget as for any call.

use crate::attempt::outgoing;
use crate::catalog::Provider;
use crate::config::Api;
use crate::error::Failure;
use crate::gather::tokens_of;
use crate::models::{Models, SpendRecord};
use crate::price;
use http::Method;
use instar_protocol::event::ErrorClass;
use instar_protocol::model::{ModelRef, Usage};
use instar_protocol::{AgentId, Readers, SessionId};
use serde_json::{Value, json};
use std::time::Duration;

/// Texts of one request, and the numbers of one vector.
pub const TEXTS_MAX: usize = 64;
const NUMBERS_MAX: usize = 8_192;
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(60);

/// Why there are no vectors.
#[derive(Debug, thiserror::Error)]
#[error("{model} gave no vectors: {why}")]
pub struct EmbedError {
    pub model: String,
    /// Without secrets.
    pub why: String,
}

/// Vectors, and what they cost: in the totals of the day already, and in the books once whoever asked writes it there.
#[derive(Debug)]
pub struct Embedding {
    pub vectors: Vec<Vec<f32>>,
    pub spent: SpendRecord,
}

impl Models {
    /// One vector for each text, at most [`TEXTS_MAX`] of them. It is booked under the agent and session
    /// given, and refused where a limit on spending is reached.
    pub async fn embed(
        &self,
        model: &ModelRef,
        texts: &[String],
        agent: &AgentId,
        session: &SessionId,
    ) -> Result<Embedding, EmbedError> {
        let done = tokio::time::timeout(TIMEOUT, self.vectors(model, texts, agent, session)).await;
        let late = || {
            Err(Failure::new(
                ErrorClass::Timeout,
                "it took longer than 60 s",
            ))
        };
        done.unwrap_or_else(|_| late())
            .map_err(|failure| EmbedError {
                model: model.to_string(),
                why: failure.operator,
            })
    }

    async fn vectors(
        &self,
        model: &ModelRef,
        texts: &[String],
        agent: &AgentId,
        session: &SessionId,
    ) -> Result<Embedding, Failure> {
        let catalog = self.catalog();
        let unknown = || Failure::new(ErrorClass::Config, "no such provider");
        let provider = catalog
            .providers
            .get(model.provider())
            .ok_or_else(unknown)?;
        // What is looked for among comes from conversations.
        provider.clearance.check(&provider.id, &Readers::Private)?;
        let texts = texts.get(..TEXTS_MAX).unwrap_or(texts);
        let parts = &self.inner.parts;
        let key = provider.secret(parts);
        let key = key.map_err(|why| Failure::new(ErrorClass::Auth, why))?;
        let body = json!({ "model": model.model(), "input": texts }).to_string();
        let facts = provider.facts(model.model());
        let cost = |tokens| {
            let usage = Usage {
                input_tokens: tokens,
                ..Usage::default()
            };
            facts
                .cost
                .as_ref()
                .map_or(0, |cost| price::cost_micros(cost, usage))
        };
        // Held until what was used is in the ledger.
        let _reservation = if facts.is_free() {
            None
        } else {
            let most = cost(tokens_of(body.len()));
            let ledger = parts.ledger.as_ref();
            let admitted = self.inner.reserved.admit(&catalog.budget, ledger, 0, most);
            let admitted = admitted.await;
            Some(admitted.map_err(|why| Failure::new(ErrorClass::Budget, why))?)
        };
        let tokens = tokens_of(body.len());
        let request = outgoing(
            provider,
            key.as_ref(),
            Method::POST,
            address(provider)?,
            body.into(),
        );
        let answer = self.inner.egress.send(request).await;
        let answer = answer.map_err(|error| Failure::egress(&error))?;
        let status = answer.status;
        let bytes = answer.read(ANSWER_BYTES_MAX, TIMEOUT).await;
        let bytes = bytes.map_err(|error| Failure::egress(&error))?;
        if !status.is_success() {
            let secrets = provider.secrets(key.as_ref());
            return Err(Failure::status(status.as_u16(), &bytes, None, &secrets));
        }
        let said: Value = serde_json::from_slice(&bytes)
            .map_err(|_| Failure::new(ErrorClass::Malformed, "its answer is no JSON"))?;
        let counted = said["usage"]["prompt_tokens"].as_u64();
        let used = counted
            .or(said["prompt_eval_count"].as_u64())
            .unwrap_or(tokens);
        let spent = SpendRecord {
            agent: agent.clone(),
            session: session.clone(),
            model: model.clone(),
            calls: 1,
            input_tokens: used,
            output_tokens: 0,
            cost_micros: cost(used),
        };
        parts.ledger.add(spent.clone());
        Ok(Embedding {
            vectors: read(&said, texts.len())?,
            spent,
        })
    }
}

/// Where vectors are asked for, beside the address of calls.
fn address(provider: &Provider) -> Result<url::Url, Failure> {
    let mut url = provider.endpoint.clone();
    let path = url.path();
    let path = match provider.api {
        Api::Ollama => path.strip_suffix("chat").map(|path| format!("{path}embed")),
        Api::OpenaiCompletions => path
            .strip_suffix("chat/completions")
            .map(|path| format!("{path}embeddings")),
        Api::OpenaiResponses => path
            .strip_suffix("responses")
            .map(|path| format!("{path}embeddings")),
        Api::AnthropicMessages => None,
    };
    let none = || Failure::new(ErrorClass::Config, "its wire format has no embeddings");
    url.set_path(&path.ok_or_else(none)?);
    Ok(url)
}

/// `data[].embedding` in the order of `index`, or `embeddings`.
fn read(said: &Value, count: usize) -> Result<Vec<Vec<f32>>, Failure> {
    let wrong = |why: &str| Failure::new(ErrorClass::Malformed, why);
    let rows: Vec<&Value> = match (said["data"].as_array(), said["embeddings"].as_array()) {
        (Some(rows), _) => {
            let mut rows: Vec<&Value> = rows.iter().collect();
            rows.sort_by_key(|row| row["index"].as_u64());
            rows.into_iter().map(|row| &row["embedding"]).collect()
        }
        (None, Some(rows)) => rows.iter().collect(),
        (None, None) => return Err(wrong("its answer has no vectors")),
    };
    let vector = |row: &Value| -> Option<Vec<f32>> {
        let numbers = row.as_array().filter(|row| row.len() <= NUMBERS_MAX)?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "vectors are compared roughly"
        )]
        let all = numbers
            .iter()
            .map(|number| number.as_f64().map(|number| number as f32));
        all.collect::<Option<Vec<f32>>>()
            .filter(|all| !all.is_empty())
    };
    let vectors: Option<Vec<Vec<f32>>> = rows.into_iter().map(vector).collect();
    let vectors = vectors.ok_or_else(|| wrong("a vector of its answer is none"))?;
    let same = vectors
        .windows(2)
        .all(|pair| pair[0].len() == pair[1].len());
    if vectors.len() != count || !same {
        return Err(wrong(
            "it gave another number of vectors than texts, or of several lengths",
        ));
    }
    Ok(vectors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_an_answer_are_read_and_what_is_wrong_is_refused() {
        let openai = json!({"data": [
            {"index": 1, "embedding": [0.5, 1.0]}, {"index": 0, "embedding": [1.0, 0.0]},
        ]});
        assert_eq!(read(&openai, 2).unwrap(), [[1.0, 0.0], [0.5, 1.0]]);
        let ollama = json!({"embeddings": [[0.25]]});
        assert_eq!(read(&ollama, 1).unwrap(), [[0.25]]);
        for wrong in [
            json!({}),
            json!({"embeddings": [[]]}),
            json!({"embeddings": [["x"]]}),
            json!({"embeddings": [[1.0], [1.0, 2.0]]}),
            json!({"embeddings": [[1.0], [1.0], [2.0]]}),
        ] {
            assert!(read(&wrong, 2).is_err(), "{wrong}");
        }
    }
}
