"""Stores in exports of other servers: what is refused, what goes on when a server dies, hangs or lies."""
import os
import re
import shutil
import threading
import time

import nbdraw
from nbdraw import Command
from remotes import Server, Wire
from support import (BINARY, EXTENT, KiB, MiB, Daemon, each, eventually, limit, need, need_gnomon, pattern)
from verifier import Load, Volume

HOLD = '{ limits: { remoteHoldSeconds: 3 } }'


def _daemon(case, *places, **options):
    """A daemon whose stores lie in the places."""
    need_gnomon()
    options.setdefault("stores", [(f"s{number}", place, number) for number, place in enumerate(places)])
    return case.daemon(**options)


def _create(case, *stores, status=0, force=False):
    """Makes a pool without serving it; returns the process."""
    need_gnomon()
    words = [BINARY, "pool", "create", case.path("made")]
    for number, store in enumerate(stores):
        words += ["--store", store if "=" in store.split(":")[0] else f"s{number}={store}"]
    return case.run(*words, "--volume", "v=64MiB", *(["--force"] if force else []), status=status)


def _connection(daemon, store="s0"):
    return daemon.json("store", "show", store)["connection"]


def _wait_connected(daemon, seconds=20):
    eventually(lambda: _connection(daemon)["state"] == "connected", seconds, "the connection to the server")


# --- what works

@each("file", "memory", "lossy", "qemu-nbd", "tcp", "gnomon")
def data_in_an_export_is_there_after_a_restart(case, kind):
    need_gnomon()
    if kind == "gnomon":
        far = case.daemon(volumes={"disk": 256 * MiB}, stores=[("fast", 512 * MiB, 0)])
        place = far.uri()
    else:
        place = Server(case, "file" if kind == "tcp" else kind, tcp=kind == "tcp", export="disk").uri()
    daemon = _daemon(case, place)
    client = daemon.client()
    data = pattern(7, 9 * MiB)
    client.write(12345, data)
    client.zero(2 * MiB + 100, MiB)
    client.trim(5 * EXTENT, EXTENT)
    client.flush()
    expected = bytearray(12345) + data + bytes(64 * MiB - len(data) - 12345)
    expected[2 * MiB + 100:3 * MiB + 100] = bytes(MiB)
    expected[5 * EXTENT:6 * EXTENT] = bytes(EXTENT)
    assert client.read(0, 16 * MiB) == expected[:16 * MiB]
    assert _connection(daemon)["state"] == "connected"
    if kind != "memory":  # what nbdkit's memory loses with its process is another matter
        daemon.crash()
        assert daemon.client().read(0, 16 * MiB) == expected[:16 * MiB]
    case.daemons.reverse()  # a daemon ends before the one that it is a client of


def the_size_of_an_export_is_the_default(case):
    server = Server(case, size=48 * MiB)
    daemon = _daemon(case, server.uri())
    assert daemon.json("store", "show", "s0")["sizeBytes"] == 48 * MiB
    assert daemon.json("store", "show", "s0")["kind"] == "nbd"


@each(1, 4)
def fio_verifies_checksums_through_an_export(case, jobs):
    need("fio")
    server = Server(case)
    daemon = _daemon(case, server.uri())
    case.run("fio", "--name=verify", "--ioengine=nbd", f"--uri={daemon.uri()}", "--rw=randwrite", "--bsrange=4k-256k",
             f"--numjobs={jobs}", f"--size={48 // jobs}m", f"--offset_increment={48 // jobs}m", "--iodepth=16",
             "--verify=crc32c", "--verify_fatal=1", "--fsync=64", timeout=100, cwd=case.scratch)


