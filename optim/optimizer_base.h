// The common base of optimizers: parameter groups, state per parameter, the update pass, saving and loading.
#pragma once

#include <qing/autograd/autograd.h>
#include <qing/optim/state.h>
#include <qing/tensor/tensor.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace qing::optim {

/// What an option of an optimizer may be: finite and at least 0, finite and at most 0, or in [0, 1).
enum class OptionBounds { not_negative, not_positive, share };

/// Parameters that share options. A group has a complete set of options: copy another group's and change what differs.
template <class Options> struct ParameterGroup {
  std::vector<Tensor> parameters;  ///< leaves that require gradients, contiguous f32 or f64
  Options options;
};

/// Not thread-safe. A parameter without a gradient does not change. Its state is allocated at its first step.
/// When the rows of a gradient are known (row_grad(), e.g. an embedding's) and a zero gradient changes nothing, step()
/// visits only those rows.
class Optimizer : public Stateful {
 public:
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// Updates every parameter that has a gradient, in one parallel pass, and bumps their versions. The bits depend
  /// neither on the number of threads nor on the other parameters. The update uses the gradients times
  /// `gradient_scale`, which saves clipping a separate pass; the stored gradients keep their values. Until a step finds
  /// a gradient other than zeros, a step without one warns (tensor/warnings.h). The first step with one warns of parts
  /// that nothing trains, and of dropout that was recorded in evaluation mode only. Each warning comes once.
  void step(double gradient_scale = 1);
  void zero_grad();

  size_t group_count() const { return groups_.size(); }
  std::vector<Tensor> parameters() const;  ///< of all groups, in their order
  /// The learning rate of a group; IndexError when there is no such group.
  double lr(size_t group = 0) const;
  void set_lr(double lr);                ///< of every group; ValueError when negative or not finite
  void set_lr(size_t group, double lr);  ///< of one
  /// The momentum of a group, or beta1 where the optimizer has betas: the value that a one-cycle schedule sets.
  /// ValueError when the optimizer has neither, or the value is outside [0, 1).
  double momentum(size_t group = 0) const;
  void set_momentum(size_t group, double value);

  /// Sets the dtype of the parameters' states (moments, momentum); bf16 halves their memory. Every step computes in f32
  /// and rounds the new state stochastically (Gupta et al. 2015). Rounding to nearest would lose each change below
  /// 1/512 of the state, so that a second moment with beta2 = 0.999 could never fall. The noise is Philox's of
  /// (parameter, step, element): the same bits in every run. The parameters themselves stay f32. DTypeError for a dtype
  /// other than f32 or bf16, when a parameter is f64, or for bf16 in an optimizer whose states are not of the
  /// parameters' shape (Adafactor); ValueError after the first step.
  void set_state_dtype(DType dtype);

  /// Divides the states among several processes: this one keeps those of the parameters whose entry is not 0, by their
  /// places in parameters(), and step() updates these parameters alone (ZeRO, stage 1; Rajbhandari et al. 2020). All
  /// steps are counted. state_dict() then has the states that are kept, and load_state_dict() takes the states of all
  /// parameters and keeps its own. ValueError unless there is an entry for each parameter, and after the first step.
  void keep_states_of(std::vector<char> owned);
  /// The bytes of all states that this process keeps.
  int64_t state_bytes() const;
  /// The rows of parameters()[index] that step() visits with the gradient that is stored; null: all of them.
  std::shared_ptr<const std::vector<int64_t>> visited_rows(size_t index) const;

  /// "group.0.lr", ... for every option of every group; "group.0.parameters", the number of parameters;
  /// "parameter.3.step", "parameter.3.exp_avg", ... for the parameters by index in parameters(). Names are PyTorch's.
  StateDict state_dict() const override;
  /// Restores the options too, as in PyTorch. Errors as in Stateful.
  void load_state_dict(const StateDict& state) override;

 protected:
  static constexpr size_t kMaxSlots = 3;

