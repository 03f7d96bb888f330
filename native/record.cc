// Turns the flat op table that cpu.ts recorded into a Program: handles become pointers, shapes are checked once more
// (src/backend/op-shapes.ts did so with better messages), scratch is sized. Next: program.cc runs it.
#include <algorithm>
#include <cstring>
#include <type_traits>

#include "program.h"

namespace gptoss {

namespace {

[[noreturn]] void refuse(const char* op, const char* what) {
  throw Failure{"internal", std::string(op) + ": " + what + " does not fit; record the program with matching shapes"};
}

void expect(bool holds, const char* op, const char* what) {
  if (!holds) refuse(op, what);
}

}  // namespace

// Reads one op after the other; each reader consumes its operands in the order of OPS in addon.ts.
class Recorder {
 public:
  Recorder(Session& session, const int32_t* code, int64_t count) : session_(session), code_(code), end_(code + count) {}

  std::shared_ptr<Program> record() {
    program_ = std::make_shared<Program>();
    while (code_ < end_) {
      const int32_t kind = next();
      if (kind == kSegment) {
        program_->segment_ends.push_back(static_cast<int32_t>(program_->ops.size()));
      } else {
        program_->ops.push_back(read(kind));
      }
    }
    program_->op_ms = std::make_unique<std::atomic<double>[]>(program_->ops.size());
    return program_;
  }

 private:
  static constexpr int32_t kSegment = 9;

  int32_t next() {
    if (code_ >= end_) throw Failure{"internal", "the op table ends in the middle of an op"};
    return *code_++;
  }
  float next_float() {
    const int32_t bits = next();
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
  }
  template <class T> std::shared_ptr<T> use(const char* what) {
    auto found = session_.get<T>(next(), what);
    program_->uses.push_back(found);
    return found;
  }
  std::shared_ptr<Activation> buffer() {
    auto buffer = use<Activation>("buffer");
    int32_t& most = buffer->scored ? program_->most_scored : program_->most_rows;
    most = std::min(most, buffer->max_rows);
    return buffer;
  }
  std::shared_ptr<Activation> floats(const char* op) {
    auto found = buffer();
    expect(!found->integers, op, "an integer buffer");
    return found;
  }
  std::shared_ptr<Activation> integers(const char* op) {
    auto found = buffer();
    expect(found->integers, op, "a float buffer");
    return found;
  }
  const float* vector(const char* op, int64_t length) {
    auto weight = use<VectorWeight>("vector");
    expect(weight->length == length, op, "a vector");
    return weight->data();
  }
  const Matrix* matrix() { return &use<MatrixWeight>("matrix")->matrix; }
  void scratch(size_t bytes) { program_->scratch_bytes = std::max(program_->scratch_bytes, bytes); }

  Program::Pages& pages_of(const std::shared_ptr<Cache>& cache) {
    for (Program::Pages& pages : program_->caches) {
      if (pages.cache == cache) return pages;
    }
    program_->caches.push_back({cache});
    return program_->caches.back();
  }
  // The layer of a cache, and that this program touches its group.
  const KvLayer& layer_of(const char* op, const std::shared_ptr<Cache>& cache, int32_t layer, Op& made) {
    expect(layer >= 0 && layer < static_cast<int32_t>(cache->layers.size()), op, "the layer");
    made.sliding = cache->sliding[static_cast<size_t>(layer)];
    Program::Pages& pages = pages_of(cache);
    (made.sliding ? pages.sliding : pages.full) = true;
    return cache->layers[static_cast<size_t>(layer)];
  }
  int32_t rope_of(std::shared_ptr<VectorWeight> inverse, float scale) {
    const std::vector<float> values(inverse->data(), inverse->data() + inverse->length);
    for (size_t i = 0; i < program_->ropes.size(); i++) {
      if (program_->ropes[i].inverse == values && program_->ropes[i].scale == scale) return static_cast<int32_t>(i);
    }
    const size_t bytes = static_cast<size_t>(session_.max_rows()) * values.size() * 2 * 4;
    program_->ropes.push_back({values, scale, Memory::zeroed(bytes, "rotary angles")});
    return static_cast<int32_t>(program_->ropes.size() - 1);
  }

