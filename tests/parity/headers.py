"""The header of a row of the page: the one that declares the first function or class that qing's code calls."""

import functools
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Where several headers declare a name, the first counts.
PLACES = ["autograd/ops/*.h", "autograd/autograd.h", "autograd/autocast.h", "autograd/functional/*.h", "tensor/ops/compare.h", "tensor/ops/nonzero.h", "tensor/ops/search.h", "nn/accuracy.h", "nn/layers/*.h",
          "tensor/creation.h", "nn/init.h", "nn/data/*.h", "nn/formats/safetensors.h", "nn/models/*.h", "nn/module.h", "optim/*.h", "optim/classifier/*.h",
          "optim/training/*.h", "tensor/random.h", "tensor/npy.h", "tensor/dlpack.h", "tensor/threads.h"]  # fmt: skip
PRIVATE = re.compile(r"_detail\.h$|/(check|attention_graph)\.h$")
FUNCTION = re.compile(r"^(?:inline )?(?:const )?[\w:<>, ]+[ &*]+(\w+)\(", re.MULTILINE)
CLASS = re.compile(r"^(?:template <.*>\s*)?(?:class|struct|using) (\w+)\b(?!;)", re.MULTILINE)
CALL = re.compile(r"(?<![.\w>:])(?:(?:qing|nn|optim|nn::init|dlpack|linalg|fft)::)?(\w+)(?:<[\w:]+>)?(?:[({]| \w+[({;])")
RECEIVERS = {"model": "nn/module.h", "optimizer": "optim/optimizer.h"}


@functools.cache
def declared():
    """{name: header} of the functions and classes."""
    names = {}
    for place in PLACES:
        for path in sorted(ROOT.glob(place)):
            if PRIVATE.search(str(path)):
                continue
            text = re.sub(r"//[^\n]*", "", path.read_text(encoding="utf-8"))
            for name in FUNCTION.findall(text) + CLASS.findall(text):
                names.setdefault(name, str(path.relative_to(ROOT)))
    return names


def of(code):
    names = declared()
    plain = re.sub(r"//[^\n]*|\"[^\"]*\"", "", code) + ";"
    if re.search(r": (?:public )?nn::Module\b", plain):
        return "nn/module.h"
    for name in CALL.findall(plain):
        if name in names and name not in RECEIVERS:
            return names[name]
    receiver = re.match(r"(\w+)[.(]", plain)
    if receiver and receiver[1] in RECEIVERS:
        return RECEIVERS[receiver[1]]
    if re.match(r"[a-z]\.|Tensor::", plain):
        return "tensor/tensor.h"
    return "autograd/ops/arithmetic.h" if re.search(r"^-|[\w)\]}] [-+*/@] [\w(]", plain) else "tensor/tensor.h"
