//! The operators' dashboard: pages rendered here, over the same stages as the management API.
//!
//! Every page works without script: filters are GET forms, changes are POSTs that redirect to a page. `dashboard.js` beside
//! this file only makes it quicker (keys, partial updates, live tail). Every request passes: session, role, and for changes
//! origin and token (see [`access`]); every reply carries the policy of [`page`].

mod access;
mod account;
mod agents;
mod assets;
mod audit;
mod chart;
mod delivery;
mod destinations;
mod elements;
mod factor;
mod fault;
mod fields;
mod forms;
mod halfway;
mod holds;
mod inbound;
mod json;
mod lead;
mod leads;
mod login;
mod once;
mod outbound;
mod overview;
mod page;
mod people;
mod presence;
mod proof;
mod qr;
mod review;
mod secrets;
mod settings;
mod shares;
mod start;
mod throttle;

use std::path::PathBuf;
use std::sync::Arc;

use agentflow_events::OperatorId;
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::routing::{MethodRouter, any, get, post};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::deliver::Deliver;
use crate::directory::Directory;
use crate::edge::{BodyBudget, finish_changes};
use crate::management::Management;
use crate::review::Review;
use crate::store::Store;
use forms::EarlyBodies;
use halfway::Halfway;
use holds::Holds;
use once::Once;
use presence::Presence;
use shares::Shares;
use throttle::Throttle;

/// What a [`Dashboard`] is made of.
pub struct Parts {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Settings of workspaces.
    pub directory: Arc<Directory>,
    /// Told of changes; sends again.
    pub deliver: Arc<Deliver>,
    /// Takes decisions.
    pub review: Arc<Review>,
    /// Manages people, secrets, destinations and settings.
    pub management: Arc<Management>,
    /// Time.
    pub clock: Clock,
    /// Where browsers reach the server, without a slash at the end.
    pub base_url: String,
    /// The certificate that the server made for itself, which senders must be told to trust.
    pub own_certificate: Option<PathBuf>,
}

/// Everything that the pages speak for.
pub struct Dashboard {
    store: Arc<dyn Store>,
    directory: Arc<Directory>,
    deliver: Arc<Deliver>,
    management: Arc<Management>,
    clock: Clock,
    base_url: String,
    own_certificate: Option<PathBuf>,
    bodies: Arc<BodyBudget>,
    early_bodies: EarlyBodies,
    holds: Arc<Holds>,
    once: Once,
    presence: Presence,
    throttle: Throttle,
    halfway: Halfway,
    /// Live tails that are open.
    tails: Arc<Semaphore>,
    tails_by_operator: Shares<OperatorId>,
    /// Audit rows that are written after the reply.
    notes: TaskTracker,
    closing: CancellationToken,
}

impl Dashboard {
    /// Bytes of a posted form.
    const FORM_BYTES_MAX: usize = 256 * 1024;
    /// Bytes of all forms that are on their way.
    const FORMS_BYTES_MAX: usize = 8 * 1024 * 1024;
    const TAILS_MAX: usize = 64;
    /// Of an operator among them.
    const OPERATOR_TAILS_MAX: usize = 4;

    /// The dashboard over these parts.
    pub fn new(parts: Parts) -> Arc<Self> {
        let Parts { store, directory, deliver, review, management, clock, base_url, own_certificate } = parts;
        let closing = CancellationToken::new();
        Arc::new(Self {
            holds: Holds::new(Arc::clone(&store), review, clock.clone(), closing.clone()),
            store,
            directory,
            deliver,
            management,
            clock,
            base_url,
            own_certificate,
            bodies: BodyBudget::new(Self::FORMS_BYTES_MAX),
            early_bodies: EarlyBodies::new(),
            once: Once::default(),
            presence: Presence::default(),
            throttle: Throttle::default(),
            halfway: Halfway::default(),
            tails: Arc::new(Semaphore::new(Self::TAILS_MAX)),
            tails_by_operator: Shares::new(Self::OPERATOR_TAILS_MAX),
            notes: TaskTracker::new(),
            closing,
        })
    }

    /// Ends live tails, so that nothing holds up a drain. Decisions in their five seconds are taken now.
    pub fn close(&self) {
        self.closing.cancel();
    }

    /// Returns once no decision is held any more and nothing is left to be noted; after [`close`](Self::close).
    pub async fn settle(&self) {
        self.holds.settle().await;
        self.notes.close();
        self.notes.wait().await;
    }
}

