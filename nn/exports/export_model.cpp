#include <qing/nn/exports/export_model.h>

#include <algorithm>

#include <qing/nn/exports/file_formats.h>
#include <qing/nn/staged_directory.h>

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
  const ExportSource source = load_export_source(model);
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
