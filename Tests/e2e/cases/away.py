"""Stores that can not be reached when the daemon starts, or for long: what goes on without them, what waits for
them, what fails, and what they get when they are back."""
import os
import time

import nbdraw
from nbdraw import Command
from remotes import Server
from support import KiB, MiB, eventually, limit, need_gnomon, pattern

SHORT = '{ limits: { remoteHoldSeconds: 3 } }'


def _store(daemon, name):
    return daemon.json("store", "show", name)


def _volume(daemon, name="v"):
    return daemon.json("volume", "show", name)


def _copied(daemon, name="v", seconds=30):
    eventually(lambda: _volume(daemon, name)["lackingExtents"] == 0, seconds, "the wanted copies")


def _moved(daemon):
    """Bytes that protection has copied since the start."""
    return daemon.json("jobs")["protection"]["movedBytes"]


def _timed(client, command, *words, data=None):
    begin = time.monotonic()
    answer = client.call(command, *words) if data is None else client.call(command, *words, payload=data)
    return answer, time.monotonic() - begin


def a_server_that_comes_after_the_daemon_is_used_then(case):
    need_gnomon()
    server = Server(case)
    daemon = case.daemon(stores=[("far", server.uri(), 0)])
    client = daemon.client()
    client.write(0, pattern(1, 4 * MiB))
    client.flush()
    client.close()
    daemon.stop()
    server.kill()
    daemon.start()
    assert _store(daemon, "far")["connection"]["state"] == "reconnecting"
    assert "reconnecting" in daemon.gnomon("store", "list") and "no copy that can be reached" in daemon.log()
    client = daemon.client(timeout=60)
    cookie = client.submit(Command.READ, 0, 64 * KiB)
    time.sleep(0.5)
    server.start()
    assert client.wait(cookie).data == pattern(1, 4 * MiB)[:64 * KiB], "the read waited for the server"
    assert client.read(0, 4 * MiB) == pattern(1, 4 * MiB)
    client.write(2 * MiB, pattern(2, 4 * MiB))
    client.flush()
    assert _store(daemon, "far")["state"] == "online"
    daemon.kill()
    daemon.start()
    expected = pattern(1, 4 * MiB)[:2 * MiB] + pattern(2, 4 * MiB)
    assert daemon.client(timeout=60).read(0, 6 * MiB) == expected


def another_store_behind_the_server_that_comes_is_refused(case):
    need_gnomon()
    server, other = Server(case), Server(case)
    daemon = case.daemon(stores=[("far", server.uri(), 0)])
    case.run(*daemon.create_command()[:3], case.path("other"), "--store", f"x={other.uri()}",
             "--volume", "w=16MiB")
    daemon.stop()
    server.kill()
    daemon.start()
    other.kill()
    os.replace(other.image, server.image)
    server.start()
    eventually(lambda: _store(daemon, "far")["connection"]["state"] == "refused", 20, "the refusal")
    with open(server.image, "rb") as file:
        image = file.read(MiB)
    daemon.check_when_finished = False
    assert b"far" not in image, "nothing is written to a store of another pool"


