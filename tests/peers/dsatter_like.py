"""The seed's cluster on the wire, in one process, on PyPI `websockets`: `dsatter_like.py [--nodes 3]`.

A second implementation of what `fanstorm cluster` speaks, in another language and on another codec.
The node that takes a message sends it to all of its clients with text and id; the clients of the
other nodes get the id alone, some before the first. Every node shuffles what it sends within a few
milliseconds, since the real ones keep no order. It prints its discovery's URL once all listen and
ends on SIGTERM or SIGINT.
"""

import argparse
import asyncio
import json
import logging
import random
import signal

from websockets.asyncio.server import broadcast, serve

FIRST_NODE_ID = 1001
SHUFFLE_S = 0.02


class Cluster:
    def __init__(self, nodes):
        self.clients = [set() for _ in range(nodes)]
        self.ports = []
        self.waiting = [[] for _ in range(nodes)]
        self.next_id = 1
        self.random = random.Random(42)

    async def handle(self, client, node):
        self.clients[node].add(client)
        try:
            async for text in client:
                self.take(text, node)
        finally:
            self.clients[node].discard(client)

    def take(self, text, node):
        if not text.startswith("{"):
            return
        message = json.loads(text)
        if message.get("type") != "newMessageFromClient":
            return
        node_id = FIRST_NODE_ID + node
        # Ids have gaps: the nodes' own messages count with the same counter.
        self.next_id += self.random.choice([1, 1, 1, 2])
        message_id = f"{node_id}{self.next_id}"
        stamped = {
            "nodeId": node_id,
            "id": self.next_id,
            "messageId": message_id,
            "chatId": message["payload"].get("chatId"),
            "text": message["payload"]["text"],
            "dateTime": "2026-01-31T09:01:05.335Z",
            "sender": message["payload"].get("sender"),
        }
        for other in range(len(self.clients)):
            self.waiting[other].append(stamped if other == node else {"messageId": message_id})

    async def send_shuffled(self, node):
        while True:
            await asyncio.sleep(SHUFFLE_S)
            batch, self.waiting[node] = self.waiting[node], []
            self.random.shuffle(batch)
            for element in batch:
                copy = {
                    "type": "newMessagesForClient",
                    "source": FIRST_NODE_ID + node,
                    "payload": [element],
                }
                broadcast(self.clients[node], json.dumps(copy, separators=(",", ":")))

    async def discovery(self, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        nodes = [{"address": "::ffff:127.0.0.1", "clientport": port} for port in self.ports]
        self.random.shuffle(nodes)
        body = json.dumps({"activeNodes": nodes}).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n"
            b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        await writer.drain()
        writer.close()


async def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=3)
    cluster = Cluster(parser.parse_args().nodes)
    logging.disable(logging.CRITICAL)
    ended = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, ended.set)
    tasks = []
    for node in range(len(cluster.clients)):
        handler = lambda client, node=node: cluster.handle(client, node)
        listener = await serve(handler, "127.0.0.1", 0, ping_interval=5, compression=None, max_queue=None)
        cluster.ports.append(listener.sockets[0].getsockname()[1])
        tasks.append(asyncio.create_task(cluster.send_shuffled(node)))
    web = await asyncio.start_server(cluster.discovery, "127.0.0.1", 0)
    port = web.sockets[0].getsockname()[1]
    print(f"listening {port}\ndiscovery http://127.0.0.1:{port}/api/clients", flush=True)
    await ended.wait()


asyncio.run(main())
