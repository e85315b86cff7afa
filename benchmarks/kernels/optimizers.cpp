// A step of every optimizer over 1 MiB of parameters, which caches hold, and 64 MiB.
#include <qing/optim/optimizer.h>

#include <algorithm>
#include <cctype>
#include <string>

#include "bench.h"

namespace qing::bench {
namespace {

template <class Optimizer> void sweep(benchmark::State& state, const typename Optimizer::Options& options) {
  const Tensor weight = parameter({state.range(0)});
  backward(weight, {.gradient = random(weight.shape(), DType::f32, 2)});
  Optimizer optimizer({weight}, options);
  optimizer.step();
  // Weights and states are read and written, the gradient is read.
  const optim::StateDict dict = optimizer.state_dict();
  const auto states = std::count_if(dict.begin(), dict.end(),
                                    [&](const auto& entry) { return entry.second.numel() == weight.numel(); });
  for (auto _ : state) optimizer.step();
  count_bytes(state, (3 + 2 * states) * 4 * weight.numel());
}

void add(const std::string& name, void (*run)(benchmark::State&)) {
  benchmark::RegisterBenchmark(name.c_str(), run)->Arg(1 << 18)->Arg(16 << 20)->UseRealTime();
}

const bool kRegistered = [] {
  optim::AllOptimizers::for_each([]<class O>() {
    std::string name = O::Options::kName;
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    add(name, [](benchmark::State& state) { sweep<O>(state, {}); });
  });
  add("sgd_momentum", [](benchmark::State& state) { sweep<optim::Sgd>(state, {.momentum = 0.9}); });
  return true;
}();

}  // namespace
}  // namespace qing::bench
