#include "caretaker.h"

#include <algorithm>
#include <ctime>
#include <exception>

#include <fmt/format.h>

#include <qing/serve/common/how_many.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/common/log.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/threads.h>

namespace qing::serve {
namespace {

// The recent texts of a version; nothing before its first.
std::optional<DriftMonitor::Reading> recent_of(const DriftMonitor& drift, const std::string& model,
                                               const std::shared_ptr<const nn::TextClassifier>& classifier) {
  std::optional<DriftMonitor::Reading> found;
  drift.for_each([&](const DriftMonitor::Reading& reading) {
    if (reading.model == model && reading.classifier == classifier) found = reading;
  });
  return found;
}

}  // namespace

std::int64_t Caretaker::system_time() { return static_cast<std::int64_t>(std::time(nullptr)); }

ModelReport report_on(const Model& model, const DriftMonitor& drift, FeedbackStore& feedback, std::int64_t now) {
  const auto recent = recent_of(drift, model.name, model.classifier);
  return report_on({.model = model.name,
                    .version = model.version,
                    .reference = model.classifier->reference(),
                    .recent = recent ? &recent->recent : nullptr,
                    .now = now},
                   feedback);
}

Caretaker::Caretaker(std::shared_ptr<const State> state, CaretakerSources sources, std::unique_ptr<Webhook> webhook,
                     Train train, Clock clock)
    : state_(std::move(state)),
      sources_(sources),
      webhook_(std::move(webhook)),
      train_(std::move(train)),
      clock_(std::move(clock)) {}

Caretaker::~Caretaker() { stop(); }

void Caretaker::start(std::chrono::milliseconds period) {
  thread_ = start_thread([this, period] { work(period); });
}

void Caretaker::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Caretaker::work(std::chrono::milliseconds period) {
  bool failing = false;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      if (wake_.wait_for(lock, period, [this] { return stopping_; })) return;
    }
    try {
      look();
      if (failing) log_line("info", "caretaker_works_again");
      failing = false;
    } catch (const std::exception& error) {
      if (!failing) log_line("error", "caretaker_failed", {{"error", error.what()}});
      failing = true;
    }
  }
}

void Caretaker::look() {
  if (!database_) {
    if (!state_->exists() && !webhook_) return;
    database_.emplace(state_->open());
  }
  for (const std::string& model : TrialPlans(*database_).models()) {
    attempt({.action = "trial.fail", .object = model}, [&](AuditEntry& entry) {
      const std::optional<TrialPlan> plan = TrialPlans(*database_).find(model);
      if (!plan) return;
      entry.key = plan->key;
      entry.project = plan->project;
      follow(*database_, *plan);
    });
  }
  const std::int64_t now = clock_();
  // A clock that was set back must not end the reports until it has caught up.
  if (now >= reported_ && now - reported_ < kReportSeconds) return;
  reported_ = now;
  report(*database_);
  attempt({.action = "file.fail"}, [&](const AuditEntry&) {
    const size_t count = FileStore(*database_, *state_).remove_expired(now, kMostExpired, sweep_);
    if (count > 0) log_line("info", "files_expired", {{"files", static_cast<std::int64_t>(count)}});
  });
  if (!train_) return;
  for (const RetrainingPlan& plan : RetrainingPlans(*database_).all()) {
    attempt({.key = plan.key, .project = plan.project, .action = "retraining.fail", .object = plan.model},
            [&](const AuditEntry&) { retrain(*database_, plan); });
  }
}

// Runs one step of a round. The next round tries a step again that has thrown. Its first failure is noted.
void Caretaker::attempt(AuditEntry entry, const std::function<void(AuditEntry&)>& step) {
  const auto name = std::tuple(entry.action, entry.object, entry.project);
  try {
    step(entry);
    if (failing_.erase(name) > 0) {
      log_line("info", "care_works_again", {{"step", entry.action}, {"object", entry.object}});
    }
  } catch (const std::exception& error) {
    if (!failing_.insert(name).second) return;
    log_line("error", "care_failed", {{"step", entry.action}, {"object", entry.object}, {"error", error.what()}});
    entry.detail = "the server's log says why; it is tried again";
    try {
      record(*database_, entry);
    } catch (const std::exception& unwritten) { log_line("error", "audit_not_written", {{"error", unwritten.what()}}); }
  }
}

