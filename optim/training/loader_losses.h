// A DataLoader as the data of a Trainer.
#pragma once

#include <qing/nn/data/data_loader.h>
#include <qing/optim/training/trainer.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace qing::optim {

/// A loader that has taken one batch ahead, so that the end of an epoch is known.
template <class Batch> class LoaderAhead {
 public:
  explicit LoaderAhead(nn::DataLoader<Batch>& loader) : loader_(loader) {}

  bool has_next() {
    if (batch_ || ended_) return !ended_;
    before_ = loader_.state();
    batch_ = loader_.next();
    ended_ = !batch_;
    return !ended_;
  }
  /// ValueError at the end of the epoch.
  Batch next() {
    if (!has_next()) throw ValueError("losses_of: the epoch has no further batch; ask has_next() first");
    Batch batch = std::move(*batch_);
    batch_.reset();
    return batch;
  }
  void begin_epoch(int64_t epoch) {
    const auto wanted = static_cast<uint64_t>(epoch);
    const bool there = !batch_ && loader_.epoch() == wanted && loader_.position() == 0;
    if (!there) loader_.set_epoch(wanted);
    forget();
  }
  std::string state() const { return batch_ ? before_ : loader_.state(); }
  void load_state(const std::string& state) {
    loader_.load_state(state);
    forget();
  }

 private:
  void forget() {
    batch_.reset();
    ended_ = false;
  }

  nn::DataLoader<Batch>& loader_;
  std::optional<Batch> batch_{};
  std::string before_{};  // the loader's state before the batch was taken
  bool ended_ = false;
};

/// Computes loss(batch) for each batch of the loader, in the loader's order for each epoch. A checkpoint has the
/// loader's state, so that a resumed training continues with the next batch. The loader must outlive the source. Do not
/// take batches from it meanwhile, because the source takes one batch ahead. `chunked`, if not null, makes a
/// std::shared_ptr<const Batch> a ChunkedBatch, for TrainerOptions::parallel.
template <class Batch, class Loss, class Chunked = std::nullptr_t>
LossSource losses_of(nn::DataLoader<Batch>& loader, Loss loss, Chunked chunked = nullptr) {
  const auto ahead = std::make_shared<LoaderAhead<Batch>>(loader);
  LossSource source{.has_next = [ahead] { return ahead->has_next(); },
                    .next =
                        [ahead, loss = std::move(loss)]() mutable {
                          Batch batch = ahead->next();
                          return loss(batch);
                        },
                    .begin_epoch = [ahead](int64_t epoch) { ahead->begin_epoch(epoch); },
                    .save = [ahead] { return ahead->state(); },
                    .load = [ahead](const std::string& state) { ahead->load_state(state); }};
  if constexpr (!std::is_same_v<Chunked, std::nullptr_t>) {
    source.next_chunks = [ahead, chunked = std::move(chunked)]() mutable {
      return chunked(std::make_shared<const Batch>(ahead->next()));
    };
  }
  return source;
}

}  // namespace qing::optim
