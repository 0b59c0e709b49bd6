//! `tempo-operator render`: every object that would be applied, as YAML. The same input gives the same text.
//! [`diff`] compares with a cluster instead.

pub mod diff;
mod unified;

use crate::{
    environment::Environment,
    kind::PlanError,
    manifest::{Manifests, offline},
    validate,
};

/// Rendered objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// YAML documents, resource by resource in the order of application.
    pub text: String,
    /// What the owners of the resources should know, one line each.
    pub notices: Vec<String>,
}

/// A resource that cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// It is not valid, or points to something that is not among the files.
    #[error("{resource}: {problem}{hint}")]
    Construct {
        /// The resource and where it stands.
        resource: String,
        /// What is wrong.
        problem: Box<PlanError>,
        /// What to give besides, if that may help.
        hint: String,
    },
    /// An object cannot be written.
    #[error("{resource}: cannot write an object as YAML: {reason}")]
    Write {
        /// The resource and where it stands.
        resource: String,
        /// Why.
        reason: String,
    },
}

/// Renders the objects of all resources.
pub fn render(manifests: &Manifests, environment: &Environment) -> Result<Rendered, RenderError> {
    let mut rendered = Rendered {
        text: String::new(),
        notices: Vec::new(),
    };
    for manifest in &manifests.resources {
        let resource = manifest.resource.as_ref();
        let found = offline::find(resource, manifests);
        let planned = resource
            .plan(&found.dereferenced, environment)
            .map_err(|problem| RenderError::Construct {
                resource: manifest.to_string(),
                problem: Box::new(problem),
                hint: hint(&found.absent),
            })?;
        let write_error = |reason: String| RenderError::Write {
            resource: manifest.to_string(),
            reason,
        };
        let objects = planned
            .resources
            .to_json()
            .map_err(|error| write_error(error.to_string()))?;
        for object in objects {
            let text = serde_yaml::to_string(&object).map_err(|error| write_error(error.to_string()))?;
            rendered.text.push_str("---\n");
            rendered.text.push_str(&text);
        }
        let notices = planned.notices.iter();
        rendered
            .notices
            .extend(notices.map(|notice| format!("{manifest}: {}", validate::line(notice))));
    }
    Ok(rendered)
}

fn hint(absent: &[String]) -> String {
    if absent.is_empty() {
        String::new()
    } else {
        format!(
            "; not among the files: {}; give them with -f too",
            absent.join(", ")
        )
    }
}
