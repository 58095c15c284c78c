#!/usr/bin/env python3
"""Reads what fanstorm writes for HdrHistogram's tools with tools that nobody here wrote.

    python3 tests/formats.py [--binary target/release/fanstorm] [--only WORD] [--list]

One run with a warm-up against the embedded cluster gives an interval log and a result. The log is
read by the Java original (`HistogramLogProcessor`, Debian's libhdrhistogram-java) and by PyPI
`hdrhistogram`, installed into target/formats at the version that tests/peers/formats.txt pins:
tags, counts, maxima and percentiles must be those of the result, and each second of the log that of
the result. The cases that the search is held to (`src/experiment/search`) are those that PyPI `MLRsearch` makes. The last line is `N passed, N failed`; the exit code is 1 when one failed.
"""

import collections
import json
import math
import pathlib
import shutil
import subprocess
import sys
import tempfile

import harness
from harness import PEERS, ROOT, Failed, need, passes

PINNED = PEERS / "formats.txt"
INSTALLED = ROOT / "target" / "formats"
SEARCH_CASES = ROOT / "tests" / "fixtures" / "search" / "mlrsearch.json"
JARS = [pathlib.Path("/usr/share/java/hdrhistogram.jar"), pathlib.Path("/usr/share/java/HdrHistogram.jar")]
TIMEOUT_S = 90
NODES = 3
LOAD = ["--nodes", str(NODES), "--rate", "2k", "--duration", "4s", "--warmup", "1500ms"]
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99_9": 0.999, "p99_99": 0.9999}
CLASSES = {"service": "e2e-st", "wait": "send-wt", "completion": "done-rt", "spread": "spread"}
DIALLED = {"connect": "connect_us", "upgrade": "upgrade_us"}


def install():
    """The pinned reader into target/formats; what is there and current is kept."""
    mark = INSTALLED / "formats.txt"
    if mark.exists() and mark.read_bytes() == PINNED.read_bytes():
        return
    harness.install(PINNED, INSTALLED / "venv")
    shutil.copy(PINNED, mark)


def python():
    return INSTALLED / "venv" / "bin" / "python"


def jar():
    found = [path for path in JARS if path.exists()]
    if not found or not shutil.which("java"):
        sys.exit("formats: apt-get install default-jre-headless libhdrhistogram-java")
    return found[0]


def run(binary, folder):
    """The trial of a run with a log, with what its connecting took, and the log's path."""
    log = folder / "run.hlog"
    command = [str(binary), *LOAD, "--quiet", "--json", "-", "--hlog", str(log)]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S
    )
    # The times of a busy machine are void, but are written all the same.
    need(done.returncode in (0, 5), f"exit {done.returncode}: {done.stderr.strip()}")
    result = json.loads(done.stdout)
    return {**result["trials"][0], "connecting": result["connecting"]}, log


def processor(log, *options):
    command = ["java", "-cp", str(jar()), "org.HdrHistogram.HistogramLogProcessor", "-i", str(log)]
    done = subprocess.run(
        [*command, *options], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=TIMEOUT_S,
    )
    need(done.returncode == 0, f"HistogramLogProcessor: {done.stdout} {done.stderr}")
    return done.stdout


def phases(row):
    """Prefix of the tags, and the latencies that the result gives for them."""
    return [("", row["latency_us"]), ("warmup.", row["warmup"]["latency_us"])]


def expected_tags(row):
    return set(DIALLED) | {
        prefix + tag
        for prefix, _ in phases(row)
        for tag in [*CLASSES.values(), *(f"e2e-rt.0-{node}" for node in range(NODES))]
    }


def java_finds_every_tag(row, log):
    listed = processor(log, "-listtags").splitlines()[1:]
    need(set(listed) == expected_tags(row), f"tags: {listed}")


