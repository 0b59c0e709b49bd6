//! Spans as they were sent, put together again from all columns.

mod attributes;
mod nested;
mod segment;
mod span;

use std::collections::HashMap;

use arrow::array::{ArrayRef, ArrowPrimitiveType, BinaryArray, FixedSizeBinaryArray, PrimitiveArray};
use arrow::datatypes::UInt32Type;
use tempo_model::proto::common::InstrumentationScope;
use tempo_model::proto::resource::Resource;
use tempo_model::proto::trace::{ResourceSpans, ScopeSpans, Span};
use tempo_traceql::ast::Scope;

pub(crate) use self::segment::SpanKey;

use self::attributes::Attributes;
use self::span::SpanColumns;
use super::arrays::{Texts, binary, fixed, numbers};
use super::fields::Layout;
use super::file::LeafNumber;
use super::leaf::Leaf;
use crate::read::ReadError;
use crate::schema::{spans, value};

/// The decoded leaves of some rows of a row group: of whole traces.
pub(crate) struct Decoded<'a> {
    pub(super) layout: Layout<'a>,
    /// Those that [`Layout::all_leaves`] names.
    pub(super) leaves: HashMap<LeafNumber, Leaf>,
    pub(super) rows: usize,
}

/// Why a span cannot be put together.
#[derive(Debug)]
enum Broken {
    /// A value in text form cannot be read.
    Value(value::ValueError),
    /// This column is missing, or not what the format says.
    Column(String),
}

impl From<value::ValueError> for Broken {
    fn from(error: value::ValueError) -> Self {
        Self::Value(error)
    }
}

fn broken(path: &str) -> Broken {
    Broken::Column(path.to_owned())
}

impl Decoded<'_> {
    /// The spans, grouped by resource and scope in the order of rows.
    pub(super) fn resource_spans(&self) -> Result<Vec<ResourceSpans>, ReadError> {
        let grouped = if self.rows == 0 {
            Ok(Vec::new())
        } else {
            self.grouped()
        };
        self.explained(grouped)
    }

    fn explained<T>(&self, result: Result<T, Broken>) -> Result<T, ReadError> {
        result.map_err(|error| match error {
            Broken::Value(source) => ReadError::Value {
                file: self.layout.file.path.clone(),
                source,
            },
            Broken::Column(path) => self
                .layout
                .damaged(&format!("column {path} is missing or broken")),
        })
    }

    fn grouped(&self) -> Result<Vec<ResourceSpans>, Broken> {
        let columns = SpanColumns::new(self)?;
        let owners = OwnerColumns::new(self)?;
        let mut grouped = Grouped::default();
        for row in 0..self.rows {
            grouped.add(&owners, row, columns.span(row)?)?;
        }
        Ok(grouped.resources)
    }

    /// The leaf of a path; `None` where no row has a value.
    fn leaf(&self, path: &str) -> Option<&Leaf> {
        self.leaves.get(&self.layout.file.leaf(path)?)
    }

    fn values(&self, path: &str) -> Result<&ArrayRef, Broken> {
        let leaf = self.leaf(path).ok_or_else(|| broken(path))?;
        Ok(&leaf.values)
    }

    fn texts(&self, path: &str) -> Result<Texts, Broken> {
        Texts::new(self.values(path)?).ok_or_else(|| broken(path))
    }

    fn numbers<T: ArrowPrimitiveType>(&self, path: &str) -> Result<&PrimitiveArray<T>, Broken> {
        numbers(self.values(path)?).ok_or_else(|| broken(path))
    }

    fn counts(&self, path: &str) -> Result<&PrimitiveArray<UInt32Type>, Broken> {
        self.numbers(path)
    }

    fn fixed(&self, path: &str) -> Result<&FixedSizeBinaryArray, Broken> {
        fixed(self.values(path)?).ok_or_else(|| broken(path))
    }

    fn binary(&self, path: &str) -> Result<&BinaryArray, Broken> {
        binary(self.values(path)?).ok_or_else(|| broken(path))
    }
}

