#!/usr/bin/env python3
"""Holds fanstorm's percentile distributions against HdrHistogram libraries that nobody here wrote.

    python3 tests/plots.py [--binary target/release/fanstorm] [--only WORD] [--list]

One run at a rate writes a distribution for each latency class (--hgrm) and a result, which carries the
histograms behind them as text. The Java original (through `HistogramLogProcessor`, which takes such
text as a line of an interval log) and PyPI `hdrhistogram` decode that text and write distributions of
their own: same rows, same footers, same counts; and HdrHistogram's plotter finds a point in each. What they need is
installed as for formats.py. The last line is `N passed, N failed`; the exit code is 1 when one failed.
"""

import json
import pathlib
import subprocess
import tempfile

import formats
import harness
from harness import need, passes

CLASSES = ["response", "service", "wait", "completion", "spread"]
MESSAGES = 6000
LOAD = ["--relay", "--rate", "3k", "--messages", str(MESSAGES)]
PLOTTER = """
// From plotFiles.html of HdrHistogram, which is in the public domain: what becomes a point.
let points = 0;
for (const raw of require("fs").readFileSync(0, "utf-8").split("\\n")) {
  const line = raw.trim();
  const values = line.trim().split(/[ ]+/);
  if (line[0] != "#" && values.length == 4) {
    if (!isNaN(parseFloat(values[3])) && !isNaN(parseFloat(values[0]))) points++;
  }
}
console.log(points);
"""
PYTHON = """
import sys
from hdrh.histogram import HdrHistogram
HdrHistogram.decode(sys.stdin.read()).output_percentile_distribution(sys.stdout.buffer, 1.0, 5)
"""


def run(binary, folder):
    command = [str(binary), *LOAD, "--quiet", "--json", "-", "--hgrm", f"{folder}/"]
    result = output(command)
    return json.loads(result)["trials"][0]["latency_histograms"]


def output(command, stdin=""):
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=formats.TIMEOUT_S
    )
    # The times of a busy machine are void, but are written all the same.
    need(done.returncode in (0, 5), f"{command[0]}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def java(folder, text):
    """The distribution in nanoseconds: with a ratio of 1 its three decimals lose nothing."""
    log = folder / "one.hlog"
    log.write_text(
        "#[Histogram log format version 1.3]\n"
        '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n'
        f"0.000,1.000,0.000,{text}\n",
        encoding="utf-8",
    )
    formats.processor(log, "-outputValueUnitRatio", "1.0", "-o", str(folder / "one"))
    return (folder / "one.hgrm").read_text(encoding="utf-8")


def python(text):
    return output([str(formats.python()), "-c", PYTHON], text)


def rows(distribution, unit_ns):
    """Nanoseconds, percentile and count of each row, the last without its fourth column."""
    found = []
    for line in distribution.splitlines():
        cells = line.split()
        if cells and cells[0][0].isdigit():
            fourth = cells[3] if len(cells) == 4 and cells[3] not in ("inf", "Infinity") else None
            found.append((round(float(cells[0]) * unit_ns), cells[1], int(cells[2]), fourth))
    return found


def footers(distribution, unit_ns):
    """Mean, deviation and maximum in nanoseconds, count, and the sizes of the table."""
    numbers = []
    for line in distribution.splitlines():
        if line.startswith(("#[Mean", "#[Max", "#[Buckets")):
            parts = line.strip("#[]").replace("=", " ").replace(",", " ").split()
            found = [float(part) for part in parts if part[0].isdigit()]
            lengths = [unit_ns, unit_ns] if line[2:4] == "Me" else [unit_ns, 1] if line[2:4] == "Ma" else [1, 1]
            numbers += [number * unit for number, unit in zip(found, lengths)]
    return numbers


def same(ours, theirs):
    need(len(ours) > 20, f"{len(ours)} rows")
    for mine, other in zip(ours, theirs):
        # Of a percentile that ends in a 5 behind the last digit Java makes the larger, C the even one.
        rounding = abs(float(mine[1]) - float(other[1])) < 1.5e-12
        need((mine[0], *mine[2:]) == (other[0], *other[2:]) and rounding, f"{mine} but {other}")
    need(len(ours) == len(theirs), f"{len(ours)} rows but {len(theirs)}")


def java_writes_the_same(ours, text, folder):
    theirs = java(folder, text)
    same(rows(ours, 1e6), rows(theirs, 1.0))
    for mine, other in zip(footers(ours, 1e6), footers(theirs, 1.0), strict=True):
        need(abs(mine - other) <= 1.0, f"footers: {mine} but {other}")


def python_counts_the_same(ours, text, _):
    """It steps by other percentiles than Java and C, so what it has in common are values."""
    theirs = {value: count for value, _, count, _ in rows(python(text), 1.0)}
    common = [(value, count) for value, _, count, _ in rows(ours, 1e6) if value in theirs]
    need(len(common) > 5, f"{len(common)} values in common")
    for value, count in common:
        need(theirs[value] == count, f"{value} ns: {count} samples but {theirs[value]}")


def the_plotter_finds_a_point_in_each_row_but_the_last(ours, _, __):
    points = int(output(["node", "-e", PLOTTER], ours))
    need(points == len(rows(ours, 1e6)) - 1, f"{points} points: {ours}")


CASES = [
    java_writes_the_same,
    python_counts_the_same,
    the_plotter_finds_a_point_in_each_row_but_the_last,
]


def main():
    cases = {f"{case.__name__}: {latency}": (case, latency) for latency in CLASSES for case in CASES}
    binary, chosen = harness.arguments("plots", __doc__, cases)
    formats.jar()
    formats.install()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        histograms = run(binary, folder)
        need(sorted(histograms) == sorted(CLASSES), f"classes: {sorted(histograms)}")
        outcomes = [passes(name, lambda: hold(*cases[name], histograms, folder)) for name in chosen]
    harness.end(outcomes)


def hold(case, latency, histograms, folder):
    ours = (folder / f"m{MESSAGES}-r3000.{latency}.hgrm").read_text(encoding="utf-8")
    case(ours, histograms[latency], folder)


if __name__ == "__main__":
    main()
