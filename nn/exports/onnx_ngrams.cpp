// The n-grams of nn/text/ngrams.h from token ids. All integers are below 2^24: OpenVINO 2026.4 computes chains of
// integer operations in f32, which holds no larger ones exactly.
#include <algorithm>
#include <iterator>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include <qing/nn/exports/onnx_parts.h>
#include <qing/nn/fingerprint.h>
#include <qing/nn/text/ngrams.h>

namespace qing::nn {
namespace {

using Value = OnnxBuilder::Value;

// Marks of a word's beginning and end. No text contains them.
constexpr int64_t kOpen = 1, kClose = 2;
constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();
constexpr size_t kGrams = 3;  // lengths of each kind of n-gram

// FNV-1a of 64 bits (nn/fingerprint.h) in limbs of these numbers of bits, the lowest first: two halves of 32 bits. The
// prime is 2^40 + 435, and 2^40 moves a limb by three places and 8 bits.
constexpr int64_t kLimbBits[] = {12, 12, 8, 12, 12, 8};
constexpr size_t kLimbs = std::size(kLimbBits), kHalf = kLimbs / 2;
constexpr int64_t kPrimeLow = 435, kPrimeHigh = 256;

std::vector<int64_t> offset_basis() {
  std::vector<int64_t> limbs;
  uint64_t rest = kFnvOffsetBasis;
  for (const int64_t bits : kLimbBits) {
    limbs.push_back(static_cast<int64_t>(rest & ((uint64_t{1} << bits) - 1)));
    rest >>= bits;
  }
  return limbs;
}

std::vector<Value> times_prime(OnnxBuilder& g, const std::vector<Value>& limbs) {
  std::vector<Value> result;
  Value carry;
  for (size_t i = 0; i < kLimbs; ++i) {
    Value sum = g.op("Mul", {limbs[i], g.number(kPrimeLow)});
    // The last limb of the lower half would move beyond 2^64.
    if (i >= kHalf && i + 1 < kLimbs) {
      sum = g.op("Add", {sum, g.op("Mul", {limbs[i - kHalf], g.number(kPrimeHigh)})});
    }
    if (i > 0) sum = g.op("Add", {sum, carry});
    const int64_t size = int64_t{1} << kLimbBits[i];
    carry = g.op("Div", {sum, g.number(size)});
    result.push_back(g.op("BitwiseAnd", {sum, g.number(size - 1)}));
  }
  return result;
}

// Bits 8 to 23 of a key are its bucket. The other bits and that of its kind distinguish the keys of a bucket.
// These bits spread the keys better than the highest ones.
struct KeyParts {
  Value bucket, rest;
};
// Without the kind. The key is the exclusive or of both halves of the hash.
KeyParts key_of(OnnxBuilder& g, const std::vector<Value>& limbs) {
  std::vector<Value> k;
  for (size_t i = 0; i < kHalf; ++i) k.push_back(g.op("BitwiseXor", {limbs[i], limbs[i + kHalf]}));
  const auto times = [&](const Value& x, int64_t factor) { return g.op("Mul", {x, g.number(factor)}); };
  return {.bucket = g.op("Add", {times(k[1], 16), g.op("Div", {k[0], g.number(256)})}),
          .rest = g.op("Add", {times(k[2], 256), g.op("BitwiseAnd", {k[0], g.number(0xFE)})})};
}
constexpr int64_t bucket_of(uint32_t key) { return key >> 8 & 0xFFFF; }
constexpr int32_t rest_of(uint32_t key) { return static_cast<int32_t>(key >> 24 << 8 | (key & 0xFF)); }

Value flat(OnnxBuilder& g, const Value& x) { return g.op("Reshape", {x, g.numbers({-1})}); }

}  // namespace

OnnxNgrams::OnnxNgrams(OnnxBuilder& graph, const ExportSource& source, const ExportVocabulary& vocabulary,
                       const Value& ids, const Value& valid)
    : graph_(graph), source_(source), ids_(ids), valid_(valid) {
  OnnxBuilder& g = graph_;
  const Value shape = g.op("Shape", {ids});
  texts_ = g.op("Gather", {shape, g.number(0)});
  const Value number = g.op("Range", {g.number(0), texts_, g.number(1)});
  text_ = flat(g, g.op("Expand", {g.op("Unsqueeze", {number, g.numbers({1})}), shape}));

  const Value rows = g.op("Where", {valid, ids, g.number(0)});
  const Value flags = g.cast(g.op("Gather", {g.constant(vocabulary.flags), rows}), OnnxType::i64);
  const auto has = [&](int64_t flag) {
    const Value bit = g.op("BitwiseAnd", {flags, g.number(flag)});
    return g.op("And", {valid, g.op("Equal", {bit, g.number(flag)})});
  };
  const auto columns = [&](const Value& x, int64_t from, int64_t to) {
    return g.op("Slice", {x, g.numbers({from}), g.numbers({to}), g.numbers({1})});
  };
  const Value nothing = g.op("And", {columns(valid, 0, 1), g.op("Not", {columns(valid, 0, 1)})});
  const auto beside = [&](const Value& a, const Value& b) { return g.op("Concat", {a, b}, {{"axis", int64_t{1}}}); };
  const auto except = [&](const Value& x) { return flat(g, g.op("And", {valid, g.op("Not", {x})})); };
  const Value continues = has(kPieceContinues);
  begins_ = except(g.op("And", {continues, beside(nothing, columns(valid, 0, -1))}));
  ends_ = except(beside(columns(continues, 1, kEnd), nothing));
  extra_ = flat(g, g.cast(has(kPieceExtra), OnnxType::i64));

  const Value pieces = g.cast(g.op("Gather", {g.constant(vocabulary.bytes), flat(g, rows)}), OnnxType::i64);
  const Value unmasked = g.op("Unsqueeze", {flat(g, g.cast(valid, OnnxType::i64)), g.numbers({1})});
  bytes_ = g.op("Mul", {pieces, unmasked});
  const Value lead = g.op("And", {is_lead(bytes_), g.op("Greater", {bytes_, g.number(0)})});
  characters_ = g.op("ReduceSum", {g.cast(lead, OnnxType::i64), g.numbers({1})}, {{"keepdims", int64_t{0}}});
}

Value OnnxNgrams::is_lead(const Value& byte) {
  const Value top = graph_.op("BitwiseAnd", {byte, graph_.number(0xC0)});
  return graph_.op("Not", {graph_.op("Equal", {top, graph_.number(0x80)})});
}

OnnxTokens OnnxNgrams::encoder_tokens() {
  OnnxBuilder& g = graph_;
  const Value word = g.op("CumSum", {g.cast(begins_, OnnxType::i64), g.number(0)});
  const Value zeros = g.op("Expand", {g.numbers({0}), g.op("Add", {g.op("Shape", {word}), g.numbers({1})})});
  const auto of_word = [&](const Value& x) {
    return g.op("ScatterElements", {zeros, word, x}, {{"axis", int64_t{0}}, {"reduction", std::string("add")}});
  };
  const Value too_long = g.op("Greater", {of_word(characters_), g.number(kMaxWordCharacters)});
  const Value unknown = g.op("Or", {g.op("Greater", {of_word(extra_), g.number(0)}), too_long});
  const Value shape = g.op("Shape", {ids_});
  const auto shaped = [&](const Value& x) { return g.op("Reshape", {x, shape}); };
  const Value of_token = shaped(g.op("Gather", {unknown, word}));
  const Value counts = g.op("Or", {shaped(begins_), g.op("Not", {of_token})});
  return {.ids = g.op("Where", {of_token, g.number(source_.tokenizer.unk_id()), ids_}),
          .kept = g.op("And", {valid_, counts})};
}

OnnxNgrams::Lanes OnnxNgrams::pieces() {
  OnnxBuilder& g = graph_;
  const auto column = [&](const Value& flag, int64_t mark) {
    return g.op("Unsqueeze", {g.op("Mul", {g.cast(flag, OnnxType::i64), g.number(mark)}), g.numbers({1})});
  };
  const Value marked = g.op("Concat", {column(begins_, kOpen), bytes_, column(ends_, kClose)}, {{"axis", int64_t{1}}});
  const Value places = g.op("NonZero", {marked});  // [2, codes]
  const Value codes = g.op("GatherND", {marked, g.op("Transpose", {places}, {{"perm", std::vector<int64_t>{1, 0}}})});
  const Value token = g.op("Gather", {places, g.number(0)});

  const Value first = flat(g, g.op("NonZero", {is_lead(codes)}));
  const Value tokens = g.op("Gather", {token, first});
  const Value word = g.op("Gather", {g.op("CumSum", {g.cast(begins_, OnnxType::i64), g.number(0)}), tokens});
  // A character outside ASCII that is a word has no pieces.
  const Value lead = g.op("Gather", {bytes_, g.number(0)}, {{"axis", int64_t{1}}});
  const Value single =
      g.op("And", {g.op("Equal", {characters_, g.number(1)}), g.op("GreaterOrEqual", {lead, g.number(0x80)})});
  const Value whole = g.op("And", {begins_, ends_});
  const Value has_pieces = g.op("Not", {g.op("Gather", {g.op("And", {whole, single}), tokens})});

  // An n-gram of n characters ends where the n-th character after its first begins.
  const Value end = g.op("Shape", {codes});
  const Value after = g.op("Concat", {first, end, end, end, end}, {{"axis", int64_t{0}}});
  const Value words = g.op("Concat", {word, g.numbers({-1, -1, -1, -1})}, {{"axis", int64_t{0}}});
  const auto moved = [&](const Value& x, int64_t by) {
    return g.op("Slice", {x, g.numbers({by}), g.numbers({by < 4 ? by - 4 : kEnd})});
  };
  Lanes lanes{.codes = {}, .first = first, .lasts = {}, .possible = {}, .text = g.op("Gather", {text_, tokens})};
  for (int64_t n = 2; n <= 4; ++n) {
    lanes.lasts.push_back(moved(after, n));
    lanes.possible.push_back(g.op("And", {g.op("Equal", {moved(words, n - 1), word}), has_pieces}));
  }
  const auto replaced = [&](const Value& x, int64_t mark, int64_t by) {
    return g.op("Where", {g.op("Equal", {x, g.number(mark)}), g.number(by), x});
  };
  lanes.codes = replaced(replaced(codes, kOpen, '<'), kClose, '>');
  return lanes;
}

OnnxNgrams::Lanes OnnxNgrams::words() {
  OnnxBuilder& g = graph_;
  const Value space = g.number(' ');
  const Value spaces = g.op("Unsqueeze", {g.op("Mul", {g.cast(ends_, OnnxType::i64), space}), g.numbers({1})});
  const Value spaced = g.op("Concat", {bytes_, spaces}, {{"axis", int64_t{1}}});
  const Value places = g.op("NonZero", {spaced});
  const Value codes = g.op("GatherND", {spaced, g.op("Transpose", {places}, {{"perm", std::vector<int64_t>{1, 0}}})});
  const Value token = g.op("Gather", {places, g.number(0)});

  const Value last = flat(g, g.op("NonZero", {g.op("Equal", {codes, space})}));
  const auto joined = [&](const Value& a, const Value& b) { return g.op("Concat", {a, b}, {{"axis", int64_t{0}}}); };
  const auto part = [&](const Value& x, int64_t from, int64_t to) {
    return g.op("Slice", {x, g.numbers({from}), g.numbers({to})});
  };
  // A word begins behind the space of the word before it. The last beginning is dropped: no word follows the last
  // space.
  const Value first = part(joined(g.numbers({0}), g.op("Add", {last, g.number(1)})), 0, -1);
  const Value text = g.op("Gather", {text_, g.op("Gather", {token, last})});
  const Value after = joined(last, g.numbers({0, 0})), texts = joined(text, g.numbers({-1, -1}));
  Lanes lanes{.codes = codes, .first = first, .lasts = {}, .possible = {}, .text = text};
  for (int64_t n = 0; n < static_cast<int64_t>(kGrams); ++n) {
    const int64_t to = n < 2 ? n - 2 : kEnd;
    lanes.lasts.push_back(part(after, n, to));
    lanes.possible.push_back(g.op("Equal", {part(texts, n, to), text}));
  }
  return lanes;
}

// The keys of all lanes, end to end for each of the three ends. The key of an impossible n-gram is unspecified.
OnnxNgrams::Keys OnnxNgrams::keys(const Lanes& lanes, const Value& steps, const std::string& names) {
  OnnxBuilder& g = graph_;
  OnnxBuilder body(names + ".");
  const std::vector<OnnxDimension> row{names};
  const auto state = [&](const std::string& name) { return body.input(names + "." + name, OnnxType::i64, row); };
  const Value step = body.input(names + ".step", OnnxType::i64, {});
  const Value go_on = body.input(names + ".go_on", OnnxType::boolean, {});
  std::vector<Value> limbs, before;
  for (size_t i = 0; i < kLimbs; ++i) limbs.push_back(state("limb" + std::to_string(i)));
  for (size_t n = 0; n < kGrams; ++n) {
    before.push_back(state("bucket" + std::to_string(n)));
    before.push_back(state("rest" + std::to_string(n)));
  }

  const Value codes = g.op("Concat", {lanes.codes, g.numbers({0})}, {{"axis", int64_t{0}}});
  const Value at = body.op("Add", {lanes.first, step});
  const Value code = body.op("Gather", {codes, body.op("Min", {at, g.op("Shape", {lanes.codes})})});
  limbs[0] = body.op("BitwiseXor", {limbs[0], code});
  limbs = times_prime(body, limbs);
  const KeyParts key = key_of(body, limbs);
  const Value next = body.op("Add", {at, body.number(1)});

  body.output(go_on, names + ".go_on_out", OnnxType::boolean, {});
  const auto hand_on = [&](const Value& value, size_t i) {
    body.output(value, names + ".out" + std::to_string(i), OnnxType::i64, row);
  };
  for (size_t i = 0; i < kLimbs; ++i) hand_on(limbs[i], i);
  for (size_t n = 0; n < kGrams; ++n) {
    const Value ends = body.op("Equal", {next, lanes.lasts[n]});
    hand_on(body.op("Where", {ends, key.bucket, before[2 * n]}), kLimbs + 2 * n);
    hand_on(body.op("Where", {ends, key.rest, before[2 * n + 1]}), kLimbs + 2 * n + 1);
  }

  const Value zeros = g.op("Mul", {lanes.first, g.number(0)});
  std::vector<Value> inputs{steps, g.cast(g.number(1), OnnxType::boolean)};
  for (const int64_t limb : offset_basis()) inputs.push_back(g.op("Add", {zeros, g.number(limb)}));
  inputs.insert(inputs.end(), before.size(), zeros);
  const std::vector<Value> last = g.ops("Loop", inputs, kLimbs + before.size(), {{"body", &body}});
  const auto joined = [&](size_t part) {
    std::vector<Value> parts;
    for (size_t n = 0; n < kGrams; ++n) parts.push_back(last[kLimbs + 2 * n + part]);
    return g.op("Concat", parts, {{"axis", int64_t{0}}});
  };
  return {.buckets = joined(0), .rests = joined(1)};
}

namespace {

// The head's tensors with its rows by bucket: rows starts[b] to starts[b + 1] are those of bucket b.
struct Buckets {
  Tensor starts;        // i32 [65537]
  Tensor rests;         // i32 [rows]
  Tensor idf, weight;   // f16 [rows], f16 [rows, labels]
  int64_t longest = 1;  // rows of the fullest bucket
};
Buckets buckets_of(const NgramHead& head) {
  constexpr int64_t kBuckets = 0x10000;
  const StateDict tensors = head.stored_tensors();
  const auto keys = tensors.at("keys").span<int32_t>();
  std::vector<int64_t> order(keys.size());
  std::iota(order.begin(), order.end(), 0);
  const auto bucket = [&](int64_t row) { return bucket_of(static_cast<uint32_t>(keys[static_cast<size_t>(row)])); };
  std::ranges::stable_sort(order, {}, bucket);

  Buckets result{.starts = Tensor::zeros({kBuckets + 1}, DType::i32),
                 .rests = Tensor::empty({head.table().size()}, DType::i32),
                 .idf = Tensor::empty(tensors.at("idf").shape(), DType::f16),
                 .weight = Tensor::empty(tensors.at("weight").shape(), DType::f16)};
  int32_t* const starts = result.starts.data<int32_t>();
  const int64_t labels = result.weight.size(1);
  for (size_t i = 0; i < order.size(); ++i) {
    const int64_t row = order[i];
    ++starts[bucket(row) + 1];
    result.rests.data<int32_t>()[i] = rest_of(static_cast<uint32_t>(keys[static_cast<size_t>(row)]));
    result.idf.data<Half>()[i] = tensors.at("idf").data<Half>()[row];
    std::copy_n(tensors.at("weight").data<Half>() + row * labels, labels,
                result.weight.data<Half>() + static_cast<int64_t>(i) * labels);
  }
  for (int64_t b = 0; b < kBuckets; ++b) {
    result.longest = std::max<int64_t>(result.longest, starts[b + 1]);
    starts[b + 1] += starts[b];
  }
  return result;
}

}  // namespace

Value OnnxNgrams::logits() {
  OnnxBuilder& g = graph_;
  const auto joined = [&](const std::vector<Value>& parts) { return g.op("Concat", parts, {{"axis", int64_t{0}}}); };
  std::vector<Value> all_buckets, all_rests, all_texts;
  for (const auto& [kind, lanes] : {std::pair<int64_t, Lanes>{0, pieces()}, {1, words()}}) {
    // An n-gram with a character that the vocabulary does not have is in no table.
    const Value lost = g.cast(g.op("Equal", {lanes.codes, g.number(kNoCharacter)}), OnnxType::i64);
    const Value before = joined({g.numbers({0}), g.op("CumSum", {lost, g.number(0)})});
    std::vector<Value> possible, lengths{g.numbers({0})};
    for (size_t n = 0; n < kGrams; ++n) {
      const Value same =
          g.op("Equal", {g.op("Gather", {before, lanes.first}), g.op("Gather", {before, lanes.lasts[n]})});
      possible.push_back(g.op("And", {lanes.possible[n], same}));
      const Value length = g.op("Sub", {lanes.lasts[n], lanes.first});
      lengths.push_back(g.op("Mul", {length, g.cast(possible[n], OnnxType::i64)}));
    }
    const Value steps = g.op("ReduceMax", {joined(lengths)}, {{"keepdims", int64_t{0}}});
    const Keys hashed = keys(lanes, steps, kind == 0 ? "pieces" : "words");
    const Value found = flat(g, g.op("NonZero", {joined(possible)}));
    all_texts.push_back(g.op("Gather", {joined({lanes.text, lanes.text, lanes.text}), found}));
    all_buckets.push_back(g.op("Gather", {hashed.buckets, found}));
    all_rests.push_back(g.op("Add", {g.op("Gather", {hashed.rests, found}), g.number(kind)}));
  }

  const Buckets table = buckets_of(*source_.ngrams);
  const int64_t rows = source_.ngrams->table().size(), labels = static_cast<int64_t>(source_.labels.size());
  const Value bucket = joined(all_buckets), rest = joined(all_rests), owner = joined(all_texts);
  const Value starts = g.constant(table.starts), rests = g.constant(table.rests);
  const auto start_of = [&](const Value& b) {
    return g.op("Unsqueeze", {g.cast(g.op("Gather", {starts, b}), OnnxType::i64), g.numbers({1})});
  };
  const auto rest_at = [&](const Value& row) { return g.cast(g.op("Gather", {rests, row}), OnnxType::i64); };
  std::vector<int64_t> steps(static_cast<size_t>(table.longest));
  std::iota(steps.begin(), steps.end(), 0);
  const Value places = g.op("Add", {start_of(bucket), g.numbers(steps)});  // [n-grams, longest]
  const Value inside = g.op("Less", {places, start_of(g.op("Add", {bucket, g.number(1)}))});
  const Value candidates = rest_at(g.op("Min", {places, g.number(rows - 1)}));
  const Value equal = g.op("Equal", {candidates, g.op("Unsqueeze", {rest, g.numbers({1})})});
  const Value match = g.op("Where", {g.op("And", {inside, equal}), places, g.number(-1)});
  const Value row = g.op("ReduceMax", {match, g.numbers({1})}, {{"keepdims", int64_t{0}}});

  // The known n-grams, plus one of an extra text at the end, so that no list is empty.
  const Value known = flat(g, g.op("NonZero", {g.op("GreaterOrEqual", {row, g.number(0)})}));
  const Value texts = g.op("Reshape", {texts_, g.numbers({1})});
  const Value all_rows = joined({g.op("Gather", {row, known}), g.numbers({0})});
  const Value all_owners = joined({g.op("Gather", {owner, known}), texts});
  const auto column = [&](const Value& x) { return g.op("Unsqueeze", {x, g.numbers({1})}); };
  const Value pairs = g.op("Concat", {column(all_owners), column(all_rows)}, {{"axis", int64_t{1}}});
  // Results: the values, the index of the first of each, the inverse, the counts.
  const std::vector<Value> unique = g.ops("Unique", {pairs}, 4, {{"axis", int64_t{0}}});
  const Value at = g.op("Gather", {all_rows, unique[1]}), of = g.op("Gather", {all_owners, unique[1]});

  // (1 + log f)·idf, then words to norm 1 and pieces to theirs.
  const Value times = g.op("Add", {g.op("Log", {g.cast(unique[3], OnnxType::f32)}), g.real(1)});
  const Value idf = g.cast(g.op("Gather", {g.constant(table.idf), at}), OnnxType::f32);
  const Value value = g.op("Mul", {times, idf});
  const Value kind = g.op("BitwiseAnd", {rest_at(at), g.number(1)});
  const Value group = g.op("Add", {g.op("Mul", {of, g.number(2)}), kind});
  const Value count = g.op("Add", {texts, g.numbers({1})});
  const Value zeros = g.op("Expand", {g.real(0), g.op("Mul", {count, g.numbers({2})})});
  const Value squares = g.op("ScatterElements", {zeros, group, g.op("Mul", {value, value})},
                             {{"axis", int64_t{0}}, {"reduction", std::string("add")}});
  const Value norm = g.op("Sqrt", {g.op("Gather", {squares, group})});
  const Value wanted =
      g.op("Where", {g.op("Equal", {kind, g.number(1)}), g.real(1), g.real(static_cast<float>(kPiecesNorm))});
  const Value scaled = g.op("Div", {g.op("Mul", {value, wanted}), norm});

  const Value weight = g.cast(g.op("Gather", {g.constant(table.weight), at}), OnnxType::f32);
  const Value shares = g.op("Mul", {column(scaled), weight});
  const Value empty = g.op("Expand", {g.real(0), joined({count, g.numbers({labels})})});
  const Value sums = g.op("ScatterND", {empty, column(of), shares}, {{"reduction", std::string("add")}});
  return g.op("Slice", {sums, g.numbers({0}), g.numbers({-1})});
}

}  // namespace qing::nn
