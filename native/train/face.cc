// The trainer's functions of the addon, typed in src/backend/cpu/train-addon.ts. Everything that comes in is checked here,
// so that learner.cc and shard.cc may trust shapes, ids and indices. One run or update at a time per learner.
#include "face.h"

#include <algorithm>

#include "../call.h"
#include "../dispatch.h"
#include "learner.h"

namespace gptoss {
namespace {

struct Holder {
  static constexpr napi_type_tag tag = {0x67707473736f6e31, 0x6c6561726e657231};
  static constexpr const char* wanted = "a learner was expected";

  std::unique_ptr<Learner> learner;
  std::shared_ptr<TrainRun> run;  // the last one, for its results
  std::shared_ptr<std::atomic<bool>> busy = std::make_shared<std::atomic<bool>>(false);

  void close() { learner.reset(); }  // ends what is under way, then joins
};

// A learner that nothing is running on.
Holder& idle(const Call& call) {
  Holder& holder = held_in<Holder>(call);
  if (!holder.learner) throw Failure{"internal", "the trainer was closed; make a new one"};
  require(!holder.busy->load(), "a run of this learner is under way");
  return holder;
}

// trainOpen(variant, threads, shards, Int32Array, Float64Array) -> learner; fields as in train-addon.ts
napi_value open_learner(const Call& call) {
  const std::string variant = call.text(0);
  const int32_t threads = call.small(1), shards = call.small(2);
  int64_t int_count = 0, float_count = 0;
  const int32_t* ints = call.ints(3, &int_count);
  const double* floats = call.array<double>(4, napi_float64_array, &float_count);
  require(threads >= 1 && threads <= 1024 && shards >= 1 && shards <= 1024, "1 to 1024 threads and shards");
  require(int_count >= 10 && float_count >= 4, "the fields of a model");
  TrainConfig c{};
  int32_t* const fields[] = {&c.layers, &c.hidden, &c.heads, &c.kv_heads, &c.head_dim, &c.experts, &c.k, &c.inner, &c.vocab, &c.window};
  for (size_t i = 0; i < 10; i++) {
    *fields[i] = ints[i];
    require(ints[i] >= 1 && ints[i] <= 1 << 22, "a model's sizes");
  }
  require(c.layers <= 1024 && int_count == 10 + c.layers, "a kind for each layer");
  require(c.head_dim % 2 == 0 && c.head_dim <= 4096 && c.heads <= 4096 && c.heads % c.kv_heads == 0, "heads that share keys and values");
  require(c.hidden <= 1 << 16 && c.inner <= 1 << 18 && c.experts <= 1 << 14 && c.k <= 64 && c.k <= c.experts, "a model's sizes");
  require(float_count == 4 + c.head_dim / 2, "a frequency for each pair");
  for (int32_t l = 0; l < c.layers; l++) c.sliding.push_back(ints[10 + l] != 0);
  c.rope_scale = static_cast<float>(floats[0]);
  c.eps = static_cast<float>(floats[1]);
  c.alpha = static_cast<float>(floats[2]);
  c.limit = static_cast<float>(floats[3]);
  for (int32_t i = 0; i < c.head_dim / 2; i++) c.inverse.push_back(static_cast<float>(floats[4 + i]));
  const double all = static_cast<double>(c.layers) * c.experts * c.inner * c.hidden * 3 + 2.0 * c.vocab * c.hidden;
  if (all > 4e9) throw Failure{"out-of-memory", "the trainer holds all parameters in float32, four times; this model is too large for it"};
  usable_variant(variant);
  const TrainKernels* kernels = train_kernels(variant.c_str());
  if (kernels == nullptr) throw Failure{"unsupported-device", "this build cannot train with the variant " + variant};
  auto holder = std::make_unique<Holder>();
  holder->learner = std::make_unique<Learner>(kernels, c, threads, shards);
  return hold(call, std::move(holder));
}

napi_value close_learner(const Call& call) {
  held_in<Holder>(call).close();
  return nullptr;
}

// trainRun(learner, ids, targets, weights, passes, options, forced) -> Promise<true>
// passes: rows, documents, then the documents' starts, pass after pass. options: gradients, fakeQuantised, router, balance, z,
// roundedProducts.
napi_value run(const Call& call) {
  Holder& holder = idle(call);
  Learner& learner = *holder.learner;
  const TrainConfig& c = learner.config;
  int64_t rows = 0, count = 0;
  const int32_t* ids = call.ints(1, &rows);
  require(rows >= 1 && rows <= 1 << 24, "1 to 2^24 rows");
  auto run = std::make_shared<TrainRun>();
  run->ids.assign(ids, ids + rows);
  const int32_t* targets = call.ints(2, &count);
  require(count == rows, "a target for each row");
  run->targets.assign(targets, targets + rows);
  const float* weights = call.array<float>(3, napi_float32_array, &count);
  require(count == rows, "a weight for each row");
  run->weights.assign(weights, weights + rows);
  for (int64_t r = 0; r < rows; r++) {
    require(ids[r] >= 0 && ids[r] < c.vocab, "ids of the vocabulary");
    require(weights[r] == 0 || (targets[r] >= 0 && targets[r] < c.vocab), "targets of the vocabulary");
  }
  const int32_t* code = call.ints(4, &count);
  int64_t at = 0, row = 0;
  while (at < count) {
    require(count - at >= 2, "whole passes");
    TrainPass pass{static_cast<int32_t>(row), code[at], {}};
    const int64_t documents = code[at + 1];
    at += 2;
    require(pass.rows >= 1 && pass.rows <= rows - row && documents >= 1 && documents <= count - at, "whole passes");
    pass.starts.assign(code + at, code + at + documents);
    pass.starts.push_back(pass.rows);
    require(pass.starts[0] == 0, "documents from row 0");
    for (int64_t d = 0; d < documents; d++) require(pass.starts[static_cast<size_t>(d)] < pass.starts[static_cast<size_t>(d) + 1], "ascending documents");
    at += documents;
    row += pass.rows;
    run->passes.push_back(std::move(pass));
  }
  require(row == rows, "passes that cover the rows");
  const double* options = call.array<double>(5, napi_float64_array, &count);
  require(count == 6, "the options of a run");
  run->gradients = options[0] != 0;
  run->fake_quantised = options[1] != 0;
  run->router_losses = options[2] != 0;
  run->balance = static_cast<float>(options[3]);
  run->z = static_cast<float>(options[4]);
  run->rounded_products = options[5] != 0;
  require(!run->fake_quantised || (c.hidden % 32 == 0 && c.inner % 32 == 0), "rows of whole MXFP4 groups");
  const int32_t* forced = call.ints(6, &count);
  require(count == 0 || count == rows * c.layers * c.k, "expert ids for each layer and row");
  for (int64_t i = 0; i < count; i++) require(forced[i] >= 0 && forced[i] < c.experts, "experts of the model");
  run->forced.assign(forced, forced + count);
  run->logprobs.resize(static_cast<size_t>(rows));
  run->entropies.resize(static_cast<size_t>(rows));
  run->expert_ids.resize(static_cast<size_t>(rows) * static_cast<size_t>(c.layers) * static_cast<size_t>(c.k));
  run->losses.resize(run->passes.size() * static_cast<size_t>(c.layers) * 2);
  learner.reserve(*run);
  holder.run = run;
  Promise promise = make_promise(call, false);
  auto job = std::make_unique<Job>();
  job->work = [run, at = &learner](Worker& worker) { at->run(worker, *run); };
  job->done = [completion = promise.completion.get(), busy = holder.busy] {
    busy->store(false);
    finish(completion, 1);
  };
  holder.busy->store(true);
  learner.team.submit(std::move(job));
  return promise.queued();
}

// trainResult(learner, what) -> array: 0 logprobs, 1 entropies, 2 expert ids, 3 router losses
napi_value result(const Call& call) {
  Holder& holder = idle(call);
  const int32_t what = call.small(1);
  require(holder.run != nullptr && what >= 0 && what <= 3, "a result of a run");
  const TrainRun& run = *holder.run;
  const auto copy = [&](napi_typedarray_type type, const auto& from) {
    typename std::remove_cvref_t<decltype(from)>::value_type* out = nullptr;
    napi_value array = call.new_array(type, from.size(), &out);
    std::copy(from.begin(), from.end(), out);
    return array;
  };
  switch (what) {
    case 0: return copy(napi_float32_array, run.logprobs);
    case 1: return copy(napi_float32_array, run.entropies);
    case 2: return copy(napi_int32_array, run.expert_ids);
    default: return copy(napi_float64_array, run.losses);
  }
}

// trainProducts(learner) -> Float64Array: operations and thread-seconds of matrix products so far
napi_value products(const Call& call) {
  const Holder& holder = idle(call);
  double* out = nullptr;
  napi_value array = call.new_array(napi_float64_array, 2, &out);
  holder.learner->products(&out[0], &out[1]);
  return array;
}

napi_value clear(const Call& call) {
  idle(call).learner->clear();
  return nullptr;
}

// trainUpdate(learner, Float64Array: step, learning rate, beta1, beta2, eps, weight decay, clip or 0) -> Promise<norm>
napi_value update(const Call& call) {
  Holder& holder = idle(call);
  int64_t count = 0;
  const double* s = call.array<double>(1, napi_float64_array, &count);
  require(count == 7 && s[0] >= 1, "the settings of an update");
  AdamWStep step{};
  step.learning_rate = static_cast<float>(s[1]);
  step.beta1 = static_cast<float>(s[2]);
  step.beta2 = static_cast<float>(s[3]);
  step.eps = static_cast<float>(s[4]);
  step.correction1 = static_cast<float>(1 - std::pow(s[2], s[0]));
  step.correction2 = static_cast<float>(1 - std::pow(s[3], s[0]));
  const float decay = static_cast<float>(s[5]), clip = static_cast<float>(s[6]);
  Promise promise = make_promise(call, true);
  auto norm = std::make_shared<double>(0);
  auto job = std::make_unique<Job>();
  job->work = [=, at = holder.learner.get()](Worker& worker) {
    const double value = at->update(worker, step, clip, decay);
    if (worker.id == 0) *norm = value;
  };
  job->done = [norm, completion = promise.completion.get(), busy = holder.busy] {
    busy->store(false);
    finish(completion, *norm);
  };
  holder.busy->store(true);
  holder.learner->team.submit(std::move(job));
  return promise.queued();
}

int32_t tensor_of(const Call& call, const Learner& learner) {
  const int32_t tensor = call.small(1);
  require(tensor >= 0 && tensor < static_cast<int32_t>(learner.layout.tensors.size()), "a tensor of the model");
  return tensor;
}

// trainRead(learner, tensor, part) -> Float32Array; parts: values, gradient, first, second, quantised
napi_value read(const Call& call) {
  Learner& learner = *idle(call).learner;
  const int32_t tensor = tensor_of(call, learner), part = call.small(2);
  require(part >= 0 && part <= 4, "a part of a tensor");
  require(part != 4 || (learner.config.hidden % 32 == 0 && learner.config.inner % 32 == 0), "rows of whole MXFP4 groups");
  const TrainTensor& t = learner.layout.tensors[static_cast<size_t>(tensor)];
  float* out = nullptr;
  napi_value array = call.new_array(napi_float32_array, static_cast<size_t>(t.size * t.experts), &out);
  learner.read(tensor, part, out);
  return array;
}

// trainWrite(learner, tensor, part, Float32Array)
napi_value write(const Call& call) {
  Learner& learner = *idle(call).learner;
  const int32_t tensor = tensor_of(call, learner), part = call.small(2);
  require(part >= 0 && part <= 3, "a part that can be written");
  const TrainTensor& t = learner.layout.tensors[static_cast<size_t>(tensor)];
  int64_t count = 0;
  const float* values = call.array<float>(3, napi_float32_array, &count);
  require(count == t.size * t.experts, "as many values as the tensor has");
  learner.write(tensor, part, values);
  return nullptr;
}

}  // namespace

void add_train_functions(napi_env env, napi_value exports) {
  const NamedFunction functions[] = {
      {"trainOpen", guarded<open_learner>}, {"trainClose", guarded<close_learner>}, {"trainRun", guarded<run>},
      {"trainResult", guarded<result>},     {"trainClear", guarded<clear>},         {"trainUpdate", guarded<update>},
      {"trainRead", guarded<read>},         {"trainWrite", guarded<write>},
      {"trainProducts", guarded<products>},
  };
  define(env, exports, functions);
}

}  // namespace gptoss
