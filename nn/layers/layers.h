// Every layer, by kind. Layers have the names, defaults and parameter names of PyTorch's, so that its state dicts load.
// forward is const: in evaluation mode it may be called from many threads.
#pragma once

#include <qing/nn/layers/activation.h>
#include <qing/nn/layers/container.h>
#include <qing/nn/layers/conv.h>
#include <qing/nn/layers/conv3d.h>
#include <qing/nn/layers/dropout_layer.h>
#include <qing/nn/layers/embedding.h>
#include <qing/nn/layers/embedding_bag.h>
#include <qing/nn/layers/encoder_block.h>
#include <qing/nn/layers/linear.h>
#include <qing/nn/layers/multihead_attention.h>
#include <qing/nn/layers/norm.h>
#include <qing/nn/layers/parametrizations.h>
#include <qing/nn/layers/positional.h>
#include <qing/nn/layers/projected_attention.h>
#include <qing/nn/layers/ragged_attention.h>
#include <qing/nn/layers/rnn.h>
#include <qing/nn/layers/rnn_cells.h>
#include <qing/nn/layers/transformer.h>
