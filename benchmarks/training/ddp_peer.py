"""PyTorch's side of benchmarks/ranks_vs_threads: one of the processes of DistributedDataParallel with gloo.

    ddp_peer.py TEXTS WIDTH LAYERS VOCABULARY BATCH STEPS

The environment names the rank, as torchrun does. Each process computes every second text of each batch, padded to the
longest of its texts. The texts of a batch are sorted by length, so that both processes have about as many tokens. Rank 0
prints a JSON object with the real tokens per second of all processes after ten steps.
"""

import json
import sys
import time

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
from transformers import BertConfig, BertForSequenceClassification

WARM = 10


def batch_of(rows):
    longest = max(len(ids) for ids, _ in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros(len(rows), longest, dtype=torch.long)
    for i, (row, _) in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        mask[i, : len(row)] = 1
    return {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([label for _, label in rows])}


def main():
    path, width, layers, vocabulary, batch, steps = sys.argv[1], *map(int, sys.argv[2:7])
    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    rank, size = distributed.get_rank(), distributed.get_world_size()
    torch.manual_seed(1)
    config = BertConfig(vocab_size=vocabulary, hidden_size=width, num_hidden_layers=layers, num_attention_heads=width // 32,
                        intermediate_size=4 * width, max_position_embeddings=512, num_labels=3)  # fmt: skip
    model = DistributedDataParallel(BertForSequenceClassification(config))
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4, weight_decay=0.01)
    with open(path) as file:
        texts = json.load(file)
    tokens, start = 0, 0.0
    for step in range(steps):
        if step == WARM:
            distributed.barrier()
            tokens, start = 0, time.perf_counter()
        rows = sorted(texts[step * batch : (step + 1) * batch], key=lambda row: len(row[0]))
        tokens += sum(len(ids) for ids, _ in rows)
        loss = model(**batch_of(rows[rank::size])).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    distributed.barrier()
    seconds = time.perf_counter() - start
    if rank == 0:
        print(json.dumps({"tokens_per_second": tokens / seconds}))
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
