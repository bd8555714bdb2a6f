//! One call as the rules see it: facts, none of them a model's.

use cedar_policy::{
    Context, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression as Expression,
};
use instar_protocol::tool::Effect;
use instar_protocol::{Label, Origin, Readers};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::LazyLock;

use super::read::Read;
use crate::annotation::{Reach, SlotRole};
use crate::authority::{Posture, Role};
use crate::typed::{Kind, Typed};

/// The facts of one call, for the rules.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    pub role: Role,
    /// Who that is, by id: for the owner `owner`.
    pub person: &'a str,
    pub agent: &'a str,
    pub tool: &'a str,
    pub connector: &'a str,
    pub effect: Effect,
    pub reach: Reach,
    pub undoable: bool,
    pub posture: Posture,
    /// The join of what the model has read.
    pub context: &'a Label,
    /// The lowest grade of a value that says who or where, 0 to 3.
    pub grade: u8,
    /// The grade that the effect needs.
    pub needed: u8,
    pub evidenced: bool,
    pub foreign: bool,
    pub cleared: bool,
    pub plan: InPlan,
    pub verb: bool,
    pub standing: bool,
    pub approved: bool,
    pub done: u32,
    pub refused: u32,
    /// The values that say who, where, which and how much; one without a normal form as a text.
    pub values: Vec<(SlotRole, Typed)>,
}

/// What the plan says of the call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InPlan {
    Inside,
    Outside,
    /// There was a request of the owner's, and no plan could be made of it.
    Unknown,
    /// No message of the owner's began the run.
    Nobody,
}

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

impl Case<'_> {
    /// The case as Cedar takes it, with the facts that are read.
    pub(super) fn request(&self, read: &Read) -> Result<Request, String> {
        let role = match self.role {
            Role::Owner => &NAMES.owner,
            Role::Contact => &NAMES.contact,
            Role::Stranger => &NAMES.stranger,
            Role::Automation => &NAMES.automation,
        };
        Request::new(
            uid(role.as_ref(), self.person)?,
            uid(NAMES.action.as_ref(), self.effect.name())?,
            uid(NAMES.tool.as_ref(), self.tool)?,
            self.facts(read)?,
            None,
        )
        .map_err(|err| err.to_string())
    }

    fn facts(&self, read: &Read) -> Result<Context, String> {
        let mut facts: Vec<(String, Expression)> = Vec::with_capacity(32);
        let mut fact = |name: &str, value: &dyn Fn() -> Expression| {
            if read.names(name) {
                facts.push((name.to_owned(), value()));
            }
        };
        for (name, word) in [
            ("agent", self.agent),
            ("connector", self.connector),
            ("reach", reach_word(self.reach)),
            ("posture", posture_word(self.posture)),
            ("readers", readers_word(&self.context.readers)),
            ("plan", plan_word(self.plan)),
        ] {
            fact(name, &|| Expression::new_string(word.to_owned()));
        }
        for (name, holds) in [
            ("undoable", self.undoable),
            ("tainted", self.context.is_tainted()),
            ("evidenced", self.evidenced),
            ("foreign", self.foreign),
            ("cleared", self.cleared),
            ("verb", self.verb),
            ("standing", self.standing),
            ("approved", self.approved),
        ] {
            fact(name, &|| Expression::new_bool(holds));
        }
        for (name, number) in [
            ("grade", i64::from(self.grade)),
            ("needed", i64::from(self.needed)),
            ("done", i64::from(self.done)),
            ("refused", i64::from(self.refused)),
        ] {
            fact(name, &|| Expression::new_long(number));
        }
        fact("origins", &|| {
            let origins = self.context.origins.iter().map(origin_word);
            words(origins.map(str::to_owned).collect())
        });
        for (name, role) in [
            ("who", SlotRole::Who),
            ("where", SlotRole::Where),
            ("which", SlotRole::Which),
        ] {
            fact(name, &|| words(self.forms(role)));
        }
        fact("domains", &|| words(self.domains().0));
        fact("inDomains", &|| words(self.domains().1));
        fact("folders", &|| words(self.folders().0));
        fact("inFolders", &|| words(self.folders().1));
        let (amount, currencies) = self.amounts();
        fact("currencies", &|| words(currencies.clone()));
        if let Some(amount) = amount {
            fact("amount", &|| Expression::new_long(amount));
        }
        Context::from_pairs(facts).map_err(|err| err.to_string())
    }

    /// The domains above any of those reached, and above all of them. A recipient without a domain is in
    /// none, and so are all of them together.
    fn domains(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let reached = self.values.iter().filter(|(role, value)| {
            matches!(role, SlotRole::Who | SlotRole::Where) || domains_of(value).is_some()
        });
        above(reached.map(|(_, value)| domains_of(value).unwrap_or_default()))
    }

    /// The folders above any of the places, and above all of them.
    fn folders(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let places = self
            .values
            .iter()
            .filter(|(role, value)| matches!(role, SlotRole::Where) || value.kind == Kind::Path);
        above(places.map(|(_, value)| folders_of(value)))
    }

    fn forms(&self, role: SlotRole) -> BTreeSet<String> {
        let of_it = self.values.iter().filter(|(own, _)| *own == role);
        of_it.map(|(_, value)| value.form.clone()).collect()
    }

    /// The largest amount in hundredths, and the currencies.
    fn amounts(&self) -> (Option<i64>, BTreeSet<String>) {
        let mut largest: Option<i64> = None;
        let mut currencies = BTreeSet::new();
        for (role, value) in &self.values {
            if *role != SlotRole::Amount && value.kind != Kind::Amount {
                continue;
            }
            let cut = value.form.find(|c: char| c.is_ascii_alphabetic());
            let (number, currency) = value.form.split_at(cut.unwrap_or(value.form.len()));
            // The normal form has two digits behind its point. What has another form counts as more
            // than any limit, and taking back counts as much as giving.
            let hundredths = match (value.kind, number.replace('.', "").parse::<i64>()) {
                (Kind::Amount, Ok(hundredths)) => hundredths.saturating_abs(),
                _ => i64::MAX,
            };
            largest = Some(largest.map_or(hundredths, |known| known.max(hundredths)));
            if !currency.is_empty() {
                currencies.insert(currency.to_owned());
            }
        }
        (largest, currencies)
    }
}

