#include <qing/serve/bench/inference_bench.h>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include <qing/nn/exports/export_model.h>
#include <qing/nn/models/sentence_embedding.h>
#include <qing/serve/bench/qing_engine.h>
#include <qing/serve/bench/worker.h>
#include <qing/serve/common/version.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/machine.h>

namespace qing::serve::cli {

extern const std::string_view kBenchEngines;  // bench_engines.py

namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::string_view kQing = "qing";

// A folder that goes with its owner.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "qing-bench-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw IoError(name + ": cannot create it: " + std::strerror(errno));
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code none;
    fs::remove_all(path_, none);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

json::object answered(Worker& worker, const std::string& line) {
  std::error_code error;
  json::value value = json::parse(worker.ask(line), error);
  if (error || !value.is_object()) throw IoError("an engine's answer is no JSON object");
  return std::move(value.get_object());
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// What one engine gives in the rounds.
struct Contestant {
  EngineResult result;
  std::unique_ptr<Worker> worker = nullptr;
  std::vector<std::vector<std::vector<double>>> seconds = {};  // of each call, by batch and round
  std::vector<float> outputs = {};
  size_t width = 0;
};

class Bench {
 public:
  explicit Bench(const BenchOptions& options) : o_(options) {}

  BenchResult run() {
    // Processes of qing begin as copies of this one, which has nothing yet that would count as their memory.
    for (const std::string& precision : o_.precisions) start_qing(precision);
    first_load();
    for (const std::string& engine : o_.engines) {
      for (const std::string& precision : o_.precisions) start_engine(engine, precision);
    }
    for (Contestant& one : contestants_) read_outputs(one);
    for (int64_t round = 0; round < o_.rounds; ++round) run_round(round);
    for (Contestant& one : contestants_) finish(one);
    for (Contestant& one : contestants_) result_.engines.push_back(std::move(one.result));
    return std::move(result_);
  }

 private:
  static bool runs(const Contestant& one) { return one.worker != nullptr; }

  // Runs a part of an engine's work. The failure of another engine makes it absent, and nothing else fails.
  template <class F> void attempt(Contestant& one, const F& work) {
    if (!runs(one)) return;
    try {
      work();
    } catch (const Error& error) {
      if (one.result.engine == kQing) throw;
      std::string why = error.what();
      const std::string own = one.result.engine + ": ";
      if (why.starts_with(own)) why.erase(0, own.size());
      one.result.absent = why;
      one.worker = nullptr;
    }
  }

  void start_qing(const std::string& precision) {
    setups_.push_back(std::make_unique<EngineSetup>(
        EngineSetup{.model = o_.model, .texts = o_.texts, .precision = precision, .threads = o_.threads}));
    Contestant& one = contestants_.emplace_back();
    one.result.engine = kQing;
    one.result.precision = precision;
    one.worker = std::make_unique<Worker>(std::string(kQing), qing_engine(*setups_.back()));
  }

  // A model that qing cannot load ends the command; another engine that cannot is absent.
  void first_load() {
    json::object loaded;
    for (Contestant& one : contestants_) {
      const json::object answer = answered(*one.worker, "load");
      take_load(one, answer);
      if (&one == &contestants_.front()) loaded = answer;
    }
    const auto number = [&](const char* name) { return loaded.at(name).to_number<int64_t>(); };
    result_.model = o_.model.string();
    result_.texts = std::ssize(o_.texts);
    result_.tokens = number("tokens");
    result_.longest = number("longest");
    result_.embeds = loaded.at("embeds").as_bool();
    pooling_ = std::string(loaded.at("pooling").as_string());
    normalize_ = loaded.at("normalize").as_bool();
    max_length_ = number("max_length");
    for (const auto& entry : fs::directory_iterator(o_.model)) {
      const fs::path suffix = entry.path().extension();
      if (suffix == ".safetensors" || suffix == ".bin") result_.weights += static_cast<int64_t>(entry.file_size());
    }
    result_.cpu = cpu_name();
    result_.isa = kernels::name_of(kernels::active_isa());
    result_.threads = o_.threads;
    result_.rounds = o_.rounds;
  }

  static void take_load(Contestant& one, const json::object& answer) {
    one.result.version = std::string(answer.at("version").as_string());
    one.result.memory_before = answer.at("memory").to_number<int64_t>();
    one.result.ready_seconds = answer.at("ready").to_number<double>();
    one.result.tokens = answer.at("tokens").to_number<int64_t>();
  }

  void start_engine(const std::string& engine, const std::string& precision) {
    Contestant& one = contestants_.emplace_back();
    one.result.engine = engine;
    one.result.precision = precision;
    const bool is_torch = engine == "torch";
    if ((is_torch && precision == "int8") || (engine == "onnxruntime" && precision == "bf16")) {
      one.result.absent = "has no products of this precision on a CPU that this comparison could use";
      return;
    }
    try {
      const std::string name = engine + "-" + precision;
      json::object setup = {{"engine", engine},
                            {"precision", precision},
                            {"threads", o_.threads},
                            {"texts", texts_file().string()},
                            {"embeds", result_.embeds},
                            {"pooling", pooling_},
                            {"normalize", normalize_},
                            {"max_length", max_length_},
                            {"model", nullptr},
                            {"onnx", nullptr},
                            {"code", false}};
      if (is_torch) {
        const auto& [folder, code] = torch_folder();
        setup["model"] = folder.string();
        setup["code"] = code;
      } else {
        // OpenVINO compresses the weights itself, which is its fastest form of int8.
        const bool in_bytes = precision == "int8" && engine != "openvino";
        setup["onnx"] = exported(in_bytes ? nn::ExportFormat::onnx_int8 : nn::ExportFormat::onnx).string();
      }
      const fs::path file = folder_.path() / (name + ".json"), program = folder_.path() / "bench_engines.py";
      write_file_atomically(file, json::serialize(setup));
      write_file_atomically(program, kBenchEngines);
      const std::vector<std::string> command{o_.python, program.string(), file.string()};
      one.worker = std::make_unique<Worker>(engine, command, folder_.path() / (name + ".log"));
    } catch (const Error& error) { one.result.absent = std::string("qing export: ") + error.what(); }
    attempt(one, [&] { take_load(one, answered(*one.worker, "load")); });
  }

  fs::path texts_file() {
    fs::path file = folder_.path() / "texts.json";
    if (!fs::exists(file)) write_file_atomically(file, json::serialize(json::array(o_.texts.begin(), o_.texts.end())));
    return file;
  }

  // Written once for all engines; the refusal is thrown again for each.
  fs::path exported(nn::ExportFormat format) {
    fs::path out = folder_.path() / nn::export_format_names()[static_cast<size_t>(format)];
    if (!fs::exists(out) || fs::is_empty(out)) nn::export_model(o_.model, format, out);
    return out;
  }

  // Where `transformers` finds the model, and whether it comes with code of its own. A classifier that no export holds
  // is one that stands in the folder as transformers wrote it.
  const std::pair<fs::path, bool>& torch_folder() {
    if (torch_folder_) return *torch_folder_;
    torch_folder_ = {fs::absolute(o_.model), false};
    if (!result_.embeds) {
      try {
        const fs::path out = exported(nn::ExportFormat::hf);
        torch_folder_ = {out, fs::exists(out / "modeling_qing.py")};
      } catch (const Error&) {}  // another family
    }
    return *torch_folder_;
  }

  void read_outputs(Contestant& one) {
    attempt(one, [&] {
      const fs::path file = folder_.path() / "outputs.f32";
      one.width =
          static_cast<size_t>(answered(*one.worker, "outputs " + file.string()).at("width").to_number<int64_t>());
      const std::string bytes = read_file(file);
      one.outputs.resize(bytes.size() / sizeof(float));
      std::memcpy(one.outputs.data(), bytes.data(), one.outputs.size() * sizeof(float));
      const Contestant& first = contestants_.front();
      if (one.width != first.width || one.outputs.size() != o_.texts.size() * one.width) {
        throw IoError(one.result.engine + ": gives outputs of another size");
      }
      compare(one, first);
    });
  }

  static void compare(Contestant& one, const Contestant& first) {
    float largest = 0, difference = 0;
    size_t same = 0;
    const size_t texts = first.outputs.size() / first.width;
    for (size_t i = 0; i < first.outputs.size(); ++i) {
      largest = std::max(largest, std::abs(first.outputs[i]));
      difference = std::max(difference, std::abs(one.outputs[i] - first.outputs[i]));
    }
    for (size_t i = 0; i < texts; ++i) {
      const auto label = [&](const std::vector<float>& outputs) {
        const auto row = std::span(outputs).subspan(i * first.width, first.width);
        return std::ranges::max_element(row) - row.begin();
      };
      same += label(one.outputs) == label(first.outputs) ? 1 : 0;
    }
    one.result.difference = largest > 0 ? difference / largest : 0;
    one.result.same_labels = static_cast<double>(same) / static_cast<double>(texts);
  }

  // Every engine runs all texts; which one begins changes, so that none always runs on a machine that is warm.
  void run_round(int64_t round) {
    for (size_t b = 0; b < o_.batches.size(); ++b) {
      for (size_t i = 0; i < contestants_.size(); ++i) {
        Contestant& one = contestants_[(i + static_cast<size_t>(round)) % contestants_.size()];
        attempt(one, [&] {
          const json::object answer = answered(*one.worker, fmt::format("round {}", o_.batches[b]));
          std::vector<double> seconds;
          for (const json::value& each : answer.at("seconds").as_array()) seconds.push_back(each.to_number<double>());
          one.seconds.resize(o_.batches.size());
          one.seconds[b].push_back(std::move(seconds));
        });
      }
    }
  }

  void finish(Contestant& one) {
    attempt(one, [&] { one.result.memory = answered(*one.worker, "memory").at("memory").to_number<int64_t>(); });
    if (!runs(one)) return;
    const auto total = [](const std::vector<double>& calls) { return std::reduce(calls.begin(), calls.end(), 0.0); };
    const Contestant& first = contestants_.front();
    for (size_t b = 0; b < o_.batches.size(); ++b) {
      std::vector<double> speeds, quotients, calls;
      for (size_t round = 0; round < one.seconds[b].size(); ++round) {
        const std::vector<double>& seconds = one.seconds[b][round];
        speeds.push_back(static_cast<double>(o_.texts.size()) / total(seconds));
        quotients.push_back(total(first.seconds[b][round]) / total(seconds));
        calls.insert(calls.end(), seconds.begin(), seconds.end());
      }
      std::ranges::sort(calls);
      const double speed = median(speeds);
      one.result.speeds.push_back(
          {.batch = o_.batches[b],
           .texts_per_second = speed,
           .tokens_per_second = speed * static_cast<double>(result_.tokens) / static_cast<double>(result_.texts),
           .p50 = percentile(calls, 0.5),
           .p95 = percentile(calls, 0.95),
           .p99 = percentile(calls, 0.99),
           .against_first = median(quotients)});
    }
  }

  const BenchOptions& o_;
  const TemporaryFolder folder_;
  BenchResult result_;
  std::vector<std::unique_ptr<EngineSetup>> setups_;
  std::vector<Contestant> contestants_;
  std::string pooling_;
  bool normalize_ = false;
  int64_t max_length_ = 0;
  std::optional<std::pair<fs::path, bool>> torch_folder_;
};

void check_among(const char* what, const std::vector<std::string>& values, const std::set<std::string>& known) {
  for (const std::string& value : values) {
    if (known.count(value) == 0) {
      throw ValueError(fmt::format("bench: '{}' is no {}; there are {}", value, what, fmt::join(known, ", ")));
    }
  }
}

}  // namespace

double percentile(const std::vector<double>& ascending, double share) {
  if (ascending.empty()) return 0;
  const double rank = std::ceil(share * static_cast<double>(ascending.size()));
  const size_t index = static_cast<size_t>(std::max(rank, 1.0)) - 1;
  return ascending[std::min(index, ascending.size() - 1)];
}

BenchResult bench_inference(const BenchOptions& options) {
  if (options.texts.empty()) throw ValueError("bench: there are no texts; give a file with some");
  if (options.precisions.empty() || options.batches.empty() || options.rounds < 1 || options.threads < 1 ||
      *std::ranges::min_element(options.batches) < 1) {
    throw ValueError("bench: needs a precision, and batches, rounds and threads of at least 1");
  }
  check_among("precision", options.precisions, {"f32", "bf16", "int8"});
  check_among("engine", options.engines, {"onnxruntime", "openvino", "torch"});
  return Bench(options).run();
}

}  // namespace qing::serve::cli
