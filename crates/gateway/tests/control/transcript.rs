//! Coming back to a conversation, and writing the files that agents are made of.

use serde_json::{Value, json};

use super::client::{Socket, holder, owner};
use crate::house::House;

async fn say(socket: &mut Socket, words: &str, run: &str) {
    let params = json!({ "sessionKey": "plans", "message": words, "idempotencyKey": run });
    socket.ask("chat.send", params).await.ok();
    loop {
        let event = socket.event("chat").await;
        if event["runId"] == run && event["state"] == "final" {
            return;
        }
    }
}

async fn history(socket: &mut Socket, more: Value) -> Value {
    let mut params = more;
    params["sessionKey"] = json!("plans");
    socket.ask("chat.history", params).await.ok()
}

/// The last word of each message.
fn words(answer: &Value) -> Vec<&str> {
    let messages = answer["messages"].as_array().unwrap();
    let text = |message: &'_ Value| message["content"][0]["text"].as_str().map(str::len);
    assert!(messages.iter().all(|message| text(message).is_some()));
    messages
        .iter()
        .filter_map(|message| message["content"][0]["text"].as_str()?.rsplit(' ').next())
        .collect()
}

#[tokio::test]
async fn a_client_that_comes_back_gets_what_came_since_or_is_told_to_read_anew() {
    let house = House::new().await;
    let mut owner = owner(&house).await;
    say(&mut owner, "one", "run-1").await;
    let first = history(&mut owner, json!({})).await;
    assert_eq!(words(&first), ["one", "one"]);
    let cursor = first["deltaCursor"].clone();
    let nothing = history(&mut owner, json!({ "cursor": cursor })).await;
    assert_eq!(nothing["kind"], "delta", "{nothing}");
    assert!(words(&nothing).is_empty(), "{nothing}");
    say(&mut owner, "two", "run-2").await;
    let new = history(&mut owner, json!({ "cursor": cursor })).await;
    assert_eq!(words(&new), ["two", "two"]);
    let whole = history(&mut owner, json!({})).await;
    assert_eq!(new["messages"][0], whole["messages"][2], "the same in both");
    assert_eq!(new["deltaCursor"], whole["deltaCursor"]);
    // Pages go back from the end, each told where the next one begins.
    let page = history(&mut owner, json!({ "limit": 3 })).await;
    assert_eq!((words(&page).len(), &page["nextOffset"]), (3, &json!(3)));
    let page = history(&mut owner, json!({ "limit": 3, "offset": 3 })).await;
    assert_eq!(words(&page), ["one"]);
    assert_eq!(
        (&page["hasMore"], page.get("nextOffset")),
        (&json!(false), None)
    );
    for foreign in ["", ".", "ses_other.ent_other", "%"] {
        let answer = history(&mut owner, json!({ "cursor": foreign })).await;
        assert_eq!(answer, json!({ "kind": "reset" }), "{foreign}");
    }
    // Wound back, the conversation does not hold the cursor's place any more.
    let entry = whole["messages"][2]["__openclaw"]["id"].clone();
    let back = json!({ "sessionKey": "plans", "entryId": entry });
    owner.ask("sessions.rewind", back).await.ok();
    let after = history(&mut owner, json!({ "cursor": whole["deltaCursor"] })).await;
    assert_eq!(after, json!({ "kind": "reset" }));
    let after = history(&mut owner, json!({ "cursor": cursor })).await;
    assert_eq!(
        after["kind"], "delta",
        "what both ways share holds it still"
    );
}

#[tokio::test]
async fn a_file_that_the_owner_writes_is_in_the_next_release() {
    let house = House::new().await;
    let mut owner = owner(&house).await;
    let set =
        |name: &str, content: &str| json!({ "agentId": "main", "name": name, "content": content });
    let words = "You answer as the canary of the house.";
    let told = owner.ask("agents.files.set", set("SOUL.md", words)).await;
    let told = told.ok();
    assert_eq!(
        (&told["ok"], &told["file"]["missing"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(told["file"]["size"], words.len());
    let read = json!({ "agentId": "main", "name": "SOUL.md" });
    let read = owner.ask("agents.files.get", read).await.ok();
    assert_eq!(read["file"]["content"], words);
    let stable = owner
        .ask("release.show", json!({ "name": "stable" }))
        .await
        .ok();
    assert!(stable.to_string().contains(words), "{stable}");

    // A bearer of the token may not, whatever it says.
    let mut holder = holder(&house).await;
    let refused = holder.ask("agents.files.set", set("SOUL.md", "mine")).await;
    assert_eq!(refused.refused()["code"], "FORBIDDEN");
    // Names from outside are never part of a path.
    let outside = house.folder.path().join("outside.md");
    for name in [
        "../outside.md",
        "/etc/passwd",
        "soul.md",
        "SOUL.md\0",
        "",
        "skills/x.md",
        "..",
    ] {
        let refused = owner
            .ask("agents.files.set", set(name, "x"))
            .await
            .refused();
        assert_eq!(refused["code"], "INVALID_REQUEST", "{name}: {refused}");
    }
    let long = "x".repeat(512 * 1024 + 1);
    owner
        .ask("agents.files.set", set("SOUL.md", &long))
        .await
        .refused();
    // Nothing is written through a link that stands in the place of a file.
    let workspace = std::path::PathBuf::from(told["workspace"].as_str().unwrap());
    std::os::unix::fs::symlink(&outside, workspace.join("TOOLS.md")).unwrap();
    owner
        .ask("agents.files.set", set("TOOLS.md", "x"))
        .await
        .refused();
    assert!(!outside.exists());
    let kept = std::fs::read_to_string(workspace.join("SOUL.md")).unwrap();
    assert_eq!(kept, words);
    let left = std::fs::read_dir(&workspace)
        .unwrap()
        .filter_map(Result::ok);
    let drafts = left.filter(|one| one.file_name().to_string_lossy().starts_with('.'));
    assert_eq!(drafts.count(), 0, "no draft is left behind");
}
