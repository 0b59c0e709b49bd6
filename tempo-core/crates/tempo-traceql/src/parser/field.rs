//! The expression between braces.

use super::Parser;
use crate::ast::{Attribute, Expression, INTRINSICS, Operator, UnaryOperator};
use crate::error::QueryError;
use crate::fold::fold;
use crate::lexer::TokenKind;

/// The binding power of `!`: tighter than `+`, looser than `*`.
const NOT_POWER: u8 = 4;
/// The binding power of the sign, that of `+`.
const SIGN_POWER: u8 = 3;

/// The binding power of an operator, and whether it groups to the right.
fn power(operator: Operator) -> (u8, bool) {
    match operator {
        Operator::And | Operator::Or => (1, false),
        Operator::Add | Operator::Subtract => (SIGN_POWER, false),
        Operator::Multiply | Operator::Divide | Operator::Modulo => (5, false),
        Operator::Power => (6, true),
        _ => (2, false),
    }
}

/// The operator between values that a symbol stands for.
pub(super) fn operator(symbol: &str) -> Option<Operator> {
    Some(match symbol {
        "+" => Operator::Add,
        "-" => Operator::Subtract,
        "*" => Operator::Multiply,
        "/" => Operator::Divide,
        "%" => Operator::Modulo,
        "^" => Operator::Power,
        "=" => Operator::Equal,
        "!=" => Operator::NotEqual,
        "<" => Operator::Less,
        "<=" => Operator::LessEqual,
        ">" => Operator::Greater,
        ">=" => Operator::GreaterEqual,
        "=~" => Operator::Regex,
        "!~" => Operator::NotRegex,
        "&&" => Operator::And,
        "||" => Operator::Or,
        _ => return None,
    })
}

impl Parser<'_> {
    /// An expression whose operators all bind tighter than `minimum`.
    pub(super) fn expression(&mut self, minimum: u8) -> Result<Expression, QueryError> {
        self.nested(|parser| {
            let mut left = parser.prefix()?;
            while let TokenKind::Symbol(symbol) = *parser.peek() {
                let Some(operator) = operator(symbol) else { break };
                let (power, right_grouping) = power(operator);
                if power <= minimum {
                    break;
                }
                parser.take_operator()?;
                let right = parser.expression(if right_grouping { power - 1 } else { power })?;
                left = fold(Expression::Binary {
                    operator,
                    left: left.into(),
                    right: right.into(),
                });
            }
            Ok(left)
        })
    }

    fn prefix(&mut self) -> Result<Expression, QueryError> {
        if self.take("-") {
            let operand = self.expression(SIGN_POWER)?;
            return Ok(fold(Expression::Unary(UnaryOperator::Negate, operand.into())));
        }
        if self.take("!") {
            let operand = self.expression(NOT_POWER)?;
            return Ok(fold(Expression::Unary(UnaryOperator::Not, operand.into())));
        }
        if self.take("(") {
            let inner = self.expression(0)?;
            self.expect(")")?;
            return Ok(inner);
        }
        if let Some(value) = self.static_value() {
            self.position += 1;
            return Ok(Expression::Static(value));
        }
        self.attribute().map(Expression::Attribute)
    }

    /// `.key`, `scope.key`, or an intrinsic.
    pub(super) fn attribute(&mut self) -> Result<Attribute, QueryError> {
        let attribute = match self.peek().clone() {
            TokenKind::Unscoped(name) => Attribute::Unscoped(name),
            TokenKind::Scoped(scope, name) => Attribute::Scoped(scope, name),
            TokenKind::Parent(name) => Attribute::Parent(name),
            TokenKind::Word(word) if word == "parent" => Attribute::Parent(word),
            TokenKind::Word(word) => {
                let known = INTRINSICS.iter().find(|(name, _)| *name == word);
                let (_, intrinsic) =
                    known.ok_or_else(|| self.unexpected("an attribute such as .key or span.key"))?;
                Attribute::Intrinsic(*intrinsic)
            }
            _ => return Err(self.unexpected("a value or an attribute")),
        };
        self.position += 1;
        Ok(attribute)
    }
}
