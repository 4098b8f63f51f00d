// The receiver's end of one stream: frames in, bytes straight into pages and out of them, words
// out.
#pragma once

#include <cstddef>
#include <cstdint>

#include "src/memory/registered_buffer.h"
#include "src/transport/tcp/answer_queue.h"
#include "src/transport/tcp/frames.h"
#include "src/transport/tcp/gate.h"
#include "src/transport/tcp/pulse.h"
#include "src/transport/tcp/tcp_options.h"
#include "src/transport/tcp/watched_socket.h"
#include "src/transport/transport.h"

namespace baton::transport::tcp {

/// The pages that all streams write and read.
struct PageAccess {
  const RegisteredBuffer* buffer = nullptr;
  const PageGuard* guard = nullptr;
  TcpStats* stats = nullptr;

  /// Inside the page, and allowed by the guard.
  bool allows(const PeerId& writer, const WriteHeader& write) const;
  bool allows(const PeerId& reader, const ReadHeader& read) const;
};

/// open ⇄ payload → closed; docs/protocol-tcp.md has every transition. Memory is written inside
/// recv() and read inside sendmsg() only, so nothing of this stream reaches a page once this is
/// destroyed.
class InboundStream final : public Inbound {
 public:
  InboundStream(Reactor& reactor, const TcpOptions& options, UniqueFd fd, const PeerId& writer,
                PageAccess& pages, Ended ended);
  ~InboundStream() override { close(); }
  InboundStream(const InboundStream&) = delete;
  InboundStream& operator=(const InboundStream&) = delete;

 private:
  void on_ready(std::uint32_t events);
  Status receive_slice();
  StatusOr<std::size_t> receive_header();
  StatusOr<std::size_t> receive_payload(std::size_t max_bytes);
  Status take_frame();
  Status start_write(const WriteHeader& write);
  Status take_end(const EndOfBatch& end);
  Status take_read(const ReadHeader& read);
  Status reject(const WriteHeader& write);
  Status check_read(const ReadHeader& read);
  Status send_slice();
  void beat();
  void close();
  void end(const Status& why);

  const TcpOptions& options_;
  const PeerId writer_;
  PageAccess& pages_;
  Ended ended_;
  FrameBytes header_{};
  std::size_t header_bytes_ = 0;  // of header_, received
  /// What is left of the write frame whose payload is arriving; of length 0 between frames.
  WriteHeader write_;
  std::uint64_t last_placed_ = 0;  // batch
  AnswerQueue answers_;
  WatchedSocket socket_;  // after what its watch refers to
  Pulse pulse_;
};

}  // namespace baton::transport::tcp
