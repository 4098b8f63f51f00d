#include "src/backend/settings.h"

#include <absl/container/flat_hash_set.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <string_view>

#include "src/base/checked.h"
#include "src/base/duplicates.h"
#include "src/base/hex.h"
#include "src/base/key_checker.h"
#include "src/base/keyed_hash.h"
#include "src/base/text.h"
#include "src/memory/registered_buffer.h"

namespace baton {
namespace {

Status invalid(const std::string& message) {
  return absl::InvalidArgumentError(message);
}

std::string endpoint(std::string_view host, std::span<const std::uint16_t> ports,
                     std::uint32_t worker_id) {
  const std::uint16_t port = worker_id < ports.size() ? ports[worker_id] : 0;
  return fmt::format("tcp://{}:{}", host, port);
}

std::string describe(const TensorMeta& meta) {
  return fmt::format("{} [{}] of {}", to_string(meta.format), fmt::join(meta.shape, ", "),
                     to_string(meta.dtype));
}

Status check_req_id(const std::string& req_id, const Options& options) {
  const std::size_t limit = to_limits(options).max_string_bytes;
  if (req_id.empty() || req_id.size() > limit) {
    return invalid(fmt::format("a req_id has 1 to {} bytes, this one {}", limit, req_id.size()));
  }
  if (!is_utf8(req_id)) {
    // A stock proxy ends its loop on text that it can't decode.
    return invalid(fmt::format("req_id {} is not UTF-8", quote(req_id)));
  }
  return absl::OkStatus();
}

/// 0 is what an engine sends that never thought of it: every try would meet its former self.
Status check_attempt(const TransferSpec& spec, const CacheLayout& layout) {
  if (layout.world_size > 1 && spec.attempt == 0) {
    return invalid(
        fmt::format("request {}: attempt is 0; the ranks of a TP group find each other by it: make "
                    "it random, the same on all ranks",
                    spec.req_id));
  }
  return absl::OkStatus();
}

/// `full` cut down to fewer tokens.
bool is_partial(const TensorMeta& meta, const TensorMeta& full) {
  const auto tokens = meta.tokens();
  if (!tokens.ok() || *tokens < 1 || *tokens >= full.tokens().value_or(0)) {
    return false;
  }
  const auto cut = full.with_tokens(*tokens);
  return cut.ok() && meta == *cut;
}

/// There, and of this backend's staging: a page of the receiver's half, as a claim has it, is none.
Status check_origin(std::size_t index, const MemoryObj& object, const void* pool,
                    std::uint32_t first_staging_page) {
  if (!object) {
    return invalid(fmt::format("memory object {} is empty", index));
  }
  if (object.pool() != pool || object.page() < first_staging_page) {
    return invalid(fmt::format(
        "memory object {} is not of this backend's staging; take it from allocate()", index));
  }
  return absl::OkStatus();
}

Status check_object(std::size_t index, const MemoryObj& object, bool is_last,
                    const CacheLayout& layout, const Options& options) {
  const TensorMeta& meta = object.meta();
  if (meta == layout.full_chunk) {
    return absl::OkStatus();
  }
  if (!is_last || !is_partial(meta, layout.full_chunk)) {
    return invalid(fmt::format("memory object {} is {}; a chunk here is {}{}", index,
                               describe(meta), describe(layout.full_chunk),
                               is_last ? ", or has fewer tokens as the last one" : ""));
  }
  if (!options.save_unfull_chunk) {
    return invalid(fmt::format(
        "memory object {} is a partial chunk of {} tokens, and save_unfull_chunk is false", index,
        meta.tokens().value_or(0)));
  }
  return absl::OkStatus();
}

Status check_prefill_length(std::uint64_t chunks, const Options& options) {
  if (options.pd_max_prefill_len > 0 && chunks > 0 &&
      (chunks - 1) * options.chunk_size >= options.pd_max_prefill_len) {
    return invalid(fmt::format("{} chunks of {} tokens are more than pd_max_prefill_len ({})",
                               chunks, options.chunk_size, options.pd_max_prefill_len));
  }
  return absl::OkStatus();
}

}  // namespace

Status check_layout(const CacheLayout& layout, const Options& options) {
  if (Status fine = layout.full_chunk.validate_for_put(); !fine.ok()) {
    return fine;
  }
  const auto tokens = layout.full_chunk.tokens();
  if (*tokens != static_cast<std::int64_t>(options.chunk_size)) {
    return invalid(fmt::format("the layout's full chunk has {} tokens, chunk_size is {}", *tokens,
                               options.chunk_size));
  }
  if (layout.world_size == 0 || layout.worker_id >= layout.world_size) {
    return invalid(fmt::format("worker_id {} is not below world_size {}", layout.worker_id,
                               layout.world_size));
  }
  for (const std::string* text :
       {&layout.model_name, &layout.model_fingerprint, &layout.hash_scheme}) {
    if (text->empty() || text->size() > to_limits(options).max_string_bytes || !is_utf8(*text)) {
      return invalid(
          "the layout needs model_name, model_fingerprint and hash_scheme: UTF-8, 1 to 1024 bytes "
          "each");
    }
  }
  const std::size_t ports =
      std::min(options.pd_peer_init_port.size(), options.pd_peer_alloc_port.size());
  if (receives(options.pd_role) && ports > 0 && layout.worker_id >= ports) {
    return invalid(fmt::format(
        "pd_peer_init_port and pd_peer_alloc_port have entries for {} ranks, this is rank {}",
        ports, layout.worker_id));
  }
  if (receives(options.pd_role) && layout.world_size > 1 &&
      (ports != layout.world_size || options.pd_peer_alloc_port[0] == 0)) {
    return invalid(fmt::format(
        "a group of {} ranks needs as many ports in pd_peer_init_port and pd_peer_alloc_port, and "
        "a fixed alloc port for rank 0, which the others ask; there are {}, rank 0's is {}",
        layout.world_size, ports, ports == 0 ? 0 : options.pd_peer_alloc_port[0]));
  }
  return absl::OkStatus();
}

wire::LayoutInfo to_layout_info(const CacheLayout& layout, const Options& options) {
  return {layout.model_name,        layout.model_fingerprint, layout.hash_scheme,
          layout.world_size,        layout.worker_id,         options.chunk_size,
          layout.full_chunk.format, layout.full_chunk.shape,  layout.full_chunk.dtype};
}

wire::Limits to_limits(const Options& options) {
  wire::Limits limits;
  limits.max_message_bytes = options.pd_max_message_bytes;
  limits.max_keys = options.pd_max_keys;
  return limits;
}

StatusOr<BufferShape> buffer_shape(const CacheLayout& layout, const Options& options) {
  const auto bytes = layout.full_chunk.bytes();
  if (!bytes.ok()) {
    return bytes.status();
  }
  const std::size_t page =
      checked_round_up(*bytes, RegisteredBuffer::kPageAlignment).value_or(*bytes);
  const std::size_t pages = options.pd_buffer_size / page;
  if (pages == 0 || pages > std::numeric_limits<std::uint32_t>::max()) {
    return invalid(fmt::format(
        "pd_buffer_size {} holds {} pages of {} bytes (one chunk); allowed are 1 to 2^32 - 1",
        options.pd_buffer_size, pages, page));
  }
  const std::size_t staging_bytes = options.pd_staging_buffer_size == 0
                                        ? options.pd_buffer_size / 2
                                        : options.pd_staging_buffer_size;
  const std::size_t staging = options.pd_role == Role::kBoth     ? staging_bytes / page
                              : options.pd_role == Role::kSender ? pages
                                                                 : 0;
  if (options.pd_role == Role::kBoth && (staging == 0 || staging >= pages)) {
    return invalid(fmt::format(
        "pd_buffer_size {} and pd_staging_buffer_size {} make {} pages of {} bytes (one chunk), {} "
        "of them staging; each side of a process that is both needs at least one",
        options.pd_buffer_size, options.pd_staging_buffer_size, pages, page, staging));
  }
  return BufferShape{page, static_cast<std::uint32_t>(pages),
                     static_cast<std::uint32_t>(pages - staging)};
}

receiver::Config receiver_config(const CacheLayout& layout, const Options& options) {
  receiver::Config config;
  config.init_endpoint =
      endpoint(options.pd_peer_host, options.pd_peer_init_port, layout.worker_id);
  config.alloc_endpoint =
      endpoint(options.pd_peer_host, options.pd_peer_alloc_port, layout.worker_id);
  if (layout.worker_id < options.pd_peer_query_port.size()) {
    config.query_endpoint =
        endpoint(options.pd_peer_host, options.pd_peer_query_port, layout.worker_id);
  }
  config.layout = to_layout_info(layout, options);
  config.limits = to_limits(options);
  config.integrity = options.pd_integrity;
  config.poison_pages = options.pd_poison_pages;
  config.max_open_requests = options.pd_max_open_requests;
  config.max_admission_wait = options.pd_admission_timeout_ms;
  config.claim_ttl = options.pd_claim_ttl_ms;
  if (layout.world_size > 1) {
    config.group_leader = endpoint(
        options.pd_group_leader_host.empty() ? options.pd_peer_host : options.pd_group_leader_host,
        options.pd_peer_alloc_port, 0);
  }
  config.lease = options.pd_lease_ms;
  config.max_peer_requests = options.pd_max_peer_requests;
  config.max_peer_chunks = options.pd_max_peer_chunks;
  config.max_peer_reads = options.pd_max_peer_reads;
  config.max_peer_ahead = options.pd_max_peer_pages_ahead;
  config.versions = {options.pd_protocol_min, options.pd_protocol_max};
  return config;
}

sender::Config sender_config(const CacheLayout& layout, const Options& options,
                             const Epoch& epoch) {
  sender::Config config;
  config.epoch = epoch;
  config.layout = to_layout_info(layout, options);
  config.limits = to_limits(options);
  if (!options.pd_proxy_host.empty() && !options.pd_skip_proxy_notification) {
    config.proxy_endpoint =
        fmt::format("tcp://{}:{}", options.pd_proxy_host, options.pd_proxy_port);
  }
  config.handshake_timeout = options.pd_handshake_timeout_ms;
  config.admission_timeout = options.pd_admission_timeout_ms;
  config.put_timeout = options.pd_put_timeout_ms;
  config.proxy_kind = options.pd_proxy_kind;
  config.versions = {options.pd_protocol_min, options.pd_protocol_max};
  config.drain_timeout = options.pd_drain_timeout_ms;
  config.lease = options.pd_lease_ms;
  config.request_idle_timeout = options.pd_request_idle_timeout_ms;
  config.eager_bytes = options.pd_eager_bytes;
  config.pages_ahead = options.pd_pages_ahead;
  return config;
}

StatusOr<sender::Address> to_address(const TransferSpec& spec, std::uint32_t worker_id) {
  if (spec.receiver_host.empty()) {
    return invalid("receiver_host is empty");
  }
  if (worker_id >= spec.receiver_init_port.size() || worker_id >= spec.receiver_alloc_port.size()) {
    return invalid(fmt::format(
        "request {} names {} init and {} alloc ports of the receiver; rank {} needs its own",
        spec.req_id, spec.receiver_init_port.size(), spec.receiver_alloc_port.size(), worker_id));
  }
  return sender::Address{endpoint(spec.receiver_host, spec.receiver_init_port, worker_id),
                         endpoint(spec.receiver_host, spec.receiver_alloc_port, worker_id)};
}

StatusOr<wire::KeyList> to_key_list(std::span<const CacheEngineKey> keys,
                                    const CacheLayout& layout) {
  const std::string before =
      fmt::format("{}@{}@{}@", layout.model_name, layout.world_size, layout.worker_id);
  const std::string behind = fmt::format("@{}", to_string(layout.full_chunk.dtype));
  bool around_is_right = false;  // a key with that before and behind its hash was right
  HexNumber hash;
  wire::KeyList list;
  for (const CacheEngineKey& key : keys) {
    const bool is_of_layout =
        same_text(key.model_name, layout.model_name) && key.world_size == layout.world_size &&
        key.worker_id == layout.worker_id && key.dtype == layout.full_chunk.dtype;
    const bool is_plain = is_of_layout && !key.layer_id.has_value() && key.tags.empty();
    const std::size_t bytes = before.size() + key.chunk_hash.size() + behind.size();
    if (!is_plain || !around_is_right || bytes > CacheEngineKey::kMaxBytes ||
        !read_hex(key.chunk_hash, hash)) {
      const std::string text = key.to_string();
      if (Status fine = CacheEngineKey::validate(text); !fine.ok()) {
        return fine;
      }
      if (!is_of_layout) {
        return invalid(fmt::format("key {} is not of this worker's cache ({}@{}@{}, {})", text,
                                   layout.model_name, layout.world_size, layout.worker_id,
                                   to_string(layout.full_chunk.dtype)));
      }
      around_is_right = around_is_right || is_plain;
      if (list.empty()) {
        list.reserve(keys.size(), keys.size() * text.size());
      }
      list.push_back(text);
    } else {
      list.push_back(before, key.chunk_hash, behind);
    }
  }
  static const KeyedHash hash_of;  // Who asks for a cached prompt chooses its hashes, in the end.
  std::vector<std::uint32_t> tags;
  tags.reserve(list.size());
  for (const std::string_view key : list) {
    tags.push_back(static_cast<std::uint32_t>(hash_of(key)));
  }
  Duplicates seen;
  const std::int64_t twice = seen.find(
      list.size(), [&](std::size_t i) { return tags[i]; },
      [&](std::size_t i, std::size_t j) { return list[i] == list[j]; });
  return twice < 0
             ? StatusOr<wire::KeyList>(std::move(list))
             : invalid(fmt::format("key {} stands twice", list[static_cast<std::size_t>(twice)]));
}

StatusOr<std::vector<std::string>> to_strings(std::span<const CacheEngineKey> keys,
                                              const CacheLayout& layout) {
  const auto list = to_key_list(keys, layout);
  if (!list.ok()) {
    return list.status();
  }
  return std::vector<std::string>(list->begin(), list->end());
}

StatusOr<sender::PutSpec> to_put_spec(std::span<const CacheEngineKey> keys,
                                      std::span<const MemoryObj> objects, const TransferSpec& spec,
                                      const CacheLayout& layout, const Options& options,
                                      const void* pool) {
  if (Status fine = check_req_id(spec.req_id, options); !fine.ok()) {
    return fine;
  }
  if (Status fine = check_attempt(spec, layout); !fine.ok()) {
    return fine;
  }
  if (keys.empty() || keys.size() != objects.size()) {
    return invalid(
        fmt::format("a put needs as many memory objects as keys, at least one; request "
                    "{} has {} keys and {} objects",
                    spec.req_id, keys.size(), objects.size()));
  }
  if (keys.size() > options.pd_max_keys) {
    return invalid(
        fmt::format("{} keys in one put; pd_max_keys is {}", keys.size(), options.pd_max_keys));
  }
  const auto shape = buffer_shape(layout, options);
  for (std::size_t i = 0; i < objects.size(); ++i) {
    // One that lies in place is known by the link behind which it lies.
    Status fine = objects[i] && objects[i].in_place()
                      ? absl::OkStatus()
                      : check_origin(i, objects[i], pool, shape.ok() ? shape->receiver_pages : 0);
    if (fine.ok()) {
      fine = check_object(i, objects[i], i + 1 == objects.size(), layout, options);
    }
    if (!fine.ok()) {
      return fine;
    }
  }
  if (Status fine = check_prefill_length(spec.total_chunks, options); !fine.ok()) {
    return fine;
  }
  auto texts = to_key_list(keys, layout);
  if (!texts.ok()) {
    return texts.status();
  }
  sender::PutSpec put;
  put.req_id = spec.req_id;
  put.attempt = spec.attempt;
  put.keys = *std::move(texts);
  put.objects.assign(objects.begin(), objects.end());
  put.last_chunk_toks = static_cast<std::uint32_t>(*objects.back().meta().tokens());
  put.is_last = spec.is_last_prefill;
  put.total_chunks = spec.total_chunks;
  put.timeout = spec.timeout.value_or(options.pd_put_timeout_ms);
  return put;
}

StatusOr<sender::ReadSpec> to_read_spec(std::span<const CacheEngineKey> keys,
                                        std::span<const MemoryObj> objects,
                                        const TransferSpec& spec, const CacheLayout& layout,
                                        const Options& options, const void* pool) {
  if (Status fine = check_req_id(spec.req_id, options); !fine.ok()) {
    return fine;
  }
  if (keys.empty() || keys.size() != objects.size()) {
    return invalid(
        fmt::format("a read needs as many memory objects as keys, at least one; that of {} has {} "
                    "keys and {} objects",
                    spec.req_id, keys.size(), objects.size()));
  }
  if (keys.size() > options.pd_max_keys) {
    return invalid(
        fmt::format("{} keys in one read; pd_max_keys is {}", keys.size(), options.pd_max_keys));
  }
  const auto shape = buffer_shape(layout, options);
  absl::flat_hash_set<std::uint32_t> pages;
  for (std::size_t i = 0; i < objects.size(); ++i) {
    if (Status fine = check_origin(i, objects[i], pool, shape.ok() ? shape->receiver_pages : 0);
        !fine.ok()) {
      return fine;
    }
    const TensorMeta& meta = objects[i].meta();
    if (meta != layout.full_chunk && !is_partial(meta, layout.full_chunk)) {
      return invalid(fmt::format("memory object {} is {}; a chunk here is {}, or has fewer tokens",
                                 i, describe(meta), describe(layout.full_chunk)));
    }
    if (!pages.insert(objects[i].page()).second) {
      return invalid(fmt::format("memory object {} has the page of another one in this read", i));
    }
  }
  auto texts = to_strings(keys, layout);
  if (!texts.ok()) {
    return texts.status();
  }
  sender::ReadSpec read;
  read.req_id = spec.req_id;
  read.keys = *std::move(texts);
  read.objects.assign(objects.begin(), objects.end());
  read.timeout = spec.timeout.value_or(options.pd_read_timeout_ms);
  if (layout.worker_id < spec.receiver_query_port.size() &&
      spec.receiver_query_port[layout.worker_id] != 0) {
    read.query_endpoint = endpoint(spec.receiver_host, spec.receiver_query_port, layout.worker_id);
  }
  return read;
}

StatusOr<sender::OpenSpec> to_open_spec(const RequestSpec& spec, const CacheLayout& layout,
                                        const Options& options) {
  if (Status fine = check_req_id(spec.to.req_id, options); !fine.ok()) {
    return fine;
  }
  if (Status fine = check_attempt(spec.to, layout); !fine.ok()) {
    return fine;
  }
  const std::uint64_t chunks = spec.keys.empty() ? spec.to.total_chunks : spec.keys.size();
  if (chunks == 0 || chunks > options.pd_max_keys) {
    return invalid(
        fmt::format("request {} is to be opened for {} chunks; allowed are 1 to {} (pd_max_keys)",
                    spec.to.req_id, chunks, options.pd_max_keys));
  }
  if (Status fine = check_prefill_length(chunks, options); !fine.ok()) {
    return fine;
  }
  auto address = to_address(spec.to, layout.worker_id);
  if (!address.ok()) {
    return address.status();
  }
  auto texts = to_key_list(spec.keys, layout);
  if (!texts.ok()) {
    return texts.status();
  }
  sender::OpenSpec open;
  open.receiver = *std::move(address);
  open.key = {spec.to.req_id, spec.to.attempt};
  open.keys = *std::move(texts);
  open.total_chunks = spec.to.total_chunks;
  open.in_place = spec.in_place;
  open.timeout = spec.timeout.value_or(options.pd_admission_timeout_ms);
  return open;
}

}  // namespace baton
