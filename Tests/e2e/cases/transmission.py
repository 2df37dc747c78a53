"""Requests and replies: what every command must do, and what a wrong request may not do."""
import random
import struct
import time

import nbdraw
from nbdraw import Command, Reply
from support import EXTENT, GiB, KiB, MiB, TiB, STAND_IN, alone, each, eventually, limit, need_gnomon, pattern, slowed

PAYLOAD_MAX = 32 * MiB
STYLES = ("simple", "structured", "extended")


def _client(daemon, style="structured", **options):
    if style == "extended":
        need_gnomon()
    return daemon.client(style=style, **options)


def _well(client):
    """The connection is still in step."""
    client.write(12288, b"in step!")
    assert client.read(12288, 8) == b"in step!"


@each(*STYLES)
def what_was_written_is_read(case, style):
    daemon = case.daemon()
    client = _client(daemon, style)
    model = bytearray(2 * MiB)
    chance = random.Random(case.seed)
    base = EXTENT - 300 * KiB  # across extents
    for _ in range(300):
        begin = chance.randrange(len(model))
        size = min(chance.choice((1, 7, 511, 512, 513, 4096, 4097, 70_000, 300_000)), len(model) - begin)
        kind = chance.random()
        if kind < 0.5:
            data = chance.randbytes(size)
            client.write(base + begin, data, chance.choice((0, nbdraw.FUA)))
            model[begin:begin + size] = data
        elif kind < 0.6:
            client.zero(base + begin, size, chance.choice((0, nbdraw.NO_HOLE)))
            model[begin:begin + size] = bytes(size)
        else:
            assert client.read(base + begin, size) == model[begin:begin + size]
    assert client.read(base, len(model)) == model
    client.flush()
    client.disconnect()


def untouched_space_reads_as_zeros(case):
    daemon = case.daemon()
    client = daemon.client(style="simple")
    for offset in (0, 1, EXTENT - 100, 64 * MiB - 5000):
        assert client.read(offset, 5000) == bytes(5000)
    assert client.read(0, PAYLOAD_MAX) == bytes(PAYLOAD_MAX)


@each(*STYLES)
def payloads_of_32_mib_are_served(case, style):
    client = _client(case.daemon(), style, timeout=60)
    data = pattern(case.seed, PAYLOAD_MAX)
    client.write(4097, data)
    assert client.read(4097, PAYLOAD_MAX) == data


@each(*STYLES)
def reads_over_32_mib_are_refused(case, style):
    need_gnomon("qemu-nbd")
    client = _client(case.daemon(volumes={"v": 8 * GiB}), style)
    for length in (PAYLOAD_MAX + 1, 64 * MiB, 4 * GiB - 1):
        answer = client.call(Command.READ, 0, length)
        assert answer.error in (nbdraw.EINVAL, nbdraw.EOVERFLOW, nbdraw.ENOMEM), f"{length}: {answer.error}"
    _well(client)


@each(*STYLES)
def writes_over_32_mib_are_refused_or_end_the_connection(case, style):
    need_gnomon("qemu-nbd")
    daemon = case.daemon(volumes={"v": 8 * GiB})
    other = daemon.client()
    before = daemon.memory()
    client = _client(daemon, style)
    length = PAYLOAD_MAX + 1
    try:
        cookie = client.submit(Command.WRITE, 0, length, 0, bytes(length))
        assert client.wait(cookie).error in (nbdraw.EINVAL, nbdraw.EOVERFLOW)
        _well(client)
    except nbdraw.Gone:
        pass
    assert other.read(0, 4096) == bytes(4096), "a refused write left a trace"
    assert daemon.memory() - before < 96 * MiB


def a_write_of_4_gib_is_not_allocated(case):
    daemon = case.daemon(volumes={"v": 8 * GiB})
    before = daemon.memory()
    client = daemon.client()
    client.submit(Command.WRITE, 0, 0xFFFFFFFF, 0, bytes(64 * KiB))
    time.sleep(0.3)
    assert daemon.memory() - before < 80 * MiB
    client.reset()
    _well(daemon.client())


# --- bounds

OUTSIDE = ((64 * MiB, 1), (64 * MiB - 1, 2), (64 * MiB - 4096, 8192), (1 << 40, 4096), ((1 << 64) - 4096, 4096),
           ((1 << 64) - 1, 1), ((1 << 64) - 4096, 8192), ((1 << 63) - 1, 4096), (1 << 63, 512))


