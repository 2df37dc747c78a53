"""Prediction: what is read often gets shadows on the fast tier, and nothing is lost by it, whatever happens."""
import random
import threading
import time

import nbdraw
from nbdraw import Command
from remotes import Server
from support import EXTENT, KiB, MiB, alone, eventually, limit, need, pattern

EXTENTS = 48
ON = "{ prediction: { enabled: true, fastTierShare: 50 }, scrub: { sealAfterSeconds: 0 } }"


def _pool(case, fast=96, config=ON, slow_words=("--filter=delay", "rdelay=3ms")):
    """A pool whose volume lies in a slow store, full of what `_content` says, and that then gets a fast store."""
    need("nbdkit")
    slow = Server(case, words=slow_words)
    daemon = case.daemon(stores=[("slow", slow.uri(), 1)], volumes={"v": EXTENTS * MiB}, config=config)
    with nbdraw.connect(daemon.address, "v") as client:
        for extent in range(EXTENTS):
            client.write(extent * EXTENT, _content(extent))
        client.flush()
    if fast:
        daemon.gnomon("store", "add", f"fast={daemon.store_path('fast')},size={fast * MiB},tier=0")
        eventually(lambda: _prediction(daemon).get("fastTier") == 0, 5, "the fast tier")
    return daemon


def _content(extent):
    return pattern(1000 + extent, EXTENT)


def _prediction(daemon):
    return daemon.json("prediction")


def _read_hot(client, hot, rounds, seed=1):
    chance = random.Random(seed)
    for _ in range(rounds):
        for extent in chance.sample(hot, len(hot)):
            at = chance.randrange(256) * 4 * KiB
            assert client.read(extent * EXTENT + at, 4 * KiB) == _content(extent)[at:at + 4 * KiB], extent


def _check_all(daemon):
    with nbdraw.connect(daemon.address, "v") as client:
        for extent in range(EXTENTS):
            assert client.read(extent * EXTENT, EXTENT) == _content(extent), f"extent {extent}"


def _shadowed(daemon):
    """The extents that have a synced shadow in the fast store."""
    found = set()
    for run in daemon.json("extents", "v")["runs"]:
        if any(shadow == {"store": "fast", "state": "synced"} for shadow in run.get("shadows", [])):
            found.update(range(run["first"], run["last"] + 1))
    return found


# --- what it is for

@alone
def a_hot_set_is_served_by_the_fast_tier(case):
    # So slow that a busy disk below the fast store is still faster; a read there that is late by the machine's noise
    # has others go elsewhere for a moment.
    daemon = _pool(case, slow_words=("--filter=delay", "rdelay=20ms"))
    hot = [3, 7, 11, 20, 21, 22, 30, 41]
    with nbdraw.connect(daemon.address, "v") as client:
        _read_hot(client, hot, 60)
        before = _prediction(daemon)
        _read_hot(client, hot, 60, seed=2)
    after = _prediction(daemon)
    reads = after["reads"]["all"] - before["reads"]["all"]
    fast = after["reads"]["fromFasterShadows"] - before["reads"]["fromFasterShadows"]
    assert reads == 60 * len(hot) and fast >= 0.75 * reads, (reads, fast)
    assert _shadowed(daemon) >= set(hot), (_shadowed(daemon), after)
    assert after["made"]["made"] <= 2 * len(hot) and after["made"]["neverUsed"] == 0, after["made"]
    assert after["costs"]["droppedRecords"] == 0
    _check_all(daemon)


def a_scan_moves_almost_nothing(case):
    daemon = _pool(case)
    with nbdraw.connect(daemon.address, "v") as client:
        for extent in range(EXTENTS):
            assert client.read(extent * EXTENT, EXTENT) == _content(extent)
    time.sleep(0.5)
    made = _prediction(daemon)["made"]
    assert made["made"] <= 2, made


def writes_alone_move_nothing(case):
    daemon = _pool(case)
    with nbdraw.connect(daemon.address, "v") as client:
        for _ in range(200):
            client.write(5 * EXTENT, _content(5)[:4 * KiB])
    time.sleep(0.5)
    assert _prediction(daemon)["made"]["decided"] == 0
    _check_all(daemon)


