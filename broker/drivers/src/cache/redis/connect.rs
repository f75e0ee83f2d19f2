//! Connections of each kind of server.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, FromRedisValue,
    IntoConnectionInfo, Pipeline, RedisConnectionInfo, RedisError, TlsCertificates, TlsMode,
    aio::{ConnectionLike, MultiplexedConnection, PubSub},
    cluster::{ClusterClient, ClusterClientBuilder},
    cluster_async::ClusterConnection,
    io::tcp::TcpSettings,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;

use super::{
    Fault, RESPONSE,
    address::{Address, Kind},
    options::{Options, OptionsError},
};

/// How long one connection may take to be made.
const CONNECT: Duration = Duration::from_secs(2);

/// Commands that may wait in a connection's queue before the next one waits to enter it.
const QUEUE: usize = 256;

/// The longest wait of the cluster's client before it asks again, in milliseconds: more than one must fit within a
/// response's time.
const CLUSTER_RETRY_MS: u64 = 200;

/// A connection for commands. Cheap to clone.
#[derive(Clone)]
pub(super) enum Commands {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Commands {
    pub(super) async fn run<T: FromRedisValue>(mut self, pipeline: Pipeline) -> Result<T, Fault> {
        match &mut self {
            Self::One(connection) => run(connection, &pipeline).await,
            Self::Cluster(connection) => run(connection, &pipeline).await,
        }
    }
}

async fn run<T: FromRedisValue>(
    connection: &mut impl ConnectionLike,
    pipeline: &Pipeline,
) -> Result<T, Fault> {
    Ok(pipeline.query_async(connection).await?)
}

/// Where to connect, and as whom.
pub(super) struct Target {
    address: Address,
    password: Option<SecretString>,
    sentinel_password: Option<SecretString>,
    certificates: Option<TlsCertificates>,
}

impl Target {
    pub(super) fn new(options: &Options) -> Result<Self, OptionsError> {
        let mut address = Address::parse(&options.url)?;
        let password = match (address.password.take(), options.password.clone()) {
            (Some(_), Some(_)) => return Err(OptionsError::TwoPasswords),
            (one, other) => one.or(other),
        };
        if address.user.is_some() && password.is_none() {
            return Err(OptionsError::NoPassword);
        }
        match (&address.kind, &options.sentinel_password) {
            (Kind::Single | Kind::Cluster, Some(_)) => return Err(OptionsError::NoSentinels),
            (Kind::Sentinel { user: Some(_), .. }, None) => {
                return Err(OptionsError::NoSentinelPassword);
            }
            _ => {}
        }
        let certificates = options.ca.as_deref().map(|pem| check_ca(pem, address.tls));
        let target = Self {
            address,
            password,
            sentinel_password: options.sentinel_password.clone(),
            certificates: certificates.transpose()?,
        };
        // Whatever the client would refuse, it refuses now, not at each try.
        match target.address.kind {
            Kind::Single => target.nodes().try_for_each(|node| node.map(drop)),
            Kind::Sentinel { .. } => target.sentinels().map(drop),
            Kind::Cluster => target.cluster().map(drop),
        }
        .map_err(|error| OptionsError::Client(Fault::Failed(error).told(target.secrets())))?;
        Ok(target)
    }

    /// The server's name for logs and errors.
    pub(super) fn public(&self) -> String {
        self.address.public()
    }

    pub(super) fn database(&self) -> u32 {
        self.address.database
    }

    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        let both = [&self.password, &self.sentinel_password];
        both.into_iter().flatten().map(ExposeSecret::expose_secret)
    }

    /// A connection for commands, and one that listens. In a cluster, words go to all nodes, so any of them serves to
    /// listen.
    pub(super) async fn connect(&self) -> Result<(Commands, PubSub), Fault> {
        match self.address.kind {
            Kind::Single => {
                let mut last = Fault::Silence("connected");
                for node in self.nodes() {
                    match connect_to(&node?).await {
                        Ok(connections) => return Ok(connections),
                        Err(fault) => last = fault,
                    }
                }
                Err(last)
            }
            Kind::Sentinel { .. } => {
                let mut sentinels = self.sentinels()?;
                let master = sentinels.async_get_client();
                let master = within("asked the Sentinels for the master", CONNECT, master).await?;
                connect_to(&master).await
            }
            Kind::Cluster => {
                let cluster = self.cluster()?;
                let connection = cluster.get_async_connection();
                let connection = within("connected to the cluster", CONNECT, connection).await?;
                let listener = self.listen_to_any().await?;
                Ok((Commands::Cluster(connection), listener))
            }
        }
    }