def java_counts(log, tag, folder):
    """Values in microseconds with the samples at or below them, maximum and count, as Java has them."""
    name = folder / tag
    processor(log, "-tag", tag, "-outputValueUnitRatio", "1000", "-o", str(name))
    rows, footer = [], {}
    for line in pathlib.Path(f"{name}.hgrm").read_text(encoding="utf-8").splitlines():
        if line.startswith("#[Max"):
            words = line.replace(",", " ").replace("]", " ").split()
            footer = {"max": float(words[2]), "count": int(words[-1])}
        elif line.strip() and line.split()[0][0].isdigit():
            value, _, count = line.split()[:3]
            rows.append((float(value), int(count)))
    return rows, footer


def java_agrees(row, log):
    with tempfile.TemporaryDirectory() as folder:
        for prefix, latency in phases(row):
            for name, tag in CLASSES.items():
                rows, footer = java_counts(log, prefix + tag, pathlib.Path(folder))
                agree_with_rows(prefix + tag, rows, footer, latency[name])
        for tag, key in DIALLED.items():
            rows, footer = java_counts(log, tag, pathlib.Path(folder))
            agree_with_rows(tag, rows, footer, row["connecting"][key])
        for cell in row["matrix"]:
            tag = f"e2e-rt.0-{cell['to']}"
            rows, footer = java_counts(log, tag, pathlib.Path(folder))
            wanted = {key.removesuffix("_us"): value for key, value in cell.items()}
            agree_with_rows(tag, rows, footer, {**wanted, "count": footer["count"]})


def agree_with_rows(tag, rows, footer, wanted):
    need(footer["count"] == wanted["count"], f"{tag}: {footer} but {wanted}")
    need(same_bucket(footer["max"], wanted["max"]), f"{tag}: {footer} but {wanted}")
    for key, quantile in PERCENTILES.items():
        value = wanted.get(key)
        if value is None:
            continue
        # Java prints some values with the samples up to them: those below the percentile must hold
        # fewer than it takes, those from it on as many.
        rank = math.ceil(round(quantile * footer["count"], 6))
        for printed, count in rows:
            need((count >= rank) == (printed >= value - 5e-4), f"{tag}: {key} {value}: {printed} {count}")


def same_bucket(java, ours):
    """Java knows a maximum to three digits, the result may know it to the nanosecond."""
    return abs(java - ours) <= java * 1e-3 + 1e-3


def python_rows(log):
    """Every row of the log: tag, start, length, and the samples by value."""
    program = (
        "import sys\n"
        "from hdrh.histogram import HdrHistogram\n"
        "from hdrh.log import HistogramLogReader\n"
        "reader = HistogramLogReader(sys.argv[1], HdrHistogram(1, 3600 * 10**9, 3))\n"
        "while True:\n"
        "    h = reader.get_next_interval_histogram()\n"
        "    if h is None: break\n"
        "    counts = [(i.value_iterated_to, i.count_at_value_iterated_to)"
        " for i in h.get_recorded_iterator()]\n"
        "    print(h.get_tag(), h.get_start_time_stamp(), h.get_end_time_stamp(), counts, sep='\\t')\n"
    )
    done = subprocess.run(
        [str(python()), "-c", program, str(log)], capture_output=True, text=True, timeout=TIMEOUT_S
    )
    need(done.returncode == 0, f"PyPI hdrhistogram: {done.stderr}")
    for line in done.stdout.splitlines():
        tag, start, end, counts = line.split("\t")
        # It keeps times in milliseconds.
        yield tag, float(start) / 1e3, float(end) / 1e3, collections.Counter(dict(json.loads(
            counts.replace("(", "[").replace(")", "]")
        )))


def python_agrees(row, log):
    sums = collections.defaultdict(collections.Counter)
    for tag, _, _, counts in python_rows(log):
        sums[tag] += counts
    need(set(sums) == expected_tags(row), f"tags: {sorted(sums)}")
    for prefix, latency in phases(row):
        for name, tag in CLASSES.items():
            agree_with_counts(prefix + tag, sums[prefix + tag], latency[name])
        nodes = (sums[f"{prefix}e2e-rt.0-{node}"] for node in range(NODES))
        agree_with_counts(f"{prefix}e2e-rt.*", sum(nodes, collections.Counter()), latency["response"])


