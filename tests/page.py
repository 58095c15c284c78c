#!/usr/bin/env python3
"""Opens the pages that fanstorm writes (--html) in headless Chromium and holds them against the result.

    python3 tests/page.py [--binary target/release/fanstorm] [--only WORD] [--list]

Runs against the embedded cluster (bursts; an open loop with a floor and a stall; a cut link) and a hostile result made from one of them (10 000 nodes with markup in their names) each give a page.
Of each: the browser reports no error, the page of an independent reading of the result has the same figures in
its tables and in its pictures, axe-core (npm) finds no serious violation in light and in dark, nothing is wider
than a screen of 380 pixels, and `fanstorm report PAGE --format json` gives the result back. The page of a comparison
(`fanstorm compare`) is held to the comparison's JSON in the same way, and printed; of a search (`fanstorm search`) the bounds are
worked out anew from its trials. Chromium comes from
Debian, axe-core goes into target/page. The last line is `N passed, N failed`; the exit code is 1 when one failed.
"""

import html
import html.parser
import json
import pathlib
import re
import shutil
import subprocess
import tempfile

import harness
from harness import ROOT, need, passes

INSTALLED = ROOT / "target" / "page"
AXE = "axe-core@4.11.0"
TIMEOUT_S = 120
RUNS = {
    "bursts": ["--messages", "10,1000,20000"],
    "an open loop with a stall": ["--rate", "2k", "--duration", "6s", "--warmup", "1s", "--calibrate",
                                  "--fault", "1:stall=500ms@4000"],
    "a cut link": ["--rate", "2k", "--duration", "4s", "--drain", "1s", "--fault", "cut=0-2@3000"],
}
SEARCH = ["--slo", "p99<20ms", "--rate", "400..8k", "--fault", "0:limit=2k", "--duration", "500ms", "--warmup", "100ms",
          "--duration-sum", "1500ms", "--width", "20%", "--drain", "500ms"]
UNITS_NS = {"ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9, "min": 60e9, "h": 3600e9}


def axe():
    path = INSTALLED / "node_modules" / "axe-core" / "axe.min.js"
    if not path.exists():
        INSTALLED.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", INSTALLED, AXE],
                       check=True, timeout=TIMEOUT_S)
    return path.read_text()


def chromium():
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    need(found, "apt-get install chromium")
    return found


