#include "version.h"

namespace qing::serve {

const char* const kVersion = QING_VERSION;  // the build says it

}  // namespace qing::serve
