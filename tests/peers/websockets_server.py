"""A server on PyPI `websockets`, its keepalive on: `python websockets_server.py echo|broadcast`.

It pings every 0.2 s and drops a client whose Pong is 1 s late. Between messages it waits
`--pace-ms`, so that a run of some hundred messages outlasts many pings: a client that leaves them
unanswered does not live to see its end. Prints `listening PORT` once it takes connections; on
SIGTERM it prints how many connections the keepalive has dropped, and ends.
"""

import argparse
import asyncio
import logging
import signal

from websockets.asyncio.server import broadcast, serve
from websockets.exceptions import ConnectionClosed

PING_INTERVAL_S = 0.2
PING_TIMEOUT_S = 1.0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=["echo", "broadcast"])
    parser.add_argument("--pace-ms", type=float, default=0.0)
    return parser.parse_args()


class Server:
    def __init__(self, args):
        self.echo = args.mode == "echo"
        self.pace_s = args.pace_ms / 1000
        self.clients = set()
        self.dropped = 0

    async def handle(self, client):
        self.clients.add(client)
        try:
            async for message in client:
                await self.answer(client, message)
        except ConnectionClosed as closed:
            # 1011 is what the library's keepalive closes with.
            self.dropped += closed.sent is not None and closed.sent.code == 1011
        finally:
            self.clients.discard(client)

    async def answer(self, client, message):
        if self.echo:
            await client.send(message)
        else:
            broadcast(self.clients, message)
        if self.pace_s:
            await asyncio.sleep(self.pace_s)


async def main():
    logging.disable(logging.CRITICAL)
    server = Server(arguments())
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    listener = await serve(
        server.handle,
        "127.0.0.1",
        0,
        ping_interval=PING_INTERVAL_S,
        ping_timeout=PING_TIMEOUT_S,
        close_timeout=1,
        # By default it stops reading while 16 messages wait, and a Pong behind them is late however
        # soon it was sent: the drop would be the server's doing, not the client's.
        max_queue=None,
    )
    print(f"listening {listener.sockets[0].getsockname()[1]}", flush=True)
    await ended.wait()
    print(f"dropped {server.dropped}", flush=True)
    listener.close()
    await listener.wait_closed()


asyncio.run(main())
