//! The operator: custom resources become running components.
//!
//! A reconcile has five steps: dereference (fetch what the spec points to), validate (pure), build (pure),
//! apply, status. The pure steps are shared by `run`, `standalone`, `render` and `validate`.

pub mod crd;
pub mod environment;
pub mod kubernetes;
pub mod references;
pub mod validation;
