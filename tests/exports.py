#!/usr/bin/env python3
"""Holds what `fanstorm report --format` makes for other tools against the result, read by those tools' own readers.

    python3 tests/exports.py [--binary target/release/fanstorm] [--only WORD] [--list]

A run whose link is cut gives a result with missing copies and a course of several seconds. `junit` is read by
junitparser (PyPI, into target/exports), `csv` by Python's csv module, `k6` by k6-html-reporter (npm; its first versions
read what --summary-export writes), and `vegeta` by a reading of the keys and types that it writes. The last line is
`N passed, N failed`; the exit code is 1 when one failed.
"""

import csv
import html
import io
import json
import pathlib
import re
import subprocess
import tempfile

import harness
from harness import ROOT, need, passes

INSTALLED = ROOT / "target" / "exports"
PINNED = "junitparser==5.0.3\n"
K6_READER = "k6-html-reporter@0.0.6"
TIMEOUT_S = 120
RUN = ["--rate", "1k", "--duration", "3s", "--drain", "1s", "--fault", "cut=0-2@1500"]

READS = """
import json, sys
from junitparser import JUnitXml
report = JUnitXml.fromstring(sys.stdin.read())
suites = list(report)
print(json.dumps([{"tests": suite.tests, "failures": suite.failures, "errors": suite.errors, "skipped": suite.skipped,
    "cases": [{"name": case.name, "results": [type(one).__name__ for one in case.result],
               "says": [one.message for one in case.result]} for case in suite]} for suite in suites]))
"""


def exported(binary, result, form):
    done = subprocess.run([binary, "report", result, "--format", form], capture_output=True, text=True, timeout=TIMEOUT_S)
    need(done.returncode == 0, f"{form}: exit {done.returncode}: {done.stderr}")
    return done.stdout


def python():
    return harness.python_with(PINNED, INSTALLED)


def junit(binary, path, result):
    done = subprocess.run([python(), "-c", READS], input=exported(binary, path, "junit"), capture_output=True, text=True,
                          timeout=TIMEOUT_S)
    need(done.returncode == 0, done.stderr[-500:])
    (suite,) = json.loads(done.stdout)
    trials = result["trials"]
    kinds = [kind for case in suite["cases"] for kind in case["results"]]
    need(suite["tests"] == len(suite["cases"]) == 2 * len(trials), f"{suite['tests']} tests of {len(trials)} trials")
    need(kinds.count("Failure") == suite["failures"] == sum(t["delivery"]["missing"] > 0 for t in trials), f"{suite}")
    need(kinds.count("Error") == suite["errors"] == sum(t["verdict"]["trust"] == "void" for t in trials), f"{suite}")
    missing = str(trials[0]["delivery"]["missing"])
    need(any(missing in says for case in suite["cases"] for says in case["says"]), f"{missing} missing: {suite}")


def table(binary, path, result):
    rows = list(csv.DictReader(io.StringIO(exported(binary, path, "csv"), newline="")))
    intervals = [i for trial in result["trials"] for i in trial["intervals"]]
    need(len(rows) == len(intervals) > 1, f"{len(rows)} rows of {len(intervals)} seconds")
    for row, interval in zip(rows, intervals):
        for key in ["start_s", "length_s", "sent", "copies", "missing_so_far", "p50_us", "p99_us", "max_us"]:
            told = float(row[key]) if row[key] else None
            need(told == interval[key], f"{key}: {row[key]}, and the result has {interval[key]}")
        for key, figure in interval["cost"].items():
            told = float(row[key]) if row[key] else None
            need(told == figure, f"{key}: {row[key]}, and the result has {figure}")


