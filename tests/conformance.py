#!/usr/bin/env python3
"""Runs Autobahn's cases against our client, and holds docs/conformance.md to what comes of them.

    python3 tests/conformance.py [--binary target/debug/examples/testee] [--only WORD] [--list]

PyPI `kosoku` plays the server with Autobahn's own case files, at the version that tests/peers/conformance.txt pins,
installed into target/conformance. The client is `examples/testee.rs`: the wire room alone, and the worker of a run
on each ring, with reads of 64 KiB and of one byte. A case that is not OK fails, but for those that Autobahn itself
calls informational. FANSTORM_BLESS=1 writes the document instead of comparing it; FANSTORM_ALL_SIZES=1 takes messages
of all sizes in groups 12 and 13, and leaves the document. The last line is `N passed, N failed`; the exit code is 1
when one failed.
"""

import collections
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import harness
from harness import PEERS, ROOT, ended_with_the_block, need, passes

PINNED = PEERS / "conformance.txt"
INSTALLED = ROOT / "target" / "conformance"
TESTEE = ROOT / "target/debug/examples/testee"
DOCUMENT = ROOT / "docs" / "conformance.md"
# All sizes of compressed messages, in place of those of up to 8 KiB: for a run by hand.
ALL_SIZES = bool(os.environ.get("FANSTORM_ALL_SIZES"))
TIMEOUT_S = 1800 if ALL_SIZES else 170
BOOT_TIMEOUT_S = 20
# Most of a way's time is pauses of the server.
AT_ONCE = 5

GROUPS = {
    "1": "framing", "2": "Pings and Pongs", "3": "reserved bits", "4": "opcodes", "5": "fragmentation",
    "6": "UTF-8", "7": "closing", "9": "limits", "10": "fragments of 1,300 bytes",
    "12": "compression", "13": "its parameters",
}
ORDINARY = ["[1-7].*", "10.*"]
LARGE = ["9.*"]
# Of compression those with messages of up to 8 KiB, unless all are asked for, which takes minutes.
SIZES = range(1, 19) if ALL_SIZES else [1, 2, 3, 4, 5, 6, 11]
DEFLATE = [f"12.{data}.{size}" for data in range(1, 6) for size in SIZES]
PARAMETERS = [f"13.{asked}.{size}" for asked in (1, 3, 4, 7) for size in SIZES]
EACH = [f"13.{asked}.{size}" for asked in range(1, 7) for size in SIZES]
# Name of the column, the testee's way, bytes of a read, cases.
WAYS = [
    ("wire", "wire", 65536, ORDINARY + LARGE),
    ("wire, 1 byte", "wire", 1, ORDINARY),
    ("io_uring", "io_uring", 65536, ORDINARY + LARGE),
    ("io_uring, 1 byte", "io_uring", 1, ORDINARY),
    ("timed", "timed", 65536, ORDINARY + LARGE),
    ("timed, 1 byte", "timed", 1, ORDINARY),
    ("several", "several", 65536, ORDINARY + LARGE),
    ("several, 1 byte", "several", 1, ORDINARY),
    ("epoll", "epoll", 65536, ORDINARY + LARGE),
    ("epoll, 1 byte", "epoll", 1, ORDINARY),
    ("io_uring + deflate", "io_uring+deflate", 65536, DEFLATE + PARAMETERS),
    ("epoll + deflate, each", "epoll+deflate-each", 65536, DEFLATE + EACH),
]

# What Autobahn leaves open, and what the client does there.
INFORMATIONAL = {
    "7.1.6": "a large message, a Close and a Ping at once: what the client has read before the Close is answered",
    "7.13.1": "a Close with the code 5000: answered with 1002",
    "7.13.2": "a Close with the code 65535: answered with 1002",
}

HEAD = """# RFC 6455 conformance

Autobahn's cases, played by PyPI [{package}](https://pypi.org/project/kosoku/) (Autobahn's own case files with
another runner), against our client. `python3 tests/conformance.py` runs them and compares this page, as `.ci/run
conformance` does; with `FANSTORM_BLESS=1` it writes the page.

- `wire` is the upgrade and the decoder over an ordinary socket.
- The others are the whole worker of a run, from connect to close, which echoes in place of a trial
  (`examples/testee.rs`): `io_uring` with a multishot receive; `timed` with the `recvmsg` that notes when bytes came,
  and a buffer for each read; `several` over two rings with sockets in their own tables; `epoll` where a host refuses
  io_uring.
- `+ deflate` offers permessage-deflate (RFC 7692) and sends compressed messages, as with `--deflate --deflate-send`; `each`
  adds `--deflate-no-takeover both`, without which Autobahn does not ask for the client's part of it. Of groups 12 and
  13 the cases with messages of up to 8 KiB are run, 1,000 messages in each; `FANSTORM_ALL_SIZES=1` runs those of up to
  128 KiB, too: 162 and 198 cases in the last two columns, of which none failed on 28 November 2026 (21 minutes on two busy
  CPUs). 13.2, 13.5 and 13.6 ask for a client that forgets each message, so that `+ deflate` is asked nothing there.
- Reads hold up to 64 KiB. In columns with *1 byte* the bytes of each read are handed over one by one.

Each cell says how many of the group's cases are OK; *n/i* are informational: Autobahn has no verdict for them.

"""


