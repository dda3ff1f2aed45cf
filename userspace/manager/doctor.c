/* SPDX-License-Identifier: Apache-2.0 */
/* What this kernel and this store can do, as an operator wants to hear it. */
#include "manager/doctor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cancellation.h"
#include "base/clock.h"
#include "base/units.h"
#include "manager/recovery/clock_check.h"
#include "manager/state/manager_state.h"

#define BPF_FS_MAGIC 0xcafe4a11

/* Below this share of free space builds begin to fail at random. */
#define LOW_SPACE_PERCENT 5

struct report {
	struct doctor_check *checks;
	size_t count;
};

static struct doctor_check *add(struct report *r, const char *name, enum doctor_state state,
				const char *format, ...) __attribute__((format(printf, 4, 5)));

static struct doctor_check *add(struct report *r, const char *name, enum doctor_state state,
				const char *format, ...)
{
	struct doctor_check *check = &r->checks[r->count++];
	va_list args;

	*check = (struct doctor_check){ .name = name, .state = state };
	va_start(args, format);
	(void)vsnprintf(check->found, sizeof(check->found), format, args); /* cut is fine */
	va_end(args);
	return check;
}

static void advise(struct doctor_check *check, const char *advice)
{
	(void)snprintf(check->advice, sizeof(check->advice), "%s", advice);
}

static void check_kernel(struct report *r)
{
	struct utsname u;

	if (uname(&u) == 0)
		add(r, "kernel", DOCTOR_OK, "%s %s", u.release, u.machine);
}

static void check_btf(struct report *r)
{
	if (access("/sys/kernel/btf/vmlinux", R_OK) == 0) {
		add(r, "BTF", DOCTOR_OK, "/sys/kernel/btf/vmlinux");
		return;
	}
	advise(add(r, "BTF", DOCTOR_DEGRADED, "/sys/kernel/btf/vmlinux: %s", strerror(errno)),
	       "run a kernel built with CONFIG_DEBUG_INFO_BTF");
}

static void check_bpffs(struct report *r)
{
	struct statfs s;

	if (statfs("/sys/fs/bpf", &s) == 0 && (uint32_t)s.f_type == BPF_FS_MAGIC) {
		add(r, "bpffs", DOCTOR_OK, "mounted at /sys/fs/bpf");
		return;
	}
	advise(add(r, "bpffs", DOCTOR_DEGRADED, "not mounted at /sys/fs/bpf"),
	       "mount -t bpf bpf /sys/fs/bpf, and restart varved");
}

static void check_backend(const struct manager *m, struct report *r, enum usage_backend backend,
			  const char *name)
{
	const char *refusal = usage_bpf_refusal(m->usage, backend);

	if (usage_bpf_backend(m->usage) == backend)
		add(r, name, DOCTOR_OK, "in use");
	else if (refusal)
		add(r, name, DOCTOR_WARNING, "%s", refusal);
	else
		add(r, name, DOCTOR_OK, "not needed");
}

static void check_accounting(struct manager *m, struct report *r)
{
	struct usage_lost lost = usage_read_lost(m->usage);

	switch (usage_bpf_backend(m->usage)) {
	case USAGE_BACKEND_OVERLAY:
		add(r, "accounting", DOCTOR_OK, "complete, and free for other file systems");
		break;
	case USAGE_BACKEND_SYSCALL:
		add(r, "accounting", DOCTOR_OK,
		    "by system calls: AIO, loop devices, stat and 32-bit programs are not seen");
		break;
	default:
		advise(add(r, "accounting", DOCTOR_DEGRADED, "off: uses are counted by refs alone"),
		       "mounts work; see the refusals above for what the kernel wants");
	}
	if (lost.cells + lost.files == 0)
		add(r, "lost", DOCTOR_OK, "no access was lost");
	else
		advise(add(r, "lost", DOCTOR_WARNING,
			   "%" PRIu64 " accesses in mounts and %" PRIu64
			   " of files found a full map",
			   lost.cells, lost.files),
		       "unmount what is not needed; numbers of this store may be short");
}

static void check_space(const struct manager *m, struct report *r)
{
	char free_text[UNITS_TEXT_MAX], total_text[UNITS_TEXT_MAX];
	struct doctor_check *check;
	struct statfs s;
	int64_t available, total;

	if (fstatfs(m->root_fd, &s) < 0)
		return;
	available = (int64_t)s.f_bavail * s.f_bsize;
	total = (int64_t)s.f_blocks * s.f_bsize;
	check = add(r, "space", DOCTOR_OK, "%s of %s free", units_format_size(available, free_text),
		    units_format_size(total, total_text));
	if (total && available / (total / 100 + 1) < LOW_SPACE_PERCENT) {
		check->state = DOCTOR_WARNING;
		advise(check, "varve prune --keep-storage SIZE");
	}
}

static void check_clock(struct manager *m, const atomic_bool *cancelled, struct report *r)
{
	int64_t lag_ns = clock_check_lag(m, cancelled);
	char lag[UNITS_TEXT_MAX];

	if (!lag_ns) {
		add(r, "clock", DOCTOR_OK, "no record is from the future");
		return;
	}
	advise(add(r, "clock", DOCTOR_WARNING, CLOCK_CHECK_BEHIND,
		   units_format_duration(lag_ns / NS_PER_S * NS_PER_S, lag)),
	       "set the clock; until then records look younger than they are");
}

static void check_registries(const struct manager *m, struct report *r)
{
	if (access(m->fetch_helper, X_OK) == 0)
		add(r, "registries", DOCTOR_OK, "fetched from by %s", m->fetch_helper);
	else
		advise(add(r, "registries", DOCTOR_WARNING, "%s: %s", m->fetch_helper,
			   strerror(errno)),
		       "install it beside varved: without it nothing is pulled or pushed");
}

int doctor_run(struct manager *m, const atomic_bool *cancelled,
	       struct doctor_check ret_checks[DOCTOR_CHECKS_MAX], size_t *ret_count,
	       struct error *e)
{
	struct report r = { .checks = ret_checks };

	check_kernel(&r);
	check_btf(&r);
	check_bpffs(&r);
	check_backend(m, &r, USAGE_BACKEND_OVERLAY, "backend overlay");
	check_backend(m, &r, USAGE_BACKEND_SYSCALL, "backend syscall");
	check_accounting(m, &r);
	add(&r, "overlayfs", DOCTOR_OK, "lowers by %s, index off, use of layers %s, volatile %s",
	    overlay_method_name(m->features.method),
	    m->features.index_guards ? "detected" : "not detected",
	    m->features.volatile_mounts ? "available" : "not available");
	if (*m->features.id_map_refusal)
		add(&r, "maps of ids", DOCTOR_WARNING, "%s", m->features.id_map_refusal);
	else
		add(&r, "maps of ids", DOCTOR_OK, "by idmapped layers");
	add(&r, "store", DOCTOR_OK, "%s on %s", m->root, m->features.file_system);
	check_space(m, &r);
	check_clock(m, cancelled, &r);
	check_registries(m, &r);
	*ret_count = r.count;
	return cancellation_check(cancelled, e);
}
