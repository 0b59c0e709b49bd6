//! Whom spans come from: resources and instrumentation scopes. There are few, so each is kept once, as a message.

use prost::Message;
use tempo_model::proto::common::{KeyValue, KeyValueList};
use tempo_model::view::{self, AttributeView, ResourceSpansView, ScopeSpansView, ScopeView};
use tempo_model::wire::WireError;

use super::attributes::Limit;
use super::intern::Interner;
use crate::schema::value::{owned_attribute, text_of};

/// A resource or an instrumentation scope.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Owner {
    /// An encoded `KeyValueList`.
    attributes: Vec<u8>,
    /// Attributes that the client dropped.
    pub(crate) dropped: u32,
    /// Empty where there is none.
    pub(crate) schema_url: String,
    /// Of a scope; empty where there is none.
    pub(crate) name: String,
    /// Of a scope; empty where there is none.
    pub(crate) version: String,
}

impl Owner {
    pub(super) fn of_resource(view: &ResourceSpansView<'_>, limit: &mut Limit) -> Result<Self, WireError> {
        let (attributes, dropped) = view::resource(view.resource)?;
        Ok(Self {
            attributes: encoded(&attributes, limit)?,
            dropped,
            schema_url: text_of(view.schema_url).into_owned(),
            ..Self::default()
        })
    }

    pub(super) fn of_scope(view: &ScopeSpansView<'_>, limit: &mut Limit) -> Result<Self, WireError> {
        let scope = ScopeView::read(view.scope)?;
        Ok(Self {
            attributes: encoded(&scope.attributes, limit)?,
            dropped: scope.dropped_attributes_count,
            schema_url: text_of(view.schema_url).into_owned(),
            name: text_of(scope.name).into_owned(),
            version: text_of(scope.version).into_owned(),
        })
    }

    /// The attributes in order; keys and texts are UTF-8 and cut.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = AttributeView<'_>> {
        // What we encoded has no errors.
        view::key_values(&self.attributes).filter_map(Result::ok)
    }

    /// The attributes as messages.
    pub(crate) fn attribute_messages(&self) -> Vec<KeyValue> {
        let messages = self.attributes();
        messages
            .filter_map(|attribute| owned_attribute(&attribute).ok())
            .collect()
    }

    pub(super) fn memory(&self) -> usize {
        let texts = [&self.schema_url, &self.name, &self.version].map(String::len);
        size_of::<Self>() + self.attributes.len() + texts.iter().sum::<usize>()
    }
}

fn encoded(attributes: &[AttributeView<'_>], limit: &mut Limit) -> Result<Vec<u8>, WireError> {
    let cut = |attribute: &AttributeView<'_>| limit.cut(attribute, |cut| owned_attribute(&cut));
    let values = attributes.iter().map(cut).collect::<Result<_, _>>()?;
    Ok(KeyValueList { values }.encode_to_vec())
}

/// Numbers owners by the bytes that they were sent as, so that a known one is not read again.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// Length of the schema URL, schema URL, message.
    keys: Interner,
    key: Vec<u8>,
    /// How many attribute keys and values of each were cut.
    truncated: Vec<usize>,
}

impl Numbers {
    /// The number of an owner, and the owner when it is new, made by `make`.
    pub(super) fn number(
        &mut self,
        schema_url: &[u8],
        message: &[u8],
        limit: &mut Limit,
        make: impl FnOnce(&mut Limit) -> Result<Owner, WireError>,
    ) -> Result<(u32, Option<Owner>), WireError> {
        self.key.clear();
        self.key
            .extend_from_slice(&(schema_url.len() as u64).to_le_bytes());
        self.key.extend_from_slice(schema_url);
        self.key.extend_from_slice(message);
        let number = self.keys.bytes(&self.key);
        if let Some(truncated) = self.truncated.get(number as usize) {
            limit.truncated += truncated;
            return Ok((number, None));
        }
        let before = limit.truncated;
        let owner = make(limit)?;
        self.truncated.push(limit.truncated - before);
        Ok((number, Some(owner)))
    }

    /// Forgets the last `count`, and what could not be made.
    pub(super) fn forget(&mut self, count: usize) {
        let rest = self.truncated.len().saturating_sub(count);
        self.truncated.truncate(rest);
        self.keys.truncate(rest);
    }

    pub(super) fn memory(&self) -> usize {
        self.keys.memory() + 8 * self.truncated.len()
    }
}
