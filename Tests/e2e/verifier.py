"""A writer that knows what must be there after a crash.

Every 4 KiB block carries its volume, its number and a generation in each of its sectors. The model
keeps, for every block, the values it was given since the last one that a flush or FUA made
durable: after a crash the block must show one of these, whole, and nothing else. Blocks are
owned by one connection, so that their order is known; a flush on any connection covers what every
connection of the volume had been acknowledged before.
"""
import random
import struct
import threading

import nbdraw
from nbdraw import Command

BLOCK = 4096
SECTOR = 512
STAMP = struct.Struct(">8sIIQ")
MAGIC = b"gnomonTV"


def stamped(volume, block, generation):
    body = b""
    for sector in range(BLOCK // SECTOR):
        body += (STAMP.pack(MAGIC, volume, block, generation * 8 + sector)).ljust(SECTOR, b"\xa5")
    return body


ZEROS = bytes(BLOCK)


def stamp_of(data):
    """-> ((volume, block), generation) of whatever block this was written to; None if it was none."""
    magic, volume, block, mixed = STAMP.unpack_from(data)
    return ((volume, block), mixed // 8) if magic == MAGIC else None


def value_of(volume, block, data):
    """The generation that a block shows, 0 for zeros; raises when it is torn or not this block's."""
    if data == ZEROS:
        return 0
    magic, whose, number, mixed = STAMP.unpack_from(data)
    if magic != MAGIC:
        raise AssertionError(f"block {block} of volume {volume} holds something that was never written to it: "
                             f"{data[:32].hex()}")
    if (whose, number) != (volume, block):
        raise AssertionError(f"block {block} of volume {volume} shows block {number} of volume {whose}")
    generation = mixed // 8
    if data != stamped(volume, block, generation):
        raise AssertionError(f"block {block} of volume {volume} is torn: it starts with generation {generation}")
    return generation


class Volume:
    """The model of one volume. `history[b]` holds sets of possible values, oldest first: the first
    is durable, the last is the newest issued."""

    def __init__(self, number, name, blocks):
        self.number, self.name, self.blocks = number, name, blocks
        self.lock = threading.Lock()
        self.history = [[frozenset([0])] for _ in range(blocks)]
        self.base = [0] * blocks    # the absolute index of history[b][0]
        self.acked = [0] * blocks   # the absolute index of the newest acknowledged
        self.generation = 0

    def issue(self, first, count, kind):
        """Notes an operation before it is sent; -> (payload or None, {block: absolute index})."""
        with self.lock:
            self.generation += 1
            indices, payload = {}, []
            for block in range(first, first + count):
                history = self.history[block]
                if kind == "write":
                    history.append(frozenset([self.generation]))
                    payload.append(stamped(self.number, block, self.generation))
                elif kind == "zero":
                    history.append(frozenset([0]))
                else:  # trim: zeros or what it was
                    history.append(history[-1] | {0})
                indices[block] = self.base[block] + len(history) - 1
            return b"".join(payload), indices

    def acknowledge(self, indices, durable):
        with self.lock:
            for block, index in indices.items():
                self.acked[block] = max(self.acked[block], index)
                if durable:
                    self.make_durable(block, index)

    def make_durable(self, block, index):
        drop = index - self.base[block]
        if drop > 0:
            del self.history[block][:drop]
            self.base[block] = index

    def before_flush(self):
        with self.lock:
            return list(self.acked)

    def after_flush(self, snapshot):
        with self.lock:
            for block, index in enumerate(snapshot):
                self.make_durable(block, index)

    def verify(self, client, after):
        """Compares all, and takes what is there for the new beginning."""
        step = 256
        for first in range(0, self.blocks, step):
            count = min(step, self.blocks - first)
            data = client.read(first * BLOCK, count * BLOCK)
            for number in range(count):
                block = first + number
                value = value_of(self.number, block, data[number * BLOCK:(number + 1) * BLOCK])
                allowed = frozenset().union(*self.history[block])
                if value not in allowed:
                    raise AssertionError(
                        f"{after}: block {block} of {self.name} shows generation {value}; durable is "
                        f"{sorted(self.history[block][0])}, issued since {[sorted(s) for s in self.history[block][1:]]}")
                self.history[block] = [frozenset([value])]
                self.base[block] = self.acked[block] = 0


class Load(threading.Thread):
    """One connection that writes its share of a volume until it is stopped or the daemon is gone."""

    def __init__(self, client, volume, share, shares, extent_blocks, seed, window=12):
        super().__init__(daemon=True)
        self.client, self.volume, self.chance = client, volume, random.Random(seed)
        self.chunk = extent_blocks
        self.mine = [first for first in range(0, volume.blocks, self.chunk) if first // self.chunk % shares == share]
        self.window, self.error = window, None
        self.stopping = threading.Event()
        self.calm = False  # nothing but small writes without FUA
        self.in_flight = {}
        self.busy = set()
        self.counts = {"write": 0, "zero": 0, "trim": 0, "flush": 0}

    def run(self):
        try:
            while not self.stopping.is_set():
                while len(self.in_flight) < self.window:
                    self.submit()
                self.finish_one()
            while self.in_flight:
                self.finish_one()
        except (nbdraw.Gone, nbdraw.Quiet):
            pass
        except BaseException as error:
            self.error = error

    def stop(self):
        """Has everything answered, without a flush."""
        self.stopping.set()
        self.join(40)
        if self.error:
            raise self.error

    def submit(self):
        if self.chance.random() < 0.03:
            snapshot = self.volume.before_flush()
            cookie = self.client.submit(Command.FLUSH)
            self.in_flight[cookie] = ("flush", snapshot, False)
            return
        first = self.chance.choice(self.mine)
        whole = not self.calm and self.chance.random() < 0.08
        count = self.chunk if whole else self.chance.choice((1, 1, 1, 2, 4, 16))
        count = min(count, self.chunk, self.volume.blocks - first)
        if not whole:
            first += self.chance.randrange(max(1, min(self.chunk, self.volume.blocks - first) - count + 1))
        blocks = set(range(first, first + count))
        if blocks & self.busy:
            return
        kind = self.chance.choice(("write", "zero", "trim", "trim")) if whole else \
            "write" if self.calm else self.chance.choices(("write", "zero", "trim"), (90, 6, 4))[0]
        fua = not self.calm and self.chance.random() < 0.1
        payload, indices = self.volume.issue(first, count, kind)
        command = {"write": Command.WRITE, "zero": Command.WRITE_ZEROES, "trim": Command.TRIM}[kind]
        cookie = self.client.submit(command, first * BLOCK, count * BLOCK, nbdraw.FUA if fua else 0, payload)
        self.in_flight[cookie] = (kind, indices, fua)
        self.busy |= blocks

    def finish_one(self):
        cookie, answer = self.client.wait_any()
        kind, what, fua = self.in_flight.pop(cookie)
        self.counts[kind] += 1
        if kind == "flush":
            assert answer.ok, f"flush failed with {answer.error}"
            self.volume.after_flush(what)
            return
        self.busy -= set(what)
        assert answer.ok, f"{kind} failed with {answer.error}"
        self.volume.acknowledge(what, fua)
