/* SPDX-License-Identifier: Apache-2.0 */
#include "content/fetch_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"

#define STEP_MS 100 /* how often a waiting thread checks for cancellation */
/* The limit for a varve-fetch that hangs. Its own limits are shorter, but it may wait for a slow
 * registry, and as long as Retry-After says, several times. */
#define SILENCE_S 300
#define SILENT_STALLS 25
#define SOCKET_BUFFER_BYTES (1024 * 1024)

struct fetch_helper {
	pid_t pid; /* 0: reaped */
	int socket;
	const atomic_bool *cancelled;
	unsigned int silence_s;
	char message[FETCH_MESSAGE_MAX];
};

/* The only variables of the environment that varve-fetch gets. Curl reads http_proxy in lower case
 * only. */
static const char *const passed_on[][2] = {
	{ "http_proxy", "http_proxy" }, { "https_proxy", "https_proxy" },
	{ "all_proxy", "all_proxy" },	{ "no_proxy", "no_proxy" },
	{ "HTTP_PROXY", "http_proxy" }, { "HTTPS_PROXY", "https_proxy" },
	{ "ALL_PROXY", "all_proxy" },	{ "NO_PROXY", "no_proxy" },
};

struct environment {
	struct strbuf texts[ARRAY_SIZE(passed_on)];
	char *entries[ARRAY_SIZE(passed_on) + 1];
};

static void environment_free(struct environment *env)
{
	for (size_t i = 0; i < ARRAY_SIZE(env->texts); i++)
		strbuf_free(&env->texts[i]);
}
static inline void cleanup_environment_free(struct environment *env)
{
	environment_free(env);
}

/* If both spellings are set, lower case comes first, and getenv() finds that one. */
static int environment_build(struct environment *env)
{
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(passed_on); i++) {
		const char *value = getenv(passed_on[i][0]);

		if (!value || !*value)
			continue;
		strbuf_appendf(&env->texts[i], "%s=%s", passed_on[i][1], value);
		if (strbuf_failed(&env->texts[i]))
			return -ENOMEM;
		env->entries[count++] = env->texts[i].text;
	}
	return 0;
}

static int set_actions(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes,
		       int socket)
{
	const short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
	sigset_t none, all;
	int code;

	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	code = posix_spawn_file_actions_adddup2(actions, socket, FETCH_SOCKET);
	for (int fd = 1; code == 0 && fd <= 2; fd++)
		code = posix_spawn_file_actions_addopen(actions, fd, "/dev/null", O_RDWR, 0);
	if (code != 0)
		return code;
	code = posix_spawn_file_actions_addclosefrom_np(actions, 3);
	if (code != 0)
		return code;
	/* These fail for invalid arguments only. */
	(void)posix_spawnattr_setsigmask(attributes, &none);
	(void)posix_spawnattr_setsigdefault(attributes, &all);
	(void)posix_spawnattr_setflags(attributes, flags);
	return 0;
}

