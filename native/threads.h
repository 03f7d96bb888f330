// A persistent team of workers and what an op sees of it; see kernels.h for the execution model.
//
// A job runs on all workers of the team at once (SPMD). Workers meet at barriers: they spin for some microseconds, then
// sleep, so an idle team uses no CPU and a machine with more runnable threads than cores hands its time to the worker
// that is late. Nothing is pinned. The team's threads are its own: neither the event loop's nor libuv's pool.
// Next: threads.cc, program.cc.
#pragma once
#include <atomic>
#include <cstdint>

namespace gptoss {

class Team;

struct Worker {
  Team* team;
  int32_t id;      // 0 … count-1
  int32_t count;
  uint8_t* local;  // this worker's own scratch, local_bytes, 64-byte aligned
  int64_t local_bytes;

  // Waits until every worker of the team is here (spins, then sleeps).
  void barrier();

  // Next unclaimed chunk of the current loop, in [0, n), or n when none is left. Loops are told apart by the barriers
  // between them: use through chunks().
  int64_t claim(int64_t n);

  // Order between chunks of one loop: publish(flag, v) makes what this worker wrote visible to whoever await(flag, v)s.
  // Chunks are claimed in ascending order, so a chunk may wait for a lower one. Spins, then yields.
  static void await(const int32_t* flag, int32_t value);
  static void publish(int32_t* flag, int32_t value);

  // Runs fn(i) for i in [0, n), each i on some worker, dynamically; ends with a barrier.
  template <class F>
  inline void chunks(int64_t n, F fn) {
    if (count == 1) {
      for (int64_t i = 0; i < n; i++) fn(i);
      return;
    }
    for (int64_t i = claim(n); i < n; i = claim(n)) fn(i);
    barrier();
  }
};

// The same with fn(i, next): `next` is the chunk that this worker will get after i (n: none), to prefetch its data.
template <class F>
inline void chunks_ahead(Worker& w, int64_t n, F fn) {
  if (w.count == 1) {
    for (int64_t i = 0; i < n; i++) fn(i, i + 1);
    return;
  }
  for (int64_t i = w.claim(n); i < n;) {
    const int64_t next = w.claim(n);
    fn(i, next);
    i = next;
  }
  w.barrier();
}

constexpr int64_t kLocalBytes = 1 << 20;  // per-worker scratch

}  // namespace gptoss
