// What clients of text-embeddings-inference look for in an error.
#pragma once

#include <qing/serve/http/message.h>

namespace qing::serve::protocols {

/// An error of the service with the member "error_type" as well: "validation", "overloaded" or "backend". Other
/// responses as they are.
HttpResponse tei_error(HttpResponse response);

}  // namespace qing::serve::protocols