@each(*STYLES)
def requests_past_the_end_fail_as_the_protocol_says(case, style):
    need_gnomon("nbdkit")
    client = _client(case.daemon(), style, contexts=() if style == "simple" else ("base:allocation",))
    for offset, length in OUTSIDE:
        for command, wanted in ((Command.READ, nbdraw.EINVAL), (Command.TRIM, nbdraw.EINVAL),
                                (Command.WRITE_ZEROES, nbdraw.ENOSPC), (Command.CACHE, nbdraw.EINVAL),
                                (Command.BLOCK_STATUS, nbdraw.EINVAL)):
            if STAND_IN and command in (Command.CACHE, Command.TRIM):
                continue
            answer = client.call(command, offset, length)
            assert answer.error == wanted, f"{command.name} {offset}+{length}: {answer.error}, not {wanted}"
        answer = client.call(Command.WRITE, offset, length, 0, b"w" * length)
        assert answer.error == nbdraw.ENOSPC, f"WRITE {offset}+{length}: {answer.error}"
    _well(client)


def the_last_byte_is_served(case):
    for size in (64 * MiB, 3 * MiB + 4096):
        daemon = case.daemon(volumes={"v": size})
        client = daemon.client()
        client.write(size - 1, b"z")
        assert client.read(size - 2, 2) == b"\0z"
        client.zero(size - 1, 1)
        client.trim(size - 1, 1)


@each(*STYLES)
def a_length_of_zero_does_no_harm(case, style):
    need_gnomon()
    client = _client(case.daemon(), style, contexts=() if style == "simple" else ("base:allocation",))
    client.write(0, b"kept")
    for command in (Command.READ, Command.WRITE, Command.TRIM, Command.WRITE_ZEROES, Command.CACHE,
                    Command.BLOCK_STATUS):
        for offset in (0, 64 * MiB):
            answer = client.call(command, offset, 0)
            allowed = (nbdraw.EINVAL,) if command == Command.BLOCK_STATUS else (0, nbdraw.EINVAL)
            if offset and command in (Command.WRITE, Command.WRITE_ZEROES):
                allowed += (nbdraw.ENOSPC,)
            assert answer.error in allowed, f"{command.name}: {answer.error}"
    assert client.read(0, 4) == b"kept"


# --- wrong requests

@each(*STYLES)
def unknown_commands_are_invalid_and_the_connection_goes_on(case, style):
    client = _client(case.daemon(), style)
    if STAND_IN == "nbdkit":
        need_gnomon()  # it closes the connection
    for command in (8, 9, 100, 0x7FFF, 0xFFFF):
        answer = client.call(command, 0, 4096)
        assert answer.error == nbdraw.EINVAL, f"command {command}: {answer.error}"
    _well(client)


@each(*STYLES)
def unknown_flags_are_invalid_and_the_connection_goes_on(case, style):
    need_gnomon()
    client = _client(case.daemon(), style, contexts=() if style == "simple" else ("base:allocation",))
    for flag in (1 << 6, 1 << 9, 1 << 15):
        for command in (Command.READ, Command.FLUSH, Command.TRIM, Command.CACHE, Command.WRITE_ZEROES,
                        Command.BLOCK_STATUS):
            length = 0 if command == Command.FLUSH else 4096
            answer = client.call(command, 0, length, flag)
            assert answer.error == nbdraw.EINVAL, f"{command.name} with flags {flag:#x}: {answer.error}"
        answer = client.call(Command.WRITE, 0, 4096, flag, b"f" * 4096)
        assert answer.error == nbdraw.EINVAL
        assert client.read(0, 4096) == bytes(4096), "a refused write left a trace"
    _well(client)


@each(*STYLES)
def flags_of_another_command_are_invalid(case, style):
    need_gnomon()
    client = _client(case.daemon(), style, contexts=() if style == "simple" else ("base:allocation",))
    wrong = ((Command.READ, nbdraw.NO_HOLE), (Command.READ, nbdraw.REQ_ONE), (Command.READ, nbdraw.FAST_ZERO),
             (Command.TRIM, nbdraw.DF), (Command.TRIM, nbdraw.NO_HOLE), (Command.WRITE_ZEROES, nbdraw.DF),
             (Command.WRITE_ZEROES, nbdraw.REQ_ONE), (Command.BLOCK_STATUS, nbdraw.NO_HOLE))
    for command, flag in wrong:
        answer = client.call(command, 0, 4096, flag)
        assert answer.error == nbdraw.EINVAL, f"{command.name} with {flag:#x}: {answer.error}"
    for flag in (nbdraw.NO_HOLE, nbdraw.DF, nbdraw.REQ_ONE, nbdraw.FAST_ZERO):
        assert client.call(Command.WRITE, 0, 8, flag, b"tracable").error == nbdraw.EINVAL
    assert client.read(0, 8) == bytes(8)
    if style == "simple":
        assert client.call(Command.READ, 0, 4096, nbdraw.DF).error == nbdraw.EINVAL
    _well(client)


