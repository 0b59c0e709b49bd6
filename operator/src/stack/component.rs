//! The components of a TempoStack, in the order in which a span meets them.

use crate::crd::{common::ComponentSpec, tempostack::TemplateSpec};

/// A role of Tempo that runs as a workload of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// Receives spans and hands them to ingesters.
    Distributor,
    /// Keeps fresh spans and makes blocks of them.
    Ingester,
    /// Joins blocks and deletes old ones.
    Compactor,
    /// Reads blocks and asks ingesters.
    Querier,
    /// Answers queries.
    QueryFrontend,
}

impl Component {
    /// All components.
    pub const ALL: [Self; 5] = [
        Self::Distributor,
        Self::Ingester,
        Self::Compactor,
        Self::Querier,
        Self::QueryFrontend,
    ];

    /// The component's name: its label, the suffix of its objects' names, and Tempo's `-target`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Distributor => "distributor",
            Self::Ingester => "ingester",
            Self::Compactor => "compactor",
            Self::Querier => "querier",
            Self::QueryFrontend => "query-frontend",
        }
    }

    /// The component's settings in a spec.
    pub fn template(self, template: &TemplateSpec) -> &ComponentSpec {
        match self {
            Self::Distributor => &template.distributor.component,
            Self::Ingester => &template.ingester,
            Self::Compactor => &template.compactor,
            Self::Querier => &template.querier,
            Self::QueryFrontend => &template.query_frontend.component,
        }
    }

    /// The component's settings in a spec, to be changed.
    pub fn template_mut(self, template: &mut TemplateSpec) -> &mut ComponentSpec {
        match self {
            Self::Distributor => &mut template.distributor.component,
            Self::Ingester => &mut template.ingester,
            Self::Compactor => &mut template.compactor,
            Self::Querier => &mut template.querier,
            Self::QueryFrontend => &mut template.query_frontend.component,
        }
    }
}
