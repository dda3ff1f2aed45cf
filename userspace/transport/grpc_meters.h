/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often each method was called, how calls ended, and how long they took, from their headers to
 * the end of their stream. The loop's thread adds; any thread reads.
 */
#pragma once

#include "base/cleanup.h"
#include "base/histogram.h"
#include "transport/grpc_service.h"

#define GRPC_METER_STATUSES 17

struct grpc_meter {
	const struct grpc_method *method;
	atomic_uint_fast64_t started;
	atomic_uint_fast64_t handled[GRPC_METER_STATUSES];
	struct histogram durations;
};

struct grpc_meters {
	struct grpc_meter *items;
	size_t count;
};

/* -ENOMEM. The methods must outlive the meters. */
int grpc_meters_make(const struct grpc_service *services, struct grpc_meters *ret_meters);
void grpc_meters_free(struct grpc_meters *m); /* what it points to */
/* A call of a known method has all its headers. */
void grpc_meters_begin(struct grpc_meters *m, const struct grpc_method *method);
/* Its stream is closed. status: what its trailers said, or 1 (CANCELLED) without trailers. */
void grpc_meters_end(struct grpc_meters *m, const struct grpc_method *method, int status,
		     int64_t duration_ns);
