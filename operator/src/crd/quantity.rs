//! Kubernetes quantities (`500m`, `2Gi`) as users write them: text or a bare number.
//!
//! `k8s_openapi`'s own type reads text only, while the API server stores `cpu: 2` as the number it is.

use std::{borrow::Cow, fmt};

use k8s_openapi::apimachinery::pkg::api::resource::Quantity as KubernetesQuantity;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

/// An amount of a resource, kept as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Quantity(String);

/// Why a text is not a quantity.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a quantity: write a number with an optional unit, such as 500m, 2 or 10Gi")]
pub struct QuantityError(String);

/// Suffixes with the thousandths that one of them is worth.
const UNITS: [(&str, f64); 14] = [
    ("Ki", 1_024e3),
    ("Mi", 1_048_576e3),
    ("Gi", 1_073_741_824e3),
    ("Ti", 1_099_511_627_776e3),
    ("Pi", 1_125_899_906_842_624e3),
    ("Ei", 1.152_921_504_606_847e21),
    ("m", 1.0),
    ("k", 1e6),
    ("M", 1e9),
    ("G", 1e12),
    ("T", 1e15),
    ("P", 1e18),
    ("E", 1e21),
    ("", 1e3),
];

impl Quantity {
    /// Keeps a text as it is; [`Quantity::thousandths`] says whether it is a quantity.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// A quantity of thousandths of a unit (`500m`), as processors are measured.
    pub fn from_thousandths(thousandths: i64) -> Self {
        Self(format!("{thousandths}m"))
    }

    /// A quantity of whole units, as bytes are measured.
    pub fn from_units(units: i64) -> Self {
        Self(units.to_string())
    }

    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The amount in thousandths of a unit.
    pub fn thousandths(&self) -> Result<f64, QuantityError> {
        let malformed = || QuantityError(self.0.clone());
        let number_ends = self
            .0
            .find(|character: char| !(character.is_ascii_digit() || "+-.".contains(character)))
            .unwrap_or(self.0.len());
        let (number, unit) = self.0.split_at(number_ends);
        let scale = match UNITS.iter().find(|(suffix, _)| *suffix == unit) {
            Some((_, scale)) => *scale,
            None => exponent(unit).ok_or_else(malformed)?,
        };
        let number: f64 = number.parse().map_err(|_| malformed())?;
        Ok(number * scale)
    }

    /// The amount in whole units, rounded up.
    pub fn units(&self) -> Result<f64, QuantityError> {
        Ok((self.thousandths()? / 1e3).ceil())
    }
}

/// The scale of a decimal exponent such as `e3` or `E-2`, in thousandths.
fn exponent(unit: &str) -> Option<f64> {
    let power: i32 = unit.strip_prefix(['e', 'E'])?.parse().ok()?;
    Some(1e3 * 10_f64.powi(power))
}

impl fmt::Display for Quantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<&Quantity> for KubernetesQuantity {
    fn from(quantity: &Quantity) -> Self {
        Self(quantity.0.clone())
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Quantity;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a quantity such as 500m, 2 or 10Gi")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Quantity, E> {
                Ok(Quantity(text.to_owned()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Quantity, E> {
                Ok(Quantity(number.to_string()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Quantity, E> {
                Ok(Quantity(number.to_string()))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Quantity, E> {
                Ok(Quantity(number.to_string()))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$",
            "x-kubernetes-int-or-string": true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_in_every_notation() {
        for (text, thousandths) in [
            ("500m", 500.0),
            ("2", 2e3),
            ("1.5", 1.5e3),
            ("2Gi", 2.0 * 1_073_741_824e3),
            ("200M", 200e9),
            ("1e3", 1e6),
        ] {
            assert_eq!(Quantity::new(text).thousandths(), Ok(thousandths), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", "Gi", "ten", "1 Gi", "1Zi", "--1"] {
            assert!(Quantity::new(text).thousandths().is_err(), "{text}");
        }
    }

    #[test]
    fn bare_numbers_are_accepted() {
        let quantities: Vec<Quantity> = serde_yaml::from_str("[2, 0.5, 10Gi]").unwrap();
        assert_eq!(quantities, ["2", "0.5", "10Gi"].map(Quantity::new));
    }
}
