//! The objects of a managed MinIO.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{StatefulSet, StatefulSetSpec},
        batch::v1::{Job, JobSpec},
        core::v1::{
            Container, KeyToPath, PodSpec, PodTemplateSpec, Secret, SecretVolumeSource, ServiceAccount,
            Volume,
        },
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};

use super::{API_PORT, COMPONENT, Minio, ROOT_PASSWORD, ROOT_USER, RootSecret};
use crate::{
    digest::digest,
    kubernetes::{
        labels::{self, Application, Labels},
        names,
        owner::Owner,
        resources::{Prepared, Resources},
        services::{self, ServicePorts},
        volumes,
    },
    pod::{self, Pod, PodSettings},
};

const DATA_VOLUME: &str = "data";
const DATA_DIRECTORY: &str = "/data";
/// What it may write besides its volume.
pub const SCRATCH_DIRECTORY: &str = "/tmp";
/// Flag before the folder with its certificate.
pub const CERTIFICATES_FLAG: &str = "--certs-dir";
const CERTIFICATES_DIRECTORY: &str = "/certs";
const CA_DIRECTORY: &str = "/var/run/tls/storage/ca";
const BUCKET_JOB: &str = "minio-buckets";
/// How often the bucket Job may fail before it is given up; it waits longer each time.
const BUCKET_JOB_RETRIES: i32 = 20;

/// Adds MinIO's objects to those of its stack.
pub fn build(minio: &Minio, owner: &Owner, application: Application, resources: &mut Resources<Prepared>) {
    let labels = labels::component(application, &owner.name, COMPONENT);
    let account = ServiceAccount {
        metadata: owner.metadata(minio.name.clone(), labels.clone()),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    };
    resources.service_accounts.push(account);
    resources.secrets.extend(secret(minio, owner, &labels));
    let ports: ServicePorts = &[("http-minio", API_PORT)];
    resources
        .services
        .push(services::cluster(owner, &minio.name, &labels, &labels, ports));
    let headless = names::tempo(&owner.name, "minio-headless");
    resources
        .services
        .push(services::headless(owner, &headless, &labels, &labels, ports));
    resources
        .stateful_sets
        .push(stateful_set(minio, owner, &labels, headless));
    resources.jobs.push(bucket_job(
        minio,
        owner,
        labels::component(application, &owner.name, BUCKET_JOB),
    ));
}

fn secret(minio: &Minio, owner: &Owner, labels: &Labels) -> Option<Secret> {
    let RootSecret::Generated { name, user, password } = &minio.root else {
        return None;
    };
    Some(Secret {
        metadata: owner.metadata(name.clone(), labels.clone()),
        type_: Some("Opaque".to_owned()),
        string_data: Some(BTreeMap::from([
            (ROOT_USER.to_owned(), user.clone()),
            (ROOT_PASSWORD.to_owned(), password.clone()),
        ])),
        ..Secret::default()
    })
}

fn stateful_set(minio: &Minio, owner: &Owner, labels: &Labels, service: String) -> StatefulSet {
    let mut args = vec!["server".to_owned(), DATA_DIRECTORY.to_owned()];
    let mut mounts = vec![
        pod::mount(DATA_VOLUME, DATA_DIRECTORY, false),
        pod::mount("tmp", SCRATCH_DIRECTORY, false),
    ];
    let mut pod_volumes = vec![volumes::empty_directory("tmp", None)];
    if let Some(certificate) = &minio.certificate {
        args.extend([CERTIFICATES_FLAG.to_owned(), CERTIFICATES_DIRECTORY.to_owned()]);
        mounts.push(pod::mount("certificate", CERTIFICATES_DIRECTORY, true));
        pod_volumes.push(certificate_volume(certificate));
    }
    let container = Container {
        name: COMPONENT.to_owned(),
        image: Some(minio.image.clone()),
        command: Some(vec!["minio".to_owned()]),
        args: Some(args),
        env: Some(vec![
            pod::secret_variable("MINIO_ROOT_USER", minio.root.name(), ROOT_USER),
            pod::secret_variable("MINIO_ROOT_PASSWORD", minio.root.name(), ROOT_PASSWORD),
        ]),
        ports: Some(vec![pod::port("http-minio", API_PORT)]),
        readiness_probe: Some(probe(minio)),
        resources: minio.resources.as_ref().map(Into::into),
        security_context: Some(pod::container_security_context()),
        volume_mounts: Some(mounts),
        ..Container::default()
    };
    let settings = pod_settings(minio);
    let template = Pod {
        labels: labels.clone(),
        selector: labels,
        annotations: BTreeMap::new(),
        containers: vec![container],
        volumes: pod_volumes,
        settings: &settings,
        grace_seconds: None,
    }
    .template();
    StatefulSet {
        metadata: owner.metadata(minio.name.clone(), labels.clone()),
        spec: StatefulSetSpec {
            replicas: Some(1),
            service_name: Some(service),
            selector: LabelSelector {
                match_labels: Some(labels.clone()),
                ..LabelSelector::default()
            },
            template,
            volume_claim_templates: Some(vec![volumes::claim_template(
                DATA_VOLUME,
                labels,
                &minio.storage_size,
                minio.storage_class.as_ref(),
            )]),
            ..StatefulSetSpec::default()
        },
        ..StatefulSet::default()
    }
}

