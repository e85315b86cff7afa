"""ONNX files: every initializer equals what the package onnx reads, to the bit; a BERT that PyTorch exported comes back
under transformers' names with the weights it had."""

import io
import json
import warnings

import pytest
from bert_files import inputs, largest_difference, load_imported, named_tensors, small_bert
from conftest import assert_same_tensors, same_bits

onnx = pytest.importorskip("onnx")
np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402


def save(path, initializers, nodes=(), graph_inputs=()):
    inputs_of_graph = [helper.make_tensor_value_info(name, TensorProto.INT64, [None, None]) for name in graph_inputs]
    graph = helper.make_graph(list(nodes), "a graph", inputs_of_graph, [], list(initializers))
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString())
    return path


TYPES = {"FLOAT": np.float32, "DOUBLE": np.float64, "FLOAT16": np.float16, "INT64": np.int64, "INT32": np.int32, "INT8": np.int8,
         "UINT8": np.uint8, "BOOL": np.bool_}  # fmt: skip


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("name", TYPES)
def test_initializers_as_the_package_reads_them(weights, tmp_path, name, raw):
    rng = np.random.default_rng(4)
    tensors = []
    for i, shape in enumerate([(), (1,), (5,), (3, 4), (2, 3, 4), (0, 3)]):
        values = (rng.standard_normal(shape) * 40).astype(TYPES[name])
        given = values.tobytes() if raw else values.reshape(-1).tolist()
        tensors.append(helper.make_tensor(f"t{i}", getattr(TensorProto, name), shape, given, raw=raw))
    found = weights.read(save(tmp_path / "w.onnx", tensors))
    assert_same_tensors(found, {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in tensors})


@pytest.mark.parametrize("raw", [True, False])
def test_bfloat16(weights, tmp_path, raw):
    values = torch.randn(3, 5).to(torch.bfloat16)
    bits = values.view(torch.int16).numpy().astype(np.uint16)
    tensor = TensorProto(name="a", data_type=TensorProto.BFLOAT16, dims=[3, 5])
    if raw:
        tensor.raw_data = bits.tobytes()
    else:
        tensor.int32_data.extend(bits.reshape(-1).tolist())
    assert_same_tensors(weights.read(save(tmp_path / "w.onnx", [tensor])), {"a": values})


@pytest.mark.parametrize("name", ["UINT16", "INT16", "UINT32", "UINT64", "COMPLEX64", "FLOAT8E4M3FN", "FLOAT8E5M2", "UINT4", "INT4"])
def test_other_types_are_refused_by_their_names(weights, tmp_path, name):
    tensor = TensorProto(name="a", data_type=getattr(TensorProto, name), dims=[2], raw_data=bytes(16))
    assert f"tensor 'a' has the type {name}" in weights.refusal(save(tmp_path / "w.onnx", [tensor]))


@pytest.mark.parametrize("one_file", [True, False])
def test_external_data(weights, tmp_path, one_file):
    rng = np.random.default_rng(2)
    arrays = {f"t{i}": rng.standard_normal((40, i + 1)).astype(np.float32) for i in range(4)}
    graph = helper.make_graph([], "g", [], [], [numpy_helper.from_array(a, name) for name, a in arrays.items()])
    model = helper.make_model(graph, ir_version=8)
    path = tmp_path / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, all_tensors_to_one_file=one_file, location="model.data" if one_file else None,
              size_threshold=0)  # fmt: skip
    assert path.stat().st_size < 2000
    assert_same_tensors(weights.read(path), {name: torch.from_numpy(a) for name, a in arrays.items()})


def exported(model, path, opset, names=("input_ids", "attention_mask", "token_type_ids"), outputs=("last_hidden_state",)):
    class Wrapped(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, *arguments):
            return self.model(**dict(zip(names, arguments, strict=True)), return_dict=False)[: len(outputs)]

    batch = inputs(model.config.vocab_size)
    axes = {name: {0: "batch", 1: "length"} for name in names}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(Wrapped().eval(), tuple(batch[name] for name in names), path, input_names=list(names),
                          output_names=list(outputs), dynamic_axes=axes, opset_version=opset, dynamo=False)  # fmt: skip
    return path


