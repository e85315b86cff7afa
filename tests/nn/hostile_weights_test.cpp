// Files of weights that are cut, contradict themselves or want more than to be read: each is refused with the place and
// the reason, and no memory is taken for what it says of itself.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include <qing/nn/formats/imported_encoder.h>
#include <qing/nn/formats/open_weights.h>
#include <qing/tensor/allocator.h>
#include <qing/tensor/errors.h>

#include "nn/temp_folder.h"
#include "nn/weights_bytes.h"

namespace qing::nn {
namespace {

using namespace qing::test;

struct Case {
  const char* name;
  std::string bytes;
  const char* says;
};

class HostileWeights : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::string& bytes) const { return folder_.write("weights", bytes); }

  void expect_refused(const std::vector<Case>& cases, bool import = false) const {
    for (const Case& one : cases) {
      SCOPED_TRACE(one.name);
      const auto path = write(one.bytes);
      reset_peak_memory();
      const size_t before = memory_stats().current_bytes;
      const std::string said = message_of<DataError>([&] {
        if (import) {
          import_encoder(path);
        } else {
          open_weights(path).state();
        }
      });
      EXPECT_NE(said.find(one.says), std::string::npos) << said;
      EXPECT_EQ(said.rfind(path.string() + ": ", 0), 0U) << said;
      EXPECT_LT(memory_stats().peak_bytes - before, size_t{1} << 24);
    }
  }

  // Every cut and random damage is refused or read, and never anything else; sanitizers give this its teeth.
  template <class Read> void survive(const std::string& good, const Read& read) const {
    for (size_t length = 0; length < good.size(); length += 1 + good.size() / 97) {
      write(good.substr(0, length));
      EXPECT_THROW(read(), DataError) << length;
    }
    std::mt19937 random(11);
    for (int round = 0; round < 400; ++round) {
      std::string bad = good;
      for (int i = 0; i < 3; ++i) bad[random() % bad.size()] = static_cast<char>(random());
      write(bad);
      try {
        read();
      } catch (const Error&) {}
    }
  }
  void survive_opening(const std::string& good) const {
    survive(good, [&] { open_weights(folder_.path() / "weights").state(); });
  }

  TempFolder folder_;
};

std::string with(std::string bytes, size_t place, std::string_view value) {
  return bytes.replace(place, value.size(), value);
}
std::string pickled_twice(const std::string& value) { return pickled(value) + pickled(value); }

TEST_F(HostileWeights, WholeFilesAreRead) {
  for (const std::string& bytes : {torch_zip(), torch_stream()}) {
    const WeightsFile weights = open_weights(write(bytes));
    ASSERT_NE(weights.find("a"), nullptr);
    EXPECT_EQ(weights.tensor("a").shape(), (Shape{2, 3}));
    EXPECT_EQ(weights.tensor("a").at({1, 2}), 5);
  }
  EXPECT_EQ(open_weights(write(GgufBytes{}.str())).tensor("a").shape(), (Shape{2, 32}));
  EXPECT_EQ(open_weights(write(E5s1Bytes{}.str())).tensors().size(), 21U);
  const std::string onnx = onnx_of(onnx_initializer(onnx_tensor("w", {2, 3}, onnx_floats(6))));
  EXPECT_EQ(open_weights(write(onnx)).tensor("w").shape(), (Shape{2, 3}));
}

TEST_F(HostileWeights, FilesOfNoFormat) {
  expect_refused({{"empty", "", "of no format"},
                  {"a byte", "G", "of no format"},
                  {"text", "these are no weights", "of no format"},
                  {"an ELF program",
                   "\x7f"
                   "ELF\x02\x01\x01",
                   "of no format"},
                  {"zeros", std::string(4096, '\0'), "of no format"}});
  EXPECT_THROW(open_weights(folder_.path() / "none"), IoError);
  EXPECT_THROW(open_weights(folder_.path()), IoError);
  EXPECT_THROW(open_weights("/dev/zero"), IoError);
}

