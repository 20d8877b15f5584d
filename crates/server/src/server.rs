//! Puts the stages together, runs them, and takes them down in order.
//!
//! Up: listener, data folder, directory, delivery, intake and API. Down: no new connections, requests in flight finish,
//! no new attempts, attempts in flight are recorded, refusals are logged, the store closes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use agentflow_events::Moment;
use tokio::net::TcpListener;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::api;
use crate::clock::{Clock, Step, Steps};
use crate::config::Config;
use crate::dashboard::{self, Dashboard};
use crate::deliver::{Deliver, DeliverError};
use crate::directory::{Directory, DirectoryError};
use crate::edge::{self, Edge};
use crate::intake::{Dispatch, Intake};
use crate::management::Management;
use crate::qualify::rules::Rules;
use crate::review::Review;
use crate::setup::{self, FirstStart, SetupError};
use crate::store::Store;
use crate::telemetry::Metrics;

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("listen: cannot listen on {address}: {fault}{}", what_to_do(fault))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        fault: io::Error,
    },
    /// The data folder.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Workspaces and credentials.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// Delivery.
    #[error("delivery: {0}")]
    Deliver(#[from] DeliverError),
}

fn what_to_do(fault: &io::Error) -> &'static str {
    match fault.kind() {
        io::ErrorKind::AddrInUse => "; stop what listens there, or name another address with --listen",
        io::ErrorKind::AddrNotAvailable => "; name an address that this machine has with --listen",
        io::ErrorKind::PermissionDenied => {
            "; name a port from 1024 on with --listen, or allow this one (CAP_NET_BIND_SERVICE)"
        }
        _ => "",
    }
}

/// Why a running server ended by itself: its store can no longer be trusted to write.
#[derive(Debug, thiserror::Error)]
#[error("the store has failed: {0}")]
pub struct StoreFailed(pub String);

/// A server that listens; nothing is answered until it [runs](Self::run).
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    base_url: String,
    untold: Option<FirstStart>,
    edge: Edge,
    router: axum::Router,
    store: Arc<dyn Store>,
    directory: Arc<Directory>,
    intake: Arc<Intake>,
    dashboard: Arc<Dashboard>,
    deliver: Arc<Deliver>,
    clock: Clock,
}

impl Server {
    /// How often the store is tended.
    const UPKEEP_EVERY: Duration = Duration::from_secs(60);
    /// How long rows of refused requests are kept.
    const REJECTED_LOG_KEPT: Duration = Duration::from_secs(7 * 86_400);

    /// Takes the address, opens the data folder (makes it, the first time) and starts to deliver what is due.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: Config, clock: Clock) -> Result<Self, StartError> {
        let fault = |fault| StartError::Listen { address: config.listen, fault };
        let listener = TcpListener::bind(config.listen).await.map_err(fault)?;
        let local_addr = listener.local_addr().map_err(fault)?;
        let base_url = setup::base_url(&config, local_addr.port());
        let home = setup::open(&config, &base_url, &clock).await?;
        let own_certificate =
            setup::is_self_signed(&config).then(|| setup::absolute(home.tls.certificate_path()));

