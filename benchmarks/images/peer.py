#!/usr/bin/env python3
"""The peers of benchmarks/images_vs_pytorch: peer.py ENGINE train|infer resnet|vit BATCH SECONDS prints images per second and the
process's peak memory in bytes. ENGINE is pytorch, pytorch-channels-last, or onnxruntime, which only infers."""

import io
import resource
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, channels, filters, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, filters, 3, stride, 1, bias=False), nn.BatchNorm2d(filters)
        self.conv2, self.bn2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False), nn.BatchNorm2d(filters)
        self.downsample = nn.Identity()
        if stride != 1 or channels != filters:
            self.downsample = nn.Sequential(nn.Conv2d(channels, filters, 1, stride, bias=False), nn.BatchNorm2d(filters))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x), inplace=True)


class Mean(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


def resnet():
    blocks = [Block(32, 32, 1), Block(32, 64, 2), Block(64, 128, 2)]
    return nn.Sequential(nn.Conv2d(1, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU(inplace=True), *blocks, Mean(),
                         nn.Linear(128, 10))  # fmt: skip


class ViT(nn.Module):
    def __init__(self):
        super().__init__()
        import transformers

        self.model = transformers.ViTForImageClassification(transformers.ViTConfig(
            hidden_size=128, num_hidden_layers=4, num_attention_heads=4, intermediate_size=256, image_size=28, patch_size=4,
            num_channels=1, num_labels=10))  # fmt: skip

    def forward(self, x):
        return self.model(pixel_values=x).logits


def rate(seconds, step):
    for _ in range(3):
        step()
    begin, steps = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        step()
        steps += 1
    return steps / (time.perf_counter() - begin)


def main():
    engine, mode, name, batch, seconds = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5])
    network = resnet() if name == "resnet" else ViT()
    x, y = torch.randn(batch, 1, 28, 28), torch.randint(0, 10, (batch,))
    if engine == "pytorch-channels-last":
        network, x = network.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    if mode == "train":
        sgd = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)

        def step():
            sgd.zero_grad()
            F.cross_entropy(network(x), y).backward()
            sgd.step()
    else:
        network.eval()
        step = lambda: network(x)  # noqa: E731
        if engine == "onnxruntime":
            import onnxruntime

            file = io.BytesIO()
            torch.onnx.export(network, (x,), file, dynamo=False, input_names=["x"], output_names=["y"])
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = torch.get_num_threads()
            session, values = onnxruntime.InferenceSession(file.getvalue(), options), x.numpy()
            step = lambda: session.run(None, {"x": values})  # noqa: E731
    with torch.set_grad_enabled(mode == "train"):
        found = rate(seconds, step) * batch
    print(f"{found:.1f} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}")


if __name__ == "__main__":
    main()
