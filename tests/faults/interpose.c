/* Stands between a program and the C library (LD_PRELOAD), so that a test can let the N-th call of some kind fail, stop
 * the program after every k-th call, or shift its clock. Only calls that concern files below INTERPOSE_UNDER count.
 *
 * The test and every process of the program share the words of the file INTERPOSE_CONTROL; see interposer.py. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum { SEEN, KINDS, FAIL_AT, FAIL_COUNT, ERROR, STOP_EVERY, CLOCK_SHIFT_NS, WORDS };
enum {
  OPEN = 1, WRITE = 2, FDATASYNC = 4, FSYNC = 8, RENAME = 16, SYMLINK = 32, UNLINK = 64, MKDIR = 128, STAT = 256, READ = 512
};

static volatile int64_t *control;
static const char *under;
static char stopped[4096], go[4096];

__attribute__((constructor)) static void start(void) {
  const char *path = getenv("INTERPOSE_CONTROL");
  under = getenv("INTERPOSE_UNDER");
  int file = path && under ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (file < 0) return;
  snprintf(stopped, sizeof stopped, "%s.stopped", path);
  snprintf(go, sizeof go, "%s.go", path);
  void *words = mmap(NULL, WORDS * sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (words != MAP_FAILED) control = words;
}

static int concerns(const char *path) { return control && path && strncmp(path, under, strlen(under)) == 0; }

static int concerns_open(int file) {
  char link[64], path[4096];
  if (!control) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return concerns(path);
}

/* Counts a call; whether it is one that must fail. */
static int64_t count(int kind) {
  if (!(control[KINDS] & kind)) return 0;
  int64_t number = __sync_add_and_fetch(&control[SEEN], 1), first = control[FAIL_AT];
  if (first && number >= first && number < first + control[FAIL_COUNT]) {
    errno = (int)control[ERROR];
    return -1;
  }
  return number;
}

/* After every k-th call, tells the test and waits for it. */
static void pause_after(int64_t number) {
  int saved = errno;
  if (number > 0 && control[STOP_EVERY] && number % control[STOP_EVERY] == 0) {
    char byte = 0;
    int out = open(stopped, O_WRONLY | O_CLOEXEC), in = open(go, O_RDONLY | O_CLOEXEC);
    if (write(out, &byte, 1) != 1 || read(in, &byte, 1) != 1) abort();
    close(out);
    close(in);
  }
  errno = saved;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define INTERPOSE(type, name, kind, matches, parameters, arguments) \
  type name parameters {                                            \
    int64_t number = 0;                                             \
    if (matches && (number = count(kind)) < 0) return (type)-1;     \
    type result = REAL(name) arguments;                             \
    pause_after(number);                                            \
    return result;                                                  \
  }

INTERPOSE(ssize_t, write, WRITE, concerns_open(file), (int file, const void *data, size_t size), (file, data, size))
INTERPOSE(ssize_t, read, READ, concerns_open(file), (int file, void *data, size_t size), (file, data, size))
INTERPOSE(int, fdatasync, FDATASYNC, concerns_open(file), (int file), (file))
INTERPOSE(int, fsync, FSYNC, concerns_open(file), (int file), (file))
INTERPOSE(int, rename, RENAME, concerns(to), (const char *from, const char *to), (from, to))
INTERPOSE(int, symlink, SYMLINK, concerns(path), (const char *target, const char *path), (target, path))
INTERPOSE(int, unlink, UNLINK, concerns(path), (const char *path), (path))
INTERPOSE(int, mkdir, MKDIR, concerns(path), (const char *path, mode_t mode), (path, mode))
INTERPOSE(int, stat64, STAT, concerns(path), (const char *path, struct stat64 *status), (path, status))
INTERPOSE(int, lstat64, STAT, concerns(path), (const char *path, struct stat64 *status), (path, status))
INTERPOSE(int, fstat64, STAT, concerns_open(file), (int file, struct stat64 *status), (file, status))
INTERPOSE(int, statvfs64, STAT, concerns(path), (const char *path, struct statvfs64 *status), (path, status))

int open64(const char *path, int flags, ...) {
  int64_t number = 0;
  mode_t mode = 0;
  if (flags & (O_CREAT | O_TMPFILE)) {
    __builtin_va_list rest;
    __builtin_va_start(rest, flags);
    mode = __builtin_va_arg(rest, mode_t);
    __builtin_va_end(rest);
  }
  if (concerns(path) && (number = count(OPEN)) < 0) return -1;
  int file = REAL(open64)(path, flags, mode);
  pause_after(number);
  return file;
}

DIR *opendir(const char *path) {
  int64_t number = 0;
  if (concerns(path) && (number = count(OPEN)) < 0) return NULL;
  DIR *directory = REAL(opendir)(path);
  pause_after(number);
  return directory;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int result = REAL(clock_gettime)(clock, now);
  if (result == 0 && control && clock == CLOCK_REALTIME) {
    int64_t shifted = now->tv_sec * 1000000000LL + now->tv_nsec + control[CLOCK_SHIFT_NS];
    now->tv_sec = shifted / 1000000000, now->tv_nsec = shifted % 1000000000;
  }
  return result;
}
