/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/daemon.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/version.h"
#include "daemon/access.h"
#include "daemon/event_journal.h"
#include "daemon/listener.h"
#include "daemon/listener_limits.h"
#include "daemon/manager_settings.h"
#include "daemon/periodic.h"
#include "daemon/root_check.h"
#include "daemon/store_opener.h"
#include "daemon/upkeep_peers.h"
#include "daemon/web_sockets.h"
#include "daemon/worker_pool.h"
#include "manager/records/records.h"
#include "manager/manager.h"
#include "manager/numbers/program_meter.h"
#include "service/content_service.h"
#include "service/control_service.h"
#include "service/diff_service.h"
#include "service/eviction_service.h"
#include "service/events_service.h"
#include "service/history_service.h"
#include "service/health_service.h"
#include "service/images_service.h"
#include "service/live_service.h"
#include "service/native_service.h"
#include "service/owners_service.h"
#include "service/snapshots_service.h"
#include "service/store_service.h"
#include "transport/grpc_server.h"
#include "usage/usage_folders.h"

#define SERVICES_MAX 14
#define IMAGES_PATIENCE_NS (10 * NS_PER_S) /* with containerd, for a list of its images */

struct agent {
	const struct config *config;
	char *root; /* absolute */
	char *fetch_helper; /* varve-fetch, beside this program */
	sd_event *loop;
	bool loop_failed;
	struct worker_pool *workers;
	struct manager *manager;
	struct store_opener *opener; /* NULL: the store is not opened by a thread of its own */
	struct owners *owners;
	struct manager_options manager_options;
	struct native_service native;
	struct eviction_service eviction;
	struct control_service control;
	struct health_service health;
	struct diff_service diff;
	struct images_service images;
	struct grpc_service services[SERVICES_MAX];
	struct grpc_server *server;
	struct access access;
	struct upkeep_peers upkeep_peers;
	struct listeners listeners;
	struct web_sockets web_sockets;
	struct web *web; /* NULL: none */
	struct events_service *events;
	struct event_journal *journal; /* NULL: none */
	struct periodic periodic;
};

static void report(bool problem, const char *text, void *user)
{
	(void)user;
	log_line(problem ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "%s", text);
}

static int submit(void (*work)(void *arg), void *arg, void *user)
{
	struct agent *a = user;

	return a->workers ? worker_pool_submit(a->workers, work, arg) : -ESHUTDOWN;
}

struct closed_connection {
	struct manager *manager;
	uint64_t connection;
};

static void release_connection(void *arg)
{
	struct closed_connection *closed = arg;

	leases_connection_closed(closed->manager, closed->connection);
	free(closed);
}

static void connection_closed(uint64_t connection, void *user)
{
	struct agent *a = user;
	struct closed_connection *closed;

	upkeep_peers_forget(&a->upkeep_peers, connection);
	if (!store_opener_is_done(a->opener)) /* none of its calls has run */
		return;
	program_meter_connection_closed(a->manager, connection);
	if (!leases_has_connection(a->manager, connection))
		return;
	closed = malloc(sizeof(*closed));
	if (closed) {
		*closed = (struct closed_connection){ a->manager, connection };
		if (submit(release_connection, closed, user) == 0)
			return;
	}
	free(closed);
	leases_connection_closed(a->manager, connection); /* delayed, but never dropped */
}

static void end_loop(void *user)
{
	struct agent *a = user;

	(void)sd_event_exit(a->loop, 0); /* fails only after the loop has ended */
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *si, void *user)
{
	struct agent *a = user;

	log_info("signal=%u ending; mounts and accounting stay", si->ssi_signo);
	(void)sd_notify(0, "STOPPING=1"); /* fails without systemd */
	periodic_hurry(&a->periodic);
	sd_event_source_set_enabled(source, SD_EVENT_OFF);
	event_ring_close(manager_events(a->manager)); /* followers end */
	grpc_server_shut_down(a->server, end_loop);
	return 0;
}

