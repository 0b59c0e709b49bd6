//! What all kinds share towards Kubernetes: names, labels, common shapes and the set of objects of one
//! resource.

pub mod labels;
pub mod names;
pub mod owner;
pub mod resources;
pub mod services;
pub mod volumes;
