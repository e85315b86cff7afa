// Makes an entry of the token cache.
#pragma once

#include <filesystem>

#include <qing/serve/runs/token_cache.h>

namespace qing::serve::cli {

/// Writes an entry into a folder that is there and empty. Memory: the texts that are held out, a sample for the
/// vocabulary, and some thousand texts. IoError; LineError; DataError for a file that changes meanwhile, and for data
/// without a text to train on.
void make_cache_entry(const std::filesystem::path& folder, const TokenCacheRequest& request);

}  // namespace qing::serve::cli
