"""A raw NBD client for tests: it can say anything, right or wrong, and it checks every answer.

Nothing here corrects what the caller wants to send. What the server sends is checked against the
protocol whatever the case is about: a reply of the wrong kind, a chunk outside its request, an
error number that the protocol does not know raise `Broken`.
"""
import dataclasses
import socket
import struct
import time
import urllib.parse
from enum import IntEnum

GREETING = b"NBDMAGICIHAVEOPT"
OPTION_MAGIC = 0x49484156454F5054
OPTION_REPLY_MAGIC = 0x3E889045565A9
REQUEST_MAGIC = 0x25609513
EXTENDED_REQUEST_MAGIC = 0x21E41C71
SIMPLE_REPLY_MAGIC = 0x67446698
CHUNK_MAGIC = 0x668E33EF
EXTENDED_CHUNK_MAGIC = 0x6E8A278C

FIXED_NEWSTYLE = 1
NO_ZEROES = 2


class Option(IntEnum):
    EXPORT_NAME = 1
    ABORT = 2
    LIST = 3
    STARTTLS = 5
    INFO = 6
    GO = 7
    STRUCTURED_REPLY = 8
    LIST_META_CONTEXT = 9
    SET_META_CONTEXT = 10
    EXTENDED_HEADERS = 11


ERROR_BIT = 1 << 31


class Reply(IntEnum):
    ACK = 1
    SERVER = 2
    INFO = 3
    META_CONTEXT = 4
    ERR_UNSUP = ERROR_BIT + 1
    ERR_POLICY = ERROR_BIT + 2
    ERR_INVALID = ERROR_BIT + 3
    ERR_PLATFORM = ERROR_BIT + 4
    ERR_TLS_REQD = ERROR_BIT + 5
    ERR_UNKNOWN = ERROR_BIT + 6
    ERR_SHUTDOWN = ERROR_BIT + 7
    ERR_BLOCK_SIZE_REQD = ERROR_BIT + 8
    ERR_TOO_BIG = ERROR_BIT + 9
    ERR_EXT_HEADER_REQD = ERROR_BIT + 10


class Info(IntEnum):
    EXPORT = 0
    NAME = 1
    DESCRIPTION = 2
    BLOCK_SIZE = 3


class Command(IntEnum):
    READ = 0
    WRITE = 1
    DISC = 2
    FLUSH = 3
    TRIM = 4
    CACHE = 5
    WRITE_ZEROES = 6
    BLOCK_STATUS = 7


# command flags
FUA, NO_HOLE, DF, REQ_ONE, FAST_ZERO, PAYLOAD_LEN = (1 << bit for bit in range(6))

# transmission flags
(HAS_FLAGS, READ_ONLY, SEND_FLUSH, SEND_FUA, ROTATIONAL, SEND_TRIM, SEND_WRITE_ZEROES, SEND_DF,
 CAN_MULTI_CONN, SEND_RESIZE, SEND_CACHE, SEND_FAST_ZERO) = (1 << bit for bit in range(12))

# chunk types
NONE, DATA, HOLE, STATUS, STATUS_EXTENDED, ERROR, ERROR_OFFSET = 0, 1, 2, 5, 6, 0x8001, 0x8002

EPERM, EIO, ENOMEM, EINVAL, ENOSPC, EOVERFLOW, ENOTSUP, ESHUTDOWN = 1, 5, 12, 22, 28, 75, 95, 108
KNOWN_ERRORS = {EPERM, EIO, ENOMEM, EINVAL, ENOSPC, EOVERFLOW, ENOTSUP, ESHUTDOWN}


class Broken(AssertionError):
    """The server broke a rule of the protocol."""


class Gone(Exception):
    """The server ended the connection."""


class Quiet(Exception):
    """The server said nothing in time."""


@dataclasses.dataclass
class Request:
    command: int
    offset: int
    length: int
    flags: int


