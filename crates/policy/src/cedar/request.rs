//! A call as Cedar takes it.

use cedar_policy::{
    Context, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression as Expression,
};
use std::str::FromStr;
use std::sync::LazyLock;

use super::fact::{Fact, FactSet, Facts, Value};
use crate::authority::Role;

/// Names of the schema, read once.
struct Names {
    owner: Option<EntityTypeName>,
    contact: Option<EntityTypeName>,
    stranger: Option<EntityTypeName>,
    automation: Option<EntityTypeName>,
    action: Option<EntityTypeName>,
    tool: Option<EntityTypeName>,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let name = |text| EntityTypeName::from_str(text).ok();
    Names {
        owner: name("Owner"),
        contact: name("Contact"),
        stranger: name("Stranger"),
        automation: name("Automation"),
        action: name("Action"),
        tool: name("Tool"),
    }
});

fn uid(of: Option<&EntityTypeName>, id: &str) -> Result<EntityUid, String> {
    let of = of.ok_or_else(|| "the schema's names cannot be read".to_owned())?;
    Ok(EntityUid::from_type_name_and_id(
        of.clone(),
        EntityId::new(id),
    ))
}

impl Facts<'_> {
    /// The call with those of its facts that are read: one that no rule names is not put into Cedar's form, which is a
    /// good part of what a decision costs.
    pub(super) fn request(&self, read: FactSet) -> Result<Request, String> {
        let case = self.case;
        let role = match case.role {
            Role::Owner => &NAMES.owner,
            Role::Contact => &NAMES.contact,
            Role::Stranger => &NAMES.stranger,
            Role::Automation => &NAMES.automation,
        };
        let named = Fact::ALL.into_iter().filter(|fact| read.has(*fact));
        let facts = named.filter_map(|fact| {
            let value = self.get(fact)?;
            Some((fact.name().to_owned(), expression(value)))
        });
        Request::new(
            uid(role.as_ref(), case.person)?,
            uid(NAMES.action.as_ref(), case.effect.name())?,
            uid(NAMES.tool.as_ref(), case.tool)?,
            Context::from_pairs(facts).map_err(|err| err.to_string())?,
            None,
        )
        .map_err(|err| err.to_string())
    }
}

fn expression(value: &Value<'_>) -> Expression {
    match value {
        Value::Flag(holds) => Expression::new_bool(*holds),
        Value::Number(number) => Expression::new_long(*number),
        Value::Word(word) => Expression::new_string((*word).to_owned()),
        Value::Words(words) => {
            Expression::new_set(words.iter().cloned().map(Expression::new_string))
        }
    }
}