TEST_F(HostileWeights, PickleThatWantsMoreThanToBeRead) {
  const auto weights = [](const std::string& value) { return torch_zip(pickle_of("}(" + pickled("a") + value + "u")); };
  const std::string call = "(" + pickled("touch /tmp/executed") + "tR";
  const std::string object = ")\x81";
  expect_refused({
      {"os.system", weights(pickled_global("os", "system") + call), "the global 'os.system' is not one"},
      {"posix.system", weights(pickled_global("posix", "system") + call), "the global 'posix.system'"},
      {"builtins.eval", weights(pickled_global("builtins", "eval") + call), "the global 'builtins.eval'"},
      {"__builtin__.exec", weights(pickled_global("__builtin__", "exec") + call), "the global '__builtin__.exec'"},
      {"subprocess.Popen", weights(pickled_global("subprocess", "Popen") + call), "the global 'subprocess.Popen'"},
      {"torch.load", weights(pickled_global("torch", "load") + call), "the global 'torch.load'"},
      {"torch._utils.other", weights(pickled_global("torch._utils", "_import_dotted_name") + call),
       "_import_dotted_name"},
      {"numpy", weights(pickled_global("numpy.core.multiarray", "_reconstruct") + call), "numpy.core.multiarray"},
      {"a global of the stack", weights(pickled("os") + pickled("system") + "\x93" + call), "the global 'os.system'"},
      {"a name of dots", weights(pickled("collections") + pickled("OrderedDict.fromkeys") + "\x93" + call), "fromkeys"},
      {"NEWOBJ", weights(pickled_global("collections", "OrderedDict") + object), "opcode NEWOBJ"},
      {"INST", weights("(ios\nsystem\n"), "opcode INST"},
      {"OBJ", weights("(" + pickled_global("collections", "OrderedDict") + "o"), "opcode OBJ"},
      {"EXT1", weights("\x82\x01"), "opcode EXT"},
      {"PERSID", weights("Pstorage\n"), "opcode PERSID"},
      {"a call of a text", weights(pickled("system") + ")R"), "it calls a text"},
      {"a call of a storage class", weights(pickled_global("torch", "FloatStorage") + ")R"),
       "no function that makes a tensor"},
      {"BUILD on a tensor", weights(pickled(PickledTensor{}) + "}b"), "a dictionary is needed"},
  });
  EXPECT_FALSE(std::filesystem::exists("/tmp/executed"));
}

TEST_F(HostileWeights, PickleThatIsNone) {
  const auto zip = [](const std::string& pickle) { return torch_zip(pickle); };
  const auto lists = [](int depth) {
    std::string opcodes(static_cast<size_t>(depth), ']');
    return opcodes + std::string(static_cast<size_t>(depth - 1), 'a');
  };
  expect_refused({
      {"nothing", zip(""), "needs 1 bytes, but 0 are left"},
      {"no end", zip("\x80\x02}"), "needs 1 bytes, but 0 are left"},
      {"protocol 6", zip("\x80\x06}."), "protocol 6"},
      {"an empty stack", zip("\x80\x02."), "empty stack"},
      {"values left", zip("\x80\x02}}."), "values are left"},
      {"a mark left", zip("\x80\x02(}."), "values are left"},
      {"no mark", zip("\x80\x02t."), "there is no mark"},
      {"a mark between", zip("\x80\x02](a."), "empty stack"},
      {"an opcode of none", zip("\x80\x02\xff."), "0xff is no opcode"},
      {"a text longer than the file", zip(Bytes().add("\x80\x02X").u32(0xffffffff).add("a").str()),
       "needs 4294967295 bytes"},
      {"a memo that is empty", zip("\x80\x02h\x05."), "takes value 5, which was not put aside"},
      {"a key alone", zip("\x80\x02}(" + pickled("a") + "u."), "a key without a value"},
      {"items of a number", zip("\x80\x02K\x01(" + pickled_twice("a") + "u."), "a dictionary is needed"},
      {"a frame longer than the file", zip(Bytes().add("\x80\x04\x95").u64(1u << 30).add("}.").str()), "a frame of"},
      {"a number of a line", zip("\x80\x02I5\n."), "opcode INT"},
      {"bytes behind it", zip(pickled_weights() + "x"), "1 bytes follow the pickle"},
      {"a name without an end",
       zip("\x80\x02"
           "c" +
           std::string(1000, 'x') + "."),
       "a name of more than 256 bytes"},
      {"a list of lists of lists", zip(pickle_of(lists(100000))), "not a dictionary"},
      {"a tensor at the top", zip(pickle_of(pickled(PickledTensor{}))), "holds a tensor, not a dictionary"},
  });
  expect_refused({{"deep", zip(pickle_of("}(" + pickled("a") + lists(1000) + "u")), "dictionaries deep"}});
}

