"""Stores that get slow, err, hang and die under clients: who has another copy notices nothing, and the copies are equal
afterwards."""
import os
import re
import time

import fio
import nbdraw
import uml
from remotes import Server, Wire
from support import BINARY, KiB, MiB, ROOT, PYTHON, alone, each, eventually, limit, need, need_gnomon, pattern, slow

SIZE = 32 * MiB
FILTERS = ["--filter=error", "--filter=rate"]


class _BadServer:
    """nbdkit behind a store, with everything that can happen to it. `now` begins, `over` ends what does."""

    def __init__(self, case, fault):
        self.fault = fault
        self.trigger, self.rate = case.path("errors"), case.path("rate")
        self.set_rate("100G")
        self.server = Server(case, size=4 * SIZE, words=FILTERS, parameters=[
            "error=EIO", "error-pread-rate=100%", "error-pwrite-rate=100%", "error-zero-rate=100%",
            f"error-file={self.trigger}", f"rate-file={self.rate}"])
        self.wire = Wire(case, self.server)

    def set_rate(self, bits):
        with open(self.rate + ".new", "w", encoding="ascii") as file:
            file.write(bits)
        os.rename(self.rate + ".new", self.rate)

    def now(self):
        {"delay": lambda: setattr(self.wire, "delay", 1.0), "error": lambda: open(self.trigger, "w").close(),
         "rate": lambda: self.set_rate("1M"), "stop": self.server.pause, "kill": self.server.kill}[self.fault]()

    def over(self):
        {"delay": lambda: setattr(self.wire, "delay", 0.0), "error": lambda: os.unlink(self.trigger),
         "rate": lambda: self.set_rate("100G"), "stop": self.server.resume, "kill": self.server.start}[self.fault]()
        if self.fault != "kill":
            self.server.revive()


def _volume(daemon):
    return daemon.json("volume", "show", "v")


def _protected(case, stores, volume=SIZE):
    """A daemon with a volume that is written to everywhere and has two copies; the live one on the store `bad`."""
    # What is looked at is how single requests are redirected; whole stores are the health's business.
    daemon = case.daemon(volumes={"v": volume}, extent=256 * KiB, stores=stores, config="{ health: { act: false } }")
    with nbdraw.connect(daemon.address, "v", timeout=30) as client:
        for offset in range(0, volume, MiB):
            client.write(offset, pattern(offset, MiB))
        client.flush()
    daemon.gnomon("volume", "set", "v", "--copies", "2")
    _wait_protected(daemon)
    assert {run["live"] for run in daemon.json("extents", "v")["runs"]} == {"bad"}
    return daemon


def _wait_protected(daemon):
    eventually(lambda: _volume(daemon)["lackingExtents"] == 0, 60, "two copies of everything")


def _content(daemon, volume=SIZE):
    with nbdraw.connect(daemon.address, "v", timeout=60) as client:
        return b"".join(client.read(offset, 4 * MiB) for offset in range(0, volume, 4 * MiB))


def _copies_are_equal(daemon):
    """Reads everything from either store alone."""
    shown = {}
    for store, other in (("good", "bad"), ("bad", "good")):
        daemon.gnomon("volume", "set", "v", "--copies", "1")
        job = daemon.json("move", "v", "all", "--to", store, "--wait")
        assert job["failed"] == 0 and job["movedBytes"] == 0, job
        daemon.gnomon("shadow", "drop", "v", "all", "--from", other, "--wait", status=None)
        assert {run["live"] for run in daemon.json("extents", "v")["runs"]} == {store}
        shown[store] = _content(daemon)
        daemon.gnomon("volume", "set", "v", "--copies", "2")
        _wait_protected(daemon)
    return shown["good"] == shown["bad"]


def _suffer(case, fault, turns, lasting, between):
    need_gnomon()
    bad = _BadServer(case, fault)
    daemon = _protected(case, [("bad", bad.wire.uri(), 0), ("good", 4 * SIZE, 1)])
    load = fio.Verifying(case, daemon, "--rate_iops=1500,1500", f"--size={SIZE}", "--verify_backlog=256", "--fsync=100")
    lacking = []
    for _ in range(turns):
        time.sleep(between)
        bad.now()
        end = time.monotonic() + lasting
        # fio may be between two runs, and write nothing for a while.
        while time.monotonic() < end or (max(lacking) == 0 and time.monotonic() < end + 20):
            lacking.append(_volume(daemon)["lackingExtents"])
            time.sleep(0.1)
        bad.over()
        assert _volume(daemon)["state"] == "online"
        bad.server.revive()
    load.stop()
    assert max(lacking) > 0, "the store missed nothing: the fault has not reached it"
    _wait_protected(daemon)
    # What was live on the bad store is somewhere else now, or there again.
    assert _copies_are_equal(daemon), "the copies differ"
    case.note(f"{load.done} runs of fio, up to {max(lacking)} extents lacked a copy")


