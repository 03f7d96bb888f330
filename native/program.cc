// Runs recorded programs on the team: checks the batch, fills in what changes from step to step, calls the kernels.
// See program.h. Next: threads.cc.
#include "program.h"

#include "expert_store.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace gptoss {

namespace {

[[noreturn]] void bad_batch(const char* what) {
  throw Failure{"invalid-request", std::string("the batch is refused: ") + what + "; nothing of this step was run"};
}

// Fills the table of cosines and sines for the rows of this step. The angle is a float32 product, as in the reference;
// its cosine is taken in double.
void fill_angles(const Rope& rope, const Step& step, int64_t first, int64_t count) {
  const size_t half = rope.inverse.size();
  float* table = rope.angles.as<float>();
  size_t s = 0;
  for (int64_t row = first; row < first + count; row++) {
    while (s + 1 < step.full.size() && step.full[s + 1].first_row <= row) s++;
    const float position = static_cast<float>(step.full[s].position + (row - step.full[s].first_row));
    float* out = table + static_cast<size_t>(row) * 2 * half;
    for (size_t i = 0; i < half; i++) {
      const double angle = static_cast<double>(position * rope.inverse[i]);
      out[i] = static_cast<float>(std::cos(angle)) * rope.scale;
      out[half + i] = static_cast<float>(std::sin(angle)) * rope.scale;
    }
  }
}

}  // namespace

// One queued run; shared by the workers.
struct Execution {
  std::shared_ptr<Program> program;
  std::unique_ptr<Step> step;
  std::shared_ptr<Memory> scratch;
  std::shared_ptr<const std::atomic<bool>> cancelled;
  int32_t first_op, last_op;
  std::atomic<bool> stop[2] = {false, false};  // worker 0 decides, all obey after the next barrier; used in turns
  bool finished = false;
};

Session::Session(const Kernels* kernels, int32_t threads, int32_t max_rows, bool exact)
    : kernels_(kernels), max_rows_(max_rows), exact_(exact), team_(threads) {}

Session::~Session() = default;

