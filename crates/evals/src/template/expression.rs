//! What an expression is.

use serde_json::Value;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    Value(Value),
    Name(String),
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
    Field(Box<Self>, Box<Self>),
    Filter {
        of: Box<Self>,
        name: String,
        arguments: Vec<Self>,
    },
    /// A method that JavaScript has on texts and lists.
    Method {
        of: Box<Self>,
        name: String,
        arguments: Vec<Self>,
    },
    Function {
        name: String,
        arguments: Vec<Self>,
    },
    Not(Box<Self>),
    Minus(Box<Self>),
    Both(Box<Self>, &'static str, Box<Self>),
    Test {
        of: Box<Self>,
        name: String,
        arguments: Vec<Self>,
        negated: bool,
    },
    Choice {
        when: Box<Self>,
        then: Box<Self>,
        otherwise: Option<Box<Self>>,
    },
}

impl Expression {
    /// The name that the value of this comes from.
    pub(super) fn root(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Field(of, _) | Self::Filter { of, .. } | Self::Method { of, .. } => of.root(),
            _ => None,
        }
    }
}
