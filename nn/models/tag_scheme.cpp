#include <qing/nn/models/tag_scheme.h>

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

constexpr std::string_view kPrefixes = "BIES";

bool ends_entity(char before, char after, std::string_view type_before, std::string_view type_after) {
  if (before == 'E' || before == 'S') return true;
  if ((before == 'B' || before == 'I') && (after == 'B' || after == 'S' || after == 'O')) return true;
  return before != 'O' && before != '.' && type_before != type_after;
}

bool begins_entity(char before, char after, std::string_view type_before, std::string_view type_after) {
  if (after == 'B' || after == 'S') return true;
  if ((before == 'E' || before == 'S' || before == 'O') && (after == 'E' || after == 'I')) return true;
  return after != 'O' && after != '.' && type_before != type_after;
}

// What seqeval takes for the type: the rest after the first "-", or all behind the first character.
std::string_view type_of(std::string_view tag) {
  const std::string_view rest = tag.substr(std::min<size_t>(1, tag.size()));
  const size_t dash = rest.find('-');
  const std::string_view type = dash == rest.npos ? rest : rest.substr(dash + 1);
  return type.empty() ? "_" : type;
}

}  // namespace

std::vector<TagSpan> spans_of_tags(std::span<const std::string> tags) {
  std::vector<TagSpan> spans;
  char before = 'O';
  std::string_view type_before = "";
  size_t begin = 0;
  for (size_t i = 0; i <= tags.size(); ++i) {
    const std::string_view tag = i < tags.size() ? std::string_view(tags[i]) : "O";
    const char prefix = tag.empty() ? 'O' : tag.front();
    const std::string_view type = type_of(tag);
    if (ends_entity(before, prefix, type_before, type)) spans.push_back({std::string(type_before), begin, i - 1});
    if (begins_entity(before, prefix, type_before, type)) begin = i;
    before = prefix;
    type_before = type;
  }
  return spans;
}

std::vector<std::string> tags_of_spans(std::span<const TagSpan> spans, size_t count, bool bioes) {
  std::vector<std::string> tags(count, "O");
  for (const TagSpan& span : spans) {
    for (size_t i = span.first; i <= span.last; ++i) tags.at(i) = "I-" + span.type;
    if (bioes) tags.at(span.last) = "E-" + span.type;
    tags.at(span.first) = (bioes && span.first == span.last ? "S-" : "B-") + span.type;
  }
  return tags;
}

std::string normal_tag(std::string_view tag) {
  if (tag == "O") return "O";
  constexpr std::string_view kRead = "BIESLUM", kMeant = "BIESESI";
  const size_t at = tag.size() > 2 && tag[1] == '-' ? kRead.find(tag.front()) : kRead.npos;
  if (at == kRead.npos) {
    throw ValueError(
        fmt::format("the tag '{}' is neither O nor B-, I-, E- or S- with a type, such as B-PER; correct it", tag));
  }
  return kMeant[at] + std::string(tag.substr(1));
}

TagScheme::TagScheme(std::vector<std::string> labels) : labels_(std::move(labels)) {
  if (labels_.size() > kMostLabels) {
    throw ValueError(fmt::format("{} labels of tags; at most {} are supported, so use fewer types of entities",
                                 labels_.size(), kMostLabels));
  }
  for (const std::string& label : labels_) {
    const std::string tag = normal_tag(label);
    parts_.push_back({tag.front(), tag == "O" ? std::string() : tag.substr(2), true, true});
  }
  for (Part& part : parts_) {
    const bool has_b = find('B', part.type) >= 0, has_e = find('E', part.type) >= 0, has_s = find('S', part.type) >= 0;
    if (part.prefix == 'I') part.begins = !has_b, part.ends = !has_e;
    if (part.prefix == 'E') part.begins = !has_b;
    // B- alone marks an entity of one word where nothing else can.
    if (part.prefix == 'B') part.ends = !(has_e && has_s);
  }
  inside_.resize(labels_.size());
  for (size_t after = 0; after < parts_.size(); ++after) {
    if (parts_[after].prefix != 'I' && parts_[after].prefix != 'E') continue;
    for (size_t before = 0; before < parts_.size(); ++before) {
      const Part& part = parts_[before];
      if (part.type != parts_[after].type || (part.prefix != 'B' && part.prefix != 'I')) continue;
      inside_[after].push_back(static_cast<std::int32_t>(before));
    }
  }
}

