//! The conditions of a resource (pure).
//!
//! Exactly one of `Ready`, `Pending`, `Failed` and `ConfigurationError` is true, and all four tell why. Beside
//! them there is one condition for each kind of [`Notice`] that there is something to say about.

use std::{collections::BTreeMap, fmt::Write};

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};
use strum::IntoStaticStr;

use super::{health::Workload, pods::PodsByComponent};
use crate::validation::{Notice, ValidationError};

/// Longest message of a condition, in characters.
const LONGEST_MESSAGE: usize = 4096;
/// Reason while an object must be gone before it can be made anew.
const REPLACING: &str = "ReplacingObjects";

/// The state that a resource is in: the type of its true condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
pub enum State {
    /// Everything is there and runs.
    Ready,
    /// Something is not there yet.
    Pending,
    /// Something went wrong that its user cannot mend in the resource.
    Failed,
    /// The resource, or something that it points to, must be changed.
    ConfigurationError,
}

impl State {
    /// All states, in the order of their conditions.
    const ALL: [Self; 4] = [Self::Ready, Self::Pending, Self::Failed, Self::ConfigurationError];

    /// The condition's type.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What became of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The state that it is in.
    pub state: State,
    /// A stable word for why.
    pub reason: &'static str,
    /// Why, for people.
    pub message: String,
}

impl Outcome {
    /// The outcome of a resource whose objects are applied.
    pub fn of_workloads(workloads: &[Workload], pods: &PodsByComponent) -> Self {
        let unready: Vec<&Workload> = workloads.iter().filter(|workload| !workload.is_ready).collect();
        if unready.is_empty() {
            return Self::new(State::Ready, "Ready", "all components are ready".to_owned());
        }
        let failed: Vec<&Workload> = unready
            .iter()
            .copied()
            .filter(|workload| workload.has_failed || has_failed_pods(workload, pods))
            .collect();
        if failed.is_empty() {
            Self::new(
                State::Pending,
                "PendingComponents",
                sentence("waiting for", &unready),
            )
        } else {
            Self::new(State::Failed, "FailedComponents", sentence("failed:", &failed))
        }
    }

    /// The outcome of a resource some of whose objects must be gone before they can be made.
    pub fn replacing(going: &[String]) -> Self {
        Self::new(
            State::Pending,
            REPLACING,
            format!("waiting for the end of {}, to make it anew", going.join(", ")),
        )
    }

    /// The outcome of a resource that must be changed.
    pub fn invalid(error: &ValidationError) -> Self {
        Self::new(
            State::ConfigurationError,
            error.reason.as_str(),
            format!("{}: {}", error.path, error.message),
        )
    }

    /// The outcome of a resource that the operator could not deal with.
    pub fn failed(message: String) -> Self {
        Self::new(State::Failed, "FailedReconciliation", message)
    }

    fn new(state: State, reason: &'static str, message: String) -> Self {
        Self {
            state,
            reason,
            message,
        }
    }

    /// Whether an object is awaited to go.
    pub fn is_replacing(&self) -> bool {
        self.reason == REPLACING
    }

    /// Whether the conditions already say that a resource is in this state for this reason. A configuration
    /// error with another message is another one.
    pub fn is_known(&self, conditions: &[Condition]) -> bool {
        conditions.iter().any(|condition| {
            condition.type_ == self.state.as_str()
                && condition.status == "True"
                && condition.reason == self.reason
                && (self.state != State::ConfigurationError || condition.message == self.message)
        })
    }
}

fn has_failed_pods(workload: &Workload, pods: &PodsByComponent) -> bool {
    pods.get(&workload.component)
        .is_some_and(|states| states.contains_key("Failed") || states.contains_key("Unknown"))
}

fn sentence(start: &str, workloads: &[&Workload]) -> String {
    let names: Vec<String> = workloads
        .iter()
        .map(|workload| match &workload.obstacle {
            Some(obstacle) => format!("{} ({obstacle})", workload.component),
            None => workload.component.clone(),
        })
        .collect();
    format!("{start} {}", names.join(", "))
}

