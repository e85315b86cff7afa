// One writer for each exported format. Each writes into a folder that exists; export_model() calls them.
#pragma once

#include <filesystem>

#include <qing/nn/exports/export_source.h>

namespace qing::nn {

/// config.json, model.safetensors and the tokenizer's files. `transformers` knows a plain BERT. A model with n-grams or
/// a temperature gets modeling_qing.py, and `transformers` refuses it without trust_remote_code.
void write_hf(const ExportSource& source, const std::filesystem::path& folder);
/// model.onnx and tokenizer.json.
void write_onnx(const ExportSource& source, bool int8, const std::filesystem::path& folder);
/// model.gguf, which holds the vocabulary too, and tokenizer.json.
void write_gguf(const ExportSource& source, const std::filesystem::path& folder);
/// model.safetensors and tokenizer.json.
void write_safetensors(const ExportSource& source, const std::filesystem::path& folder);

}  // namespace qing::nn
