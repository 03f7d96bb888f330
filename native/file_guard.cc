// See file_guard.h. The handler may run on any thread at any time: it reads lock-free atomics, and calls mmap, which on the
// systems we build for is a bare system call.
#include "file_guard.h"

#ifndef _WIN32
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <mutex>
#endif

namespace gptoss {

#ifdef _WIN32

int32_t guard_mapping(const uint8_t*, size_t) { return -1; }
void unguard_mapping(int32_t) {}
bool mapping_lost(int32_t) { return false; }
bool any_mapping_lost() { return false; }

#else

namespace {

struct Range {
  std::atomic<uintptr_t> first{0}, end{0};  // end 0: not in use
  std::atomic<bool> lost{false};
};
Range ranges[kMostMappings];
std::atomic<int32_t> used{0};  // ranges beyond were never in use
std::atomic<bool> any_lost{false};
uintptr_t page_size = 4096;
struct sigaction previous;
static_assert(std::atomic<uintptr_t>::is_always_lock_free && std::atomic<bool>::is_always_lock_free, "");

void on_bus_error(int signal, siginfo_t* info, void* context) {
  const int error = errno;
  const uintptr_t at = reinterpret_cast<uintptr_t>(info->si_addr);
  for (int32_t i = 0; i < used.load(std::memory_order_acquire); i++) {
    Range& range = ranges[i];
    const uintptr_t first = range.first.load(std::memory_order_relaxed), end = range.end.load(std::memory_order_acquire);
    if (end == 0 || at < first || at >= end) continue;
    // From here to the end of the file: whoever walks a shortened file forwards faults once.
    const uintptr_t page = at & ~(page_size - 1);
    void* zeros = mmap(reinterpret_cast<void*>(page), end - page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (zeros == MAP_FAILED) break;
    range.lost.store(true, std::memory_order_release);
    any_lost.store(true, std::memory_order_release);
    errno = error;
    return;
  }
  errno = error;
  if ((previous.sa_flags & SA_SIGINFO) != 0 && previous.sa_sigaction != nullptr) return previous.sa_sigaction(signal, info, context);
  if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) return previous.sa_handler(signal);
  sigaction(SIGBUS, &previous, nullptr);  // the instruction runs again and meets what was there before us
  if (info->si_code <= 0) raise(signal);  // sent by a process: there is no such instruction
}

// Puts the earlier handler back when the addon is unloaded.
struct Installation {
  Installation() {
    page_size = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    struct sigaction action {};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &previous);
  }
  ~Installation() {
    struct sigaction now {};
    if (sigaction(SIGBUS, nullptr, &now) == 0 && (now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == on_bus_error) {
      sigaction(SIGBUS, &previous, nullptr);
    }
  }
};

}  // namespace

int32_t guard_mapping(const uint8_t* data, size_t bytes) {
  static std::mutex mutex;
  static Installation installation;
  const std::lock_guard<std::mutex> lock(mutex);
  for (int32_t i = 0; i < kMostMappings; i++) {
    Range& range = ranges[i];
    if (range.end.load(std::memory_order_relaxed) != 0) continue;
    range.lost.store(false, std::memory_order_relaxed);
    range.first.store(reinterpret_cast<uintptr_t>(data), std::memory_order_relaxed);
    range.end.store(reinterpret_cast<uintptr_t>(data) + bytes, std::memory_order_release);
    if (i >= used.load(std::memory_order_relaxed)) used.store(i + 1, std::memory_order_release);
    return i;
  }
  return -1;
}

void unguard_mapping(int32_t number) {
  if (number >= 0) ranges[number].end.store(0, std::memory_order_release);
}

bool mapping_lost(int32_t number) { return number >= 0 && ranges[number].lost.load(std::memory_order_acquire); }
bool any_mapping_lost() { return any_lost.load(std::memory_order_acquire); }

#endif

}  // namespace gptoss
