"""Fixed newstyle negotiation: every option, right and wrong, over the real socket."""
import struct
import time

import nbdraw
from nbdraw import Command, Info, Option, Reply
from support import KiB, STAND_IN, MiB, each, need_gnomon

NAME_MAX = 4096


def _alive_after(daemon):
    """The daemon still serves others."""
    with nbdraw.connect(daemon.address, daemon.export, "simple") as other:
        other.read(0, 512)


def _still_haggling(client, export):
    """The option parser is in step, and negotiation can still succeed."""
    assert client.go(export) == Reply.ACK
    client.read(0, 512)


def greeting_offers_fixed_newstyle_without_zeroes(case):
    client = case.daemon().raw()
    assert client.server_flags & nbdraw.FIXED_NEWSTYLE
    assert client.server_flags & nbdraw.NO_ZEROES
    assert client.server_flags & ~3 == 0, f"unknown server flags {client.server_flags:#x}"


@each(1 << 2, 1 << 15, 1 << 31, 0xFFFFFFFC | 3)
def unknown_client_flags_drop_the_connection(case, bits):
    daemon = case.daemon()
    client = daemon.raw(flags=3 | bits)
    assert client.wait_closed() == b""
    _alive_after(daemon)


@each(0, 1, 2, 3)
def export_name_pads_as_the_client_flags_say(case, flags):
    daemon = case.daemon()
    client = daemon.raw(flags=flags)
    client.say(Option.EXPORT_NAME, daemon.export.encode())
    if flags == 2:  # NO_ZEROES without FIXED_NEWSTYLE: the server may refuse or serve
        try:
            head = client.receive(10)
        except nbdraw.Gone:
            return
    else:
        head = client.receive(10)
    size, transmission = struct.unpack(">QH", head)
    assert size == 64 * MiB and transmission & nbdraw.HAS_FLAGS
    if not flags & nbdraw.NO_ZEROES:
        assert client.receive(124) == bytes(124)
    client.read(0, 4096)
    client.disconnect()


def export_name_of_an_unknown_export_drops_the_connection(case):
    need_gnomon("qemu-nbd")
    daemon = case.daemon()
    client = daemon.raw()
    client.say(Option.EXPORT_NAME, b"nobody")
    assert client.wait_closed() == b""
    _alive_after(daemon)


def export_name_longer_than_a_name_drops_the_connection(case):
    daemon = case.daemon()
    client = daemon.raw()
    client.say(Option.EXPORT_NAME, b"n" * (NAME_MAX + 1))
    assert client.wait_closed() == b""
    _alive_after(daemon)


def export_name_after_extended_headers_drops_the_connection(case):
    need_gnomon()
    daemon = case.daemon()
    client = daemon.raw().negotiate("extended")
    client.say(Option.EXPORT_NAME, daemon.export.encode())
    assert client.wait_closed() == b""
    _alive_after(daemon)


def a_wrong_option_magic_drops_the_connection(case):
    daemon = case.daemon()
    client = daemon.raw()
    client.say(Option.LIST, magic=nbdraw.OPTION_MAGIC ^ 1)
    assert client.wait_closed() == b""
    _alive_after(daemon)


@each(0, 1, 7, 4095, 4096, 4097, 32768, 65536)
def an_unknown_option_is_unsupported_and_the_parser_stays_in_step(case, length):
    daemon = case.daemon()
    client = daemon.raw()
    for option in (0, 4, 12, 0x7FFFFFFF, 0xFFFFFFFF):
        assert client.verdict(option, b"\x49" * length) == Reply.ERR_UNSUP, f"option {option:#x}"
    _still_haggling(client, daemon.export)


@each(1 * MiB, 33 * MiB)
def a_huge_unknown_option_is_drained_or_drops_the_connection(case, length):
    daemon = case.daemon()
    before = daemon.memory()
    client = daemon.raw()
    try:
        kind = client.verdict(77, b"\0" * length)
        assert kind in (Reply.ERR_UNSUP, Reply.ERR_TOO_BIG, Reply.ERR_INVALID), f"{kind:#x}"
        _still_haggling(client, daemon.export)
    except nbdraw.Gone:
        pass
    _alive_after(daemon)
    assert daemon.memory() - before < 16 * MiB, "memory grew with the option's length"


