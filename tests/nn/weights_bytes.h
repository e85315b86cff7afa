// Files of weights, byte by byte: small ones that are whole, with places to make them wrong.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <qing/nn/formats/zip_archive.h>

namespace qing::test {

class Bytes {
 public:
  template <class T> Bytes& put(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Bytes& u8(uint8_t v) { return put(v); }
  Bytes& u16(uint16_t v) { return put(v); }
  Bytes& u32(uint32_t v) { return put(v); }
  Bytes& u64(uint64_t v) { return put(v); }
  Bytes& f32(float v) { return put(v); }
  Bytes& add(std::string_view v) {
    bytes_ += v;
    return *this;
  }
  Bytes& text(std::string_view v) { return u64(v.size()).add(v); }
  Bytes& fill_to(size_t multiple) {
    bytes_.append((multiple - bytes_.size() % multiple) % multiple, '\0');
    return *this;
  }
  size_t size() const { return bytes_.size(); }
  const std::string& str() const { return bytes_; }

 private:
  std::string bytes_;
};

struct ZipPart {
  std::string name, content;
  uint16_t method = 0, flags = 0;
};

inline std::string zip_of(const std::vector<ZipPart>& parts) {
  Bytes file, directory;
  for (const ZipPart& part : parts) {
    const auto size = static_cast<uint32_t>(part.content.size());
    const auto begin = static_cast<uint32_t>(file.size());
    const uint32_t crc = nn::crc32(part.content);
    const auto name = static_cast<uint16_t>(part.name.size());
    file.u32(0x04034b50).u16(20).u16(part.flags).u16(part.method).u32(0).u32(crc).u32(size).u32(size).u16(name).u16(0);
    file.add(part.name).add(part.content);
    directory.u32(0x02014b50).u16(20).u16(20).u16(part.flags).u16(part.method).u32(0).u32(crc).u32(size).u32(size);
    directory.u16(name).u16(0).u16(0).u16(0).u16(0).u32(0).u32(begin).add(part.name);
  }
  const auto count = static_cast<uint16_t>(parts.size());
  const auto place = static_cast<uint32_t>(file.size());
  file.add(directory.str());
  file.u32(0x06054b50)
      .u16(0)
      .u16(0)
      .u16(count)
      .u16(count)
      .u32(static_cast<uint32_t>(directory.size()))
      .u32(place)
      .u16(0);
  return file.str();
}

// Pieces of pickles of protocol 2.
inline std::string pickled(std::string_view text) {
  return Bytes().add("X").u32(static_cast<uint32_t>(text.size())).add(text).str();
}
inline std::string pickled(int32_t number) { return Bytes().add("J").u32(static_cast<uint32_t>(number)).str(); }
inline std::string pickled_global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}
inline std::string pickled_numbers(const std::vector<int32_t>& numbers) {
  std::string tuple = "(";
  for (const int32_t number : numbers) tuple += pickled(number);
  return tuple + "t";
}
inline std::string pickled_storage(const std::string& storage_class, const std::string& key, int32_t count) {
  return "(" + pickled("storage") + pickled_global("torch", storage_class) + pickled(key) + pickled("cpu") +
         pickled(count) + "tQ";
}
struct PickledTensor {
  std::vector<int32_t> sizes = {2, 3}, strides = {3, 1};
  int32_t offset = 0, count = 6;
  std::string storage_class = "FloatStorage", key = "0";
};
inline std::string pickled(const PickledTensor& tensor) {
  return pickled_global("torch._utils", "_rebuild_tensor_v2") + "(" +
         pickled_storage(tensor.storage_class, tensor.key, tensor.count) + pickled(tensor.offset) +
         pickled_numbers(tensor.sizes) + pickled_numbers(tensor.strides) + "\x89" +
         pickled_global("collections", "OrderedDict") + ")RtR";
}
inline std::string pickle_of(const std::string& value) { return "\x80\x02" + value + "."; }
/// A dictionary with one tensor, "a".
inline std::string pickled_weights(const PickledTensor& tensor = {}) {
  return pickle_of("}(" + pickled("a") + pickled(tensor) + "u");
}
/// A file of torch.save with this pickle and six floats in its storage "0".
inline std::string torch_zip(const std::string& pickle = pickled_weights(), const std::string& byteorder = "little") {
  Bytes floats;
  for (int i = 0; i < 6; ++i) floats.f32(static_cast<float>(i));
  return zip_of({{"model/data.pkl", pickle},
                 {"model/byteorder", byteorder},
                 {"model/data/0", floats.str()},
                 {"model/version", "3\n"}});
}
inline std::string torch_stream(const std::string& pickle = pickled_weights(), uint64_t count = 6,
                                const std::string& keys = "](" + pickled("0") + "e") {
  Bytes file;
  file.add(std::string_view("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15));
  file.add(pickle_of(pickled(1001))).add(pickle_of("}(" + pickled("little_endian") + "\x88u")).add(pickle);
  file.add(pickle_of(keys)).u64(count);
  for (int i = 0; i < 6; ++i) file.f32(static_cast<float>(i));
  return file.str();
}

struct GgufTensor {
  std::string name = "a";
  std::vector<uint64_t> dims = {32, 2};
  uint32_t type = 0;
  uint64_t offset = 0;
};
struct GgufBytes {
  std::string magic = "GGUF";
  uint32_t version = 3;
  std::vector<std::string> values = {};  // each a key with its value
  std::vector<GgufTensor> tensors = {GgufTensor{}};
  size_t data = 256;
  uint64_t more_tensors = 0, more_values = 0;  // that are announced and are not there

  std::string str() const {
    Bytes file;
    file.add(magic).u32(version).u64(tensors.size() + more_tensors).u64(values.size() + more_values);
    for (const std::string& value : values) file.add(value);
    for (const GgufTensor& tensor : tensors) {
      file.text(tensor.name).u32(static_cast<uint32_t>(tensor.dims.size()));
      for (const uint64_t size : tensor.dims) file.u64(size);
      file.u32(tensor.type).u64(tensor.offset);
    }
    file.fill_to(32).add(std::string(data, '\1'));
    return file.str();
  }
};
inline std::string gguf_number(std::string_view key, uint32_t value) {
  return Bytes().text(key).u32(4).u32(value).str();
}
inline std::string gguf_text(std::string_view key, std::string_view value) {
  return Bytes().text(key).u32(8).text(value).str();
}

/// An E5S1 encoder of one layer.
struct E5s1Bytes {
  uint32_t version = 1;
  int32_t width = 32, layers = 1, heads = 2, inner = 64, vocabulary = 5, positions = 3, types = 2, block = 32;
  float eps = 1e-12F;
  int32_t pieces = 4, bos = 0, pad = 1, eos = 2, unk = 3;
  std::vector<uint32_t> ends = {0, 1, 2, 3, 4};
  std::string texts = "abcd";
  float score = -1;
  int32_t replacement_count = 1;
  std::string replacements = Bytes().u32(9).u8(1).u32(32).str();
  std::string first_name = "emb.word";
  uint8_t first_kind = 1;
  uint64_t more_offset = 0, more_bytes = 0;  // of the first tensor
  int32_t more_tensors = 0;

  std::string str() const {
    Bytes head;
    head.add("E5S1").u32(version);
    for (const int32_t size : {width, layers, heads, inner, vocabulary, positions, types}) head.put(size);
    head.f32(eps).put(block).put(pieces).put(bos).put(eos).put(pad).put(unk).u64(texts.size());
    for (const uint32_t end : ends) head.u32(end);
    for (size_t i = 1; i < ends.size(); ++i) head.f32(score);
    head.add(texts).put(replacement_count).u32(static_cast<uint32_t>(replacements.size())).add(replacements);
    struct Entry {
      std::string name;
      bool block;
      uint64_t count;
    };
    const auto w = static_cast<uint64_t>(width), n = static_cast<uint64_t>(inner);
    std::vector<Entry> entries = {{first_name, true, static_cast<uint64_t>(vocabulary) * w},
                                  {"emb.pos", false, static_cast<uint64_t>(positions) * w},
                                  {"emb.type", false, static_cast<uint64_t>(types) * w},
                                  {"emb.ln.w", false, w},
                                  {"emb.ln.b", false, w}};
    for (int32_t i = 0; i < layers && i < 2; ++i) {
      const std::string layer = "l" + std::to_string(i) + ".";
      for (const char* part : {"q", "k", "v", "ao"}) {
        entries.push_back({layer + part + ".w", true, w * w});
        entries.push_back({layer + part + ".b", false, w});
      }
      for (const char* part : {"fi", "fo"}) {
        entries.push_back({layer + part + ".w", true, w * n});
        entries.push_back({layer + part + ".b", false, part[1] == 'i' ? n : w});
      }
      for (const char* part : {"aln.w", "aln.b", "oln.w", "oln.b"}) entries.push_back({layer + part, false, w});
    }
    size_t directory = head.size() + 4;
    for (const Entry& entry : entries) directory += 2 + entry.name.size() + 1 + 4 + 8 + 8;
    Bytes file = head;
    file.put(static_cast<int32_t>(entries.size()) + more_tensors);
    uint64_t at = directory, data = 0;
    for (size_t i = 0; i < entries.size(); ++i) {
      const Entry& entry = entries[i];
      const uint64_t bytes = entry.block ? entry.count / 32 * 18 : entry.count * 4;
      const bool first = i == 0;
      file.u16(static_cast<uint16_t>(entry.name.size())).add(entry.name).u8(first ? first_kind : entry.block);
      file.u32(static_cast<uint32_t>(entry.count))
          .u64(at + (first ? more_offset : 0))
          .u64(bytes + (first ? more_bytes : 0));
      at += bytes;
      data += bytes;
    }
    file.add(std::string(data, '\1'));
    return file.str();
  }
};

// Protobuf messages.
inline std::string varint(uint64_t value) {
  std::string bytes;
  for (; value > 127; value >>= 7) bytes += static_cast<char>((value & 127) | 128);
  return bytes + static_cast<char>(value);
}
inline std::string field(uint32_t number, uint64_t value) { return varint(number << 3) + varint(value); }
inline std::string field(uint32_t number, std::string_view bytes) {
  return varint(number << 3 | 2) + varint(bytes.size()) + std::string(bytes);
}
inline std::string onnx_of(const std::string& graph) { return field(1, 8) + field(8, field(2, 17)) + field(7, graph); }
/// A TensorProto of floats.
inline std::string onnx_tensor(std::string_view name, const std::vector<uint64_t>& dims, const std::string& data_fields,
                               int type = 1) {
  std::string tensor;
  for (const uint64_t size : dims) tensor += field(1, size);
  return tensor + field(2, static_cast<uint64_t>(type)) + field(8, name) + data_fields;
}
inline std::string onnx_initializer(const std::string& tensor) { return field(5, tensor); }
inline std::string onnx_node(std::string_view operation, const std::vector<std::string>& inputs,
                             const std::vector<std::string>& outputs, const std::string& more = {}) {
  std::string node;
  for (const std::string& input : inputs) node += field(1, input);
  for (const std::string& output : outputs) node += field(2, output);
  return field(1, node + field(3, std::string("the ") + std::string(operation)) + field(4, operation) + more);
}
inline std::string onnx_input(std::string_view name) { return field(11, field(1, name)); }
inline std::string onnx_floats(size_t count) { return field(9, std::string(count * 4, '\1')); }

}  // namespace qing::test
