//! The operator put together: watches, controllers, probes.

use std::{
    future::{Future, pending},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use futures::{StreamExt, stream};
use kube::{
    Client, ResourceExt,
    runtime::{
        Controller,
        controller::{self, Action},
        reflector::Store,
    },
};
use package_broker_crds::{AccessToken, PackageBroker, Repository};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    access_token,
    args::{Args, Leader},
    context::{Context, UnreadableKinds},
    error::ReconcileError,
    metrics::Metrics,
    package_broker, probes, repository,
    runtime::{
        apply::{Applier, MANAGER},
        events::Events,
        health::Health,
        leader::{Candidate, Place, Timing},
        live::Answers,
        watches::{Trigger, Wanted, Watchable},
    },
    syncs,
    triggers::{Triggers, Watches},
};

/// Reconciles of one kind at once. Brokers have many objects, tokens few.
const BROKERS_AT_ONCE: u16 = 4;
const REPOSITORIES_AT_ONCE: u16 = 16;
const TOKENS_AT_ONCE: u16 = 32;
/// What the work on brokers themselves is called.
const BROKERS: &str = "PackageBroker";
/// How long reconciles may take to end. The Lease is not renewed meanwhile, and must outlast it.
const DRAIN: Duration = Duration::from_secs(8);

/// How a turn ended.
enum Ended {
    /// We were told to end.
    Told,
    /// Another operator leads, or may do so.
    LedByAnother,
}

/// Runs until SIGTERM or SIGINT, then lets reconciles end. Of several, one works; the others watch, to take over at once.
/// One that cannot be sure to lead any more, as after an outage of the API server, begins anew: what it remembers may have
/// been changed by another.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let client = Client::try_default()
        .await
        .context("there is no cluster to talk to: start this in a pod, or set KUBECONFIG")?;
    let metrics = Arc::new(Metrics::new());
    let mut signals = Signals::new()?;
    let mut candidate = candidate(&args.leader, client.clone())?;
    loop {
        let mut tasks = JoinSet::new();
        let turn = turn(
            &args,
            &client,
            &metrics,
            &mut candidate,
            &mut signals,
            &mut tasks,
        );
        let ended = turn.await;
        tasks.shutdown().await;
        match ended? {
            Ended::Told => return Ok(()),
            Ended::LedByAnother => {
                metrics.leads(false);
                tracing::warn!("another operator leads, or may do so; beginning anew");
            }
        }
    }
}

