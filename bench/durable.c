/* A small NBD load for what fio's nbd engine cannot say: writes with FUA, and writers that each
 * flush after every write, many at once on one connection.
 *
 *   durable SOCKET EXPORT MODE DEPTH BLOCK SECONDS [COUNT]
 *
 * MODE: fua      WRITE with FUA, DEPTH in flight
 *       flush    DEPTH writers, each WRITE, then FLUSH, then the next
 *       write    plain WRITE, DEPTH in flight
 *       read     plain READ, DEPTH in flight
 * Ends after SECONDS, or after COUNT operations when COUNT is given and SECONDS is 0.
 * Prints one line of JSON: operations, seconds, and latency in microseconds.
 */
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { READ = 0, WRITE = 1, FLUSH = 3, FUA = 1 };
enum { DEPTH_MAX = 1024, LATENCIES_MAX = 1 << 22 };

struct writer {
  double begun;
  int flushing;
};

static int server;
static char mode[16];
static uint64_t size;
static uint32_t block;
static struct writer writers[DEPTH_MAX];
static unsigned char out[DEPTH_MAX * 64], *payload, *sink;
static float *latencies;
static uint64_t operations;
static uint64_t state = 0x9E3779B97F4A7C15u;

static void fail(const char *what) {
  fprintf(stderr, "durable: %s: %s\n", what, errno ? strerror(errno) : "not as the protocol says");
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t draw(void) { /* xorshift64 */
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

static void send_all(const void *data, size_t length) {
  const char *at = data;
  while (length > 0) {
    ssize_t sent = write(server, at, length);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) fail("send");
    at += sent;
    length -= (size_t)sent;
  }
}

static void receive_all(void *data, size_t length) {
  char *at = data;
  while (length > 0) {
    ssize_t got = read(server, at, length);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) fail("receive");
    at += got;
    length -= (size_t)got;
  }
}

static void put32(unsigned char *at, uint32_t value) { value = htobe32(value); memcpy(at, &value, 4); }
static void put64(unsigned char *at, uint64_t value) { value = htobe64(value); memcpy(at, &value, 8); }
static uint32_t get32(const unsigned char *at) { uint32_t v; memcpy(&v, at, 4); return be32toh(v); }
static uint64_t get64(const unsigned char *at) { uint64_t v; memcpy(&v, at, 8); return be64toh(v); }

static void handshake(const char *path, const char *name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) fail("socket path too long");
  strcpy(address.sun_path, path);
  server = socket(AF_UNIX, SOCK_STREAM, 0);
  if (server < 0 || connect(server, (struct sockaddr *)&address, sizeof address) < 0) fail(path);
  unsigned char greeting[18], message[4 + 16 + 4096];
  receive_all(greeting, sizeof greeting);
  if (memcmp(greeting, "NBDMAGICIHAVEOPT", 16)) fail("greeting");
  uint32_t length = (uint32_t)strlen(name);
  if (length > 4000) fail("export name too long");
  put32(message, 3); /* fixed newstyle, no zeroes */
  memcpy(message + 4, "IHAVEOPT", 8);
  put32(message + 12, 7); /* GO */
  put32(message + 16, 4 + length + 2);
  put32(message + 20, length);
  memcpy(message + 24, name, length);
  memset(message + 24 + length, 0, 2);
  send_all(message, 26 + length);
  for (;;) {
    unsigned char head[20], body[4096];
    receive_all(head, sizeof head);
    uint32_t type = get32(head + 12), count = get32(head + 16);
    if (count > sizeof body) fail("option reply");
    receive_all(body, count);
    if (type == 1) break;
    if (type & 0x80000000u) fail("the export was refused");
    if (type == 3 && count == 12) size = get64(body + 2);
  }
  if (size < block) fail("export size");
}

/* Appends a request to `out`; a write's payload goes out right behind it. */
static void submit(unsigned slot, int command, int flags) {
  unsigned char *head = out;
  put32(head, 0x25609513);
  head[4] = 0;
  head[5] = (unsigned char)flags;
  head[6] = 0;
  head[7] = (unsigned char)command;
  put64(head + 8, slot);
  put64(head + 16, command == FLUSH ? 0 : draw() % (size / block) * block);
  put32(head + 24, command == FLUSH ? 0 : block);
  if (command == WRITE) {
    memcpy(payload, head, 28);
    send_all(payload, 28 + (size_t)block);
  } else {
    send_all(head, 28);
  }
}

static void begin(unsigned slot) {
  writers[slot].begun = now();
  writers[slot].flushing = 0;
  submit(slot, strcmp(mode, "read") ? WRITE : READ, strcmp(mode, "fua") ? 0 : FUA);
}

static void note(unsigned slot) {
  if (operations < LATENCIES_MAX) latencies[operations] = (float)((now() - writers[slot].begun) * 1e6);
  operations++;
}

static int by_value(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static double percentile(double share) {
  uint64_t count = operations < LATENCIES_MAX ? operations : LATENCIES_MAX;
  return count ? latencies[(uint64_t)(share * (double)(count - 1))] : 0;
}

int main(int argc, char **argv) {
  if (argc < 7) {
    fprintf(stderr, "usage: durable SOCKET EXPORT fua|flush|write|read DEPTH BLOCK SECONDS [COUNT]\n");
    return 2;
  }
  snprintf(mode, sizeof mode, "%s", argv[3]);
  unsigned depth = (unsigned)atoi(argv[4]);
  block = (uint32_t)atoi(argv[5]);
  double seconds = atof(argv[6]);
  uint64_t count = argc > 7 ? strtoull(argv[7], NULL, 10) : UINT64_MAX;
  if (depth < 1 || depth > DEPTH_MAX || block < 1 || block > (1 << 20)) fail("depth or block");
  state ^= (uint64_t)getpid() << 20;
  payload = malloc(28 + (size_t)block);
  sink = malloc(block);
  latencies = malloc(sizeof *latencies * LATENCIES_MAX);
  if (!payload || !sink || !latencies) fail("memory");
  memset(payload, 0x5A, 28 + (size_t)block);
  handshake(argv[1], argv[2]);

  double begun = now(), end = seconds > 0 ? begun + seconds : 1e300;
  unsigned active = 0;
  for (; active < depth; active++) begin(active);
  while (active > 0) {
    unsigned char reply[16];
    receive_all(reply, sizeof reply);
    if (get32(reply) != 0x67446698) fail("reply magic");
    if (get32(reply + 4)) fail("the server reported an error");
    unsigned slot = (unsigned)get64(reply + 8);
    if (slot >= depth) fail("cookie");
    if (!strcmp(mode, "read")) receive_all(sink, block);
    if (!strcmp(mode, "flush") && !writers[slot].flushing) {
      writers[slot].flushing = 1;
      submit(slot, FLUSH, 0);
      continue;
    }
    note(slot);
    if (now() < end && operations + active <= count) begin(slot);
    else active--;
  }
  double took = now() - begun;
  uint64_t kept = operations < LATENCIES_MAX ? operations : LATENCIES_MAX;
  qsort(latencies, kept, sizeof *latencies, by_value);
  printf("{\"operations\": %llu, \"seconds\": %.6f, \"p50\": %.2f, \"p99\": %.2f, \"p999\": %.2f}\n",
         (unsigned long long)operations, took, percentile(0.5), percentile(0.99), percentile(0.999));
  return 0;
}