    /// Listens to a node of the cluster, not always the same: one may be alive and yet cut off from the others.
    async fn listen_to_any(&self) -> Result<PubSub, Fault> {
        let nodes = self.nodes().collect::<Result<Vec<_>, _>>()?;
        let count = nodes.len();
        let first = getrandom::u32().map_or(0, |random| random as usize % count.max(1));
        let mut last = Fault::Silence("looked for a node");
        for node in nodes.iter().cycle().skip(first).take(count) {
            match listen_to(node).await {
                Ok(listener) => return Ok(listener),
                Err(fault) => last = fault,
            }
        }
        Err(last)
    }

    fn nodes(&self) -> impl Iterator<Item = Result<Client, RedisError>> {
        self.infos().map(|info| match &self.certificates {
            Some(certificates) => Client::build_with_tls(info?, certificates.clone()),
            None => Client::open(info?),
        })
    }

    fn infos(&self) -> impl Iterator<Item = Result<ConnectionInfo, RedisError>> {
        self.addresses().map(|address| {
            let mut login = RedisConnectionInfo::default()
                .set_db(self.address.database.into())
                .set_lib_name("package-broker", env!("CARGO_PKG_VERSION"));
            if let Some(user) = &self.address.user {
                login = login.set_username(user);
            }
            if let Some(password) = &self.password {
                login = login.set_password(password.expose_secret());
            }
            let info = address.into_connection_info()?;
            Ok(info.set_tcp_settings(tcp()).set_redis_settings(login))
        })
    }

    fn addresses(&self) -> impl Iterator<Item = ConnectionAddr> {
        self.address.hosts.iter().cloned().map(|(host, port)| {
            if !self.address.tls {
                return ConnectionAddr::Tcp(host, port);
            }
            ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            }
        })
    }

    fn sentinels(&self) -> Result<SentinelClient, RedisError> {
        let (master, sentinel_user) = match &self.address.kind {
            Kind::Sentinel { master, user } => (master.as_str(), user.as_ref()),
            Kind::Single | Kind::Cluster => ("", None),
        };
        let kind = SentinelServerType::Master;
        let mut builder = SentinelClientBuilder::new(self.addresses(), master, kind)?
            .set_client_to_redis_db(self.address.database.into())
            .set_client_to_redis_tcp_settings(tcp());
        if let Some(user) = &self.address.user {
            builder = builder.set_client_to_redis_username(user);
        }
        if let Some(password) = &self.password {
            builder = builder.set_client_to_redis_password(password.expose_secret());
        }
        if let Some(user) = sentinel_user {
            builder = builder.set_client_to_sentinel_username(user);
        }
        if let Some(password) = &self.sentinel_password {
            builder = builder.set_client_to_sentinel_password(password.expose_secret());
        }
        if self.address.tls {
            builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
        }
        if let Some(certificates) = &self.certificates {
            builder = builder
                .set_client_to_redis_certificates(certificates.clone())
                .set_client_to_sentinel_certificates(certificates.clone());
        }
        builder.build()
    }

    fn cluster(&self) -> Result<ClusterClient, RedisError> {
        let infos = self.infos().collect::<Result<Vec<_>, _>>()?;
        let mut builder = ClusterClientBuilder::new(infos)
            .retries(2)
            .max_retry_wait(CLUSTER_RETRY_MS)
            .connection_timeout(CONNECT)
            .response_timeout(RESPONSE)
            .tcp_settings(tcp());
        if let Some(certificates) = &self.certificates {
            builder = builder.certs(certificates.clone());
        }
        builder.build()
    }
}

async fn connect_to(client: &Client) -> Result<(Commands, PubSub), Fault> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(RESPONSE))
        .set_pipeline_buffer_size(QUEUE);
    let commands = client.get_multiplexed_async_connection_with_config(&config);
    let commands = within("connected", CONNECT, commands).await?;
    Ok((Commands::One(commands), listen_to(client).await?))
}

async fn listen_to(client: &Client) -> Result<PubSub, Fault> {
    within("connected", CONNECT, client.get_async_pubsub()).await
}

async fn within<T>(
    what: &'static str,
    time: Duration,
    work: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, Fault> {
    match timeout(time, work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(Fault::Silence(what)),
    }
}

/// Small messages that somebody waits for.
fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn check_ca(pem: &str, tls: bool) -> Result<TlsCertificates, OptionsError> {
    if !tls {
        return Err(OptionsError::CaWithoutTls);
    }
    let read = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    match read {
        Err(error) => return Err(OptionsError::Ca(error.to_string())),
        Ok(found) if found.is_empty() => {
            return Err(OptionsError::Ca("there is none in it".to_owned()));
        }
        Ok(_) => {}
    }
    Ok(TlsCertificates {
        client_tls: None,
        root_cert: Some(pem.as_bytes().to_vec()),
    })
}
