#!/usr/bin/env python3
"""Provokes the audit's findings on a real kernel: `check_audit.py --binary FILE`, as root or
where user namespaces are allowed.

It starts itself again in a network and a mount namespace of its own. What belongs to the network
namespace is set for real; what belongs to the whole host is only *shown* differently, by a file of ours
bound over the kernel's, so that nothing of the host is changed. Nothing but the standard library.
"""

import argparse
import contextlib
import ctypes
import fcntl
import json
import os
import pathlib
import socket
import struct
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

# What a network namespace does not have, this kernel has no longer, or a virtual machine never: folders
# shown with more in them. Knob, severity, folder, what it has more, flags.
SHOWN = [
    ("net.core.netdev_max_backlog", "warn", SYS + "net/core", {"netdev_max_backlog": "100"}, f"{HERE} --receivers-per-node 200"),
    ("net.core.netdev_budget", "info", SYS + "net/core", {"netdev_budget": "30"}, f"{ELSEWHERE} --rate 400k"),
    ("net.core.busy_poll", "info", SYS + "net/core", {"busy_poll": "0"}, f"{ELSEWHERE} --rate 10/s --engine epoll"),
    ("net.ipv4.tcp_mem", "warn", SYS + "net/ipv4", {"tcp_mem": "1\t2\t3"}, ""),
    ("net.ipv4.tcp_low_latency", "info", SYS + "net/ipv4", {"tcp_low_latency": "1"}, ""),
    ("net.netfilter.nf_conntrack_max", "warn", SYS + "net", {"netfilter/nf_conntrack_count": "99", "netfilter/nf_conntrack_max": "100"}, ""),
    ("net.netfilter.nf_conntrack_buckets", "info", SYS + "net", {"netfilter/nf_conntrack_count": "99", "netfilter/nf_conntrack_max": "9999", "netfilter/nf_conntrack_buckets": "1"}, ""),
    ("kernel.numa_balancing", "info", SYS + "kernel", {"numa_balancing": "1"}, ""),
    ("CPU governor", "info", "/sys/devices/system/cpu", {"cpu{cpu}/cpufreq/scaling_governor": "powersave"}, ""),
    ("sysctl.d", "info", "/etc", {"sysctl.d/10-advice.conf": "net.ipv4.tcp_tw_recycle = 1"}, ""),
]
# SIOCETHTOOL, and how it is told to switch GRO and TSO (linux/sockios.h, linux/ethtool.h).
SIOCETHTOOL, ETHTOOL_SGRO, ETHTOOL_STSO = 0x8946, 0x2C, 0x1F

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


