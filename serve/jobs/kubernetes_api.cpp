#include "kubernetes_api.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include <qing/nn/data/blanks.h>
#include <qing/serve/common/characters.h>
#include <qing/serve/http/exchange_detail.h>
#include <qing/serve/http/retry_after.h>
#include <qing/serve/http/tls_client.h>
#include <qing/serve/jobs/json_object_file.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace json = boost::json;
namespace {

constexpr size_t kMostToken = 65536;
constexpr PeerWords kWords = {.asker = "Kubernetes",
                              .service = "a Kubernetes API server",
                              .authority_option = "--kubernetes-authority",
                              .when_late = "look at the API server and the network"};

// The text of a small file without blanks around.
std::string line_of(const fs::path& file, const char* what) {
  const std::string bytes = read_file(file, kMostToken);
  std::string text(nn::trimmed(bytes));
  const bool visible = std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
  if (text.empty() || !visible) throw DataError(fmt::format("{}: holds no {}", file.string(), what));
  return text;
}

std::string service_url() {
  const char *host = std::getenv("KUBERNETES_SERVICE_HOST"), *port = std::getenv("KUBERNETES_SERVICE_PORT");
  if (host == nullptr || port == nullptr) {
    throw ValueError(
        "--kubernetes-server: is missing, and this process runs in no pod of a cluster, where KUBERNETES_SERVICE_HOST "
        "names the API server; give its https URL");
  }
  const bool ipv6 = std::string_view(host).find(':') != std::string_view::npos;
  return fmt::format("https://{}{}{}:{}", ipv6 ? "[" : "", host, ipv6 ? "]" : "", port);
}

std::string collection_of(KubernetesKind kind, const std::string& name_space) {
  const bool mpi = kind == KubernetesKind::mpi_job;
  return fmt::format("/apis/{}/namespaces/{}/{}", mpi ? "kubeflow.org/v2beta1" : "batch/v1", name_space,
                     mpi ? "mpijobs" : "jobs");
}

std::string path_of(const KubernetesObject& object) {
  return collection_of(object.kind, object.name_space) + "/" + object.name;
}

// Whether a later request may succeed. 403: an exceeded quota is free again when other objects end, and the use of a
// new quota is not known at first. 401: the token has just been replaced, or the API server's authenticators do not
// work now.
bool may_pass(int status, std::string_view message) {
  if (status == 403) {
    return message.find("exceeded quota") != message.npos || message.find("status unknown for quota") != message.npos;
  }
  return status == 401 || status == 408 || status == 429 || status >= 500;
}

KubernetesError refusal(const std::string& request, const ClientAnswer& answer, const std::string& token) {
  boost::system::error_code error;
  const json::value body = json::parse(answer.body, error);
  const json::object status = !error && body.is_object() ? body.get_object() : json::object{};
  std::string message = text_member_of(status, "message");
  const std::string reason = text_member_of(status, "reason");
  // A proxy may repeat the request in its answer, and with it the token.
  if (answer.body.find(token) != answer.body.npos) message = "the answer repeats the token and is not shown";
  return {fmt::format("{}: HTTP {} {}: {}", request, answer.status, printable(reason), printable(message)),
          !may_pass(answer.status, message), answer.status, reason,
          retry_after(answer.retry_after, std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()))};
}

// Reads no file. The namespace is that of the options.
KubernetesPlace place_of(const KubernetesOptions& options, const fs::path& account) {
  const std::string text = options.server.empty() ? service_url() : options.server;
  const std::optional<Url> url = Url::parse(text);
  if (!url || !url->tls || url->target != "/") {
    throw ValueError(
        fmt::format("--kubernetes-server: '{}' is no https URL without a path, such as https://10.0.0.1:6443", text));
  }
  return {*url, options.token.empty() ? account / "token" : options.token,
          options.authority.empty() ? account / "ca.crt" : options.authority, options.name_space};
}

std::string token_of(const KubernetesPlace& place) { return line_of(place.token, "token of a service account"); }

}  // namespace

std::string printable(std::string_view text) {
  constexpr size_t kMost = 300;
  std::string kept(text.substr(0, kMost));
  std::ranges::replace_if(
      kept, [](char c) { return c < ' ' || c > '~'; }, '?');
  return text.size() > kMost ? kept + "..." : kept;
}

