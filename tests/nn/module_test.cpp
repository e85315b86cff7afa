#include <qing/nn/module.h>

#include <gtest/gtest.h>

#include <memory>
#include <type_traits>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/layers/layers.h>
#include <qing/nn/summary.h>

#include "nn/temp_folder.h"

namespace qing::nn {
namespace {

using test::message_of;

// One of each kind of part: a parameter, persistent and other buffers, a sub-module, and a tied parameter.
class Mixed : public Module {
 public:
  explicit Mixed(Generator& rng) : linear_(3, 2, rng), free_(Linear(3, 2, rng, {.bias = false})) {}
  void visit(Visitor& visitor) override {
    visitor.parameter("scale", scale_);
    visitor.parameter("tied", scale_);
    visitor.parameter("absent", absent_);
    visitor.buffer("running", running_, true);
    visitor.buffer("count", count_, true);
    visitor.buffer("table", table_, false);
    visitor.module("linear", linear_);
    visitor.module("free", free_);
  }
  Tensor scale_ = Tensor::full({2}, 1), absent_;
  Tensor running_ = Tensor::zeros({2}), count_ = Tensor::zeros({}, DType::i64), table_ = Tensor::full({4}, 2);
  Linear linear_;
  Sequential free_;
};

std::vector<std::string> names_of(const auto& named) {
  std::vector<std::string> names;
  for (const auto& [name, what] : named) names.push_back(name);
  return names;
}

using Names = std::vector<std::string>;

class ModuleTest : public ::testing::Test {
 protected:
  Generator rng_{5};
  Mixed module_{rng_};
};

TEST_F(ModuleTest, NamesItsPartsInVisitingOrder) {
  EXPECT_EQ(names_of(module_.named_parameters()), (Names{"scale", "linear.weight", "linear.bias", "free.0.weight"}));
  EXPECT_EQ(names_of(module_.named_buffers()), (Names{"running", "count", "table"}));
  EXPECT_EQ(names_of(module_.children()), (Names{"linear", "free"}));
  EXPECT_EQ(names_of(module_.named_modules()), (Names{"", "linear", "free", "free.0"}));
  EXPECT_EQ(names_of(module_.state_dict()),
            (Names{"count", "free.0.weight", "linear.bias", "linear.weight", "running", "scale", "tied"}));
}

TEST_F(ModuleTest, FindsPartsByName) {
  EXPECT_EQ(&module_.get_submodule("linear"), &module_.linear_);
  EXPECT_EQ(&module_.get_submodule(""), &module_);
  EXPECT_TRUE(module_.get_parameter("free.0.weight").same_as(module_.get_submodule("free.0").parameters()[0]));
  EXPECT_NE(message_of<IndexError>([&] { module_.get_submodule("liner"); }).find("Mixed: has no module liner"),
            std::string::npos);
  EXPECT_TRUE(module_.get_parameter("tied").same_as(module_.scale_));
  EXPECT_THROW(module_.get_parameter("absent"), IndexError);
}

TEST_F(ModuleTest, CountsTiedParametersOnce) {
  EXPECT_EQ(module_.parameter_count(), 2 + 8 + 6);
  EXPECT_EQ(module_.parameter_count(true), 0);
  module_.unfreeze();
  module_.linear_.freeze();
  EXPECT_EQ(module_.parameter_count(true), 2 + 6);
  EXPECT_EQ(module_.bytes(), 4u * (16 + 2 + 4) + 8u);
}

TEST_F(ModuleTest, TrainingModeReachesEveryModule) {
  module_.train();
  for (const auto& [name, module] : module_.named_modules()) EXPECT_TRUE(module->training()) << name;
  module_.linear_.eval();
  EXPECT_TRUE(module_.training());
  module_.eval();
  for (const auto& [name, module] : module_.named_modules()) EXPECT_FALSE(module->training()) << name;
}

TEST_F(ModuleTest, FreezingASubtreeStopsItsGradients) {
  module_.unfreeze();
  module_.linear_.freeze();
  backward(sum(module_.linear_.forward(Tensor::full({1, 3}, 1)) * module_.scale_));
  EXPECT_TRUE(grad(module_.scale_).defined());
  EXPECT_FALSE(requires_grad(module_.linear_.weight()));
  module_.zero_grad();
  EXPECT_FALSE(grad(module_.scale_).defined());
}

TEST_F(ModuleTest, ConversionKeepsLeavesAndTies) {
  module_.unfreeze();
  module_.linear_.freeze();
  module_.to(DType::f64);
  for (const auto& [name, parameter] : module_.named_parameters()) {
    EXPECT_EQ(parameter.dtype(), DType::f64) << name;
    EXPECT_TRUE(is_leaf(parameter)) << name;
    EXPECT_EQ(requires_grad(parameter), name.rfind("linear", 0) != 0) << name;
  }
  EXPECT_EQ(module_.parameter_count(), 16);  // tied still
  EXPECT_EQ(module_.running_.dtype(), DType::f64);
  EXPECT_EQ(module_.count_.dtype(), DType::i64);
  backward(sum(module_.linear_.forward(Tensor::full({1, 3}, 1, DType::f64)) * module_.scale_));
  EXPECT_EQ(grad(module_.scale_).dtype(), DType::f64);
}

TEST_F(ModuleTest, HalvesStoreAndComeBack) {
  module_.unfreeze();
  module_.to(DType::bf16);
  EXPECT_FALSE(requires_grad(module_.scale_));
  EXPECT_EQ(module_.bytes(), 2u * (16 + 2 + 4) + 8u);
  EXPECT_THROW(module_.linear_.forward(Tensor::full({1, 3}, 1)), DTypeError);
  module_.to(DType::f32);
  EXPECT_EQ(module_.linear_.forward(Tensor::full({1, 3}, 1)).shape(), (Shape{1, 2}));
  EXPECT_THROW(module_.to(DType::i32), DTypeError);
}

TEST_F(ModuleTest, StateCopiesToAnEquallyBuiltModule) {
  Generator other_rng(6);
  Mixed other(other_rng);
  module_.running_.fill(3);
  module_.count_.fill(7);
  module_.table_.fill(9);
  other.load_state_dict(module_.state_dict());
  EXPECT_EQ(other.running_.span<float>()[1], 3);
  EXPECT_EQ(other.count_.item(), 7);
  EXPECT_EQ(other.table_.span<float>()[0], 2);  // not persistent: not part of the state
  EXPECT_EQ(to_string(other.linear_.weight()), to_string(module_.linear_.weight()));
  EXPECT_FALSE(other.linear_.weight().shares_storage(module_.linear_.weight()));
}

TEST_F(ModuleTest, StrictLoadingListsEveryMismatchAndCopiesNothing) {
  StateDict state = module_.state_dict();
  state.erase("running");
  state["linear.bias"] = Tensor::zeros({5});
  state["tied"] = state["scale"] = Tensor::full({2}, 4);
  state["surplus"] = Tensor::zeros({1});
  const std::string message = message_of<DataError>([&] { module_.load_state_dict(state); });
  for (const char* part :
       {"3 mismatches", "missing running", "linear.bias has shape [5], needs [2]", "unknown surplus"}) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
  EXPECT_EQ(module_.scale_.span<float>()[0], 1);
}

TEST_F(ModuleTest, LooseLoadingReportsTheSkippedNames) {
  StateDict state = module_.state_dict();
  state.erase("running");
  state["tied"] = state["scale"] = Tensor::full({2}, 4);
  state["surplus"] = Tensor::zeros({1});
  const LoadResult result = module_.load_state_dict(state, false);
  EXPECT_EQ(result.missing_keys, Names{"running"});
  EXPECT_EQ(result.unexpected_keys, Names{"surplus"});
  EXPECT_EQ(module_.scale_.span<float>()[0], 4);
  state["linear.bias"] = Tensor::zeros({5});
  EXPECT_THROW(module_.load_state_dict(state, false), DataError);
  state.erase("linear.bias");
  EXPECT_TRUE(module_.load_state_dict(state, false, {"surplus"}).unexpected_keys.empty());
}

TEST_F(ModuleTest, AppliesToChildrenBeforeTheirParent) {
  Names order;
  module_.apply([&](Module& module) { order.push_back(module.type_name()); });
  EXPECT_EQ(order, (Names{"Linear", "Linear", "Sequential", "Mixed"}));
}

TEST_F(ModuleTest, SummaryListsEveryModuleWithItsShapes) {
  module_.linear_.unfreeze();
  const std::string text = summary(module_);
  for (const char* part : {"Mixed", "  linear (Linear)", "weight [2, 3], bias [2]", "    0 (Linear)", "running [2]",
                           "Parameters: 16, of which 8 trainable; buffers: 7; 96 bytes"}) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }
}

// Two parts of one name, of which a saved model would hold only the first.
class Twins : public Module {
 public:
  explicit Twins(Generator& rng) : first_(3, 2, rng), second_(3, 2, rng) {}
  void visit(Visitor& visitor) override {
    visitor.module("linear", first_);
    visitor.module("linear", second_);
  }
  Linear first_, second_;
};

TEST(Module, TwoTensorsOfOneNameAreRefused) {
  Generator rng(1);
  Twins twins(rng);
  const std::string wanted = "visit() gives two tensors the name linear.weight; give each part a name of its own";
  EXPECT_NE(message_of<ValueError>([&] { twins.named_parameters(); }).find(wanted), std::string::npos);
  EXPECT_NE(message_of<ValueError>([&] { twins.state_dict(); }).find(wanted), std::string::npos);
}

TEST(Containers, SequentialChainsItsParts) {
  Generator rng(1);
  Sequential model(Linear(4, 8, rng), ReLU(), Linear(8, 3, rng),
                   Sequential(Identity(), Lambda([](const Tensor& x) { return x + x; })));
  ASSERT_EQ(model.size(), 4u);
  EXPECT_EQ(names_of(model.named_parameters()), (Names{"0.weight", "0.bias", "2.weight", "2.bias"}));
  const Tensor x = Tensor::full({2, 4}, 0.5);
  const Tensor once = model[2].forward(relu(model[0].forward(x)));
  EXPECT_EQ(to_string(model(x)), to_string(once + once));
  EXPECT_THROW(model[4], IndexError);
  EXPECT_THROW(model.push_back(nullptr), ValueError);
  EXPECT_THROW(Lambda({}), ValueError);
  static_assert(!std::is_constructible_v<Sequential, Linear&>, "modules are moved in, never copied");
}

TEST(Containers, SequentialHandsTheGeneratorToItsParts) {
  Generator rng(1);
  Sequential model(Dropout(0.5));
  const Tensor x = Tensor::full({64}, 1);
  EXPECT_EQ(to_string(model(x)), to_string(x));
  model.train();
  EXPECT_NE(message_of<ValueError>([&] { model(x); }).find("Dropout: training mode needs a random generator"),
            std::string::npos);
  EXPECT_NE(to_string(model(x, &rng)), to_string(x));
}

TEST(Containers, ModuleListNamesByIndex) {
  Generator rng(1);
  ModuleList<Linear> list;
  list.emplace_back(2, 3, rng);
  list.emplace_back(3, 4, rng, LinearOptions{.bias = false});
  EXPECT_EQ(names_of(list.named_parameters()), (Names{"0.weight", "0.bias", "1.weight"}));
  EXPECT_EQ(list[1].forward(list[0].forward(Tensor::zeros({1, 2}))).shape(), (Shape{1, 4}));
  EXPECT_THROW(list[2], IndexError);
  EXPECT_EQ(list.type_name(), "ModuleList");
}

TEST(Containers, ModuleDictNamesByKey) {
  Generator rng(1);
  ModuleDict<UnaryModule> dict;
  dict.emplace<Linear>("narrow", 2, 3, rng);
  dict.emplace<ReLU>("act");
  dict.insert("linear", std::make_unique<Linear>(3, 4, rng, LinearOptions{.bias = false}));
  EXPECT_EQ(dict.keys(), (Names{"narrow", "act", "linear"}));
  EXPECT_EQ(names_of(dict.named_parameters()), (Names{"narrow.weight", "narrow.bias", "linear.weight"}));
  EXPECT_EQ(dict["linear"].forward(dict["narrow"].forward(Tensor::zeros({1, 2}))).shape(), (Shape{1, 4}));
  dict.train();
  EXPECT_TRUE(dict["act"].training());
  EXPECT_NE(message_of<IndexError>([&] { dict["wide"]; }).find("ModuleDict: no module 'wide' among narrow act linear"),
            std::string::npos);
  EXPECT_NE(message_of<ValueError>([&] { dict.emplace<ReLU>("act"); }).find("'act' is taken"), std::string::npos);
  EXPECT_THROW(dict.emplace<ReLU>("a.b"), ValueError);
  EXPECT_THROW(dict.emplace<ReLU>(""), ValueError);
  EXPECT_THROW(dict.insert("null", nullptr), ValueError);
  EXPECT_EQ(dict.size(), 3U);
  dict.erase("act");
  EXPECT_FALSE(dict.contains("act"));
  EXPECT_THROW(dict.erase("act"), IndexError);
  EXPECT_EQ(dict.keys(), (Names{"narrow", "linear"}));
}

TEST(Containers, FlattenJoinsDimensions) {
  const Tensor x = Tensor::zeros({2, 3, 4, 5});
  EXPECT_EQ(Flatten().forward(x).shape(), (Shape{2, 60}));
  EXPECT_EQ(Flatten(0, 1).forward(x).shape(), (Shape{6, 4, 5}));
  EXPECT_THROW(Flatten(2, 1).forward(x), IndexError);
  EXPECT_THROW(Flatten().forward(Tensor::zeros({3})), IndexError);
}

TEST_F(ModuleTest, AdoptsTensorsWithoutCopyingThem) {
  StateDict state = module_.state_dict();
  state["tied"] = state["scale"] = Tensor::full({2}, 4);
  state["linear.weight"] = Tensor::full({2, 3}, 5);
  state["linear.bias"] = Tensor::full({2}, 6, DType::f64);           // of another dtype
  state["free.0.weight"] = Tensor::full({3, 2}, 7).transpose(0, 1);  // not contiguous
  module_.unfreeze();
  module_.adopt_state_dict(state);
  EXPECT_TRUE(module_.get_parameter("linear.weight").shares_storage(state.at("linear.weight")));
  EXPECT_TRUE(module_.get_parameter("scale").shares_storage(state.at("scale")));
  EXPECT_TRUE(module_.get_parameter("tied").same_as(module_.get_parameter("scale")));
  EXPECT_FALSE(module_.get_parameter("linear.bias").shares_storage(state.at("linear.bias")));
  EXPECT_EQ(module_.get_parameter("linear.bias").at({1}), 6);
  EXPECT_EQ(module_.get_parameter("free.0.weight").at({1, 2}), 7);
  EXPECT_TRUE(module_.get_parameter("free.0.weight").is_contiguous());
  for (const Tensor& parameter : module_.parameters()) EXPECT_TRUE(requires_grad(parameter));
  state.erase("linear.weight");
  EXPECT_THROW(module_.adopt_state_dict(state), DataError);
  EXPECT_EQ(module_.get_parameter("linear.weight").at({0, 0}), 5);  // nothing has changed
  EXPECT_EQ(module_.adopt_state_dict(state, false).missing_keys, (Names{"linear.weight"}));
}

// Two handles of one tensor in different modules: wherever its only name leads, both follow.
TEST_F(ModuleTest, AdoptingKeepsTensorsTied) {
  class Pair : public Module {
   public:
    void visit(Visitor& visitor) override {
      visitor.parameter("first", first);
      visitor.parameter("second", second);
    }
    Tensor first = Tensor::zeros({3}), second = first;
  };
  for (const char* name : {"first", "second"}) {
    Pair pair;
    pair.adopt_state_dict({{name, Tensor::of({1, 2, 3})}});
    EXPECT_TRUE(pair.first.same_as(pair.second)) << name;
    EXPECT_EQ(pair.first.at({2}), 3) << name;
  }
}

// A file without duplicates has a tied tensor once; which of its names it chose does not matter.
TEST_F(ModuleTest, OneNameOfATiedTensorIsEnough) {
  for (const char* absent : {"scale", "tied"}) {
    const StateDict full = module_.state_dict();
    StateDict state;
    for (const auto& [name, tensor] : full) state.emplace(name, tensor.clone());
    state.at("tied").fill(7);
    state.at("scale").fill(7);
    state.erase(absent);
    Mixed other(rng_);
    EXPECT_TRUE(other.load_state_dict(state).missing_keys.empty());
    EXPECT_EQ(other.scale_.data<float>()[1], 7) << absent;
    state.erase("scale");
    state.erase("tied");
    EXPECT_NE(message_of<DataError>([&] { other.load_state_dict(state); }).find("missing scale; missing tied"),
              std::string::npos);
  }
}

TEST_F(ModuleTest, NamesOfATiedTensorMustNotDisagree) {
  StateDict state;
  for (const auto& [name, tensor] : module_.state_dict()) state.emplace(name, tensor.clone());
  state.at("tied").fill(7);
  for (const bool strict : {true, false}) {
    const std::string text = message_of<DataError>([&] { module_.load_state_dict(state, strict); });
    EXPECT_NE(text.find("scale and tied are tied in this module, but the file gives them different values; "
                        "remove one"),
              std::string::npos)
        << text;
  }
  EXPECT_EQ(module_.scale_.data<float>()[0], 1);
}

TEST(Module, EachNameOfATiedTensorIsComparedWithTheFirstGiven) {
  class Tied : public Module {
   public:
    void visit(Visitor& visitor) override {
      for (const char* name : {"a", "b", "c"}) visitor.parameter(name, weight_);
    }
    Tensor weight_ = Tensor::full({2}, 1);
  };
  Tied module;
  for (const char* different : {"a", "b", "c"}) {
    StateDict state;
    for (const char* name : {"a", "b", "c"}) state.emplace(name, Tensor::full({2}, 3));
    state.at(different).fill(7);
    const std::string pair = different == std::string("c") ? "a and c" : "a and b";
    const std::string text = message_of<DataError>([&] { module.load_state_dict(state); });
    EXPECT_NE(text.find(pair + " are tied in this module"), std::string::npos) << text;
    state.erase("a");
    if (different == std::string("a")) continue;
    EXPECT_NE(message_of<DataError>([&] { module.load_state_dict(state); }).find("b and c are tied"),
              std::string::npos);
  }
  EXPECT_EQ(module.weight_.data<float>()[0], 1);
  StateDict wrong{{"a", Tensor::full({2}, 3)}, {"c", Tensor::full({3}, 3)}};
  const std::string text = message_of<DataError>([&] { module.load_state_dict(wrong); });
  EXPECT_NE(text.find("c has shape [3], needs [2]"), std::string::npos) << text;
  EXPECT_EQ(text.find("tied"), std::string::npos) << text;
}

}  // namespace
}  // namespace qing::nn
