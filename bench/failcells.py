"""What bench/failover measures. A cell is a function of the options that returns one result, a dictionary; `JUDGES` say
what must be reached."""
import json
import os
import random
import subprocess
import threading
import time

import failrig
from failrig import MiB, Load, Pool, Rig, Server, SlowWire, fill, fio, image, median, percentile, windows

SIZE = 128  # MiB of each volume
SETTLE, HEALTHY, FAULT, AFTER = 1.5, 3.0, 5.0, 2.5  # seconds


# --- reads while a store is slow, hangs or is dead

def _gnomon(rig, live, other, copies):
    stores = [("live", f"nbd+unix:///?socket={live.socket},tier=0")]
    if copies > 1:
        stores.append(("other", f"nbd+unix:///?socket={other.socket},tier=1"))
    pool = Pool(rig, stores, {"v": f"{SIZE}M"})
    fill(pool.uri(), SIZE)
    if copies > 1:
        pool.protect()
    return pool.uri()


def _quorum(rig, live, other):
    """QEMU's quorum over the same two servers: it writes to both and reads the first that answers without an error."""
    path = rig.path("sock")

    def node(name, wire):
        return ["--blockdev", json.dumps({"driver": "nbd", "node-name": name,
                                          "server": {"type": "unix", "path": wire.socket}})]
    quorum = {"driver": "quorum", "node-name": "q", "vote-threshold": 1, "read-pattern": "fifo",
              "children": ["live", "other"]}
    rig.spawn(["qemu-storage-daemon", *node("live", live), *node("other", other), "--blockdev", json.dumps(quorum),
               "--nbd-server", f"addr.type=unix,addr.path={path}",
               "--export", "type=nbd,id=e,node-name=q,name=v,writable=on"], path)
    uri = f"nbd+unix:///v?socket={path}"
    fill(uri, SIZE)
    return uri


def _retry(rig, live, _):
    """nbdkit that connects again and repeats what has failed; one copy."""
    path = rig.path("sock")
    rig.spawn(["nbdkit", "-f", "-U", path, "--filter=retry", "nbd", f"socket={live.socket}", "retry-delay=1"], path)
    uri = f"nbd+unix:///?socket={path}"
    fill(uri, SIZE)
    return uri


SYSTEMS = {
    "gnomon": lambda *parts: _gnomon(*parts, copies=2),
    "gnomon alone": lambda *parts: _gnomon(*parts, copies=1),
    "qemu quorum": _quorum,
    "nbdkit retry": _retry,
}


def reads_beside(system, fault, options):
    """4000 random reads of 4 KiB a second, at most 8 at a time, while the store with the live copy fails. The other
    store answers 0.1 ms later than that one, so that it is not read as long as nothing happens."""
    with Rig(options.dir) as rig:
        server = Server(rig, 2 * SIZE, in_memory=True)
        live = SlowWire(rig, server)
        other = SlowWire(rig, Server(rig, 2 * SIZE, in_memory=True))
        other.delay(0.1)
        uri = SYSTEMS[system](rig, live, other)
        load = Load(rig, uri, SIZE, SETTLE + HEALTHY + FAULT + AFTER, "--rw=randread", "--bs=4k", "--iodepth=8",
                    "--rate_iops=4000")
        asked = []

        def watch(until):
            while time.time() < until:
                asked.append((time.time(), live.reads()))
                time.sleep(0.1)
        watch(load.began + SETTLE + HEALTHY)
        began = time.time()
        {"slow": lambda: live.delay(200), "hang": server.hang, "die": server.kill}[fault]()
        watch(began + FAULT)
        ended = time.time()
        {"slow": lambda: live.delay(0), "hang": server.go_on, "die": server.start}[fault]()
        watch(ended + AFTER)
        found = load.wait(40)
        return {**_judged(found, asked, began, ended), "errors": int(load.failed)}