@dataclasses.dataclass
class Answer:
    """Everything the server said to one request."""
    error: int = 0
    message: str = ""
    simple: bool = False
    data: bytes = b""
    holes: list = dataclasses.field(default_factory=list)    # (offset, length)
    pieces: list = dataclasses.field(default_factory=list)   # (offset, length) of data chunks
    extents: dict = dataclasses.field(default_factory=dict)  # context id -> [(length, flags)]
    chunks: int = 0

    @property
    def ok(self):
        return self.error == 0


def address_of(uri):
    """-> (address for connect(), export name) of an NBD URI on loopback or a unix socket."""
    parts = urllib.parse.urlsplit(uri)
    export = urllib.parse.unquote(parts.path.lstrip("/"))
    if parts.scheme == "nbd+unix":
        return urllib.parse.parse_qs(parts.query)["socket"][0], export
    assert parts.scheme == "nbd" and parts.hostname in ("127.0.0.1", "localhost"), uri
    return (parts.hostname, parts.port or 10809), export


def dial(address, timeout=10.0):
    if isinstance(address, str):
        plug = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    else:
        plug = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    plug.settimeout(timeout)
    try:
        plug.connect(address)
    except OSError:
        plug.close()
        raise
    if not isinstance(address, str):
        plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return plug


def option_bytes(option, payload=b"", length=None, magic=OPTION_MAGIC):
    return struct.pack(">QII", magic, option, len(payload) if length is None else length) + payload


def go_payload(name="", infos=()):
    raw = name if isinstance(name, bytes) else name.encode()
    return struct.pack(">I", len(raw)) + raw + struct.pack(f">H{len(infos)}H", len(infos), *infos)


def meta_payload(name, queries):
    raw = name if isinstance(name, bytes) else name.encode()
    out = struct.pack(">I", len(raw)) + raw + struct.pack(">I", len(queries))
    for query in queries:
        text = query if isinstance(query, bytes) else query.encode()
        out += struct.pack(">I", len(text)) + text
    return out


