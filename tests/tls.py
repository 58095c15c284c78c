#!/usr/bin/env python3
"""Runs fanstorm over TLS through ends of TLS that nobody here wrote, before two nodes of the reference cluster.

    python3 tests/tls.py [--binary target/release/fanstorm] [--only WORD] [--list]

Belongs here: nginx, HAProxy, Node.js and openssl s_server as ends of TLS, and what must be told of each. Does
not: the records themselves (`tests/tls.rs`). Each listens on loopback, on a port that was free a moment before,
and is ended by its pid. The last line is `N passed, N failed`; the exit code is 1 when one failed.
"""

import base64
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

import harness
import interop
from harness import ended_with_the_block, free_port, need, passes

RUN_TIMEOUT_S = 120
BOOT_TIMEOUT_S = 15
TIMES = ["--drain", "5s", "--connect-timeout", "3s"]
# The table of the seed: burst after burst, to two nodes here.
TABLE = [10, 100, 1000, 2000, 4000, 8000]

NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  ssl_certificate {folder}/node.pem; ssl_certificate_key {folder}/node.key;
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_session_cache shared:s:1m; ssl_session_tickets on;
  proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
  proxy_read_timeout 60s;
  server {{ listen 127.0.0.1:{ports[0]} ssl; location / {{ proxy_pass http://127.0.0.1:{nodes[0]}; }} }}
  server {{ listen 127.0.0.1:{ports[1]} ssl; location / {{ proxy_pass http://127.0.0.1:{nodes[1]}; }} }}
  server {{ listen 127.0.0.1:{ports[2]} ssl; ssl_protocols TLSv1.2; location / {{ proxy_pass http://127.0.0.1:{nodes[0]}; }} }}
  server {{
    listen 127.0.0.1:{ports[3]} ssl; ssl_verify_client on; ssl_client_certificate {folder}/ca.pem;
    location / {{ proxy_pass http://127.0.0.1:{nodes[0]}; }}
  }}
  server {{
    listen 127.0.0.1:{ports[4]} ssl;
    location / {{ proxy_set_header Connection close; proxy_set_header Upgrade ""; proxy_pass http://127.0.0.1:{discovery}; }}
  }}
}}
"""

HAPROXY = """
global
  maxconn 1000
  ssl-default-bind-options no-sslv3
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  timeout tunnel 60s
frontend a
  bind 127.0.0.1:{ports[0]} ssl crt {folder}/both.pem alpn http/1.1
  default_backend n0
frontend b
  bind 127.0.0.1:{ports[1]} ssl crt {folder}/both.pem alpn http/1.1
  default_backend n1
frontend c
  bind 127.0.0.1:{ports[2]} ssl crt {folder}/both.pem alpn http/1.1 ssl-max-ver TLSv1.2
  default_backend n0
frontend d
  bind 127.0.0.1:{ports[3]} ssl crt {folder}/both.pem alpn http/1.1 ca-file {folder}/ca.pem verify required
  default_backend n0
frontend e
  bind 127.0.0.1:{ports[4]} ssl crt {folder}/both.pem alpn http/1.1
  default_backend d
backend n0
  server n0 127.0.0.1:{nodes[0]}
backend n1
  server n1 127.0.0.1:{nodes[1]}
backend d
  server d 127.0.0.1:{discovery}
"""


def await_port(port, process, said=lambda: ""):
    deadline = time.monotonic() + BOOT_TIMEOUT_S
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        need(process.poll() is None, f"it ended: {said()}")
        need(time.monotonic() < deadline, f"it does not listen: {said()}")
        time.sleep(0.05)


@contextlib.contextmanager
def two_nodes(binary):
    """The ports of the nodes, and that of the discovery."""
    with ended_with_the_block([binary, "cluster", "--nodes", "2"], stdout=subprocess.PIPE, text=True) as cluster:
        ports, discovery = [], None
        while len(ports) < 2:
            line = cluster.stdout.readline()
            need(line, "the cluster did not start")
            if line.startswith("discovery "):
                discovery = int(line.rsplit(":", 1)[1].split("/")[0])
            if line.startswith("node "):
                ports.append(int(line.rsplit(":", 1)[1].strip().strip("/")))
        yield ports, discovery


def openssl(*words, folder):
    done = subprocess.run(["openssl", *words], cwd=folder, capture_output=True, text=True)
    need(done.returncode == 0, f"openssl {words[0]}: {done.stderr}")


def certificates(folder):
    """An authority, a node's certificate, ours, and that of an authority as a node would show it."""
    ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *ec, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=The CA/O=Tests", folder=folder)
    names = "subjectAltName=DNS:node.test,DNS:localhost,IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n"
    (folder / "names").write_text(names)
    for who in ("node", "me"):
        openssl("req", *ec, "-keyout", f"{who}.key", "-out", f"{who}.csr", "-subj", f"/CN={who}", folder=folder)
        openssl("x509", "-req", "-in", f"{who}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "2", "-extfile", "names", "-out", f"{who}.pem", folder=folder)
    openssl("req", "-x509", *ec, "-keyout", "self.key", "-out", "self.pem", "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=IP:127.0.0.1", folder=folder)
    (folder / "both.pem").write_text((folder / "node.pem").read_text() + (folder / "node.key").read_text())
    (folder / "all").mkdir()
    shutil.copy(folder / "ca.pem", folder / "all" / "ca.pem")
    (folder / "all" / "README").write_text("not a certificate\n")


@contextlib.contextmanager
def end_of_tls(name, folder, nodes, discovery):
    """The ports of nginx or HAProxy: node 0, node 1, TLS 1.2 alone, a certificate wanted, the discovery."""
    ports = [free_port() for _ in range(5)]
    config = folder / f"{name}.conf"
    text = (NGINX if name == "nginx" else HAPROXY).format(folder=folder, nodes=nodes, ports=ports, discovery=discovery)
    config.write_text(text)
    command = ["nginx", "-c", str(config), "-p", str(folder)] if name == "nginx" else ["haproxy", "-db", "-f", str(config)]
    log_path = folder / f"{name}.log"
    with open(log_path, "wb") as log, ended_with_the_block(command, stdout=log, stderr=log) as process:
        await_port(ports[4], process, lambda: log_path.read_text(errors="replace"))
        yield ports


class Runs:
    """fanstorm, and the certificates that it trusts."""

    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder
        self.trusting = ["--cacert", str(folder / "ca.pem")]

    def run(self, *words, messages=(200,)):
        counts = ",".join(map(str, messages))
        command = [str(self.binary), *TIMES, "--messages", counts, "--json", "-", *map(str, words)]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=RUN_TIMEOUT_S)

    def complete(self, *words, sockets, messages=(200,)):
        """All copies came to so many sockets; the result and the report."""
        done = self.run(*words, messages=messages)
        need(done.returncode in (0, 5), f"exit {done.returncode}: {done.stderr.strip()[-600:]}")
        result = json.loads(done.stdout)
        for trial in result["trials"]:
            account = trial["delivery"]
            need(account["expected"] == trial["messages"] * sockets, f"expected: {account}")
            need(account["delivered"] == account["expected"], f"{account}")
            for kind in ("duplicate", "misdelivered", "corrupt", "foreign"):
                need(account[kind] == 0, f"{kind}: {account}")
        need(result["summary"]["lost_sockets"] == 0, result["summary"])
        # Lines are wrapped anywhere.
        return result, " ".join(done.stderr.split())

    def refused(self, *words, told, phase="handshake", exit_code=4):
        done = self.run(*words)
        need(done.returncode == exit_code, f"exit {done.returncode}: {done.stderr.strip()[-600:]}")
        for word in (phase, *told):
            need(word in done.stderr, f"{word!r} is not told: {done.stderr.strip()}")
        if exit_code == 4:
            need(json.loads(done.stdout)["failed"]["phase"] in (phase, "discover"), done.stdout)


def settled(result, version):
    sessions = result["connecting"]["sessions"]
    need({session["version"] for session in sessions} == {version}, sessions)
    need(all(session["suite"] for session in sessions), sessions)
    sockets = result["connecting"]["sockets"]
    need(sum(session["handshakes"] for session in sessions) == sockets, sessions)
    need(result["connecting"]["handshake_us"]["count"] == sockets, result["connecting"])


def the_table(runs, ports):
    """The seed's table is exact, over TLS 1.3; the report has what was settled on."""
    words = ["--node", f"wss://127.0.0.1:{ports[0]}/", "--node", f"wss://localhost:{ports[1]}/"]
    result, report = runs.complete(*words, *runs.trusting, sockets=5, messages=TABLE)
    settled(result, "TLS 1.3")
    for word in ("TLS 1.3, TLS13_", "TLS handshake", "every handshake is a full one"):
        need(word in report, f"{word!r} is not reported")
    need(all(session["resumed"] == 0 for session in result["connecting"]["sessions"]), result["connecting"])


def paced(runs, ports):
    result, _ = runs.complete("--node", f"wss://127.0.0.1:{ports[0]}/", "--rate", "500/s", *runs.trusting, sockets=4)
    settled(result, "TLS 1.3")


def large_messages(runs, ports):
    """Messages of many records, both ways."""
    words = ["--node", f"wss://127.0.0.1:{ports[0]}/", "--payload-bytes", "300KiB", *runs.trusting]
    runs.complete(*words, sockets=4, messages=[20])


def version_1_2(runs, ports):
    words = ["--node", f"wss://127.0.0.1:{ports[2]}/", "--cacert", runs.folder / "all"]
    result, _ = runs.complete(*words, sockets=4, messages=[10, 2000])
    settled(result, "TLS 1.2")
    runs.refused(*words, "--tls-min", "1.3", told=["no version of TLS in common"])


def beside_ws(runs, ports, nodes):
    """One plan, both schemes."""
    words = ["--node", f"wss://127.0.0.1:{ports[0]}/", "--node", f"ws://127.0.0.1:{nodes[1]}/"]
    result, _ = runs.complete(*words, *runs.trusting, sockets=5, messages=[2000])
    need({session["node"] for session in result["connecting"]["sessions"]} == {0}, result["connecting"])


def epoll(runs, ports):
    words = ["--node", f"wss://127.0.0.1:{ports[0]}/", "--engine", "epoll"]
    runs.complete(*words, *runs.trusting, sockets=4, messages=[2000])


def resumed(runs, ports):
    """Sockets that come after others take up their sessions."""
    words = ["--node", f"wss://127.0.0.1:{ports[0]}/", "--receivers-per-node", "20", "--connect-rate", "100", "--tls-resume"]
    result, report = runs.complete(*words, *runs.trusting, sockets=23)
    need(sum(session["resumed"] for session in result["connecting"]["sessions"]) > 0, result["connecting"])
    need("resumed" in report, report)


def unchecked(runs, ports):
    result, report = runs.complete("--node", f"wss://127.0.0.1:{ports[0]}/", "--insecure", sockets=4)
    need(result["dialing"]["tls"]["insecure"] is True, result["dialing"])
    need("not checked (--insecure)" in report, report)


def who_is_trusted(runs, ports):
    node = f"wss://127.0.0.1:{ports[0]}/"
    other = ["--cacert", runs.folder / "self.pem"]
    runs.refused("--node", node, *other, told=[node, "unknown issuer", "`CN=The CA, O=Tests`", "--cacert"])
    named = ["--node", node, *runs.trusting, "--sni"]
    runs.refused(*named, "else.test", told=["wanted else.test", "node.test", "127.0.0.1"])
    runs.complete(*named, "node.test", sockets=4)


def a_certificate_of_ours(runs, ports):
    words = ["--node", f"wss://127.0.0.1:{ports[3]}/", *runs.trusting]
    done = runs.run(*words)
    need(done.returncode == 4, f"exit {done.returncode}")
    need("--cert" in done.stderr or "SSL certificate" in done.stderr, done.stderr)
    runs.complete(*words, "--cert", runs.folder / "me.pem", "--key", runs.folder / "me.key", sockets=4)


def plain_text_to_tls(runs, ports):
    done = runs.run("--node", f"ws://127.0.0.1:{ports[0]}/")
    need(done.returncode == 4, f"exit {done.returncode}")
    need("wss://" in done.stderr or "HTTPS" in done.stderr or "closed the connection" in done.stderr, done.stderr)


def tls_to_plain_text(runs, nodes):
    node = f"wss://127.0.0.1:{nodes[0]}/"
    runs.refused("--node", node, *runs.trusting, told=[node, "does it speak TLS on this port?"])


def discovery(runs, ports, nodes):
    """A discovery behind TLS lists wss:// nodes unless it is said otherwise."""
    url = f"https://127.0.0.1:{ports[4]}"
    runs.complete("--discovery", url, *runs.trusting, "--node-scheme", "ws", sockets=5)
    runs.refused("--discovery", url, told=["unknown issuer", "--cacert"])
    runs.refused("--discovery", url, *runs.trusting, told=["wss://", "does it speak TLS on this port?"])


@contextlib.contextmanager
def s_server(runs, *words, who="node", log=False):
    """openssl s_server, which answers with what is written to it; what it logs is kept apart where that is asked for."""
    port = free_port()
    command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", f"{who}.pem", "-key", f"{who}.key", *words]
    log_path = runs.folder / f"s_server.{port}.log"
    with open(log_path, "wb") as file, ended_with_the_block(
        command, cwd=runs.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file if log else subprocess.STDOUT
    ) as process:
        await_port(port, process)
        process.log = log_path
        yield port, process


class EchoServer(threading.Thread):
    """A WebSocket echo over the standard streams of openssl s_server, which takes single letters as commands."""

    def __init__(self, process, at, command):
        super().__init__(daemon=True)
        self.process, self.at, self.command, self.echoed, self.said, self.notes = process, at, command, 0, b"", b""

    def more(self):
        self.said += os.read(self.process.stdout.fileno(), 65536) or self.end()

    def end(self):
        raise EOFError

    def take(self, count):
        while len(self.said) < count:
            self.more()
        taken, self.said = self.said[:count], self.said[count:]
        return taken

    def say(self, data):
        os.write(self.process.stdin.fileno(), data)

    def frame(self):
        # What s_server says of its own lies between frames: no frame of a client begins with a letter.
        while (first := self.take(1)) < b"\x80":
            self.notes += first
        first, length = first[0], self.take(1)[0]
        length &= 0x7F
        if length == 126:
            length = int.from_bytes(self.take(2))
        mask, payload = self.take(4), self.take(length)
        return first, bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))

    def run(self):
        with contextlib.suppress(EOFError, OSError, IndexError):
            while b"\r\n\r\n" not in self.said:
                self.more()
            head, self.said = self.said.split(b"\r\n\r\n", 1)
            key = head.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
            accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
            self.say(b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")
            while True:
                first, payload = self.frame()
                length = bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + len(payload).to_bytes(2)
                self.say(bytes([first]) + length + payload)
                self.echoed += 1
                if self.echoed in self.at:
                    # A command is the first letter of a read: nothing else may be in that.
                    time.sleep(0.1)
                    self.say(self.command + b"\n")
                    time.sleep(0.1)


ECHO = ["--dialect", "raw", "--fan-out", "own", "--push-sockets", "1", "--rate", "200/s"]


def lost(done):
    """A run that lost its only socket: its result, and what is told of that socket."""
    need(done.returncode == 1, f"exit {done.returncode}: {done.stderr.strip()[-600:]}")
    result = json.loads(done.stdout)
    need(result["summary"]["lost_sockets"] == 1, result["summary"])
    account = result["trials"][0]["delivery"]
    need(account["expected"] == account["delivered"] + account["missing"], f"{account}")
    need(account["missing"] > 0, f"{account}")
    return result["trials"][0]["lost_sockets"]


def keys_updated(runs):
    """In the middle of a run the server changes its keys, and asks for others of ours: nothing is lost."""
    for command in (b"k", b"K"):
        with s_server(runs, "-tls1_3", log=True) as (port, process):
            echo = EchoServer(process, {30, 60, 90}, command)
            echo.start()
            words = ["--node", f"wss://127.0.0.1:{port}/", *ECHO, *runs.trusting]
            result, _ = runs.complete(*words, sockets=1, messages=[200])
            settled(result, "TLS 1.3")
            need(echo.echoed > 200, f"{echo.echoed} echoed")
            # It ends by itself, so that all that it had to say is written.
            echo.say(b"Q\n")
            echo.join(10)
            need(echo.notes.count(b"SSL_do_handshake -> 1") == 3, f"keys were not changed: {echo.notes}")


def renegotiation_refused(runs):
    """A server of TLS 1.2 that wants to shake hands again is refused, and told so."""
    with s_server(runs, "-tls1_2", log=True) as (port, process):
        EchoServer(process, {30}, b"R").start()
        told = lost(runs.run("--node", f"wss://127.0.0.1:{port}/", *ECHO, *runs.trusting))
        need("handshake" in json.dumps(told), told)
        said = process.log.read_text(errors="replace")
        need("no renegotiation" in said, f"it was not refused: {said}")


def alert_at_refusal(runs):
    """Whoever is not trusted hears why."""
    for version in ("-tls1_2", "-tls1_3"):
        for other, alert in ((["--cacert", runs.folder / "self.pem"], "unknown ca"), ([*runs.trusting, "--sni", "else.test"], "bad certificate")):
            with s_server(runs, version, log=True) as (port, process):
                runs.refused("--node", f"wss://127.0.0.1:{port}/", *other, told=["--cacert" if alert == "unknown ca" else "else.test"])
                deadline = time.monotonic() + 5
                while f"alert {alert}" not in (said := process.log.read_text(errors="replace")):
                    need(time.monotonic() < deadline, f"{version}: no alert {alert!r}: {said}")
                    time.sleep(0.05)


def line_cut(runs):
    """A connection that ends without close_notify is a lost socket; one with it is lost, too, and not called cut."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(runs.folder / "node.pem", runs.folder / "node.key")
    for says_goodbye in (False, True):
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def serve():
                with contextlib.suppress(OSError):
                    stream = context.wrap_socket(listener.accept()[0], server_side=True)
                    head = b""
                    while not head.endswith(b"\r\n\r\n"):
                        head += stream.read(1)
                    key = head.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
                    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
                    stream.write(b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")
                    for _ in range(50):
                        frame = stream.read(8 + 128)
                        mask, payload = frame[4:8], frame[8:]
                        stream.write(frame[:1] + b"\x7e" + frame[2:4] + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)))
                    if says_goodbye:
                        stream.unwrap()
                    stream.shutdown(socket.SHUT_RDWR)

            threading.Thread(target=serve, daemon=True).start()
            told = json.dumps(lost(runs.run("--node", f"wss://127.0.0.1:{listener.getsockname()[1]}/", *ECHO, *runs.trusting)))
            need(("without close_notify" in told) != says_goodbye, told)
            need("without a Close frame" in told, told)


def authority_as_node(runs):
    with s_server(runs, "-quiet", who="self") as (port, _):
        words = ["--node", f"wss://127.0.0.1:{port}/", "--cacert", runs.folder / "self.pem"]
        runs.refused(*words, told=["openssl req -x509", "CA:FALSE"])


def nothing_in_common(runs):
    with s_server(runs, "-quiet", "-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0") as (port, _):
        runs.refused("--node", f"wss://127.0.0.1:{port}/", *runs.trusting, told=["no cipher suite in common"])
    with s_server(runs, "-quiet", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0") as (port, _):
        runs.refused("--node", f"wss://127.0.0.1:{port}/", *runs.trusting, told=["no version of TLS in common"])


def wanted_after_the_handshake(runs):
    """TLS 1.3 ends the handshake for us before the node has seen that there is no certificate."""
    with s_server(runs, "-quiet", "-Verify", "1", "-CAfile", "ca.pem") as (port, _):
        runs.refused("--node", f"wss://127.0.0.1:{port}/", *runs.trusting, told=["--cert FILE"])


def silent(runs):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        node = f"wss://127.0.0.1:{listener.getsockname()[1]}/"
        runs.refused("--node", node, *runs.trusting, told=[node, "TLS handshake did not end within 3 s"])


@contextlib.contextmanager
def npm_ws(runs, mode):
    interop.install()
    command = ["node", str(interop.INSTALLED / "ws-server.mjs"), mode, "node.pem", "node.key"]
    with ended_with_the_block(command, cwd=runs.folder, stdout=subprocess.PIPE, text=True) as process:
        port_line = process.stdout.readline()
        need(port_line.startswith("listening "), f"npm ws did not start: {port_line}")
        yield int(port_line.split()[1])


def npm(runs):
    with npm_ws(runs, "broadcast") as port:
        words = ["--node", f"wss://localhost:{port}/", "--dialect", "raw", *runs.trusting]
        result, _ = runs.complete(*words, sockets=4, messages=TABLE)
        settled(result, "TLS 1.3")


BOTH = [the_table, paced, large_messages, version_1_2, epoll, resumed, unchecked, who_is_trusted, a_certificate_of_ours, plain_text_to_tls]
ALONE = [
    authority_as_node, nothing_in_common, wanted_after_the_handshake, silent, npm, keys_updated, renegotiation_refused,
    alert_at_refusal, line_cut,
]
PROXIES = {"nginx": "nginx", "HAProxy": "haproxy"}
CASES = {f"{title}, {case.__name__.replace('_', ' ')}": (tool, case) for title, tool in PROXIES.items() for case in BOTH}
CASES |= {f"{title}, {case.__name__.replace('_', ' ')}": (tool, case) for title, tool in PROXIES.items() for case in (beside_ws, discovery)}
CASES |= {case.__name__.replace("_", " "): (None, case) for case in ALONE}
CASES |= {"tls to plain text": (None, tls_to_plain_text)}


def main():
    binary, chosen = harness.arguments("tls", __doc__, CASES)
    binary = binary.resolve()
    for tool in ("nginx", "haproxy", "openssl", "node"):
        if not shutil.which(tool):
            sys.exit(f"tls: {tool} is missing: apt-get install {tool}")
    outcomes = []
    with two_nodes(binary) as (nodes, discovery_port), tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        folder.chmod(0o755)
        certificates(folder)
        runs = Runs(binary, folder)
        for tool in ("nginx", "haproxy"):
            cases = [case for case in chosen if CASES[case][0] == tool]
            if not cases:
                continue
            with end_of_tls(tool, folder, nodes, discovery_port) as ports:
                for name in cases:
                    case = CASES[name][1]
                    more = [nodes] if case in (beside_ws, discovery) else []
                    outcomes.append(passes(name, lambda case=case, more=more: case(runs, ports, *more)))
        for name in (case for case in chosen if CASES[case][0] is None):
            case = CASES[name][1]
            more = [nodes] if case is tls_to_plain_text else []
            outcomes.append(passes(name, lambda case=case, more=more: case(runs, *more)))
    harness.end(outcomes)


if __name__ == "__main__":
    main()
