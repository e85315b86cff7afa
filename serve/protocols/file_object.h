// A stored file as a JSON object, with the members that OpenAI's clients parse and the service's own.
#pragma once

#include <string>

#include <qing/serve/files/file_store.h>

namespace qing::serve::protocols {

/// The schema of the object for /openapi.json.
extern const std::string_view kFileSchema;

std::string file_object(const StoredFile& file);

}  // namespace qing::serve::protocols
