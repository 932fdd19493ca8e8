#!/usr/bin/python3
"""docker/haproxy.cfg before two gateways: restarts, kills and new addresses fail no request.

    tests/fault/proxy.py [--seed N]

HAProxy runs with the file as it is, but for where it listens and whom it asks for addresses: a
little name server stands for Docker's. Clients write, read and list without a second try. The last
line is "N passed, N failed".
"""

import http.client
import os
import random
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from harness.kiseki import ACCESS_KEY, SECRET_KEY, Kiseki
from harness.runner import check, equal
from harness.s3 import S3
from harness.suite import Suite
from harness.targets import Volume
from harness.workspace import ROOT, Process, free_port, wait_for

BUCKET = "proxied"
CLIENTS = 6
KIB, MIB = 1024, 1024 * 1024
SIZES = (0, 100, 70 * KIB, 2 * MIB)
STOP_DELAY = 2  # seconds: longer than HAProxy needs to see /ready


class NameServer:
    """Answers every question for an A record with the addresses of now."""

    def __init__(self, ws):
        self.addresses = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()
        ws.own(self)

    def _serve(self):
        while True:
            try:
                query, client = self._socket.recvfrom(4096)
            except OSError:
                return
            end = query.index(b"\0", 12) + 5
            question, kind = query[12:end], query[end - 4:end - 2]
            found = self.addresses if kind == b"\0\1" else []
            answers = b"".join(b"\xc0\x0c\0\1\0\1" + struct.pack(">IH", 1, 4) + socket.inet_aton(a)
                               for a in found)
            head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, len(found), 0, 0)
            self._socket.sendto(head + question + answers, client)

    def stop(self):
        self._socket.close()


class Gateway(Kiseki):
    """At an address of its own, as in a container."""

    def __init__(self, ws, volume, address, port, metrics_port):
        self.address = address
        super().__init__(ws, volume.meta(), volume.store, f"gateway-{address}", start=False, env={
            **volume.env, "KISEKI_LISTEN": f"{address}:{port}", "KISEKI_LEASE": "3s",
            "KISEKI_METRICS_LISTEN": f"{address}:{metrics_port}",
            "KISEKI_STOP_DELAY": f"{STOP_DELAY}s"})
        self.port, self.metrics_port = port, metrics_port

    def served(self):
        return sum(self.metric("kiseki_requests_total").values())


class Once(S3):
    """No second try, whatever happened to the connection."""

    def send(self, method, target, headers=None, body=b""):
        if self._conn is None:
            self._conn = self.connection()
        return self._exchange(method, target, headers or {}, body)


class Client(threading.Thread):
    """Writes, reads and lists, one request after the other; keeps what failed."""

    def __init__(self, endpoint, number, seed):
        super().__init__(daemon=True)
        self.rng = random.Random(seed * 100 + number)
        self.s3 = Once(endpoint, ACCESS_KEY, SECRET_KEY)
        self.key, self.body = f"client{number}", None
        self.failures, self.requests, self.ending = [], 0, False

    def step(self):
        what = self.rng.choice(("PUT", "PUT", "GET", "GET", "LIST"))
        if what == "PUT":
            body = self.rng.randbytes(self.rng.choice(SIZES))
            self.body, old = None, self.body  # unknown, should it break
            kind = self.rng.choice(("signed", "streaming-signed", "unsigned"))
            answer = self.s3.put(BUCKET, self.key, body, payload=kind)
            self.body = body if answer.status == 200 else old
            return what, answer.status == 200, answer
        if what == "GET" and self.body is not None:
            answer = self.s3.get(BUCKET, self.key)
            return what, answer.status == 200 and answer.body == self.body, answer
        answer = self.s3.request("GET", BUCKET, query=[("list-type", "2")])
        return "LIST", answer.status == 200, answer

    def run(self):
        while not self.ending:
            what, begun = "request", time.monotonic()
            try:
                what, good, answer = self.step()
                if not good:
                    self.failures.append((what, repr(answer), begun))
                    self.s3.close()  # the proxy closes it, too, when it answers before the body
            except (OSError, http.client.HTTPException) as err:
                self.failures.append(("broken", repr(err), begun))
                self.s3.close()
            self.requests += 1
        self.s3.close()


