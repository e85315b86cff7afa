#include "trial_plan.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>
#include <boost/json.hpp>

#include <qing/nn/intervals.h>
#include <qing/serve/common/json_writer.h>
#include <qing/tensor/errors.h>

namespace qing::serve {
namespace json = boost::json;
namespace {

constexpr std::int64_t kErrorRequests = 10, kLatencyRequests = 30, kAgreementTexts = 30, kTrialDriftTexts = 200;
constexpr std::int64_t kSecondsOfMinute = 60;

constexpr std::array<std::pair<std::string_view, std::optional<double> TrialLimits::*>, 4> kLimits = {{
    {"error_rate", &TrialLimits::error_rate},
    {"latency_factor", &TrialLimits::latency_factor},
    {"agreement", &TrialLimits::agreement},
    {"drift", &TrialLimits::drift},
}};
constexpr std::array<std::string_view, 3> kPhases = {"running", "ending", "promoting"};

std::string phase_name(TrialPlan::Phase phase) { return std::string(kPhases.at(static_cast<size_t>(phase))); }

TrialPlan::Phase phase_of(const std::string& name) {
  const auto found = std::ranges::find(kPhases, name);
  if (found == kPhases.end()) {
    throw DataError(fmt::format("trial plans: '{}' is no phase; the state is that of another qing", name));
  }
  return static_cast<TrialPlan::Phase>(found - kPhases.begin());
}

// Empty while no limit is broken.
std::string broken_limit(const TrialLimits& limits, const TrialReading& reading) {
  const VersionCounts &trial = reading.trial, &active = reading.active;
  if (limits.error_rate && trial.requests >= kErrorRequests &&
      nn::wilson_interval(trial.failed, trial.requests).low > *limits.error_rate) {
    return fmt::format("error_rate: {} of {} requests failed; the limit is {}", trial.failed, trial.requests,
                       *limits.error_rate);
  }
  if (limits.latency_factor && trial.requests >= kLatencyRequests && active.requests >= kLatencyRequests &&
      trial.mean_seconds() > *limits.latency_factor * active.mean_seconds()) {
    return fmt::format(
        "latency_factor: a request takes {:.4f} s, and {:.4f} s with the active version; the limit is {}",
        trial.mean_seconds(), active.mean_seconds(), *limits.latency_factor);
  }
  if (limits.agreement && reading.compared >= kAgreementTexts &&
      nn::wilson_interval(reading.agreed, reading.compared).high < *limits.agreement) {
    return fmt::format("agreement: both versions agree on {} of {} texts; the limit is {}", reading.agreed,
                       reading.compared, *limits.agreement);
  }
  if (limits.drift && reading.drift_texts >= kTrialDriftTexts && reading.drift > *limits.drift) {
    return fmt::format(
        "drift: the labels of both versions differ by a population stability index of {:.3f}; the limit "
        "is {}",
        reading.drift, *limits.drift);
  }
  return {};
}

}  // namespace

TrialVerdict judge_trial(const TrialPlan& plan, const TrialReading& reading, std::int64_t now) {
  using Action = TrialVerdict::Action;
  if (std::string broken = broken_limit(plan.limits, reading); !broken.empty()) {
    return {Action::kEnd, std::move(broken)};
  }
  const double minutes = static_cast<double>(now - plan.step_started) / kSecondsOfMinute;
  if (minutes < plan.minutes_each || reading.trial.requests < plan.requests_each) return {};
  const bool last = plan.step + 1 >= plan.steps.size();
  return {last ? Action::kPromote : Action::kNext, fmt::format("no limit was broken in {} requests at a share of {}",
                                                               reading.trial.requests, plan.steps[plan.step])};
}

std::string to_json(const TrialPlan& plan) {
  JsonWriter out;
  out.begin_object().member("steps", plan.steps).member("minutes_each", plan.minutes_each);
  out.member("requests_each", plan.requests_each).key("rollback").begin_object();
  for (const auto& [name, limit] : kLimits) {
    if (plan.limits.*limit) out.member(name, *(plan.limits.*limit));
  }
  out.end().end();
  return out.take();
}

std::vector<std::string> TrialPlans::models() {
  Statement row = database_.prepare("SELECT model FROM trial_plans ORDER BY model");
  std::vector<std::string> names;
  while (row.step()) names.push_back(row.text(0));
  return names;
}

std::optional<TrialPlan> TrialPlans::find(const std::string& model) {
  Statement row = database_.prepare(
      "SELECT model, version, plan, step, step_started, phase, reason, key, project FROM trial_plans WHERE model = ?");
  row.bind_all(model);
  if (!row.step()) return std::nullopt;
  TrialPlan plan{.model = row.text(0), .version = row.number(1), .key = row.text(7), .project = row.text(8)};
  try {
    const json::value parsed = json::parse(row.text(2));
    for (const json::value& share : parsed.at("steps").as_array()) plan.steps.push_back(share.to_number<double>());
    plan.minutes_each = parsed.at("minutes_each").to_number<double>();
    plan.requests_each = parsed.at("requests_each").to_number<std::int64_t>();
    for (const auto& [name, limit] : kLimits) {
      if (const json::value* value = parsed.at("rollback").as_object().if_contains(name)) {
        plan.limits.*limit = value->to_number<double>();
      }
    }
  } catch (const boost::system::system_error& error) {
    throw DataError(fmt::format("trial plans: that of {} cannot be read: {}", model, error.what()));
  }
  plan.step = static_cast<size_t>(row.number(3));
  plan.step_started = row.number(4);
  plan.phase = phase_of(row.text(5));
  plan.reason = row.text(6);
  return plan;
}

void TrialPlans::put(const TrialPlan& plan) {
  database_.prepare("INSERT OR REPLACE INTO trial_plans VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)")
      .bind_all(plan.model, plan.version, to_json(plan), static_cast<std::int64_t>(plan.step), plan.step_started,
                phase_name(plan.phase), plan.reason, plan.key, plan.project)
      .run();
}

bool TrialPlans::advance(const TrialPlan& before, const TrialPlan& after) {
  return database_
      .prepare(
          "UPDATE trial_plans SET step = ?, step_started = ?, phase = ?, reason = ? WHERE model = ? AND version = ? "
          "AND step = ? AND phase = ? RETURNING 1")
      .bind_all(static_cast<std::int64_t>(after.step), after.step_started, phase_name(after.phase), after.reason,
                before.model, before.version, static_cast<std::int64_t>(before.step), phase_name(before.phase))
      .changes();
}

void TrialPlans::remove(const std::string& model) {
  database_.prepare("DELETE FROM trial_plans WHERE model = ?").bind_all(model).run();
}

}  // namespace qing::serve
