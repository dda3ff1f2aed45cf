/* SPDX-License-Identifier: Apache-2.0 */
/* Prune, policies and explanations: the public header of this room. */
#pragma once

#include "manager/eviction/eviction_explain.h"
#include "manager/eviction/eviction_policies.h"
#include "manager/eviction/eviction_run.h"
