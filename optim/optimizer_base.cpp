#include <qing/optim/optimizer_base.h>

#include <fmt/format.h>
#include <qing/autograd/training_watch.h>
#include <qing/nn/training_mode.h>
#include <qing/optim/forgotten_parts.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/apply.h>
#include <qing/tensor/warnings.h>

#include <algorithm>
#include <cmath>
#include <optional>

namespace qing::optim {
namespace {

// Number of elements for which round_bf16 draws noise together. The number of bf16 states widened at a time is a
// multiple.
constexpr int64_t kNoiseUnit = 4, kWidened = 1024;

}  // namespace

// The work of a step on one parameter. Its units are rows of the list, or elements if all elements are visited.
struct Optimizer::Job {
  size_t index;
  Tensor parameter, gradient;
  std::shared_ptr<const std::vector<int64_t>> rows;
  bool fresh;
  double scale;

  int64_t width() const { return rows->empty() ? 0 : parameter.numel() / parameter.size(0); }
  int64_t units() const { return rows != nullptr ? static_cast<int64_t>(rows->size()) : parameter.numel(); }
  int64_t grain() const {
    return rows != nullptr ? kElementGrain / std::clamp<int64_t>(width(), 1, kElementGrain) : kElementGrain;
  }
  int64_t elements() const { return rows != nullptr ? units() * width() : units(); }
};

void Optimizer::add_group(const std::vector<Tensor>& parameters) {
  if (parameters.empty()) {
    throw ValueError(fmt::format(
        "{}: group {} has no parameters; does the module report its parts in visit()? Leave an empty group out", name_,
        groups_.size()));
  }
  for (const Tensor& parameter : parameters) {
    if (!parameter.defined() || !requires_grad(parameter) || !is_leaf(parameter) || !parameter.is_contiguous()) {
      throw ValueError(
          fmt::format("{}: a parameter of shape {} is not a contiguous leaf that requires a gradient; see "
                      "set_requires_grad",
                      name_, parameter.defined() ? to_string(parameter.shape()) : "(undefined)"));
    }
    for (const State& other : states_) {
      if (!other.parameter.same_as(parameter)) continue;
      throw ValueError(fmt::format("{}: a parameter of shape {} is in group {} and again in group {}; name it once",
                                   name_, to_string(parameter.shape()), other.group, groups_.size()));
    }
    states_.push_back({.parameter = parameter, .group = groups_.size()});
  }
  groups_.push_back(parameters.size());
}

void Optimizer::finish_groups() {
  if (groups_.empty()) throw ValueError(fmt::format("{}: there are no parameters", name_));
  for (size_t group = 0; group < groups_.size(); ++group) check_options(group);
  watch_training(parameters());
}

void Optimizer::zero_grad() {
  for (const State& state : states_) qing::zero_grad(state.parameter);
}

std::vector<Tensor> Optimizer::parameters() const {
  std::vector<Tensor> all;
  for (const State& state : states_) all.push_back(state.parameter);
  return all;
}

DType Optimizer::slot_dtype(const State& state) const {
  return state_dtype_ == DType::bf16 ? DType::bf16 : state.parameter.dtype();
}

Optimizer::Job Optimizer::prepare(size_t index, const RowGradient& gradient, double scale) {
  State& state = states_[index];
  ++state.steps;
  bool fresh = false;
  for (size_t slot = 0; slot < slot_names_.size() && owns(index); ++slot) {
    const std::optional<Shape> shape = slot_shape(state.group, slot, state.parameter.shape());
    if (!shape || state.slots[slot].defined()) continue;
    state.slots[slot] = Tensor::full(*shape, initial_slot(state.group), slot_dtype(state));
    fresh = true;
  }
  return {index, state.parameter, gradient.gradient, skips_zeros(state.group) ? gradient.rows : nullptr, fresh, scale};
}

// Whoever forgets backward() or train() sees no error, only a model that does not learn.
void Optimizer::warn_of_nothing_learnt(const std::vector<Job>& jobs) {
  if (jobs.empty()) {
    return warn_once("step without gradients",
                     fmt::format("{}: step() found no gradient of any of {} parameters; call backward() on a loss that "
                                 "is computed from them",
                                 name_, states_.size()));
  }
  found_gradient_ = std::any_of(jobs.begin(), jobs.end(), [this](const Job& job) {
    return dispatch_floating(job.gradient.dtype(), name_, [&](auto zero) {
      const auto* const g = job.gradient.data<decltype(zero)>();
      return std::any_of(g, g + job.gradient.numel(), [](auto value) { return value != 0; });
    });
  });
  if (!found_gradient_) {
    warn_once(
        "step with zero gradients",
        fmt::format("{}: all gradients are zero, so step() teaches the model nothing; call step() after backward() "
                    "and before zero_grad(), and see that the loss depends on the parameters",
                    name_));
    return;
  }
  warn_of_forgotten_parts(name_, parameters());
  if (nn::only_evaluated()) {
    warn_once("step in evaluation mode",
              fmt::format("{}: step() after forward passes in evaluation mode only, without dropout and with running "
                          "statistics; call train() on the model, since modules begin in evaluation mode",
                          name_));
  }
}

void Optimizer::step(double gradient_scale) {
  std::vector<Job> jobs;
  for (size_t index = 0; index < states_.size(); ++index) {
    const RowGradient gradient = row_grad(states_[index].parameter);
    if (gradient.gradient.defined()) jobs.push_back(prepare(index, gradient, gradient_scale));
  }
  if (!found_gradient_) warn_of_nothing_learnt(jobs);
  std::erase_if(jobs, [this](const Job& job) { return !owns(job.index); });
  if (updates_whole()) {
    for (const Job& job : jobs) {
      const State& state = states_[job.index];
      update_whole(state.group, {job.parameter, job.gradient, state.slots, state.steps, job.scale});
    }
  } else {
    update_pieces(jobs);
  }
  for (Job& job : jobs) job.parameter.bump_version();
}

void Optimizer::update_pieces(const std::vector<Job>& jobs) const {
  std::vector<std::pair<size_t, int64_t>> pieces;  // {index of the job, first unit of the piece}
  int64_t elements = 0;
  for (size_t index = 0; index < jobs.size(); ++index) {
    const Job& job = jobs[index];
    for (int64_t begin = 0; begin < job.units(); begin += job.grain()) pieces.emplace_back(index, begin);
    elements += job.elements();
  }
  const auto count = static_cast<int64_t>(pieces.size());
  // A small amount of work is done on this thread, because waking threads would take longer.
  parallel_for(count, elements <= kElementGrain ? std::max<int64_t>(1, count) : 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      const auto [index, begin] = pieces[static_cast<size_t>(i)];
      const Job& job = jobs[index];
      const int64_t end = std::min(begin + job.grain(), job.units());
      job.rows != nullptr ? run_rows(job, begin, end) : run(job, begin, end);
    }
  });
}

