#!/usr/bin/env python3
"""Draws docs/picture/report.svg, live.svg and page.png: what fanstorm shows of real runs on this machine.

    cargo build --release && python3 docs/picture/draw.py [report | live | page]

The runs are against the embedded cluster, with a link between two nodes that goes dead half-way. Sections of
the report that the picture leaves out are drawn as one line with an ellipsis. The live view is read from tmux. The
page is what headless Chromium shows of its beginning; pngquant takes its colours down to what a page has.
"""

import html
import os
import pty
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "fanstorm --rate 2k --duration 3s --drain 1s --fault cut=0-2@3000"
LIVE = "fanstorm --live --rate 5k --duration 20s --drain 1s --fault 1:stall=400ms@40000 --fault 2:exit@60000"
LIVE_AT_S = 15
PAGE = "fanstorm --messages 1000,10k,100k --drain 1s --fault 1:stall=400ms@40000 --fault cut=0-2@80000"
# Of the page: what it begins with, and the pictures of latency.
PAGE_SIZE, PAGE_COLOURS = (1060, 2040), 64
# A busy machine makes a void run, which is no picture of a report.
TRIES = 5
LEFT_OUT = ("Connections", "Latency", "Our own cost", "Second by second")
COLUMNS, CHAR, LINE, PAD = 102, 7.83, 18, 18
INK = {"": "#c9d1d9", "1": "#f0f6fc", "31": "#ff7b72", "32": "#7ee787", "33": "#e3b341", "2": "#8b949e",
       "36": "#39c5cf"}
REPORT_IS = "A run of fanstorm: a report that names the node that fell silent"
LIVE_IS = "The live view of fanstorm: rates, percentiles, nodes of which one is down, our own CPUs"


def run() -> str:
    """What the terminal shows: standard output alone, so that no progress line is in it."""
    main, side = pty.openpty()
    argv = [str(ROOT / "target/release/fanstorm"), *COMMAND.split()[1:]]
    size = dict(os.environ, COLUMNS=str(COLUMNS), TERM="xterm-256color")
    child = subprocess.Popen(argv, stdout=side, stderr=subprocess.DEVNULL, env=size)
    os.close(side)
    shown = b""
    while True:
        try:
            chunk = os.read(main, 1 << 16)
        except OSError:  # the other end is closed: EIO on Linux
            break
        if not chunk:
            break
        shown += chunk
    if child.wait() != 1:
        sys.exit(f"exit code {child.returncode}, and a deficit (1) was wanted")
    return shown.decode().replace("\r\n", "\n")


def live() -> str:
    """The live view as tmux shows it some seconds into a run."""
    with tempfile.TemporaryDirectory() as directory:
        tmux = ["tmux", "-S", f"{directory}/tmux", "-f", "/dev/null"]
        command = f"{ROOT}/target/release/{LIVE}"
        size = ["-x", str(COLUMNS - 2), "-y", "25"]
        subprocess.run([*tmux, "new-session", "-d", "-s", "t", *size, command], check=True)
        time.sleep(LIVE_AT_S)
        shown = subprocess.run([*tmux, "capture-pane", "-t", "t", "-p", "-e"], check=True, capture_output=True)
        subprocess.run([*tmux, "kill-server"], check=True)
    return shown.stdout.decode()


def page() -> None:
    """The beginning of the page and its first pictures, as a browser shows them."""
    with tempfile.TemporaryDirectory() as directory:
        argv = [str(ROOT / "target/release/fanstorm"), *PAGE.split()[1:], "--quiet", "--html", f"{directory}/page.html"]
        shown = Path(directory) / "page.html"
        for _ in range(TRIES):
            subprocess.run(argv)
            if '"trust":"void"' not in shown.read_text().replace(" ", ""):
                break
        else:
            sys.exit(f"{TRIES} runs were void: this machine is too busy for a picture")
        width, height = PAGE_SIZE
        subprocess.run(["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                        f"--window-size={width},{height}", "--blink-settings=preferredColorScheme=1",
                        f"--screenshot={directory}/page.png", shown.as_uri()], check=True, capture_output=True)
        subprocess.run(["pngquant", str(PAGE_COLOURS), "--nofs", "--strip", "--speed", "1", "--force", "--output",
                        str(ROOT / "docs/picture/page.png"), f"{directory}/page.png"], check=True)


def plain(line: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", line)


def chosen(text: str) -> list[str]:
    lines, keep = [], True
    for line in text.rstrip("\n").split("\n"):
        if plain(line)[:1] not in ("", " "):
            keep = not plain(line).startswith(LEFT_OUT)
            if not keep:
                lines.append(f"\x1b[2m{plain(line).split(',')[0]} …\x1b[0m")
                continue
        if keep:
            lines.append(line)
        elif not plain(line):
            lines.append("")
    joined = []
    for line in lines:
        if line or (joined and joined[-1]):
            joined.append(line)
    return joined


def spans(line: str) -> str:
    """Colours of the terminal as colours of the picture, each stretch at its own column."""
    drawn, column, style, bold = [], 0, "", False
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        code = re.fullmatch(r"\x1b\[([0-9;]*)m", part)
        if code:
            # The eight colours are also written as the first of 256.
            words = re.sub(r"38;5;([0-7])\b", lambda colour: str(30 + int(colour[1])), code[1])
            for word in words.split(";"):
                if word in ("", "0"):
                    style, bold = "", False
                elif word == "1":
                    bold = True
                elif word in ("22", "39"):
                    style, bold = (style, False) if word == "22" else ("", bold)
                else:
                    style = word
        elif part:
            weight = ' font-weight="bold"' if bold else ""
            fill = INK.get(style or ("1" if bold else ""), INK[""])
            x = PAD + column * CHAR
            drawn.append(f'<tspan x="{x:.1f}" fill="{fill}"{weight}>{html.escape(part)}</tspan>')
            column += len(part)
    return "".join(drawn)


def draw(lines: list[str], label: str) -> str:
    width, height = 2 * PAD + COLUMNS * CHAR, 2 * PAD + (len(lines) + 1) * LINE
    rows = []
    for number, line in enumerate(lines):
        y = PAD + (number + 1) * LINE
        rows.append(f'<text xml:space="preserve" y="{y}">{spans(line)}</text>')
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img"',
        f'  aria-label="{label}">',
        f'<rect width="100%" height="100%" rx="8" fill="#0d1117"/>',
        "<g font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"13\">",
        *rows,
        "</g>",
        "</svg>",
        "",
    ])


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["report", "live", "page"]
    if "report" in wanted:
        lines = [f"\x1b[1m$ {COMMAND}\x1b[0m", *chosen(run())]
        (ROOT / "docs/picture/report.svg").write_text(draw(lines, REPORT_IS))
    if "live" in wanted:
        lines = [f"\x1b[1m$ {LIVE}\x1b[0m", *live().rstrip("\n").split("\n")]
        (ROOT / "docs/picture/live.svg").write_text(draw(lines, LIVE_IS))
    if "page" in wanted:
        page()
