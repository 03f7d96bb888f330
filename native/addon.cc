// The Node-API face of the runtime, typed in src/backend/cpu/addon.ts. Every argument is checked here or in Session, so
// that nothing JavaScript does can crash the process; failures become errors with a code of src/errors.ts. Work runs on
// the session's own threads; a promise tells its end through one thread-safe function per environment.
// Next: program.h.
#include <node_api.h>

#include <cmath>
#include <cstring>
#include <map>
#include <new>

#include "call.h"
#include "probe.h"
#include "dispatch.h"
#include "program.h"
#include "train/face.h"

namespace gptoss {
namespace {

using Flag = std::shared_ptr<std::atomic<bool>>;

// What the external of a session points to. The session itself goes when it is closed or the environment ends.
struct Holder {
  static constexpr napi_type_tag tag = {0x67707473736f6e31, 0x73657373696f6e31};
  static constexpr const char* wanted = "a session was expected";

  std::unique_ptr<Session> session;
  std::map<int64_t, std::weak_ptr<std::atomic<bool>>> live;  // flags to cancel runs by ticket

  void cancel_all() {
    for (auto& [ticket, weak] : live) {
      if (Flag flag = weak.lock()) flag->store(true);
    }
  }
  void close() {
    cancel_all();
    session.reset();  // joins: queued runs end at their next look at the flag
  }
};

// Goes up when this face or a table in addon.ts changes, so that an old build is noticed.
constexpr int32_t kInterface = 8;

Holder& holder_of(const Call& call) { return held_in<Holder>(call); }
Session& session_of(const Call& call) {
  Holder& found = holder_of(call);
  if (!found.session) throw Failure{"internal", "the backend was closed; make a new one"};
  return *found.session;
}

Flag new_flag(Holder& holder, int64_t ticket) {
  for (auto it = holder.live.begin(); it != holder.live.end();) {
    it = it->second.expired() ? holder.live.erase(it) : std::next(it);
  }
  auto flag = std::make_shared<std::atomic<bool>>(false);
  holder.live[ticket] = flag;
  return flag;
}

// ---- the machine ----

napi_value strings(const Call& call, const std::vector<std::string>& items) {
  napi_value list = nullptr;
  napi_create_array_with_length(call.env, items.size(), &list);
  for (size_t i = 0; i < items.size(); i++) napi_set_element(call.env, list, static_cast<uint32_t>(i), call.string(items[i]));
  return list;
}

napi_value machine(const Call& call) {
  napi_value object = nullptr;
  napi_create_object(call.env, &object);
  std::vector<std::string> isas;
  for (const Kernels* kernels : usable_kernels()) isas.emplace_back(kernels->name);
  napi_set_named_property(call.env, object, "features", strings(call, cpu_features()));
  napi_set_named_property(call.env, object, "isas", strings(call, isas));
  napi_set_named_property(call.env, object, "physicalCores", call.number(physical_cores()));
  return object;
}

// ---- session ----

// open(isa, threads, maxRows, exact)
napi_value open_session(const Call& call) {
  const std::string isa = call.text(0);
  const int32_t threads = call.small(1), rows = call.small(2);
  const bool exact = call.boolean(3);
  const Kernels* const found = usable_variant(isa);
  require(threads >= 1 && threads <= 1024, "1 to 1024 threads were expected");
  require(rows >= 1 && rows <= 1 << 20, "1 to 1048576 rows were expected");
  auto holder = std::make_unique<Holder>();
  holder->session = std::make_unique<Session>(found, threads, rows, exact);
  return hold(call, std::move(holder));
}

napi_value close_session(const Call& call) {
  holder_of(call).close();
  return nullptr;
}

napi_value release(const Call& call) {
  if (holder_of(call).session) session_of(call).release(call.small(1));
  return nullptr;
}

// ---- resources ----

// file(session, path) -> handle; size(session, handle) -> bytes
napi_value file(const Call& call) { return call.number(session_of(call).add_file(call.text(1))); }
napi_value size(const Call& call) {
  return call.number(static_cast<double>(session_of(call).get<Bytes>(call.integer(1), "file")->memory.size()));
}
// lost(session) -> handle of a file that has lost pages since it was mapped, or -1
napi_value lost(const Call& call) { return call.number(session_of(call).lost_file()); }
napi_value bytes(const Call& call) { return call.number(session_of(call).add_bytes(call.integer(1))); }

// fill(session, handle, offset, Uint8Array)
napi_value fill(const Call& call) {
  auto target = session_of(call).get<Bytes>(call.integer(1), "memory");
  const int64_t offset = call.integer(2);
  int64_t length = 0;
  const uint8_t* data = call.array<uint8_t>(3, napi_uint8_array, &length);
  const int64_t size = static_cast<int64_t>(target->memory.size());
  require(target->writable && offset >= 0 && length <= size && offset <= size - length, "bytes outside the memory");
  if (length > 0) std::memcpy(target->memory.data() + offset, data, static_cast<size_t>(length));
  return nullptr;
}

// matrix(session, Float64Array of kMatrixFields, ticket): ticket 0 takes it as it is, else it is rounded to Q8_0
napi_value matrix(const Call& call) {
  int64_t count = 0;
  const double* fields = call.array<double>(1, napi_float64_array, &count);
  require(count == kMatrixFields, "the fields of a matrix");
  int64_t integers[kMatrixFields];
  for (int64_t i = 0; i < kMatrixFields; i++) {
    require(fields[i] == std::floor(fields[i]) && std::fabs(fields[i]) <= 9007199254740991.0, "an integer was expected");
    integers[i] = static_cast<int64_t>(fields[i]);
  }
  const int64_t ticket = call.integer(2);
  if (ticket == 0) return call.number(session_of(call).add_matrix(integers));
  return call.number(session_of(call).add_rounded(integers, new_flag(holder_of(call), ticket)));
}

napi_value vector(const Call& call) {
  int64_t length = 0;
  const float* data = call.array<float>(1, napi_float32_array, &length);
  return call.number(session_of(call).add_vector(data, length));
}

// buffer(session, width, integers, scored, maxRows)
napi_value buffer(const Call& call) {
  return call.number(session_of(call).add_buffer(call.small(1), call.boolean(2), call.boolean(3), call.small(4)));
}

napi_value cache(const Call& call) {
  int64_t count = 0;
  const int32_t* fields = call.ints(1, &count);
  return call.number(session_of(call).add_cache(fields, count));
}

napi_value program(const Call& call) {
  int64_t count = 0;
  const int32_t* code = call.ints(1, &count);
  return call.number(session_of(call).add_program(code, count));
}

// ---- buffers ----

struct Span {
  std::shared_ptr<Activation> buffer;
  size_t first, count;  // values
};

Span rows_of(const Call& call, int64_t first, int64_t values) {
  auto buffer = session_of(call).get<Activation>(call.integer(1), "buffer");
  const int64_t all = int64_t{buffer->max_rows} * buffer->width;
  require(first >= 0 && values >= 0 && first <= buffer->max_rows && values <= all - first * buffer->width,
          "rows outside the buffer");
  return {buffer, static_cast<size_t>(first) * static_cast<size_t>(buffer->width), static_cast<size_t>(values)};
}

// read(session, buffer, firstRow, rowCount)
napi_value read(const Call& call) {
  auto buffer = session_of(call).get<Activation>(call.integer(1), "buffer");
  const int64_t rows = call.integer(3);
  require(rows >= 0 && rows <= buffer->max_rows, "rows outside the buffer");
  const Span span = rows_of(call, call.integer(2), rows * buffer->width);
  uint32_t* out = nullptr;
  napi_value array = call.new_array(span.buffer->integers ? napi_int32_array : napi_float32_array, span.count, &out);
  if (span.count > 0) std::memcpy(out, span.buffer->memory.as<uint32_t>() + span.first, span.count * 4);
  return array;
}

// write(session, buffer, firstRow, data)
napi_value write(const Call& call) {
  auto buffer = session_of(call).get<Activation>(call.integer(1), "buffer");
  int64_t length = 0;
  const void* data = buffer->integers ? static_cast<const void*>(call.ints(3, &length))
                                      : call.array<float>(3, napi_float32_array, &length);
  const Span span = rows_of(call, call.integer(2), length);
  if (length > 0) std::memcpy(span.buffer->memory.as<uint32_t>() + span.first, data, span.count * 4);
  return nullptr;
}

// ---- cache pages ----

struct PageRef {
  std::shared_ptr<Cache> cache;
  bool sliding;
  int32_t page;
};

PageRef page_of(const Call& call, size_t at) {
  PageRef ref{session_of(call).get<Cache>(call.integer(1), "cache"), call.boolean(2), call.small(at)};
  require(ref.page >= 0 && ref.page < ref.cache->pages(ref.sliding), "a page outside the cache");
  return ref;
}

// copyPage(session, cache, sliding, from, to)
napi_value copy_page(const Call& call) {
  const PageRef from = page_of(call, 3), to = page_of(call, 4);
  if (from.page == to.page) return nullptr;
  const int64_t distance = (int64_t{to.page} - from.page) * from.cache->page_bytes;
  const size_t length = static_cast<size_t>(from.cache->page_bytes);
  from.cache->each_part(from.sliding, from.page, [&](uint8_t* part) { std::memcpy(part + distance, part, length); });
  return nullptr;
}

// readPage(session, cache, sliding, page)
napi_value read_page(const Call& call) {
  const PageRef ref = page_of(call, 3);
  const size_t length = static_cast<size_t>(ref.cache->page_bytes);
  size_t parts = 0;
  ref.cache->each_part(ref.sliding, ref.page, [&](uint8_t*) { parts++; });
  uint8_t* out = nullptr;
  napi_value array = call.new_array(napi_uint8_array, parts * length, &out);
  ref.cache->each_part(ref.sliding, ref.page, [&](uint8_t* part) {
    std::memcpy(out, part, length);
    out += length;
  });
  return array;
}

// writePage(session, cache, sliding, page, bytes)
napi_value write_page(const Call& call) {
  const PageRef ref = page_of(call, 3);
  const size_t length = static_cast<size_t>(ref.cache->page_bytes);
  int64_t given = 0;
  const uint8_t* data = call.array<uint8_t>(4, napi_uint8_array, &given);
  int64_t parts = 0;
  ref.cache->each_part(ref.sliding, ref.page, [&](uint8_t*) { parts++; });
  require(given == parts * ref.cache->page_bytes, "a page of another size");
  ref.cache->each_part(ref.sliding, ref.page, [&](uint8_t* part) {
    std::memcpy(part, data, length);
    data += length;
  });
  return nullptr;
}

// ---- work for the team ----

// run(session, program, from, to, batch, ticket) -> Promise<finished>
napi_value run(const Call& call) {
  auto program = session_of(call).get<Program>(call.integer(1), "program");
  const int32_t from = call.small(2), to = call.small(3);
  int64_t count = 0;
  const int32_t* data = call.ints(4, &count);
  Flag flag = new_flag(holder_of(call), call.integer(5));
  std::vector<int32_t> batch(data, data + count);
  Promise promise = make_promise(call, false);
  session_of(call).run(program, from, to, std::move(batch), flag,
                     [completion = promise.completion.get()](bool finished) { finish(completion, finished ? 1 : 0); });
  return promise.queued();
}

// cancel(session, ticket)
napi_value cancel(const Call& call) {
  Holder& holder = holder_of(call);
  const auto found = holder.live.find(call.integer(1));
  if (found != holder.live.end()) {
    if (Flag flag = found->second.lock()) flag->store(true);
  }
  return nullptr;
}

// populate(session, file, offset, length, ticket, reads) -> Promise<true>: brings part of a file into memory; with `reads` every
// byte is loaded as well, as weights are, so that the time it takes tells how fast this very memory is
napi_value populate_file(const Call& call) {
  auto file = session_of(call).get<Bytes>(call.integer(1), "file");
  const int64_t offset = call.integer(2), length = call.integer(3);
  const int64_t size = static_cast<int64_t>(file->memory.size());
  require(offset >= 0 && length >= 0 && length <= size && offset <= size - length, "bytes outside the file");
  Flag flag = new_flag(holder_of(call), call.integer(4));
  const Kernels* const reader = call.small(5) != 0 ? session_of(call).kernels() : nullptr;
  Promise promise = make_promise(call, false);
  static constexpr int64_t kPiece = 4 << 20;
  session_of(call).submit(
      [file, offset, length, flag, reader](Worker& worker) {
        worker.chunks((length + kPiece - 1) / kPiece, [&](int64_t i) {
          if (flag->load(std::memory_order_relaxed)) return;
          const int64_t first = i * kPiece;
          const uint8_t* const data = file->memory.data() + offset + first;
          const int64_t bytes = std::min(kPiece, length - first);
          if (reader != nullptr) reader->probe(static_cast<int32_t>(ProbeKind::READ), data, bytes);
          else populate(data, static_cast<size_t>(bytes));
        });
      },
      [completion = promise.completion.get()] { finish(completion, 1); });
  return promise.queued();
}

// holdExperts(session, program, bytes) -> bytes taken: its experts come and go in so much memory; 0: left in the mapping
napi_value hold_experts(const Call& call) {
  auto program = session_of(call).get<Program>(call.integer(1), "program");
  napi_value answer = nullptr;
  napi_create_double(call.env, static_cast<double>(session_of(call).hold_experts(*program, call.integer(2))), &answer);
  return answer;
}

// dropCached(path) -> boolean: whether the system was told that the file's pages may leave memory
napi_value drop_cached_file(const Call& call) {
  napi_value answer = nullptr;
  napi_get_boolean(call.env, drop_cached(call.text(0)), &answer);
  return answer;
}

// probe(session, kind, threads) -> Promise<number>: per second; see probe.h
napi_value probe(const Call& call) {
  const int32_t kind = call.small(1), threads = call.small(2);
  require(kind >= 0 && kind < kProbeKinds && threads >= 1, "a kind of probe");
  auto probe = std::make_shared<Probe>(session_of(call).kernels(), static_cast<ProbeKind>(kind), threads);
  Promise promise = make_promise(call, true);
  session_of(call).submit([probe](Worker& worker) { probe->work(worker); },
                        [probe, completion = promise.completion.get()] { finish(completion, probe->rate()); });
  return promise.queued();
}

// times(session, program) -> Float64Array: milliseconds spent in each op since it was recorded
napi_value times(const Call& call) {
  auto program = session_of(call).get<Program>(call.integer(1), "program");
  double* out = nullptr;
  napi_value array = call.new_array(napi_float64_array, program->ops.size(), &out);
  for (size_t i = 0; i < program->ops.size(); i++) out[i] = program->op_ms[i].load(std::memory_order_relaxed);
  return array;
}

void end_environment(napi_env, void* data, void*) { delete static_cast<Environment*>(data); }

}  // namespace

napi_value start(napi_env env, napi_value exports) {
  auto environment = std::make_unique<Environment>();
  napi_value name = nullptr;
  napi_create_string_utf8(env, "gptoss", NAPI_AUTO_LENGTH, &name);
  if (napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, nullptr, settle,
                                      &environment->completions) != napi_ok) {
    return exports;
  }
  napi_unref_threadsafe_function(env, environment->completions);
  napi_set_instance_data(env, environment.release(), end_environment, nullptr);

