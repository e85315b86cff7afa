#include <qing/tensor/warnings.h>

#include <cstdio>
#include <mutex>
#include <set>
#include <string>
#include <utility>

namespace qing {
namespace {

struct Warnings {
  std::mutex mutex;
  std::set<std::string, std::less<>> given;
  std::function<void(std::string_view)> handler;
};

// Never destroyed, since threads may outlive main().
Warnings& warnings() {
  static Warnings& all = *new Warnings;
  return all;
}

}  // namespace

void warn_once(std::string_view name, std::string_view text) {
  Warnings& all = warnings();
  std::function<void(std::string_view)> handler;
  {
    const std::lock_guard lock(all.mutex);
    if (!all.given.emplace(name).second) return;
    handler = all.handler;
  }
  if (handler) return handler(text);
  std::fprintf(stderr, "qing: warning: %.*s\n", static_cast<int>(text.size()), text.data());
}

void set_warning_handler(std::function<void(std::string_view)> handler) {
  const std::lock_guard lock(warnings().mutex);
  warnings().handler = std::move(handler);
}

void forget_warnings() {
  const std::lock_guard lock(warnings().mutex);
  warnings().given.clear();
}

}  // namespace qing
