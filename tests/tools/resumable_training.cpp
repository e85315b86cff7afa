// A small training that checkpoints after every step. tests/python/test_resume.py kills it at random moments.
//   resumable_training train DIR STEPS   trains, resuming from DIR if it can (without checkpoints if DIR is empty);
//   says
//                                        "step N" after each step, and at the end the bits of the weights and of their
//                                        averages
//   resumable_training check DIR         loads every checkpoint of DIR; fails when one has its name and is not complete
#include <qing/autograd/ops.h>
#include <qing/nn/layers/layers.h>
#include <qing/optim/optimizer.h>
#include <qing/optim/training/trainer.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <string>

namespace {

using namespace qing;
using namespace qing::optim;

constexpr int64_t kRows = 24, kBatch = 4, kWidth = 8;

// A regression on shuffled rows, with every part that a checkpoint can hold.
struct Training {
  Training(std::filesystem::path checkpoints, int64_t steps)
      : rng(7),
        model(nn::Linear(kWidth, 16, rng), nn::ReLU(), nn::Dropout(0.2), nn::Linear(16, 1, rng)),
        x(Tensor::empty({kRows, kWidth})),
        order(kRows) {
    Generator data(3);
    data.fill_normal(x, 0, 1);
    model.set_requires_grad(true);
    optimizer = std::make_unique<AdamW>(model.parameters(), AdamWOptions{.amsgrad = true});
    optimizer->set_state_dtype(DType::bf16);
    const OneCycleOptions cycle{.max_lr = 0.01, .total_steps = steps};
    schedule = std::make_unique<LrScheduler>(*optimizer, one_cycle_lr(cycle), one_cycle_momentum(cycle));
    plateau = std::make_unique<ReduceLrOnPlateau>(*optimizer);
    average = std::make_unique<AveragedModel>(model.parameters(), ema_with_warmup(0.9));
    options = {.max_epochs = 0,
               .max_steps = steps,
               .accumulate = 2,
               .clip_norm = 1,
               .evaluate = [this] { return loss_of(0, kRows).item(); },
               .schedule = schedule.get(),
               .plateau = plateau.get(),
               .average = average.get(),
               .scaler = &scaler,
               .rng = &rng,
               .checkpoints = std::move(checkpoints),
               .checkpoint_every = 1,
               .checkpoint = {.keep = 2, .max_shard_bytes = 300}};
    options.on_step = [](const TrainerProgress& progress) {
      std::printf("step %lld\n", static_cast<long long>(progress.step));
      std::fflush(stdout);
      return true;
    };
  }

  Tensor loss_of(int64_t begin, int64_t end) {
    Tensor rows = Tensor::empty({end - begin, kWidth});
    for (int64_t i = begin; i < end; ++i) {
      rows.select(0, i - begin).copy_from(x.select(0, model.training() ? order[static_cast<size_t>(i)] : i));
    }
    const Tensor error = model(rows, &rng) - sum(rows, {1}, true);
    return mean(error * error);
  }

  LossSource source() {
    return {.has_next = [this] { return at < kRows; },
            .next = [this] { return at += kBatch, loss_of(at - kBatch, at); },
            .begin_epoch =
                [this](int64_t) {
                  at = 0;
                  std::iota(order.begin(), order.end(), int64_t{0});
                  for (size_t i = order.size() - 1; i > 0; --i) std::swap(order[i], order[rng.below(i + 1)]);
                },
            .save =
                [this] {
                  std::string text = std::to_string(at);
                  for (const int64_t row : order) text += " " + std::to_string(row);
                  return text;
                },
            .load =
                [this](const std::string& text) {
                  const char* next = text.c_str();
                  char* end = nullptr;
                  at = std::strtoll(next, &end, 10);
                  for (int64_t& row : order) row = std::strtoll(end, &end, 10);
                }};
  }

  Generator rng;
  nn::Sequential model;
  Tensor x;
  std::vector<int64_t> order;
  int64_t at = 0;
  std::unique_ptr<AdamW> optimizer;
  std::unique_ptr<LrScheduler> schedule;
  std::unique_ptr<ReduceLrOnPlateau> plateau;
  std::unique_ptr<AveragedModel> average;
  GradScaler scaler;
  TrainerOptions options;
};

void print_bits(const std::vector<Tensor>& tensors) {
  for (const Tensor& tensor : tensors) {
    for (int64_t i = 0; i < tensor.numel(); ++i) {
      uint32_t bits = 0;
      std::memcpy(&bits, tensor.data<float>() + i, sizeof bits);
      std::printf("%08x", bits);
    }
  }
  std::printf("\n");
}

int train(const std::filesystem::path& directory, int64_t steps) {
  Training training(directory, steps);
  const TrainerResult result = Trainer(training.model, *training.optimizer, training.source(), training.options).run();
  std::printf("resumed from %lld\n", static_cast<long long>(result.resumed_from));
  print_bits(training.model.parameters());
  print_bits(training.average->averages());
  return 0;
}

int check(const std::filesystem::path& directory) {
  int64_t named = 0, loaded = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (!entry.path().filename().string().starts_with("step-")) continue;
    ++named;
    // Ends at once, because its limit is the step of the checkpoint. run() only loads it.
    std::filesystem::path alone = directory.parent_path() / "check";
    std::filesystem::remove_all(alone);
    std::filesystem::create_directories(alone);
    std::filesystem::create_directory_symlink(entry.path(), alone / entry.path().filename());
    const int64_t step = std::stoll(entry.path().filename().string().substr(5));
    Training training(alone, step);
    loaded +=
        Trainer(training.model, *training.optimizer, training.source(), training.options).run().resumed_from == step;
  }
  std::printf("%lld of %lld\n", static_cast<long long>(loaded), static_cast<long long>(named));
  return loaded == named ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string mode = argc > 2 ? argv[1] : "";
  if (mode == "train" && argc == 4) return train(argv[2], std::stoll(argv[3]));
  if (mode == "check") return check(argv[2]);
  std::fprintf(stderr, "usage: resumable_training train DIR STEPS | check DIR\n");
  return 2;
} catch (const std::exception& error) {
  std::fprintf(stderr, "resumable_training: %s\n", error.what());
  return 1;
}
