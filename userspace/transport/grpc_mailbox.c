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

void grpc_mailbox_post(struct grpc_mailbox *box, struct grpc_mail *mail, bool last)
{
	int fd = box->wake_fd;
	uint64_t one = 1;
	bool was_empty;

	pthread_mutex_lock(&box->lock);
	was_empty = !box->first; /* else the loop has been woken already */
	mail->last = last;
	if (!mail->posted) {
		mail->posted = true;
		mail->next = box->first;
		box->first = mail;
	}
	pthread_mutex_unlock(&box->lock);
	/* Cannot fail: the counter cannot overflow before the loop resets it. */
	if (was_empty)
		(void)!write(fd, &one, sizeof(one));
}

void grpc_mailbox_acknowledge(struct grpc_mailbox *box)
{
	uint64_t count;

	(void)!read(box->wake_fd, &count, sizeof(count)); /* its value does not matter */
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
