"""Measures a connection between two processes over TCP: the time of a small message, what each of many costs, the bytes a
second, and the CPU time of a byte.

    python3 link.py serve PORT
    python3 link.py measure HOST PORT     # prints JSON: latency and overhead in seconds, bandwidth in bytes a second, cpu in
                                          # seconds of CPU time that both ends together take for a byte
"""

import json
import socket
import statistics
import sys
import time

ROUNDS, MESSAGES, MESSAGE, BLOCK = 50, 2000, 64, 1 << 16
NANO = 1e9


def receive(connection, count):
    while count > 0:
        part = connection.recv(min(count, BLOCK))
        if not part:
            raise ConnectionError("the other side has closed the connection")
        count -= len(part)


def serve(port):
    with socket.create_server(("", port)) as server:
        connection, _ = server.accept()
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(ROUNDS):
                receive(connection, 1)
                connection.sendall(b"x")
            receive(connection, MESSAGES * MESSAGE)
            connection.sendall(b"x")
            size = int.from_bytes(connection.recv(8), "big")
            begin = time.process_time()
            receive(connection, size)
            connection.sendall(round((time.process_time() - begin) * NANO).to_bytes(8, "big"))


def measure(host, port, size=64 << 20):
    for _ in range(100):
        try:
            connection = socket.create_connection((host, port))
            break
        except OSError:
            time.sleep(0.05)
    else:
        raise ConnectionError(f"nobody listens at {host}:{port}")
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        times = []
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            connection.sendall(b"x")
            receive(connection, 1)
            times.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        for _ in range(MESSAGES):
            connection.sendall(bytes(MESSAGE))
        receive(connection, 1)
        overhead = (time.perf_counter() - begin) / MESSAGES
        connection.sendall(size.to_bytes(8, "big"))
        begin, begin_cpu = time.perf_counter(), time.process_time()
        block = bytes(BLOCK)
        for _ in range(size // BLOCK):
            connection.sendall(block)
        theirs = int.from_bytes(connection.recv(8, socket.MSG_WAITALL), "big") / NANO
        taken, own = time.perf_counter() - begin, time.process_time() - begin_cpu
    return {"latency": statistics.median(times) / 2, "overhead": overhead, "bandwidth": size / taken, "cpu": (own + theirs) / size}


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    else:
        print(json.dumps(measure(sys.argv[2], int(sys.argv[3]))))
