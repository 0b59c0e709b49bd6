//! Names of components: `type` or `type/name`.

use std::fmt;

/// The kinds of components, as their sections in the configuration are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Takes spans in.
    Receiver,
    /// Changes, holds or refuses spans on their way.
    Processor,
    /// Sends spans on.
    Exporter,
    /// Serves the process itself.
    Extension,
}

impl Kind {
    /// The section's name.
    pub fn section(self) -> &'static str {
        match self {
            Self::Receiver => "receivers",
            Self::Processor => "processors",
            Self::Exporter => "exporters",
            Self::Extension => "extensions",
        }
    }

    /// The types that there are of this kind.
    pub fn types(self) -> &'static [&'static str] {
        match self {
            Self::Receiver => &["otlp"],
            Self::Processor => &["batch", "memory_limiter"],
            Self::Exporter => &["debug", "otlp_grpc", "otlp_http"],
            Self::Extension => &["health_check"],
        }
    }

    /// Today's spelling of a type that has been renamed.
    fn renamed(self, type_name: &str) -> Option<&'static str> {
        match (self, type_name) {
            (Self::Exporter, "otlp") => Some("otlp_grpc"),
            (Self::Exporter, "otlphttp") => Some("otlp_http"),
            (Self::Exporter, "logging") => Some("debug"),
            _ => None,
        }
    }
}

/// The name of a component, in today's spelling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComponentId {
    /// What it is, for example `otlp_grpc`.
    pub type_name: String,
    /// What tells it from others of its type; may be empty.
    pub name: String,
}

impl ComponentId {
    /// Reads `type[/name]`. The second value is today's spelling where the text has an old one.
    pub fn parse(kind: Kind, text: &str) -> Result<(Self, Option<&'static str>), String> {
        let (type_name, name) = match text.split_once('/') {
            Some((_, "")) => return Err(format!("'{text}' has nothing after the slash")),
            Some((type_name, name)) => (type_name.trim(), name.trim()),
            None => (text.trim(), ""),
        };
        let renamed = kind.renamed(type_name);
        let type_name = renamed.unwrap_or(type_name);
        if !kind.types().contains(&type_name) {
            return Err(format!(
                "unknown type '{type_name}'; supported here: {}",
                kind.types().join(", ")
            ));
        }
        let id = Self {
            type_name: type_name.to_owned(),
            name: name.to_owned(),
        };
        Ok((id, renamed))
    }
}

impl fmt::Display for ComponentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.type_name)?;
        if self.name.is_empty() {
            return Ok(());
        }
        write!(formatter, "/{}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_a_type_are_one_component() {
        let (old, renamed) = ComponentId::parse(Kind::Exporter, "otlp/a").unwrap();
        let (new, _) = ComponentId::parse(Kind::Exporter, "otlp_grpc/a").unwrap();
        assert_eq!((old, renamed), (new, Some("otlp_grpc")));
    }

    #[test]
    fn an_unknown_type_is_answered_with_what_there_is() {
        let error = ComponentId::parse(Kind::Exporter, "kafka").unwrap_err();
        assert!(
            error.contains("'kafka'") && error.contains("otlp_grpc"),
            "{error}"
        );
        assert!(ComponentId::parse(Kind::Exporter, "debug/").is_err());
    }
}
