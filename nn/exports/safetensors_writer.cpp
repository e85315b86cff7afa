// One safetensors file that says all of the model: every tensor, and the configuration in its metadata.
#include <fmt/format.h>

#include <boost/json.hpp>

#include <qing/nn/exports/export_vocabulary.h>
#include <qing/nn/exports/file_formats.h>
#include <qing/nn/formats/safetensors.h>
#include <qing/tensor/files.h>

namespace qing::nn {
void write_safetensors(const ExportSource& source, const std::filesystem::path& folder) {
  const EncoderConfig& c = source.config();
  SafetensorsFile file{.tensors = source.tensors, .metadata = {}};
  file.metadata = {
      {"qing.architecture", source.ngrams ? "bert+ngrams" : "bert"},
      {"qing.labels", boost::json::serialize(boost::json::array(source.labels.begin(), source.labels.end()))},
      {"qing.temperature", fmt::format("{}", source.temperature)},
      {"qing.max_length", fmt::format("{}", source.tokenizer.options().max_length)},
      {"qing.num_attention_heads", fmt::format("{}", c.num_attention_heads)},
      {"qing.layer_norm_eps", fmt::format("{}", c.layer_norm_eps)},
  };
  for (const auto& [name, value] : problem_facts(source)) file.metadata["qing." + name] = value;
  if (source.ngrams) {
    for (const auto& [name, tensor] : source.ngrams->stored_tensors()) file.tensors["ngrams." + name] = tensor;
  }
  save_safetensors(folder / "model.safetensors", file);
  write_file_atomically(folder / "tokenizer.json", source.tokenizer.pipeline_json());
}

}  // namespace qing::nn
