// An equation is parsed into lists of labels, one label per dimension. Every operand then has its diagonals taken and
// the labels that only it has summed. Pairs of operands become matrix products. All steps are recorded operations.
#include <qing/autograd/ops/einsum.h>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>

#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/products.h>
#include <qing/autograd/ops/reductions.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/ops/apply.h>

namespace qing {
namespace {

// A letter, or a number for a dimension of "...": −1 for the last one, −2 for the one before, and so on.
using Label = int;
using Labels = std::vector<Label>;

bool contains(const Labels& labels, Label label) {
  return std::find(labels.begin(), labels.end(), label) != labels.end();
}

int64_t position(const Labels& labels, Label label) {
  return std::find(labels.begin(), labels.end(), label) - labels.begin();
}

// A tensor whose dimensions have labels.
struct Named {
  Tensor tensor;
  Labels labels;

  int64_t size(Label label) const { return tensor.size(position(labels, label)); }
};

struct Equation {
  std::vector<std::string> terms;  // of the operands
  std::string result;
  bool explicit_result = false;
};

class Reader {
 public:
  Reader(std::string_view text, const std::vector<Tensor>& operands) : text_(text), operands_(operands) {}

  std::vector<Named> operands() {
    read();
    if (equation_.terms.size() != operands_.size()) {
      fail(fmt::format("has {} operands, but {} were given", equation_.terms.size(), operands_.size()));
    }
    std::vector<Named> named;
    for (size_t i = 0; i < operands_.size(); ++i) {
      named.push_back({operands_[i], labels_of(equation_.terms[i], operands_[i], i)});
      for (const Label label : named.back().labels) ++times_[label];
    }
    check_sizes(named);
    return named;
  }

  // Call after operands().
  Labels result() const {
    Labels labels;
    if (equation_.explicit_result) {
      for (const char c : equation_.result) {
        if (c == '.') {
          for (Label e = -ellipsis_; e < 0; ++e) labels.push_back(e);
        } else {
          labels.push_back(c);
        }
      }
    } else {
      for (const auto& [label, times] : times_) {
        if (label < 0 || times == 1) labels.push_back(label);  // in order: "..." first, then the alphabet
      }
    }
    for (size_t i = 0; i < labels.size(); ++i) {
      if (times_.find(labels[i]) == times_.end()) {
        fail(fmt::format("has '{}' in its result, but in no operand", static_cast<char>(labels[i])));
      }
      if (position(labels, labels[i]) != static_cast<int64_t>(i)) {
        fail(fmt::format("has '{}' twice in its result", static_cast<char>(labels[i])));
      }
    }
    return labels;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw ValueError(fmt::format("einsum: the equation '{}' {}", text_, what));
  }
  [[noreturn]] void misfit(const std::string& what) const {
    throw ShapeError(fmt::format("einsum: in '{}' {}", text_, what));
  }

  // Splits the text into terms, in which one '.' stands for "...".
  void read() {
    equation_.terms.emplace_back();
    std::string* term = &equation_.terms.back();
    for (size_t i = 0; i < text_.size(); ++i) {
      const char c = text_[i];
      if (c == ' ') continue;
      if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
        term->push_back(c);
      } else if (text_.substr(i, 3) == "...") {
        if (term->find('.') != std::string::npos) fail("has \"...\" twice in one term");
        term->push_back('.');
        i += 2;
      } else if (c == ',' && !equation_.explicit_result) {
        term = &equation_.terms.emplace_back();
      } else if (text_.substr(i, 2) == "->" && !equation_.explicit_result) {
        equation_.explicit_result = true;
        term = &equation_.result;
        ++i;
      } else {
        fail(fmt::format("has an unexpected '{}' at position {}", c, i));
      }
    }
  }

