// Measures inference of a model folder on a user's texts: qing, and the engines that a Python has, in processes of
// their own that take turns.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace qing::serve::cli {

struct BenchOptions {
  std::filesystem::path model;
  std::vector<std::string> texts;                                           ///< in the order of their arrival
  std::vector<std::string> precisions = {"f32", "int8"};                    ///< f32, bf16, int8
  std::vector<int64_t> batches = {1, 32};                                   ///< texts of a call
  std::vector<std::string> engines = {"onnxruntime", "openvino", "torch"};  ///< beside qing
  std::string python = "python3";
  int64_t rounds = 5;
  int threads = 1;
};

/// Of calls with one number of texts, over all rounds.
struct BatchSpeed {
  int64_t batch = 0;
  double texts_per_second = 0, tokens_per_second = 0;  ///< the median of the rounds
  double p50 = 0, p95 = 0, p99 = 0;                    ///< seconds of a call
  double against_first = 0;  ///< the median of the rounds' quotients of texts per second, by the first engine's
};

struct EngineResult {
  std::string engine, version, precision;
  std::string absent;         ///< why there is nothing else here; empty for an engine that ran
  double ready_seconds = 0;   ///< from the start of loading to the first answer
  int64_t memory = 0;         ///< resident bytes of the process after all rounds
  int64_t memory_before = 0;  ///< and before the model was loaded
  int64_t tokens = 0;         ///< of all texts, with special ones
  double difference = 0;      ///< largest |a − b| of an output, by the largest |b|; b is the first engine's
  double same_labels = 1;     ///< share of the texts with the first engine's label
  std::vector<BatchSpeed> speeds;
};

struct BenchResult {
  std::string model;
  int64_t texts = 0, tokens = 0, longest = 0;  ///< tokens of all texts, and of the longest
  int64_t weights = 0;                         ///< bytes of the folder's files of weights
  std::string cpu, isa;
  int threads = 1;
  int64_t rounds = 0;
  bool embeds = false;
  std::vector<EngineResult> engines;  ///< the first is qing in the first precision
};

/// An engine that cannot be found or cannot run the model is in the result as absent. ValueError without texts, and for
/// an unknown precision or engine; IoError, DataError for a model or texts that qing refuses.
BenchResult bench_inference(const BenchOptions& options);

/// The value below which `share` of the ascending values are: the nearest rank. 0 without values.
double percentile(const std::vector<double>& ascending, double share);

/// The texts of a file in their order, at most `most` of them unless that is 0: the column of a table (nn/data), or the
/// lines of a text that are not blank. IoError, DataError.
std::vector<std::string> read_texts(const std::filesystem::path& file, const std::string& column, int64_t most);

}  // namespace qing::serve::cli
