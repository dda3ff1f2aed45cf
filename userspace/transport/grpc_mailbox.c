/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/grpc_mailbox.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"

int grpc_mailbox_open(struct grpc_mailbox *box)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return -errno;
	*box = (struct grpc_mailbox){ .wake_fd = fd };
	pthread_mutex_init(&box->lock, NULL);
	return 0;
}

void grpc_mailbox_close(struct grpc_mailbox *box)
{
	pthread_mutex_destroy(&box->lock);
	cleanup_close_fd(&box->wake_fd);
	box->wake_fd = -EBADF;
}

/* With the lock: afterwards the box may be gone together with the server. */
static void wake_loop(struct grpc_mailbox *box)
{
	uint64_t one = 1;

	if (box->woken)
		return;
	box->woken = true;
	/* Cannot fail: the counter cannot overflow before the loop resets it. */
	(void)!write(box->wake_fd, &one, sizeof(one));
}

void grpc_mailbox_wake(struct grpc_mailbox *box)
{
	pthread_mutex_lock(&box->lock);
	wake_loop(box);
	pthread_mutex_unlock(&box->lock);
}

void grpc_mailbox_post(struct grpc_mailbox *box, struct grpc_mail *mail, bool last)
{
	bool wake = !last || !box->deliver;

	pthread_mutex_lock(&box->lock);
	mail->last = last;
	if (!mail->posted) {
		mail->posted = true;
		mail->next = box->first;
		box->first = mail;
	}
	if (wake)
		wake_loop(box);
	pthread_mutex_unlock(&box->lock);
}

void grpc_mailbox_acknowledge(struct grpc_mailbox *box)
{
	uint64_t count;

	pthread_mutex_lock(&box->lock);
	box->woken = false;
	(void)!read(box->wake_fd, &count, sizeof(count)); /* its value does not matter */
	pthread_mutex_unlock(&box->lock);
}

struct grpc_mail *grpc_mailbox_take(struct grpc_mailbox *box, bool *ret_last)
{
	struct grpc_mail *mail;

	pthread_mutex_lock(&box->lock);
	mail = box->first;
	if (mail) {
		box->first = mail->next;
		mail->posted = false;
		*ret_last = mail->last;
	}
	pthread_mutex_unlock(&box->lock);
	return mail;
}
