#!/usr/bin/env python3
"""Holds what --metrics serves against the result of the same run, as Prometheus itself and others read it.

    python3 tests/metrics.py [--binary target/release/fanstorm] [--only WORD] [--list]

Prometheus (Debian) scrapes paced runs against the embedded cluster, one of which loses copies, and answers queries;
promtool looks at the names, and prometheus_client (PyPI, into target/metrics) reads OpenMetrics. Then clients of all bad
kinds are let at it, and the run and those who scrape properly must not notice. The last line is `N passed, N failed`;
the exit code is 1 when one failed.
"""

import contextlib
import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import harness
from harness import ROOT, ended_with_the_block, free_port, need, passes

INSTALLED = ROOT / "target" / "metrics"
PINNED = "prometheus_client==0.23.1\n"
TIMEOUT_S = 90
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
RATE = ["--rate", "500", "--nodes", "3", "--cores", "1"]

READS = """
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
families = list(text_string_to_metric_families(sys.stdin.read()))
print(json.dumps([{"name": f.name, "type": f.type, "unit": f.unit, "help": f.documentation,
    "samples": [[s.name, s.labels, s.value] for s in f.samples]} for f in families]))
"""


class Run:
    """A run that is scraped, and where."""

    def __init__(self, process, address, result):
        self.process, self.address, self.result = process, address, result

    def get(self, path="/metrics", accept=None, method="GET"):
        headers = {"Accept": accept} if accept else {}
        request = urllib.request.Request(f"http://{self.address}{path}", headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return answer.headers, answer.read().decode()

    def until(self, what, holds):
        deadline = time.monotonic() + TIMEOUT_S
        while not holds(self.get()[1]):
            need(time.monotonic() < deadline, f"{what} never came")
            time.sleep(0.1)

    def is_over(self):
        self.until("the end", lambda text: 'fanstorm_phase{phase="ended"} 1' in text)

    def ends(self):
        """By Ctrl-C while it lingers; the result."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=TIMEOUT_S)
        need(code in (0, 1, 5), f"exit {code} after Ctrl-C while it lingered")
        return json.loads(self.result.read_text())


@contextlib.contextmanager
def scraped(binary, *flags, linger="60s"):
    with tempfile.TemporaryDirectory() as folder:
        result = pathlib.Path(folder) / "result.json"
        command = [binary, *flags, "--metrics", "0", "--metrics-linger", linger, "--json", result]
        with ended_with_the_block(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            for line in process.stderr:
                match = re.fullmatch(r"metrics: http://(127\.0\.0\.1:\d+)/metrics\n", line)
                if match:
                    yield Run(process, match[1], result)
                    return
            need(False, "it never said where it is scraped")


@contextlib.contextmanager
def prometheus(*targets):
    """Scrapes each second; yields a function that answers queries."""
    found = shutil.which("prometheus")
    need(found, "apt-get install prometheus")
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "prometheus.yml"
        jobs = ", ".join(f'"{target}"' for target in targets)
        config.write_text("scrape_configs:\n  - job_name: fanstorm\n    scrape_interval: 1s\n    scrape_timeout: 1s\n"
                          f"    static_configs: [{{targets: [{jobs}]}}]\n")
        checked = subprocess.run(["promtool", "check", "config", config], capture_output=True, text=True)
        need(checked.returncode == 0, checked.stdout + checked.stderr)
        address = f"127.0.0.1:{free_port()}"
        command = [found, f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
                   f"--web.listen-address={address}", "--log.level=error"]
        with ended_with_the_block(command, stderr=subprocess.DEVNULL):
            yield lambda text: ask(address, text)


def ask(address, query):
    """The answer to a query: labels and value."""
    url = f"http://{address}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
        data = json.load(answer)["data"]["result"]
    return [(one["metric"], float(one["value"][1])) for one in data]


def waits(query, text, holds):
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            answer = query(text)
            if holds(answer):
                return answer
        need(time.monotonic() < deadline, f"{text}: never so")
        time.sleep(0.2)


def is_answer(query, text, value):
    answer = query(text)
    need(len(answer) == 1 and answer[0][1] == value, f"{text}: {answer}, and the result has {value}")


def counts_are_the_results(query, result):
    for trial in result["trials"]:
        chosen = f'{{trial="{trial["id"]}"}}'
        delivery = trial["delivery"]
        for name, value in [("copies_expected", delivery["expected"]), ("copies_delivered_total", delivery["delivered"]),
                            ("copies_missing", delivery["missing"]), ("copies_duplicate_total", delivery["duplicate"]),
                            ("copies_misdelivered_total", delivery["misdelivered"]),
                            ("copies_out_of_order_total", delivery["out_of_order"]),
                            ("copies_corrupt_total", delivery["corrupt"]), ("messages_foreign_total", delivery["foreign"]),
                            ("messages_sent_total", trial["sent"]), ("messages_planned", trial["messages"])]:
            is_answer(query, f"fanstorm_{name}{chosen}", value)
        is_answer(query, f"sum(fanstorm_sockets_lost_total{chosen})", len(trial["lost_sockets"]))
        is_answer(query, f"sum(fanstorm_node_copies_missing{chosen})", delivery["missing"])
        for cell in trial["matrix"]:
            url = result["plan"]["nodes"][cell["to"]]["url"]
            row = f'{{trial="{trial["id"]}", node="{url}"}}'
            is_answer(query, f"fanstorm_node_copies_missing{row}", cell["missing"])
            if "warmup" not in trial:
                is_answer(query, f"fanstorm_node_latency_seconds_count{row}", cell["copies"])
        leads = trial["latency_us"].get("response") or trial["latency_us"]["service"]
        is_answer(query, f"sum(fanstorm_node_latency_seconds_count{chosen})", leads["count"])
        trust = f'fanstorm_verdict{{trial="{trial["id"]}", verdict="{trial["verdict"]["trust"]}"}}'
        is_answer(query, trust, 1)
        codes = {labels["code"] for labels, _ in query(f"fanstorm_caveat{chosen} == 1")}
        need(codes == {caveat["code"] for caveat in trial["verdict"]["caveats"]}, f"caveats: {codes}")


def latencies_are_the_results(query, result):
    """Counts exactly; a quantile within the bucket that holds the result's; the longest exactly."""
    for trial in result["trials"]:
        for name, latency in trial["latency_us"].items():
            chosen = f'{{trial="{trial["id"]}", class="{name}"}}'
            is_answer(query, f"fanstorm_latency_seconds_count{chosen}", latency["count"])
            (_, most), = query(f"fanstorm_latency_max_seconds{chosen}")
            need(abs(most * 1e6 - latency["max"]) <= 1e-3, f"{name}: max {most}, and the result has {latency['max']} µs")
            buckets = [(float(labels["le"]), count) for labels, count in
                       query(f"fanstorm_latency_seconds_bucket{chosen}")]
            bounds = sorted(le for le, _ in buckets)
            need(len(bounds) == 37 and bounds[-1] == float("inf"), f"{len(bounds)} buckets")
            for quantile, key in [(0.5, "p50"), (0.99, "p99")]:
                if latency[key] is None:
                    continue
                (_, read), = query(f"histogram_quantile({quantile}, fanstorm_latency_seconds_bucket{chosen})")
                true = latency[key] / 1e6
                above = next(le for le in bounds if true <= le)
                below = max([le for le in bounds if le < true], default=0)
                # Its own rounding may carry a value over the end of a bucket.
                wide = (below * 0.998, min(above, 100) * 1.6)
                need(wide[0] <= read <= wide[1], f"{name} {key}: {read}, and the result has {true} s")


def of_a_faulty_cluster(binary):
    flags = [*RATE, "--duration", "6s", "--warmup", "1s", "--drain", "500ms", "--fault", "cut=0-2@1200",
             "--fault", "1:duplicate=5%"]
    with scraped(binary, *flags) as run, prometheus(run.address) as query:
        up = waits(query, "rate(fanstorm_copies_delivered_total[3s])", lambda answer: answer and answer[0][1] > 0)
        # 500 messages a second to 6 sockets.
        need(0 < up[0][1] < 6_000, f"{up} copies a second")
        late = waits(query, "fanstorm_copies_missing > 0 and on(trial) fanstorm_trial_ended == 0", len)
        waits(query, 'fanstorm_phase{phase="ended"} == 1', len)
        text = run.get()[1]
        result_seen_by(run, query)
        need(late and "fanstorm_worker_busy_ratio" in text, "no share of our own CPUs")


def result_seen_by(run, query):
    # The answers are asked for while it still lingers: afterwards they would be stale.
    ended = time.monotonic()
    result = None
    while result is None:
        with contextlib.suppress(ValueError, OSError):
            result = json.loads(run.result.read_text())
        need(time.monotonic() - ended < TIMEOUT_S, "no result")
    counts_are_the_results(query, result)
    latencies_are_the_results(query, result)
    missing = sum(trial["delivery"]["missing"] for trial in result["trials"])
    need(missing > 0, "nothing is missing: the fault did nothing")
    need(run.ends() == result, "the result changed")


def of_bursts(binary):
    """Shorter than any scrape: the last one sees all of them."""
    with scraped(binary, "--messages", "10,100,1000,1000", "--nodes", "2") as run, prometheus(run.address) as query:
        run.is_over()
        waits(query, 'fanstorm_phase{phase="ended"} == 1', len)
        waits(lambda _: run.result.exists() and run.result.stat().st_size, "the result", bool)
        result = json.loads(run.result.read_text())
        need(len(result["trials"]) == 4, "four trials")
        waits(query, "fanstorm_trials_ended_total", lambda answer: answer and answer[0][1] == 4)
        counts_are_the_results(query, result)
        latencies_are_the_results(query, result)
        run.ends()


def python():
    return harness.python_with(PINNED, INSTALLED)


def as_others_read_it(binary):
    with scraped(binary, *RATE, "--duration", "4s", "--fault", "2:exit@900", "--drain", "500ms") as run:
        for moment in ("while it runs", "at the end"):
            if moment == "at the end":
                run.is_over()
            else:
                run.until("a second", lambda text: "fanstorm_worker_busy_ratio" in text)
            headers, text = run.get(accept=OPEN_METRICS)
            need(headers["Content-Type"] == OPEN_METRICS, headers["Content-Type"])
            done = subprocess.run([python(), "-c", READS], input=text, capture_output=True, text=True, timeout=TIMEOUT_S)
            need(done.returncode == 0, f"{moment}: prometheus_client: {done.stderr[-500:]}")
            families = json.loads(done.stdout)
            need(len(families) > 20 and all(family["help"] for family in families), f"{len(families)} families")
            units = {family["unit"] for family in families}
            need(units == {"", "seconds", "ratio"}, f"units: {units}")
            headers, text = run.get(accept="text/plain;version=0.0.4")
            need("version=0.0.4" in headers["Content-Type"], headers["Content-Type"])
            checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True,
                                     timeout=TIMEOUT_S)
            need(checked.returncode == 0 and not checked.stdout, f"{moment}: promtool: {checked.stdout}{checked.stderr}")
        lost = [line for line in text.splitlines() if line.startswith("fanstorm_sockets_lost_total")]
        need(sum(float(line.rsplit(" ", 1)[1]) for line in lost) == 1, f"one node ended: {lost}")
        run.ends()


