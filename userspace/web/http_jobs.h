/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that may take long, handled one after the other on a thread of their own. */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "web/http_message.h"

struct http_job {
	struct http_request request; /* what it points to lives as long as the job */
	struct http_reply reply;
	void (*done)(struct http_job *job); /* on the other thread */
	void *connection;
	int fd; /* the connection's: without a client, nothing is done */
	int wake_fd; /* the server's */
	struct http_job *next;
};

struct http_jobs;

/* The handler must outlive it. */
int http_jobs_start(const struct http_handler *handler, struct http_jobs **ret_jobs,
		    struct error *e);
/* The job is the caller's again when it is done. */
void http_jobs_add(struct http_jobs *jobs, struct http_job *job);
/* Cancels a request that has run for longer than this. */
void http_jobs_limit(struct http_jobs *jobs, int64_t longest_ns);
/* Cancels what runs; what waits is done without being handled. */
void http_jobs_stop(struct http_jobs *jobs);
DEFINE_CLEANUP(struct http_jobs *, http_jobs_stop)
