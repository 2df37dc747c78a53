"""Loss of power, inside user-mode Linux: everything that the pool's file system writes is logged with the flushes
between, and the pool is started again on what a disk would hold that loses its cache at some moment.

Verifying clients and a manager load the daemon. Again and again what they were promised is noted and a mark is set
in the log. At a moment between two marks everything must be there that was promised before the first, and nothing
that was begun after the second.
"""
import json
import os
import random
import threading
import time

import nbdraw
import support
import verifier
import writelog
from support import KiB, MiB, eventually

# As uml.boot() was told to make them.
DEVICE, LOG, REPLAYED, CHANGES = "/dev/ubdb", "/dev/ubdc", "/dev/ubdd", "/dev/ubde"
DEVICE_MIB, LOG_MIB, CHANGES_MIB = 320, 2048, 320
DISKS = (DEVICE_MIB, LOG_MIB, DEVICE_MIB, CHANGES_MIB)
MODULES = ("dm-log-writes", "dm-snapshot")
MOUNT = "/mnt/fs"
MKFS = {"ext4": ["mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=1"], "xfs": ["mkfs.xfs", "-q", "-f", "-K"]}
SIZE = 5 * MiB  # of each volume
EXTENT = 64 * KiB
LOADS = 2       # connections for each volume


def dmsetup(case, *words):
    """Without udev, which the guest has not: dmsetup makes the nodes itself."""
    case.run("dmsetup", *words, env={"DM_DISABLE_UDEV": "1"})


class PromisedVolume(verifier.Volume):
    """A model that forgets nothing, so that it can say what held at any moment."""

    def __init__(self, number, name, blocks):
        super().__init__(number, name, blocks)
        self.durable = [0] * blocks

    def make_durable(self, block, index):
        self.durable[block] = max(self.durable[block], index)

    def promised(self):
        with self.lock:
            return list(self.durable)

    def issued(self):
        with self.lock:
            return [len(values) - 1 for values in self.history]

    def verify_between(self, client, promised, issued, when):
        step = 256
        for first in range(0, self.blocks, step):
            count = min(step, self.blocks - first)
            data = client.read(first * verifier.BLOCK, count * verifier.BLOCK)
            for number in range(count):
                block = first + number
                value = verifier.value_of(self.number, block, data[number * verifier.BLOCK:][:verifier.BLOCK])
                allowed = frozenset().union(*self.history[block][promised[block]:issued[block] + 1])
                if value not in allowed:
                    raise BrokenPromise(f"{when}: block {block} of {self.name} shows generation {value}, "
                                        f"possible are {sorted(allowed)}", (self, block))


class BrokenPromise(AssertionError):
    """Something is not there that was promised."""

    def __init__(self, text, block=None):
        """`block` is the volume and the number of the block that shows it."""
        super().__init__(text)
        self.block = block


class Manager(threading.Thread):
    """Makes and deletes volumes and adds stores until it is stopped."""

    def __init__(self, case, daemon):
        super().__init__(daemon=True)
        self.case, self.daemon, self.error = case, daemon, None
        self.stopping = threading.Event()
        # Names, each set only grows. A name is never used twice.
        self.adding, self.added, self.deleting, self.deleted = set(), set(), set(), set()

    def run(self):
        try:
            number = 0
            while not self.stopping.is_set():
                number += 1
                kind, how = ("store", f"={self.daemon.store_path(f's{number}')},size=2M,tier=9") \
                    if number % 5 == 0 else ("volume", "=8M")
                name = f"{kind[0]}{number}"
                self.adding.add(name)
                self.case.run(self.daemon.binary, kind, "add" if kind == "store" else "create", name + how,
                              "--pool", self.daemon.pool)
                self.added.add(name)
                if number % 3 == 0 and kind == "volume":
                    self.deleting.add(name)
                    self.case.run(self.daemon.binary, "volume", "delete", name, "--pool", self.daemon.pool)
                    self.deleted.add(name)
                time.sleep(0.1)
        except BaseException as error:
            self.error = error

    def stop(self):
        self.stopping.set()
        self.join(60)
        if self.error:
            raise self.error


