"""Sessions that our own client could have had, bent in every way, as plain data made from a seed.

A *case* has connections, each a list of steps, and the order in which the steps of all connections are
taken; so it can be written to a file, replayed and made smaller.

  ["send", hex]   ["read", count]   ["pause", milliseconds]   ["finish"]   ["reset"]   ["abandon"]

`finish` ends the client's side and expects the server to end its own. `abandon` leaves a negotiation
unfinished and open: the server must end it at its deadline.
"""
import json
import random
import struct

import nbdraw
from nbdraw import Command, Option, go_payload, meta_payload, option_bytes
from support import MiB

VOLUME, FROZEN, STEADY = "hostile", "frozen", "steady"
VOLUME_BYTES = 16 * MiB
NUMBERS = (0, 1, 2, 3, 4, 7, 8, 16, 255, 256, 4095, 4096, 4097, 65535, 65536, MiB, MiB + 1, VOLUME_BYTES - 1,
           VOLUME_BYTES, VOLUME_BYTES + 1, 32 * MiB, 32 * MiB + 1, 64 * MiB, 64 * MiB + 1, (1 << 31) - 1, 1 << 31,
           (1 << 32) - 1, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 4096, (1 << 64) - 1)


# --- sessions as a good client would have them

def negotiation(chance):
    """Messages up to the transmission phase, and its style; the style is None if there is none."""
    style = chance.choice(("simple", "structured", "extended"))
    export = chance.choice((VOLUME, VOLUME, VOLUME, FROZEN, "nobody", ""))
    messages = [struct.pack(">I", chance.choice((3, 3, 3, 1, 2, 0)))]
    if chance.random() < 0.3:
        messages.append(option_bytes(Option.LIST))
    if chance.random() < 0.2:
        messages.append(option_bytes(Option.STARTTLS))
    if style == "structured":
        messages.append(option_bytes(Option.STRUCTURED_REPLY))
    elif style == "extended":
        messages.append(option_bytes(Option.EXTENDED_HEADERS))
    if style != "simple" and chance.random() < 0.7:
        if chance.random() < 0.3:
            messages.append(option_bytes(Option.LIST_META_CONTEXT, meta_payload(export, ["base:"])))
        contexts = chance.sample(("base:allocation", "x-gnomon:tier", "x-gnomon:store", "other:thing"), 2)
        messages.append(option_bytes(Option.SET_META_CONTEXT, meta_payload(export, contexts)))
    if chance.random() < 0.3:
        messages.append(option_bytes(Option.INFO, go_payload(export, (0, 1, 2, 3))))
    if style != "extended" and chance.random() < 0.2:
        messages.append(option_bytes(Option.EXPORT_NAME, export.encode()))
    elif chance.random() < 0.1:
        return messages + [option_bytes(Option.ABORT)], None
    else:
        messages.append(option_bytes(Option.GO, go_payload(export, (3,))))
    return messages, style


def request(chance, style, command=None):
    """The bytes of one request, with its payload."""
    command = chance.choice(list(Command)) if command is None else command
    length = chance.choice((0, 1, 512, 4096, 4097, 65536, 300_000, 2 * MiB))
    offset = chance.randrange(0, VOLUME_BYTES - length, chance.choice((1, 512, 4096)))
    flags = chance.choice((0, 0, 0, 1 << chance.randrange(6), chance.getrandbits(6)))
    body = b""
    if command == Command.WRITE:
        length = min(length, 65536)
        body = bytes([chance.getrandbits(8)]) * length
        if style == "extended":
            flags |= nbdraw.PAYLOAD_LEN
    if command == Command.FLUSH:
        offset = length = 0
    fields = (flags, command, chance.getrandbits(64), offset, length)
    if style == "extended":
        return struct.pack(">IHHQQQ", nbdraw.EXTENDED_REQUEST_MAGIC, *fields) + body
    return struct.pack(">IHHQQI", nbdraw.REQUEST_MAGIC, *fields) + body


def nbd_session(chance):
    """-> (messages, how many of them negotiate)."""
    messages, style = negotiation(chance)
    negotiating = len(messages)
    if style is not None:
        commands = [command for command in Command if command != Command.DISC]
        for _ in range(chance.choice((1, 3, 10, 40))):
            messages.append(request(chance, style, chance.choice(commands)))
        if chance.random() < 0.5:
            messages.append(request(chance, style, Command.DISC))
    return messages, negotiating