def k6(binary, path, result):
    summary = json.loads(exported(binary, path, "k6"))
    trial = result["trials"][-1]
    metrics = summary["metrics"]
    need(metrics["ws_msgs_received"]["count"] == trial["delivery"]["delivered"], f"{metrics}")
    checks = metrics["checks"]
    need((checks["passes"], checks["fails"]) == (trial["delivery"]["delivered"], trial["delivery"]["missing"]), f"{checks}")
    for key, latency in trial["latency_us"].items():
        trend = metrics[f"fanstorm_{key}"]
        need(set(trend) == {"avg", "min", "med", "max", "p(90)", "p(95)", "p(99)"}, f"{trend}")
        for ours, theirs in [("mean", "avg"), ("p50", "med"), ("max", "max"), ("p90", "p(90)")]:
            if latency[ours] is not None:
                need(abs(trend[theirs] * 1e3 - latency[ours]) < 1e-6 * latency[ours], f"{key} {theirs}: {trend}")
        need(trend["min"] <= trend["p(90)"] <= trend["p(95)"] <= trend["max"], f"{trend}")
    need({"name", "path", "id", "groups", "checks"} <= set(summary["root_group"]), f"{summary['root_group']}")


def k6_html_reporter(binary, path, result):
    reader = INSTALLED / "node_modules" / "k6-html-reporter"
    if not reader.exists():
        INSTALLED.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", INSTALLED,
                        K6_READER], check=True, timeout=TIMEOUT_S)
    summary, page = path.with_name("k6.json"), path.with_name("report.html")
    summary.write_text(exported(binary, path, "k6"))
    options = json.dumps({"jsonFile": str(summary), "output": str(page.parent)})
    done = subprocess.run(["node", "-e", f"require('k6-html-reporter').generateSummaryReport({options})"], cwd=INSTALLED,
                          capture_output=True, text=True, timeout=TIMEOUT_S)
    need(done.returncode == 0, done.stderr[-500:])
    rows = re.findall(r"<tr>(.*?)</tr>", page.read_text(), re.S)
    rows = [[html.unescape(cell).strip() for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.S)] for row in rows]
    trial = result["trials"][-1]
    (received,) = [row for row in rows if "ws_msgs_received" in row]
    need(int(received[2]) == trial["delivery"]["delivered"], f"{received}")
    for key, latency in trial["latency_us"].items():
        (shown,) = [row[2:] for row in rows if row[1:2] == [f"fanstorm_{key}"]]
        for told, ours in zip(shown, ["mean", "max", "p50", "min", "p90"]):
            if latency[ours] is not None:
                told_us = float(told.removesuffix(" ms")) * 1e3
                need(abs(told_us - latency[ours]) <= 5.1, f"{key} {ours}: {told}, and the result has {latency[ours]} us")


def vegeta(binary, path, result):
    made = json.loads(exported(binary, path, "vegeta"))
    trial = result["trials"][-1]
    whole = [*made["latencies"].values(), made["duration"], made["wait"], made["requests"], *made["status_codes"].values()]
    need(all(isinstance(figure, int) for figure in whole), f"durations and counts are whole: {made}")
    need(set(made["latencies"]) == {"total", "mean", "50th", "90th", "95th", "99th", "max", "min"}, f"{made}")
    need(made["requests"] == trial["delivery"]["expected"], f"{made['requests']}")
    need(made["status_codes"]["200"] == trial["delivery"]["delivered"], f"{made['status_codes']}")
    need(abs(made["success"] * made["requests"] - trial["delivery"]["delivered"]) < 0.5, f"{made['success']}")
    for key in ["earliest", "latest", "end"]:
        need(re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", made[key]), made[key])
    need(made["earliest"] < made["latest"] <= made["end"], f"{made}")
    response = trial["latency_us"]["response"]
    need(abs(made["latencies"]["99th"] - response["p99"] * 1e3) <= response["p99"] * 2, f"{made['latencies']}")


def main():
    cases = {"junit": junit, "csv": table, "k6": k6, "k6-html-reporter": k6_html_reporter, "vegeta": vegeta}
    binary, chosen = harness.arguments("exports", __doc__, cases)
    binary = binary.resolve()
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "result.json"
        subprocess.run([binary, *RUN, "--quiet", "--json", path], capture_output=True, timeout=TIMEOUT_S)
        result = json.loads(path.read_text())
        for name in chosen:
            outcomes.append(passes(name, lambda: cases[name](binary, path, result)))
    harness.end(outcomes)


if __name__ == "__main__":
    main()
