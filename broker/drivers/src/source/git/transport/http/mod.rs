//! The git library's HTTP, carried out by the guarded client.
//!
//! Every request, redirect, DNS answer and credential of a fetch passes the same guard as all other traffic. The
//! library knows no credentials at all.

mod exchange;

use std::{cell::RefCell, io, rc::Rc, sync::Arc};

use gix::error::ErrorExt;
use gix_transport::{
    Protocol,
    client::blocking_io::{
        Transport,
        http::{GetResponse, Http, PostBodyDataKind, PostResponse, connect_http},
    },
};
use http::Method;
use package_broker_core::ports::source::SourceError;

use self::exchange::{Answer, ContentType, Exchange, Question, Shared, no_repository};
use super::super::session::Session;
use crate::source::http::Fetcher;

/// The content type of a smart server's greeting.
const GREETING: &str = "application/x-git-upload-pack-advertisement";

/// The request that was made last.
#[derive(Clone, Default)]
pub(super) struct Last(Rc<RefCell<Option<Shared>>>);

impl Last {
    /// Lets go of the host until the next request. The library stops reading an answer at the end of its message, and
    /// the host counts as being asked until the end of the body.
    pub(super) fn end(&self) {
        if let Some(exchange) = self.0.borrow_mut().take() {
            exchange.borrow_mut().end();
        }
    }
}

/// A transport to `url` over the guarded client, and what it asked last.
pub(super) fn transport(
    url: &str,
    fetcher: &Arc<Fetcher>,
    session: &Arc<Session>,
) -> Result<(Box<dyn Transport>, Last), SourceError> {
    let parsed = gix::url::parse(url).map_err(|error| SourceError::Invalid {
        what: url.to_owned(),
        problem: error.to_string(),
    })?;
    let last = Last::default();
    let backend = Backend {
        fetcher: Arc::clone(fetcher),
        session: Arc::clone(session),
        moved_to: None,
        last: last.clone(),
    };
    let transport = connect_http(backend, parsed, Protocol::V2, false);
    Ok((Box::new(transport), last))
}

/// Carries out the library's requests.
struct Backend {
    fetcher: Arc<Fetcher>,
    session: Arc<Session>,
    moved_to: Option<String>,
    last: Last,
}

impl Backend {
    fn exchange(
        &self,
        method: Method,
        url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> gix::error::Result<Shared> {
        let exchange = Exchange::new(&self.fetcher, &self.session, method, url, headers)
            .map_err(ErrorExt::raise)?;
        *self.last.0.borrow_mut() = Some(Rc::clone(&exchange));
        Ok(exchange)
    }
}

impl Http for Backend {
    type Headers = ContentType;
    type ResponseBody = Answer;
    type PostBody = Question;

    fn get(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> gix::error::Result<GetResponse<Self::Headers, Self::ResponseBody>> {
        let exchange = self.exchange(Method::GET, url, headers)?;
        let reached = exchange.borrow_mut().begin().map_err(ErrorExt::raise)?;
        let tail = url.strip_prefix(base_url).unwrap_or(url);
        self.moved_to = reached
            .as_str()
            .strip_suffix(tail)
            .filter(|base| *base != base_url)
            .map(str::to_owned);
        let greeting = exchange
            .borrow()
            .content_type()
            .is_some_and(|kind| kind == GREETING);
        if !greeting {
            let error = no_repository(&reached);
            let refusal = io::Error::other(error.to_string());
            self.session.fail(error);
            return Err(refusal.raise());
        }
        Ok(GetResponse {
            headers: ContentType::of(&exchange),
            body: Answer::of(&exchange),
        })
    }

    fn post(
        &mut self,
        url: &str,
        _base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        _body: PostBodyDataKind,
    ) -> gix::error::Result<PostResponse<Self::Headers, Self::ResponseBody, Self::PostBody>> {
        let exchange = self.exchange(Method::POST, url, headers)?;
        Ok(PostResponse {
            post_body: Question::of(&exchange),
            headers: ContentType::of(&exchange),
            body: Answer::of(&exchange),
        })
    }

    fn configure(&mut self, _config: &dyn std::any::Any) -> gix::error::Result {
        Ok(())
    }

    fn redirected_base_url(&self) -> Option<String> {
        self.moved_to.clone()
    }
}
