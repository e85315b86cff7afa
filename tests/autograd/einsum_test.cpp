#include <qing/autograd/ops/einsum.h>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <string>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops/reductions.h>

#include "autograd/naive.h"

namespace qing {
namespace {

using test::at;
using test::normal;

// The definition: the sum over all assignments of indices to letters of the products of elements.
Tensor naive_einsum(const std::vector<std::string>& terms, const std::string& result,
                    const std::vector<Tensor>& operands) {
  std::map<char, int64_t> sizes;
  for (size_t i = 0; i < terms.size(); ++i) {
    for (size_t d = 0; d < terms[i].size(); ++d) {
      int64_t& size = sizes.emplace(terms[i][d], 1).first->second;
      if (operands[i].shape()[d] != 1) size = operands[i].shape()[d];
    }
  }
  std::string letters;
  Shape all, shape;
  for (const auto& [letter, size] : sizes) {
    letters.push_back(letter);
    all.push_back(size);
  }
  for (const char letter : result) shape.push_back(sizes[letter]);
  const Tensor y = Tensor::zeros(shape, DType::f64);
  test::for_each_index(all, [&](const std::vector<int64_t>& assignment) {
    const auto index_of = [&](const std::string& term, const Shape& of) {
      std::vector<int64_t> index;
      for (size_t d = 0; d < term.size(); ++d) index.push_back(of[d] == 1 ? 0 : assignment[letters.find(term[d])]);
      return index;
    };
    double product = 1;
    for (size_t i = 0; i < terms.size(); ++i) product *= at(operands[i], index_of(terms[i], operands[i].shape()));
    at(y, index_of(result, shape)) += product;
  });
  return y;
}

std::string any_term(const std::string& alphabet, size_t longest) {
  std::string term;
  for (auto n = *rc::gen::inRange<size_t>(0, longest + 1); n > 0; --n) {
    term.push_back(alphabet[*rc::gen::inRange<size_t>(0, alphabet.size())]);
  }
  return term;
}

TEST(Einsum, EqualsTheSumOverAllIndices) {
  EXPECT_TRUE(rc::check([] {
    std::map<char, int64_t> sizes;
    for (const char letter : std::string("abcdE"))
      sizes[letter] = *rc::gen::inRange<int64_t>(0, 10) == 0 ? 0 : *rc::gen::inRange<int64_t>(1, 4);
    std::vector<std::string> terms;
    std::vector<Tensor> operands;
    std::string equation, seen;
    for (auto n = *rc::gen::inRange(1, 4); n > 0; --n) {
      terms.push_back(any_term("abcdE", 4));
      Shape shape;
      for (const char letter : terms.back()) {
        const bool repeated = std::count(terms.back().begin(), terms.back().end(), letter) > 1;
        shape.push_back(!repeated && *rc::gen::inRange(0, 6) == 0 ? 1 : sizes[letter]);
        if (seen.find(letter) == std::string::npos) seen.push_back(letter);
      }
      operands.push_back(normal(shape, operands.size() + 1));
      equation += (operands.size() > 1 ? ", " : "") + terms.back();
    }
    std::string result;
    for (const char letter : seen) {
      if (*rc::gen::arbitrary<bool>()) result.insert(*rc::gen::inRange<size_t>(0, result.size() + 1), 1, letter);
    }
    const Tensor want = naive_einsum(terms, result, operands);
    RC_LOG() << equation << " -> " << result;
    RC_ASSERT(test::largest_difference(einsum(equation + " -> " + result, operands), want) < 1e-11);
  }));
}

TEST(Einsum, WithoutAnArrowHasTheLettersThatOccurOnce) {
  const Tensor a = normal({2, 3}, 1), b = normal({3, 4}, 2), square = normal({3, 3}, 3);
  const auto near = [](const Tensor& x, const Tensor& y) { EXPECT_LT(test::largest_difference(x, y), 1e-13); };
  near(einsum("ij,jk", {a, b}), einsum("ij,jk->ik", {a, b}));
  near(einsum("ba,ac", {a, b}), einsum("ba,ac->bc", {a, b}));
  near(einsum("ba", {a}), a.transpose(0, 1));
  near(einsum("ii", {square}), einsum("ii->", {square}));
  near(einsum("bA", {a}), a.transpose(0, 1));  // capitals first
  EXPECT_NEAR(einsum("ii", {square}).item(), at(square, {0, 0}) + at(square, {1, 1}) + at(square, {2, 2}), 1e-15);
}

TEST(Einsum, DotsBroadcast) {
  const Tensor a = normal({2, 1, 3, 4}, 1), b = normal({5, 4, 3}, 2);
  const auto near = [](const Tensor& x, const Tensor& y) { EXPECT_LT(test::largest_difference(x, y), 1e-13); };
  const Tensor want = naive_einsum({"xyij", "yjk"}, "xyik", {a, b});
  near(einsum("...ij,...jk->...ik", {a, b}), want);
  near(einsum("...ij,...jk", {a, b}), want);
  near(einsum("...ij,...jk->ik...", {a, b}), want.permute({2, 3, 0, 1}));
  near(einsum("i...->...i", {b}), b.permute({1, 2, 0}));
  near(einsum("...->...", {b}), b);
  near(einsum("...,...", {normal({}, 3), b}), naive_einsum({"", "abc"}, "abc", {normal({}, 3), b}));
  near(einsum("...i->i", {b}), sum(b, {0, 1}));
}

TEST(Einsum, RefusesWithTheEquationQuoted) {
  const Tensor a = Tensor::zeros({2, 3}), b = Tensor::zeros({4, 3});
  const auto value = [](std::string_view equation, const std::vector<Tensor>& operands) -> std::string {
    try {
      einsum(equation, operands);
    } catch (const ValueError& error) { return error.what(); }
    return "no ValueError";
  };
  EXPECT_EQ(value("ij,jk->ik", {a}), "einsum: the equation 'ij,jk->ik' has 2 operands, but 1 were given");
  EXPECT_EQ(value("", {}), "einsum: the equation '' has 1 operands, but 0 were given");
  EXPECT_EQ(value("i1->i", {a}), "einsum: the equation 'i1->i' has an unexpected '1' at position 1");
  EXPECT_EQ(value("ij-ij", {a}), "einsum: the equation 'ij-ij' has an unexpected '-' at position 2");
  EXPECT_EQ(value("ij->i->j", {a}), "einsum: the equation 'ij->i->j' has an unexpected '-' at position 5");
  EXPECT_EQ(value("..ij", {a}), "einsum: the equation '..ij' has an unexpected '.' at position 0");
  EXPECT_EQ(value("...i...", {a}), "einsum: the equation '...i...' has \"...\" twice in one term");
  EXPECT_EQ(value("ij->ijk", {a}), "einsum: the equation 'ij->ijk' has 'k' in its result, but in no operand");
  EXPECT_EQ(value("ij->ii", {a}), "einsum: the equation 'ij->ii' has 'i' twice in its result");
  try {
    einsum("ij,jk->ik", {a, b});
    ADD_FAILURE();
  } catch (const ShapeError& error) {
    EXPECT_STREQ(error.what(), "einsum: in 'ij,jk->ik' 'j' is 3 and 4; shapes [2, 3] [4, 3]");
  }
  EXPECT_THROW(einsum("ii->i", {a}), ShapeError);
  EXPECT_THROW(einsum("ijk", {a}), ShapeError);
  EXPECT_THROW(einsum("...ijk", {a}), ShapeError);
  EXPECT_THROW(einsum("...,...", {a, b}), ShapeError);
  EXPECT_THROW(einsum("ij,ij", {a, Tensor::zeros({2, 3}, DType::f64)}), DTypeError);
}

}  // namespace
}  // namespace qing
