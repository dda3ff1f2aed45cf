/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scope-bound ownership: `cleanup(free_ptr) char *s = NULL;` frees s when the scope ends.
 * A variable is initialised where it is declared; it is handed over with take_ptr()/take_fd().
 */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Unused: a lock is held for its scope, and nothing else is done with it. */
#define cleanup(fn) __attribute__((cleanup(cleanup_##fn), unused))

/* Makes cleanup(fn) usable for variables of type `type`, where fn takes one and accepts NULL. */
#define DEFINE_CLEANUP(type, fn)                 \
	static inline void cleanup_##fn(type *p) \
	{                                        \
		if (*p)                          \
			fn(*p);                  \
	}

/* Makes cleanup(fn) usable for variables that are a `type` themselves, where fn takes the address
 * of one and accepts one of zeros. */
#define DEFINE_CLEANUP_VALUE(type, fn)           \
	static inline void cleanup_##fn(type *p) \
	{                                        \
		fn(p);                           \
	}

#define take_ptr(p)                                     \
	({                                              \
		__typeof__(p) *take_ptr_ = &(p);        \
		__typeof__(p) take_value_ = *take_ptr_; \
		*take_ptr_ = NULL;                      \
		take_value_;                            \
	})

static inline void cleanup_free_ptr(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd); /* nothing was written through it, or fsync reported it already */
}

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static inline void cleanup_close_file(FILE **f)
{
	if (*f)
		(void)fclose(*f); /* writers flush and check before they get here */
}

static inline void cleanup_close_directory(DIR **d)
{
	if (*d)
		(void)closedir(*d); /* it was only read */
}

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
