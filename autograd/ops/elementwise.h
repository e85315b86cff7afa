// Every elementwise operation, by family.
#pragma once

#include <qing/autograd/ops/activations.h>
#include <qing/autograd/ops/arithmetic.h>
#include <qing/autograd/ops/math.h>
#include <qing/autograd/ops/powers.h>
#include <qing/autograd/ops/selection.h>
