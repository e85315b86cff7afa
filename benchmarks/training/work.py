"""The number of operations of training, and the machine's peak."""

import os
import statistics
import subprocess


def training(width, layers, vocabulary, lengths, batch):
    """Returns the operations of all products in forward and backward over texts of these lengths. The last layer needs only
    keys and values of each text's later tokens."""
    del vocabulary  # an embedding lookup is not a product
    tokens, squares, count = sum(lengths), sum(n * n for n in lengths), len(lengths)
    inner = 4 * width
    whole_layer = 2 * tokens * (4 * width * width + 2 * width * inner) + 4 * width * squares
    last_layer = 2 * tokens * 2 * width * width + 2 * count * (2 * width * width + 2 * width * inner) + 4 * width * tokens
    head = 2 * count * width * (width + 3)
    # Backward has two products for each product of forward.
    return 3 * ((layers - 1) * whole_layer + last_layer + head)


def median(runs, key):
    return statistics.median(run[key] for run in runs)


def fma_peak(build, threads):
    """GFLOP/s of fused multiply-adds on registers."""
    environment = {**os.environ, "QING_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run([build / "benchmarks/contestant_qing"], input="peak\npeak\npeak\n", capture_output=True,
                          text=True, env=environment, check=True)  # fmt: skip
    return max(map(float, done.stdout.split())) / 1e9
