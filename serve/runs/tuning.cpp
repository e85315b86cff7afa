#include <qing/serve/runs/tuning.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <fstream>

#include <qing/serve/common/json_writer.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/random.h>
#include <qing/tensor/tensor.h>

namespace qing::serve::cli {
namespace {

constexpr double kRateFactor = 5, kDecayFactor = 10, kMostDropout = 0.4;
constexpr size_t kLeastOthers = 3;

std::string text_of_number(double value) { return fmt::format("{:.3g}", value); }
double rounded(double value) { return std::strtod(text_of_number(value).c_str(), nullptr); }

// The best of the first `count` scores.
double best_by(const std::vector<double>& scores, size_t count) {
  return *std::max_element(scores.begin(), scores.begin() + static_cast<std::ptrdiff_t>(count));
}

}  // namespace

Trial draw_trial(const optim::TrainOptions& options, uint64_t seed, int64_t number) {
  Trial trial{.number = number,
              .lr = options.lr,
              .dropout = options.dropout,
              .weight_decay = options.weight_decay,
              .epochs = options.epochs,
              .batch = options.batch};
  if (number == 1) return trial;
  Generator rng;
  rng.restore(seed, static_cast<uint64_t>(number));
  Tensor drawn = Tensor::empty({5}, DType::f32);
  rng.fill_uniform(drawn, 0, 1);
  const std::span<const float> draws = drawn.span<float>();
  // 1/factor to factor, evenly in the logarithm.
  const auto scaled = [](double value, double factor, float draw) {
    return rounded(value * std::pow(factor, 2 * double{draw} - 1));
  };
  const auto halved_or_doubled = [](int64_t value, float draw) {
    return draw < 1.0F / 3 ? std::max<int64_t>(1, value / 2) : draw < 2.0F / 3 ? value : 2 * value;
  };
  trial.lr = scaled(options.lr, kRateFactor, draws[0]);
  trial.weight_decay = scaled(options.weight_decay > 0 ? options.weight_decay : 0.01, kDecayFactor, draws[1]);
  trial.dropout = rounded(kMostDropout * double{draws[2]});
  trial.epochs = halved_or_doubled(options.epochs, draws[3]);
  trial.batch = halved_or_doubled(options.batch, draws[4]);
  return trial;
}

optim::TrainOptions with_trial(optim::TrainOptions options, const Trial& trial) {
  options.lr = trial.lr;
  options.dropout = trial.dropout;
  options.weight_decay = trial.weight_decay;
  options.epochs = trial.epochs;
  options.batch = trial.batch;
  return options;
}

void set_trial(Settings& settings, const Trial& trial) {
  if (trial.number > 1) {  // the first one's options stand as they were written
    set_values(settings, "lr", {text_of_number(trial.lr)});
    set_values(settings, "dropout", {text_of_number(trial.dropout)});
    set_values(settings, "weight-decay", {text_of_number(trial.weight_decay)});
    set_values(settings, "batch", {fmt::format("{}", trial.batch)});
  }
  set_values(settings, "epochs", {fmt::format("{}", trial.epochs)});
}

std::string options_text(const Trial& trial) {
  return fmt::format("--lr {:g} --epochs {} --batch {} --dropout {:g} --weight-decay {:g}", trial.lr, trial.epochs,
                     trial.batch, trial.dropout, trial.weight_decay);
}

bool is_hopeless(const std::vector<double>& scores, std::span<const Trial> others) {
  std::vector<double> bests;
  for (const Trial& other : others) {
    if (other.scores.size() >= scores.size()) bests.push_back(best_by(other.scores, scores.size()));
  }
  if (scores.empty() || bests.size() < kLeastOthers) return false;
  const auto middle = bests.begin() + static_cast<std::ptrdiff_t>(bests.size() / 2);
  std::nth_element(bests.begin(), middle, bests.end());
  return best_by(scores, scores.size()) < *middle;
}

const Trial* best_trial(std::span<const Trial> trials) {
  for (const TrialEnd end : {TrialEnd::finished, TrialEnd::cut}) {
    const Trial* best = nullptr;
    for (const Trial& trial : trials) {
      if (trial.end != end || trial.step == 0) continue;
      if (best == nullptr || trial.score > best->score) best = &trial;
    }
    if (best != nullptr) return best;
  }
  return nullptr;
}

const char* name_of(TrialEnd end) {
  switch (end) {
    case TrialEnd::finished: return "finished";
    case TrialEnd::hopeless: return "stopped early";
    default: return "cut";
  }
}

void append_trial(const std::filesystem::path& file, const Trial& trial, const std::string& measure, double value) {
  JsonWriter line(JsonWriter::Style::kSpaced);
  line.begin_object().member("trial", trial.number).member("lr", trial.lr).member("epochs", trial.epochs);
  line.member("batch", trial.batch).member("dropout", trial.dropout).member("weight_decay", trial.weight_decay);
  line.member("end", name_of(trial.end)).member("seconds", trial.seconds).member("step", trial.step);
  if (trial.step > 0) line.member(measure, value);
  line.end();
  std::ofstream out(file, std::ios::app | std::ios::binary);
  out << line.take() << '\n' << std::flush;
  if (!out) throw IoError(fmt::format("{}: cannot write", file.string()));
}

}  // namespace qing::serve::cli
