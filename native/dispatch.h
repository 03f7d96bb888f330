// Which variants of the kernels this processor can run, and what it has. Next: dispatch.cc, variants.mjs.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "kernels.h"

namespace gptoss {

std::vector<const Kernels*> usable_kernels();  // best first, scalar last
const Kernels* usable_variant(const std::string& name);  // throws Failure where this machine cannot run it
std::vector<std::string> cpu_features();
int32_t physical_cores();  // that this process may run on, the threads of one core counted once; 0 when it cannot be told

}  // namespace gptoss
