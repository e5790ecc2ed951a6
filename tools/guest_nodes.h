/* SPDX-License-Identifier: MIT */
/*
 * The Xenstore nodes of a guest: what a toolstack writes so that the guest's kernel, its front ends and our
 * back ends find each other. Layout: docs/misc/xenstore-paths.pandoc of Xen; permissions: the
 * back-end folder n<service>,r<guest>, the front-end folder n<guest>,r<service>. The homes of the service domains
 * are xenstored's work.
 */
#ifndef TOOLS_GUEST_NODES_H
#define TOOLS_GUEST_NODES_H

#include <stdint.h>

#include <xenhost/domain.h>
#include <xenhost/xenhost.h>

struct guest;

/* everything of the guest, in one transaction. 0 or -errno */
int guest_nodes_write(xenhost_t *host, const struct guest *g,
		      const struct xenhost_domain_info *info);
/* what is left when it is gone */
int guest_nodes_remove(xenhost_t *host, const struct guest *g, uint16_t domid);

/* back-end folders of the guest's devices: 0 and the path, -ENOENT after the last */
int guest_nodes_backend(const struct guest *g, uint16_t domid, unsigned int i, char *path,
			size_t size);

#endif
