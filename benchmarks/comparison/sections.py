"""The compared sections: matrix products, other kernels and attention. Each returns plain data that is stored as JSON."""

from . import machine
from .contest import contests, geometric_mean
from .contestants import Contestant, Entry

SQUARES = [(n, n, n) for n in (64, 128, 256, 512, 1024, 2048)]
LAYERS = [(1024, n, k) for n in (128, 384, 512) for k in (128, 512)]
WIDE = [(2304, 384, 128), (1024, 1536, 384), (1024, 768, 256), (128, 128, 2304)]
FEW_ROWS = [(m, 384, 384) for m in (1, 2, 4, 8, 16)] + [(m, 512, 128) for m in (1, 8, 16)]
ODD = [(1023, 257, 129), (64, 64, 32), (36, 32, 36)]
SHAPES = SQUARES + LAYERS + WIDE + FEW_ROWS + ODD

IN_CACHE = [("exp", 4096), ("tanh", 4096), ("gelu", 4096), ("silu", 4096), ("softmax", 32, 128),
            ("layer_norm", 32, 128), ("adamw", 4096)]  # fmt: skip
# Each entry has a job, the numbers of arrays it reads, updates in place and writes, and the elements of an array.
IN_MEMORY = [(("gelu", 16 << 20), (1, 0, 1), 16 << 20), (("softmax", 16384, 1024), (1, 0, 1), 16 << 20),
             (("layer_norm", 16384, 1024), (1, 0, 1), 16 << 20), (("adamw", 16 << 20), (1, 3, 0), 16 << 20)]  # fmt: skip
ATTENTION = [(2048 // length, length, 4, size) for length in (36, 128, 512) for size in (32, 64)]

STREAMED = 256 << 20  # bytes, more than the caches hold
# Bytes per thread that fit into each of these caches with room to spare.
L1, L2 = 16 << 10, machine.l2_bytes() // 2


def roofs(qing, threads):
    """The machine's limits in FLOP/s and bytes/s."""
    return {
        "peak": qing.number("peak"),
        "read": qing.number("bandwidth", 1, 0, 0, STREAMED),
        "copy": qing.number("bandwidth", 1, 0, 1, STREAMED),
        "triad": qing.number("bandwidth", 2, 0, 1, STREAMED),
        "l2": qing.number("bandwidth", 1, 0, 0, L2 * threads),
        "l1": qing.number("bandwidth", 1, 0, 0, L1 * threads),
    }


def gemm(field, options, shapes, progress):
    jobs = [(f"gemm_{options.layout}", *shape) for shape in shapes]
    seconds = contests(field.all, jobs, options, progress)
    return [{"shape": shape, "seconds": row} for shape, row in zip(shapes, seconds)]


def gflops(row, name):
    m, n, k = row["shape"]
    return 2e-9 * m * n * k / row["seconds"][name]


def best_peer(row):
    """Returns the name of the fastest contestant other than qing, or None."""
    peers = [name for name in row["seconds"] if name != "qing"]
    return min(peers, key=row["seconds"].get) if peers else None


def ratio(row):
    """qing's speed over the best peer's; None without one."""
    peer = best_peer(row)
    return row["seconds"][peer] / row["seconds"]["qing"] if peer else None


def summary(rows, what):
    """Returns the summary line that scripts parse."""
    ratios = [r for r in map(ratio, rows) if r is not None]
    if not ratios:
        return f"geometric mean {what}: none, there is no peer to compare with; install one of those named as skipped"
    return f"geometric mean {what}: {geometric_mean(ratios):.2f}, worst shape: {min(ratios):.2f}"


def kernels(field, options, progress):
    """Compares kernels with Eigen in the cache on one thread, and beyond the cache with the memory bandwidth of the same
    streams."""
    qing = field["qing"]
    cached, streamed = [], []
    if field.threads == 1:
        entrants = [c for c in field.all if c.name in ("qing", "eigen")]
        seconds = contests(entrants, IN_CACHE, options, progress)
        cached = [{"job": job, "seconds": row} for job, row in zip(IN_CACHE, seconds)]
    seconds = contests([qing], [job for job, _, _ in IN_MEMORY], options, progress)
    for (job, streams, numbers), row in zip(IN_MEMORY, seconds):
        reads, updates, writes = streams
        moved = 4 * numbers * (reads + 2 * updates + writes)
        bound = qing.number("bandwidth", *streams, 4 * numbers * sum(streams))
        streamed.append({"job": job, "seconds": row["qing"], "bytes": moved, "bandwidth": bound})
    return {"cached": cached, "streamed": streamed}


def attention(field, options, folder, progress):
    """Compares qing's fused attention with compositions of qing's other operations, forward and backward."""
    ways = {"qing": "fused", "composed": "composed", "unfused": "unfused"}
    isa = {"QING_ISA": options.isa}
    others = [Contestant(Entry(way, "qing", environment=isa), folder, field.cpus) for way in ("composed", "unfused")]
    jobs = [{name: (f"attention_{way}", *sizes) for name, way in ways.items()} for sizes in ATTENTION]
    try:
        seconds = contests([field["qing"], *others], jobs, options, progress)
    finally:
        for other in others:
            other.close()
    return [{"sizes": sizes, "seconds": row} for sizes, row in zip(ATTENTION, seconds)]
