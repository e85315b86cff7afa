// Writes a trained classifier or a model of sentence embeddings in the formats of other programs.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qing::nn {

enum class ExportFormat {
  hf,           ///< a directory for `transformers`
  onnx,         ///< ONNX, f32
  onnx_int8,    ///< ONNX, weights of linear layers and embeddings in 8 bits
  gguf,         ///< tensors and metadata in llama.cpp's file format
  safetensors,  ///< one file of all tensors, with the configuration in its metadata
};

/// "hf", "onnx", "onnx-int8", "gguf", "safetensors", in the order of the enumeration.
const std::vector<std::string>& export_format_names();
std::optional<ExportFormat> export_format_of(std::string_view name);  ///< Nothing for any other name.

/// Reads the model directory `model` and writes the files of `format` into the directory `out`, which is created if
/// absent. docs/export.md lists the files. Files with other names in `out` stay. On failure `out` is unchanged.
/// IoError. DataError for an invalid model. ValueError if the format cannot hold the model, or `out` is `model`.
void export_model(const std::filesystem::path& model, ExportFormat format, const std::filesystem::path& out);

}  // namespace qing::nn
