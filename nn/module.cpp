#include <qing/nn/module.h>

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include <qing/autograd/autograd.h>

namespace qing::nn {
namespace {

class Walk : public Module::Visitor {
 public:
  using OnParameter = std::function<void(const std::string&, Tensor&)>;
  using OnModule = std::function<void(Module&)>;

  Walk(OnParameter on_parameter, OnModule on_module)
      : on_parameter_(std::move(on_parameter)), on_module_(std::move(on_module)) {}

  void parameter(std::string_view name, Tensor& parameter) override {
    if (on_parameter_) on_parameter_(prefix_ + std::string(name), parameter);
  }
  void module(std::string_view name, Module& module) override {
    const size_t length = prefix_.size();
    prefix_ += std::string(name) + ".";
    if (on_module_) on_module_(module);
    module.visit(*this);
    prefix_.resize(length);
  }

 private:
  OnParameter on_parameter_;
  OnModule on_module_;
  std::string prefix_;
};

}  // namespace

std::vector<std::pair<std::string, Tensor>> Module::named_parameters() {
  std::vector<std::pair<std::string, Tensor>> found;
  Walk walk([&](const std::string& name, Tensor& parameter) { found.emplace_back(name, parameter); }, nullptr);
  visit(walk);
  return found;
}

std::vector<Tensor> Module::parameters() {
  std::vector<Tensor> found;
  for (auto& [name, parameter] : named_parameters()) found.push_back(std::move(parameter));
  return found;
}

int64_t Module::parameter_count() {
  int64_t count = 0;
  for (const Tensor& parameter : parameters()) count += parameter.numel();
  return count;
}

void Module::train(bool on) {
  training_ = on;
  Walk walk(nullptr, [on](Module& module) { module.training_ = on; });
  visit(walk);
}

void Module::set_requires_grad(bool on) {
  Walk walk([on](const std::string&, Tensor& parameter) { qing::set_requires_grad(parameter, on); }, nullptr);
  visit(walk);
}

StateDict Module::state_dict() {
  StateDict state;
  for (auto& [name, parameter] : named_parameters()) state.emplace(name, detach(parameter));
  return state;
}

void Module::load_state_dict(const StateDict& state, bool strict, const std::vector<std::string>& ignored) {
  std::vector<std::string> problems;
  auto own = named_parameters();
  for (const auto& [name, parameter] : own) {
    const auto given = state.find(name);
    if (given == state.end()) {
      problems.push_back("missing " + name);
    } else if (given->second.shape() != parameter.shape()) {
      problems.push_back(fmt::format("{} has shape {}, needs {}", name, to_string(given->second.shape()),
                                     to_string(parameter.shape())));
    }
  }
  for (const auto& [name, tensor] : state) {
    const bool known = std::any_of(own.begin(), own.end(), [&, &key = name](const auto& p) { return p.first == key; });
    const bool allowed = !strict || std::find(ignored.begin(), ignored.end(), name) != ignored.end();
    if (!known && !allowed) problems.push_back("unknown " + name);
  }
  if (!problems.empty()) {
    throw DataError(fmt::format("load_state_dict: {} mismatches: {}", problems.size(), fmt::join(problems, "; ")));
  }
  for (auto& [name, parameter] : own) parameter.copy_from(state.at(name));
}

}  // namespace qing::nn
