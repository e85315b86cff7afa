// What the routes that change models share.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>

#include <qing/serve/http/router.h>
#include <qing/serve/service/service.h>

namespace qing::serve::protocols {

struct ChangeRequest {
  const std::string& name;  ///< of the model or alias in the path; empty: the path has none
  const std::string& body;
  const std::string& key;  ///< id of the caller's key
};
struct ReadChange {
  std::string detail;  ///< for the audit log; nothing that a client may write freely
  std::function<HttpResponse(Registry&)> run;
};

/// A route for administrators. `read` turns a request into a change, which runs on the model thread.
Route registry_change(Service& service, std::string_view method, std::string_view pattern, std::string_view action,
                      Operation operation, std::function<ReadChange(const ChangeRequest&)> read);
/// registry_change() of the model that the path names. A model of another project is answered as one that does not
/// exist.
Route model_change(Service& service, std::string_view method, std::string_view pattern, std::string_view action,
                   Operation operation, std::function<ReadChange(const ChangeRequest&)> read);

/// The member "version" of a body, a number or a string of digits. 0 if it is absent.
std::int64_t version_of(const boost::json::object& object);
/// An empty body, or an object with only these fields.
boost::json::object read_object(const std::string& body, const Limits& limits,
                                std::initializer_list<std::string_view> fields);
/// What "replace_labels" of a request says.
Registry::Replacing replacing(bool replace_labels);
/// {"name", "version", "versions", "previous", "trial"}
HttpResponse model_response(const Model& model);

extern const std::string_view kChangedModel;  ///< schema of model_response()

}  // namespace qing::serve::protocols
