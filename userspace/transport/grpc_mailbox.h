/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How workers tell the loop that a call has something to send. Mail in the box still belongs to its
 * sender, except for the sender's last one, with which the loop gets the call. So nothing that is
 * in the box is ever freed.
 *
 * With `deliver`, a sender that is done runs the loop itself (grpc_server_turn()): then its last
 * mail wakes no thread.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

struct grpc_mail {
	struct grpc_mail *next;
	bool posted; /* it is in the box */
	bool last; /* its sender is done with it */
};

struct grpc_mailbox {
	pthread_mutex_t lock;
	struct grpc_mail *first;
	int wake_fd; /* readable when there is mail, or after grpc_mailbox_wake() */
	bool woken; /* wake_fd is readable, or about to be */
	/* Has the mail read, on the calling thread; NULL: the loop's thread reads it. */
	void (*deliver)(void *user);
	void *user;
};

/* -ENOMEM, -EMFILE, … */
int grpc_mailbox_open(struct grpc_mailbox *box);
void grpc_mailbox_close(struct grpc_mailbox *box);

/* Thread-safe. The sender must not touch the mail after its last one. */
void grpc_mailbox_post(struct grpc_mailbox *box, struct grpc_mail *mail, bool last);
/* Makes `wake_fd` readable. Thread-safe. */
void grpc_mailbox_wake(struct grpc_mailbox *box);
/* Makes `wake_fd` unreadable. The caller must then take all mail. */
void grpc_mailbox_acknowledge(struct grpc_mailbox *box);
/* NULL: the box is empty. */
struct grpc_mail *grpc_mailbox_take(struct grpc_mailbox *box, bool *ret_last);
