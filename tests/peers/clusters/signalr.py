"""A SignalR hub by aiosignalr: `signalr.py PORT`. What a client sends goes to every client, the sender included."""

import asyncio
import sys

from aiosignalr.server import Hub, SignalRServer


class Chat(Hub):
    """Knows one method."""

    async def send(self, text):
        await self.clients.all_.send("message", text)


async def main():
    await SignalRServer(Chat).serve("127.0.0.1", int(sys.argv[1]), path="/hub")
    await asyncio.Event().wait()


asyncio.run(main())
