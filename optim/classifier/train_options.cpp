#include <qing/optim/classifier/train_options.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <type_traits>

#include <qing/tensor/errors.h>

namespace qing::optim {

bool OptionRange::contains(double value) const noexcept {
  return (without_low ? value > low : value >= low) && (without_high ? value < high : value <= high);
}

bool OptionRange::contains(int64_t value) const noexcept {
  return value >= static_cast<int64_t>(low) && value <= static_cast<int64_t>(high);
}

std::string OptionRange::text() const {
  if (std::isinf(high)) return fmt::format("finite and {} {}", without_low ? "above" : "at least", low);
  // Sizes in full, not as 1.6777216e+07.
  const auto shown = [](double bound) {
    const bool whole = bound == static_cast<double>(static_cast<int64_t>(bound));
    return whole ? fmt::format("{}", static_cast<int64_t>(bound)) : fmt::format("{}", bound);
  };
  return fmt::format("in {}{}, {}{}", without_low ? '(' : '[', shown(low), shown(high), without_high ? ')' : ']');
}

std::string TrainOption::option_name() const {
  if (option != nullptr) return option;
  std::string dashed = name;
  std::replace(dashed.begin(), dashed.end(), '_', '-');
  return dashed;
}

std::span<const TrainOption> train_option_table() { return kTrainOptions; }

void check_option_ranges(const TrainOptions& options) {
  for (const TrainOption& option : train_option_table()) {
    const auto check = [&](auto member) {
      const auto& value = options.*member;
      using T = std::decay_t<decltype(value)>;
      if constexpr (std::is_same_v<T, int64_t> || std::is_same_v<T, double>) {
        if (option.range.contains(value)) return;
        throw ValueError(
            fmt::format("train_classifier: {} is {}; it must be {}", option.name, value, option.range.text()));
      }
    };
    std::visit(check, option.member);
  }
}

}  // namespace qing::optim