// One tensor in 8 to the power of 8 places of a pickle of a few hundred bytes.
TEST_F(HostileWeights, PickleOfManyPlaces) {
  const auto put = [](uint8_t number) { return Bytes().add("q").u8(number).str(); };
  const auto get = [](uint8_t number) { return Bytes().add("h").u8(number).str(); };
  std::string dictionaries = "}(" + pickled("a") + pickled(PickledTensor{}) + "u" + put(0);
  for (uint8_t level = 0; level < 8; ++level) {
    dictionaries += "}(";
    for (char key = 'a'; key < 'i'; ++key) dictionaries += pickled(std::string(1, key)) + get(level);
    dictionaries += "u" + put(static_cast<uint8_t>(level + 1));
  }
  const std::string pickle = pickle_of("}(" + pickled("all") + "(" + dictionaries + "tu");
  expect_refused({{"many places", torch_zip(pickle), "more than 262144 values"}});
}

TEST_F(HostileWeights, TensorThatLeavesItsStorage) {
  const auto zip = [](const PickledTensor& tensor) { return torch_zip(pickled_weights(tensor)); };
  expect_refused({
      {"too many elements", zip({.sizes = {3, 3}}), "it has 9 elements, more than its storage, which has 6"},
      {"an offset", zip({.offset = 1}), "last element is number 6"},
      {"an offset far away", zip({.offset = 1 << 30}), "offset 1073741824 is outside"},
      {"a negative offset", zip({.offset = -1}), "offset -1 is outside"},
      {"a stride", zip({.strides = {4, 1}}), "last element is number 6"},
      {"a negative stride", zip({.strides = {-3, 1}}), "a stride of -3"},
      {"a negative size", zip({.sizes = {-2, 3}}), "a size of -2"},
      {"fewer strides", zip({.strides = {1}}), "1 strides for 2 sizes"},
      {"sizes beyond 64 bits", zip({.sizes = {1 << 30, 1 << 30, 1 << 30}, .strides = {0, 0, 0}}), "overflows 64 bits"},
      {"one element everywhere", zip({.sizes = {1 << 30}, .strides = {0}}), "more than its storage"},
      {"no such storage", zip({.key = "1"}), "its storage '1' is not in the file"},
      {"a storage by a path", zip({.key = "../version"}), "is not in the file"},
      {"a longer storage", zip({.count = 7}), "has 7 elements of 4 bytes in the pickle and 24 bytes in the file"},
      {"a shorter storage", zip({.sizes = {1, 3}, .count = 5}), "has 5 elements"},
      {"a storage of wider elements", zip({.storage_class = "DoubleStorage"}), "elements of 8 bytes"},
      {"an unknown storage class", zip({.storage_class = "OddStorage"}), "the global 'torch.OddStorage'"},
      {"complex numbers", zip({.sizes = {3}, .strides = {1}, .count = 3, .storage_class = "ComplexFloatStorage"}),
       "has the elements torch.ComplexFloatStorage, which qing does not have"},
      {"a stream's storage that is longer", torch_stream(pickled_weights(), 7),
       "has 7 elements, but its tensors say 6"},
      {"a stream's storage that is cut", torch_stream(pickled_weights({.sizes = {9}, .strides = {1}, .count = 9}), 9),
       "reaches beyond the end"},
      {"a stream's storage of no tensor", torch_stream(pickled_weights(), 6, "](" + pickled("7") + "e"),
       "that no tensor has"},
      {"bytes behind a stream", torch_stream() + "x", "1 bytes follow the last storage"},
      {"a big-endian archive", torch_zip(pickled_weights(), "big"), "the byte order 'big'"},
  });
}

