// What the commands of `qing` take and do. serve/cli/main.cpp parses the command line into these; nothing here knows
// how. Every run_… returns normally when all went well, and throws a qing::Error otherwise.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <qing/optim/classifier/train_options.h>
#include <qing/serve/common/limits.h>
#include <qing/serve/common/usage_error.h>
#include <qing/serve/common/version.h>
#include <qing/serve/http/site_options.h>
#include <qing/serve/runs/settings.h>
#include <qing/tensor/dtype.h>

namespace qing::serve::cli {

struct TrainArguments {
  std::vector<std::filesystem::path> data, extra, dev;
  optim::TrainOptions options = {};        ///< but for extra_groups, which follow from `extra`
  int64_t eval_every = 0, early_stop = 0;  ///< steps, evaluations
  int64_t checkpoint_every = 0;            ///< steps
  int64_t threads = 0;                     ///< 0: as many as the engine chooses
  std::filesystem::path out;
  bool resume = false, overwrite = false, json = false;
  Settings settings = {};  ///< all of the above that a configuration file may hold
};
/// Trains a model into `out` (run_directory.h tells what else stands there), with progress on stderr. The first Ctrl-C
/// saves a checkpoint and the model and ends well, the second kills.
void run_train(const TrainArguments& arguments);

struct EvalArguments {
  std::filesystem::path model;  ///< empty: the shipped one, here and below
  std::vector<std::filesystem::path> data;
  std::filesystem::path confusion;  ///< SVG to write the confusion matrix to; empty: none
  DType precision = DType::f32;     ///< of products: or bf16, or i8; here and below
  bool reference = false;           ///< keep what was predicted in the model, as what serving measures drift from
  bool json = false;
};
void run_eval(const EvalArguments& arguments);

struct TextArguments {
  std::filesystem::path model;
  std::filesystem::path file;      ///< one text a line; empty: none
  std::vector<std::string> texts;  ///< neither these nor a file: lines of stdin
  bool json = false;
  bool logits = false;
  DType precision = DType::f32;  ///< of run_predict
};
/// A line a text: label, score and text between tabs, or a JSON object whose floats have 9 significant digits, enough
/// to tell any two floats apart.
void run_predict(const TextArguments& arguments);
/// For every text its label and the weight of every part of it, the heaviest first; or a JSON object.
void run_explain(const TextArguments& arguments);
/// A line a text: the JSON array of its ids.
void run_tokenize(const TextArguments& arguments);

struct ServeArguments {
  std::filesystem::path models;  ///< empty: the shipped ones
  DType precision = DType::f32;
  std::string address = "127.0.0.1";
  uint16_t port = 8080;
  std::filesystem::path keys;
  bool allow_no_keys = false;
  std::filesystem::path certificate, tls_key;  ///< both or none
  SiteOptions site = {};
  bool log_requests = true;
  Limits limits = {};
};
/// Serves until SIGINT or SIGTERM, then drains. SIGHUP reads the certificate again and looks for new models.
void run_serve(const ServeArguments& arguments);

struct KeysArguments {
  std::filesystem::path store;
  std::string id;  ///< of the key; for usage empty: all keys
  std::string name;
  std::string scopes = "predict";
  int64_t expires = 0;                                    ///< seconds from now; 0: never
  int64_t requests_per_minute = 0, requests_per_day = 0;  ///< 0: no limit
  int64_t tokens_per_minute = 0, tokens_per_day = 0;
  int64_t overlap = 86400;  ///< seconds
  int64_t days = 30;
  std::filesystem::path backup,
      pepper;  ///< files of run_keys_backup and run_keys_restore; an empty pepper: FILE.pepper
  bool without_pepper = false, overwrite = false;
  bool json = false;
};
/// Makes a store where there is none. Prints the new key alone on stdout.
void run_keys_create(const KeysArguments& arguments);
/// A line a key; no secrets.
void run_keys_list(const KeysArguments& arguments);
/// Prints the key with its new secret.
void run_keys_rotate(const KeysArguments& arguments);
void run_keys_revoke(const KeysArguments& arguments);
/// A line a day and key.
void run_keys_usage(const KeysArguments& arguments);
/// Copies the store, as it is at one moment, to the file `backup`; servers may use it meanwhile.
void run_keys_backup(const KeysArguments& arguments);
/// The other way.
void run_keys_restore(const KeysArguments& arguments);

struct ImportArguments {
  std::filesystem::path source, out;
  bool json = false;
};
/// Copies a model of Hugging Face's layout into `out`, as nn/models/import_model.h says.
void run_import(const ImportArguments& arguments);

struct InfoArguments {
  std::filesystem::path model;  ///< empty: the engine only
  bool json = false;
};
void run_info(const InfoArguments& arguments);

struct ExportArguments {
  std::filesystem::path model;  ///< empty: the shipped one
  std::string format;           ///< one of nn::export_format_names()
  std::filesystem::path out;
};
/// Writes the model into `out` in a format of other programs.
void run_export(const ExportArguments& arguments);

struct BenchArguments {
  bool json = false;
};
/// Measures this machine's roofs and f32 matrix products, in a few seconds.
void run_bench(const BenchArguments& arguments);

}  // namespace qing::serve::cli
