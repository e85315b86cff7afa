// How a server answers for image classifiers.
#pragma once

#include <string>
#include <vector>

#include <qing/nn/models/image_classifier.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/http/router.h>

namespace qing::serve {
class Service;
struct Model;
}  // namespace qing::serve

namespace qing::serve::image {

/// POST /v1/models/{name}/predict with pictures: a form of multipart/form-data with a file for each, JSON {"images":
/// [base64, ...], "explain": false}, or the bytes of one as image/png or image/jpeg. In the query or the form,
/// explain=true asks for overlays. Refusal: 413 or 422 for limits, 415 for another type, 422 for a picture that cannot
/// be read, with its place.
Routed::Run predict_pictures(Service& service, const Model& model, const Call& call);

/// POST /v2/models/{name}/infer with the tensor "image", UINT8 or FP32 [images, height, width, channels] in JSON. FP32
/// are values in [0, 1] before the normalization. Refusal with 400 or 422.
Routed::Run infer_pictures(Service& service, const Model& model, const Call& call);

/// {"label": "...", "score": 0.9, "scores": {...}}, and with an overlay {"explanation": {...}}.
void write_image_prediction(JsonWriter& json, const nn::ImageClassifier& model, const nn::ImagePrediction& prediction,
                            const nn::ImageExplanation* explanation = nullptr, const std::string& overlay = {});

}  // namespace qing::serve::image