std::string_view kind_name(KubernetesKind kind) { return kind == KubernetesKind::mpi_job ? "MPIJob" : "Job"; }

KubernetesPlace kubernetes_place(const KubernetesOptions& options, const fs::path& account) {
  KubernetesPlace place = place_of(options, account);
  token_of(place);
  client_tls(place.authority);
  if (place.name_space.empty()) place.name_space = line_of(account / "namespace", "namespace");
  return place;
}

json::object pod_patch(const KubernetesOptions& options) {
  if (options.pod.empty()) return {};
  json::object patch = read_object_file(options.pod);
  const json::value* spec = patch.if_contains("spec");
  for (const char* name : {"containers", "volumes"}) {
    if (spec == nullptr || !spec->is_object() || !spec->get_object().contains(name)) continue;
    throw ValueError(fmt::format("{}: the patch of a pod cannot replace spec.{}, which qing writes; leave it out",
                                 options.pod.string(), name));
  }
  return patch;
}

void check_kubernetes(const KubernetesOptions& options) {
  if (options.image.empty()) throw ValueError("--kubernetes-image: is missing; name the image of the trainings");
  if (options.claim.empty()) {
    throw ValueError("--kubernetes-claim: is missing; name the volume claim that has the state folder");
  }
  kubernetes_place(options);
  pod_patch(options);
}

KubernetesApi::KubernetesApi(KubernetesOptions options, std::function<bool()> stopped)
    : options_(std::move(options)), stopped_(std::move(stopped)) {}

json::object KubernetesApi::ask(const char* method, const std::string& path, const std::string& body) const {
  const std::string request = fmt::format("{} {}", method, path.substr(0, path.find('?')));
  ClientAnswer answer;
  std::string token;
  try {
    // The token may have been replaced since the last request: Kubernetes gives it an hour.
    const KubernetesPlace place = place_of(options_, kServiceAccount);
    token = token_of(place);
    answer = exchange({.host = place.server.host,
                       .port = place.server.port,
                       .tls = true,
                       .certificate_authority = place.authority,
                       .bearer = token,
                       .timeout = options_.timeout,
                       .words = kWords,
                       .stopped = stopped_},
                      {.method = method,
                       .target = path,
                       .content_type = body.empty() ? std::string() : "application/json",
                       .body = body});
  } catch (const Error& error) {
    throw KubernetesError(fmt::format("{}: {}", request, printable(error.what())), false);
  }
  if (answer.status < 200 || answer.status > 299) throw refusal(request, answer, token);
  boost::system::error_code error;
  json::value parsed = json::parse(answer.body, error);
  if (!error && parsed.is_object()) return std::move(parsed.get_object());
  throw KubernetesError(fmt::format("{}: HTTP {} without a JSON object", request, answer.status), false, answer.status);
}

json::object KubernetesApi::create(const KubernetesObject& object, const json::object& body) const {
  return ask("POST", collection_of(object.kind, object.name_space) + "?fieldManager=qing&fieldValidation=Strict",
             json::serialize(body));
}

std::optional<json::object> KubernetesApi::find(const KubernetesObject& object) const {
  try {
    return ask("GET", path_of(object));
  } catch (const KubernetesError& error) {
    if (error.status() == 404) return std::nullopt;
    throw;
  }
}

json::array KubernetesApi::pods(const std::string& name_space, std::string_view label, const std::string& value) const {
  std::string escaped(label);
  for (size_t at = 0; (at = escaped.find('/', at)) != escaped.npos;) escaped.replace(at, 1, "%2F");
  const json::object list =
      ask("GET", fmt::format("/api/v1/namespaces/{}/pods?labelSelector={}%3D{}", name_space, escaped, value));
  const json::value* items = list.if_contains("items");
  return items != nullptr && items->is_array() ? items->get_array() : json::array();
}

void KubernetesApi::remove(const KubernetesObject& object, const std::string& uid) const {
  const json::object how{{"apiVersion", "v1"},
                         {"kind", "DeleteOptions"},
                         {"propagationPolicy", "Foreground"},
                         {"preconditions", {{"uid", uid}}}};
  try {
    ask("DELETE", path_of(object), json::serialize(how));
  } catch (const KubernetesError& error) {
    // 409: there is another object of this name now.
    if (error.status() != 404 && error.status() != 409) throw;
  }
}

}  // namespace qing::serve
