// What every function of the addon's face needs: arguments checked as they are taken, failures of ours turned into
// JavaScript errors with a code, promises settled from the threads of a team. Included by addon.cc and train/face.cc.
#pragma once
#include <node_api.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include "memory.h"

namespace gptoss {

// Of one environment (the main thread, or a worker thread of Node).
struct Environment {
  napi_threadsafe_function completions = nullptr;
  int32_t in_flight = 0;  // keeps the event loop alive while > 0
};

struct Completion {
  Environment* environment;
  napi_deferred deferred;
  bool is_number = false;
  double value = 0;  // or 0/1 for a boolean
};

inline void require(bool holds, const char* what) {
  if (!holds) throw Failure{"internal", std::string("native call with a wrong argument: ") + what};
}

inline void throw_to_js(napi_env env, const char* code, const char* message) {
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (!pending) napi_throw_error(env, code, message);
}

constexpr size_t kMostArguments = 8;

struct Call {
  napi_env env;
  size_t count = kMostArguments;
  napi_value values[kMostArguments];

  napi_value at(size_t i) const {
    require(i < count, "missing");
    return values[i];
  }
  int64_t integer(size_t i) const {
    double x = 0;
    require(napi_get_value_double(env, at(i), &x) == napi_ok, "a number was expected");
    require(std::isfinite(x) && x == std::floor(x) && std::fabs(x) <= 9007199254740991.0, "an integer was expected");
    return static_cast<int64_t>(x);
  }
  int32_t small(size_t i) const {
    const int64_t x = integer(i);
    require(x >= INT32_MIN && x <= INT32_MAX, "a small integer was expected");
    return static_cast<int32_t>(x);
  }
  bool boolean(size_t i) const {
    bool x = false;
    require(napi_get_value_bool(env, at(i), &x) == napi_ok, "a boolean was expected");
    return x;
  }
  std::string text(size_t i) const {
    size_t length = 0;
    require(napi_get_value_string_utf8(env, at(i), nullptr, 0, &length) == napi_ok, "a string was expected");
    std::string s(length + 1, '\0');
    require(napi_get_value_string_utf8(env, at(i), s.data(), s.size(), &length) == napi_ok, "a string was expected");
    s.resize(length);
    return s;
  }
  // The values of a typed array; valid during this call.
  template <class T> const T* array(size_t i, napi_typedarray_type wanted, int64_t* length) const {
    bool is = false;
    require(napi_is_typedarray(env, at(i), &is) == napi_ok && is, "a typed array was expected");
    napi_typedarray_type type;
    size_t n = 0;
    void* data = nullptr;
    require(napi_get_typedarray_info(env, values[i], &type, &n, &data, nullptr, nullptr) == napi_ok && type == wanted,
            "another kind of typed array was expected");
    require(data != nullptr || n == 0, "a detached array");
    *length = static_cast<int64_t>(n);
    return static_cast<const T*>(data);
  }
  const int32_t* ints(size_t i, int64_t* length) const { return array<int32_t>(i, napi_int32_array, length); }

