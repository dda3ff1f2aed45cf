/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks for images to be removed: containerd for its own, Docker for those in its namespace. Between
 * a plan and its steps both may have changed, so each image is looked at again just before.
 */
#pragma once

#include "owners/owner_answer.h"
#include "owners/owner_plan.h"

struct image_remover;

/* Borrows the question. */
int image_remover_new(const struct owner_question *q, struct image_remover **ret_remover,
		      struct error *e);
void image_remover_free(struct image_remover *x);
DEFINE_CLEANUP(struct image_remover *, image_remover_free)

/* Removes all names of the step's image. *ret_refused: why it stays, as a sentence; NULL: it is
 * gone. */
int image_remover_remove(struct image_remover *x, const struct owner_step *s,
			 const char **ret_refused, struct error *e);
/* 1: containerd has the image under one of its names; 0: it does not. */
int image_remover_is_listed(struct image_remover *x, const struct owner_step *s, struct error *e);
