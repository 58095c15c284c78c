//! The flags of `--metrics`.
//!
//! Belongs here: flags and their help. Does not: serving (`metrics`).

use clap::Args;

use super::metrics::{MetricsAddr, MetricsError, Server};
use crate::report::metrics::Metrics;
use crate::units::Nanos;

const REPORT: &str = "Report";

/// Where a run can be scraped.
#[derive(Args, Clone, Copy, Debug)]
pub struct MetricsArgs {
    /// Serve the run's figures to Prometheus while it lasts, at http://ADDR/metrics (docs/metrics.md): a port
    /// (9464 or :9464) is one of loopback, anything else is said in full (0.0.0.0:9464)
    #[arg(long, value_name = "ADDR", help_heading = REPORT)]
    metrics: Option<MetricsAddr>,

    /// Go on serving for this long when the run is over, so that a last scrape sees its end; Ctrl-C ends it
    #[arg(long, value_name = "TIME", requires = "metrics", help_heading = REPORT)]
    metrics_linger: Option<Nanos>,
}

impl MetricsArgs {
    /// Begins to serve, where that was asked for, and `says` where.
    ///
    /// # Errors
    /// See [`Server::open`].
    pub fn open(&self, started_unix_ms: u64, says: bool) -> Result<Option<Server>, MetricsError> {
        let Some(addr) = self.metrics else { return Ok(None) };
        let server = Server::open(addr, Metrics::new(started_unix_ms), says)?;
        server.say(&server.url());
        Ok(Some(server))
    }

    /// For how long after the run.
    pub const fn linger(&self) -> Option<Nanos> {
        self.metrics_linger
    }
}
