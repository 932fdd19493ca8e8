#!/usr/bin/python3
"""1,000 clients ask at once for one cold object: the store is asked for each slice once.

    tests/fault/crowd.py --way sqlite|pg [--clients N] [--seed N] [--full]

The object is of 16 MiB, with --full of 64 MiB. The gateway is started anew, so that its cache is
empty; while it is stopped all connections are made and all requests sent, and when it goes on all
bodies are received at once.
One client in fifty compares every byte; the others count them and let the kernel drop them
(MSG_TRUNC), or this would measure Python. The last line is "N passed, N failed".
"""

import os
import random
import re
import resource
import selectors
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from harness import behind
from harness.runner import check, equal
from harness.s3 import S3
from harness.suite import Suite
from harness.targets import Volume

BUCKET, KEY = "crowd", "cold"
MIB = 1024 * 1024
SLICE = 4 * MIB
COMPARE_EVERY = 50
TIMEOUT = 300


class Client:
    """One connection: its request, then the head of the answer, then the body."""

    def __init__(self, number, body):
        self.sock = socket.socket()
        self.body = memoryview(body) if number % COMPARE_EVERY == 0 else None
        self.size, self.got = len(body), 0
        self.head = b""
        self.in_body = False

    def ask(self, address, request):
        self.sock.connect(address)
        self.sock.sendall(request)
        self.sock.setblocking(False)

    def done(self):
        return self.in_body and self.got == self.size

    def receive(self, room):
        """What there is now; raises when the answer is not the object."""
        if not self.in_body:
            self._receive_head()
            return
        wanted = min(len(room), self.size - self.got)
        if self.body is None:
            count = self.sock.recv_into(room, wanted, socket.MSG_TRUNC)
        else:
            count = self.sock.recv_into(room, wanted)
            self._compare(room[:count])
        check(count > 0, f"the connection ended after {self.got} bytes")
        self.got += count

    def _receive_head(self):
        """Byte exact, so that the body begins with the next one."""
        peeked = self.sock.recv(65536, socket.MSG_PEEK)
        check(peeked, "the connection ended before an answer")
        end = peeked.find(b"\r\n\r\n")
        if end < 0:
            check(len(peeked) < 16384, "an endless head")
            return
        self.head = self.sock.recv(end + 4)
        check(self.head.startswith(b"HTTP/1.1 200 "), self.head[:200])
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)\r\n", self.head)
        equal(int(length[1]), self.size, "Content-Length")
        self.in_body = True

    def _compare(self, got):
        check(got == self.body[self.got:self.got + len(got)], f"other bytes after {self.got}")


def receive_all(clients, deadline):
    room = memoryview(bytearray(MIB))
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.sock, selectors.EVENT_READ, client)
        left = len(clients)
        while left:
            check(time.monotonic() < deadline, f"{left} clients are not done in {TIMEOUT} s")
            for key, _ in selector.select(10):
                client = key.data
                client.receive(room)
                if client.done():
                    selector.unregister(client.sock)
                    left -= 1


class Crowd:
    def __init__(self, ws, way, clients, body):
        self.clients, self.body = clients, body
        self.volume = Volume(ws, way, "crowd")
        self.gateway = self.volume.gateway()
        s3 = self.s3()
        equal(s3.make_bucket(BUCKET).status, 200, "making the bucket")
        equal(s3.put(BUCKET, KEY, self.body, payload="unsigned").status, 200, "PUT")
        s3.close()

    def s3(self):
        return S3(self.gateway.endpoint, self.gateway.access_key, self.gateway.secret_key)

    def request(self):
        """One presigned URL does for all of them."""
        s3 = self.s3()
        path = s3.path(BUCKET, KEY)
        target = s3.target(path, s3.signer.presign("GET", path, (), s3.host))
        return f"GET {target} HTTP/1.1\r\nHost: {s3.host}\r\n\r\n".encode()

    def counts(self):
        """Requests to the store and bytes that came from it, by kind."""
        asked = self.gateway.metric("kiseki_store_requests_total")
        return (int(asked['operation="get",result="ok"']),
                int(sum(n for labels, n in asked.items()
                        if 'operation="get"' in labels and 'result="ok"' not in labels)),
                int(sum(self.gateway.metric("kiseki_store_get_bytes_total").values())))

    def one_cold_object(self):
        self.gateway.stop()
        self.gateway.start()  # with an empty cache; the marker is read once
        before, request = self.counts(), self.request()
        crowd = [Client(n, self.body) for n in range(self.clients)]
        address = ("127.0.0.1", self.gateway.port)
        begun = time.monotonic()
        try:
            self.gateway.process.pause()  # so that it finds all of them when it wakes up
            try:
                for client in crowd:
                    client.ask(address, request)
            finally:
                self.gateway.process.resume()
            receive_all(crowd, begun + TIMEOUT)
        finally:
            for client in crowd:
                client.sock.close()
        took = time.monotonic() - begun
        gets, failed, got = (b - a for a, b in zip(before, self.counts()))
        slices = (len(self.body) + SLICE - 1) // SLICE
        print(f"     {len(crowd)} clients of {len(self.body) // MIB} MiB in {took:.1f} s: {gets} "
              f"requests to the store for {slices} slices, {got / MIB:.0f} MiB; at most "
              f"{behind.peak_mib(self.gateway):.0f} MiB resident", flush=True)
        equal((got, failed), (len(self.body), 0), "bytes from the store, failed requests to it")
        # What clients here and there hold of a big object may leave less memory for its last slices.
        check(slices <= gets <= slices + slices // 8, f"{gets} requests for {slices} slices")

    def hits_are_counted(self):
        """The same once more, from memory: not a byte comes from the store."""
        before = self.counts()
        name = "kiseki_cache_hits_total"
        hits = sum(self.gateway.metric(name).values())
        s3 = self.s3()
        check(s3.get(BUCKET, KEY).body == self.body, "other bytes")
        s3.close()
        equal(self.counts(), before, "requests to the store")
        more = sum(self.gateway.metric(name).values()) - hits
        equal(more, len(self.body) // 65536, "hits of the memory cache, one a granule")


def main():
    suite = Suite(__doc__, "crowd")
    suite.add("--clients", type=int, default=1000)
    suite.add("--full", action="store_true", help="at 64 MiB instead of 16")

    def tests(s):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < s.args.clients + 100:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, s.args.clients + 100), hard))
        body = random.Random(s.args.seed).randbytes((64 if s.args.full else 16) * MIB)
        s.methods(Crowd(s.ws, s.args.way, s.args.clients, body),
                  ("one_cold_object", "hits_are_counted"))

    return suite.run(tests)


if __name__ == "__main__":
    sys.exit(main())
