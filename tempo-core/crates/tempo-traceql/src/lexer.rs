//! Text → tokens. Not here: what may follow what.
//!
//! Attribute names are tokens of their own: after a scope, a name runs until whitespace, the end, or one of
//! `{ } ( ) = ~ ! < > & | ^ ,`, and may have quoted parts.

use crate::ast::Scope;
use crate::error::QueryError;

/// A token and where it starts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) offset: usize,
}

/// The kinds of token.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TokenKind {
    /// `{ } ( ) ,` and operators.
    Symbol(&'static str),
    /// Keywords, functions, intrinsics.
    Word(String),
    /// `.name`
    Unscoped(String),
    /// `scope.name`
    Scoped(Scope, String),
    /// `parent.name`, whole.
    Parent(String),
    Int(i64),
    Float(f64),
    /// Nanoseconds.
    Duration(i64),
    String(String),
    End,
}

/// Longest first.
const SYMBOLS: [&str; 39] = [
    "!>>", "!<<", "&>>", "&<<", "&&", "||", ">>", "<<", "!>", "!<", "!~", "&>", "&<", "&~", "!=", "=~", "<=",
    ">=", "{", "}", "(", ")", "=", "~", "!", "<", ">", "&", "|", "^", ",", "+", "-", "*", "/", "%", ":", "[",
    "]",
];

/// Where an unquoted attribute name ends.
pub(crate) fn ends_name(character: char) -> bool {
    character.is_whitespace() || "{}()=~!<>&|^,".contains(character)
}

/// A parse error at `offset` in `text`.
pub(crate) fn error_at(text: &str, offset: usize, message: impl Into<String>) -> QueryError {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    QueryError::Parse {
        line,
        column,
        message: message.into(),
    }
}

/// All tokens of `text`, with [`TokenKind::End`] last.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, QueryError> {
    let mut lexer = Lexer { text, offset: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blanks()?;
        let offset = lexer.offset;
        let kind = lexer.token()?;
        let end = kind == TokenKind::End;
        tokens.push(Token { kind, offset });
        if end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    offset: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.offset..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn error(&self, offset: usize, message: impl Into<String>) -> QueryError {
        error_at(self.text, offset, message)
    }

    /// Whitespace and comments.
    fn skip_blanks(&mut self) -> Result<(), QueryError> {
        loop {
            let rest = self.rest();
            let blanks = rest.len() - rest.trim_start().len();
            self.offset += blanks;
            let rest = self.rest();
            if rest.starts_with("//") {
                self.offset += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                let end = rest
                    .find("*/")
                    .ok_or_else(|| self.error(self.offset, "comment is not closed"))?;
                self.offset += end + 2;
            } else {
                return Ok(());
            }
        }
    }

    fn token(&mut self) -> Result<TokenKind, QueryError> {
        let rest = self.rest();
        let mut characters = rest.chars();
        let Some(first) = characters.next() else {
            return Ok(TokenKind::End);
        };
        let second = characters.next();
        if first.is_ascii_digit() || (first == '.' && second.is_some_and(|c| c.is_ascii_digit())) {
            return self.number();
        }
        if first == '"' || first == '`' {
            return self.string().map(TokenKind::String);
        }
        if first == '.' {
            self.offset += 1;
            return self.name().map(TokenKind::Unscoped);
        }
        if first.is_alphabetic() || first == '_' {
            return self.word();
        }
        let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
        let symbol =
            symbol.ok_or_else(|| self.error(self.offset, format!("unexpected character '{first}'")))?;
        self.offset += symbol.len();
        Ok(TokenKind::Symbol(symbol))
    }

    fn word(&mut self) -> Result<TokenKind, QueryError> {
        let rest = self.rest();
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let start = self.offset;
        self.offset += end;
        if !after.starts_with('.') {
            return Ok(TokenKind::Word(word.to_owned()));
        }
        self.offset += 1;
        if word == "parent" {
            self.name()?;
            return Ok(TokenKind::Parent(
                self.text.get(start..self.offset).unwrap_or_default().to_owned(),
            ));
        }
        let scope = Scope::ALL.into_iter().find(|scope| scope.name() == word);
        let scope =
            scope.ok_or_else(|| self.error(start, format!("'{word}' is not a scope of attributes")))?;
        Ok(TokenKind::Scoped(scope, self.name()?))
    }

    /// The name after a scope's point.
    fn name(&mut self) -> Result<String, QueryError> {
        let start = self.offset;
        let mut name = String::new();
        while let Some(character) = self.peek() {
            if character == '"' {
                name.push_str(&self.quoted_part()?);
            } else if ends_name(character) {
                break;
            } else {
                name.push(character);
                self.offset += character.len_utf8();
            }
        }
        if self.offset == start {
            return Err(self.error(start, "an attribute name must follow the '.'"));
        }
        Ok(name)
    }

    /// A quoted part of a name: only `\"` and `\\` are escapes.
    fn quoted_part(&mut self) -> Result<String, QueryError> {
        let start = self.offset;
        let mut part = String::new();
        let mut characters = self.rest().char_indices().skip(1);
        while let Some((index, character)) = characters.next() {
            match character {
                '"' => {
                    self.offset += index + 1;
                    return Ok(part);
                }
                '\\' => match characters.next() {
                    Some((_, escaped @ ('"' | '\\'))) => part.push(escaped),
                    _ => return Err(self.error(start + index, "only \\\" and \\\\ may be escaped in a name")),
                },
                other => part.push(other),
            }
        }
        Err(self.error(start, "quoted attribute name is not closed"))
    }

    fn string(&mut self) -> Result<String, QueryError> {
        let start = self.offset;
        let quote = self.peek().unwrap_or('"');
        let mut string = String::new();
        let mut characters = self.rest().char_indices().skip(1).peekable();
        while let Some((index, character)) = characters.next() {
            if character == quote {
                self.offset += index + 1;
                return Ok(string);
            }
            if character == '\n' && quote == '"' {
                break;
            }
            if character == '\\' && quote == '"' {
                let escape = escape(&mut characters.by_ref().map(|(_, character)| character));
                string.push(escape.ok_or_else(|| self.error(start + index, "unknown escape in a string"))?);
            } else {
                string.push(character);
            }
        }
        Err(self.error(start, "string is not closed"))
    }

    fn number(&mut self) -> Result<TokenKind, QueryError> {
        let start = self.offset;
        let rest = self.rest();
        let mut end = 0;
        let mut previous = ' ';
        for character in rest.chars() {
            let hex = rest.starts_with("0x") || rest.starts_with("0X");
            let exponent = matches!(character, '+' | '-') && matches!(previous, 'e' | 'E') && !hex;
            if !(character.is_alphanumeric() || character == '.' || character == '_' || exponent) {
                break;
            }
            end += character.len_utf8();
            previous = character;
        }
        let text = rest.get(..end).unwrap_or_default();
        self.offset += end;
        number(text)
            .ok_or_else(|| self.error(start, format!("'{text}' is not a number or duration in range")))
    }
}

