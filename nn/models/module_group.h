// A module that only gives its parts' names another level, as Hugging Face's layout has many. Private to nn/.
#pragma once

#include <utility>
#include <vector>

#include <qing/nn/module.h>

namespace qing::nn {

/// Refers to its parts, which live as long.
class ModuleGroup : public Module {
 public:
  explicit ModuleGroup(std::vector<std::pair<const char*, Module*>> parts) : parts_(std::move(parts)) {}
  ModuleGroup(ModuleGroup&&) = delete;  // it points to its neighbours
  void visit(Visitor& visitor) override {
    for (const auto& [name, part] : parts_) visitor.module(name, *part);
  }

 private:
  std::vector<std::pair<const char*, Module*>> parts_;
};

}  // namespace qing::nn
