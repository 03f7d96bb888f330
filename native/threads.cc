// See threads.h. The barrier counts arrivals; the last one resets the loop counter and moves the generation on, for
// which the others spin and then sleep (std::atomic::wait: futex, ulock or WaitOnAddress).
#include "team.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <system_error>

#ifndef _WIN32
#include <csignal>
#include <pthread.h>
#endif

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace gptoss {

namespace {

inline void pause_cpu() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__) && !defined(_MSC_VER)
  asm volatile("isb" ::: "memory");
#endif
}

// In pauses; one is 10 to 40 ns. Most waits inside a step end within a few microseconds, and sleeping through one that takes
// 100 costs another 50 to wake up. So a sleep that was short makes the limit grow. One that was long shrinks it: a
// worker was descheduled (then spinning takes the core it needs), or the next step is far off.
constexpr int32_t kSpinMost = 8000, kSpinLeast = 200;
constexpr std::chrono::microseconds kShortSleep{300};

}  // namespace

void Worker::barrier() {
  if (count > 1) team->barrier();
}

int64_t Worker::claim(int64_t n) {
  const int64_t i = team->next_.fetch_add(1, std::memory_order_relaxed);
  return i < n ? i : n;
}

void Team::barrier() {
  const int32_t generation = generation_.load(std::memory_order_acquire);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == count_) {
    arrived_.store(0, std::memory_order_relaxed);
    next_.store(0, std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_release);
    generation_.notify_all();  // no system call when nobody sleeps
    return;
  }
  const int32_t limit = spin_limit_.load(std::memory_order_relaxed);
  for (int32_t i = 0; i < limit; i++) {
    if (generation_.load(std::memory_order_acquire) != generation) {
      if (limit < kSpinMost) spin_limit_.store(limit + limit / 16 + 1, std::memory_order_relaxed);
      return;
    }
    pause_cpu();
  }
  const auto asleep = std::chrono::steady_clock::now();
  while (generation_.load(std::memory_order_acquire) == generation) {
    generation_.wait(generation, std::memory_order_acquire);
  }
  const bool was_short = std::chrono::steady_clock::now() - asleep < kShortSleep;
  const int32_t changed = was_short ? limit + limit / 4 : limit - limit / 4;
  spin_limit_.store(changed > kSpinMost ? kSpinMost : changed < kSpinLeast ? kSpinLeast : changed, std::memory_order_relaxed);
}

void Worker::await(const int32_t* flag, int32_t value) {
  const std::atomic<int32_t>& at = *reinterpret_cast<const std::atomic<int32_t>*>(flag);
  for (int32_t i = 0; at.load(std::memory_order_acquire) != value; i++) {
    if (i < kSpinMost) pause_cpu();
    else std::this_thread::yield();
  }
}

void Worker::publish(int32_t* flag, int32_t value) {
  reinterpret_cast<std::atomic<int32_t>*>(flag)->store(value, std::memory_order_release);
}

Team::Team(int32_t count)
    : count_(count), local_(Memory::zeroed(static_cast<size_t>(count) * kLocalBytes, "thread scratch")), spin_limit_(kSpinMost) {
  workers_.reserve(static_cast<size_t>(count));
  for (int32_t i = 0; i < count; i++) {
    workers_.push_back(Worker{this, i, count, local_.data() + i * kLocalBytes, kLocalBytes});
  }
#ifndef _WIN32
  sigset_t all, before;  // signals belong to the threads that were here before, but for those that an instruction causes
  sigfillset(&all);
  for (const int fault : {SIGBUS, SIGSEGV, SIGILL, SIGFPE}) sigdelset(&all, fault);
  pthread_sigmask(SIG_SETMASK, &all, &before);
#endif
  std::string error;
  try {
    for (int32_t i = 0; i < count; i++) threads_.emplace_back([this, i] { loop(workers_[static_cast<size_t>(i)]); });
  } catch (const std::system_error& e) {
    error = e.what();
  }
#ifndef _WIN32
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
#endif
  if (error.empty()) return;
  // Workers that did start wait for the missing ones: let these be counted as here, for ever, by ending through detach.
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ending_ = true;
  }
  const int32_t missing = count_ - static_cast<int32_t>(threads_.size());
  for (int32_t i = 0; i < missing; i++) {
    if (arrived_.fetch_add(1) + 1 == count_) {
      arrived_.store(0);
      generation_.fetch_add(1);
      generation_.notify_all();
    }
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  throw Failure{"unsupported-device", "cannot start " + std::to_string(count) + " threads (" + error + "); ask for fewer"};
}

Team::~Team() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Team::submit(std::unique_ptr<Job> job) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    queue_.push_back(std::move(job));
  }
  wake_.notify_one();
}

void Team::loop(Worker& worker) {
  for (;;) {
    if (worker.id == 0) {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [this] { return ending_ || !queue_.empty(); });
      current_.reset();
      if (!queue_.empty()) {
        current_ = std::move(queue_.front());
        queue_.pop_front();
      }
    }
    worker.barrier();
    Job* job = current_.get();
    if (job == nullptr) return;
    job->work(worker);
    worker.barrier();
    if (worker.id == 0 && job->done) job->done();
  }
}

}  // namespace gptoss