class Record:
    """What was promised and begun, from mark to mark."""

    def __init__(self, volumes, manager):
        self.volumes, self.manager = volumes, manager
        self.lasting = {volume.name for volume in volumes} | {"fast", "bulk"}
        self.mapper = os.open("/dev/mapper/control", os.O_RDWR)
        self.promised, self.begun = [], []

    def mark(self):
        # Promised before the mark is set; begun until it is: whatever happens meanwhile is on the safe side.
        number = len(self.promised)
        self.promised.append(([volume.promised() for volume in self.volumes],
                              set(self.manager.added), set(self.manager.deleted)))
        writelog.set_mark(self.mapper, "logged", f"mark-{number}")
        self.begun.append(([volume.issued() for volume in self.volumes],
                           set(self.manager.adding), set(self.manager.deleting)))

    def verify(self, daemon, number, when):
        promised, added, deleted = self.promised[number]
        issued, adding, deleting = self.begun[number + 1]
        for volume, least, most in zip(self.volumes, promised, issued):
            with nbdraw.connect(daemon.address, volume.name, timeout=60) as client:
                volume.verify_between(client, least, most, when)
        status = json.loads(daemon.case.run(daemon.binary, "status", "--json", "--pool", daemon.pool))
        names = {item["name"] for item in status["volumes"] + status["stores"]} - self.lasting
        for what, wrong in (("is gone", added - deleting - names), ("is back", deleted & names),
                            ("was never asked for", names - adding)):
            if wrong:
                raise BrokenPromise(f"{when}: {sorted(wrong)[0]} {what}")


def survive(case, kind, cache, marks, points, canary):
    """`points` moments are verified. With a `canary`, a deliberate bug, they must not all pass."""
    os.makedirs(MOUNT, exist_ok=True)
    sectors = DEVICE_MIB * MiB // 512
    dmsetup(case, "create", "logged", "--table", f"0 {sectors} log-writes {DEVICE} {LOG}")
    case.run(*MKFS[kind], "/dev/mapper/logged")
    case.run("mount", "-t", kind, "/dev/mapper/logged", MOUNT)
    pool = support.Case(case.name, MOUNT, case.seed)
    case.cleanups.append(pool.cleanup)
    record, daemon = load(case, pool, cache, marks, canary)
    daemon.kill()
    unmount(case)
    dmsetup(case, "remove", "logged")
    daemon.binary, daemon.env = support.BINARY, {}
    broken = cut(case, daemon, kind, record, points, stops=bool(canary))
    if canary:
        assert broken, f"{canary}: {points} cuts of power, and nothing was lost"
        case.note(f"{canary} was found: {broken}")
    elif broken:
        raise broken