bool TagScheme::may_follow(size_t before, size_t after) const {
  return (may_end(before) && may_begin(after)) ||
         std::ranges::find(inside_[after], static_cast<std::int32_t>(before)) != inside_[after].end();
}

TagScheme TagScheme::of_types(std::span<const std::string> types, bool bioes) {
  std::vector<std::string> labels = {"O"};
  for (const std::string& type : types) {
    for (const char prefix : kPrefixes.substr(0, bioes ? 4 : 2)) labels.push_back(fmt::format("{}-{}", prefix, type));
  }
  return TagScheme(std::move(labels));
}

bool TagScheme::bioes() const {
  return std::ranges::any_of(parts_, [](const Part& part) { return part.prefix == 'E' || part.prefix == 'S'; });
}

std::int32_t TagScheme::find(char prefix, std::string_view type) const {
  const auto found =
      std::ranges::find_if(parts_, [&](const Part& part) { return part.prefix == prefix && part.type == type; });
  return found == parts_.end() ? -1 : static_cast<std::int32_t>(found - parts_.begin());
}

std::vector<std::int32_t> TagScheme::encode(std::span<const TagSpan> spans, size_t count) const {
  const std::int32_t outside = std::max(0, find('O', ""));
  std::vector<std::int32_t> labels(count, outside);
  for (const TagSpan& span : spans) {
    const std::int32_t inside = find('I', span.type), begin = find('B', span.type);
    const std::int32_t end = find('E', span.type), single = find('S', span.type);
    const auto first_of = [](std::initializer_list<std::int32_t> wanted, std::int32_t otherwise) {
      const auto found = std::ranges::find_if(wanted, [](std::int32_t label) { return label >= 0; });
      return found == wanted.end() ? otherwise : *found;
    };
    for (size_t i = span.first; i <= span.last; ++i) labels.at(i) = first_of({inside, begin}, outside);
    labels.at(span.first) = first_of({begin, inside}, outside);
    if (end >= 0) labels.at(span.last) = end;
    if (span.first == span.last) labels.at(span.first) = first_of({single, begin, inside}, outside);
  }
  return labels;
}

std::vector<std::int32_t> TagScheme::best(std::span<const float> scores) const {
  constexpr double kNever = -std::numeric_limits<double>::infinity();
  const size_t width = labels_.size(), count = width == 0 ? 0 : scores.size() / width;
  if (count == 0) return {};
  std::vector<double> sums(width), next(width);
  std::vector<std::int32_t> from(count * width);
  for (size_t label = 0; label < width; ++label) sums[label] = may_begin(label) ? scores[label] : kNever;
  // The first of the greatest sums of labels that may end.
  const auto best_end = [&] {
    std::pair<double, size_t> best{kNever, 0};
    for (size_t label = 0; label < width; ++label) {
      if (may_end(label) && sums[label] > best.first) best = {sums[label], label};
    }
    return best;
  };
  for (size_t i = 1; i < count; ++i) {
    // All labels that may begin have the same label in front, unless they continue an entity.
    const auto end = best_end();
    for (size_t after = 0; after < width; ++after) {
      auto [greatest, chosen] = may_begin(after) ? end : std::pair<double, size_t>{kNever, 0};
      for (const std::int32_t label : inside_[after]) {
        const auto before = static_cast<size_t>(label);
        if (sums[before] < greatest || (sums[before] == greatest && before >= chosen)) continue;
        greatest = sums[before];
        chosen = before;
      }
      next[after] = greatest + scores[i * width + after];
      from[i * width + after] = static_cast<std::int32_t>(chosen);
    }
    sums.swap(next);
  }
  size_t last = best_end().second;
  std::vector<std::int32_t> labels(count);
  for (size_t i = count; i-- > 0;) {
    labels[i] = static_cast<std::int32_t>(last);
    last = static_cast<size_t>(from[i * width + last]);
  }
  return labels;
}

std::vector<TagSpan> TagScheme::spans(std::span<const std::int32_t> labels) const {
  std::vector<std::string> tags;
  tags.reserve(labels.size());
  for (const std::int32_t label : labels) {
    const Part& part = parts_.at(static_cast<size_t>(label));
    tags.push_back(part.prefix == 'O' ? "O" : fmt::format("{}-{}", part.prefix, part.type));
  }
  return spans_of_tags(tags);
}

}  // namespace qing::nn