static int add_signals(struct agent *a, struct error *e)
{
	static const int signals[] = { SIGTERM, SIGINT };
	sigset_t mask;
	int code = 0;

	sigemptyset(&mask);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(&mask, signals[i]);
	pthread_sigmask(SIG_BLOCK, &mask, NULL);
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ARRAY_SIZE(signals) && code >= 0; i++)
		code = sd_event_add_signal(a->loop, NULL, signals[i], on_signal, a);
	return code < 0 ? error_set(e, code, "signals: %s", strerror(-code)) : 0;
}

/* realpath(3) would fail, because the store may not exist yet. */
static int find_root(struct agent *a, struct error *e)
{
	if (a->config->root[0] == '/') {
		a->root = strdup(a->config->root);
	} else {
		cleanup(free_ptr) char *here = getcwd(NULL, 0);

		if (!here || asprintf(&a->root, "%s/%s", here, a->config->root) < 0)
			a->root = NULL;
	}
	if (!a->root)
		return error_set(e, -ENOMEM, "out of memory");
	while (strlen(a->root) > 1 && a->root[strlen(a->root) - 1] == '/')
		a->root[strlen(a->root) - 1] = '\0';
	return root_check_owners(a->root, e);
}

/* Called after find_root(). */
static int make_manager(struct agent *a, struct error *e)
{
	a->fetch_helper = manager_settings_find_fetch_helper();
	if (!a->fetch_helper)
		return error_set(e, -ENOMEM, "out of memory");
	a->manager_options = manager_settings_make(a->config, a->root, a->fetch_helper, report);
	return manager_new(&a->manager_options, &a->manager, e);
}

static int open_store(struct agent *a, struct error *e)
{
	int code = manager_open(a->manager, &a->manager_options, e);

	if (code < 0)
		return code;
	/* In a folder such as /tmp, another user may have made this folder first. */
	return root_check_owners(a->root, e);
}

/* Called after make_manager(). */
static int open_owners(struct agent *a, struct error *e)
{
	const struct owners_options options = { .settings = &a->config->file.owners,
						.containerd = a->config->file.containerd_address,
						.manager = a->manager,
						.report = report };

	return owners_new(&options, &a->owners, e);
}

static int authorize(const struct grpc_peer *peer, int socket, const struct grpc_method *method,
		     void *user, struct error *e)
{
	struct agent *a = user;
	int code = access_check(&a->access, peer, socket, method, e);

	if (code == 0)
		upkeep_peers_note(&a->upkeep_peers, peer, socket, method);
	return code;
}

static bool may_run(const struct grpc_method *method, void *user)
{
	return store_opener_lets_run(((const struct agent *)user)->opener, method);
}

/* Hands the sockets over to the server. */
static int listen_all(struct agent *a, struct error *e)
{
	int code = 0;

	for (size_t i = 0; i < a->listeners.count && code == 0; i++) {
		struct listener *l = &a->listeners.items[i];

		code = grpc_server_listen(a->server, take_fd(&l->fd), listener_limits(l->read_only),
					  e);
	}
	return code;
}

static int start_server(struct agent *a, struct error *e)
{
	const struct grpc_service services[SERVICES_MAX] = {
		{ native_service_methods, &a->native },
		{ store_service_methods, &a->native },
		{ content_service_methods, a->manager },
		{ eviction_service_methods, &a->eviction },
		{ owners_service_methods, a->owners },
		{ images_service_methods, &a->images },
		{ snapshots_service_methods, a->manager },
		{ history_service_methods, a->manager },
		{ events_service_methods, a->events },
		{ live_service_methods, a->manager },
		{ diff_service_methods, &a->diff },
		{ control_service_methods, &a->control },
		{ health_service_methods, &a->health },
		{ NULL, NULL },
	};
	struct grpc_server_options options = {
		.services = a->services,
		.user = a,
		.submit = submit,
		.connection_closed = connection_closed,
		.authorize = authorize,
		.may_run = may_run,
		.max_message_bytes = CONFIG_MESSAGE_BYTES,
		.patience_us = CONFIG_PATIENCE_US,
		.in_turns = true,
		.unimplemented_hint =
			"this is varved " VARVE_VERSION
			", which keeps a cache and builds nothing: let a builder use it as its "
			"snapshotter (buildkitd --containerd-worker-snapshotter=varve)",
	};
	int code;

	memcpy(a->services, services, sizeof(services));
	a->upkeep_peers.manager = a->manager;
	a->native = (struct native_service){ .manager = a->manager,
					     .owners = a->owners,
					     .socket = a->config->socket };
	a->eviction = (struct eviction_service){ .manager = a->manager, .owners = a->owners };
	a->control = (struct control_service){ .manager = a->manager };
	a->diff = (struct diff_service){ .manager = a->manager,
					 .containerd = a->config->file.containerd_address,
					 .patience_ns = a->config->file.containerd_timeout_ns };
	a->images = (struct images_service){ .manager = a->manager,
					     .containerd = a->config->file.containerd_address,
					     .patience_ns = IMAGES_PATIENCE_NS,
					     .owners = &a->config->file.owners };
	a->health = (struct health_service){ .services = a->services };
	code = grpc_server_new(a->loop, &options, &a->server, e);
	if (code == 0)
		code = listen_all(a, e);
	return code;
}

