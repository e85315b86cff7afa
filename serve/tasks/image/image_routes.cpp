#include <qing/serve/tasks/image/image_routes.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include <qing/nn/base64.h>
#include <qing/nn/images/decode.h>
#include <qing/serve/protocols/json_body.h>
#include <qing/serve/protocols/v2_tensors.h>
#include <qing/serve/service/service.h>
#include <qing/serve/tasks/image/image_request.h>

namespace qing::serve::image {
namespace {

namespace json = boost::json;
using protocols::refuse_field;

// What a picture costs beside texts, in tokens, and with an explanation.
constexpr size_t kPictureCost = 64, kExplainedCost = 4096;
// Pictures that are computed at a time; other requests run in between.
constexpr size_t kPieceImages = 8;
constexpr int64_t kOverlaySide = 224;  // about that many pixels

// The pictures of a request and what the model says of them. Pieces write to different pictures.
struct PictureWork {
  Model model;
  std::shared_ptr<const nn::ImageClassifier> classifier;
  PictureRequest request;
  std::vector<nn::ImagePrediction> predictions;
  std::vector<std::optional<nn::ImageExplanation>> explanations;
  std::vector<std::string> overlays;  // PNG

  size_t per_piece() const { return request.explain ? 1 : kPieceImages; }
  void compute(size_t piece) {
    const size_t begin = piece * per_piece(), end = std::min(begin + per_piece(), request.pictures.size());
    const nn::ImagePreprocessing& p = classifier->preprocessing();
    std::vector<nn::Image> images;  // of the network's size: a picture as it was sent may have millions of pixels
    for (size_t i = begin; i < end; ++i) {
      try {
        images.push_back(p.fitted(nn::decode_image(request.pictures[i], {.limits = {.max_pixels = kMostPixels}})));
      } catch (const nn::ImageError& error) { refuse_field(fmt::format("images[{}]: {}", i, error.what())); }
    }
    std::vector<nn::ImagePrediction> found = classifier->predict(images);
    std::move(found.begin(), found.end(), predictions.begin() + static_cast<std::ptrdiff_t>(begin));
    if (!request.explain) return;
    explanations[begin] = classifier->explain(images.front());
    const int64_t scale = std::clamp<int64_t>(kOverlaySide / std::max(p.height, p.width), 1, 64);
    overlays[begin] = nn::encode_png(classifier->overlay(images.front(), *explanations[begin], scale));
  }
};

HttpResponse pictures_response(const PictureWork& work) {
  JsonWriter json;
  json.begin_object().member("model", work.model.name).member("version", std::to_string(work.model.version));
  json.key("predictions").begin_array();
  for (size_t i = 0; i < work.predictions.size(); ++i) {
    const auto& explanation = work.explanations[i];
    write_image_prediction(json, *work.classifier, work.predictions[i], explanation ? &*explanation : nullptr,
                           work.overlays[i]);
  }
  json.end().end();
  return {200, json.take(), {}};
}

std::shared_ptr<const nn::ImageClassifier> classifier_of(const Model& model) {
  return std::dynamic_pointer_cast<const nn::ImageClassifier>(model.served);
}

// --- V2 ---

struct TensorWork {
  Model model;
  std::shared_ptr<const nn::ImageClassifier> classifier;
  protocols::V2Request request;
  Tensor x;  // f32 [images, channels, height, width], normalized
  std::vector<nn::ImagePrediction> predictions;
};

[[noreturn]] void malformed(const std::string& why) { throw Refusal(error_response(400, "malformed_body", why)); }

// The number of images that the shape says: [images, height, width, channels], without channels if there is one.
int64_t images_of_shape(const json::object& input, const nn::ImagePreprocessing& p) {
  const auto refuse = [&] {
    refuse_field(fmt::format("inputs[0].shape: must be [images, {}, {}, {}]", p.height, p.width, p.channels));
  };
  const json::value* shape = protocols::member(input, "shape");
  if (shape == nullptr || !shape->is_array()) refuse();
  const json::array& sizes = shape->get_array();
  const bool flat = p.channels == 1 && sizes.size() == 3;
  if (sizes.size() != 4 && !flat) refuse();
  const int64_t wanted[] = {-1, p.height, p.width, p.channels};
  int64_t images = 0;
  for (size_t d = 0; d < sizes.size(); ++d) {
    const auto size = protocols::integer_of(sizes[d]);
    if (!size || *size < 0 || (d > 0 && *size != wanted[d])) refuse();
    if (d == 0) images = *size;
  }
  if (images < 1 || static_cast<size_t>(images) > kMostPictures) {
    refuse_field(fmt::format("inputs[0].shape: {} images; there must be 1 to {}", images, kMostPictures));
  }
  return images;
}

void read_numbers(const json::value& value, bool bytes, size_t most, std::vector<float>& numbers) {
  if (value.is_array()) {
    for (const json::value& one : value.get_array()) read_numbers(one, bytes, most, numbers);
    return;
  }
  const std::string field = fmt::format("inputs[0].data[{}]", numbers.size());
  if (!value.is_number() || numbers.size() >= most) refuse_field(field + ": more numbers than the shape says, or none");
  const double number = value.to_number<double>();
  if (bytes ? !(number >= 0 && number <= 255 && number == std::floor(number)) : !(number >= 0 && number <= 1)) {
    refuse_field(field + (bytes ? ": must be a whole number from 0 to 255" : ": must be in [0, 1]"));
  }
  numbers.push_back(static_cast<float>(bytes ? number / 255 : number));
}

std::vector<float> read_binary(std::string_view rest, bool bytes, size_t count) {
  if (rest.size() != count * (bytes ? 1 : sizeof(float))) {
    malformed(fmt::format("inputs[0]: {} bytes for {} elements", rest.size(), count));
  }
  std::vector<float> numbers(count);
  for (size_t i = 0; i < count; ++i) {
    if (bytes) {
      numbers[i] = static_cast<float>(static_cast<uint8_t>(rest[i])) / 255.0F;
      continue;
    }
    std::memcpy(&numbers[i], rest.data() + i * sizeof(float), sizeof(float));
    if (!(numbers[i] >= 0 && numbers[i] <= 1)) refuse_field(fmt::format("inputs[0].data[{}]: must be in [0, 1]", i));
  }
  return numbers;
}

// [images, height, width, channels] in [0, 1] to the network's input.
Tensor normalized_input(const std::vector<float>& numbers, int64_t images, const nn::ImagePreprocessing& p) {
  Tensor x = Tensor::empty({images, p.channels, p.height, p.width});
  const int64_t pixels = p.height * p.width;
  float* to = x.data<float>();
  for (int64_t n = 0; n < images; ++n) {
    for (int64_t c = 0; c < p.channels; ++c) {
      const float mean = p.mean[static_cast<size_t>(c)], deviation = p.std[static_cast<size_t>(c)];
      for (int64_t i = 0; i < pixels; ++i) {
        *to++ = (numbers[static_cast<size_t>((n * pixels + i) * p.channels + c)] - mean) / deviation;
      }
    }
  }
  return x;
}

Tensor read_tensor(const protocols::V2Body& body, const nn::ImagePreprocessing& p) {
  const json::object& input = body.input();
  const json::value* type = protocols::member(input, "datatype");
  if (type == nullptr || (*type != "UINT8" && *type != "FP32"))
    refuse_field("inputs[0].datatype: must be UINT8 or FP32");
  const bool bytes = *type == "UINT8";
  const int64_t images = images_of_shape(input, p);
  const auto count = static_cast<size_t>(images * p.values());
  std::vector<float> numbers;
  if (const json::value* data = protocols::member(input, "data")) {
    read_numbers(*data, bytes, count, numbers);
    if (numbers.size() != count) {
      refuse_field(fmt::format("inputs[0].data: {} numbers, but the shape has {}", numbers.size(), count));
    }
  } else {
    numbers = read_binary(body.rest, bytes, count);
  }
  return normalized_input(numbers, images, p);
}

}  // namespace

void write_image_prediction(JsonWriter& json, const nn::ImageClassifier& model, const nn::ImagePrediction& prediction,
                            const nn::ImageExplanation* explanation, const std::string& overlay) {
  const std::vector<std::string>& labels = model.labels();
  const auto label = static_cast<size_t>(prediction.label);
  json.begin_object().member("label", labels[label]).member("score", prediction.scores[label]);
  json.key("scores").begin_object();
  for (size_t i = 0; i < labels.size(); ++i) json.member(labels[i], prediction.scores[i]);
  json.end();
  if (explanation != nullptr) {
    json.key("explanation").begin_object().member("label", labels[static_cast<size_t>(explanation->label)]);
    json.member("score", explanation->score).member("baseline", explanation->baseline).member("gap", explanation->gap);
    json.member("overlay", nn::encode_base64(overlay)).end();
  }
  json.end();
}

Routed::Run predict_pictures(Service& service, const Model& model, const Call& call) {
  return [&service, asked = model, head = picture_head(call.head)](const std::string& body, Routed::Reply reply) {
    service.require_room(asked, reply);
    PictureRequest request = read_pictures(head, body, service.limits(asked));
    const Model model = service.answering(asked, request.pictures, reply);
    const auto work =
        std::make_shared<PictureWork>(PictureWork{model, classifier_of(model), std::move(request), {}, {}, {}});
    const size_t count = work->request.pictures.size();
    work->predictions.resize(count);
    work->explanations.resize(count);
    work->overlays.resize(count);
    const size_t each = work->per_piece(), cost = work->request.explain ? kExplainedCost : kPictureCost;
    std::vector<size_t> costs;
    for (size_t begin = 0; begin < count; begin += each) costs.push_back(cost * std::min(each, count - begin));
    service.work(model,
                 {.costs = costs,
                  .items = count,
                  .run =
                      [work, costs](size_t piece) {
                        work->compute(piece);
                        return static_cast<std::int64_t>(costs[piece]);
                      },
                  .write = [work] { return pictures_response(*work); }},
                 std::move(reply));
  };
}

Routed::Run infer_pictures(Service& service, const Model& model, const Call& call) {
  return [&service, asked = model, length = protocols::v2_header_length(call.head)](const std::string& body,
                                                                                    Routed::Reply reply) {
    service.require_room(asked, reply);
    const Model model = service.answering(asked, {&body, 1}, reply);
    protocols::V2Body read = protocols::read_v2_body(body, length, *model.served, service.limits(model));
    const auto work = std::make_shared<TensorWork>(TensorWork{model, classifier_of(model), {}, {}, {}});
    work->x = read_tensor(read, work->classifier->preprocessing());
    work->request = std::move(read.request);
    const auto images = static_cast<size_t>(work->x.size(0));
    service.work(model,
                 {.costs = {kPictureCost * images},
                  .items = images,
                  .run =
                      [work, images](size_t) {
                        work->predictions = work->classifier->predict_normalized(work->x);
                        return static_cast<std::int64_t>(kPictureCost * images);
                      },
                  .write =
                      [work] {
                        const std::vector<std::string>& labels = work->classifier->labels();
                        return protocols::write_v2(
                            work->request, work->model, work->predictions.size(), [&](const std::string& name) {
                              protocols::V2Column column;
                              column.is_text = name == "label";
                              if (!column.is_text) column.width = labels.size();
                              for (const nn::ImagePrediction& prediction : work->predictions) {
                                if (column.is_text) {
                                  column.texts.push_back(labels[static_cast<size_t>(prediction.label)]);
                                } else {
                                  column.numbers.insert(column.numbers.end(), prediction.scores.begin(),
                                                        prediction.scores.end());
                                }
                              }
                              return column;
                            });
                      }},
                 std::move(reply));
  };
}

}  // namespace qing::serve::image
