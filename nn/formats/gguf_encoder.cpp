// Encoders of the architecture "bert" in GGUF files, under the names that llama.cpp's converter gives the tensors
// (gguf-py/gguf/tensor_mapping.py of ggml-org/llama.cpp; gguf 0.19.0).
#include <fmt/format.h>

#include <iterator>
#include <utility>

#include <qing/nn/formats/bert_layout.h>
#include <qing/nn/formats/encoder_importers.h>
#include <qing/nn/formats/gguf_file.h>
#include <qing/nn/utf8.h>

namespace qing::nn {
namespace {

constexpr std::string_view kSpace = "\u2581";  // stands in front of a piece that begins a word

// The converter marks pieces that begin a word. vocab.txt marks pieces that continue one.
std::string wordpiece_of(std::string_view piece) {
  if (piece.starts_with(kSpace)) return std::string(piece.substr(kSpace.size()));
  const bool special = piece.size() > 2 && piece.front() == '[' && piece.back() == ']';
  return special ? std::string(piece) : "##" + std::string(piece);
}

class GgufEncoder {
 public:
  explicit GgufEncoder(const std::shared_ptr<const MappedFile>& file)
      : gguf_(read_gguf(file)), faults_(gguf_faults(gguf_)), weights_(file->path().string(), "GGUF", gguf_.sources) {}

  ImportedEncoder read() {
    const std::string_view architecture = gguf_text(gguf_, "general.architecture");
    if (architecture != "bert") {
      faults_.unsupported(fmt::format("the architecture '{}'; encoders of 'bert' are read", printable(architecture)));
    }
    if (const auto causal = gguf_.metadata.find("bert.attention.causal"); causal != gguf_.metadata.end()) {
      const auto* const value = std::get_if<bool>(&causal->second);
      if (value == nullptr || *value) faults_.unsupported("bert.attention.causal: a decoder");
    }
    const int64_t layers = gguf_integer(gguf_, "bert.block_count");
    constexpr uint64_t kTensorsOfLayer = 2 * std::size(kBertParts);
    if (static_cast<uint64_t>(layers) > gguf_.sources.size() / kTensorsOfLayer) {
      faults_.invalid(fmt::format("{} layers, but {} tensors", layers, gguf_.sources.size()));
    }
    ImportedEncoder encoder;
    encoder.vocabulary = vocabulary();
    encoder.tensors = tensors(layers);
    const auto rows = [&](const char* name) { return encoder.tensors.at(name).size(0); };
    const BertSizes sizes{
        .vocabulary = rows("embeddings.word_embeddings.weight"),
        .width = gguf_integer(gguf_, "bert.embedding_length"),
        .layers = layers,
        .heads = gguf_integer(gguf_, "bert.attention.head_count"),
        .inner = gguf_integer(gguf_, "bert.feed_forward_length"),
        .positions = gguf_integer(gguf_, "bert.context_length"),
        .types = rows("embeddings.token_type_embeddings.weight"),
        .norm_eps = written_like(static_cast<float>(gguf_number(gguf_, "bert.attention.layer_norm_epsilon"))),
        .pad = encoder.vocabulary.pad};
    check_bert_tensors(sizes, encoder.tensors, faults_);
    if (encoder.vocabulary.pieces.size() > static_cast<size_t>(sizes.vocabulary)) {
      faults_.invalid(
          fmt::format("{} tokens, but embeddings of {}", encoder.vocabulary.pieces.size(), sizes.vocabulary));
    }
    encoder.vocabulary.max_length = sizes.positions;
    encoder.config = bert_config(sizes);
    return encoder;
  }

