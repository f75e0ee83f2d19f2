//! Counters and histograms that every request adds to: those of the library have one cell, or one lock, which cores
//! that answer at once would pass to and fro.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use package_broker_core::telemetry::{self, Striped};
use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, TypedMetric},
};

/// A number that only grows.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Counter(Arc<telemetry::Counter>);

impl Counter {
    /// Adds one.
    pub(super) fn increment(&self) {
        self.0.increment();
    }

    /// Adds several.
    pub(in super::super) fn add(&self, amount: u64) {
        self.0.add(amount);
    }
}

impl TypedMetric for Counter {
    const TYPE: MetricType = MetricType::Counter;
}

impl EncodeMetric for Counter {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_counter::<NoLabelSet, _, u64>(&self.0.get(), None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

/// Bounds of the buckets; one more is without bound.
const BOUNDS: [Duration; 10] = [
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
];

/// How long things took.
#[derive(Clone, Debug, Default)]
pub(super) struct Durations(Arc<Striped<Cells>>);

#[derive(Debug, Default)]
struct Cells {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Durations {
    /// Adds one that took so long.
    pub(super) fn observe(&self, elapsed: Duration) {
        let bucket = BOUNDS.iter().position(|bound| elapsed <= *bound);
        let nanoseconds = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        let cells = self.0.of_this_thread();
        cells.buckets[bucket.unwrap_or(BOUNDS.len())].fetch_add(1, Ordering::Relaxed);
        cells.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    fn sum(&self, cell: impl Fn(&Cells) -> &AtomicU64) -> u64 {
        self.0
            .all()
            .map(|cells| cell(cells).load(Ordering::Relaxed))
            .sum()
    }
}

impl TypedMetric for Durations {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Durations {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let bounds = BOUNDS
            .iter()
            .map(Duration::as_secs_f64)
            .chain([f64::INFINITY]);
        let counts = bounds
            .enumerate()
            .map(|(bucket, bound)| (bound, self.sum(|cells| &cells.buckets[bucket])));
        let buckets: Vec<(f64, u64)> = counts.collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let seconds = Duration::from_nanos(self.sum(|cells| &cells.nanoseconds)).as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(seconds, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use prometheus_client::{encoding::text::encode, registry::Registry};

    use super::*;

    #[test]
    fn what_all_threads_saw_is_told() {
        let (counter, durations) = (Counter::default(), Durations::default());
        let mut registry = Registry::default();
        registry.register("seen", "Seen", counter.clone());
        registry.register("took", "Took", durations.clone());
        thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    counter.increment();
                    durations.observe(Duration::from_millis(1));
                    durations.observe(Duration::from_secs(31));
                });
            }
        });
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "seen_total 20\n",
            "took_bucket{le=\"0.0005\"} 0\n",
            "took_bucket{le=\"0.001\"} 20\n",
            "took_bucket{le=\"30.0\"} 20\n",
            "took_bucket{le=\"+Inf\"} 40\n",
            "took_count 40\n",
            "took_sum 620.02\n",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    }
}
