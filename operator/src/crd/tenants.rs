//! Tenants: who may read and write what, through the gateway.

use k8s_openapi::api::core::v1::LocalObjectReference;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How tenants log in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TenantsMode {
    /// OpenID Connect per tenant and fixed role bindings.
    #[default]
    Static,
    /// OpenShift's OAuth server and the cluster's RBAC.
    Openshift,
}

/// Tenants of a stack.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TenantsSpec {
    /// How tenants log in.
    #[serde(default)]
    pub mode: TenantsMode,
    /// The tenants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authentication: Vec<TenantAuthentication>,
    /// What the tenants may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
}

/// A tenant and how it logs in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantAuthentication {
    /// Name of the tenant, as it stands in URLs.
    pub tenant_name: String,
    /// Id of the tenant, as it stands in `X-Scope-OrgID`.
    pub tenant_id: String,
    /// OpenID Connect settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc: Option<OidcSpec>,
}

/// OpenID Connect settings of a tenant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OidcSpec {
    /// Secret with `clientID`, and where needed `clientSecret` and `issuerCAPath`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<LocalObjectReference>,
    /// URL of the identity provider.
    #[serde(default, rename = "issuerURL", skip_serializing_if = "String::is_empty")]
    pub issuer_url: String,
    /// URL that the provider sends users back to.
    #[serde(default, rename = "redirectURL", skip_serializing_if = "String::is_empty")]
    pub redirect_url: String,
    /// Claim with the groups of a user.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group_claim: String,
    /// Claim with the name of a user.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub username_claim: String,
}

/// Roles and who has them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Authorization {
    /// Roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
    /// Who has which roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub role_bindings: Vec<RoleBinding>,
}

/// Permissions on resources of tenants.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Role {
    /// Name of the role.
    pub name: String,
    /// Kinds of data, such as `traces`.
    pub resources: Vec<String>,
    /// Names of the tenants.
    pub tenants: Vec<String>,
    /// What may be done.
    pub permissions: Vec<Permission>,
}

/// What may be done with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Reading.
    Read,
    /// Writing.
    Write,
}

/// Roles of some users and groups.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoleBinding {
    /// Name of the binding.
    pub name: String,
    /// Users and groups.
    pub subjects: Vec<Subject>,
    /// Names of the roles.
    pub roles: Vec<String>,
}

/// A user or a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Subject {
    /// Name as the identity provider gives it.
    pub name: String,
    /// Which of the two it is.
    pub kind: SubjectKind,
}

/// Whether a subject is a user or a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SubjectKind {
    /// One user.
    User,
    /// A group of users.
    Group,
}