def stores_of_several_kinds_are_added_and_removed(case):
    server = Server(case)
    daemon = _daemon(case, stores=[("fast", 64 * MiB, 0)])
    daemon.gnomon("store", "add", f"far={server.uri()},tier=2,node=elsewhere")
    daemon.gnomon("store", "add", "ram=memory:,size=16M,tier=0")
    stores = {store["name"]: store for store in daemon.json("store", "list")["stores"]}
    assert stores["far"]["kind"] == "nbd" and stores["far"]["connection"]["state"] == "connected", stores
    assert stores["ram"]["kind"] == "memory" and stores["ram"]["usedBytes"] == 0, stores
    daemon.gnomon("volume", "create", "big=96MiB")
    with nbdraw.connect(daemon.address, "big") as client:
        client.write(0, pattern(1, 32 * MiB))
        client.write(32 * MiB, pattern(2, 32 * MiB))
        client.write(64 * MiB, pattern(3, 30 * MiB))
        client.flush()
        client.disconnect()
    stores = {store["name"]: store for store in daemon.json("store", "list")["stores"]}
    assert stores["far"]["usedBytes"] >= 30 * MiB and stores["ram"]["usedBytes"] == 0, stores
    assert daemon.gnomon("store", "remove", "far", status=None).returncode > 0, "a store with data was removed"
    daemon.restart()
    with nbdraw.connect(daemon.address, "big") as client:
        assert client.read(64 * MiB, 30 * MiB) == pattern(3, 30 * MiB)
        client.disconnect()
    eventually(lambda: daemon.gnomon("volume", "delete", "big", status=None).returncode == 0, 5, "deletion")
    eventually(lambda: daemon.gnomon("store", "remove", "far", status=None).returncode == 0, 10, "removal")
    daemon.gnomon("store", "remove", "ram")
    assert [store["name"] for store in daemon.json("store", "list")["stores"]] == ["fast"]
    done = daemon.gnomon("store", "remove", "fast", status=None)
    assert done.returncode > 0 and "only store" in done.stderr
    # The label is still there: the export is not taken by accident.
    done = daemon.gnomon("store", "add", f"again={server.uri()}", status=None)
    assert done.returncode > 0 and "label" in done.stderr, done.stderr
    daemon.gnomon("store", "add", f"again={server.uri()}", "--force")


def a_server_that_takes_one_client_is_enough(case):
    server = Server(case, "qemu-nbd", export="only")
    daemon = _daemon(case, server.uri(), config='{ reactors: 2 }')
    clients = [daemon.client() for _ in range(4)]
    for number, client in enumerate(clients):
        client.write(number * 4 * MiB, pattern(number, 3 * MiB))
    for number, client in enumerate(clients):
        client.flush()
        assert clients[number - 1].read(number * 4 * MiB, 3 * MiB) == pattern(number, 3 * MiB)
    # Freed slots are given back over the same connection.
    clients[0].trim(0, 16 * MiB)
    clients[0].flush()
    assert clients[0].read(0, 16 * MiB) == bytes(16 * MiB)


# --- what is refused

@each(("read-only", [], "read-only"), ("file", ["--filter=blocksize-policy", "blocksize-minimum=64K", "blocksize-preferred=64K"], "smallest block"),
      ("file", ["--filter=blocksize-policy", "blocksize-minimum=4K", "blocksize-maximum=1M"], "one request"))
def an_export_that_is_not_fit_is_refused(case, setup):
    kind, words, reason = setup
    server = Server(case, kind)
    server.kill()
    filters = [word for word in words if word.startswith("--")]
    server.words = filters
    body = server.command()
    server.command = lambda: body + [word for word in words if not word.startswith("--")]
    server.start()
    done = _create(case, server.uri(), status=None)
    assert done.returncode > 0 and reason in done.stderr, done.stderr
    assert not os.path.exists(case.path("made")), "something was left"


def an_export_without_flush_is_refused(case):
    server = Server(case)
    server.kill()
    server.command = lambda: ["nbdkit", "-f", "-U", server.socket, "eval", "get_size=echo 64M",
                              "pread=dd if=/dev/zero count=$3 iflag=count_bytes", "can_write=exit 0",
                              "pwrite=cat >/dev/null"]
    server.start()
    done = _create(case, server.uri(), status=None)
    assert done.returncode > 0 and "FLUSH" in done.stderr, done.stderr


