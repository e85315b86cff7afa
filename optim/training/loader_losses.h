// A DataLoader as the data of a Trainer.
#pragma once

#include <qing/nn/data/data_loader.h>
#include <qing/optim/training/trainer.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace qing::optim {

/// Computes loss(batch) for each batch of the loader, in the loader's order for each epoch. A checkpoint has the
/// loader's state, so that a resumed training continues with the next batch. The loader must outlive the source. Do not
/// take batches from it meanwhile, because the source takes one batch ahead.
template <class Batch, class Loss> LossSource losses_of(nn::DataLoader<Batch>& loader, Loss loss) {
  struct Ahead {
    nn::DataLoader<Batch>& loader;
    std::optional<Batch> batch{};
    std::string before{};  // the loader's state before the batch was taken
    bool ended = false;

    bool fetch() {
      if (batch || ended) return !ended;
      before = loader.state();
      batch = loader.next();
      ended = !batch;
      return !ended;
    }
    void forget() {
      batch.reset();
      ended = false;
    }
  };
  auto ahead = std::make_shared<Ahead>(Ahead{loader});
  return {.has_next = [ahead] { return ahead->fetch(); },
          .next =
              [ahead, loss = std::move(loss)]() mutable {
                if (!ahead->fetch())
                  throw ValueError("losses_of: the epoch has no further batch; ask has_next() first");
                Batch batch = std::move(*ahead->batch);
                ahead->batch.reset();
                return loss(batch);
              },
          .begin_epoch =
              [ahead](int64_t epoch) {
                const auto wanted = static_cast<uint64_t>(epoch);
                const bool there = !ahead->batch && ahead->loader.epoch() == wanted && ahead->loader.position() == 0;
                if (!there) ahead->loader.set_epoch(wanted);
                ahead->forget();
              },
          .save = [ahead] { return ahead->batch ? ahead->before : ahead->loader.state(); },
          .load =
              [ahead](const std::string& state) {
                ahead->loader.load_state(state);
                ahead->forget();
              }};
}

}  // namespace qing::optim
