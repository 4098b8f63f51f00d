// What a status says, cut to what a message may carry.
#pragma once

#include <string>

#include "baton/status.h"
#include "src/base/text.h"
#include "src/wire/limits.h"

namespace baton::wire {

/// Texts quote request ids and names, which may be as long as a whole text field; a longer one
/// would make the peer's decoder refuse the message. Cut between characters.
inline std::string status_text(const Status& status) {
  return clip({status.message().data(), status.message().size()}, Limits().max_string_bytes);
}

}  // namespace baton::wire
