// Which models were proposed as versions of others, and the texts on which they were judged.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <qing/serve/common/database.h>

namespace qing::serve {

struct Promotion {
  std::int64_t number = 0;
  std::string model = {};
  std::int64_t version = 0;  ///< 0: the rule refused it
  std::string source = {};   ///< the model that was proposed
  std::int64_t source_version = 0;
  std::string key = {}, project = {};     ///< who proposed it
  std::vector<std::string> reasons = {};  ///< why it was refused
  std::string comparison = {};            ///< JSON; empty: it was promoted by hand
  std::int64_t created = 0;               ///< seconds since 1970 (UTC)
};

/// The frozen evaluation set of a model.
struct EvaluationSet {
  std::string location = {};  ///< id of a stored file, or a path
  std::string sha256 = {};    ///< of its bytes
  std::string project = {};   ///< of the stored file
};

/// For one thread, as its Database is. All functions throw IoError.
class PromotionStore {
 public:
  explicit PromotionStore(Database& database) : database_(database) {}

  /// The caller holds the transaction, with the audit's entry.
  void add(const Promotion& promotion);
  /// Turns the promotion that made a version into one that was refused for this reason, with an entry in the audit log.
  /// One transaction. Nothing without such a promotion.
  void withdraw(const std::string& model, std::int64_t version, const std::string& reason);
  /// The newest first.
  std::vector<Promotion> of(const std::string& model, std::int64_t most);
  std::optional<EvaluationSet> evaluation_set(const std::string& model);
  void set_evaluation_set(const std::string& model, const EvaluationSet& set);

 private:
  Database& database_;
};

}  // namespace qing::serve
