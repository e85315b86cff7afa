#include <qing/nn/module.h>

#include <cxxabi.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <typeinfo>

#include <qing/autograd/autograd.h>
#include <qing/nn/forgotten_layers.h>
#include <qing/tensor/ops/compare.h>

namespace qing::nn {
namespace {

class Walk : public Module::Visitor {
 public:
  using OnTensor = std::function<void(const std::string& name, Tensor& tensor)>;
  using OnBuffer = std::function<void(const std::string& name, Tensor& tensor, bool persistent)>;
  using OnModule = std::function<void(const std::string& name, Module& module)>;

  // Each function may be null. With `deep` false, sub-modules are reported but not entered.
  Walk(OnTensor on_parameter, OnBuffer on_buffer, OnModule on_module, bool deep = true)
      : on_parameter_(std::move(on_parameter)),
        on_buffer_(std::move(on_buffer)),
        on_module_(std::move(on_module)),
        deep_(deep) {}

  void over(Module& root) {
    reached_.push_back(dynamic_cast<const void*>(&root));
    root.visit(*this);
    note_reached(reached_);
  }

  void parameter(std::string_view name, Tensor& parameter) override {
    if (on_parameter_ && parameter.defined()) on_parameter_(prefix_ + std::string(name), parameter);
  }
  void buffer(std::string_view name, Tensor& buffer, bool persistent) override {
    if (on_buffer_ && buffer.defined()) on_buffer_(prefix_ + std::string(name), buffer, persistent);
  }
  void module(std::string_view name, Module& module) override {
    const std::string full = prefix_ + std::string(name);
    reached_.push_back(dynamic_cast<const void*>(&module));
    if (on_module_) on_module_(full, module);
    if (!deep_) return;
    const std::string outer = std::exchange(prefix_, full + ".");
    module.visit(*this);
    prefix_ = outer;
  }

