// Labelled images from files: IDX, .npy, folders of PNG and JPEG, and lists of paths.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <qing/nn/data/label_map.h>
#include <qing/nn/images/decode.h>
#include <qing/nn/images/resize.h>
#include <qing/tensor/tensor.h>

namespace qing::nn {

struct ImageDataOptions {
  /// The size of the images. 0: that of the file's first image, which all others must have then.
  int64_t height = 0, width = 0;
  int64_t channels = 0;  ///< 1 or 3; 0: 1 if the first image is gray, else 3
  ImageFit fit = ImageFit::stretch;
  ImageLimits limits = {};
  int64_t max_images = int64_t{1} << 26;
  LabelMap map = {};  ///< what the labels of the data are called
  /// Names of the labels. Empty: those of the data, sorted. A label that is not among them is a DataError.
  std::vector<std::string> labels = {};
  /// Is told of each picture that cannot be read, which is then left out. Without it, such a picture ends the reading.
  std::function<void(const std::string&)> on_bad_image = {};
};

/// Images of one size in memory.
struct LabelledImages {
  Tensor pixels;                   ///< u8 [images, height, width, channels]
  std::vector<int32_t> labels;     ///< indices into names
  std::vector<std::string> names;  ///< of the labels
  int64_t left_out = 0;            ///< pictures that on_bad_image was told of

  int64_t size() const { return static_cast<int64_t>(labels.size()); }
};

/// Reads labelled images of a file or folder:
///
/// - IDX (LeCun's MNIST, http://yann.lecun.com/exdb/mnist/) of unsigned bytes, also .gz: NAME-images-idx3-ubyte with
/// its
///   labels in NAME-labels-idx1-ubyte beside it. Labels are named by their numbers.
/// - .npy of u8, or of f32 in [0, 1], [images, height, width] or [images, height, width, 1 or 3], named NAME-images.npy
///   or NAME_images.npy, with integer labels in NAME-labels.npy or NAME_labels.npy beside it.
/// - a folder that has one folder for each label, with PNG and JPEG files below;
/// - a table (.csv, .tsv, .jsonl, ...; labelled_rows.h) with columns path and label. Paths are relative to the table's
///   folder, and may not leave it.
///
/// Pictures are decoded by all threads. DataError naming the file, and the line or the picture; IoError when a file
/// cannot be read; ValueError for options out of range.
LabelledImages read_images(const std::filesystem::path& path, const ImageDataOptions& options = {});

/// The mean and the standard deviation of each channel, of values in [0, 1]. A deviation is 1e-3 at least. ValueError
/// without images.
void measure_channels(const Tensor& pixels, std::vector<float>& mean, std::vector<float>& deviation);

/// The .npy or IDX file as a tensor of bytes u8 [images, height, width, channels], without labels: pictures to predict.
Tensor read_image_array(const std::filesystem::path& path);
/// Whether read_image_array() reads files of this name.
bool is_image_array(const std::filesystem::path& path);

}  // namespace qing::nn
