// LMCache's keys that Baton has no row for: old names of rows, and what means nothing here.
#pragma once

#include <span>
#include <string_view>

namespace baton::config {

struct Alias {
  std::string_view old_name;
  std::string_view name;
};

/// Names that LMCache's prefill and decode keys had before they began with pd_.
std::span<const Alias> lmcache_aliases();

/// Keys of LMCache's, of all versions, that have nothing to do with handing KV over: caches, disks,
/// remote stores, controllers. Their values are not looked at.
std::span<const std::string_view> lmcache_foreign_keys();

}  // namespace baton::config
