#include <qing/nn/formats/unpickler.h>

#include <fmt/format.h>

#include <bit>
#include <unordered_map>
#include <utility>
#include <vector>

#include <qing/nn/formats/torch_globals.h>

namespace qing::nn {
namespace {

using Ref = PickleValue::Ref;
using Kind = PickleKind;

enum Opcode : uint8_t {
  kMark = '(',
  kStop = '.',
  kNone = 'N',
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kLong1 = 0x8a,
  kBinFloat = 'G',
  kShortBinString = 'U',
  kBinUnicode = 'X',
  kShortBinUnicode = 0x8c,
  kEmptyTuple = ')',
  kTuple = 't',
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kEmptyList = ']',
  kAppend = 'a',
  kAppends = 'e',
  kEmptyDict = '}',
  kSetItem = 's',
  kSetItems = 'u',
  kGlobal = 'c',
  kStackGlobal = 0x93,
  kReduce = 'R',
  kBuild = 'b',
  kBinPersId = 'Q',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kMemoize = 0x94,
  kProto = 0x80,
  kFrame = 0x95,
};

// Opcodes of the pickle language that no file of weights needs.
const char* refused_opcode(uint8_t opcode) {
  switch (opcode) {
    case 'i': return "INST, which makes an object";
    case 'o': return "OBJ, which makes an object";
    case 0x81: return "NEWOBJ, which makes an object";
    case 0x92: return "NEWOBJ_EX, which makes an object";
    case 0x82:
    case 0x83:
    case 0x84: return "EXT, a global of a registry";
    case 'P': return "PERSID, a persistent id in a line of text";
    case '0': return "POP";
    case '1': return "POP_MARK";
    case '2': return "DUP";
    case 'I': return "INT, a number in a line of text";
    case 'L': return "LONG, a number in a line of text";
    case 'F': return "FLOAT, a number in a line of text";
    case 'S': return "STRING, a text in a line";
    case 'V': return "UNICODE, a text in a line";
    case 'T': return "BINSTRING";
    case 'B':
    case 'C':
    case 0x8e: return "BINBYTES";
    case 0x8b: return "LONG4";
    case 0x8d: return "BINUNICODE8";
    case 'd': return "DICT";
    case 'l': return "LIST";
    case 'p': return "PUT, a number in a line of text";
    case 'g': return "GET, a number in a line of text";
    case 0x8f: return "EMPTY_SET";
    case 0x90: return "ADDITEMS";
    case 0x91: return "FROZENSET";
    case 0x96: return "BYTEARRAY8";
    case 0x97:
    case 0x98: return "NEXT_BUFFER, data outside the pickle";
    default: return nullptr;
  }
}

class Machine {
 public:
  Machine(ByteCursor& cursor, PickleValues& values) : cursor_(cursor), values_(values), start_(cursor.place()) {}

  Ref run() {
    for (;;) {
      place_ = cursor_.place();
      if (place_ - start_ > kMaxPickleBytes) {
        cursor_.faults().unsupported(fmt::format("a pickle of more than {} bytes", kMaxPickleBytes));
      }
      const auto opcode = cursor_.number<uint8_t>("an opcode of the pickle");
      if (opcode == kStop) return finish();
      step(opcode);
    }
  }

 private:
  PicklePlace here() const { return {&cursor_.faults(), place_}; }
  [[noreturn]] void fail(std::string_view what) const { here().fail(what); }

  Ref finish() {
    const Ref value = pop();
    if (!stack_.empty() || !marks_.empty()) fail("values are left when it ends");
    return value;
  }

