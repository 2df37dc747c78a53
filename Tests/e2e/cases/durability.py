"""What was acknowledged and flushed survives SIGKILL at any instant."""
import random
import time

import nbdraw
import verifier
from support import EXTENT, KiB, MiB, STAND_IN, each, limit, need_gnomon, pattern, slow

ROUNDS = 10


def _rounds(case, daemon, volumes, extent_blocks, rounds):
    totals = {}
    for number in range(1, rounds + 1):
        try:
            _round(case, daemon, volumes, extent_blocks, random.Random(f"{case.seed} {number}"), totals)
        except BaseException:
            case.note(f"in round {number} of seed {case.seed}")
            raise
    case.note(f"{rounds} rounds, acknowledged: {totals}")
    assert totals["flush"] > rounds and totals["write"] > 50 * rounds, totals


def _round(case, daemon, volumes, extent_blocks, chance, totals):
    """Load, a kill, sometimes more kills while it starts again, and what is there then."""
    loads, shares = [], 2
    for volume in volumes:
        for share in range(shares):
            client = daemon.client(volume.name, tcp=bool(share), timeout=30)
            loads.append(verifier.Load(client, volume, share, shares, extent_blocks, chance.getrandbits(32)))
    for load in loads:
        load.start()
    time.sleep(chance.choice((0.05, 0.2, 0.5, 1.0)) * chance.uniform(0.5, 1.5))
    daemon.kill()
    for load in loads:
        load.join(40)
        load.client.close()
        if load.error:
            raise load.error
        for kind, count in load.counts.items():
            totals[kind] = totals.get(kind, 0) + count
    if not STAND_IN:
        daemon.check()
        while chance.random() < 0.2:
            daemon.start(wait=False)
            time.sleep(chance.uniform(0, 0.1))
            daemon.kill()
            totals["kill while starting"] = totals.get("kill while starting", 0) + 1
    daemon.start()
    for volume in volumes:
        with nbdraw.connect(daemon.address, volume.name, timeout=30) as client:
            volume.verify(client, "after the kill")


def _small_extents(case, cache, rounds):
    """Mapping and unmapping are under way at every instant."""
    size = 24 * MiB
    names = ["v"] if STAND_IN else ["one", "two"]
    daemon = case.daemon(volumes={name: size for name in names}, extent=64 * KiB, cache=cache,
                         stores=[("fast", 16 * MiB, 0), ("bulk", 64 * MiB, 2)])
    volumes = [verifier.Volume(number, name, size // verifier.BLOCK) for number, name in enumerate(names)]
    _rounds(case, daemon, volumes, 16, rounds)


@limit(300)
@each("direct", "page")
def no_flushed_block_is_lost_by_a_kill(case, cache):
    _small_extents(case, cache, ROUNDS)


@slow
@limit(1200)
@each("direct", "page")
def no_flushed_block_is_lost_by_two_hundred_kills(case, cache):
    _small_extents(case, cache, 200)


@limit(300)
def no_flushed_block_is_lost_when_slots_are_scarce(case):
    """Trimmed extents' slots are used again at once: a slot given away too early shows as another block."""
    need_gnomon("nbdkit")
    size = 12 * MiB
    daemon = case.daemon(volumes={"v": size}, extent=64 * KiB, stores=[("fast", 14 * MiB, 0)])
    volumes = [verifier.Volume(1, "v", size // verifier.BLOCK)]
    _rounds(case, daemon, volumes, 16, ROUNDS)


@limit(300)
def no_flushed_block_is_lost_with_large_extents(case):
    size = 64 * MiB
    daemon = case.daemon(volumes={"v": size}, extent=4 * MiB, stores=[("fast", 256 * MiB, 0)])
    volumes = [verifier.Volume(1, "v", size // verifier.BLOCK)]
    _rounds(case, daemon, volumes, 1024, max(2, ROUNDS // 2))


def a_flush_covers_what_other_connections_were_told(case):
    daemon = case.daemon()
    for turn in range(6):
        writer, flusher = daemon.client(tcp=True), daemon.client()
        data = pattern(turn, 3 * EXTENT)
        writer.write(turn * 4 * EXTENT, data)
        flusher.flush()
        daemon.crash()
        assert daemon.client().read(turn * 4 * EXTENT, len(data)) == data, f"turn {turn}"


@each("write", "zero", "unaligned write", "trim")
def fua_alone_is_enough(case, what):
    daemon = case.daemon()
    for turn in range(4):
        client = daemon.client()
        base = turn * 4 * EXTENT
        if what == "write":
            client.write(base, b"F" * 8192, nbdraw.FUA)
            wanted = b"F" * 8192
        elif what == "unaligned write":
            client.write(base + EXTENT - 77, b"F" * 1000, nbdraw.FUA)
            base, wanted = base + EXTENT - 77, b"F" * 1000
        else:
            client.write(base, b"o" * 2 * EXTENT, nbdraw.FUA)
            getattr(client, "zero" if what == "zero" else "trim")(base, EXTENT + 512, nbdraw.FUA)
            wanted = bytes(EXTENT) if what == "zero" else client.read(base, EXTENT)
        daemon.crash()
        assert daemon.client().read(base, len(wanted)) == wanted


def a_kill_right_after_the_first_writes_leaves_a_pool_that_opens(case):
    need_gnomon()
    daemon = case.daemon(volumes={"v": 64 * MiB}, extent=64 * KiB)
    for turn in range(15):
        client = daemon.client()
        for number in range(turn * 3):
            client.submit(nbdraw.Command.WRITE, (turn * 50 + number) * 64 * KiB % (60 * MiB), 100, 0, b"k" * 100)
        time.sleep(0.002 * turn)
        daemon.kill()
        daemon.check()
        daemon.start()


def a_kill_while_starting_leaves_a_pool_that_opens(case):
    need_gnomon()
    daemon = case.daemon(volumes={"v": 64 * MiB}, extent=64 * KiB)
    client = daemon.client()
    client.write(0, pattern(9, 4 * MiB))
    client.flush()
    daemon.kill()
    for turn in range(20):
        daemon.start(wait=False)
        time.sleep(0.004 * turn)
        daemon.kill()
    daemon.check()
    daemon.start()
    assert daemon.client().read(0, 4 * MiB) == pattern(9, 4 * MiB)


def a_kill_while_stopping_loses_nothing(case):
    need_gnomon()
    daemon = case.daemon(volumes={"v": 64 * MiB}, extent=64 * KiB)
    for turn in range(8):
        client = daemon.client()
        client.write(turn * 4 * MiB, pattern(turn, MiB))
        client.flush()
        client.write(turn * 4 * MiB + MiB, pattern(turn, 2 * MiB))
        daemon.process.terminate()
        time.sleep(0.003 * turn)
        daemon.kill()
        daemon.start()
        assert daemon.client().read(turn * 4 * MiB, MiB) == pattern(turn, MiB), f"turn {turn}"
