// Runs chains of operations, views and in-place writes from stdin, so that tests/python/test_in_place_parity.py can
// compare them. Input: the number of chains, and for each chain the number of steps and one line of words per step. A
// step with a result adds a tensor. Tensors are named by their number. A step that begins with "nograd" runs under
// NoGradGuard. After the last step, backward runs from the weighted sum (see weight()) of all elements of tensors that
// require gradients, except those that a "nograd" step made. Output: one line per chain. It is "step K ERROR" or
// "backward ERROR" after a refusal. Otherwise it is "values" with, for each tensor, whether it requires a gradient, its
// number of elements and the elements, then "gradients" with, for each leaf, the number of elements (0 without a
// gradient) and the elements.
#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>

#include <cstdio>
#include <functional>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace {

using namespace qing;

class Chain {
 public:
  void step(std::istringstream words) {
    std::string name;
    words >> name;
    if (name != "nograd") {
      run(name, words);
      return outside_.resize(tensors_.size(), false);
    }
    words >> name;
    const NoGradGuard guard;
    run(name, words);
    outside_.resize(tensors_.size(), true);
  }

  void walk() const {
    Tensor total;
    for (size_t i = 0; i < tensors_.size(); ++i) {
      if (outside_[i] || !requires_grad(tensors_[i])) continue;
      const Tensor flat = reshape(tensors_[i], {-1});
      Tensor weights = Tensor::empty(flat.shape(), DType::f64);
      for (size_t j = 0; j < weights.span<double>().size(); ++j) weights.span<double>()[j] = weight(i, j);
      const Tensor part = sum(flat * weights);
      total = total.defined() ? total + part : part;
    }
    if (total.defined()) backward(total);
  }

  void print() const {
    std::printf("values");
    for (size_t i = 0; i < tensors_.size(); ++i) {
      std::printf(" %d", !outside_[i] && requires_grad(tensors_[i]));
      print(tensors_[i]);
    }
    std::printf(" gradients");
    for (const Tensor& leaf : leaves_) {
      const Tensor gradient = grad(leaf);
      if (gradient.defined()) {
        print(gradient);
      } else {
        std::printf(" 0");
      }
    }
    std::printf("\n");
  }

 private:
  using Words = std::istringstream;

  static double weight(size_t tensor, size_t element) {
    return static_cast<double>((tensor * 31 + element * 7) % 11 + 1) / 8;
  }
  static void print(const Tensor& tensor) {
    const Tensor dense = tensor.alias().contiguous();
    std::printf(" %zu", dense.span<double>().size());
    for (const double value : dense.span<double>()) std::printf(" %.17g", value);
  }

  template <class T> static T next(Words& words) {
    T value{};
    if (!(words >> value)) throw ValueError("a step lacks a word");
    return value;
  }
  static int64_t integer(Words& words) { return next<int64_t>(words); }
  static double number(Words& words) { return next<double>(words); }
  static std::vector<int64_t> integers(Words& words) {
    std::vector<int64_t> all(static_cast<size_t>(integer(words)));
    for (int64_t& one : all) one = integer(words);
    return all;
  }
  Tensor& tensor(Words& words) { return tensors_.at(static_cast<size_t>(integer(words))); }
  static Tensor constant(Words& words) {
    const Shape shape = integers(words);
    Tensor values = Tensor::empty(shape, DType::f64);
    for (double& value : values.span<double>()) value = number(words);
    return values;
  }

  void run(const std::string& name, Words& words) {
    if (const auto writes = kWrites.find(name); writes != kWrites.end()) {
      Tensor target = tensor(words);
      return writes->second(*this, target, words);
    }
    if (name == "constant" || name == "leaf") {
      tensors_.push_back(constant(words));
      if (name == "leaf") leaves_.push_back(set_requires_grad(tensors_.back()));
      return;
    }
    const Tensor of = tensor(words);
    tensors_.push_back(kResults.at(name)(*this, of, words));
  }

  using Result = std::function<Tensor(Chain&, const Tensor& x, Words& words)>;
  using Write = std::function<void(Chain&, Tensor& x, Words& words)>;
  static const std::map<std::string, Result> kResults;
  static const std::map<std::string, Write> kWrites;

  std::vector<Tensor> tensors_, leaves_;
  std::vector<bool> outside_;  // whether a step under NoGradGuard made the tensor
};

