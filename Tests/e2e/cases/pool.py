"""Pools and their faults: locks, labels, damage, full stores. A clear message, no harm, never a crash."""
import os
import re
import shutil
import sqlite3
import subprocess
import time

import nbdraw
from nbdraw import Command
from support import BINARY, CRASH, Daemon, EXTENT, KiB, MiB, Skip, each, eventually, limit, need_gnomon, pattern


def _refuses(case, daemon, *hints):
    """`serve` must end by itself with an error status and say what is wrong."""
    done = case.run(*daemon.serve_command(), status=None, timeout=30)
    assert done.returncode not in (0, -6, -4, -5, -11), f"status {done.returncode}"
    text = done.stdout + done.stderr
    assert not re.search("Fatal error|crashed", text), text
    for hint in hints:
        assert re.search(hint, text, re.I), f"nothing about {hint!r} in: {text.strip()[-500:]}"
    return text


def _complains(case, daemon, *hints):
    done = case.run(BINARY, "check", "--pool", daemon.pool, status=None, timeout=60)
    assert done.returncode > 0, f"gnomon check found nothing: {done.stdout}"
    text = done.stdout + done.stderr
    for hint in hints:
        assert re.search(hint, text, re.I), f"nothing about {hint!r} in: {text.strip()[-500:]}"
    return text


def _filled(case, **options):
    """A daemon with data on it, stopped."""
    need_gnomon()
    daemon = case.daemon(**options)
    client = daemon.client()
    client.write(0, pattern(11, 8 * EXTENT))
    client.flush()
    client.disconnect()
    daemon.stop()
    return daemon


def _intact(daemon):
    assert daemon.client().read(0, 8 * EXTENT) == pattern(11, 8 * EXTENT)


def _catalog(daemon):
    """The SQLite file of the pool."""
    for base, _, files in os.walk(daemon.pool):
        for name in files:
            path = os.path.join(base, name)
            with open(path, "rb") as file:
                if file.read(16) == b"SQLite format 3\0":
                    return path
    raise AssertionError(f"no SQLite file in {os.listdir(daemon.pool)}")


# --- creating

def create_refuses_an_existing_pool(case):
    daemon = _filled(case)
    done = case.run(*daemon.create_command(), status=None)
    assert done.returncode > 0 and done.stderr.strip(), "an existing pool was taken"
    daemon.start()
    _intact(daemon)


def create_refuses_to_take_over_a_file_with_data(case):
    """A store's file that already belongs to another pool is not overwritten."""
    daemon = _filled(case)
    words = daemon.create_command()
    words[words.index(daemon.pool)] = case.path("other")
    done = case.run(*words, status=None)
    assert done.returncode > 0, "another pool's store was taken"
    daemon.start()
    _intact(daemon)


@each(("--store", "fast"), ("--store", "fast={}"), ("--store", "fast={},size=banana,tier=0"),
      ("--store", "fast={},size=1GiB,tier=gold"), ("--store", "fast={},size=1GiB,tier=0,colour=red"),
      ("--store", "fast={},size=1GiB,tier=0", "--volume", "v"),
      ("--store", "fast={},size=1GiB,tier=0", "--volume", "v=1GiB,extent=3000"),
      ("--store", "fast={},size=1GiB,tier=0", "--volume", "v=0"),
      ("--store", "fast={},size=1GiB,tier=0", "--volume", "=1GiB"),
      ("--store", "fast={},size=1GiB,tier=0,cache=maybe", "--volume", "v=1GiB"),
      ("--volume", "v=1GiB"), ("--sotre", "x"))
def create_says_what_is_wrong_with_its_arguments(case, words):
    need_gnomon()
    words = [word.replace("{}", case.path("file")) for word in words]
    done = case.run(BINARY, "pool", "create", case.path("pool"), *words, status=None)
    assert done.returncode > 0, "accepted"
    assert done.stderr.strip() and not CRASH.search(done.stderr), done.stderr
    assert not os.path.exists(case.path("pool")), "a refused pool left a folder behind"


# --- one process only

