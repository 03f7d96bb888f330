// Which training kernels go with a variant of ../dispatch.cc: the list is made by native/variants.mjs when the addon is
// built, of what this compiler could build.
#include <cstring>

#include "kernels.h"

namespace gptoss {

const TrainKernels* train_kernels(const char* variant) {
#define GPTOSS_TRAIN(name, unit) \
  if (std::strcmp(variant, name) == 0) return unit##_train_kernels();
#include "variants.inc"
#undef GPTOSS_TRAIN
  return nullptr;
}

}  // namespace gptoss