def exports_that_are_too_small_or_missing_are_refused(case):
    server = Server(case, size=MiB)
    done = _create(case, server.uri(), status=None)
    assert done.returncode > 0 and "too small" in done.stderr, done.stderr
    server = Server(case, size=8 * MiB)
    done = _create(case, f"a={server.uri()},size=64M", status=None)
    assert done.returncode > 0 and "smaller than" in done.stderr, done.stderr
    qemu = Server(case, "qemu-nbd", export="right")
    done = _create(case, qemu.uri().replace("right", "wrong"), status=None)
    assert done.returncode > 0 and "no export of that name" in done.stderr, done.stderr
    server.kill()
    done = _create(case, server.uri(), status=None)
    assert done.returncode > 0 and "nobody can be reached" in done.stderr, done.stderr


def exports_with_something_in_them_need_force(case):
    server = Server(case)
    with open(server.image, "r+b") as file:
        file.seek(70_000)
        file.write(b"precious")
    done = _create(case, server.uri(), status=None)
    assert done.returncode > 0 and "not empty" in done.stderr and "--force" in done.stderr, done.stderr
    with open(server.image, "rb") as file:
        assert b"precious" in file.read(100_000), "what was there is gone"
    _create(case, server.uri(), force=True)
    shutil.rmtree(case.path("made"))
    done = _create(case, server.uri(), status=None)
    assert done.returncode > 0 and "label" in done.stderr, done.stderr


def files_with_something_in_them_need_force(case):
    path = case.path("file")
    with open(path, "wb") as file:
        file.write(b"precious" * 1000)
    done = _create(case, f"a={path},size=16M", status=None)
    assert done.returncode > 0 and "not empty" in done.stderr, done.stderr
    _create(case, f"a={path},size=16M", force=True)


def memory_alone_makes_no_pool(case):
    done = _create(case, "a=memory:,size=64M", status=None)
    assert done.returncode > 0 and "memory may hold shadows only" in done.stderr, done.stderr
    done = _create(case, "a=memory:", status=None)
    assert done.returncode > 0 and "no size" in done.stderr, done.stderr


@each("nbds://host/x", "nbd:///x", "nbd+unix:///x", "nbd+unix:///x?socket=relative", "nbd://h:99999/x")
def a_uri_that_makes_no_sense_is_refused(case, uri):
    done = _create(case, uri, status=None)
    assert done.returncode > 0 and "Fatal" not in done.stderr and uri[:4] in done.stderr, done.stderr


def an_export_of_another_store_is_not_served(case):
    one, other = Server(case), Server(case)
    daemon = _daemon(case, one.uri(), other.uri())
    daemon.stop()
    one.kill()
    other.kill()
    one.image, other.image = other.image, one.image
    one.start()
    other.start()
    daemon.start(wait=False)
    assert daemon.process.wait(20) != 0
    assert "is not store s" in daemon.log(), daemon.log_tail()
    assert "swapped" in daemon.case.run(BINARY, "check", "--pool", daemon.pool, status=None).stdout + daemon.log()
    daemon.process = None


# --- servers that die, hang and lie

