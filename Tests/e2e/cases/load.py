"""What is said of loads: by the daemon's own counters, beside what fio says of the same requests."""
import json
import os
import time

from support import KiB, MiB, eventually, need, need_gnomon


def _fio(case, daemon, *words, volume="v"):
    need("fio")
    path = case.path("fio.json")
    case.run("fio", "--name=load", "--ioengine=nbd", f"--uri={daemon.uri(volume)}", f"--randseed={case.seed}",
             "--output-format=json", f"--output={path}", *words, timeout=120, cwd=case.scratch)
    with open(path) as file:
        # fio may say something before it begins.
        return json.loads(file.read()[slice(*_json(path))])["jobs"][0]


def _json(path):
    with open(path) as file:
        text = file.read()
    return text.index("{"), text.rindex("}") + 1


def _near(own, other, share, what):
    assert abs(own - other) <= share * other, f"{what}: {own}, fio says {other}"


def _sum(samples, key):
    return sum(sample[key] * sample["seconds"] for sample in samples)


def figures_agree_with_fio(case):
    need_gnomon()
    daemon = case.daemon(volumes={"v": 64 * MiB, "idle": 64 * MiB})
    # With a map of what it has done, fio shortens requests so that they do not overlap.
    fio = _fio(case, daemon, "--rw=randrw", "--norandommap", "--rwmixread=75",
               "--bssplit=4k/60:32k/30:128k/10", "--iodepth=4", "--size=64m", "--time_based",
               "--runtime=6", "--rate_iops=600,200")
    reads, writes = fio["read"], fio["write"]
    requests = reads["total_ios"] + writes["total_ios"]
    # The second in which fio ended has to end, too.
    eventually(lambda: _sum(daemon.json("stats", "v", "--window", "30s")["samples"], "iops") > 0.99 * requests, 10,
               "all requests")
    load = daemon.json("stats", "v", "--window", "30s")
    _near(_sum(load["samples"], "iops"), requests, 0.01, "requests")
    _near(_sum(load["samples"], "readBytesPerSecond"), reads["io_bytes"], 0.01, "bytes read")
    _near(_sum(load["samples"], "writtenBytesPerSecond"), writes["io_bytes"], 0.01, "bytes written")
    total = load["total"]
    assert abs(total["readShare"] - reads["total_ios"] / requests) < 0.01, total
    sizes = total["sizes"]
    assert sum(sizes.values()) == requests, (sizes, requests)
    # The classes are right if they make up the bytes.
    bytes_of_sizes = sizes["small"] * 4 * KiB + sizes["medium"] * 32 * KiB + sizes["large"] * 128 * KiB
    assert bytes_of_sizes == reads["io_bytes"] + writes["io_bytes"], (sizes, bytes_of_sizes)
    # fio sees the socket besides: the daemon's figure can only be below.
    mean = (reads["lat_ns"]["mean"] * reads["total_ios"] + writes["lat_ns"]["mean"] * writes["total_ios"]) / requests
    assert 0.2 * mean < total["meanNanoseconds"] < 1.04 * mean, (total, mean)
    # Its store has done the writes and those reads that have met something, and nobody has touched the other volume.
    store = daemon.json("stats", "fast", "--window", "30s")
    assert 0.99 * writes["total_ios"] <= _sum(store["samples"], "iops") <= 1.2 * requests, store["total"]
    assert "total" not in daemon.json("stats", "idle"), daemon.json("stats", "idle")


def heat_is_where_the_requests_were(case):
    need_gnomon()
    daemon = case.daemon(volumes={"v": 64 * MiB})
    fio = _fio(case, daemon, "--rw=randread", "--bs=4k", "--iodepth=4", "--offset=32m", "--size=16m", "--io_size=2m")

    def counted():
        rows = daemon.json("heatmap", "v")["rows"]
        return [sum(sum(row["counts"][bucket:bucket + 1]) for row in rows) for bucket in range(256)]
    eventually(lambda: sum(counted()) == fio["read"]["total_ios"], 10, "all requests")
    heat, counts = daemon.json("heatmap", "v"), counted()
    assert heat["bucketBytes"] == 256 * KiB, heat["bucketBytes"]
    assert sum(counts) == fio["read"]["total_ios"] == sum(counts[128:192]), counts
    assert "@" in daemon.gnomon("heatmap", "v", "--span", "5m")
    picture = case.path("map.svg")
    daemon.gnomon("heatmap", "v", "--svg", picture)
    with open(picture) as file:
        text = file.read()
    most = max(count for row in heat["rows"] for count in row["counts"])
    assert text.startswith("<svg ") and f"<title>{most}</title>" in text, text[:500]


