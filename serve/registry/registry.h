// The models a server offers: a folder <root>/<name>/<version number>/ for every version of every model.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <qing/nn/models/text_classifier.h>
#include <qing/serve/registry/model_limits.h>
#include <qing/serve/registry/registry_state.h>

namespace qing::serve {

/// One model as served now.
struct Model {
  std::string name;
  std::int64_t version = 0;                                  ///< the version that answers
  std::vector<std::int64_t> versions;                        ///< all versions found, ascending
  std::shared_ptr<const nn::TextClassifier> classifier;      ///< never null
  std::int64_t previous = 0;                                 ///< answered before this one; 0: none
  Trial trial = {};                                          ///< version 0: there is none
  std::shared_ptr<const nn::TextClassifier> candidate = {};  ///< the version on trial; null without one
  ModelLimits limits = {};                                   ///< of ROOT/NAME/limits.json
  std::string error = {};   ///< why the version asked for last could not be loaded; empty: nothing failed since
  std::int64_t loaded = 0;  ///< when the version that answers was loaded, in seconds since 1970 (UTC)
};

/// Safe to use from many threads. A Model handed out stays valid whatever happens to the registry afterwards. Changes
/// wait for each other, and read files: not for a thread that must answer soon. Lookups never wait for a change.
///
/// A version is loaded and has predicted once before it replaces another; one that fails replaces nothing, and its
/// error stays with the model. What is chosen by load, unload, rollback, aliases and trials is written to
/// ROOT/.registry.json first: when that fails (IoError) nothing changes. Errors of changes: IndexError for a model,
/// version or alias that does not exist, ValueError for what makes no sense, DataError for a version that cannot be
/// loaded.
class Registry {
 public:
  /// Why a version of a model does not serve.
  struct Failure {
    std::int64_t version;  ///< 0: the model's folder holds none
    std::string why;
    std::string text() const;  ///< "version 3: why"; "why" without a version
  };
  using Failures = std::map<std::string, Failure, std::less<>>;  ///< by model
  /// A version that serves, or that does not although it should or did.
  struct Indexed {
    std::string name;
    std::int64_t version;
    bool ready;
    std::string reason;  ///< "unloaded", or why it could not be loaded the last time; else empty
  };
  using Loader = std::function<std::shared_ptr<const nn::TextClassifier>(const std::filesystem::path&)>;
  static constexpr const char* kStateFile = ".registry.json";

  /// An empty registry, to be filled with add().
  Registry() = default;
  /// A registry of the models below `root`; load() reads them. `loader` turns a version's folder into a classifier.
  explicit Registry(
      std::filesystem::path root,
      Loader loader = [](const std::filesystem::path& folder) { return nn::TextClassifier::load(folder); });

  /// Loads every model, and its limits, in a version that has come since the last choice, or in the chosen one, or in
  /// the highest; where that fails, in the next that can stand in, so that what a running server lives with does not
  /// prevent the next start: see failure(). IoError when the root cannot be read, DataError when it holds no model,
  /// when none of its models can be loaded, or when the state file is damaged; nothing changes then.
  void load();
  /// Takes up what has come since: models, higher versions, limits, and the choices, aliases and trials of other
  /// servers of the same folder. What is loaded already is not read again. Gives the models that a version or the
  /// limits failed for, and why; these answer as before. IoError, DataError as load().
  Failures rescan();
  /// Loads a version, or loads it again; 0: the highest there is.
  Model load(const std::string& name, std::int64_t version);
  /// Goes back to the version that answered before.
  Model rollback(const std::string& name);
  /// Serves the model no more, until load() by name. ValueError while an alias stands for it.
  void unload(const std::string& name);
  /// Makes `alias` another name of a served model, or of one version of it, which is then loaded as long as the alias
  /// stands.
  void set_alias(const std::string& alias, const Alias& target);
  void remove_alias(const std::string& alias);
  /// Puts a loaded version of a served model on trial, in place of an earlier trial of the model. A trial ends when its
  /// version, or one of other labels, becomes the one that answers, and when the model is unloaded. The version that
  /// answers counts as chosen: a newer folder on trial does not take its place. ValueError for the version that
  /// answers, and for a share outside (0, 1].
  Model set_trial(const std::string& name, const Trial& trial);
  /// IndexError when there is none.
  Model remove_trial(const std::string& name);
  /// Offers a classifier made elsewhere; replaces a model of that name. ValueError on a bad name or version, null, or
  /// labels that check_label_names() refuses.
  void add(const std::string& name, std::int64_t version, std::shared_ptr<const nn::TextClassifier> classifier);

