"""A usual server of the encoder with ONNX Runtime and FastAPI: POST /predict with {"texts": [...]}.

MODEL_DIR and ONNX_FILE come from the environment. Run by uvicorn: uvicorn --app-dir benchmarks/serving onnx_peer:app
"""

import os
from pathlib import Path

import numpy
import onnxruntime
import tokenizers
from fastapi import FastAPI
from pydantic import BaseModel

LABELS = ["negative", "neutral", "positive"]

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(os.environ["THREADS"])
session = onnxruntime.InferenceSession(os.environ["ONNX_FILE"], options)
tokenizer = tokenizers.Tokenizer.from_file(str(Path(os.environ["MODEL_DIR"]) / "tokenizer.json"))
tokenizer.enable_padding()
tokenizer.enable_truncation(128)
app = FastAPI()


class Request(BaseModel):
    texts: list[str]


@app.get("/health/ready")
async def ready():
    return {"status": "ready"}


@app.post("/predict")
async def predict(request: Request):
    encodings = tokenizer.encode_batch(request.texts)
    ids = numpy.array([encoding.ids for encoding in encodings], dtype=numpy.int64)
    mask = numpy.array([encoding.attention_mask for encoding in encodings], dtype=numpy.int64)
    logits = session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
    scores = numpy.exp(logits - logits.max(axis=1, keepdims=True))
    scores /= scores.sum(axis=1, keepdims=True)
    return {
        "predictions": [
            {"label": LABELS[row.argmax()], "scores": dict(zip(LABELS, map(float, row)))} for row in scores
        ]
    }
