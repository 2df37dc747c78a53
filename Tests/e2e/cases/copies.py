"""Copies of extents: moving them, having more than one, emptying stores, under load and across kills."""
import fcntl
import json
import os
import sqlite3
import struct
import time

import fio
import nbdraw
import verifier
from nbdraw import Command
from support import BINARY, EXTENT, KiB, MiB, Daemon, each, eventually, limit, need, pattern, slowed

SMALL = 64 * KiB
TWO = [("a", 128 * MiB, 0), ("b", 128 * MiB, 1)]


# --- what is there

def _runs(daemon, volume="v"):
    return [run for run in daemon.json("extents", volume)["runs"] if "live" in run]


def _places(daemon, volume="v"):
    """Where the live copies lie, and the shadows with their states."""
    live, shadows = set(), set()
    for run in _runs(daemon, volume):
        live.add(run["live"])
        shadows.update((shadow["store"], shadow["state"]) for shadow in run["shadows"])
    return live, shadows


def _volume(daemon, name="v"):
    return daemon.json("volume", "show", name)


def _store(daemon, name):
    return daemon.json("store", "show", name)


def _want(daemon, copies, name="v", seconds=30):
    daemon.gnomon("volume", "set", name, "--copies", copies)
    eventually(lambda: _volume(daemon, name)["lackingExtents"] == 0, seconds, f"{copies} copies of {name}")


def _leave_only(daemon, store, volume="v"):
    """Gives all copies but those of one store up, which has everything: not a byte is copied."""
    daemon.gnomon("volume", "set", volume, "--copies", "1")
    job = daemon.json("move", volume, "all", "--to", store, "--wait")
    assert job["failed"] == 0 and job["movedBytes"] == 0, job
    for other, _ in _places(daemon, volume)[1]:
        daemon.gnomon("shadow", "drop", volume, "all", "--from", other, "--wait")
    assert _places(daemon, volume) == ({store}, set())


def _shown_from(daemon, store, data, volume="v"):
    _leave_only(daemon, store, volume)
    with nbdraw.connect(daemon.address, volume) as client:
        for offset, wanted in data.items():
            assert client.read(offset, len(wanted)) == wanted, f"{store} shows something else at {offset}"


# --- moving

@limit(300)
def extents_wander_under_fio(case):
    daemon = case.daemon(volumes={"v": 48 * MiB}, stores=TWO, extent=256 * KiB)
    load = fio.Verifying(case, daemon, "--size=40m", "--io_size=160m", "--verify_backlog=512", "--fsync=200", turns=2)
    moved, copied, turn = 0, 0, 0
    while load.is_alive():
        words = ("move", "v", "all", "--to", "ab"[turn % 2]) + (("--keep",) if turn % 3 == 2 else ()) + ("--wait", "--json")
        done = daemon.gnomon(*words, status=None)
        job = json.loads(done.stdout)
        moved, copied, turn = moved + job["done"], copied + job["movedBytes"], turn + 1
    load.stop()
    assert moved > 100 and copied > 20 * MiB, f"{moved} extents in {turn} jobs, {copied} bytes"
    case.note(f"{moved} extents moved in {turn} jobs, {copied // MiB} MiB copied")


def moved_extents_are_where_they_were_sent(case):
    daemon = case.daemon(stores=TWO)
    client = daemon.client()
    data = pattern(1, 12 * EXTENT)
    client.write(0, data)
    client.flush()
    assert _places(daemon) == ({"a"}, set())
    answer = daemon.gnomon("move", "v", "3,5-7", "--to", "b", "--wait")
    assert "4 moved" in answer, answer
    live = {extent: run["live"] for run in _runs(daemon) for extent in range(run["first"], run["last"] + 1)}
    assert {extent for extent, store in live.items() if store == "b"} == {3, 5, 6, 7} and len(live) == 12, live
    assert "somebody moved it" in daemon.gnomon("extents", "v", "3")
    # The slots that were left are free again.
    eventually(lambda: _store(daemon, "a")["usedBytes"] == 8 * EXTENT, 10, "the space on the old store")
    assert _store(daemon, "b")["usedBytes"] == 4 * EXTENT
    assert client.read(0, len(data)) == data
    client.disconnect()
    daemon.crash()
    assert daemon.client().read(0, len(data)) == data
    assert _places(daemon)[0] == {"a", "b"}