void Optimizer::run_rows(const Job& job, int64_t first, int64_t last) const {
  const int64_t width = job.width();
  for (int64_t i = first; i < last; ++i) {
    const int64_t begin = (*job.rows)[static_cast<size_t>(i)] * width;
    run(job, begin, begin + width);
  }
}

void Optimizer::run(const Job& job, int64_t begin, int64_t end) const {
  if (state_dtype_ == DType::bf16) return run_bf16(job, begin, end);
  const State& state = states_[job.index];
  dispatch_floating(job.parameter.dtype(), name_, [&](auto zero) {
    using T = decltype(zero);
    Piece<T> piece{
        end - begin, job.parameter.data<T>() + begin, job.gradient.data<T>() + begin, {}, state.steps, job.fresh,
        job.scale};
    for (size_t slot = 0; slot < slot_names_.size(); ++slot) {
      if (uses_slot(state.group, slot)) piece.slots[slot] = state.slots[slot].data<T>() + begin;
    }
    update(state.group, piece);
  });
}

void Optimizer::run_bf16(const Job& job, int64_t begin, int64_t end) const {
  const State& state = states_[job.index];
  const auto& kernels = kernels::kernels<float>();
  // Noise is drawn in groups of four, starting at a multiple of four. A row may begin inside a group.
  const int64_t before = begin % kNoiseUnit;
  float wide[kMaxSlots][kWidened + kNoiseUnit] = {};
  uint16_t rounded[kWidened + kNoiseUnit];
  for (; begin < end; begin += kWidened) {
    const int64_t n = std::min(kWidened, end - begin);
    Piece<float> piece{
        n,        job.parameter.data<float>() + begin, job.gradient.data<float>() + begin, {}, state.steps, job.fresh,
        job.scale};
    const auto bits = [&](size_t slot) { return &state.slots[slot].data<BFloat16>()[begin].bits; };
    for (size_t slot = 0; slot < slot_names_.size(); ++slot) {
      if (!uses_slot(state.group, slot)) continue;
      piece.slots[slot] = wide[slot] + before;
      kernels.widen_bf16(n, bits(slot), piece.slots[slot]);
    }
    update(state.group, piece);
    for (size_t slot = 0; slot < slot_names_.size(); ++slot) {
      if (piece.slots[slot] == nullptr) continue;
      kernels.round_bf16(job.index * kMaxSlots + slot, static_cast<uint64_t>(state.steps),
                         static_cast<uint64_t>(begin - before), before + n, wide[slot], rounded);
      std::copy_n(rounded + before, n, bits(slot));
    }
  }
}

