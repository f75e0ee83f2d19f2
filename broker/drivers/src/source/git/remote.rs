//! The conversation with a remote: what it has, then the objects we lack.

use std::sync::Arc;

use gix::{
    bstr::ByteSlice as _,
    error::ErrorExt,
    odb::{pack, store::RefreshMode},
    protocol::{
        self, Handshake,
        fetch::{Arguments, Context, Options, RefMap, Response, Shallow, Tags, negotiate, refmap},
    },
    refspec::parse::Operation,
};
use gix_transport::Service;
use package_broker_core::{domain::selection::RefPattern, ports::source::SourceError};

use super::{
    refs::RemoteRefs,
    session::{MAX_PACK, Session},
    transport::{Access, Channel, Route, is_unreachable},
};
use crate::source::http::Permit;

/// The namespaces that are mirrored, and `HEAD` for the default branch.
const REFSPECS: [&str; 3] = [
    "+refs/heads/*:refs/heads/*",
    "+refs/tags/*:refs/tags/*",
    "HEAD",
];

/// The most bytes of one object in memory while a pack is received.
const MAX_OBJECT: usize = 1 << 30;

/// A remote that has told what it has.
pub(super) struct Remote {
    what: String,
    session: Arc<Session>,
    channel: Channel,
    handshake: Handshake,
    map: RefMap,
    /// Goes last, when the conversation is over.
    _permit: Option<Permit>,
}

impl Remote {
    /// Connects and asks for the refs that are wanted, as [`RemoteRefs::of`] has it; no object is transferred.
    ///
    /// # Errors
    /// Whatever stands in the way, in the words of [`SourceError`].
    pub(super) fn connect(
        access: &Access,
        wanted: &[RefPattern],
        session: &Arc<Session>,
    ) -> Result<(Self, RemoteRefs), SourceError> {
        let permit = access.enter(session)?;
        let mut last = None;
        for route in access.routes(session)? {
            match Self::connect_by(&route, access, wanted, session) {
                Err(error) if is_unreachable(&error) => last = Some(error),
                Err(error) => return Err(error),
                Ok((remote, refs)) => return Ok((remote.holding(permit), refs)),
            }
        }
        Err(last.unwrap_or_else(|| SourceError::Unavailable {
            what: access.address.to_string(),
            problem: "its host has no address".to_owned(),
            retry_after: None,
        }))
    }

    fn holding(self, permit: Option<Permit>) -> Self {
        Self {
            _permit: permit,
            ..self
        }
    }

    fn connect_by(
        route: &Route,
        access: &Access,
        wanted: &[RefPattern],
        session: &Arc<Session>,
    ) -> Result<(Self, RemoteRefs), SourceError> {
        let what = access.address.to_string();
        let mut channel = access.open(route, session)?;
        let (handshake, mut map) = match greet(&mut channel) {
            Ok(greeted) => greeted,
            Err(error) => return Err(explain(&what, session, channel, &error)),
        };
        // Others may need the host while we wait for our turn at the mirror.
        channel.pause();
        let refs = RemoteRefs::of(&map.remote_refs, wanted);
        if refs.left_out > 0 || !wanted.is_empty() {
            map.mappings
                .retain(|mapping| is_wanted(&mapping.remote, &refs));
        }
        Ok((
            Self {
                what,
                session: Arc::clone(session),
                channel,
                handshake,
                map,
                _permit: None,
            },
            refs,
        ))
    }

    /// Transfers what `mirror` lacks. Its refs are left as they are.
    ///
    /// # Errors
    /// As [`Remote::connect`].
    pub(super) fn fetch(mut self, mirror: &gix::Repository) -> Result<(), SourceError> {
        self.session.allow(MAX_PACK);
        match self.transfer(mirror) {
            Ok(()) => Ok(()),
            Err(error) => Err(explain(&self.what, &self.session, self.channel, &error)),
        }
    }