TEST_F(HostileWeights, ArchiveThatContradictsItself) {
  const std::string pickle = pickled_weights(), good = torch_zip();
  const size_t end = good.size() - 22;
  const auto u32 = [](uint32_t v) { return Bytes().u32(v).str(); };
  const auto u16 = [](uint16_t v) { return Bytes().u16(v).str(); };
  uint32_t directory = 0;
  std::memcpy(&directory, good.data() + end + 16, sizeof directory);
  expect_refused({
      {"only the magic number", "PK\x03\x04", "no directory at its end"},
      {"cut", good.substr(0, good.size() - 1), "no directory at its end"},
      {"no data.pkl", zip_of({{"model/version", "3"}}), "no member data.pkl"},
      {"two data.pkl", zip_of({{"a/data.pkl", pickle}, {"b/data.pkl", pickle}}), "two members data.pkl"},
      {"a name twice", zip_of({{"a/data.pkl", pickle}, {"a/data.pkl", pickle}}), "is in the directory twice"},
      {"compressed", zip_of({{"a/data.pkl", pickle, 8}}), "is compressed (method 8)"},
      {"encrypted", zip_of({{"a/data.pkl", pickle, 0, 1}}), "is encrypted"},
      {"more entries", with(with(good, end + 8, u16(9)), end + 10, u16(9)), "needs 4 bytes"},
      {"fewer entries", with(with(good, end + 8, u16(1)), end + 10, u16(1)), "follow the 1 entries"},
      {"a directory beyond the end", with(good, end + 16, u32(0x7fffffff)), "the directory is at byte 2147483647"},
      {"a zip64 directory without a locator", with(good, end + 16, u32(0xffffffff)), "zip64 locator is missing"},
      {"several disks", with(good, end + 4, u16(1)), "several parts"},
      {"a member beyond the end", with(good, directory + 42, u32(0x7ffffff0)), "the header of member 'model/data.pkl'"},
      {"a member at another", with(good, directory + 42, u32(1)), "there is no header of member"},
      {"a longer member", with(with(good, directory + 20, u32(1 << 20)), directory + 24, u32(1 << 20)),
       "reaches into the directory"},
      {"a stored size of its own", with(good, directory + 20, u32(3)), "is stored and has"},
      {"a changed pickle", with(good, good.find("storage"), "sTorage"), "does not have its checksum"},
  });
}

TEST_F(HostileWeights, GgufThatContradictsItself) {
  const auto tensor = [](const GgufTensor& t) { return GgufBytes{.tensors = {t}}.str(); };
  const auto value = [](const std::string& v) { return GgufBytes{.values = {v}}.str(); };
  const std::string key = Bytes().text("k").str();
  expect_refused({
      {"version 1", GgufBytes{.version = 1}.str(), "version 1; 2 and 3 are read"},
      {"version 4", GgufBytes{.version = 4}.str(), "version 4"},
      {"big-endian", GgufBytes{.version = 0x03000000}.str(), "big-endian"},
      {"tensors that are not there", GgufBytes{.more_tensors = 1ull << 60}.str(), "(is it cut?)"},
      {"values that are not there", GgufBytes{.more_values = 1ull << 60}.str(), ""},
      {"a key longer than the file", value(Bytes().u64(1ull << 62).add("k").str()), "a key at byte"},
      {"a text longer than the file", value(key + Bytes().u32(8).u64(~0ull).str()), "a text at byte"},
      {"a key twice", GgufBytes{.values = {gguf_number("k", 1), gguf_number("k", 2)}}.str(),
       "the key 'k' is there twice"},
      {"an unknown type", value(key + Bytes().u32(77).str()), "the unknown type 77"},
      {"an array longer than the file", value(key + Bytes().u32(9).u32(4).u64(1ull << 61).str()), "(is it cut?)"},
      {"texts longer than the file", value(key + Bytes().u32(9).u32(8).u64(1ull << 58).str()), "(is it cut?)"},
      {"an array of arrays", value(key + Bytes().u32(9).u32(9).u64(1).str()), "array of arrays"},
      {"an array of an unknown type", value(key + Bytes().u32(9).u32(13).u64(1).str()), "the unknown type 13"},
      {"an alignment of 0", value(gguf_number("general.alignment", 0)), "no power of 2"},
      {"an alignment of 24", value(gguf_number("general.alignment", 24)), "no power of 2"},
      {"an alignment of text", value(gguf_text("general.alignment", "32")), "no power of 2"},
      {"five dimensions", tensor({.dims = {2, 2, 2, 2, 2}}), "5 dimensions"},
      {"a size of 0", tensor({.dims = {0, 2}}), "its size 0"},
      {"sizes beyond 64 bits", tensor({.dims = {1ull << 40, 1ull << 40}}), "more than 64 bits"},
      {"bytes beyond 64 bits", tensor({.dims = {1ull << 62}}), "reaches beyond"},
      {"an unknown type of elements", tensor({.type = 99}), "the unknown type 99"},
      {"Q6_K", tensor({.dims = {256}, .type = 14}), "has the type Q6_K"},
      {"IQ4_XS", tensor({.dims = {256}, .type = 23}), "has the type IQ4_XS"},
      {"a row that is no block", tensor({.dims = {16, 2}, .type = 2}), "no whole blocks of 32"},
      {"an offset beyond the end", tensor({.offset = 512}), "reaches beyond their 256 bytes"},
      {"an offset of 64 bits", tensor({.offset = ~0ull - 31}), "reaches beyond"},
      {"an offset that is not aligned", tensor({.dims = {2}, .offset = 4}), "no multiple of the alignment"},
      {"an overlap", GgufBytes{.tensors = {{.name = "a"}, {.name = "b", .dims = {8}, .offset = 32}}}.str(),
       "overlaps the one before it"},
      {"a name twice", GgufBytes{.tensors = {{.dims = {8}}, {.dims = {8}, .offset = 32}}}.str(),
       "two tensors have the name 'a'"},
  });
}