@each(Option.EXPORT_NAME, Option.LIST, Option.GO, Option.INFO, Option.SET_META_CONTEXT, 4711)
def an_option_of_4_gib_is_not_allocated(case, option):
    daemon = case.daemon()
    before = daemon.memory()
    client = daemon.raw()
    client.say(option, b"x" * 1000, length=0xFFFFFFFF)
    time.sleep(0.3)
    assert daemon.memory() - before < 16 * MiB, "memory sized by an unchecked length"
    client.reset()
    _alive_after(daemon)


def options_budget_ends_an_endless_negotiation(case):
    """Either the options stay answered or the connection ends; memory stays bounded either way."""
    daemon = case.daemon()
    before = daemon.memory()
    client = daemon.raw()
    try:
        for _ in range(2000):
            assert client.verdict(99, b"y" * 512) == Reply.ERR_UNSUP
        _still_haggling(client, daemon.export)
    except nbdraw.Gone:
        pass
    assert daemon.memory() - before < 16 * MiB
    _alive_after(daemon)


def list_names_every_volume(case):
    need_gnomon()
    daemon = case.daemon(volumes={"alpha": 8 * MiB, "beta": 16 * MiB, "gamma-3": 24 * MiB})
    client = daemon.raw()
    replies = client.ask(Option.LIST)
    assert replies[-1] == (Reply.ACK, b"")
    names = set()
    for kind, body in replies[:-1]:
        assert kind == Reply.SERVER
        length = struct.unpack(">I", body[:4])[0]
        names.add(body[4:4 + length].decode())
    assert names - {""} == {"alpha", "beta", "gamma-3"}, names
    _still_haggling(client, "beta")
    assert client.size == 16 * MiB


@each(Option.LIST, Option.STRUCTURED_REPLY, Option.EXTENDED_HEADERS)
def data_where_none_belongs_is_invalid(case, option):
    if option == Option.EXTENDED_HEADERS:
        need_gnomon()
    daemon = case.daemon()
    client = daemon.raw()
    assert client.verdict(option, b"surplus") == Reply.ERR_INVALID
    if option != Option.LIST:
        # It was refused, so READ must be answered in the simple style.
        _still_haggling(client, daemon.export)
    else:
        _still_haggling(client, daemon.export)


def an_only_volume_is_the_default_export(case):
    need_gnomon()
    daemon = case.daemon(volumes={"solo": 8 * MiB})
    for name in ("", "solo"):
        with daemon.raw() as client:
            assert client.go(name) == Reply.ACK
            assert client.size == 8 * MiB


def two_volumes_have_no_default_export(case):
    need_gnomon()
    daemon = case.daemon(volumes={"one": 8 * MiB, "two": 8 * MiB})
    client = daemon.raw()
    assert client.go("") == Reply.ERR_UNKNOWN
    _still_haggling(client, "two")


@each(Option.GO, Option.INFO)
def an_unknown_export_is_refused_and_haggling_goes_on(case, option):
    need_gnomon("qemu-nbd")
    daemon = case.daemon()
    client = daemon.raw()
    for name in ("nobody", "v ", "V", "vv", "../v", "\u00fc" * 100):
        assert client.go(name, option=option) == Reply.ERR_UNKNOWN, name
    if not STAND_IN:
        for name in ("v\0", b"\xff\xfe"):
            assert client.go(name, option=option) in (Reply.ERR_UNKNOWN, Reply.ERR_INVALID), name
    _still_haggling(client, daemon.export)


def info_does_not_enter_transmission(case):
    daemon = case.daemon()
    client = daemon.raw()
    for _ in range(3):
        assert client.go(daemon.export, option=Option.INFO) == Reply.ACK
        assert client.size == 64 * MiB
    _still_haggling(client, daemon.export)


def info_and_go_agree(case):
    daemon = case.daemon()
    client = daemon.raw().negotiate("structured")
    infos = (Info.NAME, Info.DESCRIPTION, Info.BLOCK_SIZE, 0x7777)
    assert client.go(daemon.export, infos, Option.INFO) == Reply.ACK
    first = (client.size, client.flags, client.block_sizes, dict(client.names))
    assert client.go(daemon.export, infos) == Reply.ACK
    assert first == (client.size, client.flags, client.block_sizes, client.names)


