//! What all kinds share towards Kubernetes: names, labels and the set of objects of one resource.

pub mod labels;
pub mod names;
pub mod resources;
