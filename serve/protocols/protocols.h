// The protocols: each file of this folder holds one, as a list of routes.
#pragma once

#include <vector>

#include <qing/serve/http/router.h>
#include <qing/serve/service/service.h>

namespace qing::serve::protocols {

// The service must outlive the routes.
std::vector<Route> health(Service& service);
std::vector<Route> native(Service& service);
std::vector<Route> kserve_v1(Service& service);
std::vector<Route> open_inference(Service& service);
std::vector<Route> hugging_face(Service& service);
std::vector<Route> text_embeddings_inference(Service& service);
std::vector<Route> web_page(Service& service);
std::vector<Route> metrics(Service& service);
std::vector<Route> admin(Service& service);

}  // namespace qing::serve::protocols
