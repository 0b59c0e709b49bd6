//! What the operator's own surroundings decide: images, pod defaults, proxies.

use k8s_openapi::api::core::v1::{EnvVar, PodSecurityContext, SeccompProfile};

/// Settings of the operator that go into what it builds.
#[derive(Clone, Debug, PartialEq)]
pub struct Environment {
    /// Version of the operator and, as they come in one image, of the components.
    pub version: String,
    /// Image of the Tempo components (`RELATED_IMAGE_TEMPO`, else `OPERATOR_IMAGE`).
    pub tempo_image: String,
    /// Image of the Collector (`RELATED_IMAGE_COLLECTOR`, else `OPERATOR_IMAGE`).
    pub collector_image: String,
    /// Image of the operator itself, for its Jobs (`OPERATOR_IMAGE`).
    pub operator_image: String,
    /// Image of MinIO (`RELATED_IMAGE_MINIO`).
    pub minio_image: String,
    /// Security settings of pods where the spec says nothing (`DEFAULT_POD_SECURITY_CONTEXT`, JSON).
    pub pod_security_context: PodSecurityContext,
    /// `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` as the operator has them, for every container.
    pub proxy: Vec<EnvVar>,
}

/// Why the operator's environment cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// A variable holds JSON that does not fit.
    #[error("environment variable {name} does not hold a pod security context in JSON; correct or unset it")]
    MalformedJson {
        /// Name of the variable.
        name: &'static str,
        /// What is wrong with the JSON.
        #[source]
        source: serde_json::Error,
    },
}

const POD_SECURITY_CONTEXT: &str = "DEFAULT_POD_SECURITY_CONTEXT";
const PROXY_VARIABLES: [&str; 6] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

impl Environment {
    /// The environment as a function from variable names to values gives it, such as `std::env::var`.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, EnvironmentError> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let operator_image = variable("OPERATOR_IMAGE").unwrap_or_else(|| format!("tempo-rs:{version}"));
        let image = |name: &str| variable(name).unwrap_or_else(|| operator_image.clone());
        let pod_security_context = match variable(POD_SECURITY_CONTEXT) {
            Some(json) => serde_json::from_str(&json).map_err(|source| EnvironmentError::MalformedJson {
                name: POD_SECURITY_CONTEXT,
                source,
            })?,
            None => default_pod_security_context(),
        };
        Ok(Self {
            version,
            tempo_image: image("RELATED_IMAGE_TEMPO"),
            collector_image: image("RELATED_IMAGE_COLLECTOR"),
            minio_image: variable("RELATED_IMAGE_MINIO")
                .unwrap_or_else(|| "quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z".to_owned()),
            operator_image,
            pod_security_context,
            proxy: PROXY_VARIABLES
                .into_iter()
                .filter_map(|name| {
                    Some(EnvVar {
                        name: name.to_owned(),
                        value: Some(variable(name)?),
                        value_from: None,
                    })
                })
                .collect(),
        })
    }
}

/// What the `restricted` Pod Security Standard asks of a pod.
fn default_pod_security_context() -> PodSecurityContext {
    const USER: i64 = 10001;
    PodSecurityContext {
        fs_group: Some(USER),
        run_as_group: Some(USER),
        run_as_non_root: Some(true),
        run_as_user: Some(USER),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            localhost_profile: None,
        }),
        ..PodSecurityContext::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operator_deploys_its_own_image_unless_told_otherwise() {
        let environment = Environment::from_variables(|name| match name {
            "OPERATOR_IMAGE" => Some("example.org/operator:7".to_owned()),
            "RELATED_IMAGE_COLLECTOR" => Some("example.org/collector:8".to_owned()),
            "RELATED_IMAGE_TEMPO" => Some(String::new()),
            "NO_PROXY" => Some("10.0.0.0/8".to_owned()),
            _ => None,
        })
        .unwrap();
        assert_eq!(environment.tempo_image, "example.org/operator:7");
        assert_eq!(environment.collector_image, "example.org/collector:8");
        assert_eq!(environment.proxy.len(), 1);
        assert_eq!(environment.pod_security_context.run_as_non_root, Some(true));
    }

    #[test]
    fn malformed_settings_are_named() {
        let error =
            Environment::from_variables(|name| (name == POD_SECURITY_CONTEXT).then(|| "{".to_owned()));
        assert!(error.unwrap_err().to_string().contains(POD_SECURITY_CONTEXT));
    }
}
