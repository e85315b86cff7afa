// Arrays of bytes and numbers beside their labels. Private to this folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include <qing/tensor/tensor.h>

namespace qing::nn {

/// An IDX file of unsigned bytes, plain or compressed by gzip, as u8 of its shape. DataError naming the file for
/// another magic number or element type, a file that ends early or goes on behind its last element, and more than 2^33
/// bytes. IoError.
Tensor read_idx(const std::filesystem::path& path);

/// Whether the name is one of an IDX file: "...-idx3-ubyte", "...-idx1-ubyte.gz".
bool is_idx(const std::filesystem::path& path);

/// The file of labels that belongs to a file of images, by the rules of read_images(). DataError if the name says none.
std::filesystem::path labels_beside(const std::filesystem::path& images);

/// Labels as numbers: IDX, or .npy [images] of int8, uint8, int32 or int64. DataError naming the file, its dtype and
/// its shape for any other.
std::vector<int64_t> read_label_numbers(const std::filesystem::path& path);

}  // namespace qing::nn
