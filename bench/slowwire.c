/* A wire between a client and a server on unix sockets that can be made slow while it is used.
 *
 *   slowwire LISTEN TARGET
 *
 * Each connection to LISTEN is passed on to TARGET. What comes back is held for as long as the last "delay
 * MILLISECONDS" on stdin says: every answer takes that much longer, and as many are under way as before, as with a
 * disk that has become slow. "asked" on stdin is answered with the number of bytes that clients have sent so far.
 * It ends with stdin.
 *
 * In C, because a client must not notice it while it holds nothing: 10 to 20 us a round trip.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 16, PIECE = 1 << 16, HELD_MAX = 64 << 20 };

struct piece {
  struct piece *next;
  uint64_t due;
  size_t length, sent;
  char bytes[];
};

/* One direction of a connection. */
struct lane {
  struct piece *first, *last;
  size_t held;
};

struct connection {
  int client, server; /* -1: unused */
  struct lane to_server, to_client;
};

static struct connection connections[CONNECTIONS];
static uint64_t delay, asked;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static struct sockaddr_un address(const char *path) {
  struct sockaddr_un out = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof out.sun_path) {
    fprintf(stderr, "%s is too long for a socket\n", path);
    exit(1);
  }
  strcpy(out.sun_path, path);
  return out;
}

static void empty(struct lane *lane) {
  while (lane->first) {
    struct piece *next = lane->first->next;
    free(lane->first);
    lane->first = next;
  }
  *lane = (struct lane){0};
}

static void hang_up(struct connection *one) {
  close(one->client);
  close(one->server);
  empty(&one->to_server);
  empty(&one->to_client);
  one->client = one->server = -1;
}

static void take(int listener, const char *target) {
  int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (client < 0) return;
  int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_un where = address(target);
  struct connection *one = connections;
  while (one < connections + CONNECTIONS && one->client >= 0) one++;
  if (one == connections + CONNECTIONS || connect(server, (struct sockaddr *)&where, sizeof where) < 0) {
    close(client);
    close(server);
    return;
  }
  fcntl(server, F_SETFL, O_NONBLOCK);
  one->client = client;
  one->server = server;
}

/* Takes what has come, to be passed on after `wait`; false at the end of the connection. */
static int fill(struct lane *lane, int from, uint64_t wait, uint64_t *count) {
  while (lane->held < HELD_MAX) {
    struct piece *piece = malloc(sizeof *piece + PIECE);
    if (!piece) die("malloc");
    ssize_t got = recv(from, piece->bytes, PIECE, 0);
    if (got <= 0) {
      int over = got == 0 || (errno != EAGAIN && errno != EINTR);
      free(piece);
      return !over;
    }
    /* A piece never overtakes the one before it. */
    uint64_t due = now() + wait;
    if (lane->last && lane->last->due > due) due = lane->last->due;
    *piece = (struct piece){.due = due, .length = (size_t)got};
    if (lane->last) lane->last->next = piece; else lane->first = piece;
    lane->last = piece;
    lane->held += piece->length;
    if (count) *count += piece->length;
    if (got < PIECE) return 1;
  }
  return 1;
}

/* Passes on what is due; false at the end of the connection. */
static int drain(struct lane *lane, int to) {
  uint64_t time = now();
  while (lane->first && lane->first->due <= time) {
    struct piece *piece = lane->first;
    ssize_t sent = send(to, piece->bytes + piece->sent, piece->length - piece->sent, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    piece->sent += (size_t)sent;
    lane->held -= (size_t)sent;
    if (piece->sent < piece->length) return 1;
    lane->first = piece->next;
    if (!lane->first) lane->last = NULL;
    free(piece);
  }
  return 1;
}

/* Whether what is due waits for room in a socket. */
static int is_stuck(const struct lane *lane, uint64_t time) {
  return lane->first && lane->first->due <= time;
}

static void obey(void) {
  static char line[128];
  static size_t length;
  ssize_t got = read(0, line + length, sizeof line - 1 - length);
  if (got <= 0) exit(0);
  length += (size_t)got;
  line[length] = 0;
  char *end;
  while ((end = strchr(line, '\n'))) {
    if (!strncmp(line, "delay ", 6)) {
      delay = (uint64_t)(strtod(line + 6, NULL) * 1e6);
    } else {
      printf("%llu\n", (unsigned long long)asked);
      fflush(stdout);
    }
    length -= (size_t)(end + 1 - line);
    memmove(line, end + 1, length + 1);
  }
}

int main(int count, char **words) {
  if (count != 3) {
    fprintf(stderr, "usage: slowwire LISTEN TARGET\n");
    return 2;
  }
  prctl(PR_SET_TIMERSLACK, 1); /* a delay of 0.1 ms is not one of 0.15 */
  for (int i = 0; i < CONNECTIONS; i++) connections[i].client = connections[i].server = -1;
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_un where = address(words[1]);
  unlink(words[1]);
  if (bind(listener, (struct sockaddr *)&where, sizeof where) < 0) die(words[1]);
  if (listen(listener, CONNECTIONS) < 0) die(words[1]);
  for (;;) {
    struct pollfd polls[2 + 2 * CONNECTIONS];
    uint64_t time = now(), next = UINT64_MAX;
    polls[0] = (struct pollfd){.fd = 0, .events = POLLIN};
    polls[1] = (struct pollfd){.fd = listener, .events = POLLIN};
    for (int i = 0; i < CONNECTIONS; i++) {
      struct connection *one = &connections[i];
      struct lane *lanes[2] = {&one->to_client, &one->to_server};
      for (int side = 0; side < 2; side++) {
        short events = 0;
        if (lanes[!side]->held < HELD_MAX) events |= POLLIN;
        if (is_stuck(lanes[side], time)) events |= POLLOUT;
        else if (lanes[side]->first && lanes[side]->first->due < next) next = lanes[side]->first->due;
        polls[2 + 2 * i + side] = (struct pollfd){.fd = side ? one->server : one->client, .events = events};
      }
    }
    struct timespec wait = {(time_t)((next - time) / 1000000000u), (long)((next - time) % 1000000000u)};
    int ready = ppoll(polls, 2 + 2 * CONNECTIONS, next == UINT64_MAX ? NULL : &wait, NULL);
    if (ready < 0 && errno != EINTR) die("ppoll");
    if (ready <= 0) memset(polls, 0, sizeof polls);
    if (polls[0].revents) obey();
    if (polls[1].revents) take(listener, words[2]);
    for (int i = 0; i < CONNECTIONS; i++) {
      struct connection *one = &connections[i];
      if (one->client < 0) continue;
      int well = 1;
      if (polls[2 + 2 * i].revents & ~POLLOUT) well &= fill(&one->to_server, one->client, 0, &asked);
      if (polls[3 + 2 * i].revents & ~POLLOUT) well &= fill(&one->to_client, one->server, delay, NULL);
      if (well) well = drain(&one->to_server, one->server) && drain(&one->to_client, one->client);
      if (!well) hang_up(one);
    }
  }
}
