"""What the daemon does about stores that fail: real faults, with clients at work that notice nothing."""
import json
import os
import threading
import time

import verifier
from nbdraw import Command
from remotes import Server
from support import EXTENT, KiB, MiB, alone, eventually, limit, need, pattern

SMALL = 64 * KiB
# Times for tests; the scores are the usual ones. Noise is given its time, too.
QUICK = ("{ health: { actAfterSeconds: 5, sitOutAfterSeconds: 3, comeBackAfterSeconds: 5, %s },"
         " limits: { remoteHoldSeconds: 20 } }")


def _quick(more=""):
    return QUICK % more


def _health(daemon, store):
    return daemon.json("health", store)


def _state(daemon, store):
    return _health(daemon, store)["state"]


def _until(daemon, store, state, seconds):
    """How long it takes until a store is in a state."""
    begin = time.monotonic()

    def arrived():
        return _state(daemon, store) == state
    try:
        eventually(arrived, seconds, f"{store} to be {state}")
    except AssertionError as error:
        raise AssertionError(f"{error}: {json.dumps(_health(daemon, store))[:1500]}") from error
    return time.monotonic() - begin


def _copies(daemon, name="v", seconds=40):
    eventually(lambda: daemon.json("volume", "show", name)["lackingExtents"] == 0, seconds, "all copies")


def _leave_only(daemon, store, other, volume="v"):
    """Has all reads go to one store, which has everything: not a byte is copied."""
    daemon.gnomon("volume", "set", volume, "--copies", "1")
    job = daemon.json("move", volume, "all", "--to", store, "--wait")
    assert job["failed"] == 0 and job["movedBytes"] == 0, job
    daemon.gnomon("shadow", "drop", volume, "all", "--from", other, "--wait")
    runs = [run for run in daemon.json("extents", volume)["runs"] if "live" in run]
    assert {run["live"] for run in runs} == {store} and not any(run["shadows"] for run in runs), runs


def _shows(client, data):
    for place in range(0, len(data), 8 * MiB):
        assert client.read(place, 8 * MiB) == data[place:place + 8 * MiB], f"something else at {place}"


def _protected(case, daemon, volume):
    """Writes all of a volume, and has it have two copies."""
    daemon.gnomon("volume", "set", volume.name, "--copies", "2")
    client = daemon.client(timeout=60)
    for first in range(0, volume.blocks, 16):
        payload, indices = volume.issue(first, 16, "write")
        client.write(first * verifier.BLOCK, payload)
        volume.acknowledge(indices, False)
    client.flush()
    _copies(daemon)
    client.close()


class _Clients:
    """Two connections that write and flush, and one that reads, of which none may see an error."""

    def __init__(self, case, daemon, volume):
        self.daemon, self.volume = daemon, volume
        self.loads = [verifier.Load(daemon.client(tcp=bool(share), timeout=60), volume, share, 2, 16,
                                    case.seed + share) for share in range(2)]
        self.reader = daemon.client(timeout=60)
        self.stopping = threading.Event()
        self.error, self.longest, self.reads = None, 0, 0
        self.thread = threading.Thread(target=self._read, args=(case.seed,), daemon=True)
        for load in self.loads:
            load.calm = True
            load.start()
        self.thread.start()

    def _read(self, seed):
        place = seed
        try:
            while not self.stopping.is_set():
                place = (place * 1103515245 + 12345) % (1 << 31)
                begin = time.monotonic()
                answer = self.reader.call(Command.READ, place % self.volume.blocks * verifier.BLOCK, 4 * KiB)
                self.longest = max(self.longest, time.monotonic() - begin)
                self.reads += 1
                assert answer.ok, f"a read failed with {answer.error}"
                time.sleep(0.002)
        except BaseException as error:
            self.error = error

    def stop(self):
        for load in self.loads:
            load.stopping.set()
        self.stopping.set()
        self.thread.join(60)
        for load in self.loads:
            load.join(60)
            assert not load.error, load.error
            assert load.counts["write"] > 50 and not load.is_alive(), load.counts
            load.client.close()
        assert not self.error, self.error
        self.reader.close()