def a_forecast_goes_by_what_was(case):
    need_gnomon()
    daemon = case.daemon(volumes={"v": 64 * MiB})
    early = daemon.json("forecast", "v", "--horizon", "10s")
    assert not early["forecasts"] and "model" not in early and early["needed"] == 13, early
    assert "too short" in daemon.gnomon("forecast", "v", "--horizon", "10s")
    _fio(case, daemon, "--rw=randread", "--bs=4k", "--iodepth=1", "--size=64m", "--time_based", "--runtime=18",
         "--rate_iops=400")
    forecast = daemon.json("forecast", "v", "--horizon", "10s")
    assert forecast["model"]["model"] and len(forecast["forecasts"]) == 10, forecast
    steady = forecast["forecasts"][0]
    assert steady["low"] <= steady["value"] <= steady["high"], steady
    assert 100 < steady["value"] < 500, forecast
    text = daemon.gnomon("forecast", "v", "--horizon", "10s")
    assert "MASE:" in text and "━" in text, text
    # Minutes are too few.
    assert "ask again in" in daemon.gnomon("forecast", "v")
    unknown = daemon.gnomon("forecast", "w", status=None)
    assert unknown.returncode == 6 and "there is no volume or store w" in unknown.stderr, unknown


def history_survives_a_restart(case):
    need_gnomon()
    daemon = case.daemon(volumes={"v": 64 * MiB, "w": 64 * MiB})
    fio = _fio(case, daemon, "--rw=randread", "--bs=4k", "--iodepth=4", "--size=64m", "--io_size=4m")
    requests = fio["read"]["total_ios"]

    def kept():
        load = daemon.json("stats", "v", "--window", "1h")
        heat = daemon.json("heatmap", "v")
        return (round(_sum(load["samples"], "iops")), sum(sum(row["counts"]) for row in heat["rows"]))

    daemon.restart()
    assert abs(kept()[0] - requests) <= 0.01 * requests and kept()[1] == requests, (kept(), requests)
    _fio(case, daemon, "--rw=randread", "--bs=4k", "--iodepth=4", "--size=64m", "--io_size=4m")
    # A volume that is deleted takes its history with it.
    daemon.gnomon("volume", "delete", "w")
    daemon.restart()
    assert abs(kept()[0] - 2 * requests) <= 0.01 * requests and kept()[1] == 2 * requests, (kept(), requests)
    # A file that makes no sense is no reason not to serve.
    daemon.stop()
    with open(os.path.join(daemon.pool, "history"), "r+b") as file:
        file.seek(100)
        file.write(b"nonsense")
    daemon.start()
    eventually(lambda: "the history of loads begins anew" in daemon.log(), 5, "the warning")
    assert kept() == (0, 0), kept()


def a_volume_that_grows_keeps_its_heat(case):
    need_gnomon()
    daemon = case.daemon(volumes={"v": 64 * MiB})
    with daemon.client() as client:
        client.read(60 * MiB, 4 * KiB)
        eventually(lambda: sum(map(sum, (row["counts"] for row in daemon.json("heatmap", "v")["rows"]))) == 1, 5,
                   "the first request")
        daemon.gnomon("volume", "resize", "v", "256M")
        eventually(lambda: daemon.json("heatmap", "v")["bucketBytes"] == 1 * MiB, 5, "larger buckets")
    with daemon.client() as client:
        client.read(200 * MiB, 4 * KiB)

    def counts():
        rows = daemon.json("heatmap", "v")["rows"]
        return {bucket: count for row in rows for bucket, count in enumerate(row["counts"]) if count}

    eventually(lambda: counts() == {60: 1, 200: 1}, 5, "both requests at their places")
