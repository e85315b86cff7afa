// Checkpoints of training: a folder with everything that the next process needs to continue to the same bits.
//
//   DIR/step-000000001200/        complete, or it would not have this name
//     checkpoint.json             the step, the names of the parts, every file's size
//     model.safetensors           or shards with their index (nn/formats/sharded_safetensors.h)
//     optimizer.safetensors, ...  one for each part
//
// A checkpoint is written to a temporary folder, synced, and gets its name by one rename. A process may therefore be
// killed at any moment: a folder with this name is complete, and the old checkpoint stays until the new one is
// complete.
#pragma once

#include <qing/nn/formats/sharded_safetensors.h>
#include <qing/nn/module.h>
#include <qing/optim/state.h>
#include <qing/tensor/random.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace qing::optim {

/// The parts of a checkpoint other than the model, by name: letters, digits and '_'.
using CheckpointParts = std::map<std::string, Stateful*>;
/// ValueError beginning with `who`, unless every part has an object and such a name other than "model".
void check_parts(const char* who, const CheckpointParts& parts);

/// A random generator as a part.
class GeneratorState : public Stateful {
 public:
  explicit GeneratorState(Generator& rng) : rng_(rng) {}
  StateDict state_dict() const override;
  void load_state_dict(const StateDict& state) override;

 private:
  Generator& rng_;
};

/// Any state that can be stored as bytes, such as the position in the data.
class BytesState : public Stateful {
 public:
  BytesState(std::function<std::string()> save, std::function<void(const std::string&)> load)
      : save_(std::move(save)), load_(std::move(load)) {}
  StateDict state_dict() const override;
  void load_state_dict(const StateDict& state) override;

 private:
  std::function<std::string()> save_;
  std::function<void(const std::string&)> load_;
};

struct CheckpointOptions {
  int64_t keep = 3;  ///< number of newest checkpoints that stay; 0: all
  int64_t max_shard_bytes = nn::kMaxShardBytes;
};

/// Writes checkpoints into a folder. Only one object at a time may write there. Not thread-safe.
class CheckpointWriter {
 public:
  /// Creates the folder and removes incomplete files of killed processes. ValueError for options out of range, IoError
  /// when the folder cannot be written or another process writes there.
  explicit CheckpointWriter(std::filesystem::path directory, CheckpointOptions options = {});
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  /// Writes a checkpoint, which replaces one of the same step, then removes old ones. Returns the folder of the new
  /// checkpoint. An IoError (for example a full disk) leaves all earlier checkpoints. ValueError for a negative step or
  /// an invalid name.
  std::filesystem::path save(int64_t step, nn::Module& model, const CheckpointParts& parts);

 private:
  void write(const std::filesystem::path& into, int64_t step, nn::Module& model, const CheckpointParts& parts) const;
  void clean() const;

  std::filesystem::path directory_;
  CheckpointOptions options_;
  int lock_;
};

/// Returns the steps of the complete checkpoints of a folder, ascending. None without the folder. A checkpoint is
/// incomplete if a file is missing or has another size than when it was written.
std::vector<int64_t> checkpoint_steps(const std::filesystem::path& directory);
/// Returns the complete checkpoint with the greatest step.
std::optional<std::filesystem::path> latest_checkpoint(const std::filesystem::path& directory);

/// Restores the model and all parts. Returns the step. Everything is read and compared first, and an error changes
/// nothing: DataError when the file is malformed, when the parts differ or one does not fit; IoError when a file cannot
/// be read; ValueError for a part that is null or has an invalid name. If a later part does not fit, the parts already
/// loaded get back a copy of their earlier state. After a std::bad_alloc the model may be half loaded.
int64_t load_checkpoint(const std::filesystem::path& checkpoint, nn::Module& model, const CheckpointParts& parts);

}  // namespace qing::optim
