// The trainer's part of the addon's face; see face.cc.
#pragma once
#include <node_api.h>

namespace gptoss {

void add_train_functions(napi_env env, napi_value exports);

}  // namespace gptoss
