// Names for requests.
#pragma once

#include <string>

namespace baton::proxy {

/// 128 random bits as 32 lower-case hex digits. A stock proxy counts its requests from 0, so that
/// a notification which is late by one restart releases a stranger; these ids never come again.
std::string make_request_id();

}  // namespace baton::proxy
