#!/usr/bin/env python3
"""Looks at the live view (--live) as tmux, a terminal that nobody here wrote, shows it.

    python3 tests/live.py [--binary target/release/fanstorm] [--only WORD] [--list]

Each case runs fanstorm in a tmux server of its own and reads the screen: at 80 x 24 and, resized while it runs,
at 200 x 60; ended by itself, by Ctrl-C, by a second Ctrl-C, stopped and continued; with the report elsewhere. The
terminal must be as it was found: the screen, the cursor, and what `stty -a` says; also where the program panics, as
`examples/live_panic.rs` does. The last line is
`N passed, N failed`; the exit code is 1 when one failed.
"""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time

import harness
from harness import need, passes

TIMEOUT_S = 40
FLAGS = "--live --rate 500 --nodes 2"


class Terminal:
    """A shell in a tmux server of its own."""

    def __init__(self, socket, width=80, height=24):
        need(shutil.which("tmux"), "apt-get install tmux")
        self.tmux = ["tmux", "-S", str(socket), "-f", "/dev/null"]
        environment = {**os.environ, "TERM": "xterm-256color"}
        environment.pop("NO_COLOR", None)
        subprocess.run([*self.tmux, "new-session", "-d", "-s", "t", "-x", str(width), "-y", str(height),
                        "bash --norc"], check=True, env=environment, timeout=TIMEOUT_S)
        # The shell takes its prompt from no environment where it runs as root.
        self.keys("PS1='prompt$ '; clear", "Enter")
        self.until("prompt$", lambda: "prompt$" in self.screen())

    def ask(self, *command):
        return subprocess.run([*self.tmux, *command], check=True, capture_output=True, text=True,
                              timeout=TIMEOUT_S).stdout

    def keys(self, *keys):
        self.ask("send-keys", "-t", "t", *keys)

    def screen(self, history=0):
        return self.ask("capture-pane", "-t", "t", "-p", "-S", str(-history))

    def modes(self):
        """Whether the alternate screen is on, and whether there is a cursor."""
        return self.ask("display-message", "-t", "t", "-p", "#{alternate_on} #{cursor_flag}").strip()

    def until(self, what, holds):
        deadline = time.monotonic() + TIMEOUT_S
        while not holds():
            need(time.monotonic() < deadline, f"{what} never came:\n{self.screen(200)}")
            time.sleep(0.1)

    def shows(self, pattern, history=0):
        self.until(pattern, lambda: re.search(pattern, self.screen(history), re.MULTILINE))

    def stty(self, word):
        """What `stty -a` says, under a word that is not what was typed."""
        self.keys(f"stty -a | md5sum | sed s/^/{word}=/", "Enter")
        self.shows(rf"^{word}=[0-9a-f]{{32}}", history=200)
        seen = re.findall(rf"(?m)^{word}=([0-9a-f]{{32}})", self.screen(200) + "\n")
        return seen[-1]

    def is_as_found(self, before):
        self.until("the screen that was there before", lambda: self.modes() == "0 1")
        need(self.stty("after") == before, "stty -a: other modes than before")
        text = self.screen(400)
        need("░" not in text and "█" not in text, f"a part of the picture stays:\n{text}")


@contextlib.contextmanager
def terminal(width=80, height=24):
    with tempfile.TemporaryDirectory() as directory:
        socket = os.path.join(directory, "tmux")
        shell = Terminal(socket, width, height)
        try:
            yield shell
        finally:
            subprocess.run([*shell.tmux, "kill-server"], capture_output=True, timeout=TIMEOUT_S)


def starts(shell, command):
    before = shell.stty("before")
    shell.keys(f"{command}; echo code=$?", "Enter")
    shell.shows(r"trial so far")
    need(shell.modes() == "1 0", f"alternate screen and cursor: {shell.modes()}")
    return before


def a_run_to_its_end(binary):
    with terminal() as shell:
        before = starts(shell, f"{binary} {FLAGS} --duration 5s")
        for pattern in (r"m = 2 500: copies  \d", r"\d+ % █", r"p99 +[\d.]+ [mµn]?s", r"sent +[\d ]+/s",
                        r"copies each second, most", r"ws://\S+  up  4 sockets, takes the pushes",
                        r"our own CPUs, busy", r"\d+: \d+ %"):
            shell.shows(pattern)
        shell.keys("typed")
        time.sleep(0.5)
        need("typed" not in shell.screen(), f"what is typed stands in the picture:\n{shell.screen()}")
        shell.shows(r"code=\d", history=200)
        text = shell.screen(400)
        need("verdict:" in text and "copies each second" not in text, f"not the report alone:\n{text}")
        shell.keys("C-u")
        shell.is_as_found(before)


