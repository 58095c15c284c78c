#!/usr/bin/env python3
"""Provokes the audit's findings on a real kernel: `check_audit.py --binary FILE`, as root or
where user namespaces are allowed.

It starts itself again in a network and a mount namespace of its own. What belongs to the network
namespace is set for real; what belongs to the whole host is only *shown* differently, by a file of ours
bound over the kernel's, so that nothing of the host is changed. Nothing but the standard library.
"""

import argparse
import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile

from no_io_uring import refuse_io_uring

SYS = "/proc/sys/"
TUNING = pathlib.Path(__file__).parent.parent / "tuning"
ELSEWHERE = "--node ws://10.0.0.7:9001/"
HERE = "--node ws://127.0.0.1:40001/"
NET = "net/ipv4/"
TINY = "1024 4096 16384"

# Knob, severity, files and what they say, flags.
PROVOKED = [
    ("net.ipv4.ip_local_port_range", "stop", {NET + "ip_local_port_range": "40000 40049"}, f"{ELSEWHERE} --receivers-per-node 50"),
    ("net.ipv4.ip_local_port_range", "warn", {NET + "ip_local_port_range": "40000 40099"}, f"{ELSEWHERE} --receivers-per-node 50"),
    ("net.ipv4.ip_local_port_range", "info", {NET + "ip_local_port_range": "40001 60999"}, ELSEWHERE),
    ("net.ipv4.ip_local_reserved_ports", "info", {}, HERE),
    ("net.ipv4.tcp_max_tw_buckets", "info", {NET + "tcp_max_tw_buckets": "3"}, ELSEWHERE),
    ("net.core.somaxconn", "warn", {"net/core/somaxconn": "3"}, HERE),
    ("net.ipv4.tcp_max_syn_backlog", "warn", {NET + "tcp_max_syn_backlog": "3", NET + "tcp_syncookies": "0"}, HERE),
    ("net.ipv4.tcp_rmem", "warn", {NET + "tcp_rmem": TINY}, ""),
    ("net.ipv4.tcp_rmem", "info", {NET + "tcp_rmem": TINY}, "--messages 10"),
    ("net.ipv4.tcp_wmem", "warn", {NET + "tcp_wmem": TINY}, ""),
    ("net.ipv4.tcp_moderate_rcvbuf", "warn", {NET + "tcp_moderate_rcvbuf": "0"}, ""),
    ("net.ipv4.tcp_window_scaling", "warn", {NET + "tcp_window_scaling": "0"}, ""),
    ("net.ipv4.tcp_timestamps", "info", {NET + "tcp_timestamps": "0"}, ""),
    ("net.ipv4.tcp_slow_start_after_idle", "warn", {NET + "tcp_slow_start_after_idle": "1"}, f"{ELSEWHERE} --rate 2/s --payload-bytes 64KiB"),
    ("net.ipv4.tcp_notsent_lowat", "info", {NET + "tcp_notsent_lowat": "4294967295"}, f"{ELSEWHERE} --rate 10k --payload-bytes 1KiB"),
    ("net.ipv4.tcp_fin_timeout", "info", {NET + "tcp_fin_timeout": "15"}, ""),
    # Of the whole host, or of its hardware: shown, not set.
    ("fs.file-max", "stop", {"fs/file-max": "100", "fs/file-nr": "99\t0\t100"}, ""),
    ("vm.max_map_count", "warn", {"vm/max_map_count": "500"}, ""),
    ("kernel.sched_autogroup_enabled", "info", {"kernel/sched_autogroup_enabled": "1"}, "--rate 10/s"),
    ("clock source", "warn", {"/sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet"}, "--rate 100k"),
    ("transparent huge pages", "info", {"/sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never"}, "--messages 8M"),
    ("memory", "stop", {"/proc/meminfo": "MemTotal: 4096 kB\nMemAvailable: 1024 kB\nSwapTotal: 0 kB\n"}, ""),
    ("swap", "warn", {"/proc/meminfo": "MemTotal: 99999 kB\nMemAvailable: 12000 kB\nSwapTotal: 9 kB\n"}, ""),
    ("steal", "info", {"/proc/stat": "cpu 50 0 10 30 0 0 0 10 0 0\n"}, ""),
]

