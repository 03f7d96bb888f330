// Bytes that outlive a call: read-only file mappings, and zeroed memory that is committed page by page as it is touched
// (so a pool for 131,072 tokens costs nothing until it is used). Host side only: throws Failure; kernels never see this.
//
// A file that loses pages while it is mapped is no end of the process: file_guard.h.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace gptoss {

// Thrown on the host side and turned into a JavaScript error with this code (src/errors.ts) in addon.cc.
struct Failure {
  const char* code;
  std::string message;
};

class Memory {
 public:
  // The whole file, read-only.
  static Memory map_file(const std::string& path);
  // Zeroed and at least 64-byte aligned; large ones ask for huge pages. `what` names it in the message when there is none.
  static Memory zeroed(size_t bytes, const char* what);

  Memory() = default;
  Memory(Memory&& other) noexcept { swap(other); }
  Memory& operator=(Memory&& other) noexcept { swap(other); return *this; }
  ~Memory();

  uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  bool lost() const;  // a mapped file some of whose pages are gone
  template <class T> T* as() const { return reinterpret_cast<T*>(data_); }

 private:
  void swap(Memory& other) noexcept;
  uint8_t* data_ = nullptr;
  size_t size_ = 0;      // as asked for
  size_t reserved_ = 0;  // as mapped
  int32_t guard_ = -1;   // of a mapped file, in file_guard.h
};

// Lets the system drop a file's pages from memory, where it can: they come back in large pages through a mapping. False: cannot.
bool drop_cached(const std::string& path);

// Brings [data, data + bytes) of a mapping into memory. Any thread.
void populate(const uint8_t* data, size_t bytes);

}  // namespace gptoss