@each(*STYLES)
def a_wrong_request_magic_ends_the_connection_only(case, style):
    daemon = case.daemon()
    other = daemon.client()
    client = _client(daemon, style)
    client.submit(Command.READ, 0, 4096, magic=0x25609514)
    client.wait_closed()
    _well(other)


@each("simple", "structured")
def an_extended_request_is_foreign_without_extended_headers(case, style):
    daemon = case.daemon()
    client = daemon.client(style=style)
    client.submit(Command.READ, 0, 4096, magic=nbdraw.EXTENDED_REQUEST_MAGIC)
    client.wait_closed()
    _well(daemon.client())


def a_compact_request_is_foreign_after_extended_headers(case):
    need_gnomon()
    daemon = case.daemon()
    client = daemon.client(style="extended")
    client.submit(Command.READ, 0, 4096, magic=nbdraw.REQUEST_MAGIC)
    client.wait_closed()
    _well(daemon.client())


@each(*STYLES)
def a_refused_write_consumes_its_payload(case, style):
    """The payload looks like requests: a server that loses step would execute them."""
    client = _client(case.daemon(), style)
    trap = client.header(Command.WRITE_ZEROES, 0, 4096, 0, 0x7777) * 200
    client.write(0, b"precious" * 512)
    for offset, flags in ((64 * MiB, 0), ((1 << 64) - 10, 0), (0, 1 << 7)):
        if STAND_IN and flags:
            continue
        assert not client.call(Command.WRITE, offset, len(trap), flags, trap).ok
    assert client.read(0, 4096) == b"precious" * 512


@each(*STYLES)
def fua_is_accepted_on_every_command(case, style):
    client = _client(case.daemon(), style, contexts=() if style == "simple" else ("base:allocation",))
    client.write(0, bytes(5000), nbdraw.FUA)
    client.zero(5000, 3000, nbdraw.FUA)
    client.trim(0, 4096, nbdraw.FUA)
    client.read(0, 4096, nbdraw.FUA)
    if not STAND_IN:
        assert client.call(Command.FLUSH, 0, 0, nbdraw.FUA).ok
        assert client.call(Command.CACHE, 0, 4096, nbdraw.FUA).ok
        if style != "simple":
            client.status(0, 4096, nbdraw.FUA)


def cache_is_accepted(case):
    need_gnomon()
    client = case.daemon().client()
    client.write(0, b"c" * 4096)
    assert client.call(Command.CACHE, 0, 4 * MiB).ok
    assert client.read(0, 4096) == b"c" * 4096


# --- replies

def replies_to_many_requests_in_flight_match_their_cookies(case):
    client = case.daemon().client(timeout=30)
    blocks = {offset: pattern(offset, 4096) for offset in range(0, 8 * MiB, 64 * KiB)}
    cookies = [client.submit(Command.WRITE, offset, 4096, 0, data) for offset, data in blocks.items()]
    assert all(client.wait(cookie).ok for cookie in cookies)
    # The window keeps the replies within what the socket holds while nobody reads them.
    waiting, reads = list(blocks), {}
    while waiting or reads:
        while waiting and len(reads) < 32:
            offset = waiting.pop()
            reads[client.submit(Command.READ, offset, 4096)] = offset
        cookie, answer = client.wait_any()
        assert answer.data == blocks[reads.pop(cookie)]


def a_client_that_does_not_read_is_held_back_and_not_dropped(case):
    """Far more replies than the socket holds: back-pressure, and bounded memory."""
    daemon = case.daemon()
    other = daemon.client()
    other.write(0, pattern(1, 4 * MiB))
    before = daemon.memory()
    client = daemon.client(timeout=30)
    import threading
    cookies = []
    writer = threading.Thread(target=lambda: [cookies.append(client.submit(Command.READ, 0, 1 * MiB))
                                              for _ in range(400)])
    writer.start()
    time.sleep(1.0)
    assert daemon.memory() - before < 160 * MiB, "replies that nobody reads pile up in memory"
    other.read(0, 4096)
    wanted = pattern(1, 4 * MiB)[:MiB]
    for number in range(400):
        cookie, answer = client.wait_any()
        assert answer.data == wanted, number
    writer.join()


def requests_that_trickle_in_are_served(case):
    client = case.daemon().client()
    stream = client.header(Command.WRITE, 100, 5, 0, 0xAAAA) + b"drops"
    client.requests[0xAAAA] = nbdraw.Request(Command.WRITE, 100, 5, 0)
    for byte in stream:
        client.send(bytes([byte]))
        time.sleep(0.002)
    assert client.wait(0xAAAA).ok
    assert client.read(100, 5) == b"drops"


