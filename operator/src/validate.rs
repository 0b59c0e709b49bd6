//! `tempo-operator validate`: the checks of a reconcile over files.

use std::fmt::Write as _;

use crate::{
    environment::Environment,
    manifest::{Manifests, offline},
    validation::Notice,
};

/// What there is to say about manifests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// A line for each resource, with its notices below it.
    pub text: String,
    /// How many resources cannot be used.
    pub invalid: usize,
}

/// Checks every resource. What it points to and is not among the files is said, and taken to be right.
pub fn report(manifests: &Manifests, environment: &Environment) -> Report {
    let mut lines = Vec::new();
    let mut invalid = 0;
    for manifest in &manifests.resources {
        let resource = manifest.resource.as_ref();
        let found = offline::find(resource, manifests);
        let absent = found.absent.clone();
        match resource.plan(&found.with_stand_ins(resource), environment) {
            Ok(planned) => {
                lines.push(format!("{manifest}: valid"));
                lines.extend(planned.notices.iter().map(|notice| format!("  {}", line(notice))));
            }
            Err(error) => {
                invalid += 1;
                lines.push(format!("{manifest}: {error}"));
            }
        }
        lines.extend(
            absent
                .iter()
                .map(|absent| format!("  {absent} is not among the files: not checked")),
        );
    }
    lines.extend(
        manifests
            .others
            .iter()
            .map(|other| format!("{other}: not ours, passed over")),
    );
    let mut text = String::new();
    for line in lines {
        let _ = writeln!(text, "{line}");
    }
    Report { text, invalid }
}

/// A notice in one line.
pub fn line(notice: &Notice) -> String {
    let kind: &str = notice.kind.into();
    format!("{kind}: {}: {}", notice.path, notice.message)
}
