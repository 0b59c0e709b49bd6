//! The outcome of validating a custom resource: what is wrong, and what its owner should know.

use strum::IntoStaticStr;

/// Why a resource cannot be built, as the reason of its `ConfigurationError` condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
pub enum Reason {
    /// The object store is not described well.
    InvalidStorageConfig,
    /// Tenants, authentication or authorization do not fit together.
    InvalidTenantsConfiguration,
    /// Another field, or fields that contradict each other.
    InvalidConfiguration,
    /// A stack that is pointed to does not exist.
    StackNotFound,
}

impl Reason {
    /// The reason as it stands in the condition.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Why a resource cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ValidationError {
    /// Reason of the condition.
    pub reason: Reason,
    /// Path of the field, such as `spec.storage.secret`.
    pub path: String,
    /// What is wrong and what to do about it.
    pub message: String,
}

impl ValidationError {
    /// An error about a field.
    pub fn new(reason: Reason, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            reason,
            path: path.into(),
            message: message.into(),
        }
    }

    /// An error about a field that is not one of storage or tenants.
    pub fn configuration(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Reason::InvalidConfiguration, path, message)
    }
}

/// What kind of thing the owner of a resource should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
pub enum NoticeKind {
    /// The field still works but will go.
    Deprecated,
    /// The field is accepted, but what it asks for is not built yet: nothing is deployed for it.
    NotBuilt,
    /// The engine does not know the setting and ignores it.
    UnknownSetting,
    /// The field works, but probably not as meant.
    Warning,
    /// A volume that exists is of another size than is asked for, and stays so.
    VolumeKeepsSize,
}

/// Something that the owner of a resource should know; it does not keep the rest from working.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What kind of thing it is.
    pub kind: NoticeKind,
    /// Path of the field.
    pub path: &'static str,
    /// What is to be known.
    pub message: String,
}

impl Notice {
    /// A notice about a field.
    pub fn new(kind: NoticeKind, path: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            path,
            message: message.into(),
        }
    }
}
