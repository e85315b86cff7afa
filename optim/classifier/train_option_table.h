// What a row of the table of training options says: the range check, the command line and its help are made from the
// rows, which stand in train_options.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include <qing/tensor/dtype.h>

namespace qing::optim {

struct TrainOptions;

/// Most steps of all epochs together. Counts up to here are exact as doubles.
inline constexpr int64_t kMaxSteps = int64_t{1} << 53;

/// The numbers that an option accepts. NaN is in no range.
struct OptionRange {
  double low, high;
  bool without_low = false, without_high = false;  ///< whether the bound itself is excluded

  bool contains(double value) const noexcept;
  bool contains(int64_t value) const noexcept;  ///< exact beyond 2^53, where doubles are not
  /// The text after "it must be": "in [0, 1)", "finite and at least 0".
  std::string text() const;
};

/// The recipes that an option is for, as a set of flags.
enum class OptionUse : uint8_t {
  classification = 1,
  pretraining = 2,
  translation = 4,
  image = 8,
  tagging = 16,
  /// Recipes of an encoder of texts.
  encoder = classification | pretraining | tagging,
  /// Recipes of texts.
  text = encoder | translation,
  all = text | image,
};
constexpr OptionUse operator|(OptionUse a, OptionUse b) {
  return static_cast<OptionUse>(static_cast<uint8_t>(a) | static_cast<uint8_t>(b));
}

/// One option of TrainOptions.
struct TrainOption {
  using Member =
      std::variant<int64_t TrainOptions::*, double TrainOptions::*, uint64_t TrainOptions::*, DType TrainOptions::*,
                   std::filesystem::path TrainOptions::*, std::vector<std::string> TrainOptions::*,
                   std::vector<std::filesystem::path> TrainOptions::*>;

  const char* name;              ///< of the member, and of the option in errors
  Member member;                 ///< where the value is; its type decides how the command line reads the option
  OptionRange range;             ///< of an int64_t or double; members of other types ignore it
  const char* group;             ///< heading in the help
  const char* help;              ///< a noun phrase without a full stop at its end
  const char* option = nullptr;  ///< name on the command line, if it differs from `name` with dashes
  OptionUse use = OptionUse::classification;

  /// `recipe` is one flag.
  bool is_for(OptionUse recipe) const { return (static_cast<uint8_t>(use) & static_cast<uint8_t>(recipe)) != 0; }

  /// The name on the command line, without leading dashes.
  std::string option_name() const;
};

/// All options, group by group. The table never changes, so any thread may read it.
std::span<const TrainOption> train_option_table();

/// ValueError naming the first option whose value is out of its range.
void check_option_ranges(const TrainOptions& options);

}  // namespace qing::optim
