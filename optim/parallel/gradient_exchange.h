// The sums of gradients over all ranks, in the order of the tree (chunk_tree.h). Each rank has the largest nodes of its
// own chunks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <qing/optim/parallel/communicator.h>
#include <qing/optim/parallel/partial_gradient.h>

namespace qing::optim {

/// Which chunks the ranks have.
struct ChunkPlan {
  int chunks = 0;
  std::vector<ChunkRange> own;                 ///< by rank
  std::vector<std::vector<ChunkRange>> nodes;  ///< by rank: largest_nodes() of its chunks

  static ChunkPlan of(std::span<const int64_t> costs, int ranks);
};

/// Dense gradients of several parameters of one dtype, which travel together.
struct Bucket {
  std::vector<size_t> parameters;
  DType dtype = DType::f32;
  int64_t elements = 0;
};

/// The sums of a bucket: the parameters' elements one after the other, and which parameters have a gradient.
struct BucketSum {
  Tensor elements;
  std::vector<char> present;
};

/// The rounding errors of a bucket that travels in bf16 (error feedback, Seide et al. 2014): what a rank has lost of
/// the elements that it sent and of those that it summed. The next exchange adds them. f32 [elements].
struct BucketErrors {
  Tensor sent, summed;
  static BucketErrors none(int64_t elements);
};

/// Sums a bucket. `sums[i]` are this rank's nodes of parameter i, which are used up. Each rank sums its share of the
/// elements and sends it to all others, so a rank sends (ranks − 1) / ranks of the elements for each of its nodes and
/// for the result. `sizes` are the parameters' numbers of elements. All ranks call it with equal buckets and plans.
/// With `errors` the elements of an f32 bucket travel in bf16, so the sum depends on the number of ranks.
BucketSum sum_bucket(Communicator& ranks, const ChunkPlan& plan, const Bucket& bucket, std::span<ChunkSums> sums,
                     std::span<const int64_t> sizes, const BucketErrors* errors = nullptr);

/// What a rank tells the others at the end of a step.
struct StepNote {
  std::vector<double> losses;  ///< of its chunks
  double seconds = 0;          ///< of its computation
};

/// The gradients of tables, which travel by their rows, and the notes of all ranks.
struct RowSums {
  std::vector<PartialGradient> gradients;  ///< of the tables
  std::vector<StepNote> notes;             ///< by rank
};

/// Sums the gradients of the parameters `tables`, whose rows this rank sends to all others. `parameters` are those of
/// the model. All ranks call it with the same tables.
RowSums sum_rows(Communicator& ranks, const ChunkPlan& plan, std::span<const size_t> tables,
                 std::span<const Tensor> parameters, std::span<ChunkSums> sums, const StepNote& note);

}  // namespace qing::optim
