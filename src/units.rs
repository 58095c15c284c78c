//! Quantities with their units. One table per quantity scans and prints it.
//!
//! Belongs here: parsing what people write (`10k`, `5s`, `4KiB`) and printing what people read.
//! Does not: reading a clock (`host::clock`).
//!
//! Printing keeps three significant digits (counts are exact) and goes through [`fmt::Formatter::pad`],
//! so `{:>8}` aligns a column whatever unit each cell has. Digits are grouped by threes with a plain
//! space, and scanning takes that space back: what is printed can be pasted into a flag.

use std::fmt;
use std::str::FromStr;

/// One row of a table: the same row recognises a unit and prints it.
struct Unit {
    /// What is printed, and the first spelling that is accepted.
    symbol: &'static str,
    /// Other accepted spellings.
    also: &'static [&'static str],
    /// How many base units it is.
    size: u64,
    /// Rows that are only understood, because a report in them would be harder to read.
    printed: bool,
}

const fn row(symbol: &'static str, also: &'static [&'static str], size: u64) -> Unit {
    Unit { symbol, also, size, printed: true }
}

const fn scanned(symbol: &'static str, also: &'static [&'static str], size: u64) -> Unit {
    Unit { symbol, also, size, printed: false }
}

/// A quantity: its name and examples for messages, and its units, smallest first.
struct Quantity {
    name: &'static str,
    examples: &'static str,
    units: &'static [Unit],
    /// `1m30s`: several numbers, each with a smaller unit than the one before.
    compound: bool,
}

static DURATION: Quantity = Quantity {
    name: "duration",
    examples: "5s, 250ms or 1m30s",
    units: &[
        row("ns", &[], 1),
        row("µs", &["us", "μs"], 1_000),
        row("ms", &[], 1_000_000),
        row("s", &["sec"], 1_000_000_000),
        scanned("m", &["min"], 60_000_000_000),
        scanned("h", &[], 3_600_000_000_000),
    ],
    compound: true,
};

static SIZE: Quantity = Quantity {
    name: "size",
    examples: "128, 4KiB or 16MiB",
    units: &[
        row("B", &[""], 1),
        scanned("kB", &["KB"], 1_000),
        row("KiB", &["kiB"], 1 << 10),
        scanned("MB", &[], 1_000_000),
        row("MiB", &[], 1 << 20),
        scanned("GB", &[], 1_000_000_000),
        row("GiB", &[], 1 << 30),
        row("TiB", &[], 1 << 40),
    ],
    compound: false,
};

static COUNT: Quantity = Quantity {
    name: "count",
    examples: "150, 10k or 1M",
    units: &[
        row("", &[], 1),
        scanned("k", &["K"], 1_000),
        scanned("M", &["m"], 1_000_000),
        scanned("G", &["g"], 1_000_000_000),
    ],
    compound: false,
};

static PERIOD: Quantity = Quantity {
    name: "rate",
    examples: "1000, 10k/s or 90/min",
    units: &[row("/s", &["", "/sec"], 1), scanned("/min", &["/m"], 60), scanned("/h", &[], 3_600)],
    compound: false,
};

/// Why a text is not a quantity. Does not repeat the text: whoever asked for it names it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// Nothing, or something that is no number.
    #[error("not a {quantity}: write a number like {examples}")]
    Number {
        /// Name of the quantity.
        quantity: &'static str,
        /// What would have been understood.
        examples: &'static str,
    },
    /// A number without a unit where there is no natural one.
    #[error("a {quantity} needs a unit ({units}), like {examples}")]
    NoUnit {
        /// Name of the quantity.
        quantity: &'static str,
        /// Accepted units.
        units: String,
        /// What would have been understood.
        examples: &'static str,
    },
    /// A unit that is not in the table.
    #[error("`{unit}` is no unit of a {quantity}: it takes {units}, like {examples}")]
    Unit {
        /// What was written.
        unit: String,
        /// Name of the quantity.
        quantity: &'static str,
        /// Accepted units.
        units: String,
        /// What would have been understood.
        examples: &'static str,
    },
    /// `30s1m`.
    #[error("units of a {quantity} must go from large to small, like {examples}")]
    Order {
        /// Name of the quantity.
        quantity: &'static str,
        /// What would have been understood.
        examples: &'static str,
    },
    /// Half a byte.
    #[error("a {quantity} cannot have a fraction of its smallest unit")]
    Fraction {
        /// Name of the quantity.
        quantity: &'static str,
    },
    /// More than 64 bits hold.
    #[error("too large for a {quantity}")]
    TooLarge {
        /// Name of the quantity.
        quantity: &'static str,
    },
}

impl Quantity {
    fn unit_names(&self) -> String {
        let named = self.units.iter().filter(|u| !u.symbol.is_empty());
        // `us` before `µs`: the list must show something that every keyboard has.
        let names = named.map(|u| if u.symbol.is_ascii() { u.symbol } else { u.also[0] });
        names.collect::<Vec<_>>().join(", ")
    }

    fn not_a_number(&self) -> ScanError {
        ScanError::Number { quantity: self.name, examples: self.examples }
    }

    fn too_large(&self) -> ScanError {
        ScanError::TooLarge { quantity: self.name }
    }

    fn unit(&self, written: &str) -> Result<&Unit, ScanError> {
        let found = self.units.iter().find(|u| u.symbol == written || u.also.contains(&written));
        found.ok_or_else(|| match written {
            "" => ScanError::NoUnit {
                quantity: self.name,
                units: self.unit_names(),
                examples: self.examples,
            },
            _ => ScanError::Unit {
                unit: written.to_owned(),
                quantity: self.name,
                units: self.unit_names(),
                examples: self.examples,
            },
        })
    }

    /// The value of a whole text, in base units.
    fn scan(&self, text: &str) -> Result<u64, ScanError> {
        let (mut rest, mut total, mut last_size) = (text.trim(), 0_u64, u64::MAX);
        loop {
            let (number, after) = Decimal::take(rest).ok_or_else(|| self.not_a_number())?;
            let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
            let unit = self.unit(after[..end].trim())?;
            if unit.size >= last_size {
                return Err(ScanError::Order { quantity: self.name, examples: self.examples });
            }
            let part = self.whole(number, unit.size)?;
            total = total.checked_add(part).ok_or_else(|| self.too_large())?;
            rest = &after[end..];
            match (rest.is_empty(), self.compound) {
                (true, _) => return Ok(total),
                (false, true) => last_size = unit.size,
                (false, false) => return Err(self.not_a_number()),
            }
        }
    }

    fn whole(&self, number: Decimal, size: u64) -> Result<u64, ScanError> {
        if number.decimals > 0 && size == 1 {
            return Err(ScanError::Fraction { quantity: self.name });
        }
        number.times(size).ok_or_else(|| self.too_large())
    }

    /// Three significant digits in the largest unit that leaves at least one before the point.
    fn print(&self, value: u64) -> String {
        let mut printed = self.units.iter().filter(|u| u.printed).peekable();
        loop {
            let unit = printed.next().expect("every table prints its last row");
            let figures = Figures::of(value, unit.size);
            // Compared after rounding: 999.9 µs is printed as 1.00 ms.
            let fits_next = |next: &&Unit| figures.at_least(unit.size, next.size);
            if printed.peek().is_none_or(|next| !fits_next(next)) {
                let gap = if unit.symbol.is_empty() { "" } else { " " };
                return format!("{figures}{gap}{}", unit.symbol);
            }
        }
    }
}

/// A decimal number as written: `digits / 10^decimals`.
#[derive(Clone, Copy)]
struct Decimal {
    digits: u128,
    decimals: u32,
}

impl Decimal {
    /// Takes a number off the front: `12`, `1.5`, `48 000`, `48_000`. None if there is none.
    fn take(text: &str) -> Option<(Self, &str)> {
        let (mut number, mut point, mut at) = (Self { digits: 0, decimals: 0 }, false, 0);
        while let Some(&byte) = text.as_bytes().get(at) {
            match byte {
                b'0'..=b'9' => {
                    let digit = u128::from(byte - b'0');
                    number.digits = number.digits.saturating_mul(10).saturating_add(digit);
                    number.decimals += u32::from(point);
                }
                b'.' if !point => point = true,
                b' ' | b'_' if !point && starts_group(&text[at + 1..]) => {}
                _ => break,
            }
            at += 1;
        }
        let numeric = text.as_bytes().first().is_some_and(u8::is_ascii_digit);
        (numeric && !text[..at].ends_with('.')).then_some((number, &text[at..]))
    }

    /// Rounded to the nearest whole; None beyond 64 bits.
    fn times(self, size: u64) -> Option<u64> {
        let scale = 10_u128.checked_pow(self.decimals)?;
        let product = self.digits.checked_mul(u128::from(size))?;
        u64::try_from(product.checked_add(scale / 2)? / scale).ok()
    }
}

/// True if exactly three digits follow, as behind a group separator.
fn starts_group(text: &str) -> bool {
    text.bytes().take_while(u8::is_ascii_digit).count() == 3
}

/// A number as it is printed: `digits / 10^decimals`.
#[derive(Clone, Copy)]
struct Figures {
    digits: u128,
    decimals: u32,
}

impl Figures {
    /// `value / size` to three significant digits, or to the unit where it has more before the
    /// point.
    fn of(value: u64, size: u64) -> Self {
        if size == 1 || value == 0 {
            return Self { digits: u128::from(value), decimals: 0 };
        }
        let rounded = |decimals: u32| {
            let scaled = u128::from(value) * 10_u128.pow(decimals);
            (scaled + u128::from(size) / 2) / u128::from(size)
        };
        let decimals = (0..=6).rev().find(|&d| rounded(d) < 1_000).unwrap_or(0);
        Self { digits: rounded(decimals), decimals }
    }

    fn at_least(self, size: u64, limit: u64) -> bool {
        self.digits * u128::from(size) >= u128::from(limit) * 10_u128.pow(self.decimals)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = 10_u128.pow(self.decimals);
        f.write_str(&grouped(self.digits / scale))?;
        match self.decimals as usize {
            0 => Ok(()),
            width => write!(f, ".{:0width$}", self.digits % scale),
        }
    }
}

/// `48000` as `48 000`.
fn grouped(value: u128) -> String {
    let plain = value.to_string();
    let mut out = String::with_capacity(plain.len() + plain.len() / 3);
    for (i, digit) in plain.chars().enumerate() {
        if i > 0 && (plain.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// A duration or an instant of the run's monotonic clock, in nanoseconds.
///
/// Written with a unit (`250ms`, `1m30s`), printed as `412 ns`, `1.31 ms`, `4.92 s`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

impl Nanos {
    /// Zero: the start of the clock, or an empty duration.
    pub const ZERO: Self = Self(0);
    /// The farthest instant; as a deadline it means never.
    pub const MAX: Self = Self(u64::MAX);
    /// Columns that hold every duration below 1000 s: `1.31 ms`.
    pub const WIDTH: usize = 7;

    /// Whole seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1_000_000_000)
    }

    /// Whole milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000_000)
    }

    /// Whole microseconds.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros * 1_000)
    }

    /// Seconds as a float, for ratios and reports.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// `self - earlier`, or zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }

    /// `self + duration`, stopping at [`Nanos::MAX`].
    pub const fn plus(self, duration: Self) -> Self {
        Self(self.0.saturating_add(duration.0))
    }
}

impl From<Nanos> for std::time::Duration {
    fn from(nanos: Nanos) -> Self {
        Self::from_nanos(nanos.0)
    }
}

/// A size in bytes: `128`, `4KiB`; printed as `165 MiB`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

impl Bytes {
    /// Columns that hold every size below 1000 TiB: `1 023 KiB`.
    pub const WIDTH: usize = 9;

    /// Whole kibibytes.
    pub const fn from_kib(kib: u64) -> Self {
        Self(kib << 10)
    }

    /// Whole mebibytes.
    pub const fn from_mib(mib: u64) -> Self {
        Self(mib << 20)
    }
}

/// How many of something: `150`, `10k`, `1M`; printed exactly, as `48 000`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Count(pub u64);

/// How many of something in a second, exact to a millionth: `1000`, `10k/s`, `90/min`; printed as
/// `48 200/s`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate {
    /// Millionths per second: an integer, so that schedules built on it are exact.
    pub micro_per_s: u64,
}

