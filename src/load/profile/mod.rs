//! The shapes that a load can have, and what is asked of them.
//!
//! Belongs here: the list of shapes, each a file of this folder that is written down in `shapes!` once, and
//! the answers that follow from theirs. Does not: the due times laid out (`schedule`), waiting for
//! them (`engine`), flags (`cli::load_args`).

mod burst;
mod fixed_rate;
mod window;

use std::sync::Arc;

pub use self::burst::Burst;
pub use self::fixed_rate::FixedRate;
pub use self::window::Window;
use crate::load::inter_arrival::InterArrival;
use crate::load::schedule::Schedule;
use crate::load::shape::{DueTimes, Mode, Pacing, Parameters, Shape};
use crate::units::{Nanos, Rate};

/// Makes [`Profile`] of the shapes: its file, its type, and how a result file is read back into one.
macro_rules! shapes {
    ($($(#[$meaning:meta])* $file:ident::$shape:ident($($read:ident),*);)*) => {
        /// When messages leave.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Profile {
            $($(#[$meaning])* $shape($shape),)*
        }

        /// The modes of all shapes, as result files know them.
        pub const MODES: &[&Mode] = &[$(&$file::MODE),*];

        /// Their names.
        pub const MODE_NAMES: &[&str] = &[$($file::MODE.name),*];

        $(impl From<$shape> for Profile {
            fn from(shape: $shape) -> Self {
                Self::$shape(shape)
            }
        })*

        impl Profile {
            /// The shape, to be asked.
            pub fn shape(&self) -> &dyn Shape {
                match self {
                    $(Self::$shape(shape) => shape,)*
                }
            }

            /// What a result file keeps of one.
            ///
            /// # Errors
            /// Where that makes no shape of this mode.
            pub fn read(
                mode: &Mode,
                parameters: &Parameters,
                arrivals: InterArrival,
            ) -> Result<Self, String> {
                let kept = Kept { parameters, arrivals };
                $(if mode.name == $file::MODE.name {
                    return $shape::read($(kept.$read),*).map(Self::$shape);
                })*
                Err(format!("mode {}", mode.name))
            }
        }
    };
}

/// What a result file keeps of a shape.
struct Kept<'a> {
    parameters: &'a Parameters,
    arrivals: InterArrival,
}

shapes! {
    /// As fast as the sockets take them.
    burst::Burst(parameters);
    /// As fast as answers come: closed loop.
    window::Window(parameters);
    /// When they are due, always as many a second: open loop.
    fixed_rate::FixedRate(parameters, arrivals);
}

impl Default for Profile {
    fn default() -> Self {
        Burst.into()
    }
}

impl Profile {
    /// What lets messages leave.
    pub fn pacing(&self) -> Pacing {
        self.shape().mode().pacing
    }

    /// The law of the due times, in an open loop.
    pub fn due_times(&self) -> Option<&dyn DueTimes> {
        self.shape().due_times()
    }

    /// Messages have a due time.
    pub fn is_open_loop(&self) -> bool {
        self.due_times().is_some()
    }

    /// The largest rate of the schedule, where there is one.
    pub fn peak(&self) -> Option<Rate> {
        self.due_times().map(DueTimes::peak)
    }

    /// Messages of one push socket that may be under way, where that is bounded.
    pub fn in_flight(&self) -> Option<u32> {
        self.shape().in_flight()
    }

    /// How many messages are due within `duration`, where that is known beforehand.
    pub fn due_within(&self, duration: Nanos) -> Option<u64> {
        self.due_times().map(|law| law.due_within(duration))
    }

    /// The schedule of `messages`, where there is one.
    pub fn schedule(&self, messages: u64) -> Option<Arc<Schedule>> {
        self.due_times().map(|law| Arc::new(law.schedule(messages)))
    }
}

#[cfg(test)]
mod tests;
