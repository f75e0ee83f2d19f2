//! What is recorded of a request: the one place where answers become records of the audit log.

use std::{net::IpAddr, sync::Arc};

use axum::http::StatusCode;
use package_broker_core::{
    domain::{
        audit::{Action, Actor, Event, Outcome},
        names::RepositoryName,
    },
    services::{audit::AuditService, catalog::Entry, token::Grant},
};

use super::{api::Api, route::Route};

/// What a request turned out to be about. Filled in while it is handled, as far as that gets.
#[derive(Default)]
pub(super) struct Access {
    /// Of the token it came with.
    pub(super) grant: Option<Arc<Grant>>,
    /// The package it names.
    pub(super) package: Option<String>,
    /// The version it names.
    pub(super) version: Option<String>,
    /// The repository that the archive it was given is of.
    pub(super) repository: Option<RepositoryName>,
    /// What the package file it was given is of.
    pub(super) entry: Option<Arc<Entry>>,
    /// Of the user it came with.
    pub(super) user: Option<String>,
    /// The repository that its call has synced.
    pub(super) webhook: Option<RepositoryName>,
    /// It was given an empty list in place of "not found".
    pub(super) empty: bool,
}

impl Access {
    /// Records the answer to a request, if it was for packages: paths that are no route and methods that a route does
    /// not have show nothing.
    pub(super) fn record(
        &self,
        log: &AuditService,
        client: IpAddr,
        route: Option<Route<'_>>,
        status: StatusCode,
    ) {
        let (Some(route), Some(outcome)) = (route, self.outcome(status)) else {
            return;
        };
        if let Some(repository) = &self.webhook {
            log.note(&Event {
                address: Some(client),
                subject: Some(repository.as_str()),
                repository: Some(repository.as_str()),
                ..Event::new(Actor::Webhook, Action::SyncRequested)
            });
            return;
        }
        if let Some(user) = &self.user {
            log.note(&Event {
                address: Some(client),
                outcome,
                ..Event::new(Actor::User(user), action(route))
            });
            return;
        }
        let Some(grant) = &self.grant else {
            if outcome == Outcome::Refused {
                log.note(&Event {
                    address: Some(client),
                    outcome,
                    ..Event::new(Actor::Anonymous, Action::AccessRefused)
                });
            }
            return;
        };
        let owner = self.entry.as_ref().map(|entry| &entry.published.owner);
        log.note(&Event {
            address: Some(client),
            subject: self.package.as_deref(),
            version: self.version.as_deref(),
            repository: self
                .repository
                .as_ref()
                .or(owner)
                .map(RepositoryName::as_str),
            outcome,
            ..Event::new(Actor::Token(&grant.token), action(route))
        });
    }

    fn outcome(&self, status: StatusCode) -> Option<Outcome> {
        Some(match status {
            StatusCode::NOT_MODIFIED => Outcome::Unchanged,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => {
                Outcome::Refused
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => Outcome::Absent,
            StatusCode::METHOD_NOT_ALLOWED => return None,
            StatusCode::FAILED_DEPENDENCY => Outcome::Failed,
            status if status.is_client_error() => Outcome::Invalid,
            status if status.is_server_error() => Outcome::Failed,
            _ if self.empty => Outcome::Empty,
            _ => Outcome::Ok,
        })
    }
}

fn action(route: Route<'_>) -> Action {
    match route {
        Route::Root => Action::RootRead,
        Route::Package { .. } => Action::PackageRead,
        Route::Dist { .. } => Action::ArchiveRead,
        Route::List => Action::ListRead,
        Route::Search => Action::Search,
        Route::NotifyBatch => Action::InstallNotified,
        Route::Webhook { .. } => Action::SyncRequested,
        Route::Api(Api::Status) => Action::StatusRead,
        Route::Api(Api::Audit) => Action::AuditRead,
    }
}
