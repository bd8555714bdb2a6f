//! The launchd agent of macOS.

use std::fmt::Write as _;

use super::plan::Plan;

/// The agent's label.
pub(super) fn label(plan: &Plan) -> String {
    format!("dev.instar.{}", plan.name)
}

/// The property list's text.
pub(super) fn text(plan: &Plan) -> String {
    let mut words = String::new();
    let program = plan.program.to_string_lossy();
    for word in std::iter::once(program.as_ref()).chain(plan.arguments.iter().map(String::as_str)) {
        // Writing to a text cannot fail.
        let _done = writeln!(words, "    <string>{}</string>", escaped(word));
    }
    let mut variables = String::new();
    for (name, value) in &plan.variables {
        let (name, value) = (escaped(name), escaped(value));
        let _done = writeln!(
            variables,
            "    <key>{name}</key>\n    <string>{value}</string>"
        );
    }
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- Made by `instar gateway install`; made anew by the next one. -->
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>{label}</string>
  <key>ProgramArguments</key>
  <array>
{words}  </array>
  <key>EnvironmentVariables</key>
  <dict>
{variables}  </dict>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ThrottleInterval</key>
  <integer>10</integer>
  <key>ExitTimeOut</key>
  <integer>{stop}</integer>
  <key>Umask</key>
  <integer>63</integer>
  <key>ProcessType</key>
  <string>Background</string>
  <key>StandardOutPath</key>
  <string>/dev/null</string>
  <key>StandardErrorPath</key>
  <string>/dev/null</string>
</dict>
</plist>
"#,
        label = escaped(&label(plan)),
        stop = plan.stop.as_secs(),
    )
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;
    use std::time::Duration;

    fn plan() -> Plan {
        Plan {
            name: "instar-work".to_owned(),
            program: "/Applications/A & B/instar".into(),
            arguments: ["--profile", "work", "gateway", "run"]
                .map(str::to_owned)
                .to_vec(),
            variables: vec![("INSTAR_STATE_DIR".to_owned(), "/a<b>".to_owned())],
            state: "/a<b>".into(),
            stop: Duration::from_secs(45),
        }
    }

    /// Held against a reader of property lists that is not ours, where there is one.
    #[test]
    fn a_reader_of_property_lists_finds_what_was_planned() {
        const READ: &str = "import json, plistlib, sys; \
            print(json.dumps(plistlib.loads(sys.argv[1].encode()), sort_keys=True))";
        let read = Command::new("python3")
            .args(["-c", READ, &text(&plan())])
            .output();
        // The whole test run installs one.
        let Ok(read) = read else { return };
        assert!(read.status.success(), "{read:?}");
        let read: serde_json::Value = serde_json::from_slice(&read.stdout).unwrap();
        assert_eq!(
            read,
            serde_json::json!({
                "Label": "dev.instar.instar-work",
                "ProgramArguments":
                    ["/Applications/A & B/instar", "--profile", "work", "gateway", "run"],
                "EnvironmentVariables": { "INSTAR_STATE_DIR": "/a<b>" },
                "RunAtLoad": true,
                "KeepAlive": { "SuccessfulExit": false },
                "ThrottleInterval": 10,
                "ExitTimeOut": 45,
                "Umask": 0o077,
                "ProcessType": "Background",
                "StandardOutPath": "/dev/null",
                "StandardErrorPath": "/dev/null",
            })
        );
    }

    #[test]
    fn it_names_the_program_its_arguments_and_nothing_twice() {
        let text = text(&plan());
        for part in [
            "<string>dev.instar.instar-work</string>",
            "<string>/Applications/A &amp; B/instar</string>\n    <string>--profile</string>\n    <string>work</string>",
            "<key>INSTAR_STATE_DIR</key>\n    <string>/a&lt;b&gt;</string>",
            "<key>ExitTimeOut</key>\n  <integer>45</integer>",
        ] {
            assert_eq!(text.matches(part).count(), 1, "{part} in {text}");
        }
        for element in ["dict", "array", "plist"] {
            let opened = text.matches(&format!("<{element}")).count();
            assert_eq!(opened, text.matches(&format!("</{element}>")).count());
        }
    }
}
