"""Files of torch.save: every tensor that qing reads from one equals torch.load's to the bit; what has no dtype of qing's,
calls a function or is no state dictionary is refused with the reason."""

import collections
import json
import os
import pickle
import zipfile

import pytest
from conftest import assert_same_tensors as assert_same

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors.torch")

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int8, torch.uint8,
          torch.bool]  # fmt: skip
UNSUPPORTED = [torch.int16, torch.uint16, torch.uint32, torch.uint64, torch.complex64, torch.complex128,
               torch.float8_e4m3fn, torch.float8_e5m2]  # fmt: skip


def random_tensor(dtype, shape, generator):
    bits = torch.randint(0, 256, (*shape, torch.empty(0, dtype=dtype).element_size()), generator=generator, dtype=torch.uint8)
    if dtype == torch.bool:
        return bits.reshape(shape) > 127
    return bits.view(dtype).reshape(shape)


def many_tensors():
    generator = torch.Generator().manual_seed(7)
    tensors = {}
    for dtype in DTYPES:
        for shape in [(), (1,), (0,), (5,), (3, 4), (2, 0, 3), (2, 3, 4, 5)]:
            tensors[f"{dtype}.{shape}"] = random_tensor(dtype, shape, generator)
    base = torch.randn(12, 10, generator=generator)
    tensors |= {
        "base": base,
        "transposed": base.t(),
        "sliced": base[2:9:2, 1:8:3],
        "row": base[3],
        "tied": base,
        "offset": base.reshape(-1)[17:],
        "permuted": torch.randn(2, 3, 4, generator=generator).permute(2, 0, 1),
        "strided": torch.arange(40).as_strided((3, 4), (7, 2), 5),
        "windows": torch.arange(40.0).as_strided((5, 4), (2, 1)),
        "parameter": torch.nn.Parameter(torch.randn(3, 3, generator=generator)),
    }
    return tensors


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream"])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_tensor_to_the_bit(weights, tmp_path, zipped, protocol):
    path = tmp_path / "weights.bin"
    tensors = many_tensors()
    torch.save(collections.OrderedDict(tensors), path, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
    assert_same(weights.read(path), torch.load(path, weights_only=False))


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream"])
def test_a_state_dict_of_a_module(weights, tmp_path, zipped):
    torch.manual_seed(3)
    module = torch.nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    torch.save(module.state_dict(), tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    assert_same(weights.read(tmp_path), dict(module.state_dict()))  # the folder, as Hugging Face lays it out


def test_dictionaries_inside_give_dotted_names(weights, tmp_path):
    tensor = torch.arange(3.0)
    path = tmp_path / "checkpoint.pt"
    torch.save({"epoch": 3, "rate": 0.5, "note": "a text", "big": 1 << 80, "model": {"a": tensor, "b.c": tensor + 1},
                "state": {0: tensor + 2, 1: [tensor + 3, (tensor + 4, None)]}, "size": tensor.shape}, path)  # fmt: skip
    expected = {"model.a": 0, "model.b.c": 1, "state.0": 2, "state.1.0": 3, "state.1.1.0": 4}
    assert_same(weights.read(path), {name: tensor + more for name, more in expected.items()})


def test_shards(weights, tmp_path):
    tensors = {f"t{i}": torch.full((4, i + 1), float(i)) for i in range(5)}
    shards = {"pytorch_model-00001-of-00002.bin": ["t0", "t3"], "pytorch_model-00002-of-00002.bin": ["t1", "t2", "t4"]}
    for shard, names in shards.items():
        torch.save({name: tensors[name] for name in names}, tmp_path / shard)
    index = {"metadata": {}, "weight_map": {name: shard for shard, names in shards.items() for name in names}}
    path = tmp_path / "pytorch_model.bin.index.json"
    path.write_text(json.dumps(index))
    assert_same(weights.read(tmp_path), tensors)
    assert_same(weights.read(path), tensors)
    index["weight_map"]["t5"] = "pytorch_model-00001-of-00002.bin"
    path.write_text(json.dumps(index))
    assert "puts tensor 't5' into pytorch_model-00001-of-00002.bin, which does not hold it" in weights.refusal(path)
    index["weight_map"]["t5"] = "../pytorch_model.bin"
    path.write_text(json.dumps(index))
    assert "not a .bin file of this folder" in weights.refusal(path)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream"])
@pytest.mark.parametrize("dtype", UNSUPPORTED, ids=str)
def test_a_dtype_that_qing_lacks_is_named(weights, tmp_path, dtype, zipped):
    path = tmp_path / "w.bin"
    torch.save({"a": torch.zeros(2, 3).to(dtype)}, path, _use_new_zipfile_serialization=zipped)
    said = weights.refusal(path)
    assert "unsupported" in said or "storage" in said
    if zipped:
        assert "tensor 'a' has the elements torch." in said


class Call:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream"])
@pytest.mark.parametrize("function, name", [(os.system, "posix.system"), (eval, "__builtin__.eval"), (getattr, "__builtin__.getattr"),
                                            (torch.load, "torch.serialization.load"), (os.makedirs, "os.makedirs")])  # fmt: skip
def test_a_call_is_refused_and_nothing_is_executed(weights, tmp_path, function, name, zipped):
    marker = tmp_path / "executed"
    argument = {"posix.system": f"touch {marker}", "__builtin__.eval": f"open({str(marker)!r}, 'w')"}.get(name, str(marker))
    path = tmp_path / "w.bin"
    torch.save({"a": torch.zeros(2), "b": Call(function, argument)}, path, _use_new_zipfile_serialization=zipped)
    assert f"the global '{name}' is not one that a file of weights needs" in weights.refusal(path)
    assert not marker.exists()


@pytest.mark.parametrize("value", [torch.zeros(3), [torch.zeros(3)], 5, "text", None])
def test_what_is_no_dictionary_is_said(weights, tmp_path, value):
    path = tmp_path / "w.bin"
    torch.save(value, path)
    assert "not a dictionary of tensors" in weights.refusal(path)


@pytest.mark.parametrize("value", [torch.nn.Linear(2, 2), torch.zeros(3).to_sparse(), torch.device("cpu"), {1, 2}, bytearray(3),
                                   torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)],
                         ids=["module", "sparse", "device", "set", "bytearray", "quantised"])  # fmt: skip
def test_other_objects_are_refused(weights, tmp_path, value):
    path = tmp_path / "w.bin"
    torch.save({"a": torch.zeros(2), "other": value}, path)
    weights.refusal(path)


def test_conjugates_and_negatives_are_refused(weights, tmp_path):
    path = tmp_path / "w.bin"
    torch.save({"a": torch.zeros(2, dtype=torch.complex64).conj()}, path)
    weights.refusal(path)


def test_a_compressed_archive_is_refused(weights, tmp_path):
    plain, packed = tmp_path / "plain.bin", tmp_path / "packed.bin"
    torch.save({"a": torch.zeros(100)}, plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    assert "is compressed (method 8)" in weights.refusal(packed)


def test_every_cut_is_refused(weights, tmp_path):
    for zipped in (True, False):
        path = tmp_path / f"{zipped}.bin"
        torch.save({"a": torch.arange(8.0), "b": torch.arange(4)}, path, _use_new_zipfile_serialization=zipped)
        content = path.read_bytes()
        for length in [*range(0, len(content), 37), len(content) - 1]:
            path.write_bytes(content[:length])
            weights.refusal(path)


def test_a_plain_pickle_is_of_no_format(weights, tmp_path):
    path = tmp_path / "w.pkl"
    path.write_bytes(pickle.dumps({"a": 1}))
    assert "of no format that qing reads" in weights.refusal(path)