def sparse_ranges_come_as_holes(case):
    need_gnomon()
    client = case.daemon().client()
    client.write(EXTENT, b"d" * EXTENT)
    answer = client.call(Command.READ, 0, 3 * EXTENT)
    assert answer.ok and answer.data == bytes(EXTENT) + b"d" * EXTENT + bytes(EXTENT)
    assert sum(length for _, length in answer.holes) == 2 * EXTENT, f"holes {answer.holes}"
    whole = client.call(Command.READ, 0, 4096)
    assert whole.holes == [(0, 4096)], "an unmapped range is one hole"


@each("structured", "extended")
def do_not_fragment_gives_one_chunk(case, style):
    client = _client(case.daemon(), style)
    client.write(EXTENT - 4096, b"x" * 4096)
    client.write(2 * EXTENT, b"y" * 4096)
    for offset, length in ((EXTENT - 32 * KiB, 64 * KiB), (0, 64 * KiB), (2 * EXTENT - 30 * KiB, 60 * KiB + 1)):
        answer = client.call(Command.READ, offset, length, nbdraw.DF)
        assert answer.ok and len(answer.pieces) + len(answer.holes) == 1
    answer = client.call(Command.READ, EXTENT - 32 * KiB, 64 * KiB, nbdraw.DF)
    assert answer.pieces, "data and hole together must come as data"
    large = client.call(Command.READ, 0, 4 * MiB, nbdraw.DF)
    assert large.ok or large.error == nbdraw.EOVERFLOW


@each("structured", "extended")
def an_early_error_to_a_read_is_structured_too(case, style):
    client = _client(case.daemon(), style)
    for offset, length in ((1 << 50, 10), ((1 << 64) - 1, 0x7FFFFFFF)):
        answer = client.call(Command.READ, offset, length)
        assert answer.error and not answer.simple
    _well(client)


# --- zeroes and trims

@each(0, nbdraw.NO_HOLE, nbdraw.FUA, nbdraw.NO_HOLE | nbdraw.FUA)
def write_zeroes_zeroes_at_any_alignment(case, flags):
    client = case.daemon().client()
    data = pattern(case.seed, 4 * EXTENT)
    for begin, length in ((0, 4096), (1, 1), (511, 514), (4095, 4098), (EXTENT - 1, 2), (EXTENT, EXTENT),
                          (100, 3 * EXTENT), (0, 4 * EXTENT)):
        client.write(0, data)
        client.zero(begin, length, flags)
        assert client.read(0, 4 * EXTENT) == data[:begin] + bytes(length) + data[begin + length:]


def fast_zero_is_fast_or_refused_without_a_trace(case):
    need_gnomon()
    client = case.daemon().client()
    data = pattern(case.seed, 2 * EXTENT)
    outcomes = set()
    for begin, length, flags in ((0, EXTENT, 0), (0, 2 * EXTENT, 0), (512, 512, 0), (3, 5, 0), (0, 4096, nbdraw.NO_HOLE),
                                 (0, EXTENT, nbdraw.NO_HOLE)):
        client.write(0, data)
        answer = client.call(Command.WRITE_ZEROES, begin, length, flags | nbdraw.FAST_ZERO)
        assert answer.error in (0, nbdraw.ENOTSUP), f"{begin}+{length}: {answer.error}"
        outcomes.add(answer.error)
        wanted = data if answer.error else data[:begin] + bytes(length) + data[begin + length:]
        assert client.read(0, 2 * EXTENT) == wanted
    assert 0 in outcomes, "not one zero of a whole extent was fast"


def trim_and_zero_of_a_whole_extent_give_its_space_back(case):
    need_gnomon()
    daemon = case.daemon(stores=[("fast", 8 * EXTENT, 0)])
    client = daemon.client()
    for how in ("trim", "zero") * 6:  # 12 × 4 extents pass through a store of 8
        for extent in range(4):
            client.write(extent * EXTENT, bytes([extent + 1]) * EXTENT)
        client.flush()
        getattr(client, how)(0, 4 * EXTENT)
        client.flush()
        assert client.read(0, 4 * EXTENT) == bytes(4 * EXTENT)


def space_used_again_reads_as_zeros_where_it_was_not_written(case):
    need_gnomon()
    daemon = case.daemon(stores=[("fast", 8 * EXTENT, 0)])
    client = daemon.client()
    client.write(0, b"\xee" * 6 * EXTENT)
    client.flush()
    client.trim(0, 6 * EXTENT)
    client.flush()
    for extent in range(10, 16):
        client.write(extent * EXTENT + 70_000, b"n")
    for extent in range(10, 16):
        got = client.read(extent * EXTENT, EXTENT)
        assert got == bytes(70_000) + b"n" + bytes(EXTENT - 70_001), f"extent {extent} shows old data"