def python_agrees_on_connecting(row, log):
    sums = collections.defaultdict(collections.Counter)
    for tag, start, end, counts in python_rows(log):
        if tag in DIALLED:
            sums[tag] += counts
            need(start <= end, f"{tag}: {start} to {end}")
    for tag, key in DIALLED.items():
        agree_with_counts(tag, sums[tag], row["connecting"][key])


def agree_with_counts(tag, counts, wanted):
    total = sum(counts.values())
    need(total == wanted["count"], f"{tag}: {total} samples but {wanted}")
    need(same_bucket(max(counts) / 1e3, wanted["max"]), f"{tag}: {max(counts)} ns but {wanted}")
    for key, quantile in PERCENTILES.items():
        value = wanted.get(key)
        if value is not None:
            found = at_rank(counts, math.ceil(round(quantile * total, 6))) / 1e3
            # The exact maximum may lie below the top of its bucket.
            need(found == value or (value == wanted["max"] and same_bucket(found, value)),
                 f"{tag}: {key} {found} but {wanted}")


def at_rank(counts, rank):
    for value in sorted(counts):
        rank -= counts[value]
        if rank <= 0:
            return value
    raise Failed(f"no rank {rank}")


def every_second_is_in_both(row, log):
    seconds = collections.defaultdict(collections.Counter)
    starts = {}
    for tag, start, end, counts in python_rows(log):
        if tag.removeprefix("warmup.").startswith("e2e-rt."):
            key = (tag.startswith("warmup."), round(start, 3))
            seconds[key] += counts
            starts[key] = end - start
    listed = [i for i in row["intervals"] if i["copies"]]
    need(len(listed) == len(seconds), f"{len(listed)} intervals and {len(seconds)} seconds")
    need(len(listed) >= 6, f"two of the warm-up and four measured: {listed}")
    first = min(start for _, start in seconds)
    for interval in listed:
        key = min(
            (key for key in seconds if key[0] == interval["warmup"]),
            key=lambda key: abs(key[1] - first - interval["start_s"]),
        )
        counts = seconds[key]
        need(abs(key[1] - first - interval["start_s"]) < 0.002, f"no second at {interval}")
        need(abs(starts[key] - interval["length_s"]) < 0.002, f"{starts[key]} but {interval}")
        wanted = {"count": interval["copies"]} | {
            key: interval[f"{key}_us"] for key in ("p50", "p99", "max")
        }
        agree_with_counts(str(key), counts, wanted)


def intervals_add_up(row, _):
    for key, total in [("sent", row["sent"]), ("copies", row["delivery"]["delivered"])]:
        found = sum(interval[key] for interval in row["intervals"])
        need(found == total, f"{key}: {found} in all intervals, {total} in the trial")
    warm = [interval for interval in row["intervals"] if interval["warmup"]]
    need(sum(i["sent"] for i in warm) == row["warmup"]["messages"] == 3000, f"warm-up: {warm}")
    need(row["messages"] == 11000, f"{row['messages']} messages")


def the_bounds_of_a_search_are_those_of_mlrsearch(*_):
    with tempfile.TemporaryDirectory() as folder:
        made = pathlib.Path(folder) / SEARCH_CASES.name
        subprocess.run([python(), ROOT / "tests" / "mlrsearch_cases.py", made], check=True, timeout=TIMEOUT_S)
        need(made.read_bytes() == SEARCH_CASES.read_bytes(), "the library says something else than the committed cases")


CASES = [
    java_finds_every_tag, java_agrees, python_agrees, python_agrees_on_connecting, every_second_is_in_both, intervals_add_up,
    the_bounds_of_a_search_are_those_of_mlrsearch,
]


def main():
    cases = {case.__name__: case for case in CASES}
    binary, chosen = harness.arguments("formats", __doc__, cases)
    jar()
    install()
    with tempfile.TemporaryDirectory() as folder:
        row, log = run(binary, pathlib.Path(folder))
        outcomes = [passes(name, lambda: cases[name](row, log)) for name in chosen]
    harness.end(outcomes)


if __name__ == "__main__":
    main()
