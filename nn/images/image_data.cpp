#include <qing/nn/images/image_data.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include <qing/nn/data/blanks.h>
#include <qing/nn/data/labelled_rows.h>
#include <qing/nn/images/idx_detail.h>
#include <qing/tensor/files.h>
#include <qing/tensor/folders.h>
#include <qing/tensor/threads.h>

namespace qing::nn {
namespace {

namespace fs = std::filesystem;

// Pictures that are decoded before their errors are told.
constexpr size_t kDecodedTogether = 1024;

// A picture with the name of its label, and where it stands, for errors.
struct Listed {
  fs::path file;
  std::string label, place;
};

bool is_picture(const fs::path& path) {
  const std::string extension = lowered(path.extension().string());
  return extension == ".png" || extension == ".jpg" || extension == ".jpeg";
}

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

std::vector<Listed> list_folder(const fs::path& folder, const LabelMap& map) {
  std::vector<Listed> all;
  for (const fs::directory_entry& label : entries_of(folder)) {
    if (!label.is_directory() || is_hidden(label.path())) continue;
    for (const fs::directory_entry& file : entries_below(label.path())) {
      if (file.is_regular_file() && is_picture(file.path()) && !is_hidden(file.path())) {
        all.push_back({file.path(), map(label.path().filename().string()), file.path().string()});
      }
    }
  }
  std::ranges::sort(all, {}, &Listed::file);
  if (all.empty()) {
    throw DataError(folder.string() + ": no PNG or JPEG in its folders; it needs one folder for each label");
  }
  return all;
}

std::vector<Listed> list_table(const fs::path& table, const LabelMap& map) {
  LabelledRowReader rows(table, {.text_column = "path"});
  std::vector<Listed> all;
  while (const auto row = rows.next()) {
    const fs::path file = fs::path(row->text).lexically_normal();
    if (file.is_absolute() || file.empty() || *file.begin() == "..") {
      rows.fail("the path leads out of the table's folder; it must be relative and lead into it");
    }
    all.push_back({table.parent_path() / file, map(row->label), fmt::format("{}:{}", table.string(), row->line)});
  }
  if (all.empty()) throw DataError(table.string() + ": no rows");
  return all;
}

// Indices of labels, and their names.
class LabelIndices {
 public:
  LabelIndices(const std::set<std::string>& found, const std::vector<std::string>& wanted, const fs::path& path)
      : names_(wanted) {
    if (names_.empty()) names_ = sorted(found);
    for (size_t i = 0; i < names_.size(); ++i) indices_.emplace(names_[i], static_cast<int32_t>(i));
    for (const std::string& label : found) {
      if (!indices_.contains(label)) {
        throw DataError(fmt::format("{}: label '{}' is none of {}", path.string(), label, fmt::join(names_, ", ")));
      }
    }
  }
  int32_t operator()(const std::string& label) const { return indices_.at(label); }
  const std::vector<std::string>& names() const { return names_; }

 private:
  // Whole numbers in the order of their values, other names in that of their characters.
  static std::vector<std::string> sorted(const std::set<std::string>& found) {
    std::vector<std::string> names(found.begin(), found.end());
    const bool numbers = std::ranges::all_of(names, [](const std::string& name) {
      return !name.empty() && name.size() < 10 &&
             std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; });
    });
    if (numbers) std::ranges::sort(names, {}, [](const std::string& name) { return std::stol(name); });
    return names;
  }

  std::vector<std::string> names_;
  std::map<std::string, int32_t> indices_;
};

// The size that images have: the option's, or that of the first image.
struct TargetSize {
  int64_t height, width, channels;
  bool given;
  ImageFit fit;

  static TargetSize of(const Image& first, const ImageDataOptions& options) {
    const bool given = options.height > 0;
    return {given ? options.height : first.height, given ? options.width : first.width,
            options.channels > 0 ? options.channels : first.channels, given, options.fit};
  }
  Image fitted(Image image, const std::string& place) const {
    if (!given && (image.height != height || image.width != width)) {
      throw DataError(fmt::format(
          "{}: {} x {} pixels, but the first picture has {} x {}; give a size (the options height and width)", place,
          image.width, image.height, width, height));
    }
    ImagePreprocessing p;
    p.height = height;
    p.width = width;
    p.channels = channels;
    p.fit = fit;
    return p.fitted(std::move(image));
  }
};

Image read_picture(const Listed& listed, const ImageDataOptions& options, int64_t channels) {
  const std::string bytes = read_file(listed.file, static_cast<size_t>(options.limits.max_bytes));
  try {
    return decode_image(bytes, {.channels = channels, .limits = options.limits});
  } catch (const ImageError& error) { throw DataError(fmt::format("{}: {}", listed.place, error.what())); }
}

// The first picture that can be read.
Image first_picture(const std::vector<Listed>& listed, const ImageDataOptions& options) {
  for (size_t i = 0;; ++i) {
    try {
      return read_picture(listed[i], options, options.channels);
    } catch (const Error&) {
      if (!options.on_bad_image || i + 1 == listed.size()) throw;
    }
  }
}