@limit(150)
@each("delay", "error", "rate", "stop", "kill")
def a_failing_server_is_not_noticed_by_who_has_a_shadow(case, fault):
    _suffer(case, fault, turns=2, lasting=1.2, between=0.7)


@slow
@limit(600)
@each("delay", "error", "rate", "stop", "kill")
def a_server_that_fails_again_and_again_is_not_noticed(case, fault):
    _suffer(case, fault, turns=25, lasting=2.0, between=1.5)


@alone
@limit(100)
@each("delay", "stop")
def reads_do_not_wait_for_a_store_that_is_slow_or_hangs(case, fault):
    need_gnomon()
    bad = _BadServer(case, fault)
    daemon = _protected(case, [("bad", bad.wire.uri(), 0), ("good", 4 * SIZE, 1)])
    client = daemon.client(timeout=60)

    def longest(seconds):
        took, end, number = [], time.monotonic() + seconds, 0
        while time.monotonic() < end:
            begun = time.monotonic()
            client.read(number * 37 % 8192 * 4096, 4096)
            took.append(time.monotonic() - begun)
            number += 1
        took.sort()
        return took[-1], took[len(took) * 99 // 100], len(took)
    healthy = longest(1)
    bad.now()
    failing = longest(3)
    bad.over()
    case.note(f"longest, 99th percentile and number of reads: healthy {healthy}, failing {failing}")
    # One read after the other: each that went to the bad store would take 0.2 s or all the time.
    assert failing[0] < 0.15 and failing[1] < 0.02, failing


@limit(100)
def a_store_that_returns_gets_what_it_lacks_and_no_more(case):
    need_gnomon()
    server = Server(case, size=4 * SIZE)
    daemon = _protected(case, [("bad", server.uri(), 0), ("good", 4 * SIZE, 1)])

    def copied():
        return daemon.json("jobs")["protection"]["movedBytes"]
    before = copied()
    server.kill()
    client = daemon.client(timeout=30)
    # Nothing is acknowledged by a store that is away, so the first write finds out for all of its extent.
    blocks = [number * 97 % 8192 for number in range(200)]
    for number, block in enumerate(blocks):
        client.write(block * 4096, bytes([number + 1]) * 4096)
    client.flush()
    server.start()
    _wait_protected(daemon)
    assert copied() - before == len(blocks) * 4096, f"{copied() - before} bytes for {len(blocks)} blocks"
    assert _copies_are_equal(daemon)


# --- disks under stores in files

@alone
@limit(280)
def failing_disks_are_not_noticed_by_who_has_a_shadow(case):
    need("dmsetup", "fio")
    need_gnomon()
    uml.boot(case, "use_failing_disks", 1.0, seconds=260, modules=("dm-delay", "dm-flakey", "dm-dust"), disks=(160, 160))


@alone
@limit(280)
def a_file_system_does_not_notice_failing_disks(case):
    need("dmsetup", "fio", "nbd-client", "mkfs.ext4")
    need_gnomon()
    uml.boot(case, "use_a_file_system_on_failing_disks", "ext4", 1.0, seconds=260,
             modules=("nbd", "dm-delay", "dm-flakey", "dm-dust"), disks=(300, 300))


@slow
@limit(900)
@each("ext4", "xfs")
def a_file_system_does_not_notice_disks_that_fail_for_long(case, kind):
    need("dmsetup", "fio", "nbd-client", "mkfs.xfs")
    need_gnomon()
    uml.boot(case, "use_a_file_system_on_failing_disks", kind, 10.0, seconds=880, memory="2G",
             modules=("nbd", "dm-delay", "dm-flakey", "dm-dust"), disks=(900, 900))


# --- the demonstration

@alone
@limit(120)
def the_demonstration_shows_what_it_promises(case):
    need("nbdkit", "fio")
    need_gnomon()
    text = case.run(PYTHON, os.path.join(ROOT, "scripts/demo-failover"), "--seconds", "10", "--folder", case.path("demo"),
                    "--output", case.path("out"), env={"GNOMON": BINARY}, timeout=100)
    for word in ("turns slow", "dies", "is back", "clients saw no error"):
        assert word in text, text[-800:]
    with open(case.path("out", "failover.svg"), encoding="utf-8") as file:
        assert re.search(r"<svg .*</svg>", file.read(), re.S)
    assert not os.path.exists(case.path("demo")) or not os.listdir(case.path("demo")), "something was left"
