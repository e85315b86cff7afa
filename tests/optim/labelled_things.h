// A task that a tiny model learns within seconds.
#pragma once

#include <string>

namespace qing::test {

/// Text i of many different ones: a thing, a word that gives its label i % 3, and a number.
inline std::string labelled_thing(int i) {
  const char* things[] = {"film", "phone", "book", "lamp"};
  const char* words[] = {"bad", "plain", "good"};
  return std::string(things[i % 4]) + " " + words[i % 3] + " " + std::to_string(i % 7);
}

}  // namespace qing::test
