#include "trial_requests.h"

#include <ctime>
#include <utility>

#include <fmt/format.h>
#include <boost/json.hpp>

#include <qing/serve/protocols/json_body.h>
#include <qing/tensor/errors.h>

namespace qing::serve::protocols {
namespace json = boost::json;
namespace {

constexpr size_t kMostSteps = 32;
constexpr double kMostMinutes = 365 * 24 * 60;
constexpr std::int64_t kMostRequests = 1'000'000'000;

std::vector<double> steps_of(const json::value& value) {
  constexpr const char* kWhat = "steps: must be 1 to 32 shares above 0 and at most 1, each above the one before";
  if (!value.is_array() || value.get_array().empty() || value.get_array().size() > kMostSteps) refuse_field(kWhat);
  std::vector<double> steps;
  for (const json::value& share : value.get_array()) {
    boost::system::error_code error;
    const double number = share.to_number<double>(error);
    if (error || !(number > (steps.empty() ? 0 : steps.back())) || number > 1) refuse_field(kWhat);
    steps.push_back(number);
  }
  return steps;
}

std::optional<double> limit_of(const json::object& object, std::string_view name, double low, double high) {
  if (member(object, name) == nullptr) return std::nullopt;
  return number_member(object, name, 0, low, high);
}

TrialLimits limits_of(const json::object& object) {
  const json::value* value = member(object, "rollback");
  if (value == nullptr) return {};
  if (!value->is_object()) refuse_field("rollback: must be an object");
  const json::object& limits = value->get_object();
  check_members(limits, "rollback", {"error_rate", "latency_factor", "agreement", "drift"});
  return {limit_of(limits, "error_rate", 0, 1), limit_of(limits, "latency_factor", 1, 1000),
          limit_of(limits, "agreement", 0, 1), limit_of(limits, "drift", 0, 100)};
}

}  // namespace

double number_member(const json::object& object, std::string_view name, double missing, double low, double high) {
  const json::value* value = member(object, name);
  if (value == nullptr) return missing;
  boost::system::error_code error;
  const double number = value->to_number<double>(error);
  if (error || !(number >= low && number <= high)) {
    refuse_field(fmt::format("{}: must be a number from {} to {}", name, low, high));
  }
  return number;
}

std::int64_t integer_member(const json::object& object, std::string_view name, std::int64_t missing, std::int64_t low,
                            std::int64_t high) {
  const json::value* value = member(object, name);
  if (value == nullptr) return missing;
  const std::optional<std::int64_t> number = integer_of(*value);
  if (!number || *number < low || *number > high) {
    refuse_field(fmt::format("{}: must be a whole number from {} to {}", name, low, high));
  }
  return *number;
}

bool by_request_of(const json::object& object) {
  const json::value* by = member(object, "by");
  if (by == nullptr || *by == "caller") return false;
  if (*by == "request") return true;
  refuse_field("by: must be caller or request");
}

std::optional<TrialPlan> trial_plan_of(const json::object& object) {
  const json::value* steps = member(object, "steps");
  if (steps == nullptr) {
    for (const char* name : {"minutes_each", "requests_each", "rollback"}) {
      if (member(object, name) != nullptr) refuse_field(fmt::format("{}: belongs to steps; give these too", name));
    }
    return std::nullopt;
  }
  for (const char* name : {"share", "shadow", "compare"}) {
    if (member(object, name) != nullptr) refuse_field(fmt::format("{}: is given by the steps; leave it out", name));
  }
  TrialPlan plan;
  plan.steps = steps_of(*steps);
  plan.minutes_each = number_member(object, "minutes_each", plan.minutes_each, 0, kMostMinutes);
  plan.requests_each = integer_member(object, "requests_each", plan.requests_each, 1, kMostRequests);
  plan.limits = limits_of(object);
  return plan;
}

Model begin_trial(Service& service, Registry& registry, TrialPlan plan, bool by_request) {
  if (service.state() == nullptr) {
    throw Refusal(error_response(404, "no_state", "this server keeps no plans; start it with a state folder"));
  }
  const std::optional<Model> model = registry.find(plan.model);
  if (model && !model->classifier && plan.limits.drift) {
    refuse_field(fmt::format("rollback.drift: compares labels of texts, and {} is of the task {}; leave it out",
                             plan.model, model->served->task()));
  }
  if (model && model->classifier && model->classifier->problem() == nn::Problem::regression &&
      (plan.limits.agreement || plan.limits.drift)) {
    refuse_field(fmt::format("rollback.{}: compares labels, and {} gives numbers; leave it out",
                             plan.limits.agreement ? "agreement" : "drift", plan.model));
  }
  Database database = service.state()->open();
  plan.step = 0;
  plan.step_started = static_cast<std::int64_t>(std::time(nullptr));
  TrialPlans plans(database);
  plans.remove(plan.model);  // the caretaker must not take the new trial for that of an old plan
  registry.set_trial(plan.model,
                     {plan.version, plan.steps.front(), false, plan.limits.agreement.has_value(), by_request});
  try {
    plans.put(plan);
  } catch (...) {
    registry.remove_trial(plan.model);
    throw;
  }
  return *registry.find(plan.model);
}

void end_plan(Service& service, const std::string& model) {
  if (service.state() == nullptr || !service.state()->exists()) return;
  Database database = service.state()->open();
  TrialPlans(database).remove(model);
}

}  // namespace qing::serve::protocols