def http_session(chance):
    """Requests of the control API on one connection; none of them negotiates."""
    volume = f"h{chance.randrange(20)}"
    bodies = {
        "POST /v1/volumes": {"name": volume, "sizeBytes": 4096 * chance.randrange(1, 4096), "extentBytes": 65536},
        f"PATCH /v1/volumes/{volume}": {"sizeBytes": 4096 * chance.randrange(1, 4096), "force": True},
        # Refused whatever else is bent: too small, and nothing can be made there.
        "POST /v1/stores": {"name": "s", "path": "/proc/gnomon/s", "sizeBytes": 4096, "tier": 1},
    }
    plain = ["GET /v1/pool", "GET /v1/status", "GET /v1/stores", "GET /v1/volumes", "HEAD /v1/pool",
             f"GET /v1/volumes/{volume}", f"DELETE /v1/volumes/{volume}", f"DELETE /v1/volumes/{STEADY}",
             "GET /v1/nothing", "PUT /v1/pool", "OPTIONS *"]
    messages = []
    for _ in range(chance.choice((1, 1, 2, 5))):
        line = chance.choice(plain + list(bodies) * 2)
        head = f"{line} HTTP/1.{chance.choice((1, 1, 1, 0))}\r\nHost: localhost\r\n"
        body = json.dumps(bodies[line]).encode() if line in bodies else b""
        if body and chance.random() < 0.3:
            head += "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            cut = chance.randrange(1, len(body))
            chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:cut], body[cut:]))
            messages.append(head.encode() + chunks + b"0\r\n\r\n")
            continue
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        if chance.random() < 0.2:
            value = chance.choice(("close", "100-continue", "y" * 3000))
            head += f"{chance.choice(('Connection', 'Expect', 'Cookie', 'X'))}: {value}\r\n"
        messages.append(head.encode() + b"\r\n" + body)
    return messages, 0


# --- bending them

def bend(chance, messages):
    """A few changes, of single bits up to whole messages."""
    messages = [bytearray(message) for message in messages]
    for _ in range(chance.choice((1, 1, 2, 4, 8))):
        index = chance.randrange(len(messages))
        message = messages[index]
        kind = chance.randrange(10)
        place = chance.randrange(len(message)) if message else 0
        # Headers are where it hurts.
        if len(message) > 40 and chance.random() < 0.7:
            place = chance.randrange(40)
        if kind == 0 and message:
            message[place] ^= 1 << chance.randrange(8)
        elif kind == 1 and message:
            message[place] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, 0x0A, 0x20, 0x25))
        elif kind in (2, 3, 4) and len(message) >= 4:
            width = chance.choice((2, 4, 8))
            place = min(place, len(message) - 1)
            number = chance.choice(NUMBERS) & ((1 << 8 * width) - 1)
            message[place:place + width] = number.to_bytes(width, "big")
        elif kind == 5:
            del message[place:place + chance.choice((1, 2, 8, len(message)))]
        elif kind == 6:
            message[place:place] = chance.randbytes(chance.choice((1, 4, 100, 5000)))
        elif kind == 7:
            messages.insert(chance.randrange(len(messages) + 1), bytearray(message))
        elif kind == 8:
            other = chance.randrange(len(messages))
            messages[index], messages[other] = messages[other], messages[index]
        else:
            messages[index] = message * chance.choice((2, 20))
    return [bytes(message) for message in messages]


def steps_of(chance, messages, negotiating):
    """How the bytes are delivered, and how the client leaves."""
    if negotiating and chance.random() < 0.03:
        stream = b"".join(messages[:negotiating])
        # The last message is what ends the negotiation: one byte less leaves it unfinished.
        return [["send", stream[:chance.randrange(len(stream))].hex()], ["abandon"]]
    if chance.random() < 0.9:
        messages = bend(chance, messages)
    manner = chance.random()
    steps = []
    if manner < 0.5:
        steps.append(["send", b"".join(messages).hex()])
    else:
        for message in messages:
            for piece in (message,) if manner < 0.8 else _pieces(chance, message):
                steps.append(["send", piece.hex()])
                if chance.random() < 0.3:
                    steps.append(["read", chance.choice((1, 100, 65536))])
                elif chance.random() < 0.02:
                    steps.append(["pause", chance.choice((1, 5, 20))])
    steps.append(["finish"] if chance.random() < 0.7 else ["reset"])
    return steps


def _pieces(chance, message):
    cuts = sorted(chance.randrange(len(message) + 1) for _ in range(3))
    return [message[begin:end] for begin, end in zip([0] + cuts, cuts + [len(message)])]


def make_case(kind, seed):
    chance = random.Random(seed)
    connections = []
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        messages, negotiating = nbd_session(chance) if kind == "nbd" else http_session(chance)
        steps = steps_of(chance, messages, negotiating)
        connections.append({"tcp": kind == "nbd" and chance.random() < 0.3, "steps": steps})
    order = [number for number, connection in enumerate(connections) for _ in connection["steps"]]
    chance.shuffle(order)
    return {"kind": kind, "seed": seed, "connections": connections, "order": order}
