"""The compared runs and how to start them."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

TRAINER = Path(__file__).resolve().parent / "torch_trainer.py"


@dataclass
class Run:
    name: str
    mode: str  # mode of training_qing or torch_trainer.py
    batches: str  # file name: shuffled or sorted
    torch: bool = True
    lr: float = 5e-4

    def start(self, options, folder, batches, warm, steps, dropout):
        """Runs the trainer and returns the JSON object that it prints."""
        program = [options.python, TRAINER] if self.torch else [options.build / "benchmarks/training_qing"]
        command = [*program, folder / "model", folder / batches, warm, steps, self.lr, dropout, self.mode]
        if self.torch:
            command.append(options.threads)
        threads = str(options.threads)
        environment = {**os.environ, "QING_THREADS": threads, "OMP_NUM_THREADS": threads, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{self.name}: {done.stderr.strip()[-2000:]}")
        return json.loads(done.stdout.splitlines()[-1])

    @staticmethod
    def versions(python):
        script = "import torch, transformers; print(f'PyTorch {torch.__version__}, transformers {transformers.__version__}')"
        return subprocess.run([python, "-c", script], capture_output=True, text=True, check=True).stdout.strip()


def runs_of(with_torch, with_compile):
    runs = [Run("qing f32", "f32", "shuffled", torch=False), Run("qing bf16", "bf16", "shuffled", torch=False)]
    if with_torch:
        runs += [Run("PyTorch sorted", "eager", "sorted"), Run("PyTorch padded", "plain", "shuffled"),
                 Run("PyTorch sorted, bf16", "bf16", "sorted")]  # fmt: skip
        if with_compile:
            runs.append(Run("PyTorch sorted, compiled", "compile", "sorted"))
    return runs


def peers_missing(python):
    """Returns why PyTorch cannot be measured, or ''."""
    script = "import torch, transformers, safetensors"
    try:
        done = subprocess.run([python, "-c", script], capture_output=True, text=True)
    except OSError as error:
        return str(error)
    return "" if done.returncode == 0 else f"{python}: {done.stderr.strip().splitlines()[-1]}"
