#pragma once
// The right to work on one folder, held by one process at a time among any number of nodes that
// share a file system and nothing else. It is the file FOLDER/lease:
//
//   taking     a file with the whole content is written under a unique name and link()ed to
//              `lease`, which fails when that exists: exclusive on NFS too.
//   beating    the owner's thread rewrites its own inode through the descriptor it kept, then reads
//              what `lease` now names. After a take-over its writes reach a nameless file, never
//              the new owner's, and it sees the other token.
//   expiring   the owner counts `timeout` from before its last confirmed beat, an observer from
//              after it first saw that beat: the owner gives up before anybody may take over.
//   taking over  the stale file is renamed to a unique name and compared with what was judged
//              stale; anything else is put back.
//
// Wall clocks are not read: they jump and differ between nodes. Times are those of a clock that
// runs on while a machine sleeps, compared with itself only.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace weft {

/// What the owner tells whoever looks: rewritten with each beat.
struct LeaseStatus {
  std::string state;      // one line, cut to 80 bytes
  std::int64_t step = 0;  // step of steps; steps = 0: not known
  std::int64_t steps = 0;
  double eta_seconds = -1;  // < 0: not known
};

struct LeaseInfo {
  std::string token;    // 128 random bits in hexadecimal: which taking this is
  std::string host;     // for people
  std::string machine;  // boot and process namespace: equal where process ids can be compared
  std::string worker;   // as given to try_take()
  std::int64_t pid = 0;
  std::uint64_t process_start = 0;  // clock ticks since boot: tells a reused process id
  std::string slurm_job;            // empty outside Slurm
  std::string slurm_task;
  double timeout = 0;  // seconds
  std::uint64_t beat = 0;
  LeaseStatus status;
};

/// The file's text, always of one length, with a checksum; long fields are cut.
std::string format_lease(const LeaseInfo& info);
/// None for anything that is not a whole lease (empty, torn, garbage).
std::optional<LeaseInfo> parse_lease(const std::string& text);

/// What lies in a folder, as one look shows it.
struct LeaseLook {
  bool exists = false;
  bool stale = false;
  std::optional<LeaseInfo> info;  // none: not there, or not readable as a lease
  std::string content;            // with the inode: which file and which beat exactly
  std::uint64_t inode = 0;
};

/// An observer. Judging a lease of another machine takes two looks with the same beat, at least the
/// timeout apart, so one observer should live as long as its process.
class LeaseWatch {
 public:
  /// A lease that names a longer timeout is given that one.
  explicit LeaseWatch(double timeout_seconds);
  [[nodiscard]] double timeout() const { return timeout_; }

  /// Stale at once: a process of this machine that is gone or has another start time. Else: beat
  /// unchanged for the timeout; that also goes for garbage. Error: the file cannot be read.
  LeaseLook look(const std::filesystem::path& folder);

 private:
  struct Seen {
    std::string content;
    std::uint64_t inode = 0;
    double since = 0;
  };
  double timeout_;
  std::map<std::filesystem::path, Seen> seen_;
};

class Lease {
 public:
  /// None: somebody else holds it, or was quicker. Takes over what `watch` judges stale. The
  /// watch's timeout becomes the lease's; it beats every timeout/6 from a thread of its own.
  /// Error: the folder is not there or cannot be written, or has no hard links.
  static std::optional<Lease> try_take(const std::filesystem::path& folder, LeaseWatch& watch,
                                       const std::string& worker = "");
  ~Lease();  // release()
  Lease(Lease&&) noexcept;
  Lease& operator=(Lease&&) noexcept;

  /// Looks at the file: to be asked before every commit. Once false it stays false: another took
  /// it over, the file is gone, or no beat was confirmed for the timeout (process stopped, disk
  /// full, file system gone). A passing input/output error alone leaves it true until then.
  [[nodiscard]] bool still_mine();

  /// Shown from the next beat on. Does not wait for the disk.
  void set_status(LeaseStatus status);

  /// Ends the beats and removes the file, unless another has it by now. Never throws.
  void release();

  [[nodiscard]] const std::filesystem::path& folder() const;
  [[nodiscard]] const LeaseInfo& info() const;  // as it was when taken
  [[nodiscard]] std::uint64_t failed_beats() const;
  /// Set when a stale lease was taken over; of garbage the token is empty.
  [[nodiscard]] const std::optional<LeaseInfo>& taken_from() const;

 private:
  struct State;
  explicit Lease(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace weft