  Labels labels_of(const std::string& term, const Tensor& x, size_t operand) {
    const bool dots = term.find('.') != std::string::npos;
    const auto letters = static_cast<int64_t>(term.size()) - (dots ? 1 : 0);
    if (dots ? x.dim() < letters : x.dim() != letters) {
      misfit(fmt::format("operand {} has {} letters{}, but shape {}", operand, letters, dots ? " beside \"...\"" : "",
                         to_string(x.shape())));
    }
    Labels labels;
    for (const char c : term) {
      if (c != '.') {
        labels.push_back(c);
        continue;
      }
      const int hidden = static_cast<int>(x.dim() - letters);
      ellipsis_ = std::max(ellipsis_, hidden);
      for (Label e = -hidden; e < 0; ++e) labels.push_back(e);
    }
    return labels;
  }

  void check_sizes(const std::vector<Named>& operands) const {
    std::map<Label, int64_t> sizes;
    for (const Named& x : operands) {
      for (size_t d = 0; d < x.labels.size(); ++d) {
        const int64_t size = x.tensor.shape()[d];
        // Within one operand, equal labels have equal sizes: they form a diagonal.
        const int64_t first = x.size(x.labels[d]);
        auto& known = sizes.emplace(x.labels[d], size).first->second;
        if (size == first && (size == known || size == 1 || known == 1)) {
          if (known == 1) known = size;
          continue;
        }
        const std::string name = x.labels[d] < 0 ? "..." : std::string(1, static_cast<char>(x.labels[d]));
        misfit(fmt::format("'{}' is {} and {}; shapes{}", name, size == first ? known : first, size, shapes()));
      }
    }
  }

  std::string shapes() const {
    std::string text;
    for (const Tensor& x : operands_) text += fmt::format(" {}", to_string(x.shape()));
    return text;
  }

