#include <qing/serve/bench/qing_engine.h>

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <fstream>
#include <memory>
#include <span>

#include <qing/nn/models/sentence_embedding.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/common/version.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/threads.h>

namespace qing::serve::cli {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

DType dtype_of(std::string_view precision) {
  return precision == "bf16" ? DType::bf16 : precision == "int8" ? DType::i8 : DType::f32;
}

class Engine {
 public:
  explicit Engine(const EngineSetup& setup) : setup_(setup) {}

  std::string answer(std::string_view line) {
    const size_t space = std::min(line.find(' '), line.size());
    const std::string_view command = line.substr(0, space), argument = line.substr(std::min(space + 1, line.size()));
    JsonWriter json;
    json.begin_object();
    if (command == "load") {
      load(json);
    } else if (command == "round") {
      round(argument, json);
    } else if (command == "outputs") {
      json.member("width", outputs(std::string(argument)));
    } else {
      json.member("memory", resident_bytes());
    }
    json.end();
    return json.take();
  }

 private:
  void load(JsonWriter& json) {
    set_num_threads(setup_.threads);
    json.member("version", kVersion).member("memory", resident_bytes());
    const auto start = std::chrono::steady_clock::now();
    model_ = nn::load_text_model(setup_.model, dtype_of(setup_.precision));
    model_->predict(std::span(setup_.texts).first(1));
    json.member("ready", seconds_since(start));
    int64_t tokens = 0, longest = 0;
    for (const std::string& text : setup_.texts) {
      const int64_t count = std::ssize(model_->encode(text).ids);
      tokens += count;
      longest = std::max(longest, count);
    }
    json.member("tokens", tokens).member("longest", longest).member("embeds", model_->embeds());
    json.member("pooling", model_->embedding().pooling).member("normalize", model_->embedding().normalized);
    json.member("max_length", int64_t{model_->max_length()});
  }

  void round(std::string_view argument, JsonWriter& json) const {
    size_t batch = 0;
    std::from_chars(argument.data(), argument.data() + argument.size(), batch);
    const std::span<const std::string> texts = setup_.texts;
    std::vector<double> seconds;
    for (size_t at = 0; at < texts.size(); at += batch) {
      const auto start = std::chrono::steady_clock::now();
      model_->predict(texts.subspan(at, std::min(batch, texts.size() - at)));
      seconds.push_back(seconds_since(start));
    }
    json.member("seconds", seconds);
  }

  // Writes the logits or the embeddings of all texts as f32 and returns how many numbers a text has.
  int64_t outputs(const std::string& path) const {
    constexpr size_t kBatch = 32;
    const std::span<const std::string> texts = setup_.texts;
    std::string bytes;
    int64_t width = 0;
    for (size_t at = 0; at < texts.size(); at += kBatch) {
      for (nn::Prediction& one : model_->predict(texts.subspan(at, std::min(kBatch, texts.size() - at)))) {
        if (model_->embedding().normalized) nn::normalize_embedding(one.embedding);
        const std::vector<float>& values = model_->embeds() ? one.embedding : one.logits;
        width = std::ssize(values);
        bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
      }
    }
    write_file_atomically(path, bytes);
    return width;
  }

  const EngineSetup& setup_;
  std::shared_ptr<const nn::TextClassifier> model_;
};

}  // namespace

std::function<std::string(std::string_view line)> qing_engine(const EngineSetup& setup) {
  return [engine = std::make_shared<Engine>(setup)](std::string_view line) { return engine->answer(line); };
}

int64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t all = 0, resident = 0;
  return statm >> all >> resident ? resident * sysconf(_SC_PAGESIZE) : 0;
}

}  // namespace qing::serve::cli
