// NumPy's .npy files (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html), versions 1.0, 2.0
// and 3.0. Reading treats the file as hostile and checks the header against the file's size before it reads data. bf16
// has no name in the format and is refused.
#pragma once

#include <filesystem>

#include <qing/tensor/tensor.h>

namespace qing {

/// The array of a regular file as a contiguous tensor. Fortran order is rearranged, big-endian numbers are swapped and
/// any byte but 0 is true. The dtype can be spelled in every way that NumPy has for the dtypes of qing: "<f4", "f4",
/// "|f4", ">f4", "f", "float32". Stricter than NumPy: the header's keys stand once, its sizes are decimal numbers, its
/// strings have no escapes, it has no comments, and nothing follows the array. DataError naming the path and what is
/// wrong: no .npy file, a malformed or too long header, a dtype that qing does not support, a size that does not fit
/// the shape; IoError if unreadable.
Tensor load_npy(const std::filesystem::path& path);

/// Writes the tensor in C order, atomically: IoError leaves an existing file as it was. DTypeError for bf16.
void save_npy(const std::filesystem::path& path, const Tensor& tensor);

}  // namespace qing
