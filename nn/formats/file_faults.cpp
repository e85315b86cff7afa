#include <qing/nn/formats/file_faults.h>

#include <fmt/format.h>

#include <qing/tensor/errors.h>

namespace qing::nn {

std::string printable(std::string_view name) {
  std::string shown(name.substr(0, 80));
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return shown;
}

void FileFaults::invalid(std::string_view what) const {
  throw DataError(fmt::format("{}: not a valid {} file: {}; write or download it again", path_, format_, what));
}

void FileFaults::unsupported(std::string_view what) const {
  throw DataError(fmt::format("{}: unsupported: {}", path_, what));
}

}  // namespace qing::nn
