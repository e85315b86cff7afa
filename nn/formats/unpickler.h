// Reads the pickles of PyTorch's files and executes nothing. Opcodes and globals are those of an explicit list; all
// others are refused by their names (https://github.com/python/cpython/blob/3.12/Lib/pickletools.py describes the
// opcodes). A call is one of a few functions that are known here, and only makes another plain value.
#pragma once

#include <qing/nn/formats/byte_cursor.h>
#include <qing/nn/formats/pickle_values.h>

namespace qing::nn {

inline constexpr uint64_t kMaxPickleBytes = uint64_t{64} << 20;
/// A tensor of a state dictionary takes about twenty values.
inline constexpr size_t kMaxPickleValues = size_t{2} << 20;

/// Reads one pickle and leaves the cursor behind it. Returns the index of its value in `values`. Texts point into the
/// cursor's bytes. DataError names the byte and the opcode or global that is malformed or not on the lists. DataError,
/// too, above the limits.
PickleValue::Ref read_pickle(ByteCursor& cursor, PickleValues& values);

}  // namespace qing::nn