/// The conditions that follow from an outcome. A condition keeps its transition time while its status stays.
pub fn conditions(
    old: &[Condition],
    outcome: &Outcome,
    notices: &[Notice],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let make = |kind: &str, is_true: bool, reason: &str, message: &str| {
        let status = if is_true { "True" } else { "False" };
        let unchanged = old
            .iter()
            .find(|condition| condition.type_ == kind && condition.status == status);
        Condition {
            last_transition_time: unchanged
                .map_or_else(|| Time(now), |condition| condition.last_transition_time.clone()),
            message: message.chars().take(LONGEST_MESSAGE).collect(),
            observed_generation: generation,
            reason: reason.to_owned(),
            status: status.to_owned(),
            type_: kind.to_owned(),
        }
    };
    let states = State::ALL.into_iter().map(|state| {
        make(
            state.as_str(),
            state == outcome.state,
            outcome.reason,
            &outcome.message,
        )
    });
    let beside = by_kind(notices)
        .into_iter()
        .map(|(kind, message)| make(kind, true, kind, &message));
    states.chain(beside).collect()
}

/// One message for each kind of notice.
fn by_kind(notices: &[Notice]) -> BTreeMap<&'static str, String> {
    let mut messages: BTreeMap<&'static str, String> = BTreeMap::new();
    for notice in notices {
        let message = messages.entry(notice.kind.into()).or_default();
        if !message.is_empty() {
            message.push_str("; ");
        }
        // Writing to a String does not fail.
        let _ = write!(message, "{}: {}", notice.path, notice.message);
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validation::NoticeKind;

    fn workload(component: &str, is_ready: bool) -> Workload {
        Workload {
            component: component.to_owned(),
            is_ready,
            ..Workload::default()
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn one_state_is_true_and_all_tell_why() {
        let workloads = [workload("ingester", false), workload("querier", true)];
        let outcome = Outcome::of_workloads(&workloads, &PodsByComponent::new());
        let conditions = conditions(&[], &outcome, &[], Some(3), at(7));
        let true_ones: Vec<_> = conditions
            .iter()
            .filter(|condition| condition.status == "True")
            .collect();
        assert_eq!((conditions.len(), true_ones.len()), (4, 1));
        assert_eq!(true_ones[0].type_, "Pending");
        assert_eq!(true_ones[0].message, "waiting for ingester");
        assert!(
            conditions
                .iter()
                .all(|condition| condition.reason == "PendingComponents")
        );
        assert!(
            conditions
                .iter()
                .all(|condition| condition.observed_generation == Some(3))
        );
    }

    #[test]
    fn failed_pods_count_only_while_their_component_is_not_ready() {
        let failed = PodsByComponent::from([(
            "querier".to_owned(),
            BTreeMap::from([("Failed".to_owned(), vec!["evicted".to_owned()])]),
        )]);
        assert_eq!(
            Outcome::of_workloads(&[workload("querier", false)], &failed).state,
            State::Failed
        );
        assert_eq!(
            Outcome::of_workloads(&[workload("querier", true)], &failed).state,
            State::Ready
        );
    }

    #[test]
    fn transition_times_move_only_when_a_status_does() {
        let pending = Outcome::of_workloads(&[workload("ingester", false)], &PodsByComponent::new());
        let ready = Outcome::of_workloads(&[], &PodsByComponent::new());
        let first = conditions(&[], &pending, &[], None, at(1));
        let again = conditions(&first, &pending, &[], None, at(2));
        assert_eq!(first, again);
        let later = conditions(&again, &ready, &[], None, at(3));
        let time = |kind: &str| {
            later
                .iter()
                .find(|condition| condition.type_ == kind)
                .unwrap()
                .last_transition_time
                .0
        };
        assert_eq!(
            (time("Ready"), time("Pending"), time("Failed")),
            (at(3), at(3), at(1))
        );
    }

    #[test]
    fn notices_of_a_kind_share_a_condition() {
        let notice = |kind, path| Notice::new(kind, path, "is so");
        let notices = [
            notice(NoticeKind::NotBuilt, "spec.a"),
            notice(NoticeKind::Deprecated, "spec.b"),
            notice(NoticeKind::NotBuilt, "spec.c"),
        ];
        let ready = Outcome::of_workloads(&[], &PodsByComponent::new());
        let conditions = conditions(&[], &ready, &notices, None, at(1));
        let messages: Vec<_> = conditions[4..]
            .iter()
            .map(|it| (it.type_.as_str(), it.message.as_str()))
            .collect();
        assert_eq!(
            messages,
            [
                ("Deprecated", "spec.b: is so"),
                ("NotBuilt", "spec.a: is so; spec.c: is so")
            ]
        );
    }

    #[test]
    fn another_configuration_error_is_news() {
        let error = |message: &str| Outcome::invalid(&ValidationError::configuration("spec.x", message));
        let known = conditions(&[], &error("one"), &[], None, at(1));
        assert!(error("one").is_known(&known));
        assert!(!error("two").is_known(&known));
        assert!(!error("one").is_known(&[]));
    }
}
