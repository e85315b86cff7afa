#include "kubernetes_look.h"

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <string_view>

#include <qing/serve/jobs/json_object_file.h>

namespace qing::serve {
namespace json = boost::json;
namespace {

using LookState = KubernetesLook::State;

const json::value* at(const json::object& object, std::initializer_list<std::string_view> names) {
  const json::object* inner = &object;
  const json::value* found = nullptr;
  for (const std::string_view name : names) {
    found = inner == nullptr ? nullptr : inner->if_contains(name);
    inner = found == nullptr ? nullptr : found->if_object();
  }
  return found;
}

const json::object* object_at(const json::object& object, std::initializer_list<std::string_view> names) {
  const json::value* found = at(object, names);
  return found == nullptr ? nullptr : found->if_object();
}

std::string text_at(const json::object& object, std::initializer_list<std::string_view> names) {
  const json::value* found = at(object, names);
  return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
}

template <class Use>
void for_each_at(const json::object& object, std::initializer_list<std::string_view> names, const Use& use) {
  const json::value* found = at(object, names);
  if (found == nullptr || !found->is_array()) return;
  for (const json::value& entry : found->get_array()) {
    if (entry.is_object()) use(entry.get_object());
  }
}

// The condition of this type that has this status, if there is one.
const json::object* condition(const json::object& object, std::string_view type, std::string_view status = "True") {
  const json::object* result = nullptr;
  for_each_at(object, {"status", "conditions"}, [&](const json::object& one) {
    if (text_member_of(one, "type") == type && text_member_of(one, "status") == status) result = &one;
  });
  return result;
}

void set(KubernetesLook& look, const json::object& said) {
  look.reason = text_member_of(said, "reason");
  look.message = text_member_of(said, "message");
}

// Why the containers of a pod wait. Kubernetes alternates between two reasons for an image that cannot be pulled, and
// both are told as one.
void read_waits(const json::object& pod, KubernetesLook& look) {
  for (const char* list : {"initContainerStatuses", "containerStatuses"}) {
    for_each_at(pod, {"status", list}, [&](const json::object& status) {
      const json::object* waits = object_at(status, {"state", "waiting"});
      if (waits == nullptr || !look.reason.empty()) return;
      const std::string reason = text_member_of(*waits, "reason");
      if (reason.empty() || reason == "ContainerCreating" || reason == "PodInitializing") return;
      set(look, *waits);
      if (reason == "ErrImagePull") look.reason = "ImagePullBackOff";
    });
  }
  const json::object* unscheduled = condition(pod, "PodScheduled", "False");
  if (look.reason.empty() && unscheduled != nullptr) set(look, *unscheduled);
}

// Why a pod has ended. The reason of the pod goes before that of its container.
void read_end(const json::object& pod, KubernetesLook& look) {
  std::string container;
  for_each_at(pod, {"status", "containerStatuses"}, [&](const json::object& status) {
    const json::object* ended = object_at(status, {"state", "terminated"});
    if (ended == nullptr) return;
    container = text_member_of(*ended, "reason");
    const json::value* code = ended->if_contains("exitCode");
    if (code != nullptr && code->is_int64()) look.code = static_cast<int>(code->get_int64());
  });
  const std::string own = text_at(pod, {"status", "reason"});
  look.reason = container;
  const json::object* disrupted = condition(pod, "DisruptionTarget");
  if (container != "OOMKilled" && !own.empty()) {
    look.reason = own;
  } else if (container != "OOMKilled" && disrupted != nullptr) {
    look.reason = text_member_of(*disrupted, "reason");
  }
  look.message = text_at(pod, {"status", "message"});
}

// A rank whose memory was not enough says more than the launcher, which only sees the rank gone.
bool says_more(const KubernetesLook& one, const KubernetesLook& other) {
  const auto weight = [](const std::string& reason) {
    return reason.empty() ? 0 : reason == "Error" || reason == "Completed" ? 1 : 2;
  };
  return weight(one.reason) > weight(other.reason);
}

}  // namespace

KubernetesLook look_at(const json::object& object, const json::array& pods) {
  KubernetesLook look;
  look.deleted = !metadata_text(object, "deletionTimestamp").empty();
  KubernetesLook waits, ended;
  bool runs = false;
  for (const json::value& entry : pods) {
    if (!entry.is_object()) continue;
    const json::object& pod = entry.get_object();
    const std::string phase = text_at(pod, {"status", "phase"});
    const bool rank = label_of(pod, "training.kubeflow.org/job-role") == "worker";
    KubernetesLook one;
    if (phase == "Pending" || phase.empty()) {
      read_waits(pod, one);
      if (says_more(one, waits)) waits = one;
    } else if (phase == "Running") {
      runs = runs || !rank;
      // The conditions of a pod that will be removed say why.
      if (condition(pod, "DisruptionTarget") != nullptr) read_end(pod, one);
      if (says_more(one, ended)) ended = one;
    } else {
      read_end(pod, one);
      if (rank) one.code.reset();
      if (says_more(one, ended)) {
        if (!one.code) one.code = ended.code;
        ended = one;
      } else if (one.code) {
        ended.code = one.code;
      }
    }
  }
  const json::object* done = condition(object, "Complete");
  if (done == nullptr) done = condition(object, "Succeeded");
  const json::object* failed = condition(object, "Failed");
  if (done != nullptr || failed != nullptr) {
    look.state = LookState::ended;
    look.reason = ended.reason;
    look.message = ended.message;
    look.code = done != nullptr ? 0 : ended.code;
    if (look.reason.empty() && failed != nullptr) set(look, *failed);
  } else if (condition(object, "Suspended") != nullptr) {
    look.reason = "Suspended";
  } else {
    look.state = runs ? LookState::running : LookState::waiting;
    look.reason = runs ? ended.reason : waits.reason;
    look.message = runs ? ended.message : waits.message;
  }
  return look;
}

std::string metadata_text(const json::object& object, const char* name) { return text_at(object, {"metadata", name}); }

std::string label_of(const json::object& object, std::string_view name) {
  return text_at(object, {"metadata", "labels", name});
}

}  // namespace qing::serve
