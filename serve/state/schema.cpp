#include "schema.h"

namespace qing::serve {

const std::array<const char*, State::kVersion> kMigrations = {
    R"(
)"};

}  // namespace qing::serve
