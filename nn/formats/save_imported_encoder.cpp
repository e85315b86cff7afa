#include <fmt/format.h>

#include <boost/json.hpp>
#include <string_view>

#include <qing/nn/base64.h>
#include <qing/nn/formats/imported_encoder.h>
#include <qing/nn/formats/safetensors.h>
#include <qing/nn/staged_directory.h>
#include <qing/tensor/files.h>

namespace qing::nn {
namespace {

namespace json = boost::json;

constexpr std::string_view kMask = "<mask>";
constexpr std::string_view kMetaspace = "\u2581";

json::object added_token(std::string_view text, int64_t id, bool takes_space) {
  return {{"id", id},        {"content", text},     {"single_word", false}, {"lstrip", takes_space},
          {"rstrip", false}, {"normalized", false}, {"special", true}};
}

json::object special(std::string_view text, int type) { return {{"SpecialToken", {{"id", text}, {"type_id", type}}}}; }
json::object sequence(std::string_view name, int type) { return {{"Sequence", {{"id", name}, {"type_id", type}}}}; }

// The pipeline of XLM-RoBERTa's tokenizer in the format of `tokenizers`, as convert_slow_tokenizer.py of transformers
// makes it of a SentencePiece model: the normalisation, runs of spaces as one, a space before the first word, pieces.
json::object unigram_pipeline(const ImportedVocabulary& v) {
  const auto piece = [&](int64_t id) -> std::string_view { return v.pieces[static_cast<size_t>(id)]; };
  json::array vocabulary, added;
  for (size_t i = 0; i < v.pieces.size(); ++i) vocabulary.push_back(json::array{v.pieces[i], v.scores[i]});
  for (const int64_t id : {v.bos, v.pad, v.eos, v.unk}) added.push_back(added_token(piece(id), id, false));
  for (size_t i = 0; i < v.pieces.size(); ++i) {
    if (v.pieces[i] == kMask) added.push_back(added_token(kMask, static_cast<int64_t>(i), true));
  }
  json::array normalizers;
  if (!v.charsmap.empty()) {
    normalizers.push_back({{"type", "Precompiled"}, {"precompiled_charsmap", encode_base64(v.charsmap)}});
  }
  normalizers.push_back({{"type", "Replace"}, {"pattern", {{"Regex", " {2,}"}}}, {"content", " "}});
  const std::string_view bos = piece(v.bos), eos = piece(v.eos);
  const auto known = [&](int64_t id) {
    return json::object{{"id", piece(id)}, {"ids", json::array{id}}, {"tokens", json::array{piece(id)}}};
  };
  const json::object metaspace = {
      {"type", "Metaspace"}, {"replacement", kMetaspace}, {"prepend_scheme", "always"}, {"split", true}};
  return {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", std::move(added)},
      {"normalizer", {{"type", "Sequence"}, {"normalizers", std::move(normalizers)}}},
      {"pre_tokenizer", metaspace},
      {"post_processor",
       {{"type", "TemplateProcessing"},
        {"single", json::array{special(bos, 0), sequence("A", 0), special(eos, 0)}},
        {"pair", json::array{special(bos, 0), sequence("A", 0), special(eos, 0), special(eos, 0), sequence("B", 0),
                             special(eos, 0)}},
        {"special_tokens", {{bos, known(v.bos)}, {eos, known(v.eos)}}}}},
      {"decoder", metaspace},
      {"model", {{"type", "Unigram"}, {"unk_id", v.unk}, {"vocab", std::move(vocabulary)}, {"byte_fallback", false}}}};
}

json::object tokenizer_config(const ImportedVocabulary& v) {
  const auto piece = [&](int64_t id) { return json::value(v.pieces[static_cast<size_t>(id)]); };
  const bool wordpiece = v.kind == ImportedVocabulary::Kind::wordpiece;
  json::object config = {{"tokenizer_class", wordpiece ? "BertTokenizer" : "PreTrainedTokenizerFast"},
                         {"unk_token", piece(v.unk)},
                         {"pad_token", piece(v.pad)},
                         {"cls_token", piece(v.bos)},
                         {"sep_token", piece(v.eos)}};
  if (v.max_length > 0) config["model_max_length"] = v.max_length;
  if (wordpiece) {
    config["do_lower_case"] = true;  // llama.cpp knows no other WordPiece tokenizer
    config["mask_token"] = "[MASK]";
  } else {
    config["bos_token"] = piece(v.bos);
    config["eos_token"] = piece(v.eos);
  }
  return config;
}

}  // namespace

void save_imported_encoder(const std::filesystem::path& directory, const ImportedEncoder& encoder) {
  StagedDirectory staged(directory);
  write_file_atomically(staged.path() / "config.json", encoder.config);
  save_safetensors(staged.path() / "model.safetensors", {.tensors = encoder.tensors, .metadata = {}});
  const ImportedVocabulary& vocabulary = encoder.vocabulary;
  if (vocabulary.kind == ImportedVocabulary::Kind::wordpiece) {
    std::string lines;
    for (const std::string& piece : vocabulary.pieces) lines += piece + "\n";
    write_file_atomically(staged.path() / "vocab.txt", lines);
  }
  if (vocabulary.kind == ImportedVocabulary::Kind::unigram) {
    write_file_atomically(staged.path() / "tokenizer.json", json::serialize(unigram_pipeline(vocabulary)) + "\n");
  }
  if (vocabulary.kind != ImportedVocabulary::Kind::none) {
    write_file_atomically(staged.path() / "tokenizer_config.json",
                          json::serialize(tokenizer_config(vocabulary)) + "\n");
  }
  staged.commit();
}

}  // namespace qing::nn