void Optimizer::keep_states_of(std::vector<char> owned) {
  if (owned.size() != states_.size()) {
    throw ValueError(
        fmt::format("{}: keep_states_of() has {} entries for {} parameters", name_, owned.size(), states_.size()));
  }
  for (const State& state : states_) {
    if (state.steps > 0) throw ValueError(fmt::format("{}: divide the states before the first step", name_));
  }
  owned_ = std::move(owned);
}

int64_t Optimizer::state_bytes() const {
  int64_t bytes = 0;
  for (const State& state : states_) {
    for (const Tensor& slot : state.slots) {
      if (slot.defined()) bytes += slot.numel() * static_cast<int64_t>(size_of(slot.dtype()));
    }
  }
  return bytes;
}

std::shared_ptr<const std::vector<int64_t>> Optimizer::visited_rows(size_t index) const {
  const State& state = states_.at(index);
  return skips_zeros(state.group) ? row_grad(state.parameter).rows : nullptr;
}

void Optimizer::set_state_dtype(DType dtype) {
  if (dtype != DType::f32 && dtype != DType::bf16) {
    throw DTypeError(fmt::format("{}: states are kept in f32 or bf16, not {}", name_, qing::name_of(dtype)));
  }
  if (dtype == DType::bf16 && updates_whole()) {
    throw DTypeError(fmt::format("{}: states are kept in f32; they take little memory beside the parameters", name_));
  }
  for (const State& state : states_) {
    if (state.parameter.dtype() != DType::f32) {
      throw DTypeError(fmt::format("{}: a parameter of shape {} is {}; its state has its dtype", name_,
                                   to_string(state.parameter.shape()), qing::name_of(state.parameter.dtype())));
    }
    if (state.steps > 0) throw ValueError(fmt::format("{}: set the dtype of states before the first step", name_));
  }
  state_dtype_ = dtype;
}

// --- options ---

double& Optimizer::find_option(size_t group, std::span<const std::string_view> names) {
  if (group >= groups_.size()) {
    throw IndexError(fmt::format("{}: there is no group {}, only {}", name_, group, groups_.size()));
  }
  struct Finder : OptionVisitor {
    explicit Finder(std::span<const std::string_view> names) : names(names) {}
    void number(const char* name, double& value, OptionBounds) override {
      if (std::find(names.begin(), names.end(), name) != names.end()) found = &value;
    }
    void flag(const char*, bool&) override {}
    std::span<const std::string_view> names;
    double* found = nullptr;
  } finder(names);
  visit_options(group, finder);
  if (finder.found == nullptr) throw ValueError(fmt::format("{}: it has no {}", name_, fmt::join(names, " or ")));
  return *finder.found;
}

namespace {
constexpr std::string_view kLr[] = {"lr"};
constexpr std::string_view kMomentum[] = {"momentum", "beta1"};
}  // namespace

// Options are read through the same visitor that writes them.
double Optimizer::lr(size_t group) const { return const_cast<Optimizer*>(this)->find_option(group, kLr); }

double Optimizer::momentum(size_t group) const { return const_cast<Optimizer*>(this)->find_option(group, kMomentum); }

void Optimizer::set_lr(size_t group, double lr) {
  check("lr", lr, OptionBounds::not_negative);
  find_option(group, kLr) = lr;
}

void Optimizer::set_lr(double lr) {
  for (size_t group = 0; group < groups_.size(); ++group) set_lr(group, lr);
}

void Optimizer::set_momentum(size_t group, double value) {
  check("momentum", value, OptionBounds::share);
  find_option(group, kMomentum) = value;
}

void Optimizer::check(const char* option, double value, OptionBounds bounds) const {
  if (bounds == OptionBounds::share && !(value >= 0 && value < 1)) {
    throw ValueError(fmt::format("{}: {} is {}; it must be in [0, 1)", name_, option, value));
  }
  const bool negative = bounds == OptionBounds::not_positive;
  if (!std::isfinite(value) || (negative ? value > 0 : value < 0)) {
    throw ValueError(
        fmt::format("{}: {} is {}; it must be {} 0", name_, option, value, negative ? "at most" : "at least"));
  }
}

