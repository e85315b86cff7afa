// Plans of trials in requests, for the routes of trials and of promotions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>

#include <qing/serve/maintenance/trial_plan.h>
#include <qing/serve/service/service.h>

namespace qing::serve::protocols {

/// A member that is a number in [low, high]; `missing` when it is absent. Refusal with 422 that names it.
double number_member(const boost::json::object& object, std::string_view name, double missing, double low, double high);
/// Likewise, of a whole number.
std::int64_t integer_member(const boost::json::object& object, std::string_view name, std::int64_t missing,
                            std::int64_t low, std::int64_t high);
/// The plan in the members "steps", "minutes_each", "requests_each" and "rollback"; nothing without "steps". Refusal
/// with 422 for members that do not go together.
std::optional<TrialPlan> trial_plan_of(const boost::json::object& object);
/// The member "by": whether the share is one of requests ("request") instead of callers ("caller", the default).
bool by_request_of(const boost::json::object& object);
/// Puts the version on trial at its first share, and stores the plan. Refusal when the server keeps no state. Errors as
/// Registry::set_trial(); IoError, after which there is no trial.
Model begin_trial(Service& service, Registry& registry, TrialPlan plan, bool by_request);
/// Removes the plan of a model's trial, if there is one: the trial goes on by hand. IoError.
void end_plan(Service& service, const std::string& model);

}  // namespace qing::serve::protocols
