#include <qing/optim/classifier/teachers.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>

#include <qing/nn/fingerprint.h>
#include <qing/nn/formats/safetensors.h>
#include <qing/nn/models/text_classifier.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/folders.h>
#include <qing/tensor/threads.h>

namespace qing::optim {
namespace {

namespace fs = std::filesystem;

constexpr size_t kChunk = 8192;         // texts that are encoded and sorted by length together
constexpr int64_t kBatchTokens = 8192;  // of a batch of texts of similar length
constexpr int64_t kTeacherGrain = 64;

bool covers(const TrainOptions& o, size_t teacher, int32_t group) {
  if (o.teacher_groups.empty() || o.teacher_groups[teacher].empty()) return true;
  return std::ranges::count(o.teacher_groups[teacher], group) > 0;
}

// Adds a text to a hash. The size in front makes "ab", "c" differ from "a", "bc".
void add(uint64_t& hash, std::string_view bytes) {
  hash = nn::fingerprint(std::to_string(bytes.size()) + ":", hash);
  hash = nn::fingerprint(bytes, hash);
}

// Identifies a teacher: the bytes of its files, and the labels.
uint64_t teacher_key(const fs::path& folder, const TrainOptions& o) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : entries_of(folder)) {
    if (entry.is_regular_file() && entry.path().extension() != ".md") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  uint64_t hash = nn::kFnvOffsetBasis;
  for (const fs::path& file : files) {
    add(hash, file.filename().string());
    FileReader reader(file);
    std::vector<char> buffer(1 << 20);
    while (const size_t count = reader.read(buffer)) hash = nn::fingerprint({buffer.data(), count}, hash);
  }
  for (const std::string& label : o.labels) add(hash, label);
  return hash;
}

// Identifies the teacher's predictions of texts.
std::string texts_key(uint64_t hash, std::span<const nn::Example> examples, std::span<const size_t> rows) {
  for (const size_t row : rows) add(hash, examples[row].text);
  return fmt::format("{:016x}", hash);
}

std::shared_ptr<const nn::TextClassifier> load_teacher(const fs::path& folder, const TrainOptions& o) {
  auto teacher = nn::TextClassifier::load(folder);
  if (teacher->labels() == o.labels) {
    const bool sigmoid = teacher->problem() == nn::Problem::multi_label;
    if (sigmoid == (o.problem() == nn::Problem::multi_label) && teacher->problem() != nn::Problem::regression) {
      return teacher;
    }
    throw ValueError(
        fmt::format("train_classifier: the teacher {} is a {} classifier, and the student a {} one; both "
                    "must be alike",
                    folder.string(), name_of(teacher->problem()), name_of(o.problem())));
  }
  throw ValueError(fmt::format("train_classifier: the labels of the teacher {} are {}; they must be {}",
                               folder.string(), fmt::join(teacher->labels(), ", "), fmt::join(o.labels, ", ")));
}

// Scores [rows, labels].
Tensor predictions(const nn::TextClassifier& teacher, std::span<const nn::Example> examples,
                   std::span<const size_t> rows, const std::function<void(int64_t)>& on_progress) {
  const auto labels = std::ssize(teacher.labels());
  Tensor scores = Tensor::empty({std::ssize(rows), labels});
  for (size_t first = 0; first < rows.size(); first += kChunk) {
    const auto chunk = rows.subspan(first, std::min(kChunk, rows.size() - first));
    std::vector<nn::EncodedText> encoded(chunk.size());
    parallel_for(std::ssize(chunk), kTeacherGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) encoded[i] = teacher.encode(examples[chunk[i]].text);
    });
    std::vector<size_t> order(chunk.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::ranges::stable_sort(order, {}, [&](size_t i) { return encoded[i].ids.size(); });
    for (size_t begin = 0; begin < order.size();) {
      std::vector<nn::EncodedText> batch;
      int64_t tokens = 0;
      size_t end = begin;
      while (end < order.size() && (end == begin || tokens + std::ssize(encoded[order[end]].ids) <= kBatchTokens)) {
        tokens += std::ssize(encoded[order[end]].ids);
        batch.push_back(std::move(encoded[order[end++]]));
      }
      const std::vector<nn::Prediction> said = teacher.predict_encoded(batch);
      for (size_t i = begin; i < end; ++i) {
        std::ranges::copy(said[i - begin].scores,
                          scores.data<float>() + static_cast<int64_t>(first + order[i]) * labels);
      }
      begin = end;
      if (on_progress) on_progress(static_cast<int64_t>(first + end));
    }
  }
  return scores;
}

// The predictions that are kept in a file, by key.
class Cache {
 public:
  explicit Cache(fs::path path) : path_(std::move(path)) { read(); }
  // Undefined without the key.
  Tensor find(const std::string& key, const Shape& shape) const {
    const auto found = file_.tensors.find(key);
    if (found == file_.tensors.end() || found->second.dtype() != DType::f32 || found->second.shape() != shape)
      return {};
    return found->second;
  }
  void add(const std::string& key, const Tensor& scores) {
    if (path_.empty()) return;
    read();  // another training may have added to it
    file_.tensors.insert_or_assign(key, scores);
    nn::save_safetensors(path_, file_);
  }

 private:
  void read() {
    if (path_.empty() || !is_there(path_)) return;
    try {
      file_ = nn::load_safetensors(path_);
    } catch (const DataError&) {}  // it is written anew
  }

  fs::path path_;
  nn::SafetensorsFile file_;
};

}  // namespace

bool has_teacher(const TrainOptions& options, int32_t group) {
  for (size_t i = 0; i < options.teachers.size(); ++i) {
    if (covers(options, i, group)) return true;
  }
  return false;
}

std::vector<std::vector<float>> ask_teachers(std::span<const nn::Example> examples, const TrainOptions& options,
                                             const TeacherOptions& asking) {
  std::vector<std::vector<float>> taught(options.teachers.empty() ? 0 : examples.size());
  if (taught.empty()) return taught;
  std::vector<int32_t> count(examples.size());
  for (size_t i = 0; i < examples.size(); ++i) {
    for (size_t teacher = 0; teacher < options.teachers.size(); ++teacher) {
      count[i] += covers(options, teacher, examples[i].group) ? 1 : 0;
    }
    if (count[i] > 0) taught[i].resize(options.labels.size());
  }
  Cache cache(asking.cache);
  const auto labels = std::ssize(options.labels);
  for (size_t teacher = 0; teacher < options.teachers.size(); ++teacher) {
    const fs::path& folder = options.teachers[teacher];
    const auto model = load_teacher(folder, options);
    const uint64_t key = teacher_key(folder, options);
    std::map<int32_t, std::vector<size_t>> groups;  // rows; each file's predictions are kept by themselves
    int64_t all = 0, before = 0;
    for (size_t i = 0; i < examples.size(); ++i) {
      if (!covers(options, teacher, examples[i].group)) continue;
      groups[examples[i].group].push_back(i);
      ++all;
    }
    for (const auto& [group, rows] : groups) {
      const std::string rows_key = texts_key(key, examples, rows);
      Tensor scores = cache.find(rows_key, {std::ssize(rows), labels});
      if (!scores.defined()) {
        scores = predictions(*model, examples, rows, [&](int64_t done) {
          if (asking.on_progress) asking.on_progress({folder, before + done, all});
        });
        cache.add(rows_key, scores);
      }
      before += std::ssize(rows);
      const float* row = scores.data<float>();
      for (const size_t i : rows) {
        for (float& sum : taught[i]) sum += *row++ / static_cast<float>(count[i]);
      }
    }
  }
  return taught;
}

}  // namespace qing::optim
