#include <qing/nn/models/tagger.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <utility>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/formats/safetensors.h>
#include <qing/nn/layers/linear.h>
#include <qing/nn/models/model_error.h>
#include <qing/nn/models/parameter_names.h>
#include <qing/nn/models/pretrained.h>
#include <qing/nn/models/tag_units.h>
#include <qing/nn/staged_directory.h>
#include <qing/tensor/allocator.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/threads.h>

namespace qing::nn {
namespace {

constexpr size_t kBatchTokens = 8192;  // that are computed at a time

std::vector<TagInput> tag_inputs(const Tokenizer& tokenizer, std::span<const std::string> texts) {
  std::vector<TagInput> inputs(texts.size());
  std::vector<std::exception_ptr> errors(texts.size());  // the first is thrown, whatever the number of threads
  parallel_for(std::ssize(texts), 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      try {
        inputs[i] = tag_input(tokenizer, texts[i]);
      } catch (const DataError& error) {
        errors[i] = std::make_exception_ptr(DataError(fmt::format("text {}: {}", i, error.what())));
      } catch (...) { errors[i] = std::current_exception(); }
    }
  });
  const auto error = std::ranges::find_if(errors, [](const std::exception_ptr& e) { return e != nullptr; });
  if (error != errors.end()) std::rethrow_exception(*error);
  return inputs;
}

// A window of a text, and where its rows of scores go.
struct WindowPlace {
  const TagWindow* window;
  std::vector<float>* scores;
  size_t text;
};

// Appends the log-probabilities of each unit of the windows to the scores of their texts.
void add_scores(const EncoderForTokenClassification& model, std::span<const WindowPlace> windows) {
  std::vector<std::span<const std::int32_t>> sequences;
  for (const WindowPlace& place : windows) sequences.emplace_back(place.window->ids);
  const NoGradGuard guard;
  const RaggedBatch batch = RaggedBatch::of(sequences);
  const Tensor scores = log_softmax(model.forward(batch)).contiguous();
  const std::int64_t width = scores.size(1);
  for (size_t i = 0; i < windows.size(); ++i) {
    const float* first = scores.data<float>() + batch.offsets[i] * width;
    for (const std::int32_t row : windows[i].window->rows) {
      const float* values = first + row * width;
      if (!std::all_of(values, values + width, [](float value) { return std::isfinite(value); })) {
        throw ModelError(fmt::format("text {}: a score is not finite; check the model's weights", windows[i].text));
      }
      windows[i].scores->insert(windows[i].scores->end(), values, values + width);
    }
  }
}

// The log-probabilities of the labels of each unit, one row for each.
std::vector<std::vector<float>> unit_scores(const EncoderForTokenClassification& model,
                                            std::span<const TagInput> inputs) {
  std::vector<std::vector<float>> scores(inputs.size());
  std::vector<WindowPlace> waiting;
  size_t tokens = 0;
  const auto compute = [&] {
    if (!waiting.empty()) add_scores(model, waiting);
    waiting.clear();
    tokens = 0;
  };
  for (size_t i = 0; i < inputs.size(); ++i) {
    for (const TagWindow& window : inputs[i].windows) {
      if (window.rows.empty()) continue;
      if (tokens + window.ids.size() > kBatchTokens) compute();
      waiting.push_back({&window, &scores[i], i});
      tokens += window.ids.size();
    }
  }
  compute();
  return scores;
}

}  // namespace

Tagger::Tagger(std::unique_ptr<const EncoderForTokenClassification> model, TagScheme scheme, Tokenizer tokenizer,
               size_t weight_bytes, DType precision)
    : model_(std::move(model)),
      scheme_(std::move(scheme)),
      tokenizer_(std::move(tokenizer)),
      weight_bytes_(weight_bytes),
      precision_(precision) {}

