//! Conditions that no span of a snapshot can satisfy, found without looking at rows.

use tempo_model::view::ValueView;
use tempo_traceql::ast::{Attribute, Intrinsic, Operator, Scope, Static};
use tempo_traceql::columns::Condition;

use crate::head::attributes::AttributeTable;
use crate::head::attributes::column::Column;
use crate::head::intern::{Coded, Words};
use crate::head::snapshot::HeadSnapshot;
use crate::schema::ValueKind;

impl HeadSnapshot {
    /// Whether a span may satisfy a condition: some span must have the key, and for equality with a text, the text
    /// must be in a dictionary.
    pub(super) fn has_match(&self, condition: &Condition) -> bool {
        let text = match (&condition.operator, &condition.operand) {
            (Operator::Equal, Static::String(text)) => Some(text.as_str()),
            _ => None,
        };
        match &condition.attribute {
            Attribute::Scoped(scope, key) => self.has_attribute(*scope, key, text),
            Attribute::Unscoped(key) => {
                self.has_attribute(Scope::Span, key, text) || self.has_attribute(Scope::Resource, key, text)
            }
            Attribute::Intrinsic(Intrinsic::Name) => {
                let names = self.segments.iter().map(|segment| &segment.name);
                has_text(names, text)
            }
            Attribute::Intrinsic(Intrinsic::EventName) => {
                let names = self.segments.iter().map(|segment| &segment.events.name);
                has_text(names, text)
            }
            Attribute::Intrinsic(_) | Attribute::Parent(_) => true,
        }
    }

    fn has_attribute(&self, scope: Scope, key: &str, text: Option<&str>) -> bool {
        if let Some(owners) = self.owners(scope) {
            let mut attributes = owners.iter().flat_map(|owner| owner.attributes());
            return attributes.any(|attribute| {
                attribute.key == key.as_bytes() && text.is_none_or(|text| may_equal(attribute.value, text))
            });
        }
        let tables = self.segments.iter().filter_map(|segment| segment.table(scope));
        let mut columns = tables.flat_map(AttributeTable::columns);
        columns.any(|(name, column)| name == key && text.is_none_or(|text| has_value(column, text)))
    }
}

fn has_text<'a>(mut columns: impl Iterator<Item = &'a Coded>, text: Option<&str>) -> bool {
    text.is_none_or(|text| columns.any(|column| has_word(column.interner.words(), text)))
}

fn may_equal(value: ValueView<'_>, text: &str) -> bool {
    match value {
        ValueView::String(value) => value == text.as_bytes(),
        ValueView::Array(_) => true,
        _ => false,
    }
}

fn has_value(column: &Column, text: &str) -> bool {
    match column.kind {
        ValueKind::Array => true,
        ValueKind::String => column.words().is_some_and(|words| has_word(words, text)),
        _ => false,
    }
}

fn has_word(words: &Words, text: &str) -> bool {
    let mut codes = 0..words.count() as u32;
    codes.any(|code| words.bytes(code) == Some(text.as_bytes()))
}
