// Files of torch.save: zip archives (PyTorch 1.6 and later) and the stream of pickles before. Nothing in them is
// executed (unpickler.h).
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include <qing/nn/formats/weights_file.h>

namespace qing::nn {

/// Reads the tensors of a dictionary, such as a state dictionary. Tensors in dictionaries, lists and tuples inside it
/// get dotted names, "model.layer.weight". Other values are left out. Views keep their strides. DataError names the
/// byte or the tensor when the file is malformed, has an opcode or a global that is not on the lists, or has a tensor
/// that exceeds its storage or whose dtype qing lacks.
std::vector<TensorSource> read_torch_file(const std::shared_ptr<const MappedFile>& file);

/// Whether a file with these first bytes is a file of torch.save.
bool is_torch_file(std::string_view bytes);

}  // namespace qing::nn