def browse(page, *flags):
    """The page's elements when it is quiet, and what the browser said of it."""
    command = [chromium(), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
               "--enable-logging=stderr", "--virtual-time-budget=20000", *flags, "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    need(done.returncode == 0, f"chromium: exit {done.returncode}: {done.stderr[-500:]}")
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return done.stdout, said


class Tables(html.parser.HTMLParser):
    """Every table: its headings and its rows of texts, by the label of what scrolls around it."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.cell, self.label, self.says = {}, None, "", []
        self.in_title = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "div" and "aria-label" in attrs:
            self.label = attrs["aria-label"]
        elif tag == "table":
            self.tables[self.label] = []
        elif tag == "tr":
            self.tables[self.label].append([])
        elif tag in ("td", "th"):
            self.cell = ""
        elif tag == "title":
            self.in_title = True
            self.says.append("")

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.tables[self.label][-1].append(self.cell)
            self.cell = None
        elif tag == "title":
            self.in_title = False

    def handle_data(self, data):
        if self.cell is not None:
            self.cell += data
        if self.in_title:
            self.says[-1] += data


def count(text):
    return int(re.sub(r"[\s\u00a0]", "", text))


def nanos(text):
    figure, unit = text.replace("\u00a0", " ").rsplit(" ", 1)
    return float(figure.replace(" ", "")) * UNITS_NS[unit]


def is_duration(text, us, what):
    """A duration of the page is that of the result, in three digits; one that is not known is n/a."""
    if us is None:
        need(text == "n/a", f"{what}: {text}, and it is not known")
        return
    ns = us * 1e3
    need(abs(nanos(text) - ns) <= max(ns * 0.006, 1), f"{what}: {text}, and the result has {us} µs")


def columns(table):
    """Its rows by heading, of the last line of headings."""
    heading = next(row for row in reversed(table[:2]) if "p50" in row or "expected" in row or "copies" in row)
    at = table.index(heading)
    return [dict(zip(heading, row)) for row in table[at + 1:]]


def figures(seen, result):
    trials = result["trials"]
    rows = columns(seen.tables["Trials"])
    need(len(rows) == len(trials), f"{len(rows)} rows of {len(trials)} trials")
    for row, trial in zip(rows, trials):
        delivered, expected = (count(part) for part in row["copies"].split("/"))
        account = trial["delivery"]
        need((delivered, expected) == (account["delivered"], account["expected"]), f"copies: {row}")
        latency = trial["latency_us"].get("response") or trial["latency_us"]["service"]
        for heading, key in [("p50", "p50"), ("p99", "p99"), ("p99.9", "p99_9"), ("max", "max")]:
            is_duration(row[heading], latency[key], f"{trial['id']} {heading}")
        is_duration(row["receive"], trial["time"]["receive_s"] * 1e6, f"{trial['id']} receive")
    told = next(trial for trial in reversed(trials)
                if trial["delivery"]["missing"] or trial is trials[-1])
    classes = next(table for label, table in seen.tables.items() if label.startswith("Latency"))
    for row in columns(classes):
        latency = told["latency_us"].get(row[""])
        if latency:
            need(count(row["samples"]) == latency["count"], f"samples: {row}")
            is_duration(row["p99"], latency["p99"], f"{row['']} p99")
    dots(seen, told)
    seconds(seen, told)
    costs(seen, told)
    ranges(seen, told)


def dots(seen, trial):
    """What rests on the curves is what the result has."""
    names = {"p50": "p50", "p90": "p90", "p99": "p99", "p99.9": "p99_9", "p99.99": "p99_99", "max": "max"}
    known = 0
    for says in seen.says:
        match = re.fullmatch(r"(\w+) (p[\d.]+|max): (.+)", says)
        if match and match[1] in trial["latency_us"]:
            is_duration(match[3], trial["latency_us"][match[1]][names[match[2]]], says)
            known += 1
    told = sum(latency[key] is not None for latency in trial["latency_us"].values() for key in names.values())
    need(known == told, f"{known} dots of {told} figures")


def seconds(seen, trial):
    intervals = trial.get("intervals", [])
    table = seen.tables.get("Sent and received per second, figures")
    need((table is None) == (not intervals), f"{len(intervals)} intervals, and the table is {table and 'there'}")
    if not intervals:
        return
    rows = columns(table)
    need(len(rows) == len(intervals), f"{len(rows)} rows of {len(intervals)} seconds")
    for row, interval in zip(rows, intervals):
        need(count(row["copies"]) == interval["copies"], f"copies: {row}")
        is_duration(row["p99"], interval["p99_us"], f"second {row['from']}")
        # A band is a coarse histogram of the same copies.
        need(sum(band[1] for band in interval.get("bands", [])) <= interval["copies"], f"bands: {interval}")


def is_share(text, share, what):
    if share is None:
        need(text == "n/a", f"{what}: {text}, and it is not known")
        return
    percent = float(text.replace("\u00a0", " ").removesuffix(" %").replace(" ", ""))
    need(abs(percent - 100 * share) <= 0.051, f"{what}: {text}, and the result has {share}")


def costs(seen, trial):
    """What measuring cost in each second, in the table and where a mouse rests; together it is what all of it cost."""
    intervals = trial.get("intervals", [])
    table = seen.tables.get("How busy the generator was, figures")
    need((table is None) == (not intervals), f"{len(intervals)} intervals, and the table is {table and 'there'}")
    if not intervals:
        return
    heading, *rows = table
    need(len(rows) == len(intervals), f"{len(rows)} rows of {len(intervals)} seconds")
    for row, interval in zip((dict(zip(heading, row)) for row in rows), intervals):
        cost = interval["cost"]
        for name, key in [("busy", "busy"), ("busiest", "busiest")]:
            is_share(row[name], cost[key], f"second {row['from']}: {name}")
        for name, us in [("CPU used", cost["cpu_s"] * 1e6), ("polling", cost["spun_s"] * 1e6),
                         ("latest", cost["lag_max_us"])]:
            is_duration(row[name], us, f"second {row['from']}: {name}")
    measured = [interval["cost"] for interval in intervals if not interval["warmup"]]
    for key in ["cpu_s", "spun_s"]:
        by_second, all_of_it = (sum(part[key] for part in parts) for parts in (measured, trial["generator"]["cores"]))
        need(abs(by_second - all_of_it) < 1e-6, f"{key}: {by_second} by second, {all_of_it} in all")
    lags = [cost["lag_max_us"] for cost in measured if cost["lag_max_us"] is not None]
    lag = trial["generator"].get("schedule_lag_us")
    need((max(lags) if lags else None) == (lag and lag["max"]), f"lags by second {lags}, and in all {lag}")
    spans = {f"{interval['start_s']:.1f}" for interval in intervals}
    told = 0
    for says in seen.says:
        match = re.fullmatch(r"from ([\d.]+) s to [\d.]+ s: busiest worker (.*?), all workers (.*?)(, late by (.*) at most)?", says)
        if not match:
            continue
        told += 1
        here = [i["cost"] for i in intervals if f"{i['start_s']:.1f}" == match[1]]
        worst = lambda key: max((cost[key] for cost in here if cost[key] is not None), default=None)
        is_share(match[2], worst("busiest"), says)
        is_share(match[3], worst("busy"), says)
        if match[5]:
            is_duration(match[5], worst("lag_max_us"), says)
    need(told == len(spans) * (2 if lags or any(i["cost"]["lag_max_us"] for i in intervals) else 1), f"{told} stretches of {spans}")


def ranges(seen, trial):
    lost = [count(part) for says in seen.says if says.startswith("missing: ")
            for part in says.removeprefix("missing: ").split("..")]
    there = [number for gap in trial["gaps"][:24] for first, last in gap["ranges"]
             for number in ([first] if first == last else [first, last])]
    need(sorted(lost) == sorted(there), f"{len(lost)} ends of ranges, and the result has {len(there)}")


def whole(binary, page, result):
    done = subprocess.run([binary, "report", page, "--format", "json"], capture_output=True, timeout=TIMEOUT_S)
    need(done.returncode == 0, f"report of the page: {done.stderr.decode()}")
    need(json.loads(done.stdout) == result, "the result in the page is another")


def looks(page, script, scheme):
    """No serious violation of accessibility, and nothing that a narrow screen cuts off."""
    text = page.read_text()
    policy = re.search(r'<meta http-equiv="Content-Security-Policy"[^>]*>\n', text)
    need(policy and "default-src 'none'" in policy[0], "the page has no policy")
    probe = """
    <pre id="found"></pre><script>
    axe.run(document, {resultTypes: ["violations"]}).then(found => {
      const serious = found.violations.filter(v => ["serious", "critical"].includes(v.impact));
      document.getElementById("found").textContent = JSON.stringify({
        serious: serious.map(v => v.id + ": " + v.nodes[0].html.slice(0, 200)),
        passed: found.passes.length,
        wider: document.documentElement.scrollWidth - document.documentElement.clientWidth,
      });
    });
    </script></body>"""
    tried = page.with_name(f"tried-{scheme}.html")
    tried.write_text(text.replace(policy[0], "").replace("</body>", f"<script>{script}</script>{probe}"))
    flags = ["--window-size=380,2000", f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}"]
    dom, _ = browse(tried, *flags)
    found = json.loads(html.unescape(re.search(r'<pre id="found">(.*?)</pre>', dom, re.S)[1]))
    need(found["passed"] > 10, f"axe looked at {found['passed']} rules")
    need(not found["serious"], f"{scheme}: {found['serious']}")
    need(found["wider"] <= 0, f"{found['wider']} pixels wider than a narrow screen")


def check(binary, folder, arguments):
    page, kept = folder / "page.html", folder / "result.json"
    command = [binary, *arguments, "--quiet", "--json", kept, "--html", page]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    # Deficits are wanted, and the times of a busy machine are void: both are written.
    need(done.returncode in (0, 1, 5), f"exit {done.returncode}: {done.stderr}")
    look_at(binary, page, json.loads(kept.read_text()))


def look_at(binary, page, result):
    dom, said = browse(page)
    need(not said, f"the browser says: {said}")
    need(page.stat().st_size - len(json.dumps(result)) < 400_000, f"{page.stat().st_size} bytes")
    figures(Tables(dom), result)
    whole(binary, page, result)
    script = axe()
    for scheme in ["light", "dark"]:
        looks(page, script, scheme)


def is_change(text, ratio, what):
    """`+22.0 %` of the page is that of the comparison."""
    percent = float(text.replace("\u00a0", " ").removesuffix(" %").replace(" ", ""))
    need(abs(percent - 100 * (ratio - 1)) <= 0.051, f"{what}: {text}, and the comparison has {ratio}")


def is_figure(text, value, unit, what):
    if unit == "us":
        is_duration(text, value, what)
    elif unit == "ns":
        is_duration(text, value / 1e3, what)
    else:
        need(abs(count(text) - value) <= max(0.6, value * 0.006), f"{what}: {text}, and the comparison has {value}")


def compared(row, figure):
    """A row of the page is a figure of the comparison."""
    for side in "ab":
        is_figure(row[side.upper()], figure["median"][side], figure["unit"], f"{figure['figure']} {side}")
    is_change(row["B to A"], figure["ratio"], figure["figure"])
    change = figure["change"]
    if change:
        low, high = row["interval"].split(" to ")
        is_change(low, change["low"], f"{figure['figure']} low")
        is_change(high, change["high"], f"{figure['figure']} high")
    words = {"different": "B is ", "same": "the same", "undecided": "undecided"}
    need(row["answer"].startswith(words[figure["answer"]]), f"{row}, and the comparison says {figure['answer']}")


def comparison(binary, folder):
    """Four runs a side, of which one side loses copies; the figures are those of the comparison's JSON."""
    sides = {"a": [], "b": ["--fault", "1:delay=50%:20ms", "--fault", "2:drop=1%"]}
    for number in range(4):
        for side, faults in sides.items():
            kept = folder / f"{side}{number}.json"
            command = [binary, "--messages", "200,2000", *faults, "--quiet", "--json", kept]
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
            need(done.returncode in (0, 1, 5), f"exit {done.returncode}: {done.stderr}")
    page, kept = folder / "page.html", folder / "comparison.json"
    command = [binary, "compare", "--json", kept, "--html", page, *sorted(folder.glob("a*.json")), "--",
               *sorted(folder.glob("b*.json"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    need(done.returncode in (0, 1), f"exit {done.returncode}: {done.stderr}")
    result = json.loads(kept.read_text())
    dom, said = browse(page)
    need(not said, f"the browser says: {said}")
    need(page.stat().st_size - len(json.dumps(result)) < 400_000, f"{page.stat().st_size} bytes")
    need("plan.cluster" in json.dumps(result["differences"]), "the faults of one side are not told")
    seen = Tables(dom)
    trial = result["trials"][result["headline"]]
    tables = {label: table for label, table in seen.tables.items() if table and len(table) > 1}
    figures_of = lambda label: [dict(zip(tables[label][-len(trial["figures"]) - 1], row))
                                for row in tables[label][-len(trial["figures"]):]]
    first = next(label for label, table in tables.items() if any("B to A" in row for row in table))
    rows = figures_of(first)
    need(len(rows) == len(trial["figures"]) > 4, f"{len(rows)} rows of {len(trial['figures'])} figures")
    for row, figure in zip(rows, trial["figures"]):
        name = re.sub(r"\W", "_", row["figure"])
        need(name == figure["figure"] or "/" in row["figure"], f"{row} is not {figure['figure']}")
        compared(row, figure)
    account = next(table for table in tables.values() if "expected" in table[0])
    for row in columns(account):
        side = result["delivery"]["account"][row[""].lower()]
        for heading, key in [("expected", "expected"), ("delivered", "delivered"), ("missing", "missing"),
                             ("lost sockets", "lost_sockets")]:
            need(count(row[heading]) == side[key], f"{heading}: {row}")
    need(result["delivery"]["account"]["b"]["missing"] > 0, "the faulty side lost nothing")
    runs = [says for says in seen.says if re.fullmatch(r"p99 [AB]\d: .*", says)]
    need(len(runs) == 8, f"{len(runs)} dots of 8 runs")
    for says in runs:
        side, number, text = re.fullmatch(r"p99 ([AB])(\d): (.*)", says).groups()
        figure = next(figure for figure in trial["figures"] if figure["figure"] == "p99")
        value = figure["runs"][side.lower()][int(number) - 1]
        is_change(text, value / figure["median"]["a"], says)
    script = axe()
    for scheme in ["light", "dark"]:
        looks(page, script, scheme)
    printed = folder / "page.pdf"
    subprocess.run([chromium(), "--headless=new", "--no-sandbox", "--disable-gpu", f"--print-to-pdf={printed}",
                    page.as_uri()], check=True, capture_output=True, timeout=TIMEOUT_S)
    pages = len(re.findall(rb"/Type\s*/Page\b", printed.read_bytes()))
    need(1 <= pages <= 4, f"printed on {pages} pages")


def says_of(result, rate):
    """What the trials at a rate say together, by the draft of MLRsearch; how many they are, and their latencies."""
    found, planned = result["search"], {trial["id"]: trial for trial in result["plan"]["trials"]}
    at = [attempt for attempt in found["attempts"] if attempt["role"] == "measured" and attempt["rate_per_s"] == rate]
    number = {kind: sum(attempt["finding"] == kind for attempt in at) for kind in ["good", "bad", "void"]}
    lasting = lambda attempt: planned[attempt["id"]]["messages"] / rate - planned[attempt["id"]]["load"].get("warmup_s", 0)
    good, bad = (sum(lasting(attempt) for attempt in at if attempt["finding"] == kind) for kind in ["good", "bad"])
    whole = max(good + bad, found["duration_sum_s"])
    # A trial has whole messages.
    excess = found["exceed_ratio"] * whole + 0.01
    said = ("holds" if whole - good <= excess else "does not hold" if bad > excess
            else "limit of the generator" if number["void"] >= 3 and number["void"] > number["good"] + number["bad"]
            else "undecided")
    return said, number, [attempt["latency_us"] for attempt in at if attempt["latency_us"] is not None]


def search(binary, folder):
    """A cluster whose first node has a limit: rates, trials and picture are those of the result, and so are the bounds."""
    page, kept = folder / "page.html", folder / "result.json"
    done = subprocess.run([binary, "search", *SEARCH, "--quiet", "--json", kept, "--html", page], capture_output=True,
                          text=True, timeout=TIMEOUT_S)
    # A busy machine may hold nothing, or be the limit itself.
    need(done.returncode in (0, 1, 5, 6), f"exit {done.returncode}: {done.stderr}")
    result = json.loads(kept.read_text())
    found, trials = result["search"], result["trials"]
    dom, said = browse(page)
    need(not said, f"the browser says: {said}")
    seen = Tables(dom)
    rows = columns(seen.tables["Trials"])
    need(len(rows) == len(trials) == len(found["attempts"]), f"{len(rows)} rows of {len(trials)} trials")
    for row, trial, attempt in zip(rows, trials, found["attempts"]):
        need(row["trial"] == trial["id"] == attempt["id"], f"{row} of {trial['id']}")
        need(row["finding"] == (attempt["finding"] or "recovery"), f"{row} of {attempt}")
        need(count(row["missing"]) == trial["delivery"]["missing"], f"missing: {row}")
        is_duration(row["p99"], trial["latency_us"]["response"]["p99"], trial["id"])
    heading, *rates = next(table for table in seen.tables.values() if table and "bad time" in table[0])
    need(len(rates) == len(found["rates"]), f"{len(rates)} rows of {len(found['rates'])} rates")
    bounds = {"holds": [], "does not hold": [], "limit of the generator": [], "undecided": []}
    told = []
    for row, rate in zip((dict(zip(heading, row)) for row in rates), (tried["rate_per_s"] for tried in found["rates"])):
        says, number, latencies = says_of(result, rate)
        need([count(row[key]) for key in number] == list(number.values()), f"{row} of {number}")
        is_duration(row["least p99"], min(latencies, default=None), f"least of {rate}")
        is_duration(row["largest p99"], max(latencies, default=None), f"largest of {rate}")
        bounds[says].append(rate)
        told.append((row["answer"], says, rate))
    upper = min(bounds["does not hold"] + bounds["limit of the generator"], default=None)
    lower = max((rate for rate in bounds["holds"] if upper is None or rate < upper), default=None)
    need((found["lower_per_s"], found["upper_per_s"]) == (lower, upper), f"{lower} to {upper}, and the result: {found}")
    for answer, says, rate in told:
        if says == "undecided" and lower is not None and rate < lower:
            says = "below what holds"
        elif says == "undecided" and upper is not None and rate > upper:
            says = "above what does not"
        need(answer == says, f"{rate}: {answer}, and its trials say {says}")
    marks = [re.fullmatch(r"(.*)/s, p99 response (.*): (good|bad|void) \((.*)\)", says) for says in seen.says]
    marks = [mark for mark in marks if mark]
    drawn = {attempt["id"]: attempt for attempt in found["attempts"] if attempt["finding"] and attempt["latency_us"]}
    need(sorted(mark[4] for mark in marks) == sorted(drawn), f"{len(marks)} marks of {len(drawn)} trials")
    for mark in marks:
        attempt = drawn[mark[4]]
        need(mark[3] == attempt["finding"], mark[0])
        is_duration(mark[2], attempt["latency_us"], mark[0])
    whole(binary, page, result)
    script = axe()
    for scheme in ["light", "dark"]:
        looks(page, script, scheme)


# The greatest figure that a result may hold.
MOST = 1e15


def every_form(binary, folder, result):
    """No form of it is more than refused in a line."""
    told, other = folder / "hostile.json", folder / "result.json"
    told.write_text(json.dumps(result))
    commands = [["report", told, "--format", form] for form in ["text", "html", "csv", "junit", "k6", "vegeta", "json"]]
    for command in [*commands, ["compare", told, "--", other], ["compare", other, "--", told]]:
        done = subprocess.run([binary, *command], capture_output=True, text=True, timeout=TIMEOUT_S)
        said = done.stderr.strip()
        wanted = (0, 2) if command[0] == "compare" or not result["trials"] else (0,)
        need(done.returncode in wanted, f"{command}: exit {done.returncode}: {said[:300]}")
        need(done.returncode == 0 or len(said.splitlines()) == 1, f"{command}: {said[:300]}")
        # Histograms are in base64, where any three letters may stand.
        shown = re.sub(r'"HIST[^"]*"', "", done.stdout) if "html" in command else ""
        need("NaN" not in shown and "<img" not in shown, f"{command}")


def refused(binary, folder, result):
    """A figure beyond all that a run measures is named in a line."""
    told, before = folder / "absurd.json", result["trials"][0]["time"]["receive_s"]
    result["trials"][0]["time"]["receive_s"] = 1e250
    told.write_text(json.dumps(result))
    result["trials"][0]["time"]["receive_s"] = before
    done = subprocess.run([binary, "report", told], capture_output=True, text=True, timeout=TIMEOUT_S)
    need(done.returncode == 2 and "1e250" in done.stderr and len(done.stderr.splitlines()) == 1,
         f"exit {done.returncode}: {done.stderr[:300]}")


def hostile(binary, folder):
    """10 000 nodes, each with markup in its name, absurd figures, and no trials: of each every form, and a comparison."""
    kept = folder / "result.json"
    subprocess.run([binary, *RUNS["a cut link"], "--quiet", "--json", kept], capture_output=True, timeout=TIMEOUT_S)
    result = json.loads(kept.read_text())
    name = "ws://</script><script>document.title='taken'</script><img src=x onerror=alert(1)>{{7*7}}%s"
    result["plan"]["nodes"] = [{"url": name % number} for number in range(10_000)]
    trial = result["trials"][0]
    refused(binary, folder, result)
    trial["generator"]["cores"][0]["longest_turn_us"] = MOST
    for interval in trial["intervals"]:
        interval["cost"] = {"cpu_s": MOST, "spun_s": 0, "busy": MOST, "busiest": MOST, "lag_max_us": MOST}
        interval.update(length_s=MOST, missing_so_far=2**64 - 1, p50_us=MOST)
    every_form(binary, folder, result)
    every_form(binary, folder, {**result, "trials": []})
    kept.write_text(json.dumps(result))
    page = folder / "page.html"
    with page.open("wb") as out:
        done = subprocess.run([binary, "report", kept, "--format", "html"], stdout=out,
                              stderr=subprocess.PIPE, timeout=TIMEOUT_S)
    need(done.returncode == 0, f"exit {done.returncode}: {done.stderr.decode()}")
    dom, said = browse(page)
    need(not said, f"the browser says: {said}")
    need("taken" not in re.search(r"<title>(.*?)</title>", dom)[1], "a script of a node's name ran")
    need("<img" not in dom, "an element of a node's name is in the page")


def main():
    cases = {**{name: (check, arguments) for name, arguments in RUNS.items()}, "a comparison": (comparison,),
             "a search": (search,), "a hostile result": (hostile,)}
    binary, chosen = harness.arguments("page", __doc__, cases)
    outcomes = []
    for name in chosen:
        with tempfile.TemporaryDirectory() as folder:
            case, *arguments = cases[name]
            outcomes.append(passes(name, lambda: case(binary.resolve(), pathlib.Path(folder), *arguments)))
    harness.end(outcomes)


if __name__ == "__main__":
    main()
