// The kernels as C++, one thread after the other: `host REQUEST RESPONSE`.
//
// A request is a row of programs. Counts, kinds and places are u64; all numbers have the byte order of the machine.
//   buffers: count, then for each: kind (0: f32, 1: f64), length, 1 and the values or 0
//   launches: count, then for each: length of the name, name, blocks, threads of a block, count of arguments, then for each:
//             0, buffer, offset | 1, i64 | 2, f64
//   results: count, then the numbers of the buffers
// The response has the values of all results. Buffers without values start as NaN, so that it shows where one is read that was
// not written. Each program runs twice, with threads in rising and in falling order, and must give the same bits.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#define __global__
#define __device__

struct Three {
  unsigned x, y, z;
};
static Three threadIdx, blockIdx, blockDim, gridDim;

#include "batch_norm.cu"
#include "conv1d.cu"
#include "sums.cu"

[[noreturn]] static void fail(const std::string &what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(1);
}

struct Arg {
  uint64_t tag;
  void *place;
  size_t element;
  int64_t whole;
  double real;

  void check(uint64_t expected) const {
    if (tag != expected) fail("an argument of another type than the kernel's");
  }
  template <class T>
  operator T *() const {
    check(0);
    if (element != sizeof(T)) fail("a buffer of another number type than the kernel's");
    return static_cast<T *>(place);
  }
  operator Index() const {
    check(1);
    return whole;
  }
  operator double() const {
    check(2);
    return real;
  }
};

using Kernel = std::function<void(const std::vector<Arg> &)>;

template <class... T, size_t... I>
static Kernel callable(void (*kernel)(T...), std::index_sequence<I...>) {
  return [kernel](const std::vector<Arg> &args) {
    if (args.size() != sizeof...(T)) fail("a kernel with another number of arguments");
    kernel(static_cast<T>(args[I])...);
  };
}
template <class... T>
static Kernel callable(void (*kernel)(T...)) {
  return callable(kernel, std::index_sequence_for<T...>());
}

#define KERNEL(name) {#name, callable(name)}
static const std::map<std::string, Kernel> KERNELS = {
    KERNEL(conv1d_forward),     KERNEL(conv1d_input_gradient),     KERNEL(conv1d_weight_partials),
    KERNEL(channel_sums),       KERNEL(channel_squares),           KERNEL(mean_lanes),
    KERNEL(sum_lanes_f64),      KERNEL(sum_lanes_f32),             KERNEL(batch_norm_lines),
    KERNEL(batch_norm_apply),   KERNEL(batch_norm_gradient_sums),  KERNEL(batch_norm_gradient_lines),
    KERNEL(batch_norm_input_gradient),
};

struct Reader {
  FILE *file;

  void bytes(void *to, size_t count) {
    if (count != 0 && std::fread(to, 1, count, file) != count) fail("the request ends too early");
  }
  template <class T = uint64_t>
  T number() {
    T value;
    bytes(&value, sizeof value);
    return value;
  }
  bool more() {
    const int c = std::fgetc(file);
    if (c == EOF) return false;
    std::ungetc(c, file);
    return true;
  }
};

// Memory of its own for each buffer, so that a sanitiser sees a step beyond it.
struct Buffer {
  bool wide;
  size_t count;
  char *memory;

  size_t element() const { return wide ? sizeof(double) : sizeof(float); }
  size_t size() const { return count * element(); }
};

struct Launch {
  std::string name;
  unsigned blocks, threads;
  std::vector<uint64_t> words;
};

static Buffer copy(const Buffer &from) {
  Buffer to = from;
  to.memory = static_cast<char *>(std::malloc(from.size()));
  std::memcpy(to.memory, from.memory, from.size());
  return to;
}

static void launch(const Launch &launch, const std::vector<Buffer> &buffers, bool rising) {
  const auto kernel = KERNELS.find(launch.name);
  if (kernel == KERNELS.end()) fail("no kernel " + launch.name);
  std::vector<Arg> args;
  for (size_t i = 0; i < launch.words.size();) {
    Arg arg = {};
    arg.tag = launch.words[i++];
    const uint64_t word = launch.words[i++];
    switch (arg.tag) {
      case 0: {
        const Buffer &buffer = buffers.at(word);
        arg.place = buffer.memory + launch.words[i++] * buffer.element();
        arg.element = buffer.element();
        break;
      }
      case 1: arg.whole = static_cast<int64_t>(word); break;
      default: std::memcpy(&arg.real, &word, sizeof word);
    }
    args.push_back(arg);
  }
  gridDim = {launch.blocks, 1, 1};
  blockDim = {launch.threads, 1, 1};
  const uint64_t count = uint64_t(launch.blocks) * launch.threads;
  for (uint64_t i = 0; i < count; i++) {
    const uint64_t thread = rising ? i : count - 1 - i;
    blockIdx = {unsigned(thread / launch.threads), 0, 0};
    threadIdx = {unsigned(thread % launch.threads), 0, 0};
    kernel->second(args);
  }
}

static void program(Reader &request, FILE *response) {
  std::vector<Buffer> buffers(request.number());
  for (Buffer &buffer : buffers) {
    buffer.wide = request.number() == 1;
    buffer.count = request.number();
    buffer.memory = static_cast<char *>(std::malloc(buffer.size()));
    std::memset(buffer.memory, 0xff, buffer.size());
    if (request.number() == 1) request.bytes(buffer.memory, buffer.size());
  }
  std::vector<Launch> launches(request.number());
  for (Launch &launch : launches) {
    launch.name.resize(request.number());
    request.bytes(&launch.name[0], launch.name.size());
    launch.blocks = request.number();
    launch.threads = request.number();
    for (uint64_t args = request.number(); args > 0; args--) {
      const uint64_t tag = request.number();
      launch.words.push_back(tag);
      for (int words = tag == 0 ? 2 : 1; words > 0; words--) launch.words.push_back(request.number());
    }
  }
  std::vector<Buffer> again;
  for (const Buffer &buffer : buffers) again.push_back(copy(buffer));
  for (const Launch &one : launches) launch(one, buffers, true);
  for (const Launch &one : launches) launch(one, again, false);
  for (size_t i = 0; i < buffers.size(); i++) {
    if (std::memcmp(buffers[i].memory, again[i].memory, buffers[i].size()) != 0)
      fail("buffer " + std::to_string(i) + " depends on the order of threads, after " + launches.back().name);
  }
  for (uint64_t results = request.number(); results > 0; results--) {
    const Buffer &buffer = buffers.at(request.number());
    std::fwrite(buffer.memory, 1, buffer.size(), response);
  }
  for (const Buffer &buffer : buffers) std::free(buffer.memory);
  for (const Buffer &buffer : again) std::free(buffer.memory);
}

int main(int argc, char **argv) {
  if (argc != 3) fail("usage: host REQUEST RESPONSE");
  Reader request = {std::fopen(argv[1], "rb")};
  FILE *response = std::fopen(argv[2], "wb");
  if (request.file == nullptr || response == nullptr) fail("a file cannot be opened");
  while (request.more()) program(request, response);
  std::fclose(request.file);
  return std::fclose(response) == 0 ? 0 : 1;
}
