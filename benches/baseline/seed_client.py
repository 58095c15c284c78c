#!/usr/bin/env python3
"""The seed's algorithm as a blocking client on PyPI `websocket-client`: the baseline of `compare.py`.

    python seed_client.py --discovery http://127.0.0.1:8080/api/clients [--messages 10,100,8000]

S sockets push to one node, one socket to every node only receives; a thread stands behind each
direction of each socket. All messages are made before the clock, sent round-robin over the push
sockets, and the clock stops when every socket has had every message: m * (s + n) frames.

It counts frames and reads nothing in them: the cheapest that such a client can be. It prints one
line of JSON for each row, with the CPU time that the process used in it. A socket that hears nothing
for `--timeout-s` gives up, the row is then incomplete and the exit code 1; the original waited for
ever.
"""

import argparse
import dataclasses
import json
import resource
import sys
import threading
import time
import urllib.request

import websocket


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--discovery", required=True)
    parser.add_argument("--push-sockets", type=int, default=3)
    parser.add_argument("--messages", default="10,100,1000,2000,4000,8000")
    parser.add_argument("--timeout-s", type=float, default=15.0)
    return parser.parse_args()


def node_urls(discovery):
    with urllib.request.urlopen(discovery, timeout=10) as answer:
        nodes = json.load(answer)["activeNodes"]
    # The list is shuffled on every request; sorted, the same node takes the pushes each time.
    return [url(node) for node in sorted(nodes, key=lambda node: node["clientport"])]


def url(node):
    address = node["address"].removeprefix("::ffff:")
    host = f"[{address}]" if ":" in address else address
    return f"ws://{host}:{node['clientport']}/"


def message(number):
    payload = {
        "text": f"Test message {number} from client",
        "sender": "pythonClientUser",
        "chatId": 11,
    }
    return json.dumps({"type": "newMessageFromClient", "payload": payload})


@dataclasses.dataclass
class Row:
    """One number of messages: what each socket has had of it, and when."""

    messages: list
    received: dict = dataclasses.field(default_factory=dict)
    last_at: dict = dataclasses.field(default_factory=dict)
    sent_at: dict = dataclasses.field(default_factory=dict)

    def push(self, index, socket, step):
        for text in self.messages[index::step]:
            socket.send(text)
        self.sent_at[index] = time.monotonic()

    def receive(self, index, socket):
        received = 0
        try:
            while received < len(self.messages):
                socket.recv()
                received += 1
        except (websocket.WebSocketException, OSError) as gone:
            print(f"socket {index}: {type(gone).__name__}: {gone}", file=sys.stderr)
        self.received[index] = received
        self.last_at[index] = time.monotonic()


def run_row(messages, pushers, sockets):
    row = Row(messages)
    threads = [
        threading.Thread(target=row.receive, args=(index, socket))
        for index, socket in enumerate(sockets)
    ]
    threads += [
        threading.Thread(target=row.push, args=(index, socket, len(pushers)))
        for index, socket in enumerate(pushers)
    ]
    cpu_before, start = cpu_s(), time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return account(row, len(sockets), start, cpu_s() - cpu_before)


def account(row, sockets, start, cpu):
    received = sum(row.received.values())
    expected = len(row.messages) * sockets
    return {
        "messages": len(row.messages),
        "expected": expected,
        "received": received,
        "complete": received == expected,
        "total_s": max(row.last_at.values()) - start,
        "sending_s": max(row.sent_at.values(), default=start) - start,
        "cpu_s": cpu,
        "cpu_us_per_copy": cpu / received * 1e6 if received else None,
    }


def cpu_s():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main():
    args = arguments()
    rows = [int(count) for count in args.messages.split(",")]
    urls = node_urls(args.discovery)
    connect = lambda url: websocket.create_connection(url, timeout=args.timeout_s)
    pushers = [connect(urls[0]) for _ in range(args.push_sockets)]
    sockets = pushers + [connect(url) for url in urls]
    messages = [message(number) for number in range(max(rows))]
    # As the seed did, in place of knowing that every connection is open.
    time.sleep(1)
    complete = True
    for count in rows:
        result = run_row(messages[:count], pushers, sockets)
        print(json.dumps(result), flush=True)
        complete = complete and result["complete"]
        if not complete:
            break
    for socket in sockets:
        socket.close(timeout=0.2)
    sys.exit(0 if complete else 1)


if __name__ == "__main__":
    main()
