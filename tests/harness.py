"""What the checks against other people's tools share: arguments, cases, the last line, pinned packages.

Belongs here: how a check is run and told. Does not: what is checked. Nothing but the standard library.
"""

import argparse
import contextlib
import pathlib
import socket
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEERS = ROOT / "tests" / "peers"


class Failed(Exception):
    """What was seen is not what must be seen."""


def need(condition, text):
    if not condition:
        raise Failed(text)


def arguments(tool, doc, names, binary=ROOT / "target/release/fanstorm"):
    """The binary and the names of the cases that are asked for; --list ends here."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--binary", type=pathlib.Path, default=binary)
    parser.add_argument("--only", default="", help="run the cases whose name holds this")
    parser.add_argument("--list", action="store_true", help="print the cases and end")
    args = parser.parse_args()
    chosen = [name for name in names if args.only in name]
    if args.list:
        print("\n".join(chosen))
        sys.exit(0)
    if not args.binary.exists():
        sys.exit(f"{tool}: {args.binary} is missing: build it with cargo")
    return args.binary, chosen


def passes(name, check):
    """Runs a case and says what came of it."""
    try:
        check()
    except (Failed, KeyError, TypeError, ValueError, subprocess.TimeoutExpired) as reason:
        print(f"FAILED  {name}: {type(reason).__name__}: {reason}", flush=True)
        return False
    print(f"ok      {name}", flush=True)
    return True


def end(outcomes):
    """The last line, and the exit code: 1 when a case failed or there was none."""
    passed = sum(outcomes)
    print(f"{passed} passed, {len(outcomes) - passed} failed")
    sys.exit(0 if outcomes and all(outcomes) else 1)


def install(requirements, venv):
    """Pinned packages from PyPI into a fresh environment."""
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
    subprocess.run(
        [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet",
         "--disable-pip-version-check", "-r", str(requirements)],
        check=True,
    )


def python_with(pinned, directory):
    """An interpreter that has these packages, which are installed in `directory` if they are not there yet."""
    venv = directory / "venv"
    if not (venv / "bin" / "python").exists():
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "requirements.txt").write_text(pinned)
        install(directory / "requirements.txt", venv)
    return venv / "bin" / "python"


def free_port():
    """One of loopback that was free a moment before."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextlib.contextmanager
def ended_with_the_block(command, **options):
    """A process that is ended by its pid, however the block is left."""
    process = subprocess.Popen(command, **{"stdin": subprocess.DEVNULL, **options})
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
