//! Tokens into expressions, pieces into nodes.

use serde_json::Value;
use std::collections::VecDeque;

use super::expression::Expression;
use super::lexer::{self, Piece, Token};
use crate::bounds::DEPTH_MAX;
use crate::data::number_of;
use crate::error::Trouble;

/// A part of a template.
#[derive(Debug, PartialEq)]
pub(super) enum Node {
    Text(String),
    Print(Expression),
    If {
        branches: Vec<(Expression, Vec<Self>)>,
        otherwise: Vec<Self>,
    },
    For {
        names: Vec<String>,
        over: Expression,
        body: Vec<Self>,
        otherwise: Vec<Self>,
    },
    Set(Vec<String>, Expression),
}

pub(super) fn parse(template: &str) -> Result<Vec<Node>, Trouble> {
    let mut pieces: VecDeque<Piece<'_>> = lexer::pieces(template)?.into();
    let (nodes, end) = nodes(&mut pieces, &[], 0)?;
    match end {
        None => Ok(nodes),
        Some(word) => Trouble::wrong(format!("the template has a stray {word:?}")),
    }
}

/// An expression that is everything.
pub(super) fn whole(tokens: Vec<Token>) -> Result<Expression, Trouble> {
    let mut parser = Parser::over(tokens);
    let expression = parser.expression()?;
    match parser.tokens.front() {
        None => Ok(expression),
        Some(token) => Trouble::unsupported(format!("{} in an expression", parser.shown(token))),
    }
}

/// Reads nodes up to a block whose first word is one of `ends`; that block is given back.
fn nodes<'a>(
    pieces: &mut VecDeque<Piece<'a>>,
    ends: &[&str],
    depth: usize,
) -> Result<(Vec<Node>, Option<&'a str>), Trouble> {
    if depth > DEPTH_MAX {
        return Trouble::wrong("the template is nested too deep");
    }
    let mut found = Vec::new();
    while let Some(piece) = pieces.pop_front() {
        match piece {
            Piece::Text(text) => found.push(Node::Text(text.to_owned())),
            Piece::Print(source) => found.push(Node::Print(whole(lexer::tokens(source)?)?)),
            Piece::Block(source) => {
                let (word, rest) = first_word(source);
                if ends.contains(&word) {
                    return Ok((found, Some(source)));
                }
                found.push(block(word, rest, pieces, depth)?);
            }
        }
    }
    if let Some(missing) = ends.last() {
        return Trouble::wrong(format!("the template lacks a {missing}"));
    }
    Ok((found, None))
}

fn first_word(source: &str) -> (&str, &str) {
    let end = source
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(source.len());
    (&source[..end], source[end..].trim())
}

fn block<'a>(
    word: &str,
    rest: &str,
    pieces: &mut VecDeque<Piece<'a>>,
    depth: usize,
) -> Result<Node, Trouble> {
    match word {
        "if" => {
            let mut branches = Vec::new();
            let mut when = whole(lexer::tokens(rest)?)?;
            loop {
                let (body, end) = nodes(pieces, &["elif", "elseif", "else", "endif"], depth + 1)?;
                branches.push((when, body));
                match end.map(first_word) {
                    Some(("elif" | "elseif", next)) => when = whole(lexer::tokens(next)?)?,
                    Some(("else", _)) => {
                        let (otherwise, _) = nodes(pieces, &["endif"], depth + 1)?;
                        return Ok(Node::If {
                            branches,
                            otherwise,
                        });
                    }
                    _ => {
                        let otherwise = Vec::new();
                        return Ok(Node::If {
                            branches,
                            otherwise,
                        });
                    }
                }
            }
        }
        "for" => {
            let mut parser = Parser::over(lexer::tokens(rest)?);
            let names = parser.names()?;
            parser.word("in")?;
            let over = whole(parser.tokens.into())?;
            let (body, end) = nodes(pieces, &["else", "endfor"], depth + 1)?;
            let otherwise = match end {
                Some("else") => nodes(pieces, &["endfor"], depth + 1)?.0,
                _ => Vec::new(),
            };
            Ok(Node::For {
                names,
                over,
                body,
                otherwise,
            })
        }
        "set" => {
            let mut parser = Parser::over(lexer::tokens(rest)?);
            let names = parser.names()?;
            if !parser.take("=") {
                return Trouble::unsupported("{% set %} with a body");
            }
            Ok(Node::Set(names, whole(parser.tokens.into())?))
        }
        "macro" | "include" | "import" | "from" | "block" | "extends" | "call" | "filter"
        | "switch" | "asyncEach" | "asyncAll" => {
            Trouble::unsupported(format!("{{% {word} %}} in a template"))
        }
        other => Trouble::wrong(format!("the template has an unknown block {other:?}")),
    }
}

