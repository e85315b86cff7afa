// The options of the recipes, such as train_classifier() and pretrain(), and the values they accept. An option is a
// member of TrainOptions and a row of kTrainOptions; one of the optimizer's goes into adamw() too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/data/labelled_texts.h>
#include <qing/nn/problem.h>
#include <qing/optim/classifier/train_option_table.h>
#include <qing/optim/optimizer.h>
#include <qing/tensor/dtype.h>

namespace qing::optim {

struct TrainOptions {
  int64_t layers = 2;          ///< of the encoder
  int64_t decoder_layers = 0;  ///< of a translation model; 0: as many as the encoder has
  int64_t width = 128;
  int64_t heads = 0;            ///< 0: width / 32
  int64_t batch = 64;           ///< batch size in texts
  int64_t batch_tokens = 4096;  ///< of translation: batch size in tokens of source and target together
  int64_t vocab = 16000;        ///< maximum vocabulary size
  int64_t byte_level = 0;       ///< 1: the new vocabulary is of byte-level BPE, not of WordPiece
  int64_t epochs = 1;
  int64_t max_length = 128;  ///< maximum tokens of a text
  int64_t max_steps = 0;     ///< 0: no limit
  double lr = 5e-4;          ///< learning rate at the peak of the schedule
  double dropout = 0.1;
  double warmup = 0.1;         ///< fraction of the steps in which the learning rate rises
  int64_t inverse_sqrt = 0;    ///< 1: then it falls with the inverse square root of the step, instead of linearly to 0
  double weight_decay = 0.01;  ///< of matrices; biases and norms have none
  double adam_beta2 = 0.999;   ///< decay of the second moment
  double adam_epsilon = 1e-8;  ///< added to the root of the second moment
  double clip = 1.0;           ///< maximum gradient norm
  /// Share of a text's tokens that training replaces by [MASK] (word dropout, Iyyer et al. 2015).
  double word_dropout = 0;
  /// τ of logit adjustment (Menon et al. 2021): in training τ·log(share of the label in the example's group) is added
  /// to the logits. At 1 the model learns as if all labels were equally frequent in each group. At 0 it learns their
  /// shares.
  double balance = 0;
  /// ε: a target becomes (1−ε)·target + ε spread evenly over the labels that compete (Szegedy et al. 2016).
  double label_smoothing = 0;
  /// α of R-Drop (Wu et al. 2021) with a halved loss: each batch is computed twice with different dropout. The loss is
  /// the mean of both losses plus α/4 of the two KL divergences between the predictions. 0: computed once.
  double consistency = 0;
  /// Model directories of teachers with the same labels. A target is `teacher_share` of the mean of their predictions
  /// plus the rest of the label (distillation, Hinton et al. 2015). `balance` changes predictions as it changes the
  /// logits, so they are what the model itself has to learn: of balanced labels with teachers trained at balance 1.
  std::vector<std::filesystem::path> teachers = {};
  /// The groups whose texts each teacher has; an empty list, or no list: all.
  std::vector<std::vector<int32_t>> teacher_groups = {};
  double teacher_share = 0.5;
  /// T: the teachers' part of the loss compares predictions and logits divided by T, and is multiplied by T².
  double teacher_temperature = 1;
  /// Groups of texts without labels (nn::kNoLabel), whose targets are the teachers' predictions alone. Each epoch takes
  /// another part of them, the fraction `unlabelled_share`.
  std::vector<int32_t> unlabelled_groups = {};
  double unlabelled_share = 1;
  /// Decay of the moving average of the weights (EMA), which is evaluated and saved instead of the weights; 0: none.
  double ema = 0;
  double mask_share = 0.15;  ///< pretraining: share of a text's tokens that are predicted
  int64_t whole_words = 0;   ///< pretraining, 1: all tokens of a word are predicted, or none
  /// Minimum number of texts of an n-gram. N-grams that reach it get a linear model that is added to the logits
  /// (nn/models/ngram_head.h); 0: none.
  int64_t ngram_min_texts = 0;
  /// Auxiliary groups of examples. Each epoch takes another part of their texts, the fraction `extra_share`. If a
  /// group has no text of a label, its texts do not teach that this label is wrong.
  std::vector<int32_t> extra_groups = {};
  double extra_share = 0.3;
  double ngram_dropout = 0.1;        ///< share of a text's n-grams left out in training
  double ngram_lr = 0.01;            ///< peak; only the rows of a step's n-grams move (AdamOptions::lazy)
  double ngram_weight_decay = 0.07;  ///< of these rows
  /// Model directory to fine-tune; empty: a new model. Its vocabulary, sizes and weights then replace `vocab`,
  /// `layers`, `width` and `heads` (see starting_model.h). Texts are cut at max_length, or where the model ends.
  std::filesystem::path from = {};
  int64_t head_only = 0;    ///< 1: only what follows the encoder is trained
  int64_t lora_rank = 0;    ///< rank of LoRA (nn/layers/lora.h) in every linear layer of the encoder; 0: none
  double lora_alpha = 16;   ///< LoRA's change is multiplied by alpha / rank
  int64_t prune_vocab = 0;  ///< 1: tokens that no example has are left out of the vocabulary
  double layer_decay = 1;   ///< factor of the learning rate from each layer to the one below (parameter_groups.h)
  int64_t gradient_checkpointing = 0;  ///< 1: backward computes the encoder's layers again
  /// Chunks of a batch, whose gradients are summed in a fixed order (training/data_parallel.h); 0: kDefaultChunks for
  /// several ranks, and batches as a whole for a process alone.
  int64_t chunks = 0;
  int64_t fast_reduce = 0;  ///< 1: each rank computes one chunk, so that the bits depend on the number of ranks
  /// bf16: products of matrices in bf16 with sums in f32 (see AutocastGuard), all else f32.
  DType precision = DType::f32;
  /// bf16: gradients travel between ranks in bf16 with error feedback, so the bits depend on the number of ranks.
  DType gradient_precision = DType::f32;
  int64_t overlap_reduce = 1;   ///< 1: gradients travel while backward goes on; 0: after it (DataParallelOptions)
  int64_t shard_optimizer = 0;  ///< 1: the optimizer's states are divided among the ranks (DataParallelOptions)
  /// What the classifier predicts (nn/problem.h): at most one of these is 1, and single labels are without any.
  int64_t multi_label = 0, ordinal = 0, regression = 0;
  /// In multi-label training the part of a label's loss for texts that have it is multiplied by (texts without it /
  /// texts with it) to this power. At 1 both parts weigh alike; at 0 all texts do.
  double positive_weight = 0;
  uint64_t seed = 42;
  std::vector<std::string> labels = {"negative", "neutral",
                                     "positive"};  ///< label names, in the order of their indices

