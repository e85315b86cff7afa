"""The engines beside qing that `qing bench` measures. It runs this program once for each engine and precision:

    python bench_engines.py SETUP.json

SETUP.json has engine, precision, threads, texts (a file with a JSON list), model (a folder of transformers), onnx (a folder
that `qing export` wrote, or null), code (whether the folder has code of its own), embeds, pooling, normalize, max_length.
Each line on stdin is a command, and each answer a line of JSON on stdout:

    load           {"version", "memory", "ready", "tokens"}: bytes before loading, seconds to the first answer
    round BATCH    {"seconds"}: of each call with BATCH texts, in the order of the texts
    outputs FILE   {"width"}: writes the outputs of all texts as float32
    memory         {"memory"}: resident bytes

An answer that begins with "!" is an error's text, and the program ends."""

import json
import os
import sys
import time


def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


class ExportedModel:
    """What the engines of ONNX files share: tokenizer.json of the export, padded to the longest text of a batch."""

    def __init__(self, setup):
        import numpy
        import tokenizers

        self.numpy = numpy
        self.tokenizer = tokenizers.Tokenizer.from_file(os.path.join(setup["onnx"], "tokenizer.json"))
        self.tokenizer.enable_padding()
        self.path = os.path.join(setup["onnx"], "model.onnx")
        self.output = "sentence_embedding" if setup["embeds"] else "logits"

    def inputs(self, texts):
        encodings = self.tokenizer.encode_batch(texts)
        return {"input_ids": self.numpy.array([e.ids for e in encodings], dtype=self.numpy.int64),
                "attention_mask": self.numpy.array([e.attention_mask for e in encodings], dtype=self.numpy.int64)}  # fmt: skip

    def tokens(self, texts):
        return int(self.inputs(texts)["attention_mask"].sum())


class OnnxRuntime(ExportedModel):
    def __init__(self, setup):
        import onnxruntime

        super().__init__(setup)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = setup["threads"], 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(self.path, options, providers=["CPUExecutionProvider"])

    @staticmethod
    def version():
        import onnxruntime

        return onnxruntime.__version__

    def __call__(self, texts):
        return self.session.run([self.output], self.inputs(texts))[0]


class OpenVino(ExportedModel):
    def __init__(self, setup):
        import openvino

        super().__init__(setup)
        precision = "bf16" if setup["precision"] == "bf16" else "f32"
        options = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": setup["threads"], "PERFORMANCE_HINT": "LATENCY"}
        model = openvino.Core().read_model(self.path)
        if setup["precision"] == "int8":
            self.compress_weights(model)
        self.model = openvino.Core().compile_model(model, "CPU", options)

    def compress_weights(self, model):
        """Weights in bytes with a scale a column, as NNCF's compress_weights writes them in mode INT8_SYM. OpenVINO rounds
        the other operand of such products to bytes itself, which is several times as fast here as a graph that says so."""
        from openvino import opset13 as ops

        numpy = self.numpy
        for product in model.get_ops():
            if product.get_type_name() != "MatMul" or product.input_value(1).get_node().get_type_name() != "Constant":
                continue
            weights = product.input_value(1).get_node().data
            scales = numpy.maximum(numpy.abs(weights).max(axis=0, keepdims=True), 1e-30) / numpy.float32(127)
            rounded = ops.constant(numpy.rint(weights / scales).astype(numpy.int8))
            product.input(1).replace_source_output(ops.multiply(ops.convert(rounded, "f32"), ops.constant(scales)).output(0))

    @staticmethod
    def version():
        import openvino

        return openvino.__version__.split("-")[0]

    def __call__(self, texts):
        return self.model(self.inputs(texts))[self.output]


class Torch:
    def __init__(self, setup):
        import torch
        import transformers

        transformers.logging.set_verbosity_error()
        torch.set_num_threads(setup["threads"])
        self.torch, self.setup = torch, setup
        code = {"trust_remote_code": setup["code"]}
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(setup["model"], **code)
        kind = transformers.AutoModel if setup["embeds"] else transformers.AutoModelForSequenceClassification
        self.model = kind.from_pretrained(setup["model"], dtype=torch.bfloat16 if setup["precision"] == "bf16" else torch.float32, **code)
        self.model.eval()

    @staticmethod
    def version():
        import torch
        import transformers

        return f"{torch.__version__.split('+')[0]}, transformers {transformers.__version__}"

    def inputs(self, texts):
        return self.tokenizer(texts, padding=True, truncation=True, max_length=self.setup["max_length"], return_tensors="pt")

    def tokens(self, texts):
        return int(self.inputs(texts)["attention_mask"].sum())

    def __call__(self, texts):
        torch, setup = self.torch, self.setup
        inputs = self.inputs(texts)
        with torch.inference_mode():
            output = self.model(**inputs)
            if not setup["embeds"]:
                return output.logits.float().numpy()
            hidden = output.last_hidden_state
            if setup["pooling"] == "cls":
                pooled = hidden[:, 0]
            else:
                mask = inputs["attention_mask"].unsqueeze(-1).to(hidden.dtype)
                pooled = (hidden * mask).sum(1) / mask.sum(1)
            pooled = pooled.float()
            return (torch.nn.functional.normalize(pooled, dim=1) if setup["normalize"] else pooled).numpy()


ENGINES = {"onnxruntime": OnnxRuntime, "openvino": OpenVino, "torch": Torch}


class Program:
    def __init__(self, setup):
        self.setup = setup
        with open(setup["texts"], encoding="utf-8") as file:
            self.texts = json.load(file)

    def batches(self, size):
        return [self.texts[at : at + size] for at in range(0, len(self.texts), size)]

    def load(self):
        kind = ENGINES[self.setup["engine"]]
        version = kind.version()  # imports the packages, which is no part of loading
        memory, start = resident_bytes(), time.perf_counter()
        self.run = kind(self.setup)
        self.run(self.texts[:1])
        ready = time.perf_counter() - start
        return {"version": version, "memory": memory, "ready": ready, "tokens": sum(map(self.run.tokens, self.batches(32)))}

    def round(self, size):
        seconds = []
        for batch in self.batches(int(size)):
            start = time.perf_counter()
            self.run(batch)
            seconds.append(time.perf_counter() - start)
        return {"seconds": seconds}

    def outputs(self, path):
        import numpy

        rows = numpy.concatenate([self.run(batch) for batch in self.batches(32)]).astype(numpy.float32)
        rows.tofile(path)
        return {"width": rows.shape[1]}

    def memory(self):
        return {"memory": resident_bytes()}


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        setup = json.load(file)
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if setup["threads"] > 1 else "false"
    os.environ["RAYON_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(setup["threads"])
    # What packages print must not come between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    program = Program(setup)
    for line in sys.stdin:
        command, *arguments = line.rstrip("\n").split(" ", 1)
        try:
            answer = json.dumps(getattr(program, command)(*arguments))
        except Exception as error:
            answer = f"!{type(error).__name__}: {error}".replace("\n", " ")
        print(answer, file=answers, flush=True)
        if answer.startswith("!"):
            return


main()
