//! Embeddings, in both forms: `POST /v1/embeddings` and `POST /api/embed`. A text becomes the counts of its
//! letters, so that texts of the same letters are alike and nothing else is.

use serde_json::{Value, json};

pub(crate) fn answer(ollama: bool, body: &Value) -> Value {
    let texts = body["input"].as_array().cloned().unwrap_or_default();
    let vectors: Vec<Vec<f64>> = texts
        .iter()
        .map(|text| vector(text.as_str().unwrap_or_default()))
        .collect();
    let tokens: usize = texts.iter().map(|text| text.to_string().len() / 4).sum();
    if ollama {
        return json!({ "model": body["model"], "embeddings": vectors, "prompt_eval_count": tokens });
    }
    let data = vectors.iter().enumerate().map(
        |(index, vector)| json!({ "object": "embedding", "index": index, "embedding": vector }),
    );
    json!({
        "object": "list", "model": body["model"], "data": data.collect::<Vec<_>>(),
        "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
    })
}

fn vector(text: &str) -> Vec<f64> {
    let mut counts = vec![0.0; 26];
    for letter in text.to_lowercase().bytes().filter(u8::is_ascii_lowercase) {
        counts[usize::from(letter - b'a')] += 1.0;
    }
    counts
}
