// Data-parallel training: every rank has the whole model and computes a part of each batch.
//
//   DataParallel parallel(model, adamw, rank);                  // all ranks begin with the weights of rank 0
//   const double loss = parallel.backward(8, [&](int chunk) {   // the mean loss of each of 8 chunks of a batch
//     return loss_of(rows of the chunk);
//   });
//   parallel.step();
//
// The gradients of the chunks are summed in the order of a fixed tree (parallel/chunk_tree.h). Weights therefore have
// the same bits for any number of ranks and of threads, if the ranks' CPUs have the same instruction set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include <qing/nn/module.h>
#include <qing/optim/optimizer_base.h>
#include <qing/optim/parallel/communicator.h>
#include <qing/optim/parallel/slow_ranks.h>
#include <qing/optim/parallel/wire.h>

namespace qing::optim::training {

/// A part of a batch.
struct BatchChunk {
  int64_t cost;   ///< about how long it takes, such as its number of tokens
  double weight;  ///< of its mean loss in that of the batch, such as its share of the texts; 0: it is empty
};

struct DataParallelOptions {
  int64_t bucket_bytes = int64_t{1} << 20;  ///< dense gradients travel together in buckets of about this size
  bool overlap = true;                      ///< buckets travel while backward goes on; false: after it
  /// f32, or bf16: dense f32 gradients travel in bf16, and what rounding loses is added in the next step. That halves
  /// the bytes. The bits then depend on the number of ranks, and a resumed training differs in the last bits.
  DType gradients = DType::f32;
  /// Divides the optimizer's states among the ranks (ZeRO, stage 1): each keeps those of some whole parameters, updates
  /// these in step() and sends them to the others. The bits do not change. divide_parameters() says whose are which.
  bool shard_optimizer = false;
  /// Called on rank 0 for a rank that keeps the others waiting.
  std::function<void(const SlowRank&)> on_slow_rank = {};
};

/// The rank of each parameter by their numbers of elements: from the largest to the smallest, each goes to the rank
/// that has the fewest elements, or to the first of several such. No rank has more than an equal share and the largest
/// one.
std::vector<int> divide_parameters(std::span<const int64_t> sizes, int ranks);

/// Every rank makes one, and calls the same members in the same order. Not thread-safe.
///
/// Dense gradients are reduced by all ranks, each its share, and sent back. The gradient of a table of which backward
/// writes few rows (row_grad()) travels as those rows. The first backward() finds out which parameters are such tables.
/// Buffers, such as batch norm's running statistics, stay each rank's own; rank 0 saves its own.
class DataParallel {
 public:
  /// All three must outlive it. DTypeError for gradients in another dtype; IoError when the ranks' parameters differ in
  /// number or size; all weights become those of rank 0.
  DataParallel(nn::Module& model, Optimizer& optimizer, Communicator& ranks, DataParallelOptions options = {});
  ~DataParallel();
  DataParallel(const DataParallel&) = delete;
  DataParallel& operator=(const DataParallel&) = delete;

  /// Replaces the gradients of the optimizer's parameters by those of Σ weight·loss, and returns this sum. Each rank
  /// calls loss(chunk) for some chunks, in order. It is the mean loss of the chunk: one element, recorded. What it
  /// draws at random must depend on the chunk, not on the chunks before. All ranks give the same chunks. ValueError
  /// without chunks or when all are empty; IoError when another rank fails.
  double backward(std::span<const BatchChunk> chunks, const std::function<Tensor(int chunk)>& loss);
  /// As above, for chunks of equal cost and weight.
  double backward(int chunks, const std::function<Tensor(int chunk)>& loss);
  /// The optimizer's step with the gradients times `gradient_scale`. With divided states all parameters are those of
  /// the ranks that own them afterwards; IoError when another rank fails.
  void step(double gradient_scale = 1);

  /// Whether the optimizer's states are divided. False for a single rank.
  bool shards_optimizer() const { return !owner_.empty(); }
  /// Gives rank 0 the optimizer's state as one that is not divided has it. On the others it is empty. Rank 0 holds the
  /// states of all ranks in memory as long as it keeps the result.
  StateDict gather_optimizer();
  /// Gives all ranks an undivided state of rank 0, of which each keeps its own part. Those of other ranks do not count.
  void scatter_optimizer(const StateDict& state);

  Communicator& ranks() { return ranks_; }

 private:
  struct Step;
  struct Layout;

  void check_ranks(nn::Module& model);
  void compute(Step& step, const std::function<Tensor(int chunk)>& loss);
  void collect(Step& step, size_t parameter, int chunk);
  void plan_buckets(Step& step);
  void submit_ready(Step& step, bool all);
  double finish(Step& step);
  void share_updates();

  Optimizer& optimizer_;
  Communicator& ranks_;
  DataParallelOptions options_;
  std::vector<Tensor> parameters_;
  std::vector<int64_t> sizes_;
  std::vector<int> owner_;          // by parameter, of divided states
  std::unique_ptr<Layout> layout_;  // null before the first backward()
  SlowRanks slow_;
  std::unique_ptr<Wire> wire_;  // null for a single rank
};

}  // namespace qing::optim::training
