// From what the user says to what sender and receiver need: checked, with errors that name things.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "baton/pd_backend.h"
#include "src/base/epoch.h"
#include "src/receiver/config.h"
#include "src/sender/config.h"
#include "src/sender/peer_link.h"
#include "src/sender/put_task.h"
#include "src/sender/read_task.h"
#include "src/sender/sender.h"
#include "src/wire/messages.h"

namespace baton {

/// The layout can be put, agrees with the options' chunk_size, and names this worker.
Status check_layout(const CacheLayout& layout, const Options& options);
wire::LayoutInfo to_layout_info(const CacheLayout& layout, const Options& options);
wire::Limits to_limits(const Options& options);

struct BufferShape {
  std::size_t page_bytes = 0;
  std::uint32_t page_count = 0;
  std::uint32_t receiver_pages = 0;  ///< the first ones; the others are staging
};
/// One full chunk a page, as many as pd_buffer_size holds.
StatusOr<BufferShape> buffer_shape(const CacheLayout& layout, const Options& options);

receiver::Config receiver_config(const CacheLayout& layout, const Options& options);
sender::Config sender_config(const CacheLayout& layout, const Options& options, const Epoch& epoch);

/// This worker's ports at the receiver.
StatusOr<sender::Address> to_address(const TransferSpec& spec, std::uint32_t worker_id);

/// Checks every argument of a put against the layout and `pool`, the identity of the sender's
/// buffer.
StatusOr<sender::PutSpec> to_put_spec(std::span<const CacheEngineKey> keys,
                                      std::span<const MemoryObj> objects, const TransferSpec& spec,
                                      const CacheLayout& layout, const Options& options,
                                      const void* pool);
/// The same of a read.
StatusOr<sender::ReadSpec> to_read_spec(std::span<const CacheEngineKey> keys,
                                        std::span<const MemoryObj> objects,
                                        const TransferSpec& spec, const CacheLayout& layout,
                                        const Options& options, const void* pool);
StatusOr<sender::OpenSpec> to_open_spec(const RequestSpec& spec, const CacheLayout& layout,
                                        const Options& options);
/// The keys' texts; kInvalidArgument for one that is malformed, of another worker, or twice.
StatusOr<wire::KeyList> to_key_list(std::span<const CacheEngineKey> keys,
                                    const CacheLayout& layout);
StatusOr<std::vector<std::string>> to_strings(std::span<const CacheEngineKey> keys,
                                              const CacheLayout& layout);

}  // namespace baton
