"""Image networks train as PyTorch's do: the same weights and batches give the same losses and, afterwards, the same logits."""

import json
import subprocess

import numpy
import pytest
import torch
import torch.nn.functional as F
import transformers
from conftest import BUILD
from safetensors.torch import save_file
from torch import nn

STEPS, BATCH, SIDE, CLASSES = 20, 16, 12, 5
PREPROCESSING = {"height": SIDE, "width": SIDE, "channels": 1, "fit": "stretch", "mean": [0.5], "std": [0.5]}
LABELS = {str(i): f"label {i}" for i in range(CLASSES)}


class Block(nn.Module):
    """torchvision's BasicBlock."""

    def __init__(self, channels, filters, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.downsample = None
        if stride != 1 or channels != filters:
            self.downsample = nn.Sequential(nn.Conv2d(channels, filters, 1, stride, bias=False), nn.BatchNorm2d(filters))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class Network(nn.Module):
    def __init__(self, widths, blocks):
        super().__init__()
        self.conv1 = nn.Conv2d(1, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        channels, self.stages = widths[0], len(widths)
        for stage, width in enumerate(widths):
            stack = []
            for block in range(blocks):
                stack.append(Block(channels, width, 2 if stage > 0 and block == 0 else 1))
                channels = width
            setattr(self, f"layer{stage + 1}", nn.Sequential(*stack))
        self.fc = nn.Linear(channels, CLASSES)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        for stage in range(self.stages):
            x = getattr(self, f"layer{stage + 1}")(x)
        return self.fc(x.mean((2, 3)))


def resnet():
    widths, blocks = [16, 24, 40], 2
    config = {"model_type": "qing_resnet", "num_channels": 1, "widths": widths, "blocks": blocks}
    return Network(widths, blocks), config


class Logits(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(pixel_values=x).logits


def vit():
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "image_size": SIDE,
             "patch_size": 4, "num_channels": 1}  # fmt: skip
    model = transformers.ViTForImageClassification(transformers.ViTConfig(**sizes, num_labels=CLASSES))
    return Logits(model), json.loads(model.config.to_json_string())


# At greater rates a ReLU's input near 0 changes its sign by rounding, and PyTorch in f32 departs from itself in f64, too.
@pytest.mark.parametrize("make, lr", [(resnet, 0.005), (vit, 0.02)])
def test_losses_and_logits_are_those_of_pytorch(tmp_path, make, lr):
    torch.manual_seed(1)
    network, config = make()
    state = {name.removeprefix("model."): tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(state, tmp_path / "model.safetensors")
    config |= {"task": "image", "id2label": LABELS, "preprocessing": PREPROCESSING}
    config.pop("label2id", None)
    (tmp_path / "config.json").write_text(json.dumps(config))
    x, y = torch.randn(STEPS, BATCH, 1, SIDE, SIDE), torch.randint(0, CLASSES, (STEPS, BATCH))
    numpy.save(tmp_path / "x.npy", x.numpy())
    numpy.save(tmp_path / "y.npy", y.numpy())
    run = subprocess.run([BUILD / "image_steps", tmp_path, tmp_path / "x.npy", tmp_path / "y.npy", str(lr), "0.9"],
                         capture_output=True, text=True, timeout=120)  # fmt: skip
    assert run.returncode == 0, run.stderr
    losses, logits = run.stdout.split("logits\n")
    found = [float(line) for line in losses.split()]
    network.train()
    sgd = torch.optim.SGD(network.parameters(), lr=lr, momentum=0.9)
    expected = []
    for step in range(STEPS):
        loss = F.cross_entropy(network(x[step]), y[step])
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        expected.append(loss.item())
    numpy.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    network.eval()
    with torch.no_grad():
        want = network(x[0]).flatten().numpy()
    for line in logits.splitlines():
        numpy.testing.assert_allclose([float(v) for v in line.split()], want, rtol=0, atol=1e-4)
