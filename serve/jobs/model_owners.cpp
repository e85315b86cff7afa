#include "model_owners.h"

#include <mutex>
#include <utility>

#include <qing/serve/jobs/job_store.h>

namespace qing::serve {

std::optional<std::string> ModelOwners::of(std::string_view name) const {
  const std::shared_lock lock(mutex_);
  for (const auto* projects : {&projects_, &released_}) {
    if (const auto found = projects->find(name); found != projects->end()) return found->second;
  }
  return std::nullopt;
}

std::vector<std::string> ModelOwners::names() const {
  const std::shared_lock lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, project] : projects_) names.push_back(name);
  return names;
}

std::vector<std::string> ModelOwners::released() const {
  const std::shared_lock lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, project] : released_) names.push_back(name);
  return names;
}

void ModelOwners::drop(const std::string& name) {
  const std::unique_lock lock(mutex_);
  released_.erase(name);
}

void ModelOwners::refresh() {
  if (!state_->exists()) return;
  Database database = state_->open();
  Statement query = database.prepare("SELECT name, project FROM models");
  // Under the lock, so that a model which is claimed meanwhile is not lost.
  const std::unique_lock lock(mutex_);
  std::map<std::string, std::string, std::less<>> projects;
  while (query.step()) projects.emplace(query.text(0), query.text(1));
  for (auto& [name, project] : projects_) {
    if (!projects.contains(name)) released_.insert_or_assign(name, std::move(project));
  }
  projects_ = std::move(projects);
}

void ModelOwners::claim(Database& database, const std::string& name, const std::string& project,
                        const std::string& job) {
  const std::unique_lock lock(mutex_);
  Statement insert = database.prepare("INSERT OR IGNORE INTO models(name, project, job, created) VALUES (?, ?, ?, ?)");
  insert.bind(1, name).bind(2, project).bind(3, job).bind(4, job_time());
  insert.run();
  projects_.insert_or_assign(name, project);
}

void ModelOwners::release(Database& database, const std::string& name) {
  const std::unique_lock lock(mutex_);
  Statement remove = database.prepare("DELETE FROM models WHERE name = ?");
  remove.bind(1, name);
  remove.run();
  projects_.erase(name);
  released_.erase(name);
}

}  // namespace qing::serve
