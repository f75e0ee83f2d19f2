//! Structured logs on standard error, and traces where they are wanted.

use std::io::IsTerminal;

use clap::ValueEnum;
use package_broker_core::telemetry::TRACE;
use serde::Deserialize;
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer, fmt, layer::SubscriberExt, registry::LookupSpan, util::SubscriberInitExt,
};

use crate::{settings::Telemetry, traces::Traces};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// One line of text, with colours on a terminal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging, and to send traces if `telemetry` says where. `filter` is a list of directives, for instance
/// `info,package_broker=debug`. What has not been sent yet is when the returned value is dropped, which is to be where
/// blocking is allowed.
///
/// # Errors
/// If the filter cannot be read, or no trace can be sent in that way.
pub(crate) fn start(
    format: LogFormat,
    filter: &str,
    telemetry: &Telemetry,
) -> anyhow::Result<Traces> {
    let filter = EnvFilter::builder().parse(filter).map_err(|error| {
        anyhow::anyhow!("--log \"{filter}\" is not a log filter: {error}; write for instance info or info,package_broker=debug")
    })?;
    // Parts of a trace are no lines, and would hide the request that a line belongs to.
    let filter = filter.add_directive(format!("{TRACE}=off").parse()?);
    let traces = Traces::new(telemetry)?;
    // A layer that is not there would have every span made: an empty place in the list has not.
    let mut layers = vec![lines(format).with_filter(filter).boxed()];
    layers.extend(traces.layer());
    tracing_subscriber::registry().with(layers).init();
    Ok(traces)
}

fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .boxed(),
    }
}
