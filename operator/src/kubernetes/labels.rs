//! Labels: how objects of one resource are told apart, selected and found again.

use std::collections::BTreeMap;

/// Labels by name.
pub type Labels = BTreeMap<String, String>;

/// Label with the [`Application`] of an object.
pub const NAME: &str = "app.kubernetes.io/name";
/// Label with the name of the custom resource that an object belongs to.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// Label with the component of an object.
pub const COMPONENT: &str = "app.kubernetes.io/component";
/// Label with who looks after an object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY`] on everything that the operator makes.
pub const MANAGER: &str = "tempo-operator";
/// Pod label of the members of the gossip.
pub const GOSSIP_MEMBER: &str = "tempo-gossip-member";

/// `app.kubernetes.io/name` of the objects of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Application {
    /// Objects of a TempoStack.
    TempoStack,
    /// Objects of a TempoMonolithic.
    TempoMonolithic,
    /// Objects of a Collector.
    Collector,
}

impl Application {
    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TempoStack => "tempo",
            Self::TempoMonolithic => "tempo-monolithic",
            Self::Collector => "tempo-collector",
        }
    }
}

/// Labels of all objects of a resource: what pruning selects by.
pub fn common(application: Application, instance: &str) -> Labels {
    let mut labels = of_all(application);
    labels.insert(INSTANCE.to_owned(), instance.to_owned());
    labels
}

/// Labels of the objects of all resources of a kind: what the operator watches.
pub fn of_all(application: Application) -> Labels {
    [(NAME, application.as_str()), (MANAGED_BY, MANAGER)]
        .map(|(label, value)| (label.to_owned(), value.to_owned()))
        .into()
}

/// Labels of the objects of one component, and the selector of its pods.
pub fn component(application: Application, instance: &str, component: &str) -> Labels {
    let mut labels = common(application, instance);
    labels.insert(COMPONENT.to_owned(), component.to_owned());
    labels
}

/// Labels as the text of a selector.
pub fn selector(labels: &Labels) -> String {
    let terms: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    terms.join(",")
}
