// The models of a server. Each version of each model is a folder <root>/<name>/<version number>/, below one of two
// roots.
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

#include <qing/nn/models/task_model.h>
#include <qing/nn/models/text_classifier.h>
#include <qing/serve/registry/choice_files.h>
#include <qing/serve/registry/model_folders.h>
#include <qing/serve/registry/model_limits.h>
#include <qing/serve/registry/models_root.h>
#include <qing/serve/registry/registry_state.h>
#include <qing/serve/tasks/task.h>
#include <qing/tensor/errors.h>

namespace qing::serve {

/// One model as it is served now.
struct Model {
  std::string name;
  std::int64_t version = 0;            ///< the active version
  std::vector<std::int64_t> versions;  ///< all versions found, ascending
  /// `served` as a text classifier or a model of embeddings; null for a model of another task.
  std::shared_ptr<const nn::TextClassifier> classifier;
  std::int64_t previous = 0;                            ///< the active version before this one; 0: none
  Trial trial = {};                                     ///< version 0: no trial
  std::shared_ptr<const nn::TaskModel> candidate = {};  ///< the version on trial; null without one
  ModelLimits limits = {};                              ///< from ROOT/NAME/limits.json
  std::string error = {};   ///< why the last requested version could not be loaded; empty: it could
  std::int64_t loaded = 0;  ///< when the active version was loaded, in seconds since 1970 (UTC)
  std::shared_ptr<const nn::TaskModel> served = {};  ///< of any task; a registry's is never null

  /// Sets `served` and `classifier`.
  void serve(std::shared_ptr<const nn::TaskModel> model);
  /// Whether such a trial is possible: shadows and comparisons are of labels of texts.
  bool can_try(const Trial& trial) const { return classifier != nullptr || (!trial.shadow && !trial.compare); }
  /// `candidate` as `classifier` is `served`.
  std::shared_ptr<const nn::TextClassifier> candidate_classifier() const;
};

/// A version that cannot be read now. What prevents it may pass, such as a full table of open files.
class UnreadableVersion : public IoError {
 public:
  using IoError::IoError;
};

/// A version that is damaged or no model.
class DamagedVersion : public DataError {
 public:
  using DataError::DataError;
};

/// A version that may not answer in place of the one that does, unless the caller says so: it has other labels,
/// directions or sizes (TaskModel::can_replace), so that clients would notice.
class OtherLabels : public ValueError {
 public:
  using ValueError::ValueError;
};

/// Thread-safe. A returned Model stays valid after any later change. Changes run one at a time and read files, so do
/// not call them from a thread that must answer quickly. Lookups never wait for a change.
///
/// A version must load and predict once before it replaces another. A version that fails replaces nothing, and its
/// error stays with the model. Nor does a version with other labels replace the one that answers, unless load() is told
/// so: a rescan treats it as one that fails. Load, unload, rollback, alias and trial changes are written to
/// .registry.json first (choice_files.h); if that fails (IoError), nothing changes. A version with a manifest
/// (model_manifest.h) is loaded only if its files are as the manifest says. Errors of changes: IndexError for an
/// unknown model, version or alias; ValueError for an invalid request, which is OtherLabels for a version with other
/// labels; DamagedVersion for a version that is damaged or no model; UnreadableVersion or std::bad_alloc for one that a
/// later attempt may load; DataError for a damaged .registry.json.
class Registry {
 public:
  /// Why a version of a model is not served.
  struct Failure {
    std::int64_t version;  ///< 0: the model's folder has no versions
    std::string why;
    std::string text() const;  ///< "version 3: why"; "why" without a version
  };
  using Failures = std::map<std::string, Failure, std::less<>>;  ///< by model
  /// A version that is served, was unloaded, or could not be loaded.
  struct Indexed {
    std::string name;
    std::int64_t version;
    bool ready;
    std::string reason;  ///< kUnloaded, or why the last load failed, which may hold paths; else empty
  };
  using Loader = std::function<std::shared_ptr<const nn::TaskModel>(const std::filesystem::path&)>;
  static constexpr std::string_view kUnloaded = "unloaded";

