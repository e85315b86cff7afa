// Files of torch.save: zip archives (PyTorch 1.6 and later) and the stream of pickles before. Nothing in them is
// executed (unpickler.h).
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include <qing/nn/formats/weights_file.h>

namespace qing::nn {

/// Reads the tensors of a dictionary, such as a state dictionary. Those of dictionaries, lists and tuples inside it get
/// dotted names, "model.layer.weight"; values that are no tensors are left out. Views keep their strides. DataError
/// with the byte or the name for what is malformed, not on the lists of opcodes and globals, reaches out of its
/// storage, has more elements than its storage, or has a dtype that qing lacks.
std::vector<TensorSource> read_torch_file(const std::shared_ptr<const MappedFile>& file);

/// Whether a file that begins so is one.
bool is_torch_file(std::string_view bytes);

}  // namespace qing::nn
