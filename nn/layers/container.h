// Modules that contain modules.
#pragma once

#include <algorithm>
#include <concepts>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <qing/nn/module.h>

namespace qing::nn {

/// Applies modules in sequence; parts are named "0", "1", ...:
///
///   Sequential model(Linear(4, 8, rng), ReLU(), Linear(8, 3, rng));
///
/// forward passes its generator to every part.
class Sequential : public UnaryModule {
 public:
  Sequential() = default;
  /// Moves the modules in.
  template <class... Modules>
  requires((!std::is_reference_v<Modules> &&
            std::derived_from<Modules, UnaryModule>)&&...) explicit Sequential(Modules&&... modules) {
    (emplace<Modules>(std::move(modules)), ...);
  }
  /// Constructs an M at the end.
  template <std::derived_from<UnaryModule> M, class... Arguments> M& emplace(Arguments&&... arguments) {
    auto module = std::make_unique<M>(std::forward<Arguments>(arguments)...);
    M& built = *module;
    modules_.push_back(std::move(module));
    return built;
  }
  void push_back(std::unique_ptr<UnaryModule> module);  ///< ValueError for null.

  void visit(Visitor& visitor) override;
  size_t size() const { return modules_.size(); }
  UnaryModule& operator[](size_t index) const;  ///< IndexError

 private:
  Tensor compute(const Tensor& x, Generator* rng) const override;
  std::vector<std::unique_ptr<UnaryModule>> modules_;
};

/// Modules of one type, named "0", "1", ... The owner calls them.
template <std::derived_from<Module> M> class ModuleList : public Module {
 public:
  template <class... Arguments> M& emplace_back(Arguments&&... arguments) {
    modules_.push_back(std::make_unique<M>(std::forward<Arguments>(arguments)...));
    return *modules_.back();
  }
  void visit(Visitor& visitor) override {
    for (size_t i = 0; i < modules_.size(); ++i) visitor.module(std::to_string(i), *modules_[i]);
  }
  size_t size() const { return modules_.size(); }
  M& operator[](size_t index) const {
    if (index >= modules_.size()) {
      throw IndexError("ModuleList: index " + std::to_string(index) + " of " + std::to_string(modules_.size()));
    }
    return *modules_[index];
  }

 private:
  std::vector<std::unique_ptr<M>> modules_;
};

/// Modules of one type, or derived from it, by name, in the order of insertion. The owner calls them:
///
///   ModuleDict<UnaryModule> choices;
///   choices.emplace<ReLU>("relu");
///   choices.emplace<Linear>("linear", 4, 8, rng);
///   const Tensor y = choices["linear"].forward(x);
template <std::derived_from<Module> M> class ModuleDict : public Module {
 public:
  /// Constructs a T. ValueError for a name that is empty, has a dot or exists already.
  template <std::derived_from<M> T = M, class... Arguments> T& emplace(std::string name, Arguments&&... arguments) {
    auto module = std::make_unique<T>(std::forward<Arguments>(arguments)...);
    T& built = *module;
    insert(std::move(name), std::move(module));
    return built;
  }
  /// ValueError for such a name, and for null.
  void insert(std::string name, std::unique_ptr<M> module) {
    if (module == nullptr) throw ValueError("ModuleDict: a null module");
    if (name.empty() || name.find('.') != std::string::npos) {
      throw ValueError("ModuleDict: the name '" + name + "' is empty or has a dot");
    }
    if (contains(name)) throw ValueError("ModuleDict: the name '" + name + "' is taken; erase it first");
    modules_.emplace_back(std::move(name), std::move(module));
  }
  void erase(std::string_view name) { modules_.erase(find(name)); }  ///< IndexError if it does not exist.

  void visit(Visitor& visitor) override {
    for (auto& [name, module] : modules_) visitor.module(name, *module);
  }
  size_t size() const { return modules_.size(); }
  bool contains(std::string_view name) const {
    return std::any_of(modules_.begin(), modules_.end(), [name](const auto& part) { return part.first == name; });
  }
  std::vector<std::string> keys() const {
    std::vector<std::string> names;
    for (const auto& part : modules_) names.push_back(part.first);
    return names;
  }
  M& operator[](std::string_view name) const { return *find(name)->second; }  ///< IndexError with the existing names.

 private:
  auto find(std::string_view name) const {
    const auto found =
        std::find_if(modules_.begin(), modules_.end(), [name](const auto& part) { return part.first == name; });
    if (found != modules_.end()) return found;
    std::string names;
    for (const auto& part : modules_) names += " " + part.first;
    throw IndexError("ModuleDict: no module '" + std::string(name) + "' among" + (names.empty() ? " none" : names));
  }

  std::vector<std::pair<std::string, std::unique_ptr<M>>> modules_;
};

class Identity : public UnaryModule {
  Tensor compute(const Tensor& x, Generator*) const override { return x; }
};

/// Any function of a tensor, without parameters. It must be thread-safe for forward to be.
class Lambda : public UnaryModule {
 public:
  explicit Lambda(std::function<Tensor(const Tensor&)> function);  ///< ValueError for an empty one.

 private:
  Tensor compute(const Tensor& x, Generator*) const override { return function_(x); }
  std::function<Tensor(const Tensor&)> function_;
};

/// Joins the dimensions start_dim to end_dim, inclusive, into one.
class Flatten : public UnaryModule {
 public:
  explicit Flatten(int64_t start_dim = 1, int64_t end_dim = -1) : start_dim_(start_dim), end_dim_(end_dim) {}

 private:
  Tensor compute(const Tensor& x, Generator* rng) const override;  ///< IndexError
  int64_t start_dim_, end_dim_;
};

}  // namespace qing::nn