@each("structured", "extended")
def huge_trims_and_zeroes_over_nothing_are_quick(case, style):
    need_gnomon()
    client = _client(case.daemon(volumes={"v": 16 * TiB}), style, timeout=slowed(20))
    length = 4 * GiB - 4096 if style == "structured" else 16 * TiB - 8192
    client.write(5 * GiB, b"remains?" * 512)
    begun = time.monotonic()
    client.trim(4096, length)
    client.zero(4096, length)
    assert time.monotonic() - begun < slowed(10)
    wanted = bytes(4096) if style == "extended" else b"remains?" * 512
    assert client.read(5 * GiB, 4096) == wanted


# --- block status

@each("structured", "extended")
def block_status_tells_data_from_holes(case, style):
    need_gnomon()
    client = _client(case.daemon(), style, contexts=("base:allocation",))
    client.write(2 * EXTENT, b"d" * EXTENT)
    client.flush()
    pairs = client.status(0, 8 * EXTENT)["base:allocation"]
    position, states = 0, []
    for length, flags in pairs:
        states += [(position, min(length, 8 * EXTENT - position), flags)]
        position += length
    assert states[0][2] == 3 and states[0][1] == 2 * EXTENT, states
    assert states[1][2] == 0 and states[1][1] == EXTENT, states
    assert all(flags == 3 for _, _, flags in states[2:]), states
    assert position >= 8 * EXTENT


@each("structured", "extended")
def block_status_with_one_extent_asked_gives_one(case, style):
    need_gnomon("nbdkit", "qemu-nbd")
    client = _client(case.daemon(), style, contexts=("base:allocation",))
    client.write(EXTENT, b"d" * EXTENT)
    for offset, length in ((0, 8 * EXTENT), (EXTENT + 5, 10), (EXTENT + 512, 8 * EXTENT), (64 * MiB - 1, 1)):
        client.status(offset, length, nbdraw.REQ_ONE)


@each("structured", "extended")
def block_status_gives_every_context(case, style):
    need_gnomon()
    names = ("base:allocation", "x-gnomon:tier", "x-gnomon:store")
    client = _client(case.daemon(stores=[("fast", 4 * EXTENT, 0), ("bulk", 256 * MiB, 2)]), style, contexts=names)
    client.write(0, b"d" * 8 * EXTENT)
    client.flush()
    answer = client.status(0, 16 * EXTENT)
    assert set(answer) == set(names)
    tiers = {}
    position = 0
    for length, value in answer["x-gnomon:tier"]:
        tiers[position] = value
        position += length
    assert len(set(tiers.values())) >= 3, f"tier 0, tier 2 and nothing must differ: {tiers}"


def block_status_lengths_stay_within_32_bits_in_compact_style(case):
    need_gnomon()
    client = case.daemon(volumes={"v": 16 * TiB}).client(contexts=("base:allocation",))
    for offset in (0, 4 * GiB - 4096, 15 * TiB):
        pairs = client.status(offset, 4 * GiB - 4096)["base:allocation"]
        assert sum(length for length, _ in pairs) > 0
    end = client.status(16 * TiB - MiB, MiB)["base:allocation"]
    assert sum(length for length, _ in end) == MiB, "nothing lies beyond the end"


def block_status_lengths_go_beyond_32_bits_in_extended_style(case):
    need_gnomon()
    client = case.daemon(volumes={"v": 16 * TiB}).client(style="extended", contexts=("base:allocation",))
    pairs = client.status(0, 16 * TiB)["base:allocation"]
    assert pairs[0][1] == 3 and pairs[0][0] > 4 * GiB, pairs
    client.write(8 * TiB, b"island")
    offset, states = 0, []
    while offset < 16 * TiB and len(states) < 2000:  # an answer may be short, but must make progress
        for length, flags in client.status(offset, 16 * TiB - offset)["base:allocation"]:
            if not states or states[-1][1] != flags:
                states.append((offset, flags))
            offset += length
    assert states == [(0, 3), (8 * TiB, 0), (8 * TiB + EXTENT, 3)], states


