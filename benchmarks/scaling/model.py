"""The time of a step of data-parallel training on P machines, from the time of a step on one and figures of the network.

A message of n bytes takes alpha + n * beta (Hockney 1994). A rank that sends to all others at once has one network card, so
the bytes of its messages add up, and so do its costs for each message:

    exchange = latency + messages * overhead + max(bytes sent, bytes received) * beta

Protocols copy each byte, at both ends. That CPU time delays a backward that goes on at the same time, because a training uses
all cores.

The exchanges are those of optim/parallel: see sum_bucket(), sum_rows() and DataParallel.share_updates(). With one node of the
tree for each rank this is the pairwise exchange of Thakur, Rabenseifner & Gropp 2005, twice: a reduce-scatter and an
all-gather of (P - 1) / P of the bytes each. A bucket leaves when the backward of a rank's last chunk has completed it, and
buckets travel one after the other, so the simulation follows each of them.
"""

from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Network:
    latency: float  # seconds until a small message is there
    overhead: float  # seconds of a rank for each message
    bandwidth: float  # bytes a second of a rank, in each direction
    cpu: float = 0.0  # seconds of CPU time that a byte takes, at both ends together

    def exchange(self, messages, sent, received):
        """Seconds of an exchange in which the busiest rank has so many messages and bytes."""
        if not messages:
            return 0.0
        wire = self.latency + messages * self.overhead + max(sent, received) / self.bandwidth
        return max(wire, self.busy(sent, received))

    def busy(self, sent, received):
        """Seconds of CPU time of a rank that an exchange takes."""
        return self.cpu * (sent + received) / 2


@dataclass(frozen=True)
class Training:
    step_seconds: float  # of one rank with `chunks` chunks: forward and backward, without the optimizer
    chunks: int
    optimizer_seconds: float  # of one rank, all parameters
    dense_bytes: int  # of the gradients that travel in buckets
    row_bytes: int = 0  # of a chunk: rows of tables
    bucket_bytes: int = 1 << 20
    backward_share: float = 2 / 3  # of a chunk's seconds
    shards_optimizer: bool = False
    parameter_bytes: int = field(default=0)  # that step() changes; 0: as many as dense_bytes


def boundaries(items, parts):
    """Where runs of equal items begin: those of divide_chunks() for chunks of equal cost."""
    firsts, item = [0], 0
    for part in range(1, parts):
        while item < items and parts * (2 * item + 1) <= 2 * items * part:
            item += 1
        firsts.append(item)
    return [*firsts, items]


def largest_nodes(first, last, low, high):
    """How many of the largest nodes of the tree over [low, high) lie within [first, last)."""
    if high <= first or last <= low:
        return 0
    if first <= low and high <= last:
        return 1
    middle = low + (high - low) // 2
    return largest_nodes(first, last, low, middle) + largest_nodes(first, last, middle, high)


def plan(chunks, ranks):
    """The chunks of each rank, and the nodes that each rank sends."""
    firsts = boundaries(chunks, ranks)
    own = [firsts[i + 1] - firsts[i] for i in range(ranks)]
    return own, [largest_nodes(firsts[i], firsts[i + 1], 0, chunks) if own[i] else 0 for i in range(ranks)]


def bucket_exchanges(size, nodes, ranks):
    """Messages, bytes sent and bytes received of both exchanges of sum_bucket(): the nodes' shares to those who sum them, and
    the sums to all."""
    share = size / ranks
    most, all_nodes = max(nodes), sum(nodes)
    # Each peer gets the share of each node and a message that says which gradients there are.
    return [((ranks - 1) * (most + 1), (ranks - 1) * most * share, (all_nodes - min(nodes)) * share),
            (ranks - 1, (ranks - 1) * share, (ranks - 1) * share)]  # fmt: skip


def bucket_seconds(size, nodes, ranks, network):
    return sum(network.exchange(*one) for one in bucket_exchanges(size, nodes, ranks))


def step(training, ranks, network, overlap=True):
    """Returns the seconds of a step and what they consist of: computation, communication that nothing hides, and optimizer.
    Without `overlap` the buckets leave after backward."""
    if training.chunks < ranks:
        raise ValueError(f"{ranks} ranks need at least as many chunks as ranks, not {training.chunks}")
    own, nodes = plan(training.chunks, ranks)
    of_chunk = training.step_seconds / training.chunks
    computed = max(own) * of_chunk
    optimizer = training.optimizer_seconds
    if ranks == 1:
        return {"seconds": computed + optimizer, "computed": computed, "waited": 0.0, "optimizer": optimizer}
    buckets = max(1, round(training.dense_bytes / training.bucket_bytes)) if training.dense_bytes else 0
    free = 0.0  # when the wire has ended the bucket before
    end = computed  # of backward
    size = training.dense_bytes / max(1, buckets)
    seconds = bucket_seconds(size, nodes, ranks, network)
    busy = sum(network.busy(sent, received) for _, sent, received in bucket_exchanges(size, nodes, ranks))
    for number in range(buckets):
        rest = of_chunk * training.backward_share * (1 - (number + 1) / buckets)
        begin = max(free, end - rest) if overlap else max(free, end)
        free = begin + seconds
        if begin < end:
            end += busy
    communicated = max(free, end)
    # The losses, then the rows of tables: each rank sends its own to all others. A last exchange says who wants to stop.
    rows = training.row_bytes * max(own)
    others = training.row_bytes * (training.chunks - min(own))
    communicated += 2 * network.exchange(ranks - 1, 8 * (ranks - 1), 8 * (ranks - 1))
    communicated += network.exchange(ranks - 1, (ranks - 1) * rows, others)
    updates = 0.0
    if training.shards_optimizer:
        changed = training.parameter_bytes or training.dense_bytes
        optimizer /= ranks
        updates = network.exchange(ranks - 1, (ranks - 1) * changed / ranks, (ranks - 1) * changed / ranks)
    waited = communicated - computed + updates
    return {"seconds": computed + waited + optimizer, "computed": computed, "waited": waited, "optimizer": optimizer}


def curve(training, network, most, weak=False):
    """[(ranks, step())] for powers of two. A batch has at least as many chunks as ranks, so more ranks cut it finer, and a
    chunk has fewer rows. With `weak` each rank has the texts of the batch that one rank has, so the batch grows."""
    found, ranks = [], 1
    while ranks <= most:
        if weak:
            whole = replace(training, chunks=training.chunks * ranks, step_seconds=training.step_seconds * ranks)
        else:
            chunks = max(training.chunks, ranks)
            whole = replace(training, chunks=chunks, row_bytes=-(-training.row_bytes * training.chunks // chunks))
        found.append((ranks, step(whole, ranks, network)))
        ranks *= 2
    return found