/* systemd restarts an agent whose loop does not turn any more. Long work runs on other threads. */
static void start_watchdog(struct agent *a)
{
	int code = sd_event_set_watchdog(a->loop, true); /* does nothing without WatchdogSec= */

	if (code < 0)
		log_error("no watchdog: %s", strerror(-code));
}

static void say_ready(struct agent *a)
{
	struct manager_info info;

	if (manager_info(a->manager, &info, NULL) < 0)
		return;
	log_info("root=%s socket=%s accounting=%s%s%s records=%lu ready", info.root,
		 a->config->socket, usage_backend_name(info.backend),
		 info.degraded_reason ? " degraded reason=" : "",
		 info.degraded_reason ? info.degraded_reason : "", (unsigned long)info.records);
	manager_info_free(&info);
	(void)sd_notify(0, "READY=1"); /* fails without systemd */
}

/* A connection is a descriptor; the soft limit is for programs that use select(2). */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit); /* fewer connections, then */
}

static int start_periodic(struct agent *a, struct error *e)
{
	a->periodic = (struct periodic){
		.config = a->config,
		.manager = a->manager,
		.owners = a->owners,
		.workers = a->workers,
		.opener = a->opener,
	};
	return periodic_start(&a->periodic, a->loop, e);
}

/* On one of the workers at a time: runs the loop until jobs have come of its events. */
static bool lead(void *arg)
{
	struct agent *a = arg;
	struct pollfd events = { .fd = sd_event_get_fd(a->loop), .events = POLLIN };

	for (;;) {
		enum grpc_server_turn left = grpc_server_turn(a->server);

		a->loop_failed = left == GRPC_SERVER_HAS_FAILED;
		if (a->loop_failed || left == GRPC_SERVER_HAS_ENDED)
			return false;
		if (worker_pool_has_jobs(a->workers))
			return true;
		if (left == GRPC_SERVER_IDLE)
			(void)poll(&events, 1, -1); /* a signal only makes it turn in vain */
	}
}

static int start_loop(struct agent *a, struct error *e)
{
	int code = sd_event_new(&a->loop); /* a default loop is run by one thread only */

	return code < 0 ? error_set(e, code, "event loop: %s", strerror(-code)) : 0;
}

static int open_access(struct agent *a, struct error *e)
{
	return access_open(a->config, &a->access, e);
}

static int open_listeners(struct agent *a, struct error *e)
{
	return listeners_open(&a->listeners, &a->access, e);
}

static int open_web_sockets(struct agent *a, struct error *e)
{
	return web_sockets_open(a->config, &a->access, &a->web_sockets, e);
}

static int start_events(struct agent *a, struct error *e)
{
	a->events = events_service_new(a->manager);
	if (!a->events)
		return error_set(e, -ENOMEM, "out of memory");
	return event_journal_start(manager_events(a->manager), &a->journal, e);
}

static int start_web(struct agent *a, struct error *e)
{
	struct web_options options = {
		.sources = { .manager = a->manager,
			     .owners = a->owners,
			     .containerd = a->config->file.containerd_address,
			     .owners_settings = &a->config->file.owners,
			     .patience_ns = IMAGES_PATIENCE_NS },
		.calls = grpc_server_meters(a->server),
	};

	web_sockets_hand_over(&a->web_sockets, &options);
	return options.socket_count > 0 ? web_start(&options, &a->web, e) : 0;
}

