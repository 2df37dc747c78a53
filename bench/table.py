"""Tables of results, and how they stand against what must be reached."""
import statistics

import cells as cell_book
import servers as server_book

KEYS = ("iops", "bytes", "p50", "p99", "p999", "cpu", "memory", "operations")


def medians(rounds):
    out = {}
    for key in KEYS:
        values = [result[key] for result in rounds if result.get(key) is not None]
        out[key] = statistics.median(values) if values else None
    return out


def _cell(results, server, cell, key):
    entry = results.get((server, cell))
    return entry.get(key) if entry else None


def _grid(title, results, names, cells, show):
    rows = [[title] + names]
    for cell in cells:
        rows.append([cell] + [show(results.get((name, cell))) for name in names])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        print("  ".join(word.ljust(width) if not column else word.rjust(width)
                        for column, (word, width) in enumerate(zip(row, widths))))
        if number == 0:
            print("  ".join("-" * width for width in widths))
    print()


def _number(value, form):
    return "-" if value is None else format(value, form)


def show(results):
    names = [name for name in server_book.SERVERS if any(server == name for server, _ in results)]
    cells = [cell for cell in cell_book.CELLS if any(found == cell for _, found in results)]
    print()
    _grid("IOPS", results, names, cells, lambda r: "-" if not r else _number(r["iops"], ",.0f"))
    _grid("p50/p99/p99.9 us", results, names, cells,
          lambda r: "-" if not r else "/".join(_number(r[key], ".0f") for key in ("p50", "p99", "p999")))
    _grid("CPU s/100k", results, names, cells, lambda r: "-" if not r else _number(r["cpu"], ".2f"))
    _grid("peak MiB", results, names, cells,
          lambda r: "-" if not r or not r["memory"] else f"{r['memory'] / 1048576:.0f}")
    marks(results)


# --- what must be reached

def _ratio(results, key, cell, ours, theirs, best):
    """Ours against the best of theirs; None when something was not measured."""
    mine = _cell(results, ours, cell, key)
    others = [value for value in (_cell(results, name, cell, key) for name in theirs) if value]
    return mine / best(others) if mine and others else None


QEMU, CACHED = ["qemu-direct"], ["nbdkit-file", "nbd-server"]
EVERY = ["qemu-direct", "nbdkit-file", "nbd-server", "qemu-writeback"]

# (what, key, cell, ours, theirs, must, goal); at least for iops, at most for cpu and p50
TARGETS = [
    ("reads, direct", "iops", "read-4k-q32", "gnomon-direct", QEMU, 1.3, 2.0),
    ("reads, direct", "iops", "read-4k-4xq32", "gnomon-direct", QEMU, 1.6, 2.0),
    ("writes, direct", "iops", "write-4k-q32", "gnomon-direct", QEMU, 2.0, 3.0),
    ("writes, direct", "iops", "write-4k-4xq32", "gnomon-direct", QEMU, 2.5, 3.0),
    ("share of the raw device", "iops", "read-4k-4xq32", "gnomon-direct", ["raw"], 0.85, 0.90),
    ("share of the raw device", "iops", "write-4k-4xq32", "gnomon-direct", ["raw"], 0.85, 0.90),
    ("CPU an operation", "cpu", "read-4k-q32", "gnomon-direct", QEMU, 0.5, 0.33),
    ("CPU an operation", "cpu", "read-4k-4xq32", "gnomon-direct", QEMU, 0.5, 0.33),
    ("CPU an operation", "cpu", "write-4k-q32", "gnomon-direct", QEMU, 0.5, 0.33),
    ("CPU an operation", "cpu", "write-4k-4xq32", "gnomon-direct", QEMU, 0.5, 0.33),
    ("reads, cached", "iops", "read-4k-q32", "gnomon-page", CACHED, 1.7, 2.0),
    ("reads, cached", "iops", "read-4k-4xq32", "gnomon-page", CACHED, 1.7, 2.0),
    ("reads, simple replies", "iops", "read-4k-q32", "gnomon-page-simple", CACHED + ["nbdkit-file-simple"], 1.7, 2.0),
    ("latency at depth 1", "p50", "read-4k-q1", "gnomon-direct", QEMU, 1.0, 1.0),
    ("latency at depth 1", "p50", "write-4k-q1", "gnomon-direct", QEMU, 1.0, 1.0),
    ("latency at depth 1", "p50", "read-4k-q1", "gnomon-page", ["qemu-writeback"], 1.0, 1.0),
    ("latency at depth 1", "p50", "write-4k-q1", "gnomon-page", ["qemu-writeback"], 1.0, 1.0),
    ("sequential, direct", "iops", "read-256k-q8", "gnomon-direct", QEMU, 1.0, 1.0),
    ("sequential, direct", "iops", "write-256k-q8", "gnomon-direct", QEMU, 1.0, 1.0),
    ("sequential, cached", "iops", "read-256k-q8", "gnomon-page", CACHED + ["qemu-writeback"], 1.0, 1.0),
    ("sequential, cached", "iops", "write-256k-q8", "gnomon-page", CACHED + ["qemu-writeback"], 1.0, 1.0),
    ("durable writes", "iops", "flush-4k-q1", "gnomon-direct", EVERY, 1.0, 1.0),
    ("durable writes, polling", "iops", "flush-4k-q1", "gnomon-direct-polling", EVERY, 1.0, 1.0),
    ("durable writes", "iops", "flush-4k-q16", "gnomon-direct", EVERY, 1.0, 1.0),
    ("durable writes", "iops", "fua-4k-q1", "gnomon-direct", EVERY, 1.0, 1.0),
    ("durable writes", "iops", "fua-4k-q16", "gnomon-direct", EVERY, 1.0, 1.0),
]


def marks(results):
    lines = []
    for what, key, cell, ours, theirs, must, goal in TARGETS:
        ratio = _ratio(results, key, cell, ours, theirs, max if key == "iops" else min)
        if ratio is None:
            continue
        reached = (lambda bound: ratio >= bound) if key == "iops" else (lambda bound: ratio <= bound)
        mark = "goal" if reached(goal) else "must" if reached(must) else "MISSED"
        sign = ">=" if key == "iops" else "<="
        lines.append(f"{mark:7} {ratio:6.2f}x  (must {sign} {must}, goal {sign} {goal})  {what}: {cell} {key}, "
                     f"{ours} against {' / '.join(theirs)}")
    if lines:
        print("\n".join(lines) + "\n")
