/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens the store on a thread of its own while the loop runs. A store of a million records takes
 * seconds. Calls wait until it is open, as they would if the agent did not listen yet; but after
 * half a second, those that ask how the agent is are answered. So the usual start shows in no
 * answer.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/error.h"
#include "transport/grpc_service.h"

struct store_opener;

struct store_opener_options {
	int (*open)(void *user, struct error *e); /* on the thread */
	/* In the loop: store_opener_lets_run() has changed. When it has ended, with the result. */
	void (*progress)(bool ended, int code, void *user);
	void *user;
};

int store_opener_new(sd_event *loop, const struct store_opener_options *options,
		     struct store_opener **ret_opener, struct error *e);
/* Whether the store is open. False when `o` is NULL. Any thread. */
bool store_opener_is_done(const struct store_opener *o);
/* Whether a call of the method may run by now. In the loop. */
bool store_opener_lets_run(const struct store_opener *o, const struct grpc_method *method);
/* Waits for the thread; what open() returned. Once, after the loop has ended. */
int store_opener_wait(struct store_opener *o, struct error *e);
/* After store_opener_wait(). */
void store_opener_free(struct store_opener *o);
