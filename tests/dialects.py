#!/usr/bin/env python3
"""Runs fanstorm's built-in dialects against clusters that nobody here wrote.

    python3 tests/dialects.py [--binary target/release/fanstorm] [--only WORD] [--list]

Belongs here: how each cluster is started, and which table is run against it. Every copy must come back,
once. Where a protocol has no server to be had by name, the nodes are made here (tests/peers/clusters) and must
first satisfy the client library of the protocol's own makers. `.ci/run` installs Debian's packages; npm and PyPI
packages that tests/peers/clusters pins go into target/dialects.

Each server listens on loopback, on a port that was free a moment before, and is ended by its pid. The
last line is `N passed, N failed`; the exit code is 1 when one failed.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import harness
from harness import PEERS, ROOT, need, passes

INSTALLED = ROOT / "target" / "dialects"
RUN_TIMEOUT_S = 150
BOOT_TIMEOUT_S = 90
# Longer than the minute after which a silent socket is closed by the strictest.
ALIVE_S = 100
BROWSER = ["--header", "User-Agent: Mozilla/5.0"]
SIZES = [10, 100, 1000, 2000]


class Host:
    """Processes that end with the block, their folder, and ports that nobody else has."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.processes = []

    def port(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            return listener.getsockname()[1]

    def start(self, command, listens=None, env=None):
        log = open(self.log(len(self.processes)), "wb")
        # A group of its own: some servers are a script that starts the server.
        process = subprocess.Popen(
            [str(word) for word in command],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=self.folder,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
        self.processes.append(process)
        if listens:
            self.wait(process, listens)
        return process

    def log(self, index):
        return self.folder / f"{index}.log"

    def wait_all(self, processes, ports):
        for process, port in zip(processes, ports):
            self.wait(process, port)

    def wait(self, process, port):
        until = time.monotonic() + BOOT_TIMEOUT_S
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            if process.poll() is not None:
                break
            time.sleep(0.05)
        said = self.log(self.processes.index(process)).read_text()
        raise harness.Failed(f"nobody listens on {port}: {said[-400:]}")

    def end(self):
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def nats(host):
    """Three nodes, a full mesh."""
    ports = [(host.port(), host.port(), host.port()) for _ in range(3)]
    routes = ", ".join(f"nats://127.0.0.1:{cluster}" for _, _, cluster in ports)
    for index, (client, web, cluster) in enumerate(ports):
        config = host.folder / f"nats{index}.conf"
        config.write_text(
            f'server_name: n{index}\nlisten: 127.0.0.1:{client}\nping_interval: "2s"\n'
            f'websocket {{ listen: "127.0.0.1:{web}", no_tls: true }}\n'
            f"cluster {{ name: c, listen: 127.0.0.1:{cluster}, routes: [{routes}] }}\n"
        )
        host.start(["nats-server", "-c", config], listens=web)
    time.sleep(1)  # The mesh of routes; who subscribes before it stands is told of later.
    return [f"ws://127.0.0.1:{web}/" for _, web, _ in ports]


def mosquitto(host, qos=0, inflight=0):
    """Two brokers, one of which bridges all topics to the other and back."""
    (plain, bridged), (far, near) = (host.port(), host.port()), (host.port(), host.port())
    common = f"allow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages {inflight}\n"
    (host.folder / "far.conf").write_text(
        f"listener {bridged} 127.0.0.1\nlistener {far} 127.0.0.1\nprotocol websockets\n{common}"
    )
    (host.folder / "near.conf").write_text(
        f"listener {plain} 127.0.0.1\nlistener {near} 127.0.0.1\nprotocol websockets\n{common}"
        f"connection far\naddress 127.0.0.1:{bridged}\ntopic # both {qos}\n"
        "bridge_protocol_version mqttv311\n"
    )
    host.start(["mosquitto", "-c", host.folder / "far.conf"], listens=far)
    host.start(["mosquitto", "-c", host.folder / "near.conf"], listens=near)
    time.sleep(1)
    return [f"ws://127.0.0.1:{port}/mqtt" for port in (near, far)]


def redis(host):
    port = host.port()
    host.start(
        ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
        listens=port,
    )
    return port


def socketio(host):
    """Two nodes with a Redis between them, which ask for a Pong every 2 s."""
    shared = redis(host)
    ports = [host.port(), host.port()]
    for port in ports:
        host.start(["node", INSTALLED / "socketio.cjs", port, shared], listens=port)
    return [f"ws://127.0.0.1:{port}/" for port in ports]


def actioncable(host):
    """Two nodes with a Redis between them, which ping every 3 s."""
    shared = redis(host)
    ports = [host.port(), host.port()]
    for port in ports:
        listen = ["-e", "production", "-b", f"tcp://127.0.0.1:{port}", "-t", "1:5"]
        host.start(
            ["puma", *listen, INSTALLED / "actioncable.ru"],
            listens=port,
            env={"REDIS_PORT": str(shared)},
        )
    return [f"ws://127.0.0.1:{port}/" for port in ports]


def peer(script, *check):
    """Two nodes of tests/peers/clusters with a Redis between them, which a client of `check` must be content with."""

    def start(host):
        shared = redis(host)
        ports = [host.port(), host.port()]
        for port in ports:
            host.start(["node", INSTALLED / script, port, shared], listens=port)
        if check:
            command = ["node", INSTALLED / "check.cjs", *check, *ports]
            done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60)
            need(done.returncode == 0, f"its own client library is not content: {done.stderr}")
        return [f"ws://127.0.0.1:{port}/" for port in ports]

    return start


def prosody(host):
    """One node with a conference service, which lets anybody in."""
    web, plain = host.port(), host.port()
    config = host.folder / "prosody.lua"
    config.write_text(
        f'''daemonize = false
run_as_root = true
pidfile = "{host.folder}/prosody.pid"
data_path = "{host.folder}"
modules_enabled = {{ "saslauth", "websocket" }}
modules_disabled = {{ "s2s", "posix", "offline" }}
http_ports = {{ {web} }}
http_interfaces = {{ "127.0.0.1" }}
https_ports = {{}}
http_default_host = "localhost"
c2s_ports = {{ {plain} }}
c2s_interfaces = {{ "127.0.0.1" }}
c2s_require_encryption = false
consider_websocket_secure = true
log = {{ warn = "*console" }}
VirtualHost "localhost"
  authentication = "anonymous"
Component "conference.localhost" "muc"
  muc_room_locking = false
'''
    )
    host.start(["prosody", "--config", config], listens=web)
    return [f"ws://127.0.0.1:{web}/"]


def crossbar(host):
    """One router with one realm, which lets anybody in."""
    port, everything = host.port(), {"call": True, "register": True, "publish": True, "subscribe": True}
    anonymous = {"name": "anonymous", "permissions": [{"uri": "", "match": "prefix", "allow": everything}]}
    transport = {
        "type": "websocket",
        "endpoint": {"type": "tcp", "port": port, "interface": "127.0.0.1"},
        "url": f"ws://127.0.0.1:{port}/ws",
    }
    router = {
        "type": "router",
        "realms": [{"name": "realm1", "roles": [anonymous]}],
        "transports": [transport],
    }
    (host.folder / "config.json").write_text(json.dumps({"version": 2, "workers": [router]}))
    tool = venv("crossbar") / "bin" / "crossbar"
    host.start([tool, "start", "--cbdir", host.folder, "--config", "config.json"], listens=port)
    return [f"ws://127.0.0.1:{port}/ws"]


def signalr(host):
    """One hub."""
    port = host.port()
    host.start([venv("signalr") / "bin" / "python", INSTALLED / "signalr.py", port], listens=port)
    return [f"ws://127.0.0.1:{port}/hub"]


def lounge(host):
    """One node of a protocol that somebody invented, and the dialect that the README has for it."""
    port = host.port()
    host.start(["node", INSTALLED / "lounge.cjs", port], listens=port)
    readme = (ROOT / "README.md").read_text()
    written = readme.split('```toml\n', 1)[1].split("```", 1)[0]
    need('name = "lounge"' in written, "the README's dialect is that of the lounge")
    need(len(written.strip().splitlines()) < 15, "it is to be short")
    (host.folder / "lounge.toml").write_text(written)
    return [f"ws://127.0.0.1:{port}/lounge"]


def venv(name):
    """An environment with what tests/peers/clusters/NAME.txt pins; one that is current is kept."""
    pinned, folder = PEERS / "clusters" / f"{name}.txt", INSTALLED / name
    kept = folder / "pinned.txt"
    if not kept.exists() or kept.read_text() != pinned.read_text():
        harness.install(pinned, folder)
        shutil.copy(pinned, kept)
    return folder


def graphql(host):
    """One node: the protocol knows no cluster."""
    port = host.port()
    host.start(["node", INSTALLED / "graphql.mjs", port], listens=port)
    return [f"ws://127.0.0.1:{port}/"]


def rabbitmq(host):
    """Two clustered nodes with the Web STOMP plugin."""
    bin_, ports, epmd = pathlib.Path("/usr/lib/rabbitmq/bin"), [], host.port()
    # Else a node starts one that outlives it.
    host.start(["epmd", "-address", "127.0.0.1", "-port", epmd], listens=epmd)
    (host.folder / ".erlang.cookie").write_text("FANSTORM")
    (host.folder / ".erlang.cookie").chmod(0o400)
    (host.folder / "plugins").write_text("[rabbitmq_web_stomp].")
    envs, nodes = [], []
    for index in range(2):
        amqp, stomp, web, dist = (host.port() for _ in range(4))
        (host.folder / f"r{index}.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{amqp}\nstomp.listeners.tcp.1 = 127.0.0.1:{stomp}\n"
            f"web_stomp.tcp.port = {web}\nweb_stomp.tcp.ip = 127.0.0.1\nweb_stomp.ws_frame = text\n"
        )
        env = {
            "HOME": str(host.folder),
            "RABBITMQ_NODENAME": f"fanstorm{index}@localhost",
            "RABBITMQ_NODE_PORT": str(amqp),
            "RABBITMQ_DIST_PORT": str(dist),
            "RABBITMQ_CONFIG_FILE": str(host.folder / f"r{index}"),
            "RABBITMQ_MNESIA_BASE": str(host.folder / f"mnesia{index}"),
            "RABBITMQ_LOG_BASE": str(host.folder / f"log{index}"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(host.folder / "plugins"),
            "RABBITMQ_PID_FILE": str(host.folder / f"r{index}.pid"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(epmd),
        }
        envs.append(env)
        ports.append(web)
        nodes.append(host.start([bin_ / "rabbitmq-server"], env=env))
    host.wait_all(nodes, ports)
    for words in (["stop_app"], ["join_cluster", "fanstorm0@localhost"], ["start_app"]):
        subprocess.run(
            [bin_ / "rabbitmqctl", "-n", "fanstorm1@localhost", *words],
            env={**os.environ, **envs[1]},
            capture_output=True,
            timeout=60,
            check=True,
        )
    host.wait_all(nodes, ports)
    return [f"ws://127.0.0.1:{port}/" for port in ports]


@dataclasses.dataclass
class Case:
    """A cluster, and the dialect that it is spoken to in."""

    name: str
    start: object
    dialect: str
    options: tuple = ()
    # Programs that must be there.
    needs: tuple = ()
    # Messages with which the pusher's node answers each push: they are no copies, and count as foreign.
    answers: int = 0
    # It asks now and then whether a socket lives: foreign, too, and nobody knows how many.
    asks: bool = False
    # Its process that is the last node, to be killed while messages pass.
    last_node: int | None = None
    # A socket hears what it has pushed.
    hears_own: bool = True
    # So many messages at once as a browser, for which servers cut frames in another way.
    browser: int = 0
    # It closes who is silent: a run at 0.1 messages a second must lose nobody.
    closes_silent: bool = False


CASES = [
    Case(
        "NATS, three nodes",
        nats,
        "nats",
        needs=("nats-server",),
        asks=True,
        last_node=2,
        browser=20_000,
        closes_silent=True,
    ),
    Case("mosquitto, two bridged brokers", mosquitto, "mqtt", needs=("mosquitto",), last_node=0, browser=20_000),
    Case("mosquitto, MQTT 5", mosquitto, "mqtt5", needs=("mosquitto",), last_node=0),
    # A broker has 20 messages of QoS 1 under way to a client, and waits for acknowledgements.
    Case(
        "mosquitto, QoS 1, two bridged brokers",
        lambda host: mosquitto(host, qos=1, inflight=20),
        "mqtt-qos1",
        needs=("mosquitto",),
        last_node=0,
        browser=10_000,
    ),
    Case(
        "mosquitto, MQTT 5, QoS 1",
        lambda host: mosquitto(host, qos=1, inflight=20),
        "mqtt5-qos1",
        needs=("mosquitto",),
        last_node=0,
        browser=10_000,
    ),
    Case(
        "Socket.IO, two nodes over Redis",
        socketio,
        "socketio",
        needs=("redis-server",),
        asks=True,
        last_node=2,
        closes_silent=True,
    ),
    Case(
        "Action Cable, two nodes over Redis",
        actioncable,
        "actioncable",
        needs=("puma", "redis-server"),
        asks=True,
        last_node=2,
    ),
    Case("graphql-ws", graphql, "graphql-ws", answers=2),
    Case(
        "RabbitMQ, two nodes",
        rabbitmq,
        "stomp",
        needs=("/usr/lib/rabbitmq/bin/rabbitmq-server",),
        last_node=2,
        browser=5000,
        closes_silent=True,
    ),
    Case("Prosody", prosody, "xmpp", needs=("prosody",)),
    Case("Crossbar", crossbar, "wamp"),
    Case("aiosignalr", signalr, "signalr"),
    Case(
        "rpc-websockets, two nodes over Redis",
        peer("jsonrpc.cjs"),
        "jsonrpc",
        needs=("redis-server",),
        answers=1,
        last_node=2,
    ),
    Case(
        "Phoenix's protocol, two nodes over Redis",
        peer("phoenix.cjs", "phoenix"),
        "phoenix",
        needs=("redis-server",),
        answers=1,
        asks=True,
        last_node=2,
        closes_silent=True,
    ),
    Case(
        "Centrifugo's protocol, two nodes over Redis",
        peer("centrifugo.cjs", "centrifugo"),
        "centrifugo",
        needs=("redis-server",),
        asks=True,
        last_node=2,
        closes_silent=True,
    ),
    Case(
        "Pusher's protocol, two nodes over Redis",
        peer("pusher.cjs", "pusher"),
        "pusher",
        options=("--set", "secret={env:PUSHER_APP_SECRET}"),
        needs=("redis-server",),
        asks=True,
        last_node=2,
        hears_own=False,
    ),
    Case("A protocol of somebody's own", lounge, "lounge.toml", asks=True),
]

KEPT_ALIVE = "Silent sockets are kept for 100 s"


def install():
    """Pinned packages into target/dialects; what is there and current is kept."""
    pinned = PEERS / "clusters"
    INSTALLED.mkdir(parents=True, exist_ok=True)
    lock = INSTALLED / "package-lock.json"
    current = lock.exists() and lock.read_bytes() == (pinned / "package-lock.json").read_bytes()
    for file in pinned.iterdir():
        if file.name != "package-lock.json":
            shutil.copy(file, INSTALLED)
    if current and (INSTALLED / "node_modules").exists():
        return
    shutil.copy(pinned / "package-lock.json", INSTALLED)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=INSTALLED, check=True)


def provided(case):
    for tool in case.needs:
        need(shutil.which(tool) or shutil.which(tool, path="/usr/sbin"), f"{tool} is missing")


def run_case(case, binary):
    provided(case)
    with tempfile.TemporaryDirectory() as folder:
        host = Host(folder)
        try:
            nodes = case.start(host)
            print(f"        {table(case, binary, nodes, host, SIZES)}", flush=True)
            if case.browser:
                print(f"        as a browser, {table(case, binary, nodes, host, [case.browser], BROWSER)}", flush=True)
            if case.last_node is not None:
                print(f"        {node_dies(case, binary, nodes, host)}", flush=True)
        finally:
            host.end()


def kept_alive(binary):
    """All clusters that close silent sockets, at once: what is waited for is time."""
    cases = [case for case in CASES if case.closes_silent]
    load = ["--rate", "0.1/s", "--duration", f"{ALIVE_S}s"]
    with contextlib.ExitStack() as held:
        runs = []
        for case in cases:
            provided(case)
            host = Host(held.enter_context(tempfile.TemporaryDirectory()))
            held.callback(host.end)
            runs.append((case, begin(case, binary, case.start(host), host, load)))
        for case, run in runs:
            held.callback(run.kill)
        for case, run in runs:
            out, err = run.communicate(timeout=RUN_TIMEOUT_S)
            need(run.returncode == 0, f"{case.name}: exit {run.returncode}: {err.strip()}")
            (trial,) = json.loads(out)["trials"]
            account = trial["delivery"]
            need(not trial["lost_sockets"], f"{case.name}: {trial['lost_sockets']}")
            need(account["expected"] == account["delivered"] > 0, f"{case.name}: {account}")
            print(f"        {case.dialect}: {account['delivered']} copies, no socket lost", flush=True)


def command_of(case, binary, nodes):
    command = [str(binary), "--dialect", case.dialect, "--json", "-", "--quiet", "--drain", "5s"]
    for url in nodes:
        command += ["--node", url]
    return command + list(case.options)


ENVIRONMENT = {**os.environ, "PUSHER_APP_SECRET": "app-secret"}


def begin(case, binary, nodes, host, load):
    return subprocess.Popen(
        command_of(case, binary, nodes) + load,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=host.folder,
        env=ENVIRONMENT,
    )


def table(case, binary, nodes, host, sizes, more=()):
    """The original script's table against the cluster; what it came to, in a line."""
    command = command_of(case, binary, nodes) + ["--messages", ",".join(map(str, sizes)), *more]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
        cwd=host.folder,
        env=ENVIRONMENT,
    )
    need(done.returncode == 0, f"exit {done.returncode}: {done.stderr.strip()}")
    need("app-secret" not in done.stdout + done.stderr, "a secret is shown")
    trials = json.loads(done.stdout)["trials"]
    need([trial["messages"] for trial in trials] == sizes, "not every trial ran")
    for trial in trials:
        account = trial["delivery"]
        hearers = 3 + len(nodes) - (0 if case.hears_own else 1)
        name, copies = trial["id"], trial["messages"] * hearers
        need(account["expected"] == account["delivered"] == copies, f"{name}: {account}")
        for what in ("missing", "duplicate", "misdelivered", "corrupt"):
            need(account[what] == 0, f"{name}: {what}: {account}")
        answers = case.answers * trial["messages"]
        need(case.asks or account["foreign"] == answers, f"{name}: {answers} answers: {account}")
    last = trials[-1]
    p99_ms = last["latency_us"]["service"]["p99"] / 1000
    trust = {trial["verdict"]["trust"] for trial in trials}
    return f"m = {last['messages']}: {copies} of {copies} copies, p99 {p99_ms:.2f} ms, {'/'.join(sorted(trust))}"


def node_dies(case, binary, nodes, host):
    """The last node is killed between two messages: it is named, and all else is accounted for."""
    run = begin(case, binary, nodes, host, ["--rate", "500/s", "--duration", "5s"])
    try:
        time.sleep(3)
        os.killpg(host.processes[case.last_node].pid, signal.SIGKILL)
        out, err = run.communicate(timeout=RUN_TIMEOUT_S)
    finally:
        run.kill()
    need(run.returncode == 1, f"a node died: exit {run.returncode}: {err.strip()}")
    (trial,) = json.loads(out)["trials"]
    account, last = trial["delivery"], len(nodes) - 1
    need(account["expected"] == account["delivered"] + account["missing"], f"{account}")
    need(account["missing"] > 0, f"a node died and nothing is missing: {account}")
    lost = {socket["node"] for socket in trial["lost_sockets"]}
    need(lost == {last}, f"lost sockets of the nodes {lost}, not of {last}")
    holes = [gap for gap in trial["gaps"] if gap["node"] == last]
    need(holes and all(gap["ranges"] for gap in holes), f"no ranges: {trial['gaps']}")
    return f"node {last} killed: {account['missing']} of {account['expected']} copies missing"


def main():
    cases = {case.name: case for case in CASES}
    binary, chosen = harness.arguments("dialects", __doc__, [*cases, KEPT_ALIVE])
    binary = binary.resolve()
    install()
    checks = {name: lambda name=name: run_case(cases[name], binary) for name in cases}
    checks[KEPT_ALIVE] = lambda: kept_alive(binary)
    harness.end([passes(name, checks[name]) for name in chosen])


if __name__ == "__main__":
    main()
