#include <qing/nn/exports/export_model.h>

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include <qing/nn/exports/file_formats.h>
#include <qing/nn/staged_directory.h>
#include <qing/tensor/errors.h>

namespace qing::nn {

const std::vector<std::string>& export_format_names() {
  static const std::vector<std::string> names{"hf", "onnx", "onnx-int8", "gguf", "safetensors"};
  return names;
}

std::optional<ExportFormat> export_format_of(std::string_view name) {
  const auto& names = export_format_names();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  return static_cast<ExportFormat>(found - names.begin());
}

void export_model(const std::filesystem::path& model, ExportFormat format, const std::filesystem::path& out) {
  std::error_code none;  // for a folder that does not exist yet
  if (std::filesystem::equivalent(model, out, none)) {
    throw ValueError(out.string() +
                     ": is the model's own folder, whose files the export would replace; choose another");
  }
  const ExportSource source = load_export_source(model);
  if (!source.tokenizer.plain_bert()) {
    throw DataError(
        fmt::format("{}: export supports BERT's tokenizer with its usual special tokens only", model.string()));
  }
  if (source.sentence && format != ExportFormat::onnx && format != ExportFormat::onnx_int8) {
    throw ValueError(fmt::format(
        "{}: holds sentence embeddings, which are exported as onnx and onnx-int8 only; sentence-transformers "
        "reads the folder itself",
        model.string()));
  }
  StagedDirectory staged(out);
  switch (format) {
    case ExportFormat::hf: write_hf(source, staged.path()); break;
    case ExportFormat::onnx: write_onnx(source, false, staged.path()); break;
    case ExportFormat::onnx_int8: write_onnx(source, true, staged.path()); break;
    case ExportFormat::gguf: write_gguf(source, staged.path()); break;
    case ExportFormat::safetensors: write_safetensors(source, staged.path()); break;
  }
  staged.commit();
}

}  // namespace qing::nn
