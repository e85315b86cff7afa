// What a training counts, as its progress and its reports name it.
#pragma once

namespace qing::serve::cli {

struct TrainingUnits {
  const char* examples = "texts";  ///< that were seen
  const char* work = "tokens";     ///< of which it says how many a second were computed
};

}  // namespace qing::serve::cli
