#include <qing/optim/training/trainer.h>

#include <fmt/format.h>
#include <qing/autograd/autocast.h>
#include <qing/autograd/autograd.h>
#include <qing/optim/clip.h>
#include <qing/optim/parallel/collectives.h>
#include <qing/tensor/denormals.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <optional>
#include <string>

namespace qing::optim {
namespace {

using Clock = std::chrono::steady_clock;

Generator& unused_generator() {
  static Generator rng;
  return rng;
}

void check_own_names(const CheckpointParts& parts) {
  check_parts("Trainer", parts);
  for (const char* own : {"trainer", "optimizer", "data", "rng", "schedule", "plateau", "average", "scaler", "best"}) {
    if (parts.count(own) > 0) {
      throw ValueError(fmt::format("Trainer: '{}' is a name of the trainer's own parts; give yours another", own));
    }
  }
}

void check(const TrainerOptions& o, const LossSource& source) {
  const auto at_least = [](const char* name, int64_t value, int64_t low) {
    if (value < low) throw ValueError(fmt::format("Trainer: {} is {}; it must be at least {}", name, value, low));
  };
  at_least("max_epochs", o.max_epochs, 0);
  at_least("max_steps", o.max_steps, 0);
  at_least("accumulate", o.accumulate, 1);
  at_least("evaluate_every", o.evaluate_every, 0);
  at_least("patience", o.patience, 0);
  at_least("checkpoint_every", o.checkpoint_every, 0);
  if (o.max_epochs == 0 && o.max_steps == 0) throw ValueError("Trainer: neither max_epochs nor max_steps is set");
  if (!(o.clip_norm >= 0))
    throw ValueError(fmt::format("Trainer: clip_norm is {}; it must be at least 0", o.clip_norm));
  if (o.precision != DType::f32 && o.precision != DType::bf16) {
    throw DTypeError(fmt::format("Trainer: precision is {}; it must be f32 or bf16", name_of(o.precision)));
  }
  if (!source.has_next || !(o.parallel != nullptr ? source.next_chunks != nullptr : source.next != nullptr)) {
    throw ValueError(fmt::format("Trainer: the source has no has_next or no {}",
                                 o.parallel != nullptr ? "next_chunks, which `parallel` needs" : "next"));
  }
  if (o.parallel != nullptr && (o.accumulate > 1 || o.scaler != nullptr)) {
    throw ValueError("Trainer: parallel excludes accumulate and scaler; use larger batches, and bf16");
  }
  if ((o.plateau != nullptr || o.patience > 0 || o.keep_best) && !o.evaluate) {
    throw ValueError("Trainer: patience, a plateau and keep_best need evaluate");
  }
  if (static_cast<bool>(source.save) != static_cast<bool>(source.load)) {
    throw ValueError("Trainer: the source needs both save and load, or neither");
  }
  if (!o.checkpoints.empty() && !source.save) {
    throw ValueError("Trainer: checkpoints need the source's save and load, to resume at its position");
  }
  check_own_names(o.parts);
}

}  // namespace

Trainer::Trainer(nn::Module& model, Optimizer& optimizer, LossSource source, TrainerOptions options)
    : model_(model),
      optimizer_(optimizer),
      source_(std::move(source)),
      options_(std::move(options)),
      position_(source_.save, source_.load),
      rng_(options_.rng != nullptr ? *options_.rng : unused_generator()),
      optimizer_part_(optimizer) {
  check(options_, source_);
  optimizer_part_.divided = divides();
  progress_.best_metric = (options_.greater_is_better ? -1 : 1) * std::numeric_limits<double>::infinity();
}

bool Trainer::out_of_patience() const { return options_.patience > 0 && bad_evaluations_ >= options_.patience; }

bool Trainer::done() const {
  return (options_.max_epochs > 0 && progress_.epoch >= options_.max_epochs) ||
         (options_.max_steps > 0 && progress_.step >= options_.max_steps) || out_of_patience();
}

void Trainer::tell(const std::function<bool(const TrainerProgress&)>& callback) {
  if (callback && !callback(progress_)) stop_ = true;
}

Tensor Trainer::next_loss() {
  const AutocastGuard products(options_.precision);
  return source_.next();
}

// Computes the mean gradient over the step's batches. Returns the mean of their losses.
double Trainer::accumulate_gradients() {
  double sum = 0;
  int64_t batches = 0;
  for (; batches < options_.accumulate && source_.has_next(); ++batches) {
    const Tensor loss = next_loss();
    BackwardOptions backward_options;
    if (options_.accumulate > 1) {
      backward_options.gradient =
          Tensor::full(loss.shape(), 1.0 / static_cast<double>(options_.accumulate), loss.dtype());
    }
    backward(options_.scaler != nullptr ? options_.scaler->scale(loss) : loss, backward_options);
    sum += loss.item();
  }
  if (batches == 0) throw ValueError(fmt::format("Trainer: epoch {} has no batch", progress_.epoch));
  if (batches < options_.accumulate) {
    scale_grad(optimizer_.parameters(), static_cast<double>(options_.accumulate) / static_cast<double>(batches));
  }
  return sum / static_cast<double>(batches);
}

// Computes the gradient of the next batch on all ranks. Returns its loss.
double Trainer::parallel_gradients() {
  if (!source_.has_next()) throw ValueError(fmt::format("Trainer: epoch {} has no batch", progress_.epoch));
  const ChunkedBatch batch = source_.next_chunks();
  return options_.parallel->backward(batch.chunks, [&](int chunk) {
    const AutocastGuard products(options_.precision);
    return batch.loss(chunk);
  });
}

// Gives all ranks the state of rank 0, which may come from a checkpoint.
void Trainer::share_state(int64_t& resumed_from) {
  Communicator& ranks = options_.parallel->ranks();
  resumed_from = broadcast_value(ranks, resumed_from);
  const NoGradGuard no_grad;
  const StateDict weights = broadcast_state(ranks, model_.state_dict());
  if (!ranks.is_first()) model_.load_state_dict(weights);
  for (const auto& [name, part] : parts()) {
    if (part == &optimizer_part_ && divides()) {
      options_.parallel->scatter_optimizer(part->state_dict());
      optimizer_part_.whole.clear();
      continue;
    }
    const StateDict state = broadcast_state(ranks, ranks.is_first() ? part->state_dict() : StateDict());
    if (!ranks.is_first()) part->load_state_dict(state);
  }
}

// Returns the factor that the optimizer applies to the gradients in its own pass.
double Trainer::clipping() {
  if (options_.clip_norm == 0) return 1;
  progress_.grad_norm = total_grad_norm(optimizer_.parameters());
  return clip_for_pass(optimizer_.parameters(), progress_.grad_norm, options_.clip_norm);
}

// Returns false if the scaler skipped the step.
bool Trainer::step() {
  optimizer_.zero_grad();
  progress_.loss = options_.parallel != nullptr ? parallel_gradients() : accumulate_gradients();
  if (!std::isfinite(progress_.loss) && options_.scaler == nullptr) {
    // No learning rate has changed the weights before the first step.
    const std::string remedy = progress_.step == 0
                                   ? "look for numbers in the data, the weights or the loss that are not finite; an "
                                     "AnomalyGuard names the operation that makes the first NaN"
                                   : fmt::format("use a smaller learning rate than {}", optimizer_.lr());
    throw ValueError(fmt::format("Trainer: the loss of step {} is {}; {}", progress_.step + 1, progress_.loss, remedy));
  }
  if (options_.scaler != nullptr) options_.scaler->unscale(optimizer_);
  bool stepped = true;
  if (options_.scaler != nullptr) {
    if (options_.clip_norm > 0) progress_.grad_norm = clip_grad_norm(optimizer_.parameters(), options_.clip_norm);
    stepped = options_.scaler->step(optimizer_);
    options_.scaler->update();
  } else if (options_.parallel != nullptr) {
    options_.parallel->step(clipping());
  } else {
    optimizer_.step(clipping());
  }
  if (stepped && options_.average != nullptr) options_.average->update();
  if (options_.schedule != nullptr) options_.schedule->step();
  return stepped;
}

void Trainer::Best::load_state_dict(const StateDict& state) {
  weights.clear();
  for (const auto& [name, tensor] : state) weights[name] = tensor.clone();
}

StateDict Trainer::OptimizerPart::state_dict() const {
  StateDict state = optimizer.state_dict();
  state.insert(whole.begin(), whole.end());  // what the other ranks keep
  return state;
}

void Trainer::OptimizerPart::load_state_dict(const StateDict& state) {
  optimizer.load_state_dict(state);
  // share_state() gives the other ranks their parts of it.
  if (divided) whole = state;
}

void Trainer::evaluate() {
  bool better = false;
  {
    const NoGradGuard no_grad;
    std::optional<AveragedModel::Swap> swap;
    if (options_.average != nullptr && options_.average->updates() > 0) swap.emplace(*options_.average);
    model_.eval();
    if (is_first()) progress_.metric = options_.evaluate();
    model_.train();
    if (options_.parallel != nullptr) progress_.metric = broadcast_value(options_.parallel->ranks(), progress_.metric);
    better = options_.greater_is_better ? progress_.metric > progress_.best_metric
                                        : progress_.metric < progress_.best_metric;
    if (better && options_.keep_best) {
      best_.load_state_dict(model_.state_dict());  // of the averages, while they are in place
      best_step_ = progress_.step;
    }
  }
  if (better) progress_.best_metric = progress_.metric;
  bad_evaluations_ = better ? 0 : bad_evaluations_ + 1;
  if (options_.plateau != nullptr) options_.plateau->step(progress_.metric);
  tell(options_.on_evaluate);
}

CheckpointParts Trainer::parts() {
  CheckpointParts all = options_.parts;
  all["trainer"] = this;
  all["optimizer"] = &optimizer_part_;
  all["data"] = &position_;
  if (options_.rng != nullptr) all["rng"] = &rng_;
  if (options_.schedule != nullptr) all["schedule"] = options_.schedule;
  if (options_.plateau != nullptr) all["plateau"] = options_.plateau;
  if (options_.average != nullptr) all["average"] = options_.average;
  if (options_.scaler != nullptr) all["scaler"] = options_.scaler;
  if (options_.keep_best) all["best"] = &best_;
  return all;
}

// Rank 0 alone has a writer and knows whether a checkpoint is due. All ranks give their parts of a divided state.
void Trainer::save_if(bool due, std::optional<CheckpointWriter>& writer) {
  if (divides()) {
    if (!broadcast_value(options_.parallel->ranks(), due)) return;
    optimizer_part_.whole = options_.parallel->gather_optimizer();
  }
  if (due) {
    const std::filesystem::path path = writer->save(progress_.step, model_, parts());
    saved_step_ = progress_.step;
    if (options_.on_checkpoint && !options_.on_checkpoint(progress_, path)) stop_ = true;
  }
  optimizer_part_.whole.clear();
}

TrainerResult Trainer::run() {
  const FlushDenormals flush;
  std::optional<CheckpointWriter> writer;
  TrainerResult result{};
  if (!options_.checkpoints.empty() && is_first()) {
    writer.emplace(options_.checkpoints, options_.checkpoint);
    const auto latest = options_.resume || saved_step_ < 0 ? latest_checkpoint(options_.checkpoints) : std::nullopt;
    if (latest && !options_.resume) {
      throw ValueError(fmt::format("Trainer: {} holds checkpoints of another run; resume it, or use another folder",
                                   options_.checkpoints.string()));
    }
    if (latest) {
      result.resumed_from = saved_step_ = load_checkpoint(*latest, model_, parts());
      if (options_.extended) {
        bad_evaluations_ = 0;
        if (options_.schedule != nullptr) options_.schedule->apply();
      }
    }
  }
  if (options_.parallel != nullptr) share_state(result.resumed_from);
  model_.train();
  stop_ = false;
  while (!done() && !stop_) {
    if (!in_epoch_) {
      if (source_.begin_epoch) source_.begin_epoch(progress_.epoch);
      in_epoch_ = true;
      epoch_loss_ = 0;
      epoch_steps_ = 0;
    }
    const auto start = Clock::now();
    if (step()) epoch_loss_ += progress_.loss, ++epoch_steps_;
    ++progress_.step;
    // The source may prepare the next batch here, so this counts in the time.
    const bool ended = !source_.has_next();
    progress_.seconds += std::chrono::duration<double>(Clock::now() - start).count();
    tell(options_.on_step);
    if (ended) {
      in_epoch_ = false;
      ++progress_.epoch;
    }
    const auto due = [&](int64_t every) { return every > 0 ? progress_.step % every == 0 : ended; };
    if (options_.evaluate && (due(options_.evaluate_every) || done())) evaluate();
    if (ended) tell(options_.on_epoch);
    save_if(writer && due(options_.checkpoint_every), writer);
    if (options_.parallel != nullptr) {
      const std::vector<char> stops = all_gather_values(options_.parallel->ranks(), static_cast<char>(stop_));
      stop_ = std::ranges::count(stops, 1) > 0;
    }
  }
  save_if(writer && saved_step_ != progress_.step, writer);
  if (!best_.weights.empty()) {
    const NoGradGuard no_grad;
    model_.load_state_dict(best_.weights);
  }
  result.best_step = best_step_;
  result.steps = progress_.step;
  result.epochs = progress_.epoch;
  result.loss = epoch_steps_ > 0 ? epoch_loss_ / static_cast<double>(epoch_steps_) : progress_.loss;
  result.interrupted = !done();
  result.early_stopped = out_of_patience();
  result.best_metric = progress_.best_metric;
  return result;
}

StateDict Trainer::state_dict() const {
  return {{"step", integer_state(progress_.step)},    {"epoch", integer_state(progress_.epoch)},
          {"in_epoch", integer_state(in_epoch_)},     {"epoch_steps", integer_state(epoch_steps_)},
          {"epoch_loss", number_state(epoch_loss_)},  {"loss", number_state(progress_.loss)},
          {"metric", number_state(progress_.metric)}, {"best_metric", number_state(progress_.best_metric)},
          {"best_step", integer_state(best_step_)},   {"bad_evaluations", integer_state(bad_evaluations_)}};
}

void Trainer::load_state_dict(const StateDict& state) {
  StateReader from("Trainer: load_state_dict", state);
  TrainerProgress progress;
  progress.step = from.integer("step", 0);
  progress.epoch = from.integer("epoch", 0);
  progress.loss = from.number("loss");
  progress.metric = from.number("metric");
  progress.best_metric = from.number("best_metric");
  const bool in_epoch = from.integer("in_epoch", 0) != 0;
  const int64_t steps = from.integer("epoch_steps", 0), bad = from.integer("bad_evaluations", 0);
  // Checkpoints of earlier versions lack it.
  const int64_t best_step = from.has("best_step") ? from.integer("best_step", 0) : 0;
  const double loss = from.number("epoch_loss");
  from.finish();
  progress_ = progress;
  in_epoch_ = in_epoch;
  epoch_steps_ = steps;
  epoch_loss_ = loss;
  bad_evaluations_ = bad;
  best_step_ = best_step;
}

}  // namespace qing::optim
