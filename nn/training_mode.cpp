#include <qing/nn/training_mode.h>

#include <atomic>

#include <qing/autograd/graph.h>

namespace qing::nn {
namespace {

std::atomic<bool> evaluated = false, trained = false;

// Most passes find the mark set. A store would take its cache line from other threads.
void set(std::atomic<bool>& mark) {
  if (!mark.load(std::memory_order_relaxed)) mark.store(true, std::memory_order_relaxed);
}

}  // namespace

void note_mode(const Module& layer, const Tensor& x) {
  if (recording({x})) set(layer.training() ? trained : evaluated);
}

bool only_evaluated() { return evaluated.load(std::memory_order_relaxed) && !trained.load(std::memory_order_relaxed); }

void forget_modes() { evaluated = trained = false; }

}  // namespace qing::nn
