// A contestant is a process that computes jobs with one library. benchmarks/compare sends the jobs to its stdin. Each
// library has its own process, so that their thread pools and symbols do not collide. Every contestant defines the
// functions of this header. contestant.cpp is shared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace qing::bench {

/// A job in f32 with row-major matrices:
///   gemm_nn m n k       C = A·B
///   gemm_nt m n k       C = A·Bᵀ, B stored n×k: a linear layer
///   exp, tanh, gelu (erf form), silu n
///   softmax, layer_norm rows columns
///   adamw n             one step, weights and moments in place
///   conv, conv_own images channels side filters kernel stride
///                       a convolution of square images with padding kernel/2. conv: tensors [images, channels, height,
///                       width], weights as the library keeps them. conv_own: images and results as the library
///                       prefers them, too
struct Job {
  std::string kind;
  std::vector<int64_t> sizes;

  int64_t size(size_t i) const { return sizes.at(i); }
};

/// Memory aligned for any vector, filled with numbers in [−1, 1) that depend only on `seed` and the index.
class Floats {
 public:
  explicit Floats(int64_t n, uint32_t seed = 0);
  float* data() const { return data_.get(); }
  std::span<const float> span() const { return {data_.get(), static_cast<size_t>(n_)}; }

 private:
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  int64_t n_;
  std::unique_ptr<float, Free> data_;
};

/// A job with its memory. `run` computes it once more.
struct Task {
  std::function<void()> run;
  std::function<std::span<const float>()> result;  ///< the result of the last run
};

// --- defined by each contestant ---

/// Returns name, version and the kernels in use, in one line.
std::string describe();
/// Returns nullopt for a job that the library has no function for. `variant` is the program's argument.
std::optional<Task> prepare(const Job& job, const std::string& variant);
/// Answers a question that only this contestant knows. Returns nullopt for an unknown question.
std::optional<std::string> answer(const Job& question);

}  // namespace qing::bench
