//! Tokens → syntax tree: recursive descent for pipelines, Pratt parsing for operators. Depth is bounded.
//!
//! ```text
//! query    = stages [ 'with(' hints ')' ]
//! stages   = operand { '|' stage }                     pipeline.rs
//! operand  = spansets, aggregates, metrics and numbers joined by operators; `operand.rs` says which may meet
//! field    = the expression between braces              field.rs
//! ```

mod field;
mod operand;
mod pipeline;

use crate::ast::{Attribute, Hint, Query, Root, Static};
use crate::error::QueryError;
use crate::lexer::{Token, TokenKind, error_at, tokens};

/// How deep brackets and operators may be nested.
const MAX_DEPTH: usize = 200;
/// How many operators and stages a query may have: chains of them make trees as deep as they are long, and what walks the trees
/// recurses.
const MAX_OPERATORS: usize = 400;

/// Parses `text`, without asking whether it makes sense (see [`crate::check`]).
pub(crate) fn parse(text: &str) -> Result<Query, QueryError> {
    let mut parser = Parser {
        text,
        tokens: tokens(text)?,
        position: 0,
        depth: 0,
        operators: 0,
    };
    let root = parser.root()?;
    let hints = if parser.take_word("with") {
        parser.hints()?
    } else {
        Vec::new()
    };
    parser.expect_end()?;
    Ok(Query { root, hints })
}

/// Parses the name of a value of a span, and nothing else.
pub(crate) fn parse_attribute(text: &str) -> Result<Attribute, QueryError> {
    let mut parser = Parser {
        text,
        tokens: tokens(text)?,
        position: 0,
        depth: 0,
        operators: 0,
    };
    let attribute = parser.attribute()?;
    parser.expect_end()?;
    Ok(attribute)
}

pub(crate) struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    position: usize,
    depth: usize,
    operators: usize,
}

impl Parser<'_> {
    fn root(&mut self) -> Result<Root, QueryError> {
        let operand = self.stages()?;
        operand.into_root().map_err(|message| self.error(message))
    }

    fn hints(&mut self) -> Result<Vec<Hint>, QueryError> {
        self.list(|parser| {
            let key = parser.any_word("a hint's name")?;
            parser.expect("=")?;
            Ok(Hint {
                key,
                value: parser.constant()?,
            })
        })
    }

    /// `( item, item, ... )`
    fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, QueryError>,
    ) -> Result<Vec<T>, QueryError> {
        self.expect("(")?;
        let mut items = vec![item(self)?];
        while self.take(",") {
            items.push(item(self)?);
        }
        self.expect(")")?;
        Ok(items)
    }

    /// A constant, with a sign where it is a number.
    fn constant(&mut self) -> Result<Static, QueryError> {
        let negative = self.take("-");
        let value = self.static_value().ok_or_else(|| self.unexpected("a constant"))?;
        self.position += 1;
        match (negative, value) {
            (false, value) => Ok(value),
            (true, Static::Int(number)) => Ok(Static::Int(number.wrapping_neg())),
            (true, Static::Float(number)) => Ok(Static::Float(-number)),
            (true, Static::Duration(number)) => Ok(Static::Duration(-number)),
            (true, _) => Err(self.error("only numbers have a sign")),
        }
    }

    /// The constant at the current token, which is not taken.
    fn static_value(&self) -> Option<Static> {
        Some(match self.peek() {
            TokenKind::Int(number) => Static::Int(*number),
            TokenKind::Float(number) => Static::Float(*number),
            TokenKind::Duration(nanos) => Static::Duration(*nanos),
            TokenKind::String(text) => Static::String(text.clone()),
            TokenKind::Word(word) => return keyword_static(word),
            _ => return None,
        })
    }

    fn peek(&self) -> &TokenKind {
        self.tokens
            .get(self.position)
            .map_or(&TokenKind::End, |token| &token.kind)
    }

    fn peek_second(&self) -> &TokenKind {
        self.tokens
            .get(self.position + 1)
            .map_or(&TokenKind::End, |token| &token.kind)
    }

    fn is(&self, symbol: &str) -> bool {
        matches!(self.peek(), TokenKind::Symbol(found) if *found == symbol)
    }

    fn is_call(&self, word: &str) -> bool {
        matches!((self.peek(), self.peek_second()), (TokenKind::Word(found), TokenKind::Symbol("(")) if found == word)
    }

    fn take(&mut self, symbol: &str) -> bool {
        let found = self.is(symbol);
        self.position += usize::from(found);
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), TokenKind::Word(found) if found == word);
        self.position += usize::from(found);
        found
    }

    fn any_word(&mut self, what: &str) -> Result<String, QueryError> {
        match self.peek().clone() {
            TokenKind::Word(word) => {
                self.position += 1;
                Ok(word)
            }
            _ => Err(self.unexpected(what)),
        }
    }

    fn expect(&mut self, symbol: &str) -> Result<(), QueryError> {
        if self.take(symbol) {
            Ok(())
        } else {
            Err(self.unexpected(&format!("'{symbol}'")))
        }
    }

    fn expect_end(&self) -> Result<(), QueryError> {
        if *self.peek() == TokenKind::End {
            Ok(())
        } else {
            Err(self.unexpected("the end of the query"))
        }
    }

    fn unexpected(&self, expected: &str) -> QueryError {
        let found = match self.peek() {
            TokenKind::End => "the end of the query".to_owned(),
            TokenKind::Symbol(symbol) => format!("'{symbol}'"),
            TokenKind::Word(word) => format!("'{word}'"),
            TokenKind::Unscoped(name) => format!("'.{name}'"),
            TokenKind::Scoped(scope, name) => format!("'{}.{name}'", scope.name()),
            TokenKind::Parent(name) => format!("'{name}'"),
            TokenKind::Int(_) | TokenKind::Float(_) => "a number".to_owned(),
            TokenKind::Duration(_) => "a duration".to_owned(),
            TokenKind::String(_) => "a string".to_owned(),
        };
        self.error(format!("unexpected {found}, expected {expected}"))
    }

    fn error(&self, message: impl Into<String>) -> QueryError {
        let offset = self
            .tokens
            .get(self.position)
            .map_or(self.text.len(), |token| token.offset);
        error_at(self.text, offset, message)
    }

    /// Takes an operator, or the bar before a stage.
    fn take_operator(&mut self) -> Result<(), QueryError> {
        self.operators += 1;
        if self.operators > MAX_OPERATORS {
            return Err(self.error(format!(
                "the query has more than {MAX_OPERATORS} operators; a regular expression says 'one of many' shorter"
            )));
        }
        self.position += 1;
        Ok(())
    }

    /// Runs `parse` one level deeper.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, QueryError>) -> Result<T, QueryError> {
        if self.depth >= MAX_DEPTH {
            return Err(self.error(format!("the query is nested more than {MAX_DEPTH} levels deep")));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }
}

fn keyword_static(word: &str) -> Option<Static> {
    use crate::ast::{Kind, Status};
    Some(match word {
        "nil" => Static::Nil,
        "true" => Static::Bool(true),
        "false" => Static::Bool(false),
        "minInt" => Static::Int(i64::MIN),
        "maxInt" => Static::Int(i64::MAX),
        _ => {
            let status = Status::ALL
                .into_iter()
                .find(|status| status.name() == word)
                .map(Static::Status);
            let kind = Kind::ALL
                .into_iter()
                .find(|kind| kind.name() == word)
                .map(Static::Kind);
            return status.or(kind);
        }
    })
}
