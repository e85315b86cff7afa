#include <qing/serve/runs/token_cache_entry.h>

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <functional>
#include <iterator>
#include <optional>
#include <utility>

#include <qing/nn/fingerprint.h>
#include <qing/nn/models/classifier_config.h>
#include <qing/nn/models/pretrained.h>
#include <qing/optim/classifier/starting_model.h>
#include <qing/optim/classifier/token_file.h>
#include <qing/serve/common/sha256.h>
#include <qing/serve/runs/token_manifest.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/threads.h>

namespace qing::serve::cli {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr size_t kTextsAtOnce = 8192, kBytesAtOnce = 8 << 20;
constexpr int64_t kTextGrain = 64;
constexpr double kSampleBytes = 2 << 20;

// Whether a text is in a sample of this share, by other bits of its hash than held_by_hash() compares first.
bool in_sample(const std::string& text, double share) {
  return static_cast<double>(nn::fingerprint(text) >> 32) < share * 0x1p32;
}

// The rows of all files, one after the other.
void for_each_row(const TokenCacheRequest& request, const nn::DatasetOptions& reading,
                  const std::function<void(nn::Example)>& take) {
  for (size_t group = 0; group < request.files.size(); ++group) {
    nn::ExampleReader reader(request.files[group], reading);
    while (std::optional<nn::Example> example = reader.next()) {
      example->group = static_cast<int32_t>(group);
      take(*std::move(example));
    }
  }
}

class EntryMaker {
 public:
  EntryMaker(fs::path folder, const TokenCacheRequest& request)
      : folder_(std::move(folder)), request_(request), reading_(request.reading) {}

  void make() {
    stamp_files();
    manifest_.labels_given = !request_.reading.labels.empty();
    manifest_.labels = manifest_.labels_given ? request_.reading.labels : request_.choose_labels();
    reading_.labels = manifest_.labels;
    for (TokenManifest::File& file : manifest_.files) file.label_texts.resize(manifest_.labels.size());
    const nn::Tokenizer tokenizer = make_tokenizer();
    optim::TokenFileWriter writer(folder_ / kTokensFile, tokenizer.vocab_size());
    for_each_row(request_, reading_, [&](nn::Example example) {
      const bool held = is_held(example.text);
      if (!held && in_sample(example.text, kSampleBytes / bytes_)) sample_.push_back(example);
      if (held) return held_.push_back(std::move(example));
      waiting_bytes_ += example.text.size();
      waiting_.push_back(std::move(example));
      if (waiting_.size() >= kTextsAtOnce || waiting_bytes_ >= kBytesAtOnce) tokenize(tokenizer, writer);
    });
    keep_labels();
    tokenize(tokenizer, writer);
    if (texts_ == 0) {
      throw DataError(fmt::format("{}: there is no text to train on", request_.files.front().string()));
    }
    writer.finish();
    write_examples(kHeldFile, held_);
    write_examples(kSampleFile, sample_);
    for (TokenManifest::File& file : manifest_.files) {
      if (stamp_of(file.path) == file.stamp) continue;
      throw DataError(fmt::format("{}: changed while it was read; start again when it is complete", file.path));
    }
    manifest_.digests = digests_of_entry(folder_);
    write_token_manifest(folder_ / kManifestFile, manifest_);
    sync_folder(folder_);
  }

 private:
  void stamp_files() {
    manifest_.looked_at =
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
            .count();
    for (const fs::path& file : request_.files) {
      const FileStamp stamp = stamp_of(file);
      bytes_ += static_cast<double>(stamp.size);
      manifest_.files.push_back(
          {.path = fs::absolute(file).lexically_normal().string(), .sha256 = {}, .stamp = stamp, .label_texts = {}});
    }
    request_.tell(fmt::format("reading {} {} of {:.1f} MB into the cache", request_.files.size(),
                              request_.files.size() == 1 ? "file" : "files", bytes_ / 1e6));
    for (TokenManifest::File& file : manifest_.files) file.sha256 = sha256_of(file.path);
  }

  bool is_held(const std::string& text) const {
    return request_.dev_share > 0 && nn::held_by_hash(text, 100 * request_.dev_share);
  }

  nn::Tokenizer make_tokenizer() {
    const fs::path into = folder_ / kTokenizerFolder;
    fs::create_directory(into);
    if (request_.options.from.empty()) {
      std::vector<std::string> texts;
      const double share = kVocabularyBytes / bytes_;
      nn::DatasetOptions quiet = reading_;
      quiet.on_guess = {};
      if (quiet.on_bad_row) quiet.on_bad_row = [](const nn::LineError&) {};  // the pass that tokenizes tells
      for_each_row(request_, quiet, [&](nn::Example example) {
        if (!is_held(example.text) && in_sample(example.text, share)) texts.push_back(std::move(example.text));
      });
      if (share < 1) {
        request_.tell(fmt::format("the vocabulary is trained on {} texts, about {:.0f} MB of the data", texts.size(),
                                  kVocabularyBytes / 1e6));
      }
      optim::new_tokenizer(texts, request_.options).save(into);
    }
    return optim::tokenizer_of(into, request_.options);
  }

  void tokenize(const nn::Tokenizer& tokenizer, optim::TokenFileWriter& writer) {
    std::vector<std::vector<int32_t>> ids(waiting_.size());
    parallel_for(std::ssize(waiting_), kTextGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) ids[i] = tokenizer.encode(waiting_[i].text).ids;
    });
    for (size_t i = 0; i < waiting_.size(); ++i) {
      const nn::Example& example = waiting_[i];
      writer.add(ids[i], example.label, example.group);
      ++manifest_.files[static_cast<size_t>(example.group)].label_texts[static_cast<size_t>(example.label)];
    }
    texts_ += waiting_.size();
    waiting_.clear();
    waiting_bytes_ = 0;
  }

  // A label all of whose texts would be held out keeps them, as hold_out() has it.
  void keep_labels() {
    std::vector<char> trained(manifest_.labels.size());
    for (const nn::Example& example : waiting_) trained[static_cast<size_t>(example.label)] = 1;
    for (const TokenManifest::File& file : manifest_.files) {
      for (size_t label = 0; label < trained.size(); ++label) trained[label] |= file.label_texts[label] > 0 ? 1 : 0;
    }
    const auto back = std::stable_partition(held_.begin(), held_.end(), [&](const nn::Example& example) {
      return trained[static_cast<size_t>(example.label)] != 0;
    });
    waiting_.insert(waiting_.end(), std::make_move_iterator(back), std::make_move_iterator(held_.end()));
    held_.erase(back, held_.end());
  }

  void write_examples(const char* name, const std::vector<nn::Example>& examples) const {
    json::array all;
    for (const nn::Example& one : examples) {
      all.push_back(
          {{"text", one.text}, {"label", one.label}, {"source", one.source}, {"group", one.group}, {"line", one.line}});
    }
    write_file_atomically(folder_ / name, json::serialize(all));
  }

  fs::path folder_;
  const TokenCacheRequest& request_;
  nn::DatasetOptions reading_;
  TokenManifest manifest_;
  double bytes_ = 0;
  size_t texts_ = 0, waiting_bytes_ = 0;
  std::vector<nn::Example> held_, sample_, waiting_;
};

}  // namespace

void make_cache_entry(const fs::path& folder, const TokenCacheRequest& request) { EntryMaker(folder, request).make(); }

}  // namespace qing::serve::cli
