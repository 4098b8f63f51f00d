// Messages to bytes and back: msgpack maps tagged by "type", as msgspec encodes LMCache's.
#pragma once

#include <string>
#include <string_view>

#include "baton/status.h"
#include "src/wire/limits.h"
#include "src/wire/messages.h"

namespace baton::wire {

/// "type" first, then the fields in declaration order, integers minimal, blobs as bin.
std::string encode(const Message& message);

/// Any key order; unknown fields are skipped; defaults as LMCache has them. kInvalidArgument with a
/// message that names type and field for everything else. Allocates at most 16 KiB plus 16 times
/// the input's size, and keeps no reference to `bytes`.
StatusOr<Message> decode(std::string_view bytes, const Limits& limits);

/// "AllocRequest", … for logs.
std::string_view type_name(const Message& message);

}  // namespace baton::wire
