/* SPDX-License-Identifier: MIT */
/*
 * What the head of a qcow2 image says about other files. Pure: no format is read here beyond that, and none is ever
 * guessed; qemu-nbd(8) reads the image, and is let at no file but those that are found here.
 */
#ifndef TOOLS_QCOW2_H
#define TOOLS_QCOW2_H

#include <stdbool.h>
#include <stddef.h>

#define QCOW2_HEAD_MAX \
	65536 /* bytes of an image that are looked at; the smaller the cluster, the fewer count */
#define QCOW2_BACKING_MAX 1024 /* with its end */

struct qcow2 {
	bool external_data;		 /* its data is in a file of its own */
	char backing[QCOW2_BACKING_MAX]; /* as it is written there; "": none */
	char format[16];		 /* of the backing file, "": it does not say */
};

/* does it begin as such an image? */
bool qcow2_is(const void *head, size_t len);
/* 0, or -EINVAL with *ret_why, a static string: it is none, or it is broken */
int qcow2_parse(const void *head, size_t len, struct qcow2 *ret_image, const char **ret_why);

#endif
