//! Custom resources in files, for the commands that need no cluster.
//!
//! ```text
//! files ─ documents ─► YAML documents ─ typed ─► Manifests ─ offline ─► what a resource points to ─ kinds ─► objects
//! ```

pub mod documents;
pub mod kinds;
pub mod offline;
mod typed;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::Value;

use self::{
    documents::{Document, DocumentError, Origin},
    kinds::{CustomResource, KINDS},
    typed::{FieldError, typed},
};
use crate::{
    crd::API_VERSION,
    references::{ConfigMapData, SecretData},
};

/// Namespace and name.
pub type Key = (String, String);

/// Everything that was found in files.
#[derive(Debug, Default)]
pub struct Manifests {
    /// Custom resources: those of one kind together, stacks before the collectors that send to them.
    pub resources: Vec<Manifest>,
    /// Secrets.
    pub secrets: BTreeMap<Key, SecretData>,
    /// ConfigMaps.
    pub config_maps: BTreeMap<Key, ConfigMapData>,
    /// Other documents, which are passed over, as `Kind name (file, document)`.
    pub others: Vec<String>,
}

/// A custom resource and where it stands.
#[derive(Debug)]
pub struct Manifest {
    /// File and document.
    pub origin: Origin,
    /// The resource.
    pub resource: Box<dyn CustomResource>,
}

impl fmt::Display for Manifest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = self.resource.owner();
        write!(
            formatter,
            "{} {}/{} ({})",
            owner.kind, owner.namespace, owner.name, self.origin
        )
    }
}

/// Files that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A file cannot be read, or is not YAML.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A document is not an object with `kind` and `metadata.name`.
    #[error("{origin}: {problem}")]
    NotAnObject {
        /// File and document.
        origin: Origin,
        /// What is missing.
        problem: String,
    },
    /// A field does not fit its schema.
    #[error("{origin}: {subject}: {problem}")]
    Field {
        /// File and document.
        origin: Origin,
        /// Kind and name of the resource.
        subject: String,
        /// What is wrong with which field.
        problem: FieldError,
    },
    /// Two documents describe the same object.
    #[error("{second}: {subject} is already in {first}; remove one")]
    Twice {
        /// Kind and name of the object.
        subject: String,
        /// Where it is first.
        first: String,
        /// Where it is again.
        second: Origin,
    },
    /// There is nothing to do.
    #[error("no TempoStack, TempoMonolithic or Collector in {0}")]
    Empty(String),
}

impl Manifests {
    /// Reads files, folders and standard input (`-`).
    pub fn read(paths: &[PathBuf]) -> Result<Self, ManifestError> {
        let manifests = Self::of(documents::read(paths)?)?;
        if manifests.resources.is_empty() {
            let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
            return Err(ManifestError::Empty(names.join(", ")));
        }
        Ok(manifests)
    }

    /// Reads a text as if it were a file.
    pub fn parse(name: &str, text: &str) -> Result<Self, ManifestError> {
        Self::of(documents::split(Path::new(name), text)?)
    }

    fn of(documents: Vec<Document>) -> Result<Self, ManifestError> {
        let mut manifests = Self::default();
        let mut seen = BTreeMap::new();
        for document in documents {
            let header = Header::of(&document)?;
            let identity = (header.kind.clone(), header.namespace.clone(), header.name.clone());
            if let Some(first) = seen.insert(identity, document.origin.to_string()) {
                return Err(ManifestError::Twice {
                    subject: header.subject(),
                    first,
                    second: document.origin,
                });
            }
            manifests.add(&header, document)?;
        }
        let rank = |manifest: &Manifest| {
            let owner = manifest.resource.owner();
            let kind = KINDS.iter().position(|(kind, _)| *kind == owner.kind);
            (kind, owner.namespace, owner.name)
        };
        manifests.resources.sort_by_cached_key(rank);
        Ok(manifests)
    }

    fn add(&mut self, header: &Header, document: Document) -> Result<(), ManifestError> {
        let Document { origin, value } = document;
        let key = (header.namespace.clone(), header.name.clone());
        let field_error = |problem| ManifestError::Field {
            origin: origin.clone(),
            subject: header.subject(),
            problem,
        };
        match (header.api_version.as_str(), header.kind.as_str()) {
            (API_VERSION, kind) => {
                let Some((_, parse)) = KINDS.iter().find(|(known, _)| *known == kind) else {
                    return Err(ManifestError::NotAnObject {
                        origin,
                        problem: format!(
                            "{API_VERSION} has no kind {kind:?} here; there are {}",
                            kinds::names()
                        ),
                    });
                };
                let resource = parse(value).map_err(field_error)?;
                self.resources.push(Manifest { origin, resource });
            }
            ("v1", "Secret") => {
                let secret: Secret = typed(value).map_err(field_error)?;
                self.secrets.insert(key, secret_data(secret));
            }
            ("v1", "ConfigMap") => {
                let config_map: ConfigMap = typed(value).map_err(field_error)?;
                self.config_maps.insert(key, config_map.data.unwrap_or_default());
            }
            (_, kind) => self.others.push(format!("{kind} {} ({origin})", header.name)),
        }
        Ok(())
    }
}