  Op read(int32_t kind) {
    switch (kind) {
      case 0: return embed();
      case 1: return rms_norm();
      case 2: return linear();
      case 3: return rope_cache();
      case 4: return attention();
      case 5: return route();
      case 6: return moe_up();
      case 7: return moe_down();
      case 8: return gather_rows();
      default: throw Failure{"internal", "the op table holds an unknown op"};
    }
  }

  Op embed() {
    auto y = floats("embed");
    const Matrix* table = matrix();
    expect(!y->scored && table->experts == 1 && table->cols == y->width, "embed", "the table");
    program_->vocab = std::min(program_->vocab, table->rows);
    return {EmbedArgs{table, nullptr, y->memory.as<float>(), 0}};
  }

  Op rms_norm() {
    auto y = floats("rmsNorm"), x = floats("rmsNorm");
    expect(y->width == x->width && y->scored == x->scored, "rmsNorm", "y");
    const float* gain = vector("rmsNorm", x->width);
    Op op{RmsNormArgs{x->memory.as<float>(), gain, y->memory.as<float>(), 0, x->width, next_float()}};
    op.scored = x->scored;
    return op;
  }

  Op linear() {
    auto y = floats("linear"), x = floats("linear");
    const Matrix* w = matrix();
    expect(y != x && y->scored == x->scored, "linear", "y");
    expect(w->experts == 1 && w->rows == y->width && w->cols == x->width, "linear", "the matrix");
    const float* bias = nullptr;
    if (next() != 0) bias = vector("linear", y->width);
    const bool add = next() != 0;
    scratch(session_.kernels_->linear_scratch(*w, x->max_rows, session_.exact_));
    Op op{LinearArgs{w, bias, x->memory.as<float>(), y->memory.as<float>(), 0, add, session_.exact_, nullptr}};
    op.scored = x->scored;
    return op;
  }

  Op rope_cache() {
    auto q = floats("ropeCache"), k = floats("ropeCache"), v = floats("ropeCache");
    auto inverse = use<VectorWeight>("vector");
    const float scale = next_float();
    auto cache = use<Cache>("cache");
    Op op{};
    const KvLayer& layer = layer_of("ropeCache", cache, next(), op);
    const int32_t width = layer.kv_heads * layer.head_dim;
    expect(!q->scored && q->width % layer.head_dim == 0, "ropeCache", "q");
    expect(!k->scored && !v->scored && k->width == width && v->width == width, "ropeCache", "k or v");
    expect(q != k && k != v && q != v, "ropeCache", "one buffer in two places");
    expect(inverse->length * 2 == layer.head_dim, "ropeCache", "the rope");
    op.rope = rope_of(inverse, scale);
    op.args = RopeCacheArgs{q->memory.as<float>(), k->memory.as<float>(), v->memory.as<float>(), nullptr,
                            q->width / layer.head_dim, 0, layer, nullptr, 0};
    return op;
  }

  Op attention() {
    auto y = floats("attention"), q = floats("attention");
    auto cache = use<Cache>("cache");
    Op op{};
    const KvLayer& layer = layer_of("attention", cache, next(), op);
    expect(q->width % (layer.kv_heads * layer.head_dim) == 0, "attention", "q");
    expect(y != q && !y->scored && !q->scored && y->width == q->width, "attention", "y");
    const int32_t heads = q->width / layer.head_dim;
    const float* sinks = vector("attention", heads);
    const int32_t window = next();
    expect(window >= 0 && !(op.sliding && window == 0), "attention", "the window");
    Program::Pages& pages = pages_of(cache);
    if (op.sliding) pages.window = std::max(pages.window, window);
    scratch(session_.kernels_->attention_scratch(heads, layer.head_dim, q->max_rows));
    op.args = AttentionArgs{q->memory.as<float>(), y->memory.as<float>(), sinks, heads, window, layer, nullptr, 0, 0,
                            session_.exact_, nullptr};
    return op;
  }

