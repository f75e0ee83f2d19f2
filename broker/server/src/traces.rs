//! Traces by OpenTelemetry's protocol (OTLP over HTTP, protobuf, gzip), for whoever collects them.
//!
//! Spans are sent in batches by a thread of their own. No request waits for it: what does not fit into its queue, or
//! the collector does not take, is lost.

use std::{collections::HashMap, fs, path::Path, time::Duration};

use anyhow::Context as _;
use axum::http::request::Parts;
use opentelemetry::{
    Context, KeyValue,
    propagation::{Extractor, TextMapPropagator},
    trace::TracerProvider,
};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_otlp::{Compression, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracerProvider},
};
use package_broker_core::telemetry::TRACE;
use secrecy::ExposeSecret;
use tracing::{Level, Span, Subscriber, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

use crate::settings::Telemetry;

/// How long the collector may take for one delivery, and how long the end of the process waits for the last one.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is sent, and by whom. Dropped, it sends what it still has.
pub(crate) struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Sends nothing unless there is an endpoint.
    ///
    /// # Errors
    /// If the endpoint is no URL, or the file with certificates cannot be used.
    pub(crate) fn new(telemetry: &Telemetry) -> anyhow::Result<Self> {
        let Some(endpoint) = &telemetry.otlp_endpoint else {
            return Ok(Self(None));
        };
        let what = || format!("traces cannot be sent to telemetry.otlpEndpoint {endpoint:?}");
        let exporter = exporter(endpoint, telemetry).with_context(what)?;
        let resource = Resource::builder()
            .with_attribute(KeyValue::new("service.name", "package-broker"))
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let share = Sampler::TraceIdRatioBased(telemetry.sample_ratio);
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(Sampler::ParentBased(Box::new(share)))
            .with_resource(resource)
            .build();
        Ok(Self(Some(provider)))
    }

    /// Makes spans of [`TRACE`] into parts of traces, with the warnings that come up meanwhile.
    pub(crate) fn layer<S>(&self) -> Option<Box<dyn Layer<S> + Send + Sync>>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let tracer = self.0.as_ref()?.tracer("package-broker");
        let wanted = Targets::new()
            .with_target(TRACE, Level::INFO)
            .with_target("package_broker", Level::WARN);
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false);
        Some(layer.with_filter(wanted).boxed())
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(provider) = &self.0 {
            // An error says that the collector did not take them: there is nobody else to tell.
            let _sent = provider.shutdown_with_timeout(PATIENCE);
        }
    }
}

fn exporter(endpoint: &str, telemetry: &Telemetry) -> anyhow::Result<SpanExporter> {
    let url: reqwest::Url = endpoint.parse()?;
    anyhow::ensure!(
        matches!(url.scheme(), "http" | "https") && url.has_host(),
        "write http://HOST:4318"
    );
    let mut client = reqwest::blocking::Client::builder()
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none());
    if let Some(file) = &telemetry.ca_file {
        client = client.tls_certs_merge(certificates(file)?);
    }
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client.build()?)
        .with_compression(Compression::Gzip)
        .with_timeout(PATIENCE)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')));
    if let Some(headers) = &telemetry.otlp_headers {
        exporter = exporter.with_headers(headers_of(headers.expose_secret())?);
    }
    Ok(exporter.build()?)
}

fn certificates(file: &Path) -> anyhow::Result<Vec<reqwest::Certificate>> {
    let read = || anyhow::Ok(reqwest::Certificate::from_pem_bundle(&fs::read(file)?)?);
    read().with_context(|| format!("telemetry.caFile {}", file.display()))
}

/// Headers as OpenTelemetry writes them in one text (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/>).
fn headers_of(text: &str) -> anyhow::Result<HashMap<String, String>> {
    let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
    pairs
        .map(|pair| {
            // The text is a secret, so no error shows it.
            let (name, value) = pair.split_once('=').context(
                "telemetry.otlpHeaders is of the wrong form; write NAME=VALUE,NAME=VALUE",
            )?;
            let value = percent_encoding::percent_decode_str(value.trim()).decode_utf8()?;
            Ok((name.trim().to_owned(), value.into_owned()))
        })
        .collect()
}

/// The span of a request. A proxy that is trusted may have begun its trace (<https://www.w3.org/TR/trace-context/>);
/// others could have every one of their requests recorded. Whether it `is_trusted` is asked only where traces are sent.
pub(crate) fn of_request(
    parts: &Parts,
    route: &'static str,
    id: &str,
    is_trusted: impl FnOnce() -> bool,
) -> Span {
    let method = &parts.method;
    let span = tracing::info_span!(
        target: TRACE, "request", otel.name = format_args!("{method} {route}"), otel.kind = "server",
        http.request.method = %method, http.route = route, url.path = parts.uri.path(),
        package_broker.request_id = id, http.response.status_code = Empty, otel.status_code = Empty,
    );
    if !span.is_disabled() && is_trusted() {
        continue_trace(&span, &HeaderExtractor(&parts.headers));
    }
    span
}

/// The span of a command that somebody may have begun a trace for: `TRACEPARENT` in its environment
/// (<https://opentelemetry.io/docs/specs/otel/context/env-carriers/>).
pub(crate) fn of_command(name: &'static str) -> Span {
    let span = tracing::info_span!(target: TRACE, "command", otel.name = name);
    if !span.is_disabled() {
        let given = ["traceparent", "tracestate"]
            .into_iter()
            .filter_map(|name| {
                let value = std::env::var(name.to_ascii_uppercase()).ok()?;
                Some((name.to_owned(), value))
            });
        continue_trace(&span, &given.collect::<HashMap<_, _>>());
    }
    span
}

fn continue_trace(span: &Span, given: &dyn Extractor) {
    let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), given);
    // Fails only for a span that is in no trace.
    let _set = span.set_parent(parent);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_opentelemetry_writes_them() {
        let headers = headers_of("authorization=Bearer%20abc, x-scope=team,").unwrap();
        assert_eq!(headers["authorization"], "Bearer abc");
        assert_eq!(headers["x-scope"], "team");
        let wrong = headers_of("hush").unwrap_err().to_string();
        assert!(
            wrong.contains("NAME=VALUE") && !wrong.contains("hush"),
            "{wrong}"
        );
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let told = |endpoint: &str, ca_file: Option<&str>| {
            let telemetry = Telemetry {
                otlp_endpoint: Some(endpoint.to_owned()),
                ca_file: ca_file.map(Into::into),
                ..Telemetry::default()
            };
            format!("{:#}", Traces::new(&telemetry).err().unwrap())
        };
        for endpoint in ["collector:4318", "ftp://collector"] {
            let error = told(endpoint, None);
            assert!(
                error.contains(endpoint) && error.contains("http://HOST:4318"),
                "{error}"
            );
        }
        let error = told("https://collector:4318", Some("/nowhere/ca.pem"));
        assert!(
            error.contains("telemetry.caFile /nowhere/ca.pem"),
            "{error}"
        );
    }
}
