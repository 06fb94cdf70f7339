//! The report: what a stage measured, as the output that hangs on what it measured.

use std::collections::BTreeMap;

use begat_schemas::{
    EventBody, Metric, REPORT_METRICS, REPORT_SAMPLES, Report, ReportFormat, ReportSample,
    canonical_json,
};

use super::Context;
use super::statistics::Interval;
use crate::contract::{OutputFolder, StageError, StageResult};

/// Figures and counts by name, while they are gathered.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    metrics: BTreeMap<String, Metric>,
    counts: BTreeMap<String, u64>,
}

impl Findings {
    pub(crate) fn put(&mut self, name: impl Into<String>, value: f64) {
        self.metrics.insert(name.into(), Metric(value));
    }

    /// The figure as `name`, its interval's ends as `name_low` and `name_high`.
    pub(crate) fn put_interval(&mut self, name: &str, interval: Interval) {
        self.put(name, interval.value);
        self.put(format!("{name}_low"), interval.low);
        self.put(format!("{name}_high"), interval.high);
    }

    pub(crate) fn count(&mut self, name: impl Into<String>, count: u64) {
        self.counts.insert(name.into(), count);
    }

    pub(crate) fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }

    #[cfg(test)]
    pub(crate) fn metrics(&self) -> &BTreeMap<String, Metric> {
        &self.metrics
    }

    /// Writes the output `report`, and puts its figures into the journal as those of `step`. Stages without samples to show
    /// write none.
    pub(crate) fn write(
        self,
        context: &Context<'_>,
        step: u64,
        samples: Option<&[ReportSample]>,
    ) -> StageResult<()> {
        context.journal.emit(EventBody::Metrics {
            step,
            values: self.metrics.clone(),
            fingerprint: None,
        });
        let report = Report {
            format: ReportFormat::Version1,
            metrics: self.metrics,
            counts: self.counts,
        };
        let output = OutputFolder::begin(context.work, "report")?;
        let text = canonical_json(&report)
            .map_err(|error| StageError::work(output.path(), error.to_string()))?;
        output.write(REPORT_METRICS, &text)?;
        if let Some(samples) = samples {
            output.write(REPORT_SAMPLES, &json_lines(&output, samples)?)?;
        }
        output.publish()
    }
}

/// Each value on a line of canonical JSON.
pub(crate) fn json_lines<T: serde::Serialize>(
    output: &OutputFolder,
    values: &[T],
) -> StageResult<Vec<u8>> {
    let mut lines = Vec::new();
    for value in values {
        let line = canonical_json(value)
            .map_err(|error| StageError::work(output.path(), error.to_string()))?;
        lines.extend(line);
        lines.push(b'\n');
    }
    Ok(lines)
}
