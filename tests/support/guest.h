/* SPDX-License-Identifier: MIT */
/* Loopback guests, which are no longer a thing of tests alone. */
#include "loopguest/guest.h"