def check_import(weights, model, path, kind="BertModel", pooler=False, **options):
    folder = weights.encoder(path)
    loaded = load_imported(folder, kind, **({} if pooler or kind != "BertModel" else {"add_pooling_layer": False}), **options)
    expected = named_tensors(model)
    for name, tensor in loaded.named_parameters():
        assert same_bits(tensor, expected[name]), name
    config = json.loads((folder / "config.json").read_text())
    for field in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "layer_norm_eps",
                  "max_position_embeddings", "hidden_act"):  # fmt: skip
        assert config[field] == getattr(model.config, field), field
    batch = inputs(model.config.vocab_size)
    with torch.no_grad():
        ours, theirs = loaded(**batch)[0], model(**batch)[0]
    if kind == "BertModel":
        assert largest_difference(ours, theirs, batch["attention_mask"]) < 1e-5
    else:
        assert float((ours - theirs).abs().max()) < 1e-5
    return config


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("opset", [14, 17, 18])
def test_an_encoder(weights, tmp_path, opset, attention):
    model = small_bert(attn_implementation=attention)
    check_import(weights, model, exported(model, tmp_path / "bert.onnx", opset))


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu", "silu"])
def test_activations(weights, tmp_path, activation):
    model = small_bert(hidden_act=activation, attn_implementation="eager")
    assert check_import(weights, model, exported(model, tmp_path / "bert.onnx", 17))["hidden_act"] == activation


@pytest.mark.parametrize("heads, width, layers", [(1, 32, 1), (2, 64, 3), (8, 64, 1), (12, 96, 2)])
def test_sizes(weights, tmp_path, heads, width, layers):
    model = small_bert(num_attention_heads=heads, hidden_size=width, num_hidden_layers=layers, layer_norm_eps=1e-5,
                       attn_implementation="eager")  # fmt: skip
    check_import(weights, model, exported(model, tmp_path / "bert.onnx", 14))


def test_a_pooler(weights, tmp_path):
    model = small_bert(attn_implementation="eager")
    path = exported(model, tmp_path / "bert.onnx", 17, outputs=("last_hidden_state", "pooler_output"))
    check_import(weights, model, path, pooler=True)


def test_a_classifier(weights, tmp_path):
    model = small_bert(kind="BertForSequenceClassification", num_labels=3, attn_implementation="eager")
    path = exported(model, tmp_path / "bert.onnx", 17, outputs=("logits",))
    config = check_import(weights, model, path, kind="BertForSequenceClassification")
    assert len(config["id2label"]) == 3


def test_float16_weights(weights, tmp_path):
    model = small_bert(attn_implementation="eager")
    path = exported(model, tmp_path / "bert.onnx", 17)
    stored = onnx.load(path)
    for tensor in stored.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 0:
            half = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name)
            tensor.CopyFrom(half)
    path.write_bytes(stored.SerializeToString())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.half())
    check_import(weights, model, path)


def refused(weights, path):
    return weights.refusal(path, "import_encoder")


def transposed_as_matrices(graph, sizes=(-2, -1)):
    """The keys of each head transposed as torch 2.15 writes it with dynamo=True: batch and head are joined to one
    dimension, the matrices are transposed, and batch and head are parted again."""

    def constant(name, numbers):
        graph.initializer.append(numpy_helper.from_array(np.array(numbers), name))
        return name

    nodes = []
    for node in graph.node:
        perm = [list(a.ints) for a in node.attribute if a.name == "perm"]
        if node.op_type != "Transpose" or perm != [[0, 2, 3, 1]]:
            nodes.append(node)
            continue
        k = node.output[0]
        sizes_of = {at: f"{k}_size{at}" for at in (-2, -1)}
        ends = {-2: -1, -1: np.iinfo(np.int64).max}
        nodes += [helper.make_node("Transpose", [node.input[0]], [f"{k}_heads"], perm=[0, 2, 1, 3]),
                  helper.make_node("Shape", [f"{k}_heads"], [f"{k}_shape"])]  # fmt: skip
        for at, size in sizes_of.items():
            between = [constant(f"{size}_from", [at]), constant(f"{size}_to", [ends[at]])]
            nodes.append(helper.make_node("Slice", [f"{k}_shape", *between], [size]))
        between = [constant(f"{k}_first", [np.iinfo(np.int64).min]), constant(f"{k}_third", [-2])]
        joined = [constant(f"{k}_any", [-1]), *(sizes_of[at] for at in sizes)]
        parted = [f"{k}_before", sizes_of[-1], sizes_of[-2]]
        nodes += [helper.make_node("Slice", [f"{k}_shape", *between], [f"{k}_before"]),
                  helper.make_node("Concat", joined, [f"{k}_joined"], axis=0),
                  helper.make_node("Reshape", [f"{k}_heads", f"{k}_joined"], [f"{k}_matrices"]),
                  helper.make_node("Transpose", [f"{k}_matrices"], [f"{k}_transposed"], perm=[0, 2, 1]),
                  helper.make_node("Concat", parted, [f"{k}_parted"], axis=0),
                  helper.make_node("Reshape", [f"{k}_transposed", f"{k}_parted"], [k])]  # fmt: skip
    del graph.node[:]
    graph.node.extend(nodes)


