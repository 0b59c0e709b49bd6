//! Whose an object is (pure). Labels prove nothing: anybody may set them.

use kube::ResourceExt;

use crate::kubernetes::owner::Owner;

/// Whose an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// The custom resource's own.
    Owners,
    /// Another controller's: its kind and name.
    Others(String),
    /// No controller has a hand on it.
    Nobodys,
}

/// Whose an object is, seen from a custom resource.
pub(super) fn claim(object: &impl ResourceExt, owner: &Owner) -> Claim {
    let controller = object
        .owner_references()
        .iter()
        .find(|reference| reference.controller == Some(true));
    match controller {
        Some(reference) if owner.uid.as_ref() == Some(&reference.uid) => Claim::Owners,
        Some(reference) => Claim::Others(format!("{} {:?}", reference.kind, reference.name)),
        None => Claim::Nobodys,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_controller_tells_whose_an_object_is() {
        let owner = Owner {
            kind: "TempoStack".to_owned(),
            name: "shop".to_owned(),
            namespace: "default".to_owned(),
            uid: Some("1".to_owned()),
        };
        let claim = |references: serde_json::Value| {
            let object: ConfigMap =
                serde_json::from_value(json!({"metadata": {"ownerReferences": references}})).unwrap();
            claim(&object, &owner)
        };
        let reference = |uid: &str, controller: bool| json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "other", "uid": uid, "controller": controller});
        assert_eq!(claim(json!([])), Claim::Nobodys);
        assert_eq!(claim(json!([reference("1", true)])), Claim::Owners);
        assert_eq!(claim(json!([reference("1", false)])), Claim::Nobodys);
        assert_eq!(
            claim(json!([reference("1", false), reference("2", true)])),
            Claim::Others("Deployment \"other\"".to_owned())
        );
    }
}
