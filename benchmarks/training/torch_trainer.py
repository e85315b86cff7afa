"""PyTorch's side of benchmarks/train_vs_pytorch. Trains transformers' classifier on the same batches as qing. Prints the
same JSON object as training_qing.

    torch_trainer.py MODEL BATCHES WARM STEPS LR DROPOUT MODE THREADS

MODE: eager; plain (eager with the default AdamW instead of the fused one); compile (torch.compile); bf16 (autocast).
"""

import contextlib
import json
import resource
import sys
import time

import torch
import transformers
from safetensors.torch import load_file

CLIP = 1.0
SEED = 42


def padded_batches(path):
    """Returns ids, mask and labels of every batch, padded to its longest text, and its number of real tokens."""
    data = load_file(path)
    ids, offsets, labels, batches = (data[name] for name in ("ids", "offsets", "labels", "batches"))
    texts = [ids[a:b].long() for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist())]
    found = []
    for begin, end in zip(batches[:-1].tolist(), batches[1:].tolist()):
        chosen = texts[begin:end]
        pad = torch.nn.utils.rnn.pad_sequence
        mask = pad([torch.ones_like(text) for text in chosen], batch_first=True)
        found.append((pad(chosen, batch_first=True), mask, labels[begin:end].long(), int(mask.sum())))
    return found


def main():
    folder, path, warm, steps, lr, dropout, mode, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    torch.manual_seed(SEED)
    warm, steps = int(warm), int(steps)
    config = transformers.AutoConfig.from_pretrained(folder)
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = float(dropout)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, config=config).train()
    matrices = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": others, "weight_decay": 0}]
    optimizer = torch.optim.AdamW(groups, lr=float(lr), fused=None if mode == "plain" else True)
    forward = torch.compile(model, dynamic=True) if mode == "compile" else model
    low = torch.autocast("cpu", torch.bfloat16) if mode == "bf16" else contextlib.nullcontext()
    batches = padded_batches(path)
    losses, tokens, seconds = [], 0, 0.0
    for step in range(warm + steps):
        ids, mask, labels, real = batches[step % len(batches)]
        begin = time.perf_counter()
        optimizer.zero_grad()
        with low:
            loss = forward(input_ids=ids, attention_mask=mask, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        losses.append(loss.item())
        if step >= warm:
            seconds += time.perf_counter() - begin
            tokens += real
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    result = {"tokens_per_second": tokens / seconds, "seconds": seconds, "tokens": tokens, "peak_rss_bytes": peak}
    print(json.dumps({**result, "losses": losses}))


main()
