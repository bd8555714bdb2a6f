//! Changes by plain forms, in a browser that runs no script.

use serde_json::{Value, json};

use crate::browser::{Browser, gateway, link};
use crate::support::socket::{Key, hello};

#[test]
fn without_javascript_conversations_devices_and_models_are_changed() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let instar = gateway();
    let (kept, gone) = ("agent:main:kept", "agent:main:gone");
    for session in [kept, gone] {
        let _said = instar.ask(session, "hello");
    }
    for key in [Key::new(1), Key::new(2)] {
        let (_, waiting) = key.connect(&instar, hello(&["operator.read"]));
        assert!(waiting.is_err(), "a new device waits");
    }
    let more = json!({ "kept": kept, "gone": gone, "other": "scripted/x" });
    let found = browser.run("pages_forms.mjs", &instar.url(), &link(&instar), more);
    assert_eq!(
        found["renamed"],
        json!(["/sessions", "<b>mine</b> & yours"])
    );
    assert_eq!(found["deleted"], json!(["/sessions", 0, 2]), "{found}");
    assert_eq!(found["undone"], json!(["/sessions", 1]), "{found}");
    assert_eq!(found["restored"], json!(["/sessions", 1]), "{found}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    assert_eq!(found["refused"][0], 404, "{found}");
    assert!(
        text(&found["refused"][1]).contains("Back to the page"),
        "{found}"
    );
    assert_eq!(found["forged"], json!([403, 403, 403]), "{found}");
    assert_eq!(found["wrong"], json!([400, 400]), "{found}");
    assert_eq!(found["waiting"], 2, "{found}");
    assert_eq!(found["approved"], json!(["/devices", 1]), "{found}");
    assert_eq!(
        (&found["rejected"], &found["removed"]),
        (&json!(0), &json!(0))
    );
    assert!(text(&found["tried"]).contains("answered in"), "{found}");
    assert_eq!(found["proposed"], json!(["/config/key", "scripted/x"]));
    assert!(text(&found["preview"]).contains("+ "), "{found}");
    assert!(text(&found["written"]).contains("Written."), "{found}");
    let set = instar.run(["config", "get", "agents.defaults.model.primary"]);
    assert_eq!(set.stdout.trim(), "scripted/x", "{set:?}");
    let listed = instar.run(["sessions", "list", "--json"]).stdout;
    assert!(listed.contains("<b>mine</b> & yours"), "{listed}");
}