def _judged(found, asked, began, ended):
    before = [took for when, took in found if began - HEALTHY <= when < began]
    during = windows(found, began, ended)
    # A request that is answered when all is over took its time because of the fault.
    touched = [took for when, took in found if when >= began and when - took / 1e6 < ended]
    times = sorted(when for when, _ in found if began <= when < ended)
    gap = max((b - a for a, b in zip([began, *times], [*times, ended])), default=ended - began)
    shares = []
    for (at, count), (then, later) in zip(asked, asked[1:]):
        reads = sum(at <= when < then for when, _ in found)
        if at >= began and then <= ended:
            shares.append((then - began, (later - count) / max(1, reads)))
    healthy_asked = [later - count for (at, count), (then, later) in zip(asked, asked[1:])
                     if began - HEALTHY <= at and then <= began]
    healthy = percentile(before, 0.99)
    # From the first second on. Silence is no percentile.
    is_silent = any(window["p99"] is None for window in during[2:])
    after = None if is_silent else percentile([took for when, took in found if began + 1 <= when < ended], 0.99)
    return {"healthy_p50_us": percentile(before, 0.5), "healthy_p99_us": healthy,
            "from_live": sum(healthy_asked) / max(1, len(before)),
            "windows_p50_us": [window["p50"] for window in during],
            "windows_p99_us": [window["p99"] for window in during],
            "first_second_p99_us": percentile([took for when, took in found if began <= when < began + 1], 0.99),
            "later_p99_us": after, "ratio": after and after / healthy,
            "longest_us": max(touched, default=None), "silence_s": gap,
            "left_after_s": max((at for at, share in shares if share > 0.05), default=0.0)}


# --- writes while a store is killed

def kills(options):
    """8000 random writes of 4 KiB a second, at most 16 at a time, each block once, with a checksum that is verified afterwards; meanwhile the
    server of the live copies is killed. The longest write of each run counts."""
    size, stalls, errors, notes, copied, written = 64, [], 0, [], 0, 0
    chance = random.Random(options.seed)
    with Rig(options.dir) as rig:
        server = Server(rig, 2 * size)
        pool = Pool(rig, [("live", f"nbd+unix:///?socket={server.socket},tier=0"),
                          ("other", image(rig, 2 * size) + ",tier=1")], {"v": f"{size}M"}, extent="256K")
        fill(pool.uri(), size)
        pool.protect()
        for run in range(options.runs):
            log, killed = rig.path("fio"), []

            def kill(killed=killed):
                killed.append(time.time())
                server.kill()
            timer = threading.Timer(chance.uniform(0.6, 1.6), kill)
            timer.start()
            try:
                fio(pool.uri(), size, "--rw=randwrite", "--bs=4k", "--iodepth=16", "--rate_iops=8000", "--verify=crc32c", "--do_verify=1",
                    "--verify_fatal=1", "--verify_state_save=0", f"--randseed={options.seed + run}", log=log,
                    is_mapped=True)
            except RuntimeError as error:
                errors += 1
                notes.append(str(error))
            timer.join()
            found = failrig.requests(log, writes=True)
            stalls.append(max(took for _, took in found))
            written += 4096 * sum(when >= killed[0] for when, _ in found)
            before = pool.copied_bytes()
            server.start()
            pool.wait_protected()
            copied += pool.copied_bytes() - before
            pool.gnomon("move", "v", "all", "--to", "live", "--wait")
            pool.wait_protected()
            os.unlink(f"{log}_lat.1.log")
    return {"runs": options.runs, "stalls_us": stalls, "median_us": median(stalls), "longest_us": max(stalls),
            "errors": errors, "notes": notes[:3], "written_while_away_bytes": written, "copied_bytes": copied}


# --- what it costs

def moves(options):
    """Random writes of 4 KiB to all of a volume, as fast as they go (16 at a time), while its extents are moved between
    two equal stores at the mover's budget; and while nothing is moved, in turns."""
    size = 64
    with Rig(options.dir) as rig:
        # Room for what was left and is not free yet.
        pool = Pool(rig, [(name, image(rig, 4 * size) + ",tier=0") for name in "ab"], {"v": f"{size}M"})
        fill(pool.uri(), size)
        idle, busy, moved, spent = [], [], 0, 0.0
        for turn in range(options.rounds):
            for moving in (turn % 2 == 0, turn % 2 == 1):
                load = Load(rig, pool.uri(), size, 4, "--rw=randwrite", "--bs=4k", "--iodepth=16", *options.load)
                time.sleep(1)
                began = time.time()
                while moving and time.time() < began + 3:
                    target = "ab"[moved % 2]
                    job = pool.json("move", "v", "all", "--to", target, "--wait")
                    moved += 1
                    spent += job["movedBytes"]
                time.sleep(max(0, began + 3 - time.time()))
                took = [took for when, took in load.wait(30) if began <= when < began + 2.8]
                (busy if moving else idle).append({"p50": percentile(took, 0.5), "p99": percentile(took, 0.99),
                                                   "max": max(took), "iops": len(took) / 2.8})
    ratios = [b["p99"] / i["p99"] for b, i in zip(busy, idle)]
    return {"rounds": options.rounds, "idle": idle, "moving": busy, "moved_mib_per_s": spent / MiB / 3 / options.rounds,
            "idle_p99_us": median([one["p99"] for one in idle]), "moving_p99_us": median([one["p99"] for one in busy]),
            "moving_max_us": max(one["max"] for one in busy), "idle_max_us": max(one["max"] for one in idle),
            "ratio": median(ratios), "ratios": ratios}


