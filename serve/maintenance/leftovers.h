// Removal of what killed processes have left. A server calls it before it reads its models.
#pragma once

#include <qing/serve/state/state.h>

namespace qing::serve {

/// The beginning of the names of folders in the state in which archives of models are unpacked (common/draft.h).
inline constexpr const char* kUnpackedPlace = "unpacked-";

/// Removes what killed processes have left: snapshots of backups and exports, drafts of restores, and versions of
/// promotions that were not finished, which are withdrawn in the records. What another process works on stays. Errors
/// are logged.
void remove_leftovers(const State& state);

}  // namespace qing::serve
