#include <qing/optim/training/checkpoint.h>

#include <fcntl.h>
#include <fmt/format.h>
#include <qing/autograd/autograd.h>
#include <qing/nn/unique_keys.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/folders.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <boost/json.hpp>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <limits>
#include <new>
#include <string_view>
#include <system_error>

namespace qing::optim {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr const char* kManifest = "checkpoint.json";
constexpr std::string_view kFormat = "qing-checkpoint";
constexpr std::string_view kPrefix = "step-", kStaged = ".staged-", kRemoved = ".removed-";
constexpr const char* kModel = "model";

[[noreturn]] void fail(const fs::path& path, const char* what, const std::string& reason) {
  throw IoError(path.string() + ": cannot " + what + ": " + reason);
}

std::string name_of_step(int64_t step) { return fmt::format("{}{:012}", kPrefix, step); }

std::optional<int64_t> step_of_name(std::string_view name) {
  const std::string_view whole = name;
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  int64_t step = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), step);
  if (error != std::errc() || end != name.data() + name.size() || step < 0) return std::nullopt;
  if (name_of_step(step) != whole) return std::nullopt;  // a copy with another name
  return step;
}

bool good_name(std::string_view name) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !name.empty() && name != kModel && std::all_of(name.begin(), name.end(), good);
}

struct Manifest {
  int64_t step = 0;
  std::vector<std::string> parts;
};

// Reads the manifest and checks the size of every file, so that any incomplete checkpoint is detected.
Manifest read_manifest(const fs::path& checkpoint) {
  const fs::path path = checkpoint / kManifest;
  const auto fail = [&](const std::string& what) { throw DataError(path.string() + ": " + what); };
  const json::value value = nn::read_json_file(path);
  const auto member = [&](const char* name, bool good, const char* need) {
    if (!good) fail(fmt::format("{} is missing or not {}", name, need));
  };
  const json::object* object = value.if_object();
  if (object == nullptr) fail("is not an object");
  const json::value* format = object->if_contains("format");
  const json::value* version = object->if_contains("version");
  const json::value* step = object->if_contains("step");
  const json::value* parts = object->if_contains("parts");
  const json::value* files = object->if_contains("files");
  member("format", format != nullptr && *format == json::value(kFormat), "qing-checkpoint");
  member("version", version != nullptr && version->is_int64() && version->get_int64() == 1, "1");
  member("step", step != nullptr && step->is_int64() && step->get_int64() >= 0, "an integer from 0");
  member("parts", parts != nullptr && parts->is_array(), "an array");
  member("files", files != nullptr && files->is_object(), "an object");
  Manifest manifest{.step = step->get_int64(), .parts = {}};
  for (const json::value& part : parts->get_array()) {
    if (!part.is_string() || !good_name(part.get_string())) fail("a part has an invalid name");
    manifest.parts.emplace_back(part.get_string());
  }
  for (const auto& [name, size] : files->get_object()) {
    const std::string file(name);
    if (file.empty() || file.find('/') != file.npos || !size.is_int64()) fail("a file is not a name and a size");
    std::error_code missing;
    const uint64_t bytes = fs::file_size(checkpoint / file, missing);
    if (missing) fail(fmt::format("{} is missing", file));
    if (bytes != static_cast<uint64_t>(size.get_int64())) {
      fail(fmt::format("{} has {} bytes, was written with {}", file, bytes, size.get_int64()));
    }
  }
  return manifest;
}

bool complete(const fs::path& checkpoint) {
  try {
    read_manifest(checkpoint);
    return true;
  } catch (const Error&) { return false; }
}

// Refuses other dtypes. Module::load_state_dict would convert, but a run resumed in another precision is another run.
void check_dtypes(const fs::path& checkpoint, nn::Module& model, const StateDict& weights) {
  std::vector<std::string> problems;
  for (const auto& [name, tensor] : model.state_dict()) {
    const auto given = weights.find(name);
    if (given == weights.end() || given->second.dtype() == tensor.dtype()) continue;
    problems.push_back(
        fmt::format("{} is {}, needs {}", name, name_of(given->second.dtype()), name_of(tensor.dtype())));
  }
  if (!problems.empty()) {
    throw DataError(fmt::format("{}: {} mismatches of dtypes: {}; convert the model with Module::to",
                                checkpoint.string(), problems.size(), fmt::join(problems, "; ")));
  }
}

StateDict detached(const StateDict& state) {
  StateDict result;
  for (const auto& [name, tensor] : state) result.emplace(name, detach(tensor));
  return result;
}

