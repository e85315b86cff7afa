// Promotion: a model that a job made becomes the next version of another one.
#include <qing/serve/protocols/protocols.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <utility>

#include <fmt/format.h>
#include <boost/json.hpp>

#include <qing/serve/common/json_writer.h>
#include <qing/serve/common/log.h>
#include <qing/serve/common/sha256.h>
#include <qing/serve/common/shown_text.h>
#include <qing/serve/files/file_store.h>
#include <qing/serve/maintenance/kind_comparison.h>
#include <qing/serve/maintenance/promotion_store.h>
#include <qing/serve/maintenance/version_comparison.h>
#include <qing/serve/maintenance/version_folder.h>
#include <qing/serve/protocols/json_body.h>
#include <qing/serve/protocols/model_changes.h>
#include <qing/serve/protocols/trial_requests.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve::protocols {
namespace json = boost::json;
namespace {

constexpr std::string_view kPromote = R"({"type":"object","required":["from"],"additionalProperties":{"type":"null"},
"properties":{"from":{"type":"string"},"version":{"oneOf":[{"type":"string","pattern":"^[1-9][0-9]{0,14}$"},
{"type":"integer","minimum":1,"maximum":999999999999999},{"type":"null"}]},
"rule":{"type":["object","null"],"additionalProperties":{"type":"null"},"properties":{
"evaluation":{"type":["string","null"]},"replace_evaluation":{"type":["boolean","null"]}}},
"trial":{"type":["object","null"]}}})";
constexpr std::string_view kPromoted = R"({"type":"object","required":["promoted","model","version","from",
"from_version","reasons","comparison"],"properties":{"promoted":{"type":"boolean"},
"version":{"type":["string","null"]},"reasons":{"type":"array","items":{"type":"string"}},
"comparison":{"type":["object","null"]}}})";

struct Rule {
  std::string evaluation;  // empty: the set chosen before
  bool replace = false;
};
struct Proposal {
  std::string model = {}, from = {};
  std::int64_t from_version = 0;  // 0: the active one
  std::optional<Rule> rule = {};
  std::optional<TrialPlan> plan = {};  // on trial first
  std::optional<Trial> trial = {};     // likewise, by hand
  bool by_request = false;             // the trial's share is one of requests
  std::string key = {}, project = {};
};

[[noreturn]] void refuse(std::string_view code, std::string_view why) { throw Refusal(error_response(422, code, why)); }

std::optional<Rule> rule_of(const json::object& object, const Limits& limits) {
  const json::value* value = member(object, "rule");
  if (value == nullptr) return std::nullopt;
  if (!value->is_object()) refuse_field("rule: must be an object");
  const json::object& members = value->get_object();
  check_members(members, "rule", {"evaluation", "replace_evaluation"});
  Rule rule;
  if (const json::value* set = member(members, "evaluation")) rule.evaluation = text_of(*set, "evaluation", limits);
  rule.replace = flag_of(members, "rule", "replace_evaluation", false);
  return rule;
}

Proposal proposal_of(const Service& service, const ChangeRequest& request) {
  const Limits& limits = service.limits();
  const json::object object = read_object(request.body, limits, {"from", "version", "rule", "trial"});
  const json::value* from = member(object, "from");
  if (from == nullptr) refuse_field("from: is missing; name the model that is to become a version");
  Proposal proposal{.model = request.name, .from = text_of(*from, "from", limits)};
  proposal.from_version = version_of(object);
  proposal.rule = rule_of(object, limits);
  proposal.key = request.key;
  proposal.project = service.project(request.key);
  if (const json::value* trial = member(object, "trial")) {
    if (!trial->is_object()) refuse_field("trial: must be an object");
    const json::object& members = trial->get_object();
    check_members(members, "trial",
                  {"share", "shadow", "compare", "by", "steps", "minutes_each", "requests_each", "rollback"});
    proposal.by_request = by_request_of(members);
    proposal.plan = trial_plan_of(members);
    if (!proposal.plan) {
      proposal.trial = Trial{0, number_member(members, "share", 1, 0, 1), flag_of(members, "trial", "shadow", false),
                             flag_of(members, "trial", "compare", false), proposal.by_request};
    }
  }
  return proposal;
}

Model found(const Service& service, const Registry& registry, const std::string& name, std::int64_t version,
            const std::string& key) {
  const std::optional<Model> active = registry.find(name);
  if (!active || !service.visible(active->name, key)) Registry::throw_unknown(name);
  std::optional<Model> model = registry.find(name, version);
  if (!model) refuse("unknown_version", fmt::format("version: {} of {} is not served", version, active->name));
  return std::move(*model);
}

struct ChosenSet {
  EvaluationSet set;
  std::filesystem::path file;
  bool fresh;  // chosen by this request
};

