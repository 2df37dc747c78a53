"""The slow loop: extents come to the tier that they belong on, by what is known of their accesses."""
import json
import os
import struct
import time

import fio
from support import KiB, MiB, eventually, limit, need, need_gnomon, pattern

# Rounds as often as they may be, and no shadows of prediction's among what is looked at.
QUICK = ("{ prediction: { enabled: false }, tiering: { intervalSeconds: 5, %s } }")
CHUNK = 256


def _tiers(daemon, name="v"):
    """The tier of each extent's live copy."""
    found = {}
    for run in daemon.json("extents", name)["runs"]:
        if "live" in run:
            for extent in range(run["first"], run["last"] + 1):
                found[extent] = run["tier"]
    return found


def _plan(daemon):
    return daemon.json("plan", "--dry-run")


def _crc32c(data):
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    checksum = 0xFFFFFFFF
    for byte in data:
        checksum = checksum >> 8 ^ table[(checksum ^ byte) & 255]
    return checksum ^ 0xFFFFFFFF


def _steadily(per_minute):
    """What is kept of an extent that was accessed so many times a minute, for hours (docs/formats.md)."""
    return (per_minute * 7.0, per_minute * 500.0, int(time.time()), 500 * 64, 0, 0, 0, 0, 0, 0)


def _daily(hour, accesses):
    """What is kept of an extent that was in use at an hour of the last three days: `hour` began yesterday."""
    uses = 1 << time.localtime(hour).tm_hour
    uses = uses << 24 | uses << 48
    level = 8 * (accesses.bit_length() - 1) + 1
    return (0.0, 0.0, hour + 59 * 60, 0, accesses, uses & (1 << 64) - 1, uses >> 64, 0b111, level, 60)


