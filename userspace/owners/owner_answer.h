/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an owner has, as it answered once: its records, and for each the snapshot that its lease in
 * containerd keeps. Nothing of it is believed but names: sizes, times and uses are the store's.
 */
#pragma once

#include <stdatomic.h>

#include "base/cleanup.h"
#include "containerd.pb-c.h"
#include "control.pb-c.h"
#include "owners/owner_settings.h"

/* One record of the owner. The texts are the answer's. */
struct owner_record {
	const Moby__Buildkit__V1__UsageRecord *said;
	char *snapshot; /* containerd's name of its snapshot; NULL: its lease keeps none */
	bool leased; /* it has a lease: without one it is in use */
};

struct owner_answer {
	char *version; /* "": it does not tell */
	struct owner_record *records;
	size_t count;
	Moby__Buildkit__V1__DiskUsageResponse *usage;
	Varve__Containerd__ListContainersReply *containers; /* of its namespace */
	char **container_snapshots; /* of each container; NULL: none is known */
};

/* Asks the owner and containerd. The settings say how long each may be silent, and one call may
 * take no longer than a few times that. No lock of the manager may be held. -EAGAIN: one of them is
 * not there; -ETIMEDOUT; -EPROTO; -ECANCELED. */
int owner_answer_get(const struct owner_settings *o, const char *containerd,
		     const atomic_bool *cancelled, struct owner_answer *ret_answer,
		     struct error *e);
void owner_answer_free(struct owner_answer *a); /* what it points to */
DEFINE_CLEANUP_VALUE(struct owner_answer, owner_answer_free)

struct grpc_channel;

/* A channel to the owner's control service, for calls about single records. */
int owner_answer_connect(const struct owner_settings *o, const atomic_bool *cancelled,
			 struct grpc_channel **ret_channel, struct error *e);