def load(case, pool, cache, marks, canary):
    options = {"binary": support.DEBUG_BINARY, "env": {"GNOMON_CANARY": canary}} if canary else {}
    daemon = pool.daemon(volumes={"one": SIZE, "two": SIZE}, extent=EXTENT, cache=cache,
                         stores=[("fast", 7 * MiB, 0), ("bulk", 12 * MiB, 2)], **options)
    volumes = [PromisedVolume(number, name, SIZE // verifier.BLOCK) for number, name in enumerate(("one", "two"))]
    manager = Manager(case, daemon)
    record = Record(volumes, manager)
    chance = random.Random(case.seed)
    loads = [verifier.Load(daemon.client(volume.name, timeout=60), volume, share, LOADS, EXTENT // verifier.BLOCK,
                           chance.getrandbits(32)) for volume in volumes for share in range(LOADS)]
    for part in (*loads, manager):
        part.start()
    for number in range(marks):
        # Calm half of the time: a flush without map changes or FUA beside it is hidden by nothing if it is missing.
        for part in loads:
            part.calm = number // 10 % 2 == 1
        record.mark()
        time.sleep(0.05)
    for part in (*loads, manager):
        part.stop()
    record.mark()
    case.note(f"acknowledged: {[load.counts for load in loads]}, {len(manager.added)} made, "
              f"{len(manager.deleted)} deleted")
    case.note("\n".join(line for line in daemon.log().splitlines() if " info " not in line))
    return record, daemon


def cut(case, daemon, kind, record, points, stops):
    """-> the first broken promise, or None."""
    log = writelog.Log(LOG)
    log.leave_out_overtaken(verifier.stamp_of)
    marks = {int(text.removeprefix("mark-")): position for text, position in log.marks().items()
             if text.startswith("mark-")}  # the kernel sets one of its own at the end
    assert len(marks) == len(record.promised), f"{len(marks)} marks in the log, {len(record.promised)} were set"
    moments = choose(log, marks, points, random.Random(case.seed))
    case.note(f"{len(log.entries)} entries, {sum(entry.is_barrier for entry in log.entries)} flushes and FUA writes, "
              f"{len(marks)} marks, {len(moments)} moments, "
              f"{sum(len(entry.overtaken) for entry in log.entries)} pieces overtaken")
    device = os.open(REPLAYED, os.O_RDWR)
    done, first = 0, None
    for position, end, number, seed in moments:
        log.replay(device, done, position)
        done = position
        when = f"power cut after entry {position}" + (f", some of {end - position} more (seed {seed})" if seed else "")
        try:
            start_on_copy(case, log, daemon, kind, position, end, seed)
            record.verify(daemon, number, when)
        except AssertionError as error:
            # A pool that does not open, a check that finds damage, a block that is torn: promises, all of them.
            broken = error if isinstance(error, BrokenPromise) else BrokenPromise(f"{when}: {error}")
            case.note(str(broken))
            if broken.block:
                tell(case, log, *broken.block)
            first = first or broken
        finally:
            put_away(case, daemon)
        if first and stops:
            break
    os.close(device)
    log.close()
    return first


def tell(case, log, volume, block):
    """What the log has of a block: whether a write to it is missing there, or was undone by a later one."""
    for position, entry in enumerate(log.entries):
        for at, data in log.pieces(entry):
            whose, generation = verifier.stamp_of(data) or (None, 0)
            if whose == (volume.number, block):
                case.note(f"entry {position}, flags {entry.flags}: generation {generation} at {entry.offset + at}")


def choose(log, marks, points, chance):
    """-> [(replay all before this entry, and some up to before this one, the last mark before, seed or None)]"""
    last = marks[max(marks)]
    barriers = [position + 1 for position in range(marks[0], last) if log.entries[position].is_barrier]
    latest, number = {}, 0  # before each entry, the last mark
    for position in range(marks[0], last):
        if position >= marks[number + 1]:
            number += 1
        latest[position + 1] = number
    # Half of them where a promise is as fresh as can be.
    positions = chance.sample([marks[number] + 1 for number in range(len(marks) - 1)],
                              min(points // 2, len(marks) - 1))
    positions += chance.sample(barriers, min(points - len(positions), len(barriers)))
    moments = []
    for position in positions:
        flush = next((at for at in range(position, last) if log.entries[at].flags & writelog.FLUSH), position)
        # What is logged up to the next flush was in the cache, in parts on its way to the disk.
        end = chance.randint(position, flush)
        seed = chance.getrandbits(32) if end > position else None
        moments.append((position, end, latest[end], seed))
    return sorted(moments, key=lambda moment: moment[0])


def start_on_copy(case, log, daemon, kind, position, end, seed):
    """Mounts a copy of the device as it was, has the pool checked and serves it."""
    sectors = DEVICE_MIB * MiB // 512
    dmsetup(case, "create", "copy", "--table",
             f"0 {sectors} snapshot {REPLAYED} {CHANGES} N 8")
    if seed:
        device = os.open("/dev/mapper/copy", os.O_RDWR)
        log.replay_some(device, position, end, random.Random(seed))
        os.close(device)
    mounted = case.run("mount", "-t", kind, "/dev/mapper/copy", MOUNT, status=None)
    if mounted.returncode:
        raise RuntimeError(f"the file system itself is broken after entry {position}: {mounted.stderr}")
    daemon.check()
    daemon.start()


def put_away(case, daemon):
    daemon.kill()
    unmount(case)
    if os.path.exists("/dev/mapper/copy"):
        dmsetup(case, "remove", "--retry", "copy")


def unmount(case):
    def is_unmounted():
        if f" {MOUNT} " not in open("/proc/mounts", encoding="utf-8").read():
            return True
        case.run("umount", MOUNT, status=None)
        return False
    # The kernel takes apart the ring of a process that was killed in the background.
    eventually(is_unmounted, 20, "the end of the mount")