 private:
  StateDict tensors(int64_t layers) const {
    std::map<std::string, std::string> names = {{"token_embd.weight", "embeddings.word_embeddings.weight"},
                                                {"position_embd.weight", "embeddings.position_embeddings.weight"},
                                                {"token_types.weight", "embeddings.token_type_embeddings.weight"},
                                                {"token_embd_norm.weight", "embeddings.LayerNorm.weight"},
                                                {"token_embd_norm.bias", "embeddings.LayerNorm.bias"}};
    for (int64_t i = 0; i < layers; ++i) {
      for (const BertPart& part : kBertParts) {
        for (const char* kind : {"weight", "bias"}) {
          names[fmt::format("blk.{}.{}.{}", i, part.gguf, kind)] = fmt::format("{}.{}", bert_part_name(i, part), kind);
        }
      }
    }
    for (const TensorInfo& info : weights_.tensors()) {
      if (names.count(info.name) == 0) {
        faults_.unsupported(
            fmt::format("tensor '{}' is none of a BERT encoder of {} layers", printable(info.name), layers));
      }
    }
    StateDict found;
    for (const auto& [name, as] : names) {
      if (weights_.find(name) == nullptr) faults_.invalid(fmt::format("the tensor '{}' is missing", name));
      found.emplace(as, weights_.tensor(name, DType::f32));
      if (found.at(as).dim() == 0) faults_.invalid(fmt::format("the tensor '{}' is a single number", name));
    }
    return found;
  }

  int64_t id_or(const char* key, int64_t missing) const {
    return gguf_.metadata.count(key) > 0 ? gguf_integer(gguf_, key) : missing;
  }

  ImportedVocabulary vocabulary() const {
    ImportedVocabulary vocabulary;
    if (gguf_.metadata.count("tokenizer.ggml.model") == 0) return vocabulary;
    const std::string_view model = gguf_text(gguf_, "tokenizer.ggml.model");
    const GgufArray& tokens = gguf_array(gguf_, "tokenizer.ggml.tokens");
    vocabulary.unk = id_or("tokenizer.ggml.unknown_token_id", 0);
    vocabulary.pad = id_or("tokenizer.ggml.padding_token_id", 0);
    // Files have "seperator"; the key kept its first spelling.
    vocabulary.bos = id_or("tokenizer.ggml.cls_token_id", id_or("tokenizer.ggml.bos_token_id", 0));
    vocabulary.eos = id_or("tokenizer.ggml.seperator_token_id", id_or("tokenizer.ggml.eos_token_id", 0));
    if (model == "bert") {
      vocabulary.kind = ImportedVocabulary::Kind::wordpiece;
      for (const std::string_view token : tokens.texts) vocabulary.pieces.push_back(wordpiece_of(token));
    } else if (model == "t5") {
      vocabulary.kind = ImportedVocabulary::Kind::unigram;
      vocabulary.pieces.assign(tokens.texts.begin(), tokens.texts.end());
      vocabulary.scores = gguf_floats(gguf_, "tokenizer.ggml.scores");
      if (vocabulary.scores.size() != vocabulary.pieces.size()) {
        faults_.invalid(fmt::format("{} scores for {} tokens", vocabulary.scores.size(), vocabulary.pieces.size()));
      }
      if (gguf_.metadata.count("tokenizer.ggml.precompiled_charsmap") > 0) {
        vocabulary.charsmap = gguf_array(gguf_, "tokenizer.ggml.precompiled_charsmap").numbers;
      }
    } else {
      faults_.unsupported(fmt::format("the tokenizer '{}'; 'bert' and 't5' are read", printable(model)));
    }
    for (size_t i = 0; i < vocabulary.pieces.size(); ++i) {
      if (find_invalid_utf8(vocabulary.pieces[i])) faults_.invalid(fmt::format("token {} is not UTF-8", i));
    }
    for (const int64_t id : {vocabulary.unk, vocabulary.pad, vocabulary.bos, vocabulary.eos}) {
      if (static_cast<size_t>(id) >= vocabulary.pieces.size())
        faults_.invalid(fmt::format("the id {} is of no token", id));
    }
    return vocabulary;
  }

  const GgufFile gguf_;
  const FileFaults faults_;
  const WeightsFile weights_;
};

}  // namespace

ImportedEncoder import_gguf(const std::shared_ptr<const MappedFile>& file) { return GgufEncoder(file).read(); }

}  // namespace qing::nn