  /// An empty registry, to be filled with add(). Its load() is a ValueError.
  Registry() = default;
  /// A registry of the models below `root`, or of the one model that lies there (ModelsRoot); load() reads them.
  /// `loader` turns a version's folder into a model of any task. Versions below `second` are found too, such as
  /// State::models(); it need not exist. A version that lies below both roots is that of `root`.
  explicit Registry(
      std::filesystem::path root,
      Loader loader = [](const std::filesystem::path& folder) { return load_task_model(folder); },
      std::filesystem::path second = {});

  /// Loads every model and its limits. A version newer than the last choice is preferred, then the chosen version, then
  /// the highest. A newer version with other labels than the chosen one counts as one that fails. If a version fails,
  /// the next fallback is loaded, so that a failure which a running server survives does not prevent the next start;
  /// see failure(). IoError when the root cannot be read. DataError when it holds no model, when no model can be
  /// loaded, or when the state file is damaged. On an error nothing changes.
  void load();
  /// Loads new models, higher versions and limits, and the choices, aliases and trials made by other servers of the
  /// same folder. Loaded versions are not read again. Where a new version has other labels, the one that answers is
  /// written down as chosen, so that the next start serves it, too. Returns the models whose version or limits failed,
  /// and why; these keep answering as before. IoError and DataError as in load().
  Failures rescan();
  /// Loads the highest version of one model whose folder is new, unless it is served already. Nothing is written.
  void discover(const std::string& name);
  /// Serves the model no more, as if its folder had never been there. ValueError while an alias points to it.
  void forget(const std::string& name);
  /// Whether a version may replace one with other labels, directions or sizes.
  enum class Replacing { kSameLabels, kAnyLabels };
  /// Loads or reloads a version; 0: the highest version that is not on its way (model_folders.h).
  Model load(const std::string& name, std::int64_t version, Replacing replacing = Replacing::kSameLabels);
  /// Returns to the previous active version, whatever its labels are.
  Model rollback(const std::string& name);
  /// Stops serving the model until load(name). ValueError while an alias points to it.
  void unload(const std::string& name);
  /// Whether the caller may change an alias that stands for this model.
  using MayChange = std::function<bool(const std::string& model)>;
  /// Makes `alias` another name of a served model, or of one of its versions. That version stays loaded while the alias
  /// exists. ValueError, the same for each, when a model has the name, and when an alias has it that the caller may not
  /// change. Null `may_change` allows every change.
  void set_alias(const std::string& alias, const Alias& target, const MayChange& may_change = {});
  /// IndexError for an alias that does not exist, and the same for one that the caller may not change.
  void remove_alias(const std::string& alias, const MayChange& may_change = {});
  /// The ValueError of set_alias() for a name that is in use.
  [[noreturn]] static void throw_taken(const std::string& alias);
  /// Puts a loaded version of a served model on trial, replacing any earlier trial of the model. A trial ends when its
  /// version or a version with other labels becomes active, and when the model is unloaded. The active version counts
  /// as chosen, so a newer folder on trial does not replace it. ValueError for the active version, for a share outside
  /// (0, 1], and for a model that does not classify texts, since trials compare labels.
  Model set_trial(const std::string& name, const Trial& trial);
  /// IndexError when there is no trial.
  Model remove_trial(const std::string& name);
  /// All versions of a model below the roots, ascending, loaded or not; none for an unknown model. IoError.
  std::vector<std::int64_t> versions_on_disk(const std::string& name) const;
  /// Loads a folder as a version would be, predicts once and keeps nothing. Errors as those of a change.
  void check(const std::filesystem::path& folder) const;
  /// Notes a version of a served model that lies below a root. What answers now does so until somebody chooses, however
  /// high the number.
  void note_version(const std::string& name, std::int64_t version);
  /// Undoes a change: makes a model what find() said of it before, with its version, the model of `before` and its
  /// trial. Reads no model. IoError, after which the change stands.
  void restore(const Model& before);
  /// The trial of a model as it is written, possibly by another server that this one has not followed yet. IoError,
  /// DataError.
  std::optional<Trial> written_trial(const std::string& name) const;
  /// Adds a model, replacing any of that name. ValueError for an invalid name or version, a null model, or a
  /// classifier's labels that check_label_names() refuses.
  void add(const std::string& name, std::int64_t version, std::shared_ptr<const nn::TaskModel> model);

