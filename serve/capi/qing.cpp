#include <qing/serve/capi/qing.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/models/text_classifier.h>
#include <qing/tensor/errors.h>

struct qing_model {
  std::shared_ptr<const qing::nn::TextClassifier> classifier;
};
struct qing_predictions {
  qing::nn::Problem problem;
  std::vector<qing::nn::Prediction> list;
};

namespace {

constexpr double kNotANumber = std::numeric_limits<double>::quiet_NaN();

std::string& last_error() {
  thread_local std::string text;
  return text;
}

qing_status fail(qing_status status, const char* what) noexcept {
  try {
    last_error() = what;
  } catch (...) {
    // No memory for the text: an empty one remains.
    last_error().clear();
  }
  return status;
}

// Runs body; an exception becomes a status and the thread's last error.
template <class Body> qing_status guarded(const Body& body) noexcept {
  try {
    body();
    return QING_OK;
  } catch (const qing::IoError& error) {
    return fail(QING_IO_ERROR, error.what());
  } catch (const qing::DataError& error) {
    return fail(QING_DATA_ERROR, error.what());
  } catch (const qing::ValueError& error) {
    return fail(QING_INVALID_ARGUMENT, error.what());
  } catch (const std::bad_alloc&) {
    return fail(QING_NO_MEMORY, "out of memory");
  } catch (const std::exception& error) { return fail(QING_INTERNAL_ERROR, error.what()); } catch (...) {
    return fail(QING_INTERNAL_ERROR, "an unknown exception");
  }
}

qing::DType dtype_of(qing_precision precision) {
  switch (precision) {
    case QING_F32: return qing::DType::f32;
    case QING_BF16: return qing::DType::bf16;
    case QING_INT8: return qing::DType::i8;
  }
  throw qing::ValueError("qing_load: the precision is none of QING_F32, QING_BF16 and QING_INT8");
}

qing_problem problem_of(qing::nn::Problem problem) {
  switch (problem) {
    case qing::nn::Problem::single_label: return QING_SINGLE_LABEL;
    case qing::nn::Problem::multi_label: return QING_MULTI_LABEL;
    case qing::nn::Problem::ordinal: return QING_ORDINAL;
    case qing::nn::Problem::regression: return QING_REGRESSION;
  }
  return QING_SINGLE_LABEL;
}

const qing::nn::Prediction* prediction(const qing_predictions* predictions, size_t text) {
  return predictions != nullptr && text < predictions->list.size() ? &predictions->list[text] : nullptr;
}

}  // namespace

extern "C" {

const char* qing_version(void) { return QING_VERSION; }
int32_t qing_abi_version(void) { return QING_ABI_VERSION; }
const char* qing_last_error(void) { return last_error().c_str(); }

qing_status qing_load(const char* directory, qing_precision precision, qing_model** model) {
  if (model != nullptr) *model = nullptr;
  if (directory == nullptr || model == nullptr) {
    return fail(QING_INVALID_ARGUMENT, "qing_load: directory or model is NULL");
  }
  return guarded([&] {
    *model = new qing_model{qing::nn::TextClassifier::load(std::filesystem::path(directory), dtype_of(precision))};
  });
}

void qing_free_model(qing_model* model) { delete model; }

size_t qing_label_count(const qing_model* model) { return model == nullptr ? 0 : model->classifier->labels().size(); }

const char* qing_label(const qing_model* model, size_t label) {
  return label < qing_label_count(model) ? model->classifier->labels()[label].c_str() : nullptr;
}

int32_t qing_model_problem(const qing_model* model) {
  return model == nullptr ? -1 : static_cast<int32_t>(problem_of(model->classifier->problem()));
}

double qing_threshold(const qing_model* model, size_t label) {
  const bool known = label < qing_label_count(model) && label < model->classifier->thresholds().size();
  return known ? model->classifier->thresholds()[label] : kNotANumber;
}

qing_status qing_predict(const qing_model* model, const char* const* texts, const size_t* lengths, size_t count,
                         qing_predictions** predictions) {
  if (predictions != nullptr) *predictions = nullptr;
  if (model == nullptr || predictions == nullptr || (texts == nullptr && count > 0)) {
    return fail(QING_INVALID_ARGUMENT, "qing_predict: model, texts or predictions is NULL");
  }
  return guarded([&] {
    std::vector<std::string> copies;
    copies.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      if (texts[i] == nullptr) throw qing::ValueError("qing_predict: text " + std::to_string(i) + " is NULL");
      copies.emplace_back(lengths == nullptr ? std::string_view(texts[i]) : std::string_view(texts[i], lengths[i]));
    }
    *predictions = new qing_predictions{model->classifier->problem(), model->classifier->predict(copies)};
  });
}

void qing_free_predictions(qing_predictions* predictions) { delete predictions; }

size_t qing_prediction_count(const qing_predictions* predictions) {
  return predictions == nullptr ? 0 : predictions->list.size();
}

int32_t qing_predicted_label(const qing_predictions* predictions, size_t text) {
  const auto* one = prediction(predictions, text);
  return one == nullptr ? -1 : one->label;
}

int32_t qing_has_label(const qing_predictions* predictions, size_t text, size_t label) {
  const auto* one = prediction(predictions, text);
  if (one == nullptr || label >= one->scores.size()) return -1;
  switch (predictions->problem) {
    case qing::nn::Problem::multi_label:
      return std::ranges::binary_search(one->labels, static_cast<int32_t>(label)) ? 1 : 0;
    case qing::nn::Problem::regression: return 0;
    default: return one->label == static_cast<int32_t>(label) ? 1 : 0;
  }
}

double qing_value(const qing_predictions* predictions, size_t text) {
  const auto* one = prediction(predictions, text);
  if (one == nullptr) return kNotANumber;
  const bool has =
      predictions->problem == qing::nn::Problem::ordinal || predictions->problem == qing::nn::Problem::regression;
  return has ? one->value : kNotANumber;
}

const float* qing_scores(const qing_predictions* predictions, size_t text) {
  const auto* one = prediction(predictions, text);
  return one == nullptr ? nullptr : one->scores.data();
}

const float* qing_logits(const qing_predictions* predictions, size_t text) {
  const auto* one = prediction(predictions, text);
  return one == nullptr ? nullptr : one->logits.data();
}

int32_t qing_is_truncated(const qing_predictions* predictions, size_t text) {
  const auto* one = prediction(predictions, text);
  return one == nullptr ? -1 : static_cast<int32_t>(one->truncated);
}

}  // extern "C"