def a_pool_is_served_by_one_process_only(case):
    need_gnomon()
    daemon = case.daemon()
    client = daemon.client()
    client.write(0, b"first")
    second = [word.replace(str(daemon.port), str(daemon.port + 1)).replace("nbd.sock", "other.sock")
              for word in daemon.serve_command()]
    begun = time.monotonic()
    done = case.run(*second, status=None, timeout=30)
    assert done.returncode > 0
    assert re.search(f"in use by process {daemon.process.pid}\\b", done.stderr), done.stderr
    assert time.monotonic() - begun < 2, "a process that runs is not waited for"
    assert client.read(0, 5) == b"first"
    check = case.run(BINARY, "check", "--pool", daemon.pool, status=None)
    assert check.returncode > 0, "check of a pool that is being served"
    _still = daemon.client().read(0, 5)
    assert _still == b"first"


def serving_a_pool_that_does_not_exist_says_so(case):
    need_gnomon()
    done = case.run(BINARY, "serve", "--pool", case.path("nowhere"), status=None, timeout=20)
    assert done.returncode > 0 and "nowhere" in done.stderr, done.stderr


def a_taken_port_is_reported(case):
    need_gnomon()
    first, second = case.daemon(), case.daemon()
    second.stop()
    second.port, second.socket = first.port, second.socket + "2"
    _refuses(case, second, "address|in use|bind|listen")


def a_stale_unix_socket_is_replaced_after_a_kill(case):
    daemon = case.daemon()
    daemon.kill()
    if daemon.serve_command()[0] == BINARY:
        assert os.path.exists(daemon.socket)
    daemon.start()
    daemon.client().read(0, 512)


# --- damage