def block_sizes_are_sound(case):
    daemon = case.daemon()
    client = daemon.client()
    if client.block_sizes is None:
        need_gnomon()
    minimum, preferred, maximum = client.block_sizes
    assert minimum == 1 or minimum & (minimum - 1) == 0 and minimum <= 64 * KiB
    assert preferred & (preferred - 1) == 0 and minimum <= preferred and preferred >= 512
    assert maximum >= 32 * MiB or maximum == 0xFFFFFFFF
    assert maximum % minimum == 0
    if not STAND_IN:
        assert minimum == 1, "any alignment is served"


def the_transmission_flags_promise_what_the_daemon_does(case):
    need_gnomon()
    daemon = case.daemon()
    client = daemon.client()
    wanted = (nbdraw.SEND_FLUSH | nbdraw.SEND_FUA | nbdraw.SEND_TRIM | nbdraw.SEND_WRITE_ZEROES | nbdraw.SEND_DF
              | nbdraw.CAN_MULTI_CONN | nbdraw.SEND_CACHE | nbdraw.SEND_FAST_ZERO)
    assert client.flags & wanted == wanted, f"flags {client.flags:#x}, wanted {wanted:#x}"
    assert not client.flags & nbdraw.READ_ONLY
    assert not client.flags & nbdraw.SEND_RESIZE
    with nbdraw.connect(daemon.address, daemon.export, "simple") as simple:
        assert not simple.flags & nbdraw.SEND_DF, "DF needs structured replies"


@each(Option.GO, Option.INFO)
def a_malformed_go_is_invalid_and_haggling_goes_on(case, option):
    daemon = case.daemon()
    client = daemon.raw()
    good = nbdraw.go_payload(daemon.export, (Info.BLOCK_SIZE,))
    bad = [
        b"", b"\0", b"\0\0\0", b"\0\0\0\0", good[:-1], good[:-2], good[:5],
        struct.pack(">I", 0xFFFFFFFF) + good[4:],              # name length beyond the option
        struct.pack(">I", len(good)) + good[4:],
        nbdraw.go_payload(daemon.export)[:-2] + b"\xff\xff",    # more infos than there are
    ]
    for payload in bad:
        kind = client.verdict(option, payload)
        assert kind == Reply.ERR_INVALID, f"{payload!r}: {kind:#x}"
    _still_haggling(client, daemon.export)


@each(Option.GO, Option.INFO, Option.SET_META_CONTEXT, Option.LIST_META_CONTEXT)
def a_name_over_4096_bytes_is_refused_and_haggling_goes_on(case, option):
    daemon = case.daemon()
    client = daemon.raw().negotiate("structured")
    name = "n" * (NAME_MAX + 1)
    meta = option in (Option.SET_META_CONTEXT, Option.LIST_META_CONTEXT)
    payload = nbdraw.meta_payload(name, ["base:"]) if meta else nbdraw.go_payload(name)
    kind = client.verdict(option, payload)
    assert kind in (Reply.ERR_INVALID, Reply.ERR_TOO_BIG, Reply.ERR_UNKNOWN), f"{kind:#x}"
    _still_haggling(client, daemon.export)


def a_name_of_4096_bytes_is_only_unknown(case):
    need_gnomon("qemu-nbd")
    daemon = case.daemon()
    client = daemon.raw()
    assert client.go("n" * NAME_MAX) == Reply.ERR_UNKNOWN
    _still_haggling(client, daemon.export)


def abort_is_acknowledged_and_closes(case):
    client = case.daemon().raw()
    assert client.verdict(Option.ABORT) == Reply.ACK
    assert client.wait_closed() == b""


def starttls_without_tls_is_refused(case):
    daemon = case.daemon()
    client = daemon.raw()
    assert client.verdict(Option.STARTTLS) in (Reply.ERR_UNSUP, Reply.ERR_POLICY)
    _still_haggling(client, daemon.export)


def styles_are_negotiated_once_and_in_order(case):
    need_gnomon()
    daemon = case.daemon()
    client = daemon.raw().negotiate("structured").negotiate("extended")
    assert client.verdict(Option.STRUCTURED_REPLY) == Reply.ERR_EXT_HEADER_REQD
    assert client.verdict(Option.EXTENDED_HEADERS) in (Reply.ERR_INVALID, Reply.ACK)
    _still_haggling(client, daemon.export)