def resized_while_it_runs(binary):
    with terminal() as shell:
        before = starts(shell, f"{binary} {FLAGS} --duration 8s")
        for width, height in ((200, 60), (60, 12), (80, 24)):
            shell.ask("resize-window", "-t", "t", "-x", str(width), "-y", str(height))
            full = re.compile(rf"(?m)^nodes─{{{width - 5}}}$")
            shell.until(f"a picture {width} wide", lambda: full.search(shell.screen()))
        shell.shows(r"code=\d", history=200)
        shell.is_as_found(before)


def ended_by_ctrl_c(binary):
    with terminal() as shell:
        before = starts(shell, f"{binary} {FLAGS} --duration 60s")
        shell.keys("C-c")
        shell.shows(r"code=\d", history=200)
        text = shell.screen(200)
        need("verdict: interrupted" in text, text)
        shell.is_as_found(before)


def ended_by_a_second_ctrl_c(binary):
    # A node that is stopped keeps the first from ending the run at once.
    with terminal() as shell:
        command = f"{binary} {FLAGS} --duration 60s --drain 30s --fault 1:stall=30s@100"
        before = starts(shell, command)
        shell.keys("C-c")
        time.sleep(0.3)
        shell.keys("C-c")
        shell.shows(r"code=130", history=200)
        shell.is_as_found(before)


def stopped_and_continued(binary):
    with terminal() as shell:
        before = starts(shell, f"{binary} {FLAGS} --duration 8s")
        shell.keys("C-z")
        shell.shows(r"Stopped")
        shell.keys("fg", "Enter")
        shell.until("the picture again", lambda: "Stopped" not in shell.screen() and
                    "trial so far" in shell.screen())
        shell.until("the prompt", lambda: shell.screen(200).rstrip().endswith("prompt$"))
        shell.is_as_found(before)


def with_the_report_elsewhere(binary):
    with terminal() as shell, tempfile.TemporaryDirectory() as directory:
        before = starts(shell, f"{binary} {FLAGS} --duration 3s > {directory}/report.txt")
        shell.shows(r"code=\d", history=200)
        with open(f"{directory}/report.txt", encoding="utf-8") as report:
            text = report.read()
        need("\x1b" not in text and "verdict:" in text, f"not a plain report:\n{text}")
        shell.is_as_found(before)


def without_a_terminal(binary):
    done = subprocess.run([binary, *"--live --messages 10 --nodes 1".split()], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=TIMEOUT_S)
    need(done.returncode in (0, 1, 5) and "verdict:" in done.stdout, done.stdout + done.stderr)
    need("warning: --live: standard error is no terminal" in done.stderr, done.stderr)
    need("\x1b" not in done.stdout + done.stderr, "escape sequences where there is no terminal")


def panicking(binary, who, code):
    """The screen is given back before the message, whoever panics; `examples/live_panic.rs` does."""
    example = harness.ROOT / "target/debug/examples/live_panic"
    need(example.exists(), "cargo build --example live_panic")
    with terminal() as shell, tempfile.TemporaryDirectory() as directory:
        result = f"{directory}/result.json"
        subprocess.run([binary, "--messages", "10", "--quiet", "--json", result], timeout=TIMEOUT_S)
        before = shell.stty("before")
        shell.keys(f"{example} {result} {who}; echo code=$?", "Enter")
        shell.shows(r"our own CPUs, busy")
        need(shell.modes() == "1 0", f"alternate screen and cursor: {shell.modes()}")
        shell.shows(r"code=\d", history=200)
        text = shell.screen(200)
        need(f"{who} panics as asked" in text and f"code={code}" in text, text)
        need("our own CPUs" not in text, f"a part of the picture stays:\n{text}")
        shell.is_as_found(before)


CASES = {
    "a run to its end": a_run_to_its_end,
    "resized while it runs": resized_while_it_runs,
    "ended by Ctrl-C": ended_by_ctrl_c,
    "ended by a second Ctrl-C": ended_by_a_second_ctrl_c,
    "stopped and continued": stopped_and_continued,
    "with the report elsewhere": with_the_report_elsewhere,
    "without a terminal": without_a_terminal,
    "a panic of who has the screen": lambda binary: panicking(binary, "main", 101),
    "a panic of another thread": lambda binary: panicking(binary, "worker", 0),
    "a panic while nothing can be drawn": lambda binary: panicking(binary, "holding", 101),
}


def main():
    binary, chosen = harness.arguments("live", __doc__, list(CASES))
    binary = binary.resolve()
    harness.end([passes(name, lambda: CASES[name](binary)) for name in chosen])


if __name__ == "__main__":
    main()
