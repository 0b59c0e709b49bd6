//! The leader lease: of several instances of the operator only the one that holds it reconciles.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use kube::{Api, Client, ResourceExt, api::PostParams};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{info, warn};

/// Name of the lease: that of the upstream operator, so that the two never reconcile at once where one takes
/// the other's place.
pub const LEASE: &str = "8b886b0f.grafana.com";
/// How long a lease is good for after it was last renewed.
const DURATION: Duration = Duration::from_secs(15);
/// How long a holder goes on without being able to renew; less than [`DURATION`], for others wait that long.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// How often a holder renews, and how long the first attempt and the release may take.
const RENEW_PERIOD: Duration = Duration::from_secs(5);
/// How often others look whether the lease is free, and a failed attempt is repeated.
const RETRY_PERIOD: Duration = Duration::from_secs(2);

/// Why the lease is not ours any longer.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another instance took it.
    #[error("the leader lease was taken over by {0:?}")]
    TakenOver(String),
    /// It could not be renewed in time.
    #[error("the leader lease could not be renewed within {} s", RENEW_DEADLINE.as_secs())]
    NotRenewed(#[source] Option<kube::Error>),
}

/// One instance's view of the lease.
pub struct LeaderLease {
    api: Api<Lease>,
    identity: String,
    /// The version of the lease that was seen last, and when it was seen first, on our own clock.
    seen: Option<(String, Instant)>,
}

impl LeaderLease {
    /// The lease in a namespace, for an instance with an identity of its own.
    pub fn new(client: Client, namespace: &str, identity: String) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            identity,
            seen: None,
        }
    }

    /// Waits until the lease is ours.
    pub async fn acquire(&mut self) {
        let mut waits_for = None;
        loop {
            match timeout(RENEW_PERIOD, self.attempt()).await {
                Ok(Ok(Attempt::Held)) => return info!(identity = self.identity, "holding the leader lease"),
                Ok(Ok(Attempt::HeldBy(holder))) => {
                    if waits_for.as_ref() != Some(&holder) {
                        info!(holder, "waiting for the leader lease");
                        waits_for = Some(holder);
                    }
                }
                Ok(Err(error)) => warn!(%error, "cannot ask for the leader lease"),
                Err(_) => warn!("the API server does not answer the request for the leader lease"),
            }
            sleep(RETRY_PERIOD).await;
        }
    }

    /// Renews the lease until that fails.
    pub async fn keep(&mut self) -> LeaseError {
        let mut renewed = Instant::now();
        let mut failure = None;
        let mut pause = RENEW_PERIOD;
        loop {
            sleep(pause).await;
            let asked = Instant::now();
            // A connection that is half open never answers; others take the lease meanwhile.
            match timeout_at(renewed + RENEW_DEADLINE, self.attempt()).await {
                Ok(Ok(Attempt::Held)) => {
                    renewed = asked;
                    failure = None;
                    pause = RENEW_PERIOD;
                    continue;
                }
                Ok(Ok(Attempt::HeldBy(holder))) if holder != self.identity => {
                    return LeaseError::TakenOver(holder);
                }
                Ok(Ok(Attempt::HeldBy(_))) => {}
                Ok(Err(error)) => {
                    warn!(%error, "cannot renew the leader lease");
                    failure = Some(error);
                }
                Err(_) => return LeaseError::NotRenewed(failure),
            }
            pause = RETRY_PERIOD;
        }
    }

    /// Gives the lease back, so that another instance need not wait until it is over.
    pub async fn release(&mut self) {
        let released = async {
            let Some(mut lease) = self.api.get_opt(LEASE).await? else {
                return Ok(());
            };
            if holder(&lease) == self.identity {
                lease.spec.get_or_insert_default().holder_identity = None;
                self.api.replace(LEASE, &PostParams::default(), &lease).await?;
            }
            Ok::<_, kube::Error>(())
        };
        match timeout(RENEW_PERIOD, released).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "cannot release the leader lease"),
            Err(_) => warn!("the API server does not answer the release of the leader lease"),
        }
    }

    /// Takes or renews the lease, if that is possible.
    async fn attempt(&mut self) -> Result<Attempt, kube::Error> {
        let Some(lease) = self.api.get_opt(LEASE).await? else {
            let new = Lease {
                metadata: ObjectMeta {
                    name: Some(LEASE.to_owned()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.claim(0)),
            };
            return outcome(self.api.create(&PostParams::default(), &new).await);
        };
        let holder = holder(&lease);
        let age = self.age(&lease);
        let transitions = lease
            .spec
            .as_ref()
            .and_then(|spec| spec.lease_transitions)
            .unwrap_or(0);
        let spec = if holder == self.identity {
            LeaseSpec {
                renew_time: Some(MicroTime(Timestamp::now())),
                ..lease.spec.clone().unwrap_or_default()
            }
        } else if holder.is_empty() || age > lease_duration(&lease) {
            self.claim(transitions.saturating_add(1))
        } else {
            return Ok(Attempt::HeldBy(holder));
        };
        let wanted = Lease {
            metadata: lease.metadata,
            spec: Some(spec),
        };
        outcome(self.api.replace(LEASE, &PostParams::default(), &wanted).await)
    }

    fn claim(&self, transitions: i32) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        LeaseSpec {
            acquire_time: Some(now.clone()),
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            lease_transitions: Some(transitions),
            renew_time: Some(now),
            ..LeaseSpec::default()
        }
    }

    /// For how long the lease has not been renewed. Only our own clock counts: those of others may be off.
    fn age(&mut self, lease: &Lease) -> Duration {
        let version = lease.resource_version().unwrap_or_default();
        match &self.seen {
            Some((seen, at)) if *seen == version => at.elapsed(),
            _ => {
                self.seen = Some((version, Instant::now()));
                Duration::ZERO
            }
        }
    }
}

/// A conflict means that somebody else was quicker.
fn outcome(written: Result<Lease, kube::Error>) -> Result<Attempt, kube::Error> {
    match written {
        Ok(_) => Ok(Attempt::Held),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(Attempt::HeldBy(String::new())),
        Err(error) => Err(error),
    }
}

enum Attempt {
    Held,
    HeldBy(String),
}

fn holder(lease: &Lease) -> String {
    let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
    holder.unwrap_or_default()
}

fn lease_duration(lease: &Lease) -> Duration {
    let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
    seconds
        .and_then(|seconds| u64::try_from(seconds).ok())
        .map_or(DURATION, Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_does_not_answer_ends_the_leadership() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = format!("http://{}", silent.local_addr().unwrap());
        let client = Client::try_from(kube::Config::new(address.parse().unwrap())).unwrap();
        let mut lease = LeaderLease::new(client, "default", "one".to_owned());
        let started = Instant::now();
        assert!(matches!(lease.keep().await, LeaseError::NotRenewed(None)));
        assert!(started.elapsed() < DURATION);
        lease.release().await;
    }
}