  napi_value number(double x) const {
    napi_value v = nullptr;
    napi_create_double(env, x, &v);
    return v;
  }
  napi_value string(const std::string& s) const {
    napi_value v = nullptr;
    napi_create_string_utf8(env, s.data(), s.size(), &v);
    return v;
  }
  // A new typed array and where its bytes are.
  template <class T> napi_value new_array(napi_typedarray_type type, size_t n, T** data) const {
    napi_value buffer = nullptr, array = nullptr;
    void* bytes = nullptr;
    if (napi_create_arraybuffer(env, n * sizeof(T), &bytes, &buffer) != napi_ok ||
        napi_create_typedarray(env, type, n, buffer, 0, &array) != napi_ok) {
      throw Failure{"out-of-memory", "no memory for an array of " + std::to_string(n) + " values"};
    }
    *data = static_cast<T*>(bytes);
    return array;
  }
};

using Function = napi_value (*)(const Call&);

template <Function function> napi_value guarded(napi_env env, napi_callback_info info) {
  Call call{env, kMostArguments, {}};
  if (napi_get_cb_info(env, info, &call.count, call.values, nullptr, nullptr) != napi_ok) return nullptr;
  try {
    return function(call);
  } catch (const Failure& failure) {
    throw_to_js(env, failure.code, failure.message.c_str());
  } catch (const std::bad_alloc&) {
    throw_to_js(env, "out-of-memory", "no memory for the native backend; close other programs");
  } catch (const std::exception& error) {
    throw_to_js(env, "internal", error.what());
  }
  return nullptr;
}

// ---- objects of ours that JavaScript holds ----

// `Held` has close(), a `tag` that tells it from other externals, and `wanted`, the message where it is missing. It is closed when
// JavaScript says so, when it is collected, or when the environment ends.
template <class Held> void close_at_exit(void* data) { static_cast<Held*>(data)->close(); }

template <class Held> void free_held(napi_env env, void* data, void*) {
  Held* held = static_cast<Held*>(data);
  napi_remove_env_cleanup_hook(env, close_at_exit<Held>, held);
  held->close();
  delete held;
}

template <class Held> napi_value hold(const Call& call, std::unique_ptr<Held> held) {
  napi_value value = nullptr;
  if (napi_create_external(call.env, held.get(), free_held<Held>, nullptr, &value) != napi_ok) {
    throw Failure{"internal", "no object could be made for JavaScript to hold"};
  }
  napi_add_env_cleanup_hook(call.env, close_at_exit<Held>, held.get());
  held.release();
  napi_type_tag_object(call.env, value, &Held::tag);
  return value;
}

// The first argument.
template <class Held> Held& held_in(const Call& call) {
  napi_valuetype type = napi_undefined;
  bool tagged = false;
  require(napi_typeof(call.env, call.at(0), &type) == napi_ok && type == napi_external, Held::wanted);
  require(napi_check_object_type_tag(call.env, call.values[0], &Held::tag, &tagged) == napi_ok && tagged, Held::wanted);
  void* data = nullptr;
  require(napi_get_value_external(call.env, call.values[0], &data) == napi_ok && data != nullptr, Held::wanted);
  return *static_cast<Held*>(data);
}

struct NamedFunction { const char* name; napi_callback function; };

template <size_t N> void define(napi_env env, napi_value exports, const NamedFunction (&functions)[N]) {
  for (const NamedFunction& f : functions) {
    napi_value function = nullptr;
    napi_create_function(env, f.name, NAPI_AUTO_LENGTH, f.function, nullptr, &function);
    napi_set_named_property(env, exports, f.name, function);
  }
}

// ---- promises ----

inline void settle(napi_env env, napi_value, void*, void* data) {
  std::unique_ptr<Completion> completion(static_cast<Completion*>(data));
  if (env == nullptr) return;  // the environment is ending
  napi_value value = nullptr;
  if (completion->is_number) napi_create_double(env, completion->value, &value);
  else napi_get_boolean(env, completion->value != 0, &value);
  napi_resolve_deferred(env, completion->deferred, value);
  Environment* environment = completion->environment;
  if (--environment->in_flight == 0) napi_unref_threadsafe_function(env, environment->completions);
}

// A promise under way to a job. When the job cannot be queued after all, it is settled and forgotten.
struct Promise {
  napi_env env;
  napi_value value = nullptr;
  std::unique_ptr<Completion> completion;

  ~Promise() {
    napi_value undefined = nullptr;
    if (completion && napi_get_undefined(env, &undefined) == napi_ok) {
      napi_resolve_deferred(env, completion->deferred, undefined);
    }
  }
  // Queued: the completion now belongs to the job's end.
  napi_value queued() {
    Environment* environment = completion.release()->environment;
    if (environment->in_flight++ == 0) napi_ref_threadsafe_function(env, environment->completions);
    return value;
  }
};

inline Environment* environment_of(napi_env env) {
  void* data = nullptr;
  napi_get_instance_data(env, &data);
  require(data != nullptr, "the environment is ending");
  return static_cast<Environment*>(data);
}

inline Promise make_promise(const Call& call, bool is_number) {
  auto completion = std::make_unique<Completion>();
  completion->environment = environment_of(call.env);
  completion->is_number = is_number;
  napi_value value = nullptr;
  require(napi_create_promise(call.env, &completion->deferred, &value) == napi_ok, "no promise could be made");
  return Promise{call.env, value, std::move(completion)};
}

// On a worker thread.
inline void finish(Completion* completion, double value) {
  completion->value = value;
  if (napi_call_threadsafe_function(completion->environment->completions, completion, napi_tsfn_nonblocking) != napi_ok) {
    delete completion;
  }
}

}  // namespace gptoss