static int start_workers(struct agent *a, struct error *e)
{
	return worker_pool_new(CONFIG_WORKERS, CONFIG_QUEUED_CALLS, &a->workers, e);
}

/* On a thread of its own, while the loop runs. */
static int open_in_thread(void *user, struct error *e)
{
	struct agent *a = user;
	int code = open_store(a, e);

	if (code == 0)
		code = start_web(a, e);
	if (code == 0)
		say_ready(a);
	return code;
}

static void on_progress(bool ended, int code, void *user)
{
	struct agent *a = user;

	if (code < 0) {
		(void)sd_event_exit(a->loop, 0); /* fails only after the loop has ended */
		return;
	}
	if (ended) {
		upkeep_peers_begin(&a->upkeep_peers);
		start_watchdog(a); /* not on the opener's thread: the loop takes no locks */
	}
	grpc_server_retry_calls(a->server);
}

static int start_opener(struct agent *a, struct error *e)
{
	const struct store_opener_options options = { .open = open_in_thread,
						      .progress = on_progress,
						      .user = a };

	return store_opener_new(a->loop, &options, &a->opener, e);
}

static int build(struct agent *a, struct error *e)
{
	static int (*const steps[])(struct agent * a, struct error * e) = {
		start_loop,
		add_signals,
		open_access,
		find_root,
		/* Sockets come before the store: if another process uses a socket, no new store may
		 * be left behind. */
		open_listeners,
		open_web_sockets,
		start_workers,
		make_manager,
		open_owners,
		start_events,
		start_server,
		start_opener,
		start_periodic,
	};

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		int code = steps[i](a, e);

		if (code < 0)
			return code;
	}
	return 0;
}

static void dismantle(struct agent *a)
{
	periodic_stop(&a->periodic);
	if (a->web)
		web_stop(a->web);
	/* A worker may wait for a client that does not read. */
	if (a->server)
		grpc_server_close(a->server);
	if (a->events)
		events_service_stop(a->events);
	if (a->journal)
		event_journal_stop(a->journal);
	/* Workers end first: they may still answer calls, and they use the manager. */
	worker_pool_free(a->workers);
	a->workers = NULL;
	grpc_server_free(a->server);
	store_opener_free(a->opener); /* the server asks it, also of connections that it closes */
	if (a->events)
		events_service_free(a->events);
	owners_free(a->owners);
	manager_close(a->manager);
	sd_event_unref(a->loop);
	free(a->root);
	free(a->fetch_helper);
	listeners_close(&a->listeners);
	upkeep_peers_free(&a->upkeep_peers);
	web_sockets_close(&a->web_sockets);
}

int daemon_run(const struct config *config, struct error *e)
{
	struct agent a = { .config = config };
	int code;

	raise_descriptor_limit();
	code = build(&a, e);
	if (code == 0) {
		code = worker_pool_lead(a.workers, lead, &a);
		if (code < 0)
			error_set(e, code, "event loop: no threads");
		else if (a.loop_failed)
			code = error_set(e, -EIO, "the event loop cannot run");
	}
	if (a.opener) {
		struct error opening = { 0 };
		int opened = store_opener_wait(a.opener, &opening);

		if (code == 0 && opened < 0) {
			code = opened;
			*e = opening;
		}
	}
	dismantle(&a);
	return code;
}

static int open_existing(struct agent *a, struct error *e)
{
	int code = find_root(a, e);

	if (code < 0)
		return code;
	code = root_check_has_store(a->root, e);
	if (code == 0)
		code = make_manager(a, e);
	return code < 0 ? code : open_store(a, e);
}

static int tear_down(struct agent *a, struct error *e)
{
	int code = open_existing(a, e);

	return code < 0 ? code : manager_tear_down(a->manager, e);
}

int daemon_mend_database(const struct config *config, struct error *e)
{
	struct agent a = { .config = config };
	int code = open_existing(&a, e);

	dismantle(&a);
	return code;
}

int daemon_tear_down(const struct config *config, struct error *e)
{
	struct agent a = { .config = config };
	int code;

	if (config->pin_folder)
		return usage_folders_remove(config->pin_folder, e);
	code = tear_down(&a, e);

	dismantle(&a);
	return code;
}