  /// The model of a name or alias; with a version, if that one is loaded.
  std::optional<Model> find(std::string_view name, std::int64_t version = 0) const;
  /// All models, by name.
  std::vector<Model> list() const;
  std::map<std::string, Alias, std::less<>> aliases() const;
  /// The versions of a model that find() gives: the one that answers and those of aliases and of a trial; ascending.
  std::vector<std::int64_t> served_versions(std::string_view name) const;
  /// All versions that serve, that were unloaded, and that could not be loaded the last time that was tried; by name
  /// and version.
  std::vector<Indexed> index() const;
  /// Why a model could not be loaded the last time that was tried; empty when it could.
  std::string failure(std::string_view name) const;
  /// Whether there is a model to answer with.
  bool ready() const;

  /// 1 to 128 of the characters A-Z a-z 0-9 . _ - and not beginning with a dot: safe in an URL and as a folder.
  static bool valid_name(std::string_view name);
  /// A version is a plain positive number: "1", not "01", "v1" or "1.0".
  static std::optional<std::int64_t> parse_version(std::string_view text);

 private:
  using Classifier = std::shared_ptr<const nn::TextClassifier>;
  struct Loaded {
    Classifier classifier;
    ModelLimits limits;
  };
  // All that a change touches.
  struct Contents {
    std::map<std::string, Model, std::less<>> models;
    std::map<std::pair<std::string, std::int64_t>, Classifier> pinned;     // versions of aliases and trials
    std::map<std::pair<std::string, std::int64_t>, std::string> unpinned;  // why such a version could not be loaded
    Failures failures;
    RegistryState state;
  };

  std::map<std::string, std::vector<std::int64_t>> scan(Failures& failures) const;
  std::vector<std::int64_t> versions_of(const std::string& name) const;
  Classifier read(const std::string& name, std::int64_t version) const;
  ModelLimits limits_of(const std::string& name) const;
  /// What `read` gives; what it throws is kept as the reason why this version does not serve, and thrown as DataError.
  Loaded read_or_note(const std::string& name, std::int64_t version);
  /// Logs that a version does not serve.
  static Failure noted(const std::string& name, std::int64_t version, const char* why);
  Model choose(const std::string& name, std::int64_t version);
  [[noreturn]] static void throw_unknown(std::string_view name);
  static std::int64_t seconds_now();
  void install(const std::string& name, const std::vector<std::int64_t>& versions, std::int64_t version, Loaded loaded);
  void commit(const std::function<void(RegistryState&)>& change);
  Classifier read_version(const Model& served, std::int64_t version);
  void pin(const std::string& name, std::int64_t version, Classifier classifier);
  void drop_unused_pins();

  Contents look(std::vector<std::string>& ended) const;
  std::optional<Model> newest(const std::string& name, const std::vector<std::int64_t>& versions, const Choice* choice,
                              Failures& failures) const;
  Classifier kept_or_read(const Contents& next, const std::string& name, std::int64_t version) const;
  void pin_aliases(Contents& next) const;
  void pin_trials(Contents& next, std::vector<std::string>& ended) const;
  void adopt(Contents next, const std::vector<std::string>& ended);

  std::filesystem::path root_;
  Loader loader_;
  std::mutex changing_;       // held through a change; mutex_ only while the maps are touched
  mutable std::mutex mutex_;  // a writer of what follows holds both
  Contents now_;
};

}  // namespace qing::serve
