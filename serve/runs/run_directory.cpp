#include <qing/serve/runs/run_directory.h>

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include <qing/optim/training/checkpoint.h>
#include <qing/serve/common/usage_error.h>
#include <qing/tensor/files.h>
#include <qing/tensor/folders.h>

namespace qing::serve::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRun = "run";
constexpr const char* kAside = ".run-before";
constexpr const char* kRecord = "run.json";
constexpr const char* kExtended = "extended";  // a state: no checkpoint yet beyond the end of the earlier run
constexpr const char* kConfig = "config.toml";

[[noreturn]] void fail(const fs::path& path, const char* what, const std::string& reason) {
  throw IoError(fmt::format("{}: cannot {}: {}", path.string(), what, reason));
}

int64_t last_checkpoint(const fs::path& run) {
  const std::vector<int64_t> steps = optim::checkpoint_steps(run / "checkpoints");
  return steps.empty() ? 0 : steps.back();
}

// A folder that a process created just before it was killed has at most the temporary file of the record.
bool is_foreign(const fs::path& run) {
  if (fs::exists(run / kRecord)) return false;
  return std::ranges::any_of(entries_of(run), [](const fs::directory_entry& entry) {
    return !entry.path().filename().string().starts_with(kRecord);
  });
}

}  // namespace

RunDirectory::RunDirectory(fs::path out, RunRecord record, Begin begin)
    : out_(std::move(out)), run_(out_ / kRun), aside_(out_ / kAside), record_(std::move(record)) {
  try {
    created_ = fs::create_directories(out_);
    lock();
    prepare(begin);
  } catch (const fs::filesystem_error& error) {
    restore();
    fail(error.path1(), "prepare the run", error.code().message());
  } catch (...) {
    restore();
    throw;
  }
}

RunDirectory::~RunDirectory() { restore(); }

void RunDirectory::lock() {
  lock_ = open(out_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock_ < 0) fail(out_, "open", std::strerror(errno));
  // The kernel releases the lock however the process ends.
  if (flock(lock_, LOCK_EX | LOCK_NB) == 0) return;
  const bool taken = errno == EWOULDBLOCK;
  fail(out_, "train", taken ? "another process trains into this folder; use another" : std::strerror(errno));
}

void RunDirectory::prepare(Begin begin) {
  old_model_ = model_identity();
  if (fs::exists(run_)) {
    if (is_foreign(run_)) {
      throw UsageError(
          fmt::format("{}: is not a folder of qing {}; use another --out", run_.string(), record_.command));
    }
    if (begin == Begin::resume && fs::exists(run_ / kRecord)) {
      resume_from(read_record(run_ / kRecord));
    } else {
      if (begin == Begin::anew) check_finished();
      remove_tree(aside_);
      fs::rename(run_, aside_);
    }
  }
  fresh_ = !resumed_;
  fs::create_directories(run_);
  resumed_step_ = last_checkpoint(run_);
  write_state(extended_ ? kExtended : "running", resumed_step_);
  write_config();
}

void RunDirectory::write_config() const {
  write_file_atomically(
      run_ / kConfig,
      fmt::format("# The training options of this model. Use: qing {} --config run/config.toml\n", record_.command) +
          to_toml(record_.settings));
}

void RunDirectory::replace_settings(Settings settings) {
  record_.settings = std::move(settings);
  write_record(run_ / kRecord, record_);
  write_config();
}

void RunDirectory::check_finished() const {
  const int64_t step = last_checkpoint(run_);
  if (step == 0 || !fs::exists(run_ / kRecord) || read_record(run_ / kRecord).state == "finished") return;
  throw UsageError(
      fmt::format("{} holds a training that stopped after step {}: continue it (qing {} --resume --out {}), or "
                  "replace it with --overwrite, or use another --out",
                  out_.string(), step, record_.command, out_.string()));
}

void RunDirectory::resume_from(const RunRecord& old) {
  resumed_ = true;
  // A training that was extended and killed before its next checkpoint begins its extension again.
  extended_ = (old.state == "finished" && extends(record_, old)) ||
              (old.state == kExtended && last_checkpoint(run_) == old.step);
  was_finished_ = old.state == "finished" && !extended_;
  const std::vector<std::string> found = changes(old, record_);
  if (found.empty()) return;
  throw UsageError(
      fmt::format("--resume: the training in {} was different: {}. Give only --out to use the options "
                  "in {}, or start a new training with --overwrite",
                  out_.string(), fmt::join(found, "; "), (run_ / kConfig).string()));
}

std::string RunDirectory::model_identity() const {
  struct stat status {};
  if (stat((out_ / "model.safetensors").c_str(), &status) != 0) return {};
  return fmt::format("{}:{}.{:09}", status.st_ino, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
}

bool RunDirectory::model_replaced() const { return model_identity() != old_model_; }

void RunDirectory::write_state(std::string state, int64_t step) {
  record_.state = std::move(state);
  record_.step = step;
  write_record(run_ / kRecord, record_);
}

void RunDirectory::restore() noexcept {
  try {
    if (fresh_ && (model_replaced() || last_checkpoint(run_) > 0)) {
      remove_tree(aside_);
    } else if (fresh_) {
      remove_tree(run_);
      if (fs::exists(aside_)) fs::rename(aside_, run_);
      if (created_ && entries_of(out_).empty()) fs::remove(out_);
    }
  } catch (const std::exception&) {  // the next run cleans up
  }
  if (lock_ >= 0) close(lock_);
  lock_ = -1;
}

std::optional<fs::path> recorded_config(const fs::path& out) {
  std::error_code none;
  const fs::path file = out / kRun / kConfig;
  return fs::exists(file, none) ? std::optional(file) : std::nullopt;
}

}  // namespace qing::serve::cli
