/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/fetch_sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "content/fetch_protocol.h"

#define NOBODY 65534
#define FILES_MAX 64
#define MEMORY_MAX ((rlim_t)1 << 30)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* sanitizers need terabytes of address space */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

DEFINE_CLEANUP(scmp_filter_ctx, seccomp_release)

static int drop_privileges(struct error *e)
{
	const struct passwd *user;
	uid_t uid = NOBODY;
	gid_t gid = NOBODY;

	capng_clear(CAPNG_SELECT_ALL);
	if (geteuid() != 0) {
		if (capng_apply(CAPNG_SELECT_CAPS) != 0)
			return error_set(e, -EPERM, "varve-fetch: cannot drop capabilities");
		return 0;
	}
	user = getpwnam(FETCH_USER);
	if (user) {
		uid = user->pw_uid;
		gid = user->pw_gid;
	}
	if (uid == 0 || gid == 0)
		return error_set(e, -EPERM, "varve-fetch: the user " FETCH_USER " is root");
	if (capng_change_id((int)uid, (int)gid,
			    CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING | CAPNG_CLEAR_AMBIENT) != 0)
		return error_set(e, -EPERM, "varve-fetch: cannot become user %u", uid);
	if (geteuid() == 0 || setuid(0) == 0)
		return error_set(e, -EPERM, "varve-fetch: is root still");
	return 0;
}

static int set_limits(struct error *e)
{
	static const struct {
		__rlimit_resource_t resource;
		rlim_t limit;
	} limits[] = {
		{ RLIMIT_CORE, 0 },	      { RLIMIT_FSIZE, 0 },
		{ RLIMIT_NOFILE, FILES_MAX }, { RLIMIT_MSGQUEUE, 0 },
#ifndef SANITIZED
		{ RLIMIT_AS, MEMORY_MAX },
#endif
	};

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		struct rlimit limit = { 0 };

		if (getrlimit(limits[i].resource, &limit) == 0 && limit.rlim_max > limits[i].limit)
			limit.rlim_max = limits[i].limit;
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(limits[i].resource, &limit) < 0)
			return error_set(e, -errno, "varve-fetch: set limits: %s", strerror(errno));
	}
	return 0;
}

/* By name, since the set differs between architectures. */
static const char *const allowed[] = {
	/* the socket, connections, and what is read through them */
	"read",
	"readv",
	"pread64",
	"write",
	"writev",
	"close",
	"recvfrom",
	"recvmsg",
	"recvmmsg",
	"sendto",
	"sendmsg",
	"sendmmsg",
	"connect",
	"bind",
	"getsockname",
	"getpeername",
	"getsockopt",
	"setsockopt",
	"shutdown",
	"socketpair",
	"poll",
	"ppoll",
	"select",
	"pselect6",
	"fcntl",
	"ioctl",
	"pipe2",
	/* names and certificates; opening is below */
	"fstat",
	"newfstatat",
	"stat",
	"lstat",
	"statx",
	"access",
	"faccessat",
	"faccessat2",
	"lseek",
	"readlink",
	"readlinkat",
	"getdents64",
	/* memory and threads; making these is below */
	"brk",
	"mmap",
	"munmap",
	"mremap",
	"mprotect",
	"madvise",
	"futex",
	"set_robust_list",
	"rseq",
	"set_tid_address",
	"exit",
	"exit_group",
	"sched_yield",
	"sched_getaffinity",
	"membarrier",
	/* time, signals, and ids of the process */
	"clock_gettime",
	"clock_getres",
	"clock_nanosleep",
	"nanosleep",
	"gettimeofday",
	"time",
	"restart_syscall",
	"rt_sigaction",
	"rt_sigprocmask",
	"rt_sigreturn",
	"sigaltstack",
	"getpid",
	"getppid",
	"gettid",
	"getuid",
	"geteuid",
	"getgid",
	"getegid",
	"getrandom",
	"uname",
	"sysinfo",
	"getrlimit",
};

/* Only an attacker who has taken over calls these, so that there is nothing to report. */
static const char *const deadly[] = {
	"execve",
	"execveat",
	"fork",
	"vfork",
	"ptrace",
	"process_vm_readv",
	"process_vm_writev",
	"setuid",
	"setresuid",
	"capset",
	"mount",
	"unshare",
	"setns",
	"bpf",
	"kexec_load",
	"init_module",
	"finit_module",
	"perf_event_open",
	"userfaultfd",
	"io_uring_setup",
	"keyctl",
};

static int add_names(scmp_filter_ctx filter, uint32_t action, const char *const *names,
		     size_t count)
{
	int code = 0;

	for (size_t i = 0; code == 0 && i < count; i++) {
		int call = seccomp_syscall_resolve_name(names[i]);

		if (call != __NR_SCMP_ERROR) /* an older libseccomp may not know it */
			code = seccomp_rule_add(filter, action, call, 0);
	}
	return code;
}

/* Calls that are allowed with certain arguments only. */
static int add_conditions(scmp_filter_ctx f)
{
	const uint64_t writing = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC;
	const struct {
		uint32_t action;
		int call;
		unsigned int count;
		struct scmp_arg_cmp argument;
	} rules[] = {
		{ SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
		  SCMP_A2(SCMP_CMP_MASKED_EQ, writing, O_RDONLY) },
		{ SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_INET, 0) },
		{ SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_INET6, 0) },
		{ SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_NETLINK, 0) },
		/* For the resolver's thread. The filter cannot see the arguments of clone3, so it
		 * fails with ENOSYS, and glibc falls back to clone. */
		{ SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
		  SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD) },
		{ SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0, { 0 } },
		{ SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME, 0) },
		/* Only to read limits. */
		{ SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, SCMP_A2(SCMP_CMP_EQ, 0, 0) },
	};
	int code = 0;

	for (size_t i = 0; code == 0 && i < ARRAY_SIZE(rules); i++)
		code = seccomp_rule_add_array(f, rules[i].action, rules[i].call, rules[i].count,
					      &rules[i].argument);
	return code;
}

static int load_filter(scmp_filter_ctx f)
{
	int code = add_names(f, SCMP_ACT_ALLOW, allowed, ARRAY_SIZE(allowed));

	if (code < 0)
		return code;
	code = add_names(f, SCMP_ACT_KILL_PROCESS, deadly, ARRAY_SIZE(deadly));
	if (code < 0)
		return code;
	code = add_conditions(f);
	return code < 0 ? code : seccomp_load(f);
}

static int filter_calls(struct error *e)
{
	/* Other versions of the libraries try further calls, and work without them. */
	cleanup(seccomp_release) scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int code = f ? load_filter(f) : -ENOMEM;

	if (code < 0)
		return error_set(e, code, "varve-fetch: filter system calls: %s", strerror(-code));
	return 0;
}

int fetch_sandbox_enter(struct error *e)
{
	int code;

	if (close_range(FETCH_SOCKET + 3, ~0U, 0) < 0)
		return error_set(e, -errno, "varve-fetch: close files: %s", strerror(errno));
	if (chdir("/") < 0)
		return error_set(e, -errno, "varve-fetch: go to /: %s", strerror(errno));
	(void)umask(077); /* cannot fail */
	code = drop_privileges(e);
	if (code == 0)
		code = set_limits(e);
	if (code < 0)
		return code;
	/* After the change of user, which clears PDEATHSIG. The parent is the agent's thread that
	 * waits for this process. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return error_set(e, -errno, "varve-fetch: give up privileges: %s", strerror(errno));
	return filter_calls(e);
}
