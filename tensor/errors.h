// Typed errors. Every exception qing throws derives from qing::Error; its text names the operation,
// the offending value and, where one exists, the remedy.
#pragma once

#include <stdexcept>
#include <string>

namespace qing {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Shapes that do not fit an operation.
class ShapeError : public Error {
 public:
  using Error::Error;
};
/// An operation does not accept the dtype, or two dtypes differ.
class DTypeError : public Error {
 public:
  using Error::Error;
};
/// An index or a dimension out of range.
class IndexError : public Error {
 public:
  using Error::Error;
};
/// A value outside an argument's domain.
class ValueError : public Error {
 public:
  using Error::Error;
};
/// Misuse of the autograd graph (stale saved tensor, second backward, ...).
class AutogradError : public Error {
 public:
  using Error::Error;
};
/// Input data that is malformed: the text is "file:line: what, what to do".
class DataError : public Error {
 public:
  using Error::Error;
};
/// A file that cannot be read or written; the text names the path and the system's reason.
class IoError : public Error {
 public:
  using Error::Error;
};

}  // namespace qing
