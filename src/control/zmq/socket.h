// RAII over libzmq's C API: the only place that knows it. Never blocks, never throws.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "baton/status.h"
#include "src/security/key.h"

namespace baton::control {
struct ZmqOptions;
}

namespace baton::control::zmq_detail {

class Context {
 public:
  Context();
  /// Waits until lingering messages are sent or given up: at most the longest linger.
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  void* handle() const { return handle_; }

 private:
  void* const handle_;
};

enum class SocketKind : std::uint8_t {
  kRouter,
  kDealer,
  kPush,  ///< one connection in its life: accepts messages only while connected, never reconnects
  kPull,
};

/// What became of a connection, as a monitor tells it.
enum class ConnectionEvent : std::uint8_t {
  kReady,
  kEnded,
  kKeyRefused,       ///< a ZAP handler said no
  kOtherSecurity,    ///< one side uses keys, the other doesn't
  kHandshakeBroken,  ///< it ended, or was nonsense, before both sides knew each other
  kOther,
};

class Socket {
 public:
  /// With all options set; not yet bound or connected.
  static StatusOr<Socket> open(Context& context, SocketKind kind, const ZmqOptions& options);
  ~Socket() { close(); }
  Socket(Socket&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Socket& operator=(Socket&&) = delete;

  /// What is unsent lives on for the linger, unless drop_unsent() was called.
  void close();
  void drop_unsent();

  Status set_identity(std::string_view identity);
  /// Before bind(): admits the keys that the ZAP handler allows in this domain, and nobody if
  /// there is no handler.
  Status require_keys(const security::SecretKey& own, std::string_view zap_domain);
  /// Before connect(): speaks only to who has the server's secret key.
  Status use_key(const security::SecretKey& own, const security::PublicKey& server);
  Status bind(const std::string& endpoint);
  Status connect(const std::string& endpoint);
  std::string last_endpoint() const;

  /// A socket that receives this one's connection events, each as two frames whose first
  /// connection_event() reads. stop_monitor() before the monitor is closed: libzmq's I/O thread
  /// would wait for ever to deliver the next event.
  StatusOr<Socket> open_monitor(Context& context);
  void stop_monitor();

  /// Readable when libzmq's state may have changed. It is edge-triggered: any other call on the
  /// socket can take the edge away, so look at events() afterwards.
  int fd() const;
  struct Events {
    bool readable = false;
    bool writable = false;
  };
  Events events() const;

  /// The whole message or nothing: 0, or libzmq's errno (EAGAIN: queue full or no peer;
  /// EHOSTUNREACH: a ROUTER doesn't know the route).
  int send(std::initializer_list<std::string_view> frames);

  enum class Read : std::uint8_t { kNothing, kMoreFollows, kLastFrame };
  /// An empty `user` gets the key of who sent the frame, where there are keys: the ZAP handler's
  /// word, which a peer's own metadata can't replace. The identity that a ROUTER puts before a
  /// message may come without it.
  Read receive_frame(std::string& frame, std::string& user);

 private:
  explicit Socket(void* handle) : handle_(handle) {}

  void* handle_;
};

ConnectionEvent connection_event(std::string_view monitor_frame);

}  // namespace baton::control::zmq_detail
