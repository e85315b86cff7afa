// Prints the learning rates of a schedule, so that tests/python/test_schedule_parity.py can compare them. Arguments:
// the name, the number of steps, the base rate, and the schedule's own arguments as numbers. "plateau" reads one metric
// per step from stdin. "one_cycle" prints the momentum too.
#include <qing/autograd/autograd.h>
#include <qing/optim/lr_scheduler.h>
#include <qing/optim/optimizer.h>

#include <cstdio>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <vector>

namespace {

using namespace qing;
using namespace qing::optim;
using Numbers = std::vector<double>;

int64_t whole(double x) { return static_cast<int64_t>(x); }

const std::map<std::string, std::function<Schedule(const Numbers&)>> kSchedules = {
    {"constant", [](const Numbers& a) { return constant_lr(a[0], whole(a[1])); }},
    {"linear", [](const Numbers& a) { return linear_lr(a[0], a[1], whole(a[2])); }},
    {"step", [](const Numbers& a) { return step_lr(whole(a[0]), a[1]); }},
    {"multi_step",
     [](const Numbers& a) {
       return multi_step_lr({whole(a[0]), whole(a[1]), whole(a[2])}, a[3]);
     }},
    {"exponential", [](const Numbers& a) { return exponential_lr(a[0]); }},
    {"polynomial", [](const Numbers& a) { return polynomial_lr(whole(a[0]), a[1]); }},
    {"cosine", [](const Numbers& a) { return cosine_annealing_lr(whole(a[0]), a[1]); }},
    {"warm_restarts", [](const Numbers& a) { return cosine_annealing_warm_restarts(whole(a[0]), whole(a[1]), a[2]); }},
    {"sequential",
     [](const Numbers&) {
       return sequential_lr({constant_lr(0.1, 20), exponential_lr(0.9), step_lr(5, 0.5)}, {20, 60});
     }},
    {"chained",
     [](const Numbers&) {
       return chained({constant_lr(0.1, 20), exponential_lr(0.9), step_lr(30, 0.5)});
     }},
    {"constant_with_warmup", [](const Numbers& a) { return constant_with_warmup(whole(a[0])); }},
    {"linear_with_warmup", [](const Numbers& a) { return linear_with_warmup(whole(a[0]), whole(a[1])); }},
    {"cosine_with_warmup", [](const Numbers& a) { return cosine_with_warmup(whole(a[0]), whole(a[1]), a[2]); }},
    {"hard_restarts", [](const Numbers& a) { return cosine_with_hard_restarts(whole(a[0]), whole(a[1]), a[2]); }},
    {"polynomial_with_warmup",
     [](const Numbers& a) { return polynomial_with_warmup(whole(a[0]), whole(a[1]), a[2], a[3]); }},
};

void run_plateau(Optimizer& optimizer, int64_t steps, const Numbers& a) {
  ReduceLrOnPlateau plateau(optimizer, {.maximize = a[0] != 0,
                                        .factor = a[1],
                                        .patience = whole(a[2]),
                                        .threshold = a[3],
                                        .relative = a[4] != 0,
                                        .cooldown = whole(a[5]),
                                        .min_lr = a[6]});
  for (int64_t i = 0; i < steps; ++i) {
    double metric = 0;
    std::cin >> metric;
    plateau.step(metric);
    std::printf("%.17g\n", optimizer.lr());
  }
}

void run_one_cycle(Optimizer& optimizer, int64_t steps, const Numbers& a) {
  const OneCycleOptions options{.max_lr = a[0],
                                .total_steps = whole(a[1]),
                                .pct_start = a[2],
                                .anneal = a[3] != 0 ? Anneal::linear : Anneal::cosine,
                                .div_factor = a[4],
                                .final_div_factor = a[5],
                                .three_phase = a[6] != 0};
  LrScheduler scheduler(optimizer, one_cycle_lr(options), one_cycle_momentum(options));
  for (int64_t i = 0; i < steps; ++i) {
    std::printf("%.17g %.17g\n", optimizer.lr(), optimizer.momentum());
    scheduler.step();
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  const std::string name = argv[1];
  const int64_t steps = std::stoll(argv[2]);
  Numbers arguments;
  for (int i = 4; i < argc; ++i) arguments.push_back(std::stod(argv[i]));
  Tensor parameter = Tensor::zeros({1});
  Sgd optimizer({set_requires_grad(parameter)}, {.lr = std::stod(argv[3]), .momentum = 0.9});
  if (name == "plateau") {
    run_plateau(optimizer, steps, arguments);
  } else if (name == "one_cycle") {
    run_one_cycle(optimizer, steps, arguments);
  } else {
    LrScheduler scheduler(optimizer, kSchedules.at(name)(arguments));
    for (int64_t i = 0; i < steps; ++i) {
      std::printf("%.17g\n", optimizer.lr());
      scheduler.step();
    }
  }
}
