// Lets one memory allocation of a thread fail: of C++ (operator new) or of SQLite.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace qing::test {

enum class Failing { kOne, kAllFromThere };

/// While it lives, the n-th allocation of this thread fails, counted from 1, or it and all after it. One at a time.
class FailingAllocation {
 public:
  FailingAllocation(std::int64_t n, Failing which);
  ~FailingAllocation();
  FailingAllocation(const FailingAllocation&) = delete;
  FailingAllocation& operator=(const FailingAllocation&) = delete;
  bool failed() const;  ///< whether there were n allocations
};

/// An operation on what lies in a folder, with the objects that it needs already made.
struct Operation {
  std::function<void()> run;
  /// What an object that is opened anew finds in the folder, after the clean-up that a start does. Names that are
  /// random must not be in it.
  std::function<std::string()> found;
};

struct Subject {
  std::string name;
  std::function<void(const std::filesystem::path& folder)> prepare;         ///< makes what the operation begins with
  std::function<Operation(const std::filesystem::path& folder)> operation;  ///< opens it
  std::int64_t least = 20;   ///< allocations that the operation makes, at least
  bool reads = false;        ///< the operation changes nothing
  bool may_be_half = false;  ///< after a failure what is found may be a half, until the operation is done again
};

/// Runs the operation on a fresh copy of the prepared folder for n = 1, 2, ... until it makes fewer than n allocations,
/// with the n-th alone failing and with all from the n-th on. The failure must lead to a std::exception other than a
/// DataError, which would call good data damaged, or to nothing. Afterwards the folder must be as before the operation
/// or as after the whole operation. If the operation was not done, the same objects must then do it without an error.
void fail_each_allocation(const Subject& subject);

}  // namespace qing::test