faults = []


def need(condition, text):
    if not condition:
        faults.append(text)


def file_of(name):
    return name if name.startswith("/") else SYS + name


@contextlib.contextmanager
def showing(files):
    """Sets what this namespace may set; binds a file of ours over everything else."""
    former, bound = {}, []
    try:
        for name, value in files.items():
            path = file_of(name)
            if path.startswith(SYS + "net/"):
                former[path] = pathlib.Path(path).read_text(encoding="ascii")
                pathlib.Path(path).write_text(value, encoding="ascii")
            else:
                with tempfile.NamedTemporaryFile("w", delete=False) as ours:
                    ours.write(value if value.endswith("\n") else value + "\n")
                subprocess.run(["mount", "--bind", ours.name, path], check=True)
                bound.append((path, ours.name))
        yield
    finally:
        for path, value in former.items():
            pathlib.Path(path).write_text(value, encoding="ascii")
        for path, ours in reversed(bound):
            subprocess.run(["umount", path], check=True)
            os.unlink(ours)


def audit(binary, flags, before=None):
    command = [binary, "audit", *flags.split(), "--quiet", "--json", "-"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, preexec_fn=before)
    try:
        document = json.loads(ran.stdout)
    except ValueError:
        faults.append(f"{flags}: no document: {ran.stdout} {ran.stderr}")
        return ran.returncode, {}
    return ran.returncode, {(item["knob"], item["severity"]): item for item in document["findings"]}


def expect(binary, knob, severity, flags, before=None):
    code, found = audit(binary, flags, before)
    item = found.get((knob, severity))
    need(item, f"{knob}: no `{severity}` with {flags}: {sorted(found)}")
    need((code == 3) == any(s == "stop" for _, s in found), f"{knob}: exit code {code}")
    if item:
        print(f"{severity}  {knob}  is {item['is']}  wants {item['wants']}\n      {item['why']}\n      > {item['remedy']}")


def provoke(binary):
    for knob, severity, files, flags in PROVOKED:
        absent = [name for name in files if not os.path.exists(file_of(name))]
        if absent:
            print(f"skipped: {knob}: this kernel has no {absent}")
            continue
        with showing(files):
            expect(binary, knob, severity, flags)


def provoke_descriptors(binary):
    import resource

    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80))

    # io_uring could keep the sockets in tables of its own.
    flags = f"{ELSEWHERE} --receivers-per-node 50 --engine epoll"
    expect(binary, "RLIMIT_NOFILE", "stop", flags, few)
    with showing({"fs/nr_open": "90"}):
        expect(binary, "fs.nr_open", "stop", flags, few)


def provoke_time_wait(binary):
    """Closed connections that hold the ports which a run wants, for real."""
    with showing({NET + "ip_local_port_range": "40000 40079", NET + "tcp_tw_reuse": "0"}):
        with socket.create_server(("127.0.0.1", 39999), backlog=64) as server:
            for _ in range(40):
                client = socket.create_connection(server.getsockname())
                peer, _ = server.accept()
                client.close()
                peer.close()
        expect(binary, "net.ipv4.tcp_tw_reuse", "warn", f"{ELSEWHERE} --receivers-per-node 47")


def provoke_io_uring(binary):
    expect(binary, "io_uring", "warn", ELSEWHERE, refuse_io_uring)
    expect(binary, "io_uring", "stop", f"{ELSEWHERE} --engine io_uring", refuse_io_uring)
    expect(binary, "io_uring", "warn", "", refuse_io_uring)
    code, found = audit(binary, f"{ELSEWHERE} --engine epoll", refuse_io_uring)
    need(code == 0 and not any("io_uring" in knob for knob, _ in found), f"epoll needs none: {found}")
    if os.path.exists(SYS + "kernel/io_uring_disabled"):
        with showing({"kernel/io_uring_disabled": "2"}):
            expect(binary, "kernel.io_uring_disabled", "stop", ELSEWHERE, refuse_io_uring)


