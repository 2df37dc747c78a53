/* Linux system calls and constants that Swift's Glibc module leaves out.
 *
 * They are declared here by hand: including the system's headers would make this module, not Glibc, the
 * owner of types such as timespec. The numbers are the kernel's stable ABI (x86-64 and arm64). */
#pragma once

int eventfd(unsigned int initial, int flags);
int fallocate(int fd, int mode, long offset, long length);
int ioctl(int fd, unsigned long request, ...);
int pipe2(int ends[2], int flags);
int pthread_setname_np(unsigned long thread, const char *name);

static const int gnomon_efd_cloexec = 02000000;
static const int gnomon_rwf_dsync = 0x2;
#if defined(__aarch64__)
static const int gnomon_o_direct = 0200000;
#else
static const int gnomon_o_direct = 040000;
#endif

static const int gnomon_falloc_keep_size = 0x01;
static const int gnomon_falloc_punch_hole = 0x02;
static const int gnomon_falloc_zero_range = 0x10;

/* BLKGETSIZE64 and BLKSSZGET: ioctl(2) is variadic, which Swift cannot call. */
static inline int gnomon_block_device_size(int fd, unsigned long long *bytes) {
  return ioctl(fd, 0x80081272, bytes);
}
static inline int gnomon_block_device_sector(int fd, int *bytes) {
  return ioctl(fd, 0x1268, bytes);
}
