// The importers of the single formats (imported_encoder.h).
#pragma once

#include <memory>

#include <qing/nn/formats/imported_encoder.h>
#include <qing/nn/formats/mapped_file.h>

namespace qing::nn {

ImportedEncoder import_gguf(const std::shared_ptr<const MappedFile>& file);
ImportedEncoder import_e5s1(const std::shared_ptr<const MappedFile>& file);
/// Follows the graph from its input ids on (onnx_encoder.cpp).
ImportedEncoder import_onnx(const std::shared_ptr<const MappedFile>& file);

}  // namespace qing::nn
