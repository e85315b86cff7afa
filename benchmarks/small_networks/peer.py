"""PyTorch's side of benchmarks/small_networks_vs_pytorch: peer.py NETWORK STEPS prints the seconds of a training."""

import sys
import time

import torch
from torch import nn

FIRST_STEPS = 20
NETWORKS = {
    "spirals": lambda: (
        nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 3)),
        torch.randn(300, 2), torch.randint(0, 3, (300,))),
    "digits": lambda: (
        nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1),
                      nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 10)),
        torch.randn(64, 1, 8, 8), torch.randint(0, 10, (64,))),
    "wide": lambda: (
        nn.Sequential(nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)),
        torch.randn(128, 64), torch.randint(0, 10, (128,))),
}  # fmt: skip


def main(network, steps):
    torch.manual_seed(1)
    model, inputs, labels = NETWORKS[network]()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, fused=True)
    for step in range(-FIRST_STEPS, steps):
        if step == 0:
            begin = time.perf_counter()
        loss = nn.functional.cross_entropy(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{time.perf_counter() - begin:.6f}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
