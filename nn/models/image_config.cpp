#include <qing/nn/models/image_config.h>

#include <fmt/format.h>

#include <boost/json.hpp>
#include <utility>

#include <qing/nn/models/config_reader.h>
#include <qing/nn/models/label_names.h>
#include <qing/nn/models/task_config.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::nn {
namespace {

namespace json = boost::json;

constexpr std::string_view kResnetType = "qing_resnet", kVitType = "vit";
constexpr std::string_view kResnetArchitecture = "QingResidualNetworkForImageClassification";
constexpr std::string_view kVitArchitecture = "ViTForImageClassification";
// transformers' class looks at the class token, so it must not load a model without one.
constexpr std::string_view kMeanVitArchitecture = "QingMeanViTForImageClassification", kMeanVitType = "qing_mean_vit";

std::vector<std::string> read_image_labels(const ConfigReader& reader) {
  const json::value* value = reader.find("id2label");
  if (value == nullptr || !value->is_object()) reader.fail("id2label: needs an object of labels");
  const json::object& map = value->get_object();
  std::vector<std::string> labels;
  for (size_t i = 0; i < map.size(); ++i) {
    const json::value* label = map.if_contains(std::to_string(i));
    if (label == nullptr || !label->is_string()) {
      reader.fail(fmt::format("id2label: no label for \"{}\"; its {} ids must be \"0\" to \"{}\", each with a name", i,
                              map.size(), map.size() - 1));
    }
    labels.emplace_back(label->get_string());
  }
  return labels;
}

int64_t whole_number(const ConfigReader& reader, const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || !value->is_int64()) reader.fail(fmt::format("preprocessing: {} is not an integer", name));
  return value->get_int64();
}

std::vector<float> real_numbers(const ConfigReader& reader, const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || !value->is_array()) reader.fail(fmt::format("preprocessing: {} is not an array", name));
  std::vector<float> numbers;
  for (const json::value& number : value->get_array()) {
    if (!number.is_number()) reader.fail(fmt::format("preprocessing: {} is not an array of numbers", name));
    numbers.push_back(static_cast<float>(number.to_number<double>()));
  }
  return numbers;
}

ImagePreprocessing read_preprocessing(const ConfigReader& reader) {
  const json::value* value = reader.find("preprocessing");
  if (value == nullptr || !value->is_object()) reader.fail("preprocessing: needs an object");
  const json::object& object = value->get_object();
  ImagePreprocessing p;
  p.height = whole_number(reader, object, "height");
  p.width = whole_number(reader, object, "width");
  p.channels = whole_number(reader, object, "channels");
  p.mean = real_numbers(reader, object, "mean");
  p.std = real_numbers(reader, object, "std");
  const json::value* fit = object.if_contains("fit");
  const std::string_view name = fit != nullptr && fit->is_string() ? std::string_view(fit->get_string()) : "";
  if (name != name_of(ImageFit::stretch) && name != name_of(ImageFit::crop)) {
    reader.fail("preprocessing: fit is neither \"stretch\" nor \"crop\"");
  }
  p.fit = name == name_of(ImageFit::crop) ? ImageFit::crop : ImageFit::stretch;
  return p;
}

ResidualNetworkConfig read_resnet(const ConfigReader& reader) {
  ResidualNetworkConfig config;
  reader.require("num_channels", config.channels);
  reader.require("blocks", config.blocks);
  const json::value* widths = reader.find("widths");
  if (widths == nullptr || !widths->is_array()) reader.fail("widths: needs an array of integers");
  config.widths.clear();
  for (const json::value& width : widths->get_array()) {
    if (!width.is_int64()) reader.fail("widths: needs an array of integers");
    config.widths.push_back(width.get_int64());
  }
  return config;
}

VisionTransformerConfig read_vit(const ConfigReader& reader, PatchPooling pooling) {
  VisionTransformerConfig config;
  config.pooling = pooling;
  reader.require("num_channels", config.num_channels);
  reader.require("patch_size", config.patch_size);
  reader.require("hidden_size", config.hidden_size);
  reader.require("num_hidden_layers", config.num_hidden_layers);
  reader.require("num_attention_heads", config.num_attention_heads);
  reader.require("intermediate_size", config.intermediate_size);
  reader.optional("hidden_dropout_prob", config.hidden_dropout_prob);
  reader.optional("attention_probs_dropout_prob", config.attention_probs_dropout_prob);
  reader.optional("layer_norm_eps", config.layer_norm_eps);
  reader.optional("initializer_range", config.initializer_range);
  reader.only("hidden_act", "gelu");
  bool bias = true;
  reader.optional("qkv_bias", bias);
  if (!bias) reader.fail("qkv_bias: false is not supported; only true is");
  const json::value* size = reader.find("image_size");
  if (size != nullptr && size->is_int64()) {
    config.image_height = config.image_width = size->get_int64();
  } else if (size != nullptr && size->is_array() && size->get_array().size() == 2 && size->get_array()[0].is_int64() &&
             size->get_array()[1].is_int64()) {
    config.image_height = size->get_array()[0].get_int64();
    config.image_width = size->get_array()[1].get_int64();
  } else {
    reader.fail("image_size: needs an integer, or an array of height and width");
  }
  return config;
}

