#include <qing/nn/summary.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

namespace qing::nn {
namespace {

using Row = std::array<std::string, 3>;  // layer, shapes, parameters

// The parameters and buffers of one module without its sub-modules.
class Own : public Module::Visitor {
 public:
  void parameter(std::string_view name, Tensor& parameter) override {
    if (!parameter.defined()) return;
    count_ += parameter.numel();
    list(name, parameter);
  }
  void buffer(std::string_view name, Tensor& buffer, bool persistent) override {
    if (buffer.defined() && persistent) list(name, buffer);
  }
  void module(std::string_view, Module&) override {}

  Row row(std::string layer) const { return {std::move(layer), shapes_, count_ == 0 ? "" : fmt::format("{}", count_)}; }

 private:
  void list(std::string_view name, const Tensor& tensor) {
    shapes_ += fmt::format("{}{} {}", shapes_.empty() ? "" : ", ", name, to_string(tensor.shape()));
  }
  std::string shapes_;
  int64_t count_ = 0;
};

void add_rows(const std::string& name, Module& module, size_t depth, std::vector<Row>& rows) {
  Own own;
  module.visit(own);
  const std::string type = module.type_name();
  rows.push_back(own.row(std::string(2 * depth, ' ') + (depth == 0 ? type : fmt::format("{} ({})", name, type))));
  for (const auto& [child_name, child] : module.children()) add_rows(child_name, *child, depth + 1, rows);
}

}  // namespace

std::string summary(Module& module) {
  std::vector<Row> rows = {{"Layer", "Shapes", "Parameters"}};
  add_rows("", module, 0, rows);
  std::array<size_t, 3> width = {};
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], row[i].size());
  }
  const std::string line(width[0] + width[1] + width[2] + 4, '-');
  std::string text;
  for (const Row& row : rows) {
    text += fmt::format("{:<{}}  {:<{}}  {:>{}}\n", row[0], width[0], row[1], width[1], row[2], width[2]);
    if (text.find(line) == std::string::npos) text += line + "\n";
  }
  int64_t buffers = 0;
  for (const auto& [name, buffer] : module.named_buffers()) buffers += buffer.numel();
  return text + fmt::format("{}\nParameters: {}, of which {} trainable; buffers: {}; {} bytes\n", line,
                            module.parameter_count(), module.parameter_count(true), buffers, module.bytes());
}

}  // namespace qing::nn
