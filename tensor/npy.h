// NumPy's .npy files (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html), versions 1 to 3. Reading
// treats the file as hostile. bf16 has no name in the format and is refused.
#pragma once

#include <filesystem>

#include <qing/tensor/tensor.h>

namespace qing {

/// The array as a contiguous tensor; Fortran order is rearranged. DataError naming the path and what is wrong: no .npy
/// file, a malformed or too long header, a dtype that qing has not or a big-endian one, a size that does not fit the
/// shape; IoError if unreadable.
Tensor load_npy(const std::filesystem::path& path);

/// Writes the tensor in C order, atomically: IoError leaves an existing file as it was. DTypeError for bf16.
void save_npy(const std::filesystem::path& path, const Tensor& tensor);

}  // namespace qing
