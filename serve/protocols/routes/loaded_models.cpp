// GET /v1/admin/models: what is loaded, what is not and why, and what it takes and does.
#include <qing/serve/protocols/protocols.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <qing/serve/common/json_writer.h>
#include <qing/serve/monitoring/process.h>
#include <qing/serve/protocols/answers_json.h>

namespace qing::serve::protocols {
namespace {

constexpr std::string_view kLoadedModels = R"({"type":"object","required":["models","weight_bytes","resident_bytes"],
"properties":{"weight_bytes":{"type":"integer"},"resident_bytes":{"type":"integer"},"models":{"type":"array","items":{
"type":"object","required":["name","state","aliases","versions"],"properties":{"name":{"type":"string"},
"state":{"enum":["ready","unloaded","failed"]},"task":{"type":"string"},"version":{"type":"string"},
"previous":{"type":"string"},"project":{"type":"string"},"loaded":{"type":"integer"},"trial":{"type":"object"},"aliases":{"type":"array"},
"versions":{"type":"array","items":{"type":"object","required":["version","state"],"properties":{
"version":{"type":"string"},"state":{"enum":["active","canary","shadow","alias","on_disk","unloaded","failed"]},
"reason":{"type":"string"},"weight_bytes":{"type":"integer"},"precision":{"type":"string"},
"requests":{"type":"integer"},"failed":{"type":"integer"},"mean_seconds":{"type":"number"}}}}}}}}})";

// A model with all that is known of its versions. `served` is empty if it is not served.
struct KnownModel {
  std::optional<Model> served;
  std::map<std::int64_t, std::string> failures = {};  // by version; empty: the version is not loaded
};

std::map<std::string, KnownModel> known_models(const Service& service, const std::string& key) {
  std::map<std::string, KnownModel> all;
  for (Model& model : service.models(key)) {
    const std::string name = model.name;
    all[name].served = std::move(model);
  }
  for (const Registry::Indexed& entry : service.registry().index()) {
    if (!service.visible(entry.name, key)) continue;
    KnownModel& model = all[entry.name];
    if (!entry.ready || !entry.reason.empty()) model.failures[entry.version] = entry.reason;
  }
  return all;
}

std::string_view state_of(const Model& model, std::int64_t version) {
  if (version == model.version) return "active";
  if (model.candidate && version == model.trial.version) return model.trial.shadow ? "shadow" : "canary";
  return "alias";
}

class Listing {
 public:
  explicit Listing(const Service& service) : service_(service) {}

  void add(const std::string& name, const KnownModel& model) {
    const bool failed = std::ranges::any_of(model.failures, [](const auto& failure) {
      return !failure.second.empty() && failure.second != Registry::kUnloaded;
    });
    json_.begin_object().member("name", name);
    json_.member("state", model.served ? "ready" : failed ? "failed" : "unloaded");
    if (const auto owner = service_.owner(name)) json_.member("project", *owner);
    if (model.served) {
      json_.member("task", model.served->served->task());
      json_.member("version", std::to_string(model.served->version)).member("loaded", model.served->loaded);
      if (model.served->previous != 0) json_.member("previous", std::to_string(model.served->previous));
      write_trial(json_, *model.served);
    }
    json_.key("aliases").begin_array();
    for (const auto& [alias, target] : service_.registry().aliases()) {
      if (target.model != name) continue;
      json_.begin_object().member("name", alias);
      if (target.version != 0) json_.member("version", std::to_string(target.version));
      json_.end();
    }
    json_.end();
    add_versions(name, model);
    json_.end();
  }
  void begin() { json_.begin_object().key("models").begin_array(); }
  std::string take() {
    json_.end().member("weight_bytes", weights_).member("resident_bytes", resident_bytes()).end();
    return json_.take();
  }

 private:
  void add_versions(const std::string& name, const KnownModel& model) {
    std::vector<std::int64_t> loaded = service_.registry().served_versions(name), all = loaded;
    if (model.served) all.insert(all.end(), model.served->versions.begin(), model.served->versions.end());
    for (const auto& [version, reason] : model.failures) all.push_back(version);
    std::ranges::sort(all);
    all.erase(std::unique(all.begin(), all.end()), all.end());
    json_.key("versions").begin_array();
    for (const std::int64_t version : all) {
      const auto failure = model.failures.find(version);
      const bool is_loaded = model.served && std::ranges::binary_search(loaded, version);
      const std::string reason = failure == model.failures.end() ? std::string() : failure->second;
      json_.begin_object().member("version", std::to_string(version));
      json_.member("state", is_loaded                         ? state_of(*model.served, version)
                            : reason == Registry::kUnloaded   ? std::string_view("unloaded")
                            : failure != model.failures.end() ? std::string_view("failed")
                                                              : std::string_view("on_disk"));
      if (!reason.empty() && reason != Registry::kUnloaded) json_.member("reason", reason);
      if (is_loaded) add_load(name, version);
      json_.end();
    }
    json_.end();
  }
  void add_load(const std::string& name, std::int64_t version) {
    if (const std::optional<Model> found = service_.registry().find(name, version)) {
      json_.member("weight_bytes", found->served->weight_bytes());
      json_.member("precision", name_of(found->served->precision()));
      weights_ += found->served->weight_bytes();
    }
    const VersionCounts counts = service_.versions().read(name, version);
    json_.member("requests", counts.requests).member("failed", counts.failed);
    json_.member("mean_seconds", counts.mean_seconds());
  }

  const Service& service_;
  JsonWriter json_;
  std::uint64_t weights_ = 0;
};

HttpResponse loaded(const Service& service, const std::string& key) {
  Listing listing(service);
  listing.begin();
  for (const auto& [name, model] : known_models(service, key)) listing.add(name, model);
  return {200, listing.take(), {}};
}

}  // namespace

std::vector<Route> loaded_models(Service& service) {
  return {{.method = "GET",
           .pattern = "/v1/admin/models",
           .scope = Scope::kAdmin,
           .operation = {"admin",
                         "All models with the versions that are loaded, their memory and their requests",
                         {},
                         kLoadedModels},
           .open = [&service](const Call& call) { return answer(loaded(service, call.key)); }}};
}

}  // namespace qing::serve::protocols
