#include <fmt/format.h>

#include <qing/nn/formats/bert_layout.h>
#include <qing/nn/formats/charsmap.h>
#include <qing/nn/formats/e5s1_file.h>
#include <qing/nn/formats/encoder_importers.h>

namespace qing::nn {

ImportedEncoder import_e5s1(const std::shared_ptr<const MappedFile>& file) {
  E5s1File e5 = read_e5s1(file);
  const FileFaults faults(file->path(), "E5S1");
  const WeightsFile weights(file->path().string(), "E5S1", std::move(e5.sources));
  ImportedEncoder encoder;
  const auto take = [&](const std::string& name, const std::string& as) {
    encoder.tensors.emplace(as, weights.tensor(name, DType::f32));
  };
  take("emb.word", "embeddings.word_embeddings.weight");
  take("emb.pos", "embeddings.position_embeddings.weight");
  take("emb.type", "embeddings.token_type_embeddings.weight");
  take("emb.ln.w", "embeddings.LayerNorm.weight");
  take("emb.ln.b", "embeddings.LayerNorm.bias");
  for (int64_t i = 0; i < e5.layers; ++i) {
    for (const BertPart& part : kBertParts) {
      take(fmt::format("l{}.{}.w", i, part.e5s1), bert_part_name(i, part) + ".weight");
      take(fmt::format("l{}.{}.b", i, part.e5s1), bert_part_name(i, part) + ".bias");
    }
  }
  const BertSizes sizes{.vocabulary = e5.vocabulary,
                        .width = e5.width,
                        .layers = e5.layers,
                        .heads = e5.heads,
                        .inner = e5.inner,
                        .positions = e5.positions,
                        .types = e5.types,
                        .norm_eps = written_like(static_cast<float>(e5.norm_eps)),
                        .pad = e5.pad};
  check_bert_tensors(sizes, encoder.tensors, faults);
  encoder.config = bert_config(sizes);
  encoder.vocabulary = {.kind = ImportedVocabulary::Kind::unigram,
                        .pieces = std::move(e5.pieces),
                        .scores = std::move(e5.scores),
                        .unk = e5.unk,
                        .pad = e5.pad,
                        .bos = e5.bos,
                        .eos = e5.eos,
                        .max_length = e5.positions,
                        .charsmap = compile_charsmap(e5.replacements)};
  return encoder;
}

}  // namespace qing::nn