class Client:
    """One connection. `flags=None` leaves the client flags to the caller."""

    def __init__(self, address, timeout=10.0, flags=FIXED_NEWSTYLE | NO_ZEROES):
        self.plug = dial(address, timeout)
        self.style = "simple"
        self.size = self.flags = None
        self.block_sizes = None
        self.names = {}
        self.contexts = {}
        self.next_cookie = 0x0BAD_CAFE_0000_0001
        self.requests = {}
        self.partial = {}
        self.finished = {}
        greeting = self.receive(18)
        if greeting[:16] != GREETING:
            raise Broken(f"greeting is {greeting[:16]!r}")
        self.server_flags = struct.unpack(">H", greeting[16:])[0]
        if flags is not None:
            self.send(struct.pack(">I", flags))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- bytes

    def send(self, data):
        try:
            self.plug.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Gone(f"closed while sending ({error.strerror})") from None
        except TimeoutError:
            raise Quiet("the server stopped reading") from None

    def receive(self, count):
        out = bytearray(count)
        view, have = memoryview(out), 0
        while have < count:
            try:
                got = self.plug.recv_into(view[have:])
            except ConnectionResetError:
                raise Gone(f"reset after {have} of {count} bytes") from None
            except TimeoutError:
                raise Quiet(f"{have} of {count} bytes within {self.plug.gettimeout()} s") from None
            if got == 0:
                raise Gone(f"closed after {have} of {count} bytes")
            have += got
        return bytes(out)

    def wait_closed(self, seconds=5.0):
        """What came before the server closed; `Broken` when it keeps the line open."""
        end, rest = time.monotonic() + seconds, b""
        while True:
            left = end - time.monotonic()
            if left <= 0:
                raise Broken(f"the server kept the connection open for {seconds} s")
            self.plug.settimeout(left)
            try:
                got = self.plug.recv(1 << 16)
            except ConnectionResetError:
                return rest
            except TimeoutError:
                continue
            if not got:
                return rest
            rest += got

    def close(self):
        self.plug.close()

    def reset(self):
        """Goes away without a word: RST on TCP."""
        if self.plug.family == socket.AF_INET:
            self.plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.plug.close()

    # --- handshake

    def say(self, option, payload=b"", length=None, magic=OPTION_MAGIC):
        self.send(option_bytes(option, payload, length, magic))

    def hear(self, option):
        """The replies to one option, the last one last."""
        replies = []
        while True:
            magic, echoed, kind, length = struct.unpack(">QIII", self.receive(20))
            if magic != OPTION_REPLY_MAGIC:
                raise Broken(f"option reply magic is {magic:#x}")
            if echoed != option:
                raise Broken(f"a reply to option {echoed}; {int(option)} was asked")
            if length > 1 << 16:
                raise Broken(f"an option reply of {length} bytes")
            replies.append((kind, self.receive(length)))
            if kind == Reply.ACK or kind & ERROR_BIT:
                return replies
            if len(replies) > 10_000:
                raise Broken("option replies without an end")

    def ask(self, option, payload=b""):
        self.say(option, payload)
        return self.hear(option)

    def verdict(self, option, payload=b""):
        """Only the final reply type."""
        return self.ask(option, payload)[-1][0]

    def negotiate(self, style):
        if style == "structured":
            assert self.verdict(Option.STRUCTURED_REPLY) == Reply.ACK
        elif style == "extended":
            assert self.verdict(Option.EXTENDED_HEADERS) == Reply.ACK
        self.style = style
        return self

    def set_contexts(self, export, queries):
        replies = self.ask(Option.SET_META_CONTEXT, meta_payload(export, queries))
        self.contexts = {}
        if replies[-1][0] == Reply.ACK:
            for kind, body in replies[:-1]:
                assert kind == Reply.META_CONTEXT, f"reply {kind:#x} to SET_META_CONTEXT"
                self.contexts[body[4:].decode()] = struct.unpack(">I", body[:4])[0]
            assert len(set(self.contexts.values())) == len(self.contexts), "context ids must differ"
        return replies

    def go(self, export="", infos=(Info.BLOCK_SIZE,), option=Option.GO):
        replies = self.ask(option, go_payload(export, infos))
        if replies[-1][0] == Reply.ACK:
            self.learn(replies[:-1])
            if self.size is None:
                raise Broken("success without NBD_INFO_EXPORT")
        return replies[-1][0]

    def learn(self, replies):
        for kind, body in replies:
            if kind != Reply.INFO:
                raise Broken(f"reply {kind:#x} to INFO or GO")
            what = struct.unpack(">H", body[:2])[0]
            if what == Info.EXPORT:
                assert len(body) == 12, "NBD_INFO_EXPORT has 12 bytes"
                self.size, self.flags = struct.unpack(">QH", body[2:])
                assert self.flags & HAS_FLAGS, "NBD_FLAG_HAS_FLAGS must be set"
            elif what == Info.BLOCK_SIZE:
                assert len(body) == 14, "NBD_INFO_BLOCK_SIZE has 14 bytes"
                self.block_sizes = struct.unpack(">III", body[2:])
            else:
                self.names[what] = body[2:].decode()

    # --- transmission

    def header(self, command, offset, length, flags, cookie, magic=None):
        if self.style == "extended":
            magic = EXTENDED_REQUEST_MAGIC if magic is None else magic
            return struct.pack(">IHHQQQ", magic, flags, command, cookie, offset, length)
        magic = REQUEST_MAGIC if magic is None else magic
        return struct.pack(">IHHQQI", magic, flags, command, cookie, offset, length)

    def submit(self, command, offset=0, length=0, flags=0, payload=b"", magic=None):
        """Sends one request and returns its cookie. WRITE in extended style gets PAYLOAD_LEN."""
        cookie, self.next_cookie = self.next_cookie, self.next_cookie + 1
        if command == Command.WRITE and self.style == "extended":
            flags |= PAYLOAD_LEN
        self.requests[cookie] = Request(command, offset, length, flags)
        self.send(self.header(command, offset, length, flags, cookie, magic) + payload)
        return cookie

    def wait(self, cookie):
        while cookie not in self.finished:
            self.receive_reply()
        return self.finished.pop(cookie)

    def wait_any(self):
        """-> (cookie, answer) of whichever request finishes next."""
        while not self.finished:
            self.receive_reply()
        cookie = next(iter(self.finished))
        return cookie, self.finished.pop(cookie)

    def receive_reply(self):
        magic = struct.unpack(">I", self.receive(4))[0]
        if magic == SIMPLE_REPLY_MAGIC:
            self.receive_simple()
        elif magic == CHUNK_MAGIC and self.style == "structured":
            flags, kind, cookie, length = struct.unpack(">HHQI", self.receive(16))
            self.receive_chunk(flags, kind, cookie, length)
        elif magic == EXTENDED_CHUNK_MAGIC and self.style == "extended":
            flags, kind, cookie, offset, length = struct.unpack(">HHQQQ", self.receive(28))
            request = self.known(cookie)
            if offset != request.offset:
                raise Broken(f"reply header says offset {offset}, the request {request.offset}")
            self.receive_chunk(flags, kind, cookie, length)
        else:
            raise Broken(f"reply magic {magic:#x} in {self.style} style")

    def known(self, cookie):
        if cookie not in self.requests:
            raise Broken(f"a reply with cookie {cookie:#x}, which is not in flight")
        return self.requests[cookie]

    def receive_simple(self):
        error, cookie = struct.unpack(">IQ", self.receive(12))
        request = self.known(cookie)
        if self.style == "extended":
            raise Broken("a simple reply after extended headers")
        if self.style == "structured" and request.command == Command.READ:
            raise Broken("a simple reply to READ after structured replies")
        if error and error not in KNOWN_ERRORS:
            raise Broken(f"error {error} is not one of the protocol's")
        answer = Answer(error=error, simple=True)
        if request.command == Command.READ and not error:
            answer.data = self.receive(request.length)
        del self.requests[cookie]
        self.finished[cookie] = answer

    def receive_chunk(self, flags, kind, cookie, length):
        request = self.known(cookie)
        if flags & ~1:
            raise Broken(f"chunk flags {flags:#x}")
        if length > (64 << 20):
            raise Broken(f"a chunk of {length} bytes")
        answer = self.partial.setdefault(cookie, Answer())
        if request.command == Command.READ and not answer.chunks:
            answer.data = bytearray(request.length if request.length <= 64 << 20 else 0)
        answer.chunks += 1
        body = self.receive(length)
        if kind == NONE:
            if length or not flags & 1:
                raise Broken("a NONE chunk with a payload or without DONE")
        elif kind == DATA:
            self.take_content(request, answer, struct.unpack(">Q", body[:8])[0], body[8:], None)
        elif kind == HOLE:
            offset, size = struct.unpack(">QI", body)
            self.take_content(request, answer, offset, None, size)
        elif kind in (STATUS, STATUS_EXTENDED):
            self.take_status(request, answer, kind, body)
        elif kind & 0x8000:
            error, size = struct.unpack(">IH", body[:6])
            if error not in KNOWN_ERRORS:
                raise Broken(f"error {error} is not one of the protocol's")
            if size > length - 6:
                raise Broken("an error message longer than its chunk")
            answer.error, answer.message = error, body[6:6 + size].decode()
        else:
            raise Broken(f"chunk type {kind}")
        if flags & 1:
            self.complete(cookie, request, answer)

    def take_content(self, request, answer, offset, data, hole):
        size = hole if data is None else len(data)
        if request.command != Command.READ:
            raise Broken("a content chunk for something else than READ")
        if size == 0:
            raise Broken("an empty content chunk")
        if offset < request.offset or offset + size > request.offset + request.length:
            raise Broken(f"content {offset}+{size} outside the request")
        for begin, length in answer.pieces + answer.holes:
            if offset < begin + length and begin < offset + size:
                raise Broken(f"content {offset}+{size} overlaps {begin}+{length}")
        if request.flags & DF and answer.pieces + answer.holes:
            raise Broken("a second content chunk in spite of DF")
        if data is None:
            answer.holes.append((offset, size))
        else:
            begin = offset - request.offset
            answer.data[begin:begin + size] = data
            answer.pieces.append((offset, size))

    def take_status(self, request, answer, kind, body):
        if request.command != Command.BLOCK_STATUS:
            raise Broken("a status chunk for something else than BLOCK_STATUS")
        if (kind == STATUS_EXTENDED) != (self.style == "extended"):
            raise Broken(f"status chunk type {kind} in {self.style} style")
        context = struct.unpack(">I", body[:4])[0]
        if kind == STATUS:
            pairs = list(struct.iter_unpack(">II", body[4:]))
        else:
            count = struct.unpack(">I", body[4:8])[0]
            pairs = list(struct.iter_unpack(">QQ", body[8:]))
            if count != len(pairs):
                raise Broken(f"{len(pairs)} descriptors, announced {count}")
        if context not in self.contexts.values():
            raise Broken(f"status for context {context}, which was not negotiated")
        if context in answer.extents:
            raise Broken("two status chunks for one context")
        self.check_extents(request, pairs)
        answer.extents[context] = pairs

    @staticmethod
    def check_extents(request, pairs):
        if not pairs or any(length == 0 for length, _ in pairs):
            raise Broken("a status chunk without descriptors, or with an empty one")
        total = sum(length for length, _ in pairs)
        if request.flags & REQ_ONE:
            if len(pairs) != 1 or total > request.length:
                raise Broken(f"REQ_ONE for {request.length} bytes got {pairs}")
        elif sum(length for length, _ in pairs[:-1]) >= request.length:
            raise Broken("only the last descriptor may reach beyond the request")

    def complete(self, cookie, request, answer):
        self.partial.pop(cookie)
        del self.requests[cookie]
        if not answer.error:
            if request.command == Command.READ:
                covered = sum(length for _, length in answer.pieces + answer.holes)
                if covered != request.length:
                    raise Broken(f"success with {covered} of {request.length} bytes")
            if request.command == Command.BLOCK_STATUS:
                if set(answer.extents) != set(self.contexts.values()):
                    raise Broken("success without a status chunk for every context")
        answer.data = bytes(answer.data)
        self.finished[cookie] = answer

    # --- one request at a time

    def call(self, command, offset=0, length=0, flags=0, payload=b""):
        return self.wait(self.submit(command, offset, length, flags, payload))

    def read(self, offset, length, flags=0):
        answer = self.call(Command.READ, offset, length, flags)
        assert answer.ok, f"read {offset}+{length}: error {answer.error} {answer.message}"
        return answer.data

    def write(self, offset, data, flags=0):
        answer = self.call(Command.WRITE, offset, len(data), flags, data)
        assert answer.ok, f"write {offset}+{len(data)}: error {answer.error} {answer.message}"

    def flush(self):
        answer = self.call(Command.FLUSH)
        assert answer.ok, f"flush: error {answer.error} {answer.message}"

    def zero(self, offset, length, flags=0):
        answer = self.call(Command.WRITE_ZEROES, offset, length, flags)
        assert answer.ok, f"zero {offset}+{length}: error {answer.error} {answer.message}"

    def trim(self, offset, length, flags=0):
        answer = self.call(Command.TRIM, offset, length, flags)
        assert answer.ok, f"trim {offset}+{length}: error {answer.error} {answer.message}"

    def status(self, offset, length, flags=0):
        """-> {context name: [(length, flags)]}"""
        answer = self.call(Command.BLOCK_STATUS, offset, length, flags)
        assert answer.ok, f"status {offset}+{length}: error {answer.error} {answer.message}"
        return {name: answer.extents[number] for name, number in self.contexts.items()}

    def disconnect(self):
        """Says DISC and waits for the server to close."""
        self.submit(Command.DISC)
        rest = self.wait_closed()
        self.close()
        assert not rest, f"{len(rest)} bytes after DISC without requests in flight"


def connect(address, export="", style="structured", contexts=(), timeout=10.0):
    """A client in the transmission phase."""
    client = Client(address, timeout)
    try:
        client.negotiate(style)
        if contexts:
            client.set_contexts(export, contexts)
            missing = [name for name in contexts if name not in client.contexts]
            assert not missing, f"no context {missing}"
        verdict = client.go(export)
        assert verdict == Reply.ACK, f"GO {export!r}: {verdict:#x}"
    except BaseException:
        client.close()
        raise
    return client
