// Trains one network on several ranks. Here the ranks are threads of this process; with MpiRanks they are processes
// that mpirun starts, and nothing else changes. The weights have the same bits for any number of ranks.
#include <cstdio>
#include <cstdlib>

#include <qing/autograd/ops.h>
#include <qing/nn/layers/layers.h>
#include <qing/optim/optimizer.h>
#include <qing/optim/parallel/thread_ranks.h>
#include <qing/optim/training/data_parallel.h>
#include <qing/tensor/creation.h>
#include <qing/tensor/errors.h>

int main(int argc, char** argv) try {
  using namespace qing;
  const int ranks = argc > 1 ? std::atoi(argv[1]) : 2;
  if (ranks < 1) {
    std::fprintf(stderr, "usage: %s [RANKS], from 1 on\n", argv[0]);
    return 2;
  }
  optim::run_thread_ranks(ranks, [](optim::Communicator& rank) {
    Generator rng(1);
    const Tensor points = randn({1000, 2}, rng), distances = sum(points * points, {1});
    const Tensor inside = zeros({1000}, DType::i64);
    for (int64_t i = 0; i < 1000; ++i) inside[i].fill(distances.at({i}) < 1.4);

    nn::Sequential model(nn::Linear(2, 32, rng), nn::Tanh(), nn::Linear(32, 2, rng));
    model.set_requires_grad(true);
    optim::AdamW adamw(model.parameters(), {.lr = 0.02});
    optim::training::DataParallel parallel(model, adamw, rank);  // 1. all ranks begin with the weights of rank 0
    for (int step = 0; step <= 200; ++step) {
      const double loss = parallel.backward(8, [&](int chunk) {  // 2. each rank computes some of the 8 chunks
        const int64_t first = 125 * chunk, last = first + 125;
        return cross_entropy(model(points.slice(0, first, last)), inside.slice(0, first, last));
      });
      parallel.step();  // 3. all ranks take the same step
      if (rank.is_first() && step % 50 == 0) std::printf("step %3d   loss %.9f\n", step, loss);
    }
  });
} catch (const qing::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