/// Spans by resource and scope.
#[derive(Default)]
struct Grouped {
    resources: Vec<ResourceSpans>,
    /// By the numbers that rows have for them.
    by_resource: HashMap<u32, usize>,
    by_scope: HashMap<(u32, u32), usize>,
}

impl Grouped {
    fn add(&mut self, owners: &OwnerColumns<'_>, row: usize, span: Span) -> Result<(), Broken> {
        let (resource, scope) = (owners.resource_ord.value(row), owners.scope_ord.value(row));
        let place = *self.by_resource.entry(resource).or_insert(self.resources.len());
        if place == self.resources.len() {
            self.resources.push(owners.resource(row)?);
        }
        let of_resource = self
            .resources
            .get_mut(place)
            .ok_or_else(|| broken(spans::RESOURCE_ORD))?;
        let scopes = &mut of_resource.scope_spans;
        let place = *self.by_scope.entry((resource, scope)).or_insert(scopes.len());
        if place == scopes.len() {
            scopes.push(owners.scope(row)?);
        }
        let of_scope = scopes.get_mut(place).ok_or_else(|| broken(spans::SCOPE_ORD))?;
        of_scope.spans.push(span);
        Ok(())
    }
}

/// The columns of resources and scopes.
struct OwnerColumns<'a> {
    resource_ord: &'a PrimitiveArray<UInt32Type>,
    resource_schema_url: Texts,
    resource_dropped: &'a PrimitiveArray<UInt32Type>,
    resource_attributes: Attributes<'a>,
    scope_ord: &'a PrimitiveArray<UInt32Type>,
    scope_name: Texts,
    scope_version: Texts,
    scope_schema_url: Texts,
    scope_dropped: &'a PrimitiveArray<UInt32Type>,
    scope_attributes: Attributes<'a>,
}

impl<'a> OwnerColumns<'a> {
    fn new(decoded: &'a Decoded<'_>) -> Result<Self, Broken> {
        Ok(Self {
            resource_ord: decoded.counts(spans::RESOURCE_ORD)?,
            resource_schema_url: decoded.texts(spans::RESOURCE_SCHEMA_URL)?,
            resource_dropped: decoded.counts(spans::RESOURCE_DROPPED_ATTRIBUTES)?,
            resource_attributes: Attributes::new(decoded, Scope::Resource)?,
            scope_ord: decoded.counts(spans::SCOPE_ORD)?,
            scope_name: decoded.texts(spans::SCOPE_NAME)?,
            scope_version: decoded.texts(spans::SCOPE_VERSION)?,
            scope_schema_url: decoded.texts(spans::SCOPE_SCHEMA_URL)?,
            scope_dropped: decoded.counts(spans::SCOPE_DROPPED_ATTRIBUTES)?,
            scope_attributes: Attributes::new(decoded, Scope::Instrumentation)?,
        })
    }

    /// The resource of a row, without spans.
    fn resource(&self, row: usize) -> Result<ResourceSpans, Broken> {
        Ok(ResourceSpans {
            resource: Some(Resource {
                attributes: self.resource_attributes.of(row)?,
                dropped_attributes_count: self.resource_dropped.value(row),
            }),
            scope_spans: Vec::new(),
            schema_url: self.resource_schema_url.owned(row),
        })
    }

    /// The scope of a row, without spans.
    fn scope(&self, row: usize) -> Result<ScopeSpans, Broken> {
        Ok(ScopeSpans {
            scope: Some(InstrumentationScope {
                name: self.scope_name.owned(row),
                version: self.scope_version.owned(row),
                attributes: self.scope_attributes.of(row)?,
                dropped_attributes_count: self.scope_dropped.value(row),
            }),
            spans: Vec::new(),
            schema_url: self.scope_schema_url.owned(row),
        })
    }
}
