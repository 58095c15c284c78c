#!/usr/bin/env python3
"""Runs fanstorm against servers that nobody here wrote, and against some that misbehave.

    python3 tests/interop.py [--binary target/release/fanstorm] [--only WORD] [--list]

One codec at both ends hides a shared mistake. So the far ends are npm `ws` and PyPI `websockets`
(its keepalive on: who leaves a Ping unanswered is dropped), at the versions that tests/peers pins,
installed into target/interop. `hostile.py` beside them needs nothing installed.

Each server listens on a port that the kernel picks, on loopback, and is ended by its pid. The last
line is `N passed, N failed`; the exit code is 1 when one failed.
"""

import contextlib
import dataclasses
import json
import pathlib
import shutil
import socket
import subprocess
import sys

import harness
from harness import PEERS, ROOT, need, passes

INSTALLED = ROOT / "target" / "interop"
RUN_TIMEOUT_S = 90

ECHO = ["--fan-out", "own", "--push-sockets", "3", "--receivers-per-node", "0"]
BROADCAST = ["--push-sockets", "3", "--receivers-per-node", "2"]


@dataclasses.dataclass
class Case:
    """One run: a server, how it is driven, and what must come of it."""

    name: str
    server: list
    options: list
    copies_each: int = 0
    exit_code: int = 0
    # Words that the one line of an error must hold.
    says: tuple = ()
    # Copies lost, but every one of them accounted for.
    lossy: bool = False
    # The server keeps the order of a socket's messages.
    ordered: bool = True
    # The server pings, and the result must tell so.
    pings: bool = False
    # What comes is compressed (`in`), and what is sent, too (`both`).
    deflates: str = ""


def node(mode):
    return ["node", str(INSTALLED / "ws-server.mjs"), mode]


def deflating(**options):
    return ["env", "DEFLATE=" + json.dumps({"threshold": 0, **options}), *node("broadcast")]


def websockets(mode):
    python = str(INSTALLED / "venv" / "bin" / "python")
    return [python, str(PEERS / "websockets_server.py"), mode, "--pace-ms", "10"]


def dsatter_like():
    return [str(INSTALLED / "venv" / "bin" / "python"), str(PEERS / "dsatter_like.py")]


def hostile(mode):
    return [sys.executable, str(PEERS / "hostile.py"), mode]


def messages(*counts):
    return ["--messages", ",".join(str(count) for count in counts)]


CASES = [
    Case("npm ws, echo", node("echo"), ECHO + messages(10, 2000), 1),
    Case("npm ws, broadcast", node("broadcast"), BROADCAST + messages(10, 2000), 5),
    Case(
        "npm ws, broadcast, 16-bit lengths",
        node("broadcast"),
        BROADCAST + messages(300) + ["--payload-bytes", "300"],
        5,
    ),
    Case(
        "npm ws, broadcast, 64-bit lengths",
        node("broadcast"),
        BROADCAST + messages(60) + ["--payload-bytes", "70000"],
        5,
    ),
    Case("npm ws, compressed", deflating(), BROADCAST + messages(10, 2000) + ["--deflate"], 5, deflates="in"),
    Case(
        "npm ws, compressed both ways",
        deflating(),
        BROADCAST + messages(10, 2000) + ["--deflate", "--deflate-send"],
        5,
        deflates="both",
    ),
    Case(
        "npm ws, compressed both ways, each message by itself, in small windows",
        deflating(),
        BROADCAST + messages(10, 1000) + ["--deflate", "--deflate-send", "--deflate-no-takeover", "both",
                                          "--deflate-window-bits", "10", "--deflate-send-window-bits", "9"],
        5,
        deflates="both",
    ),
    Case(
        "npm ws, compressed messages of 70,000 bytes",
        deflating(),
        BROADCAST + messages(60) + ["--payload-bytes", "70000", "--deflate", "--deflate-send"],
        5,
        deflates="both",
    ),
    Case("npm ws takes no compression", node("broadcast"), BROADCAST + messages(100) + ["--deflate"], 5),
    Case(
        "PyPI websockets, compressed both ways, keepalive",
        websockets("broadcast"),
        BROADCAST + messages(300) + ["--deflate", "--deflate-send"],
        5,
        pings=True,
        deflates="both",
    ),
    # 3 sockets with 300 messages each at 10 ms: three seconds, fifteen Pings on every socket.
    Case("PyPI websockets, echo, keepalive", websockets("echo"), ECHO + messages(900), 1, pings=True),
    Case(
        "PyPI websockets, broadcast, keepalive",
        websockets("broadcast"),
        BROADCAST + messages(900),
        5,
        pings=True,
    ),
    Case(
        "the seed's cluster on PyPI websockets",
        dsatter_like(),
        ["--dialect", "dsatter"] + messages(10, 100, 2000),
        6,
        ordered=False,
    ),
    Case("a Ping before every copy", hostile("pings"), ECHO + messages(600), 1, pings=True),
    Case("nobody listens", [], ECHO + messages(10), exit_code=4, says=("refused",)),
    Case("404 on upgrade", hostile("404"), ECHO + messages(10), exit_code=4, says=("404",)),
    Case("upgrade never answered", hostile("mute"), ECHO + messages(10), exit_code=4),
    Case("wrong accept key", hostile("bad-accept"), ECHO + messages(10), exit_code=4, says=("ccept",)),
    Case("masked frames", hostile("masked"), ECHO + messages(10), exit_code=4),
    Case("closes after 1 s", hostile("close-1s"), ECHO + messages(3000), 1, exit_code=1, lossy=True),
    Case("resets after 1 s", hostile("reset-1s"), ECHO + messages(3000), 1, exit_code=1, lossy=True),
]


