// GGUF, version 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). Names of tensors and keys are
// llama.cpp's for BERT. The architecture has another name: llama.cpp's "bert" has no n-gram head and no temperature and
// approximates GELU, so it would give other scores. llama.cpp refuses an architecture that it does not know.
#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <qing/nn/exports/file_formats.h>
#include <qing/nn/formats/bert_layout.h>
#include <qing/nn/formats/tensor_bytes.h>
#include <qing/nn/problem.h>
#include <qing/tensor/files.h>

namespace qing::nn {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF is little-endian");

constexpr size_t kAlignment = 32;
enum class Type : uint32_t { u32 = 4, i32 = 5, f32 = 6, boolean = 7, text = 8, array = 9, f64 = 12 };
enum TokenType : int32_t { kNormal = 1, kUnknown = 2, kControl = 3 };
constexpr uint32_t kPoolingCls = 2;
constexpr std::string_view kWordStart = "\u2581";  // llama.cpp marks pieces that begin a word, BERT the others

template <class T> void append(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}
void append_text(std::string& out, std::string_view text) {
  append(out, static_cast<uint64_t>(text.size()));
  out += text;
}

class GgufOutput {
 public:
  void set(const std::string& key, uint32_t value) { entry(key, Type::u32), append(entries_, value); }
  void set(const std::string& key, float value) { entry(key, Type::f32), append(entries_, value); }
  void set(const std::string& key, bool value) { entry(key, Type::boolean), append(entries_, value); }
  void set(const std::string& key, std::string_view value) { entry(key, Type::text), append_text(entries_, value); }
  void set(const std::string& key, const std::vector<std::string>& list) {
    array(key, Type::text, list.size());
    for (const std::string& one : list) append_text(entries_, one);
  }
  void set(const std::string& key, const std::vector<int32_t>& list) {
    array(key, Type::i32, list.size());
    for (const int32_t one : list) append(entries_, one);
  }
  void set(const std::string& key, const std::vector<double>& list) {
    array(key, Type::f64, list.size());
    for (const double one : list) append(entries_, one);
  }
  void add(const std::string& name, const Tensor& tensor) { tensors_.emplace_back(name, tensor.contiguous()); }

  void save(const std::filesystem::path& path) const {
    std::string head = "GGUF";
    append(head, uint32_t{3});
    append(head, static_cast<uint64_t>(tensors_.size()));
    append(head, count_);
    head += entries_;
    uint64_t offset = 0;
    for (const auto& [name, tensor] : tensors_) {
      append_text(head, name);
      append(head, static_cast<uint32_t>(tensor.dim()));
      // The innermost size comes first.
      for (auto size = tensor.shape().rbegin(); size != tensor.shape().rend(); ++size) {
        append(head, static_cast<uint64_t>(*size));
      }
      append(head, type_of(tensor.dtype()));
      append(head, offset);
      offset += padded(bytes_of(tensor).size());
    }
    head.resize(padded(head.size()));
    const std::string zeros(kAlignment, '\0');
    std::vector<std::string_view> parts{head};
    for (const auto& [name, tensor] : tensors_) {
      const std::span<char> bytes = bytes_of(tensor);
      parts.emplace_back(bytes.data(), bytes.size());
      parts.push_back(std::string_view(zeros).substr(0, padded(bytes.size()) - bytes.size()));
    }
    write_file_atomically(path, parts);
  }

 private:
  static size_t padded(size_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }
  // Numbers of ggml_type.
  static uint32_t type_of(DType dtype) {
    switch (dtype) {
      case DType::f32: return 0;
      case DType::f16: return 1;
      case DType::i32: return 26;
      default: throw DTypeError(fmt::format("gguf: no type for a tensor of {}", name_of(dtype)));
    }
  }
  void entry(const std::string& key, Type type) {
    append_text(entries_, key);
    append(entries_, static_cast<uint32_t>(type));
    ++count_;
  }
  void array(const std::string& key, Type element, size_t size) {
    entry(key, Type::array);
    append(entries_, static_cast<uint32_t>(element));
    append(entries_, static_cast<uint64_t>(size));
  }