  void step(uint8_t opcode) {
    switch (opcode) {
      case kProto: return read_protocol();
      case kFrame: return read_frame();
      case kMark: return marks_.push_back(stack_.size());
      case kNone: return push({});
      case kNewTrue: return push({.kind = Kind::boolean, .integer = 1});
      case kNewFalse: return push({.kind = Kind::boolean, .integer = 0});
      case kBinInt: return push_integer(cursor_.number<int32_t>("a number"));
      case kBinInt1: return push_integer(cursor_.number<uint8_t>("a number"));
      case kBinInt2: return push_integer(cursor_.number<uint16_t>("a number"));
      case kLong1: return push_long(cursor_.take(cursor_.number<uint8_t>("a length"), "a number"));
      case kBinFloat: return push_real();
      case kShortBinString:
      case kShortBinUnicode: return push_text(cursor_.number<uint8_t>("a length"));
      case kBinUnicode: return push_text(cursor_.number<uint32_t>("a length"));
      case kEmptyTuple: return push({.kind = Kind::tuple});
      case kTuple: return push({.kind = Kind::tuple, .items = pop_to_mark()});
      case kTuple1: return push_tuple(1);
      case kTuple2: return push_tuple(2);
      case kTuple3: return push_tuple(3);
      case kEmptyList: return push({.kind = Kind::list});
      case kAppend: return append({pop()});
      case kAppends: return append(pop_to_mark());
      case kEmptyDict: return push({.kind = Kind::dict});
      case kSetItem: return set_items(pop_many(2));
      case kSetItems: return set_items(pop_to_mark());
      case kGlobal: return push_global_of_lines();
      case kStackGlobal: return push_global_of_stack();
      case kReduce: return reduce();
      case kBuild: return build();
      case kBinPersId: return push(torch_storage(values_, pop(), here()));
      case kBinGet: return get(cursor_.number<uint8_t>("a number"));
      case kLongBinGet: return get(cursor_.number<uint32_t>("a number"));
      case kBinPut: return put(cursor_.number<uint8_t>("a number"));
      case kLongBinPut: return put(cursor_.number<uint32_t>("a number"));
      case kMemoize: return put(static_cast<uint32_t>(memo_.size()));
      default: refuse(opcode);
    }
  }

  [[noreturn]] void refuse(uint8_t opcode) const {
    const char* const name = refused_opcode(opcode);
    if (name == nullptr) fail(fmt::format("0x{:02x} is no opcode", opcode));
    fail(fmt::format("opcode {} is not one that a file of weights needs; it is not executed", name));
  }

  void read_protocol() {
    const auto version = cursor_.number<uint8_t>("a protocol");
    if (version > 5) fail(fmt::format("protocol {}; 5 is the highest known", version));
  }
  void read_frame() {
    const auto length = cursor_.number<uint64_t>("a frame");
    if (length > cursor_.left()) fail(fmt::format("a frame of {} bytes, but {} are left", length, cursor_.left()));
  }

  void push_ref(Ref ref) { stack_.push_back(ref); }
  void push(PickleValue value) {
    if (values_.size() >= kMaxPickleValues) {
      cursor_.faults().unsupported(fmt::format("a pickle of more than {} values", kMaxPickleValues));
    }
    push_ref(values_.add(std::move(value)));
  }
  void push_integer(int64_t value) { push({.kind = Kind::integer, .integer = value}); }
  // Two's complement, little-endian, of as many bytes as it takes.
  void push_long(std::string_view bytes) {
    if (bytes.size() > 8) return push({.kind = Kind::big_integer, .text = bytes});
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.size(); ++i) { value |= uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i); }
    const size_t unused = 64 - 8 * bytes.size();
    push_integer(bytes.empty() ? 0 : static_cast<int64_t>(value << unused) >> unused);
  }
  void push_real() {  // big-endian, unlike all else
    const auto bits = __builtin_bswap64(cursor_.number<uint64_t>("a number"));
    push({.kind = Kind::real, .real = std::bit_cast<double>(bits)});
  }
  void push_text(uint64_t length) { push({.kind = Kind::text, .text = cursor_.take(length, "a text")}); }
  void push_tuple(size_t count) { push({.kind = Kind::tuple, .items = pop_many(count)}); }