def heard(address, data):
    """All that comes back for these bytes until it is closed: the head, and what is behind it."""
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=TIMEOUT_S) as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(data)
        answer = b""
        while True:
            try:
                part = client.recv(65536)
            except ConnectionError:
                break
            if not part:
                break
            answer += part
        head, _, body = answer.partition(b"\r\n\r\n")
        return head.decode(), body


def said(address, data):
    """The status line of what comes back for these bytes."""
    return heard(address, data)[0].split("\r\n", 1)[0]


def of_bad_clients(binary):
    with scraped(binary, *RATE, "--duration", "8s") as run:
        run.until("a second", lambda text: "fanstorm_messages_sent_total" in text)
        host, port = run.address.split(":")
        for data, status in [(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "404"), (b"DELETE /metrics HTTP/1.1\r\n\r\n", "405"),
                             (b"POST /metrics HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n" + b"x" * 500_000, "405"),
                             (b"GET /" + b"a" * 200_000, "431"),
                             (b"GET /metrics HTTP/1.1\r\n" + b"A: b\r\n" * 5_000, "431"),
                             (b"\x16\x03\x01\x02\x00" * 40, "400"), (b"GET /metrics SPDY/3\r\n\r\n", "400"),
                             (b"GET /metrics?x=1 HTTP/1.0\r\n\r\n", "200"), (b"HEAD /metrics HTTP/1.1\r\n\r\n", "200")]:
            answer = said(run.address, data)
            need(answer.startswith(f"HTTP/1.1 {status} "), f"{data[:40]}: {answer}")
        for path in [b"/metrics", b"/"]:
            head, body = heard(run.address, b"HEAD " + path + b" HTTP/1.1\r\n\r\n")
            need(body == b"", f"{len(body)} bytes behind the head that alone was asked for: {head}")
        # Those who say nothing and those who never come to an end are let go, and told why.
        began = time.monotonic()
        need(said(run.address, b"GET /metrics HTT").startswith("HTTP/1.1 408 "), "a request without its end")
        need(time.monotonic() - began < 30, "it was kept for long")
        with contextlib.ExitStack() as held:
            for number in range(200):
                client = held.enter_context(socket.create_connection((host, int(port)), timeout=TIMEOUT_S))
                with contextlib.suppress(OSError):
                    # Some ask and never read, some say a byte now and then.
                    client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n" if number % 3 == 0 else b"G")
                if number % 20 == 0:
                    need("fanstorm_build_info" in run.get()[1], "who scrapes is not served any more")
            files = len(list(pathlib.Path(f"/proc/{run.process.pid}/fd").iterdir()))
            need(files < 100, f"{files} descriptors for 200 clients")
        began, asked = time.monotonic(), 0
        while time.monotonic() - began < 1:
            run.get(method="HEAD")
            asked += 1
        need(asked > 10, f"{asked} requests in a second")
        run.is_over()
        result = run.ends()
        delivery = result["trials"][0]["delivery"]
        need(delivery["missing"] == 0 and delivery["delivered"] == 4_000 * 6, f"the run suffered: {delivery}")