def a_volume_that_is_never_to_use_the_fast_tier_has_no_shadows_there(case):
    daemon = _pool(case)
    hot = [3, 7, 11]
    with nbdraw.connect(daemon.address, "v") as client:
        _read_hot(client, hot, 30)
        eventually(lambda: _shadowed(daemon) >= set(hot), 10, "shadows")
        daemon.gnomon("volume", "set", "v", "--never", "tier0")
        eventually(lambda: not _shadowed(daemon) and _prediction(daemon)["shadows"] == 0, 10, "the end of the shadows")
        assert "never to have copies" in daemon.gnomon("why", "v", f"{hot[0]}M")
        decided = _prediction(daemon)["made"]["decided"]
        _read_hot(client, hot, 30, seed=2)
        assert client.call(Command.CACHE, 5 * EXTENT, EXTENT).ok
        done = daemon.gnomon("hint", "v", "--range", "5M+1M", status=None)
        assert done.returncode == 4 and "--never" in done.stderr, done.stderr
        time.sleep(0.5)
        assert _prediction(daemon)["made"]["decided"] == decided and not _shadowed(daemon)
        daemon.gnomon("volume", "set", "v", "--never", "none")
        _read_hot(client, hot, 30, seed=3)
        eventually(lambda: _shadowed(daemon) >= set(hot), 10, "shadows once more")
    _check_all(daemon)


def with_one_tier_or_switched_off_nothing_is_done(case):
    for config, fast in ((ON, 0), ("{ prediction: { enabled: false } }", 0)):
        daemon = _pool(case, config=config, fast=fast)
        with nbdraw.connect(daemon.address, "v") as client:
            _read_hot(client, [1, 2], 30)
        info = _prediction(daemon)
        assert info["made"]["decided"] == 0 and "fastTier" not in info and info["shadows"] == 0, info
        assert info["reads"]["all"] == 60, info


# --- bounds

def shadows_take_no_more_than_their_share(case):
    daemon = _pool(case, fast=24)
    allowed = _prediction(daemon)["allowedBytes"]
    assert allowed <= 12 * MiB, allowed
    with nbdraw.connect(daemon.address, "v") as client:
        for turn in range(6):
            hot = list(range(turn * 8, turn * 8 + 8))
            _read_hot(client, hot, 25, seed=turn)
    eventually(lambda: len(_shadowed(daemon)) * EXTENT <= allowed, 10, "shadows within their share")
    info = _prediction(daemon)
    assert info["made"]["dropped"] > 0 and info["made"]["made"] > 12, info["made"]
    free = daemon.json("store", "show", "fast")["freeBytes"]
    assert free >= 4 * MiB, free
    _check_all(daemon)


def copies_that_a_volume_wants_stay(case):
    daemon = _pool(case, fast=24)
    other = Server(case)
    daemon.gnomon("store", "add", f"other={other.uri()},tier=1")
    with nbdraw.connect(daemon.address, "v") as client:
        _read_hot(client, [4, 5, 6], 40)
        eventually(lambda: _shadowed(daemon) >= {4, 5, 6}, 10, "shadows of what is hot")
        # Now they count as the copies that are wanted, and the others get theirs.
        daemon.gnomon("volume", "set", "v", "--copies", "2")
        eventually(lambda: daemon.json("volume", "show", "v")["lackingExtents"] == 0, 60, "two copies")
        # As many others as shadows have room for: all that is prediction's has to go.
        client.call(Command.CACHE, 10 * EXTENT, 12 * EXTENT)
        eventually(lambda: 21 in _shadowed(daemon), 10, "shadows of others")
    time.sleep(1)
    assert daemon.json("volume", "show", "v")["lackingExtents"] == 0
    assert _shadowed(daemon) >= {4, 5, 6}, _shadowed(daemon)
    assert _prediction(daemon)["made"]["released"] >= 3
    _check_all(daemon)