def _restart_with(daemon, heat):
    """Has the daemon believe what is said of extents of its volume."""
    now = int(time.time())
    uuid = daemon.json("volume", "show", "v")["uuid"].replace("-", "")
    chunks = {}
    for extent, known in heat.items():
        chunk = chunks.setdefault(extent // CHUNK, [(0.0, 0.0, 0, 0, 0, 0, 0, 0, 0, 0)] * CHUNK)
        chunk[extent % CHUNK] = known
    body = struct.pack("<IIQQII", now, 1, int(uuid[:16], 16), int(uuid[16:], 16), now - 36000, len(chunks))
    for number, chunk in chunks.items():
        body += struct.pack("<I", number) + b"".join(struct.pack("<ffIHHQIHBB", *extent) for extent in chunk)
    daemon.stop()
    with open(os.path.join(daemon.pool, "heat"), "wb") as file:
        file.write(b"GNOMONHT" + struct.pack("<II", 2, _crc32c(body)) + body)
    daemon.start()


def cold_extents_make_room(case):
    """Nothing moves while there is room. When there is not, what is accessed least goes down, and no more than needed."""
    need_gnomon()
    daemon = case.daemon(stores=[("fast", 32 * MiB, 0), ("slow", 128 * MiB, 1)], volumes={"v": 64 * MiB},
                         config=QUICK % "freePercent: 40")
    capacity = daemon.json("store", "show", "fast")["freeBytes"]
    client = daemon.client(timeout=30)
    client.write(0, pattern(1, 8 * MiB))
    client.flush()
    plan = _plan(daemon)
    assert plan["enabled"] and plan["up"] == plan["down"] == 0, plan
    client.write(8 * MiB, pattern(2, 16 * MiB))
    client.flush()
    for _ in range(20):
        for extent in range(6):
            client.read(extent * MiB, 4 * KiB)
    daemon.gnomon("plan")

    def free():
        return daemon.json("store", "show", "fast")["freeBytes"]
    eventually(lambda: free() >= 0.4 * capacity, 30, "room on the fast tier")
    time.sleep(6)
    assert free() < 0.4 * capacity + 4 * MiB, f"{free()} of {capacity} bytes are free: too much has gone down"
    tiers = _tiers(daemon)
    assert all(tiers[extent] == 0 for extent in range(6)), tiers
    assert 1 in tiers.values(), tiers
    assert any("tier policy" in job["what"] for job in daemon.json("jobs")["jobs"]), daemon.json("jobs")
    down = next(extent for extent in tiers if tiers[extent] == 1)
    assert "lacks room" in daemon.gnomon("why", "v", str(down * MiB)), "the reason"
    assert client.read(0, 24 * MiB) == pattern(1, 8 * MiB) + pattern(2, 16 * MiB)


def _all_on_slow(daemon):
    """48 extents are written, and moved to the slow store; -> what they hold."""
    client = daemon.client(timeout=30)
    data = pattern(1, 48 * MiB)
    for place in range(0, len(data), 8 * MiB):
        client.write(place, data[place:place + 8 * MiB])
    client.flush()
    daemon.gnomon("move", "v", "all", "--to", "slow", "--wait")
    client.close()
    return data


@limit(180)
def hot_extents_go_up_under_load(case):
    """What was accessed for hours goes to the fast tier while clients write to it; nothing is lost."""
    need("fio")
    need_gnomon()
    daemon = case.daemon(stores=[("fast", 64 * MiB, 0), ("slow", 128 * MiB, 1)], volumes={"v": 64 * MiB},
                         config=QUICK % "freePercent: 20")
    data = _all_on_slow(daemon)
    # Extents 32 to 37 are hot; the others were seen, and no more.
    heat = {extent: _steadily(0.001) for extent in range(48)}
    heat.update({extent: _steadily(100) for extent in range(32, 38)})
    _restart_with(daemon, heat)
    plan = _plan(daemon)
    assert (plan["up"], plan["down"]) == (6, 0), plan
    assert {move["extent"] for move in plan["moves"]} == set(range(32, 38)), plan
    assert all(move["toTier"] == 0 and "volatility 0.9" in move["reason"] for move in plan["moves"]), plan
    assert "volatility" in daemon.gnomon("why", "v", str(33 * MiB))
    load = fio.Verifying(case, daemon, "--rate_iops=1000,1000", "--offset=32m", "--size=6m", "--verify_backlog=256")
    time.sleep(1)
    job = daemon.json("plan", "--wait")
    assert job["state"] == "done" and job["failed"] == 0, job
    time.sleep(1)
    load.stop()
    tiers = _tiers(daemon)
    assert {extent for extent in tiers if tiers[extent] == 0} == set(range(32, 38)), tiers
    client = daemon.client(timeout=30)
    assert client.read(0, 32 * MiB) == data[:32 * MiB]
    assert client.read(38 * MiB, 10 * MiB) == data[38 * MiB:]
    # They stay there: what has just been moved is not moved back.
    time.sleep(11)
    assert _tiers(daemon) == tiers


def daily_use_is_expected(case):
    """What was in use at the same hour of the last days is on the fast tier before that hour comes."""
    need("nbdinfo")
    need_gnomon()
    daemon = case.daemon(stores=[("fast", 64 * MiB, 0), ("slow", 128 * MiB, 1)], volumes={"v": 64 * MiB},
                         config=QUICK.replace("intervalSeconds: 5", "intervalSeconds: 3600") % "freePercent: 20")
    data = _all_on_slow(daemon)
    zone = time.localtime().tm_gmtoff
    begun = int(time.time() + zone) // 3600 * 3600 - zone
    yesterday = begun + 3600 - 86400
    heat = {extent: _steadily(0.001) for extent in range(48)}
    heat.update({extent: _daily(yesterday, 640) for extent in range(32, 38)})
    _restart_with(daemon, heat)
    words = f"in use at {time.localtime(yesterday).tm_hour:02}:00 on 3 of the last 4 days"
    plan = _plan(daemon)
    assert {move["extent"] for move in plan["moves"]} == set(range(32, 38)), plan
    assert all(move["toTier"] == 0 and move["reason"].startswith(words) for move in plan["moves"]), plan
    assert words in daemon.gnomon("plan", "--dry-run")
    # The whole map of heat, as another program shows it.
    rows = json.loads(case.run("nbdinfo", "--map=x-gnomon:heat", "--json", daemon.uri()))
    scores = [row["type"] for row in rows for _ in range(row["length"] // MiB)]
    assert all(score >= 90 for score in scores[32:38]), scores
    assert all(0 < score < 60 for score in scores[:32] + scores[38:48]), scores
    assert scores[48:] == [0] * 16, scores
    why = daemon.gnomon("why", "v", str(33 * MiB))
    assert "daily rhythm" in why and words in why, why
    assert "daily rhythm" not in daemon.gnomon("why", "v", str(3 * MiB))
    job = daemon.json("plan", "--wait")
    assert job["state"] == "done" and job["failed"] == 0, job
    tiers = _tiers(daemon)
    assert {extent for extent in tiers if tiers[extent] == 0} == set(range(32, 38)), tiers
    assert words in daemon.gnomon("why", "v", str(33 * MiB))
    client = daemon.client(timeout=30)
    assert client.read(0, 16 * MiB) == data[:16 * MiB] and client.read(32 * MiB, 8 * MiB) == data[32 * MiB:40 * MiB]


def heat_survives_a_restart(case):
    need_gnomon()
    daemon = case.daemon(stores=[("fast", 32 * MiB, 0), ("slow", 64 * MiB, 1)], volumes={"v": 16 * MiB},
                         config=QUICK % "freePercent: 10")
    client = daemon.client(timeout=30)
    client.write(0, pattern(1, 4 * MiB))
    for _ in range(30):
        client.read(2 * MiB, 4 * KiB)

    def heat(extent):
        daemon.gnomon("plan", "--dry-run")
        return daemon.json("why", "v", str(extent * MiB))["heat"]
    eventually(lambda: heat(2)["expectedAccesses"] > 8 * heat(1)["expectedAccesses"], 10, "the accesses")
    before = heat(2)
    daemon.restart()
    after = heat(2)
    assert abs(after["expectedAccesses"] / before["expectedAccesses"] - 1) < 0.2, (before, after)
    assert after["score"] == before["score"], (before, after)
    # A file that makes no sense is no reason not to serve.
    daemon.stop()
    with open(os.path.join(daemon.pool, "heat"), "r+b") as file:
        file.seek(200)
        file.write(b"nonsense")
    daemon.start()
    eventually(lambda: "the extents' heat begins anew" in daemon.log(), 5, "the warning")
    assert "heat" not in daemon.json("why", "v", "0")


def without_tiering_extents_stay(case):
    need_gnomon()
    daemon = case.daemon(stores=[("fast", 16 * MiB, 0), ("slow", 64 * MiB, 1)], volumes={"v": 32 * MiB},
                         config="{ prediction: { enabled: false }, tiering: { enabled: false } }")
    assert daemon.json("plan", "--dry-run")["enabled"] is False
    assert "'tiering.enabled' is false" in daemon.gnomon("plan", "--dry-run")
    refused = daemon.gnomon("plan", status=None)
    assert refused.returncode == 4 and "tiering.enabled" in refused.stderr, refused
    wrong = case.path("wrong.json5")
    with open(wrong, "w", encoding="ascii") as file:
        file.write("{ tiering: { tier0Percent: 40, tier1Percent: 80 } }")
    daemon.stop()
    refused = daemon.gnomon("serve", "--config", wrong, status=None)
    assert refused.returncode != 0 and "contradict" in refused.stderr, refused
    daemon.start()


def pins_are_followed(case):
    """What a volume is told about tiers moves it, whatever room there is; what it is told no more does not."""
    need_gnomon()
    daemon = case.daemon(stores=[("fast", 64 * MiB, 0), ("slow", 64 * MiB, 1)], volumes={"v": 32 * MiB},
                         config=QUICK % "freePercent: 0")
    client = daemon.client(timeout=30)
    client.write(0, pattern(1, 8 * MiB))
    client.flush()
    for rule, tier, words in ((("--pin", "tier1"), 1, "pinned to tier 1"), (("--pin", "tier0"), 0, "pinned to tier 0"),
                              (("--pin", "none", "--never", "tier0"), 1, "never uses tier 0")):
        daemon.gnomon("volume", "set", "v", *rule)
        eventually(lambda: set(_tiers(daemon).values()) == {tier}, 20, f"all extents on tier {tier}")
        assert words in daemon.gnomon("why", "v", "0"), daemon.gnomon("why", "v", "0")
    daemon.gnomon("volume", "set", "v", "--never", "none")
    time.sleep(6)
    assert set(_tiers(daemon).values()) == {1}
    assert client.read(0, 8 * MiB) == pattern(1, 8 * MiB)
