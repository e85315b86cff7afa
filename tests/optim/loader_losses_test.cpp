#include <gtest/gtest.h>
#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/data/collate.h>
#include <qing/nn/data/tensor_dataset.h>
#include <qing/nn/layers/layers.h>
#include <qing/optim/optimizer.h>
#include <qing/optim/training/loader_losses.h>
#include <qing/tensor/creation.h>

#include <set>
#include <vector>

#include "nn/temp_folder.h"

namespace qing::optim {
namespace {

using Batch = std::vector<Tensor>;

// 22 examples in batches of 4: the last batch of an epoch has 2.
struct Shuffled {
  explicit Shuffled(int64_t workers = 0)
      : loader(nn::TensorDataset({inputs()}), nn::DefaultCollate{},
               {.batch_size = 4, .shuffle = true, .seed = 8, .num_workers = workers}) {
    model.set_requires_grad(true);
    optimizer = std::make_unique<Sgd>(model.parameters(), SgdOptions{.lr = 0.05, .momentum = 0.5});
  }
  static Tensor inputs() {
    Generator rng(5);
    return randn({22, 3}, rng);
  }
  TrainerResult train(TrainerOptions options) {
    options.max_epochs = 3;
    const auto loss = [this](const Batch& batch) {
      seen.push_back(batch[0].span<float>()[0]);
      return mean(square(model(batch[0])));
    };
    return Trainer(model, *optimizer, losses_of(loader, loss), std::move(options)).run();
  }
  std::vector<float> weights() const {
    const auto span = model.weight().span<float>();
    return {span.begin(), span.end()};
  }

  Generator rng{1};
  nn::Linear model{3, 1, rng};
  nn::DataLoader<Batch> loader;
  std::unique_ptr<Sgd> optimizer;
  std::vector<float> seen;  // of each batch, the first number
};

TEST(LoaderLosses, GiveEveryBatchOfEveryEpochInItsOrder) {
  Shuffled trained, by_hand;
  EXPECT_EQ(trained.train({}).steps, 18);
  std::vector<float> expected;
  while (by_hand.loader.epoch() < 3) {
    for (const Batch& batch : by_hand.loader) expected.push_back(batch[0].span<float>()[0]);
  }
  EXPECT_EQ(trained.seen, expected);
  EXPECT_NE(std::vector<float>(expected.begin(), expected.begin() + 6),
            std::vector<float>(expected.begin() + 6, expected.begin() + 12));
}

TEST(LoaderLosses, ResumeWithTheNextBatchWhereverTheTrainingStopped) {
  Shuffled whole;
  whole.train({});
  for (const int64_t workers : {0, 2}) {
    for (int64_t cut = 1; cut < 18; ++cut) {
      const test::TempFolder folder;
      TrainerOptions options;
      options.checkpoints = folder.path();
      options.on_step = [&](const TrainerProgress& p) { return p.step != cut; };
      Shuffled first(workers), second(workers);
      EXPECT_EQ(first.train(options).steps, cut);
      options.on_step = {};
      EXPECT_EQ(second.train(options).resumed_from, cut);
      EXPECT_EQ(second.weights(), whole.weights()) << cut;
    }
  }
}

TEST(LoaderLosses, BeginAtTheEpochsStartThoughTheLoaderWasUsedBefore) {
  Shuffled fresh, used;
  used.loader.next();
  fresh.train({});
  used.train({});
  EXPECT_EQ(used.seen, fresh.seen);
}

}  // namespace
}  // namespace qing::optim