# --- what clients and people say

@alone
def the_cache_command_makes_shadows(case):
    daemon = _pool(case)
    with nbdraw.connect(daemon.address, "v") as client:
        client.call(Command.CACHE, 10 * EXTENT, 4 * EXTENT)
        eventually(lambda: _shadowed(daemon) == {10, 11, 12, 13}, 10, "shadows of what was asked for")
        before = _prediction(daemon)["reads"]["fromFasterShadows"]
        _read_hot(client, [10, 11, 12, 13], 60)
    # A store that was late by a moment's noise is left alone for a while.
    assert _prediction(daemon)["reads"]["fromFasterShadows"] - before >= 120
    why = daemon.json("why", "v", str(10 * EXTENT + 5))
    assert why["extent"]["live"] == "slow" and why["extent"]["shadows"][0]["store"] == "fast", why
    assert why["decisions"][0]["action"] == "shadow" and "CACHE" in why["decisions"][0]["reason"], why


def hints_make_shadows_and_keep_them(case):
    daemon = _pool(case, fast=24)
    hint = daemon.json("hint", "v", "--range", "2M+3M", "--for", "5m")
    assert [hint] == daemon.json("hint", "list")["hints"], hint
    eventually(lambda: _shadowed(daemon) == {2, 3, 4}, 10, "shadows of what was hinted at")
    # Others come and go; what is hinted at stays.
    with nbdraw.connect(daemon.address, "v") as client:
        for turn in range(9):
            client.call(Command.CACHE, (10 + turn * 2) * EXTENT, 2 * EXTENT)
            time.sleep(0.6)
    assert _prediction(daemon)["made"]["dropped"] > 0
    for extent in (2, 3, 4):
        why = daemon.json("why", "v", str(extent * EXTENT))
        assert [decision["action"] for decision in why["decisions"]] == ["shadow"], why
    daemon.gnomon("hint", "delete", str(hint["number"]))
    daemon.gnomon("hint", "v", "--range", "20M+1M", "--for", "1s")
    eventually(lambda: daemon.json("hint", "list")["hints"] == [], 15, "the end of the hint")
    later = daemon.json("hint", "v", "--range", "40M+1M", "--for", "1h")
    daemon.gnomon("hint", "delete", str(later["number"]))
    assert daemon.json("hint", "list")["hints"] == []


def hints_that_make_no_sense_are_refused(case):
    daemon = _pool(case)
    for words, complaint in (
            (("--range", "0+0"), "empty"), (("--range", f"{EXTENTS}M+1M"), "beyond the end"),
            (("--range", "40M+9M"), "beyond the end"), (("--range", "x+1"), "no range"),
            (("--range", "1M"), "no range"), (("--range", "0+1M", "--for", "2y"), "wrong --for"),
            (("--range", "0+1M", "--at", "25:00"), "no time"), ((), "--range")):
        done = daemon.gnomon("hint", "v", *words, status=None)
        assert done.returncode != 0 and complaint in done.stderr, (words, done)
    done = daemon.gnomon("hint", "v", "--range", "0+1M", "--at", "2001-01-01T00:00", status=None)
    assert "past" in done.stderr, done.stderr
    daemon.gnomon("hint", "delete", "7", status=None)
    assert daemon.json("hint", "list")["hints"] == []


# --- when something happens

def shadows_are_known_again_after_a_restart(case):
    daemon = _pool(case)
    hot = [1, 2, 3, 9]
    with nbdraw.connect(daemon.address, "v") as client:
        _read_hot(client, hot, 40)
    eventually(lambda: _shadowed(daemon) >= set(hot), 10, "shadows of what is hot")
    for again in (daemon.restart, daemon.crash):
        again()
        eventually(lambda: _prediction(daemon)["made"]["adopted"] >= len(hot), 10, "shadows of earlier")
        assert _prediction(daemon)["usedBytes"] >= len(hot) * EXTENT
    with nbdraw.connect(daemon.address, "v") as client:
        _read_hot(client, hot, 10)
    _check_all(daemon)


