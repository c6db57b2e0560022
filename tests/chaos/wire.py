"""The protocol from the outside: msgpack, the messages of the .def tables by their names, and a ZeroMQ peer that says
what it likes. Only for tests: it trusts what it reads.
"""
import os
import re
import socket
import struct

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))


# ---- msgpack ----

def pack(value):
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        if value < 0:
            return struct.pack(">Bq", 0xd3, value)
        if value < 128:
            return bytes([value])
        for code, form, most in ((0xcc, "B", 0xff), (0xcd, "H", 0xffff), (0xce, "I", 0xffffffff)):
            if value <= most:
                return struct.pack(">B" + form, code, value)
        return struct.pack(">BQ", 0xcf, value)
    if isinstance(value, float):
        return struct.pack(">Bd", 0xcb, value)
    if isinstance(value, str):
        data = value.encode()
        if len(data) < 32:
            return bytes([0xa0 | len(data)]) + data
        if len(data) < 256:
            return struct.pack(">BB", 0xd9, len(data)) + data
        return struct.pack(">BI", 0xdb, len(data)) + data if len(data) > 0xffff else \
            struct.pack(">BH", 0xda, len(data)) + data
    if isinstance(value, (bytes, bytearray)):
        if len(value) < 256:
            return struct.pack(">BB", 0xc4, len(value)) + value
        return struct.pack(">BI", 0xc6, len(value)) + value if len(value) > 0xffff else \
            struct.pack(">BH", 0xc5, len(value)) + value
    if isinstance(value, list):
        head = bytes([0x90 | len(value)]) if len(value) < 16 else struct.pack(">BH", 0xdc, len(value))
        return head + b"".join(pack(item) for item in value)
    head = bytes([0x80 | len(value)]) if len(value) < 16 else struct.pack(">BH", 0xde, len(value))
    return head + b"".join(pack(key) + pack(item) for key, item in value.items())


def unpack(data, at=0):
    """(value, where the next one begins)"""
    code, at = data[at], at + 1
    if code < 0x80:
        return code, at
    if code >= 0xe0:
        return code - 256, at
    if 0x80 <= code < 0xa0:
        kind, n = ("map" if code < 0x90 else "list"), code & 15
    elif code < 0xc0:
        kind, n = "str", code & 31
    elif code in (0xc0, 0xc2, 0xc3):
        return {0xc0: None, 0xc2: False, 0xc3: True}[code], at
    else:
        form = {0xcc: "B", 0xcd: "H", 0xce: "I", 0xcf: "Q", 0xd0: "b", 0xd1: "h", 0xd2: "i", 0xd3: "q", 0xca: "f",
                0xcb: "d", 0xc4: "B", 0xc5: "H", 0xc6: "I", 0xd9: "B", 0xda: "H", 0xdb: "I", 0xdc: "H", 0xdd: "I",
                0xde: "H", 0xdf: "I"}[code]
        (n,) = struct.unpack_from(">" + form, data, at)
        at += struct.calcsize(form)
        if 0xca <= code <= 0xd3:
            return n, at
        kind = "bin" if code < 0xc7 else "str" if code < 0xdc else "list" if code < 0xde else "map"
    if kind in ("bin", "str"):
        raw = bytes(data[at:at + n])
        return (raw if kind == "bin" else raw.decode(errors="replace")), at + n
    if kind == "list":
        items = []
        for _ in range(n):
            item, at = unpack(data, at)
            items.append(item)
        return items, at
    pairs = {}
    for _ in range(n):
        key, at = unpack(data, at)
        pairs[key], at = unpack(data, at)
    return pairs, at


# ---- the tables ----

class Tables:
    """Structs and tags of some .def files."""

    def __init__(self, *files):
        self.fields, self.tags, self.names = {}, {}, {}
        for name in files:
            with open(f"{SOURCE}/{name}") as file:
                self.read(file.read())

    def read(self, text):
        for kind, args in re.findall(r"^KT_(\w+)\(([^\n]*)\)", text, re.M):
            words = [word.strip() for word in args.split(",")]
            if kind == "MESSAGE":
                self.tags[words[1]] = int(words[0])
                self.names[int(words[0])] = words[1]
            elif kind not in ("STRUCT", "END", "DEFINE") and len(words) > 3 and words[1].isdigit():
                of = words[4] if kind in ("ONE", "LIST") else None
                self.fields.setdefault(words[0], {})[int(words[1])] = (words[2], kind, of)

    def named(self, struct_name, raw):
        """{key: value} as {name: value}, all the way down."""
        fields = self.fields.get(struct_name, {})
        out = {}
        for key, value in raw.items():
            name, kind, of = fields.get(key, (key, None, None))
            if kind == "ONE" and isinstance(value, dict):
                value = self.named(of, value)
            elif kind == "LIST":
                value = [self.named(of, item) for item in value]
            out[name] = value
        return out

    def keyed(self, struct_name, named):
        """The way back, in ascending keys."""
        out = {}
        for key, (name, kind, of) in sorted(self.fields[struct_name].items()):
            if name not in named:
                continue
            value = named[name]
            if kind == "ONE":
                value = self.keyed(of, value)
            elif kind == "LIST":
                value = [self.keyed(of, item) for item in value]
            out[key] = value
        return out

    def frame(self, name, **fields):
        return pack([self.tags[name], self.keyed(name, fields)])


