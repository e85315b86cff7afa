// NumPy's .npy files (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html), versions 1.0, 2.0 and
// 3.0. The reader trusts no file: it checks the header against the file's size before it reads data. The format has no
// name for bf16, so bf16 is refused.
#pragma once

#include <filesystem>

#include <qing/tensor/tensor.h>

namespace qing {

/// The array of a regular file as a contiguous tensor. Fortran order is rearranged, big-endian numbers are swapped, and
/// in bools every byte but 0 is true. All of NumPy's spellings of qing's dtypes are accepted: "<f4", "f4", "|f4",
/// ">f4", "f", "float32". Stricter than NumPy: each key of the header occurs once, sizes are decimal, strings have no
/// escapes, there are no comments, and nothing follows the array. DataError names the path and the fault: no .npy file,
/// a malformed or too long header, an unsupported dtype, a size that does not fit the shape. IoError if unreadable.
Tensor load_npy(const std::filesystem::path& path);

/// Writes the tensor in C order, atomically: after an IoError an existing file is unchanged. DTypeError for bf16.
void save_npy(const std::filesystem::path& path, const Tensor& tensor);

}  // namespace qing