def check_quiet(binary):
    """A small run on this host as it is has no warning."""
    code, found = audit(binary, "")
    loud = [key for key in found if key[1] != "info"]
    need(code == 0 and not loud, f"a small run: {code} {loud}")


def check_verdict(binary):
    """What the audit warns of is in the verdict of a run, and gone when the setting is."""
    def codes():
        command = [binary, "--messages", "2000", "--quiet", "--json", "-"]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
        need(ran.returncode in (0, 5), f"a run: {ran.returncode} {ran.stderr}")
        verdict = json.loads(ran.stdout)["runs"][0]["verdict"]
        return {caveat["code"]: caveat for caveat in verdict["caveats"]}

    with showing({NET + "tcp_rmem": TINY}):
        caveat = codes().get("host-untuned")
        need(caveat and caveat["severity"] == "degraded", f"no host-untuned: {caveat}")
        print(f"host-untuned: {caveat and caveat['text']}")
    need("host-untuned" not in codes(), "host-untuned on a stock host")
    with showing({NET + "ip_local_port_range": "40000 40049"}):
        # On loopback we would take more source addresses instead.
        flags = f"{ELSEWHERE} --receivers-per-node 50"
        ran = subprocess.run([binary, *flags.split()], capture_output=True, text=True, timeout=60)
        need(ran.returncode == 3 and "too few local ports" in ran.stderr, f"{ran.returncode} {ran.stderr}")


def knobs():
    names = set()
    for profile in (TUNING / "sysctl").glob("*.conf"):
        lines = profile.read_text(encoding="utf-8").splitlines()
        names |= {line.split(" = ")[0] for line in lines if " = " in line and not line.startswith("#")}
    return sorted(names)


def values():
    """Every sysctl of this namespace that can be read, and those of the profiles."""
    found = {}
    files = [p for p in pathlib.Path(SYS + "net").rglob("*") if p.is_file()]
    files += [pathlib.Path(SYS + knob.replace(".", "/")) for knob in knobs()]
    for path in files:
        try:
            found[str(path)] = path.read_text(encoding="utf-8", errors="replace").split()
        except OSError:
            pass
    return found


def check_scripts():
    shown = {}
    for knob in knobs():
        path = SYS + knob.replace(".", "/")
        if not knob.startswith("net.") and os.path.exists(path):
            shown[path] = pathlib.Path(path).read_text(encoding="ascii")
    with showing(shown), tempfile.TemporaryDirectory() as state:
        before = values()
        env = {**os.environ, "FANSTORM_TUNING_STATE": state + "/saved"}
        for profile in ["throughput", "million-connections", "latency"]:
            ran = subprocess.run([TUNING / "apply.sh", profile], env=env, capture_output=True, text=True)
            print(ran.stdout, end="")
            need(ran.returncode == 0, f"apply.sh {profile}: {ran.stdout} {ran.stderr}")
        changed = [path for path, value in values().items() if before.get(path) != value]
        need(len(changed) > 5, f"the profiles changed only {changed}")
        ran = subprocess.run([TUNING / "revert.sh"], env=env, capture_output=True, text=True)
        print(ran.stdout, end="")
        need(ran.returncode == 0, f"revert.sh: {ran.stdout} {ran.stderr}")
        after = values()
        left = [path for path in before if before[path] != after.get(path) and "random" not in path]
        need(not left, f"not as it was: {left}")
        print(f"{len(changed)} values changed and restored, {len(before)} compared")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.inside:
        again = [sys.executable, __file__, "--binary", os.path.abspath(arguments.binary), "--inside"]
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        os.execvp("unshare", ["unshare", *user, "--net", "--mount", "--propagation", "private", *again])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    binary = arguments.binary
    check_quiet(binary)
    provoke(binary)
    provoke_descriptors(binary)
    provoke_time_wait(binary)
    provoke_io_uring(binary)
    check_verdict(binary)
    check_scripts()
    for fault in faults:
        print(f"FAULT: {fault}")
    sys.exit(1 if faults else 0)


main()
