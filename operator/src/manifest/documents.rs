//! YAML documents in files, folders and standard input.

use std::{
    fmt,
    io::Read,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;

/// Where a document stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The file; `-` is standard input.
    pub file: PathBuf,
    /// The document in the file, counted from 1.
    pub document: usize,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, document {}", self.file.display(), self.document)
    }
}

/// A document that is not empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Where it stands.
    pub origin: Origin,
    /// What it says.
    pub value: Value,
}

/// A path that documents cannot be read from.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// The file or folder cannot be read.
    #[error("cannot read {path}", path = path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The folder has no manifests.
    #[error("no file in {path} ends in .yaml, .yml or .json; folders in it are not looked into", path = path.display())]
    EmptyFolder {
        /// The folder.
        path: PathBuf,
    },
    /// A document is not YAML.
    #[error("{origin}: {reason}")]
    Yaml {
        /// File and document.
        origin: Origin,
        /// What is wrong, with line and column.
        reason: String,
    },
}

const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// The documents of files, of the files of folders (by name, not of folders within), and of standard input (`-`).
pub fn read(paths: &[PathBuf]) -> Result<Vec<Document>, DocumentError> {
    let mut documents = Vec::new();
    for file in files(paths)? {
        documents.append(&mut split(&file, &text(&file)?)?);
    }
    Ok(documents)
}

/// The files behind paths: folders are replaced by their manifests.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, DocumentError> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.append(&mut files_of(path)?);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn files_of(folder: &Path) -> Result<Vec<PathBuf>, DocumentError> {
    let read_error = |source| DocumentError::Read {
        path: folder.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read_error)? {
        let path = entry.map_err(read_error)?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if extension.is_some_and(|extension| EXTENSIONS.contains(&extension)) && path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(DocumentError::EmptyFolder {
            path: folder.to_owned(),
        });
    }
    files.sort();
    Ok(files)
}

fn text(file: &Path) -> Result<String, DocumentError> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    read.map_err(|source| DocumentError::Read {
        path: file.to_owned(),
        source,
    })
}

/// The documents of a text. Empty ones count, but are left out; a `List` is replaced by its items.
pub fn split(file: &Path, text: &str) -> Result<Vec<Document>, DocumentError> {
    let mut documents = Vec::new();
    for (index, document) in serde_yaml::Deserializer::from_str(text).enumerate() {
        let origin = Origin {
            file: file.to_owned(),
            document: index + 1,
        };
        let yaml_error = |reason: String| DocumentError::Yaml {
            origin: origin.clone(),
            reason,
        };
        // By way of YAML's own values: they refuse a key that is there twice.
        let value =
            serde_yaml::Value::deserialize(document).map_err(|error| yaml_error(error.to_string()))?;
        let value = serde_json::to_value(value).map_err(|error| yaml_error(error.to_string()))?;
        for value in items(value) {
            documents.push(Document {
                origin: origin.clone(),
                value,
            });
        }
    }
    Ok(documents)
}

fn items(value: Value) -> Vec<Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Object(mut list) if list.get("kind").and_then(Value::as_str) == Some("List") => {
            match list.remove("items") {
                Some(Value::Array(items)) => items,
                _ => Vec::new(),
            }
        }
        other => vec![other],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_give_their_manifests_by_name() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.yml", "a.yaml", "notes.txt", "c.json"] {
            std::fs::write(folder.path().join(name), "{a: 1}").unwrap();
        }
        std::fs::create_dir(folder.path().join("more.yaml")).unwrap();
        let documents = read(&[folder.path().to_owned()]).unwrap();
        let names: Vec<&str> = documents
            .iter()
            .map(|document| document.origin.file.file_name().unwrap().to_str().unwrap())
            .collect();
        assert_eq!(names, ["a.yaml", "b.yml", "c.json"]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            read(&[folder.path().to_owned()]),
            Err(DocumentError::EmptyFolder { .. })
        ));
        let missing = folder.path().join("missing.yaml");
        assert!(read(&[missing]).unwrap_err().to_string().contains("missing.yaml"));
    }

    #[test]
    fn a_yaml_bomb_is_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let before = format!("*a{},", level - 1).repeat(9);
            text = format!("{text}a{level}: &a{level} [{before}]\n");
        }
        assert!(split(Path::new("bomb.yaml"), &text).is_err());
    }
}
