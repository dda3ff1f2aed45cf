/* SPDX-License-Identifier: Apache-2.0 */
/* What this kernel and this store can do, as an operator wants to hear it. */
#include "manager/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cancellation.h"
#include "base/clock.h"
#include "base/units.h"
#include "base/vec.h"
#include "manager/recovery/clock_check.h"
#include "manager/state/manager_state.h"
#include "store/store_check.h"
#include "usage/usage_folders.h"

#define BPF_FS_MAGIC 0xcafe4a11

/* Of a larger database, only fsck checks the pages. */
#define CHECKED_DATABASE_MAX (64 << 20)

/* Below this share of free space builds begin to fail at random. */
#define LOW_SPACE_PERCENT 5

static struct doctor_check *add(struct doctor_report *r, const char *name, enum doctor_state state,
				const char *format, ...) __attribute__((format(printf, 4, 5)));

/* NULL when out of memory. */
static struct doctor_check *add(struct doctor_report *r, const char *name, enum doctor_state state,
				const char *format, ...)
{
	struct doctor_check *checks =
		vec_reserve(r->checks, &r->capacity, r->count + 1, sizeof(*checks));
	struct doctor_check *check;
	va_list args;

	if (!checks) {
		r->failed = true;
		return NULL;
	}
	r->checks = checks;
	check = &checks[r->count++];
	*check = (struct doctor_check){ .name = name, .state = state };
	va_start(args, format);
	(void)vsnprintf(check->found, sizeof(check->found), format, args); /* cut is fine */
	va_end(args);
	return check;
}

__attribute__((format(printf, 2, 3))) static void advise(struct doctor_check *check,
							 const char *format, ...)
{
	va_list args;

	if (!check)
		return;
	va_start(args, format);
	(void)vsnprintf(check->advice, sizeof(check->advice), format, args); /* cut is fine */
	va_end(args);
}

static void check_kernel(struct doctor_report *r)
{
	struct utsname u;

	if (uname(&u) == 0)
		add(r, "kernel", DOCTOR_OK, "%s %s", u.release, u.machine);
}

static void check_btf(struct doctor_report *r)
{
	if (access("/sys/kernel/btf/vmlinux", R_OK) == 0) {
		add(r, "BTF", DOCTOR_OK, "/sys/kernel/btf/vmlinux");
		return;
	}
	advise(add(r, "BTF", DOCTOR_DEGRADED, "/sys/kernel/btf/vmlinux: %s", strerror(errno)),
	       "run a kernel built with CONFIG_DEBUG_INFO_BTF");
}

static void check_bpffs(struct doctor_report *r)
{
	struct statfs s;

	if (statfs("/sys/fs/bpf", &s) == 0 && (uint32_t)s.f_type == BPF_FS_MAGIC) {
		add(r, "bpffs", DOCTOR_OK, "mounted at /sys/fs/bpf");
		return;
	}
	advise(add(r, "bpffs", DOCTOR_DEGRADED, "not mounted at /sys/fs/bpf"),
	       "mount -t bpf bpf /sys/fs/bpf, and restart varved");
}

static void check_backend(const struct manager *m, struct doctor_report *r,
			  enum usage_backend backend, const char *name)
{
	const char *refusal = usage_bpf_refusal(m->usage, backend);

	if (usage_bpf_backend(m->usage) == backend)
		add(r, name, DOCTOR_OK, "in use");
	else if (refusal)
		add(r, name, DOCTOR_WARNING, "%s", refusal);
	else
		add(r, name, DOCTOR_OK, "not needed");
}

static void check_accounting(struct manager *m, struct doctor_report *r)
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

static void check_space(const struct manager *m, struct doctor_report *r)
{
	char free_text[UNITS_TEXT_MAX], total_text[UNITS_TEXT_MAX];
	struct doctor_check *check;
	struct statfs s;
	int64_t available, total;
	bool low;

	if (fstatfs(m->root_fd, &s) < 0)
		return;
	available = (int64_t)s.f_bavail * s.f_bsize;
	total = (int64_t)s.f_blocks * s.f_bsize;
	low = total && available / (total / 100 + 1) < LOW_SPACE_PERCENT;
	check = add(r, "space", low ? DOCTOR_WARNING : DOCTOR_OK, "%s of %s free",
		    units_format_size(available, free_text), units_format_size(total, total_text));
	if (low)
		advise(check, "varve prune --keep-storage SIZE");
}

/* ---- the database ---- */

#define RESTORE "stop varved, then restore a backup or run varved --rebuild-database (varved(8))"

static const char *advise_failure(int code)
{
	switch (code) {
	case -ENOSPC:
		return "free some space: varve prune --all; what failed can then be repeated";
	case -EILSEQ:
		return RESTORE;
	default:
		return "see the kernel's log (dmesg); when the disk works again, restart varved and "
		       "run varve fsck";
	}
}

static int note_damage(const char *text, void *user)
{
	(void)snprintf(user, sizeof(((struct error *)0)->text), "%s", text);
	return -EILSEQ;
}

