"""The other end of every connection of a run, on its own loopback: takes what comes, and talks to a reverse shell."""

import selectors
import socket

TCP_PORT = 9001
SHELL_PORT = 9002
UDP_PORT = 5353
LOGIN = b"root:"
ORDERS = b"id\nuname -a\nls /\ncat /etc/passwd | wc -l\nps\nexit\n"


def listener(port):
    server = socket.create_server(("127.0.0.1", port), backlog=64)
    server.setblocking(False)
    return server


def serve_sink():
    selector = selectors.DefaultSelector()
    for port in (TCP_PORT, SHELL_PORT):
        selector.register(listener(port), selectors.EVENT_READ, port)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", UDP_PORT))
    selector.register(udp, selectors.EVENT_READ, None)
    while True:
        for key, _ in selector.select():
            if key.data is not None:
                connection, _ = key.fileobj.accept()
                if key.data == SHELL_PORT:
                    connection.sendall(ORDERS)
                selector.register(connection, selectors.EVENT_READ, None)
                continue
            try:
                data = key.fileobj.recv(65536)
                if data.startswith(LOGIN):
                    key.fileobj.sendall(b"no\n")
                if data or key.fileobj is udp:
                    continue
            except OSError:
                pass  # The other end was killed.
            selector.unregister(key.fileobj)
            key.fileobj.close()
