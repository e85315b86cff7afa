// Operations of all ranks together. Every rank calls the same functions in the same order. Each is made of
// Communicator::exchange(), so it gives the same bits over threads and over any MPI library. Errors are those of
// exchange().
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <qing/optim/parallel/communicator.h>
#include <qing/optim/state.h>

namespace qing::optim {

/// Returns when all ranks have called it.
void barrier(Communicator& ranks);

/// Gives all ranks the bytes of rank `root`. They have equal sizes on all ranks.
void broadcast(Communicator& ranks, std::span<std::byte> bytes, int root = 0);
/// As above, for texts of any length.
void broadcast(Communicator& ranks, std::string& text, int root = 0);
template <class T>
requires std::is_trivially_copyable_v<T> T broadcast_value(Communicator& ranks, T value, int root = 0) {
  broadcast(ranks, std::as_writable_bytes(std::span(&value, 1)), root);
  return value;
}

/// Returns the bytes of all ranks, by rank. They may have different lengths.
std::vector<std::vector<std::byte>> all_gather(Communicator& ranks, std::span<const std::byte> own);
std::vector<std::string> all_gather_texts(Communicator& ranks, const std::string& own);
/// Returns the values of all ranks, by rank. Each rank has one.
template <class T>
requires std::is_trivially_copyable_v<T> std::vector<T> all_gather_values(Communicator& ranks, const T& own) {
  const auto size = static_cast<size_t>(ranks.size());
  const auto rank = static_cast<size_t>(ranks.rank());
  std::vector<T> all(size, own);
  std::vector<Outgoing> out;
  std::vector<Incoming> in;
  for (size_t peer = 0; peer < size; ++peer) {
    if (peer == rank) continue;
    out.push_back({static_cast<int>(peer), std::as_bytes(std::span(&own, 1))});
    in.push_back({static_cast<int>(peer), std::as_writable_bytes(std::span(&all[peer], 1))});
  }
  ranks.exchange(out, in);
  return all;
}

/// Gives all ranks a copy of the state of rank `root`: names, shapes, dtypes and bytes of contiguous tensors. A rank
/// with `keeps` gets the entries for whose names it is true, and holds one of the others at a time.
StateDict broadcast_state(Communicator& ranks, const StateDict& state, int root = 0,
                          const std::function<bool(const std::string& name)>& keeps = {});
/// Gives rank `root` the states of all ranks together; those of the others are empty. An entry that several ranks have
/// is that of the last one. Names have no line break.
StateDict gather_state(Communicator& ranks, const StateDict& state, int root = 0);

}  // namespace qing::optim