StateDict cloned(const StateDict& state) {
  StateDict result;
  for (const auto& [name, tensor] : state) result.emplace(name, detach(tensor).clone());
  return result;
}

// Restores the earlier state of each part. Returns which parts could not be restored, "" if all could.
std::string roll_back(const std::vector<std::pair<Stateful*, StateDict>>& touched) {
  std::string failed;
  for (const auto& [part, old] : touched) {
    try {
      part->load_state_dict(old);
    } catch (const std::exception& error) {
      failed += fmt::format("; the old state of a part could not be restored either: {}", error.what());
    }
  }
  return failed;
}

}  // namespace

// --- parts ---

void check_parts(const char* who, const CheckpointParts& parts) {
  for (const auto& [name, part] : parts) {
    if (good_name(name) && part != nullptr) continue;
    throw ValueError(
        fmt::format("{}: '{}' cannot be a part; it needs an object and a name of letters, digits and '_' "
                    "other than '{}'",
                    who, name, kModel));
  }
}

StateDict GeneratorState::state_dict() const {
  return {{"seed", integer_state(std::bit_cast<int64_t>(rng_.seed()))},
          {"stream", integer_state(std::bit_cast<int64_t>(rng_.stream()))}};
}

void GeneratorState::load_state_dict(const StateDict& state) {
  constexpr int64_t any = std::numeric_limits<int64_t>::min();
  StateReader from("Generator: load_state_dict", state);
  const int64_t seed = from.integer("seed", any), stream = from.integer("stream", any);
  from.finish();
  rng_.restore(std::bit_cast<uint64_t>(seed), std::bit_cast<uint64_t>(stream));
}

StateDict BytesState::state_dict() const {
  const std::string bytes = save_();
  const std::span<const uint8_t> view(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  return {{"bytes", Tensor::from<uint8_t>(view, {static_cast<int64_t>(bytes.size())})}};
}

void BytesState::load_state_dict(const StateDict& state) {
  StateReader from("BytesState: load_state_dict", state);
  const auto found = state.find("bytes");
  const Shape shape = found != state.end() && found->second.dim() == 1 ? found->second.shape() : Shape{0};
  const Tensor bytes = from.tensor("bytes", shape, DType::u8);
  from.finish();
  const auto view = bytes.span<uint8_t>();
  load_(std::string(view.begin(), view.end()));
}

// --- writing ---

CheckpointWriter::CheckpointWriter(fs::path directory, CheckpointOptions options)
    : directory_(std::move(directory)), options_(options) {
  if (options.keep < 0 || options.max_shard_bytes <= 0) {
    throw ValueError(
        fmt::format("CheckpointWriter: keep is {}, max_shard_bytes is {}; they must be at least 0 and above 0",
                    options.keep, options.max_shard_bytes));
  }
  std::error_code error;
  fs::create_directories(directory_, error);
  if (error) fail(directory_, "create the folder", error.message());
  const fs::path lock = directory_ / ".lock";
  lock_ = open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0) fail(lock, "open", std::strerror(errno));
  // The kernel releases the lock however the process ends.
  if (flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    close(lock_);
    if (reason == EWOULDBLOCK) fail(directory_, "write checkpoints", "another process does; use another folder");
    fail(lock, "lock", std::strerror(reason));
  }
  try {
    clean();
  } catch (...) {
    close(lock_);
    throw;
  }
}

CheckpointWriter::~CheckpointWriter() { close(lock_); }

void CheckpointWriter::clean() const {
  std::vector<fs::path> rests;
  for (const auto& entry : entries_of(directory_)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(kStaged) || name.starts_with(kRemoved)) rests.push_back(entry.path());
  }
  for (const fs::path& path : rests) {
    std::error_code error;
    remove_tree(path, error);
    if (error) fail(path, "remove", error.message());
  }
}

void CheckpointWriter::write(const fs::path& into, int64_t step, nn::Module& model,
                             const CheckpointParts& parts) const {
  nn::save_sharded_safetensors(into, {.tensors = detached(model.state_dict()), .metadata = {}},
                               options_.max_shard_bytes, kModel);
  json::array names;
  for (const auto& [name, part] : parts) {
    nn::save_safetensors(into / (name + ".safetensors"), {.tensors = detached(part->state_dict()), .metadata = {}});
    names.emplace_back(name);
  }
  json::object files;
  for (const auto& entry : entries_of(into)) {
    files[entry.path().filename().string()] = static_cast<int64_t>(fs::file_size(entry.path()));
  }
  const json::object manifest{{"format", kFormat}, {"version", 1}, {"step", step}, {"parts", names}, {"files", files}};
  write_file_atomically(into / kManifest, json::serialize(manifest));
}

