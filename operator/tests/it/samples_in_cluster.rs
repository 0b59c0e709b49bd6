//! Every sample against a real API server: what `render` prints is what is there then.

use std::{fs, path::Path};

use tempo_operator::{environment::Environment, manifest::Manifests, reconcile::compare::covers, render};

use crate::{
    cluster::{Space, documents, eventually},
    samples::samples,
};

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_becomes_what_render_prints() {
    for (number, sample) in samples().into_iter().enumerate() {
        let Some(space) = Space::with_operator(&format!("sample-{number}")).await else {
            return;
        };
        let text = with_namespace(&sample, &space.namespace);
        space.apply(&text).await.unwrap();
        let manifests = Manifests::parse(&sample.display().to_string(), &text).unwrap();
        let environment = Environment::from_variables(|_| None).unwrap();
        let rendered = render::render(&manifests, &environment).unwrap().text;
        for wanted in documents(&rendered) {
            let what = format!(
                "{}: {} {}",
                sample.display(),
                wanted["kind"],
                wanted["metadata"]["name"]
            );
            let found = eventually(&what, || async {
                space.find(&wanted).await.ok_or("is not there")
            })
            .await;
            // A generated password is another one each time.
            if wanted["kind"] != "Secret" {
                assert!(covers(&found, &wanted), "{what}: {found}\nis not\n{wanted}");
            }
        }
        for resource in &manifests.resources {
            let owner = resource.resource.owner();
            let document = serde_json::json!({
                "apiVersion": tempo_operator::crd::API_VERSION, "kind": owner.kind, "metadata": {"name": owner.name},
            });
            eventually(&format!("{resource} is pending"), || async {
                let found = space.find(&document).await.unwrap_or_default();
                let conditions = found["status"]["conditions"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                let is_pending = conditions
                    .iter()
                    .any(|condition| condition["type"] == "Pending" && condition["status"] == "True");
                if is_pending {
                    Ok(())
                } else {
                    Err(found["status"].to_string())
                }
            })
            .await;
        }
        space.quiet().await;
    }
}

/// The documents of a sample, in a namespace.
pub(crate) fn with_namespace(sample: &Path, namespace: &str) -> String {
    let files = if sample.is_file() {
        vec![sample.to_owned()]
    } else {
        let entries = fs::read_dir(sample).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let mut text = String::new();
    for mut document in files
        .iter()
        .flat_map(|file| documents(&fs::read_to_string(file).unwrap()))
    {
        document["metadata"]["namespace"] = namespace.into();
        text.push_str("---\n");
        text.push_str(&serde_yaml::to_string(&document).unwrap());
    }
    text
}
