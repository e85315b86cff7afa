// Encodings of text files: guessing them from the bytes, and decoding to UTF-8.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <qing/nn/data/line_reader.h>

namespace qing::nn {

/// The name of an encoding as iconv and this file spell it ("UTF-8", "UTF-16LE", "GB18030", "CP1252", "BIG5"), for any
/// usual spelling. ValueError for an encoding that is not known.
std::string encoding_named(std::string_view name);

/// As users know it: "UTF-16 (little endian)", "GB 18030", "Windows-1252".
std::string shown_encoding(const std::string& name);

/// Guesses by a byte order mark, by NUL bytes (UTF-16), by the rules of UTF-8, and by the bytes above 127: most of
/// those of GB 18030 come in pairs of its common characters, and those of Windows-1250, 1251, 1252 and 1254 and of
/// KOI8-R are letters of the languages that guess_single_byte() knows. "UTF-8" when nothing fits, so that the lines are
/// refused.
std::string guess_encoding(std::string_view bytes);

/// Guesses for a regular file. It reads on to the first byte above 127, and guesses by the bytes around it. IoError.
std::string guess_file_encoding(const std::filesystem::path& path);

/// The input in UTF-8. Bytes that are not in the encoding become the byte FF, so that a LineReader refuses their line.
/// The encoding is one of encoding_named().
ByteInput decoded(ByteInput input, const std::string& encoding);

}  // namespace qing::nn