void write_network(const ResidualNetworkConfig& network, json::object& config) {
  config["architectures"] = json::array{kResnetArchitecture};
  config["model_type"] = kResnetType;
  config["num_channels"] = network.channels;
  config["widths"] = json::array(network.widths.begin(), network.widths.end());
  config["blocks"] = network.blocks;
}

void write_network(const VisionTransformerConfig& network, json::object& config) {
  const bool token = network.pooling == PatchPooling::cls;
  config["architectures"] = json::array{token ? kVitArchitecture : kMeanVitArchitecture};
  config["model_type"] = token ? kVitType : kMeanVitType;
  config["num_channels"] = network.num_channels;
  if (network.image_height == network.image_width) {
    config["image_size"] = network.image_height;
  } else {
    config["image_size"] = {network.image_height, network.image_width};
  }
  config["patch_size"] = network.patch_size;
  config["hidden_size"] = network.hidden_size;
  config["num_hidden_layers"] = network.num_hidden_layers;
  config["num_attention_heads"] = network.num_attention_heads;
  config["intermediate_size"] = network.intermediate_size;
  config["hidden_act"] = "gelu";
  config["qkv_bias"] = true;
  config["hidden_dropout_prob"] = network.hidden_dropout_prob;
  config["attention_probs_dropout_prob"] = network.attention_probs_dropout_prob;
  config["layer_norm_eps"] = network.layer_norm_eps;
  config["initializer_range"] = network.initializer_range;
}

// The sizes that network, preprocessing and labels must share.
struct SharedSizes {
  int64_t channels, classes, height, width;  // height and width are 0 for a network of any size
};

SharedSizes sizes_of(const ResidualNetworkConfig& c) { return {c.channels, c.classes, 0, 0}; }
SharedSizes sizes_of(const VisionTransformerConfig& c) {
  return {c.num_channels, c.classes, c.image_height, c.image_width};
}

}  // namespace

std::string_view ImageConfig::architecture() const { return network.index() == 0 ? "resnet" : "vit"; }

std::unique_ptr<UnaryModule> ImageConfig::build(Generator& rng) const {
  if (const auto* resnet = std::get_if<ResidualNetworkConfig>(&network)) {
    return std::make_unique<ResidualNetwork>(*resnet, rng);
  }
  return std::make_unique<VisionTransformer>(std::get<VisionTransformerConfig>(network), rng);
}

void ImageConfig::validate() const {
  std::visit([](const auto& config) { config.validate(); }, network);
  preprocessing.validate();
  if (labels.size() < 2) throw ValueError(fmt::format("labels: there must be at least 2, got {}", labels.size()));
  check_label_names(labels);
  const SharedSizes sizes = std::visit([](const auto& config) { return sizes_of(config); }, network);
  const ImagePreprocessing& p = preprocessing;
  if (sizes.channels != p.channels) {
    throw ValueError(fmt::format("num_channels: {}, but preprocessing gives {}", sizes.channels, p.channels));
  }
  if (sizes.classes != static_cast<int64_t>(labels.size())) {
    throw ValueError(fmt::format("labels: {} for {} classes", labels.size(), sizes.classes));
  }
  if (sizes.height != 0 && (sizes.height != p.height || sizes.width != p.width)) {
    throw ValueError(fmt::format("image_size: {} x {} pixels, but preprocessing gives {} x {}", sizes.width,
                                 sizes.height, p.width, p.height));
  }
}

ImageConfig ImageConfig::load(const std::filesystem::path& path) {
  const ConfigReader reader(path);
  require_task(reader, kImage);
  ImageConfig config;
  const std::string type = reader.text("model_type", "");
  config.labels = read_image_labels(reader);
  config.preprocessing = read_preprocessing(reader);
  const auto classes = static_cast<int64_t>(config.labels.size());
  if (type == kResnetType) {
    ResidualNetworkConfig network = read_resnet(reader);
    network.classes = classes;
    config.network = std::move(network);
  } else if (type == kVitType || type == kMeanVitType) {
    VisionTransformerConfig network = read_vit(reader, type == kVitType ? PatchPooling::cls : PatchPooling::mean);
    network.classes = classes;
    config.network = network;
  } else {
    reader.fail(fmt::format("model_type: \"{}\" is none of {}, {}, {}", type, kResnetType, kVitType, kMeanVitType));
  }
  try {
    config.validate();
  } catch (const ValueError& error) { reader.fail(error.what()); }
  return config;
}

void ImageConfig::save(const std::filesystem::path& path) const {
  json::object config;
  std::visit([&](const auto& chosen) { write_network(chosen, config); }, network);
  config["task"] = kImage;
  json::object id2label, label2id;
  for (size_t i = 0; i < labels.size(); ++i) {
    id2label[std::to_string(i)] = labels[i];
    label2id[labels[i]] = i;
  }
  config["id2label"] = id2label;
  config["label2id"] = label2id;
  const ImagePreprocessing& p = preprocessing;
  config["preprocessing"] = {{"height", p.height},
                             {"width", p.width},
                             {"channels", p.channels},
                             {"fit", name_of(p.fit)},
                             {"mean", json::array(p.mean.begin(), p.mean.end())},
                             {"std", json::array(p.std.begin(), p.std.end())}};
  config["torch_dtype"] = "float32";
  write_file_atomically(path, json::serialize(config) + "\n");
}

}  // namespace qing::nn
