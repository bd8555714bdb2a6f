//! Branches of a conversation, and its last message said or answered anew.

use crossterm::event::{KeyCode, KeyModifiers};
use instar_protocol::api::BranchInfo;
use serde_json::json;

use super::super::again::neighbour;
use super::super::state::{Effect, Message, Neighbour};
use super::{Client, KEY, agent, user};

#[test]
fn the_reader_goes_from_branch_to_branch() {
    let mut client = Client::new(80, 24);
    let to = |to| Effect::Switch {
        key: KEY.to_owned(),
        to,
    };
    let older = client.press_with(KeyCode::Up, KeyModifiers::ALT);
    assert_eq!(older, [to(Neighbour::Older)]);
    let newer = client.press_with(KeyCode::Down, KeyModifiers::ALT);
    assert_eq!(newer, [to(Neighbour::Newer)]);
    client.type_in("/branch");
    assert_eq!(client.press(KeyCode::Enter), [to(Neighbour::Next)]);
    client.tell(Message::Told("branch 1 of 2".to_owned()));
    client.shows("branch 1 of 2");
}

#[test]
fn branches_have_an_order_and_two_ends() {
    let branches = |open: usize, all: usize| -> Vec<BranchInfo> {
        let one = |at| {
            serde_json::from_value(
                json!({ "leaf": format!("ent_{at}"), "headline": "", "messages": 2,
                "updatedAt": 1, "active": at == open }),
            )
            .unwrap()
        };
        (0..all).map(one).collect()
    };
    let three = |open| branches(open, 3);
    assert_eq!(neighbour(&three(0), Neighbour::Older), Ok(1));
    assert_eq!(neighbour(&three(1), Neighbour::Newer), Ok(0));
    assert_eq!(neighbour(&three(1), Neighbour::Next), Ok(0));
    assert_eq!(neighbour(&three(0), Neighbour::Next), Ok(2));
    let end = neighbour(&three(2), Neighbour::Older);
    assert_eq!(end, Err("branch 1 of 3".to_owned()));
    let alone = neighbour(&branches(0, 1), Neighbour::Next).unwrap_err();
    assert!(alone.contains("one branch only"), "{alone}");
}

#[test]
fn the_last_message_is_answered_again_and_written_anew() {
    let mut client = Client::new(80, 24);
    assert_eq!(client.control('r'), [], "nothing was said yet");
    client.shows("nothing was said here yet");
    client.load(&[user("first"), agent("one"), user("second"), agent("two")]);
    let asked = instar_protocol::EntryId::from_stored("ent_2");
    let retry = Effect::Retry {
        key: KEY.to_owned(),
        entry: asked.clone(),
    };
    assert_eq!(client.control('r'), [retry]);
    // What stood behind the message is out of sight while another answer comes.
    let wanted = client.live(json!({ "type": "moved", "leaf": "ent_2" }));
    assert_eq!(wanted, [Effect::Load(KEY.to_owned())]);
    client.load(&[user("first"), agent("one"), user("second"), agent("two")]);
    client.shows("second");
    client.hides("two");

    client.control('g');
    client.shows("Esc leaves it as it is");
    assert_eq!(client.state.input.text(), "second");
    client.press(KeyCode::Esc);
    assert_eq!(client.state.input.text(), "");
    client.control('g');
    client.type_in(", better");
    let wanted = client.press(KeyCode::Enter);
    let [
        Effect::SendAgain {
            text, instead_of, ..
        },
    ] = wanted.as_slice()
    else {
        panic!("{wanted:?}");
    };
    assert_eq!(
        (text.as_str(), &instead_of.entry),
        ("second, better", &asked)
    );
    client.type_in("plain");
    let wanted = client.press(KeyCode::Enter);
    assert!(
        matches!(wanted.as_slice(), [Effect::Send { .. }]),
        "{wanted:?}"
    );
}
