// What happens when a mapped file loses pages while it is in use: another program cut it short, its disk fails, a network
// share went away. The system then raises SIGBUS in whoever reads them, and by default ends the process. Here the lost
// pages read as zeros from then on, and the mapping is marked: the step that was running ends, and its caller gets an error
// (Session::lost_file). Faults outside of our own mappings go to whoever had the signal before.
// On Windows files are opened so that nobody may write or shorten them while they are mapped.
#pragma once
#include <cstddef>
#include <cstdint>

namespace gptoss {

// A number for the mapping, or -1 when there are too many already (kMostMappings) and it stays unguarded.
int32_t guard_mapping(const uint8_t* data, size_t bytes);
void unguard_mapping(int32_t number);
bool mapping_lost(int32_t number);
bool any_mapping_lost();  // of the whole process, ever: cheap to ask after each step

constexpr int32_t kMostMappings = 4096;

}  // namespace gptoss