// Each change of a plan is stored before the registry follows. A crash in between leaves a plan that says what to do.
void Caretaker::follow(Database& database, const TrialPlan& plan) {
  if (plan.phase != TrialPlan::Phase::kRunning) return finish(database, plan);
  const std::optional<Model> model = sources_.registry.find(plan.model);
  if (!model || model->trial.version != plan.version || model->trial.shadow) {
    // Another server may have begun it; that one follows it.
    const std::optional<Trial> written = sources_.registry.written_trial(plan.model);
    if (written && written->version == plan.version && !written->shadow) return;
    Transaction transaction(database);
    TrialPlans(database).remove(plan.model);
    record(database, {.project = plan.project,
                      .action = "trial.abandon",
                      .object = plan.model,
                      .detail = fmt::format("version {} is not on trial any more", plan.version)});
    transaction.commit();
    baselines_.erase(plan.model);
    return;
  }
  if (const double share = plan.steps[plan.step]; model->trial.share != share) {
    sources_.registry.set_trial(plan.model,
                                {plan.version, share, false, model->trial.compare, model->trial.by_request});
  }
  TrialPlan current = plan;
  if (clock_() < plan.step_started) {
    // The clock was set back. The step begins again, or it would last until the clock has caught up.
    current.step_started = clock_();
    if (!TrialPlans(database).advance(plan, current)) return;
  }
  decide(database, current, *model);
}

void Caretaker::decide(Database& database, const TrialPlan& plan, const Model& model) {
  using Action = TrialVerdict::Action;
  const std::int64_t now = clock_();
  const TrialVerdict verdict = judge_trial(plan, read(plan, model), now);
  if (verdict.action == Action::kStay) return;
  TrialPlan after = plan;
  after.reason = verdict.reason;
  after.step_started = now;
  if (verdict.action == Action::kNext) {
    ++after.step;
    const std::string detail =
        fmt::format("version {}: share {}; {}", plan.version, after.steps[after.step], verdict.reason);
    if (!advance(database, plan, after, "trial.step", detail)) return;
    read(after, model);  // the new step's figures begin here
    sources_.registry.set_trial(
        plan.model, {plan.version, after.steps[after.step], false, model.trial.compare, model.trial.by_request});
    return;
  }
  const bool ends = verdict.action == Action::kEnd;
  after.phase = ends ? TrialPlan::Phase::kEnding : TrialPlan::Phase::kPromoting;
  const std::string detail = fmt::format("version {}: {}", plan.version, verdict.reason);
  if (advance(database, plan, after, ends ? "trial.end" : "trial.promote", detail)) finish(database, after);
}

bool Caretaker::advance(Database& database, const TrialPlan& before, const TrialPlan& after, const std::string& action,
                        const std::string& detail) {
  Transaction transaction(database);
  if (!TrialPlans(database).advance(before, after)) return false;
  record(database, {.project = before.project, .action = action, .object = before.model, .detail = detail});
  transaction.commit();
  log_line("info", "trial_moved", {{"model", before.model}, {"action", action}, {"detail", detail}});
  tell(action, after, detail);
  return true;
}

void Caretaker::finish(Database& database, const TrialPlan& plan) {
  if (plan.phase == TrialPlan::Phase::kPromoting) {
    try {
      sources_.registry.load(plan.model, plan.version);
    } catch (const DataError& error) {
      TrialPlan after = plan;
      after.phase = TrialPlan::Phase::kEnding;
      after.reason = "the version could not be loaded";
      const std::string detail = fmt::format("version {}: {}", plan.version, after.reason);
      if (advance(database, plan, after, "trial.end", detail)) finish(database, after);
      return;
    }
  } else {
    try {
      sources_.registry.remove_trial(plan.model);
    } catch (const IndexError&) {
      // It has ended already, before a crash or by hand.
    }
  }
  TrialPlans(database).remove(plan.model);
  baselines_.erase(plan.model);
}

