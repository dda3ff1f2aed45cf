/* SPDX-License-Identifier: Apache-2.0 */
/*
 * power_disk DIR MEBIBYTES LOG: mounts a FUSE file system on DIR, with two files. `disk` is an
 * empty disk for a loop device. Each write and each flush of it is appended to LOG, in their order,
 * and so is each text that is written to `mark`. Ends when DIR is unmounted. A mark "!writes N"
 * lets the disk fail each write and flush after the next N of them, as a disk that breaks; "!fail
 * BEGIN END" each write to one of these bytes; "!mend" ends both.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fuse.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/lib/power_log.h"

#define DISK_NODE 2
#define MARK_NODE 3
#define WRITE_MAX (128 << 10)
#define FOREVER 3600 /* seconds that the kernel may keep what it knows of a file */

static struct {
	int fuse, log;
	char *bytes;
	uint64_t size;
	uint64_t writes_left; /* until the disk breaks */
	uint64_t bad_begin, bad_end;
} disk = { .writes_left = UINT64_MAX };

static void reply(const struct fuse_in_header *in, int error, const void *what, size_t length)
{
	struct fuse_out_header out = { .len = (uint32_t)(sizeof(out) + length),
				       .error = error,
				       .unique = in->unique };
	struct iovec parts[] = { { &out, sizeof(out) }, { (void *)what, length } };

	/* ENOENT: the caller was interrupted and no longer waits. */
	if (writev(disk.fuse, parts, 2) < 0 && errno != ENOENT)
		err(1, "reply");
}

static void append(enum power_kind kind, uint64_t offset, const void *bytes, uint32_t length)
{
	struct power_entry entry = { .kind = kind, .length = length, .offset = offset };
	static const char padding[8];
	struct iovec parts[] = { { &entry, sizeof(entry) },
				 { (void *)bytes, length },
				 { (void *)padding, -length & 7U } };

	if (writev(disk.log, parts, 3) < 0)
		err(1, "write the log");
}

static struct fuse_attr attributes(uint64_t node)
{
	return (struct fuse_attr){
		.ino = node,
		.size = node == DISK_NODE ? disk.size : 0,
		.mode = node == FUSE_ROOT_ID ? S_IFDIR | 0700 : S_IFREG | 0600,
		.nlink = 1,
		.blksize = 4096,
	};
}

static void look_up(const struct fuse_in_header *in, const char *name)
{
	struct fuse_entry_out out = { .entry_valid = FOREVER, .attr_valid = FOREVER };

	if (strcmp(name, "disk") == 0)
		out.nodeid = DISK_NODE;
	else if (strcmp(name, "mark") == 0)
		out.nodeid = MARK_NODE;
	else
		return reply(in, -ENOENT, NULL, 0);
	out.attr = attributes(out.nodeid);
	reply(in, 0, &out, sizeof(out));
}

static void get_attributes(const struct fuse_in_header *in)
{
	struct fuse_attr_out out = { .attr_valid = FOREVER, .attr = attributes(in->nodeid) };

	reply(in, 0, &out, sizeof(out));
}

static void open_file(const struct fuse_in_header *in)
{
	struct fuse_open_out out = { .open_flags = in->nodeid == MARK_NODE ? FOPEN_DIRECT_IO : 0 };

	reply(in, 0, &out, sizeof(out));
}

static void read_file(const struct fuse_in_header *in, const struct fuse_read_in *read)
{
	uint64_t length = read->size;

	if (in->nodeid != DISK_NODE || read->offset >= disk.size)
		return reply(in, 0, NULL, 0);
	if (length > disk.size - read->offset)
		length = disk.size - read->offset;
	reply(in, 0, disk.bytes + read->offset, length);
}

static bool works(void)
{
	if (disk.writes_left == 0)
		return false;
	if (disk.writes_left != UINT64_MAX)
		disk.writes_left--;
	return true;
}

static void note_mark(const char *text, uint32_t length)
{
	char line[64] = "";

	append(POWER_MARK, 0, text, length);
	(void)snprintf(line, sizeof(line), "%.*s", (int)length, text);
	if (strcmp(line, "!mend") == 0) {
		disk.writes_left = UINT64_MAX;
		disk.bad_begin = disk.bad_end = 0;
	} else if (sscanf(line, "!fail %" SCNu64 " %" SCNu64, &disk.bad_begin, &disk.bad_end) == 2)
		return;
	else if (sscanf(line, "!writes %" SCNu64, &disk.writes_left) < 0)
		err(1, "%s", line);
}

