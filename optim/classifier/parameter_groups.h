// Which parameters of a model are trained, and at which rate.
#pragma once

#include <vector>

#include <qing/nn/models/encoder_heads.h>
#include <qing/nn/models/ngram_head.h>
#include <qing/optim/classifier/train_options.h>
#include <qing/optim/optimizer.h>

namespace qing::optim {

/// Makes the parameters leaves that `options` wants trained: all; with head_only those after the encoder (pooler and
/// classifier); with lora_rank these and the LoRA that it adds to every linear layer of the encoder.
void choose_parameters(nn::EncoderForSequenceClassification& model, const TrainOptions& options, Generator& rng);

/// The trained parameters of a model with an encoder `bert` in groups. Weight decay is for matrices: it would pull
/// biases and the scales of norms away from where they belong. With layer_decay d, the learning rate of what follows
/// the encoder is `lr`, that of its last layer lr·d, of the one below lr·d², ..., of the embeddings lr·d^(layers + 1).
/// n-grams, if not null, have a group of their own, the last.
std::vector<ParameterGroup<AdamWOptions>> parameter_groups(nn::Module& model, const nn::EncoderConfig& encoder,
                                                           nn::NgramHead* ngrams, const TrainOptions& options);

}  // namespace qing::optim