fn words(set: BTreeSet<String>) -> Expression {
    Expression::new_set(set.into_iter().map(Expression::new_string))
}

/// What stands above any of these values, and what stands above all of them.
fn above(sets: impl Iterator<Item = BTreeSet<String>>) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut any = BTreeSet::new();
    let mut all: Option<BTreeSet<String>> = None;
    for set in sets {
        all = Some(match all {
            None => set.clone(),
            Some(known) => known.intersection(&set).cloned().collect(),
        });
        any.extend(set);
    }
    (any, all.unwrap_or_default())
}

/// The domain of an address, a URL or a host with every one above it. `None` for what has none.
fn domains_of(value: &Typed) -> Option<BTreeSet<String>> {
    let host = match value.kind {
        Kind::Address => value.form.rsplit_once('@').map(|(_, domain)| domain)?,
        Kind::Url => value.form.split(['/', ':']).next()?,
        Kind::Host => value.form.as_str(),
        _ => return None,
    };
    Some(suffixes(host))
}

fn suffixes(host: &str) -> BTreeSet<String> {
    let mut rest = Some(host);
    let mut found = BTreeSet::new();
    while let Some(domain) = rest {
        found.insert(domain.to_owned());
        rest = domain.split_once('.').map(|(_, above)| above);
    }
    found
}

fn folders_of(value: &Typed) -> BTreeSet<String> {
    if value.kind != Kind::Path {
        return BTreeSet::new();
    }
    let path = value.form.as_str();
    path.match_indices('/')
        .map(|(at, _)| &path[..at])
        .map(|folder| if folder.is_empty() { "/" } else { folder })
        .map(str::to_owned)
        .collect()
}

fn reach_word(reach: Reach) -> &'static str {
    match reach {
        Reach::Own => "own",
        Reach::Closed => "closed",
        Reach::Outside => "outside",
        Reach::Public => "public",
    }
}

fn posture_word(posture: Posture) -> &'static str {
    match posture {
        Posture::Careful => "careful",
        Posture::Balanced => "balanced",
        Posture::Open => "open",
    }
}

fn readers_word(readers: &Readers) -> &'static str {
    match readers {
        Readers::Public => "public",
        Readers::Session(_) => "session",
        Readers::Private => "private",
        Readers::Secret => "secret",
    }
}

fn origin_word(origin: &Origin) -> &'static str {
    match origin {
        Origin::Owner => "owner",
        Origin::System => "system",
        Origin::Contact(_) => "contact",
        Origin::Stranger => "stranger",
    }
}

fn plan_word(plan: InPlan) -> &'static str {
    match plan {
        InPlan::Inside => "inside",
        InPlan::Outside => "outside",
        InPlan::Unknown => "unknown",
        InPlan::Nobody => "nobody",
    }
}
