// Counts repeated texts of a data set in bounded memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

namespace qing::serve {

/// Texts are compared by a hash of 64 bits (FNV-1a). Hashes that exceed the memory are sorted into an unnamed temporary
/// file and merged at the end. Not thread-safe.
class TextRuns {
 public:
  static constexpr size_t kHeld = size_t{1} << 19;  ///< entries in memory, 16 bytes each

  /// The temporary file is made in `folder`, if it is needed.
  explicit TextRuns(std::filesystem::path folder, size_t held = kHeld);
  ~TextRuns();
  TextRuns(const TextRuns&) = delete;
  TextRuns& operator=(const TextRuns&) = delete;

  void add(std::string_view text, std::int32_t label);  ///< IoError
  struct Counts {
    std::int64_t duplicates = 0;      ///< rows whose text and label are those of an earlier row
    std::int64_t contradictions = 0;  ///< texts with more than one label
  };
  /// Call it once, at the end. IoError.
  Counts count();

 private:
  struct Entry {
    std::uint64_t text;
    std::int64_t label;
    // clang-tidy 14 takes the 0 of a comparison that the compiler writes for a pointer.
    auto operator<=>(const Entry&) const = default;  // NOLINT(modernize-use-nullptr)
  };
  struct Run;
  void spill();

  std::filesystem::path folder_;
  size_t held_;
  std::vector<Entry> entries_;
  std::vector<std::uint64_t> ends_;  // of the runs in the file, in entries
  int file_ = -1;
};

}  // namespace qing::serve
