// Tries out how this llama.cpp stores the KV cache of a model.
#pragma once

#include "baton/status.h"
#include "src/engine/kv_blob.h"
#include "src/engine/llama_runtime.h"

namespace baton::engine {

/// Takes the rows of two tokens out, puts them back by way of a chunk, and goes on behind them: the
/// rows and the next logits must not have changed by a bit. The shape is what was found.
/// kFailedPrecondition, saying what differs, if the layout is not the one of kv_blob.h.
StatusOr<KvShape> probe_kv(llama_model& model);

}  // namespace baton::engine