impl Rate {
    const MICRO: u64 = 1_000_000;

    /// From a measured figure; negative and NaN become 0.
    pub fn per_second(rate: f64) -> Self {
        Self { micro_per_s: (rate * Self::MICRO as f64).round() as u64 }
    }

    /// Events per second as a float, for ratios and reports.
    pub fn as_f64(self) -> f64 {
        self.micro_per_s as f64 / Self::MICRO as f64
    }
}

impl FromStr for Nanos {
    type Err = ScanError;

    fn from_str(text: &str) -> Result<Self, ScanError> {
        DURATION.scan(text).map(Self)
    }
}

impl FromStr for Bytes {
    type Err = ScanError;

    fn from_str(text: &str) -> Result<Self, ScanError> {
        SIZE.scan(text).map(Self)
    }
}

impl FromStr for Count {
    type Err = ScanError;

    fn from_str(text: &str) -> Result<Self, ScanError> {
        COUNT.scan(text).map(Self)
    }
}

impl FromStr for Rate {
    type Err = ScanError;

    fn from_str(text: &str) -> Result<Self, ScanError> {
        let text = text.trim();
        let (number, rest) = Decimal::take(text).ok_or_else(|| PERIOD.not_a_number())?;
        let (multiple, period) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let multiple = COUNT.unit(multiple.trim()).map_err(|_| PERIOD.not_a_number())?.size;
        let period_s = PERIOD.unit(period.trim())?.size;
        // A fraction is taken here, unlike for a count: 0.5/s is a rate.
        let scale = multiple.checked_mul(Self::MICRO).ok_or_else(|| PERIOD.too_large())?;
        let per_period = number.times(scale).ok_or_else(|| PERIOD.too_large())?;
        Ok(Self { micro_per_s: (per_period + period_s / 2) / period_s })
    }
}

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&DURATION.print(self.0))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&SIZE.print(self.0))
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&COUNT.print(self.0))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = Figures::of(self.micro_per_s, Self::MICRO);
        f.pad(&format!("{figures}{}", PERIOD.units[0].symbol))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nanos(text: &str) -> Result<u64, String> {
        text.parse::<Nanos>().map(|n| n.0).map_err(|e| e.to_string())
    }

    #[test]
    fn durations_are_taken_as_people_write_them() {
        for (text, ns) in [
            ("5s", 5_000_000_000),
            ("250ms", 250_000_000),
            ("1m30s", 90_000_000_000),
            ("1h 2m 3s", 3_723_000_000_000),
            ("1.5 s", 1_500_000_000),
            ("40us", 40_000),
            ("40µs", 40_000),
            ("40μs", 40_000),
            ("7 ns", 7),
            ("0s", 0),
            ("2min", 120_000_000_000),
        ] {
            assert_eq!(nanos(text), Ok(ns), "{text}");
        }
    }

    #[test]
    fn sizes_and_counts_are_taken_as_people_write_them() {
        for (text, bytes) in
            [("128", 128), ("4KiB", 4096), ("4 KiB", 4096), ("4kB", 4000), ("0.5MiB", 524_288)]
        {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        for (text, count) in [
            ("150", 150),
            ("10k", 10_000),
            ("10K", 10_000),
            ("1M", 1_000_000),
            ("1.5M", 1_500_000),
            ("48 000", 48_000),
            ("48_000", 48_000),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(text.parse(), Ok(Count(count)), "{text}");
        }
    }

    #[test]
    fn rates_take_a_multiple_and_a_period() {
        for (text, micro_per_s) in [
            ("1000", 1_000_000_000),
            ("10k/s", 10_000_000_000),
            ("90/min", 1_500_000),
            ("0.5/s", 500_000),
        ] {
            assert_eq!(text.parse(), Ok(Rate { micro_per_s }), "{text}");
        }
        assert!("10x/s".parse::<Rate>().is_err());
        assert!("10/fortnight".parse::<Rate>().is_err());
    }

    #[test]
    fn a_duration_without_a_unit_says_which_units_there_are() {
        let message = nanos("5").unwrap_err();
        assert_eq!(
            message,
            "a duration needs a unit (ns, us, ms, s, m, h), like 5s, 250ms or 1m30s"
        );
    }

    #[test]
    fn an_unknown_unit_is_named_beside_the_known_ones() {
        let message = "4k".parse::<Bytes>().unwrap_err().to_string();
        assert_eq!(
            message,
            "`k` is no unit of a size: it takes B, kB, KiB, MB, MiB, GB, GiB, TiB, \
             like 128, 4KiB or 16MiB"
        );
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", " ", "abc", "-5", "+5", ".5", "5.", "1..2", "1e3", "0x10", "١٢", "10k5"]
        {
            assert!(text.parse::<Count>().is_err(), "{text:?}");
        }
        for text in ["1s1s", "30s1m", "s", "1 2s", "1s and more"] {
            assert!(nanos(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn fractions_of_the_smallest_unit_are_refused() {
        assert_eq!("1.5".parse::<Count>(), Err(ScanError::Fraction { quantity: "count" }));
        assert_eq!("1.5B".parse::<Bytes>(), Err(ScanError::Fraction { quantity: "size" }));
        assert_eq!("0.1ns".parse::<Nanos>(), Err(ScanError::Fraction { quantity: "duration" }));
    }

    #[test]
    fn what_64_bits_cannot_hold_is_refused_and_never_wraps() {
        for text in ["18446744073709551616", "99999999999G", "18446744073709552k"] {
            assert!(text.parse::<Count>().is_err(), "{text}");
        }
        assert!(nanos("9999999h").is_err());
        assert!(nanos("5124095h 1000000s").is_err());
        assert!("99999999TiB".parse::<Bytes>().is_err());
        assert!("99999999999G/s".parse::<Rate>().is_err());
    }

    #[test]
    fn three_significant_digits_are_printed_in_the_unit_that_reads_best() {
        for (ns, text) in [
            (0, "0 ns"),
            (7, "7 ns"),
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (412_300, "412 µs"),
            (999_499, "999 µs"),
            (999_500, "1.00 ms"),
            (1_310_000, "1.31 ms"),
            (9_996_000, "10.0 ms"),
            (4_920_000_000, "4.92 s"),
            (90_000_000_000, "90.0 s"),
            (4_920_400_000_000, "4 920 s"),
        ] {
            assert_eq!(Nanos(ns).to_string(), text);
        }
        for (bytes, text) in [
            (128, "128 B"),
            (1_023, "1 023 B"),
            (1_024, "1.00 KiB"),
            (1_048_000, "1 023 KiB"),
            (1_048_575, "1.00 MiB"),
            (173_015_040, "165 MiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
        for (per_s, text) in
            [(0.0, "0/s"), (0.5, "0.500/s"), (12.34, "12.3/s"), (48_210.4, "48 210/s")]
        {
            assert_eq!(Rate::per_second(per_s).to_string(), text);
        }
        assert_eq!(Count(48_000).to_string(), "48 000");
        assert_eq!(Count(1_234_567).to_string(), "1 234 567");
    }

    #[test]
    fn columns_align_whatever_unit_a_cell_has() {
        let cells = [Nanos(3), Nanos(412_000), Nanos(1_310_000), Nanos::from_secs(999)];
        for cell in cells {
            let padded = format!("{cell:>width$}", width = Nanos::WIDTH);
            assert_eq!(padded.chars().count(), Nanos::WIDTH, "{padded:?}");
        }
    }

    proptest! {
        #[test]
        fn a_printed_duration_scans_back_within_half_a_printed_digit(ns in 0..=u64::MAX / 2) {
            let back = Nanos(ns).to_string().parse::<Nanos>().unwrap().0;
            // Three digits: the last one stands for at most a hundredth, half of it is the error.
            prop_assert!(back.abs_diff(ns) as f64 <= ns as f64 / 200.0);
        }

        #[test]
        fn a_printed_size_scans_back_within_half_a_printed_digit(shift in 0_u32..63, low: u64) {
            let bytes = low >> shift >> 1;
            let back = Bytes(bytes).to_string().parse::<Bytes>().unwrap().0;
            prop_assert!(back.abs_diff(bytes) as f64 <= bytes as f64 / 200.0);
        }

        #[test]
        fn a_printed_count_scans_back_exactly(count: u64) {
            prop_assert_eq!(Count(count).to_string().parse(), Ok(Count(count)));
        }

        #[test]
        fn a_printed_rate_scans_back_within_half_a_printed_digit(shift in 0_u32..40, low: u64) {
            let rate = Rate { micro_per_s: (low >> 1) >> shift };
            let back: Rate = rate.to_string().parse().unwrap();
            let error = back.micro_per_s.abs_diff(rate.micro_per_s);
            prop_assert!(error as f64 <= rate.micro_per_s as f64 / 200.0 + 1.0);
        }

        #[test]
        fn larger_never_prints_as_less(a in 0..=u64::MAX / 2, b in 0..=u64::MAX / 2) {
            let printed = |ns: u64| Nanos(ns).to_string().parse::<Nanos>().unwrap();
            prop_assert!(printed(a.min(b)) <= printed(a.max(b)));
        }

        #[test]
        fn no_text_makes_a_scanner_panic(text in "\\PC{0,24}|[0-9 ._]{0,30}[a-zA-Zµ/]{0,4}") {
            let _ = (text.parse::<Nanos>(), text.parse::<Bytes>());
            let _ = (text.parse::<Count>(), text.parse::<Rate>());
        }
    }
}