/// Watches, leads and works, until one of these ends. `tasks` are what goes on beside it.
async fn turn(
    args: &Args,
    client: &Client,
    metrics: &Arc<Metrics>,
    candidate: &mut Option<Candidate>,
    signals: &mut Signals,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<Ended> {
    let health = Health::new(Duration::from_secs(args.stuck_seconds));
    let stop = CancellationToken::new();
    let mut assembled = Vec::new();
    for scope in scopes(&args.namespaces) {
        let watches = Watches::new(client.clone(), scope, &health, tasks);
        assembled.push(assemble(args, client.clone(), watches, metrics)?);
    }
    let kinds = assembled
        .iter()
        .map(|(context, _)| context.kinds())
        .collect();
    let probing = probes::serve(args.listen, health, Arc::clone(metrics), kinds).await?;
    tasks.spawn(probing);
    let prepared = async {
        // What is not seen yet must not count as gone.
        for (context, _) in &assembled {
            context.complete().await;
        }
        if let Some(candidate) = candidate {
            candidate.lead().await;
        }
    };
    tokio::select! {
        () = prepared => metrics.leads(true),
        () = signals.next() => return Ok(Ended::Told),
    }
    let mut controllers = JoinSet::new();
    for (context, work) in assembled {
        start(&mut controllers, &context, work, &stop);
    }
    tracing::info!("looking after Package Broker installations");
    let lost = async {
        match candidate {
            Some(candidate) => candidate.hold().await,
            None => pending().await,
        }
    };
    tokio::select! {
        () = signals.next() => {}
        () = lost => {
            // At once, with whatever is under way: another may be at it already.
            controllers.shutdown().await;
            return Ok(Ended::LedByAnother);
        }
    }
    tracing::info!("shutting down");
    stop.cancel();
    let drained = async { while controllers.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        tracing::warn!("some reconciles were cut off; whoever leads next goes on with them");
        controllers.abort_all();
    }
    if let Some(candidate) = candidate {
        candidate.release().await;
    }
    Ok(Ended::Told)
}

/// Who would lead; nothing if nobody is asked.
fn candidate(args: &Leader, client: Client) -> anyhow::Result<Option<Candidate>> {
    if !args.enabled {
        return Ok(None);
    }
    let timing = Timing {
        lease: Duration::from_secs(args.lease_seconds),
        renew: Duration::from_secs(args.renew_seconds),
        retry: Duration::from_secs(args.retry_seconds),
    };
    if timing.renew >= timing.lease || timing.retry >= timing.renew || timing.retry.is_zero() {
        bail!(
            "the times of leader election do not fit: --retry-seconds is less than --renew-seconds, and that less than --lease-seconds"
        );
    }
    let someone = || format!("process-{}", std::process::id());
    let place = Place {
        namespace: args.lease_namespace.clone(),
        name: args.lease_name.clone(),
        identity: args.identity.clone().unwrap_or_else(someone),
    };
    Ok(Some(Candidate::new(client, place, timing)))
}

/// What is looked after: all namespaces, or each of these by itself.
fn scopes(namespaces: &[String]) -> Vec<Option<String>> {
    match namespaces {
        [] => vec![None],
        some => some.iter().cloned().map(Some).collect(),
    }
}

/// Starts the controllers of all kinds.
fn start(
    controllers: &mut JoinSet<()>,
    context: &Arc<Context>,
    work: Work,
    stop: &CancellationToken,
) {
    let at = |concurrency| (concurrency, stop.clone());
    controllers.spawn(control(
        BROKERS,
        work.brokers,
        context.brokers.clone(),
        at(BROKERS_AT_ONCE),
        context,
        package_broker::reconcile,
    ));
    controllers.spawn(control(
        syncs::WORK,
        work.syncs,
        context.brokers.clone(),
        at(BROKERS_AT_ONCE),
        context,
        syncs::reconcile,
    ));
    controllers.spawn(control(
        "Repository",
        work.repositories,
        context.repositories.clone(),
        at(REPOSITORIES_AT_ONCE),
        context,
        repository::reconcile,
    ));
    controllers.spawn(control(
        "AccessToken",
        work.tokens,
        context.tokens.clone(),
        at(TOKENS_AT_ONCE),
        context,
        access_token::reconcile,
    ));
}

/// Objects that are to be looked at, by kind.
struct Work {
    brokers: Wanted<PackageBroker>,
    repositories: Wanted<Repository>,
    tokens: Wanted<AccessToken>,
    /// Brokers whose syncs are to be looked at.
    syncs: Wanted<PackageBroker>,
}

/// Starts all watches, and puts together what reconciles need.
fn assemble(
    args: &Args,
    client: Client,
    watches: Watches<'_>,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<(Arc<Context>, Work)> {
    let (broker, brokers) = Trigger::new();
    let (look_at_repository, repositories) = Trigger::new();
    let (look_at_token, tokens) = Trigger::new();
    let (look_at_syncs, syncs) = Trigger::new();
    let triggers = Triggers::new(
        broker,
        look_at_repository.clone(),
        look_at_token.clone(),
        look_at_syncs.clone(),
    );
    let unreadable = UnreadableKinds::default();
    let (stores, children) = triggers.watch_all(watches, &unreadable);
    let asking = reqwest::Client::builder()
        .no_proxy()
        .build()
        .context("no HTTP client")?;
    let context = Context {
        metrics: Arc::clone(metrics),
        images: args.images.clone(),
        brokers: stores.0,
        repositories: stores.1,
        tokens: stores.2,
        children,
        answers: Answers::new(asking),
        status_url: args.status_url.clone(),
        hurried: crate::runtime::once::Once::default(),
        applier: Applier::new(client.clone()),
        events: Events::new(client.clone(), MANAGER),
        backoffs: crate::runtime::requeue::Backoffs::default(),
        written: crate::runtime::written::Written::default(),
        look_at_repository,
        look_at_token,
        look_at_syncs,
        token_looks: access_token::settled::Settlements::default(),
        looks: access_token::looks::Looks::default(),
        holds: access_token::held::Holds::default(),
        pace: package_broker::pace::Pace::default(),
        settled: package_broker::settled::Settlements::default(),
        attempts: package_broker::migration::Attempts::default(),
        databases: crate::database::Databases::default(),
        syncs: crate::syncs::Syncs::default(),
        unreadable,
        client,
    };
    let work = Work {
        brokers,
        repositories,
        tokens,
        syncs,
    };
    Ok((Arc::new(context), work))
}

/// Looks at objects of one kind as they are wanted, until told to stop; what runs then ends first.
fn control<K, F>(
    kind: &'static str,
    wanted: Wanted<K>,
    store: Store<K>,
    (concurrency, stop): (u16, CancellationToken),
    context: &Arc<Context>,
    reconcile: fn(Arc<K>, Arc<Context>) -> F,
) -> impl Future<Output = ()> + Send + 'static
where
    K: Watchable + Unpin,
    F: Future<Output = Result<Action, ReconcileError>> + Send + 'static,
{
    // Whatever watches tell comes through `wanted`: an error of theirs never gets here.
    let controller = Controller::for_stream(stream::pending(), store)
        .reconcile_on(wanted.stream())
        .with_config(controller::Config::default().concurrency(concurrency))
        .graceful_shutdown_on(async move { stop.cancelled().await });
    let context = Arc::clone(context);
    async move {
        let failed = |object: Arc<K>, error: &ReconcileError, context: Arc<Context>| {
            let (name, namespace) = (object.name_any(), object.namespace());
            tracing::warn!(kind, name, namespace, %error, "a reconcile failed; it is tried again");
            context.backoffs.failed_at(kind, object.as_ref())
        };
        let counted = move |object, context: Arc<Context>| async move {
            let (began, metrics) = (Instant::now(), Arc::clone(&context.metrics));
            let done = reconcile(object, context).await;
            metrics.reconciled(kind, done.is_ok(), began.elapsed());
            done
        };
        let done = controller.run(counted, failed, Arc::clone(&context));
        done.for_each(|done| {
            // Most are gone before they are seen to go: nothing holds them up.
            if let Err(controller::Error::ObjectNotFound(gone)) = done
                && kind == BROKERS
            {
                context.forget(gone.namespace.as_deref().unwrap_or_default(), &gone.name);
            }
            std::future::ready(())
        })
        .await;
    }
}

/// The signals that ask the process to end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