@limit(200)
def a_corrupted_map_page_is_found(case):
    daemon = _filled(case)
    daemon.check()
    path = _catalog(daemon)
    with sqlite3.connect(path) as database:
        blobs = []
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for cid, column, kind, *_ in database.execute(f'PRAGMA table_info("{table}")').fetchall():
                for row, data in database.execute(f'SELECT rowid, "{column}" FROM "{table}" WHERE typeof("{column}") = '
                                                  f"'blob' AND length(\"{column}\") >= 64").fetchall():
                    blobs.append((len(data), table, column, row, data))
        assert blobs, f"no map page among {tables}"
        _, table, column, row, data = max(blobs)
        broken = bytearray(data)
        broken[len(broken) // 3] ^= 0x40
        broken[len(broken) // 2] ^= 0x01
        database.execute(f'UPDATE "{table}" SET "{column}" = ? WHERE rowid = ?', (bytes(broken), row))
        case.note(f"flipped two bits in {table}.{column} row {row}, {len(data)} bytes")
    database.close()
    _complains(case, daemon, "checksum|corrupt|damage")
    _refuses(case, daemon, "checksum|corrupt|damage")
    daemon.check_when_finished = False


def a_corrupted_catalog_file_is_found(case):
    daemon = _filled(case)
    path = _catalog(daemon)
    with open(path, "r+b") as file:
        file.seek(0)
        file.write(b"\0" * 4096)
    _refuses(case, daemon, "catalog|database|corrupt|not")
    _complains(case, daemon, "catalog|database|corrupt|not")


def a_missing_catalog_is_not_replaced_by_an_empty_one(case):
    daemon = _filled(case)
    path = _catalog(daemon)
    os.rename(path, path + ".away")
    _refuses(case, daemon)
    assert not os.path.exists(path), "an empty catalog was made beside the stores' data"
    os.rename(path + ".away", path)
    daemon.start()
    _intact(daemon)


@each("missing", "empty", "truncated", "not a store")
def a_wrong_store_file_is_refused(case, how):
    daemon = _filled(case)
    path = daemon.store_path("fast")
    away = path + ".away"
    os.rename(path, away)
    if how == "empty":
        open(path, "wb").close()
    elif how == "truncated":
        shutil.copyfile(away, path)
        os.truncate(path, 3 * EXTENT)
    elif how == "not a store":
        with open(path, "wb") as file:
            file.write(pattern(1, 4 * MiB))
            file.truncate(256 * MiB)
    before = os.path.exists(path) and open(path, "rb").read(4 * MiB)
    _refuses(case, daemon, "fast")
    _complains(case, daemon, "fast")
    after = os.path.exists(path) and open(path, "rb").read(4 * MiB)
    assert before == after, "a foreign file was written to"
    if os.path.exists(path):
        os.unlink(path)
    os.rename(away, path)
    daemon.start()
    _intact(daemon)


def swapped_store_files_are_refused(case):
    need_gnomon()
    daemon = _filled(case, stores=[("fast", 4 * EXTENT, 0), ("bulk", 256 * MiB, 2)])
    fast, bulk, aside = daemon.store_path("fast"), daemon.store_path("bulk"), case.path("aside")
    def swap():
        os.rename(fast, aside)
        os.rename(bulk, fast)
        os.rename(aside, bulk)
    swap()
    _refuses(case, daemon, "fast|bulk")
    _complains(case, daemon, "fast|bulk")
    swap()
    daemon.start()
    _intact(daemon)


def a_store_of_another_pool_is_refused(case):
    one, other = _filled(case), _filled(case)
    away = case.path("away")
    os.rename(one.store_path("fast"), away)
    shutil.copyfile(other.store_path("fast"), one.store_path("fast"))
    _refuses(case, one, "fast")
    os.rename(away, one.store_path("fast"))
    one.start()
    _intact(one)
    other.start()
    _intact(other)


def a_store_file_that_disappears_while_it_is_served(case):
    """The open file goes on to work; the next start says what is missing."""
    need_gnomon()
    daemon = case.daemon()
    client = daemon.client()
    client.write(0, b"here")
    client.flush()
    os.unlink(daemon.store_path("fast"))
    assert client.read(0, 4) == b"here"
    answer = client.call(Command.WRITE, 5 * EXTENT, 4, 0, b"more")
    case.note(f"write after the file is gone: error {answer.error}")
    assert daemon.alive()
    client.close()
    daemon.kill()
    _refuses(case, daemon, "fast")


def a_store_file_that_shrinks_while_it_is_served_gives_errors_only(case):
    need_gnomon()
    daemon = case.daemon()
    client = daemon.client()
    client.write(0, pattern(4, 8 * EXTENT))
    client.flush()
    os.truncate(daemon.store_path("fast"), 2 * EXTENT)
    answer = client.call(Command.READ, 6 * EXTENT, 4096)
    assert answer.error == nbdraw.EIO, answer
    client.call(Command.WRITE, 7 * EXTENT, 4096, 0, bytes(4096))
    assert daemon.alive()
    client.close()
    daemon.kill()
    daemon.check_when_finished = False


# --- space

def writes_fall_to_the_next_store_when_one_is_full(case):
    need_gnomon()
    daemon = case.daemon(stores=[("fast", 6 * EXTENT, 0), ("bulk", 64 * EXTENT, 2)])
    client = daemon.client(contexts=("x-gnomon:tier",))
    data = pattern(1, 20 * EXTENT)
    client.write(0, data)
    client.flush()
    assert client.read(0, len(data)) == data
    values = {value for _, value in client.status(0, 20 * EXTENT)["x-gnomon:tier"]}
    assert len(values) == 2, f"all on one tier: {values}"
    client.disconnect()
    daemon.crash()
    assert daemon.client().read(0, len(data)) == data


def full_stores_give_enospc_and_lose_nothing(case):
    need_gnomon()
    daemon = case.daemon(stores=[("fast", 6 * EXTENT, 0), ("bulk", 6 * EXTENT, 2)])
    client = daemon.client()
    written, refused = {}, []
    for extent in range(40):
        data = pattern(extent, EXTENT)
        answer = client.call(Command.WRITE, extent * EXTENT, EXTENT, 0, data)
        assert answer.error in (0, nbdraw.ENOSPC), answer.error
        if answer.ok:
            written[extent] = data
        else:
            refused.append(extent)
    assert 8 <= len(written) <= 12, f"{len(written)} of 12 extents fit"
    client.flush()
    for extent, data in written.items():
        assert client.read(extent * EXTENT, EXTENT) == data
    for extent in refused:
        assert client.read(extent * EXTENT, EXTENT) == bytes(EXTENT), "a refused write left a trace"
    # What is mapped can still be overwritten, and what is trimmed can be used again.
    client.write(0, b"again" * 100, nbdraw.FUA)
    client.trim(EXTENT, EXTENT)
    client.flush()
    client.write(refused[-1] * EXTENT, b"fits now", nbdraw.FUA)
    client.close()
    daemon.crash()
    client = daemon.client()
    assert client.read(0, 500) == b"again" * 100
    assert client.read(refused[-1] * EXTENT, 8) == b"fits now"
    for extent, data in written.items():
        if extent > 1:
            assert client.read(extent * EXTENT, EXTENT) == data


def a_write_over_the_edge_of_space_is_refused_without_harm(case):
    """One request that needs more extents than are left."""
    need_gnomon()
    daemon = case.daemon(stores=[("fast", 6 * EXTENT, 0)])
    client = daemon.client()
    client.write(0, b"base" * 1000, nbdraw.FUA)
    answer = client.call(Command.WRITE, 10 * EXTENT, 12 * EXTENT, 0, b"x" * 12 * EXTENT)
    assert answer.error == nbdraw.ENOSPC, answer.error
    assert client.read(0, 4000) == b"base" * 1000
    client.write(0, b"more" * 1000, nbdraw.FUA)


# --- tiers of a volume

TIERS = [("fast", 64 * MiB, 0), ("mid", 8 * EXTENT, 1), ("bulk", 64 * MiB, 2)]


def _tiers(daemon, volume):
    """The tier of each mapped extent, by its number."""
    return {extent: run["tier"] for run in daemon.json("extents", volume)["runs"] if "live" in run
            for extent in range(run["first"], run["last"] + 1)}


def _rules(daemon, volume):
    shown = daemon.json("volume", "show", volume)
    return shown.get("pin"), shown["never"]


def a_pinned_volume_fills_its_tier_and_spills_without_an_error(case):
    need_gnomon()
    daemon = case.daemon(stores=TIERS)
    daemon.gnomon("volume", "create", "p=40M", "--pin", "tier1")
    assert _rules(daemon, "p") == (1, [])
    client = daemon.client("p")
    for extent in range(16):
        client.write(extent * EXTENT, pattern(extent, EXTENT))
    client.flush()
    tiers = _tiers(daemon, "p")
    pinned = [extent for extent, tier in tiers.items() if tier == 1]
    # The first that found room; then the usual order.
    assert 5 <= len(pinned) <= 8 and pinned == list(range(len(pinned))), tiers
    assert all(tiers[extent] == 0 for extent in range(len(pinned), 16)), tiers
    text = daemon.gnomon("extents", "p")
    assert "pinned to tier1" in text and "tier1 did not take it" in text, text
    # At once, for a client that is attached.
    daemon.gnomon("volume", "set", "p", "--pin", "2")
    client.write(20 * EXTENT, b"on tier 2")
    assert _tiers(daemon, "p")[20] == 2
    client.flush()
    client.close()
    daemon.crash()
    assert _rules(daemon, "p") == (2, [])
    client = daemon.client("p")
    client.write(21 * EXTENT, b"after a crash")
    assert _tiers(daemon, "p")[21] == 2
    for extent in range(16):
        assert client.read(extent * EXTENT, EXTENT) == pattern(extent, EXTENT), extent
    daemon.gnomon("volume", "set", "p", "--pin", "none")
    client.write(22 * EXTENT, b"anywhere")
    assert _tiers(daemon, "p")[22] == 0 and _rules(daemon, "p") == (None, [])


def a_forbidden_tier_gets_nothing_but_what_fits_nowhere_else(case):
    need_gnomon()
    daemon = case.daemon(stores=TIERS)
    daemon.gnomon("volume", "create", "n=40M,never=tier0+tier2")
    assert _rules(daemon, "n") == (None, [0, 2])
    client = daemon.client("n")
    for extent in range(12):
        client.write(extent * EXTENT, pattern(extent, EXTENT))
    client.flush()
    tiers = _tiers(daemon, "n")
    allowed = [extent for extent, tier in tiers.items() if tier == 1]
    assert 5 <= len(allowed) <= 8 and allowed == list(range(len(allowed))), tiers
    assert all(tiers[extent] == 0 for extent in range(len(allowed), 12)), tiers
    for words in (("--to", "fast"), ("--to", "bulk", "--keep")):
        done = daemon.gnomon("move", "n", "0", *words, status=None)
        assert done.returncode == 4 and "never to have copies" in done.stderr, done.stderr
        assert "gnomon volume set n --never" in done.stderr, done.stderr
    # Nothing is made or moved there by itself either.
    daemon.gnomon("volume", "set", "n", "--copies", "2")
    eventually(lambda: "never to have copies" in daemon.json("jobs")["protection"].get("complaint", ""), 10, "why not")
    daemon.gnomon("volume", "set", "n", "--copies", "1")
    daemon.gnomon("store", "drain", "mid")
    eventually(lambda: any("never to have copies" in job.get("complaint", "") for job in daemon.json("jobs")["jobs"]),
               10, "why mid can not be drained")
    assert [extent for extent, tier in _tiers(daemon, "n").items() if tier == 1] == allowed
    daemon.restart()
    assert _rules(daemon, "n") == (None, [0, 2])
    daemon.gnomon("volume", "set", "n", "--never", "tier0")
    daemon.gnomon("store", "drain", "mid", "--wait")
    assert all(_tiers(daemon, "n")[extent] == 2 for extent in allowed), _tiers(daemon, "n")
    client = daemon.client("n")
    for extent in range(12):
        assert client.read(extent * EXTENT, EXTENT) == pattern(extent, EXTENT), extent


def first_shadows_keep_away_from_a_forbidden_tier(case):
    need_gnomon()
    daemon = case.daemon(stores=TIERS)
    daemon.gnomon("volume", "create", "s=40M,copies=2,pin=tier0,never=tier1")
    daemon.client("s").write(0, pattern(1, 3 * EXTENT))
    run = daemon.json("extents", "s")["runs"][0]
    assert run["live"] == "fast" and [shadow["store"] for shadow in run["shadows"]] == ["bulk"], run


def tier_rules_that_can_not_be_followed_are_refused(case):
    need_gnomon()
    daemon = case.daemon(stores=TIERS)
    daemon.gnomon("store", "add", "ram=memory:,size=64M,tier=5")
    daemon.gnomon("volume", "set", "v", "--pin", "tier1")
    for words, status, text in (
            (("create", "x=8M", "--pin", "tier0", "--never", "tier0"), 2, "leave tier0 out"),
            (("create", "x=8M,pin=tier0", "--pin", "tier0"), 2, "twice"),
            (("create", "x=8M,pin=tier7"), 2, "add a store of tier7"), (("create", "x=8M,pin=fast"), 2, "tier0"),
            (("create", "x=8M", "--never", "tier0,tier1,2"), 2, "no tier left"),
            (("set", "v", "--never", "tier0,tier9"), 2, "no store of the pool is of tier9"),
            (("set", "v", "--pin", "tier5"), 2, "memory"), (("set", "v", "--pin", "tier256"), 2, "tier255"),
            (("set", "v", "--never", "tier1,tier2"), 4, "--pin none --never tier1,tier2"),
            (("set", "v", "--never", "0,,1"), 2, "tier0"), (("set", "nobody", "--pin", "tier0"), 6, "no volume")):
        done = daemon.gnomon("volume", *words, status=None)
        assert done.returncode == status and text in done.stderr, f"{words}: {done.returncode} {done.stderr}"
    assert _rules(daemon, "v") == (1, []) and "x" not in daemon.gnomon("volume", "list").split()
    daemon.gnomon("volume", "set", "v", "--pin", "none", "--never", "tier1,tier5")
    done = daemon.gnomon("volume", "set", "v", "--pin", "tier1", status=None)
    assert done.returncode == 4 and "--pin tier1 --never tier5" in done.stderr, done.stderr
    done = case.run(BINARY, "pool", "create", case.path("other"), "--store",
                    f"s={case.path('s')},size=64M,tier=3", "--volume", "v=8M,pin=tier0", status=None)
    assert done.returncode == 2 and "tier3" in done.stderr and not os.path.exists(case.path("s")), done.stderr


def the_last_store_of_a_pinned_tier_may_go(case):
    need_gnomon()
    daemon = case.daemon(stores=TIERS)
    daemon.gnomon("volume", "set", "v", "--pin", "tier1")
    client = daemon.client()
    client.write(0, b"on mid")
    assert "no store" not in daemon.gnomon("volume", "show", "v")
    daemon.gnomon("store", "drain", "mid", "--wait")
    daemon.gnomon("store", "remove", "mid")
    text = daemon.gnomon("volume", "show", "v")
    assert "tier1 (no store of that tier" in text, text
    client.write(EXTENT, b"elsewhere")
    assert _tiers(daemon, "v")[1] == 0
    # What is not said is not looked at.
    daemon.gnomon("volume", "set", "v", "--never", "tier2")
    assert _rules(daemon, "v") == (1, [2])
    daemon.restart()
    assert daemon.client().read(0, 6) == b"on mid"
    daemon.gnomon("volume", "set", "v", "--pin", "none")


# --- check

def check_is_clean_after_kills_under_load(case):
    need_gnomon()
    daemon = case.daemon(extent=64 * KiB)
    for turn in range(4):
        client = daemon.client()
        for number in range(300):
            client.submit(Command.WRITE, (number * 7 + turn) % 1000 * 64 * KiB, 4096, 0, b"c" * 4096)
            if number % 50 == 49:
                client.submit(Command.TRIM, (number * 3) % 900 * 64 * KiB, 10 * 64 * KiB)
        daemon.kill()
        daemon.check()
        daemon.start()


def check_reports_as_json(case):
    import json
    daemon = _filled(case)
    answer = json.loads(case.run(BINARY, "check", "--pool", daemon.pool, "--json"))
    assert isinstance(answer, dict), answer


def a_pool_moves_with_its_folder(case):
    """Store paths inside the pool's neighbourhood are as given; a moved catalog with the same paths opens."""
    daemon = _filled(case)
    moved = daemon.pool + "-moved"
    os.rename(daemon.pool, moved)
    daemon.pool = moved
    daemon.start()
    _intact(daemon)


def a_full_disk_under_the_catalog_fails_only_flushes_that_need_it(case):
    need_gnomon()
    folder = case.path("small")
    os.makedirs(folder)
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "small", folder], capture_output=True, check=False)
    if mount.returncode:
        raise Skip("no tmpfs can be mounted here", allowed=True)
    case.cleanups.append(lambda: subprocess.run(["umount", "-l", folder], check=False))
    daemon = Daemon(case, volumes={"a": 64 * MiB, "b": 64 * MiB}, extent=64 * KiB)
    daemon.pool = os.path.join(folder, "pool")
    case.daemons.append(daemon)
    daemon.create()
    daemon.start()
    a, b = daemon.client("a"), daemon.client("b")
    b.write(0, b"b" * 4096)
    b.flush()
    ballast = os.path.join(folder, "ballast")
    with open(ballast, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    # The catalog's log may have some room left in itself.
    data, extents, failures = pattern(5, 4096), 0, 0
    while failures < 5:
        assert extents < 1000, "the catalog never fills up"
        a.write(extents * 64 * KiB, data)
        extents += 1
        answer = a.call(Command.FLUSH)
        assert answer.error in (0, nbdraw.ENOSPC, nbdraw.EIO), answer.error
        failures += answer.error != 0
    # A volume whose map did not change has nothing to do with it.
    b.write(0, b"c" * 4096)
    b.flush()
    lines = [line for line in daemon.log().splitlines() if "map changes were not committed" in line]
    assert len(lines) == 1 and "remedy=" in lines[0], lines
    status = daemon.json("status")
    assert status["catalog"]["commitErrors"] >= 5 and status["catalog"]["pendingChanges"] >= 5, status["catalog"]
    os.unlink(ballast)
    a.flush()
    for client in (a, b):
        client.close()
    daemon.crash()
    a, b = daemon.client("a"), daemon.client("b")
    assert b.read(0, 4096) == b"c" * 4096
    for extent in range(extents):
        assert a.read(extent * 64 * KiB, 4096) == data
