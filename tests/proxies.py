#!/usr/bin/env python3
"""Runs fanstorm through proxies that nobody here wrote, before two nodes of the reference cluster.

    python3 tests/proxies.py [--binary target/release/fanstorm] [--only WORD] [--list]

Belongs here: nginx and HAProxy as Debian packages them, what they do to an upgrade, and what must be told
of it. Each listens on loopback, on a port that was free a moment before, and is ended by its pid. The last
line is `N passed, N failed`; the exit code is 1 when one failed.
"""

import collections
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import harness
from harness import ended_with_the_block, free_port, need, passes

RUN_TIMEOUT_S = 60
BOOT_TIMEOUT_S = 15
PASSWORD = "s3cret-pass"
TIMES = ["--drain", "5s", "--connect-timeout", "5s"]

NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  map $upstream_addr $served_by {{ 127.0.0.1:{nodes[0]} n0; 127.0.0.1:{nodes[1]} n1; }}
  upstream both {{ server 127.0.0.1:{nodes[0]}; server 127.0.0.1:{nodes[1]}; }}
  upstream n0 {{ server 127.0.0.1:{nodes[0]}; }}
  upstream n1 {{ server 127.0.0.1:{nodes[1]}; }}
  upstream sticky {{ hash $cookie_srv; server 127.0.0.1:{nodes[0]}; server 127.0.0.1:{nodes[1]}; }}
  upstream nobody {{ server 127.0.0.1:{nobody}; }}
  proxy_http_version 1.1;
  proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
  add_header X-Served-By $served_by always;
  server {{
    listen 127.0.0.1:{port} default_server;
    location / {{ proxy_pass http://both; }}
    location /sticky {{ proxy_pass http://sticky; }}
    location /old {{ return 301 /new?room=1; }}
    location /moved {{ return 302 http://chat.test/new; }}
    location /dead {{ proxy_pass http://nobody; }}
    location /idle {{ proxy_pass http://both; proxy_read_timeout 2s; proxy_send_timeout 2s; }}
    location /origin {{
      if ($http_origin != "https://app.test") {{ return 403; }}
      proxy_pass http://both;
    }}
    location /auth {{
      auth_basic "the chat"; auth_basic_user_file {folder}/users;
      proxy_pass http://both;
    }}
  }}
  server {{ listen 127.0.0.1:{port}; server_name a.test; location / {{ proxy_pass http://n0; }} }}
  server {{ listen 127.0.0.1:{port}; server_name b.test; location / {{ proxy_pass http://n1; }} }}
}}
"""

HAPROXY = """
global
  maxconn 1000
defaults
  mode http
  timeout connect 2s
  timeout client 20s
  timeout server 20s
  timeout tunnel 20s
userlist users
  user anna insecure-password {password}
frontend f
  bind 127.0.0.1:{port}
  http-request early-hint Link "</style.css>; rel=preload" if {{ path /early }}
  http-request redirect code 301 location /new?room=1 if {{ path /old }}
  http-request redirect code 302 location http://chat.test/new if {{ path /moved }}
  http-request return status 429 hdr Retry-After 7 content-type text/plain string "too many sockets" if {{ path /full }}
  http-request deny deny_status 403 if {{ path /origin }} !{{ req.hdr(Origin) https://app.test }}
  http-request auth realm chat if {{ path /auth }} !{{ http_auth(users) }}
  http-response set-header X-Served-By %s
  use_backend n0 if {{ req.hdr(Host) -i a.test }}
  use_backend n1 if {{ req.hdr(Host) -i b.test }}
  use_backend dead if {{ path /dead }}
  use_backend idle if {{ path /idle }}
  use_backend sticky if {{ path /sticky }}
  default_backend both
backend both
  balance roundrobin
  server n0 127.0.0.1:{nodes[0]}
  server n1 127.0.0.1:{nodes[1]}
backend sticky
  balance roundrobin
  cookie SRV insert indirect nocache
  server n0 127.0.0.1:{nodes[0]} cookie n0
  server n1 127.0.0.1:{nodes[1]} cookie n1
backend idle
  balance roundrobin
  timeout tunnel 2s
  server n0 127.0.0.1:{nodes[0]}
  server n1 127.0.0.1:{nodes[1]}
backend dead
  server n0 127.0.0.1:{nobody}
backend n0
  server n0 127.0.0.1:{nodes[0]}
backend n1
  server n1 127.0.0.1:{nodes[1]}
"""


@contextlib.contextmanager
def two_nodes(binary, *faults):
    """Their ports."""
    command = [binary, "cluster", "--nodes", "2", *faults]
    with ended_with_the_block(command, stdout=subprocess.PIPE, text=True) as cluster:
        ports = []
        while len(ports) < 2:
            line = cluster.stdout.readline()
            need(line, "the cluster did not start")
            if line.startswith("node "):
                ports.append(int(line.rsplit(":", 1)[1].strip().strip("/")))
        yield ports


@contextlib.contextmanager
def proxy(name, folder, nodes):
    """The port of nginx or HAProxy."""
    folder, port = pathlib.Path(folder), free_port()
    values = {"folder": folder, "nodes": nodes, "port": port, "nobody": free_port(), "password": PASSWORD}
    config = folder / f"{name}.conf"
    config.write_text((NGINX if name == "nginx" else HAPROXY).format(**values))
    (folder / "users").write_text(f"anna:{{PLAIN}}{PASSWORD}\n")
    os.chmod(folder, 0o755)
    command = ["nginx", "-c", str(config), "-p", str(folder)] if name == "nginx" else ["haproxy", "-db", "-f", str(config)]
    with open(folder / "log", "wb") as log:
        with ended_with_the_block(command, stdout=log, stderr=log) as process:
            deadline = time.monotonic() + BOOT_TIMEOUT_S
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                said = (folder / "log").read_text(errors="replace")
                need(process.poll() is None, f"{name} ended: {said}")
                need(time.monotonic() < deadline, f"{name} does not listen: {said}")
                time.sleep(0.05)
            yield port


class Runs:
    """fanstorm against one proxy, and what the nodes behind it did to copies."""

    def __init__(self, binary, port, fault_log=None):
        self.binary, self.port, self.fault_log = binary, port, fault_log

    def url(self, path):
        return f"ws://127.0.0.1:{self.port}{path}"

    def run(self, *words, messages=200):
        command = [str(self.binary), *TIMES, "--messages", str(messages), "--json", "-", *words]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_TIMEOUT_S,
            env={**os.environ, "CHAT_USER": f"anna:{PASSWORD}"},
        )
        need(PASSWORD not in done.stdout + done.stderr, "the password is in an output")
        return done

    def complete(self, *words, sockets, messages=200):
        """All copies came to so many sockets; the result."""
        done = self.run(*words, messages=messages)
        need(done.returncode in (0, 5), f"exit {done.returncode}: {done.stderr.strip()[-600:]}")
        result = json.loads(done.stdout)
        for trial in result["trials"]:
            account = trial["delivery"]
            need(account["expected"] == trial["messages"] * sockets, f"expected: {account}")
            need(account["delivered"] == account["expected"], f"{account}")
            for kind in ("duplicate", "misdelivered", "corrupt"):
                need(account[kind] == 0, f"{kind}: {account}")
        return result

    def refused(self, path, *told, words=()):
        done = self.run("--node", self.url(path), *words)
        need(done.returncode == 4, f"exit {done.returncode}: {done.stderr.strip()[-600:]}")
        for word in told:
            need(word in done.stderr, f"{word!r} is not told: {done.stderr.strip()}")


def behind_one_address(runs):
    """3 push and 9 receive sockets to one address lie on both nodes, and hear all."""
    words = ["--node", runs.url("/"), "--receivers-per-node", "9", "--node-header", "X-Served-By"]
    reached = runs.complete(*words, sockets=12)["connecting"]["reached"]
    need({who["name"] for who in reached} == {"n0", "n1"}, reached)
    need(sum(who["sockets"] for who in reached) == 12, reached)
    need(sum(who["push_sockets"] for who in reached) == 3, reached)


def one_of_two_is_lossy(runs):
    """What n1 withholds is missing in its row and in no other, copy by copy as the node's own log has it."""
    words = ["--node", runs.url("/"), "--receivers-per-node", "9", "--node-header", "X-Served-By"]
    done = runs.run(*words, messages=500)
    need(done.returncode == 1, f"exit {done.returncode}: {done.stderr.strip()[-600:]}")
    trial = json.loads(done.stdout)["trials"][0]
    cells = {cell["reached"]["name"]: cell for cell in trial["matrix"]}
    need(set(cells) == {"n0", "n1"} and len(trial["matrix"]) == 2, trial["matrix"])
    for cell in cells.values():
        need(cell["to"] == 0 and cell["expected"] == 500 * cell["reached"]["sockets"], cell)
    withheld = [json.loads(line) for line in runs.fault_log.read_text().splitlines()]
    runs_of = collections.Counter(re.search("fs([0-9a-f]{8})", event["text"])[1] for event in withheld)
    # The probes are other runs, of a message or two each.
    in_trial = runs_of.most_common(1)[0][1]
    need(all(event["node"] == 1 for event in withheld) and in_trial > 20, runs_of)
    need((cells["n0"]["missing"], cells["n1"]["missing"]) == (0, in_trial), f"{cells} {runs_of}")
    need(trial["gaps"] and all(gap["reached"] == "n1" for gap in trial["gaps"]), trial["gaps"])
    need(f"node 0 {runs.url('/')} (n1)" in done.stderr, done.stderr)


def by_host(runs):
    """Two names at one address are two nodes, and each is the one that it is called."""
    places = [f"{name}.test:80:127.0.0.1:{runs.port}" for name in "ab"]
    words = ["--node", "ws://a.test/", "--node", "ws://b.test/", "--connect-to", places[0], "--connect-to", places[1]]
    result = runs.complete(*words, "--receivers-per-node", "2", "--node-header", "X-Served-By", sockets=7)
    cells = {(cell["from"], cell["to"]): cell["copies"] for cell in result["trials"][0]["matrix"]}
    need(sum(cells.values()) == 7 * 200, cells)
    reached = result["connecting"]["reached"]
    need([(who["node"], who["name"]) for who in reached] == [(0, "n0"), (1, "n1")], reached)


def one_host_for_another_address(runs):
    result = runs.complete("--node", runs.url("/"), "--host", "b.test", "--node-header", "X-Served-By", sockets=4)
    need({who["name"] for who in result["connecting"]["reached"]} == {"n1"}, result["connecting"])


def redirects(runs):
    runs.refused("/old", "301", "/new?room=1", "give --node")
    runs.refused("/moved", "302", "`http://chat.test/new`: give --node ws://chat.test/new")


def who_is_asked_for(runs):
    runs.refused("/auth", "401", "WWW-Authenticate `Basic realm=", "--basic-env")
    runs.complete("--node", runs.url("/auth"), "--basic-env", "CHAT_USER", sockets=4)


def origin(runs):
    runs.refused("/origin", "403", "orbidden")
    runs.complete("--node", runs.url("/origin"), "--origin", "https://app.test", sockets=4)


def dead_nodes(runs):
    done = runs.run("--node", runs.url("/dead"))
    need(done.returncode == 4, f"exit {done.returncode}")
    need("502" in done.stderr or "503" in done.stderr, done.stderr)
    need("<" not in done.stderr, f"tags are told: {done.stderr}")


def pinned_by_a_cookie(runs):
    """Whoever shows the cookie of a node gets to that one."""
    words = ["--node", runs.url("/sticky"), "--receivers-per-node", "9", "--cookie", "SRV=n1", "--cookie", "srv=n1"]
    reached = runs.complete(*words, "--node-header", "X-Served-By", sockets=12)["connecting"]["reached"]
    need(len(reached) == 1, f"one node: {reached}")


def idle(runs):
    """Silent sockets are cut after 2 s, and kept by Pings."""
    words = ["--node", runs.url("/idle"), "--receivers-per-node", "3", "--push-sockets", "1", "--rate", "0.3/s"]
    result = json.loads(runs.run(*words, messages=2).stdout)
    need(result["summary"]["lost_sockets"] > 0, f"the proxy cuts no idle socket: {result['summary']}")
    result = runs.complete(*words, "--ping", "500ms", sockets=4, messages=2)
    need(result["summary"]["lost_sockets"] == 0, result["summary"])


def early_hints(runs):
    with socket.create_connection(("127.0.0.1", runs.port), 5) as raw:
        raw.sendall(
            b"GET /early HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        first = raw.recv(64)
        need(first.startswith(b"HTTP/1.1 103 "), f"no interim answer: {first}")
    runs.complete("--node", runs.url("/early"), sockets=4)


def full(runs):
    runs.refused("/full", "429", "Retry-After `7`", "`too many sockets`")


BOTH = [behind_one_address, by_host, one_host_for_another_address, redirects, who_is_asked_for, origin, dead_nodes, pinned_by_a_cookie, idle]
LOSSY = ["--fault", "1:drop=5%"]
CASES = {f"nginx, {case.__name__.replace('_', ' ')}": ("nginx", case) for case in BOTH}
CASES |= {f"HAProxy, {case.__name__.replace('_', ' ')}": ("haproxy", case) for case in BOTH + [early_hints, full]}
LOSSY_CASES = {f"{name}, one of two is lossy": (name, one_of_two_is_lossy) for name in ("nginx", "HAProxy")}
CASES |= {case: (name.lower(), check) for case, (name, check) in LOSSY_CASES.items()}


def main():
    binary, chosen = harness.arguments("proxies", __doc__, CASES)
    for tool in ("nginx", "haproxy"):
        if not shutil.which(tool):
            sys.exit(f"proxies: {tool} is missing: apt-get install {tool}")
    outcomes = []
    with two_nodes(binary) as nodes:
        outcomes += before(binary, nodes, [case for case in chosen if case not in LOSSY_CASES])
    for case in [case for case in chosen if case in LOSSY_CASES]:
        with tempfile.TemporaryDirectory() as folder:
            log = pathlib.Path(folder) / "faults.jsonl"
            with two_nodes(binary, *LOSSY, "--fault-log", log) as nodes:
                outcomes += before(binary, nodes, [case], log)
    harness.end(outcomes)


def before(binary, nodes, chosen, log=None):
    """Each case before these nodes."""
    outcomes = []
    for name in ("nginx", "haproxy"):
        cases = [case for case in chosen if CASES[case][0] == name]
        if cases:
            with tempfile.TemporaryDirectory() as folder, proxy(name, folder, nodes) as port:
                runs = Runs(binary, port, log)
                outcomes += [passes(case, lambda case=case: CASES[case][1](runs)) for case in cases]
    return outcomes


if __name__ == "__main__":
    main()
