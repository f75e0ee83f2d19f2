//! Traces, as a collector receives them.

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};
use package_broker_e2e::broker::binary;
use package_broker_e2e::http::{HttpServer, Request, Response, get};
use package_broker_e2e::manifests::Manifests;
use package_broker_e2e::process::{Finished, run, tethered};
use prost::Message;
use serde_json::{Value, json};

use super::installation::Installation;
use super::serving::{URL, ask, ready, with_upstream};
use crate::support::registry::{Registry, archive_in, basic, expanded, secret};
use crate::support::upstream::{Upstream, archive};
use crate::support::{eventually, json as json_of};

/// A trace that somebody else began.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// An OTLP receiver that keeps what it is sent.
struct Collector {
    server: HttpServer,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    fn start() -> Self {
        let spans = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&spans);
        let server = HttpServer::start(move |request| {
            if request.path != "/v1/traces" || request.header("x-scope") != Some("acme corp") {
                return Response::not_found();
            }
            kept.lock().unwrap().extend(spans_in(request));
            Response::new(200, "application/x-protobuf", Vec::new())
        });
        Self {
            server: server.unwrap(),
            spans,
        }
    }

    /// Settings that have everything traced, and sent here.
    fn settings(&self) -> Value {
        json!({"telemetry": {
            "otlpEndpoint": self.server.url(),
            "otlpHeaders": "x-scope=acme%20corp",
            "sampleRatio": 1,
        }})
    }

    /// What it has of one trace, once there is a span of that name.
    fn trace_with(&self, name: &str) -> Vec<Span> {
        eventually(&format!("a span {name:?}"), || {
            let spans = self.spans.lock().unwrap();
            let found = spans.iter().find(|span| span.name == name)?;
            let same = spans.iter().filter(|span| span.trace_id == found.trace_id);
            Some(same.cloned().collect())
        })
    }
}

fn spans_in(request: &Request) -> Vec<Span> {
    assert_eq!(request.header("content-encoding"), Some("gzip"));
    let mut body = Vec::new();
    GzDecoder::new(request.body.as_slice())
        .read_to_end(&mut body)
        .unwrap();
    let delivery = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
    let mut spans = Vec::new();
    for of_resource in delivery.resource_spans {
        let resource = of_resource.resource.unwrap();
        let name = resource.attributes.iter().find(|a| a.key == "service.name");
        let name = name.and_then(|name| name.value.clone()?.value);
        assert_eq!(name, Some(Any::StringValue("package-broker".to_owned())));
        spans.extend(
            of_resource
                .scope_spans
                .into_iter()
                .flat_map(|scope| scope.spans),
        );
    }
    spans
}

/// The attributes of a span, as text.
fn attributes(span: &Span) -> HashMap<String, String> {
    let text = |value: Option<Any>| match value {
        Some(Any::StringValue(text)) => text,
        Some(Any::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    let attributes = span.attributes.iter();
    attributes
        .map(|a| {
            (
                a.key.clone(),
                text(a.value.clone().and_then(|value| value.value)),
            )
        })
        .collect()
}

fn named<'s>(spans: &'s [Span], name: &str) -> &'s Span {
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    let found = spans.iter().find(|span| span.name == name);
    found.unwrap_or_else(|| panic!("no {name:?} in {names:?}"))
}

/// Whether one span is inside another, however deep.
fn is_inside(spans: &[Span], inner: &Span, outer: &Span) -> bool {
    if inner.parent_span_id == outer.span_id {
        return true;
    }
    let parent = spans
        .iter()
        .find(|span| span.span_id == inner.parent_span_id);
    parent.is_some_and(|parent| is_inside(spans, parent, outer))
}

fn upstream() -> Upstream {
    let upstream = Upstream::listed();
    let bytes = archive("acme/lib", "1.0.0", 100_000);
    upstream.publish("acme/lib", "1.0.0", &bytes, true);
    upstream
}

/// One sync that is traced, in this environment.
fn sync(
    installation: &Installation,
    collector: &Collector,
    variables: &[(&str, &str)],
) -> Finished {
    let settings = installation.settings("sync", &collector.settings());
    let mut command = tethered(binary().unwrap());
    command
        .args(["sync", "team", "--config"])
        .arg(settings)
        .envs(variables.iter().copied());
    run(command, Duration::from_mins(1)).unwrap()
}