TEST_F(HostileWeights, GgufThatIsNoEncoder) {
  const auto gguf = [](const std::vector<std::string>& values) { return GgufBytes{.values = values}.str(); };
  const std::string bert = gguf_text("general.architecture", "bert");
  expect_refused({{"no architecture", gguf({}), "'general.architecture' is missing"},
                  {"an architecture of a number", gguf({gguf_number("general.architecture", 3)}), "is no text"},
                  {"llama", gguf({gguf_text("general.architecture", "llama")}), "the architecture 'llama'"},
                  {"no sizes", gguf({bert}), "'bert.block_count' is missing"},
                  {"layers without tensors", gguf({bert, gguf_number("bert.block_count", 1 << 30)}),
                   "1073741824 layers, but 1 tensors"},
                  {"another tensor", gguf({bert, gguf_number("bert.block_count", 1)}), "1 layers, but 1 tensors"}},
                 true);
}

TEST_F(HostileWeights, E5s1ThatContradictsItself) {
  expect_refused({
      {"version 2", E5s1Bytes{.version = 2}.str(), "version 2; 1 is read"},
      {"a width of 0", E5s1Bytes{.width = 0}.str(), "the width is 0"},
      {"a negative number of layers", E5s1Bytes{.layers = -1}.str(), "the number of layers is -1"},
      {"layers without tensors", E5s1Bytes{.layers = 1 << 20}.str(), "1048576 layers have"},
      {"heads that do not divide", E5s1Bytes{.heads = 3}.str(), "a width of 32 for 3 heads"},
      {"widths of no blocks", E5s1Bytes{.inner = 33}.str(), "no whole blocks"},
      {"blocks of 64", E5s1Bytes{.block = 64}.str(), "blocks of 64 elements"},
      {"an epsilon of 2", E5s1Bytes{.eps = 2}.str(), "epsilon"},
      {"more pieces than the vocabulary", E5s1Bytes{.pieces = 6}.str(), "6 pieces for a vocabulary of 5"},
      {"an id of no piece", E5s1Bytes{.unk = 4}.str(), "the id 4 is of no piece"},
      {"a piece beyond the texts", E5s1Bytes{.ends = {0, 1, 2, 3, 99}}.str(), "piece 3 goes from 3 to 99"},
      {"a piece that ends before it begins", E5s1Bytes{.ends = {0, 3, 2, 3, 4}}.str(), "piece 1 goes from 3 to 2"},
      {"a piece of no UTF-8",
       E5s1Bytes{.texts = "ab\xff"
                          "d"}
           .str(),
       "piece 2 is not UTF-8"},
      {"a score that is no number", E5s1Bytes{.score = NAN}.str(), "the score of piece 0 is not finite"},
      {"replacements that are not there", E5s1Bytes{.replacement_count = 9}.str(), "a character at byte"},
      {"a negative number of replacements", E5s1Bytes{.replacement_count = -1}.str(), "follow the -1 replacements"},
      {"a character beyond Unicode", E5s1Bytes{.replacements = Bytes().u32(0x110000).u8(0).str()}.str(),
       "is no character"},
      {"half a surrogate", E5s1Bytes{.replacements = Bytes().u32(9).u8(1).u32(0xd800).str()}.str(), "is no character"},
      {"replacements out of order",
       E5s1Bytes{.replacement_count = 2, .replacements = Bytes().u32(9).u8(0).u32(9).u8(0).str()}.str(),
       "not in its place"},
      {"an unknown tensor", E5s1Bytes{.first_name = "emb.wild"}.str(), "none of this encoder"},
      {"a matrix in floats", E5s1Bytes{.first_kind = 0}.str(), "none of this encoder"},
      {"a kind of none", E5s1Bytes{.first_kind = 7}.str(), "of kind 7"},
      {"a tensor twice", E5s1Bytes{.first_name = "l0.q.w"}.str(), ""},
      {"more bytes", E5s1Bytes{.more_bytes = 18}.str(), "its shape"},
      {"an overlap", E5s1Bytes{.more_offset = 18}.str(), "overlaps what ends at byte"},
      {"a tensor on the head", E5s1Bytes{.more_offset = ~0ull - 99}.str(), ""},
      {"more tensors", E5s1Bytes{.more_tensors = 1}.str(), "22 tensors"},
  });
}