static void write_file(const struct fuse_in_header *in, const struct fuse_write_in *write)
{
	const char *bytes = (const char *)(write + 1);
	struct fuse_write_out out = { .size = write->size };

	if (in->nodeid == MARK_NODE) {
		uint32_t length = write->size;

		while (length > 0 && bytes[length - 1] == '\n')
			length--;
		note_mark(bytes, length);
		return reply(in, 0, &out, sizeof(out));
	}
	if (write->offset > disk.size || write->size > disk.size - write->offset)
		return reply(in, -ENOSPC, NULL, 0);
	if (!works() ||
	    (write->offset < disk.bad_end && write->offset + write->size > disk.bad_begin))
		return reply(in, -EIO, NULL, 0);
	memcpy(disk.bytes + write->offset, bytes, write->size);
	append(POWER_WRITE, write->offset, bytes, write->size);
	reply(in, 0, &out, sizeof(out));
}

static void flush_disk(const struct fuse_in_header *in)
{
	if (in->nodeid == DISK_NODE && !works())
		return reply(in, -EIO, NULL, 0);
	if (in->nodeid == DISK_NODE)
		append(POWER_FLUSH, 0, NULL, 0);
	reply(in, 0, NULL, 0);
}

static void greet(const struct fuse_in_header *in)
{
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = 31,
		.max_readahead = WRITE_MAX,
		.flags = FUSE_BIG_WRITES,
		.max_write = WRITE_MAX,
		.max_background = 64,
		.congestion_threshold = 48,
	};

	reply(in, 0, &out, sizeof(out));
}

static void serve(const struct fuse_in_header *in)
{
	const void *body = in + 1;
	struct fuse_statfs_out statistics = { .st = { .bsize = 4096, .namelen = 255 } };

	switch (in->opcode) {
	case FUSE_INIT:
		return greet(in);
	case FUSE_LOOKUP:
		return look_up(in, body);
	case FUSE_GETATTR:
	case FUSE_SETATTR: /* opening with O_TRUNC */
		return get_attributes(in);
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		return open_file(in);
	case FUSE_READ:
		return read_file(in, body);
	case FUSE_WRITE:
		return write_file(in, body);
	case FUSE_FSYNC:
		return flush_disk(in);
	case FUSE_STATFS:
		return reply(in, 0, &statistics, sizeof(statistics));
	case FUSE_FLUSH:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
	case FUSE_READDIR:
	case FUSE_DESTROY:
		return reply(in, 0, NULL, 0);
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return;
	default: /* discarding, too: file systems then write zeros */
		return reply(in, -ENOSYS, NULL, 0);
	}
}

static void start(const char *directory, const char *mebibytes, const char *log)
{
	char options[64];

	disk.size = strtoull(mebibytes, NULL, 10) << 20;
	disk.bytes = mmap(NULL, disk.size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (disk.bytes == MAP_FAILED)
		err(1, "memory for the disk");
	disk.log = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (disk.log < 0)
		err(1, "%s", log);
	disk.fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (disk.fuse < 0)
		err(1, "/dev/fuse");
	(void)snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0",
		       disk.fuse);
	if (mount("power_disk", directory, "fuse", MS_NOSUID | MS_NODEV, options) < 0)
		err(1, "mount %s", directory);
}

int main(int argc, char **argv)
{
	static char request[WRITE_MAX + 4096] __attribute__((aligned(8)));

	if (argc != 4)
		errx(2, "usage: power_disk DIR MEBIBYTES LOG");
	start(argv[1], argv[2], argv[3]);
	for (;;) {
		ssize_t length = read(disk.fuse, request, sizeof(request));

		if (length < 0 && errno == ENODEV)
			return 0; /* unmounted */
		if (length < 0 && errno != EINTR && errno != ENOENT && errno != EAGAIN)
			err(1, "read a request");
		if (length > 0)
			serve((const void *)request);
	}
}
