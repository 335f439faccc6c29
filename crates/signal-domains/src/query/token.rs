//! The words of a query.

/// A place in a query's text, both counted from 1; columns are characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub line: usize,
    pub column: usize,
}

/// What is wrong, and where.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub spot: Spot,
    pub message: String,
}

impl Spot {
    pub fn fault(self, message: impl Into<String>) -> Fault {
        Fault {
            spot: self,
            message: message.into(),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    Name(String),
    /// A name between backticks, which is never a word of the language.
    QuotedName(String),
    Number(f64),
    Text(String),
    /// `==`, `(`, `,` ...
    Sign(&'static str),
    End,
}

impl Word {
    /// As a message calls it.
    pub fn describe(&self) -> String {
        match self {
            Self::Name(name) => format!("{name:?}"),
            Self::QuotedName(name) => format!("`{name}`"),
            Self::Number(number) => format!("the number {number}"),
            Self::Text(text) => format!("the text {text:?}"),
            Self::Sign(sign) => format!("{sign:?}"),
            Self::End => "the end".into(),
        }
    }
}

const SIGNS: [&str; 11] = ["==", "!=", "<=", ">=", "<", ">", "(", ")", "[", "]", ","];

/// Signs of other languages, and what stands here instead.
const FOREIGN: [(&str, &str); 6] = [
    ("&&", "and"),
    ("||", "or"),
    ("&", "and"),
    ("|", "or"),
    ("!", "not"),
    ("=", "=="),
];

/// The words with their places, the end among them.
pub(super) fn words(text: &str) -> Result<Vec<(Word, Spot)>, Fault> {
    let mut reader = Reader {
        rest: text,
        spot: Spot { line: 1, column: 1 },
    };
    let mut words = Vec::new();
    loop {
        reader.take(char::is_whitespace);
        let spot = reader.spot;
        let word = reader.word()?;
        let end = word == Word::End;
        words.push((word, spot));
        if end {
            return Ok(words);
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
    spot: Spot,
}

impl<'a> Reader<'a> {
    fn word(&mut self) -> Result<Word, Fault> {
        let spot = self.spot;
        let Some(first) = self.rest.chars().next() else {
            return Ok(Word::End);
        };
        if first.is_alphabetic() || first == '_' {
            let name = self.take(|c| c.is_alphanumeric() || c == '_' || c == '-');
            return Ok(Word::Name(name.into()));
        }
        if first.is_ascii_digit() || matches!(first, '-' | '+' | '.') {
            return self.number(spot);
        }
        match first {
            '"' | '\'' => return Ok(Word::Text(self.quoted(first, spot)?)),
            '`' => return Ok(Word::QuotedName(self.quoted(first, spot)?)),
            _ => {}
        }
        if let Some(sign) = SIGNS.into_iter().find(|sign| self.rest.starts_with(sign)) {
            self.skip(sign.len());
            return Ok(Word::Sign(sign));
        }
        let foreign = FOREIGN.iter().find(|(sign, _)| self.rest.starts_with(sign));
        Err(spot.fault(match foreign {
            Some((sign, ours)) => format!("{sign:?} is no sign of a query; did you mean `{ours}`?"),
            None => format!("{first:?} is no part of a query"),
        }))
    }

    fn number(&mut self, spot: Spot) -> Result<Word, Fault> {
        let mut before = ' ';
        // a sign belongs to a number at its start and behind the e of an exponent
        let text = self.take(|c| {
            let belongs = c.is_ascii_alphanumeric()
                || c == '.'
                || matches!(c, '+' | '-') && (before == ' ' || matches!(before, 'e' | 'E'));
            before = c;
            belongs
        });
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Word::Number(number)),
            _ => Err(spot.fault(format!(
                "{text:?} is no number; texts stand between quotes, names that start with a digit between backticks"
            ))),
        }
    }

    /// Up to the next `quote`; a backslash takes the character behind it as it is.
    fn quoted(&mut self, quote: char, spot: Spot) -> Result<String, Fault> {
        self.skip(1);
        let mut text = String::new();
        while let Some(c) = self.rest.chars().next() {
            self.skip(c.len_utf8());
            if c == quote {
                return Ok(text);
            }
            let c = if c == '\\' {
                let Some(escaped) = self.rest.chars().next() else { break };
                self.skip(escaped.len_utf8());
                escaped
            } else {
                c
            };
            text.push(c);
        }
        Err(spot.fault(format!("{quote} is not closed")))
    }

    fn take(&mut self, mut wanted: impl FnMut(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let taken = &self.rest[..end];
        self.skip(end);
        taken
    }

    fn skip(&mut self, bytes: usize) {
        let (taken, rest) = self.rest.split_at(bytes);
        for c in taken.chars() {
            if c == '\n' {
                self.spot = Spot {
                    line: self.spot.line + 1,
                    column: 1,
                };
            } else {
                self.spot.column += 1;
            }
        }
        self.rest = rest;
    }
}
