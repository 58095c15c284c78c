"""Servers that do what servers should not: `python hostile.py MODE`. Nothing but `std`.

    404          answers the upgrade with 404 Not Found
    mute         takes the connection and never answers the upgrade
    bad-accept   upgrades with a Sec-WebSocket-Accept that is wrong
    close-1s     echoes, one message each 5 ms, and sends Close 1001 one second after the upgrade
    reset-1s     the same, but the connection is reset
    masked       echoes in masked frames, which a server must not send
    pings        echoes, with a Ping of its own before each copy, and drops who does not answer it

It prints `listening PORT` once it takes connections and ends on SIGTERM.
"""

import base64
import hashlib
import socket
import struct
import sys
import threading
import time

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MODES = ["404", "mute", "bad-accept", "close-1s", "reset-1s", "masked", "pings"]
PACE_S = 0.005
LIFE_S = 1.0
PING_PATIENCE_S = 1.0
TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA


class Gone(Exception):
    """The client has left, or is thrown out."""


class Client:
    def __init__(self, connection, mode):
        self.connection = connection
        self.mode = mode
        self.buffer = b""
        self.send_lock = threading.Lock()
        self.unanswered = {}
        self.over = False

    def take(self, count):
        while len(self.buffer) < count:
            chunk = self.connection.recv(65536)
            if not chunk:
                raise Gone
            self.buffer += chunk
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def upgrade(self):
        while b"\r\n\r\n" not in self.buffer:
            chunk = self.connection.recv(4096)
            if not chunk:
                raise Gone
            self.buffer += chunk
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        if self.mode == "mute":
            time.sleep(600)
        if self.mode == "404":
            self.connection.sendall(
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\nConnection: close\r\n\r\nnot here\n"
            )
            raise Gone
        self.connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + self.accept(head) + b"\r\n\r\n"
        )

    def accept(self, head):
        if self.mode == "bad-accept":
            return base64.b64encode(b"twenty bytes of lies")
        fields = dict(line.split(b":", 1) for line in head.split(b"\r\n")[1:])
        key = {name.strip().lower(): value.strip() for name, value in fields.items()}
        return base64.b64encode(hashlib.sha1(key[b"sec-websocket-key"] + GUID).digest())

    def frame(self):
        first, second = self.take(2)
        length = second & 0x7F
        if length >= 126:
            shape = ">H" if length == 126 else ">Q"
            (length,) = struct.unpack(shape, self.take(struct.calcsize(shape)))
        key = self.take(4)
        payload = self.take(length)
        return first & 0xF, xor(payload, key)

    def send(self, opcode, payload, masked=False):
        length = len(payload)
        mask_bit = 0x80 if masked else 0
        if length < 126:
            head = struct.pack(">BB", 0x80 | opcode, mask_bit | length)
        else:
            head = struct.pack(">BBH", 0x80 | opcode, mask_bit | 126, length)
        key = b"\x01\x02\x03\x04" if masked else b""
        with self.send_lock:
            self.connection.sendall(head + key + (xor(payload, key) if masked else payload))

    def serve(self):
        self.upgrade()
        if self.mode in ("close-1s", "reset-1s"):
            threading.Timer(LIFE_S, self.end).start()
        while True:
            opcode, payload = self.frame()
            if self.over and self.mode == "reset-1s":
                raise Gone
            if opcode == CLOSE:
                if not self.over:
                    self.send(CLOSE, payload)
                raise Gone
            if self.over:
                continue
            if opcode == PING:
                self.send(PONG, payload)
            elif opcode == PONG:
                self.unanswered.pop(payload, None)
            else:
                self.echo(opcode, payload)

    def echo(self, opcode, payload):
        if self.mode == "pings":
            self.ping()
        if self.mode in ("close-1s", "reset-1s"):
            time.sleep(PACE_S)
        self.send(opcode, payload, masked=self.mode == "masked")

    def ping(self):
        now = time.monotonic()
        if any(now - asked > PING_PATIENCE_S for asked in self.unanswered.values()):
            print("dropped a client that does not answer", flush=True)
            raise Gone
        mark = struct.pack(">d", now)
        self.unanswered[mark] = now
        self.send(PING, mark)

    def end(self):
        self.over = True
        try:
            if self.mode == "close-1s":
                self.send(CLOSE, struct.pack(">H", 1001) + b"going away")
            else:
                # With no time to linger the kernel sends a reset in place of a FIN.
                no_linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
                self.connection.shutdown(socket.SHUT_RD)
        except OSError:
            pass


def xor(payload, key):
    if not payload:
        return payload
    repeated = (key * (len(payload) // 4 + 1))[: len(payload)]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
    return mixed.to_bytes(len(payload), "big")


def attend(connection, mode):
    with connection:
        try:
            Client(connection, mode).serve()
        except (Gone, OSError):
            pass


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in MODES:
        sys.exit(__doc__)
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    print(f"listening {listener.getsockname()[1]}", flush=True)
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=attend, args=(connection, sys.argv[1]), daemon=True).start()


main()
