// All differentiable operations, by family. They take and return f32 or f64 tensors. They check shapes and dtypes
// (ShapeError, DTypeError, IndexError, ValueError naming the operation) and record a graph when an input requires a
// gradient. Bits do not depend on the number of threads. Thread-safe as Tensor is. Forward and backward of each
// operation are in one file of autograd/ops/.
#pragma once

#include <qing/autograd/ops/attention.h>
#include <qing/autograd/ops/convolution.h>
#include <qing/autograd/ops/convolution3d.h>
#include <qing/autograd/ops/ctc_loss.h>
#include <qing/autograd/ops/distances.h>
#include <qing/autograd/ops/dropout.h>
#include <qing/autograd/ops/einsum.h>
#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/fft.h>
#include <qing/autograd/ops/indexing.h>
#include <qing/autograd/ops/joining.h>
#include <qing/autograd/ops/linalg.h>
#include <qing/autograd/ops/linear_cross_entropy.h>
#include <qing/autograd/ops/losses.h>
#include <qing/autograd/ops/normalization.h>
#include <qing/autograd/ops/pooling.h>
#include <qing/autograd/ops/products.h>
#include <qing/autograd/ops/rearrange.h>
#include <qing/autograd/ops/recurrent.h>
#include <qing/autograd/ops/reductions.h>
#include <qing/autograd/ops/rotary.h>
#include <qing/autograd/ops/scans.h>
#include <qing/autograd/ops/softmax.h>
#include <qing/autograd/ops/sorting.h>
#include <qing/autograd/ops/views.h>
