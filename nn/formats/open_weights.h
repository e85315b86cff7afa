// Opens pretrained weights of any format that qing reads.
#pragma once

#include <filesystem>

#include <qing/nn/formats/weights_file.h>

namespace qing::nn {

/// Opens a file, an index, or a folder in Hugging Face's layout. The first bytes of a file tell its format. In a folder
/// the first of these files that exists is read: model.safetensors, model.safetensors.index.json, pytorch_model.bin,
/// pytorch_model.bin.index.json. DataError names the file, the position and the reason when a file is malformed or cut,
/// contradicts itself, or has a format that qing does not read. IoError when there is nothing to read.
WeightsFile open_weights(const std::filesystem::path& path);

}  // namespace qing::nn
