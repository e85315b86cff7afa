// The folder `run` in the model's folder: everything needed to monitor, resume and repeat a training.
//
//   DIR/config.json, model.safetensors, ...   the model: the best by the dev sets, or without them the last
//   DIR/README.md                             its card
//   DIR/run/config.toml                       every option, for --config
//   DIR/run/run.json                          the state, the options and the data files with their digests
//   DIR/run/metrics.jsonl                     one object per step and per evaluation
//   DIR/run/checkpoints/                      the last checkpoint
//   DIR/run/last/                             the last model, if it is not the best
//   DIR/run/teachers.safetensors              what the teachers predicted
//   DIR/run/loss.svg, confusion.svg
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include <qing/serve/runs/run_record.h>

namespace qing::serve::cli {

enum class Begin {
  anew,       ///< replaces a finished run; an unfinished run is refused
  overwrite,  ///< replaces any run
  resume,     ///< continues from the last checkpoint, if any
};

/// Not thread-safe. It locks the folder against other processes while it lives.
class RunDirectory {
 public:
  /// Creates the folders. UsageError when an unfinished run would be lost, or when the run to resume has other options
  /// or data; IoError when the folder cannot be written or another process trains into it; DataError for a damaged
  /// run.json.
  RunDirectory(std::filesystem::path out, RunRecord record, Begin begin);
  /// Restores the previous run unless the model was replaced or a checkpoint was written.
  ~RunDirectory();
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  std::filesystem::path path(const char* name) const { return run_ / name; }
  const std::filesystem::path& out() const { return out_; }
  const RunRecord& record() const { return record_; }
  /// The step from which training continues; 0 for a new run.
  int64_t resumed_step() const { return resumed_step_; }
  bool was_finished() const { return was_finished_; }  ///< of the resumed run, unless it is extended
  /// Whether the resumed run was finished and gets more epochs or steps.
  bool is_extended() const { return extended_; }
  /// Whether the model was replaced since the construction of this object.
  bool model_replaced() const;
  void write_state(std::string state, int64_t step);  ///< IoError
  /// Replaces the options of the run, which a search has found. IoError.
  void replace_settings(Settings settings);

 private:
  void lock();
  void prepare(Begin begin);
  void check_finished() const;
  void resume_from(const RunRecord& old);
  void write_config() const;
  std::string model_identity() const;
  void restore() noexcept;

  std::filesystem::path out_, run_, aside_;
  RunRecord record_;
  std::string old_model_;
  int64_t resumed_step_ = 0;
  bool created_ = false;  // the folder `out`
  bool fresh_ = false;    // the folder `run`
  bool resumed_ = false, was_finished_ = false, extended_ = false;
  int lock_ = -1;
};

/// The file that holds the options of the run in `out`, if there is a run.
std::optional<std::filesystem::path> recorded_config(const std::filesystem::path& out);

}  // namespace qing::serve::cli
