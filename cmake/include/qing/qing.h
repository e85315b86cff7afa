// All of qing that a program computes and trains with: tensors, autograd, layers, models, data, optimizers and
// training. A layer that is not installed is left out. The server is included by itself, <qing/serve/...>.
#pragma once

#include <qing/tensor/creation.h>
#include <qing/tensor/dlpack.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/npy.h>
#include <qing/tensor/ops/compare.h>
#include <qing/tensor/ops/integer.h>
#include <qing/tensor/ops/nonzero.h>
#include <qing/tensor/ops/search.h>
#include <qing/tensor/random.h>
#include <qing/tensor/tensor.h>
#include <qing/tensor/threads.h>
#include <qing/tensor/warnings.h>

#if __has_include(<qing/autograd/autograd.h>)
#include <qing/autograd/autocast.h>
#include <qing/autograd/autograd.h>
#include <qing/autograd/functional/functional.h>
#include <qing/autograd/functional/gradcheck.h>
#include <qing/autograd/ops.h>
#include <qing/autograd/ops/gradient_checkpoint.h>
#include <qing/autograd/tensor_function.h>
#endif

#if __has_include(<qing/nn/module.h>)
#include <qing/nn/accuracy.h>
#include <qing/nn/data/augment.h>
#include <qing/nn/data/collate.h>
#include <qing/nn/data/data_loader.h>
#include <qing/nn/data/dataset.h>
#include <qing/nn/data/labelled_texts.h>
#include <qing/nn/data/tensor_dataset.h>
#include <qing/nn/formats/open_weights.h>
#include <qing/nn/formats/safetensors.h>
#include <qing/nn/init.h>
#include <qing/nn/layers/layers.h>
#include <qing/nn/layers/lora.h>
#include <qing/nn/metrics.h>
#include <qing/nn/models/llama.h>
#include <qing/nn/models/pretrained.h>
#include <qing/nn/models/sentence_embedding.h>
#include <qing/nn/models/text_classifier.h>
#include <qing/nn/models/trainable_classifier.h>
#include <qing/nn/models/translator.h>
#include <qing/nn/module.h>
#include <qing/nn/ragged_batch.h>
#include <qing/nn/summary.h>
#include <qing/nn/text/tokenizer.h>
#endif

#if __has_include(<qing/optim/optimizer.h>)
#include <qing/optim/adafactor.h>
#include <qing/optim/averaged_model.h>
#include <qing/optim/classifier/finetune.h>
#include <qing/optim/classifier/train_classifier.h>
#include <qing/optim/clip.h>
#include <qing/optim/grad_scaler.h>
#include <qing/optim/lbfgs.h>
#include <qing/optim/lr_scheduler.h>
#include <qing/optim/optimizer.h>
#include <qing/optim/schedules.h>
#include <qing/optim/training/loader_losses.h>
#include <qing/optim/training/trainer.h>
#endif
