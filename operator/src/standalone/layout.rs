//! From files to what is to run on this machine.
//!
//! ```text
//! files ─► manifests ─► objects ─► processes ─► ports, peers, paths ─► overlay ─► Layout
//! ```

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use k8s_openapi::api::core::v1::Service;

use super::{
    network,
    overlay::{LOOPBACK, Placement, overlay},
    ports::{PortError, Ports, Slot},
    process::{self, Process, ProcessError, Sources},
    programs::Programs,
    storage::{self, PasswordError, Store},
};
use crate::{
    environment::Environment,
    kind,
    kubernetes::owner::Owner,
    manifest::{Manifest, ManifestError, Manifests, offline},
    references::References,
    stack::component::Component,
    validate,
};

/// What is to run.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    /// Processes in the order in which they start; they stop in the opposite order.
    pub(super) processes: Vec<Placed>,
    /// What the user should know, one line each.
    pub(super) notes: Vec<String>,
}

/// A process that is to run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placed {
    /// The process as it runs on this machine.
    pub(super) process: Process,
    /// Its stage: processes start stage by stage.
    pub(super) stage: Stage,
    /// The processes that must be ready before it starts.
    pub(super) needs: Vec<String>,
    /// Where users find it.
    pub(super) addresses: Vec<String>,
    /// Its working directory.
    pub(super) folder: PathBuf,
}

/// When a process starts; the other way round, when it stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// The object store.
    Bucket,
    /// What keeps data.
    Store,
    /// What works on data.
    Work,
    /// What lets requests in.
    Door,
    /// What sends to a stack.
    Collector,
}