def block_status_of_many_extents_is_bounded_and_makes_progress(case):
    need_gnomon()
    client = case.daemon(volumes={"v": 4 * GiB}, extent=64 * KiB, stores=[("fast", 512 * MiB, 0)]).client(
        contexts=("base:allocation",), timeout=30)
    for extent in range(0, 4000, 2):
        client.submit(Command.WRITE, extent * 64 * KiB, 512, 0, b"d" * 512)
        if extent >= 64:
            assert client.wait_any()[1].ok
    while client.requests:
        assert client.wait_any()[1].ok
    offset, seen = 0, 0
    while offset < 4000 * 64 * KiB:
        pairs = client.status(offset, 4 * GiB - 4096 - offset)["base:allocation"]
        assert len(pairs) <= 1 << 20
        seen += sum(1 for _, flags in pairs if not flags & 1)
        offset += sum(length for length, _ in pairs)
    assert seen >= 2000 - 1


def block_status_without_contexts_is_invalid(case):
    need_gnomon("qemu-nbd")
    client = case.daemon().client()
    assert client.call(Command.BLOCK_STATUS, 0, 4096).error == nbdraw.EINVAL
    _well(client)


def block_status_with_a_payload_is_refused_in_step(case):
    need_gnomon()
    client = case.daemon().client(style="extended", contexts=("base:allocation",))
    answer = client.call(Command.BLOCK_STATUS, 0, 16, nbdraw.PAYLOAD_LEN, struct.pack(">QII", 4096, 1, 1))
    assert answer.error == nbdraw.EINVAL or answer.ok
    _well(client)


@each(Command.READ, Command.TRIM, Command.FLUSH, 99)
def a_payload_where_none_belongs_is_consumed(case, command):
    need_gnomon()
    client = case.daemon().client(style="extended")
    trap = client.header(Command.WRITE_ZEROES, 0, 4096, 0, 0x7777) * 20
    client.write(0, b"precious" * 512)
    assert client.call(command, 0, len(trap), nbdraw.PAYLOAD_LEN, trap).error == nbdraw.EINVAL
    assert client.read(0, 4096) == b"precious" * 512


def a_payload_flag_is_unknown_in_compact_style(case):
    need_gnomon()
    client = case.daemon().client()
    assert client.call(Command.READ, 0, 4096, nbdraw.PAYLOAD_LEN).error == nbdraw.EINVAL
    assert client.call(Command.WRITE, 0, 4, nbdraw.PAYLOAD_LEN, b"four").error == nbdraw.EINVAL
    _well(client)


# --- clients that go away

@each("mid-header", "mid-payload", "mid-reply", "idle", "many in flight")
def a_client_that_goes_away_disturbs_nobody(case, when):
    need_gnomon("qemu-nbd")
    daemon = case.daemon()
    steady = daemon.client(timeout=20)
    steady.write(32 * MiB, pattern(5, MiB))
    for turn in range(12):
        client = nbdraw.connect(daemon.tcp_address, daemon.export)
        header = client.header(Command.WRITE, 0, MiB, 0, 1)
        if when == "mid-header":
            client.send(header[:1 + turn * 2])
        elif when == "mid-payload":
            client.send(header + bytes(turn * 50_000))
        elif when == "mid-reply":
            for _ in range(16):
                client.submit(Command.READ, 32 * MiB, MiB)
            client.receive(1000)
        elif when == "many in flight":
            for number in range(200):
                client.submit(Command.WRITE, number * 8192, 8192, 0, bytes(8192))
        client.reset() if turn % 2 else client.close()
        assert steady.read(32 * MiB, 4096) == pattern(5, MiB)[:4096]
    assert steady.read(32 * MiB, MiB) == pattern(5, MiB)


