//! What is made of a tool that nobody annotated, row by row: by its name, its server and its arguments.

use instar_policy::{Annotation, FieldRole, Kind, Reach, Server, SlotRole, infer};
use instar_protocol::tool::{Effect, ToolSpec};
use instar_protocol::{Origins, Readers};
use serde_json::{Map, Value, json};

pub(crate) fn spec(name: &str, properties: &Value) -> ToolSpec {
    ToolSpec {
        name: name.to_owned(),
        description: String::new(),
        parameters: json!({ "type": "object", "properties": properties }),
    }
}

/// Arguments that are texts, or what stands behind a colon.
fn arguments(names: &str) -> Value {
    let pairs = names.split_whitespace().map(|name| {
        let (name, kind) = name.split_once(':').unwrap_or((name, "string"));
        (name.to_owned(), json!({ "type": kind }))
    });
    Value::Object(pairs.collect::<Map<_, _>>())
}

pub(crate) fn server(name: &'static str) -> Server<'static> {
    match name.strip_suffix('!') {
        Some(closed) => Server::closed(closed),
        None => Server::open(name),
    }
}

/// An annotation on one line: what it does, whom it reaches, and what else is true of it.
fn told(annotation: &Annotation) -> String {
    let flags = [
        ("people", annotation.people == Some(Effect::Send)),
        ("undoable", annotation.undoable),
        ("makes", annotation.makes),
        ("follows", annotation.follows),
        ("fields", !annotation.fields.is_empty()),
        ("private", annotation.output.readers == Readers::Private),
    ];
    let reach = match annotation.reach {
        Reach::Own => "own",
        Reach::Closed => "closed",
        Reach::Outside => "outside",
        Reach::Public => "public",
    };
    let mut line = format!("{} {reach}", annotation.effect.name());
    for (name, _) in flags.iter().filter(|(_, is_true)| *is_true) {
        line = format!("{line} {name}");
    }
    line
}

/// Server, tool, arguments, what is made of them, and why. A server with a mark of exclamation is a
/// closed workspace.
#[rustfmt::skip]
const TOOLS: [(&str, &str, &str, &str, &str); 60] = [
    // --- Reading.
    ("mail", "search_emails", "query", "read own follows fields private",
     "a question to an own store"),
    ("mail", "list_emails", "folder", "read own follows fields private",
     "a folder is no place outside"),
    ("mail", "get_email", "link", "fetch public",
     "a link leads out"),
    ("mail", "get_email", "host", "fetch public",
     "so does a host"),
    ("mail", "get_email", "sink", "fetch public",
     "what is not known may be an address"),
    ("", "get_webpage", "", "fetch public",
     "the web lies outside"),
    ("weather", "get_forecast", "city", "fetch public",
     "nobody knows where the question goes"),
    ("weather", "get_forecast", "days:integer", "read own follows private",
     "a number asks nothing"),
    ("slack!", "read_channel_messages", "channel", "read closed follows fields private",
     "its members read it"),
    ("slack", "read_channel_messages", "channel", "read own follows fields private",
     "nobody said that it is closed"),
    // --- Words of reading that begin something else.
    ("shop", "check_out", "", "execute outside fields",
     "it buys"),
    ("drive", "find_replace_text", "text", "execute outside fields",
     "it writes"),
    ("mail", "search_delete_mail", "query", "execute outside fields",
     "it deletes"),
    ("drive", "get_files_in_folder", "folder", "read own follows fields private",
     "a particle further on is none"),
    ("drive", "open_file", "path", "read own follows fields private",
     "a thing that is looked at"),
    ("drive", "check_file", "", "read own follows fields private",
     "so is this"),
    ("drive", "open_door", "", "execute outside fields",
     "no thing that is known"),
    ("drive", "open_file", "content", "execute outside fields",
     "it says something there"),
    ("drive", "load_file", "amount", "execute outside fields",
     "it says how much"),
    ("bank", "check_account", "", "execute outside fields",
     "where money is, nothing is only looked at"),
    ("drive", "get_file", "content", "read own follows fields private",
     "a plain verb of reading is not in doubt"),
    // --- Writing.
    ("drive", "create_file", "title content", "write own undoable makes fields",
     "the service keeps it"),
    ("drive", "archive_file", "file_id", "write own fields",
     "nobody said that this can be taken back"),
    ("drive", "create_file", "content url", "send outside makes fields",
     "it leads out, and cannot be taken back"),
    ("", "save_thing", "title", "write outside",
     "of an unknown service"),
    ("", "update_webpage", "content", "send outside",
     "said to whoever reads there"),
    ("", "update_webpage", "content url", "send public",
     "at any place"),
    ("slack!", "update_channel", "channel description", "send closed fields",
     "said to the room"),
    ("slack", "update_channel", "channel description", "send outside fields",
     "the same in an open one"),
    ("slack", "archive_channel", "channel", "write own fields",
     "it says nothing there"),
    ("drive", "update_sheet", "amount", "spend outside fields",
     "sums are moved, whatever the verb"),
    ("", "update_password", "date", "spend outside fields",
     "it opens doors"),
    // --- People.
    ("calendar", "create_event", "title participants", "write own people undoable makes fields",
     "an event with guests is an invitation"),
    ("calendar", "create_event", "title", "write own undoable makes fields",
     "without guests it is a note"),
    ("calendar", "add_event_participants", "event_id participants", "write own people undoable fields",
     "the event is the owner's"),
    ("calendar", "book_meeting", "start_time", "write own makes fields",
     "a calendar does not call in its own name"),
    ("calendar", "book_meeting", "price", "spend outside makes fields",
     "but where a price is said"),
    ("slack!", "send_channel_mail", "channel body", "send outside makes fields",
     "of two families that fit, the strictest"),
    ("", "order_product", "product", "spend outside makes fields",
     "a shop does"),
    ("drive", "add_note", "content", "write own fields",
     "adding to an own list is a note"),
    ("drive", "share_file", "file_id email", "grant outside fields",
     "adding somebody is not"),
    ("mail", "send_email", "recipients body", "send outside makes fields",
     "to whom it says"),
    ("mail!", "reply_email", "email_id body", "send outside makes fields",
     "mail has no members"),
    ("slack!", "send_message", "channel body", "send closed makes fields",
     "inside the workspace"),
    ("slack", "send_message", "channel body", "send outside makes fields",
     "where anybody reads"),
    ("slack!", "send_message", "email body", "send outside makes fields",
     "an address is of no workspace"),
    ("slack!", "send_message", "url body", "send outside makes fields",
     "nor is a link"),
    ("slack!", "invite_user_to_slack", "user channel", "grant closed fields",
     "a user of it is a member"),
    ("slack!", "invite_user_to_slack", "user user_email", "grant outside fields",
     "one by his address is none"),
    ("slack", "invite_user_to_slack", "user channel", "spend outside fields",
     "a user of an open service is an account"),
    // --- Verbs.
    ("drive", "deleteFile", "file_id", "destroy outside fields",
     "words begin with capitals too"),
    ("drive", "delete-file", "file_id", "destroy outside fields",
     "or behind a stroke"),
    ("calendar", "get_or_create_event", "title", "write own undoable fields",
     "the second thing is done too"),
    ("calendar", "get_then_frob_event", "title", "execute outside fields",
     "and is not known"),
    ("mail", "gmail_delete_mail", "email_id", "destroy outside fields",
     "the worst verb behind what it is about"),
    ("mail", "gmail_search", "query", "send outside fields",
     "a noun may be called so too"),
    ("acme", "acme_list", "query", "send outside",
     "the name of its server is what it is about"),
    ("mail", "purge_email", "email_id", "destroy outside fields",
     "a verb at the beginning"),
    ("mail", "sift_email", "email_id", "execute outside fields",
     "a verb that is not known"),
    ("", "", "", "execute outside",
     "no name at all"),
];

#[test]
fn what_a_tool_does_and_whom_it_reaches_follows_from_its_name_and_its_arguments() {
    for (of, name, given, expected, why) in TOOLS {
        let annotation = infer(server(of), &spec(name, &arguments(given)));
        let case = format!("{of} {name} {given:?}: {why}");
        assert_eq!(told(&annotation), expected, "{case}");
        assert_eq!(
            annotation.output.origins,
            Origins::of(instar_protocol::Origin::Stranger),
            "{case}"
        );
    }
}

/// Server, tool, argument, what it says there, and why.
#[rustfmt::skip]
const ARGUMENTS: [(&str, &str, &str, SlotRole, Kind, &str); 38] = [
    ("drive", "create_file", "is_public:boolean", SlotRole::Who, Kind::Enum,
     "it says who sees the thing"),
    ("drive", "create_file", "visibility", SlotRole::Who, Kind::Enum,
     "so does this"),
    ("drive", "list_files", "public:boolean", SlotRole::Plain, Kind::Bool,
     "where it is only looked for"),
    ("drive", "create_file", "starred:boolean", SlotRole::Plain, Kind::Bool,
     "a switch of something else"),
    ("drive", "create_file", "body:object", SlotRole::Who, Kind::Text,
     "an object may hold anything"),
    ("drive", "create_file", "body", SlotRole::Payload, Kind::Text,
     "a text is content"),
    ("drive", "create_file", "sink", SlotRole::Who, Kind::Text,
     "what is not known may say who and where"),
    ("drive", "delete_file", "index:integer", SlotRole::Which, Kind::Amount,
     "the third row is one of them"),
    ("drive", "list_files", "index:integer", SlotRole::Plain, Kind::Number,
     "where nothing is done to it"),
    // People are known by what their service knows them by.
    ("mail", "send_email", "recipient", SlotRole::Who, Kind::Address,
     "by an address"),
    ("slack", "send_message", "recipient", SlotRole::Who, Kind::Name,
     "by a name"),
    ("bank", "transfer_money", "recipient", SlotRole::Who, Kind::Account,
     "by an account"),
    ("slack", "send_message", "user_email", SlotRole::Who, Kind::Address,
     "or as it says"),
    ("", "frobnicate", "recipient", SlotRole::Who, Kind::Name,
     "by a name where nothing is known"),
    ("mail", "search_emails", "sender", SlotRole::Plain, Kind::Address,
     "in a question it is a question"),
    // The id of somebody says who, the id of a place says where.
    ("drive", "move_file", "user_id", SlotRole::Who, Kind::Id,
     "of somebody"),
    ("drive", "move_file", "folder_id", SlotRole::Which, Kind::Id,
     "of a thing"),
    ("drive", "move_file", "channel_id", SlotRole::Where, Kind::Id,
     "of a place"),
    ("drive", "list_files", "channel_id", SlotRole::Plain, Kind::Id,
     "which is only looked at"),
    ("drive", "move_file", "file_id", SlotRole::Which, Kind::Id,
     "of a thing"),
    ("drive", "get_file", "user_id", SlotRole::Plain, Kind::Id,
     "which one is looked at"),
    // What is sent to is a place, what is sent along is none.
    ("slack", "send_message", "file_id", SlotRole::Where, Kind::Id,
     "nothing else says where to"),
    ("mail", "reply_email", "email_id", SlotRole::Where, Kind::Id,
     "an answer goes to whoever wrote it"),
    ("slack", "send_message", "thread_id", SlotRole::Where, Kind::Id,
     "a thread is a room"),
    // Closed shapes.
    ("mail", "send_email", "to:boolean", SlotRole::Plain, Kind::Bool,
     "a switch names nobody"),
    ("mail", "send_email", "message:integer", SlotRole::Plain, Kind::Number,
     "a number says nothing"),
    ("bank", "transfer_money", "account:integer", SlotRole::Who, Kind::Account,
     "but it can be an account"),
    ("bank", "get_transactions", "account:integer", SlotRole::Plain, Kind::Number,
     "where it is only looked at"),
    ("mail", "get_email", "subject", SlotRole::Plain, Kind::Text,
     "a question to an own store"),
    ("drive", "move_file", "path", SlotRole::Where, Kind::Path,
     "a place"),
    ("mail", "get_email", "url", SlotRole::Where, Kind::Url,
     "a link stays a place when it is read"),
    ("slack", "send_message", "channel", SlotRole::Where, Kind::Channel,
     "a room"),
    // Where money and passwords are, text is what is set there.
    ("bank", "transfer_money", "subject", SlotRole::Payload, Kind::Text,
     "words for people"),
    ("bank", "transfer_money", "content", SlotRole::Which, Kind::Text,
     "what is set"),
    ("bank", "transfer_money", "language", SlotRole::Which, Kind::Text,
     "what is set"),
    ("bank", "transfer_money", "date", SlotRole::Plain, Kind::Date,
     "a day says neither who nor where"),
    ("bank", "get_transactions", "query", SlotRole::Plain, Kind::Text,
     "a question sets nothing"),
    ("mail", "send_email", "language", SlotRole::Plain, Kind::Text,
     "nor is anything set in a mail"),
];

#[test]
fn what_an_argument_says_follows_from_its_name_its_type_and_the_tool() {
    use SlotRole::{Where, Which, Who};
    for (of, tool, argument, role, kind, why) in ARGUMENTS {
        let annotation = infer(server(of), &spec(tool, &arguments(argument)));
        let name = argument.split(':').next().unwrap();
        let slot = annotation.slots[name];
        assert_eq!(
            (slot.role, slot.kind),
            (role, kind),
            "{of} {tool} {argument}: {why}"
        );
    }
    // Sent along with somebody to send it to.
    let send = infer(
        server("mail"),
        &spec("send_email", &arguments("to file_id job_id")),
    );
    let roles = ["to", "file_id", "job_id"].map(|name| send.slots[name].role);
    assert_eq!(roles, [Who, Which, Where]);
    // A bare id is of what the tool is named after.
    for (name, role) in [("send_file", Which), ("send_greeting", Where)] {
        let send = infer(server("mail"), &spec(name, &arguments("to id")));
        assert_eq!(send.slots["id"].role, role, "{name}");
    }
}

#[test]
fn a_tool_with_more_arguments_than_are_looked_at_has_the_highest_risk() {
    let many = |count: usize| {
        let names: Vec<String> = (0..count).map(|at| format!("day_{at}")).collect();
        infer(
            server("drive"),
            &spec("list_files", &arguments(&names.join(" "))),
        )
    };
    assert_eq!(many(99).effect, Effect::Read);
    assert_eq!(many(100).effect, Effect::Read);
    for count in [101, 102] {
        let highest = many(count);
        assert_eq!(told(&highest), "execute outside private", "{count}");
        assert!(highest.slots.is_empty());
    }
}

#[test]
fn the_fields_of_a_family_are_those_of_one_row_and_of_a_list_of_them() {
    let fields =
        |of: &'static str, name: &str| infer(server(of), &spec(name, &arguments(""))).fields;
    let mails = fields("mail", "search_emails");
    for path in ["id", "[].id", "from", "[].recipients[]"] {
        assert!(mails.iter().any(|field| field.path == path), "{path}");
    }
    let chat = fields("slack", "read_messages");
    let author = |path: &str| {
        let field = chat.iter().find(|field| field.path == path).unwrap();
        field.author.as_deref()
    };
    assert_eq!(author("body"), Some("sender"));
    assert_eq!(author("[].body"), Some("[].sender"));
    assert_eq!(author("[].sender"), None);
    // A plain list is one of what the first noun says.
    for (name, kind) in [
        ("get_channels", Some(Kind::Channel)),
        ("get_channel", Some(Kind::Channel)),
        ("get_users_in_channel", Some(Kind::Name)),
        ("get_channelling", None),
        ("read_messages", None),
    ] {
        let fields = fields("slack!", name);
        let item = fields.iter().find(|field| field.path == "[]");
        assert_eq!(item.map(|field| field.kind), kind, "{name}");
        assert!(
            item.is_none_or(|field| field.role == FieldRole::System),
            "{name}"
        );
    }
    // Two servers of one family know nothing of each other's ids.
    for (of, name, connector) in [
        ("work", "search_emails", "work/mail"),
        ("home", "search_emails", "home/mail"),
        ("", "search_emails", ""),
        ("acme", "frobnicate", "acme"),
    ] {
        let found = infer(server(of), &spec(name, &arguments(""))).connector;
        assert_eq!(found, connector, "{of} {name}");
    }
}