const std::map<std::string, Chain::Result> Chain::kResults = {
    {"add", [](Chain& c, const Tensor& x, Words& w) { return x + c.tensor(w); }},
    {"mul", [](Chain& c, const Tensor& x, Words& w) { return x * c.tensor(w); }},
    {"scale", [](Chain&, const Tensor& x, Words& w) { return x * number(w); }},
    {"tanh", [](Chain&, const Tensor& x, Words&) { return tanh(x); }},
    {"sigmoid", [](Chain&, const Tensor& x, Words&) { return sigmoid(x); }},
    {"detach", [](Chain&, const Tensor& x, Words&) { return detach(x); }},
    {"clone", [](Chain&, const Tensor& x, Words&) { return x.clone(); }},
    {"contiguous", [](Chain&, const Tensor& x, Words&) { return x.contiguous(); }},
    {"reshape", [](Chain&, const Tensor& x, Words& w) { return x.reshape(integers(w)); }},
    {"permute", [](Chain&, const Tensor& x, Words& w) { return x.permute(integers(w)); }},
    {"expand", [](Chain&, const Tensor& x, Words& w) { return x.expand(integers(w)); }},
    {"unsqueeze", [](Chain&, const Tensor& x, Words& w) { return x.unsqueeze(integer(w)); }},
    {"transpose",
     [](Chain&, const Tensor& x, Words& w) {
       const int64_t a = integer(w);
       return x.transpose(a, integer(w));
     }},
    {"select",
     [](Chain&, const Tensor& x, Words& w) {
       const int64_t dim = integer(w);
       return x.select(dim, integer(w));
     }},
    {"slice",
     [](Chain&, const Tensor& x, Words& w) {
       const int64_t dim = integer(w), start = integer(w), end = integer(w);
       return x.slice(dim, start, end, integer(w));
     }},
    {"index",  // by a slice of the last dimension
     [](Chain&, const Tensor& x, Words& w) {
       const int64_t start = integer(w);
       return x[{Ellipsis, Slice(start, integer(w))}];
     }},
    {"diagonal", [](Chain&, const Tensor& x, Words& w) { return x.diagonal(integer(w)); }},
    {"unfold",
     [](Chain&, const Tensor& x, Words& w) {
       const int64_t dim = integer(w), size = integer(w);
       return x.unfold(dim, size, integer(w));
     }},
};

const std::map<std::string, Chain::Write> Chain::kWrites = {
    {"add_",
     [](Chain& c, Tensor& x, Words& w) {
       const Tensor other = c.tensor(w);
       x.add_(other, number(w));
     }},
    {"sub_",
     [](Chain& c, Tensor& x, Words& w) {
       const Tensor other = c.tensor(w);
       x.sub_(other, number(w));
     }},
    {"mul_", [](Chain& c, Tensor& x, Words& w) { x.mul_(Tensor(c.tensor(w))); }},
    {"div_", [](Chain& c, Tensor& x, Words& w) { x.div_(Tensor(c.tensor(w))); }},
    {"add_number_", [](Chain&, Tensor& x, Words& w) { x.add_(number(w)); }},
    {"sub_number_", [](Chain&, Tensor& x, Words& w) { x.sub_(number(w)); }},
    {"mul_number_", [](Chain&, Tensor& x, Words& w) { x.mul_(number(w)); }},
    {"div_number_", [](Chain&, Tensor& x, Words& w) { x.div_(number(w)); }},
    {"clamp_",
     [](Chain&, Tensor& x, Words& w) {
       const double low = number(w);
       x.clamp_(low, number(w));
     }},
    {"masked_fill_",
     [](Chain&, Tensor& x, Words& w) {
       const double value = number(w);
       x.masked_fill_(constant(w).to(DType::boolean), value);
     }},
    {"fill", [](Chain&, Tensor& x, Words& w) { x.fill(number(w)); }},
    {"zero_", [](Chain&, Tensor& x, Words&) { x.zero_(); }},
    {"copy_from", [](Chain& c, Tensor& x, Words& w) { x.copy_from(Tensor(c.tensor(w))); }},
    {"set_first",
     [](Chain&, Tensor& x, Words& w) {
       if (x.dim() == 1) x.set({0}, number(w));
       if (x.dim() == 2) x.set({0, 0}, number(w));
       if (x.dim() == 3) x.set({0, 0, 0}, number(w));
     }},
};

const char* kind_of(const Error& error) {
  if (dynamic_cast<const AutogradError*>(&error) != nullptr) return "AutogradError";
  if (dynamic_cast<const ValueError*>(&error) != nullptr) return "ValueError";
  return "Error";
}

int64_t read_count() {
  std::string line;
  std::getline(std::cin, line);
  return std::stoll(line);
}

void run_chain() {
  Chain chain;
  std::string place;
  std::vector<std::string> lines(static_cast<size_t>(read_count()));
  for (std::string& line : lines) std::getline(std::cin, line);
  try {
    for (size_t i = 0; i < lines.size(); ++i) {
      place = "step " + std::to_string(i);
      chain.step(std::istringstream(lines[i]));
    }
    place = "backward";
    chain.walk();
    chain.print();
  } catch (const Error& error) { std::printf("%s %s %s\n", place.c_str(), kind_of(error), error.what()); }
}

}  // namespace

int main() {
  for (int64_t left = read_count(); left > 0; --left) run_chain();
}
