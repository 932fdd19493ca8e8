"""Broken HTTP over plain sockets: the right 4xx, the connection closed, the server alive."""

import re
import time

from harness.runner import Lane, check, equal


class Malformed(Lane):
    label = "malformed"

    def setup(self):
        super().setup()
        self.s3.put(self.bucket, "k", b"content")

    def exchange(self, data, seconds=10, half_close=False):
        """Sends bytes; (what came back, whether the server closed the connection)."""
        said = b""
        with self.s3.socket(seconds) as sock:
            try:
                sock.sendall(data)
                if half_close and not self.endpoint.ca:
                    sock.shutdown(1)
                while True:
                    more = sock.recv(65536)
                    if not more:
                        return said, True
                    said += more
            except TimeoutError:
                return said, False
            except OSError:  # reset: the server refused to read on
                return said, True

    @staticmethod
    def own_head_once(said):
        """libmicrohttpd 0.9.75 refuses a wrong Content-Length itself, sending that head twice."""
        twice = re.match(rb"(HTTP/1\.1 4(?:00|13) [^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n)\1", said)
        if twice and b"Connection: close" in twice[1] and b"Server: Kiseki" not in twice[1]:
            return said[len(twice[1]):]
        return said

    def refused(self, data, statuses=(400,), may_hang_up=False, seconds=10):
        """One refusal and nothing behind it: a second answer would be a smuggled request."""
        if self.endpoint.kind == "minio":
            statuses = range(200, 506)
            seconds = 1
        said, closed = self.exchange(data, seconds)
        said = self.own_head_once(said)
        answers = re.findall(rb"HTTP/1\.[01] (\d{3})", said)
        what = f"{data[:100]!r}: {said[:200]!r}"
        if not (may_hang_up and not said):
            check(answers, f"no answer to {what}")
            check(int(answers[0]) in statuses, f"not {statuses} but {what}")
        if self.endpoint.kind != "minio":
            check(closed, f"the connection stays open after {what}")
            check(len(answers) <= 1, f"{len(answers)} answers to {what}: {said!r}")
        self.alive()

    def alive(self):
        equal(self.s3.get(self.bucket, "k").body, b"content", "the server afterwards")

    def lines(self, *lines, body=b"", end="\r\n", host=True):
        head = list(lines) + ([f"Host: {self.s3.host}"] if host else []) + ["", ""]
        return end.join(head).encode("latin-1") + body

    def put(self, *headers, body=b"", **more):
        return self.lines(f"PUT /{self.bucket}/k HTTP/1.1", *headers, body=body, **more)

    def test_two_lengths(self):
        smuggled = b"x" * 5 + self.lines(f"GET /{self.bucket} HTTP/1.1")
        self.refused(self.put("Content-Length: 5", "Content-Length: 50", body=smuggled))
        self.refused(self.put("Content-Length: 5, 50", body=smuggled))

    def test_length_beside_transfer_encoding(self):
        smuggled = b"0\r\n\r\n" + self.lines(f"GET /{self.bucket} HTTP/1.1")
        self.refused(self.put("Content-Length: 5", "Transfer-Encoding: chunked", body=smuggled))
        self.refused(self.put("Transfer-Encoding: chunked", "Content-Length: 5", body=smuggled))

    def test_wrong_lengths(self):
        for value in ("-1", "+5", "5x", "0x5", "", " ", "99999999999999999999999", "1e3", "5 5"):
            self.refused(self.put(f"Content-Length: {value}", body=b"12345"), (400, 411, 413))

    def test_transfer_encodings(self):
        for value in ("gzip, chunked", "gzip", "chunked, gzip", "chunked, chunked", "xchunked",
                      "identity", ""):
            self.refused(self.put(f"Transfer-Encoding: {value}", body=b"0\r\n\r\n"), (400, 501))
        self.refused(self.put("Transfer-Encoding: chunked", "Transfer-Encoding: chunked",
                              body=b"0\r\n\r\n"), (400, 403, 501))

    def test_http_chunks(self):
        for body in (b"x\r\n", b"-5\r\nhello\r\n0\r\n\r\n", b"fffffffffffffffff\r\nhello",
                     b"5\nhello\n0\n\n", b"5\r\nhelloXX0\r\n\r\n"):
            self.refused(self.put("Transfer-Encoding: chunked", "Connection: close", body=body),
                         (400, 403, 413), may_hang_up=True)

    def test_chunks_that_hide_a_request(self):
        """A bare LF or CR in the framing: refused or not, nothing behind it is a request."""
        smuggled = self.lines(f"GET /{self.bucket} HTTP/1.1")
        for body in (b"5\nhello\r\n0\r\n\r\n", b"5;a=b\nhello\r\n0\r\n\r\n",
                     b"5;a\rb\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\n0\r\n\r\n",
                     b"5\r\nhello\n5\r\nhello\r\n0\r\n\r\n",
                     b"5\r\nhello\r\n0\n\r\n", b"5\r\nhello\r\n0\r\n\n",
                     b"5\r\nhello\r\n0\r\nx-t: y\n\r\n"):
            self.refused(self.put("Transfer-Encoding: chunked", body=body + smuggled), (400, 403))

    def test_headers(self):
        get = f"GET /{self.bucket}/k HTTP/1.1"
        self.refused(self.lines(get, "Content-Length : 0"))
        self.refused(self.lines(get, "X-Test : 1"))
        self.refused(self.lines(get, " folded: 1"), (400, 403))
        self.refused(self.lines(get, "no colon here"), (400, 403))
        self.refused(self.lines(get, "X-Nul: a\0b"))
        self.refused(self.lines(get, ": no name"), (400, 403))
        self.refused(self.lines(get, host=False))
        self.refused(self.lines(get, "Host: other.example", f"Host: {self.s3.host}", host=False))

    def test_bare_newlines(self):
        self.refused(self.lines(f"GET /{self.bucket}/k HTTP/1.1", end="\n"))
        self.refused(self.put("X-A: 1\nContent-Length: 5", body=b"hello"))

    def test_request_lines(self):
        for line in (f"GET  /{self.bucket}/k HTTP/1.1", f"GET /{self.bucket}/a b HTTP/1.1",
                     "GET HTTP/1.1", f"GET /{self.bucket}/k", f"GET /{self.bucket}/k HTTP/9.9",
                     "GET k HTTP/1.1", f"GET /{self.bucket}/%zz HTTP/1.1",
                     f"GET /{self.bucket}/%4 HTTP/1.1", f"GET /{self.bucket}/\x01 HTTP/1.1",
                     "\x16\x03\x01\x02\x00\x01", ""):
            self.refused(self.lines(line), (400, 403, 404, 405, 501, 505), may_hang_up=True)

    def test_paths_that_climb(self):
        for path in ("/../../etc/passwd", "/./x", f"/{self.bucket}/../../etc/passwd", "//",
                     "/%2e%2e/x"):
            said, _ = self.exchange(self.lines(f"GET {path} HTTP/1.1", "Connection: close"))
            check(re.match(rb"HTTP/1.1 (400|403|404) ", said), f"{path}: {said[:100]}")

    def test_too_much(self):
        get = f"GET /{self.bucket}/k HTTP/1.1"
        too_large = (400, 413, 414, 431)
        self.refused(self.lines(get, "X-Big: " + "x" * 10 ** 7), too_large, may_hang_up=True)
        self.refused(self.lines(get, *[f"X-{n}: {n}" for n in range(100000)]), too_large,
                     may_hang_up=True)
        self.refused(self.lines("GET /" + "x" * 10 ** 6 + " HTTP/1.1"), too_large,
                     may_hang_up=True)
        for count in (1000, 5000):
            self.refused(self.lines(f"GET /{self.bucket}?{'a=b&' * count} HTTP/1.1",
                                    "Connection: close"), too_large + (403,), may_hang_up=True)

    def test_half_requests(self):
        """Connections that end, or say nothing, in the middle."""
        for data in (b"", b"G", b"GET ", self.lines(f"GET /{self.bucket}/k HTTP/1.1")[:-2],
                     self.put("Content-Length: 1000", body=b"short")):
            self.exchange(data, seconds=0.3, half_close=True)
            self.alive()

    def test_many_idle_connections(self):
        """They cost no one else anything."""
        idle = [self.s3.socket() for _ in range(200)]
        try:
            for sock in idle[::2]:
                sock.sendall(b"GET / HTTP/1.1\r\nHost:")
            begun = time.monotonic()
            self.alive()
            check(time.monotonic() - begun < 5, "idle connections slow down others")
        finally:
            for sock in idle:
                sock.close()

    def test_pipelined_requests(self):
        """Good requests sent at once are answered in order."""
        path = self.s3.path(self.bucket, "k")
        headers, _ = self.s3.prepare("GET", path, [], {}, b"", "signed")
        one = "\r\n".join([f"GET {path} HTTP/1.1"] + [f"{k}: {v}" for k, v in headers.items()])
        last = one + "\r\nConnection: close\r\n\r\n"
        said, _ = self.exchange((one + "\r\n\r\n" + one + "\r\n\r\n" + last).encode())
        equal((said.count(b"HTTP/1.1 200"), said.count(b"content")), (3, 3), f"answers {said!r}")