def an_unfinished_payload_changes_nothing(case):
    """A write whose payload never came in full was never acknowledged; most of it must not be applied
    to blocks beyond what was received."""
    daemon = case.daemon()
    steady = daemon.client()
    steady.write(0, b"o" * MiB)
    client = daemon.client()
    client.send(client.header(Command.WRITE, 0, MiB, 0, 1) + b"n" * (MiB // 2))
    client.close()
    time.sleep(0.2)
    assert steady.read(MiB // 2, MiB // 2) == b"o" * (MiB // 2)


def disconnect_drains_what_is_in_flight(case):
    daemon = case.daemon()
    client = daemon.client(timeout=30)
    cookies = [client.submit(Command.WRITE, number * 64 * KiB, 64 * KiB, 0, bytes([number]) * 64 * KiB)
               for number in range(100)]
    client.submit(Command.DISC)
    replied = 0
    try:
        for cookie in cookies:
            assert client.wait(cookie).ok
            replied += 1
    except nbdraw.Gone:
        pass
    if not STAND_IN:
        assert replied == 100, f"{replied} of 100 replies before the connection ended"
    other = daemon.client()
    for number in range(replied):
        assert other.read(number * 64 * KiB, 64 * KiB) == bytes([number]) * 64 * KiB


def requests_after_disconnect_are_not_executed(case):
    daemon = case.daemon()
    client = daemon.client()
    client.send(client.header(Command.DISC, 0, 0, 0, 1) + client.header(Command.WRITE, 0, 4, 0, 2) + b"late")
    client.wait_closed()
    assert daemon.client().read(0, 4) == bytes(4)


# --- several connections

def a_write_on_one_connection_is_read_on_another(case):
    daemon = case.daemon()
    left, right = daemon.client(), daemon.client(tcp=True)
    for turn in range(200):
        data = pattern(turn, 700)
        left.write(turn * 333, data)
        assert right.read(turn * 333, 700) == data
        left, right = right, left


@each(1, 2, 4)
def writers_within_one_block_lose_no_update(case, connections):
    """Each writes its own bytes of the same 4 KiB blocks at once: unaligned edges are read-modify-write."""
    daemon = case.daemon()
    clients = [daemon.client(tcp=bool(number % 2), timeout=30) for number in range(connections)]
    slots, size = 8, 512
    for turn in range(150):
        block = (turn % 16) * 4096
        cookies = []
        for slot in range(slots):
            client = clients[slot % connections]
            data = bytes([(turn + slot) % 255 + 1]) * size
            cookies.append((client, client.submit(Command.WRITE, block + slot * size, size, 0, data)))
        for client, cookie in cookies:
            assert client.wait(cookie).ok
        wanted = b"".join(bytes([(turn + slot) % 255 + 1]) * size for slot in range(slots))
        assert clients[0].read(block, 4096) == wanted, f"turn {turn}: an update was lost"


def unaligned_writers_race_with_zeroes_and_aligned_writes(case):
    daemon = case.daemon()
    clients = [daemon.client(timeout=30) for _ in range(3)]
    chance = random.Random(case.seed)
    for turn in range(150):
        base = chance.randrange(16) * 65536
        clients[0].write(base, b"o" * 16384)
        cut = sorted(chance.sample(range(1, 16383), 3))
        parts = [(0, cut[0]), (cut[0], cut[1]), (cut[1], cut[2]), (cut[2], 16384)]
        cookies = []
        for number, (begin, end) in enumerate(parts):
            client = clients[number % 3]
            if number % 2:
                cookie = client.submit(Command.WRITE_ZEROES, base + begin, end - begin)
            else:
                cookie = client.submit(Command.WRITE, base + begin, end - begin, 0,
                                       bytes([65 + number]) * (end - begin))
            cookies.append((client, cookie))
        for client, cookie in cookies:
            assert client.wait(cookie).ok
        wanted = b"".join((bytes(end - begin) if number % 2 else bytes([65 + number]) * (end - begin))
                          for number, (begin, end) in enumerate(parts))
        assert clients[1].read(base, 16384) == wanted, f"turn {turn}, cuts {cut}"


# --- crowds and slow ones

@alone
@limit(180)
def a_thousand_idle_connections_do_not_disturb(case):
    if STAND_IN:
        need_gnomon()
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    daemon = case.daemon()
    memory = daemon.memory()
    worker = daemon.client()
    undisturbed = _read_latency(worker)
    crowd = [nbdraw.connect(daemon.address, daemon.export) for _ in range(1000)]
    crowded = _read_latency(worker)
    case.note(f"median read {undisturbed * 1e6:.0f} us alone, {crowded * 1e6:.0f} us in the crowd; "
              f"{(daemon.memory() - memory) / 1000 / KiB:.0f} KiB a connection")
    assert crowded < undisturbed * 3 + 0.002
    for client in crowd:
        client.close()
    eventually(lambda: daemon.fds() <= daemon.fd_baseline + 3, 20, "release of a thousand connections")
    assert _read_latency(worker) < undisturbed * 3 + 0.002


def _read_latency(client):
    times = []
    for turn in range(300):
        begun = time.perf_counter()
        client.read(turn * 4096, 4096)
        times.append(time.perf_counter() - begun)
    return sorted(times)[len(times) // 2]


@limit(60)
@each("silent", "drop by drop", "half an option")
def a_slow_handshake_is_ended_after_10_seconds(case, how):
    need_gnomon()
    daemon = case.daemon()
    worker = daemon.client()
    undisturbed = _read_latency(worker)
    begun = time.monotonic()
    slow = [nbdraw.Client(daemon.address, flags=None if how == "silent" else 3) for _ in range(20)]
    option = nbdraw.option_bytes(nbdraw.Option.GO, nbdraw.go_payload(daemon.export))
    for client in slow:
        if how == "half an option":
            client.send(option[:10])
    ended, turn = {}, 0
    while len(ended) < len(slow) and time.monotonic() - begun < 20:
        drop = b""
        if turn < int(time.monotonic() - begun):
            drop = nbdraw.option_bytes(88, b"x" * 50)[turn:turn + 1]
            turn += 1
        for number, client in enumerate(slow):
            if number in ended:
                continue
            try:
                if how == "drop by drop" and drop:
                    client.send(drop)
                client.plug.settimeout(0.01)
                if not client.plug.recv(4096):
                    ended[number] = time.monotonic() - begun
            except TimeoutError:
                pass
            except (nbdraw.Gone, ConnectionResetError):
                ended[number] = time.monotonic() - begun
        assert _read_latency(worker) < undisturbed * 3 + 0.02
    assert len(ended) == len(slow), f"{len(slow) - len(ended)} slow handshakes still open after 20 s"
    assert 8 <= min(ended.values()) and max(ended.values()) <= 14, sorted(ended.values())
    for client in slow:
        client.close()


def a_connection_in_transmission_has_no_deadline(case):
    client = case.daemon().client()
    time.sleep(12)
    client.read(0, 4096)


# --- shutdown

def shutdown_answers_what_is_in_flight_and_exits_0(case):
    need_gnomon("qemu-nbd")
    daemon = case.daemon()
    client = daemon.client(timeout=30)
    cookies = [client.submit(Command.WRITE, number * 128 * KiB, 128 * KiB, 0, bytes([number]) * 128 * KiB)
               for number in range(100)]
    client.wait(cookies[0])
    process = daemon.process
    process.terminate()
    outcomes = {}
    try:
        for number, cookie in enumerate(cookies[1:], 1):
            outcomes[number] = client.wait(cookie).error
    except nbdraw.Gone:
        pass
    assert process.wait(20) == 0 or STAND_IN, daemon.log_tail()
    daemon.process = None
    assert set(outcomes.values()) <= {0, nbdraw.ESHUTDOWN}, outcomes
    daemon.start()
    again = daemon.client()
    for number, error in outcomes.items():
        if error == 0:
            assert again.read(number * 128 * KiB, 128 * KiB) == bytes([number]) * 128 * KiB, f"write {number} is lost"


def shutdown_with_idle_clients_is_prompt(case):
    need_gnomon("qemu-nbd")
    daemon = case.daemon()
    clients = [daemon.client() for _ in range(20)] + [daemon.raw()]
    begun = time.monotonic()
    daemon.stop(15)
    assert time.monotonic() - begun < 8
    for client in clients:
        try:
            answer = client.call(Command.READ, 0, 512) if client.size else None
            assert answer is None or answer.error == nbdraw.ESHUTDOWN
        except nbdraw.Gone:
            pass


def what_was_written_before_a_clean_stop_is_there_without_a_flush(case):
    daemon = case.daemon()
    client = daemon.client()
    client.write(5000, pattern(3, 300_000))
    client.close()
    daemon.restart()
    assert daemon.client().read(5000, 300_000) == pattern(3, 300_000)


# --- garbage

def random_requests_do_no_harm(case):
    need_gnomon("qemu-nbd")
    daemon = case.daemon()
    chance = random.Random(case.seed)
    steady = daemon.client()
    steady.write(60 * MiB, b"s" * 4096)
    for _ in range(120):
        style = chance.choice(STYLES[:2] if STAND_IN else STYLES)
        with nbdraw.connect(daemon.address, daemon.export, style, timeout=3) as client:
            try:
                for _ in range(chance.randrange(1, 8)):
                    length = chance.choice((0, 1, 512, 4096, 65536, 1 << 31, 0xFFFFFFFF))
                    if chance.random() < 0.7:
                        length = min(length, 65536)
                    offset = chance.choice((0, 1, 4095, 50 * MiB, 64 * MiB, (1 << 64) - 1, chance.getrandbits(64)))
                    if offset + length > 59 * MiB and offset < 64 * MiB:
                        offset = 0
                    body = chance.randbytes(min(length, 65536)) if chance.random() < 0.3 else b""
                    client.send(client.header(chance.randrange(0, 10), offset, length, chance.getrandbits(6),
                                              chance.getrandbits(64)) + body)
                client.plug.settimeout(0.02)
                client.receive(1 << 20)
            except (nbdraw.Gone, nbdraw.Quiet):
                pass
    _well(steady)


def negotiation_verdicts_are_known(case):
    """No option, right or wrong, is answered with a reply type outside the protocol."""
    daemon = case.daemon()
    client = daemon.raw()
    for option in range(3, 20):
        kind = client.verdict(option, b"\0" * 12)
        assert kind == Reply.ACK or kind in set(Reply), f"option {option}: {kind:#x}"
        if kind == Reply.ACK and option == nbdraw.Option.GO:
            break