fs::path CheckpointWriter::save(int64_t step, nn::Module& model, const CheckpointParts& parts) {
  if (step < 0) throw ValueError(fmt::format("CheckpointWriter: step is {}; it must be at least 0", step));
  check_parts("CheckpointWriter", parts);
  const std::string name = name_of_step(step);
  const fs::path staged = directory_ / (std::string(kStaged) + name);
  fs::path target = directory_ / name;
  try {
    fs::create_directory(staged);
    write(staged, step, model, parts);
    sync_folder(staged);
    if (fs::exists(target)) {
      // The two names are exchanged in one step, so that a complete checkpoint exists at any moment.
      if (renameat2(AT_FDCWD, staged.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) != 0) {
        fail(target, "replace", std::strerror(errno));
      }
    } else {
      fs::rename(staged, target);
    }
    sync_folder(directory_);
    const std::vector<int64_t> steps = checkpoint_steps(directory_);
    const auto keep = options_.keep == 0 ? steps.size() : static_cast<size_t>(options_.keep);
    for (size_t i = 0; i + keep < steps.size(); ++i) {
      // It is renamed first, because a half-removed checkpoint under its own name would look complete.
      if (steps[i] != step)
        fs::rename(directory_ / name_of_step(steps[i]), directory_ / (std::string(kRemoved) + name_of_step(steps[i])));
    }
    clean();
  } catch (const fs::filesystem_error& error) {
    std::error_code ignored;
    remove_tree(staged, ignored);
    fail(error.path1(), "write a checkpoint", error.code().message());
  } catch (...) {
    std::error_code ignored;
    remove_tree(staged, ignored);
    throw;
  }
  return target;
}

// --- reading ---

std::vector<int64_t> checkpoint_steps(const fs::path& directory) {
  std::vector<int64_t> steps;
  std::error_code error;
  for (const auto& entry : entries_of(directory, error)) {
    const auto step = step_of_name(entry.path().filename().string());
    if (step && complete(entry.path())) steps.push_back(*step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

std::optional<fs::path> latest_checkpoint(const fs::path& directory) {
  const std::vector<int64_t> steps = checkpoint_steps(directory);
  if (steps.empty()) return std::nullopt;
  return directory / name_of_step(steps.back());
}

int64_t load_checkpoint(const fs::path& checkpoint, nn::Module& model, const CheckpointParts& parts) {
  check_parts("load_checkpoint", parts);
  const Manifest manifest = read_manifest(checkpoint);
  std::vector<std::string> problems;
  for (const auto& [name, part] : parts) {
    if (std::count(manifest.parts.begin(), manifest.parts.end(), name) == 0) problems.push_back("missing " + name);
  }
  for (const std::string& name : manifest.parts) {
    if (parts.count(name) == 0) problems.push_back("unknown " + name);
  }
  if (!problems.empty()) {
    throw DataError(
        fmt::format("{}: {} mismatches of parts: {}", checkpoint.string(), problems.size(), fmt::join(problems, "; ")));
  }
  const nn::SafetensorsFile weights = nn::load_sharded_safetensors(checkpoint, kModel);
  check_dtypes(checkpoint, model, weights.tensors);
  std::map<std::string, StateDict> states;
  for (const auto& [name, part] : parts) {
    states[name] = nn::load_safetensors(checkpoint / (name + ".safetensors")).tensors;
  }

  // A part may load into its own tensors and fail half-way, so its state is copied before loading. The model is loaded
  // last and changes nothing if the state does not fit.
  std::vector<std::pair<Stateful*, StateDict>> touched;
  std::string current;
  try {
    for (const auto& [name, part] : parts) {
      current = name;
      touched.emplace_back(part, cloned(part->state_dict()));
      part->load_state_dict(states.at(name));
    }
    current = kModel;
    model.load_state_dict(weights.tensors);
  } catch (const std::bad_alloc&) {
    roll_back(touched);
    throw;
  } catch (const std::exception& error) {  // a user's part may throw anything
    const std::string failed = roll_back(touched);
    throw DataError(fmt::format("{}: {}: {}{}", checkpoint.string(), current, error.what(), failed));
  }
  return manifest.step;
}

}  // namespace qing::optim
