//! Formulas over metrics: numbers, names, `+ - * / ^ %`, parentheses and a few functions.

use std::collections::BTreeMap;

use crate::bounds::DEPTH_MAX;

/// Works a formula out. A name that is no metric, and a result that is no number, are problems.
pub(crate) fn evaluate(formula: &str, names: &BTreeMap<String, f64>) -> Result<f64, String> {
    let mut reader = Reader {
        rest: formula,
        names,
        depth: 0,
    };
    let value = reader.sum()?;
    reader.skip();
    match reader.rest.is_empty() {
        true if value.is_finite() => Ok(value),
        true => Err("the result is no number".to_owned()),
        false => Err(format!("{:?} is not understood", reader.rest)),
    }
}

struct Reader<'a> {
    rest: &'a str,
    names: &'a BTreeMap<String, f64>,
    depth: usize,
}

impl Reader<'_> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, sign: char) -> bool {
        self.skip();
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn sum(&mut self) -> Result<f64, String> {
        let mut value = self.product()?;
        loop {
            if self.take('+') {
                value += self.product()?;
            } else if self.take('-') {
                value -= self.product()?;
            } else {
                return Ok(value);
            }
        }
    }

    fn product(&mut self) -> Result<f64, String> {
        let mut value = self.signed()?;
        loop {
            if self.take('*') {
                value *= self.signed()?;
            } else if self.take('/') {
                value /= self.signed()?;
            } else if self.take('%') {
                value %= self.signed()?;
            } else {
                return Ok(value);
            }
        }
    }

    fn signed(&mut self) -> Result<f64, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("nested too deep".to_owned());
        }
        let value = if self.take('-') {
            -self.signed()?
        } else if self.take('+') {
            self.signed()?
        } else {
            let base = self.atom()?;
            match self.take('^') {
                true => base.powf(self.signed()?),
                false => base,
            }
        };
        self.depth -= 1;
        Ok(value)
    }

    fn atom(&mut self) -> Result<f64, String> {
        if self.take('(') {
            let value = self.sum()?;
            return if self.take(')') {
                Ok(value)
            } else {
                Err("a parenthesis is open".to_owned())
            };
        }
        self.skip();
        let number = self
            .rest
            .starts_with(|c: char| c.is_ascii_digit() || c == '.');
        let end = self
            .rest
            .find(|c: char| match number {
                true => !c.is_ascii_digit() && c != '.',
                false => !c.is_alphanumeric() && c != '_',
            })
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        if number {
            return word.parse().map_err(|_| format!("{word:?} is no number"));
        }
        if self.take('(') {
            let mut arguments = vec![self.sum()?];
            while self.take(',') {
                arguments.push(self.sum()?);
            }
            if !self.take(')') {
                return Err("a parenthesis is open".to_owned());
            }
            return function(word, &arguments);
        }
        self.names
            .get(word)
            .copied()
            .ok_or_else(|| format!("there is no metric {word:?}"))
    }
}

fn function(name: &str, arguments: &[f64]) -> Result<f64, String> {
    Ok(match (name, arguments) {
        ("abs", [x]) => x.abs(),
        ("sqrt", [x]) => x.sqrt(),
        ("round", [x]) => x.round(),
        ("floor", [x]) => x.floor(),
        ("ceil", [x]) => x.ceil(),
        ("exp", [x]) => x.exp(),
        ("log", [x]) => x.ln(),
        ("pow", [x, y]) => x.powf(*y),
        ("min", some) => some.iter().copied().fold(f64::INFINITY, f64::min),
        ("max", some) => some.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        _ => return Err(format!("the function {name:?} is not supported")),
    })
}
