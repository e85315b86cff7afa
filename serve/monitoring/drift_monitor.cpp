#include "drift_monitor.h"

#include <utility>
#include <vector>

namespace qing::serve {

void DriftMonitor::add(const Model& model, std::span<const nn::Prediction> predictions) {
  const std::lock_guard lock(mutex_);
  auto found = windows_.find(model.classifier);
  if (found == windows_.end()) {
    std::erase_if(windows_, [](const auto& window) { return window.first.expired(); });
    const nn::DataProfile none{.labels = std::vector<std::int64_t>(model.classifier->labels().size())};
    found = windows_.emplace(model.classifier, Window{model.name, model.version, none, none}).first;
  }
  Window& window = found->second;
  window.current.add(predictions);
  if (window.current.texts() < kTexts) return;
  window.before = std::exchange(window.current, {.labels = std::vector<std::int64_t>(window.current.labels.size())});
}

void DriftMonitor::for_each(const std::function<void(const Reading&)>& visit) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [key, window] : windows_) {
    auto classifier = key.lock();
    if (!classifier) continue;
    Reading reading{window.model, window.version, std::move(classifier), window.before};
    reading.recent += window.current;
    visit(reading);
  }
}

}  // namespace qing::serve