type Routes = Vec<(&'static str, MethodRouter<Arc<Dashboard>>)>;

fn routes() -> Routes {
    vec![
        ("/dashboard", get(login::home)),
        ("/dashboard/", get(login::home_without_slash)),
        ("/dashboard/login", get(login::form).post(login::sign_in)),
        ("/dashboard/login/code", get(factor::code_form).post(factor::sign_in_with_code)),
        ("/dashboard/logout", post(login::sign_out)),
        ("/dashboard/assets/{name}", get(assets::serve)),
        ("/dashboard/overview", get(overview::page)),
        ("/dashboard/review", get(review::page)),
        ("/dashboard/review/news", get(review::news)),
        ("/dashboard/review/decide", post(review::decide)),
        ("/dashboard/review/undo", post(review::undo)),
        ("/dashboard/review/{id}/presence", get(presence::poll)),
        ("/dashboard/leads", get(leads::list)),
        ("/dashboard/leads.csv", get(leads::csv)),
        ("/dashboard/leads/{id}", get(leads::one)),
        ("/dashboard/inbound", get(inbound::list)),
        ("/dashboard/inbound/live", get(inbound::live)),
        ("/dashboard/outbound", get(outbound::list)),
        ("/dashboard/outbound/resend", post(outbound::resend_matching)),
        ("/dashboard/outbound/cancel", post(outbound::cancel_matching)),
        ("/dashboard/outbound/{id}", get(delivery::one)),
        ("/dashboard/outbound/{id}/resend", post(delivery::resend_one)),
        ("/dashboard/outbound/{id}/cancel", post(delivery::cancel)),
        ("/dashboard/destinations", get(destinations::list).post(destinations::create)),
        ("/dashboard/destinations/{id}", get(destinations::one).post(destinations::change)),
        ("/dashboard/destinations/{id}/delete", post(destinations::delete)),
        ("/dashboard/destinations/{id}/{what}", post(destinations::act)),
        ("/dashboard/settings", get(settings::decisions).post(settings::save_thresholds)),
        ("/dashboard/settings/delivery", post(settings::save_delivery)),
        ("/dashboard/settings/scoring", get(settings::scoring).post(settings::save_scoring)),
        ("/dashboard/settings/inbound", get(secrets::inbound)),
        ("/dashboard/settings/outbound", get(secrets::outbound)),
        ("/dashboard/settings/inbound/endpoint", post(secrets::rotate_endpoint)),
        ("/dashboard/settings/secrets/{direction}/reveal", post(secrets::reveal)),
        ("/dashboard/settings/secrets/{direction}/rotate", post(secrets::rotate)),
        ("/dashboard/settings/secrets/{direction}/{secret}/drop", post(secrets::drop_secret)),
        ("/dashboard/settings/operators", get(people::operators).post(people::invite)),
        ("/dashboard/settings/operators/{id}", post(people::change_role)),
        ("/dashboard/settings/operators/{id}/invite", post(people::invite_again)),
        ("/dashboard/settings/operators/{id}/delete", post(people::delete_operator)),
        ("/dashboard/settings/operators/{id}/factor", post(factor::reset)),
        ("/dashboard/settings/tokens", get(people::tokens).post(people::create_token)),
        ("/dashboard/settings/tokens/{id}/delete", post(people::delete_token)),
        ("/dashboard/audit", get(audit::list)),
        ("/dashboard/account", get(account::show)),
        ("/dashboard/account/password", post(account::change_password)),
        ("/dashboard/account/factor", post(factor::begin)),
        ("/dashboard/account/factor/confirm", post(factor::confirm)),
        ("/dashboard/account/factor/off", post(factor::switch_off)),
        ("/dashboard/account/sessions", post(account::end_session)),
        ("/dashboard/invitation/{token}", get(account::invitation).post(account::accept_invitation)),
        ("/dashboard/{*rest}", any(fault::no_page)),
    ]
}

/// The dashboard's routes.
pub fn router(dashboard: Arc<Dashboard>) -> Router {
    let mut router = Router::new();
    for (path, methods) in routes() {
        router = router.route(path, methods);
    }
    router
        .method_not_allowed_fallback(fault::no_method)
        .layer(from_fn_with_state(Arc::clone(&dashboard), fault::frame))
        .layer(map_response(page::protect))
        .layer(from_fn(finish_changes))
        .with_state(dashboard)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::routes;

    #[test]
    fn every_route_is_in_the_table_by_which_roles_are_tested() {
        let table = include_str!("../../tests/api/dashboard_routes.tsv");
        let tested: BTreeSet<&str> = table.lines().filter_map(|line| line.split('\t').nth(1)).collect();
        let served: BTreeSet<&str> = routes().iter().map(|(path, _)| *path).collect();
        assert_eq!(tested, served);
    }
}