/// The data of a Secret as the API server would store it.
fn secret_data(secret: Secret) -> SecretData {
    let binary = secret
        .data
        .into_iter()
        .flatten()
        .map(|(key, value)| (key, value.0));
    let text = secret
        .string_data
        .into_iter()
        .flatten()
        .map(|(key, value)| (key, value.into_bytes()));
    binary.chain(text).collect()
}

/// What every object has.
struct Header {
    api_version: String,
    kind: String,
    namespace: String,
    name: String,
}

impl Header {
    fn subject(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }

    fn of(document: &Document) -> Result<Self, ManifestError> {
        let text = |pointer: &str| document.value.pointer(pointer).and_then(Value::as_str);
        let needed = |pointer: &str, field: &str| {
            text(pointer)
                .filter(|text| !text.is_empty())
                .map(ToOwned::to_owned)
                .ok_or_else(|| ManifestError::NotAnObject {
                    origin: document.origin.clone(),
                    problem: format!("not a Kubernetes object: {field} is missing"),
                })
        };
        Ok(Self {
            api_version: needed("/apiVersion", "apiVersion")?,
            kind: needed("/kind", "kind")?,
            name: needed("/metadata/name", "metadata.name")?,
            namespace: text("/metadata/namespace")
                .unwrap_or(DEFAULT_NAMESPACE)
                .to_owned(),
        })
    }
}

/// Namespace of an object that names none.
const DEFAULT_NAMESPACE: &str = "default";

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Manifests::parse("shop.yaml", text).unwrap_err().to_string()
    }

    const STACK: &str = "apiVersion: tempo.grafana.com/v1alpha1\nkind: TempoStack\nmetadata: {name: shop}\n";

    #[test]
    fn documents_are_told_apart_by_kind_and_sorted() {
        let text = format!(
            "# only a comment\n---\napiVersion: tempo.grafana.com/v1alpha1\nkind: Collector\nmetadata: {{name: a}}\n\
             spec: {{config: {{receivers: {{}}, service: {{pipelines: {{}}}}}}}}\n---\n{STACK}spec: {{storage: {{minio: {{}}}}}}\n\
             ---\napiVersion: v1\nkind: Secret\nmetadata: {{name: bucket}}\ndata: {{bucket: dGVtcG8=}}\nstringData: {{endpoint: 'http://x'}}\n\
             ---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: shop}}\n"
        );
        let manifests = Manifests::parse("shop.yaml", &text).unwrap();
        let kinds: Vec<String> = manifests.resources.iter().map(ToString::to_string).collect();
        assert_eq!(
            kinds,
            [
                "TempoStack default/shop (shop.yaml, document 2)",
                "Collector default/a (shop.yaml, document 1)"
            ]
        );
        let secret = &manifests.secrets[&("default".to_owned(), "bucket".to_owned())];
        assert_eq!(
            (secret["bucket"].as_slice(), secret["endpoint"].as_slice()),
            (b"tempo".as_slice(), b"http://x".as_slice())
        );
        assert_eq!(manifests.others, ["Namespace shop (shop.yaml, document 4)"]);
    }

    #[test]
    fn lists_as_kubectl_prints_them_are_taken_apart() {
        let item = serde_json::json!({"apiVersion": API_VERSION, "kind": "TempoStack", "metadata": {"name": "shop"},
            "spec": {"storage": {"minio": {}}}});
        let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": [item]});
        assert_eq!(
            Manifests::parse("list.json", &list.to_string())
                .unwrap()
                .resources
                .len(),
            1
        );
    }

    #[test]
    fn mistakes_name_file_document_and_field() {
        for (text, parts) in [
            ("a: [".to_owned(), vec!["shop.yaml, document 1", "line 2"]),
            (
                "a: 1\na: 2".to_owned(),
                vec!["shop.yaml, document 1", "duplicate"],
            ),
            (
                "just text".to_owned(),
                vec!["document 1", "apiVersion is missing"],
            ),
            ("kind: TempoStack".to_owned(), vec!["apiVersion is missing"]),
            (
                format!("---\n{STACK}spec: {{storage: {{minio: {{}}}}, replicationFactor: two}}"),
                vec![
                    "shop.yaml, document 1",
                    "TempoStack shop",
                    "spec.replicationFactor",
                    "two",
                ],
            ),
            (
                format!("{STACK}spec: {{storage: {{minio: {{storagesize: 1Gi}}}}}}"),
                vec!["spec.storage.minio.storagesize", "unknown field"],
            ),
            (
                format!("{STACK}spec: {{}}"),
                vec!["TempoStack shop", "missing field `storage`"],
            ),
            (
                format!(
                    "{STACK}spec: {{storage: {{minio: {{}}}}}}\n---\n{STACK}spec: {{storage: {{minio: {{}}}}}}"
                ),
                vec!["document 2", "already in shop.yaml, document 1"],
            ),
            (
                "apiVersion: tempo.grafana.com/v1alpha1\nkind: Tempo\nmetadata: {name: a}".to_owned(),
                vec!["no kind \"Tempo\"", "TempoStack"],
            ),
        ] {
            let error = error(&text);
            for part in parts {
                assert!(error.contains(part), "{text:?}: {error}");
            }
        }
    }
}