#[test]
fn a_request_shows_what_it_waited_for() {
    let (installation, upstream, collector) = (Installation::new(), upstream(), Collector::start());
    let manifests = with_upstream(&upstream);
    installation.apply(&manifests, URL);
    installation.sync("team");
    let replica = installation.serve_with("one", &collector.settings());
    ready(&replica);
    let document = json_of(&ask(&replica, "all", "/p2/acme/lib.json"));
    let path = archive_in(&expanded(&document, "acme/lib")[0]);
    assert_eq!(ask(&replica, "all", &path).status, 200);

    let document = collector.trace_with("GET /p2/{vendor}/{file}");
    let request = named(&document, "GET /p2/{vendor}/{file}");
    assert!(request.parent_span_id.is_empty());
    let shown = attributes(request);
    assert_eq!(shown["http.response.status_code"], "200");
    assert_eq!(shown["url.path"], "/p2/acme/lib.json");
    let archive = "GET /dist/{vendor}/{package}/{version}/{file}";
    let spans = collector.trace_with(archive);
    let request = named(&spans, archive);
    for name in ["GET", "store an object", "record an archive"] {
        let part = named(&spans, name);
        assert!(is_inside(&spans, part, request), "{name}");
    }
    let fetch = attributes(named(&spans, "GET"));
    assert_eq!(fetch["server.address"], "127.0.0.1");
    let everything = format!("{:?}", collector.spans.lock().unwrap());
    assert!(!everything.contains(&secret("all")), "a token was sent");
}

#[test]
fn a_trace_is_gone_on_with_where_it_is_believed() {
    let (installation, upstream, collector) = (Installation::new(), upstream(), Collector::start());
    let proxies = json!({"trustedProxies": ["127.0.0.0/8"]});
    let manifests = with_upstream(&upstream);
    installation.apply(&manifests, URL);
    // A sync goes on with the trace of whoever started it.
    let synced = sync(&installation, &collector, &[("TRACEPARENT", PARENT)]);
    assert!(synced.status.success(), "{}", synced.stderr);
    let spans = collector.trace_with("sync");
    let sync = named(&spans, "sync");
    assert_eq!(hex::encode(&sync.trace_id), TRACE);
    assert_eq!(attributes(sync)["package_broker.repository"], "team");
    for name in ["GET", "write packages"] {
        assert!(is_inside(&spans, named(&spans, name), sync), "{name}");
    }

    // Whoever is no trusted proxy begins a trace of its own.
    let replica = installation.serve_with("one", &collector.settings());
    ready(&replica);
    let ask_with_parent = || {
        let authorization = basic("token", &secret("all"));
        let headers = [
            ("Authorization", authorization.as_str()),
            ("traceparent", PARENT),
        ];
        let answer = get(&format!("{}/packages.json", replica.url()), &headers).unwrap();
        assert_eq!(answer.status, 200);
    };
    ask_with_parent();
    let own = collector.trace_with("GET /packages.json");
    assert_ne!(hex::encode(&own[0].trace_id), TRACE);
    installation.apply(
        &manifests.patched("PackageBroker", Manifests::BROKER, &proxies),
        URL,
    );
    eventually("a request in the proxy's trace", || {
        ask_with_parent();
        let spans = collector.spans.lock().unwrap();
        let found = spans
            .iter()
            .filter(|span| span.name == "GET /packages.json")
            .find(|span| hex::encode(&span.trace_id) == TRACE)?;
        assert_eq!(hex::encode(&found.parent_span_id), "b7ad6b7169203331");
        Some(())
    });
}

#[test]
fn a_sync_that_fails_is_seen_to() {
    let (installation, upstream, collector) = (Installation::new(), upstream(), Collector::start());
    installation.apply(&with_upstream(&upstream), URL);
    drop(upstream);
    let synced = sync(&installation, &collector, &[]);
    assert!(!synced.status.success(), "{}", synced.stdout);
    let spans = collector.trace_with("sync");
    for name in ["sync", "GET"] {
        let status = named(&spans, name).status.clone().unwrap();
        assert_eq!(status.code(), StatusCode::Error, "{name}");
    }
}

#[test]
fn run_sends_them_as_well() {
    let (upstream, collector) = (upstream(), Collector::start());
    let endpoint = format!("--otlp-endpoint={}", collector.server.url());
    let arguments = vec![&*endpoint.leak(), "--sample-ratio=1"];
    let registry = Registry::start_with(&with_upstream(&upstream), arguments.leak());
    assert_eq!(registry.get("all", "/packages.json").status, 200);
    // This collector wants a header that `run` does not send.
    eventually("a delivery", || {
        (collector.server.count("/v1/traces") > 0).then_some(())
    });
}

#[test]
fn a_collector_that_is_not_there_holds_nothing_up() {
    let (installation, upstream) = (Installation::new(), upstream());
    installation.apply(&with_upstream(&upstream), URL);
    installation.sync("team");
    let collector = Collector::start();
    let settings = collector.settings();
    drop(collector);
    let replica = installation.serve_with("one", &settings);
    ready(&replica);
    for _ in 0..200 {
        assert_eq!(ask(&replica, "all", "/packages.json").status, 200);
    }
}