class Proxy:
    def __init__(self, ws, way, seed):
        self.ws, self.seed = ws, seed
        self.volume = Volume(ws, way, "proxy")
        self.names = NameServer(ws)
        self.port, self.metrics_port = free_port(), free_port()
        self.front = free_port()
        self.gateways = [self.gateway(f"127.0.0.{n}") for n in (2, 3)]
        self.endpoint = f"http://127.0.0.1:{self.front}"
        with open(os.path.join(ROOT, "docker/haproxy.cfg"), encoding="utf-8") as file:
            config = file.read()
        for old, new in (("nameserver dns 127.0.0.11:53", f"nameserver dns 127.0.0.1:{self.names.port}"),
                         ("bind :9000", f"bind 127.0.0.1:{self.front}"),
                         ("gateway:9000", f"gateway:{self.port}"),
                         ("check port 9001", f"check port {self.metrics_port}"),
                         ("maxconn 20000", "maxconn 2000")):
            equal(config.count(old), 1, f"{old} in docker/haproxy.cfg")
            config = config.replace(old, new)
        path = ws.path("haproxy.cfg")
        with open(path, "w", encoding="utf-8") as file:
            file.write(config)
        self.haproxy = Process(ws, "haproxy", ["haproxy", "-db", "-f", path])
        ws.own(self)

    def stop(self):
        self.haproxy.stop()

    def gateway(self, address):
        return Gateway(self.ws, self.volume, address, self.port, self.metrics_port)

    def resolve(self):
        self.names.addresses = [g.address for g in self.gateways]

    def clients(self):
        made = [Client(self.endpoint, n, self.seed) for n in range(CLIENTS)]
        for client in made:
            client.start()
        return made

    def end(self, clients):
        """What failed, of all of them."""
        for client in clients:
            client.ending = True
        for client in clients:
            client.join(60)
            check(not client.is_alive(), "a request hangs")
        check(sum(c.requests for c in clients) > 50, "too few requests to prove anything")
        return [failure for client in clients for failure in client.failures]

    def gets_requests(self, gateway):
        before = gateway.served()
        wait_for(f"{gateway.address} gets requests", lambda: gateway.served() > before + 20, 30)

    # --- tests, in this order

    def both_serve(self):
        for gateway in self.gateways:
            gateway.start()
        self.resolve()
        self.haproxy.start()
        s3 = S3(self.endpoint, ACCESS_KEY, SECRET_KEY)

        def makes_bucket():
            try:
                return self.haproxy.check() and s3.make_bucket(BUCKET).status in (200, 409)
            except OSError:
                return False

        wait_for("the proxy finds a gateway", makes_bucket, 30)
        clients = self.clients()
        for gateway in self.gateways:
            self.gets_requests(gateway)
        equal(self.end(clients), [], "failures")
        s3.close()

    def bodies_stream(self):
        """A body larger than any buffer, each way; nothing is answered before it was read."""
        s3 = Once(self.endpoint, ACCESS_KEY, SECRET_KEY)
        body = random.Random(self.seed).randbytes(64 * MIB)
        equal(s3.put(BUCKET, "large", body).status, 200, "PUT of 64 MiB")
        check(s3.get(BUCKET, "large").body == body, "other bytes")
        wrong = s3.put(BUCKET, "x", b"", headers={"x-amz-meta-long": "a" * 9000})
        check(wrong.status in (200, 400), f"a long header: {wrong!r}")
        s3.close()

    def rolling_restart(self):
        """docker restart of one gateway after the other, under load: no request fails."""
        clients = self.clients()
        for gateway in self.gateways:
            gateway.stop()
            gateway.start()
            self.gets_requests(gateway)
        equal(self.end(clients), [], "failures")

    def killed(self):
        """What a killed gateway had in hand may break, if it wrote; nothing that came after.

        It is in hand until the process is gone: its socket takes connections until then. After that
        a client's kept connection may still be closed once, by which HAProxy says that the gateway's
        kept connection behind it was.
        """
        clients = self.clients()
        for gateway in self.gateways:
            self.gets_requests(gateway)
            for client in clients:
                client.failures.clear()
            gateway.kill9()
            gone = time.monotonic()
            counts = [client.requests for client in clients]
            wait_for("all go on", lambda counts=counts: all(
                c.requests > n + 5 for c, n in zip(clients, counts)), 30)
            for client in clients:
                failed = client.failures
                late = [what for what, _, begun in failed if begun > gone]
                check(late in ([], ["broken"]), f"after the kill: {failed}")
                check(all(f[0] in ("PUT", "broken") for f in failed), f"failed: {failed}")
                client.failures.clear()
            gateway.start()
        equal(self.end(clients), [], "failures afterwards")

    def another_address(self):
        """A container that is made anew has another address: the name server tells it."""
        clients = self.clients()
        self.gets_requests(self.gateways[1])  # the proxy has seen that it is back
        self.gateways[0].stop()
        self.gateways[0] = self.gateway("127.0.0.4")
        self.gateways[0].start()
        self.resolve()
        self.gets_requests(self.gateways[0])
        equal(self.end(clients), [], "failures")

    def none_left(self):
        """The proxy's own answer is an error that S3 clients understand, and comes at once."""
        for gateway in self.gateways:
            gateway.kill9()
        s3 = Once(self.endpoint, ACCESS_KEY, SECRET_KEY)
        answer = s3.get(BUCKET, "large")
        check(answer.status == 503 and answer.code == "ServiceUnavailable", f"{answer!r}")
        s3.close()
        for gateway in self.gateways:
            gateway.start()
        s3 = S3(self.endpoint, ACCESS_KEY, SECRET_KEY)
        wait_for("they are found again", lambda: s3.head(BUCKET, "large").status == 200, 30)
        s3.close()


TESTS = ("both_serve", "bodies_stream", "rolling_restart", "killed", "another_address",
         "none_left")


def main():
    suite = Suite(__doc__, "proxy", ways=("pg",))
    return suite.run(lambda s: s.methods(Proxy(s.ws, s.args.way, s.args.seed), TESTS, chained=True))


if __name__ == "__main__":
    sys.exit(main())