    fn transfer(&mut self, mirror: &gix::Repository) -> gix::error::Result<()> {
        let mut objects = mirror.clone();
        // What the remote has and we lack is asked for once per ref: do not look for new packs each time.
        objects.objects.refresh = RefreshMode::Never;
        let mut negotiation = Negotiation {
            mirror: &objects,
            graph: &mut objects.revision_graph(None),
            map: &self.map,
            negotiator: gix::negotiate::Algorithm::Consecutive.into_negotiator(),
        };
        let options = Options {
            shallow_file: mirror.git_dir().join("shallow"),
            shallow: &Shallow::NoChange,
            tags: Tags::None,
            reject_shallow_remote: true,
        };
        let transport = &mut self.channel.transport;
        let handshake = &mut self.handshake;
        let context = Context {
            handshake,
            transport,
            user_agent: agent(),
            trace_packetlines: false,
        };
        let packs = mirror.objects.store_ref().path().join("pack");
        protocol::fetch(
            &mut negotiation,
            |reader, progress, stop| {
                let known = mirror.objects.clone();
                let hash = mirror.object_hash();
                let options = pack::bundle::write::Options {
                    alloc_limit_bytes: Some(MAX_OBJECT),
                    ..Default::default()
                };
                let written = pack::Bundle::write_to_directory(
                    reader,
                    Some(&packs),
                    progress,
                    stop,
                    Some(known),
                    hash,
                    options,
                )?;
                // Nobody collects garbage here, so nothing has to be kept from it.
                written
                    .keep_path
                    .map_or(Ok(()), std::fs::remove_file)
                    .map_err(ErrorExt::raise)?;
                Ok(true)
            },
            gix::progress::Discard,
            self.session.flag(),
            context,
            options,
        )?;
        Ok(())
    }
}

fn greet(channel: &mut Channel) -> gix::error::Result<(Handshake, RefMap)> {
    // Credentials are the transport's business; nobody is asked for more.
    let nobody = |_| Ok(None);
    let mut progress = gix::progress::Discard;
    let mut handshake = protocol::handshake(
        &mut channel.transport,
        Service::UploadPack,
        nobody,
        Vec::new(),
        &mut progress,
    )?;
    let mut fetch_refspecs = Vec::with_capacity(REFSPECS.len());
    for spec in REFSPECS {
        fetch_refspecs.push(gix::refspec::parse(spec.into(), Operation::Fetch)?.to_owned());
    }
    let context = refmap::init::Context {
        fetch_refspecs,
        extra_refspecs: Vec::new(),
    };
    let map = handshake
        .prepare_lsrefs_or_extract_refmap(agent(), true, context)?
        .fetch_blocking(progress, &mut channel.transport, false)?;
    Ok((handshake, map))
}

/// Whether something that the remote has is among what is read of it.
fn is_wanted(source: &refmap::Source, refs: &RemoteRefs) -> bool {
    let name = source.as_name().and_then(|name| name.to_str().ok());
    name.is_none_or(|name| name == "HEAD" || refs.refs.contains_key(name))
}

fn agent() -> (&'static str, Option<String>) {
    (
        "agent",
        Some(concat!("package-broker/", env!("CARGO_PKG_VERSION")).into()),
    )
}

/// Finds the truest account of a failure: what the guarded client said, what the program at the other end said, or
/// the git library's own words.
fn explain(
    what: &str,
    session: &Session,
    channel: Channel,
    error: &gix::error::Error,
) -> SourceError {
    let said = channel.verdict(what);
    session.failure().or(said).unwrap_or_else(|| {
        let (what, problem) = (what.to_owned(), causes(error));
        if error.is_unsupported() {
            return SourceError::Invalid { what, problem };
        }
        SourceError::Unavailable {
            what,
            problem,
            retry_after: None,
        }
    })
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text.replace(['\n', '\r'], " ")
}

/// Finds out which objects to ask for, with git's own algorithm.
struct Negotiation<'a, 'graph, 'cache> {
    mirror: &'a gix::Repository,
    graph: &'a mut gix::negotiate::Graph<'graph, 'cache>,
    map: &'a RefMap,
    negotiator: Box<dyn gix::negotiate::Negotiator>,
}

impl protocol::fetch::Negotiate for Negotiation<'_, '_, '_> {
    fn mark_complete_and_common_ref(&mut self) -> gix::error::Result<negotiate::Action> {
        negotiate::mark_complete_and_common_ref(
            &self.mirror.objects,
            &self.mirror.refs,
            || Ok(std::iter::empty::<(gix::refs::file::Store, gix::OdbHandle)>()),
            &mut *self.negotiator,
            self.graph,
            self.map,
            &Shallow::NoChange,
            negotiate::make_refmapping_ignore_predicate(Tags::None, self.map),
        )
    }

    fn add_wants(&mut self, arguments: &mut Arguments, remote_ref_target_known: &[bool]) -> bool {
        negotiate::add_wants(
            &self.mirror.objects,
            arguments,
            self.map,
            remote_ref_target_known,
            &Shallow::NoChange,
            negotiate::make_refmapping_ignore_predicate(Tags::None, self.map),
        )
    }

    fn one_round(
        &mut self,
        state: &mut negotiate::one_round::State,
        arguments: &mut Arguments,
        previous: Option<&Response>,
    ) -> gix::error::Result<(negotiate::Round, bool)> {
        negotiate::one_round(
            &mut *self.negotiator,
            self.graph,
            state,
            arguments,
            previous,
        )
    }
}
