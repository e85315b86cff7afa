// Opens pretrained weights of any format that qing reads.
#pragma once

#include <filesystem>

#include <qing/nn/formats/weights_file.h>

namespace qing::nn {

/// Opens a file or a folder of Hugging Face's layout. The format of a file is told by how it begins. Of a folder the
/// first of these is read: model.safetensors, model.safetensors.index.json, pytorch_model.bin,
/// pytorch_model.bin.index.json. An index may be given as a file, too. DataError names the file, the place and the
/// reason: what is malformed, cut, contradicts itself or has no reader. IoError when there is nothing to read.
WeightsFile open_weights(const std::filesystem::path& path);

}  // namespace qing::nn