struct Parser {
    tokens: VecDeque<Token>,
    depth: usize,
}

/// What two sides may be joined by, the loosest first.
const LEVELS: [&[&str]; 8] = [
    &["||", "??"],
    &["&&"],
    &["==", "===", "!=", "!==", "<", ">", "<=", ">="],
    &["~"],
    &["+", "-"],
    &["*", "//", "/"],
    &["%"],
    &["**"],
];

impl Parser {
    fn over(tokens: Vec<Token>) -> Self {
        Self {
            tokens: tokens.into(),
            depth: 0,
        }
    }

    fn shown(&self, token: &Token) -> String {
        match token {
            Token::Name(name) => format!("{name:?}"),
            Token::Number(number) => number.to_string(),
            Token::Text(text) => format!("{text:?}"),
            Token::Sign(sign) => format!("{sign:?}"),
        }
    }

    fn take(&mut self, sign: &str) -> bool {
        let fits = matches!(self.tokens.front(), Some(Token::Sign(next)) if *next == sign);
        if fits {
            self.tokens.pop_front();
        }
        fits
    }

    fn take_word(&mut self, word: &str) -> bool {
        let fits = matches!(self.tokens.front(), Some(Token::Name(next)) if next == word);
        if fits {
            self.tokens.pop_front();
        }
        fits
    }

    fn word(&mut self, word: &str) -> Result<(), Trouble> {
        if self.take_word(word) {
            return Ok(());
        }
        Trouble::wrong(format!("an expression lacks {word:?}"))
    }

    fn sign(&mut self, sign: &str) -> Result<(), Trouble> {
        if self.take(sign) {
            return Ok(());
        }
        Trouble::wrong(format!("an expression lacks {sign:?}"))
    }

    fn name(&mut self) -> Result<String, Trouble> {
        match self.tokens.pop_front() {
            Some(Token::Name(name)) => Ok(name),
            Some(other) => Trouble::wrong(format!("{} is no name", self.shown(&other))),
            None => Trouble::wrong("an expression lacks a name"),
        }
    }

    fn names(&mut self) -> Result<Vec<String>, Trouble> {
        let mut names = vec![self.name()?];
        while self.take(",") {
            names.push(self.name()?);
        }
        Ok(names)
    }

