"""Workloads that pass every step at which the daemon makes something durable.

Verifying clients load two volumes. Meanwhile, in the one workload, stores and volumes come, change and go; then slots
are freed in bulk. In the other, copies are made, moved, left behind and given up; then extents are sealed and written
to again. In the end the daemon is stopped. Wherever it dies, `verify` knows what must be there.
"""
import json
import os
import random
import shutil
import subprocess
import tempfile

import nbdraw
import verifier
from nbdraw import Command
from support import DEBUG_BINARY, GiB, KiB, MiB, Daemon, eventually, pattern

EXTENT = 64 * KiB
PAGE_BYTES = 4096 * EXTENT  # what one page of the extent map covers
SIZE = 6 * MiB              # of each loaded volume
WIDE = 70 * GiB             # so many pages that folding them takes more than one step
CONFLICT = 4                # a command's exit status: in this state it can not be done
DENSE = 4400                # more extents than one row of the journal has records


class Died(Exception):
    """The daemon is gone, as it should be sooner or later."""


class Pool(Daemon):
    """Two stores of the fastest tier: one where a range is zeroed in one call, one in memory where it takes two."""

    def __init__(self, case, config, **options):
        super().__init__(
            case, volumes={"one": SIZE, "two": SIZE, "wide": WIDE},
            stores=[("fast", 16 * MiB, 0), ("memory", 16 * MiB, 0), ("bulk", 384 * MiB, 2)],
            extent=EXTENT, config=config, binary=DEBUG_BINARY, **options)
        self.memory = tempfile.mkdtemp(prefix="gnomon-e2e.", dir="/dev/shm")
        case.cleanups.append(lambda: shutil.rmtree(self.memory, ignore_errors=True))

    def store_path(self, name):
        return os.path.join(self.memory, name) if name == "memory" else super().store_path(name)


class Managed:
    """A volume that the control plane makes, resizes and deletes. Whatever the step that the daemon died in, each
    byte is as before it or as after it."""

    def __init__(self):
        self.sizes = {0}           # the sizes it may have; 0: it does not exist
        self.before = self.after = b""

    def begin(self, size, content):
        self.sizes.add(size)
        self.after = content

    def done(self, size):
        self.sizes = {size}
        self.before = self.after

    def verify(self, daemon, size):
        assert size in self.sizes, f"volume managed has {size} bytes, which is none of {self.sizes}"
        if not size:
            return
        with nbdraw.connect(daemon.address, "managed", timeout=30) as client:
            shown = client.read(0, size)
        before, after = self.before.ljust(size, b"\0"), self.after.ljust(size, b"\0")
        for offset in range(0, size, 4 * KiB):
            block = slice(offset, offset + 4 * KiB)
            if shown[block] in (before[block], after[block]):
                continue
            wrong = [at for at in range(*block.indices(size)) if shown[at] not in (before[at], after[at])]
            assert not wrong, f"byte {wrong[0]} of volume managed is neither as before nor as after the last step"


