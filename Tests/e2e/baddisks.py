"""Disks under stores that get slow, hang, err and lose sectors, inside user-mode Linux: device mapper puts them between
the daemon and its block device, and the live copies lie there. Whoever has a shadow on another disk notices nothing."""
import os
import random
import time

import nbdraw
import support
import verifier
from powercut import dmsetup
from support import KiB, MiB, eventually

BAD, GOOD = "/dev/ubdb", "/dev/ubdc"
SECTOR = 512


class Disk:
    """A device-mapper device over a disk, whose table is changed while it is used."""

    def __init__(self, case, name="bad", below=BAD):
        self.case, self.name, self.below = case, name, below
        self.path = f"/dev/mapper/{name}"
        with open(f"/sys/block/{os.path.basename(below)}/size", encoding="ascii") as file:
            self.sectors = int(file.read())
        self.bytes = self.sectors * SECTOR
        dmsetup(case, "create", name, "--table", self.table("linear", "0"))

    def table(self, target, *words):
        return " ".join((f"0 {self.sectors} {target} {self.below}", *words))

    def load(self, table):
        """What was begun is ended under the old table."""
        dmsetup(self.case, "suspend", "--nolockfs", self.name)
        dmsetup(self.case, "load", self.name, "--table", table)
        dmsetup(self.case, "resume", self.name)

    # --- what happens to it

    def get_slow(self):
        self.load(self.table("delay", "0 200"))

    def hang(self):
        dmsetup(self.case, "suspend", "--nolockfs", "--noflush", self.name)

    def refuse_writes(self):
        self.load(self.table("flakey", "0 0 3600 1 error_writes"))

    def fail(self):
        self.load(self.table("flakey", "0 0 3600"))

    def lose_sectors(self, chance):
        """Reads of some blocks fail until they are written again."""
        self.load(self.table("dust", f"0 {4 * KiB}"))
        # Where the slots begin that are taken first: the label in the first MiB is another matter. Each costs a process.
        for block in chance.sample(range(256, 256 + 20 * MiB // (4 * KiB)), 30):
            dmsetup(self.case, "message", self.name, "0", "addbadblock", str(block))
        dmsetup(self.case, "message", self.name, "0", "enable")

    def recover(self):
        dmsetup(self.case, "resume", self.name)
        self.load(self.table("linear", "0"))


# First what needs the disk to be read, which it is not for a while after it was slow; last what needs a restart.
FAULTS = ("lose_sectors", "get_slow", "hang", "refuse_writes", "fail")


def pool(case, bad, size, extent=256 * KiB):
    """A daemon that keeps the live copies on the bad disk and shadows on the good one."""
    # How single requests are redirected is looked at; a store that has erred would be left alone for minutes.
    daemon = support.Daemon(case, volumes={"v": size}, extent=extent, config="{ health: { act: false } }",
                            stores=[("bad", f"{bad.path},size={bad.bytes}", 0), ("good", f"{GOOD},size={bad.bytes}", 1)])
    case.daemons.append(daemon)
    daemon.create()
    daemon.start()
    with nbdraw.connect(daemon.address, "v", timeout=60) as client:
        for offset in range(0, size, MiB):
            client.write(offset, bytes(MiB - 1) + b"x")
        client.flush()
    daemon.gnomon("volume", "set", "v", "--copies", "2")
    wait_protected(daemon)
    return daemon


def wait_protected(daemon, seconds=60):
    eventually(lambda: daemon.json("volume", "show", "v")["lackingExtents"] == 0, seconds, "two copies of everything")


def is_failed(daemon):
    return daemon.json("store", "show", "bad")["state"] == "failed"


def make_live(daemon):
    """The live copies lie on the bad disk again."""
    daemon.gnomon("move", "v", "all", "--to", "bad", "--wait", timeout=120)
    wait_protected(daemon)


def read_all(daemon, size):
    """All at once, so that both copies are busy."""
    with nbdraw.connect(daemon.address, "v", timeout=60) as client:
        for number in range(size // MiB):
            client.submit(nbdraw.Command.READ, number * MiB, MiB)
        for _ in range(size // MiB):
            answer = client.wait_any()[1]
            assert answer.ok, answer


def suffer(case, daemon, bad, fault, seconds, meanwhile=lambda: None):
    case.note(f"--- {fault}")
    begun = time.monotonic()
    if fault == "lose_sectors":
        bad.lose_sectors(random.Random(case.seed))
    else:
        getattr(bad, fault)()
    meanwhile()
    time.sleep(seconds)
    status = daemon.json("volume", "show", "v")
    assert status["state"] == "online", status
    # Sectors that can not be read are written again at once.
    assert status["lackingExtents"] > 0 or fault == "lose_sectors", f"the disk missed nothing by {fault}"
    case.note(f"{fault} for {time.monotonic() - begun:.1f} s: {daemon.json('store', 'show', 'bad')['errors']}")
    bad.recover()


def survive(case, seconds):
    """Verifying writers, one fault after the other."""
    bad = Disk(case)
    size = 24 * MiB
    daemon = pool(case, bad, size)
    volume = verifier.Volume(1, "v", size // verifier.BLOCK)
    for fault in FAULTS:
        with nbdraw.connect(daemon.address, "v", timeout=60) as client:
            payload_all(client, volume)
        loads = [verifier.Load(daemon.client(timeout=60), volume, share, 2, 64, case.seed + share) for share in range(2)]
        for load in loads:
            load.calm = True
            load.start()
        time.sleep(0.3)
        suffer(case, daemon, bad, fault, seconds, meanwhile=lambda: read_all(daemon, size))
        for load in loads:
            load.stop()
        counts = [load.counts for load in loads]
        assert all(count["write"] > 20 for count in counts), counts
        with nbdraw.connect(daemon.address, "v", timeout=60) as client:
            volume.verify(client, fault)
            client.flush()
        for client in case.clients:
            client.close()
        if is_failed(daemon):
            assert fault in ("refuse_writes", "fail"), f"the store has failed by {fault}"
            daemon.crash()  # a clean stop would say that what was written there last is lost
        wait_protected(daemon)
        make_live(daemon)
        with nbdraw.connect(daemon.address, "v", timeout=60) as client:
            volume.verify(client, f"from the bad disk after {fault}")


def payload_all(client, volume):
    """Every block gets a stamp."""
    for first in range(0, volume.blocks, 64):
        payload, indices = volume.issue(first, 64, "write")
        client.write(first * verifier.BLOCK, payload)
        volume.acknowledge(indices, False)
    client.flush()
