//! The text that is scraped: OpenMetrics 1.0, or Prometheus' own text 0.0.4.
//!
//! Belongs here: what differs between the two. Does not: lines (`samples`), and which there are (`family`).

use std::fmt::Write as _;

use super::family::{FAMILIES, Family, Kind};
use super::samples::Samples;
use super::state::Metrics;

/// In which format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics text 1.0.0.
    OpenMetrics,
    /// Prometheus text 0.0.4.
    Prometheus,
}

impl Format {
    /// Its media type.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// All families that have a sample.
pub fn text(metrics: &Metrics, format: Format) -> String {
    let mut text = String::new();
    for family in FAMILIES {
        let mut body = String::new();
        let suffix = family.kind.suffix();
        (family.samples)(metrics, &mut Samples { name: family.name, suffix, out: &mut body });
        if !body.is_empty() {
            head(&mut text, family, format);
            text.push_str(&body);
        }
    }
    if format == Format::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

fn head(text: &mut String, family: &Family, format: Format) {
    let Family { name, kind, unit, help, .. } = family;
    let _ = match format {
        Format::OpenMetrics => {
            let _ = writeln!(text, "# TYPE {name} {}", kind.open_metrics());
            if let Some(unit) = unit {
                let _ = writeln!(text, "# UNIT {name} {unit}");
            }
            writeln!(text, "# HELP {name} {help}")
        }
        // Here the name of a family is that of its samples.
        Format::Prometheus => {
            let suffix = kind.suffix();
            let _ = writeln!(text, "# HELP {name}{suffix} {help}");
            let is_info = *kind == Kind::Info;
            let kind = if is_info { "gauge" } else { kind.open_metrics() };
            writeln!(text, "# TYPE {name}{suffix} {kind}")
        }
    };
}
