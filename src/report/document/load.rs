//! When the messages of a trial leave, as a result file keeps it.
//!
//! Belongs here: the keys that every shape of load has in common, written by hand, since those that each has of
//! its own, with their place in the schema, are what the shape says of itself (`load::profile`). Does not:
//! what a shape is, or what a report says of it.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::load::inter_arrival;
use crate::load::profile::{MODE_NAMES, MODES, Profile};
use crate::load::shape::{self, Figure, Key, Kind, Pacing, Parameters};
use crate::load::trial::Trial;
use crate::report::document::trial::LatencyClass;
use crate::units::Nanos;

/// When the messages of a trial leave.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// Its shape.
    pub mode: Mode,
    /// The figures of the shape.
    pub parameters: Parameters,
    /// How messages are spread, where they are due.
    pub arrivals: Option<InterArrival>,
    /// What drawn arrivals are drawn from.
    pub arrivals_seed: Option<u64>,
    /// What is due this early is timed apart.
    pub warmup_s: Option<f64>,
    /// The class that heads the report.
    pub headline_latency: LatencyClass,
}

const MODE: &str = "mode";
const ARRIVALS: &str = "arrivals";
const ARRIVALS_SEED: &str = "arrivals_seed";
const WARMUP: &str = "warmup_s";
const HEADLINE: &str = "headline_latency";

/// Shape of the load.
#[derive(Clone, Copy, Debug)]
pub struct Mode(&'static shape::Mode);

impl PartialEq for Mode {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

/// How the messages of a rate are spread over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InterArrival {
    /// At even distances.
    Constant,
    /// At exponential distances, drawn from the seed.
    Poisson,
}

impl Load {
    /// Of a trial.
    pub fn of(trial: &Trial) -> Self {
        let shape = trial.profile.shape();
        let arrivals = shape.due_times().map(|law| match law.arrivals() {
            inter_arrival::InterArrival::Constant => (InterArrival::Constant, None),
            inter_arrival::InterArrival::Poisson { seed } => (InterArrival::Poisson, Some(seed)),
        });
        Self {
            mode: Mode(shape.mode()),
            parameters: shape.parameters(),
            arrivals: arrivals.map(|(arrivals, _)| arrivals),
            arrivals_seed: arrivals.and_then(|(_, seed)| seed),
            warmup_s: (trial.warmup > Nanos::ZERO).then(|| trial.warmup.as_secs_f64()),
            headline_latency: match trial.profile.pacing() {
                Pacing::DueTimes => LatencyClass::Response,
                Pacing::Free | Pacing::Answers => LatencyClass::Service,
            },
        }
    }

    /// What lets its messages leave.
    pub const fn pacing(&self) -> Pacing {
        self.mode.0.pacing
    }

    /// The shape. Drawn arrivals of a file that does not hold their seed are of some seed.
    ///
    /// # Errors
    /// Where the figures make none; [`super::validate`] refuses such a file.
    pub fn profile(&self) -> Result<Profile, String> {
        let seed = self.arrivals_seed.unwrap_or(0);
        let arrivals = match self.arrivals {
            Some(InterArrival::Poisson) => inter_arrival::InterArrival::Poisson { seed },
            Some(InterArrival::Constant) | None => inter_arrival::InterArrival::Constant,
        };
        Profile::read(self.mode.0, &self.parameters, arrivals)
    }
}

impl Serialize for Load {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(MODE, self.mode.0.name)?;
        for (key, figure) in &self.parameters.0 {
            match figure {
                Figure::Number(number) => map.serialize_entry(key, number)?,
                Figure::Count(count) => map.serialize_entry(key, count)?,
            }
        }
        if let Some(arrivals) = self.arrivals {
            map.serialize_entry(ARRIVALS, &arrivals)?;
        }
        if let Some(seed) = self.arrivals_seed {
            map.serialize_entry(ARRIVALS_SEED, &seed)?;
        }
        if let Some(warmup_s) = self.warmup_s {
            map.serialize_entry(WARMUP, &warmup_s)?;
        }
        map.serialize_entry(HEADLINE, &self.headline_latency)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Load {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Keys)
    }
}

