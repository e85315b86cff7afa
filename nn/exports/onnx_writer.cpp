// model.onnx: inputs input_ids and attention_mask, i64 [batch, length]; outputs logits and scores, f32 [batch, labels],
// or, of sentence embeddings, sentence_embedding, f32 [batch, width].
#include <fmt/format.h>

#include <boost/json.hpp>

#include <qing/nn/exports/file_formats.h>
#include <qing/nn/exports/onnx_parts.h>
#include <qing/tensor/files.h>

namespace qing::nn {
namespace {

constexpr size_t kMostMessageBytes = size_t{1} << 31;  // of a message; protobuf's limit
constexpr int64_t kMostNgrams = int64_t{1} << 24;      // places in the table that onnx_ngrams.cpp can tell apart

void write_files(const std::filesystem::path& folder, const std::string& model, const std::string& tokenizer) {
  if (model.size() >= kMostMessageBytes) {
    throw ValueError(fmt::format("export: the model takes {} bytes, more than an ONNX file holds; export safetensors",
                                 model.size()));
  }
  write_file_atomically(folder / "model.onnx", model);
  write_file_atomically(folder / "tokenizer.json", tokenizer);
}

}  // namespace

void write_onnx(const ExportSource& source, bool int8, const std::filesystem::path& folder) {
  OnnxBuilder graph;
  const std::vector<OnnxDimension> tokens{"batch", "length"};
  const auto ids = graph.input("input_ids", OnnxType::i64, tokens);
  const auto valid = graph.cast(graph.input("attention_mask", OnnxType::i64, tokens), OnnxType::boolean);
  if (source.sentence) {
    graph.output(onnx_embedding(graph, source, {.ids = ids, .kept = valid}, int8), "sentence_embedding", OnnxType::f32,
                 {"batch", source.config().hidden_size});
    return write_files(folder, onnx_model(graph, {}), source.tokenizer.pipeline_json());
  }

  const std::vector<OnnxDimension> classes{"batch", static_cast<int64_t>(source.labels.size())};
  std::string tokenizer;
  OnnxBuilder::Value logits;
  if (source.ngrams) {
    if (source.ngrams->table().size() >= kMostNgrams) {
      throw ValueError(fmt::format("export: the table has {} n-grams, more than the {} that ONNX takes; export hf",
                                   source.ngrams->table().size(), kMostNgrams - 1));
    }
    const ExportVocabulary vocabulary = export_vocabulary(source.tokenizer);
    OnnxNgrams ngrams(graph, source, vocabulary, ids, valid);
    logits = graph.op("Add", {onnx_encoder(graph, source, ngrams.encoder_tokens(), int8), ngrams.logits()});
    tokenizer = ngram_tokenizer_json(source.tokenizer, vocabulary);
  } else {
    logits = onnx_encoder(graph, source, {.ids = ids, .kept = valid}, int8);
    tokenizer = source.tokenizer.pipeline_json();
  }
  const auto calibrated = graph.op("Div", {logits, graph.real(static_cast<float>(source.temperature))});
  graph.output(logits, "logits", OnnxType::f32, classes);
  const auto scores = [&] {
    switch (source.problem) {
      case Problem::multi_label: return graph.op("Sigmoid", {calibrated});
      case Problem::regression: return graph.op("Identity", {logits});
      default: return graph.op("Softmax", {calibrated}, {{"axis", int64_t{-1}}});
    }
  }();
  graph.output(scores, "scores", OnnxType::f32, classes);

  std::vector<std::pair<std::string, std::string>> facts = {
      {"labels", boost::json::serialize(boost::json::array(source.labels.begin(), source.labels.end()))},
      {"temperature", fmt::format("{}", source.temperature)}};
  if (!source.sentence) {
    for (auto& fact : problem_facts(source)) facts.push_back(std::move(fact));
  }
  const std::string model = onnx_model(graph, facts);
  write_files(folder, model, tokenizer);
}

}  // namespace qing::nn