TrialReading Caretaker::read(const TrialPlan& plan, const Model& model) {
  const auto statistics = sources_.statistics.model(plan.model);
  const Baseline now{plan.version,
                     plan.step,
                     sources_.versions.read(plan.model, plan.version),
                     sources_.versions.read(plan.model, model.version),
                     static_cast<std::int64_t>(statistics->shadow_texts),
                     static_cast<std::int64_t>(statistics->shadow_agreed)};
  Baseline& before = baselines_.try_emplace(plan.model, now).first->second;
  if (before.version != plan.version || before.step != plan.step) before = now;
  TrialReading reading{.trial = now.trial - before.trial,
                       .active = now.active - before.active,
                       .compared = now.compared - before.compared,
                       .agreed = now.agreed - before.agreed};
  const auto on_trial = recent_of(sources_.drift, plan.model, model.candidate_classifier()),
             active = recent_of(sources_.drift, plan.model, model.classifier);
  if (on_trial && active) {
    reading.drift_texts = std::min(on_trial->recent.texts(), active->recent.texts());
    reading.drift = nn::population_stability_index(active->recent, on_trial->recent);
  }
  return reading;
}

void Caretaker::tell(std::string_view type, const TrialPlan& plan, const std::string& detail) {
  if (!webhook_) return;
  JsonWriter json;
  json.begin_object().member("model", plan.model).member("version", std::to_string(plan.version));
  json.member("detail", detail).end();
  webhook_->send(type, json.take());
}

// Tells of a reason once, and again after it was gone.
void Caretaker::report(Database& database) {
  FeedbackStore feedback(database);
  for (const Model& model : sources_.registry.list()) {
    if (!model.classifier || model.classifier->embeds()) continue;
    attempt({.action = "report.fail", .object = model.name}, [&](const AuditEntry&) {
      const ModelReport report = report_on(model, sources_.drift, feedback, clock_());
      std::set<std::string> codes;
      for (const ModelReport::Reason& reason : report.reasons) codes.insert(reason.code);
      std::set<std::string>& told = told_[model.name];
      const bool more = !std::ranges::includes(told, codes);
      told = codes;
      if (!more) return;
      log_line("warning", "model_needs_training", {{"model", model.name}, {"reason", report.reasons.front().message}});
      if (webhook_) webhook_->send("model.report", to_json(report));
    });
  }
}

void Caretaker::retrain(Database& database, const RetrainingPlan& plan) {
  const std::int64_t now = clock_();
  RetrainingPlan begun = plan;
  begun.started = now;
  if (now < plan.started) {
    // The clock was set back. The time to the next training counts from now on.
    RetrainingPlans(database).advance(plan, begun);
    return;
  }
  const std::vector<Feedback> kept =
      FeedbackStore(database).kept(plan.project, plan.model, plan.feedback, kMostFeedback);
  if (kept.empty() || !due(plan, now, static_cast<std::int64_t>(kept.size()))) return;
  begun.feedback = kept.back().number;
  const std::string job = train_(database, plan, kept, [&] {
    if (!RetrainingPlans(database).advance(plan, begun)) return false;
    record(database, {.key = plan.key,
                      .project = plan.project,
                      .action = "retraining.start",
                      .object = plan.model,
                      .detail = how_many(kept.size(), "text") + " of feedback"});
    return true;
  });
  if (job.empty()) return;
  log_line("info", "retraining_started", {{"model", plan.model}, {"job", job}});
  if (!webhook_) return;
  JsonWriter json;
  json.begin_object().member("model", plan.model).member("job", job).member("texts", kept.size()).end();
  webhook_->send("retraining.start", json.take());
}

}  // namespace qing::serve
