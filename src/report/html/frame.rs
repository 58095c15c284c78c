//! The frame of a picture with two axes.

use super::scale::{LogScale, Scale, round_steps};
use super::svg::{Anchor, Svg, WIDTH};
use crate::units::Count;

/// Where the left axis stands: its words fit beside it.
pub(super) const LEFT: f64 = 68.0;
/// Where the plot ends on the right.
pub(super) const RIGHT: f64 = WIDTH - 14.0;
const TOP: f64 = 12.0;
/// Room for the words below the plot.
const BELOW: f64 = 44.0;

/// A plot of some height, and its drawing.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) svg: Svg,
    height: f64,
}

impl Frame {
    pub(super) fn new(height: f64, label: &str) -> Self {
        Self { svg: Svg::new(height, label), height }
    }

    /// Left and right end of the plot.
    pub(super) const fn across() -> [f64; 2] {
        [LEFT, RIGHT]
    }

    /// Lower and upper end of the plot.
    pub(super) fn upward(&self) -> [f64; 2] {
        [self.height - BELOW, TOP]
    }

    /// Lines across at every power of ten.
    pub(super) fn latencies(&mut self, scale: LogScale) {
        for (y, name) in scale.ticks() {
            self.rung(y, &name);
        }
    }

    /// Lines across at round figures from 0 to `most`; the scale that they are on.
    pub(super) fn counts(&mut self, most: f64) -> Scale {
        let steps = round_steps(most);
        let scale = Scale::new([0.0, steps[steps.len() - 1]], self.upward());
        for step in steps {
            self.rung(scale.place(step), &Count(step.round() as u64).to_string());
        }
        scale
    }

    /// Lines across at parts of the whole; the scale that they are on.
    pub(super) fn shares(&mut self) -> Scale {
        let scale = Scale::new([0.0, 1.0], self.upward());
        for percent in (0..=100).step_by(25) {
            self.rung(scale.place(f64::from(percent) / 100.0), &format!("{percent} %"));
        }
        scale
    }

    fn rung(&mut self, y: f64, name: &str) {
        self.svg.line("grid", [LEFT, y], [RIGHT, y]);
        self.svg.words("tick", [LEFT - 8.0, y + 4.0], Anchor::End, name);
    }

    /// A name below the plot.
    pub(super) fn mark(&mut self, x: f64, name: &str) {
        let [low, _] = self.upward();
        self.svg.line("grid", [x, low], [x, low + 5.0]);
        self.svg.words("tick", [x, low + 20.0], Anchor::Middle, name);
    }

    /// Seconds from the start of the trial to `until_s`; the scale that they are on.
    pub(super) fn seconds(&mut self, until_s: f64) -> Scale {
        let scale = Scale::new([0.0, until_s], Self::across());
        for step in round_steps(until_s).into_iter().filter(|step| *step <= until_s) {
            let name = if step == 0.0 { "0 s".to_owned() } else { format!("{step} s") };
            self.mark(scale.place(step), &name);
        }
        self.below("since the start of the trial");
        scale
    }

    /// What the axis below is.
    pub(super) fn below(&mut self, words: &str) {
        self.svg.words("axis", [RIGHT, self.height - 6.0], Anchor::End, words);
    }

    pub(super) fn end(self) -> String {
        self.svg.end()
    }
}
