#include <qing/nn/formats/torch_file.h>

#include <fmt/format.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include <qing/nn/formats/torch_globals.h>
#include <qing/nn/formats/unpickler.h>
#include <qing/nn/formats/zip_archive.h>

namespace qing::nn {
namespace {

using Ref = PickleValue::Ref;
using Kind = PickleKind;

constexpr std::string_view kZipBegin = "PK\x03\x04";
// The first pickle of a stream is this integer, 0x1950a86a20f9469cfc6c (torch/serialization.py).
constexpr std::string_view kStreamMagic("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);
constexpr int64_t kStreamVersion = 1001;

// The bytes of a storage in the file.
struct Span {
  uint64_t offset, size;
};

// The fields of a storage's persistent id.
struct Storage {
  std::string_view elements;  // a name of torch_elements(), or another for a storage of bytes
  std::string_view key;
  uint64_t count;
};

Storage storage_of(const PickleValues& values, Ref ref) {
  const auto& fields = values[ref].items;
  return {values[fields[1]].text, values[fields[2]].text, static_cast<uint64_t>(values[fields[4]].integer)};
}

struct NamedTensor {
  std::string name;
  Ref ref;
};

// The tensors below a dictionary, by dotted names.
class Collector {
 public:
  Collector(const PickleValues& values, const FileFaults& faults) : values_(values), faults_(faults) {}

  std::vector<NamedTensor> collect(Ref root) {
    const PickleValue& top = values_[root];
    if (top.kind != Kind::dict) {
      faults_.unsupported(
          fmt::format("it holds a {}, not a dictionary of tensors; save a state_dict()", name_of(top.kind)));
    }
    visit(root, "", 0);
    return std::move(found_);
  }

 private:
  static constexpr int kDeepest = 16;
  static constexpr size_t kMostVisits = size_t{1} << 18;  // the same value may stand in many places
  static constexpr size_t kLongestName = 1024;

  void visit(Ref ref, const std::string& name, int depth) {
    if (++visits_ > kMostVisits) faults_.unsupported(fmt::format("more than {} values in it", kMostVisits));
    const PickleValue& value = values_[ref];
    if (value.kind == Kind::tensor) {
      if (!names_.insert(name).second) {
        faults_.invalid(fmt::format("two tensors have the name '{}'", printable(name)));
      }
      found_.push_back({name, ref});
    } else if (value.kind == Kind::dict) {
      for (size_t i = 0; i < value.items.size(); i += 2) {
        const PickleValue& key = values_[value.items[i]];
        if (key.kind == Kind::text) {
          enter(value.items[i + 1], name, key.text, depth);
        } else if (key.kind == Kind::integer) {
          enter(value.items[i + 1], name, std::to_string(key.integer), depth);
        }
      }
    } else if (value.kind == Kind::list || value.kind == Kind::tuple) {
      for (size_t i = 0; i < value.items.size(); ++i) enter(value.items[i], name, std::to_string(i), depth);
    }
  }

  void enter(Ref ref, const std::string& outer, std::string_view key, int depth) {
    const Kind kind = values_[ref].kind;
    if (kind != Kind::tensor && kind != Kind::dict && kind != Kind::list && kind != Kind::tuple) return;
    if (depth == kDeepest) {
      faults_.unsupported(fmt::format("'{}' is more than {} dictionaries deep", printable(outer), kDeepest));
    }
    if (outer.size() + key.size() > kLongestName) {
      faults_.unsupported(fmt::format("a name of more than {} bytes, '{}...'", kLongestName, printable(key)));
    }
    visit(ref, outer.empty() ? std::string(key) : fmt::format("{}.{}", outer, key), depth + 1);
  }

  const PickleValues& values_;
  const FileFaults& faults_;
  std::vector<NamedTensor> found_;
  std::set<std::string> names_;
  size_t visits_ = 0;
};

// One tensor, checked against the bytes of its storage.
class TensorReader {
 public:
  TensorReader(const PickleValues& values, const FileFaults& faults, const std::string& name)
      : values_(values), faults_(faults), name_(name) {}

  TensorSource read(Ref tensor, std::shared_ptr<const MappedFile> file, const std::map<std::string, Span>& storages) {
    const auto& arguments = values_[tensor].items;
    const Storage storage = storage_of(values_, arguments[0]);
    const TorchElements* elements = torch_elements(storage.elements);
    constexpr size_t kDtypeArgument = 6;
    if (elements == nullptr) {  // untyped bytes: the tensor has the dtype
      if (arguments.size() <= kDtypeArgument || values_[arguments[kDtypeArgument]].kind != Kind::global) {
        fail("its storage has untyped bytes, and the tensor has no dtype");
      }
      elements = torch_elements(values_[arguments[kDtypeArgument]].text);
      if (elements == nullptr) fail("its dtype is unknown");
    }
    if (!elements->dtype) {
      faults_.unsupported(fmt::format("tensor '{}' has the elements {}, which qing does not have; convert it",
                                      printable(name_), elements->name));
    }
    const auto span = storages.find(std::string(storage.key));
    if (span == storages.end()) fail(fmt::format("its storage '{}' is not in the file", printable(storage.key)));
    const uint64_t width = size_of(*elements->dtype);
    const uint64_t unit = torch_elements(storage.elements) == nullptr ? 1 : width;
    if (storage.count > span->second.size / unit || storage.count * unit != span->second.size) {
      fail(fmt::format("its storage '{}' has {} elements of {} bytes in the pickle and {} bytes in the file",
                       printable(storage.key), storage.count, unit, span->second.size));
    }
    const Layout layout = layout_of(arguments, span->second.size / width);
    const auto offset = static_cast<uint64_t>(layout.offset);
    TensorSource source{.info = {.name = name_,
                                 .format = std::string(elements->name),
                                 .dtype = *elements->dtype,
                                 .shape = layout.sizes},
                        .file = std::move(file),
                        .offset = span->second.offset + offset * width};
    if (!layout.is_contiguous()) source.strides = layout.strides;
    return source;
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    faults_.invalid(fmt::format("tensor '{}': {}", printable(name_), what));
  }

  Shape numbers(Ref tuple) const {
    Shape result;
    for (const Ref number : values_[tuple].items) result.push_back(values_[number].integer);
    return result;
  }

  Layout layout_of(const std::vector<Ref>& arguments, uint64_t count) const {
    constexpr size_t kMaxDims = 64;
    Layout layout{
        .sizes = numbers(arguments[2]), .strides = numbers(arguments[3]), .offset = values_[arguments[1]].integer};
    if (layout.sizes.size() != layout.strides.size()) {
      fail(fmt::format("{} strides for {} sizes", layout.strides.size(), layout.sizes.size()));
    }
    if (layout.sizes.size() > kMaxDims) {
      faults_.unsupported(fmt::format("tensor '{}' has {} dimensions; {} are the most", printable(name_),
                                      layout.sizes.size(), kMaxDims));
    }
    if (layout.offset < 0 || static_cast<uint64_t>(layout.offset) > count) {
      fail(fmt::format("its offset {} is outside its storage of {} elements", layout.offset, count));
    }
    bool empty = false;
    int64_t product = 1;  // of the sizes that are not 0: strides of a copy are 64-bit numbers
    for (const int64_t size : layout.sizes) {
      if (size < 0) fail(fmt::format("a size of {}", size));
      empty = empty || size == 0;
      if (size > 0 && __builtin_mul_overflow(product, size, &product)) fail("its shape overflows 64 bits");
    }
    const uint64_t elements = empty ? 0 : static_cast<uint64_t>(product);
    if (elements > count) {
      fail(fmt::format("it has {} elements, more than its storage, which has {}", elements, count));
    }
    int64_t last = layout.offset;
    for (size_t i = 0; i < layout.sizes.size(); ++i) {
      if (layout.strides[i] < 0) fail(fmt::format("a stride of {}", layout.strides[i]));
      int64_t reach = 0;
      if (layout.sizes[i] > 0 && (__builtin_mul_overflow(layout.sizes[i] - 1, layout.strides[i], &reach) ||
                                  __builtin_add_overflow(last, reach, &last))) {
        fail("its strides overflow 64 bits");
      }
    }
    if (!empty && static_cast<uint64_t>(last) >= count) {
      fail(fmt::format("its last element is number {} of its storage, which has {}", last, count));
    }
    return layout;
  }

  const PickleValues& values_;
  const FileFaults& faults_;
  const std::string& name_;
};

std::vector<TensorSource> read_tensors(const PickleValues& values, Ref root,
                                       const std::shared_ptr<const MappedFile>& file,
                                       const std::map<std::string, Span>& storages, const FileFaults& faults) {
  std::vector<TensorSource> sources;
  for (const NamedTensor& named : Collector(values, faults).collect(root)) {
    sources.push_back(TensorReader(values, faults, named.name).read(named.ref, file, storages));
  }
  return sources;
}

std::vector<TensorSource> read_archive(const std::shared_ptr<const MappedFile>& file, const FileFaults& faults) {
  const std::string_view bytes = file->bytes();
  const std::vector<ZipMember> members = read_zip_directory(bytes, faults);
  // All members stand in one folder, whose name is the file's when it was written.
  const ZipMember* pickle = nullptr;
  for (const ZipMember& member : members) {
    if (member.name.ends_with("/data.pkl")) {
      if (pickle != nullptr) faults.invalid("it has two members data.pkl");
      pickle = &member;
    }
  }
  if (pickle == nullptr) faults.invalid("it has no member data.pkl");
  const std::string folder = pickle->name.substr(0, pickle->name.rfind('/') + 1), data = folder + "data/";
  std::map<std::string, Span> storages;
  for (const ZipMember& member : members) {
    const std::string_view content = bytes.substr(member.offset, member.size);
    if (member.name.starts_with(data)) storages[member.name.substr(data.size())] = {member.offset, member.size};
    if (member.name == folder + "byteorder" && content != "little") {
      faults.unsupported(
          fmt::format("the byte order '{}'; save it with torch.save on a little-endian machine", printable(content)));
    }
  }
  const std::string_view content = bytes.substr(pickle->offset, pickle->size);
  if (pickle->size > kMaxPickleBytes) {
    faults.unsupported(fmt::format("data.pkl has {} bytes; {} are the most", pickle->size, kMaxPickleBytes));
  }
  if (crc32(content) != pickle->crc) faults.invalid("data.pkl does not have its checksum");
  ByteCursor cursor(content, faults, pickle->offset);
  PickleValues values;
  const Ref root = read_pickle(cursor, values);
  if (cursor.left() > 0) faults.invalid(fmt::format("{} bytes follow the pickle of data.pkl", cursor.left()));
  return read_tensors(values, root, file, storages, faults);
}

// The stream has: magic number, version, description of the machine, object, keys of the storages, storages.
std::vector<TensorSource> read_stream(const std::shared_ptr<const MappedFile>& file, const FileFaults& faults) {
  ByteCursor cursor(file->bytes(), faults);
  PickleValues values;
  const PickleValue magic = values[read_pickle(cursor, values)];
  if (magic.kind != Kind::big_integer || magic.text != kStreamMagic) faults.invalid("the magic number is wrong");
  const PickleValue version = values[read_pickle(cursor, values)];
  if (version.kind != Kind::integer || version.integer != kStreamVersion) {
    faults.unsupported(fmt::format("a stream of another version than {}", kStreamVersion));
  }
  const PickleValue machine = values[read_pickle(cursor, values)];
  for (size_t i = 0; machine.kind == Kind::dict && i < machine.items.size(); i += 2) {
    const PickleValue &key = values[machine.items[i]], &value = values[machine.items[i + 1]];
    if (key.text == "little_endian" && value.integer == 0) {
      faults.unsupported("the byte order of a big-endian machine; save it on a little-endian one");
    }
  }
  const size_t before = values.size();
  const Ref root = read_pickle(cursor, values);
  // What the pickle says of its storages tells how long each is.
  std::map<std::string_view, Storage> described;
  for (size_t ref = before; ref < values.size(); ++ref) {
    if (values[static_cast<Ref>(ref)].kind != Kind::storage) continue;
    const Storage storage = storage_of(values, static_cast<Ref>(ref));
    const auto [at, is_new] = described.emplace(storage.key, storage);
    if (!is_new && (at->second.count != storage.count || at->second.elements != storage.elements)) {
      faults.invalid(fmt::format("storage '{}' is described in two ways", printable(storage.key)));
    }
  }
  const PickleValue keys = values[read_pickle(cursor, values)];
  if (keys.kind != Kind::list) faults.invalid("the keys of the storages are no list");
  std::map<std::string, Span> storages;
  for (const Ref ref : keys.items) {
    const PickleValue& key = values[ref];
    const auto found = described.find(key.text);
    if (key.kind != Kind::text || found == described.end()) {
      faults.invalid(fmt::format("a storage '{}' that no tensor has", printable(key.text)));
    }
    const TorchElements* elements = torch_elements(found->second.elements);
    if (elements == nullptr || !elements->dtype) {
      faults.unsupported(fmt::format("storage '{}' has the elements {}, which qing does not have; convert it",
                                     printable(key.text), found->second.elements));
    }
    const auto count = cursor.number<uint64_t>("the length of a storage");
    if (count != found->second.count) {
      faults.invalid(fmt::format("storage '{}' has {} elements, but its tensors say {}", printable(key.text), count,
                                 found->second.count));
    }
    const uint64_t width = size_of(*elements->dtype), place = cursor.place();
    if (count > cursor.left() / width) {
      faults.invalid(fmt::format("storage '{}' of {} elements at byte {} reaches beyond the end (is it cut?)",
                                 printable(key.text), count, place));
    }
    cursor.take(count * width, "a storage");
    if (!storages.emplace(key.text, Span{place, count * width}).second) {
      faults.invalid(fmt::format("storage '{}' is in the file twice", printable(key.text)));
    }
  }
  if (cursor.left() > 0) faults.invalid(fmt::format("{} bytes follow the last storage", cursor.left()));
  return read_tensors(values, root, file, storages, faults);
}

bool is_stream(std::string_view bytes) {
  constexpr char kProtocol = '\x80';
  constexpr size_t kLongestStart = 32;  // of a pickle of one number, with a frame around it
  return bytes.starts_with(kProtocol) && bytes.substr(0, kLongestStart).find(kStreamMagic) != bytes.npos;
}

}  // namespace

bool is_torch_file(std::string_view bytes) { return bytes.starts_with(kZipBegin) || is_stream(bytes); }

std::vector<TensorSource> read_torch_file(const std::shared_ptr<const MappedFile>& file) {
  const FileFaults faults(file->path(), "PyTorch");
  if (file->bytes().starts_with(kZipBegin)) return read_archive(file, faults);
  if (is_stream(file->bytes())) return read_stream(file, faults);
  faults.invalid("it begins like neither a zip archive nor a stream of torch.save");
}

}  // namespace qing::nn
