// The host side of threads.h: makes the workers, queues jobs for them, ends them. Kernels do not include this.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "memory.h"
#include "threads.h"

namespace gptoss {

// What the team runs: `work` on every worker at once, then `done` on worker 0. Both on the team's threads.
struct Job {
  std::function<void(Worker&)> work;
  std::function<void()> done;
};

class Team {
 public:
  explicit Team(int32_t count);  // throws Failure when threads cannot be made
  ~Team();                       // finishes queued jobs, then joins
  Team(const Team&) = delete;

  void submit(std::unique_ptr<Job> job);
  int32_t count() const { return count_; }

 private:
  friend struct Worker;
  void loop(Worker& worker);
  void barrier();

  const int32_t count_;
  Memory local_;
  std::vector<Worker> workers_;
  std::vector<std::thread> threads_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::unique_ptr<Job>> queue_;
  bool ending_ = false;
  std::unique_ptr<Job> current_;  // worker 0 writes it between two barriers

  // Each on its own cache line: arrivals and claims are written by all, the generation is read while spinning.
  alignas(64) std::atomic<int32_t> arrived_{0};
  alignas(64) std::atomic<int64_t> next_{0};  // chunk counter of the current loop
  alignas(64) std::atomic<int32_t> generation_{0};
  alignas(64) std::atomic<int32_t> spin_limit_;
};

}  // namespace gptoss
