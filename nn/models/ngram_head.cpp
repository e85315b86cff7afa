#include <qing/nn/models/ngram_head.h>

#include <fmt/format.h>

#include <utility>
#include <vector>

#include <qing/autograd/ops.h>
#include <qing/nn/formats/safetensors.h>

namespace qing::nn {

NgramHead::NgramHead(NgramTable table, int64_t labels) : table_(std::move(table)) {
  if (labels < 1) throw ValueError(fmt::format("NgramHead: there are {} labels; there must be at least 1", labels));
  weight_ = Tensor::zeros({table_.size(), labels});
}

void NgramHead::visit(Visitor& visitor) { visitor.parameter("weight", weight_); }

Tensor NgramHead::forward(std::span<const NgramFeatures* const> texts) const {
  std::vector<int32_t> rows;
  std::vector<int64_t> offsets;
  std::vector<float> values;
  for (const NgramFeatures* features : texts) {
    offsets.push_back(static_cast<int64_t>(rows.size()));
    rows.insert(rows.end(), features->rows.begin(), features->rows.end());
    values.insert(values.end(), features->values.begin(), features->values.end());
  }
  const auto count = static_cast<int64_t>(rows.size());
  return embedding_bag(weight_, Tensor::from<int32_t>(std::span<const int32_t>(rows), {count}),
                       Tensor::from<int64_t>(std::span<const int64_t>(offsets), {static_cast<int64_t>(texts.size())}),
                       BagMode::sum, -1, Tensor::from<float>(std::span<const float>(values), {count}));
}

StateDict NgramHead::stored_tensors() const {
  StateDict tensors = table_.state_dict();
  tensors["idf"] = tensors.at("idf").to(DType::f16);
  tensors["weight"] = weight_.to(DType::f16).contiguous();
  return tensors;
}

void NgramHead::save(const std::filesystem::path& path) {
  save_safetensors(path, {.tensors = stored_tensors(), .metadata = {}});
}

NgramHead NgramHead::load(const std::filesystem::path& path, const TokenizerOptions& options, int64_t labels) {
  SafetensorsFile file = load_safetensors(path);
  try {
    const auto widen = [&](const char* name) {
      const auto found = file.tensors.find(name);
      if (found == file.tensors.end() || found->second.dtype() != DType::f16) {
        throw DataError(fmt::format("there is no tensor '{}' of type f16", name));
      }
      return found->second.to(DType::f32);
    };
    file.tensors["idf"] = widen("idf");
    const Tensor weight = widen("weight");
    NgramHead head(NgramTable::from(file.tensors, options), labels);
    head.load_state_dict({{"weight", weight}});
    return head;
  } catch (const DataError& error) { throw DataError(path.string() + ": " + error.what()); }
}

}  // namespace qing::nn