void Optimizer::check_options(size_t group) const {
  struct Checker : OptionVisitor {
    explicit Checker(const Optimizer& optimizer) : optimizer(optimizer) {}
    void number(const char* name, double& value, OptionBounds bounds) override { optimizer.check(name, value, bounds); }
    void flag(const char*, bool&) override {}
    const Optimizer& optimizer;
  } checker(*this);
  const_cast<Optimizer*>(this)->visit_options(group, checker);
  if (const char* text = conflict(group)) throw ValueError(fmt::format("{}: {}", name_, text));
}

// --- state ---

StateDict Optimizer::state_dict() const {
  StateDict dict;
  struct Writer : OptionVisitor {
    Writer(StateDict& dict, std::string prefix) : dict(dict), prefix(std::move(prefix)) {}
    void number(const char* name, double& value, OptionBounds) override { dict[prefix + name] = number_state(value); }
    void flag(const char* name, bool& value) override { dict[prefix + name] = integer_state(value); }
    StateDict& dict;
    std::string prefix;
  };
  for (size_t group = 0; group < groups_.size(); ++group) {
    Writer writer(dict, fmt::format("group.{}.", group));
    const_cast<Optimizer*>(this)->visit_options(group, writer);
    dict[writer.prefix + "parameters"] = integer_state(static_cast<int64_t>(groups_[group]));
  }
  for (size_t index = 0; index < states_.size(); ++index) {
    const std::string prefix = fmt::format("parameter.{}.", index);
    dict[prefix + "step"] = integer_state(states_[index].steps);
    for (size_t slot = 0; slot < slot_names_.size(); ++slot) {
      const Tensor& tensor = states_[index].slots[slot];
      if (tensor.defined()) dict[prefix + std::string(slot_names_[slot])] = tensor;
    }
  }
  return dict;
}

void Optimizer::load_state_dict(const StateDict& state) {
  // Reads options into place and keeps the old values, to restore them if the state does not fit.
  struct Reader : OptionVisitor {
    explicit Reader(StateReader& from) : from(from) {}
    void number(const char* name, double& value, OptionBounds) override {
      numbers.emplace_back(&value, value);
      value = from.number(prefix + name);
    }
    void flag(const char* name, bool& value) override {
      flags.emplace_back(&value, value);
      const int64_t read = from.integer(prefix + name, 0);
      if (read > 1) from.mismatch(fmt::format("{}{} is {}, needs 0 or 1", prefix, name, read));
      value = read == 1;
    }
    void undo() const {
      for (const auto& [place, old] : numbers) *place = old;
      for (const auto& [place, old] : flags) *place = old;
    }
    StateReader& from;
    std::string prefix;
    std::vector<std::pair<double*, double>> numbers;
    std::vector<std::pair<bool*, bool>> flags;
  };

  StateReader from(fmt::format("{}: load_state_dict", name_), state);
  Reader options(from);
  std::vector<State> states = states_;
  try {
    for (size_t group = 0; group < groups_.size(); ++group) {
      options.prefix = fmt::format("group.{}.", group);
      visit_options(group, options);
      const int64_t count = from.integer(options.prefix + "parameters", 0);
      if (count != static_cast<int64_t>(groups_[group])) {
        from.mismatch(fmt::format("group {} has {} parameters, needs {}", group, count, groups_[group]));
      }
    }
    for (size_t index = 0; index < states.size(); ++index) {
      const std::string prefix = fmt::format("parameter.{}.", index);
      State& to = states[index];
      to.steps = from.integer(prefix + "step", 0);
      for (size_t slot = 0; slot < slot_names_.size(); ++slot) {
        const std::string name = prefix + std::string(slot_names_[slot]);
        to.slots[slot] = {};
        if (!from.has(name)) continue;
        const Shape shape = slot_shape(to.group, slot, to.parameter.shape()).value_or(to.parameter.shape());
        const Tensor found = from.tensor(name, shape, slot_dtype(to));
        if (found.defined() && owns(index)) to.slots[slot] = found.clone();
      }
    }
    from.finish();
    for (size_t group = 0; group < groups_.size(); ++group) {
      try {
        check_options(group);
      } catch (const ValueError& error) {
        throw DataError(fmt::format("{}: load_state_dict: group {}: {}", name_, group, error.what()));
      }
    }
  } catch (...) {
    options.undo();
    throw;
  }
  states_ = std::move(states);
}

}  // namespace qing::optim