def requests_without_patience_fail_at_once(case):
    need_gnomon()
    server = Server(case)
    daemon = case.daemon(stores=[("near", 64 * MiB, 0), ("far", server.uri(), 1)],
                         volumes={"v": 16 * MiB, "patient": 16 * MiB}, config=SHORT)
    for name in ("v", "patient"):
        client = daemon.client(name, timeout=60)
        client.write(0, pattern(1, 4 * MiB))
        client.flush()
        daemon.gnomon("move", name, "all", "--to", "far", "--wait")
        client.flush()
    daemon.gnomon("volume", "set", "v", "--errors", "fail")
    assert _volume(daemon)["errors"] == "fail" and _volume(daemon, "patient")["errors"] == "hold"
    server.kill()
    eventually(lambda: _store(daemon, "far")["state"] == "offline", 10, "the loss of the server")
    client, patient = daemon.client(timeout=60), daemon.client("patient", timeout=60)
    for command, words in ((Command.READ, (0, 4 * KiB)), (Command.READ, (MiB, MiB))):
        answer, took = _timed(client, command, *words)
        assert not answer.ok and took < 1.5, f"{answer} after {took:.1f} s"
    answer, took = _timed(patient, Command.READ, 0, 4 * KiB)
    assert not answer.ok and 2 <= took <= 8, f"{answer} after {took:.1f} s"
    # What lies elsewhere is not concerned, new extents neither.
    client.write(8 * MiB, pattern(2, MiB))
    begin = time.monotonic()
    client.flush()
    assert time.monotonic() - begin < 2.5, "a flush waited for a store that the volume has not written to"
    server.start()
    eventually(lambda: client.call(Command.READ, 0, 4 * KiB).ok, 10, "the server's return")
    assert client.read(0, 4 * MiB) == pattern(1, 4 * MiB)
    assert client.read(8 * MiB, MiB) == pattern(2, MiB)


def a_server_that_was_away_for_long_is_used_again(case):
    """What was written before it went is kept and sent again, however long that takes."""
    need_gnomon()
    server = Server(case, "lossy")
    daemon = case.daemon(stores=[("far", server.uri(), 0)], config=SHORT)
    client = daemon.client(timeout=60)
    client.write(0, pattern(1, 4 * MiB))
    client.flush()
    client.write(MiB, pattern(2, MiB))
    server.kill()
    answer, took = _timed(client, Command.FLUSH, 0, 0)
    assert not answer.ok and 2 <= took <= 9, f"{answer} after {took:.1f} s"
    eventually(lambda: "kept and sent again" in daemon.log(), 15, "the word about it")
    server.start()
    eventually(lambda: _store(daemon, "far")["state"] == "online", 20, "the server's return")
    client.flush()
    assert _volume(daemon)["state"] == "online"
    daemon.kill()
    server.restart()
    daemon.start()
    image = pattern(1, 4 * MiB)
    assert daemon.client(timeout=60).read(0, 4 * MiB) == image[:MiB] + pattern(2, MiB) + image[2 * MiB:]


@limit(200)
def a_server_that_was_away_gets_what_it_has_missed(case):
    need_gnomon()
    server = Server(case)
    daemon = case.daemon(stores=[("far", server.uri(), 0), ("near", 256 * MiB, 1)], config=SHORT)
    daemon.gnomon("volume", "set", "v", "--copies", "2")
    client = daemon.client(timeout=30)
    image = bytearray(pattern(1, 32 * MiB))
    for offset in range(0, 32 * MiB, MiB):
        client.write(offset, image[offset:offset + MiB])
    client.flush()
    _copied(daemon)
    before = _moved(daemon)
    server.kill()
    worst = 0
    for number in range(40):  # for longer than requests are held
        offset = (number % 8) * 4 * MiB + 128 * KiB
        data = pattern(100 + number, 4 * KiB)
        image[offset:offset + 4 * KiB] = data
        for command, words, payload in ((Command.WRITE, (offset, 4 * KiB), data), (Command.FLUSH, (0, 0), None)):
            answer, took = _timed(client, command, *words, data=payload)
            assert answer.ok, answer
            worst = max(worst, took)
        time.sleep(0.1)
    case.note(f"the longest request took {worst * 1000:.1f} ms")
    assert worst < 2, f"a request took {worst:.1f} s"
    assert client.read(0, 32 * MiB) == image
    assert _volume(daemon)["lackingExtents"] == 8, "one for each extent that was written to"
    server.start()
    _copied(daemon, seconds=60)
    copied = _moved(daemon) - before
    # A part of an extent is a 64th: what differs in a part of 16 KiB is all of it.
    assert copied == 8 * 16 * KiB, f"{copied} bytes were copied, 8 parts of 16 KiB lacked something"
    daemon.gnomon("volume", "set", "v", "--copies", "1")
    daemon.gnomon("move", "v", "all", "--to", "far", "--wait")
    daemon.gnomon("shadow", "drop", "v", "all", "--from", "near", "--wait")
    assert client.read(0, 32 * MiB) == image, "the server has everything"