  /// The receiver of visit_options().
  class OptionVisitor {
   public:
    virtual ~OptionVisitor() = default;
    virtual void number(const char* name, double& value, OptionBounds bounds) = 0;
    virtual void flag(const char* name, bool& value) = 0;
  };

  /// A contiguous range of one parameter, with its gradient and state.
  template <class T> struct Piece {
    int64_t n;
    T* w;
    const T* g;
    std::array<T*, kMaxSlots> slots;  ///< null where uses_slot() says no
    int64_t step;                     ///< of this parameter, from 1
    bool fresh;                       ///< the slots were made in this step
    double scale;                     ///< of the gradient
  };

  /// A parameter with its gradient and states, for updates in which each element depends on all others.
  struct Whole {
    Tensor parameter, gradient;           ///< contiguous
    std::array<Tensor, kMaxSlots> slots;  ///< undefined where slot_shape() says no
    int64_t step;                         ///< of this parameter, from 1
    double scale;                         ///< of the gradient
  };

  /// Error texts begin with `name`. `slots` are the names of a parameter's states, kMaxSlots at most.
  Optimizer(const char* name, std::vector<std::string_view> slots) : name_(name), slot_names_(std::move(slots)) {}
  /// For the constructors of optimizers. ValueError when the group is empty, or a parameter requires no gradient, is
  /// not a leaf, is not contiguous or is already in a group.
  void add_group(const std::vector<Tensor>& parameters);
  /// ValueError when there is no group; checks every group's options.
  void finish_groups();

  /// Reports every option of a group, always in the same order.
  virtual void visit_options(size_t group, OptionVisitor& visitor) = 0;
  /// What is wrong with options that are each in their range but exclude each other; null when nothing is.
  virtual const char* conflict(size_t group) const = 0;
  virtual bool uses_slot(size_t group, size_t slot) const = 0;
  /// The shape of a state of a parameter of this shape; nothing for a state that the parameter does not have.
  virtual std::optional<Shape> slot_shape(size_t group, size_t slot, const Shape& parameter) const {
    return uses_slot(group, slot) ? std::optional(parameter) : std::nullopt;
  }
  virtual double initial_slot(size_t group) const = 0;
  /// Whether an element whose gradient is zero keeps its value and its state.
  virtual bool skips_zeros(size_t group) const = 0;
  /// Whether update_whole() updates each parameter, with all threads. Otherwise update() does, piece by piece.
  virtual bool updates_whole() const { return false; }
  virtual void update_whole(size_t, const Whole&) const {}
  virtual void update(size_t, const Piece<float>&) const {}
  virtual void update(size_t, const Piece<double>&) const {}

 private:
  struct State {
    Tensor parameter;
    size_t group;
    int64_t steps = 0;
    std::array<Tensor, kMaxSlots> slots{};  // undefined before they are used
  };
  struct Job;

  void warn_of_nothing_learnt(const std::vector<Job>& jobs);
  void check(const char* option, double value, OptionBounds bounds) const;  // ValueError naming the option
  void check_options(size_t group) const;
  double& find_option(size_t group, std::span<const std::string_view> names);
  Job prepare(size_t index, const RowGradient& gradient, double scale);
  void update_pieces(const std::vector<Job>& jobs) const;
  void run_rows(const Job& job, int64_t first, int64_t last) const;
  void run(const Job& job, int64_t begin, int64_t end) const;
  void run_bf16(const Job& job, int64_t begin, int64_t end) const;
  DType slot_dtype(const State& state) const;
  bool owns(size_t index) const { return owned_.empty() || owned_[index] != 0; }

  const char* name_;
  std::vector<std::string_view> slot_names_;
  std::vector<size_t> groups_;  // how many parameters each has
  std::vector<State> states_;   // of all parameters, group by group
  std::vector<char> owned_;     // by parameter: whether its states are kept; empty: all are
  DType state_dtype_ = DType::f32;
  bool found_gradient_ = false;  // other than zeros, in any step
};

}  // namespace qing::optim
