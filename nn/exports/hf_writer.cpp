// A directory for `transformers` (https://huggingface.co/docs/transformers/custom_models).
#include <boost/json.hpp>
#include <string_view>
#include <vector>

#include <qing/nn/exports/export_vocabulary.h>
#include <qing/nn/exports/file_formats.h>
#include <qing/nn/formats/safetensors.h>
#include <qing/nn/models/text_classifier_files.h>
#include <qing/nn/problem.h>
#include <qing/tensor/files.h>

namespace qing::nn {

extern const std::string_view kModelingSource;

namespace {

namespace json = boost::json;

// The key of "custom_pipelines" that makes pipeline("text-classification") show calibrated scores.
json::object pipelines() {
  return {{"text-classification",
           {{"impl", "modeling_qing.QingTextClassificationPipeline"},
            {"pt", json::array{"AutoModelForSequenceClassification"}},
            {"type", "text"}}}};
}

std::string config_json(const ExportSource& source, const ExportVocabulary& vocabulary) {
  const EncoderConfig& c = source.config();
  json::object id2label, label2id;
  for (size_t i = 0; i < source.labels.size(); ++i) {
    id2label[std::to_string(i)] = source.labels[i];
    label2id[source.labels[i]] = i;
  }
  json::object config = {
      {"architectures", json::array{"QingForSequenceClassification"}},
      {"model_type", "qing_classifier"},
      {"auto_map",
       {{"AutoConfig", "modeling_qing.QingConfig"},
        {"AutoModelForSequenceClassification", "modeling_qing.QingForSequenceClassification"}}},
      {"custom_pipelines", pipelines()},
      {"vocab_size", c.vocab_size},
      {"hidden_size", c.hidden_size},
      {"num_hidden_layers", c.num_hidden_layers},
      {"num_attention_heads", c.num_attention_heads},
      {"intermediate_size", c.intermediate_size},
      {"hidden_act", "gelu"},
      {"max_position_embeddings", c.max_position_embeddings},
      {"type_vocab_size", c.type_vocab_size},
      {"layer_norm_eps", c.layer_norm_eps},
      {"pad_token_id", source.tokenizer.pad_id()},
      {"unk_token_id", source.tokenizer.unk_id()},
      {"sep_token_id", source.tokenizer.sep_id()},
      {"problem_type", problem_type_of(source.problem)},
      {"id2label", id2label},
      {"label2id", label2id},
      {"dtype", "float32"},
      {"encoder_max_length", source.tokenizer.options().max_length},
      {"score_temperature", source.temperature},
      {"ngrams", nullptr},
  };
  if (source.problem == Problem::multi_label) {
    config["thresholds"] = json::array(source.thresholds.begin(), source.thresholds.end());
  }
  if (source.problem == Problem::ordinal) {
    const std::vector<double> places = places_of(source.labels);
    config["ordinal"] = true;
    config["places"] = json::array(places.begin(), places.end());
  }
  if (source.ngrams) {
    config["ngrams"] = {{"rows", source.ngrams->table().size()},
                        {"pieces", vocabulary.bytes.size(0)},
                        {"piece_bytes", vocabulary.bytes.size(1)}};
  }
  return json::serialize(config) + "\n";
}

// The class reads tokenizer.json as it is. BertTokenizer would build a pipeline of its own. 1e30 means no limit: the
// model itself cuts what the encoder does not read.
std::string tokenizer_config_json() {
  return json::serialize(json::object{{"tokenizer_class", "PreTrainedTokenizerFast"},
                                      {"model_max_length", 1e30},
                                      {"model_input_names", json::array{"input_ids", "attention_mask"}},
                                      {"clean_up_tokenization_spaces", false},
                                      {"pad_token", "[PAD]"},
                                      {"unk_token", "[UNK]"},
                                      {"cls_token", "[CLS]"},
                                      {"sep_token", "[SEP]"},
                                      {"mask_token", "[MASK]"}}) +
         "\n";
}

}  // namespace

void write_hf(const ExportSource& source, const std::filesystem::path& folder) {
  // transformers has several labels and numbers, but no labels with an order.
  if (!source.ngrams && source.temperature == 1 && source.problem != Problem::ordinal) {
    save_text_classifier(folder, *source.encoder, source.tokenizer);
    return;
  }
  SafetensorsFile file{.tensors = source.tensors, .metadata = {}};
  ExportVocabulary vocabulary;
  if (source.ngrams) {
    vocabulary = export_vocabulary(source.tokenizer);
    for (const auto& [name, tensor] : source.ngrams->stored_tensors()) file.tensors["ngrams." + name] = tensor;
    file.tensors["ngrams.pieces"] = vocabulary.bytes;
    file.tensors["ngrams.flags"] = vocabulary.flags;
  }
  save_safetensors(folder / "model.safetensors", file);
  write_file_atomically(folder / "config.json", config_json(source, vocabulary));
  write_file_atomically(folder / "modeling_qing.py", kModelingSource);
  write_file_atomically(folder / "tokenizer_config.json", tokenizer_config_json());
  write_file_atomically(folder / "tokenizer.json", source.ngrams ? ngram_tokenizer_json(source.tokenizer, vocabulary)
                                                                 : source.tokenizer.pipeline_json());
}

}  // namespace qing::nn