TEST_F(HostileWeights, OnnxThatContradictsItself) {
  const auto tensor = [](const std::string& t) { return onnx_of(onnx_initializer(t)); };
  const auto external = [&](std::string_view location, const std::string& more = {}) {
    return tensor(onnx_tensor("w", {2}, field(13, field(1, "location") + field(2, location)) + more + field(14, 1)));
  };
  folder_.write("short.bin", "1234");
  std::filesystem::create_symlink("/etc/passwd", folder_.path() / "link.bin");
  std::filesystem::create_directory(folder_.path() / "in");
  expect_refused({
      {"no graph", field(1, 8) + field(2, "pytorch"), "it has no graph"},
      {"two graphs", field(1, 8) + field(7, "") + field(7, ""), "a second graph"},
      {"a graph longer than the file", field(1, 8) + "\x3a\xff\xff\xff\x7f", "a field at byte"},
      {"a number without an end", field(1, 8) + std::string(12, '\xff'), "more than 10 bytes"},
      {"a group", field(1, 8) + "\x3b", "the wire type 3"},
      {"a field 0", field(1, 8) + std::string("\x02\x01", 2), "a field without a number"},
      {"a graph that is a number", field(1, 8) + field(7, 5), "is no message"},
      {"less data", tensor(onnx_tensor("w", {2, 3}, onnx_floats(5))), "20 bytes of data, but its shape takes 24"},
      {"more data", tensor(onnx_tensor("w", {2, 3}, onnx_floats(7))), "28 bytes of data"},
      {"no data", tensor(onnx_tensor("w", {2, 3}, "")), "0 elements, but its shape has 6"},
      {"data twice", tensor(onnx_tensor("w", {2}, onnx_floats(2) + onnx_floats(2))), "in several pieces"},
      {"data in two fields", tensor(onnx_tensor("w", {1}, field(5, 1) + onnx_floats(1))), "in two fields"},
      {"a negative size", tensor(onnx_tensor("w", {~0ull}, onnx_floats(1))), "a size of -1"},
      {"sizes beyond 64 bits", tensor(onnx_tensor("w", {1ull << 40, 1ull << 40}, onnx_floats(1))), "overflows 64 bits"},
      {"sizes beyond the memory", tensor(onnx_tensor("w", {1ull << 40}, onnx_floats(1))), "4 bytes of data"},
      {"65 dimensions", tensor(onnx_tensor("w", std::vector<uint64_t>(65, 1), onnx_floats(1))),
       "more than 64 dimensions"},
      {"an unknown type", tensor(onnx_tensor("w", {1}, onnx_floats(1), 99)), "the unknown type 99"},
      {"texts", tensor(onnx_tensor("w", {1}, field(6, "x"), 8)), "a tensor of texts"},
      {"FLOAT8E4M3FN", tensor(onnx_tensor("w", {4}, onnx_floats(1), 17)), "has the type FLOAT8E4M3FN"},
      {"UINT4", tensor(onnx_tensor("w", {8}, onnx_floats(1), 21)), "has the type UINT4"},
      {"a sparse initializer", onnx_of(field(15, "")), "a sparse initializer"},
      {"a name twice",
       onnx_of(onnx_initializer(onnx_tensor("w", {1}, onnx_floats(1))) +
               onnx_initializer(onnx_tensor("w", {1}, onnx_floats(1)))),
       "two initializers have the name 'w'"},
      {"external data above", external("../secret.bin"), "outside the model's folder"},
      {"external data above, later", external("in/../../secret.bin"), "outside the model's folder"},
      {"external data by a root", external("/etc/passwd"), "outside the model's folder"},
      {"external data by a link", external("link.bin"), "outside the model's folder"},
      {"external data with a zero byte", external(std::string_view("short.bin\0x", 11)), "outside the model's folder"},
      {"external data of no place", tensor(onnx_tensor("w", {2}, field(14, 1))), "nothing says in which"},
      {"external data that are short", external("short.bin"),
       "its 8 bytes at byte 0 of 'short.bin' reach beyond the end at 4"},
      {"external data from beyond",
       external("short.bin", field(13, field(1, "offset") + field(2, "18446744073709551615"))), "reach beyond the end"},
      {"an offset of text", external("short.bin", field(13, field(1, "offset") + field(2, "-1"))), "is no number"},
      {"two locations", external("short.bin", field(13, field(1, "location") + field(2, "b"))),
       "two values of 'location'"},
  });
  const auto gone = write(external("gone.bin"));
  EXPECT_NE(message_of<IoError>([&] { open_weights(gone); }).find("gone.bin"), std::string::npos);
}

