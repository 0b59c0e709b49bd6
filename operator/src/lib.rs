//! The operator: custom resources become running components.
//!
//! A reconcile has five steps: dereference (fetch what the spec points to), validate (pure), build (pure),
//! apply, status. The pure steps are shared by `run`, `standalone`, `render` and `validate`.

pub mod cli;
pub mod collector;
pub mod configuration;
pub mod crd;
pub mod defaults;
pub mod digest;
pub mod ensure_bucket;
pub mod environment;
pub mod ingress;
pub mod kind;
pub mod kubernetes;
pub mod manifest;
pub mod metrics;
pub mod minio;
pub mod monolithic;
pub mod object_storage;
pub mod pod;
pub mod receivers;
pub mod reconcile;
pub mod references;
pub mod render;
pub mod run;
pub mod sizing;
pub mod stack;
pub mod standalone;
pub mod storage_secret;
pub mod validate;
pub mod validation;
