//! From words to a tree.

use globset::{GlobBuilder, GlobMatcher};

use super::token::{Fault, Spot, Word, words};
use crate::dataset::Attribute;

/// How deep parentheses and `not` may lie in one another: far deeper than anybody writes, far from the stack's end.
const DEPTH: usize = 64;

#[derive(Clone, Debug)]
pub(super) enum Expr {
    Any(Vec<Expr>),
    All(Vec<Expr>),
    Not(Box<Expr>),
    Compare {
        left: Operand,
        sign: &'static str,
        right: Operand,
        spot: Spot,
    },
    In {
        left: Operand,
        values: Vec<Attribute>,
        spot: Spot,
    },
    Like {
        left: Operand,
        glob: GlobMatcher,
        spot: Spot,
    },
    /// An attribute that is true or false, or the word itself.
    Flag {
        operand: Operand,
        spot: Spot,
    },
}

#[derive(Clone, Debug)]
pub(super) enum Operand {
    Name(String),
    Value(Attribute),
}

pub(super) struct Parsed {
    pub expr: Expr,
    pub names: Vec<(String, Spot)>,
}

pub(super) fn parse(text: &str) -> Result<Parsed, Fault> {
    let mut parser = Parser {
        words: words(text)?,
        at: 0,
        depth: 0,
        names: Vec::new(),
    };
    let expr = parser.any()?;
    let (word, spot) = parser.peek();
    if *word != Word::End {
        let hint = match word {
            Word::Sign("<" | "<=" | ">" | ">=" | "==" | "!=") => "; two comparisons are joined by `and`",
            _ => "; expected `and`, `or` or the end",
        };
        return Err(spot.fault(format!("{} does not belong here{hint}", word.describe())));
    }
    Ok(Parsed {
        expr,
        names: parser.names,
    })
}

struct Parser {
    words: Vec<(Word, Spot)>,
    at: usize,
    depth: usize,
    names: Vec<(String, Spot)>,
}

impl Parser {
    fn peek(&self) -> &(Word, Spot) {
        &self.words[self.at]
    }

    fn next(&mut self) -> (Word, Spot) {
        let word = self.words[self.at].clone();
        // the last word is the end, which is never passed
        self.at = (self.at + 1).min(self.words.len() - 1);
        word
    }

    /// Takes a word of the language if it is there.
    fn taken(&mut self, keyword: &str) -> bool {
        let here = matches!(&self.peek().0, Word::Name(name) if name == keyword);
        if here {
            self.next();
        }
        here
    }

    fn sign(&mut self, wanted: &'static str) -> Result<(), Fault> {
        match self.next() {
            (Word::Sign(sign), _) if sign == wanted => Ok(()),
            (word, spot) => Err(spot.fault(format!("expected {wanted:?}, found {}", word.describe()))),
        }
    }

    fn any(&mut self) -> Result<Expr, Fault> {
        self.joined("or", Self::all, Expr::Any)
    }

    fn all(&mut self) -> Result<Expr, Fault> {
        self.joined("and", Self::not, Expr::All)
    }

    fn joined(
        &mut self,
        keyword: &str,
        part: fn(&mut Self) -> Result<Expr, Fault>,
        join: fn(Vec<Expr>) -> Expr,
    ) -> Result<Expr, Fault> {
        let first = part(self)?;
        let mut parts = vec![first];
        while self.taken(keyword) {
            parts.push(part(self)?);
        }
        Ok(match parts.len() {
            1 => parts.remove(0),
            _ => join(parts),
        })
    }

    fn not(&mut self) -> Result<Expr, Fault> {
        let spot = self.peek().1;
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(spot.fault(format!("more than {DEPTH} parentheses and `not` in one another")));
        }
        let expr = if self.taken("not") {
            Expr::Not(Box::new(self.not()?))
        } else if self.peek().0 == Word::Sign("(") {
            self.next();
            let inner = self.any()?;
            self.sign(")")?;
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn comparison(&mut self) -> Result<Expr, Fault> {
        let (left, start) = self.operand()?;
        let spot = self.peek().1;
        let negated = self.taken("not");
        let expr = if self.taken("in") {
            Expr::In {
                left,
                values: self.list()?,
                spot,
            }
        } else if self.taken("like") {
            Expr::Like {
                left,
                glob: self.glob()?,
                spot,
            }
        } else if negated {
            let (word, spot) = self.peek();
            return Err(spot.fault(format!("expected `in` or `like`, found {}", word.describe())));
        } else if let Word::Sign(sign @ ("==" | "!=" | "<" | "<=" | ">" | ">=")) = self.peek().0 {
            self.next();
            let (right, _) = self.operand()?;
            Expr::Compare {
                left,
                sign,
                right,
                spot,
            }
        } else {
            Expr::Flag {
                operand: left,
                spot: start,
            }
        };
        Ok(if negated { Expr::Not(Box::new(expr)) } else { expr })
    }

    fn operand(&mut self) -> Result<(Operand, Spot), Fault> {
        let (word, spot) = self.next();
        let name = match word {
            Word::Number(_) | Word::Text(_) => return Ok((Operand::Value(literal(word, spot)?), spot)),
            Word::Name(ref name) if matches!(name.as_str(), "true" | "false") => {
                return Ok((Operand::Value(literal(word, spot)?), spot));
            }
            Word::Name(ref name) if matches!(name.as_str(), "and" | "or" | "not" | "in" | "like") => {
                return Err(spot.fault(format!("expected a name or a value, found `{name}`")));
            }
            Word::Name(name) | Word::QuotedName(name) => name,
            other => return Err(spot.fault(format!("expected a name or a value, found {}", other.describe()))),
        };
        if !self.names.iter().any(|(known, _)| *known == name) {
            self.names.push((name.clone(), spot));
        }
        Ok((Operand::Name(name), spot))
    }

    fn list(&mut self) -> Result<Vec<Attribute>, Fault> {
        self.sign("[")?;
        let mut values = Vec::new();
        loop {
            let (word, spot) = self.next();
            values.push(literal(word, spot)?);
            match self.next() {
                (Word::Sign("]"), _) => return Ok(values),
                (Word::Sign(","), _) => {}
                (word, spot) => return Err(spot.fault(format!("expected \",\" or \"]\", found {}", word.describe()))),
            }
        }
    }

    fn glob(&mut self) -> Result<GlobMatcher, Fault> {
        let (word, spot) = self.next();
        let Word::Text(text) = word else {
            return Err(spot.fault(format!(
                "expected a glob between quotes behind `like`, found {}",
                word.describe()
            )));
        };
        let glob = GlobBuilder::new(&text).build();
        glob.map(|g| g.compile_matcher())
            .map_err(|e| spot.fault(format!("{text:?} is no glob: {}", e.kind())))
    }
}

fn literal(word: Word, spot: Spot) -> Result<Attribute, Fault> {
    match word {
        Word::Number(number) => Ok(Attribute::Number(number)),
        Word::Text(text) => Ok(Attribute::Text(text)),
        Word::Name(name) if name == "true" => Ok(Attribute::Flag(true)),
        Word::Name(name) if name == "false" => Ok(Attribute::Flag(false)),
        Word::Name(name) => Err(spot.fault(format!(
            "expected a value, found {name:?}; a text stands between quotes"
        ))),
        other => Err(spot.fault(format!("expected a value, found {}", other.describe()))),
    }
}
