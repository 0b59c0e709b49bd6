//! The committed CustomResourceDefinitions.

use std::collections::BTreeSet;

use tempo_operator::crd;

use crate::repository;

#[test]
fn the_committed_definitions_are_current() {
    let folder = repository().join("crds");
    let mut expected = BTreeSet::new();
    for definition in crd::definitions() {
        let name = crd::file_name(&definition);
        let committed = std::fs::read_to_string(folder.join(&name)).unwrap_or_default();
        assert!(
            committed == crd::to_yaml(&definition).unwrap(),
            "crds/{name} is not what the types say; type: make crds"
        );
        expected.insert(name);
    }
    let found: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(found, expected, "crds/ holds a file of no kind");
}

#[test]
fn definitions_are_small_enough_for_kubectl_apply() {
    // `kubectl apply` keeps the object in an annotation of at most 256 KiB.
    for definition in crd::definitions() {
        let size = serde_json::to_string(&definition).unwrap().len();
        assert!(size < 256 * 1024, "{}: {size} bytes", crd::file_name(&definition));
    }
}