  std::string_view text_;
  const std::vector<Tensor>& operands_;
  Equation equation_;
  std::map<Label, int> times_;
  int ellipsis_ = 0;  // the most dimensions that "..." stands for
};

// --- one operand ---

// Permutes the dimensions of x to the order of `labels`, which has the same labels as x.
Named arranged(const Named& x, const Labels& labels) {
  if (x.labels == labels) return x;
  std::vector<int64_t> order;
  order.reserve(labels.size());
  for (const Label label : labels) order.push_back(position(x.labels, label));
  return {x.tensor.permute(order), labels};
}

// For a label that appears twice: moves both dimensions (of size n) to the end, joins them, and takes every (n+1)-th
// element.
Named diagonal(Named x) {
  for (size_t i = 0; i < x.labels.size();) {
    const auto second = std::find(x.labels.begin() + static_cast<int64_t>(i) + 1, x.labels.end(), x.labels[i]);
    if (second == x.labels.end()) {
      ++i;
      continue;
    }
    const auto j = second - x.labels.begin();
    std::vector<int64_t> order;
    Labels labels;
    Shape shape;
    for (int64_t d = 0; d < x.tensor.dim(); ++d) {
      if (d == static_cast<int64_t>(i) || d == j) continue;
      order.push_back(d);
      labels.push_back(x.labels[d]);
      shape.push_back(x.tensor.size(d));
    }
    order.insert(order.end(), {static_cast<int64_t>(i), j});
    labels.push_back(x.labels[i]);
    const int64_t n = x.tensor.shape()[i];
    shape.push_back(n * n);
    x = {x.tensor.permute(order).reshape(shape).slice(-1, 0, n * n, n + 1), labels};
    i = 0;
  }
  return x;
}

// Sums over the dimensions whose label `wanted` does not contain.
template <class Wanted> Named summed(const Named& x, Wanted wanted) {
  std::vector<int64_t> dims;
  Labels left;
  for (size_t d = 0; d < x.labels.size(); ++d) {
    if (wanted(x.labels[d])) {
      left.push_back(x.labels[d]);
    } else {
      dims.push_back(static_cast<int64_t>(d));
    }
  }
  return dims.empty() ? x : Named{sum(x.tensor, dims), left};
}

// --- two operands ---

// Drops dimensions of size 1 that are longer in the other operand: they broadcast.
Named without_stretched(const Named& x, const Named& other) {
  Labels left;
  Shape shape;
  for (size_t d = 0; d < x.labels.size(); ++d) {
    const Label label = x.labels[d];
    if (x.tensor.shape()[d] == 1 && contains(other.labels, label) && other.size(label) != 1) continue;
    left.push_back(label);
    shape.push_back(x.tensor.shape()[d]);
  }
  return left.size() == x.labels.size() ? x : Named{x.tensor.reshape(shape), left};
}

int64_t product_of(const Named& x, const Labels& labels) {
  int64_t n = 1;
  for (const Label label : labels) n *= x.size(label);
  return n;
}

Labels joined(std::initializer_list<Labels> parts) {
  Labels all;
  for (const Labels& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

// x as a factor of an elementwise product with the dimensions `labels`.
Tensor spread(const Named& x, const Labels& labels) {
  Labels present;
  Shape shape;
  for (const Label label : labels) {
    if (contains(x.labels, label)) present.push_back(label);
    shape.push_back(contains(x.labels, label) ? x.size(label) : 1);
  }
  return arranged(x, present).tensor.reshape(shape);
}

// The product of a and b, summed over the common labels that `wanted` does not contain. Labels of only one operand that
// are not wanted have been summed before.
template <class Wanted> Named contract(const Named& first, const Named& second, Wanted wanted) {
  const Named a =
      summed(without_stretched(first, second), [&](Label l) { return wanted(l) || contains(second.labels, l); });
  const Named b = summed(without_stretched(second, first), [&](Label l) { return wanted(l) || contains(a.labels, l); });
  const Named left = summed(a, [&](Label l) { return wanted(l) || contains(b.labels, l); });
  Labels batch, inner, rows, columns;
  for (const Label l : left.labels) {
    if (!contains(b.labels, l)) {
      rows.push_back(l);
    } else {
      (wanted(l) ? batch : inner).push_back(l);
    }
  }
  for (const Label l : b.labels) {
    if (!contains(left.labels, l)) columns.push_back(l);
  }
  if (inner.empty() || (rows.empty() && columns.empty())) {
    // Without a sum this is an elementwise product; a matrix product would have matrices of one row or column.
    const Labels all = joined({batch, rows, columns, inner});
    return summed({mul(spread(left, all), spread(b, all)), all}, [&](Label l) { return !contains(inner, l); });
  }
  const int64_t groups = product_of(left, batch), depth = product_of(left, inner);
  const Tensor x = arranged(left, joined({batch, rows, inner})).tensor.reshape({groups, product_of(left, rows), depth});
  const Tensor y = arranged(b, joined({batch, inner, columns})).tensor.reshape({groups, depth, product_of(b, columns)});
  Shape shape;
  for (const Label l : joined({batch, rows})) shape.push_back(left.size(l));
  for (const Label l : columns) shape.push_back(b.size(l));
  return {matmul(x, y).reshape(shape), joined({batch, rows, columns})};
}

}  // namespace

Tensor einsum(std::string_view equation, const std::vector<Tensor>& operands) {
  for (const Tensor& x : operands) check_same_dtype(operands[0], x, "einsum");
  Reader reader(equation, operands);
  std::vector<Named> named = reader.operands();
  const Labels result = reader.result();
  // Whether the result or an operand from `from` on still needs a label.
  const auto needed = [&](size_t from) {
    return [&, from](Label label) {
      if (contains(result, label)) return true;
      return std::any_of(named.begin() + static_cast<int64_t>(std::min(from, named.size())), named.end(),
                         [label](const Named& x) { return contains(x.labels, label); });
    };
  };
  for (Named& x : named) x = diagonal(x);
  Named total = named[0];
  for (size_t i = 1; i < named.size(); ++i) total = contract(total, named[i], needed(i + 1));
  total = summed(total, needed(named.size()));
  return arranged(total, result).tensor;
}

}  // namespace qing
