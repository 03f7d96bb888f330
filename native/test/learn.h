// Checks of the trainer's kernels for native/test/compare.cc.
#pragma once
#include <cstdint>

#include "../train/kernels.h"

namespace gptoss {

struct Counts { int32_t passed, failed; };

// Against float64 and the scalar variant; what fails is printed.
Counts check_trainer(const TrainKernels& kernels);

}  // namespace gptoss