@contextlib.contextmanager
def faking(folder, more):
    """Shows a copy of a folder's small files with more of them; nothing is written to the real ones."""
    with tempfile.TemporaryDirectory() as copy:
        for path in pathlib.Path(folder).rglob("*"):
            here = pathlib.Path(copy, path.relative_to(folder))
            try:
                # Numbers and words: what is larger, or no file, nobody asks for.
                text = path.read_bytes()[:65536] if path.is_file() else None
            except OSError:
                continue
            if text is not None:
                here.parent.mkdir(parents=True, exist_ok=True)
                here.write_bytes(text)
        for name, text in more.items():
            here = pathlib.Path(copy, name)
            here.parent.mkdir(parents=True, exist_ok=True)
            here.write_text(text + "\n", encoding="ascii")
        subprocess.run(["mount", "--bind", copy, folder], check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", folder], check=True)


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


def provoke_shown(binary):
    allowed = sorted(os.sched_getaffinity(0))
    for knob, severity, folder, more, flags in SHOWN:
        more = {name.replace("{cpu}", str(allowed[0])): text for name, text in more.items()}
        with contextlib.ExitStack() as shown:
            shown.enter_context(faking(folder, more))
            if knob == "kernel.numa_balancing":
                shown.enter_context(faking("/sys/devices/system/node", {"online": "0-1"}))
            expect(binary, knob, severity, flags)


def provoke_siblings(binary):
    """Two workers on one core, while another has none."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 4:
        print("skipped: SMT siblings: fewer than four CPUs")
        return
    cores = [allowed[:2], allowed[2:4]]
    more = {f"cpu{cpu}/topology/thread_siblings_list": ",".join(map(str, core)) for core in cores for cpu in core}
    with faking("/sys/devices/system/cpu", more):
        expect(binary, "SMT siblings", "info", "--cores " + ",".join(map(str, cores[0])))


def provoke_congestion(binary):
    with open(SYS + NET + "tcp_available_congestion_control", encoding="ascii") as file:
        if "bbr" not in file.read().split():
            print("skipped: net.ipv4.tcp_congestion_control: this kernel has no bbr")
            return
    with showing({NET + "tcp_congestion_control": "bbr"}):
        expect(binary, "net.ipv4.tcp_congestion_control", "info", "")


def switch_off(device, command):
    """What `ethtool -K` does: a request with the value behind it, by address."""
    wish = ctypes.create_string_buffer(struct.pack("II", command, 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sP", device.encode(), ctypes.addressof(wish))
        fcntl.ioctl(any_socket, SIOCETHTOOL, request.ljust(40, b"\0"))


def an_interrupt():
    """One that the kernel says the CPUs of, and the first of them."""
    for path in sorted(pathlib.Path("/proc/irq").glob("*/effective_affinity_list")):
        cpus = path.read_text(encoding="ascii").strip()
        if cpus.isdecimal() and int(cpus) in os.sched_getaffinity(0):
            return path.parent.name, int(cpus)
    return None, None


def provoke_card(binary):
    """A pair of virtual cards: its offloads are switched for real, its hardware is only shown."""
    subprocess.run("""ip link add fs0 type veth peer name fs1 && ip addr add 10.0.0.1/24 dev fs0 &&
        ip link set fs0 up && ip link set fs1 up && ip route add default via 10.0.0.7""", shell=True, check=True)
    irq, cpu = an_interrupt()
    card = {"fs0/operstate": "up", "fs0/speed": "10", "fs0/queues/rx-0/rps_cpus": "0", "fs0/device/vendor": "0x0"}
    if irq:
        card[f"fs0/device/msi_irqs/{irq}"] = "msi"
    with faking("/sys/class/net", card):
        expect(binary, "network card speed", "warn", f"{ELSEWHERE} --rate 10k")
        workers = ",".join(map(str, sorted(os.sched_getaffinity(0))[:2]))
        if "," in workers:
            expect(binary, "network card queues", "info", f"{ELSEWHERE} --cores {workers}")
        if irq and "," in workers:
            expect(binary, "network card interrupts", "info", f"{ELSEWHERE} --rate 10/s --cores {cpu}-{cpu}")
        else:
            print("skipped: network card interrupts: /proc/irq says no CPU, or there is only one")
        for command in (ETHTOOL_SGRO, ETHTOOL_STSO):
            switch_off("fs0", command)
        expect(binary, "network card offloads", "info", ELSEWHERE)
    subprocess.run(["ip", "link", "delete", "fs0"], check=True)


@contextlib.contextmanager
def control_group(controller, limits):
    """A group of our own with limits, of either version, and what enters it; none where we may not."""
    v1 = pathlib.Path("/sys/fs/cgroup", controller)
    group = pathlib.Path(v1 if v1.is_dir() else "/sys/fs/cgroup", f"fanstorm-check-{os.getpid()}")
    try:
        group.mkdir()
    except OSError as error:
        print(f"skipped: a control group of our own: {error}")
        yield None
        return
    try:
        for names, value in limits.items():
            files = [group / name for name in names.split() if (group / name).exists()]
            if not files:
                print(f"skipped: no control group here has {names}")
                yield None
                return
            files[0].write_text(value, encoding="ascii")
        yield lambda: (group / "cgroup.procs").write_text("0", encoding="ascii")
    finally:
        group.rmdir()


def provoke_control_groups(binary):
    # The kernel wants a quota and its period in one line, or in two files.
    for controller, limits, knob, severity in [
        ("cpu", {"cpu.max cpu.cfs_quota_us": "50000"}, "cpu.max", "warn"),
        ("memory", {"memory.max memory.limit_in_bytes": str(10 << 20)}, "memory", "stop"),
        ("pids", {"pids.max": "9"}, "pids.max", "stop"),
    ]:
        with control_group(controller, limits) as enter:
            if not enter:
                continue
            expect(binary, knob, severity, "", enter)
            if severity == "stop":
                ran = subprocess.run([binary, "--messages", "10"], capture_output=True, text=True, timeout=60, preexec_fn=enter)
                need(ran.returncode == 3 and ran.stderr.startswith("error: too"), f"{knob}: {ran.returncode} {ran.stderr}")
                print(f"      run: {ran.stderr.strip()}")


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


def provoke_locked_memory(binary):
    """Since Linux 6.14 queues count as locked memory, of whoever has no CAP_IPC_LOCK."""
    import resource

    if tuple(map(int, os.uname().release.split(".")[:2])) < (6, 14):
        print("skipped: io_uring: before Linux 6.14 its queues are not locked memory")
        return

    def little():
        # PR_CAPBSET_DROP of CAP_IPC_LOCK: what is started next does not have it.
        ctypes.CDLL(None).prctl(24, 14, 0, 0, 0)
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (400 << 10, 400 << 10))

    expect(binary, "io_uring", "stop", f"{ELSEWHERE} --receivers-per-node 20000", little)
    # Whichever process comes too late: what it met is said, and not only that another missed it.
    run = [binary, "--messages", "10", "--receivers-per-node", "3000", "--quiet"]
    ran = subprocess.run(run, capture_output=True, text=True, timeout=60, preexec_fn=little)
    need(ran.returncode == 3 and "ulimit -l" in ran.stderr, f"locked memory: {ran.returncode} {ran.stderr}")
    expect(binary, "net.ipv4.ip_local_port_range", "warn", f"{ELSEWHERE} --receivers-per-node 20000 --engine epoll", little)


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
        verdict = json.loads(ran.stdout)["trials"][0]["verdict"]
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
    provoke_shown(binary)
    provoke_siblings(binary)
    provoke_congestion(binary)
    provoke_card(binary)
    provoke_control_groups(binary)
    provoke_descriptors(binary)
    provoke_time_wait(binary)
    provoke_io_uring(binary)
    provoke_locked_memory(binary)
    check_verdict(binary)
    check_scripts()
    for fault in faults:
        print(f"FAULT: {fault}")
    sys.exit(1 if faults else 0)


main()
