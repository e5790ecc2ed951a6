/* SPDX-License-Identifier: MIT */
/*
 * Where an NBD disk is, as toolstacks write it into the node params: a URI (nbd://HOST[:PORT][/EXPORT],
 * nbd+unix:///[EXPORT]?socket=PATH) or the older nbd:HOST:PORT[:exportname=EXPORT],
 * nbd:unix:PATH[:exportname=EXPORT]. Pure.
 */
#ifndef BLKBACKD_NBD_SPEC_H
#define BLKBACKD_NBD_SPEC_H

#define NBD_ADDRESS_MAX 512
#define NBD_EXPORT_MAX 4097 /* of the protocol, with a NUL */

struct nbd_spec {
	char address[NBD_ADDRESS_MAX]; /* as xenhost-opend takes it: "unix:PATH", "tcp:HOST:PORT" */
	char export_name[NBD_EXPORT_MAX];
};

/* 0; -ENOENT: that is no NBD disk; -EINVAL: it is, and cannot be understood */
int nbd_spec_parse(const char *params, struct nbd_spec *ret_spec);

#endif
