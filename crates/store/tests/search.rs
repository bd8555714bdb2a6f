//! Looking for words.

use instar_protocol::message::{EntryBody, Part};
use instar_protocol::principal::{Principal, Via};
use instar_store::{Op, TextFound, TextSearch};

use crate::given::{at, entry, entry_id, key, session, session_id, store};

#[tokio::test]
async fn words_are_found_in_what_was_said_and_nowhere_else() {
    let (_folder, store) = store();
    let mut ops = vec![Op::PutSession(session(1)), Op::PutSession(session(2))];
    for (number, text) in [(1, "Grün wie Gras"), (2, "nothing"), (3, "GRÜN again")] {
        let mut said = entry(1 + number % 2, number, None);
        said.body = EntryBody::User {
            parts: vec![Part::text(text)],
            principal: Principal::Owner { via: Via::Token },
            inbound: None,
            surface: "web".to_owned(),
        };
        ops.push(Op::AppendEntry(said));
    }
    store.commit(ops).await.unwrap();
    let search = |keys, limit| TextSearch {
        text: "grün".to_owned(),
        keys,
        limit,
        ..TextSearch::default()
    };
    let ids = |found: TextFound| -> Vec<String> {
        found
            .entries
            .iter()
            .map(|(_, entry)| entry.id.to_string())
            .collect()
    };
    let all = store.search(search(Vec::new(), 10)).await.unwrap();
    assert!(!all.is_cut);
    assert_eq!(ids(all), [entry_id(3).to_string(), entry_id(1).to_string()]);
    let one = store.search(search(Vec::new(), 1)).await.unwrap();
    assert!(one.is_cut);
    let elsewhere = store.search(search(vec![key("chat1")], 10)).await.unwrap();
    assert!(elsewhere.entries.is_empty());
    let gone = Op::DeleteSession {
        id: session_id(2),
        at: at(9),
    };
    store.commit(vec![gone]).await.unwrap();
    assert!(
        store
            .search(search(Vec::new(), 10))
            .await
            .unwrap()
            .entries
            .is_empty()
    );
}