/// Files that cannot be run.
#[derive(Debug, thiserror::Error)]
pub(super) enum LayoutError {
    /// The files cannot be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A resource is not valid.
    #[error("{resource}: {problem}")]
    Construct {
        /// The resource and where it stands.
        resource: String,
        /// What is wrong.
        problem: kind::PlanError,
    },
    /// A container cannot be started here.
    #[error("{resource}: {problem}")]
    Process {
        /// The resource and where it stands.
        resource: String,
        /// What is wrong.
        problem: ProcessError,
    },
    /// MinIO's password cannot be kept.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// A port cannot be had.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// The processes of one custom resource, before the overlay.
struct Unplaced {
    owner: Owner,
    references: References,
    processes: Vec<Process>,
    services: Vec<Service>,
    /// The folder that takes the bucket's place, if one does.
    storage: Option<PathBuf>,
}

/// Plans what the files describe, with its data under `data` and ports out of `ports`.
pub(super) async fn layout(
    files: &[PathBuf],
    data: &Path,
    ports: &mut Ports,
    environment: &Environment,
    programs: &Programs,
) -> Result<Layout, LayoutError> {
    let manifests = Manifests::read(files)?;
    let mut notes = Vec::new();
    let mut resources = Vec::new();
    for manifest in &manifests.resources {
        resources.push(unplaced(manifest, &manifests, data, environment, programs, &mut notes).await?);
    }
    let all: Vec<Process> = resources
        .iter()
        .flat_map(|resource| resource.processes.clone())
        .collect();
    let services: Vec<Service> = resources
        .iter()
        .flat_map(|resource| resource.services.clone())
        .collect();
    let slots = network::slots(&all);
    let assigned = ports.assign(&slots)?;
    let mut processes: Vec<Placed> = resources
        .iter()
        .flat_map(|resource| resource.processes.iter().map(move |process| (resource, process)))
        .map(|(resource, process)| {
            let folder = data.join("pods").join(&process.name);
            let placement = placement(resource, process, &folder, &all, &services, &assigned);
            Placed {
                stage: stage(process),
                needs: needs(resource, process, &all),
                addresses: addresses(process, &slots, &assigned),
                process: overlay(process, &placement),
                folder,
            }
        })
        .collect();
    processes.sort_by(|one, other| (one.stage, &one.process.name).cmp(&(other.stage, &other.process.name)));
    Ok(Layout { processes, notes })
}

async fn unplaced(
    manifest: &Manifest,
    manifests: &Manifests,
    data: &Path,
    environment: &Environment,
    programs: &Programs,
    notes: &mut Vec<String>,
) -> Result<Unplaced, LayoutError> {
    let resource = manifest.resource.as_ref();
    let owner = resource.owner();
    let found = offline::find(resource, manifests);
    let absent = found.absent.clone();
    let mut found = found.with_stand_ins(resource);
    let references = resource.references();
    if let Some(password) = storage::password(&owner, &references, data, programs)? {
        found.fresh_password = password;
    }
    let planned = resource
        .plan(&found, environment)
        .map_err(|problem| LayoutError::Construct {
            resource: manifest.to_string(),
            problem,
        })?;
    let built = planned.resources;
    let mut processes =
        process::processes(&built, &Sources::of(found, &built)).map_err(|problem| LayoutError::Process {
            resource: manifest.to_string(),
            problem,
        })?;
    let title = format!("{} {}", owner.kind, owner.name);
    notes.extend(
        planned
            .notices
            .iter()
            .map(|notice| format!("{title}: {}", validate::line(notice))),
    );
    let storage = match storage::choose(&processes, &absent, programs).await {
        Store::None => None,
        Store::AsConfigured(endpoint) => {
            notes.push(format!("{title}: blocks lie in the bucket at {endpoint}"));
            None
        }
        Store::Minio => {
            notes.push(format!("{title}: blocks lie in the MinIO that runs here"));
            None
        }
        Store::Local(reason) => {
            let folder = data
                .join("storage")
                .join(format!("{}.{}", owner.namespace, owner.name));
            notes.push(format!("{title}: blocks lie in {} {reason}", folder.display()));
            processes.retain(|process| !process.is_minio() && !process.once);
            Some(folder)
        }
    };
    Ok(Unplaced {
        references,
        owner,
        processes,
        services: built.services,
        storage,
    })
}

fn placement(
    resource: &Unplaced,
    process: &Process,
    folder: &Path,
    all: &[Process],
    services: &[Service],
    assigned: &BTreeMap<Slot, u16>,
) -> Placement {
    let own = assigned.iter().filter(|((name, _), _)| *name == process.name);
    let mounts = process.directories.keys().map(String::as_str);
    let file_folders = process
        .files
        .keys()
        .filter_map(|path| Some(path.rsplit_once('/')?.0));
    Placement {
        ports: own.map(|((_, number), port)| (*number, *port)).collect(),
        peers: network::peers(services, all, assigned, &process.namespace),
        gossip: network::gossip(process, all, assigned),
        paths: mounts
            .chain(file_folders)
            .map(|path| (path.to_owned(), format!("{}{path}", folder.display())))
            .collect(),
        storage: resource
            .storage
            .as_ref()
            .map(|folder| folder.display().to_string()),
    }
}

fn stage(process: &Process) -> Stage {
    if process.is_collector() {
        return Stage::Collector;
    }
    if process.is_minio() || process.once {
        return Stage::Bucket;
    }
    match Component::ALL
        .into_iter()
        .find(|component| component.as_str() == process.component())
    {
        Some(Component::Distributor | Component::QueryFrontend) => Stage::Door,
        Some(Component::Querier | Component::Compactor) => Stage::Work,
        Some(Component::Ingester) | None => Stage::Store,
    }
}

/// The buckets are made when MinIO is ready, and the stack starts when they are. A Collector opens its door when the
/// stacks that it points to are ready; without a reference, when all are. The compactor's work can wait.
fn needs(resource: &Unplaced, process: &Process, all: &[Process]) -> Vec<String> {
    if !process.is_collector() {
        let comes_first = |other: &&Process| {
            if process.once {
                other.is_minio()
            } else {
                other.once && !process.is_minio()
            }
        };
        let first = resource.processes.iter().filter(comes_first);
        return first.map(|other| other.name.clone()).collect();
    }
    let stacks = &resource.references.stacks;
    let pointed_to = |other: &Process| {
        stacks.is_empty()
            || (other.namespace == resource.owner.namespace
                && stacks.iter().any(|(_, name)| other.instance() == name))
    };
    all.iter()
        .filter(|other| !other.is_collector() && other.readiness.is_some())
        .filter(|other| other.component() != Component::Compactor.as_str() && pointed_to(other))
        .map(|other| other.name.clone())
        .collect()
}

/// Published ports, else that of the HTTP API.
fn addresses(
    process: &Process,
    slots: &[(Slot, Option<u16>)],
    assigned: &BTreeMap<Slot, u16>,
) -> Vec<String> {
    let own = |(name, _): &Slot| *name == process.name;
    let published = slots
        .iter()
        .filter(|(slot, documented)| own(slot) && documented.is_some());
    let mut shown: Vec<&Slot> = published.map(|(slot, _)| slot).collect();
    if shown.is_empty() {
        let readiness = process.readiness.as_ref().map(|readiness| readiness.port);
        shown.extend(
            slots
                .iter()
                .map(|(slot, _)| slot)
                .filter(|slot| own(slot) && Some(slot.1) == readiness),
        );
    }
    shown
        .into_iter()
        .filter_map(|slot| Some((slot.1, assigned.get(slot)?)))
        .map(|(number, port)| {
            let name = process
                .ports
                .iter()
                .find(|port| port.number == number)
                .map_or("", |port| port.name.as_str());
            if name.contains("grpc") {
                format!("{LOOPBACK}:{port} (gRPC)")
            } else {
                format!("http://{LOOPBACK}:{port}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