  Op route() {
    auto ids = integers("route");
    auto gates = floats("route"), logits = floats("route");
    const int32_t k = ids->width, experts = logits->width;
    expect(!ids->scored && !gates->scored && !logits->scored && gates->width == k && k <= experts, "route", "a buffer");
    Op op{RouteArgs{logits->memory.as<float>(), ids->memory.as<int32_t>(), gates->memory.as<float>(), 0, experts, k,
                    nullptr}};
    op.layer = next();
    expect(op.layer >= 0 && op.layer < 65536, "route", "the layer");
    expect(program_->experts_per_token == 0 || program_->experts_per_token == k, "route", "ids");
    program_->experts_per_token = k;
    program_->route_layers = std::max(program_->route_layers, op.layer + 1);
    program_->experts = std::min(program_->experts, experts);
    return op;
  }

  Experts range(const char* op, int32_t experts) {
    const int32_t first = next(), end = next();
    expect(first >= 0 && first < end && end <= experts, op, "a range of experts");
    return {first, end};
  }

  Op moe_up() {
    auto h = floats("moeUp"), x = floats("moeUp");
    auto ids = integers("moeUp");
    const Matrix *gate = matrix(), *up = matrix();
    const int64_t biases = int64_t{gate->experts} * gate->rows;
    expect(!h->scored && !x->scored && !ids->scored && h != x, "moeUp", "a buffer");
    expect(gate->cols == x->width && up->cols == x->width && up->rows == gate->rows && up->experts == gate->experts,
           "moeUp", "a matrix");
    expect(int64_t{ids->width} * gate->rows == h->width, "moeUp", "h");
    const float *gate_bias = vector("moeUp", biases), *up_bias = vector("moeUp", biases);
    const float alpha = next_float(), limit = next_float();
    const Experts experts = range("moeUp", gate->experts);
    scratch(session_.kernels_->moe_up_scratch(*gate, x->max_rows, ids->width, session_.exact_));
    return {MoeUpArgs{gate, up, gate_bias, up_bias, x->memory.as<float>(), ids->memory.as<int32_t>(),
                      h->memory.as<float>(), 0, ids->width, alpha, limit, session_.exact_, experts, nullptr}};
  }

  Op moe_down() {
    auto y = floats("moeDown"), h = floats("moeDown");
    auto ids = integers("moeDown");
    auto gates = floats("moeDown");
    const Matrix* down = matrix();
    expect(!y->scored && !h->scored && !ids->scored && !gates->scored && y != h, "moeDown", "a buffer");
    expect(down->rows == y->width && gates->width == ids->width && int64_t{ids->width} * down->cols == h->width, "moeDown",
           "the matrix");
    const float* bias = vector("moeDown", int64_t{down->experts} * down->rows);
    Experts experts = range("moeDown", down->experts);
    if (!session_.kernels_->moe_down_in_parts(*down, session_.exact_)) {  // the last part does it all
      experts = experts.end == down->experts ? Experts{0, down->experts} : Experts{0, 0};
    }
    scratch(session_.kernels_->moe_down_scratch(*down, h->max_rows, ids->width, session_.exact_));
    return {MoeDownArgs{down, bias, h->memory.as<float>(), ids->memory.as<int32_t>(), gates->memory.as<float>(),
                        y->memory.as<float>(), 0, ids->width, session_.exact_, experts, nullptr}};
  }

  Op gather_rows() {
    auto y = floats("gatherRows"), x = floats("gatherRows");
    expect(y->scored && !x->scored && y->width == x->width, "gatherRows", "y");
    Op op{GatherRowsArgs{x->memory.as<float>(), nullptr, y->memory.as<float>(), 0, x->width}};
    op.scored = true;
    return op;
  }

  Session& session_;
  const int32_t* code_;
  const int32_t* const end_;
  std::shared_ptr<Program> program_;
};

int32_t Session::add_program(const int32_t* code, int64_t count) {
  auto program = Recorder(*this, code, count).record();
  if (!scratch_ || scratch_->size() < program->scratch_bytes) {
    scratch_ = std::make_shared<Memory>(Memory::zeroed(program->scratch_bytes, "scratch of the kernels"));
  }
  return keep(std::move(program));
}

}  // namespace gptoss