  std::string entries_;
  uint64_t count_ = 0;
  std::vector<std::pair<std::string, Tensor>> tensors_;
};

void add_configuration(GgufOutput& file, const ExportSource& source, const std::string& architecture) {
  const EncoderConfig& c = source.config();
  const auto set = [&](const char* key, int64_t value) {
    file.set(architecture + "." + key, static_cast<uint32_t>(value));
  };
  file.set("general.architecture", std::string_view(architecture));
  file.set("general.type", std::string_view("model"));
  file.set("general.file_type", uint32_t{0});  // mostly f32
  set("block_count", c.num_hidden_layers);
  set("context_length", source.tokenizer.options().max_length);
  set("embedding_length", c.hidden_size);
  set("feed_forward_length", c.intermediate_size);
  set("attention.head_count", c.num_attention_heads);
  set("pooling_type", kPoolingCls);
  file.set(architecture + ".attention.layer_norm_epsilon", static_cast<float>(c.layer_norm_eps));
  file.set(architecture + ".attention.causal", false);
  file.set(architecture + ".classifier.output_labels", source.labels);
  file.set("qing.temperature", static_cast<float>(source.temperature));
  file.set("qing.problem", name_of(source.problem));
  if (source.problem == Problem::multi_label) file.set("qing.thresholds", source.thresholds);
  if (source.problem == Problem::ordinal) file.set("qing.places", places_of(source.labels));
}

void add_tokenizer(GgufOutput& file, const ExportSource& source) {
  const Tokenizer& tokenizer = source.tokenizer;
  std::vector<std::string> tokens;
  std::vector<int32_t> types;
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    const std::string& token = tokenizer.token(id);
    const bool unknown = id == tokenizer.unk_id();
    const bool control =
        id == tokenizer.pad_id() || id == tokenizer.cls_id() || id == tokenizer.sep_id() || id == tokenizer.mask_id();
    types.push_back(unknown ? kUnknown : control ? kControl : kNormal);
    const bool continues = token.starts_with("##") && token.size() > 2;
    tokens.push_back(unknown || control ? token : continues ? token.substr(2) : std::string(kWordStart) + token);
  }
  const auto set = [&](const char* key, int32_t id) { file.set(key, static_cast<uint32_t>(id)); };
  file.set("tokenizer.ggml.model", std::string_view("bert"));
  file.set("tokenizer.ggml.tokens", tokens);
  file.set("tokenizer.ggml.token_type", types);
  file.set("tokenizer.ggml.token_type_count", static_cast<uint32_t>(source.config().type_vocab_size));
  set("tokenizer.ggml.unknown_token_id", tokenizer.unk_id());
  set("tokenizer.ggml.seperator_token_id", tokenizer.sep_id());  // as the format spells it
  set("tokenizer.ggml.padding_token_id", tokenizer.pad_id());
  set("tokenizer.ggml.cls_token_id", tokenizer.cls_id());
  set("tokenizer.ggml.mask_token_id", tokenizer.mask_id());
  set("tokenizer.ggml.bos_token_id", tokenizer.cls_id());
  set("tokenizer.ggml.eos_token_id", tokenizer.sep_id());
}

// {Hugging Face's name, llama.cpp's name} of modules.
const std::pair<const char*, const char*> kModules[] = {{"bert.embeddings.word_embeddings", "token_embd"},
                                                        {"bert.embeddings.token_type_embeddings", "token_types"},
                                                        {"bert.embeddings.position_embeddings", "position_embd"},
                                                        {"bert.embeddings.LayerNorm", "token_embd_norm"},
                                                        {"bert.pooler.dense", "cls"},
                                                        {"classifier", "cls.output"}};

void add_tensors(GgufOutput& file, const ExportSource& source) {
  const auto add = [&](const std::string& theirs, const std::string& name) {
    for (const char* part : {".weight", ".bias"}) {
      const auto found = source.tensors.find(theirs + part);
      if (found != source.tensors.end()) file.add(name + part, found->second);
    }
  };
  for (const auto& [theirs, name] : kModules) add(theirs, name);
  for (int64_t i = 0; i < source.config().num_hidden_layers; ++i) {
    for (const BertPart& part : kBertParts) {
      add("bert." + bert_part_name(i, part), fmt::format("blk.{}.{}", i, part.gguf));
    }
  }
  if (!source.ngrams) return;
  for (const auto& [name, tensor] : source.ngrams->stored_tensors()) file.add("ngrams." + name, tensor);
}

}  // namespace

void write_gguf(const ExportSource& source, const std::filesystem::path& folder) {
  GgufOutput file;
  add_configuration(file, source, source.ngrams ? "qing-bert-ngrams" : "qing-bert");
  add_tokenizer(file, source);
  add_tensors(file, source);
  file.save(folder / "model.gguf");
  write_file_atomically(folder / "tokenizer.json", source.tokenizer.pipeline_json());
}

}  // namespace qing::nn
