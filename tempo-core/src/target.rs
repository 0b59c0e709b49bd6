//! Which role a process plays: the values of `-target`.

use std::fmt;
use std::str::FromStr;

/// A role, or all of them in one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// Every role in one process.
    All,
    /// Takes spans in and shares them out.
    Distributor,
    /// Keeps fresh spans and makes blocks of them.
    Ingester,
    /// Executes the jobs of queries.
    Querier,
    /// Answers the query API.
    QueryFrontend,
    /// Merges blocks and removes old ones.
    Compactor,
}

/// A target that this process cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not built yet.
    #[error("target {0} is not built yet; leave it out, the other roles do not need it")]
    NotBuilt(String),
    /// A part of Tempo 3.x that we have no use for.
    #[error(
        "target {0} of Tempo 3.x has no counterpart here: ingesters make blocks themselves; leave it out"
    )]
    NoCounterpart(String),
    /// Nothing that is known.
    #[error(
        "target '{0}' is not known; use all, distributor, ingester, querier, query-frontend or compactor"
    )]
    Unknown(String),
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        match text {
            "all" | "scalable-single-binary" => Ok(Self::All),
            "distributor" => Ok(Self::Distributor),
            "ingester" | "live-store" => Ok(Self::Ingester),
            "querier" => Ok(Self::Querier),
            "query-frontend" => Ok(Self::QueryFrontend),
            "compactor" | "backend-worker" => Ok(Self::Compactor),
            "metrics-generator" | "metrics-generator-no-local-blocks" => {
                Err(TargetError::NotBuilt(text.to_owned()))
            }
            "block-builder" | "backend-scheduler" => Err(TargetError::NoCounterpart(text.to_owned())),
            _ => Err(TargetError::Unknown(text.to_owned())),
        }
    }
}

impl Target {
    /// The name, as `-target` takes it and as members of the gossip call their role.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Distributor => "distributor",
            Self::Ingester => "ingester",
            Self::Querier => "querier",
            Self::QueryFrontend => "query-frontend",
            Self::Compactor => "compactor",
        }
    }

    /// Whether a process of this target plays `role`.
    pub fn plays(self, role: Self) -> bool {
        self == Self::All || self == role
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_both_lines_are_known() {
        assert_eq!("live-store".parse(), Ok(Target::Ingester));
        assert_eq!("scalable-single-binary".parse(), Ok(Target::All));
        for target in [
            Target::All,
            Target::Distributor,
            Target::Querier,
            Target::QueryFrontend,
        ] {
            assert_eq!(target.name().parse(), Ok(target));
        }
    }

    #[test]
    fn what_cannot_be_says_what_to_do() {
        for (target, hint) in [
            ("metrics-generator", "not built yet"),
            ("block-builder", "leave it out"),
            ("al", "use all"),
        ] {
            let error = target.parse::<Target>().unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
    }
}
