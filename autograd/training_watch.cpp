#include <qing/autograd/training_watch.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <utility>

#include <qing/autograd/node.h>

namespace qing {
namespace {

// By identity, so that a leaf that has died is no other leaf.
using Leaves = std::set<std::weak_ptr<Node>, std::owner_less<>>;

struct Watch {
  std::atomic<bool> on = false;
  std::mutex mutex;
  Leaves trained, reached;
};

// Never destroyed, since threads may outlive main().
Watch& watch() {
  static Watch& only = *new Watch;
  return only;
}

}  // namespace

void watch_training(std::span<const Tensor> leaves) {
  Watch& w = watch();
  const std::lock_guard lock(w.mutex);
  std::erase_if(w.trained, [](const std::weak_ptr<Node>& leaf) { return leaf.expired(); });
  for (const Tensor& leaf : leaves) w.trained.insert(node_of(leaf));
  w.on.store(true, std::memory_order_relaxed);
}

bool watching_training() { return watch().on.load(std::memory_order_relaxed); }

void note_walk(std::span<Node* const> nodes) {
  Watch& w = watch();
  const std::lock_guard lock(w.mutex);
  for (const Node* node : nodes) {
    for (const std::shared_ptr<Node>& input : node->inputs) {
      if (input != nullptr && input->leaf) w.reached.insert(input);
    }
  }
}

std::vector<Shape> end_training_watch(std::span<const Tensor> leaves) {
  Watch& w = watch();
  const std::lock_guard lock(w.mutex);
  // A leaf that was frozen and unfrozen since the watch began has a new node.
  for (const Tensor& leaf : leaves) w.trained.insert(node_of(leaf));
  w.on.store(false, std::memory_order_relaxed);
  std::vector<Shape> found;
  for (const std::weak_ptr<Node>& leaf : std::exchange(w.reached, {})) {
    const std::shared_ptr<Node> node = leaf.lock();
    if (node != nullptr && !w.trained.contains(leaf)) found.push_back(node->shape);
  }
  return found;
}

}  // namespace qing
