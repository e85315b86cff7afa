#include "leftovers.h"

#include <exception>
#include <filesystem>
#include <string>

#include <qing/serve/common/log.h>
#include <qing/serve/maintenance/promotion_store.h>
#include <qing/serve/maintenance/state_backup.h>
#include <qing/serve/maintenance/state_snapshot.h>
#include <qing/serve/maintenance/version_folder.h>

namespace qing::serve {
namespace fs = std::filesystem;

void remove_leftovers(const State& state) {
  if (!state.exists()) return;
  try {
    remove_abandoned_snapshots(state);
    remove_abandoned_restores(state);
    std::error_code none;
    for (const fs::directory_entry& entry : fs::directory_iterator(state.models(), none)) {
      const std::string model = entry.path().filename().string();
      remove_interrupted_versions(entry.path(), [&](std::int64_t version) {
        Database database = state.open();
        PromotionStore(database).withdraw(model, version, "the server ended before the version was served");
        log_line("warning", "promotion_withdrawn", {{"model", model}, {"version", version}});
      });
    }
  } catch (const std::exception& error) { log_line("error", "leftovers_not_removed", {{"error", error.what()}}); }
}

}  // namespace qing::serve
