//! Volumes that workloads share the shape of.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        ConfigMapVolumeSource, EmptyDirVolumeSource, PersistentVolumeClaim, PersistentVolumeClaimSpec,
        SecretVolumeSource, Volume, VolumeResourceRequirements,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::labels::Labels;
use crate::crd::Quantity;

/// A claim of a StatefulSet. It has no owner: data outlives its custom resource.
pub fn claim_template(
    name: &str,
    labels: &Labels,
    size: &Quantity,
    storage_class: Option<&String>,
) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(labels.clone()),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([("storage".to_owned(), size.into())])),
                ..VolumeResourceRequirements::default()
            }),
            storage_class_name: storage_class.cloned(),
            volume_mode: Some("Filesystem".to_owned()),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}

/// A volume with the files of a ConfigMap.
pub fn config_map(name: &str, config_map: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: config_map.to_owned(),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// A volume with the files of a Secret.
pub fn secret(name: &str, secret: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret.to_owned()),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// Names of the Secrets and of the ConfigMaps that volumes have files of.
pub fn references(volumes: &[Volume]) -> (Vec<String>, Vec<String>) {
    let projected = || {
        let sources = volumes
            .iter()
            .filter_map(|volume| volume.projected.as_ref()?.sources.as_ref());
        sources.flatten()
    };
    let secrets = volumes
        .iter()
        .filter_map(|volume| volume.secret.as_ref()?.secret_name.clone())
        .chain(projected().filter_map(|source| Some(source.secret.as_ref()?.name.clone())));
    let config_maps = volumes
        .iter()
        .filter_map(|volume| Some(volume.config_map.as_ref()?.name.clone()))
        .chain(projected().filter_map(|source| Some(source.config_map.as_ref()?.name.clone())));
    (secrets.collect(), config_maps.collect())
}

/// An empty directory that lives as long as its pod; in memory, and then limited, when a size is given.
pub fn empty_directory(name: &str, memory: Option<&Quantity>) -> Volume {
    Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource {
            medium: memory.map(|_| "Memory".to_owned()),
            size_limit: memory.map(Into::into),
            ..EmptyDirVolumeSource::default()
        }),
        ..Volume::default()
    }
}
