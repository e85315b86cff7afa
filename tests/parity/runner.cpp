// parity_runner PLAN INPUTS OUTPUTS runs the cases of PLAN, forward and backward. harness.py writes PLAN and INPUTS and
// reads OUTPUTS. For a case that throws, stdout has a line with its number, a tab and the message.
//
// A line of PLAN: the row in quotes, then words: dtype NAME, size NAME VALUE, input NAME LAYOUT LEAF
// (0 or 1). Tensors of case N are named N/input/NAME, N/state/NAME, N/cotangent/I; results N/output/I, N/grad/NAME.
#include "parity/runner.h"

#include <cstdio>
#include <fstream>
#include <iomanip>
#include <sstream>

#include <qing/autograd/autograd.h>
#include <qing/nn/formats/safetensors.h>

namespace qing::parity {

void Case::load(nn::Module& module) {
  module.to(dtype);
  module.load_state_dict(state);
  module.set_requires_grad(true);
  parameters = module.named_parameters();
}

namespace {

using Tensors = std::map<std::string, Tensor>;

// The same elements with another memory layout.
Tensor laid_out(const Tensor& x, const std::string& layout) {
  if (x.dim() == 0 || layout == "plain") return x.clone();
  if (layout == "transposed") return x.transpose(0, -1).clone().transpose(0, -1);
  Shape wide = x.shape();
  wide.back() *= 2;
  const Tensor view = Tensor::zeros(wide, x.dtype()).slice(-1, 0, wide.back(), 2);
  view.alias().copy_from(x);
  return view;
}

// Reads a line of the plan.
class CaseReader {
 public:
  CaseReader(const Tensors& tensors, std::string prefix) : tensors_(tensors), prefix_(std::move(prefix)) {}

  Case read(std::istream& words) {
    Case c;
    std::string word;
    while (words >> word) {
      if (word == "dtype") read_dtype(words, c);
      if (word == "size") read_size(words, c);
      if (word == "input") read_input(words, c);
    }
    const std::string state = prefix_ + "state/";
    for (auto it = tensors_.lower_bound(state); it != tensors_.end() && it->first.starts_with(state); ++it) {
      c.state.emplace(it->first.substr(state.size()), it->second);
    }
    return c;
  }

 private:
  static void read_dtype(std::istream& words, Case& c) {
    std::string name;
    words >> name;
    c.dtype = name == "f64" ? DType::f64 : DType::f32;
  }
  static void read_size(std::istream& words, Case& c) {
    std::string name;
    words >> name;
    words >> c.sizes[name];
  }
  void read_input(std::istream& words, Case& c) const {
    std::string name, layout;
    bool leaf = false;
    words >> name >> layout >> leaf;
    Tensor x = laid_out(tensors_.at(prefix_ + "input/" + name), layout);
    if (leaf) set_requires_grad(x);
    c.inputs.emplace(name, x);
  }

  const Tensors& tensors_;
  std::string prefix_;
};

void keep_gradient(const std::string& name, const Tensor& leaf, Tensors& results) {
  if (!leaf.defined() || !requires_grad(leaf)) return;
  if (const Tensor gradient = grad(leaf); gradient.defined()) results.emplace(name, gradient.clone());
}

void run(const Row& row, Case c, const std::string& prefix, const Tensors& given, Tensors& results) {
  const std::vector<Tensor> computed = row.run(c);
  for (size_t i = 0; i < computed.size(); ++i) {
    const std::string number = std::to_string(i);
    results.emplace(prefix + "output/" + number, detach(computed[i]).clone());
    const auto cotangent = given.find(prefix + "cotangent/" + number);
    if (cotangent != given.end() && requires_grad(computed[i])) {
      backward(computed[i], {.retain_graph = true, .gradient = cotangent->second});
    }
  }
  for (const auto& [name, x] : c.inputs) keep_gradient(prefix + "grad/" + name, x, results);
  for (const auto& [name, x] : c.parameters) keep_gradient(prefix + "grad/" + name, x, results);
}

int run_plan(const char* plan, const char* inputs, const char* outputs) {
  std::map<std::string_view, Row> rows;
  for (const Row& row : all_rows()) rows.emplace(row.name, row);
  const Tensors given = nn::load_safetensors(inputs).tensors;
  nn::SafetensorsFile results;
  std::ifstream lines(plan);
  std::string line;
  for (int64_t number = 0; std::getline(lines, line); ++number) {
    const std::string prefix = std::to_string(number) + "/";
    std::istringstream words(line);
    std::string name;
    words >> std::quoted(name);
    try {
      if (rows.count(name) == 0) throw ValueError("no such row here; build parity_runner anew");
      run(rows.at(name), CaseReader(given, prefix).read(words), prefix, given, results.tensors);
    } catch (const std::exception& error) { std::printf("%ld\t%s\n", static_cast<long>(number), error.what()); }
  }
  nn::save_safetensors(outputs, results);
  return 0;
}

}  // namespace
}  // namespace qing::parity

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: parity_runner PLAN INPUTS OUTPUTS\n");
    return 2;
  }
  try {
    return qing::parity::run_plan(argv[1], argv[2], argv[3]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "parity_runner: %s\n", error.what());
    return 1;
  }
}
