// Which models a caller sees.
#include "service.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include <qing/serve/jobs/job_runner.h>
#include <qing/serve/tasks/task.h>

namespace qing::serve {

std::string Service::project(const std::string& key) const {
  return keys_ == nullptr ? std::string(Gatekeeper::kDefaultProject) : keys_->project(key);
}

void Service::require_ready() const {
  if (draining_) throw Refusal(unavailable("draining", "the server is stopping", limits_.retry_after_seconds));
  if (!registry_->ready()) {
    throw Refusal(unavailable("loading", "no model is loaded yet", limits_.retry_after_seconds));
  }
}

std::optional<std::string> Service::owner(const std::string& model) const {
  return jobs_ == nullptr ? std::nullopt : jobs_->owners().of(model);
}

bool Service::visible(const std::string& model, const std::string& key) const {
  const std::optional<std::string> project = owner(model);
  return !project || *project == this->project(key);
}

std::vector<Model> Service::models(const std::string& key) const {
  std::vector<Model> all = registry_->list();
  std::erase_if(all, [&](const Model& model) { return !visible(model.name, key); });
  return all;
}

void Service::refuse_unknown(std::string_view name) const {
  // Only a valid name is repeated. Other texts can have any length and any bytes.
  const std::string which = is_model_name(name) ? "named '" + std::string(name) + "'" : "of this name";
  throw Refusal(error_response(404, "unknown_model", "no model " + which + "; GET /v1/models lists them"));
}

Model Service::any_model(std::string_view name, const std::string& key, std::string_view version) const {
  const std::optional<std::int64_t> number = version_of_name(version);
  std::optional<Model> model = registry_->find(name);
  if (!model && !registry_->ready()) {
    throw Refusal(unavailable("loading", "no model is loaded yet", limits_.retry_after_seconds));
  }
  if (!visible(model ? model->name : std::string(name), key)) refuse_unknown(name);
  if (const std::string why = model ? std::string() : registry_->failure(name); !why.empty()) {
    // The reason may contain server paths, which are for administrators.
    const std::string more =
        keys_ == nullptr ? ": " + why : "; POST /v2/repository/index tells a key with the scope admin why";
    throw Refusal(unavailable("not_loaded", "the model could not be loaded" + more, limits_.retry_after_seconds));
  }
  if (!model) refuse_unknown(name);
  if (version.empty()) return std::move(*model);
  std::optional<Model> chosen = number ? registry_->find(name, *number) : std::nullopt;
  if (!chosen) {
    throw Refusal(error_response(
        404, "unknown_version",
        fmt::format("{}: this version does not answer, version {} does. Leave the version out, or let an "
                    "administrator load it or give it an alias",
                    model->name, model->version)));
  }
  return std::move(*chosen);
}

// The route that answers for the model.
std::string Service::route_of(const Model& model) {
  const std::string_view task = model.served->task();
  const Task* known = find_task(task);
  std::string route(known == nullptr ? "POST /v1/models/{name}/predict" : known->route());
  constexpr std::string_view kName = "{name}";
  if (const size_t at = route.find(kName); at != route.npos) route.replace(at, kName.size(), model.name);
  return route;
}

Model Service::model(std::string_view name, const std::string& key, std::string_view version) const {
  Model found = any_model(name, key, version);
  if (found.classifier) return found;
  throw Refusal(error_response(422, "unacceptable_model",
                               fmt::format("model: {} is of the task {}, and this route takes text classifiers; use {}",
                                           found.name, found.served->task(), route_of(found))));
}

Model Service::task_model(std::string_view task, std::string_view name, const std::string& key,
                          std::string_view version) const {
  Model found = any_model(name, key, version);
  if (found.served->task() == task) return found;
  throw Refusal(error_response(422, "unacceptable_model",
                               fmt::format("model: {} is of the task {}, and this route takes the task {}; use {}",
                                           found.name, found.served->task(), task, route_of(found))));
}

Model Service::only_model(const std::string& key) const {
  std::vector<Model> all = models(key);
  if (std::ranges::any_of(all, [](const Model& model) { return model.classifier != nullptr; })) {
    std::erase_if(all, [](const Model& model) { return model.classifier == nullptr; });
  }
  const auto is_private = [this](const Model& model) { return owner(model.name).has_value(); };
  // A model that a job makes must not take the routes without a name from the model that is there for all.
  if (!std::ranges::all_of(all, is_private)) std::erase_if(all, is_private);
  if (all.empty()) throw Refusal(unavailable("loading", "no model is loaded yet", limits_.retry_after_seconds));
  if (all.size() > 1) {
    throw Refusal(error_response(404, "ambiguous_model",
                                 "several models are served and this route does not name one; use a "
                                 "route with the model's name, such as /models/{name}"));
  }
  return all.front().classifier ? all.front() : model(all.front().name, key);  // which refuses it
}

}  // namespace qing::serve
