// What an object of Kubernetes and its pods say about a training.
#pragma once

#include <optional>
#include <string>

#include <boost/json.hpp>

namespace qing::serve {

struct KubernetesLook {
  enum class State { waiting, running, ended };
  State state = State::waiting;
  bool deleted = false;          ///< it goes away when its pods are gone
  std::string reason = {};       ///< why it waits or has ended: "ImagePullBackOff", "OOMKilled"; empty: it says none
  std::string message = {};      ///< of the cluster, for the operator
  std::optional<int> code = {};  ///< what the container returned that ran the training
};

/// `object` is a Job or an MPIJob. Members of other types than Kubernetes writes count as absent.
KubernetesLook look_at(const boost::json::object& object, const boost::json::array& pods);

/// The text at metadata/NAME; empty when it is absent.
std::string metadata_text(const boost::json::object& object, const char* name);
/// The value of a label; empty without it.
std::string label_of(const boost::json::object& object, std::string_view name);

}  // namespace qing::serve