def extended_headers_do_without_structured_replies(case):
    need_gnomon()
    daemon = case.daemon()
    client = daemon.client(style="extended")
    client.write(1000, b"extended")
    assert client.read(1000, 8) == b"extended"
    client.disconnect()


def meta_contexts_need_structured_replies(case):
    daemon = case.daemon()
    client = daemon.raw()
    kind = client.verdict(Option.SET_META_CONTEXT, nbdraw.meta_payload(daemon.export, ["base:allocation"]))
    assert kind & nbdraw.ERROR_BIT, "accepted before structured replies"
    _still_haggling(client, daemon.export)


def meta_contexts_are_listed(case):
    need_gnomon()
    daemon = case.daemon()
    client = daemon.raw().negotiate("structured")
    def listed(*queries):
        replies = client.ask(Option.LIST_META_CONTEXT, nbdraw.meta_payload(daemon.export, queries))
        assert replies[-1][0] == Reply.ACK
        return {body[4:].decode() for _, body in replies[:-1]}
    every = listed()
    assert {"base:allocation", "x-gnomon:tier", "x-gnomon:store"} <= every, every
    assert listed("base:") == {"base:allocation"}
    assert listed("base:allocation") == {"base:allocation"}
    assert {"x-gnomon:tier", "x-gnomon:store"} <= listed("x-gnomon:")
    assert listed("x-gnomon:tier", "base:allocation") == {"x-gnomon:tier", "base:allocation"}
    assert listed("base:nothing") == set()
    assert listed("nothing:at-all") == set()
    _still_haggling(client, daemon.export)


def set_meta_context_replaces_the_old_set(case):
    need_gnomon()
    daemon = case.daemon()
    client = daemon.raw().negotiate("structured")
    client.set_contexts(daemon.export, ["base:allocation"])
    assert set(client.contexts) == {"base:allocation"}
    client.set_contexts(daemon.export, ["x-gnomon:tier"])
    assert set(client.contexts) == {"x-gnomon:tier"}
    assert client.go(daemon.export) == Reply.ACK
    assert set(client.status(0, MiB)) == {"x-gnomon:tier"}


@each("unknown export", "malformed", "no query", "no match", "name too long")
def set_meta_context_replaces_the_old_set_even_when_it_fails(case, how):
    need_gnomon("qemu-nbd")
    daemon = case.daemon()
    client = daemon.raw().negotiate("structured")
    client.set_contexts(daemon.export, ["base:allocation"])
    assert client.contexts
    payload = {
        "unknown export": nbdraw.meta_payload("nobody", ["base:allocation"]),
        "malformed": nbdraw.meta_payload(daemon.export, ["base:allocation"])[:-3],
        "no query": nbdraw.meta_payload(daemon.export, []),
        "no match": nbdraw.meta_payload(daemon.export, ["qemu:dirty-bitmap:x"]),
        "name too long": nbdraw.meta_payload("n" * 5000, ["base:allocation"]),
    }[how]
    replies = client.ask(Option.SET_META_CONTEXT, payload)
    assert len(replies) == 1, "no context may be selected"
    assert (replies[0][0] == Reply.ACK) == (how in ("no query", "no match")), f"{replies[0][0]:#x}"
    client.contexts = {}
    assert client.go(daemon.export) == Reply.ACK
    assert client.call(Command.BLOCK_STATUS, 0, 4096).error == nbdraw.EINVAL


def contexts_of_another_export_do_not_count(case):
    need_gnomon()
    daemon = case.daemon(volumes={"one": 8 * MiB, "two": 8 * MiB})
    client = daemon.raw().negotiate("structured")
    client.set_contexts("one", ["base:allocation"])
    client.contexts = {}
    assert client.go("two") == Reply.ACK
    assert client.call(Command.BLOCK_STATUS, 0, 4096).error == nbdraw.EINVAL