def install():
    """Pinned packages into target/interop; what is there and current is kept."""
    for tool, package in [("node", "nodejs"), ("npm", "npm")]:
        if not shutil.which(tool):
            sys.exit(f"interop: {tool} is missing: apt-get install {package}")
    INSTALLED.mkdir(parents=True, exist_ok=True)
    pinned = ["package.json", "package-lock.json", "requirements.txt"]
    current = all(same(PEERS / name, INSTALLED / name) for name in pinned)
    shutil.copy(PEERS / "ws-server.mjs", INSTALLED)
    if current and (INSTALLED / "node_modules").exists():
        return
    for name in pinned[:2]:
        shutil.copy(PEERS / name, INSTALLED)
    subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=INSTALLED, check=True
    )
    harness.install(PEERS / "requirements.txt", INSTALLED / "venv")
    # Last, because it is what says that the rest is done.
    shutil.copy(PEERS / "requirements.txt", INSTALLED)


def same(one, other):
    return other.exists() and one.read_bytes() == other.read_bytes()


@contextlib.contextmanager
def running(command):
    """The port of a server that lives as long as the block; its last words in `said`."""
    if not command:
        yield unused_port(), []
        return
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    said = []
    try:
        yield listening_port(server), said
    finally:
        server.terminate()
        try:
            rest, _ = server.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            server.kill()
            rest, _ = server.communicate()
        said.extend(rest.splitlines())


def listening_port(server):
    line = server.stdout.readline()
    need(line.startswith("listening "), f"the server did not start: {line!r}")
    return int(line.split()[1])


def unused_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def run_case(case, binary):
    with running(case.server) as (port, said):
        url, target = target_of(case, port)
        command = [str(binary), *target, "--drain", "3s", "--quiet", "--json", "-", *case.options]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=RUN_TIMEOUT_S
        )
    check(case, done, url)
    dropped = [line for line in said if line.startswith("dropped") and line != "dropped 0"]
    need(not dropped, f"the server says: {dropped}")


def target_of(case, port):
    if "dsatter" in case.options:
        url = f"http://127.0.0.1:{port}/api/clients"
        return url, ["--discovery", url]
    url = f"ws://127.0.0.1:{port}/"
    return url, ["--dialect", "raw", "--node", url]


def check(case, done, url):
    heard = f"exit {done.returncode}, stderr: {done.stderr.strip()!r}"
    need(done.returncode == case.exit_code, f"exit {case.exit_code} expected; {heard}")
    if case.exit_code == 4:
        need(url.rstrip("/") in done.stderr, f"the error does not name {url}; {heard}")
        for word in case.says:
            need(word in done.stderr, f"the error does not say {word!r}; {heard}")
        need("panicked" not in done.stderr, heard)
        return
    result = json.loads(done.stdout)
    rows = [int(count) for count in case.options[case.options.index("--messages") + 1].split(",")]
    need(len(result["trials"]) == len(rows), f"{len(result['trials'])} trials of {len(rows)}")
    for row, count in zip(result["trials"], rows):
        check_row(case, row, count)


def check_row(case, row, count):
    account = row["delivery"]
    need(row["messages"] == count, f"a trial of {row['messages']}, not of {count}")
    need(account["expected"] == count * case.copies_each, f"m={count}: expected: {account}")
    need(account["expected"] == account["delivered"] + account["missing"], f"m={count}: {account}")
    for key in ("duplicate", "misdelivered", "foreign", "corrupt"):
        need(account[key] == 0, f"m={count}: {key}: {account}")
    if case.lossy:
        need(account["missing"] > 0, f"m={count}: nothing is missing: {account}")
        need(account["delivered"] > 0, f"m={count}: nothing came: {account}")
    else:
        need(account["missing"] == 0, f"m={count}: {account}")
        need(not case.ordered or account["out_of_order"] == 0, f"m={count}: {account}")
        need(not case.pings or row["opcodes"]["ping"] > 0, f"m={count}: no Ping: {row['opcodes']}")
        need(row["verdict"]["trust"] != "void", f"m={count}: {row['verdict']}")
    check_deflate(case, row)
    service = row["latency_us"]["service"]
    need(service["count"] == account["delivered"], f"m={count}: {service['count']} latencies")
    # A percentile with fewer than ten samples beyond it is null.
    given = [service[key] for key in ("min", "p50", "max") if service[key] is not None]
    need(given == sorted(given), f"m={count}: {service}")


def check_deflate(case, row):
    deflate = row.get("deflate")
    if not case.deflates:
        return need(deflate is None, f"nothing is compressed: {deflate}")
    need(deflate["received_messages"] == row["opcodes"]["text"] + row["opcodes"]["binary"], f"{deflate}")
    need(deflate["inflated_bytes"] > deflate["received_bytes"] > 0, f"{deflate}")
    sent = row["messages"] if case.deflates == "both" else 0
    need(deflate["sent_messages"] == sent, f"{deflate}")
    return need((deflate["plain_bytes"] > deflate["sent_bytes"]) == (sent > 0), f"{deflate}")


def main():
    cases = {case.name: case for case in CASES}
    binary, chosen = harness.arguments("interop", __doc__, cases)
    install()
    harness.end([passes(name, lambda: run_case(cases[name], binary)) for name in chosen])


if __name__ == "__main__":
    main()
