#include "text_runs.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <queue>
#include <span>
#include <utility>

#include <fmt/format.h>

#include <qing/nn/fingerprint.h>
#include <qing/tensor/errors.h>

namespace qing::serve {
namespace {

[[noreturn]] void fail(const std::filesystem::path& folder, const char* what) {
  throw IoError(fmt::format("{}: cannot {} a temporary file: {}; check the disk's room", folder.string(), what,
                            std::strerror(errno)));
}

}  // namespace

// A sorted run of the file, read a block at a time.
struct TextRuns::Run {
  int file;
  std::uint64_t next, end;  // entries of the file that are still to be read
  std::vector<Entry> block;
  size_t at = 0;

  // Null at the end.
  const Entry* front(const std::filesystem::path& folder) {
    constexpr size_t kBlock = 2048;
    if (at < block.size()) return &block[at];
    if (next == end) return nullptr;
    block.resize(std::min<std::uint64_t>(kBlock, end - next));
    const size_t bytes = block.size() * sizeof(Entry);
    if (::pread(file, block.data(), bytes, static_cast<off_t>(next * sizeof(Entry))) != static_cast<ssize_t>(bytes)) {
      fail(folder, "read");
    }
    next += block.size();
    at = 0;
    return &block.front();
  }
};

TextRuns::TextRuns(std::filesystem::path folder, size_t held) : folder_(std::move(folder)), held_(held) {}

TextRuns::~TextRuns() {
  if (file_ >= 0) ::close(file_);
}

void TextRuns::add(std::string_view text, std::int32_t label) {
  entries_.push_back({nn::fingerprint(text), label});
  if (entries_.size() >= held_) spill();
}

void TextRuns::spill() {
  std::ranges::sort(entries_);
  if (file_ < 0) {
    std::string name = (folder_ / "runs-XXXXXX").string();
    file_ = ::mkostemp(name.data(), O_CLOEXEC);
    if (file_ < 0) fail(folder_, "make");
    ::unlink(name.c_str());
  }
  const char* from = reinterpret_cast<const char*>(entries_.data());
  for (size_t left = entries_.size() * sizeof(Entry); left > 0;) {
    const ssize_t written = ::write(file_, from, left);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(folder_, "write");
    from += written;
    left -= static_cast<size_t>(written);
  }
  ends_.push_back((ends_.empty() ? 0 : ends_.back()) + entries_.size());
  entries_.clear();
}

TextRuns::Counts TextRuns::count() {
  Counts counts;
  std::optional<Entry> before;
  bool contradicts = false;  // the text of `before` has been counted
  const auto see = [&](const Entry& entry) {
    const bool same = before && before->text == entry.text;
    if (!same) contradicts = false;
    if (same && before->label == entry.label) ++counts.duplicates;
    if (same && before->label != entry.label && !std::exchange(contradicts, true)) ++counts.contradictions;
    before = entry;
  };
  if (ends_.empty()) {
    std::ranges::sort(entries_);
    for (const Entry& entry : entries_) see(entry);
    return counts;
  }
  if (!entries_.empty()) spill();
  std::vector<Entry>().swap(entries_);
  std::vector<Run> runs;
  for (size_t i = 0; i < ends_.size(); ++i) runs.push_back({file_, i == 0 ? 0 : ends_[i - 1], ends_[i], {}, 0});
  using Head = std::pair<Entry, size_t>;  // the next entry of a run, and which
  std::priority_queue<Head, std::vector<Head>, std::greater<>> heads;
  const auto push = [&](size_t run) {
    if (const Entry* entry = runs[run].front(folder_)) heads.emplace(*entry, run);
  };
  for (size_t i = 0; i < runs.size(); ++i) push(i);
  while (!heads.empty()) {
    const auto [entry, run] = heads.top();
    heads.pop();
    see(entry);
    ++runs[run].at;
    push(run);
  }
  return counts;
}

}  // namespace qing::serve