@each(Option.SET_META_CONTEXT, Option.LIST_META_CONTEXT)
def a_malformed_meta_context_option_is_invalid(case, option):
    daemon = case.daemon()
    client = daemon.raw().negotiate("structured")
    good = nbdraw.meta_payload(daemon.export, ["base:allocation"])
    name = daemon.export.encode()
    bad = [
        b"", b"\0\0", good[:-1], good[:len(name) + 6],
        struct.pack(">I", 0xFFFFFFF0) + good[4:],
        struct.pack(">I", len(name)) + name + struct.pack(">I", 0xFFFFFFFF),
        struct.pack(">I", len(name)) + name + struct.pack(">II", 1, 0xFFFFFFFF),
    ]
    if not STAND_IN:
        bad.append(good + b"tail")
    for payload in bad:
        kind = client.verdict(option, payload)
        assert kind in (Reply.ERR_INVALID, Reply.ERR_TOO_BIG), f"{payload!r}: {kind:#x}"
    _still_haggling(client, daemon.export)


def many_context_queries_are_answered_or_refused(case):
    daemon = case.daemon()
    client = daemon.raw().negotiate("structured")
    try:
        kind = client.verdict(Option.LIST_META_CONTEXT,
                              nbdraw.meta_payload(daemon.export, ["base:allocation"] * 1000))
        assert kind == Reply.ACK or kind & nbdraw.ERROR_BIT
        _still_haggling(client, daemon.export)
    except nbdraw.Gone:
        pass
    _alive_after(daemon)


def a_handshake_in_single_bytes_works(case):
    daemon = case.daemon()
    client = daemon.raw(flags=None)
    stream = struct.pack(">I", 3)
    stream += nbdraw.option_bytes(Option.STRUCTURED_REPLY)
    stream += nbdraw.option_bytes(Option.GO, nbdraw.go_payload(daemon.export, (Info.BLOCK_SIZE,)))
    for byte in stream:
        client.send(bytes([byte]))
    assert client.hear(Option.STRUCTURED_REPLY)[-1][0] == Reply.ACK
    client.style = "structured"
    replies = client.hear(Option.GO)
    assert replies[-1][0] == Reply.ACK
    client.learn(replies[:-1])
    assert client.read(0, 512) == bytes(512)


def a_handshake_in_one_packet_works(case):
    """Flags, options and the first requests arrive together: nothing of the rest may be lost."""
    need_gnomon("qemu-nbd")
    daemon = case.daemon()
    client = daemon.raw(flags=None)
    client.style = "structured"
    stream = struct.pack(">I", 3)
    stream += nbdraw.option_bytes(Option.STRUCTURED_REPLY)
    stream += nbdraw.option_bytes(123, b"unknown")
    stream += nbdraw.option_bytes(Option.GO, nbdraw.go_payload(daemon.export))
    stream += client.header(Command.WRITE, 0, 6, 0, 1) + b"packed"
    client.requests[1] = nbdraw.Request(Command.WRITE, 0, 6, 0)
    client.send(stream)
    assert client.hear(Option.STRUCTURED_REPLY)[-1][0] == Reply.ACK
    assert client.hear(123)[-1][0] == Reply.ERR_UNSUP
    assert client.hear(Option.GO)[-1][0] == Reply.ACK
    assert client.wait(1).ok
    assert client.read(0, 6) == b"packed"


def a_client_that_goes_away_anywhere_in_the_handshake_leaves_nothing(case):
    daemon = case.daemon()
    stream = struct.pack(">I", 3) + nbdraw.option_bytes(Option.STRUCTURED_REPLY)
    stream += nbdraw.option_bytes(Option.GO, nbdraw.go_payload(daemon.export, (Info.BLOCK_SIZE,)))
    for cut in range(0, len(stream) + 1, 3):
        client = nbdraw.Client(daemon.tcp_address, flags=None)
        client.send(stream[:cut])
        client.reset() if cut % 2 else client.close()
    _alive_after(daemon)


def random_options_do_no_harm(case):
    """Garbage with a correct frame, then garbage without one."""
    import random
    daemon = case.daemon()
    chance = random.Random(case.seed)
    for _ in range(150):
        with nbdraw.Client(daemon.address, timeout=3) as client:
            try:
                for _ in range(chance.randrange(1, 6)):
                    client.say(chance.randrange(0, 14), chance.randbytes(chance.randrange(0, 300)))
                client.send(chance.randbytes(chance.randrange(0, 64)))
                client.plug.settimeout(0.02)
                client.receive(1 << 16)
            except (nbdraw.Gone, nbdraw.Quiet):
                pass
    _alive_after(daemon)