 private:
  OnTensor on_parameter_;
  OnBuffer on_buffer_;
  OnModule on_module_;
  bool deep_;
  std::string prefix_;
  std::vector<const void*> reached_;
};

bool is_float_storage(DType dtype) { return is_floating(dtype) || dtype == DType::f16 || dtype == DType::bf16; }

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

// A name stands for one tensor: of two with one name a saved model would hold only the first.
void add_named(NamedTensors& found, const std::string& name, const Tensor& tensor, const Module& module) {
  for (const auto& [other, known] : found) {
    if (other == name && !known.same_as(tensor)) {
      throw ValueError(fmt::format("{}: visit() gives two tensors the name {}; give each part a name of its own",
                                   module.type_name(), name));
    }
  }
  found.emplace_back(name, tensor);
}

// Every name of the state with its tensor. A tied tensor appears under each of its names.
NamedTensors named_state(Module& module) {
  NamedTensors found;
  Walk walk([&](const std::string& name, Tensor& parameter) { add_named(found, name, parameter, module); },
            [&](const std::string& name, Tensor& buffer, bool persistent) {
              if (persistent) add_named(found, name, buffer, module);
            },
            nullptr);
  walk.over(module);
  return found;
}

// Compares bit by bit in the dtype of the first tensor. A wrong shape is reported separately.
bool equal_values(const Tensor& a, const Tensor& b) {
  return a.shape() != b.shape() || identical(detach(a), detach(b).to(a.dtype()));
}

}  // namespace

std::vector<std::pair<std::string, Tensor>> Module::named_parameters() {
  std::vector<std::pair<std::string, Tensor>> found;
  Walk walk(
      [&](const std::string& name, Tensor& parameter) {
        const bool known =
            std::any_of(found.begin(), found.end(), [&](const auto& other) { return other.second.same_as(parameter); });
        if (!known) add_named(found, name, parameter, *this);
      },
      nullptr, nullptr);
  walk.over(*this);
  return found;
}

std::vector<Tensor> Module::parameters() {
  std::vector<Tensor> found;
  for (auto& [name, parameter] : named_parameters()) found.push_back(std::move(parameter));
  return found;
}

std::vector<std::pair<std::string, Tensor>> Module::named_buffers() {
  std::vector<std::pair<std::string, Tensor>> found;
  Walk walk(
      nullptr, [&](const std::string& name, Tensor& buffer, bool) { found.emplace_back(name, buffer); }, nullptr);
  walk.over(*this);
  return found;
}

std::vector<std::pair<std::string, Module*>> Module::children() {
  std::vector<std::pair<std::string, Module*>> found;
  const auto add = [&](const std::string& name, Module& module) { found.emplace_back(name, &module); };
  Walk walk(nullptr, nullptr, add, false);
  walk.over(*this);
  return found;
}

std::vector<std::pair<std::string, Module*>> Module::named_modules() {
  std::vector<std::pair<std::string, Module*>> found = {{"", this}};
  Walk walk(nullptr, nullptr, [&](const std::string& name, Module& module) { found.emplace_back(name, &module); });
  walk.over(*this);
  return found;
}

Module& Module::get_submodule(std::string_view name) {
  for (const auto& [full, module] : named_modules()) {
    if (full == name) return *module;
  }
  throw IndexError(fmt::format("{}: has no module {}; named_modules() lists them", type_name(), name));
}

Tensor Module::get_parameter(std::string_view name) {
  Tensor found;
  Walk walk(
      [&](const std::string& full, Tensor& parameter) {
        if (full == name && !found.defined()) found = parameter;
      },
      nullptr, nullptr);
  walk.over(*this);
  if (found.defined()) return found;
  throw IndexError(fmt::format("{}: has no parameter {}; named_parameters() lists them", type_name(), name));
}

int64_t Module::parameter_count(bool trainable_only) {
  int64_t count = 0;
  for (const Tensor& parameter : parameters()) {
    if (!trainable_only || requires_grad(parameter)) count += parameter.numel();
  }
  return count;
}

size_t Module::bytes() {
  size_t total = 0;
  const auto add = [&](const Tensor& t) { total += static_cast<size_t>(t.numel()) * size_of(t.dtype()); };
  for (const Tensor& parameter : parameters()) add(parameter);
  for (const auto& [name, buffer] : named_buffers()) add(buffer);
  return total;
}

std::string Module::type_name() const {
  const char* mangled = typeid(*this).name();
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> readable(abi::__cxa_demangle(mangled, nullptr, nullptr, &status),
                                                        std::free);
  std::string name = status == 0 ? readable.get() : mangled;
  name.resize(std::min(name.find('<'), name.size()));
  const size_t colon = name.rfind("::");
  return colon == std::string::npos ? name : name.substr(colon + 2);
}

void Module::train(bool on) {
  for (const auto& [name, module] : named_modules()) module->training_ = on;
}

void Module::set_requires_grad(bool on) {
  Walk walk([on](const std::string&, Tensor& parameter) { qing::set_requires_grad(parameter, on); }, nullptr, nullptr);
  walk.over(*this);
}

void Module::zero_grad() {
  for (const Tensor& parameter : parameters()) qing::zero_grad(parameter);
}

void Module::apply(const std::function<void(Module&)>& function) {
  for (const auto& [name, child] : children()) child->apply(function);
  function(*this);
}

void Module::to(DType dtype) {
  if (!is_float_storage(dtype)) {
    throw DTypeError(
        fmt::format("{}: to({}); a module is f32 or f64, or stored as f16 or bf16", type_name(), name_of(dtype)));
  }
  std::vector<std::pair<Tensor, Tensor>> converted;  // before and after, so that tied tensors stay tied
  const auto convert = [&](Tensor& tensor) {
    if (!is_float_storage(tensor.dtype()) || tensor.dtype() == dtype) return;
    for (const auto& [before, after] : converted) {
      if (before.same_as(tensor)) {
        tensor = after;
        return;
      }
    }
    Tensor after = detach(tensor).to(dtype);
    if (requires_grad(tensor) && is_floating(dtype)) qing::set_requires_grad(after);
    converted.emplace_back(tensor, after);
    tensor = after;
  };
  Walk walk([&](const std::string&, Tensor& parameter) { convert(parameter); },
            [&](const std::string&, Tensor& buffer, bool) { convert(buffer); }, nullptr);
  walk.over(*this);
}

StateDict Module::state_dict() {
  StateDict state;
  for (auto& [name, tensor] : named_state(*this)) state.emplace(name, detach(tensor));
  return state;
}

LoadResult Module::check_state_dict(const StateDict& state, bool strict, const std::vector<std::string>& ignored) {
  std::vector<std::string> problems;
  LoadResult result;
  auto own = named_state(*this);
  // Finds the state's value of this module's tensor under the first of the tensor's names that the state has, or
  // returns
  // end().
  const auto first_given = [&](const Tensor& tensor) {
    for (const auto& [name, tied] : own) {
      const auto found = tied.same_as(tensor) ? state.find(name) : state.end();
      if (found != state.end()) return found;
    }
    return state.end();
  };
  for (const auto& [name, tensor] : own) {
    const auto given = state.find(name);
    const auto first = first_given(tensor);
    if (given != state.end() && given != first && !equal_values(given->second, first->second)) {
      problems.push_back(
          fmt::format("{} and {} are tied in this module, but the file gives them different values; remove one",
                      first->first, name));
    }
    if (given == state.end() && first != state.end()) continue;
    if (given == state.end()) {
      result.missing_keys.push_back(name);
      if (strict) problems.push_back("missing " + name);
    } else if (given->second.shape() != tensor.shape()) {
      problems.push_back(
          fmt::format("{} has shape {}, needs {}", name, to_string(given->second.shape()), to_string(tensor.shape())));
    }
  }
  for (const auto& [name, tensor] : state) {
    const bool known = std::any_of(own.begin(), own.end(), [&, &key = name](const auto& p) { return p.first == key; });
    if (known || std::find(ignored.begin(), ignored.end(), name) != ignored.end()) continue;
    result.unexpected_keys.push_back(name);
    if (strict) problems.push_back("unknown " + name);
  }
  if (!problems.empty()) {
    throw DataError(fmt::format("load_state_dict: {} mismatches: {}", problems.size(), fmt::join(problems, "; ")));
  }
  return result;
}

LoadResult Module::load_state_dict(const StateDict& state, bool strict, const std::vector<std::string>& ignored) {
  LoadResult result = check_state_dict(state, strict, ignored);
  const NoGradGuard guard;
  for (auto& [name, tensor] : named_state(*this)) {
    if (const auto given = state.find(name); given != state.end()) tensor.copy_from(given->second);
  }
  return result;
}

LoadResult Module::adopt_state_dict(const StateDict& state, bool strict, const std::vector<std::string>& ignored) {
  LoadResult result = check_state_dict(state, strict, ignored);
  const NoGradGuard guard;
  const auto own = named_state(*this);
  // The value of a tensor of this module under any of its names; none for one that has been replaced.
  const auto given_for = [&](const Tensor& tensor) {
    for (const auto& [name, mine] : own) {
      const auto found = mine.same_as(tensor) ? state.find(name) : state.end();
      if (found != state.end()) return found;
    }
    return state.end();
  };
  std::vector<std::pair<Tensor, Tensor>> adopted;  // before and after, so that tied tensors stay tied
  const auto adopt = [&](const std::string&, Tensor& tensor) {
    const auto known = std::ranges::find_if(adopted, [&](const auto& pair) { return pair.first.same_as(tensor); });
    if (known != adopted.end()) {
      tensor = known->second;
      return;
    }
    const auto given = given_for(tensor);
    if (given == state.end()) return;
    if (given->second.dtype() != tensor.dtype() || !given->second.is_contiguous()) {
      return tensor.copy_from(given->second);
    }
    Tensor after = given->second.alias();
    if (requires_grad(tensor)) qing::set_requires_grad(after);
    adopted.emplace_back(tensor, after);
    tensor = after;
  };
  Walk walk(
      adopt,
      [&](const std::string& name, Tensor& buffer, bool persistent) {
        if (persistent) adopt(name, buffer);
      },
      nullptr);
  walk.over(*this);
  return result;
}

}  // namespace qing::nn