std::shared_ptr<const Tagger> Tagger::load(const std::filesystem::path& directory, DType precision) {
  const LongLivedAllocations weights;
  auto model = load_token_classifier(directory);
  const EncoderConfig& encoder = model->config().encoder;
  Tokenizer tokenizer = Tokenizer::load(directory, static_cast<std::int32_t>(encoder.max_tokens()));
  if (tokenizer.vocab_size() > encoder.vocab_size) {
    throw DataError(fmt::format("{}: the tokenizer has {} entries; the model has room for {}", directory.string(),
                                tokenizer.vocab_size(), encoder.vocab_size));
  }
  std::vector<std::string> labels = model->config().labels;
  const auto scheme = [&] {
    try {
      return TagScheme(std::move(labels));
    } catch (const ValueError& error) {
      throw DataError(fmt::format("{}: id2label: {}", (directory / kConfigFile).string(), error.what()));
    }
  };
  TagScheme tags = scheme();
  model->eval();
  pack_for_inference(*model, precision);
  const size_t bytes = bytes_with_copies(*model);
  return std::make_shared<Tagger>(std::move(model), std::move(tags), std::move(tokenizer), bytes, precision);
}

std::vector<TaggedText> Tagger::tag(std::span<const std::string> texts) const {
  const std::vector<TagInput> inputs = tag_inputs(tokenizer_, texts);
  const std::vector<std::vector<float>> scores = unit_scores(*model_, inputs);
  std::vector<TaggedText> tagged(texts.size());
  const size_t width = labels().size();
  for (size_t i = 0; i < texts.size(); ++i) {
    for (const TagWindow& window : inputs[i].windows) tagged[i].tokens += static_cast<std::int32_t>(window.ids.size());
    const std::vector<std::int32_t> best = scheme_.best(scores[i]);
    for (TagSpan& span : scheme_.spans(best)) {
      double sum = 0;
      for (size_t unit = span.first; unit <= span.last; ++unit) {
        sum += std::exp(double{scores[i][unit * width + static_cast<size_t>(best[unit])]});
      }
      tagged[i].entities.push_back(
          {.type = std::move(span.type),
           .begin = inputs[i].units[span.first].begin,
           .end = inputs[i].units[span.last].end,
           .score = static_cast<float>(sum / static_cast<double>(span.last - span.first + 1))});
    }
  }
  return tagged;
}

std::vector<std::vector<std::string>> Tagger::tag_words(std::span<const std::vector<std::string>> sentences) const {
  std::vector<std::string> texts(sentences.size());
  std::vector<std::vector<std::uint32_t>> begins(sentences.size());
  for (size_t i = 0; i < sentences.size(); ++i) texts[i] = join_words(sentences[i], begins[i]);
  const std::vector<TaggedText> tagged = tag(texts);
  std::vector<std::vector<std::string>> tags(sentences.size());
  for (size_t i = 0; i < sentences.size(); ++i) {
    std::vector<TagSpan> spans;
    const auto word_at = [&](std::uint32_t byte) {
      return static_cast<size_t>(std::ranges::upper_bound(begins[i], byte) - begins[i].begin()) - 1;
    };
    for (const Entity& entity : tagged[i].entities) {
      const size_t first = word_at(entity.begin), last = word_at(entity.end - 1);
      // Two entities may meet inside of a word, which the first one gets.
      const size_t free = spans.empty() ? 0 : spans.back().last + 1;
      if (last >= free) spans.push_back({entity.type, std::max(first, free), last});
    }
    tags[i] = tags_of_spans(spans, sentences[i].size(), scheme_.bioes());
  }
  return tags;
}

std::vector<TensorDescription> Tagger::inputs() const { return {{"text", "BYTES", {-1}}}; }
std::vector<TensorDescription> Tagger::outputs() const { return {{"entities", "BYTES", {-1}}}; }

void Tagger::try_out() const {
  const std::string text = "warm-up 热身";
  tag(std::span(&text, 1));
}

std::string join_words(std::span<const std::string> words, std::vector<std::uint32_t>& begins) {
  std::string text;
  begins.clear();
  for (const std::string& word : words) {
    if (!text.empty() && needs_space(text, word)) text += ' ';
    begins.push_back(static_cast<std::uint32_t>(text.size()));
    text += word;
  }
  return text;
}

void save_tagger(const std::filesystem::path& directory, EncoderForTokenClassification& model,
                 const Tokenizer& tokenizer) {
  const ClassifierConfig& config = model.config();
  SafetensorsFile weights;
  for (auto& [name, tensor] : model.state_dict()) {
    weights.tensors.emplace(stored_parameter_name(config.encoder, name), tensor);
  }
  StagedDirectory staged(directory);
  config.save_for_tokens(staged.path() / kConfigFile);
  tokenizer.save(staged.path());
  save_safetensors(staged.path() / "model.safetensors", weights);
  staged.commit();
}

}  // namespace qing::nn