  // An opcode may take only values above the last mark.
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  std::vector<Ref> pop_many(size_t count) {
    if (stack_.size() - floor() < count) fail("it takes a value from an empty stack");
    std::vector<Ref> taken(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return taken;
  }
  Ref pop() { return pop_many(1).front(); }
  std::vector<Ref> pop_to_mark() {
    if (marks_.empty()) fail("there is no mark");
    std::vector<Ref> taken = pop_many(stack_.size() - marks_.back());
    marks_.pop_back();
    return taken;
  }
  // The container that an opcode adds to. It stays on the stack.
  PickleValue& top(Kind kind) {
    if (stack_.size() == floor()) fail("it takes a value from an empty stack");
    PickleValue& value = values_[stack_.back()];
    if (value.kind != kind) fail(fmt::format("a {} is needed, there is a {}", name_of(kind), name_of(value.kind)));
    return value;
  }

  void append(const std::vector<Ref>& items) {
    auto& list = top(Kind::list).items;
    list.insert(list.end(), items.begin(), items.end());
  }
  void set_items(const std::vector<Ref>& items) {
    if (items.size() % 2 != 0) fail("a key without a value");
    auto& dict = top(Kind::dict).items;
    dict.insert(dict.end(), items.begin(), items.end());
  }

  std::string_view read_line() {
    std::string_view line;
    constexpr size_t kLongest = 256;
    ByteCursor ahead = cursor_;
    for (size_t length = 0; length < kLongest; ++length) {
      if (ahead.number<char>("a name") != '\n') continue;
      line = cursor_.take(length, "a name");
      cursor_.take(1, "the end of a line");
      return line;
    }
    fail(fmt::format("a name of more than {} bytes", kLongest));
  }
  void push_global_of_lines() {
    const std::string_view module = read_line(), name = read_line();
    push(torch_global(module, name, here()));
  }
  void push_global_of_stack() {
    const std::vector<Ref> names = pop_many(2);
    const PickleValue &module = values_[names[0]], &name = values_[names[1]];
    if (module.kind != Kind::text || name.kind != Kind::text) fail("the name of a global is no text");
    push(torch_global(module.text, name.text, here()));
  }
  void reduce() {
    const std::vector<Ref> call = pop_many(2);
    if (values_[call[0]].kind != Kind::global) {
      fail(fmt::format("it calls a {}, not a known function", name_of(values_[call[0]].kind)));
    }
    const PickleValue& arguments = values_[call[1]];
    if (arguments.kind != Kind::tuple) fail(fmt::format("the arguments of a call are a {}", name_of(arguments.kind)));
    TorchResult result = torch_call(values_, values_[call[0]].text, arguments.items, here());
    if (auto* made = std::get_if<PickleValue>(&result)) return push(std::move(*made));
    push_ref(std::get<Ref>(result));
  }
  // An OrderedDict's attributes, such as the _metadata of a state dictionary. Nothing reads them.
  void build() {
    pop();
    top(Kind::dict);
  }

  void get(uint32_t number) {
    const auto found = memo_.find(number);
    if (found == memo_.end()) fail(fmt::format("it takes value {}, which was not put aside", number));
    push_ref(found->second);
  }
  void put(uint32_t number) {
    if (stack_.size() == floor()) fail("it puts a value aside from an empty stack");
    memo_[number] = stack_.back();
  }

  ByteCursor& cursor_;
  PickleValues& values_;
  const uint64_t start_;
  uint64_t place_ = 0;  // of the opcode
  std::vector<Ref> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint32_t, Ref> memo_;
};

}  // namespace

void PicklePlace::fail(std::string_view what) const {
  faults->invalid(fmt::format("the pickle at byte {}: {}", byte, what));
}

const char* name_of(PickleKind kind) {
  switch (kind) {
    case Kind::none: return "None";
    case Kind::boolean: return "bool";
    case Kind::integer: return "integer";
    case Kind::big_integer: return "integer of more than 64 bits";
    case Kind::real: return "float";
    case Kind::text: return "text";
    case Kind::tuple: return "tuple";
    case Kind::list: return "list";
    case Kind::dict: return "dictionary";
    case Kind::global: return "global";
    case Kind::storage: return "storage";
    case Kind::tensor: return "tensor";
  }
  return "value";
}

Ref read_pickle(ByteCursor& cursor, PickleValues& values) { return Machine(cursor, values).run(); }

}  // namespace qing::nn
