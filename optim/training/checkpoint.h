// Checkpoints of training: a folder with everything that the next process needs to go on to the bit.
//
//   DIR/step-000000001200/        complete, or it would not have this name
//     checkpoint.json             the step, the names of the parts, every file's size
//     model.safetensors           or shards with their index (nn/formats/sharded_safetensors.h)
//     optimizer.safetensors, ...  one for each part
//
// A checkpoint is written beside the others, every file synced, and gets its name by one rename. So a process may die
// at any moment: what has the name is whole, and what was there stays until the new one is.
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

/// What a checkpoint holds beside the model, by name: letters, digits and '_'.
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

/// Anything that can tell its state as bytes, such as the position in the data.
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
  int64_t keep = 3;  ///< the newest that stay; 0: all
  int64_t max_shard_bytes = nn::kMaxShardBytes;
};

/// The right to write into a folder of checkpoints, which one object at a time has. Not thread-safe.
class CheckpointWriter {
 public:
  /// Creates the folder and removes what a killed process left half-done. ValueError on options out of range, IoError
  /// when the folder cannot be written or another process writes there.
  explicit CheckpointWriter(std::filesystem::path directory, CheckpointOptions options = {});
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  /// Returns the folder of the new checkpoint, which takes the place of one of the same step; then removes old ones.
  /// IoError (a full disk, say) leaves all earlier checkpoints. ValueError: a negative step, a name that is none.
  std::filesystem::path save(int64_t step, nn::Module& model, const CheckpointParts& parts);

 private:
  void write(const std::filesystem::path& into, int64_t step, nn::Module& model, const CheckpointParts& parts) const;
  void clean() const;

  std::filesystem::path directory_;
  CheckpointOptions options_;
  int lock_;
};

/// The steps of the complete checkpoints of a folder, ascending; none when there is no folder. One whose files are
/// missing or have another size than they were written with is not complete.
std::vector<int64_t> checkpoint_steps(const std::filesystem::path& directory);
/// The complete checkpoint with the greatest step.
std::optional<std::filesystem::path> latest_checkpoint(const std::filesystem::path& directory);

/// Restores the model and all parts; returns the step. Everything is read and compared first, and on any error nothing
/// has changed: DataError when the file is malformed, or the parts are not the same, or one does not fit; IoError when
/// a file cannot be read; ValueError for a part that is null or has no good name. Parts that were loaded when a later
/// one does not fit get back a copy of what they had.
int64_t load_checkpoint(const std::filesystem::path& checkpoint, nn::Module& model, const CheckpointParts& parts);

}  // namespace qing::optim