    fn expression(&mut self) -> Result<Expression, Trouble> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Trouble::wrong("an expression is nested too deep");
        }
        let found = self.choice();
        self.depth -= 1;
        found
    }

    /// `a if b else c`, and JavaScript's `b ? a : c`.
    fn choice(&mut self) -> Result<Expression, Trouble> {
        let first = self.or()?;
        if self.take_word("if") {
            let when = Box::new(self.or()?);
            let otherwise = match self.take_word("else") {
                true => Some(Box::new(self.expression()?)),
                false => None,
            };
            let then = Box::new(first);
            return Ok(Expression::Choice {
                when,
                then,
                otherwise,
            });
        }
        if self.take("?") {
            let then = Box::new(self.expression()?);
            self.sign(":")?;
            let otherwise = Some(Box::new(self.expression()?));
            let when = Box::new(first);
            return Ok(Expression::Choice {
                when,
                then,
                otherwise,
            });
        }
        Ok(first)
    }

    fn or(&mut self) -> Result<Expression, Trouble> {
        let mut left = self.and()?;
        while self.take_word("or") {
            left = both(left, "||", self.and()?);
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expression, Trouble> {
        let mut left = self.not()?;
        while self.take_word("and") {
            left = both(left, "&&", self.not()?);
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expression, Trouble> {
        let mut negations = 0;
        while self.take_word("not") {
            negations += 1;
        }
        let mut found = self.within()?;
        for _ in 0..negations {
            found = Expression::Not(Box::new(found));
        }
        Ok(found)
    }

    /// `a in b`, `a not in b`, `a is b`.
    fn within(&mut self) -> Result<Expression, Trouble> {
        let mut left = self.level(0)?;
        loop {
            let negated = matches!(
                (self.tokens.front(), self.tokens.get(1)),
                (Some(Token::Name(not)), Some(Token::Name(next))) if not == "not" && next == "in"
            );
            if negated {
                self.tokens.pop_front();
            }
            if self.take_word("in") {
                let found = both(left, "in", self.level(0)?);
                left = if negated {
                    Expression::Not(Box::new(found))
                } else {
                    found
                };
            } else if self.take_word("is") {
                let negated = self.take_word("not");
                let name = self.name()?;
                let arguments = if self.take("(") {
                    self.arguments(")")?
                } else {
                    Vec::new()
                };
                left = Expression::Test {
                    of: Box::new(left),
                    name,
                    arguments,
                    negated,
                };
            } else {
                return Ok(left);
            }
        }
    }

    fn level(&mut self, level: usize) -> Result<Expression, Trouble> {
        let Some(signs) = LEVELS.get(level) else {
            return self.unary();
        };
        let mut left = self.level(level + 1)?;
        while let Some(sign) = signs.iter().find(|sign| self.take(sign)) {
            left = both(left, sign, self.level(level + 1)?);
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expression, Trouble> {
        let found = self.signed(0)?;
        self.filters(found)
    }

    fn signed(&mut self, depth: usize) -> Result<Expression, Trouble> {
        if depth > DEPTH_MAX {
            return Trouble::wrong("an expression is nested too deep");
        }
        if self.take("-") {
            return Ok(Expression::Minus(Box::new(self.signed(depth + 1)?)));
        }
        if self.take("+") {
            return self.signed(depth + 1);
        }
        if self.take("!") {
            return Ok(Expression::Not(Box::new(self.signed(depth + 1)?)));
        }
        let first = self.primary()?;
        self.postfix(first)
    }

    fn filters(&mut self, mut of: Expression) -> Result<Expression, Trouble> {
        while self.take("|") {
            let mut name = self.name()?;
            while self.take(".") {
                name = format!("{name}.{}", self.name()?);
            }
            let arguments = if self.take("(") {
                self.arguments(")")?
            } else {
                Vec::new()
            };
            of = Expression::Filter {
                of: Box::new(of),
                name,
                arguments,
            };
        }
        Ok(of)
    }

    fn postfix(&mut self, mut of: Expression) -> Result<Expression, Trouble> {
        loop {
            if self.take(".") {
                let name = match self.tokens.pop_front() {
                    Some(Token::Name(name)) => name,
                    Some(Token::Number(number)) => number.to_string(),
                    _ => return Trouble::wrong("a name is missing after a dot"),
                };
                of = if self.take("(") {
                    let arguments = self.arguments(")")?;
                    Expression::Method {
                        of: Box::new(of),
                        name,
                        arguments,
                    }
                } else {
                    let field = Expression::Value(Value::String(name));
                    Expression::Field(Box::new(of), Box::new(field))
                };
            } else if self.take("[") {
                let field = self.expression()?;
                if self.take(":") {
                    return Trouble::unsupported("a slice in a template");
                }
                self.sign("]")?;
                of = Expression::Field(Box::new(of), Box::new(field));
            } else {
                return Ok(of);
            }
        }
    }

    fn arguments(&mut self, end: &str) -> Result<Vec<Expression>, Trouble> {
        let mut found = Vec::new();
        if self.take(end) {
            return Ok(found);
        }
        loop {
            let named = matches!(
                (self.tokens.front(), self.tokens.get(1)),
                (Some(Token::Name(_)), Some(Token::Sign("=")))
            );
            if named {
                return Trouble::unsupported("an argument by name in a template");
            }
            found.push(self.expression()?);
            if self.take(end) {
                return Ok(found);
            }
            self.sign(",")?;
        }
    }

    fn primary(&mut self) -> Result<Expression, Trouble> {
        match self.tokens.pop_front() {
            Some(Token::Number(number)) => Ok(Expression::Value(number_of(number))),
            Some(Token::Text(text)) => Ok(Expression::Value(Value::String(text))),
            Some(Token::Name(name)) => match name.as_str() {
                "true" => Ok(Expression::Value(Value::Bool(true))),
                "false" => Ok(Expression::Value(Value::Bool(false))),
                "none" | "null" | "undefined" => Ok(Expression::Value(Value::Null)),
                _ if self.take("(") => {
                    let arguments = self.arguments(")")?;
                    Ok(Expression::Function { name, arguments })
                }
                _ => Ok(Expression::Name(name)),
            },
            Some(Token::Sign("(")) => {
                let inner = self.expression()?;
                self.sign(")")?;
                Ok(inner)
            }
            Some(Token::Sign("[")) => Ok(Expression::List(self.arguments("]")?)),
            Some(Token::Sign("{")) => self.map(),
            Some(other) => Trouble::wrong(format!("{} is no value", self.shown(&other))),
            None => Trouble::wrong("an expression ends too early"),
        }
    }

    fn map(&mut self) -> Result<Expression, Trouble> {
        let mut entries = Vec::new();
        if self.take("}") {
            return Ok(Expression::Map(entries));
        }
        loop {
            let key = self.expression()?;
            self.sign(":")?;
            entries.push((key, self.expression()?));
            if self.take("}") {
                return Ok(Expression::Map(entries));
            }
            self.sign(",")?;
        }
    }
}

fn both(left: Expression, sign: &'static str, right: Expression) -> Expression {
    Expression::Both(Box::new(left), sign, Box::new(right))
}