// Layout: rows, scored rows, sequences, expert ids; tokens; scored; per sequence first row, row count, position, number of
// full pages, of sliding pages; all full pages, then sliding pages, sequence by sequence; expert ids.
std::unique_ptr<Step> Session::read_batch(const Program& program, std::vector<int32_t> data) const {
  auto step = std::make_unique<Step>();
  step->data = std::move(data);
  const int32_t* at = step->data.data();
  int64_t left = static_cast<int64_t>(step->data.size());
  const auto take = [&](int64_t n, const char* what) {
    if (n < 0 || n > left) bad_batch(what);
    const int32_t* start = at;
    at += n;
    left -= n;
    return start;
  };
  const int32_t* header = take(4, "it has no header");
  step->rows = header[0];
  step->scored_count = header[1];
  const int32_t sequences = header[2];
  step->expert_id_count = header[3];
  if (step->rows < 1 || step->rows > std::min(max_rows_, program.most_rows) || step->scored_count < 0 ||
      step->scored_count > std::min(max_rows_, program.most_scored)) {
    bad_batch("too many rows, or none");
  }
  step->tokens = take(step->rows, "tokens are missing");
  step->scored = take(step->scored_count, "scored rows are missing");
  for (int32_t i = 0; i < step->rows; i++) {
    if (step->tokens[i] < 0 || step->tokens[i] >= program.vocab) bad_batch("a token id is outside the vocabulary");
  }
  for (int32_t i = 0; i < step->scored_count; i++) {
    if (step->scored[i] < 0 || step->scored[i] >= step->rows) bad_batch("a scored row does not exist");
  }
  if (sequences < 1 || sequences > step->rows) bad_batch("the number of sequences is wrong");
  const int32_t* table = take(int64_t{sequences} * 6, "sequences are missing");
  int32_t row = 0;
  for (int32_t s = 0; s < sequences; s++, table += 6) {
    const int32_t count = table[1], position = table[2], full_from = table[5];
    if (table[0] != row || count < 1 || count > step->rows - row || position < 0 || position > INT32_MAX - count ||
        full_from < 0) {
      bad_batch("sequences do not cover the rows in order");
    }
    row += count;
    step->full.push_back({table[0], count, position, take(table[3], "pages are missing"), full_from});
    step->sliding.push_back({table[0], count, position, take(table[4], "pages are missing"), 0});
    for (const Program::Pages& pages : program.caches) {
      const Cache& cache = *pages.cache;
      if (cache.closed) throw Failure{"internal", "the cache of this program was closed; make a new one"};
      const int64_t end = (int64_t{position} + count + cache.page_tokens - 1) / cache.page_tokens;
      const auto check = [&](const int32_t* list, int64_t length, int64_t first, int32_t pool) {
        if (length < end) bad_batch("a page table is too short");
        for (int64_t i = first; i < end; i++) {
          if (list[i] < 0 || list[i] >= pool) bad_batch("a page does not exist");
        }
      };
      if (pages.full) check(step->full.back().pages, table[3], 0, cache.full_pages);
      const int32_t oldest = position > pages.window - 1 ? position - pages.window + 1 : 0;
      if (pages.sliding) check(step->sliding.back().pages, table[4], oldest / cache.page_tokens, cache.sliding_pages);
    }
  }
  if (row != step->rows) bad_batch("sequences do not cover the rows in order");
  step->expert_ids = take(step->expert_id_count, "expert ids are missing");
  if (step->expert_id_count > 0) {
    if (step->expert_id_count < int64_t{program.route_layers} * step->rows * program.experts_per_token) {
      bad_batch("expert ids are missing");
    }
    for (int64_t i = 0; i < step->expert_id_count; i++) {
      if (step->expert_ids[i] < 0 || step->expert_ids[i] >= program.experts) bad_batch("an expert does not exist");
    }
  }
  return step;
}

void Session::run(const std::shared_ptr<Program>& program, int32_t from, int32_t to, std::vector<int32_t> batch,
                  std::shared_ptr<const std::atomic<bool>> cancelled, std::function<void(bool)> done) {
  const int32_t segments = static_cast<int32_t>(program->segment_ends.size());
  if (from < 0 || to < from || to > segments) throw Failure{"internal", "segments that do not exist were to be run"};
  auto execution = std::make_shared<Execution>();
  execution->program = program;
  execution->step = read_batch(*program, std::move(batch));
  execution->scratch = scratch_;
  execution->cancelled = std::move(cancelled);
  execution->first_op = from == 0 ? 0 : program->segment_ends[static_cast<size_t>(from - 1)];
  execution->last_op = to == 0 ? 0 : program->segment_ends[static_cast<size_t>(to - 1)];
  submit([this, execution](Worker& worker) { execute(worker, *execution); },
         [execution, done = std::move(done)] { done(execution->finished); });
}

void Session::submit(std::function<void(Worker&)> work, std::function<void()> done) {
  team_.submit(std::make_unique<Job>(Job{std::move(work), std::move(done)}));
}

namespace {

// Calls the kernel of one op, its arguments completed from the step.
struct Call {
  Worker& worker;
  const Kernels& kernels;
  const Op& op;
  const Execution& run;
  ExpertStore* const experts;

  const Step& step() const { return *run.step; }
  int32_t rows() const { return op.scored ? step().scored_count : step().rows; }
  uint8_t* scratch() const { return run.scratch->data(); }
  const std::vector<Sequence>& sequences() const { return op.sliding ? step().sliding : step().full; }