def test_keys_that_are_transposed_as_matrices(weights, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    model = small_bert(num_hidden_layers=2, attn_implementation="sdpa")
    good = exported(model, tmp_path / "good.onnx", 17)
    path = changed(good, tmp_path / "matrices.onnx", transposed_as_matrices)
    assert [n.op_type for n in onnx.load(path).graph.node].count("Slice") >= 6
    batch = {name: value.numpy() for name, value in inputs(model.config.vocab_size).items()}
    results = [onnxruntime.InferenceSession(file).run(None, batch)[0] for file in (good, path)]
    assert np.array_equal(*results), "the test's own graph computes something else"
    check_import(weights, model, path)
    # The first reshape has the two sizes in the wrong order, so it mixes the elements of the keys.
    wrong = changed(good, tmp_path / "mixed.onnx", lambda graph: transposed_as_matrices(graph, (-1, -2)))
    assert "Reshape" in refused(weights, wrong)


def test_other_models_are_refused(weights, tmp_path):
    import transformers

    sizes = {"vocab_size": 61, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48,
             "max_position_embeddings": 40}  # fmt: skip
    torch.manual_seed(0)
    roberta = transformers.RobertaModel(transformers.RobertaConfig(**sizes, attn_implementation="eager")).eval()
    said = refused(weights, exported(roberta, tmp_path / "roberta.onnx", 14, ("input_ids", "attention_mask")))
    assert "positions or types are computed by it" in said
    mpnet = transformers.MPNetModel(transformers.MPNetConfig(**sizes, attn_implementation="eager")).eval()
    refused(weights, exported(mpnet, tmp_path / "mpnet.onnx", 14, ("input_ids", "attention_mask")))
    gpt = transformers.GPT2Model(transformers.GPT2Config(vocab_size=61, n_embd=32, n_layer=1, n_head=2, n_positions=40,
                                                         attn_implementation="eager")).eval()  # fmt: skip
    gpt.config.use_cache = False
    refused(weights, exported(gpt, tmp_path / "gpt.onnx", 14, ("input_ids", "attention_mask")))
    linear = io.BytesIO()
    torch.onnx.export(torch.nn.Linear(3, 3), torch.zeros(1, 3), linear, dynamo=False)
    path = tmp_path / "linear.onnx"
    path.write_bytes(linear.getvalue())
    assert "no embeddings are looked up" in refused(weights, path)


def changed(source, target, change):
    model = onnx.load(source)
    change(model.graph)
    target.write_bytes(model.SerializeToString())
    return target


def test_a_graph_that_computes_something_else_is_refused(weights, tmp_path):
    model = small_bert(num_hidden_layers=1, attn_implementation="eager")
    good = exported(model, tmp_path / "good.onnx", 17)

    def said(change):
        return refused(weights, changed(good, tmp_path / "bad.onnx", change))

    def node(graph, operation, nth=0):
        return [n for n in graph.node if n.op_type == operation][nth]

    def scale_scores(graph):
        softmax = node(graph, "Softmax")
        graph.initializer.append(numpy_helper.from_array(np.float32(3), "three"))
        graph.node.insert(list(graph.node).index(softmax), helper.make_node("Mul", [softmax.input[0], "three"], ["tripled"]))
        node(graph, "Softmax").input[0] = "tripled"

    assert "the scores are scaled by 0.75" in said(scale_scores)

    def rename(graph, operation, new):
        node(graph, operation).op_type = new

    assert "'Sigmoid'" in said(lambda graph: rename(graph, "Softmax", "Sigmoid"))
    assert "none of GELU" in said(lambda graph: rename(graph, "Erf", "Tanh"))
    assert "'Sin'" in said(lambda graph: rename(graph, "Erf", "Sin"))

    def no_residual(graph):
        norm = node(graph, "LayerNormalization", 1)
        add = next(n for n in graph.node if norm.input[0] in n.output)
        weight = next(n for n in graph.node if n.op_type == "Add" and n.output[0] in add.input)
        add.input[0], add.input[1] = weight.output[0], weight.output[0]

    assert "is not added to what the part began with" in said(no_residual)

    def other_heads(graph):  # of 8 elements, with the scale of 16
        for n in graph.node:
            if n.op_type == "Constant" and numpy_helper.to_array(n.attribute[0].t).tolist() == [16]:
                n.attribute[0].t.CopyFrom(numpy_helper.from_array(np.array([8]), n.attribute[0].t.name))

    assert "the scores are scaled by 0.25, not by" in said(other_heads)
