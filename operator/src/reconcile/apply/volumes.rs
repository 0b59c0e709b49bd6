//! Volumes that are to be larger: the claims that a StatefulSet has made do not follow its template by themselves.
//!
//! A claim grows where its storage class allows it. What keeps one from that, or asks for less than there is, is
//! told and tried no further, so that a steady state writes nothing.

use std::collections::BTreeMap;

use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::PersistentVolumeClaim, storage::v1::StorageClass};
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tracing::info;

use super::{ApplyError, FIELD_MANAGER, existing, write_error};
use crate::{
    crd::Quantity,
    kubernetes::{labels::Labels, owner::Owner},
    validation::{Notice, NoticeKind},
};

/// Where the notices say that they belong.
const PATH: &str = "volumes";

/// A claim that is of another size than its StatefulSet wants.
#[derive(Clone, Debug, PartialEq)]
struct Misfit {
    claim: PersistentVolumeClaim,
    has: Quantity,
    wanted: Quantity,
}

/// Lets the claims of StatefulSets grow to the size that is wanted now. Returns what does not.
pub(super) async fn expand(
    client: &Client,
    owner: &Owner,
    labels: &Labels,
    sets: &[StatefulSet],
) -> Result<Vec<Notice>, ApplyError> {
    if sets.iter().all(|set| set.spec.volume_claim_templates.is_none()) {
        return Ok(Vec::new());
    }
    let claims = Api::<PersistentVolumeClaim>::namespaced(client.clone(), &owner.namespace);
    let existing = existing(&claims, labels).await?;
    let mut notices = Vec::new();
    for misfit in misfits(sets, &existing) {
        let obstacle = match grow(client, &claims, &misfit).await? {
            Ok(()) => continue,
            Err(obstacle) => obstacle,
        };
        notices.push(Notice::new(
            NoticeKind::VolumeKeepsSize,
            PATH,
            format!(
                "PersistentVolumeClaim {:?} stays at {} instead of {}: {obstacle}",
                misfit.claim.name_any(),
                misfit.has,
                misfit.wanted
            ),
        ));
    }
    Ok(notices)
}

/// The claims of StatefulSets whose size is not that of their template (pure).
fn misfits(sets: &[StatefulSet], existing: &BTreeMap<String, PersistentVolumeClaim>) -> Vec<Misfit> {
    let templates = sets.iter().flat_map(|set| {
        let templates = set.spec.volume_claim_templates.iter().flatten();
        templates.map(|template| {
            let prefix = format!("{}-{}-", template.name_any(), set.name_any());
            (prefix, requested(template))
        })
    });
    let mut misfits = Vec::new();
    for (prefix, wanted) in templates {
        let Some(wanted) = wanted else { continue };
        for (name, claim) in existing {
            let is_of_set = name
                .strip_prefix(&prefix)
                .is_some_and(|ordinal| ordinal.parse::<u32>().is_ok());
            let Some(has) = requested(claim).filter(|_| is_of_set) else {
                continue;
            };
            if has.units() != wanted.units() {
                misfits.push(Misfit {
                    claim: claim.clone(),
                    has,
                    wanted: wanted.clone(),
                });
            }
        }
    }
    misfits
}

fn requested(claim: &PersistentVolumeClaim) -> Option<Quantity> {
    let resources = claim.spec.as_ref()?.resources.as_ref()?;
    let size = resources.requests.as_ref()?.get("storage")?;
    Some(Quantity::new(size.0.clone()))
}

/// Asks for a larger volume, or says why not.
async fn grow(
    client: &Client,
    claims: &Api<PersistentVolumeClaim>,
    misfit: &Misfit,
) -> Result<Result<(), String>, ApplyError> {
    let Misfit { claim, has, wanted } = misfit;
    if wanted.units().ok() < has.units().ok() {
        return Ok(Err(format!(
            "a volume cannot shrink; ask for {has}, or move its data and delete the claim"
        )));
    }
    if let Err(obstacle) = is_bound(claim) {
        return Ok(Err(obstacle));
    }
    if let Err(obstacle) = class_allows(client, claim).await {
        return Ok(Err(obstacle));
    }
    let name = claim.name_any();
    info!(name, %has, %wanted, "expanding a volume");
    let patch = json!({
        "metadata": {"resourceVersion": claim.resource_version()},
        "spec": {"resources": {"requests": {"storage": wanted}}},
    });
    let parameters = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    match claims.patch(&name, &parameters, &Patch::Merge(patch)).await {
        Ok(_) => Ok(Ok(())),
        // Such as a quota that is used up.
        Err(kube::Error::Api(status)) if matches!(status.code, 403 | 422) => Ok(Err(status.message.clone())),
        Err(error) => Err(write_error::<PersistentVolumeClaim>("expand", &name)(error)),
    }
}

fn is_bound(claim: &PersistentVolumeClaim) -> Result<(), String> {
    let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
    match phase {
        Some("Bound") => Ok(()),
        other => Err(format!(
            "it has no volume yet (its phase is {}); it is tried again when it has",
            other.unwrap_or("unknown")
        )),
    }
}

async fn class_allows(client: &Client, claim: &PersistentVolumeClaim) -> Result<(), String> {
    let class = claim
        .spec
        .as_ref()
        .and_then(|spec| spec.storage_class_name.as_deref())
        .filter(|class| !class.is_empty())
        .ok_or("it has no storage class that could expand it; move its data to a larger one")?;
    match Api::<StorageClass>::all(client.clone()).get_opt(class).await {
        Ok(Some(found)) if found.allow_volume_expansion == Some(true) => Ok(()),
        Ok(Some(_)) => Err(format!(
            "storage class {class:?} does not allow it; set its allowVolumeExpansion where the driver can do it"
        )),
        Ok(None) => Err(format!("its storage class {class:?} does not exist any longer")),
        Err(error) => Err(format!(
            "its storage class {class:?} cannot be read ({error}); let the operator get storageclasses"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(name: &str, size: &str) -> (String, PersistentVolumeClaim) {
        let claim =
            json!({"metadata": {"name": name}, "spec": {"resources": {"requests": {"storage": size}}}});
        (name.to_owned(), serde_json::from_value(claim).unwrap())
    }

    #[test]
    fn claims_of_another_size_are_found_by_their_names() {
        let set: StatefulSet = serde_json::from_value(json!({
            "metadata": {"name": "tempo-a"},
            "spec": {"selector": {}, "template": {}, "volumeClaimTemplates": [
                {"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": "1Gi"}}}},
            ]},
        }))
        .unwrap();
        let existing = BTreeMap::from([
            claim("data-tempo-a-0", "1024Mi"),
            claim("data-tempo-a-1", "500Mi"),
            claim("data-tempo-a-2", "2Gi"),
            claim("data-tempo-a-b-0", "500Mi"),
            claim("other-tempo-a-0", "500Mi"),
        ]);
        let found: Vec<String> = misfits(&[set], &existing)
            .into_iter()
            .map(|misfit| format!("{} {}", misfit.claim.name_any(), misfit.has))
            .collect();
        assert_eq!(found, ["data-tempo-a-1 500Mi", "data-tempo-a-2 2Gi"]);
    }
}