FLEET = Tables("proto/job.def", "proto/messages.def")
FACTS = Tables("proto/job.def", "coordinator/core/facts.def")


# ---- a peer ----

class Closed(Exception):
    pass


class Peer:
    """A DEALER in a few lines (ZMTP 3.0, NULL): a worker as the coordinator sees it, that says what a test wants."""

    def __init__(self, connect, ident="peer", timeout=10):
        """connect: makes the connected TCP socket."""
        self.ident, self.session = ident, 0
        self.socket = connect()
        self.socket.settimeout(timeout)
        self.data = b""
        self.socket.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" + bytes(31))
        self.take(64)
        ready = b"\x05READY\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER"
        self.socket.sendall(bytes([4, len(ready)]) + ready)
        self.receive_raw()

    def take(self, n):
        while len(self.data) < n:
            more = self.socket.recv(65536)
            if not more:
                raise Closed()
            self.data += more
        taken, self.data = self.data[:n], self.data[n:]
        return taken

    def receive_raw(self):
        """(flags, body) of the next frame."""
        flags = self.take(1)[0]
        size = struct.unpack(">Q", self.take(8))[0] if flags & 2 else self.take(1)[0]
        return flags, self.take(size)

    def send_raw(self, body):
        if len(body) < 256:
            self.socket.sendall(bytes([0, len(body)]) + body)
        else:
            self.socket.sendall(struct.pack(">BQ", 2, len(body)) + body)

    def send(self, name, **fields):
        self.send_raw(FLEET.frame(name, **fields))

    def receive(self):
        """(name, fields) of the next message; heartbeats are answered. socket.timeout, or Closed."""
        while True:
            flags, body = self.receive_raw()
            if flags & 4:
                if body[:5] == b"\x04PING":
                    pong = b"\x04PONG" + body[7:]
                    self.socket.sendall(bytes([4, len(pong)]) + pong)
                continue
            (tag, raw), _ = unpack(body)
            name = FLEET.names.get(tag, str(tag))
            return name, FLEET.named(name, raw)

    def await_(self, *names):
        while True:
            name, fields = self.receive()
            if name in names:
                return name, fields

    def hello(self, digest, slots=1, versions=(1, 1), **more):
        fields = dict(version_min=versions[0], version_max=versions[1], schema_digest=digest, build="peer",
                      worker_id=self.ident, boot_id=4711, slots=slots, cpus=4, mem_bytes=1 << 32,
                      machine=dict(runner="scripted", accel="none", guest="none"), accel_reason="")
        fields.update(more)
        self.send("hello", **fields)

    def join(self, digest, **more):
        """HELLO until WELCOME; its fields."""
        self.hello(digest, **more)
        name, fields = self.await_("welcome", "refuse")
        if name == "welcome":
            self.session = fields["session"]
        return name, fields

    def close(self):
        self.socket.close()


class Listener:
    """A ROUTER in a few lines, for one peer at a time: the coordinator as a worker sees it, that says what a test wants."""

    def __init__(self, listening):
        self.socket, _ = listening.accept()
        self.socket.settimeout(10)
        self.data = b""
        self.socket.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" + bytes(31))
        self.take(64)
        ready = b"\x05READY\x0bSocket-Type" + struct.pack(">I", 6) + b"ROUTER"
        self.socket.sendall(bytes([4, len(ready)]) + ready)
        self.receive_raw()

    take, receive_raw, send_raw, send = Peer.take, Peer.receive_raw, Peer.send_raw, Peer.send
    receive, await_, close = Peer.receive, Peer.await_, Peer.close


def digest_of(ktworker, folder):
    """The schema digest that this build says HELLO with."""
    import subprocess
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(20)
        worker = subprocess.Popen([ktworker, "--connect", "tcp://127.0.0.1:%d" % listening.getsockname()[1], "--state",
                                   folder, "--runner", "scripted", "--quiet"], stderr=subprocess.DEVNULL)
        try:
            peer = Listener(listening)
            _, fields = peer.await_("hello")
            peer.close()
            return fields["schema_digest"]
        finally:
            worker.kill()
            worker.wait()
