// A list that is too long for one message.
#pragma once

#include <algorithm>
#include <cstddef>

namespace baton {

/// Calls `send` with at most `max` of `names` at a time; once, with none, if there are none.
template <typename Names, typename Send>
void in_batches(const Names& names, std::size_t max, Send send) {
  std::size_t next = 0;
  do {
    const std::size_t end = std::min(next + max, names.size());
    send(Names(names.begin() + static_cast<std::ptrdiff_t>(next),
               names.begin() + static_cast<std::ptrdiff_t>(end)));
    next = end;
  } while (next < names.size());
}

}  // namespace baton
