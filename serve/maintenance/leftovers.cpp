#include "leftovers.h"

#include <exception>
#include <filesystem>
#include <functional>
#include <string>

#include <qing/serve/common/draft.h>
#include <qing/serve/common/log.h>
#include <qing/serve/maintenance/promotion_store.h>
#include <qing/serve/maintenance/state_backup.h>
#include <qing/serve/maintenance/state_snapshot.h>
#include <qing/serve/maintenance/version_folder.h>
#include <qing/serve/registry/choice_files.h>
#include <qing/tensor/folders.h>

namespace qing::serve {
namespace fs = std::filesystem;

namespace {

// The next start tries again what fails here. A version with a mark is not served meanwhile.
void attempt(const std::function<void()>& remove) {
  try {
    remove();
  } catch (const std::exception& error) { log_line("error", "leftovers_not_removed", {{"error", error.what()}}); }
}

void remove_versions(const State& state, const fs::path& folder) {
  const std::string model = folder.filename().string();
  remove_interrupted_versions(folder, [&](std::int64_t version) {
    Database database = state.open();
    PromotionStore(database).withdraw(model, version, "the server ended before the version was served");
    ChoiceFiles::withdraw(state.models(), model, version);
    log_line("warning", "promotion_withdrawn", {{"model", model}, {"version", version}});
  });
}

}  // namespace

void remove_leftovers(const State& state) {
  if (!state.exists()) return;
  attempt([&] { remove_abandoned_snapshots(state); });
  attempt([&] { remove_abandoned_restores(state); });
  attempt([&] { remove_abandoned_drafts(state.folder() / kUnpackedPlace); });
  std::error_code none;
  for (const fs::directory_entry& entry : entries_of(state.models(), none)) {
    attempt([&] { remove_versions(state, entry.path()); });
  }
}

}  // namespace qing::serve