def mirrors(options):
    """Random 4 KiB at depth 32 on two volumes of one daemon, with and without a shadow of everything, in turns: with
    stores in memory (tmpfs), which are independent of each other, and on the disk that both share."""
    return {place: _mirrors(options, folder) for place, folder in (("memory", "/dev/shm"), ("disk", options.dir))}


def _mirrors(options, folder):
    size = 128
    with Rig(options.dir) as rig, Rig(folder) as files:
        pool = Pool(rig, [(name, image(files, 4 * size) + ",tier=0") for name in "ab"],
                    {"one": f"{size}M", "two": f"{size}M"})
        for volume in ("one", "two"):
            fill(pool.uri(volume), size)
        pool.protect("two")
        found = {"read": [], "write": []}
        for turn in range(options.pairs):
            for kind in found:
                pair = {}
                for volume in ("one", "two")[::1 if turn % 2 else -1]:
                    before = pool.cpu_seconds()
                    job = fio(pool.uri(volume), size, f"--rw=rand{kind}", "--bs=4k", "--iodepth=32", "--time_based",
                              "--runtime=2")[kind]
                    pair[volume] = {"iops": job["iops"],
                                    "cpu_us": (pool.cpu_seconds() - before) / job["total_ios"] * 1e6}
                found[kind].append(pair)

        def ratios(kind, key):
            return [pair["two"][key] / pair["one"][key] for pair in found[kind]]
        return {f"{kind}_{key}": {"one": median([pair["one"][key] for pair in found[kind]]),
                                  "two": median([pair["two"][key] for pair in found[kind]]),
                                  "ratio": median(ratios(kind, key)), "ratios": ratios(kind, key)}
                for kind in found for key in ("iops", "cpu_us")}


def resync(options):
    """A store's server dies while nothing is written, then a few blocks are, and it returns: how much is copied to it."""
    size, extent, part = 128, 256 * 1024, 4096
    chance = random.Random(options.seed)
    with Rig(options.dir) as rig:
        server = Server(rig, 2 * size)
        pool = Pool(rig, [("near", image(rig, 2 * size) + ",tier=0"),
                          ("far", f"nbd+unix:///?socket={server.socket},tier=1")], {"v": f"{size}M"}, extent="256K")
        fill(pool.uri(), size)
        pool.protect()
        # Extents that are written to when the store dies are copied whole: nobody knows what reached its disk.
        time.sleep(3)
        before = pool.copied_bytes()
        server.kill()
        blocks = sorted(chance.sample(range(size * MiB // part), 500))
        script = "".join(f"h.pwrite(bytes([{block % 255 + 1}]) * {part}, {block * part})\n" for block in blocks)
        subprocess.run(["/usr/bin/python3", "-m", "nbd", "-u", pool.uri(), "-c", "-"], input=script + "h.flush()", text=True, check=True,
                       timeout=60)
        began = time.monotonic()
        server.start()
        pool.wait_protected()
        return {"written_bytes": len(blocks) * part, "copied_bytes": pool.copied_bytes() - before,
                "extents": len({block * part // extent for block in blocks}), "volume_bytes": size * MiB,
                "seconds": time.monotonic() - began}


CELLS = {
    **{f"{fault}: {system}": (lambda options, system=system, fault=fault: reads_beside(system, fault, options))
       for fault in ("slow", "hang", "die") for system in SYSTEMS},
    "kill": kills, "move": moves, "mirror": mirrors, "resync": resync,
}
EVERY_ROUND = {name for name in CELLS if ":" in name}
