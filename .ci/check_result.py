#!/usr/bin/env python3
"""Checks a result file of the default table with nothing but `std`: `check_result.py FILE`.

An independent reader of `fanstorm.result/2`: it knows the seed's table and the conservation laws,
and takes no sum from the file that it can form itself. `--no-process BINARY` checks that no process
of the binary is left.
"""

import json
import os
import pathlib
import sys

ROWS = [10, 100, 1000, 2000, 4000, 8000]
PUSH_SOCKETS = 3
NODES = 3
PERCENTILES = ["min", "p50", "p90", "p99", "p99_9", "p99_99", "max"]

faults = []


def need(condition, text):
    if not condition:
        faults.append(text)


def check(result):
    need(result["schema"] == "fanstorm.result/2", f"schema: {result['schema']}")
    runs = result["trials"]
    need([row["messages"] for row in runs] == ROWS, f"trials: {[row['messages'] for row in runs]}")
    for row in runs:
        check_row(row)
    total = sum(row["delivery"]["delivered"] for row in runs)
    print(f"{len(runs)} trials, {total} copies delivered")


def check_row(row):
    name = f"m={row['messages']}"
    account = row["delivery"]
    expected = row["messages"] * (PUSH_SOCKETS + NODES)
    need(account["expected"] == expected, f"{name}: expected {account['expected']}, not {expected}")
    need(account["delivered"] == expected, f"{name}: delivered {account['delivered']} of {expected}")
    for key in ("missing", "duplicate", "misdelivered", "corrupt"):
        need(account[key] == 0, f"{name}: {key} {account[key]}")
    for key, sockets in [("push_sockets", PUSH_SOCKETS), ("receive_sockets", NODES)]:
        need(row[key] == sockets, f"{name}: {key} {row[key]}")
    need(sum(cell["copies"] for cell in row["matrix"]) == expected, f"{name}: matrix: {row['matrix']}")
    need(row["verdict"]["trust"] in ("ok", "degraded"), f"{name}: verdict: {row['verdict']}")
    check_times(name, row, expected)
    check_latencies(name, row, expected)
    print(
        f"{name}: {account['delivered']} of {expected}, trust {row['verdict']['trust']}, "
        f"receive {row['time']['receive_s']:.3f} s"
    )


def check_times(name, row, expected):
    send_s, receive_s = row["time"]["send_s"], row["time"]["receive_s"]
    need(0 < send_s and 0 < receive_s, f"{name}: time: {row['time']}")
    for key, rate in [
        ("sent_per_s", row["messages"] / send_s),
        ("copies_per_s", expected / receive_s),
    ]:
        given = row["throughput"][key]
        need(abs(given - rate) <= 0.01 * rate, f"{name}: {key} {given}, but the times say {rate}")


def check_latencies(name, row, expected):
    counts = {"service": expected, "completion": row["messages"], "spread": row["messages"]}
    for kind, count in counts.items():
        values = row["latency_us"][kind]
        need(values["count"] == count, f"{name}: {kind}: {values['count']} values, not {count}")
        # A percentile with fewer than ten samples beyond it is not given.
        given = [values[key] for key in PERCENTILES if values.get(key) is not None]
        need(given == sorted(given), f"{name}: {kind}: percentiles fall: {values}")
        need(given and given[-1] <= row["time"]["receive_s"] * 1.01e6, f"{name}: {kind}: {values}")
    for kind in ("response", "wait"):
        need(kind not in row["latency_us"], f"{name}: {kind} has no meaning in a burst")


def check_no_process(binary):
    binary = pathlib.Path(binary).resolve()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            alive = pathlib.Path(os.readlink(f"/proc/{pid}/exe")) == binary
        except OSError:
            continue
        need(not alive, f"process {pid} of {binary} is left")


def main():
    if sys.argv[1:2] == ["--no-process"]:
        check_no_process(sys.argv[2])
    else:
        with open(sys.argv[1], encoding="utf-8") as file:
            check(json.load(file))
    for fault in faults:
        print(f"FAULT: {fault}")
    sys.exit(1 if faults else 0)


main()
