// Which variants this processor and this operating system can run. A variant that the compiler could not build is not
// there (GPTOSS_HAVE_… from scripts/build-native.mjs). Which one is used is the caller's choice, best first by default.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "program.h"

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
#endif

namespace gptoss {

namespace {

struct Features {
  bool avx2 = false, fma = false, f16c = false, avx_vnni = false;
  bool avx512 = false;  // F, BW, VL, DQ
  bool avx512_vnni = false, avx512_vbmi = false, avx512_bf16 = false;
  bool neon = false, dot = false;
};

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
#endif

Features find_features() {
  Features f;
#ifdef GPTOSS_X86
  const auto bit = [](uint32_t word, int n) { return ((word >> n) & 1) != 0; };
  const Registers one = cpuid(1, 0);
  if (!bit(one.c, 27)) return f;  // OSXSAVE
  const uint64_t saved = saved_states();
  const bool ymm = (saved & 0x6) == 0x6, zmm = (saved & 0xe6) == 0xe6;
  const uint32_t most = cpuid(0, 0).a;
  const Registers seven = most >= 7 ? cpuid(7, 0) : Registers{};
  const Registers seven_one = most >= 7 && seven.a >= 1 ? cpuid(7, 1) : Registers{};
  f.avx2 = ymm && bit(seven.b, 5);
  f.fma = ymm && bit(one.c, 12);
  f.f16c = ymm && bit(one.c, 29);
  f.avx_vnni = ymm && bit(seven_one.a, 4);
  f.avx512 = zmm && bit(seven.b, 16) && bit(seven.b, 17) && bit(seven.b, 30) && bit(seven.b, 31);
  f.avx512_vnni = f.avx512 && bit(seven.c, 11);
  f.avx512_vbmi = f.avx512 && bit(seven.c, 1);
  f.avx512_bf16 = f.avx512 && bit(seven_one.a, 5);
#elif defined(__aarch64__) || defined(_M_ARM64)
  f.neon = true;
#if defined(__linux__)
  f.dot = (getauxval(AT_HWCAP) & (1UL << 20)) != 0;  // HWCAP_ASIMDDP
#elif defined(__APPLE__)
  f.dot = true;
#endif
#endif
  return f;
}

}  // namespace

std::vector<std::string> cpu_features() {
  const Features f = find_features();
  const std::pair<const char*, bool> all[] = {
      {"avx2", f.avx2},       {"fma", f.fma},   {"f16c", f.f16c},
      {"avx-vnni", f.avx_vnni}, {"avx512 (f bw vl dq)", f.avx512}, {"avx512-vnni", f.avx512_vnni},
      {"avx512-vbmi", f.avx512_vbmi}, {"avx512-bf16", f.avx512_bf16}, {"neon", f.neon}, {"dotprod", f.dot},
  };
  std::vector<std::string> names;
  for (const auto& [name, has] : all) {
    if (has) names.emplace_back(name);
  }
  return names;
}

std::vector<const Kernels*> usable_kernels() {
  [[maybe_unused]] const Features f = find_features();
  std::vector<const Kernels*> usable;
  [[maybe_unused]] const bool avx2 = f.avx2 && f.fma && f.f16c;
#ifdef GPTOSS_HAVE_AVX512_VNNI
  if (avx2 && f.avx512_vnni && f.avx512_vbmi && f.avx512_bf16) usable.push_back(avx512_vnni_kernels());
#endif
#ifdef GPTOSS_HAVE_AVX512
  if (avx2 && f.avx512) usable.push_back(avx512_kernels());
#endif
#ifdef GPTOSS_HAVE_AVX2_VNNI
  if (avx2 && f.avx_vnni) usable.push_back(avx2_vnni_kernels());
#endif
#ifdef GPTOSS_HAVE_AVX2
  if (avx2) usable.push_back(avx2_kernels());
#endif
#ifdef GPTOSS_HAVE_NEON_DOT
  if (f.dot) usable.push_back(neon_dot_kernels());
#endif
#ifdef GPTOSS_HAVE_NEON
  if (f.neon) usable.push_back(neon_kernels());
#endif
  usable.push_back(scalar_kernels());
  return usable;
}

// Cores that this process may run on, counting the threads of one core once; 0 when it cannot be told.
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
