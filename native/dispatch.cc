// Which variants this processor and this operating system can run. variants.inc is written by scripts/build-native.mjs from
// variants.mjs: a variant that the compiler could not build is not in it. Which one is used is the caller's choice, best
// first by default.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "dispatch.h"

#include "memory.h"

#if defined(__x86_64__) || defined(_M_X64)
#define GPTOSS_X86 1
#ifdef _MSC_VER
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#endif

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#include <unistd.h>
#else
#include <sched.h>
#include <unistd.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif
#ifdef __linux__
#include <sys/syscall.h>
#endif
#endif

namespace gptoss {

namespace {

using Features = std::vector<std::string>;

#ifdef GPTOSS_X86
struct Registers { uint32_t a, b, c, d; };

Registers cpuid(uint32_t leaf, uint32_t sub) {
  Registers r{};
#ifdef _MSC_VER
  int out[4];
  __cpuidex(out, static_cast<int>(leaf), static_cast<int>(sub));
  r = {static_cast<uint32_t>(out[0]), static_cast<uint32_t>(out[1]), static_cast<uint32_t>(out[2]), static_cast<uint32_t>(out[3])};
#else
  __get_cpuid_count(leaf, sub, &r.a, &r.b, &r.c, &r.d);
#endif
  return r;
}

// Which register states the operating system saves: without that the instructions fault although the processor has them.
uint64_t saved_states() {
#ifdef _MSC_VER
  return _xgetbv(0);
#else
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
#endif
}

// Linux gives a process the tile registers when it asks; others give them without.
bool may_use_tiles() {
#ifdef __linux__
  constexpr long kAskPermission = 0x1023, kTileData = 18;
  static const bool granted = syscall(SYS_arch_prctl, kAskPermission, kTileData) == 0;
  return granted;
#else
  return true;
#endif
}
#endif

Features find_features() {
  Features found;
  [[maybe_unused]] const auto add = [&](const char* name, bool has) {
    if (has) found.emplace_back(name);
  };
#ifdef GPTOSS_X86
  const auto bit = [](uint32_t word, int n) { return ((word >> n) & 1) != 0; };
  const Registers one = cpuid(1, 0);
  if (!bit(one.c, 27)) return found;  // OSXSAVE
  const uint64_t saved = saved_states();
  const bool ymm = (saved & 0x6) == 0x6, zmm = (saved & 0xe6) == 0xe6;
  const uint32_t most = cpuid(0, 0).a;
  const Registers seven = most >= 7 ? cpuid(7, 0) : Registers{};
  const Registers seven_one = most >= 7 && seven.a >= 1 ? cpuid(7, 1) : Registers{};
  const bool avx512 = zmm && bit(seven.b, 16) && bit(seven.b, 17) && bit(seven.b, 30) && bit(seven.b, 31);  // F DQ BW VL
  add("avx2", ymm && bit(seven.b, 5));
  add("fma", ymm && bit(one.c, 12));
  add("f16c", ymm && bit(one.c, 29));
  add("avx-vnni", ymm && bit(seven_one.a, 4));
  add("avx512", avx512);
  add("avx512-vnni", avx512 && bit(seven.c, 11));
  add("avx512-vbmi", avx512 && bit(seven.c, 1));
  add("avx512-bf16", avx512 && bit(seven_one.a, 5));
  const bool tiles = (saved & 0x60000) == 0x60000 && bit(seven.d, 24) && may_use_tiles();
  add("amx-bf16", tiles && bit(seven.d, 22));
  add("amx-int8", tiles && bit(seven.d, 25));
#elif defined(__aarch64__) || defined(_M_ARM64)
  add("neon", true);
#if defined(__linux__)
  [[maybe_unused]] const unsigned long one = getauxval(AT_HWCAP), two = getauxval(AT_HWCAP2);
  add("dotprod", (one & (1UL << 20)) != 0);  // HWCAP_ASIMDDP
  add("i8mm", (two & (1UL << 13)) != 0);     // HWCAP2_I8MM
  add("bf16", (two & (1UL << 14)) != 0);     // HWCAP2_BF16
#elif defined(__APPLE__)
  const auto says = [](const char* name) {
    int32_t value = 0;
    size_t size = sizeof(value);
    return sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value != 0;
  };
  add("dotprod", says("hw.optional.arm.FEAT_DotProd"));
  add("i8mm", says("hw.optional.arm.FEAT_I8MM"));
  add("bf16", says("hw.optional.arm.FEAT_BF16"));
#elif defined(_WIN32)
  add("dotprod", IsProcessorFeaturePresent(43 /* PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE */));
  add("i8mm", IsProcessorFeaturePresent(66 /* PF_ARM_V82_I8MM_INSTRUCTIONS_AVAILABLE */));
  add("bf16", IsProcessorFeaturePresent(68 /* PF_ARM_V86_BF16_INSTRUCTIONS_AVAILABLE */));
#endif
#endif
  return found;
}

bool has_all(const Features& found, const char* needs) {
  const std::string words = needs;
  for (size_t at = 0; at < words.size();) {
    const size_t end = words.find(' ', at) == std::string::npos ? words.size() : words.find(' ', at);
    if (std::find(found.begin(), found.end(), words.substr(at, end - at)) == found.end()) return false;
    at = end + 1;
  }
  return true;
}

}  // namespace

#define GPTOSS_VARIANT(unit, needs) const Kernels* unit##_kernels();
#include "variants.inc"
#undef GPTOSS_VARIANT

namespace {

struct Variant {
  const Kernels* (*kernels)();
  const char* needs;
};
const Variant kVariants[] = {
#define GPTOSS_VARIANT(unit, needs) {unit##_kernels, needs},
#include "variants.inc"
#undef GPTOSS_VARIANT
};

}  // namespace

std::vector<std::string> cpu_features() { return find_features(); }

std::vector<const Kernels*> usable_kernels() {
  const Features found = find_features();
  std::vector<const Kernels*> usable;
  for (const Variant& variant : kVariants) {
    if (has_all(found, variant.needs)) usable.push_back(variant.kernels());
  }
  return usable;
}

const Kernels* usable_variant(const std::string& name) {
  for (const Kernels* kernels : usable_kernels()) {
    if (name == kernels->name) return kernels;
  }
  throw Failure{"unsupported-device", "this machine cannot run the variant " + name};
}

int32_t physical_cores() {
#ifdef _WIN32
  DWORD bytes = 0;
  GetLogicalProcessorInformationEx(RelationProcessorCore, nullptr, &bytes);
  std::vector<uint8_t> data(bytes);
  auto* info = reinterpret_cast<SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX*>(data.data());
  if (bytes == 0 || !GetLogicalProcessorInformationEx(RelationProcessorCore, info, &bytes)) return 0;
  int32_t cores = 0;
  for (DWORD at = 0; at < bytes; cores++) {
    at += reinterpret_cast<SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX*>(data.data() + at)->Size;
  }
  return cores;
#elif defined(__APPLE__)
  int32_t cores = 0;
  size_t size = sizeof(cores);
  // Fast cores only: a slow one in the team would be waited for at each barrier.
  if (sysctlbyname("hw.perflevel0.physicalcpu", &cores, &size, nullptr, 0) == 0 && cores > 0) return cores;
  size = sizeof(cores);
  return sysctlbyname("hw.physicalcpu", &cores, &size, nullptr, 0) == 0 ? cores : 0;
#else
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 0;
  std::set<std::pair<long, long>> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, &set)) continue;
    long ids[2] = {-1, cpu};  // package, core
    const char* names[2] = {"physical_package_id", "core_id"};
    for (int i = 0; i < 2; i++) {
      char path[128];
      std::snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/topology/%s", cpu, names[i]);
      if (FILE* file = std::fopen(path, "r")) {
        if (std::fscanf(file, "%ld", &ids[i]) != 1) ids[i] = i == 1 ? cpu : -1;
        std::fclose(file);
      }
    }
    cores.insert({ids[0], ids[1]});
  }
  return static_cast<int32_t>(cores.size());
#endif
}

}  // namespace gptoss
