"""The load: what each cell asks of a server, and the commands that generate it."""
import json
import os
import re
import subprocess
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))

# name: (fio's rw, block size, depth, jobs, more words)
FIO_CELLS = {
    "read-4k-q1": ("randread", "4k", 1, 1, []),
    "read-4k-q32": ("randread", "4k", 32, 1, []),
    "read-4k-q128": ("randread", "4k", 128, 1, []),
    "read-4k-4xq32": ("randread", "4k", 32, 4, []),
    "write-4k-q1": ("randwrite", "4k", 1, 1, []),
    "write-4k-q32": ("randwrite", "4k", 32, 1, []),
    "write-4k-q128": ("randwrite", "4k", 128, 1, []),
    "write-4k-4xq32": ("randwrite", "4k", 32, 4, []),
    "read-256k-q8": ("read", "256k", 8, 1, []),
    "write-256k-q8": ("write", "256k", 8, 1, []),
    "mix-8k-q16": ("randrw", "8k", 16, 1, ["--rwmixread=70"]),
}
# name: (mode of bench/durable.c, depth). fio's nbd engine has no FUA, and drains its queue to flush.
DURABLE_CELLS = {
    "flush-4k-q1": ("flush", 1),
    "flush-4k-q16": ("flush", 16),
    "fua-4k-q1": ("fua", 1),
    "fua-4k-q16": ("fua", 16),
}
CELLS = {**FIO_CELLS, **DURABLE_CELLS}


def is_write(cell):
    return not cell.startswith("read-")


def durable_tool():
    """bench/durable.c, compiled when it is newer than its binary."""
    source, binary = f"{HERE}/durable.c", f"{HERE}/.cache/durable"
    if not os.path.exists(binary) or os.path.getmtime(binary) < os.path.getmtime(source):
        os.makedirs(os.path.dirname(binary), exist_ok=True)
        subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", binary, source], check=True)
    return binary


def fio_words(cell, runtime, size):
    rw, block, depth, jobs, more = FIO_CELLS[cell]
    return ["fio", f"--name={cell}", f"--rw={rw}", f"--bs={block}", f"--iodepth={depth}", f"--numjobs={jobs}",
            "--thread", "--group_reporting", "--time_based", f"--runtime={runtime}", f"--size={size}",
            "--norandommap", "--randrepeat=0", "--random_generator=tausworthe64", "--lat_percentiles=1",
            "--clat_percentiles=0", "--percentile_list=50:99:99.9", "--output-format=json", *more]


def load_over_nbd(cell, uri, socket, export, runtime, size):
    """-> {iops, bytes, p50, p99, p999, operations}"""
    if cell in DURABLE_CELLS:
        mode, depth = DURABLE_CELLS[cell]
        words = [durable_tool(), socket, export, mode, str(depth), "4096", str(runtime)]
        return _durable_result(_run(words, runtime), 4096)
    return _fio_result(_run(fio_words(cell, runtime, size) + ["--ioengine=nbd", f"--uri={uri}"], runtime))


def load_on_file(cell, path, runtime, size):
    """The same load on the file itself through io_uring and O_DIRECT; None when it has no counterpart."""
    direct = ["--ioengine=io_uring", "--direct=1", f"--filename={path}", "--registerfiles", "--fixedbufs"]
    if cell in FIO_CELLS:
        return _fio_result(_run(fio_words(cell, runtime, size) + direct, runtime))
    mode, depth = DURABLE_CELLS[cell]
    if mode == "flush" and depth > 1:
        return None
    words = ["fio", f"--name={cell}", "--rw=randwrite", "--bs=4k", f"--iodepth={depth}", "--thread",
             "--time_based", f"--runtime={runtime}", f"--size={size}", "--norandommap", "--randrepeat=0",
             "--lat_percentiles=1", "--clat_percentiles=0", "--percentile_list=50:99:99.9", "--output-format=json"]
    words += ["--sync=dsync"] if mode == "fua" else ["--fdatasync=1"]
    result = _fio_result(_run(words + direct, runtime))
    if mode == "flush":  # fio's latency is that of the write alone
        result.update(p50=1e6 / result["iops"], p99=None, p999=None)
    return result


def _run(words, runtime):
    # fio leaves state files in its working folder.
    with tempfile.TemporaryDirectory(prefix="gnomon-bench-") as scratch:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=scratch,
                              timeout=runtime * 5 + 60)
    if done.returncode != 0:
        raise RuntimeError(f"{words[0]}: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


def _durable_result(text, block):
    answer = json.loads(text)
    return {"operations": answer["operations"], "iops": answer["operations"] / answer["seconds"],
            "bytes": answer["operations"] * block / answer["seconds"],
            "p50": answer["p50"], "p99": answer["p99"], "p999": answer["p999"]}


def _fio_result(text):
    job = json.loads(text[re.search(r"^\{", text, re.M).start():])["jobs"][0]
    if job["error"]:
        raise RuntimeError(f"fio: error {job['error']}")
    sides = [job[side] for side in ("read", "write") if job[side]["total_ios"]]
    operations = sum(side["total_ios"] for side in sides)
    result = {"operations": operations, "iops": sum(side["iops"] for side in sides),
              "bytes": sum(side["bw_bytes"] for side in sides)}
    for key, name in (("p50", "50.000000"), ("p99", "99.000000"), ("p999", "99.900000")):
        # Of a mix: weighted by operations, which is good enough to compare servers.
        result[key] = sum(side["lat_ns"]["percentile"][name] * side["total_ios"] for side in sides) / operations / 1000
    return result