static int spawn(const char *path, int socket, pid_t *ret_pid)
{
	cleanup(environment_free) struct environment env = { 0 };
	char *argv[] = { (char *)"varve-fetch", NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int code = environment_build(&env);

	if (code < 0 || posix_spawn_file_actions_init(&actions) != 0)
		return -ENOMEM;
	if (posix_spawnattr_init(&attributes) != 0) {
		(void)posix_spawn_file_actions_destroy(&actions);
		return -ENOMEM;
	}
	code = set_actions(&actions, &attributes, socket);
	if (code == 0)
		code = posix_spawn(ret_pid, path, &actions, &attributes, argv, env.entries);
	(void)posix_spawnattr_destroy(&attributes);
	(void)posix_spawn_file_actions_destroy(&actions);
	return -code;
}

static int send_request(struct fetch_helper *h, const struct fetch_request *request, int upload_fd)
{
	cleanup(strbuf_free) struct strbuf text = { 0 };
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec vector;
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
	ssize_t sent;

	fetch_request_write(request, &text);
	if (strbuf_failed(&text))
		return -ENOMEM;
	vector = (struct iovec){ text.text, text.length };
	if (upload_fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.head), &upload_fd, sizeof(int));
	}
	do {
		sent = sendmsg(h->socket, &message, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	explicit_bzero(text.text, text.length); /* credentials */
	return sent < 0 ? -errno : 0;
}

int fetch_helper_start(const struct fetch_control *control, const struct fetch_request *request,
		       int upload_fd, struct fetch_helper **ret_helper, struct error *e)
{
	cleanup(fetch_helper_end) struct fetch_helper *h = calloc(1, sizeof(*h));
	cleanup(close_fd) int other = -EBADF;
	int ends[2], size = SOCKET_BUFFER_BYTES, code;

	if (!h)
		return error_set(e, -ENOMEM, "start varve-fetch: out of memory");
	h->socket = -EBADF;
	h->cancelled = control->cancelled;
	h->silence_s = SILENCE_S + SILENT_STALLS * request->stall_seconds;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return error_set(e, -errno, "start varve-fetch: %s", strerror(errno));
	h->socket = ends[0];
	other = ends[1];
	/* On failure the buffer is smaller, which only costs speed. */
	(void)setsockopt(other, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	code = spawn(control->helper, other, &h->pid);
	if (code < 0) {
		h->pid = 0;
		return error_set(e, code, "start %s: %s", control->helper, strerror(-code));
	}
	code = send_request(h, request, upload_fd);
	if (code < 0 && code != -EPIPE) /* fetch_helper_next() reports its end */
		return error_set(e, code, "ask varve-fetch: %s", strerror(-code));
	*ret_helper = take_ptr(h);
	return 0;
}

static int reap(struct fetch_helper *h)
{
	int status = 0;

	while (waitpid(h->pid, &status, 0) < 0 && errno == EINTR)
		;
	h->pid = 0;
	return status;
}

/* The helper has closed its end of the socket, so it is exiting. */
static int report_end(struct fetch_helper *h, struct error *e)
{
	int status = reap(h);

	if (WIFSIGNALED(status))
		return error_set(e, -EIO, "varve-fetch was killed by signal %d", WTERMSIG(status));
	return error_set(e, -EIO, "varve-fetch ended early, with status %d", WEXITSTATUS(status));
}

static int wait_for_message(struct fetch_helper *h, struct error *e)
{
	int64_t until = clock_boot_ns() + h->silence_s * NS_PER_S;
	struct pollfd p = { .fd = h->socket, .events = POLLIN };

	for (;;) {
		int ready = poll(&p, 1, STEP_MS);

		if (h->cancelled && atomic_load(h->cancelled))
			return error_set(e, -ECANCELED, "cancelled");
		if (ready > 0)
			return 0;
		if (ready < 0 && errno != EINTR)
			return error_set(e, -errno, "wait for varve-fetch: %s", strerror(errno));
		if (clock_boot_ns() > until)
			return error_set(e, -ETIMEDOUT, "varve-fetch said nothing for %u s",
					 h->silence_s);
	}
}

int fetch_helper_next(struct fetch_helper *h, struct fetch_reply *ret_reply, struct error *e)
{
	struct fetch_reply reply;
	ssize_t length;
	int code = wait_for_message(h, e);

	if (code < 0)
		return code;
	/* ECONNRESET comes once if the helper exits without reading the request; its last reply
	 * follows. */
	do {
		length = recv(h->socket, h->message, sizeof(h->message), MSG_TRUNC);
	} while (length < 0 && (errno == EINTR || errno == ECONNRESET));
	if (length == 0)
		return report_end(h, e);
	if (length < 0)
		return error_set(e, -errno, "read from varve-fetch: %s", strerror(errno));
	if ((size_t)length > sizeof(h->message) ||
	    fetch_reply_read(h->message, (size_t)length, &reply) < 0)
		return error_set(e, -EIO, "varve-fetch sent an invalid reply");
	if (reply.kind == FETCH_REPLY_FAILED)
		return error_set(e, reply.code, "%s", reply.text);
	*ret_reply = reply;
	return 0;
}

void fetch_helper_end(struct fetch_helper *h)
{
	if (!h)
		return;
	cleanup_close_fd(&h->socket);
	if (h->pid > 0) {
		(void)kill(h->pid, SIGKILL); /* it may have ended */
		(void)reap(h);
	}
	free(h);
}