LabelledImages read_listed(const std::vector<Listed>& listed, const fs::path& path, const ImageDataOptions& options) {
  std::set<std::string> found;
  for (const Listed& one : listed) found.insert(one.label);
  const LabelIndices labels(found, options.labels, path);
  const TargetSize size = TargetSize::of(first_picture(listed, options), options);
  const int64_t bytes = size.height * size.width * size.channels;
  Tensor pixels =
      Tensor::empty({static_cast<int64_t>(listed.size()), size.height, size.width, size.channels}, DType::u8);
  LabelledImages images{{}, {}, labels.names(), 0};
  for (size_t first = 0; first < listed.size(); first += kDecodedTogether) {
    const size_t count = std::min(kDecodedTogether, listed.size() - first);
    std::vector<Image> decoded(count);
    std::vector<std::exception_ptr> errors(count);
    parallel_for(static_cast<int64_t>(count), 1, [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
        const Listed& one = listed[first + i];
        try {
          decoded[i] = size.fitted(read_picture(one, options, size.channels), one.place);
        } catch (const Error&) { errors[i] = std::current_exception(); }
      }
    });
    for (size_t i = 0; i < count; ++i) {
      if (errors[i]) {
        if (!options.on_bad_image) std::rethrow_exception(errors[i]);
        try {
          std::rethrow_exception(errors[i]);
        } catch (const Error& error) { options.on_bad_image(error.what()); }
        ++images.left_out;
        continue;
      }
      std::memcpy(pixels.data<uint8_t>() + images.size() * bytes, decoded[i].pixels.data(), static_cast<size_t>(bytes));
      images.labels.push_back(labels(listed[first + i].label));
    }
  }
  if (images.labels.empty()) throw DataError(path.string() + ": none of its pictures can be read");
  images.pixels = pixels.slice(0, 0, images.size()).contiguous();
  return images;
}

LabelledImages read_array(const fs::path& path, const ImageDataOptions& options) {
  const fs::path beside = labels_beside(path);
  const Tensor array = read_image_array(path);
  const std::vector<int64_t> numbers = read_label_numbers(beside);
  if (static_cast<int64_t>(numbers.size()) != array.size(0)) {
    throw DataError(fmt::format("{}: {} labels for the {} images of {}", beside.string(), numbers.size(), array.size(0),
                                path.filename().string()));
  }
  if (numbers.empty()) throw DataError(path.string() + ": no images");
  std::set<std::string> found;
  std::vector<std::string> each;
  for (const int64_t number : numbers) {
    each.push_back(options.map(std::to_string(number)));
    found.insert(each.back());
  }
  const LabelIndices labels(found, options.labels, beside);
  LabelledImages images{{}, {}, labels.names(), 0};
  for (const std::string& label : each) images.labels.push_back(labels(label));
  const auto image = [&](int64_t i) {
    Image one = make_image(array.size(1), array.size(2), array.size(3));
    std::memcpy(one.pixels.data(), array.data<uint8_t>() + i * static_cast<int64_t>(one.pixels.size()),
                one.pixels.size());
    return one;
  };
  const TargetSize size = TargetSize::of(image(0), options);
  if (size.height == array.size(1) && size.width == array.size(2) && size.channels == array.size(3)) {
    images.pixels = array;
    return images;
  }
  images.pixels = Tensor::empty({array.size(0), size.height, size.width, size.channels}, DType::u8);
  const int64_t bytes = size.height * size.width * size.channels;
  parallel_for(array.size(0), 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Image fitted = size.fitted(image(i), path.string());
      std::memcpy(images.pixels.data<uint8_t>() + i * bytes, fitted.pixels.data(), static_cast<size_t>(bytes));
    }
  });
  return images;
}

}  // namespace

LabelledImages read_images(const fs::path& path, const ImageDataOptions& options) {
  if ((options.height > 0) != (options.width > 0))
    throw ValueError("read_images: give both sides of the size, or none");
  if (is_image_array(path)) return read_array(path, options);
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) throw IoError(path.string() + ": no such file or folder");
  std::vector<Listed> listed =
      fs::is_directory(status) ? list_folder(path, options.map) : list_table(path, options.map);
  if (static_cast<int64_t>(listed.size()) > options.max_images) {
    throw DataError(
        fmt::format("{}: {} pictures; at most {} are read", path.string(), listed.size(), options.max_images));
  }
  return read_listed(listed, path, options);
}

void measure_channels(const Tensor& pixels, std::vector<float>& mean, std::vector<float>& deviation) {
  const int64_t channels = pixels.size(3), count = pixels.numel() / std::max<int64_t>(1, channels);
  if (count == 0) throw ValueError("measure_channels: no images");
  // Counts of the 256 values are exact, so the sums do not depend on the order.
  std::vector<std::vector<int64_t>> histogram(static_cast<size_t>(channels), std::vector<int64_t>(256));
  const uint8_t* from = pixels.data<uint8_t>();
  for (int64_t i = 0; i < count; ++i) {
    for (size_t c = 0; c < histogram.size(); ++c) ++histogram[c][*from++];
  }
  mean.clear();
  deviation.clear();
  for (const auto& counts : histogram) {
    double sum = 0, squares = 0;
    for (size_t v = 0; v < 256; ++v) {
      const double value = static_cast<double>(v) / 255, times = static_cast<double>(counts[v]);
      sum += value * times;
      squares += value * value * times;
    }
    const double centre = sum / static_cast<double>(count);
    mean.push_back(static_cast<float>(centre));
    deviation.push_back(static_cast<float>(
        std::max(1e-3, std::sqrt(std::max(0.0, squares / static_cast<double>(count) - centre * centre)))));
  }
}

}  // namespace qing::nn