class _Traffic:
    """Writers that know what must be there."""

    def __init__(self, case, daemon, connections=2):
        size = 64 * MiB
        self.volume = Volume(1, "v", size // (4 * KiB))
        self.loads = []
        for number in range(connections):
            client = daemon.client(timeout=60)
            self.loads.append(Load(client, self.volume, number, connections, EXTENT // (4 * KiB), case.seed + number))
            self.loads[-1].start()

    def done(self):
        return sum(sum(load.counts.values()) for load in self.loads)

    def wait(self, requests, seconds=30):
        goal = self.done() + requests

        def reached():
            for load in self.loads:
                if load.error:
                    raise load.error
            return self.done() >= goal
        eventually(reached, seconds, f"{requests} more requests")

    def stop(self):
        for load in self.loads:
            load.stop()


@limit(200)
@each("lossy", "qemu-nbd", "tcp")
def a_server_that_dies_and_returns_is_not_noticed(case, kind):
    server = Server(case, "lossy" if kind == "tcp" else kind, tcp=kind == "tcp", export="disk")
    daemon = _daemon(case, server.uri(), config='{ reactors: 2 }')
    traffic = _Traffic(case, daemon)
    for turn in range(8):
        traffic.wait(300)
        server.kill()
        if turn % 2:
            time.sleep(0.7)
        server.start()
    traffic.wait(300)
    traffic.stop()
    client = daemon.client(timeout=60)
    traffic.volume.verify(client, "after the last server")
    client.flush()
    connection = _connection(daemon)
    assert connection["breaks"] >= 8 and connection["state"] == "connected", connection
    # What was flushed is there without this daemon too, though the server dies once more.
    daemon.kill()
    server.restart()
    daemon.start()
    traffic.volume.verify(daemon.client(timeout=60), "after the daemon's crash")


@limit(200)
def a_wire_that_breaks_is_not_noticed(case):
    server = Server(case, "lossy")
    wire = Wire(case, server)
    daemon = _daemon(case, wire.uri())
    traffic = _Traffic(case, daemon)
    for turn in range(20):
        traffic.wait(60)
        time.sleep(1)  # a connection that breaks sooner is not tried again at once
        wire.cut()
        if turn % 5 == 4:
            server.restart()
        # nbdkit 1.32 ends with an assertion now and then when its client goes away during an answer.
        time.sleep(0.3)
        server.revive()
    traffic.wait(200)
    traffic.stop()
    traffic.volume.verify(daemon.client(timeout=60), "after the last cut")
    assert wire.connections > 20


@limit(200)
def a_server_that_talks_garbage_harms_nobody_else(case):
    """The garbage may hit data, so only other stores' volumes and the daemon itself are judged."""
    server = Server(case)
    wire = Wire(case, server)
    daemon = _daemon(case, stores=[("fast", 24 * MiB, 0), ("far", wire.uri(), 1)], config=HOLD,
                     volumes={"near": 16 * MiB, "v": 64 * MiB})
    near = daemon.client("near", timeout=60)
    near.write(0, pattern(1, 16 * MiB))
    near.flush()
    client = daemon.client("v", timeout=60)
    client.write(0, pattern(2, 24 * MiB))
    client.flush()
    wire.garbage(case.seed)
    wire.cut()
    chance_end = time.monotonic() + 20
    answers = {True: 0, False: 0}
    while time.monotonic() < chance_end:
        for offset in range(0, 24 * MiB, MiB):
            answers[client.call(Command.READ, offset, 64 * KiB).ok] += 1
        assert near.read(0, MiB) == pattern(1, 16 * MiB)[:MiB]
    wire.garble = None
    wire.cut()
    _wait_connected_again(daemon)
    assert client.read(0, 24 * MiB) == pattern(2, 24 * MiB)
    case.note(f"{answers[True]} reads answered, {answers[False]} failed, {wire.connections} connections")
    assert wire.connections > 3
    assert near.read(0, 16 * MiB) == pattern(1, 16 * MiB)
    if daemon.json("store", "show", "far")["state"] == "failed":
        # The server seemed to say that a flush has failed. The daemon says so at its end, by its exit status.
        daemon.kill()
        daemon.check()


def _wait_connected_again(daemon):
    eventually(lambda: _connection(daemon, "far")["state"] == "connected", 20, "the connection to the server")


def requests_to_a_server_that_hangs_end_in_time(case):
    server = Server(case)
    daemon = _daemon(case, stores=[("fast", 24 * MiB, 0), ("far", server.uri(), 1)], config=HOLD,
                     volumes={"near": 16 * MiB, "v": 64 * MiB})
    near = daemon.client("near", timeout=60)
    near.write(0, pattern(1, 16 * MiB))
    client = daemon.client("v", timeout=60)
    client.write(0, pattern(2, 16 * MiB))
    client.flush()
    server.pause()
    begin = time.monotonic()
    answer = client.call(Command.READ, 12 * MiB, 4 * KiB)
    took = time.monotonic() - begin
    server.resume()
    assert not answer.ok and 2 <= took <= 8, f"{answer} after {took:.1f} s"
    assert near.read(0, 16 * MiB) == pattern(1, 16 * MiB)
    _wait_connected_again(daemon)
    assert client.read(0, 16 * MiB) == pattern(2, 16 * MiB)
    assert "no answer" in daemon.log()


def _with_one_extent(case):
    """A daemon whose server is behind a wire, and a client of a volume with something in its first extent."""
    wire = Wire(case, Server(case))
    daemon = _daemon(case, wire.uri(), config=HOLD)
    client = daemon.client(timeout=60)
    client.write(0, pattern(1, 64 * KiB))
    client.flush()
    return wire, daemon, client


def a_write_that_hung_does_not_undo_a_later_one(case):
    """Its connection is given up, and the server gets it long after."""
    wire, daemon, client = _with_one_extent(case)
    wire.hold()
    assert not client.call(Command.WRITE, 0, 4 * KiB, 0, pattern(2, 4 * KiB)).ok
    release = threading.Timer(5, wire.let_go)
    release.start()
    begin = time.monotonic()
    eventually(lambda: client.call(Command.WRITE, 0, 4 * KiB, 0, pattern(3, 4 * KiB)).ok, 30, "a write that is answered")
    case.note(f"written {time.monotonic() - begin:.1f} s later")
    release.join()
    time.sleep(0.5)  # the server has what was held by now
    assert client.read(0, 4 * KiB) == pattern(3, 4 * KiB)
    assert "requests of a connection that was given up" in daemon.log(), daemon.log_tail()


def a_write_of_a_broken_connection_does_not_undo_a_later_one(case):
    """The wire breaks, and the server gets what was on it a moment later."""
    wire, _, client = _with_one_extent(case)
    wire.hold()
    first = client.submit(Command.WRITE, 0, 4 * KiB, 0, pattern(2, 4 * KiB))
    eventually(lambda: wire.held >= 4 * KiB, 5, "the write")
    release = threading.Timer(0.7, wire.let_go)
    release.start()
    wire.lose_clients()
    assert client.wait(first).ok
    assert client.call(Command.WRITE, 4 * KiB, 4 * KiB, 0, pattern(4, 4 * KiB)).ok
    begin = time.monotonic()
    assert client.call(Command.WRITE, 0, 4 * KiB, 0, pattern(3, 4 * KiB)).ok
    case.note(f"the second write took {time.monotonic() - begin:.1f} s")
    release.join()
    time.sleep(0.5)
    assert client.read(0, 8 * KiB) == pattern(3, 4 * KiB) + pattern(4, 4 * KiB)


def requests_to_a_server_that_is_away_wait_and_then_fail(case):
    server = Server(case)
    daemon = _daemon(case, server.uri(), config=HOLD)
    client = daemon.client(timeout=60)
    client.write(0, pattern(2, 4 * MiB))
    client.flush()
    server.kill()
    eventually(lambda: _connection(daemon)["state"] == "reconnecting", 5, "the broken connection")
    begin = time.monotonic()
    answer = client.call(Command.READ, 0, 4 * KiB)
    took = time.monotonic() - begin
    assert not answer.ok and 2 <= took <= 8, f"{answer} after {took:.1f} s"
    assert "reconnecting" in daemon.gnomon("status") and "reached" in _connection(daemon)["lastError"]
    server.start()
    # The next attempt to connect may be further away than a request waits.
    eventually(lambda: client.call(Command.READ, 0, 4 * KiB).ok, 15, "reads that are answered again")
    assert client.read(0, 4 * MiB) == pattern(2, 4 * MiB)
    client.write(0, pattern(3, 4 * MiB))
    client.flush()


@each("shrunk", "read-only", "foreign", "other")
def a_server_that_returns_as_another_is_refused(case, change):
    server = Server(case)
    daemon = _daemon(case, server.uri())
    client = daemon.client(timeout=60)
    client.write(0, pattern(2, 4 * MiB))
    client.flush()
    assert client.read(0, 4 * MiB) == pattern(2, 4 * MiB)
    server.kill()
    right = server.image
    if change == "shrunk":
        os.truncate(right, 128 * MiB)
    elif change == "read-only":
        server.kind = "read-only"
    else:
        server.image = case.path("another.img")
        with open(server.image, "wb") as file:
            file.truncate(256 * MiB)
        if change == "other":
            shutil.copy(right, server.image)
            with open(server.image, "r+b") as file:  # the claim of somebody else
                file.seek(128 * KiB)
                file.write(b"GNOMONCL" + bytes(4088))
    server.start()
    eventually(lambda: _connection(daemon)["state"] == "refused", 10, "the refusal")
    begin = time.monotonic()
    answer = client.call(Command.READ, 0, 4 * KiB)
    assert not answer.ok and time.monotonic() - begin < 2, f"{answer}"
    reason = {"shrunk": "too short", "read-only": "read-only", "foreign": "no Gnomon label", "other": "taken over"}
    assert reason[change] in daemon.log(), daemon.log_tail()
    with open(server.image, "rb") as file:
        file.seek(MiB)
        assert change != "foreign" or file.read(16 * MiB) == bytes(16 * MiB), "a foreign export was written to"
    server.kill()
    if change == "shrunk":
        os.truncate(right, 256 * MiB)
    server.kind, server.image = "file", right
    server.start()
    _wait_connected(daemon)
    assert client.read(0, 4 * KiB) == pattern(2, 4 * MiB)[:4 * KiB]


def of_two_daemons_at_one_export_the_first_stops_using_it(case):
    server = Server(case)
    daemon = _daemon(case, server.uri())
    client = daemon.client(timeout=60)
    client.write(0, pattern(2, 4 * MiB))
    client.flush()
    second = Daemon(case)
    os.makedirs(second.folder)
    shutil.copytree(daemon.pool, second.pool, ignore=lambda _, names: [n for n in names if n.endswith(".sock")])
    case.daemons.append(second)
    second.start()
    again = second.client(timeout=60)
    assert again.read(0, 4 * MiB) == pattern(2, 4 * MiB)
    eventually(lambda: _connection(daemon)["state"] == "refused", 15, "the first daemon's retreat")
    assert not client.call(Command.WRITE, 0, 4 * KiB, 0, bytes(4 * KiB)).ok
    assert "taken over" in daemon.log() and str(second.process.pid) in daemon.log(), daemon.log_tail()
    assert again.read(0, 4 * MiB) == pattern(2, 4 * MiB)
    again.write(0, pattern(4, MiB))
    again.flush()
    daemon.kill()  # it could not flush what was refused, and would end with status 1


def what_the_server_fails_is_told(case):
    need("nbdkit")
    trigger = case.path("trigger")
    server = Server(case, words=["--filter=error"])
    server.kill()
    body = server.command()
    server.command = lambda: body + ["error-pread-rate=100%", f"error-file={trigger}"]
    server.start()
    daemon = _daemon(case, server.uri())
    client = daemon.client(timeout=60)
    client.write(0, pattern(2, 4 * MiB))
    client.flush()
    with open(trigger, "w", encoding="ascii"):
        pass
    assert not client.call(Command.READ, 0, 4 * KiB).ok
    os.unlink(trigger)
    assert client.read(0, 4 * MiB) == pattern(2, 4 * MiB)
    assert daemon.json("store", "show", "s0")["errors"]["reads"] >= 1


def many_requests_are_under_way_at_once(case):
    """With a server that takes 100 ms for each, 32 reads take about as long as one."""
    need("nbdkit")
    server = Server(case, words=["--filter=delay", "-t", "64"])
    server.kill()
    body = server.command()
    server.command = lambda: body + ["delay-read=100ms"]
    server.start()
    daemon = _daemon(case, server.uri())
    client = daemon.client(timeout=60)
    client.write(0, pattern(2, 4 * MiB))
    begin = time.monotonic()
    cookies = [client.submit(Command.READ, number * 64 * KiB, 4 * KiB) for number in range(32)]
    for _ in cookies:
        _, answer = client.wait_any()
        assert answer.ok
    took = time.monotonic() - begin
    assert took < 1.5, f"{took:.2f} s for 32 reads of 100 ms"


@limit(200)
def a_stop_does_not_wait_for_a_server_for_ever(case):
    server = Server(case)
    daemon = _daemon(case, server.uri(), config=HOLD)
    client = daemon.client(timeout=60)
    client.write(0, pattern(2, 4 * MiB))
    server.pause()
    daemon.process.terminate()
    status = daemon.process.wait(60)
    server.resume()
    daemon.process = None
    assert status == 1, f"status {status}: not everything was flushed"
    assert re.search("flush", daemon.log())
