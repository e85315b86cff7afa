// The logits and translations of an encoder-decoder, for comparisons with transformers:
//   translation_outputs FOLDER BATCH.safetensors OUT.safetensors KEY=VALUE...
// The batch has ids and offsets of sources and of targets with their start tokens. The output has the logits, and the
// tokens, offsets and scores of the translations; with alignment=1 also their alignments, one row behind the other.
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>

#include <qing/autograd/autograd.h>
#include <qing/nn/formats/safetensors.h>
#include <qing/nn/models/translation_decoder.h>
#include <qing/nn/models/translation_import.h>
#include <qing/tensor/errors.h>

using namespace qing;

namespace {

std::vector<std::span<const int32_t>> sequences(const nn::SafetensorsFile& file, const std::string& name) {
  const Tensor ids = file.tensors.at(name), offsets = file.tensors.at(name + "_offsets");
  std::vector<std::span<const int32_t>> all;
  for (int64_t s = 0; s + 1 < offsets.numel(); ++s) {
    const int64_t begin = offsets.data<int64_t>()[s], end = offsets.data<int64_t>()[s + 1];
    all.push_back(ids.span<int32_t>().subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)));
  }
  return all;
}

void set(nn::DecodingOptions& options, const std::string& key, double value) {
  const auto whole = static_cast<int64_t>(value);
  if (key == "num_beams") options.beam_size = whole;
  if (key == "num_return_sequences") options.best = whole;
  if (key == "max_new_tokens") options.max_tokens = whole;
  if (key == "min_new_tokens") options.min_tokens = whole;
  if (key == "length_penalty") options.length_penalty = value;
  if (key == "early_stopping") options.early_stopping = static_cast<nn::EarlyStopping>(whole);
  if (key == "no_repeat_ngram_size") options.no_repeat_ngram_size = whole;
  if (key == "repetition_penalty") options.repetition_penalty = value;
  if (key == "forced_bos_token_id") options.forced_bos = static_cast<int32_t>(whole);
  if (key == "alignment") options.alignment = value != 0;
  if (key == "renormalize_logits") options.renormalize = value != 0;
}

int run(int argc, char** argv) {
  nn::PretrainedTranslation loaded = nn::load_pretrained_translation(argv[1]);
  const nn::SafetensorsFile batch = nn::load_safetensors(argv[2]);
  const NoGradGuard guard;
  const auto sources = sequences(batch, "source"), targets = sequences(batch, "target");
  nn::SafetensorsFile out;
  out.tensors["logits"] = loaded.model->forward(nn::RaggedBatch::of(sources), nn::RaggedBatch::of(targets));
  for (int i = 4; i < argc; ++i) {
    const std::string argument = argv[i];
    const size_t at = argument.find('=');
    set(loaded.options, argument.substr(0, at), std::strtod(argument.c_str() + at + 1, nullptr));
  }
  std::vector<nn::DecodingRequest> requests;
  for (const auto& source : sources) requests.push_back({{source.begin(), source.end()}, loaded.options});
  std::vector<int32_t> tokens;
  std::vector<int64_t> offsets{0};
  std::vector<double> scores;
  std::vector<float> alignments;
  for (const nn::DecodingResult& result : nn::decode(*loaded.model, requests)) {
    if (!result.error.empty()) throw ValueError(result.error);
    for (const nn::DecodedSequence& sequence : result.sequences) {
      tokens.insert(tokens.end(), sequence.tokens.begin(), sequence.tokens.end());
      offsets.push_back(std::ssize(tokens));
      scores.push_back(sequence.score);
      if (!sequence.alignment.defined()) continue;
      const std::span<const float> weights = sequence.alignment.span<float>();
      alignments.insert(alignments.end(), weights.begin(), weights.end());
    }
  }
  out.tensors["tokens"] = Tensor::from<int32_t>(tokens, {std::ssize(tokens)});
  out.tensors["offsets"] = Tensor::from<int64_t>(offsets, {std::ssize(offsets)});
  out.tensors["scores"] = Tensor::from<double>(scores, {std::ssize(scores)});
  if (!alignments.empty()) { out.tensors["alignments"] = Tensor::from<float>(alignments, {std::ssize(alignments)}); }
  nn::save_safetensors(argv[3], out);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "usage: translation_outputs FOLDER BATCH OUT [KEY=VALUE...]\n";
    return 2;
  }
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
