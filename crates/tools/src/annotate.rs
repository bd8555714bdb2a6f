//! What the built-in tools say of themselves to policy, family by family.

use instar_policy::{Annotation, Field, FieldRole, Kind, Reach, Slot, SlotRole};
use instar_protocol::tool::Effect;
use instar_protocol::{Label, Readers};
use std::collections::BTreeMap;

/// The machine's own words about what is the owner's.
pub(crate) fn own() -> Label {
    Label {
        readers: Readers::Private,
        ..Label::system()
    }
}

pub(crate) fn slots(list: &[(&str, SlotRole, Kind)]) -> BTreeMap<String, Slot> {
    let slot = |(name, role, kind): &(&str, SlotRole, Kind)| {
        let (role, kind) = (*role, *kind);
        ((*name).to_owned(), Slot { role, kind })
    };
    list.iter().map(slot).collect()
}

pub(crate) fn field(path: &str, kind: Kind, role: FieldRole) -> Field {
    Field {
        path: path.to_owned(),
        kind,
        role,
        author: None,
    }
}

/// Shows content of the workspace, which brings its own label.
pub(crate) fn file_read() -> Annotation {
    Annotation {
        connector: "files".to_owned(),
        slots: slots(&[
            ("path", SlotRole::Which, Kind::Path),
            ("offset", SlotRole::Plain, Kind::Number),
            ("limit", SlotRole::Plain, Kind::Number),
        ]),
        ..Annotation::reads(own())
    }
}

/// Finds files of the workspace. Names were chosen by whoever made the file.
pub(crate) fn file_list() -> Annotation {
    Annotation {
        connector: "files".to_owned(),
        slots: slots(&[
            ("path", SlotRole::Which, Kind::Path),
            ("pattern", SlotRole::Plain, Kind::Text),
            ("glob", SlotRole::Plain, Kind::Text),
            ("literal", SlotRole::Plain, Kind::Bool),
            ("ignoreCase", SlotRole::Plain, Kind::Bool),
            ("context", SlotRole::Plain, Kind::Number),
            ("limit", SlotRole::Plain, Kind::Number),
        ]),
        fields: vec![
            field("files[].path", Kind::Path, FieldRole::Text),
            field("files[].bytes", Kind::Number, FieldRole::System),
        ],
        ..Annotation::reads(own())
    }
}

/// Changes files of the workspace, with what stood there kept. `path` is the argument that names the
/// file; everything else is content.
pub(crate) fn file_write(path: Option<&str>) -> Annotation {
    let path = path.map(|name| (name, SlotRole::Where, Kind::Path));
    Annotation {
        effect: Effect::Write,
        reach: Reach::Own,
        undoable: true,
        connector: "files".to_owned(),
        slots: slots(path.as_slice()),
        ..Annotation::reads(own())
    }
}