def the_maps_that_clients_see_follow_the_copies(case):
    need("nbdinfo")
    daemon = case.daemon(stores=TWO)
    client = daemon.client()
    client.write(0, pattern(1, 4 * EXTENT))
    client.flush()
    store_a, store_b = _store(daemon, "a")["id"], _store(daemon, "b")["id"]

    def types(context, extents=4):
        rows = json.loads(case.run("nbdinfo", f"--map={context}", "--json", daemon.uri()))
        return [next(row["type"] for row in rows if row["offset"] <= at * EXTENT < row["offset"] + row["length"])
                for at in range(extents)]
    assert types("x-gnomon:store") == [store_a] * 4 and types("x-gnomon:shadow") == [0] * 4
    daemon.gnomon("move", "v", "0-1", "--to", "b", "--keep", "--wait")
    assert types("x-gnomon:store") == [store_a] * 4 and types("x-gnomon:shadow") == [1, 1, 0, 0]
    daemon.gnomon("move", "v", "1-2", "--to", "b", "--wait")
    assert types("x-gnomon:store") == [store_a, store_b, store_b, store_a]
    assert types("x-gnomon:shadow") == [1, 0, 0, 0]
    daemon.gnomon("shadow", "drop", "v", "all", "--from", "b", "--wait", status=1)
    assert types("x-gnomon:shadow") == [0] * 4, "the shadow is dropped, the live copies are refused"
    # Left behind, it is stale: bits 8 to 15.
    daemon.gnomon("volume", "set", "v", "--protection", "none")
    daemon.gnomon("move", "v", "0", "--to", "b", "--keep", "--wait")
    client.write(0, b"only on the live copy")
    assert types("x-gnomon:shadow")[0] == 256
    daemon.gnomon("volume", "set", "v", "--protection", "async")
    eventually(lambda: types("x-gnomon:shadow")[0] == 1, 10, "the shadow's catching up")


