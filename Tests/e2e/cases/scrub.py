"""Data at rest: it is sealed, bits that flip are found and healed, and writers raise no false alarm."""
import os
import threading

import fio
from support import EXTENT, KiB, MiB, eventually, limit, pattern

TWO = [("a", 128 * MiB, 0), ("b", 128 * MiB, 1)]
#: Extents are sealed one to two seconds after the last write.
CONFIG = '{scrub: {sealAfterSeconds: 1, bytesPerSecond: "1G"}}'


def _daemon(case, stores=TWO, volumes=None):
    return case.daemon(stores=stores, volumes=volumes or {"v": 32 * MiB}, config=CONFIG)


def _sealed(daemon, size, seconds=30):
    eventually(lambda: daemon.json("scrub")["sealedBytes"] >= size, seconds, f"{size} bytes sealed")


def _scrub(daemon, *words, status=0):
    """Scrubs, and returns what the last scrub came to."""
    daemon.gnomon("scrub", "start", *words, "--wait", status=status, timeout=120)
    info = daemon.json("scrub")
    assert "running" not in info, info
    return info["last"]


def _find(daemon, store, content, at=0):
    """The offset in a store's file of a block that holds this."""
    with open(daemon.store_path(store), "rb") as file:
        place = file.read().find(content[at:at + 4096])
    assert place >= 0, f"store {store} does not hold it"
    return place - at


def _flip(daemon, store, offset):
    """A bit changes on the disk, and nobody is told."""
    file = os.open(daemon.store_path(store), os.O_RDWR)
    try:
        byte = os.pread(file, 1, offset)[0]
        os.pwrite(file, bytes([byte ^ 0x10]), offset)
        os.fdatasync(file)
        # Gnomon reads past the page cache.
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(file)


def _protected(case, extents=8):
    """A volume with two copies of everything, all of it sealed."""
    daemon = _daemon(case)
    client = daemon.client()
    data = pattern(1, extents * EXTENT)
    client.write(0, data)
    client.flush()
    daemon.gnomon("volume", "set", "v", "--copies", "2")
    eventually(lambda: daemon.json("volume", "show", "v")["lackingExtents"] == 0, 30, "two copies")
    _sealed(daemon, len(data))
    return daemon, client, data


# --- healing

@limit(120)
def a_bad_copy_is_healed_from_the_good_one(case):
    daemon, client, data = _protected(case)
    clean = _scrub(daemon)
    assert clean["counts"]["copies"] == 16 and clean["counts"]["bad"] == 0, clean
    assert clean["counts"]["readBytes"] == 2 * len(data) and clean["end"] == "complete", clean
    for extent, store in ((2, "a"), (5, "b")):
        _flip(daemon, store, _find(daemon, store, data, extent * EXTENT) + extent * EXTENT + 70_000)
    # Nobody notices but the scrub: what is read is not verified.
    wrong = client.read(2 * EXTENT, EXTENT) != data[2 * EXTENT:3 * EXTENT]
    assert wrong or client.read(5 * EXTENT, EXTENT) != data[5 * EXTENT:6 * EXTENT], "the flipped bits are not seen"
    found = _scrub(daemon)
    assert found["counts"]["bad"] == 2 and found["counts"]["healed"] == 2 and found["counts"]["unhealed"] == 0, found
    assert {(f["extent"], f["store"], f["problem"], f["outcome"]) for f in found["findings"]} == {
        (2, "a", "differs", "healed"), (5, "b", "differs", "healed")}, found
    assert client.read(0, len(data)) == data
    assert daemon.log().count("a copy does not hold what was sealed") == 2
    # Both copies hold what they held, where they held it.
    for store in ("a", "b"):
        for extent in range(8):
            _find(daemon, store, data, extent * EXTENT + 68 * KiB)
    runs = [run for run in daemon.json("extents", "v")["runs"] if "live" in run]
    assert {run["live"] for run in runs} == {"a"}, runs
    assert {shadow["state"] for run in runs for shadow in run["shadows"]} == {"synced"}, runs
    assert _scrub(daemon)["counts"]["bad"] == 0


