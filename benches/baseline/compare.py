#!/usr/bin/env python3
"""fanstorm and the seed's algorithm in turn against one cluster: A B A B, medians and spread.

    python3 benches/baseline/compare.py [--binary target/release/fanstorm] [--messages 8000]
                                        [--pairs 5] [--json FILE]

The cluster (`fanstorm cluster`) is pinned to one CPU, each client to another. Three figures:
the total receive time; the client's CPU time for each copy (user and system time of the whole
process from wait4, its start included, and of the row alone as the client itself accounts for it);
and the client's CPU time beside the cluster's in the same run, from /proc: what the client takes
away from the cluster wherever they share a machine.

Read it with its spread: beside it, a difference is one or it is not. On one CPU everything shares
it, and the table says so. Exit code 1 when a run lost copies.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import selectors
import shlex
import signal
import statistics
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VENV = ROOT / "target" / "baseline-venv"
START_TIMEOUT_S = 30
RUN_TIMEOUT_S = 180
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
DISCOVERY = re.compile(r"http://\S+/api/clients")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "target/release/fanstorm")
    parser.add_argument("--cluster", help="another cluster's command; it prints its discovery URL")
    parser.add_argument("--messages", type=int, default=8000)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--json", type=pathlib.Path, help="write every run and the medians there")
    args = parser.parse_args()
    if not args.binary.exists():
        parser.error(f"--binary {args.binary} is missing: cargo build --release")
    return args


def install():
    """The pinned client library in a virtual environment under target/; kept when current."""
    stamp = VENV / "requirements.txt"
    wanted = (HERE / "requirements.txt").read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
        pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        pip += ["--disable-pip-version-check", "-r", str(HERE / "requirements.txt")]
        subprocess.run(pip, check=True)
        stamp.write_text(wanted)


def cpus():
    """One CPU for the cluster and one for the clients; the same one where there is no other."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def start(command, cpu, **options):
    pin = lambda: os.sched_setaffinity(0, {cpu})
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, text=True, preexec_fn=pin, **options)


@contextlib.contextmanager
def cluster(command, cpu):
    process = start(command, cpu, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        yield process, discovery_of(process)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def discovery_of(process):
    heard, deadline = "", time.monotonic() + START_TIMEOUT_S
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while time.monotonic() < deadline:
            if not selector.select(timeout=0.2):
                continue
            chunk = os.read(process.stdout.fileno(), 65536).decode()
            heard += chunk
            # The URL is whole when something stands behind it.
            found = DISCOVERY.search(heard)
            if found and found.end() < len(heard):
                time.sleep(1)
                return found.group()
            if not chunk:
                break
    sys.exit(f"the cluster named no discovery: {heard!r}")


def cpu_of_tree(root):
    """User and system seconds of a process and its descendants that live, and of children that ended."""
    stats = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            # The name in brackets may hold blanks; the fields behind it count from the state, 3.
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            stats[int(pid)] = int(fields[1]), sum(int(ticks) for ticks in fields[11:15])
    tree, grown = {root}, True
    while grown:
        children = {pid for pid, (parent, _) in stats.items() if parent in tree}
        grown = not children <= tree
        tree |= children
    return sum(stats[pid][1] for pid in tree if pid in stats) / TICKS_PER_S


def run_client(command, cpu, cluster_pid):
    before = cpu_of_tree(cluster_pid)
    process = start(command, cpu, stdout=subprocess.PIPE)
    # A client that hangs is ended by its pid; its output then ends too.
    watchdog = threading.Timer(RUN_TIMEOUT_S, process.kill)
    watchdog.start()
    output = process.stdout.read()
    process.stdout.close()
    # wait4 in place of Popen.wait: it tells what the process has used.
    _, status, used = os.wait4(process.pid, 0)
    watchdog.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    return {
        "exit": process.returncode,
        "process_cpu_s": used.ru_utime + used.ru_stime,
        "cluster_cpu_s": cpu_of_tree(cluster_pid) - before,
        "output": output,
    }


def fanstorm(args, url, cpu, cluster_pid):
    # The cluster has CPUs of its own (see `run_cluster`), which fanstorm cannot know of nodes on its host.
    command = [str(args.binary), "--discovery", url, "--messages", str(args.messages), "--wait", "latency"]
    run = run_client([*command, "--quiet", "--json", "-"], cpu, cluster_pid)
    row = json.loads(run.pop("output"))["trials"][0]
    account, cores = row["delivery"], row["generator"]["cores"]
    row_cpu_us = statistics.fmean(core["cpu_ns_per_copy"] for core in cores) / 1000
    return summary(run, account["expected"], account["delivered"], row["time"]["receive_s"], row_cpu_us)


def seed_client(args, url, cpu, cluster_pid):
    command = [str(VENV / "bin" / "python"), str(HERE / "seed_client.py"), "--discovery", url]
    run = run_client([*command, "--messages", str(args.messages)], cpu, cluster_pid)
    row = json.loads(run.pop("output"))
    return summary(run, row["expected"], row["received"], row["total_s"], row["cpu_us_per_copy"])


def summary(run, expected, received, receive_s, row_cpu_us):
    return run | {
        "expected": expected,
        "received": received,
        "receive_s": receive_s,
        "row_cpu_us_per_copy": row_cpu_us,
        "process_cpu_us_per_copy": run["process_cpu_s"] / max(received, 1) * 1e6,
        "client_per_cluster_cpu": run["process_cpu_s"] / max(run["cluster_cpu_s"], 1 / TICKS_PER_S),
    }


FIGURES = [
    ("receive_s", "total receive time, s", "{:.3f}"),
    ("row_cpu_us_per_copy", "client CPU per copy, trial alone, µs", "{:.2f}"),
    ("process_cpu_us_per_copy", "client CPU per copy, whole process, µs", "{:.2f}"),
    ("cluster_cpu_s", "cluster CPU, s", "{:.2f}"),
    ("client_per_cluster_cpu", "client CPU / cluster CPU", "{:.3f}"),
]


def table(runs):
    lines = [f"{'':40}" + "".join(f"{name:>26}" for name in runs)]
    for key, title, form in FIGURES:
        cells = [spread([run[key] for run in of], form) for of in runs.values()]
        lines.append(f"{title:40}" + "".join(f"{cell:>26}" for cell in cells))
    return "\n".join(lines)


def spread(values, form):
    low, middle, high = (form.format(f(values)) for f in (min, statistics.median, max))
    return f"{middle} ({low}..{high})"


def main():
    args = arguments()
    install()
    cluster_cpu, client_cpu = cpus()
    command = shlex.split(args.cluster) if args.cluster else [str(args.binary), "cluster"]
    runs = {"fanstorm": [], "seed_client.py": []}
    with cluster(command, cluster_cpu) as (process, url):
        print(f"cluster on CPU {cluster_cpu}, clients on CPU {client_cpu}: {url}")
        if cluster_cpu == client_cpu:
            print("one CPU for all: the receive times hold the client's own share of it")
        for pair in range(args.pairs):
            for name, client in zip(runs, (fanstorm, seed_client)):
                run = client(args, url, client_cpu, process.pid)
                runs[name].append(run)
                print(f"{pair + 1}/{args.pairs} {name}: {run['received']} of {run['expected']}", flush=True)
    print(f"m = {args.messages}, {args.pairs} pairs, median (lowest..highest)")
    print(table(runs))
    if args.json:
        args.json.write_text(json.dumps({"messages": args.messages, "runs": runs}, indent=2) + "\n")
    complete = all(run["received"] == run["expected"] for of in runs.values() for run in of)
    sys.exit(0 if complete else 1)


if __name__ == "__main__":
    main()
