#include <qing/nn/forgotten_layers.h>

#include <fmt/format.h>

#include <mutex>
#include <set>
#include <unordered_set>
#include <utility>

#include <qing/autograd/autograd.h>
#include <qing/autograd/training_watch.h>

namespace qing::nn {
namespace {

struct Uses {
  std::mutex mutex;
  // By address, which a later module may have again: its use then does not count.
  std::unordered_set<const void*> reached;
  std::set<std::string> forgotten;
};

// Never destroyed, since threads may outlive main().
Uses& uses() {
  static Uses& only = *new Uses;
  return only;
}

}  // namespace

void note_reached(std::span<const void* const> modules) {
  const std::lock_guard lock(uses().mutex);
  uses().reached.insert(modules.begin(), modules.end());
}

bool is_forgotten(const void* layer, const Tensor& weight) {
  if (!watching_training() || !grad_enabled() || !weight.defined() || requires_grad(weight)) return false;
  const std::lock_guard lock(uses().mutex);
  return !uses().reached.contains(layer);
}

void note_forgotten(const std::string& type_name, const Tensor& weight) {
  const std::lock_guard lock(uses().mutex);
  uses().forgotten.insert(fmt::format("{} with a weight of shape {}", type_name, to_string(weight.shape())));
}

std::vector<std::string> take_forgotten_layers() {
  const std::lock_guard lock(uses().mutex);
  const std::set<std::string> found = std::exchange(uses().forgotten, {});
  return {found.begin(), found.end()};
}

}  // namespace qing::nn
