//! The container and the pods of a Collector (pure).

use k8s_openapi::api::core::v1::{Volume, VolumeMount};

use super::{CollectorContainer, destination::ClientFiles};
use crate::{
    crd::{
        Collector, CollectorSpec,
        collector::{ConfigMapMount, UpgradeStrategy},
    },
    environment::Environment,
    kubernetes::{names, volumes as kubernetes_volumes},
    pod::{self, ContainerSettings, PodSettings},
    validation::{Notice, NoticeKind, ValidationError},
};

/// The image: the user's, that which runs where upgrades are not wanted, or the operator's.
pub(super) fn image(collector: &Collector, environment: &Environment, notices: &mut Vec<Notice>) -> String {
    let (spec, own) = (&collector.spec, &environment.collector_image);
    if !spec.image.is_empty() {
        return spec.image.clone();
    }
    let running = collector
        .status
        .as_ref()
        .map_or("", |status| status.image.as_str());
    // Another image was once asked for by name, and no longer is.
    let is_ours = repository(running) == repository(own);
    if spec.upgrade_strategy == UpgradeStrategy::Automatic || running == own || !is_ours {
        return own.clone();
    }
    let message = format!("the pods keep image {running}; this operator's is {own}");
    notices.push(Notice::new(NoticeKind::Warning, "spec.upgradeStrategy", message));
    running.to_owned()
}

/// An image without tag and digest.
fn repository(image: &str) -> &str {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

pub(super) fn container(
    spec: &CollectorSpec,
    image: &str,
    files: Option<&ClientFiles>,
    environment: &Environment,
) -> CollectorContainer {
    let command = if spec.command.is_empty() {
        vec!["tempo-collector".to_owned()]
    } else {
        spec.command.clone()
    };
    let args = spec
        .args
        .iter()
        .filter(|(key, _)| *key != "config")
        .map(|(key, value)| format!("--{key}={value}"));
    let mounts = spec.volume_mounts.iter().cloned();
    CollectorContainer {
        settings: ContainerSettings::new(image, &spec.env, &spec.env_from, environment),
        command,
        args: args.collect(),
        resources: spec.resources.as_ref().map(Into::into),
        security_context: spec
            .security_context
            .clone()
            .unwrap_or_else(pod::container_security_context),
        mounts: mounts
            .chain(spec.configmaps.iter().map(config_map_mount))
            .chain(files.into_iter().flat_map(ClientFiles::mounts))
            .collect(),
    }
}

/// Volumes of the pods, besides that of the configuration.
pub(super) fn volumes(spec: &CollectorSpec, files: Option<&ClientFiles>) -> Vec<Volume> {
    let own = spec.volumes.iter().cloned();
    own.chain(spec.configmaps.iter().map(mounted_volume))
        .chain(files.into_iter().flat_map(ClientFiles::volumes))
        .collect()
}

fn config_map_volume_name(mounted: &ConfigMapMount) -> String {
    format!("configmap-{}", mounted.name)
}

fn mounted_volume(mounted: &ConfigMapMount) -> Volume {
    kubernetes_volumes::config_map(&config_map_volume_name(mounted), &mounted.name)
}

fn config_map_mount(mounted: &ConfigMapMount) -> VolumeMount {
    let volume = config_map_volume_name(mounted);
    pod::mount(
        &volume,
        &format!("/var/conf/{}/{volume}", mounted.mountpath.trim_matches('/')),
        true,
    )
}

pub(super) fn settings(
    spec: &CollectorSpec,
    name: &str,
    environment: &Environment,
) -> Result<PodSettings, ValidationError> {
    Ok(PodSettings {
        service_account: if spec.service_account.is_empty() {
            names::collector(name)
        } else {
            spec.service_account.clone()
        },
        node_selector: spec.node_selector.clone(),
        tolerations: spec.tolerations.clone(),
        affinity: spec.affinity.clone(),
        topology_spread: spec.topology_spread_constraints.clone(),
        security_context: pod::pod_security_context(
            &environment.pod_security_context,
            spec.pod_security_context.as_ref(),
            "spec.podSecurityContext",
        )?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_an_image_without_tag_and_digest() {
        for image in [
            "registry:5000/tempo",
            "registry:5000/tempo:1",
            "registry:5000/tempo:1@sha256:a",
        ] {
            assert_eq!(repository(image), "registry:5000/tempo");
        }
    }
}