fn pod_settings(minio: &Minio) -> PodSettings {
    PodSettings {
        service_account: minio.name.clone(),
        security_context: minio.security_context.clone(),
        ..PodSettings::default()
    }
}

fn probe(minio: &Minio) -> k8s_openapi::api::core::v1::Probe {
    let mut probe = pod::http_probe("/minio/health/ready", "http-minio");
    if let Some(get) = probe.http_get.as_mut().filter(|_| minio.certificate.is_some()) {
        get.scheme = Some("HTTPS".to_owned());
    }
    probe
}

/// The certificate under the file names that MinIO looks for.
fn certificate_volume(secret: &str) -> Volume {
    let item = |key: &str, path: &str| KeyToPath {
        key: key.to_owned(),
        path: path.to_owned(),
        ..KeyToPath::default()
    };
    Volume {
        name: "certificate".to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret.to_owned()),
            items: Some(vec![
                item("tls.crt", "public.crt"),
                item("tls.key", "private.key"),
            ]),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// The Job that makes the buckets: our own binary.
fn bucket_job(minio: &Minio, owner: &Owner, labels: Labels) -> Job {
    let scheme = if minio.certificate.is_some() {
        "https"
    } else {
        "http"
    };
    let mut args = vec![
        "ensure-bucket".to_owned(),
        format!("--endpoint={scheme}://{}", minio.endpoint(&owner.namespace)),
    ];
    args.extend(minio.buckets.iter().map(|bucket| format!("--bucket={bucket}")));
    let mut mounts = Vec::new();
    let mut pod_volumes = Vec::new();
    if let Some((config_map, key)) = &minio.ca {
        args.push(format!("--ca-file={CA_DIRECTORY}/{key}"));
        mounts.push(pod::mount("ca", CA_DIRECTORY, true));
        pod_volumes.push(volumes::config_map("ca", config_map));
    }
    let container = Container {
        name: BUCKET_JOB.to_owned(),
        image: Some(minio.bucket_job_image.clone()),
        command: Some(vec!["tempo-operator".to_owned()]),
        args: Some(args),
        env: Some(vec![
            pod::secret_variable("S3_ACCESS_KEY", minio.root.name(), ROOT_USER),
            pod::secret_variable("S3_SECRET_KEY", minio.root.name(), ROOT_PASSWORD),
        ]),
        security_context: Some(pod::container_security_context()),
        volume_mounts: pod::non_empty(mounts),
        ..Container::default()
    };
    let template = job_template(minio, labels.clone(), container, pod_volumes);
    Job {
        metadata: owner.metadata(job_name(owner, &template), labels),
        spec: Some(JobSpec {
            backoff_limit: Some(BUCKET_JOB_RETRIES),
            template,
            ..JobSpec::default()
        }),
        ..Job::default()
    }
}

/// The template of a Job cannot be changed: another one is another Job.
fn job_name(owner: &Owner, template: &PodTemplateSpec) -> String {
    let text = serde_json::to_vec(template).unwrap_or_default();
    let hash: String = digest([text.as_slice()]).chars().take(8).collect();
    names::tempo(&owner.name, &format!("{BUCKET_JOB}-{hash}"))
}

fn job_template(
    minio: &Minio,
    labels: Labels,
    container: Container,
    volumes: Vec<Volume>,
) -> PodTemplateSpec {
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            service_account_name: Some(minio.name.clone()),
            automount_service_account_token: Some(false),
            restart_policy: Some("OnFailure".to_owned()),
            security_context: Some(minio.security_context.clone()),
            containers: vec![container],
            volumes: pod::non_empty(volumes),
            ..PodSpec::default()
        }),
    }
}