@alone
@limit(240)
def a_store_that_hangs_is_sat_out_and_returns(case):
    """The live copies lie in an export whose server is stopped; clients work on with their shadows in a file."""
    need("nbdkit")
    server = Server(case, size=64 * MiB)
    daemon = case.daemon(volumes={"v": 16 * MiB}, extent=SMALL, config=_quick(),
                         stores=[("far", server.uri(), 0), ("near", 64 * MiB, 1)])
    volume = verifier.Volume(1, "v", 16 * MiB // verifier.BLOCK)
    _protected(case, daemon, volume)
    clients = _Clients(case, daemon, volume)
    time.sleep(6)
    before = _health(daemon, "far")
    assert before["state"] == "serving" and before["score"] < 40, before
    assert {entry["operation"] for entry in before["latest"]["latencies"]} == {"read", "write", "synchronize"}, before
    clients.longest = 0
    server.pause()
    took = _until(daemon, "far", "sat-out", 15)
    health = eventually(lambda: (found := _health(daemon, "far"))["score"] > 90 and found, 5, "a score above 90")
    assert any(mode["mode"] == "stall" for mode in health["modes"]), health
    assert "sat-out" in daemon.gnomon("health") and "sat-out" in daemon.gnomon("store", "list")

    def promoted():
        return {run["live"] for run in daemon.json("extents", "v")["runs"] if "live" in run} == {"near"}
    eventually(promoted, 15, "the shadows' taking over")
    assert any(job["what"].startswith("let shadows take over from far") for job in daemon.json("jobs")["jobs"])
    time.sleep(3)
    server.resume()
    back = _until(daemon, "far", "serving", 90)
    _copies(daemon)
    case.note(f"sat out after {took:.1f} s, back {back:.1f} s after the server; longest read {clients.longest:.2f} s of "
              f"{clients.reads}")
    clients.stop()
    assert clients.longest < 2, f"a read took {clients.longest:.2f} s"
    # What the far store has got since is all that was written, and right.
    _leave_only(daemon, "far", "near")
    client = daemon.client(timeout=60)
    volume.verify(client, "on the store that has returned")


@alone
def a_store_that_returns_gets_what_it_missed_and_no_more(case):
    need("nbdkit")
    server = Server(case, size=96 * MiB)
    daemon = case.daemon(volumes={"v": 48 * MiB}, config=_quick(),
                         stores=[("far", server.uri(), 0), ("near", 96 * MiB, 1)])
    client = daemon.client(timeout=60)
    daemon.gnomon("volume", "set", "v", "--copies", "2")
    data = bytearray(pattern(1, 48 * MiB))
    for place in range(0, len(data), 8 * MiB):
        client.write(place, bytes(data[place:place + 8 * MiB]))
    client.flush()
    _copies(daemon)
    # Extents that were written to lately may lack anything: wait until they have come to rest.
    time.sleep(5)
    before = daemon.json("jobs")["protection"]["movedBytes"]
    server.pause()
    written = 6
    for number in range(written):
        block = pattern(2 + number, 4 * KiB)
        place = (5 + 7 * number) * EXTENT + 64 * KiB
        begin = time.monotonic()
        client.write(place, block)
        assert time.monotonic() - begin < 2, f"a write took {time.monotonic() - begin:.1f} s"
        data[place:place + 4 * KiB] = block
    client.flush()
    _until(daemon, "far", "sat-out", 15)
    _shows(client, data)
    server.resume()
    _until(daemon, "far", "serving", 60)
    _copies(daemon)
    copied = daemon.json("jobs")["protection"]["movedBytes"] - before
    case.note(f"{copied // KiB} KiB copied for {written} writes of 4 KiB, of {len(data) // MiB} MiB")
    assert written * 4 * KiB <= copied <= written * EXTENT, f"{copied} bytes were copied"
    _leave_only(daemon, "far", "near")
    _shows(client, data)


@alone
@limit(200)
def a_store_that_errs_is_evacuated(case):
    """Reads fail now and then. What has another copy notices nothing; what has none is moved away."""
    need("nbdkit")
    trigger = case.path("errors")
    server = Server(case, size=128 * MiB, words=["--filter=error", "error-pread=EIO", "error-pread-rate=3%",
                                                 f"error-pread-file={trigger}"])
    # Not sat out when it has been rid of what is only there.
    config = _quick().replace("sitOutAfterSeconds: 3", "sitOutAfterSeconds: 600")
    daemon = case.daemon(volumes={"v": 16 * MiB, "lone": 16 * MiB}, extent=SMALL, config=config,
                         stores=[("far", server.uri(), 0), ("near", 64 * MiB, 1), ("spare", 64 * MiB, 2)])
    volume = verifier.Volume(1, "v", 16 * MiB // verifier.BLOCK)
    _protected(case, daemon, volume)
    lone = daemon.client("lone", timeout=60)
    data = pattern(5, 16 * MiB)
    lone.write(0, data)
    lone.flush()
    clients = _Clients(case, daemon, volume)
    time.sleep(3)
    assert _health(daemon, "far")["failed"]["reads"] == 0
    # From here on all copies are equal: else a read may fail for want of another one.
    for load in clients.loads:
        load.stop()
    _copies(daemon)
    time.sleep(5)
    with open(trigger, "w", encoding="ascii"):
        pass
    took = _until(daemon, "far", "evacuating", 60)
    health = _health(daemon, "far")
    assert health["modes"][0]["mode"] == "errors" and health["failed"]["reads"] > 0, health
    job = daemon.json("jobs")["jobs"][-1]
    assert job["what"].startswith("evacuate far: ") and "failed lately" in job["what"], job
    eventually(lambda: daemon.json("store", "show", "far")["usedBytes"] == 0, 60, "the store to be empty")
    eventually(lambda: daemon.json("jobs")["jobs"][-1]["state"] == "done", 10, "the end of the job")
    _copies(daemon)
    clients.stop()
    reasons = daemon.gnomon("extents", "lone")
    assert "its store is failing: " in reasons, reasons
    assert lone.read(0, len(data)) == data
    check = daemon.client(timeout=60)
    volume.verify(check, "after the evacuation")
    os.unlink(trigger)
    case.note(f"evacuated from {took:.1f} s on")


def a_store_that_is_nearly_full_gets_new_extents_last(case):
    daemon = case.daemon(volumes={"v": 256 * MiB}, config=_quick(),
                         stores=[("fast", 100 * MiB, 0), ("slow", 16 * MiB, 1)])
    client = daemon.client()
    client.write(0, pattern(1, 32 * MiB))
    client.write(32 * MiB, pattern(1, 32 * MiB))
    client.write(64 * MiB, pattern(1, 32 * MiB))
    assert _state(daemon, "fast") == "serving"
    used = {name: daemon.json("store", "show", name)["usedBytes"] for name in ("fast", "slow")}
    assert used == {"fast": 96 * MiB, "slow": 0}, used
    _until(daemon, "fast", "no-new-placements", 20)
    why = daemon.gnomon("health")
    assert "97 % full" in why, why
    client.write(96 * MiB, pattern(2, 15 * MiB))
    used = {name: daemon.json("store", "show", name)["usedBytes"] for name in ("fast", "slow")}
    assert used == {"fast": 96 * MiB, "slow": 15 * MiB}, used
    # Better there than nowhere.
    client.write(128 * MiB, pattern(3, 2 * MiB))
    used = {name: daemon.json("store", "show", name)["usedBytes"] for name in ("fast", "slow")}
    assert used == {"fast": 98 * MiB, "slow": 15 * MiB}, used
    # What is there stays.
    assert daemon.json("jobs")["jobs"] == []


def stores_are_only_watched_if_nothing_is_to_be_done(case):
    need("nbdkit")
    server = Server(case, size=64 * MiB)
    daemon = case.daemon(volumes={"v": 16 * MiB}, config=_quick("act: false"),
                         stores=[("far", server.uri(), 0), ("near", 64 * MiB, 1)])
    client = daemon.client(timeout=60)
    daemon.gnomon("volume", "set", "v", "--copies", "2")
    client.write(0, pattern(1, 16 * MiB))
    client.flush()
    _copies(daemon)
    server.pause()
    client.write(0, b"while it hangs")
    _until(daemon, "far", "sat-out", 15)
    time.sleep(2)
    assert "only watched" in daemon.gnomon("health")
    jobs = daemon.json("jobs")["jobs"]
    live = {run["live"] for run in daemon.json("extents", "v")["runs"] if "live" in run}
    assert jobs == [] and "far" in live, (jobs, live)
    server.resume()
    _copies(daemon)


SMART = {
    "smartctl": {"version": [7, 3]}, "smart_status": {"passed": True}, "temperature": {"current": 44},
    "ata_smart_attributes": {"table": [{"id": 5, "name": "Reallocated_Sector_Ct", "value": 90, "raw": {"value": 12}},
                                       {"id": 197, "name": "Current_Pending_Sector", "raw": {"value": 3}}]},
}


def devices_are_asked_how_they_are(case):
    device = _device(case.scratch)
    program, asked = case.path("smartctl"), case.path("asked")
    with open(program, "w", encoding="ascii") as file:
        # A warning besides is usual, and so is an exit status.
        file.write(f"#!/bin/sh\necho \"$@\" >>{asked}\necho a warning >&2\ncat <<'END'\n{json.dumps(SMART)}\nEND\n"
                   "exit 64\n")
    os.chmod(program, 0o755)
    daemon = case.daemon(config=_quick(f"act: false, smartctl: '{program}', smartctlSeconds: 2"))
    media = eventually(lambda: _health(daemon, "fast").get("media"), 10, "the device's report")
    if device is None:
        assert "device" not in media and media["complaint"], media
        return
    assert media["device"] == device and media["pendingSectors"] == 3 and media["temperature"] == 44, media
    modes = eventually(lambda: _health(daemon, "fast")["modes"], 5, "the score")
    assert modes[0]["mode"] == "media" and modes[0]["score"] > 30 and "12 reallocated" in modes[0]["reason"], modes
    assert f"{device}, says it is healthy, 12 reallocated sectors, 3 pending" in daemon.gnomon("health", "fast")
    eventually(lambda: len(_lines(asked)) >= 2, 10, "to be asked again")
    assert set(_lines(asked)) == {f"--json --all {device}"}
    # A device that fails at the next look.
    SMART_FAILED = dict(SMART, smart_status={"passed": False})
    with open(program, "w", encoding="ascii") as file:
        file.write(f"#!/bin/sh\ncat <<'END'\n{json.dumps(SMART_FAILED)}\nEND\n")
    eventually(lambda: _health(daemon, "fast")["score"] >= 95, 10, "a score of at least 95")
    # What it has said holds when nobody can ask any more.
    os.unlink(program)
    complaint = eventually(lambda: _health(daemon, "fast")["media"].get("complaint"), 10, "a complaint")
    assert "No such file" in complaint and "not available" in daemon.gnomon("health", "fast"), complaint
    assert _health(daemon, "fast")["score"] >= 95


def _lines(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="ascii") as file:
        return file.read().splitlines()


def _device(path):
    """The one physical device beneath a file system, as lsblk would find it; None if there is none."""
    number = os.stat(path).st_dev
    place = os.path.realpath(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    while True:
        if not os.path.exists(place):
            return None
        if os.path.exists(place + "/partition"):
            place = os.path.dirname(place)
            continue
        beneath = os.listdir(place + "/slaves") if os.path.isdir(place + "/slaves") else []
        if len(beneath) > 1:
            return None
        if not beneath:
            return None if "/devices/virtual/" in place else "/dev/" + os.path.basename(place)
        place = os.path.realpath(place + "/slaves/" + beneath[0])