@limit(200)
def copies_are_equal_after_a_kill(case):
    """What was being written when the daemon died is made equal from the live copy, on whichever store."""
    daemon = case.daemon(volumes={"v": 16 * MiB}, stores=TWO, extent=SMALL)
    daemon.gnomon("volume", "set", "v", "--copies", "2")
    volume = verifier.Volume(1, "v", 16 * MiB // verifier.BLOCK)
    for turn in range(4):
        loads = [verifier.Load(daemon.client(tcp=bool(share), timeout=30), volume, share, 2, 16, case.seed + 10 * turn + share)
                 for share in range(2)]
        for load in loads:
            load.start()
        time.sleep(0.7)
        daemon.kill()
        for load in loads:
            load.join(40)
            load.client.close()
            if load.error:
                raise load.error
        daemon.check()
        daemon.start()
        with nbdraw.connect(daemon.address, "v", timeout=30) as client:
            volume.verify(client, f"after kill {turn}")
        eventually(lambda: _volume(daemon)["lackingExtents"] == 0, 30, "two copies of everything")
        # The other copies show the same.
        _leave_only(daemon, "b")
        with nbdraw.connect(daemon.address, "v", timeout=30) as client:
            volume.verify(client, f"on the other store after kill {turn}")
        _want(daemon, 2)


# --- volumes that want more than one copy

def first_writes_are_protected_soon(case):
    daemon = case.daemon(volumes={"v": 64 * MiB, "huge": 1 << 41}, stores=TWO)
    daemon.gnomon("volume", "create", "p=32MiB,copies=2,across=store,protection=sync")
    daemon.gnomon("volume", "set", "huge", "--copies", "2")
    shown = _volume(daemon, "p")
    assert (shown["copies"], shown["across"], shown["protection"]) == (2, "store", "sync")
    for name, offset in (("p", 0), ("huge", (1 << 41) - 8 * EXTENT)):
        client = daemon.client(name)
        begun = time.monotonic()
        client.write(offset, pattern(1, 8 * EXTENT))
        shadow = nbdraw.connect(daemon.address, name, contexts=("x-gnomon:shadow",))
        eventually(lambda: {value for _, value in shadow.status(offset, 8 * EXTENT)["x-gnomon:shadow"]} == {1}, 10,
                   "shadows of what was written")
        seconds = time.monotonic() - begun
        shadow.close()
        assert seconds < 3, f"{name}: after {seconds:.1f} s"
        case.note(f"{name}: protected after {seconds:.2f} s")
        client.flush()
    for client in case.clients:
        client.close()
    daemon.crash()
    assert _volume(daemon, "p")["copies"] == 2
    eventually(lambda: _volume(daemon, "p")["lackingExtents"] == 0, 10, "two copies after the crash")
    _shown_from(daemon, "b", {0: pattern(1, 8 * EXTENT)}, "p")


def a_clean_stop_leaves_no_extent_suspected(case):
    daemon = case.daemon(stores=TWO)
    _want(daemon, 2)
    client = daemon.client()
    client.write(0, pattern(3, 8 * EXTENT))
    eventually(lambda: _places(daemon)[1] == {("b", "synced")}, 10, "shadows")
    client.write(0, b"once more")
    client.disconnect()
    daemon.stop()
    lines = [line for line in daemon.log().splitlines() if "the activity log is closed" in line]
    assert len(lines) == 1 and lines[0].endswith(" left=0"), lines
    daemon.start()
    # Nothing has to be copied again.
    assert _volume(daemon)["lackingExtents"] == 0
    assert _places(daemon)[1] == {("b", "synced")}


def what_can_not_be_protected_says_why(case):
    daemon = case.daemon(stores=[("a", 64 * MiB, 0)])
    client = daemon.client()
    client.write(0, pattern(1, 4 * EXTENT))
    daemon.gnomon("volume", "set", "v", "--copies", "2", "--across", "node")
    assert _volume(daemon)["lackingExtents"] == 4
    complaint = eventually(lambda: daemon.json("jobs")["protection"].get("complaint"), 10, "the complaint")
    assert "too few copies" in complaint and "a has a copy already" in complaint, complaint
    assert "protection: " in daemon.gnomon("jobs")
    daemon.gnomon("store", "add", f"near={daemon.store_path('near')},size=64M,tier=1")
    eventually(lambda: "near is in the same node as a" in daemon.json("jobs")["protection"].get("complaint", ""), 10,
               "the reason")
    daemon.gnomon("store", "add", f"far={daemon.store_path('far')},size=64M,tier=1,node=n2")
    eventually(lambda: _volume(daemon)["lackingExtents"] == 0, 10, "copies on the other node")
    assert _places(daemon) == ({"a"}, {("far", "synced")})
    eventually(lambda: "complaint" not in daemon.json("jobs")["protection"], 10, "the end of the complaint")


def a_copy_that_does_not_count_does_not_block_its_node(case):
    daemon = case.daemon(stores=[("a", 64 * MiB, 1)])
    client = daemon.client()
    client.write(0, pattern(1, 4 * EXTENT))
    daemon.gnomon("store", "add", "ram=memory:,size=16M,tier=0,node=n2")
    daemon.gnomon("store", "add", f"far={daemon.store_path('far')},size=64M,tier=1,node=n2")
    daemon.gnomon("move", "v", "all", "--to", "ram", "--keep", "--wait")
    assert _places(daemon) == ({"a"}, {("ram", "synced")})
    daemon.gnomon("volume", "set", "v", "--copies", "2", "--across", "node")
    eventually(lambda: _volume(daemon)["lackingExtents"] == 0, 10, "copies beside those in memory")
    assert _places(daemon) == ({"a"}, {("ram", "synced"), ("far", "synced")})


class _Fickle(Daemon):
    """A pool whose store `a` can be made to refuse all writes, as a dying disk does."""

    def store_path(self, name):
        path = super().store_path(name)
        if name == "a" and not os.path.lexists(path):
            self.memory = os.memfd_create("a", os.MFD_ALLOW_SEALING)
            os.symlink(f"/proc/{os.getpid()}/fd/{self.memory}", path)
        return path

    def refuse_writes(self):
        add_seals, seal_write = 1033, 8
        # The kernel refuses while writes are on their way.
        def sealed():
            try:
                return fcntl.fcntl(self.memory, add_seals, seal_write) == 0
            except OSError:
                return False
        eventually(sealed, 10, "the seal")

    def repair(self):
        """Puts another disk with the same content in its place."""
        path = self.store_path("a")
        os.unlink(path)
        with open(path, "wb") as file:
            for offset in range(0, os.fstat(self.memory).st_size, MiB):
                file.write(os.pread(self.memory, MiB, offset))


@limit(200)
@each("stop", "kill")
def a_store_that_fails_is_not_noticed(case, end):
    daemon = _Fickle(case, volumes={"v": 16 * MiB}, stores=TWO, extent=SMALL, cache="page")
    case.daemons.append(daemon)
    daemon.create()
    daemon.start()
    daemon.gnomon("volume", "set", "v", "--copies", "2")
    volume = verifier.Volume(1, "v", 16 * MiB // verifier.BLOCK)
    # Protected is what has its copies: a new extent gets them a moment later.
    client = daemon.client(timeout=30)
    for first in range(0, volume.blocks, 16):
        payload, indices = volume.issue(first, 16, "write")
        client.write(first * verifier.BLOCK, payload)
        volume.acknowledge(indices, False)
    client.flush()
    eventually(lambda: _volume(daemon)["lackingExtents"] == 0, 30, "two copies of everything")
    loads = [verifier.Load(daemon.client(tcp=bool(share), timeout=30), volume, share, 2, 16, case.seed + share)
             for share in range(2)]
    for load in loads:
        load.calm = True
        load.start()
    time.sleep(1)
    daemon.refuse_writes()
    time.sleep(1.5)
    for load in loads:
        load.stopping.set()
    for load in loads:
        load.join(40)
        assert not load.error and load.counts["write"] > 50, (load.error, load.counts)
    assert daemon.json("status")["volumes"][0]["state"] == "online"
    assert _store(daemon, "a")["errors"]["writes"] > 0, "the store was never written to"
    with nbdraw.connect(daemon.address, "v", timeout=30) as client:
        volume.verify(client, "while the store fails")
        assert client.call(Command.FLUSH).ok
    for load in loads:
        load.client.close()
    if end == "stop":
        daemon.stop()
    else:
        daemon.kill()
    # What was written last is missing there, and nobody is told otherwise.
    daemon.repair()
    daemon.check()
    daemon.start()
    with nbdraw.connect(daemon.address, "v", timeout=30) as client:
        volume.verify(client, "after the restart")
    eventually(lambda: _volume(daemon)["lackingExtents"] == 0, 30, "two copies of everything")
    _leave_only(daemon, "a")
    with nbdraw.connect(daemon.address, "v", timeout=30) as client:
        volume.verify(client, "on the store that failed")


# --- draining

@limit(200)
def a_store_is_drained_under_load_and_removed(case):
    daemon = case.daemon(volumes={"v": 16 * MiB}, stores=TWO, extent=SMALL)
    volume = verifier.Volume(1, "v", 16 * MiB // verifier.BLOCK)
    loads = [verifier.Load(daemon.client(tcp=bool(share), timeout=30), volume, share, 2, 16, case.seed + share)
             for share in range(2)]
    for load in loads:
        load.start()
    time.sleep(0.5)
    refused = daemon.gnomon("store", "remove", "a", status=None)
    assert refused.returncode == 4 and "store drain a" in refused.stderr, refused.stderr
    done = daemon.gnomon("store", "drain", "a", "--wait", status=None, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "Done: drain a" in done.stdout, done.stdout
    assert _store(daemon, "a")["usedBytes"] == 0 and _store(daemon, "a")["draining"]
    time.sleep(0.3)
    assert _store(daemon, "a")["usedBytes"] == 0, "something has come back"
    daemon.gnomon("store", "remove", "a")
    for load in loads:
        load.stopping.set()
    for load in loads:
        load.join(40)
        assert not load.error, load.error
        load.client.close()
    with nbdraw.connect(daemon.address, "v", timeout=30) as client:
        volume.verify(client, "after the drain")
        client.flush()
    os.unlink(daemon.store_path("a"))
    daemon.crash()
    with nbdraw.connect(daemon.address, "v", timeout=30) as client:
        volume.verify(client, "without the store")


@limit(200)
def an_interrupted_drain_goes_on(case):
    daemon = case.daemon(stores=TWO, extent=SMALL, config="{ moves: { bytesPerSecond: '1500K', inFlight: 3 } }")
    client = daemon.client()
    data = pattern(7, 20 * MiB)
    client.write(0, data)
    client.flush()
    client.close()
    answer = daemon.gnomon("store", "drain", "a")
    assert "being drained" in answer, answer
    used = []
    for _ in range(3):
        time.sleep(0.8)
        job = daemon.json("jobs")["jobs"][-1]
        assert job["what"] == "drain a" and job["state"] == "running", job
        assert job["movedBytes"] > 0 and job["leftBytes"] > 0 and job["leftSeconds"] > 0, job
        # The budget is kept: bursts of a tenth of a second, and what is under way.
        assert job["bytesPerSecond"] < 3 * MiB, job
        used.append(_store(daemon, "a")["usedBytes"])
        daemon.kill()
        daemon.check()
        daemon.start()
    assert used[0] > used[1] > used[2] > 0, used
    job = eventually(lambda: daemon.json("jobs")["jobs"], 5, "the drain after the start")[0]
    assert job["what"] == "drain a", job
    eventually(lambda: _store(daemon, "a")["usedBytes"] == 0, 60, "the end of the drain")
    eventually(lambda: "drainJob" not in _store(daemon, "a"), 5, "the end of the job")
    assert daemon.client().read(0, len(data)) == data
    # Nothing is placed there, until somebody says so.
    writer = daemon.client()
    writer.write(30 * MiB, pattern(8, MiB))
    assert _store(daemon, "a")["usedBytes"] == 0
    daemon.gnomon("store", "drain", "a", "--cancel")
    writer.write(40 * MiB, pattern(9, MiB))
    assert _store(daemon, "a")["usedBytes"] == MiB
    writer.flush()


def a_drain_without_room_is_held(case):
    daemon = case.daemon(stores=[("a", 32 * MiB, 0), ("b", 8 * MiB, 1)], extent=SMALL)
    client = daemon.client()
    data = pattern(7, 20 * EXTENT)
    client.write(0, data)
    client.flush()
    daemon.gnomon("store", "drain", "a")

    def held():
        job = daemon.json("jobs")["jobs"][-1]
        return job if job["state"] == "held" else None
    job = eventually(held, 20, "the held drain")
    assert "can not go: b is full" in job["complaint"], job
    assert "b is full" in daemon.gnomon("store", "show", "a") and "b is full" in daemon.gnomon("jobs")
    # It does not spin.
    before = daemon.cpu_seconds()
    time.sleep(2)
    assert daemon.cpu_seconds() - before < slowed(0.2), f"{daemon.cpu_seconds() - before} s of processor time in 2 s"
    refused = daemon.gnomon("store", "remove", "a", status=None)
    assert refused.returncode == 4 and "store drain a" in refused.stderr, refused.stderr
    daemon.gnomon("store", "add", f"c={daemon.store_path('c')},size=64M,tier=2")
    done = daemon.gnomon("store", "drain", "a", "--wait", status=None)
    assert done.returncode == 0, done.stderr
    daemon.gnomon("store", "remove", "a")
    assert client.read(0, len(data)) == data
    assert _places(daemon)[0] == {"b", "c"}


def a_drain_keeps_the_copies_that_are_wanted(case):
    daemon = case.daemon(stores=TWO + [("c", 128 * MiB, 2)])
    _want(daemon, 2)
    client = daemon.client()
    data = pattern(7, 10 * EXTENT)
    client.write(0, data)
    eventually(lambda: _places(daemon)[1] == {("b", "synced")}, 10, "shadows")
    daemon.gnomon("store", "drain", "a", "--wait")
    assert _volume(daemon)["lackingExtents"] == 0
    assert _places(daemon) == ({"b"}, {("c", "synced")})
    daemon.gnomon("store", "remove", "a")
    client.disconnect()
    _shown_from(daemon, "c", {0: data})
    _want(daemon, 2)
    # No third store: the drain is held rather than give a copy up.
    daemon.gnomon("store", "drain", "b")
    eventually(lambda: "wants 2 copies" in _store(daemon, "b").get("complaint", ""), 10, "the complaint")
    daemon.gnomon("volume", "set", "v", "--copies", "1")
    daemon.gnomon("store", "drain", "b", "--wait")
    assert _places(daemon) == ({"c"}, set())


def a_drain_moves_extents_that_have_all_the_copies_they_can_have(case):
    daemon = case.daemon(stores=[(name, 64 * MiB, 1) for name in "abcde"])
    client = daemon.client()
    data = pattern(7, 8 * EXTENT)
    client.write(0, data)
    _want(daemon, 4)
    for name in "ab":
        daemon.gnomon("store", "drain", name, "--wait")
        eventually(lambda: _volume(daemon)["lackingExtents"] == 0, 20, "four copies of everything")
        assert all(name not in (run["live"], *(shadow["store"] for shadow in run["shadows"]))
                   for run in _runs(daemon)), _runs(daemon)
        daemon.gnomon("store", "drain", name, "--cancel")
    client.disconnect()
    _shown_from(daemon, "c", {0: data})


# --- what is refused

def wrong_moves_are_refused(case):
    daemon = case.daemon(volumes={"v": 32 * MiB, "w": 8 * MiB, "far": 8 * MiB}, stores=TWO + [("tiny", 2 * MiB, 3)])
    client = daemon.client()
    client.write(0, pattern(1, 4 * EXTENT))
    for name in ("w", "far"):
        daemon.client(name).write(0, pattern(2, EXTENT))
    daemon.gnomon("volume", "set", "far", "--across", "zone")
    # A slot of 1 MiB fits the tiny store once.
    daemon.gnomon("move", "w", "0", "--to", "tiny", "--wait")
    daemon.gnomon("volume", "create", "large=64M,extent=4M")
    daemon.client("large").write(0, b"x")
    daemon.gnomon("move", "v", "0", "--to", "b", "--keep", "--wait")
    cases = [
        (("move", "v", "all", "--to", "tiny"), 4, "tiny is full"),
        (("move", "large", "all", "--to", "tiny"), 4, "tiny is too small"),
        (("move", "v", "all", "--to", "nowhere"), 6, "no store nowhere"),
        (("move", "nobody", "all", "--to", "b"), 6, "no volume nobody"),
        (("move", "v", "32", "--to", "b"), 2, "no extent 32"),
        (("move", "v", "3-1", "--to", "b"), 2, "extents can not be read"),
        (("move", "v", "all"), 2, "--to"),
        (("move", "far", "0", "--to", "b", "--keep"), 4, "same zone"),
        (("shadow", "drop", "v", "0", "--from", "a"), 4, "live copy"),
        (("shadow", "drop", "v", "0", "--from", "nowhere"), 6, "no store nowhere"),
        (("extents", "v", "5-32"), 2, "no extent 32"), (("extents", "nobody"), 6, "no volume"),
        (("volume", "set", "v", "--copies", "5"), 2, "1 "), (("volume", "set", "v", "--copies", "0"), 2, "1 "),
        (("volume", "set", "v", "--across", "planet"), 2, "region"),
        (("volume", "set", "v", "--protection", "maybe"), 2, "async"),
        (("volume", "set", "v"), 2, "--copies"), (("volume", "set", "nobody", "--copies", "2"), 6, "no volume"),
        (("volume", "create", "z=8M,copies=9"), 2, "copies"),
        (("store", "drain", "nowhere"), 6, "no store"), (("jobs", "cancel", "99"), 6, "no job 99"),
        (("jobs", "cancel", "x"), 2, "number"), (("store", "drain", "a", "--wait", "--cancel"), 2, "together"),
    ]
    for words, status, text in cases:
        done = daemon.gnomon(*words, status=None)
        assert done.returncode == status and text in done.stderr, f"{words}: {done.returncode} {done.stderr}"
    daemon.gnomon("store", "drain", "b")
    done = daemon.gnomon("move", "v", "1", "--to", "b", status=None)
    assert done.returncode == 4 and "being drained" in done.stderr, done.stderr
    _want(daemon, 1)
    daemon.gnomon("store", "drain", "tiny", "--wait")
    eventually(lambda: "drainJob" not in _store(daemon, "b"), 20, "the end of the drain")
    done = daemon.gnomon("store", "drain", "a", status=None)
    assert done.returncode == 4 and "no other store" in done.stderr, done.stderr


def the_last_good_copy_stays(case):
    daemon = case.daemon(stores=TWO)
    daemon.client().write(0, pattern(1, 2 * EXTENT))
    _want(daemon, 2)
    done = daemon.gnomon("shadow", "drop", "v", "all", "--from", "b", status=None)
    assert done.returncode == 4 and "wants 2 copies" in done.stderr, done.stderr
    done = daemon.gnomon("store", "drain", "b", status=None)
    assert done.returncode == 0
    eventually(lambda: "a has a copy already" in _store(daemon, "b").get("complaint", ""), 10, "the complaint")
    assert _places(daemon) == ({"a"}, {("b", "synced")})


def jobs_are_cancelled(case):
    daemon = case.daemon(stores=TWO, extent=SMALL, config="{ moves: { bytesPerSecond: '1M' } }")
    client = daemon.client()
    data = pattern(1, 16 * MiB)
    client.write(0, data)
    daemon.gnomon("move", "v", "all", "--to", "b")
    time.sleep(0.7)
    job = daemon.json("jobs")["jobs"][0]
    assert job["state"] == "running" and job["done"] > 0 and job["leftBytes"] > 8 * MiB, job
    daemon.gnomon("jobs", "cancel", "1")
    job = eventually(lambda: [job for job in daemon.json("jobs")["jobs"] if job["state"] == "cancelled"], 5, "the end")[0]
    assert 0 < job["done"] < 200, job
    live, shadows = _places(daemon)
    assert live == {"a", "b"} and not shadows, (live, shadows)
    assert client.read(0, len(data)) == data


# --- volumes that change

@each("delete", "shrink")
def volumes_with_shadows_change_and_go(case, how):
    daemon = case.daemon(volumes={"v": 32 * MiB}, stores=TWO)
    _want(daemon, 2)
    client = daemon.client()
    client.write(0, pattern(1, 32 * EXTENT))
    client.flush()
    eventually(lambda: _volume(daemon)["lackingExtents"] == 0, 20, "shadows")
    # Extents are active, and being moved, when it happens.
    client.write(10 * EXTENT, b"active" * 100)
    client.write(31 * EXTENT, b"active" * 100)
    client.disconnect()
    if how == "delete":
        eventually(lambda: daemon.gnomon("volume", "delete", "v", status=None).returncode == 0, 5, "deletion")
        for store in "ab":
            eventually(lambda: _store(daemon, store)["usedBytes"] == 0, 10, f"the space on {store}")
        daemon.crash()
        return
    cut = 10 * EXTENT + 8 * KiB
    eventually(lambda: daemon.gnomon("volume", "resize", "v", cut, "--force", status=None).returncode == 0, 5, "shrinking")
    eventually(lambda: _volume(daemon)["lackingExtents"] == 0, 10, "the last extent's shadow")
    for store in "ab":
        eventually(lambda: _store(daemon, store)["usedBytes"] == 11 * EXTENT, 10, f"the space on {store}")
    daemon.gnomon("volume", "resize", "v", "32MiB")
    kept = pattern(1, 32 * EXTENT)[:cut]
    kept = kept[:10 * EXTENT] + b"active" * 100 + kept[10 * EXTENT + 600:]
    # Whichever copy is read, what was cut off is not back.
    assert daemon.client().read(0, 32 * EXTENT) == kept + bytes(32 * EXTENT - cut)
    _shown_from(daemon, "b", {0: kept, cut: bytes(32 * EXTENT - cut)})
    daemon.client().write(20 * EXTENT, b"again")
    for open_client in case.clients:
        open_client.close()
    daemon.crash()
    assert daemon.client().read(0, cut) == kept


# --- check

def _crc32c(data):
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    value = 0xFFFFFFFF
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


def check_finds_a_shadow_in_anothers_slot(case):
    daemon = case.daemon(stores=TWO)
    _want(daemon, 2)
    client = daemon.client()
    client.write(0, pattern(1, 4 * EXTENT))
    client.flush()
    eventually(lambda: _volume(daemon)["lackingExtents"] == 0, 20, "shadows")
    client.disconnect()
    daemon.stop()
    assert "no errors" in daemon.check()
    database = sqlite3.connect(os.path.join(daemon.pool, "catalog.db"))
    key = 1 << 31 | 1 << 28  # volume 1, the plane of the first shadows, page 0
    image = bytearray(database.execute("SELECT image FROM pages WHERE key = ?", (key,)).fetchone()[0])
    words = struct.unpack_from("<4Q", image, 16)
    assert len(set(words)) == 4 and all(words), words
    struct.pack_into("<Q", image, 16 + 8 * 2, words[1])
    struct.pack_into("<I", image, 8, _crc32c(struct.pack("<q", key) + bytes(image[:8]) + bytes(image[16:])))
    database.execute("UPDATE pages SET image = ? WHERE key = ?", (bytes(image), key))
    database.commit()
    database.close()
    done = case.run(BINARY, "check", "--pool", daemon.pool, status=5)
    assert "shadow 1 of extent 2 of volume v is in a slot that another extent uses" in done, done
    refused = case.run(*daemon.serve_command(), status=5, timeout=20)
    assert not refused
    daemon.check_when_finished = False