  const NamedFunction functions[] = {
      {"machine", guarded<machine>},     {"open", guarded<open_session>}, {"close", guarded<close_session>},
      {"release", guarded<release>},     {"file", guarded<file>},         {"size", guarded<size>},
      {"bytes", guarded<bytes>},         {"fill", guarded<fill>},         {"matrix", guarded<matrix>},
      {"vector", guarded<vector>},       {"buffer", guarded<buffer>},     {"cache", guarded<cache>},
      {"program", guarded<program>},     {"read", guarded<read>},         {"write", guarded<write>},
      {"copyPage", guarded<copy_page>},  {"readPage", guarded<read_page>}, {"writePage", guarded<write_page>},
      {"run", guarded<run>},             {"cancel", guarded<cancel>},     {"populate", guarded<populate_file>},
      {"probe", guarded<probe>},         {"times", guarded<times>},       {"lost", guarded<lost>},
      {"dropCached", guarded<drop_cached_file>}, {"holdExperts", guarded<hold_experts>},
  };
  napi_value interface_number = nullptr;
  napi_create_int32(env, kInterface, &interface_number);
  napi_set_named_property(env, exports, "interface", interface_number);
  define(env, exports, functions);
  add_train_functions(env, exports);
  return exports;
}

}  // namespace gptoss

NAPI_MODULE_INIT() { return gptoss::start(env, exports); }