/* Only of a file that is checked in a moment: others wait for the connection. */
static bool find_damage(struct manager *m, struct error *ret_damage)
{
	struct error e = { 0 };
	struct stat st;

	if (fstatat(m->root_fd, "varve.db", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_size > CHECKED_DATABASE_MAX)
		return false;

	sqlite3 *db = database_lock_reader(m->database);
	int code = store_check_pages(db, note_damage, ret_damage->text, &e);
	database_unlock_reader(m->database);
	if (code < 0 && !*ret_damage->text)
		*ret_damage = e;
	return code < 0;
}

static void check_database(struct manager *m, struct doctor_report *r)
{
	struct database_failure failure;
	struct error damage = { 0 };
	char ago[UNITS_TEXT_MAX];

	if (find_damage(m, &damage)) {
		advise(add(r, "database", DOCTOR_FAILED, "%s/varve.db is damaged: %.400s", m->root,
			   damage.text),
		       RESTORE);
		return;
	}
	database_last_failure(m->database, &failure);
	if (!failure.code) {
		add(r, "database", DOCTOR_OK, "%s/varve.db", m->root);
		return;
	}
	units_format_duration((clock_wall_ns() - failure.at_ns) / NS_PER_S * NS_PER_S, ago);
	advise(add(r, "database", failure.over ? DOCTOR_WARNING : DOCTOR_FAILED,
		   "a write failed %s ago%s: %.600s", ago,
		   failure.over ? ", and later ones succeeded" : "", failure.text),
	       "%s", advise_failure(failure.code));
}

static void check_clock(struct manager *m, const atomic_bool *cancelled, struct doctor_report *r)
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

static void check_registries(const struct manager *m, struct doctor_report *r)
{
	if (access(m->fetch_helper, X_OK) == 0)
		add(r, "registries", DOCTOR_OK, "fetched from by %s", m->fetch_helper);
	else
		advise(add(r, "registries", DOCTOR_WARNING, "%s: %s", m->fetch_helper,
			   strerror(errno)),
		       "install it beside varved: without it nothing is pulled or pushed");
}

/* ---- pins ---- */

struct pins_check {
	const struct manager *m;
	struct doctor_report *report;
};

/* " of 3 programs, 1200 runs of 45 ns", as far as it is known. */
static void format_cost(const struct usage_folder *folder, char text[96])
{
	int used = snprintf(text, 96, "%" PRIu32 " program%s attached", folder->links,
			    folder->links == 1 ? "" : "s");

	if (folder->runs)
		(void)snprintf(text + used, 96 - (size_t)used,
			       ", run %" PRIu64 " times for %" PRIu64 " ns each", folder->runs,
			       folder->run_ns / folder->runs);
}

static int check_folder(const struct usage_folder *folder, void *user)
{
	const struct pins_check *check = user;
	const struct usage_owner *owner = &folder->owner;
	const char *store = owner->store ? owner->store : "not known";
	struct doctor_report *r = check->report;
	char cost[96];

	format_cost(folder, cost);
	if (strcmp(folder->path, check->m->pin_directory) == 0)
		add(r, "pins", DOCTOR_OK, "%s: of this store, %s", folder->path, cost);
	else if (owner->state == USAGE_OWNER_EXISTS)
		add(r, "pins", DOCTOR_OK, "%s: of the store %s, which exists, %s", folder->path,
		    store, cost);
	else if (owner->state == USAGE_OWNER_GONE)
		advise(add(r, "pins", DOCTOR_WARNING, "%s: of the store %s, which is gone, %s",
			   folder->path, store, cost),
		       "varved --teardown %s", folder->path);
	else
		advise(add(r, "pins", DOCTOR_WARNING,
			   "%s: whether its store (%s) exists is not known (%s), %s", folder->path,
			   store, owner->reason, cost),
		       "if that store is gone: varved --teardown %s", folder->path);
	return 0;
}

static void check_pins(const struct manager *m, struct doctor_report *r)
{
	struct pins_check check = { m, r };

	(void)usage_folders_visit(check_folder, &check); /* check_folder() does not fail */
}

void doctor_report_free(struct doctor_report *report)
{
	free(report->checks);
}

int doctor_run(struct manager *m, const atomic_bool *cancelled, struct doctor_report *ret_report,
	       struct error *e)
{
	cleanup(doctor_report_free) struct doctor_report r = { 0 };
	int code;

	check_kernel(&r);
	check_btf(&r);
	check_bpffs(&r);
	check_backend(m, &r, USAGE_BACKEND_OVERLAY, "backend overlay");
	check_backend(m, &r, USAGE_BACKEND_SYSCALL, "backend syscall");
	check_accounting(m, &r);
	check_pins(m, &r);
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
	check_database(m, &r);
	check_clock(m, cancelled, &r);
	check_registries(m, &r);
	if (r.failed)
		return error_set(e, -ENOMEM, "out of memory");
	code = cancellation_check(cancelled, e);
	if (code < 0)
		return code;
	*ret_report = r;
	r = (struct doctor_report){ 0 };
	return 0;
}