def what_somebody_asked_for_is_not_taken_for_predictions(case):
    daemon = _pool(case)
    daemon.gnomon("move", "v", "5,40", "--to", "fast", "--keep", "--wait")
    # Both have prediction look at stores and volumes anew.
    daemon.gnomon("store", "add", f"more={daemon.store_path('more')},size={64 * MiB},tier=0")
    time.sleep(0.5)
    daemon.gnomon("volume", "resize", "v", str(24 * EXTENT), "--force")
    time.sleep(0.5)
    prediction = _prediction(daemon)
    assert prediction["made"]["adopted"] == 0 and prediction["usedBytes"] == 0, prediction
    assert _shadowed(daemon) == {5}


def a_volume_that_shrinks_keeps_its_shadows(case):
    daemon = _pool(case)
    hot = [1, 2, 3, 30]
    with nbdraw.connect(daemon.address, "v") as client:
        _read_hot(client, hot, 40)
        eventually(lambda: _shadowed(daemon) >= set(hot), 10, "shadows of what is hot")
        client.disconnect()
    kept = {extent for extent in _shadowed(daemon) if extent < 24}
    eventually(lambda: daemon.gnomon("volume", "resize", "v", str(24 * EXTENT), "--force", status=None).returncode == 0,
               5, "shrinking")
    eventually(lambda: _prediction(daemon)["usedBytes"] == len(kept) * EXTENT, 5, "only what is left")
    assert _shadowed(daemon) == kept and _prediction(daemon)["made"]["adopted"] == 0, (kept, _prediction(daemon))


@limit(180)
def the_fast_store_dies_under_it(case):
    daemon = _pool(case, fast=0)
    fast = Server(case)
    daemon.gnomon("store", "add", f"fast={fast.uri()},tier=0")
    eventually(lambda: _prediction(daemon).get("fastTier") == 0, 5, "the fast tier")
    stop, failures = threading.Event(), []

    def load():
        try:
            with nbdraw.connect(daemon.address, "v", timeout=60) as client:
                while not stop.is_set():
                    _read_hot(client, [3, 4, 5, 6], 2)
                    client.write(4 * EXTENT, _content(4)[:64 * KiB])
        except Exception as error:  # pylint: disable=broad-except
            failures.append(error)
    thread = threading.Thread(target=load)
    thread.start()
    try:
        eventually(lambda: _shadowed(daemon) >= {3, 4, 5, 6}, 20, "shadows of what is hot")
        for _ in range(2):
            fast.kill()
            time.sleep(2)
            fast.start()
            time.sleep(2)
    finally:
        stop.set()
        thread.join(60)
    assert not failures and not thread.is_alive(), failures
    _check_all(daemon)


@limit(180)
def nothing_is_lost_under_load_and_kills(case):
    """Blocks that are written, read often and so copied back and forth, while the daemon is killed."""
    daemon = _pool(case, fast=16)
    chance = random.Random(5)
    known = {extent: bytearray(_content(extent)) for extent in range(EXTENTS)}
    for _ in range(4):
        with nbdraw.connect(daemon.address, "v") as client:
            until = time.monotonic() + 4
            while time.monotonic() < until:
                extent = min(EXTENTS - 1, int(chance.expovariate(0.15)))
                at = chance.randrange(256) * 4 * KiB
                if chance.random() < 0.3:
                    data = pattern(chance.randrange(1 << 30), 4 * KiB)
                    client.write(extent * EXTENT + at, data, nbdraw.FUA)
                    known[extent][at:at + 4 * KiB] = data
                else:
                    assert client.read(extent * EXTENT + at, 4 * KiB) == known[extent][at:at + 4 * KiB], extent
            assert _prediction(daemon)["made"]["made"] > 0
        daemon.crash()
        with nbdraw.connect(daemon.address, "v") as client:
            for extent in range(EXTENTS):
                assert client.read(extent * EXTENT, EXTENT) == bytes(known[extent]), f"extent {extent}"