@limit(120)
def without_a_good_copy_the_place_is_told_and_nothing_changed(case):
    daemon = _daemon(case, stores=[("a", 128 * MiB, 0)])
    client = daemon.client()
    data = pattern(2, 4 * EXTENT)
    client.write(0, data)
    client.flush()
    _sealed(daemon, len(data))
    place = _find(daemon, "a", data, 3 * EXTENT) + 3 * EXTENT
    _flip(daemon, "a", place + 12_345)
    broken = client.read(3 * EXTENT, EXTENT)
    for _ in range(2):
        found = _scrub(daemon, "v", status=1)
        assert found["counts"]["unhealed"] == 1, found
        finding = found["findings"][0]
        assert (finding["volume"], finding["extent"], finding["store"]) == ("v", 3, "a"), found
        assert finding["place"] == place and finding["outcome"] == "unhealed", found
    assert client.read(3 * EXTENT, EXTENT) == broken, "it has been changed"
    shown = daemon.gnomon("scrub")
    assert "no copy holds what was sealed" in shown and str(place) in shown, shown
    client.disconnect()
    # The result outlives the daemon, however it ends, and so does the seal.
    daemon.crash()
    assert daemon.json("scrub")["last"]["findings"] == [finding]
    assert _scrub(daemon, status=1)["counts"]["unhealed"] == 1
    # What is written again is right again.
    daemon.client().write(3 * EXTENT, data[3 * EXTENT:])
    daemon.client().flush()
    _sealed(daemon, len(data))
    assert _scrub(daemon)["counts"]["bad"] == 0


@limit(120)
def one_store_or_one_volume_can_be_looked_at(case):
    daemon, client, data = _protected(case, extents=4)
    _flip(daemon, "b", _find(daemon, "b", data, EXTENT) + EXTENT + 5)
    assert _scrub(daemon, "--store", "a")["counts"] == {
        "readBytes": len(data), "extents": 4, "copies": 4, "bad": 0, "unread": 0, "healed": 0, "unhealed": 0}
    found = _scrub(daemon, "v", "--store", "b")
    assert found["what"] == "volume v in store b" and found["counts"]["healed"] == 1, found
    for words, status in (("none",), 6), (("--store", "none"), 6):
        daemon.gnomon("scrub", "start", *words, status=status)
    daemon.gnomon("scrub", "stop", status=4)
    assert client.read(0, len(data)) == data


# --- no false alarms

@limit(200)
def writers_raise_no_alarm(case):
    daemon = _daemon(case)
    daemon.gnomon("volume", "set", "v", "--copies", "2")
    # Between bursts everything comes to rest, and is sealed in part.
    load = fio.Verifying(case, daemon, "--size=30m", "--io_size=60m", "--thinktime=2500ms", "--thinktime_blocks=300",
                         "--verify_backlog=512", "--fsync=200", turns=2)
    scrubs, copies = 0, 0
    while load.is_alive():
        counts = _scrub(daemon)["counts"]
        assert counts["bad"] == 0 and counts["unread"] == 0, counts
        scrubs, copies = scrubs + 1, copies + counts["copies"]
    load.stop()
    _sealed(daemon, daemon.json("scrub")["mappedBytes"], 60)
    last = _scrub(daemon)["counts"]
    assert last["bad"] == 0 and last["copies"] >= 30, last
    assert copies > 0, "nothing was ever at rest"
    case.note(f"{scrubs} scrubs under fio compared {copies} copies, {last['copies']} at the end")


@limit(200)
def no_seal_is_older_than_its_data_after_kills(case):
    daemon = _daemon(case)
    size, written = 16 * EXTENT, 0
    client = daemon.client()
    client.write(0, pattern(3, size))
    client.flush()
    for turn in range(5):
        _sealed(daemon, size)
        stop = threading.Event()

        def write(client=client, turn=turn):
            nonlocal written
            try:
                while not stop.is_set():
                    extent = written * 7 % 16
                    client.write(extent * EXTENT + written % 50 * 4 * KiB, pattern(turn * 1000 + written, 4 * KiB))
                    written += 1
            except OSError:
                pass
        writer = threading.Thread(target=write)
        writer.start()
        # In the middle of the first writes to sealed extents, or soon after.
        stop.wait(0.004 * 3 ** turn)
        daemon.kill()
        stop.set()
        writer.join()
        daemon.start()
        client = daemon.client()
        counts = _scrub(daemon)["counts"]
        assert counts["bad"] == 0, f"after kill {turn}: {counts}"
    assert written > 20, written
    case.note(f"{written} writes to sealed extents, 5 kills")


def a_scrub_can_be_stopped_and_a_shrunk_volume_is_no_alarm(case):
    daemon = _daemon(case, stores=[("a", 128 * MiB, 0)], volumes={"v": 8 * EXTENT})
    client = daemon.client()
    client.write(0, pattern(4, 8 * EXTENT))
    client.flush()
    _sealed(daemon, 8 * EXTENT)
    client.disconnect()
    eventually(lambda: daemon.json("volume", "show", "v")["connections"] == 0, 10, "the client is gone")
    # What is cleared behind the new end lies in a sealed extent.
    daemon.gnomon("volume", "resize", "v", str(3 * EXTENT + 64 * KiB), "--force")
    assert _scrub(daemon)["counts"]["bad"] == 0
    daemon.gnomon("volume", "resize", "v", str(8 * EXTENT))
    daemon.crash()
    assert _scrub(daemon)["counts"]["bad"] == 0
    daemon.stop()
    assert "no errors" in daemon.gnomon("check")
