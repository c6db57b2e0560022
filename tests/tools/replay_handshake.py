#!/usr/bin/env python3
"""replay_handshake.py LISTEN_PORT COORDINATOR_PORT: a middleman that overhears, and says it again.

Passes one connection on, keeps what the client sent; when that connection has lived for a second, it
sends the same bytes on a connection of its own. Prints what became of that, and leaves:
"refused": the coordinator hung up and never sent more than its own side of an unfinished handshake;
"answered N": it took the bytes for the client's and sent N bytes more than that.
"""
import select
import socket
import sys
import time

GREETING = 64  # bytes of ZMTP 3, rfc.zeromq.org/spec/37
WELCOME = 2 + 8 + 16 + 144  # frame, "\x07WELCOME", nonce, box (rfc.zeromq.org/spec/26)


def overhear(listener, port):
    client, _ = listener.accept()
    server = socket.create_connection(("127.0.0.1", port))
    sent = b""
    until = time.time() + 1
    while time.time() < until:
        for ready in select.select([client, server], [], [], 0.1)[0]:
            data = ready.recv(65536)
            if not data:
                return sent
            if ready is client:
                sent += data
                server.sendall(data)
            else:
                client.sendall(data)
    return sent


def replay(sent, port):
    came = 0
    with socket.create_connection(("127.0.0.1", port)) as again:
        again.settimeout(5)
        try:
            again.sendall(sent)
            while data := again.recv(65536):
                came += len(data)
        except ConnectionResetError:
            pass
        except socket.timeout:
            return f"answered {came}: and it did not hang up"
    return "refused" if came <= GREETING + WELCOME else f"answered {came}"


def main():
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    sent = overhear(listener, int(sys.argv[2]))
    if len(sent) < 500:
        sys.exit(f"only {len(sent)} bytes were overheard: no handshake")
    print(replay(sent, int(sys.argv[2])))


main()