/// Takes the keys of a load in any order.
struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = Load;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("struct Load")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Load, A::Error> {
        let (mut mode, mut headline_latency, mut parameters) = (None, None, Vec::new());
        let (mut arrivals, mut arrivals_seed, mut warmup_s) = (None, None, None);
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                MODE => mode = Some(map.next_value()?),
                HEADLINE => headline_latency = Some(map.next_value()?),
                ARRIVALS => arrivals = map.next_value()?,
                ARRIVALS_SEED => arrivals_seed = map.next_value()?,
                WARMUP => warmup_s = map.next_value()?,
                name => match own_keys().find(|(_, key)| key.name == name) {
                    Some((_, key)) => parameters.extend(figure(key, &mut map)?),
                    None => drop(map.next_value::<IgnoredAny>()?),
                },
            }
        }
        Ok(Load {
            mode: mode.ok_or_else(|| A::Error::missing_field(MODE))?,
            parameters: Parameters(parameters),
            arrivals,
            arrivals_seed,
            warmup_s,
            headline_latency: headline_latency.ok_or_else(|| A::Error::missing_field(HEADLINE))?,
        })
    }
}

/// What shapes have of their own, each with the shape.
fn own_keys() -> impl Iterator<Item = (&'static shape::Mode, &'static Key)> {
    MODES.iter().flat_map(|mode| mode.keys.iter().map(|key| (*mode, key)))
}

/// None where it is null.
fn figure<'de, A: MapAccess<'de>>(
    key: &Key,
    map: &mut A,
) -> Result<Option<(&'static str, Figure)>, A::Error> {
    let figure = match key.kind {
        Kind::Number => map.next_value::<Option<f64>>()?.map(Figure::Number),
        Kind::Count => map.next_value::<Option<u64>>()?.map(Figure::Count),
    };
    Ok(figure.map(|figure| (key.name, figure)))
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<'de, str>::deserialize(deserializer)?;
        let known = MODES.iter().find(|mode| mode.name == name);
        known.map(|mode| Self(mode)).ok_or_else(|| D::Error::unknown_variant(&name, MODE_NAMES))
    }
}

impl JsonSchema for Mode {
    fn schema_name() -> Cow<'static, str> {
        "Mode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let value = |mode: &&shape::Mode| json_schema!({ "type": "string", "const": mode.name, "description": mode.meaning });
        json_schema!({
            "description": "Shape of the load.",
            "oneOf": MODES.iter().map(value).collect::<Vec<_>>(),
        })
    }
}

impl JsonSchema for Load {
    fn schema_name() -> Cow<'static, str> {
        "Load".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let number = generator.subschema_for::<Option<f64>>();
        let count = generator.subschema_for::<Option<u64>>();
        let arrivals = generator.subschema_for::<Option<InterArrival>>();
        let headline = generator.subschema_for::<LatencyClass>();
        let due = with_due_times();
        let common = [
            (MODE, generator.subschema_for::<Mode>(), mode_meaning()),
            (ARRIVALS, arrivals, format!("Mode {due}: how they are spread over time.")),
            (
                ARRIVALS_SEED,
                count.clone(),
                format!("Mode {due} with arrivals `poisson`: what they are drawn from."),
            ),
            (
                WARMUP,
                number.clone(),
                format!(
                    "Mode {due}: what is due this early in a trial is sent and accounted for, but timed apart."
                ),
            ),
            (
                HEADLINE,
                headline,
                format!(
                    "The class that heads the report: `response` in mode {due}; `service` in the others, where no\n\
                     message has a due time."
                ),
            ),
        ];
        let common = common.map(|(name, of, meaning)| (name.to_owned(), described(of, &meaning)));
        let own = own_keys().map(|(mode, key)| {
            let of = match key.kind {
                Kind::Number => &number,
                Kind::Count => &count,
            };
            let meaning = format!("Mode `{}`: {}", mode.name, key.meaning);
            (key.name.to_owned(), described(of.clone(), &meaning))
        });
        let properties: std::collections::BTreeMap<_, _> = common.into_iter().chain(own).collect();
        json_schema!({
            "description": "When the messages of a trial leave.",
            "type": "object",
            "properties": properties,
            "required": [MODE, HEADLINE],
        })
    }
}

fn described(mut schema: Schema, meaning: &str) -> Schema {
    schema.insert("description".to_owned(), meaning.into());
    schema
}

/// The modes whose messages have due times.
fn with_due_times() -> String {
    let due = MODES.iter().filter(|mode| mode.pacing == Pacing::DueTimes);
    due.map(|mode| format!("`{}`", mode.name)).collect::<Vec<_>>().join(" or ")
}

/// Of all shapes, in lines as comments have.
fn mode_meaning() -> String {
    let mut meaning = "Shape of the load.".to_owned();
    let mut width = meaning.len();
    let modes = MODES.iter().map(|mode| format!("`{}`: {}.", mode.name, mode.in_short));
    for word in modes.collect::<Vec<_>>().join(" ").split(' ') {
        let fits = width + 1 + word.len() <= 100;
        meaning.push(if fits { ' ' } else { '\n' });
        meaning.push_str(word);
        width = if fits { width + 1 + word.len() } else { word.len() };
    }
    meaning
}
