// The n-grams of nn/text/ngrams.h from token ids. Arithmetic is of integers below 2^31, and divisions are exact:
// OpenVINO computes 64-bit integers in 32 bits, and their quotients in f32.
#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include <qing/nn/exports/onnx_parts.h>

namespace qing::nn {
namespace {

using Value = OnnxGraph::Value;

// Marks of a word's beginning and end, which no text holds.
constexpr int64_t kOpen = 1, kClose = 2;
constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();
constexpr float kPiecesNorm = 0.7F;  // of nn/text/ngrams.cpp
constexpr size_t kGrams = 3;         // lengths of each kind of n-gram

// FNV-1a of 64 bits in limbs of 16, the lowest first. Its prime is 2^40 + 435.
constexpr int64_t kOffsetBasis[] = {0x2325, 0x8422, 0x9ce4, 0xcbf2};
constexpr int64_t kPrimeLow = 435, kLimbs = 4, kLimb = 0xFFFF;

// hash·prime of limbs below 2^16. 2^40 moves a limb by two places and 8 bits.
std::vector<Value> times_prime(OnnxGraph& g, const std::vector<Value>& limbs) {
  const auto low_byte_up = [&](const Value& x) {
    return g.op("Mul", {g.op("BitwiseAnd", {x, g.number(0xFF)}), g.number(0x100)});
  };
  const auto high_part = [&](const Value& x, int64_t divisor) {
    // Without the remainder the quotient is exact in f32 as well.
    const Value whole = g.op("BitwiseAnd", {x, g.number(0x7FFFFFFF & ~(divisor - 1))});
    return g.op("Div", {whole, g.number(divisor)});
  };
  std::vector<Value> result;
  for (size_t i = 0; i < limbs.size(); ++i) {
    Value sum = g.op("Mul", {limbs[i], g.number(kPrimeLow)});
    if (i > 0) sum = g.op("Add", {sum, high_part(result.back(), kLimb + 1)});
    if (i >= 2) sum = g.op("Add", {sum, low_byte_up(limbs[i - 2])});
    if (i >= 3) sum = g.op("Add", {sum, high_part(limbs[i - 3], 0x100)});
    result.push_back(sum);
  }
  for (Value& limb : result) limb = g.op("BitwiseAnd", {limb, g.number(kLimb)});
  return result;
}

Value flat(OnnxGraph& g, const Value& x) { return g.op("Reshape", {x, g.numbers({-1})}); }

}  // namespace

OnnxNgrams::OnnxNgrams(OnnxGraph& graph, const ExportSource& source, const ExportVocabulary& vocabulary,
                       const Value& ids, const Value& valid)
    : graph_(graph), source_(source), ids_(ids), valid_(valid) {
  OnnxGraph& g = graph_;
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
  OnnxGraph& g = graph_;
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
  OnnxGraph& g = graph_;
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
  OnnxGraph& g = graph_;
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
  // A word begins behind the space of the one before. One beginning too many goes, as the last space ends the last
  // word.
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

// Bits 1 to 31 of the keys of all lanes, once for each of the lasts, end to end; what is not possible has any key.
Value OnnxNgrams::keys(const Lanes& lanes, const Value& steps, int64_t kind) {
  OnnxGraph& g = graph_;
  OnnxGraph body(kind == 0 ? "pieces_" : "words_");
  const std::string names = kind == 0 ? "pieces." : "words.";
  const std::vector<OnnxDimension> row{"lanes_of_" + names};
  const Value step = body.input(names + "step", OnnxType::i64, {});
  const Value go_on = body.input(names + "go_on", OnnxType::boolean, {});
  std::vector<Value> limbs, results;
  for (int64_t i = 0; i < kLimbs; ++i) {
    limbs.push_back(body.input(names + "limb" + std::to_string(i), OnnxType::i64, row));
  }
  for (size_t n = 0; n < kGrams; ++n) {
    results.push_back(body.input(names + "key" + std::to_string(n), OnnxType::i64, row));
  }
  const Value codes = g.op("Concat", {lanes.codes, g.numbers({0})}, {{"axis", int64_t{0}}});
  const Value end = g.op("Shape", {lanes.codes});

  const Value at = body.op("Add", {lanes.first, step});
  const Value code = body.op("Gather", {codes, body.op("Min", {at, end})});
  limbs[0] = body.op("BitwiseXor", {limbs[0], code});
  limbs = times_prime(body, limbs);
  // Both halves of the hash count.
  const Value low = body.op("BitwiseXor", {limbs[0], limbs[2]}), high = body.op("BitwiseXor", {limbs[1], limbs[3]});
  const Value low_bits = body.op("Div", {body.op("BitwiseAnd", {low, body.number(0xFFFE)}), body.number(2)});
  const Value key = body.op("Add", {body.op("Mul", {high, body.number(0x8000)}), low_bits});
  const Value next = body.op("Add", {at, body.number(1)});
  body.output(go_on, names + "go_on_out", OnnxType::boolean, {});
  for (int64_t i = 0; i < kLimbs; ++i) {
    body.output(limbs[static_cast<size_t>(i)], names + "limb" + std::to_string(i) + "_out", OnnxType::i64, row);
  }
  for (size_t n = 0; n < kGrams; ++n) {
    const Value chosen = body.op("Where", {body.op("Equal", {next, lanes.lasts[n]}), key, results[n]});
    body.output(chosen, names + "key" + std::to_string(n) + "_out", OnnxType::i64, row);
  }

  const Value zeros = g.op("Mul", {lanes.first, g.number(0)});
  std::vector<Value> inputs{steps, g.cast(g.number(1), OnnxType::boolean)};
  for (const int64_t limb : kOffsetBasis) inputs.push_back(g.op("Add", {zeros, g.number(limb)}));
  for (size_t n = 0; n < kGrams; ++n) inputs.push_back(zeros);
  const std::vector<Value> looped = g.ops("Loop", inputs, kLimbs + kGrams, {{"body", &body}});
  return g.op("Concat", {looped.begin() + kLimbs, looped.end()}, {{"axis", int64_t{0}}});
}

namespace {

// The table's keys by their upper halves: rows[starts[h]] to rows[starts[h + 1]] have the upper half h.
struct Buckets {
  Tensor starts;    // i32 [65537]
  Tensor low;       // i32 [rows]: lower halves
  int64_t longest;  // rows of the fullest bucket
};
Buckets buckets_of(const Tensor& keys) {
  const auto bits = keys.span<int32_t>();
  Buckets result{Tensor::zeros({kLimb + 2}, DType::i32), Tensor::empty({keys.numel()}, DType::i32), 1};
  int32_t* const starts = result.starts.data<int32_t>();
  for (size_t i = 0; i < bits.size(); ++i) {
    const auto key = static_cast<uint32_t>(bits[i]);
    ++starts[(key >> 16) + 1];
    result.low.data<int32_t>()[i] = static_cast<int32_t>(key & kLimb);
  }
  for (int64_t h = 0; h <= kLimb; ++h) {
    result.longest = std::max<int64_t>(result.longest, starts[h + 1]);
    starts[h + 1] += starts[h];
  }
  return result;
}

}  // namespace

Value OnnxNgrams::logits() {
  OnnxGraph& g = graph_;
  const auto joined = [&](const std::vector<Value>& parts) { return g.op("Concat", parts, {{"axis", int64_t{0}}}); };
  std::vector<Value> highs, lows, owners;
  for (const auto& [kind, lanes] : {std::pair<int64_t, Lanes>{0, pieces()}, {1, words()}}) {
    // An n-gram with a character that the vocabulary does not have is in no table.
    const Value lost = g.cast(g.op("Equal", {lanes.codes, g.number(kNoCharacter)}), OnnxType::i64);
    const Value before = joined({g.numbers({0}), g.op("CumSum", {lost, g.number(0)})});
    std::vector<Value> possible;
    Value steps = g.numbers({0});
    for (size_t n = 0; n < kGrams; ++n) {
      const Value same =
          g.op("Equal", {g.op("Gather", {before, lanes.first}), g.op("Gather", {before, lanes.lasts[n]})});
      possible.push_back(g.op("And", {lanes.possible[n], same}));
      const Value length = g.op("Sub", {lanes.lasts[n], lanes.first});
      steps = joined({steps, g.op("Mul", {length, g.cast(possible[n], OnnxType::i64)})});
    }
    const Value all = keys(lanes, g.op("ReduceMax", {steps}, {{"keepdims", int64_t{0}}}), kind);
    const Value found = flat(g, g.op("NonZero", {joined(possible)}));
    const Value key = g.op("Gather", {all, found});
    owners.push_back(g.op("Gather", {joined({lanes.text, lanes.text, lanes.text}), found}));
    highs.push_back(g.op("Div", {g.op("BitwiseAnd", {key, g.number(0x7FFF8000)}), g.number(0x8000)}));
    const Value low = g.op("Mul", {g.op("BitwiseAnd", {key, g.number(0x7FFF)}), g.number(2)});
    lows.push_back(g.op("Add", {low, g.number(kind)}));
  }

  const StateDict tensors = ngram_tensors(*source_.ngrams);
  const int64_t rows = source_.ngrams->table().size(), labels = static_cast<int64_t>(source_.labels.size());
  const Buckets buckets = buckets_of(tensors.at("keys"));
  const Value high = joined(highs), low = joined(lows), owner = joined(owners);
  const Value starts = g.constant(buckets.starts);
  const auto start_of = [&](const Value& bucket) {
    return g.op("Unsqueeze", {g.cast(g.op("Gather", {starts, bucket}), OnnxType::i64), g.numbers({1})});
  };
  std::vector<int64_t> steps;
  for (int64_t i = 0; i < buckets.longest; ++i) steps.push_back(i);
  const Value places = g.op("Add", {start_of(high), g.numbers(steps)});  // [n-grams, longest]
  const Value inside = g.op("Less", {places, start_of(g.op("Add", {high, g.number(1)}))});
  const Value lower =
      g.cast(g.op("Gather", {g.constant(buckets.low), g.op("Min", {places, g.number(rows - 1)})}), OnnxType::i64);
  const Value equal = g.op("Equal", {lower, g.op("Unsqueeze", {low, g.numbers({1})})});
  const Value match = g.op("Where", {g.op("And", {inside, equal}), places, g.number(-1)});
  const Value row = g.op("ReduceMax", {match, g.numbers({1})}, {{"keepdims", int64_t{0}}});

  // The known n-grams, and one of a text behind the last, so that no list is ever empty.
  const Value known = flat(g, g.op("NonZero", {g.op("GreaterOrEqual", {row, g.number(0)})}));
  const Value texts = g.op("Reshape", {texts_, g.numbers({1})});
  const Value all_rows = joined({g.op("Gather", {row, known}), g.numbers({0})});
  const Value all_owners = joined({g.op("Gather", {owner, known}), texts});
  const Value code = g.op("Add", {g.op("Mul", {all_owners, g.number(rows)}), all_rows});
  const std::vector<Value> unique = g.ops("Unique", {code}, 4);  // values, indices of the first, inverse, counts
  const Value at = g.op("Gather", {all_rows, unique[1]}), of = g.op("Gather", {all_owners, unique[1]});

  // (1 + log f)·idf, then words to norm 1 and pieces to theirs.
  const Value times = g.op("Add", {g.op("Log", {g.cast(unique[3], OnnxType::f32)}), g.real(1)});
  const Value idf = g.cast(g.op("Gather", {g.constant(tensors.at("idf")), at}), OnnxType::f32);
  const Value value = g.op("Mul", {times, idf});
  const Value kind =
      g.op("BitwiseAnd", {g.cast(g.op("Gather", {g.constant(buckets.low), at}), OnnxType::i64), g.number(1)});
  const Value group = g.op("Add", {g.op("Mul", {of, g.number(2)}), kind});
  const Value count = g.op("Add", {texts, g.numbers({1})});
  const Value zeros = g.op("Expand", {g.real(0), g.op("Mul", {count, g.numbers({2})})});
  const Value squares = g.op("ScatterElements", {zeros, group, g.op("Mul", {value, value})},
                             {{"axis", int64_t{0}}, {"reduction", std::string("add")}});
  const Value norm = g.op("Sqrt", {g.op("Gather", {squares, group})});
  const Value wanted = g.op("Where", {g.op("Equal", {kind, g.number(1)}), g.real(1), g.real(kPiecesNorm)});
  const Value scaled = g.op("Div", {g.op("Mul", {value, wanted}), norm});

  const Value weight = g.cast(g.op("Gather", {g.constant(tensors.at("weight")), at}), OnnxType::f32);
  const Value shares = g.op("Mul", {g.op("Unsqueeze", {scaled, g.numbers({1})}), weight});
  const Value empty = g.op("Expand", {g.real(0), joined({count, g.numbers({labels})})});
  const Value sums =
      g.op("ScatterND", {empty, g.op("Unsqueeze", {of, g.numbers({1})}), shares}, {{"reduction", std::string("add")}});
  return g.op("Slice", {sums, g.numbers({0}), g.numbers({-1})});
}

}  // namespace qing::nn