// The evaluation set, which must be what it was when it was chosen.
ChosenSet evaluation_set(const Service& service, Database& database, const Proposal& proposal) {
  PromotionStore store(database);
  const std::optional<EvaluationSet> chosen = store.evaluation_set(proposal.model);
  const Rule& rule = *proposal.rule;
  if (!chosen && rule.evaluation.empty()) {
    refuse_field("rule.evaluation: is missing; give the id of a file or a path of labelled texts, once for a model");
  }
  const bool fresh = !chosen || rule.replace;
  EvaluationSet set = fresh ? EvaluationSet{rule.evaluation, {}, proposal.project} : *chosen;
  if (set.location.empty()) refuse_field("rule.replace_evaluation: needs the new set in rule.evaluation");
  if (!fresh && !rule.evaluation.empty() && rule.evaluation != set.location) {
    refuse_field(
        "rule.evaluation: this model is judged on another set; leave it out, or set rule.replace_evaluation to true");
  }
  std::filesystem::path file = set.location;
  if (set.location.starts_with("file-")) {
    FileStore files(database, *service.state());
    if (!files.get(set.project, set.location)) refuse_field("rule.evaluation: there is no file of this id");
    file = files.content(set.location);
  } else if (!file.is_absolute()) {
    refuse_field("rule.evaluation: must be the id of a file, or an absolute path on the server");
  } else {
    // The state holds files of all projects.
    std::error_code missing;
    const std::filesystem::path real = std::filesystem::canonical(file, missing);
    const std::filesystem::path state = std::filesystem::canonical(service.state()->folder(), missing);
    if (missing || !std::filesystem::is_regular_file(real) || std::ranges::mismatch(state, real).in1 == state.end()) {
      refuse_field("rule.evaluation: there is no file of this path outside of the server's state");
    }
  }
  if (!is_there(file)) refuse_field("rule.evaluation: there is no such file");
  const std::string digest = sha256_of(file);
  if (fresh) {
    set.sha256 = digest;
  } else if (digest != set.sha256) {
    refuse("evaluation_changed",
           "rule.evaluation: the set is not what it was when it was chosen; restore it, or choose it again with "
           "rule.replace_evaluation");
  }
  return {std::move(set), std::move(file), fresh};
}

Dataset evaluation_rows(const std::filesystem::path& file, nn::DatasetOptions reading) {
  try {
    return read_dataset(file, BadRows::kRefuse, std::move(reading));
  } catch (const nn::LineError& error) {
    refuse_field(fmt::format("rule.evaluation: line {}: {}", error.line(), without_place(error.reason(), file)));
  } catch (const DataError& error) {
    refuse_field(fmt::format("rule.evaluation: {}", without_place(error.what(), file)));
  }
}

// Compares both versions by the measures of their kind. Returns the reasons against the newer one and the comparison as
// JSON.
KindComparison compare(const Service& service, Database& database, const Proposal& proposal, const Model& before,
                       const Model& after) {
  const ChosenSet chosen = evaluation_set(service, database, proposal);
  const nn::Problem problem = before.classifier->problem();
  const Dataset rows = evaluation_rows(chosen.file, {.labels = before.classifier->labels(), .problem = problem});
  KindComparison comparison;
  if (problem == nn::Problem::multi_label || problem == nn::Problem::regression) {
    comparison = compare_kinds(rows.examples, *before.classifier, *after.classifier);
  } else {
    const VersionComparison one =
        compare_versions(judge_texts(rows.examples, *before.classifier, *after.classifier), rows.labels, problem);
    comparison = {reasons_against(one), to_json(one, rows.labels)};
  }
  if (chosen.fresh) PromotionStore(database).set_evaluation_set(proposal.model, chosen.set);
  return comparison;
}

HttpResponse response_of(const Promotion& promotion) {
  JsonWriter json;
  json.begin_object().member("promoted", promotion.version != 0).member("model", promotion.model).key("version");
  promotion.version == 0 ? json.raw("null") : json.value(std::to_string(promotion.version));
  json.member("from", promotion.source).member("from_version", std::to_string(promotion.source_version));
  json.member("reasons", promotion.reasons).key("comparison");
  json.raw(promotion.comparison.empty() ? "null" : promotion.comparison).end();
  return {200, json.take(), {}};
}

void serve_version(Service& service, Registry& registry, Proposal& proposal, std::int64_t version) {
  if (proposal.plan) {
    proposal.plan->model = proposal.model;
    proposal.plan->version = version;
    proposal.plan->key = proposal.key;
    proposal.plan->project = proposal.project;
    begin_trial(service, registry, *proposal.plan, proposal.by_request);
  } else if (proposal.trial) {
    proposal.trial->version = version;
    registry.set_trial(proposal.model, *proposal.trial);
  } else {
    registry.load(proposal.model, version);
  }
}

// What a promotion found and changes.
struct Before {
  std::optional<TrialPlan> plan = {};  // that it ended
  std::optional<Model> model = {};     // empty: it has changed nothing but the plan
};

// Removes and returns the plan of the model's trial, so that the caretaker no longer changes the model.
std::optional<TrialPlan> take_plan(Database& database, const std::string& model) {
  Transaction transaction(database);
  std::optional<TrialPlan> plan = TrialPlans(database).find(model);
  if (plan) TrialPlans(database).remove(model);
  transaction.commit();
  return plan;
}

