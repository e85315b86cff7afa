// A model of any task: what a server needs to know of a model that it lists, loads and describes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <qing/tensor/dtype.h>

namespace qing::nn {

/// Names of tasks, as config.json has them in its member "task". A file without it is of a classifier or, if it has
/// no head, of sentence embeddings.
inline constexpr std::string_view kClassification = "classification";
/// The task of a model of sentence embeddings. No config.json has it in its member "task".
inline constexpr std::string_view kEmbedding = "embedding";

/// A tensor that a model takes or gives, in the terms of the Open Inference Protocol (V2).
struct TensorDescription {
  std::string name;
  std::string datatype;             ///< "BYTES", "FP32", "UINT8", ...
  std::vector<std::int64_t> shape;  ///< -1: any size
};

/// Immutable after it is loaded, so any thread may use it.
class TaskModel {
 public:
  virtual ~TaskModel() = default;

  /// "classification", "embedding", "translation", "image", "tagging".
  virtual std::string_view task() const = 0;
  /// The names of the model's classes; none for a model without classes.
  virtual const std::vector<std::string>& labels() const;
  virtual DType precision() const { return DType::f32; }  ///< of the products of matrices
  /// Bytes of the weights and of the copies of them that products read. Weights that lie on the pages of a file count.
  virtual size_t weight_bytes() const { return 0; }
  /// The tensors of a request and of its answer. The first dimension is the batch.
  virtual std::vector<TensorDescription> inputs() const = 0;
  virtual std::vector<TensorDescription> outputs() const = 0;
  /// Whether this model can answer in place of `other` without a client noticing: the same task and classes.
  virtual bool can_replace(const TaskModel& other) const;
  /// What can_replace() compares, for messages to people: "the labels negative, positive", "vectors of 384 numbers".
  /// Of many names it has the first.
  virtual std::string answer_kind() const;
  /// Computes one small input, so that a model which cannot answer is found before it replaces another. Throws what an
  /// answer would throw; DataError for a result that is not finite.
  virtual void try_out() const = 0;
};

/// The task of the model in a folder: the member "task" of its config.json. Without it, an architecture that
/// transformers calls ...ForTokenClassification is "tagging", ...ForImageClassification is "image", and one that
/// translates (Marian, M2M-100, T5) is "translation"; all else, and a folder without a config.json, is
/// "classification". IoError; DataError naming the file when it is not JSON or the task is not a name.
std::string task_of(const std::filesystem::path& folder);
/// DataError naming the folder's config.json, its task and the one that is wanted, unless they are the same.
void require_task(const std::filesystem::path& folder, std::string_view task);

}  // namespace qing::nn
