/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/grpc_lane.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

void grpc_lane_init(struct grpc_lane *lane, const struct grpc_listener_options *options,
		    const struct grpc_lane_server *server)
{
	*lane = (struct grpc_lane){ .options = *options,
				    .server = *server,
				    .last_waiting = &lane->waiting,
				    .budget.max_held_bytes = options->max_held_bytes };
}

static struct grpc_user *find_user(const struct grpc_lane *lane, uid_t uid)
{
	struct grpc_user *user = lane->users;

	while (user && user->uid != uid)
		user = user->next;
	return user;
}

/* Root could have what it wants otherwise. */
static bool is_limited(uid_t uid)
{
	return uid != 0;
}

size_t grpc_lane_user_connections(const struct grpc_lane *lane, uid_t uid)
{
	const struct grpc_user *user = find_user(lane, uid);

	return user ? user->connections : 0;
}

static struct grpc_user *add_user(struct grpc_lane *lane, uid_t uid)
{
	struct grpc_user *user = calloc(1, sizeof(*user));

	if (!user)
		return NULL;
	user->uid = uid;
	user->share.budget = &lane->budget;
	user->share.limited = is_limited(uid);
	user->next = lane->users;
	lane->users = user;
	return user;
}

static void remove_user(struct grpc_lane *lane, struct grpc_user *user)
{
	struct grpc_user **at = &lane->users;

	while (*at != user)
		at = &(*at)->next;
	*at = user->next;
	free(user);
}

struct grpc_origin *grpc_lane_open_origin(struct grpc_lane *lane, const struct grpc_peer *peer)
{
	struct grpc_origin *origin = calloc(1, sizeof(*origin));
	struct grpc_user *user = find_user(lane, peer->uid);

	if (origin && !user)
		user = add_user(lane, peer->uid);
	if (!origin || !user) {
		free(origin);
		return NULL;
	}
	*origin = (struct grpc_origin){ .lane = lane, .user = user, .peer = *peer };
	user->origins++;
	user->connections++;
	lane->origins++;
	lane->connections++;
	return origin;
}

static void drop_origin(struct grpc_origin *origin)
{
	struct grpc_lane *lane = origin->lane;
	uint64_t connection = origin->peer.connection;

	if (!origin->closed || origin->calls > 0)
		return;
	if (--origin->user->origins == 0)
		remove_user(lane, origin->user);
	lane->origins--;
	free(origin);
	lane->server.origin_gone(connection, lane->server.user);
}

void grpc_lane_close_origin(struct grpc_origin *origin)
{
	origin->closed = true;
	origin->user->connections--;
	origin->lane->connections--;
	drop_origin(origin);
}

/* A user may have as many calls as are left: half of all, or a third each with another one. */
bool grpc_lane_has_room(const struct grpc_origin *origin)
{
	const struct grpc_lane *lane = origin->lane;

	if (lane->calls >= lane->options.max_calls)
		return false;
	return !is_limited(origin->user->uid) ||
	       origin->user->calls < lane->options.max_calls - lane->calls;
}

void grpc_lane_add_call(struct grpc_origin *origin, struct grpc_call *call)
{
	call->origin = origin;
	origin->calls++;
	origin->user->calls++;
	origin->lane->calls++;
}

static bool is_below(size_t count, size_t max)
{
	return max == 0 || count < max;
}

static bool may_run_briefly(const struct grpc_lane *lane, const struct grpc_user *user)
{
	return lane->running_brief < lane->options.max_running_brief &&
	       (user->running_brief == 0 || !is_limited(user->uid));
}

/* However many calls some users have running, there is a worker for the first one of another user,
 * until as many users as there are workers have one each. */
static bool may_run(const struct grpc_lane *lane, const struct grpc_call *call)
{
	const struct grpc_listener_options *o = &lane->options;
	const struct grpc_user *user = call->origin->user;

	if (!lane->server.may_run(call->method, lane->server.user))
		return false;
	if (call->is_brief)
		return may_run_briefly(lane, user);
	if (lane->running >= o->max_running)
		return false;
	return user->running == 0 || !is_limited(user->uid) ||
	       (is_below(user->running, o->max_running_per_user) &&
		is_below(lane->running, o->max_running_more));
}

static void count_running(struct grpc_call *call, int change)
{
	struct grpc_lane *lane = call->origin->lane;
	struct grpc_user *user = call->origin->user;
	size_t *of_lane = call->is_brief ? &lane->running_brief : &lane->running;
	size_t *of_user = call->is_brief ? &user->running_brief : &user->running;

	*of_lane += (size_t)change;
	*of_user += (size_t)change;
}

static int start_call(struct grpc_lane *lane, struct grpc_call *call)
{
	enum grpc_call_progress before = call->progress;
	int code;

	/* The worker may be done with it before this returns. */
	call->progress = GRPC_CALL_RUNS;
	code = lane->server.submit(grpc_call_run, call, lane->server.user);
	if (code < 0) {
		call->progress = before;
		return code;
	}
	count_running(call, 1);
	return 0;
}

int grpc_lane_submit(struct grpc_call *call)
{
	struct grpc_lane *lane = call->origin->lane;

	call->is_brief = lane->options.max_running_brief > 0 &&
			 call->method->kind == GRPC_METHOD_READS_BRIEFLY;
	if (may_run(lane, call))
		return start_call(lane, call);
	call->progress = GRPC_CALL_WAITS;
	call->next_waiting = NULL;
	*lane->last_waiting = call;
	lane->last_waiting = &call->next_waiting;
	return 0;
}

static void unlink_waiting(struct grpc_lane *lane, struct grpc_call **at)
{
	struct grpc_call *call = *at;

	*at = call->next_waiting;
	if (lane->last_waiting == &call->next_waiting)
		lane->last_waiting = at;
}

static void stop_waiting(struct grpc_lane *lane, struct grpc_call *call)
{
	struct grpc_call **at = &lane->waiting;

	while (*at != call)
		at = &(*at)->next_waiting;
	unlink_waiting(lane, at);
}

void grpc_lane_start_calls(struct grpc_lane *lane)
{
	struct grpc_call **at = &lane->waiting;

	while (*at) {
		struct grpc_call *call = *at;

		if (!may_run(lane, call)) {
			at = &call->next_waiting;
			continue;
		}
		unlink_waiting(lane, at);
		if (start_call(lane, call) < 0) {
			/* Back to its place. */
			call->next_waiting = *at;
			*at = call;
			if (!call->next_waiting)
				lane->last_waiting = &call->next_waiting;
			lane->server.must_retry(lane->server.user);
			return;
		}
	}
}

void grpc_lane_take_back(struct grpc_call *call)
{
	assert(call->progress == GRPC_CALL_RUNS);
	call->progress = GRPC_CALL_IS_DONE;
	count_running(call, -1);
	grpc_lane_start_calls(call->origin->lane);
}

void grpc_lane_drop_call(struct grpc_call *call)
{
	struct grpc_origin *origin = call->origin;

	assert(call->progress != GRPC_CALL_RUNS && !call->stream);
	if (call->progress == GRPC_CALL_WAITS)
		stop_waiting(origin->lane, call);
	grpc_call_free(call); /* before the user, whose share it has */
	origin->calls--;
	origin->user->calls--;
	origin->lane->calls--;
	drop_origin(origin);
}
