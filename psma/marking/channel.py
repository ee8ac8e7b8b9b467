"""Frames over a socket or a pair of pipes, with a deadline and a cap on what the other side may send."""

from __future__ import annotations

import queue
import select
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol

from psma.marking.clock import Deadline
from psma.marking.wire import MAX_FRAME, Message, WireError

SHORT = 2**16


class Closed(Exception):
    """The other side is gone."""


class Late(Exception):
    """The other side did not answer in time."""


class Channel(Protocol):
    """One end of a conversation in frames.

    ``waited`` says how long the other side has waited for a core, by which it may be late.
    """

    waited: Callable[[], float] | None

    def send(self, frame: bytes, seconds: float | None = None) -> None:
        """Write one frame. Raises Closed, or Late where the other side does not read."""

    def receive(self, seconds: float | None = None) -> Message:
        """The next message. Raises Closed, Late, WireError."""

    def close(self) -> None:
        """Give up this end."""


class SocketChannel:
    """A channel over a connected stream socket. ``watch`` is called about every 50 ms while waiting."""

    def __init__(
        self,
        sock: socket.socket,
        watch: Callable[[], None] | None = None,
        waited: Callable[[], float] | None = None,
    ) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.watch = watch
        self.waited = waited

    def deadline(self, seconds: float | None) -> Deadline:
        """``seconds`` from now, for this channel's other side."""
        return Deadline(seconds, self.waited)

    def wait(self, event: int, deadline: Deadline) -> None:
        """Until the socket can be read or written. Raises Late."""
        poll = select.poll()
        poll.register(self.sock, event)
        while True:
            left = deadline.left()
            pause = 0.05 if self.watch else 3600.0
            if poll.poll(1000 * (pause if left is None else min(left, pause))):
                return
            if self.watch:
                self.watch()
            if left is not None and left <= 0:
                raise Late

    def send(self, frame: bytes, seconds: float | None = None) -> None:
        deadline = self.deadline(seconds)
        view = memoryview(frame)
        while view:
            try:
                view = view[self.sock.send(view) :]
            except (BlockingIOError, InterruptedError):
                self.wait(select.POLLOUT, deadline)
            except OSError:
                raise Closed from None

    def exactly(self, size: int, deadline: Deadline) -> bytes:
        """The next ``size`` bytes. Raises Closed, Late."""
        parts: list[bytes] = []
        while size:
            try:
                part = self.sock.recv(min(size, 2**20))
            except (BlockingIOError, InterruptedError):
                self.wait(select.POLLIN, deadline)
                continue
            except OSError:
                raise Closed from None
            if not part:
                raise Closed
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def receive(self, seconds: float | None = None) -> Message:
        return Message(self.receive_frame(seconds)[4:])

    def receive_short(self, seconds: float | None = None) -> Message:
        """The next message, where only a short one is expected."""
        return Message(self.receive_frame(seconds, SHORT)[4:])

    def receive_frame(self, seconds: float | None = None, most: int = MAX_FRAME) -> bytes:
        """The next frame, length and all, unread: to be passed on."""
        deadline = self.deadline(seconds)
        head = self.exactly(4, deadline)
        (size,) = struct.unpack(">I", head)
        if not 4 <= size <= most:
            raise WireError("a frame of a size that is not allowed")
        return head + self.exactly(size, deadline)

    def receive_with_fds(self, most: int, seconds: float | None = None) -> tuple[Message, list[int]]:
        """The next message and the descriptors that came with it; the sender used ``send_with_fds``."""
        deadline = self.deadline(seconds)
        while True:
            try:
                head, fds, _, _ = socket.recv_fds(self.sock, 4, most)
                break
            except (BlockingIOError, InterruptedError):
                self.wait(select.POLLIN, deadline)
            except OSError:
                raise Closed from None
        if not head:
            raise Closed
        head += self.exactly(4 - len(head), deadline)
        (size,) = struct.unpack(">I", head)
        if not 4 <= size <= MAX_FRAME:
            raise WireError("a frame of a size that is not allowed")
        return Message(self.exactly(size, deadline)), list(fds)

    def send_with_fds(self, frame: bytes, fds: list[int], seconds: float | None = None) -> None:
        """Write one frame, with descriptors attached to its length."""
        deadline = self.deadline(seconds)
        sent = 0
        while not sent:
            try:
                sent = socket.send_fds(self.sock, [frame[:4]], fds)
            except (BlockingIOError, InterruptedError):
                self.wait(select.POLLOUT, deadline)
            except OSError:
                raise Closed from None
        self.send(frame[sent:], seconds)

    def close(self) -> None:
        self.sock.close()


class PipeChannel:
    """A channel over two pipes, for systems where only pipes cross to a child: a thread reads, so deadlines
    hold.
    """

    def __init__(self, reader: BinaryIO, writer: BinaryIO, waited: Callable[[], float] | None = None) -> None:
        self.writer = writer
        self.waited = waited
        self.inbox: queue.Queue[Any] = queue.Queue(maxsize=4)
        threading.Thread(target=self._pump, args=(reader,), daemon=True).start()

    def _pump(self, reader: BinaryIO) -> None:
        try:
            while True:
                self.inbox.put(read_frame(reader))
        except Exception as error:
            self.inbox.put(error)

    def send(self, frame: bytes, seconds: float | None = None) -> None:  # noqa: ARG002 (a pipe has no deadline)
        try:
            self.writer.write(frame)
            self.writer.flush()
        except (OSError, ValueError):
            raise Closed from None

    def receive(self, seconds: float | None = None) -> Message:
        item = self._next(Deadline(seconds, self.waited))
        if isinstance(item, WireError):
            raise item
        if isinstance(item, Exception):
            raise Closed from None
        return Message(item)

    def _next(self, deadline: Deadline) -> Any:
        while True:
            left = deadline.left()
            try:
                return self.inbox.get(timeout=left)
            except queue.Empty:
                if left == 0:
                    raise Late from None

    def close(self) -> None:
        self.writer.close()


class BlockingChannel:
    """A channel over two pipes for the side that only ever waits: no thread, which a trainee's process must
    not have.
    """

    waited: Callable[[], float] | None = None

    def __init__(self, reader: BinaryIO, writer: BinaryIO) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, frame: bytes, seconds: float | None = None) -> None:  # noqa: ARG002 (waits for ever)
        self.writer.write(frame)
        self.writer.flush()

    def receive(self, seconds: float | None = None) -> Message:  # noqa: ARG002 (waits for ever)
        return Message(read_frame(self.reader))

    def close(self) -> None:
        self.writer.close()


def read_frame(reader: BinaryIO) -> bytes:
    """The next frame of a pipe, blocking. Raises Closed, WireError."""
    (size,) = struct.unpack(">I", _read(reader, 4))
    if not 4 <= size <= MAX_FRAME:
        raise WireError("a frame of a size that is not allowed")
    return _read(reader, size)


def _read(reader: BinaryIO, size: int) -> bytes:
    parts: list[bytes] = []
    while size:
        part = reader.read(size)
        if not part:
            raise Closed
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