def copies_of_a_server_that_stays_away_are_made_anew(case):
    need_gnomon()
    server = Server(case)
    daemon = case.daemon(stores=[("far", server.uri(), 0), ("near", 256 * MiB, 1), ("spare", 256 * MiB, 2)],
                         config='{ moves: { replaceAfterSeconds: 4 } }')
    daemon.gnomon("volume", "set", "v", "--copies", "2")
    client = daemon.client(timeout=30)
    client.write(0, pattern(1, 8 * MiB))
    client.flush()
    _copied(daemon)
    assert _store(daemon, "spare")["usedBytes"] == 0
    server.kill()
    time.sleep(2)
    assert _store(daemon, "spare")["usedBytes"] == 0, "it might be back in a moment"
    eventually(lambda: _store(daemon, "spare")["usedBytes"] >= 8 * MiB, 20, "copies in another store")
    _copied(daemon)
    assert client.read(0, 8 * MiB) == pattern(1, 8 * MiB)
    server.start()


def a_pool_is_served_without_a_broken_disk(case):
    need_gnomon()
    daemon = case.daemon(stores=[("a", 128 * MiB, 0), ("b", 128 * MiB, 1)],
                         volumes={"v": 16 * MiB, "lone": 16 * MiB})
    client, lone = daemon.client(), daemon.client("lone")
    image = bytearray(pattern(1, 8 * MiB))
    client.write(0, image)
    lone.write(0, pattern(2, 4 * MiB))
    client.flush()
    daemon.gnomon("volume", "set", "v", "--copies", "2")
    _copied(daemon)
    daemon.stop()
    os.rename(daemon.store_path("a"), daemon.store_path("a") + ".away")
    words = [daemon.binary, "serve", "--pool", daemon.pool]
    done = case.run(*words, status=None)
    assert done.returncode == 6 and "--without a" in done.stderr, done.stderr
    done = case.run(*words, "--without", "nonsense", status=None)
    assert done.returncode == 6 and "name one of: a, b" in done.stderr, done.stderr
    daemon.serve_arguments = ["--without", "a"]
    daemon.start()
    assert _store(daemon, "a")["state"] == "offline" and "extents=4" in daemon.log()
    with nbdraw.connect(daemon.address, "v") as client, nbdraw.connect(daemon.address, "lone") as lone:
        assert client.read(0, 8 * MiB) == image
        image[3 * MiB:3 * MiB + 4 * KiB] = pattern(3, 4 * KiB)
        client.write(3 * MiB, pattern(3, 4 * KiB))
        client.write(12 * MiB, pattern(4, MiB))
        assert client.call(Command.FLUSH).ok
        answer, took = _timed(lone, Command.READ, 0, 4 * KiB)
        assert not answer.ok and took < 1, answer
        answer, took = _timed(lone, Command.WRITE, 0, 4 * KiB, data=pattern(5, 4 * KiB))
        assert not answer.ok and took < 1, answer
        assert lone.call(Command.FLUSH).ok, "nothing was written"
    daemon.stop()
    os.rename(daemon.store_path("a") + ".away", daemon.store_path("a"))
    daemon.serve_arguments = []
    daemon.start()
    client = daemon.client()
    assert daemon.client("lone").read(0, 4 * MiB) == pattern(2, 4 * MiB)
    _copied(daemon)
    daemon.gnomon("move", "v", "all", "--to", "a", "--wait")
    daemon.gnomon("volume", "set", "v", "--copies", "1")
    daemon.gnomon("shadow", "drop", "v", "all", "--from", "b", "--wait")
    assert client.read(0, 8 * MiB) == image and client.read(12 * MiB, MiB) == pattern(4, MiB)
