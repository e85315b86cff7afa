#include <qing/nn/models/label_names.h>

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <unordered_map>

#include <qing/nn/text/normalizer.h>
#include <qing/nn/utf8.h>
#include <qing/tensor/errors.h>

namespace qing::nn {

void check_label_names(std::span<const std::string> labels) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  std::unordered_map<std::string_view, size_t> seen;
  for (size_t i = 0; i < labels.size(); ++i) {
    const std::string& label = labels[i];
    if (find_invalid_utf8(label)) throw ValueError(fmt::format("labels: label {} is not UTF-8; encode it as UTF-8", i));
    if (std::ranges::any_of(label, is_control)) {
      throw ValueError(fmt::format("labels: label {} has a control character; remove it", i));
    }
    if (is_blank(label)) {
      throw ValueError(fmt::format("labels: label {} is '{}'; give it a name that is not blank", i, visible(label)));
    }
    const auto [first, added] = seen.emplace(label, i);
    if (!added) {
      throw ValueError(fmt::format("labels: '{}' is the name of labels {} and {}; give each a different name", label,
                                   first->second, i));
    }
  }
}

}  // namespace qing::nn
