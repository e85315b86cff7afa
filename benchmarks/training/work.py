"""What training has to compute, and what the machine could."""

import os
import statistics
import subprocess


def training(width, layers, vocabulary, lengths, batch):
    """Operations of forward and backward over texts of these lengths, of products alone. The last layer needs of each
    text's later tokens nothing but keys and values."""
    del vocabulary  # looking rows up is no product
    tokens, squares, count = sum(lengths), sum(n * n for n in lengths), len(lengths)
    inner = 4 * width
    whole_layer = 2 * tokens * (4 * width * width + 2 * width * inner) + 4 * width * squares
    last_layer = 2 * tokens * 2 * width * width + 2 * count * (2 * width * width + 2 * width * inner) + 4 * width * tokens
    head = 2 * count * width * (width + 3)
    # Backward has two products for each of forward's.
    return 3 * ((layers - 1) * whole_layer + last_layer + head)


def median(runs, key):
    return statistics.median(run[key] for run in runs)


def fma_peak(build, threads):
    """GFLOP/s of fused multiply-adds on registers."""
    environment = {**os.environ, "QING_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run([build / "benchmarks/contestant_qing"], input="peak\npeak\npeak\n", capture_output=True,
                          text=True, env=environment, check=True)  # fmt: skip
    return max(map(float, done.stdout.split())) / 1e9