/// One of Go's escapes, after the backslash.
fn escape(characters: &mut impl Iterator<Item = char>) -> Option<char> {
    let (digits, radix) = match characters.next()? {
        'a' => return Some('\u{07}'),
        'b' => return Some('\u{08}'),
        'f' => return Some('\u{0c}'),
        'n' => return Some('\n'),
        'r' => return Some('\r'),
        't' => return Some('\t'),
        'v' => return Some('\u{0b}'),
        quoted @ ('"' | '\\') => return Some(quoted),
        'x' => (2, 16),
        'u' => (4, 16),
        'U' => (8, 16),
        first => {
            let octal: String = std::iter::once(first).chain(characters.take(2)).collect();
            return u32::from_str_radix(&octal, 8)
                .ok()
                .filter(|_| octal.len() == 3)
                .and_then(char::from_u32);
        }
    };
    let code: String = characters.take(digits).collect();
    u32::from_str_radix(&code, radix)
        .ok()
        .filter(|_| code.len() == digits)
        .and_then(char::from_u32)
}

/// An integer, a float or a duration.
fn number(text: &str) -> Option<TokenKind> {
    let plain = text.replace('_', "");
    if let Some(hex) = plain.strip_prefix("0x").or_else(|| plain.strip_prefix("0X")) {
        return i64::from_str_radix(hex, 16).ok().map(TokenKind::Int);
    }
    if plain.bytes().all(|byte| byte.is_ascii_digit()) {
        let octal = plain.len() > 1 && plain.starts_with('0');
        return i64::from_str_radix(&plain, if octal { 8 } else { 10 })
            .ok()
            .map(TokenKind::Int);
    }
    let is_float = plain
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    if is_float {
        return plain
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite())
            .map(TokenKind::Float);
    }
    duration(text).map(TokenKind::Duration)
}

/// Units of durations in nanoseconds; years have 365 days.
const UNITS: [(&str, i128); 11] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("w", 604_800_000_000_000),
    ("y", 31_536_000_000_000_000),
];

/// `1h30m`, `1.5h`, `2d`, `10µs`: whole numbers exactly, fractions as floats.
fn duration(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut nanos: i128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        nanos = nanos.checked_add(units(number, *factor)?)?;
        rest = after;
    }
    i64::try_from(nanos).ok()
}

/// `number` of `factor` nanoseconds each.
fn units(number: &str, factor: i128) -> Option<i128> {
    let point = number.find('.').unwrap_or(number.len());
    let (whole, fraction) = number.split_at(point);
    if !number.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction: f64 = if fraction.len() < 2 {
        0.0
    } else {
        format!("0{fraction}").parse().ok()?
    };
    let nanos = whole.checked_mul(factor)?;
    nanos.checked_add((fraction * factor as f64).round() as i128)
}