int64_t mappings_of(std::string_view name) {
  std::ifstream maps("/proc/self/maps");
  int64_t count = 0;
  for (std::string line; std::getline(maps, line);) count += line.ends_with(name) ? 1 : 0;
  return count;
}

TEST_F(HostileWeights, AFileOfExternalDataIsMappedOnce) {
  folder_.write("many.bin", std::string(64, '\0'));
  std::string initializers;
  for (int i = 0; i < 8; ++i) {
    const std::string place = field(13, field(1, "location") + field(2, "many.bin")) +
                              field(13, field(1, "offset") + field(2, std::to_string(8 * i)));
    initializers += onnx_initializer(onnx_tensor("w" + std::to_string(i), {2}, place + field(14, 1)));
  }
  const WeightsFile weights = open_weights(write(onnx_of(initializers)));
  ASSERT_EQ(weights.state().size(), 8U);
  EXPECT_EQ(mappings_of("/many.bin"), 1);
}

TEST_F(HostileWeights, OnnxThatIsNoEncoder) {
  const std::string table = onnx_initializer(onnx_tensor("table", {5, 4}, onnx_floats(20)));
  const std::string ids = onnx_input("input_ids") + table;
  const std::string words = onnx_node("Gather", {"table", "input_ids"}, {"words"});
  std::string many;
  for (int i = 0; i < 70000; ++i) many += field(1, "");
  std::string identities = ids + onnx_node("Identity", {"input_ids"}, {"v0"});
  for (int i = 0; i < 60000; ++i)
    identities += onnx_node("Identity", {fmt::format("v{}", i)}, {fmt::format("v{}", i + 1)});
  expect_refused({{"nothing", onnx_of(""), "no embeddings are looked up"},
                  {"no ids", onnx_of(table + words), "which nothing before it makes"},
                  {"a circle", onnx_of(ids + onnx_node("Add", {"a", "b"}, {"b"}) + onnx_node("Add", {"b", "a"}, {"a"})),
                   "which nothing before it makes"},
                  {"a value twice", onnx_of(ids + words + words), "which is there already"},
                  {"words alone", onnx_of(ids + words), "not added up and normalised"},
                  {"an operation of a runtime",
                   onnx_of(ids + onnx_node("EmbedLayerNormalization", {"input_ids"}, {"x"}, field(7, "com.microsoft"))),
                   "the operation 'EmbedLayerNormalization'"},
                  {"an If", onnx_of(ids + onnx_node("If", {"input_ids"}, {"x"}) + words), "not added up"},
                  {"too many nodes", onnx_of(many), "more than 65536 nodes"},
                  {"a chain of nodes", onnx_of(identities), "no embeddings are looked up"}},
                 true);
}

TEST_F(HostileWeights, DamageIsSurvived) {
  survive_opening(torch_zip());
  survive_opening(torch_stream());
  survive_opening(GgufBytes{.values = {gguf_text("general.name", "x"), gguf_number("n", 3)}}.str());
  survive_opening(E5s1Bytes{}.str());
  survive(E5s1Bytes{}.str(), [&] { import_encoder(folder_.path() / "weights"); });
  survive_opening(onnx_of(onnx_initializer(onnx_tensor("w", {2, 3}, onnx_floats(6)))));
}

}  // namespace
}  // namespace qing::nn