        let (store, vault) = (home.store, home.vault);
        let metrics = Arc::new(Metrics::new());
        let directory = Arc::new(Directory::open(Arc::clone(&store), Arc::clone(&vault), clock.now()).await?);
        let deliver = Deliver::start(
            Arc::clone(&store),
            Arc::clone(&directory),
            &config.delivery,
            clock.clone(),
            Arc::clone(&metrics),
        )?;
        let dispatch: Arc<dyn Dispatch> = Arc::clone(&deliver) as Arc<dyn Dispatch>;
        let intake = Arc::new(Intake::new(
            Arc::clone(&store),
            Arc::new(Rules),
            Arc::clone(&dispatch),
            clock.clone(),
            Arc::clone(&metrics),
            config.limits.requests_per_second,
        ));
        let review = Arc::new(Review::new(Arc::clone(&store), dispatch, clock.clone(), Arc::clone(&metrics)));
        let inbound = edge::inbound::router(
            Arc::clone(&intake),
            Arc::clone(&directory),
            &config.limits,
            Arc::clone(&metrics),
        );
        let management = Management::new(&store, &directory, &deliver, &vault, &clock);
        let dashboard = Dashboard::new(dashboard::Parts {
            store: Arc::clone(&store),
            directory: Arc::clone(&directory),
            deliver: Arc::clone(&deliver),
            review: Arc::clone(&review),
            management: Arc::clone(&management),
            clock: clock.clone(),
            base_url: base_url.clone(),
            own_certificate,
        });
        let app = api::App::new(api::Parts {
            store: Arc::clone(&store),
            directory: Arc::clone(&directory),
            deliver: Arc::clone(&deliver),
            review,
            management,
            clock: clock.clone(),
            metrics: Arc::clone(&metrics),
            base_url: base_url.clone(),
        });
        let router = api::router(app).merge(inbound).merge(dashboard::router(Arc::clone(&dashboard)));
        let edge = Edge { limits: config.limits, tls: home.tls, metrics };
        Ok(Self {
            listener,
            local_addr,
            base_url,
            untold: home.untold,
            edge,
            router,
            store,
            directory,
            intake,
            dashboard,
            deliver,
            clock,
        })
    }

    /// Where the server listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where senders reach it.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// What the data folder's owner has not been told yet; see [`FirstStart::told`].
    pub fn untold(&self) -> Option<&FirstStart> {
        self.untold.as_ref()
    }

    /// The dashboard, whose held decisions whoever ends the process early should let [settle](Dashboard::settle) first.
    pub fn dashboard(&self) -> Arc<Dashboard> {
        Arc::clone(&self.dashboard)
    }

    /// Serves until `shutdown`, then drains.
    ///
    /// # Errors
    /// The store failed; everything was stopped at once, and nothing was acknowledged that is not stored.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), StoreFailed> {
        let Self { listener, edge, router, store, directory, intake, dashboard, deliver, clock, .. } = self;
        let closing = tokio::spawn({
            let (shutdown, dashboard) = (shutdown.clone(), Arc::clone(&dashboard));
            async move {
                shutdown.cancelled().await;
                dashboard.close();
            }
        });
        let upkeep = tokio::spawn(upkeep(Arc::clone(&store), Arc::clone(&directory), clock));
        let served = tokio::select! {
            () = edge.serve(listener, router, shutdown) => Ok(()),
            why = store.failed() => Err(StoreFailed(why)),
        };
        upkeep.abort();
        // Aborted in the midst of an upkeep step, which is a transaction of the store's own; it has ended by now or never runs.
        upkeep.await.ok();
        closing.abort();
        dashboard.close();
        dashboard.settle().await;
        deliver.stop().await;
        intake.settle().await;
        tell_uses(&directory).await;
        store.close().await;
        served
    }
}

async fn mend_due_times(store: &dyn Store, now: Moment) {
    match store.mend_due_times(now).await {
        Ok(0) => {}
        Ok(deliveries) => {
            tracing::warn!(
                deliveries,
                "a clock was ahead: retries due later than any schedule asks for are due now"
            );
        }
        Err(error) => tracing::warn!(%error, "the due times could not be looked through"),
    }
}

/// Tends the store in small steps, so that nothing else waits long for one.
async fn upkeep(store: Arc<dyn Store>, directory: Arc<Directory>, clock: Clock) {
    let mut ticks = interval(Server::UPKEEP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut steps, begun) = (Steps::new(), Instant::now());
    // A clock may have been ahead before this start; while the server runs, the delivery stage sees to it.
    mend_due_times(&*store, clock.now()).await;
    loop {
        ticks.tick().await;
        tell_uses(&directory).await;
        match steps.look(clock.now(), begun.elapsed()) {
            Some(Step::Forward(by)) => tracing::warn!(
                seconds = by.as_secs(),
                "the system's clock was set forward, or the machine slept: what is old by it is kept for another day"
            ),
            Some(Step::Back(by)) => tracing::warn!(
                seconds = by.as_secs(),
                "the system's clock was set back: retries that were due wait for at most as long as their schedule says"
            ),
            None => {}
        }
        loop {
            let now = steps.trusted(clock.now());
            match store.upkeep(now, Server::REJECTED_LOG_KEPT).await {
                Ok(true) => tokio::task::yield_now().await,
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(%error, "the store could not be tended; trying again in a minute");
                    break;
                }
            }
        }
    }
}

async fn tell_uses(directory: &Directory) {
    if let Err(error) = directory.tell_uses().await {
        tracing::warn!(%error, "the uses of secrets and tokens could not be stored; they are kept until they can be");
    }
}