// Undoes what a promotion has written to the registry. A version or a trial that is neither this one's nor that of
// `before` is the caretaker's, and stays.
void take_back_model(Registry& registry, const Model& before, std::int64_t version) {
  const std::optional<Model> now = registry.find(before.name);
  if (!now) return;
  const bool on_trial = now->trial.version == version;
  if (now->version == version || (now->version == before.version && (on_trial || now->trial.version == 0))) {
    if (now->version != before.version || now->trial != before.trial) registry.restore(before);
  } else if (on_trial) {
    registry.remove_trial(before.name);
  }
}

// Puts back the plan of the trial, unless the plan is that of another version.
void take_back_plan(Database& database, const std::string& model, const std::optional<TrialPlan>& before,
                    std::int64_t version) {
  Transaction transaction(database);
  TrialPlans plans(database);
  const std::optional<TrialPlan> now = plans.find(model);
  if (now && now->version != version) return;
  before ? plans.put(*before) : plans.remove(model);
  transaction.commit();
}

// Makes the model what it was before a version that could not be served or kept. A step that fails is logged. If the
// version's mark cannot be removed either, the next start withdraws what is left.
void take_back(Database& database, Registry& registry, const std::string& model, const Before& before,
               std::int64_t version) {
  const auto attempt = [&](const auto& step) {
    try {
      step();
    } catch (const std::exception& error) {
      log_line("error", "promotion_not_undone", {{"model", model}, {"error", error.what()}});
    }
  };
  attempt([&] {
    if (before.model) take_back_model(registry, *before.model, version);
  });
  attempt([&] { take_back_plan(database, model, before.plan, version); });
  attempt([&] { PromotionStore(database).withdraw(model, version, "the version could not be served"); });
}

HttpResponse promote(Service& service, Registry& registry, Proposal proposal) {
  if (service.state() == nullptr) {
    throw Refusal(error_response(404, "no_state", "this server makes no versions; start it with a state folder"));
  }
  const Model target = found(service, registry, proposal.model, 0, proposal.key);
  const Model source = found(service, registry, proposal.from, proposal.from_version, proposal.key);
  proposal.model = target.name;  // not an alias
  if (target.name == source.name) refuse_field("from: is the model itself; give another one");
  if (!target.classifier || !source.classifier) {
    refuse("unacceptable_model", "from: both models must classify texts; load a version of another task by its number");
  }
  if (target.classifier->embeds() || target.classifier->labels() != source.classifier->labels() ||
      target.classifier->problem() != source.classifier->problem()) {
    refuse("other_labels", "from: has other labels than the model; train it on the model's labels");
  }
  const std::filesystem::path folder = registry.folder_of(source.name, source.version);
  if (folder.empty()) refuse_field("from: has no files to copy; give a model of a folder");

  Database database = service.state()->open();
  Promotion promotion{.model = target.name,
                      .source = source.name,
                      .source_version = source.version,
                      .key = proposal.key,
                      .project = proposal.project};
  if (proposal.rule) {
    KindComparison comparison = compare(service, database, proposal, target, source);
    promotion.reasons = std::move(comparison.reasons);
    promotion.comparison = std::move(comparison.json);
  }
  std::optional<NewVersion> made;
  if (promotion.reasons.empty()) {
    std::int64_t lowest = 1;
    for (const std::int64_t version : target.versions) lowest = std::max(lowest, version + 1);
    made.emplace(folder, service.state()->models(), target.name, lowest);
    promotion.version = made->number();
  }
  {
    Transaction transaction(database);
    PromotionStore(database).add(promotion);
    record(database,
           {.key = proposal.key,
            .project = proposal.project,
            .action = promotion.version == 0 ? "model.refuse" : "model.add_version",
            .object = target.name,
            .detail = fmt::format("version {} from {} version {}", promotion.version, source.name, source.version)});
    transaction.commit();
  }
  if (made) {
    Before before;
    try {
      before.plan = take_plan(database, target.name);
      before.model = registry.find(target.name);
      serve_version(service, registry, proposal, made->number());
      made->keep();
    } catch (...) {
      take_back(database, registry, target.name, before, made->number());
      throw;
    }
  }
  return response_of(promotion);
}

}  // namespace

std::vector<Route> promotion(Service& service) {
  return {
      model_change(service, "POST", "/v1/admin/models/{name}/promote", "model.promote",
                   {"admin", "Makes a model the next version of another, by hand or by a rule", kPromote, kPromoted},
                   [&service](const ChangeRequest& request) -> ReadChange {
                     Proposal proposal = proposal_of(service, request);
                     const std::string from = is_model_name(proposal.from) ? proposal.from : "";
                     return {fmt::format("from {}{}", from, proposal.rule ? " by rule" : ""),
                             [&service, proposal = std::move(proposal)](Registry& registry) {
                               return promote(service, registry, proposal);
                             }};
                   })};
}

}  // namespace qing::serve::protocols
