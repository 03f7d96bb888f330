// What this machine can do at best, measured on the team: the ceilings beside which `bench` shows each kernel and from
// which `fit` estimates. Next: kernels/probe.inl.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>

#include "kernels.h"
#include "memory.h"
#include "threads.h"

namespace gptoss {

// Same order as PROBES in src/backend/cpu/addon.ts.
enum class ProbeKind : int32_t {
  READ,      // bytes per second streamed from memory
  F32,       // multiply-adds per second
  BF16,
  INT8,
  BARRIER,   // barriers per second
};
constexpr int32_t kProbeKinds = 5;

// Runs as one job of the team. The first pass warms up, the fastest of the others counts.
class Probe {
 public:
  Probe(const Kernels* kernels, ProbeKind kind, int32_t threads)
      : kernels_(kernels), kind_(kind), threads_(threads) {
    if (kind == ProbeKind::READ) data_ = Memory::zeroed(kReadBytes, "the bandwidth measurement");
  }

  void work(Worker& worker) {
    using Clock = std::chrono::steady_clock;
    constexpr int kPasses = 6, kBarriers = 2000;
    constexpr int64_t kIterations = 300000;
    const int32_t threads = threads_ < worker.count ? threads_ : worker.count;
    if (data_.data() != nullptr && worker.id < threads) {  // touched by who reads it
      uint8_t* part = data_.data() + share(worker.id, threads);
      const size_t bytes = share(worker.id + 1, threads) - share(worker.id, threads);
      for (size_t i = 0; i < bytes; i += 64) part[i] = 1;
    }
    for (int pass = 0; pass < kPasses; pass++) {
      if (worker.id == 0) done_.store(0);
      worker.barrier();
      const Clock::time_point start = Clock::now();
      if (kind_ == ProbeKind::BARRIER) {
        for (int i = 0; i < kBarriers; i++) worker.barrier();
        if (worker.id == 0) done_.store(kBarriers);
      } else if (worker.id < threads) {
        const bool read = kind_ == ProbeKind::READ;
        const size_t first = read ? share(worker.id, threads) : 0;
        const int64_t amount = read ? static_cast<int64_t>(share(worker.id + 1, threads) - first) : kIterations;
        done_.fetch_add(kernels_->probe(static_cast<int32_t>(kind_), data_.data() + first, amount));
      }
      worker.barrier();
      if (worker.id == 0 && pass > 0) {
        const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
        const double rate = static_cast<double>(done_.load()) / seconds;
        if (rate > rate_) rate_ = rate;
      }
      worker.barrier();
    }
  }

  double rate() const { return rate_; }

 private:
  static constexpr size_t kReadBytes = size_t{384} << 20;
  static size_t share(int32_t i, int32_t of) {
    return kReadBytes / 4096 * static_cast<size_t>(i) / static_cast<size_t>(of) * 4096;
  }

  const Kernels* kernels_;
  const ProbeKind kind_;
  const int32_t threads_;
  Memory data_;
  std::atomic<int64_t> done_{0};
  double rate_ = 0;
};

}  // namespace gptoss
