// What a backend owns natively, and how a recorded program runs. A Session holds every resource under a small integer
// handle; handles from JavaScript are checked on every call, so a wrong or closed one is an error, never a crash.
// Programs and queued steps share ownership of what they use: closing something early cannot pull memory from under
// running workers. Host side only; throws Failure (memory.h). Next: kernels.h (what ops compute), addon.cc (JavaScript).
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "kernels.h"
#include "memory.h"
#include "team.h"

namespace gptoss {

struct Resource {
  virtual ~Resource() = default;
};

struct Bytes final : Resource {  // a mapped file, or a copy of bytes that are in no file
  Memory memory;
  bool writable = false;
  std::string path;  // of a mapped file
};

struct MatrixWeight final : Resource {
  Matrix matrix{};
  std::shared_ptr<Bytes> bytes, scale_bytes;
  int64_t expert_bytes = 0, expert_scale_bytes = 0;  // from an expert's first byte to its last
};

struct VectorWeight final : Resource {
  Memory memory;
  int64_t length = 0;
  const float* data() const { return memory.as<float>(); }
};

struct Activation final : Resource {
  Memory memory;
  int32_t width = 0, max_rows = 0;
  bool integers = false, scored = false;
};

struct Cache final : Resource {
  Memory memory;
  std::vector<KvLayer> layers;
  std::vector<bool> sliding;
  int32_t full_pages = 0, sliding_pages = 0, page_tokens = 0;
  int64_t page_bytes = 0;  // of K or V of one layer
  bool closed = false;

  int32_t pages(bool of_sliding) const { return of_sliding ? sliding_pages : full_pages; }
  // Calls fn(bytes of this page) for K, then V, of each layer of the group.
  template <class F> void each_part(bool of_sliding, int32_t page, F fn) const {
    for (size_t l = 0; l < layers.size(); l++) {
      if (sliding[l] != of_sliding) continue;
      fn(layers[l].k + page * page_bytes);
      fn(layers[l].v + page * page_bytes);
    }
  }
};

// One op with everything filled in but what the batch says. Same order as OPS in src/backend/cpu/addon.ts.
using OpArgs = std::variant<EmbedArgs, RmsNormArgs, LinearArgs, RopeCacheArgs, AttentionArgs, RouteArgs, MoeUpArgs,
                            MoeDownArgs, GatherRowsArgs>;

struct Op {
  OpArgs args;
  bool scored = false;   // rows are the scored ones
  bool sliding = false;  // which page table (ropeCache, attention)
  int32_t layer = 0;     // route: place in the forced ids
  int32_t rope = 0;      // ropeCache: place in Program::ropes
};

struct Rope {
  std::vector<float> inverse;
  float scale;
  Memory angles;  // [max_rows, head_dim], filled at the start of each run
};

struct Program final : Resource {
  std::vector<Op> ops;
  std::vector<int32_t> segment_ends;           // op index after each segment
  std::vector<std::shared_ptr<Resource>> uses;  // everything the ops point into
  std::vector<Rope> ropes;
  size_t scratch_bytes = 0;
  // What a batch must respect.
  int32_t most_rows = INT32_MAX, most_scored = INT32_MAX;  // by its smallest buffers
  int32_t vocab = INT32_MAX, route_layers = 0, experts = INT32_MAX, experts_per_token = 0;
  struct Pages {
    std::shared_ptr<Cache> cache;
    bool full = false, sliding = false;
    int32_t window = 1;  // widest of the sliding layers
  };
  std::vector<Pages> caches;
  std::unique_ptr<std::atomic<double>[]> op_ms;  // time spent in each op since it was recorded
};

// A Batch, copied out of JavaScript's memory.
struct Step {
  std::vector<int32_t> data;  // as encoded by cpu.ts
  int32_t rows = 0, scored_count = 0;
  const int32_t *tokens = nullptr, *scored = nullptr, *expert_ids = nullptr;
  int64_t expert_id_count = 0;
  std::vector<Sequence> full, sliding;
  std::vector<int32_t> full_counts, sliding_counts;
};

struct Execution;
class ExpertStore;

class Session {
 public:
  Session(const Kernels* kernels, int32_t threads, int32_t max_rows, bool exact);
  ~Session();

  // Fields are integers as JavaScript sends them; see addon.ts for their order.
  int32_t add_file(const std::string& path);
  int32_t add_bytes(int64_t size);
  int32_t add_matrix(const int64_t* fields);  // kMatrixFields of them
  // The same, rounded to Q8_0 by the team before anything that is queued later (rounded.cc).
  int32_t add_rounded(const int64_t* fields, std::shared_ptr<const std::atomic<bool>> cancelled);
  int32_t add_vector(const float* data, int64_t length);
  int32_t add_buffer(int32_t width, bool integers, bool scored, int32_t max_rows);
  int32_t add_cache(const int32_t* fields, int64_t count);
  int32_t add_program(const int32_t* code, int64_t count);
  void release(int32_t handle);
  int32_t lost_file() const;  // handle of a mapped file that has lost pages, or -1
  // The experts of a program come and go from now on, in at most `bytes` of memory (expert_store.h). Bytes taken; 0: left as they are.
  int64_t hold_experts(const Program& program, int64_t bytes);

  template <class T> std::shared_ptr<T> get(int64_t handle, const char* what) {
    auto found = handle >= 0 && handle < static_cast<int64_t>(resources_.size())
                     ? std::dynamic_pointer_cast<T>(resources_[static_cast<size_t>(handle)])
                     : nullptr;
    if (!found) throw Failure{"internal", std::string("there is no ") + what + " with this handle (closed?)"};
    return found;
  }

  // Checks the batch, then queues segments [from, to) of the program. `cancelled` is looked at between ops; `done(finished)`
  // is called on a worker thread.
  void run(const std::shared_ptr<Program>& program, int32_t from, int32_t to, std::vector<int32_t> batch,
           std::shared_ptr<const std::atomic<bool>> cancelled, std::function<void(bool)> done);
  // Any other work for the team, in turn with the programs.
  void submit(std::function<void(Worker&)> work, std::function<void()> done);
  const Kernels* kernels() const { return kernels_; }
  int32_t threads() const { return team_.count(); }
  int32_t max_rows() const { return max_rows_; }

 private:
  friend class Recorder;
  int32_t keep(std::shared_ptr<Resource> resource);
  std::unique_ptr<Step> read_batch(const Program& program, std::vector<int32_t> data) const;
  void execute(Worker& worker, Execution& run);

  const Kernels* kernels_;
  const int32_t max_rows_;
  const bool exact_;
  std::vector<std::shared_ptr<Resource>> resources_;
  std::shared_ptr<ExpertStore> experts_;
  std::shared_ptr<Memory> scratch_;  // of the team; replaced when a program that needs more is recorded
  Team team_;                        // last: joins before anything above goes
};

constexpr int64_t kMatrixFields = 13;

}  // namespace gptoss
