//! Serving: listeners and a shutdown in, and back when every request is done.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use begat_schemas::Device;
use futures::future::try_join;
use tokio_util::sync::CancellationToken;

use super::access::Access;
use super::endpoint::EndpointFile;
use super::listen::{ListenError, Listeners, bind_socket, bind_tcp};
use super::peer::Peer;
use super::token::{Token, TokenError};
use super::{App, router};
use crate::config::Config;
use crate::engine::Engine;
use crate::generate::{FindPlace, Generator, GeneratorOptions, Place};
use crate::inbox::{self, Inbox, InboxError};

/// How long requests in progress may take after the daemon was told to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// How long the program that generates stays when nobody asks it anything.
const GENERATOR_IDLE: Duration = Duration::from_secs(60);

/// Why the daemon cannot serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// It cannot listen.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// It has no token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// It cannot watch an inbox.
    #[error(transparent)]
    Inbox(#[from] InboxError),
    /// It cannot say where it is.
    #[error("cannot write `endpoint.json` in `{folder}`: {source}", folder = folder.display())]
    Endpoint {
        /// The data folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Accepting connections failed.
    #[error("cannot accept connections: {0}")]
    Accept(io::Error),
}

/// Serves the API where the config says, watches its inboxes, and returns when `shutdown` has resolved and open requests
/// are done, at latest some seconds later.
pub async fn serve(
    engine: Engine,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let config = engine.config();
    let token = Token::load_or_create(&config.token)?;
    let listeners = listen(config).await?;
    let generator = Generator::new(GeneratorOptions {
        program: config.stage_program.clone(),
        threads: config.threads,
        idle: GENERATOR_IDLE,
        find_place: find_place(&engine),
    });
    let watchers = inbox::start(inboxes(config), &engine)?;
    let (data, socket) = (config.data.clone(), config.socket.clone());
    let endpoint =
        EndpointFile::write(&data, &socket, listeners.tcp_address()).map_err(|source| {
            ServeError::Endpoint {
                folder: data,
                source,
            }
        })?;
    tracing::info!(socket = %socket.display(), tcp = ?listeners.tcp_address(), "ready");
    let parts = Parts {
        engine,
        generator: generator.clone(),
        token,
    };
    let served = serve_on(listeners, parts, shutdown).await;
    drop(endpoint);
    let _ = std::fs::remove_file(&socket);
    drop(watchers);
    generator.stop().await;
    served
}

/// Listens where the config says. The port comes first: it is the one that may be in use.
async fn listen(config: &Config) -> Result<Listeners, ListenError> {
    let tcp = match config.listen {
        Some(address) => Some(bind_tcp(address).await?),
        None => None,
    };
    let socket = Some(bind_socket(&config.socket)?);
    Ok(Listeners { socket, tcp })
}

fn inboxes(config: &Config) -> Vec<Inbox> {
    let inboxes = config.inbox.iter().map(|folder| Inbox {
        name: folder.name.clone(),
        folder: folder.path.clone(),
        settle: folder.settle,
    });
    inboxes.collect()
}

/// A free GPU for the program that generates; where there is none it takes the processor, whose slots are for stages.
fn find_place(engine: &Engine) -> FindPlace {
    let engine = engine.clone();
    Box::new(move || {
        let engine = engine.clone();
        Box::pin(async move {
            let gpu = Device::new("cuda").filter(|_| !engine.config().slots.cuda.is_empty());
            let slot = match gpu {
                Some(gpu) => engine.take_slot(&gpu).await,
                None => None,
            };
            match slot {
                Some((device, lease)) => Place {
                    device,
                    lease: Some(Box::new(lease)),
                },
                None => Place {
                    device: Device::cpu(),
                    lease: None,
                },
            }
        })
    })
}

/// What the API is made of.
pub(super) struct Parts {
    pub(super) engine: Engine,
    pub(super) generator: Arc<Generator>,
    pub(super) token: Token,
}

/// Serves the API on these listeners.
pub(super) async fn serve_on(
    listeners: Listeners,
    parts: Parts,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let stopping = CancellationToken::new();
    let access = Arc::new(Access::new(parts.token, listeners.tcp_address()));
    let app = App {
        engine: parts.engine,
        generator: parts.generator,
        tcp: listeners.tcp_address(),
        stopping: stopping.clone(),
    };
    let router = router(app, access);
    let stop = stopping.clone();
    tokio::spawn(async move {
        shutdown.await;
        stop.cancel();
    });
    let patience = async {
        stopping.cancelled().await;
        tokio::time::sleep(STOP_PATIENCE).await;
    };
    tokio::select! {
        served = accept(listeners, router, &stopping) => served.map_err(ServeError::Accept),
        () = patience => {
            tracing::warn!("requests were still open {} s after the stop; they are cut off", STOP_PATIENCE.as_secs());
            Ok(())
        }
    }
}

async fn accept(
    listeners: Listeners,
    router: Router,
    stopping: &CancellationToken,
) -> io::Result<()> {
    let service = router.into_make_service_with_connect_info::<Peer>();
    let stopped = || stopping.clone().cancelled_owned();
    let socket = async {
        match listeners.socket {
            Some(listener) => {
                axum::serve(listener, service.clone())
                    .with_graceful_shutdown(stopped())
                    .await
            }
            None => Ok(()),
        }
    };
    let tcp = async {
        match listeners.tcp {
            Some(listener) => {
                axum::serve(listener, service.clone())
                    .with_graceful_shutdown(stopped())
                    .await
            }
            None => Ok(()),
        }
    };
    try_join(socket, tcp).await.map(|_| ())
}

impl Listeners {
    /// The port that is listened on.
    fn tcp_address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref()?.local_addr().ok()
    }
}
