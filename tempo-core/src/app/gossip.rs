//! Meeting the other processes of the stack: the internal gRPC server, and the gossip that tells where it listens.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tempo_config::{Config, Memberlist};
use tempo_runtime::membership::{self, GossipSettings, Member, Members, advertised_ip};
use tempo_runtime::server::{self, ServerError};
use tempo_runtime::{Environment, Shutdown};
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;

use super::StartError;
use crate::rpc::server::{IngesterService, QuerierService};
use crate::rpc::{IngesterApi, QuerierApi};
use crate::target::Target;

const PURPOSE: &str = "gRPC";
/// What separates the stacks whose configuration does not say.
const DEFAULT_CLUSTER: &str = "tempo";

/// A socket for the internal gRPC, before anything is served on it.
#[derive(Debug)]
pub(super) struct GrpcSocket {
    listener: TcpListener,
    /// Where the others reach it.
    advertised: SocketAddr,
}

impl GrpcSocket {
    /// Listens on the port of the configuration.
    pub(super) async fn bind(config: &Config) -> Result<Self, StartError> {
        let server = &config.server;
        let listener = server::bind(PURPOSE, &server.grpc_listen_address, server.grpc_listen_port).await?;
        let bound = listener.local_addr().map_err(|source| ServerError::Serve {
            purpose: PURPOSE,
            source,
        })?;
        let advertised = SocketAddr::new(own_ip(config, bound.ip())?, bound.port());
        tracing::info!(address = %bound, %advertised, "listening for {PURPOSE}");
        Ok(Self { listener, advertised })
    }

    /// Where the others reach it, as `host:port`.
    pub(super) fn address(&self) -> String {
        self.advertised.to_string()
    }
}

/// This process among the others of its stack.
#[derive(Debug)]
pub(super) struct Gossip {
    /// The name that the others know it by.
    pub(super) id: String,
    /// Who is there.
    pub(super) members: Members,
    listener: TcpListener,
    gossiping: Shutdown,
    serving: Shutdown,
}

impl Gossip {
    /// Joins the others as a process that is called on `socket`, once [`Gossip::serve`] was called.
    pub(super) async fn join(
        environment: &Environment,
        config: &Config,
        target: Target,
        socket: GrpcSocket,
    ) -> Result<Self, StartError> {
        let member = Member {
            id: format!("{}-{}-{}", target.name(), host_name(), socket.advertised.port()),
            role: target.name().to_owned(),
            grpc_address: socket.address(),
        };
        tracing::info!(id = member.id, grpc = member.grpc_address, "joining the stack");
        let gossiping = Shutdown::new();
        let settings = settings(environment, &config.memberlist, socket.advertised.ip())?;
        let id = member.id.clone();
        let members = membership::join(settings, member, gossiping.clone()).await?;
        Ok(Self {
            id,
            members,
            listener: socket.listener,
            gossiping,
            serving: Shutdown::new(),
        })
    }

    /// Lets the others call this process's roles.
    pub(super) fn serve(
        self,
        config: &Config,
        ingester: Option<Arc<dyn IngesterApi>>,
        querier: Option<Arc<dyn QuerierApi>>,
    ) -> Joined {
        let router = tonic::transport::Server::builder()
            .max_concurrent_streams(config.server.grpc_server_max_concurrent_streams)
            .add_optional_service(ingester.map(IngesterService::new))
            .add_optional_service(querier.map(QuerierService));
        let incoming = TcpIncoming::from(self.listener).with_nodelay(Some(true));
        let (guard, triggered) = (self.serving.guard(), self.serving.triggered());
        tokio::spawn(async move {
            if let Err(error) = router.serve_with_incoming_shutdown(incoming, triggered).await {
                tracing::error!(%error, "the gRPC server has ended");
            }
            drop(guard);
        });
        Joined {
            gossiping: self.gossiping,
            serving: self.serving,
        }
    }
}

/// A process that gossips and is called.
#[derive(Debug)]
pub(super) struct Joined {
    gossiping: Shutdown,
    serving: Shutdown,
}

impl Joined {
    /// Tells the others that this process goes, and lets their calls in flight end.
    pub(super) async fn leave(&self) {
        self.gossiping.trigger();
        self.gossiping.finished().await;
        self.serving.trigger();
        self.serving.finished().await;
    }
}

fn settings(
    environment: &Environment,
    memberlist: &Memberlist,
    ip: IpAddr,
) -> Result<GossipSettings, StartError> {
    let listen = match memberlist.bind_addr.first() {
        Some(text) => address("memberlist.bind_addr", text)?,
        None => unspecified_like(ip),
    };
    let cluster = match memberlist.cluster_label.as_str() {
        "" => DEFAULT_CLUSTER,
        label => label,
    };
    let advertise = if listen.is_unspecified() { ip } else { listen };
    Ok(GossipSettings {
        cluster: cluster.to_owned(),
        listen: SocketAddr::new(listen, memberlist.bind_port),
        advertise: SocketAddr::new(advertise, memberlist.bind_port),
        seeds: memberlist.join_members.clone(),
        generation: environment.clock.unix_nanos() / 1_000_000,
        interval: memberlist.gossip_interval.0,
    })
}

fn unspecified_like(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// The address under which others reach this process: what the configuration says, else what can be found out.
fn own_ip(config: &Config, listen: IpAddr) -> Result<IpAddr, StartError> {
    let named = [
        ("memberlist.advertise_addr", &config.memberlist.advertise_addr),
        ("ingester.lifecycler.address", &config.ingester.lifecycler.address),
    ];
    match named.into_iter().find(|(_, text)| !text.is_empty()) {
        Some((setting, text)) => address(setting, text),
        None => Ok(advertised_ip(listen, &config.memberlist.join_members)),
    }
}

fn address(setting: &'static str, text: &str) -> Result<IpAddr, StartError> {
    let text = text.trim_start_matches('[').trim_end_matches(']');
    text.parse().map_err(|_| StartError::IpAddress {
        setting,
        text: text.to_owned(),
    })
}

/// The name of this machine, which in a cluster is the pod's.
pub(super) fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "localhost".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advertised_address_is_the_configured_one() {
        let mut config = Config::default();
        let any = IpAddr::from(Ipv4Addr::UNSPECIFIED);
        config.memberlist.advertise_addr = "10.1.2.3".to_owned();
        assert_eq!(own_ip(&config, any).unwrap().to_string(), "10.1.2.3");
        let settings = settings(
            &Environment::system(),
            &config.memberlist,
            "10.1.2.3".parse().unwrap(),
        )
        .unwrap();
        assert_eq!(settings.listen.to_string(), "0.0.0.0:7946");
        assert_eq!(settings.advertise.to_string(), "10.1.2.3:7946");
        config.memberlist.advertise_addr = "${POD_IP}".to_owned();
        let error = own_ip(&config, any).unwrap_err().to_string();
        assert!(
            error.contains("memberlist.advertise_addr") && error.contains("${POD_IP}"),
            "{error}"
        );
    }
}
