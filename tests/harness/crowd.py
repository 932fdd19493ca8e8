"""Thousands of scripted clients in one thread, for tests of what bad clients can do.

A script is a generator that yields what its client does next:

    def stalled(head):
        yield Send(head)          # all of it, at the pace that the server takes it
        answer = yield Receive()  # what recv() returns next
        yield Pause(1.5)          # seconds
        yield Hold()              # nothing more, until the server ends the connection

    crowd = Crowd(("127.0.0.1", port))
    crowd.add(lambda number: stalled(head), 300)
    crowd.run(5)
    crowd.leave()

A script that ends, or whose connection ends, leaves its client gone, or begins again after a short
while when it was added with again=True. A TLS context makes the clients speak TLS; the handshake
comes before the script. receive_buffer bounds what a client's kernel takes of an answer.
"""

import errno
import heapq
import select
import socket
import ssl
import struct
import time
from dataclasses import dataclass

AGAIN_SECONDS = 0.2
# What its kernel holds of what a client sent is the client's machine's: thousands of large buffers
# beside the server would take all of the memory that this one has for TCP, of which the good client
# needs some, too. And a client that leaves has not left before its kernel has sent all of it.
SEND_BUFFER = 128 << 10
CONNECTS_AT_ONCE = 200  # between two looks at the sockets
READABLE = select.EPOLLIN | select.EPOLLRDHUP
GONE = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR


@dataclass
class Send:
    data: bytes


@dataclass
class Receive:
    most: int = 65536


@dataclass
class Pause:
    seconds: float


class Hold:
    pass


class _Client:
    def __init__(self, number, script, again):
        self.number, self.make_script, self.again = number, script, again
        self.sock = self.script = self.action = None
        self.left = b""  # of what it sends
        self.ready = False  # connected, and past the handshake
        self.mask = -1
        self.timer = 0  # the one that counts, of those in the heap


class Crowd:
    """The clients of one address. ended counts connections that the server ended, failed those
    that could not be made, finished scripts that ran to their end."""

    def __init__(self, address, context=None, receive_buffer=None):
        self.address, self.context, self._receive_buffer = address, context, receive_buffer
        self.ended = self.failed = self.finished = 0
        self._epoll = select.epoll()
        self._clients = {}  # by file descriptor
        self._timers = []
        self._waiting = []  # not connected yet
        self._turn = 0

    def add(self, script, count, again=False):
        """script(number) makes a generator."""
        self._waiting += [_Client(n, script, again) for n in range(count)]

    def open(self):
        return sum(client.ready for client in self._clients.values())

    def run(self, seconds, until=None):
        """For so long, or until the condition holds; whether it did."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if until is not None and until():
                return True
            self._connect_some()
            pause = min(0.05 if self._waiting or until else 0.5, deadline - time.monotonic())
            if self._timers:
                pause = min(pause, self._timers[0][0] - time.monotonic())
            for fd, _ in self._epoll.poll(max(0, pause)):
                client = self._clients.get(fd)
                if client is not None:
                    self._go_on(client)
            self._wake()
        return until is not None and until()

    def leave(self, reset=False):
        """All go: by an orderly end of the stream, or by a reset."""
        self._waiting.clear()
        self._timers.clear()
        for client in list(self._clients.values()):
            if reset:
                client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                       struct.pack("ii", 1, 0))
            self._drop(client)
        self._epoll.close()

    # Connecting

    def _connect_some(self):
        for client in self._waiting[:CONNECTS_AT_ONCE]:
            sock = socket.socket()
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            if self._receive_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
            code = sock.connect_ex(self.address)
            if code not in (0, errno.EINPROGRESS):
                sock.close()
                self.failed += 1
                self._later(client)
                continue
            if self.context:
                sock = self.context.wrap_socket(sock, do_handshake_on_connect=False,
                                                server_hostname=self.address[0])
            client.sock, client.ready, client.mask = sock, False, -1
            client.script, client.action = client.make_script(client.number), None
            self._clients[sock.fileno()] = client
            self._watch(client, select.EPOLLOUT)
        del self._waiting[:CONNECTS_AT_ONCE]

    def _wake_after(self, client, seconds):
        self._turn += 1
        client.timer = self._turn
        heapq.heappush(self._timers, (time.monotonic() + seconds, self._turn, client))

    def _later(self, client):
        client.timer = 0
        if client.again:
            self._wake_after(client, AGAIN_SECONDS)

    def _drop(self, client):
        self._clients.pop(client.sock.fileno(), None)
        if client.mask >= 0:
            self._epoll.unregister(client.sock)
        client.sock.close()
        client.sock, client.mask = None, -1

    def _watch(self, client, mask):
        if client.mask == mask:
            return
        if client.mask < 0:
            self._epoll.register(client.sock, mask)
        else:
            self._epoll.modify(client.sock, mask)
        client.mask = mask

    # Running scripts

    def _wake(self):
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            _, turn, client = heapq.heappop(self._timers)
            if turn != client.timer:
                continue
            if client.sock is None:
                self._waiting.append(client)
            else:
                client.action = None
                self._go_on(client)

    def _go_on(self, client):
        try:
            if not client.ready:
                self._finish_connecting(client)
            elif isinstance(client.action, (Hold, Pause)):
                raise ConnectionResetError("ended meanwhile")
            else:
                self._run_script(client)
        except ssl.SSLWantReadError:
            self._watch(client, READABLE)
        except (ssl.SSLWantWriteError, BlockingIOError):
            self._watch(client, select.EPOLLOUT)
        except OSError:
            self.ended += 1
            self._drop(client)
            self._later(client)
        except StopIteration:
            self.finished += 1
            self._drop(client)
            self._later(client)

    def _finish_connecting(self, client):
        code = client.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, "connect")
        if self.context:
            client.sock.do_handshake()
        client.ready = True
        self._run_script(client)

    def _run_script(self, client):
        """Goes on until the client has to wait for something."""
        got = None
        while True:
            if client.action is None:
                client.action = client.script.send(got)
                got = None
                if isinstance(client.action, Send):
                    client.left = memoryview(client.action.data)
            action = client.action
            if isinstance(action, Send):
                while client.left:
                    client.left = client.left[client.sock.send(client.left):]
            elif isinstance(action, Receive):
                if self.context is None or not client.sock.pending():
                    self._watch(client, READABLE)
                try:
                    got = client.sock.recv(action.most)
                except BlockingIOError:
                    return
                if not got:
                    raise ConnectionResetError("the stream has ended")
            else:
                self._watch(client, GONE)
                if isinstance(action, Pause):
                    self._wake_after(client, action.seconds)
                return
            client.action = None