  void operator()(EmbedArgs a) const {
    a.tokens = step().tokens;
    a.rows = rows();
    kernels.embed(worker, a);
  }
  void operator()(RmsNormArgs a) const {
    a.rows = rows();
    kernels.rms_norm(worker, a);
  }
  void operator()(LinearArgs a) const {
    a.rows = rows();
    a.scratch = scratch();
    kernels.linear(worker, a);
  }
  void operator()(RopeCacheArgs a) const {
    a.rows = rows();
    a.angles = run.program->ropes[static_cast<size_t>(op.rope)].angles.as<float>();
    a.sequences = sequences().data();
    a.sequence_count = static_cast<int32_t>(sequences().size());
    kernels.rope_cache(worker, a);
  }
  void operator()(AttentionArgs a) const {
    a.rows = rows();
    a.scratch = scratch();
    a.sequences = sequences().data();
    a.sequence_count = static_cast<int32_t>(sequences().size());
    kernels.attention(worker, a);
  }
  void operator()(RouteArgs a) const {
    a.rows = rows();
    if (step().expert_id_count > 0) a.forced = step().expert_ids + int64_t{op.layer} * a.rows * a.k;
    kernels.route(worker, a);
  }
  // One row has few experts: the last part of an op takes them all.
  bool narrow(Experts& range, const Matrix& m) const {
    if (rows() == 1) range = range.end == m.experts ? Experts{0, m.experts} : Experts{0, 0};
    return range.first < range.end;
  }
  void operator()(MoeUpArgs a) const {
    a.rows = rows();
    if (!narrow(a.experts, *a.gate)) return;
    if (experts != nullptr) experts->bring(worker, a.gate, a.ids, int64_t{a.rows} * a.k, a.experts);
    a.scratch = scratch();
    kernels.moe_up(worker, a);
  }
  void operator()(MoeDownArgs a) const {
    a.rows = rows();
    if (!narrow(a.experts, *a.down)) return;
    if (experts != nullptr) experts->bring(worker, a.down, a.ids, int64_t{a.rows} * a.k, a.experts);
    a.scratch = scratch();
    kernels.moe_down(worker, a);
  }
  void operator()(GatherRowsArgs a) const {
    a.rows = rows();
    a.index = step().scored;
    kernels.gather_rows(worker, a);
  }
};

}  // namespace

void Session::execute(Worker& worker, Execution& run) {
  using Clock = std::chrono::steady_clock;
  Program& program = *run.program;
  const Step& step = *run.step;
  constexpr int32_t kAngleRows = 8;
  for (const Rope& rope : program.ropes) {
    worker.chunks((step.rows + kAngleRows - 1) / kAngleRows, [&](int64_t i) {
      const int64_t first = i * kAngleRows;
      fill_angles(rope, step, first, std::min<int64_t>(kAngleRows, step.rows - first));
    });
  }
  // All workers have to stop at the same op, so worker 0 reads the flag and a barrier publishes what it saw: after each op
  // of a long step, after every eighth of a short one. In turns, because a worker may look at one check while worker 0
  // writes the next.
  int32_t turn = 0;
  const int32_t check_every = step.rows > 4 ? 1 : 8;
  Clock::time_point started = Clock::now();
  for (int32_t i = run.first_op; i < run.last_op; i++) {
    if ((i - run.first_op) % check_every == 0) {
      turn = 1 - turn;
      if (worker.id == 0) run.stop[turn].store(run.cancelled->load(std::memory_order_relaxed), std::memory_order_relaxed);
      worker.barrier();
      if (run.stop[turn].load(std::memory_order_relaxed)) return;
    }
    const Op& op = program.ops[static_cast<size_t>(i)];
    const Call call{worker, *kernels_, op, run, experts_.get()};
    if (call.rows() > 0) std::visit(call, op.args);
    if (worker.id == 0) {
      const Clock::time_point now = Clock::now();
      std::atomic<double>& ms = program.op_ms[static_cast<size_t>(i)];
      ms.store(ms.load(std::memory_order_relaxed) + std::chrono::duration<double, std::milli>(now - started).count(),
               std::memory_order_relaxed);
      started = now;
    }
  }
  if (worker.id == 0) run.finished = true;
}

}  // namespace gptoss
