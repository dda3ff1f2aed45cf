/* SPDX-License-Identifier: Apache-2.0 */
/* Prune, its policies, and what explains them: the public header of this room. */
#pragma once

#include "manager/eviction/eviction_explain.h"
#include "manager/eviction/eviction_kept.h"
#include "manager/eviction/eviction_policies.h"
#include "manager/eviction/eviction_run.h"