  /// The kind of problem that the flags say.
  nn::Problem problem() const {
    if (multi_label != 0) return nn::Problem::multi_label;
    if (ordinal != 0) return nn::Problem::ordinal;
    return regression != 0 ? nn::Problem::regression : nn::Problem::single_label;
  }
  /// The optimizer's options at the peak of the schedule.
  AdamWOptions adamw() const {
    return {.lr = lr, .beta2 = adam_beta2, .eps = adam_epsilon, .weight_decay = weight_decay};
  }
};

/// What the rows are written with.
namespace rows {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr auto kMaxCount = static_cast<double>(kMaxSteps);

constexpr OptionRange within(double low, double high) { return {low, high}; }
constexpr OptionRange at_least(double low) { return {low, kInfinity, false, true}; }
constexpr OptionRange above(double low) { return {low, kInfinity, true, true}; }
inline constexpr OptionRange kShare = {0, 1};
inline constexpr OptionRange kFlag = {0, 1};
inline constexpr OptionRange kBelowOne = {0, 1, false, true};
inline constexpr OptionRange kAny = {-kInfinity, kInfinity};

inline constexpr const char* kModel = "Model";
inline constexpr const char* kTraining = "Training";
inline constexpr const char* kRegularization = "Regularization";
inline constexpr const char* kFineTuning = "Fine-tuning";
inline constexpr const char* kNgrams = "N-grams";
inline constexpr const char* kTeachers = "Distillation";

// The upper bounds of sizes keep their products inside int64. A member may have several rows, each for other recipes.
inline constexpr TrainOption kTrainOptions[] = {
    {"labels", &TrainOptions::labels, kAny, kModel,
     "Names of the labels, separated by commas. Without it they are those of the data, sorted, or those of --from if "
     "it "
     "has all of them"},
    {"multi_label", &TrainOptions::multi_label, kFlag, kModel,
     "Several labels for a text: 1 learns any number of labels, or none, for each text, by binary "
     "cross-entropy. 0 learns one"},
    {"ordinal", &TrainOptions::ordinal, kFlag, kModel,
     "Order of the labels, such as stars: 1 learns that near labels are less wrong than far ones, by the squared "
     "earth mover's distance. The order is that of --labels, or of their numbers"},
    {"regression", &TrainOptions::regression, kFlag, kModel,
     "Number instead of a label: 1 learns the numbers of the label column, by the mean squared error"},
    {"layers", &TrainOptions::layers, within(1, 1000), kModel, "Number of encoder layers", nullptr, OptionUse::encoder},
    {"width", &TrainOptions::width, within(1, 65536), kModel, "Hidden size", nullptr, OptionUse::encoder},
    {"heads", &TrainOptions::heads, within(0, 65536), kModel, "Number of attention heads. 0 means width / 32", nullptr,
     OptionUse::encoder},
    {"layers", &TrainOptions::layers, within(1, 1000), kModel, "Number of blocks of a vision transformer", nullptr,
     OptionUse::image},
    {"width", &TrainOptions::width, within(1, 65536), kModel, "Hidden size of a vision transformer", nullptr,
     OptionUse::image},
    {"heads", &TrainOptions::heads, within(0, 65536), kModel,
     "Number of attention heads of a vision transformer. 0 means width / 32", nullptr, OptionUse::image},
    {"vocab", &TrainOptions::vocab, within(6, 1 << 24), kModel, "Maximum vocabulary size", nullptr, OptionUse::encoder},
    {"byte_level", &TrainOptions::byte_level, kFlag, kModel,
     "Kind of a new vocabulary: 0 is WordPiece on lower-cased words, 1 byte-level BPE, which keeps every character",
     nullptr, OptionUse::encoder},
    {"max_length", &TrainOptions::max_length, within(3, 65536), kModel,
     "Maximum tokens per text. Longer texts are truncated, or in pretraining cut into several", nullptr,
     OptionUse::encoder},
    {"epochs", &TrainOptions::epochs, within(1, kMaxCount), kTraining, "Number of epochs", nullptr, OptionUse::all},
    {"max_steps", &TrainOptions::max_steps, within(0, kMaxCount), kTraining,
     "Maximum number of steps. 0 means no limit", nullptr, OptionUse::all},
    {"batch", &TrainOptions::batch, within(1, 1 << 20), kTraining, "Batch size, in texts", nullptr, OptionUse::encoder},
    {"batch", &TrainOptions::batch, within(1, 1 << 20), kTraining, "Batch size, in images", nullptr, OptionUse::image},
    {"lr", &TrainOptions::lr, above(0), kTraining, "Learning rate at the peak of the schedule", nullptr,
     OptionUse::all},
    {"warmup", &TrainOptions::warmup, kShare, kTraining,
     "Fraction of the steps in which the learning rate rises to its peak", nullptr, OptionUse::all},
    {"weight_decay", &TrainOptions::weight_decay, at_least(0), kTraining,
     "Weight decay (AdamW) of matrices. Biases and layer norms have none", nullptr, OptionUse::all},
    {"adam_beta2", &TrainOptions::adam_beta2, kBelowOne, kTraining, "Decay of AdamW's second moment (beta2)", nullptr,
     OptionUse::all},
    {"adam_epsilon", &TrainOptions::adam_epsilon, at_least(0), kTraining,
     "Term added to the root of AdamW's second moment (epsilon)", nullptr, OptionUse::all},
    {"clip", &TrainOptions::clip, above(0), kTraining, "Maximum gradient norm", nullptr, OptionUse::all},
    {"ema", &TrainOptions::ema, kBelowOne, kTraining,
     "Decay of the exponential moving average of the weights. The average is what is saved. 0 disables it", nullptr,
     OptionUse::all},
    {"extra_share", &TrainOptions::extra_share, kShare, kTraining,
     "Fraction of the --extra texts that each epoch takes"},
    {"precision", &TrainOptions::precision, kAny, kTraining,
     "Precision of matrix products: f32, or bf16 with sums in f32. All other arithmetic is f32", nullptr,
     OptionUse::all},
    {"seed", &TrainOptions::seed, kAny, kTraining, "Random seed", nullptr, OptionUse::all},
    {"layer_decay", &TrainOptions::layer_decay, OptionRange{0, 1, true}, kTraining,
     "Layer-wise learning rate decay: factor of the learning rate from each encoder layer to the one below", nullptr,
     OptionUse::encoder},
    {"gradient_checkpointing", &TrainOptions::gradient_checkpointing, kFlag, kTraining,
     "Gradient checkpointing: 1 recomputes each encoder layer in the backward pass, which takes less memory and more "
     "time. 0 disables it",
     nullptr, OptionUse::encoder},
    {"chunks", &TrainOptions::chunks, within(0, 65536), kTraining,
     "Number of chunks of a batch whose gradients are summed in a fixed order. The weights are equal for any number of "
     "processes with the same number of chunks. 0 means 8 under mpirun, and batches as a whole without it",
     nullptr, OptionUse::text},
    {"fast_reduce", &TrainOptions::fast_reduce, kFlag, kTraining,
     "Faster sum of gradients under mpirun: 1 gives each process one chunk, so the weights depend on the number of "
     "processes",
     nullptr, OptionUse::text},
    {"gradient_precision", &TrainOptions::gradient_precision, kAny, kTraining,
     "Precision in which gradients travel under mpirun: f32, or bf16 with error feedback. bf16 halves the bytes, and "
     "the weights depend on the number of processes. Rows of tables travel in f32",
     nullptr, OptionUse::text},
    {"overlap_reduce", &TrainOptions::overlap_reduce, kFlag, kTraining,
     "Exchange of gradients under mpirun: 1 sends them while the backward pass goes on. 0 sends them after it, which "
     "shows what the overlap saves. The weights are the same",
     nullptr, OptionUse::text},
    {"shard_optimizer", &TrainOptions::shard_optimizer, kFlag, kTraining,
     "Division of the optimizer's states under mpirun (ZeRO stage 1): 1 keeps a share of them in each process. The "
     "weights are the same. 0 keeps all of them in each process",
     nullptr, OptionUse::text},
    {"from", &TrainOptions::from, kAny, kFineTuning,
     "Model folder to begin with. Its vocabulary, encoder size and weights are taken over. A classification head is "
     "kept if the labels are the same",
     nullptr, OptionUse::encoder},
    {"head_only", &TrainOptions::head_only, kFlag, kFineTuning,
     "Training of the pooler and the classification head only: 1 freezes the embeddings and the encoder"},
    {"lora_rank", &TrainOptions::lora_rank, within(0, 65536), kFineTuning,
     "LoRA rank. The embeddings and the encoder are frozen, and each linear layer of the encoder gets a low-rank "
     "update, "
     "which is merged into the saved weights. 0 disables it"},
    {"lora_alpha", &TrainOptions::lora_alpha, above(0), kFineTuning,
     "LoRA alpha. The low-rank update is multiplied by alpha / rank"},
    {"prune_vocab", &TrainOptions::prune_vocab, kFlag, kFineTuning,
     "Vocabulary pruning: 1 removes the tokens that the training texts do not have"},
    {"mask_share", &TrainOptions::mask_share, OptionRange{0, 1, true, true}, kTraining,
     "Fraction of a text's tokens that are predicted, at least one", nullptr, OptionUse::pretraining},
    {"whole_words", &TrainOptions::whole_words, kFlag, kTraining,
     "Whole-word masking: 1 predicts all tokens of a word or none. 0 chooses tokens one by one", nullptr,
     OptionUse::pretraining},
    {"dropout", &TrainOptions::dropout, kBelowOne, kRegularization, "Dropout probability", nullptr, OptionUse::all},
    {"word_dropout", &TrainOptions::word_dropout, kBelowOne, kRegularization,
     "Word dropout: fraction of a text's tokens replaced by [MASK] in training"},
    {"label_smoothing", &TrainOptions::label_smoothing, kBelowOne, kRegularization,
     "Label smoothing: fraction of each target spread evenly over the labels", nullptr,
     OptionUse::classification | OptionUse::tagging | OptionUse::image},
    {"balance", &TrainOptions::balance, at_least(0), kRegularization,
     "Strength of the correction for label frequencies in each file (logit adjustment). 0 learns the frequencies, 1 "
     "treats all labels as equally frequent"},
    {"positive_weight", &TrainOptions::positive_weight, at_least(0), kRegularization,
     "Strength of the weight of a label's texts in multi-label training: the ratio of the texts without the label to "
     "those with it, to this power. 0 weighs all texts alike"},
    {"consistency", &TrainOptions::consistency, at_least(0), kRegularization,
     "Weight of the R-Drop loss, the divergence between two dropout passes. 0 disables it"},
    {"teachers", &TrainOptions::teachers, kAny, kTeachers,
     "Model folder of a teacher, for all texts, or FOLDER=FILE for the texts of that --data, --extra or --unlabelled "
     "file. Repeat the option for several teachers or files",
     "teacher"},
    {"teacher_share", &TrainOptions::teacher_share, kShare, kTeachers,
     "Weight of the teachers' predictions in each target. The label has the rest"},
    {"teacher_temperature", &TrainOptions::teacher_temperature, OptionRange{0, 100, true}, kTeachers,
     "Distillation temperature: predictions and logits are divided by it before they are compared"},
    {"unlabelled_share", &TrainOptions::unlabelled_share, kShare, kTeachers,
     "Fraction of the --unlabelled texts that each epoch takes"},
    {"ngram_min_texts", &TrainOptions::ngram_min_texts, within(0, 1 << 24), kNgrams,
     "Minimum document frequency of an n-gram, in texts. N-grams that reach it get a linear model beside the "
     "encoder. 0 disables n-grams",
     "ngrams"},
    {"ngram_dropout", &TrainOptions::ngram_dropout, kBelowOne, kNgrams,
     "Fraction of a text's n-grams dropped in training"},
    {"ngram_lr", &TrainOptions::ngram_lr, at_least(0), kNgrams,
     "Learning rate of the n-gram weights at the peak of the schedule"},
    {"ngram_weight_decay", &TrainOptions::ngram_weight_decay, at_least(0), kNgrams,
     "Weight decay of the n-gram weights"},
    // Those of translation.
    {"layers", &TrainOptions::layers, within(1, 1000), kModel, "Number of encoder layers", nullptr,
     OptionUse::translation},
    {"decoder_layers", &TrainOptions::decoder_layers, within(0, 1000), kModel,
     "Number of decoder layers. 0 means as many as the encoder has", nullptr, OptionUse::translation},
    {"width", &TrainOptions::width, within(1, 65536), kModel,
     "Hidden size. The feed-forward layers have 4 times as much", nullptr, OptionUse::translation},
    {"heads", &TrainOptions::heads, within(0, 65536), kModel, "Number of attention heads. 0 means width / 64", nullptr,
     OptionUse::translation},
    {"vocab", &TrainOptions::vocab, within(6, 1 << 24), kModel,
     "Maximum size of the vocabulary, which both languages share: byte-level BPE, which keeps every character", nullptr,
     OptionUse::translation},
    {"max_length", &TrainOptions::max_length, within(3, 65536), kModel,
     "Maximum tokens per text. A pair with a longer text is left out", nullptr, OptionUse::translation},
    {"batch_tokens", &TrainOptions::batch_tokens, within(1, 1 << 24), kTraining,
     "Batch size, in tokens of source and target together. Pairs of about the same length share a batch", nullptr,
     OptionUse::translation},
    {"inverse_sqrt", &TrainOptions::inverse_sqrt, kFlag, kTraining,
     "Decay of the learning rate after its peak: 1 is by the inverse square root of the step, 0 linear to 0", nullptr,
     OptionUse::translation},
    {"gradient_checkpointing", &TrainOptions::gradient_checkpointing, kFlag, kTraining,
     "Gradient checkpointing: 1 recomputes each layer in the backward pass, which takes less memory and more time. 0 "
     "disables it",
     nullptr, OptionUse::translation},
    {"from", &TrainOptions::from, kAny, kFineTuning,
     "Model folder to begin with, of a translation model. Its vocabulary, sizes and weights are taken over", nullptr,
     OptionUse::translation},
    {"label_smoothing", &TrainOptions::label_smoothing, kBelowOne, kRegularization,
     "Label smoothing: fraction of each target spread evenly over the vocabulary", nullptr, OptionUse::translation},
};

}  // namespace rows
using rows::kTrainOptions;

/// The checks of train_classifier() that read no files. ValueError.
void check_train_options(const TrainOptions& options, std::span<const nn::Example> examples);
/// Those of them that do not depend on what the examples are, for this number of examples. ValueError.
void check_train_options(const TrainOptions& options, size_t examples);

/// Number of steps of an epoch with this number of examples, at least one.
int64_t batches_of_epoch(const TrainOptions& options, size_t examples);

}  // namespace qing::optim
