//! Whose a request is: the tenant header, when tenants are on.

use tempo_model::{TenantId, TenantIdError};

/// The header (HTTP) or metadata key (gRPC) that names the tenant.
pub const TENANT_HEADER: &str = "x-scope-orgid";

/// A tenant header that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TenancyError {
    /// No tenant, or one that is not valid.
    #[error(transparent)]
    Invalid(#[from] TenantIdError),
    /// Several tenants where one is needed.
    #[error("multiple org IDs present")]
    Multiple,
}

impl TenancyError {
    /// Whether the header is not there at all.
    pub fn is_missing(&self) -> bool {
        *self == Self::Invalid(TenantIdError::Missing)
    }
}

/// Finds the tenant of a request.
#[derive(Debug, Clone, Copy)]
pub struct Tenancy {
    /// Whether requests name tenants; if not, all is [`TenantId::single`]'s and the header is ignored.
    pub enabled: bool,
}

impl Tenancy {
    /// The tenant whose spans a request brings.
    pub fn of_push(self, header: Option<&str>) -> Result<TenantId, TenancyError> {
        if !self.enabled {
            return Ok(TenantId::single());
        }
        let header = header.unwrap_or_default();
        if header.contains('|') {
            return Err(TenancyError::Multiple);
        }
        Ok(header.parse()?)
    }

    /// The tenants whose spans a query asks for: `a|b` asks for those of both.
    pub fn of_query(self, header: Option<&str>) -> Result<Vec<TenantId>, TenancyError> {
        if !self.enabled {
            return Ok(vec![TenantId::single()]);
        }
        let mut tenants = header
            .unwrap_or_default()
            .split('|')
            .map(str::parse)
            .collect::<Result<Vec<TenantId>, _>>()?;
        tenants.sort();
        tenants.dedup();
        Ok(tenants)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ON: Tenancy = Tenancy { enabled: true };

    #[test]
    fn without_tenancy_the_header_is_ignored() {
        let off = Tenancy { enabled: false };
        assert_eq!(off.of_push(Some("a/b")), Ok(TenantId::single()));
        assert_eq!(off.of_query(None), Ok(vec![TenantId::single()]));
    }

    #[test]
    fn a_push_has_exactly_one_tenant() {
        assert_eq!(
            ON.of_push(Some("a")).map(|tenant| tenant.to_string()),
            Ok("a".to_owned())
        );
        assert!(ON.of_push(None).unwrap_err().is_missing());
        assert_eq!(ON.of_push(Some("a|b")), Err(TenancyError::Multiple));
        assert!(
            ON.of_push(Some("a/b"))
                .unwrap_err()
                .to_string()
                .contains("unsupported character '/'")
        );
    }

    #[test]
    fn a_query_may_have_several() {
        let tenants = ON.of_query(Some("b|a|b")).unwrap();
        assert_eq!(
            tenants.iter().map(TenantId::as_str).collect::<Vec<_>>(),
            ["a", "b"]
        );
        assert!(ON.of_query(Some("a|")).is_err());
    }
}
