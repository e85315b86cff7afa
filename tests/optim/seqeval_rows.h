// Scores that seqeval 1.2.2 gives by default (micro-averaged; accuracy of the tags) for tags drawn at random. The
// sentences of a row are separated by "|".
#pragma once

namespace qing::optim {

struct SeqevalRow {
  const char *expected, *predicted;
  double f1, precision, recall, accuracy;
};

inline constexpr SeqevalRow kSeqevalRows[] = {
    {"O O B-B-C O | O O | I-B-C O O I-B-C O O O", "O O B-B-C O | O O | B-A O O B-B-C O O O", 0.6666666666666666,
     0.6666666666666666, 0.6666666666666666, 0.8461538461538461},
    {"E-A B-B-C I-A O O E-B-C S-B-C | O B-A I-A E-B-C O B-B-C | S-A B-A O B-B-C B-A B-A",
     "E-A B-B-C I-A B-A I-B-C E-B-C S-B-C | O B-A I-B-C O O B-B-C | S-A B-A O B-B-C B-A B-A", 0.7407407407407408,
     0.7142857142857143, 0.7692307692307693, 0.7894736842105263},
    {"O | O B-A B-A O B-B-C B-A O B-B-C O | O B-A O O O O O", "I-A | O B-A O O O B-A O O O | O O O B-B-C O O O", 0.4,
     0.5, 0.3333333333333333, 0.6470588235294118},
    {"E-B-C I-A O B-A O I-A I-B-C B-A | O B-B-C S-B-C O | O O", "E-B-C I-A O B-A O I-B-C O B-A | O O S-B-C O | E-B-C O",
     0.6666666666666666, 0.7142857142857143, 0.625, 0.7142857142857143},
    {"O O O | O O I-A O O O O I-A | I-B-C I-A I-A B-B-C O O O O",
     "O O I-B-C | O O I-A O I-B-C O O I-A | O I-A I-A O O O O O", 0.6, 0.6, 0.6, 0.7894736842105263},
    {"E-A O O | B-B-C I-A E-A I-B-C B-B-C S-B-C I-B-C B-B-C | I-A I-A S-B-C S-B-C I-B-C O O S-A",
     "E-A I-A I-B-C | B-B-C I-A E-A I-B-C B-B-C S-B-C I-B-C O | I-A O S-B-C S-B-C I-B-C O O S-A", 0.8148148148148148,
     0.7857142857142857, 0.8461538461538461, 0.7894736842105263},
    {"B-B-C O B-A B-A O | O | O O O", "I-A O O I-A O | B-B-C | O O B-B-C", 0.28571428571428575, 0.25,
     0.3333333333333333, 0.4444444444444444},
    {"B-B-C | E-B-C O B-B-C O O | S-B-C B-A O O E-A O", "B-B-C | E-B-C O S-A O O | S-B-C B-B-C B-B-C I-B-C E-A O",
     0.6153846153846153, 0.5714285714285714, 0.6666666666666666, 0.6666666666666666},
    {"B-B-C O O O | B-B-C O B-B-C O I-A O O I-A | B-B-C", "I-B-C O O O | B-B-C O B-B-C O I-A O O O | B-B-C",
     0.9090909090909091, 1.0, 0.8333333333333334, 0.8461538461538461},
    {"O O B-B-C | B-B-C | O O B-A O O O", "O O B-B-C | B-B-C | O O O O O O", 0.8, 1.0, 0.6666666666666666, 0.9},
    {"O O | O I-A O O O O | O I-B-C O O B-A", "O O | O I-A O O O O | O I-B-C O O B-A", 1.0, 1.0, 1.0, 1.0},
    {"I-B-C S-B-C O B-B-C | B-A S-A B-A E-B-C O | B-A O", "S-A S-B-C S-B-C B-B-C | B-A I-A B-A E-B-C E-B-C | B-A O",
     0.5882352941176471, 0.5555555555555556, 0.625, 0.6363636363636364},
    {"O O B-A B-A O O | O O O O | O", "O O B-A B-A O O | O O O O | O", 1.0, 1.0, 1.0, 1.0},
    {"O | I-B-C | B-A S-B-C S-B-C B-B-C O", "O | B-B-C | B-A S-B-C S-B-C B-B-C O", 1.0, 1.0, 1.0, 0.8571428571428571},
    {"O | O O | O", "O | O O | O", 0.0, 0.0, 0.0, 1.0},
    {"O I-A S-A B-B-C S-B-C O O | B-A I-A E-B-C I-A I-A O | I-A O O I-A O O E-B-C B-B-C",
     "O I-A S-A B-B-C S-B-C O O | B-A I-A E-B-C I-A I-A O | I-A O O I-A O O E-B-C B-B-C", 1.0, 1.0, 1.0, 1.0},
};

}  // namespace qing::optim