class Workload:
    CONFIG = "{reactors: 2}"

    def __init__(self, case, daemon, seed):
        self.case, self.daemon, self.chance = case, daemon, random.Random(seed)
        self.volumes = [verifier.Volume(number, name, SIZE // verifier.BLOCK)
                        for number, name in enumerate(("one", "two"))]
        self.loads = []
        self.managed = Managed()
        self.extra = {False}       # whether the pool may have the store
        self.wide_exists = {True}
        self.wide = {}             # offset -> the values that the block may have
        self.stopped = False

    # --- running

    def run(self):
        """Does everything up to a clean stop; raises Died when the daemon goes before that."""
        try:
            self.begin_load()
            self.under_load()
            self.end_load()
            self.at_rest()
            self.stop()
        except (nbdraw.Gone, nbdraw.Quiet, OSError):
            self.must_be_dead("a client lost its connection")
            raise Died from None
        finally:
            for load in self.loads:
                load.stopping.set()
                load.client.close()
                load.join(40)
        for load in self.loads:
            if load.error:
                raise load.error

    def begin_load(self):
        for volume in self.volumes:
            for share in range(2):
                client = self.daemon.client(volume.name, tcp=bool(share), timeout=30)
                self.loads.append(verifier.Load(client, volume, share, 2, EXTENT // verifier.BLOCK,
                                                self.chance.getrandbits(32)))
                self.loads[-1].start()

    def end_load(self):
        for load in self.loads:
            load.stop()

    def under_load(self):
        self.change_stores()
        self.change_volumes()

    def at_rest(self):
        self.free_in_bulk()

    def must_be_dead(self, why):
        try:
            self.daemon.process.wait(10)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{why}, and the daemon lives:\n{self.daemon.log_tail()}") from None

    def attempt(self, *words):
        return self.case.run(self.daemon.binary, *words, "--pool", self.daemon.pool, status=None)

    def done(self, command):
        """-> what it printed."""
        if command.returncode:
            self.must_be_dead(f"{command.args} failed: {command.stderr.strip()}")
            raise Died
        return command.stdout

    def command(self, *words):
        return self.done(self.attempt(*words))

    def change_stores(self):
        self.extra = {False, True}
        self.command("store", "add", f"extra={self.daemon.store_path('extra')},size=8M,tier=9")
        self.extra = {True}
        self.extra = {False, True}
        # On a busy machine the others may have been late, and an extent have come to lie there.
        self.command("store", "drain", "extra", "--wait")
        self.command("store", "remove", "extra")
        self.extra = {False}

    def change_volumes(self):
        managed, seed = self.managed, self.chance.getrandbits(32)
        content = pattern(seed, 2 * MiB)
        managed.begin(2 * MiB, b"")
        self.command("volume", "create", "managed=2M,extent=64K")
        managed.done(2 * MiB)
        managed.begin(2 * MiB, content)
        client = self.daemon.client("managed")
        for start, end in ((0, 100_001), (100_001, MiB + 5), (MiB + 5, 2 * MiB)):  # no edge on a block's
            client.write(start, content[start:end])
        client.flush()
        managed.done(2 * MiB)
        self.detach(client, "managed")
        for size, kept in ((3 * MiB, 2 * MiB), (1000 * KiB, 1000 * KiB), (2 * MiB, 1000 * KiB)):
            managed.begin(size, content[:kept])
            self.command("volume", "resize", "managed", str(size), "--force")
            managed.done(size)
        managed.begin(0, b"")
        self.command("volume", "delete", "managed")
        managed.done(0)

    def detach(self, client, name):
        client.disconnect()
        client.close()
        eventually(lambda: name not in self.attached(), 10, "the end of the connection")

    def ask(self, *words):
        """-> what a command says as JSON."""
        return json.loads(self.command(*words, "--json"))

    def attached(self):
        return [volume["name"] for volume in self.ask("volume", "list")["volumes"] if volume["connections"]]

    def free_in_bulk(self):
        """Many changes in one commit, many pages in one checkpoint, many slots given back at once."""
        sparse = [number * PAGE_BYTES for number in range(2, (WIDE - GiB) // PAGE_BYTES)]
        offsets = [number * EXTENT for number in range(DENSE)] + sparse
        client = self.daemon.client("wide", timeout=60)
        self.pipelined(client, [(Command.WRITE, offset, 4 * KiB, 0, self.mark(offset)) for offset in offsets])
        client.flush()
        for offset in offsets:
            self.wide[offset] = {self.mark(offset)}
        self.detach(client, "wide")
        self.command("volume", "resize", "wide", str(WIDE - GiB), "--force")  # folds the whole journal first
        client = self.daemon.client("wide", timeout=60)
        for number in range(DENSE):
            self.wide[number * EXTENT] = {self.mark(number * EXTENT), bytes(4 * KiB)}
        self.pipelined(client, [(Command.TRIM, 0, DENSE * EXTENT, 0, b"")])
        client.flush()
        for number in range(DENSE):
            self.wide[number * EXTENT] = {bytes(4 * KiB)}
        self.detach(client, "wide")
        self.wide_exists = {False, True}
        self.command("volume", "delete", "wide")
        self.wide_exists = {False}

    @staticmethod
    def mark(offset):
        return offset.to_bytes(8, "big") * 512

    def pipelined(self, client, requests):
        waiting = set()
        for command, offset, length, flags, payload in requests:
            if command == Command.WRITE:
                self.wide[offset] = {bytes(4 * KiB), payload}
            waiting.add(client.submit(command, offset, length, flags, payload))
            if len(waiting) >= 64:
                waiting.remove(self.answered(client))
        while waiting:
            waiting.remove(self.answered(client))

    @staticmethod
    def answered(client):
        cookie, answer = client.wait_any()
        assert answer.ok, f"a request failed with {answer.error}"
        return cookie

    def stop(self):
        process = self.daemon.process
        process.terminate()
        if process.wait(30) != 0:
            raise Died
        self.stopped = True
        self.everything_is_durable()

    def everything_is_durable(self):
        """The daemon had time for its own last flush."""
        for volume in self.volumes:
            volume.after_flush(volume.before_flush())

    # --- verifying

    def verify(self, after):
        """The daemon was started again: what was promised is there, and nothing that never was."""
        sizes = {volume["name"]: volume["sizeBytes"] for volume in
                 json.loads(self.daemon.gnomon("volume", "list", "--json"))["volumes"]}
        stores = {store["name"] for store in json.loads(self.daemon.gnomon("store", "list", "--json"))["stores"]}
        for volume in self.volumes:
            assert sizes[volume.name] == SIZE
            with nbdraw.connect(self.daemon.address, volume.name, timeout=30) as client:
                volume.verify(client, after)
        self.managed.verify(self.daemon, sizes.get("managed", 0))
        assert ("extra" in stores) in self.extra, f"the stores are {stores}"
        assert stores - {"extra"} == {"fast", "memory", "bulk"}, f"the stores are {stores}"
        assert ("wide" in sizes) in self.wide_exists, f"the volumes are {sizes}"
        if "wide" in sizes and self.wide:
            self.verify_wide()

    def verify_wide(self):
        with nbdraw.connect(self.daemon.address, "wide", timeout=30) as client:
            for offset, allowed in self.wide.items():
                shown = client.read(offset, 4 * KiB)
                assert shown in allowed, f"the block at {offset} of volume wide shows {shown[:16].hex()}"


class CopiesWorkload(Workload):
    """Copies come, lag behind, change places and go while clients write; then extents are sealed and opened."""

    # Not for the other workload: seals are committed in between, and it wants many changes in one commit.
    CONFIG = "{reactors: 2, scrub: {sealAfterSeconds: 1}}"

    def under_load(self):
        self.command("volume", "set", "one", "--copies", "2", "--protection", "async")
        self.command("volume", "set", "two", "--copies", "2")
        self.protected("two")
        self.job("move", "two", "all", "--to", "bulk")
        self.command("volume", "set", "two", "--copies", "1")
        for store in sorted({shadow["store"] for run in self.ask("extents", "two")["runs"] for shadow in run["shadows"]}):
            self.job("shadow", "drop", "two", "0-60", "--from", store)

    def job(self, *words):
        """Extents may be left out, or all: on a busy machine a store is late now and then, and others take over."""
        done = self.attempt(*words, "--json")
        if done.returncode == CONFLICT:
            return
        job = json.loads(self.done(done))["number"]
        eventually(lambda: self.state(job) in ("done", "cancelled"), 60, f"the end of {' '.join(words)}")

    def state(self, job):
        return next(each["state"] for each in self.ask("jobs")["jobs"] if each["number"] == job)

    def protected(self, name):
        eventually(lambda: self.ask("volume", "show", name)["lackingExtents"] == 0, 30, f"two copies of {name}")

    def at_rest(self):
        self.protected("one")
        eventually(lambda: self.ask("scrub")["sealedBytes"] >= SIZE, 30, "seals")
        self.begin_load()
        again = self.loads[-4:]
        eventually(lambda: not all(load.is_alive() and load.counts["write"] < 100 for load in again), 30, "writes")
        self.end_load()