  /// Finds a model by name or alias. A version other than 0 is found only if it is loaded.
  std::optional<Model> find(std::string_view name, std::int64_t version = 0) const;
  /// All models, by name.
  std::vector<Model> list() const;
  std::map<std::string, Alias, std::less<>> aliases() const;
  /// The versions that find() returns: the active version and those of aliases and of a trial. Ascending.
  std::vector<std::int64_t> served_versions(std::string_view name) const;
  /// All versions that are served, were unloaded, or failed to load at the last attempt. Sorted by name and version.
  std::vector<Indexed> index() const;
  /// The folder of a version; empty when there is none below the roots.
  std::filesystem::path folder_of(const std::string& name, std::int64_t version) const;
  /// Why the last attempt to load a model failed; empty when it succeeded.
  std::string failure(std::string_view name) const;
  /// Whether at least one model is served.
  bool ready() const;

  /// The IndexError of a change to a model that does not exist.
  [[noreturn]] static void throw_unknown(std::string_view name);

 private:
  using Handle = std::shared_ptr<const nn::TaskModel>;
  struct Loaded {
    Handle model;
    ModelLimits limits;
  };
  // All data that a change may modify.
  struct Contents {
    std::map<std::string, Model, std::less<>> models;
    std::map<std::pair<std::string, std::int64_t>, Handle> pinned;         // versions of aliases and trials
    std::map<std::pair<std::string, std::int64_t>, std::string> unpinned;  // why such a version could not be loaded
    Failures failures;
    RegistryState state;
  };

  using Found = std::map<std::string, std::vector<std::int64_t>>;  // versions by name, ascending
  Found scan(Failures& failures) const;
  static void scan_folder(const std::filesystem::path& root, Found& found, Failures& failures);
  static std::vector<std::int64_t> finished_below(const std::filesystem::path& model);
  std::vector<std::int64_t> versions_of(const std::string& name) const;
  std::int64_t highest_kept(const std::string& name, const std::vector<std::int64_t>& versions) const;
  Handle read(const std::string& name, std::int64_t version) const;
  Handle read_folder(const std::filesystem::path& folder) const;
  static void add_version(Model& model, std::int64_t version);
  ModelLimits limits_of(const std::string& name) const;
  /// Calls `read`. Records its error as the reason why this version is not served, and rethrows it: as
  /// UnreadableVersion what the disk may do better later, as DamagedVersion all else but std::bad_alloc.
  Loaded read_or_note(const std::string& name, std::int64_t version);
  /// Logs that a version is not served.
  static Failure noted(const std::string& name, std::int64_t version, const char* why);
  Model choose(const std::string& name, std::int64_t version, Replacing replacing);
  /// OtherLabels unless version `of` of the model can stand in for the one that answers.
  static void require_same_labels(std::int64_t of, const nn::TaskModel& version, std::int64_t before,
                                  const nn::TaskModel& answering);
  static std::int64_t seconds_now();
  void install(const std::string& name, const std::vector<std::int64_t>& versions, std::int64_t version, Loaded loaded);
  void commit(const std::function<void(RegistryState&)>& change);
  void drop(const std::string& name, const std::function<void(Choice&)>& note);
  Handle read_version(const Model& served, std::int64_t version);
  void pin(const std::string& name, std::int64_t version, Handle model);
  void drop_unused_pins();

  // What a look at the folders and the choices found beside the contents. The choices are to be written accordingly.
  struct Findings {
    std::vector<std::string> ended;  // models whose trial makes no sense any more
    std::vector<std::string> kept;   // models that keep their version because a newer one has other labels
  };
  Contents look(Findings& findings) const;
  std::optional<Model> newest(const std::string& name, const std::vector<std::int64_t>& versions, const Choice* choice,
                              Contents& next, Findings& findings) const;
  void require_same_as_chosen(const Model& model, const Choice* choice) const;
  Handle kept_or_read(const Contents& next, const std::string& name, std::int64_t version) const;
  void pin_aliases(Contents& next) const;
  void pin_trials(Contents& next, std::vector<std::string>& ended) const;
  void adopt(Contents next, const Findings& findings);

  ModelsRoot root_;
  std::filesystem::path second_;
  ChoiceFiles choices_;
  Loader loader_;
  std::mutex changing_;       // held for a whole change; mutex_ only while the maps are accessed
  mutable std::mutex mutex_;  // a writer of the following members holds both
  Contents now_;
};

}  // namespace qing::serve
