// Whether a server can keep its records in a state folder.
#pragma once

#include <qing/serve/state/state.h>

namespace qing::serve {

/// Errors as of State::open() when a server cannot keep its records there. Makes nothing that is not there yet, but
/// migrates the tables of an older version.
void check_state(const State& state);

}  // namespace qing::serve