def install():
    """The pinned server into target/conformance; what is there and current is kept."""
    mark = INSTALLED / "conformance.txt"
    if mark.exists() and mark.read_bytes() == PINNED.read_bytes():
        return
    harness.install(PINNED, INSTALLED / "venv")
    shutil.copy(PINNED, mark)


def run(testee, way, read_bytes, cases):
    """What the server says of each case: its number, its verdict and that of the close."""
    include = [word for case in cases for word in ("--include", case)]
    with tempfile.TemporaryDirectory() as folder:
        port = harness.free_port()
        server = [str(INSTALLED / "venv/bin/kosoku"), "--mode", "fuzzingserver", *include, "--outdir", folder,
                  f"127.0.0.1:{port}"]
        with ended_with_the_block(server, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            boot = process.stderr.readline()
            need("listening" in boot, f"the server did not start: {boot}")
            client = [str(testee), "fanstorm", f"127.0.0.1:{port}", way, str(read_bytes)]
            done = subprocess.run(client, timeout=TIMEOUT_S, capture_output=True, text=True, check=False)
            need(done.returncode == 0, f"the testee failed: {done.stderr[-500:]}")
            process.wait(timeout=BOOT_TIMEOUT_S)
        index = json.loads(pathlib.Path(folder, "index.json").read_text())
    (results,) = index.values()
    return {case: (said["behavior"], said["behaviorClose"]) for case, said in results.items()}


def group(case):
    return case.split(".")[0]


def wrong(results):
    """Cases that are neither OK nor known to be informational."""
    def is_right(case, verdict):
        return verdict == ("OK", "OK") or (verdict[0] == "INFORMATIONAL" and case in INFORMATIONAL)
    return {case: verdict for case, verdict in results.items() if not is_right(case, verdict)}


def cell(results, number):
    verdicts = collections.Counter(verdict[0] for case, verdict in results.items() if group(case) == number)
    if not verdicts:
        return "-"
    informational = verdicts["INFORMATIONAL"]
    return f"{verdicts['OK']}" + (f" + {informational} n/i" if informational else "")


def document(results):
    names = [name for name, *_ in WAYS if name in results]
    package = PINNED.read_text().strip().replace("==", " ")
    lines = [HEAD.format(package=package)]
    lines.append("| group | " + " | ".join(names) + " |\n")
    lines.append("|---" * (len(names) + 1) + "|\n")
    for number, what in GROUPS.items():
        cells = [cell(results[name], number) for name in names]
        lines.append(f"| {number} {what} | " + " | ".join(cells) + " |\n")
    totals = [str(len(results[name])) for name in names]
    lines.append("| cases | " + " | ".join(totals) + " |\n")
    lines.append("\nNo case fails and none is less than strict. The informational ones:\n\n")
    lines += [f"- {case}: {what}\n" for case, what in INFORMATIONAL.items()]
    lines.append("\nGroup 9 is not read byte by byte: its messages have up to 16 MiB. Group 8 has no cases.\n")
    return "".join(lines)


def check(name, outcome):
    results = outcome.result()
    bad = wrong(results)
    need(not bad, f"{len(bad)} of {len(results)} cases: {dict(list(bad.items())[:8])}")
    return results


def is_fresh(text):
    if os.environ.get("FANSTORM_BLESS"):
        DOCUMENT.write_text(text)
    need(DOCUMENT.exists() and DOCUMENT.read_text() == text,
         "docs/conformance.md is not what came of the cases: FANSTORM_BLESS=1 writes it anew")


def main():
    binary, chosen = harness.arguments("conformance", __doc__, [name for name, *_ in WAYS], TESTEE)
    install()
    outcomes, results = [], {}
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        ways = [way for way in WAYS if way[0] in chosen]
        futures = {name: pool.submit(run, binary, *way) for name, *way in ways}
        for name, future in futures.items():
            outcomes.append(passes(name, lambda: results.update({name: check(name, future)})))
    if len(results) == len(WAYS) and not ALL_SIZES:
        outcomes.append(passes("docs/conformance.md is fresh", lambda: is_fresh(document(results))))
    harness.end(outcomes)


if __name__ == "__main__":
    main()