def of_a_taken_port(binary):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run([binary, "--messages", "10", "--metrics", str(port)], capture_output=True, text=True,
                              timeout=TIMEOUT_S)
    need(done.returncode == 3 and len(done.stderr.splitlines()) == 1, f"{done.returncode}: {done.stderr}")
    need(f"--metrics 127.0.0.1:{port}: " in done.stderr and "another port" in done.stderr, done.stderr)
    for flags, code, word in [(["--metrics", "192.0.2.1:9464"], 2, "no such address"),
                              (["--metrics", "nonsense"], 2, "0.0.0.0:9464"),
                              (["--metrics-linger", "5s"], 2, "--metrics <ADDR>")]:
        done = subprocess.run([binary, "--messages", "10", *flags], capture_output=True, text=True, timeout=TIMEOUT_S)
        need(done.returncode == code and word in done.stderr, f"{flags}: {done.returncode}: {done.stderr}")


def lingers_as_long_as_asked(binary):
    with scraped(binary, "--messages", "10", "--nodes", "1", linger="2s") as run:
        run.is_over()
        began = time.monotonic()
        code = run.process.wait(timeout=TIMEOUT_S)
        need(code in (0, 5) and time.monotonic() - began > 0.5, f"exit {code}")
    with scraped(binary, *RATE, "--duration", "60s", linger="60s") as run:
        run.until("a second", lambda text: "fanstorm_messages_sent_total" in text)
        run.process.send_signal(signal.SIGINT)
        # Whoever ends the run does not wait for those who scrape.
        code = run.process.wait(timeout=30)
        need(code == 130, f"exit {code}")


CASES = {
    "a faulty cluster": of_a_faulty_cluster,
    "bursts": of_bursts,
    "as others read it": as_others_read_it,
    "bad clients": of_bad_clients,
    "a taken port": of_a_taken_port,
    "lingers as long as asked": lingers_as_long_as_asked,
}


def main():
    binary, chosen = harness.arguments("metrics", __doc__, list(CASES))
    binary = binary.resolve()
    harness.end([passes(name, lambda: CASES[name](binary)) for name in chosen])


if __name__ == "__main__":
    main()
