#!/usr/bin/python3
"""Clients that are idle, end their stream, or go away: who asks is answered, and soon.

    tests/fault/slow_clients.py --way sqlite|pg [--only TEXT]

Each test runs against a gateway on http and one on https. What takes a minute by its nature (minimum
rates) is in tests/unit/gateway/http/test_http_slow.c. The last line is "N passed, N failed".
"""

import os
import socket
import ssl
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from harness import sigv4
from harness.runner import check, equal
from harness.s3 import S3
from harness.suite import Suite
from harness.targets import Volume
from harness.tls import Certificate
from harness.workspace import wait_for

BUCKET = "slow-clients"
CONNECTIONS = 100
SOON = 3


class HalfClosing:
    """A connection that sends all it has, ends its stream, and then reads."""

    def __init__(self, s3, context):
        self._sock = socket.create_connection(("127.0.0.1", int(s3.host.rpartition(":")[2])), 10)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._tls = None
        if context:
            self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._tls = context.wrap_bio(self._in, self._out, server_hostname="127.0.0.1")
            self._step(self._tls.do_handshake)

    def _step(self, call):
        """Calls until TLS needs nothing more from the other side."""
        while True:
            try:
                return call()
            except ssl.SSLWantReadError:
                self._sock.sendall(self._out.read())
                self._in.write(self._sock.recv(65536) or b"")
            finally:
                self._sock.sendall(self._out.read())

    def ask(self, data):
        """What comes back once all is sent and the stream has ended."""
        if self._tls:
            self._tls.write(data)
            self._sock.sendall(self._out.read())
            try:
                self._tls.unwrap()
            except ssl.SSLWantReadError:
                pass  # the close_notify is written; the other one comes after the answer
            self._sock.sendall(self._out.read())
        else:
            self._sock.sendall(data)
        self._sock.shutdown(socket.SHUT_WR)
        said = b""
        while True:
            more = self._sock.recv(65536)
            if not more:
                break
            said += more
        self._sock.close()
        return said


class SlowClients:
    def __init__(self, ws, way):
        self.cert = Certificate(ws)
        env = {"KISEKI_CONNECTIONS": str(CONNECTIONS)}
        volume = Volume(ws, way, "slow")
        second = volume if way == "pg" else Volume(ws, way, "slow-tls")
        self.gateways = [volume.gateway(env=env), second.gateway(self.cert, env=env)]
        for gateway in self.gateways:
            s3 = self.client(gateway)
            s3.make_bucket(BUCKET)
            equal(s3.put(BUCKET, "k", b"content").status, 200, "PUT")
            s3.close()

    @staticmethod
    def client(gateway):
        return S3(gateway.endpoint, gateway.access_key, gateway.secret_key,
                  ca=gateway.cert.cert if gateway.cert else None)

    @staticmethod
    def request(s3, method, path, query=(), body=b"", chunked=False):
        headers = s3.signer.headers(method, path, query, {"host": s3.host}, sigv4.UNSIGNED)
        lines = [f"{method} {s3.target(path, query)} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if chunked:
            lines.append("transfer-encoding: chunked")
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        elif method == "PUT":
            lines.append(f"content-length: {len(body)}")
        return "\r\n".join(lines + ["", ""]).encode() + body

    def half_closed(self):
        for gateway in self.gateways:
            s3 = self.client(gateway)
            context = self.cert.context() if gateway.cert else None
            key, listing = s3.path(BUCKET, "half"), s3.path(BUCKET)
            equal(s3.put(BUCKET, "half", b"x").status, 200, "PUT")
            for kind in (("PUT", key, (), b"y" * 100), ("PUT", key, (), b"y" * 100000),
                         ("PUT", key, (), b"y" * 100, True), ("PUT", key, (), b"y" * 9000, True),
                         ("GET", key), ("HEAD", key), ("GET", listing, [("list-type", "2")]),
                         ("DELETE", key)):
                for n in range(25 if context else 100):
                    said = HalfClosing(s3, context).ask(self.request(s3, *kind))
                    wanted = b"HTTP/1.1 204" if kind[0] == "DELETE" else b"HTTP/1.1 200"
                    # Over TLS only that something was answered can be seen: unwrap() has ended it.
                    check(said.startswith(wanted) if not context else len(said) > 100,
                          f"{kind[0]} {n} half-closed on {gateway.endpoint}: {said[:100]!r}")
            equal(s3.get(BUCKET, "half").status, 404, "after the DELETE")
            s3.close()

    def soon(self, what, call):
        begun = time.monotonic()
        call()
        took = time.monotonic() - begun
        check(took < SOON, f"{what} took {took:.1f} s")

    def idle_crowd(self):
        """Twice as many as may connect, silent or with half a head; and at the metrics."""
        for gateway in self.gateways:
            crowd = []
            for n in range(2 * CONNECTIONS):
                crowd.append(socket.create_connection(("127.0.0.1", gateway.port), 10))
                if n % 2:
                    crowd[-1].sendall(b"GET / HTTP/1.1\r\nHost:")
            for _ in range(100):
                crowd.append(socket.create_connection(("127.0.0.1", gateway.metrics_port), 10))
            for path in ("/live", "/ready", "/metrics"):
                self.soon(path, lambda p=path: equal(gateway.ask(p)[0], 200, p))
            for n in range(5):
                s3 = self.client(gateway)
                self.soon("a PUT", lambda s=s3: equal(s.put(BUCKET, "k", b"content").status, 200,
                                                      "PUT"))
                s3.close()
            for sock in crowd:
                sock.close()

    def gone_uploads(self):
        """Half of an upload each, then a reset: soon nothing is left of them."""
        for gateway in self.gateways:
            s3, crowd = self.client(gateway), []
            for n in range(CONNECTIONS // 2):
                data = self.request(s3, "PUT", s3.path(BUCKET, f"gone{n}"), (), b"z" * 200000)
                sock = s3.socket()
                sock.sendall(data[:len(data) - 150000])
                crowd.append(sock)
            for sock in crowd:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.close()
            wait_for("they are gone", lambda g=gateway: sum(
                g.metric("kiseki_requests_in_flight").values()) == 0, 10)
            self.soon("a PUT", lambda s=s3: equal(s.put(BUCKET, "k", b"c").status, 200, "PUT"))
            s3.close()


if __name__ == "__main__":
    suite = Suite(__doc__, "slow clients", seeded=False)
    sys.exit(suite.run(lambda s: s.methods(SlowClients(s.ws, s.args.way),
                                           ("half_closed", "idle_crowd", "gone_uploads"))))
