"""A proxy between a gateway and its S3 store that goes wrong on request.

    proxy = FaultProxy(minio.port, seed)
    proxy.add(Fault("503", share=0.3, method="PUT"))
    ...
    proxy.clear()

It understands as much HTTP/1.1 as libcurl speaks to a store: bodies with a length. Kinds:

    403, 500, 503 answers so, with S3's error document; the store is not asked
    close         closes the connection at once
    hang          answers nothing until clear(), or until the peer gives up
    slow          waits `delay` seconds first
    cut-answer    the head says the whole length, half of the body comes, then the end
    cut-request   half of the body goes to the store, then the end
    flip          one bit of a GET's body is another
    late          the body is taken and nothing is answered; release() sends it to the store
"""

import http.client
import random
import socket
import socketserver
import threading
from http.server import BaseHTTPRequestHandler

ERROR = ('<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{}</Code><Message>injected</Message>'
         "<RequestId>1</RequestId></Error>")


class Fault:
    def __init__(self, kind, share=1.0, method=None, part="/slices/slices/", delay=0.5, count=None):
        self.kind, self.share, self.method, self.part = kind, share, method, part
        self.delay, self.count = delay, count  # count: as many times at most

    def fires(self, rng, method, path):
        if self.count == 0 or (self.method and method != self.method) or self.part not in path:
            return False
        if rng.random() >= self.share:
            return False
        if self.count:
            self.count -= 1
        return True


class FaultProxy:
    def __init__(self, ws, port, seed):
        self.to = port
        self._rng = random.Random(seed)
        self._lock = threading.Lock()
        self._faults, self._late = [], []
        self._calm = threading.Event()
        self.fired = {}
        self.requests = {}  # {(method, object): how often}
        proxy = self

        class Handler(_Handler):
            owner = proxy

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        ws.own(self)

    def process_name(self):
        return "fault proxy"

    def stop(self):
        self.clear()
        self._server.shutdown()
        self._server.server_close()

    def add(self, fault):
        with self._lock:
            self._calm.clear()
            self._faults.append(fault)

    def clear(self):
        """No faults any more; who hangs is let go."""
        with self._lock:
            self._faults = []
            self._calm.set()

    def late(self):
        """How many puts are held back."""
        with self._lock:
            return len(self._late)

    def release(self):
        """Puts that were given up long ago reach the store now; their answers' statuses."""
        with self._lock:
            held, self._late = self._late, []
        return [self.forward(*request)[0] for request in held]

    def choose(self, method, path):
        with self._lock:
            self.requests[method, path] = self.requests.get((method, path), 0) + 1
            for fault in self._faults:
                if fault.fires(self._rng, method, path):
                    self.fired[fault.kind] = self.fired.get(fault.kind, 0) + 1
                    return fault
        return None

    def hold(self, request):
        with self._lock:
            self._late.append(request)

    def wait_for_calm(self, seconds):
        return self._calm.wait(seconds)

    def flip(self, body):
        if not body:
            return body
        with self._lock:
            at = self._rng.randrange(len(body) * 8)
        flipped = bytearray(body)
        flipped[at // 8] ^= 1 << at % 8
        return bytes(flipped)

    def forward(self, method, path, headers, body):
        """(status, headers, body) of the store."""
        conn = http.client.HTTPConnection("127.0.0.1", self.to, timeout=60)
        try:
            conn.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                conn.putheader(name, value)
            conn.endheaders(body if body else None)
            answer = conn.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            conn.close()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner = None

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass

    def _serve(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        fault = self.owner.choose(self.command, self.path)
        kind = fault.kind if fault else None
        headers = [(k, v) for k, v in self.headers.items() if k.lower() != "expect"]
        request = (self.command, self.path, headers, body)
        if kind in ("403", "500", "503"):
            code = {"403": "AccessDenied", "500": "InternalError", "503": "SlowDown"}[kind]
            self._answer(int(kind), [("Retry-After", "1")], ERROR.format(code).encode())
        elif kind == "close":
            self._end()
        elif kind == "hang":
            self.owner.wait_for_calm(300)
            self._end()
        elif kind == "late":
            self.owner.hold(request)
            self.owner.wait_for_calm(300)
            self._end()
        elif kind == "cut-request":
            self._cut_request(request)
        else:
            if kind == "slow":
                self.owner.wait_for_calm(fault.delay)
            status, got, data = self.owner.forward(*request)
            if kind == "flip" and status in (200, 206):
                data = self.owner.flip(data)
            self._answer(status, got, data, cut=kind == "cut-answer" and len(data) > 1)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _serve

    def _answer(self, status, headers, body, cut=False):
        self.send_response_only(status)
        length = str(len(body))
        for name, value in headers:
            if name.lower() == "content-length":
                length = value  # HEAD: of a body that does not come
            elif name.lower() not in ("transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:len(body) // 2] if cut else body)
        if cut:
            self._end()

    def _cut_request(self, request):
        method, path, headers, body = request
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers)
        with socket.create_connection(("127.0.0.1", self.owner.to)) as conn:
            conn.sendall(head.encode() + b"\r\n" + body[:len(body) // 2])
        self._end()

    def _end(self):
        self.close_connection = True
        try:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def handle(self):
        try:
            super().handle()
        except OSError:
            pass  # the peer gave up
