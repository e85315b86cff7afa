// What qing's sides of the training benchmarks share: a training that is timed after its first steps.
#pragma once

#include <fmt/format.h>
#include <sys/resource.h>

#include <cstdint>
#include <exception>
#include <iostream>
#include <span>
#include <vector>

#include <qing/optim/training/trainer.h>

namespace qing::benchmark {

constexpr double kClip = 1.0;
constexpr uint64_t kSeed = 42;

/// Trains for `warm` steps and `steps` timed ones. loss(batch) and tokens_of(batch) are called once for each batch.
/// Prints a JSON object with the losses of all steps, the tokens per second of the timed steps and the peak memory.
template <class Model, class Optimizer, class Batches, class Loss, class Tokens>
void train_timed(Model& model, Optimizer& optimizer, const Batches& batches, int64_t warm, int64_t steps,
                 optim::TrainerOptions options, const Loss& loss, const Tokens& tokens_of) {
  std::vector<double> losses;
  int64_t tokens = 0;
  double warm_seconds = 0, seconds = 0;
  options.max_epochs = 0;
  options.max_steps = warm + steps;
  options.clip_norm = kClip;
  options.on_step = [&](const optim::TrainerProgress& now) {
    losses.push_back(now.loss);
    if (now.step == warm) warm_seconds = now.seconds, tokens = 0;
    seconds = now.seconds - warm_seconds;
    return true;
  };
  const auto counted = [&](const auto& batch) {
    tokens += tokens_of(batch);
    return loss(batch);
  };
  optim::Trainer(model, optimizer, optim::losses_of(batches, counted), options).run();

  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  fmt::print(
      "{{\"tokens_per_second\": {:.1f}, \"seconds\": {:.4f}, \"tokens\": {}, \"peak_rss_bytes\": {}, \"losses\": "
      "[{:.9g}]}}\n",
      static_cast<double>(tokens) / seconds, seconds, tokens, usage.ru_maxrss * 1024, fmt::join(losses, ", "));
}

/// main() of a benchmark: run(arguments) without the program's name. An error is printed and gives 1.
template <class Run> int main_of(int argc, char** argv, const Run& run) {
  try {
    run(std::span<char*>(argv + 1, static_cast<size_t>(argc - 1)));
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}

}  // namespace qing::benchmark
