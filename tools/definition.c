/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "tools/definition.h"
#include "tools/guest.h"
#include "tools/guest_file.h"

#define ENDING ".cfg"

int definition_path(const char *name, char *path, size_t size)
{
	struct guest g = { 0 };
	int n;

	if (guest_set_name(&g, name) < 0) {
		log_error("%s is no name for a guest", name);
		return -EINVAL;
	}
	n = snprintf(path, size, "%s/%s" ENDING, guest_folder(), name);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

bool definition_exists(const char *name)
{
	char path[PATH_MAX];

	return definition_path(name, path, sizeof(path)) == 0 && access(path, F_OK) == 0;
}

static int unknown(const char *name)
{
	log_error("the guest %s is not known in %s; xenhost list shows those that are", name,
		  guest_folder());
	return -ENOENT;
}

int definition_read(const char *name, struct guest *g)
{
	char path[PATH_MAX];
	int r = definition_path(name, path, sizeof(path));

	if (r < 0)
		return r;
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return unknown(name);
	r = guest_file_read(g, path, NULL, 0, NULL);
	if (r == 0 && strcmp(g->name, name) != 0) {
		log_error("%s is about a guest of another name, %s", path, g->name);
		r = -EINVAL;
	}
	return r;
}

/* --- names --- */

int definition_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void definition_names_free(char **names, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		free(names[i]);
	free(names);
}

static int add_name(char ***names, size_t *nr, const char *file)
{
	const size_t len = strlen(file), end = strlen(ENDING);
	char **more;

	if (file[0] == '.' || len <= end || strcmp(file + len - end, ENDING) != 0)
		return 0;
	more = reallocarray(*names, *nr + 1, sizeof(**names));
	if (!more)
		return -ENOMEM;
	*names = more;
	more[*nr] = strndup(file, len - end);
	if (!more[*nr])
		return -ENOMEM;
	++*nr;
	return 0;
}

int definition_names(char ***ret_names, size_t *ret_nr)
{
	DIR *folder = opendir(guest_folder());
	struct dirent *entry;
	char **names = NULL;
	size_t nr = 0;
	int r = 0;

	if (!folder && errno != ENOENT) {
		r = -errno;
		log_error("cannot read %s: %s", guest_folder(), strerror(-r));
		return r;
	}
	while (folder && r == 0 && (entry = readdir(folder)))
		r = add_name(&names, &nr, entry->d_name);
	if (folder)
		closedir(folder);
	if (r < 0) {
		definition_names_free(names, nr);
		log_error("cannot list the guests: %s", strerror(-r));
		return r;
	}
	if (nr)
		qsort(names, nr, sizeof(*names), definition_compare);
	*ret_names = names;
	*ret_nr = nr;
	return 0;
}

/* --- making one known --- */

static int check_absolute(const char *file, const char *what, const char *path)
{
	if (!path || *path == '/' || strchr(path, ':'))
		return 0;
	log_error("%s: %s %s is no absolute path: who starts the guest is in another folder", file,
		  what, path);
	return -EINVAL;
}

static int check_paths(const char *file, const struct guest *g)
{
	int r = check_absolute(file, "kernel", g->kernel);

	if (r == 0)
		r = check_absolute(file, "ramdisk", g->initrd);
	if (r == 0)
		r = check_absolute(file, "console_log", g->console_log);
	return r == 0 ? check_absolute(file, "console_pty", g->console_pty) : r;
}

/* two guests with one uuid would have one /vm folder and the same addresses */
static int check_uuid(const char *file, const struct guest *g)
{
	char **names = NULL;
	size_t nr = 0;
	int r = definition_names(&names, &nr);

	for (size_t i = 0; i < nr && r == 0; i++) {
		struct guest other;

		if (!strcmp(names[i], g->name))
			continue;
		guest_init(&other);
		if (definition_read(names[i], &other) == 0 && !strcmp(other.uuid, g->uuid)) {
			log_error("%s: its uuid is that of the guest %s", file, names[i]);
			r = -EEXIST;
		}
		guest_fini(&other);
	}
	definition_names_free(names, nr);
	return r;
}

static int copy_text(int from, int to)
{
	char text[65536];
	ssize_t n;

	while ((n = read(from, text, sizeof(text))) > 0)
		for (ssize_t done = 0, w; done < n; done += w) {
			w = write(to, text + done, (size_t)(n - done));
			if (w < 0)
				return -errno;
		}
	return n < 0 ? -errno : 0;
}

/* A copy beside the place that it is for, with one more line; the caller removes or renames it. */
static int make_copy(const char *file, const char *line, char *temporary, size_t size)
{
	_cleanup_close_ int from = open(file, O_RDONLY | O_CLOEXEC), to = -1;
	int n = snprintf(temporary, size, "%s/.new-XXXXXX", guest_folder()), r;

	if (from < 0)
		return -errno;
	if (n < 0 || (size_t)n >= size)
		return -ENAMETOOLONG;
	to = mkostemp(temporary, O_CLOEXEC);
	if (to < 0)
		return -errno;
	r = copy_text(from, to);
	if (r == 0 && *line && write(to, line, strlen(line)) != (ssize_t)strlen(line))
		r = -EIO;
	if (r == 0 && (fchmod(to, 0640) < 0 || fsync(to) < 0))
		r = -errno;
	if (r < 0)
		(void)unlink(temporary);
	return r;
}

static int make_folder(void)
{
	if (mkdir(guest_folder(), 0750) == 0 || errno == EEXIST)
		return 0;
	log_error("cannot make %s: %s", guest_folder(), strerror(errno));
	return -errno;
}

static int store(const char *file, const char *line, const char *path)
{
	char temporary[PATH_MAX];
	int r = make_copy(file, line, temporary, sizeof(temporary));

	if (r == 0 && rename(temporary, path) < 0) {
		r = -errno;
		(void)unlink(temporary);
	}
	if (r < 0)
		log_error("cannot write %s: %s", path, strerror(-r));
	return r;
}

int definition_add(const char *file, bool replace, struct guest *g)
{
	char path[PATH_MAX], line[64] = "";
	bool has_uuid = false;
	int r = guest_file_read(g, file, NULL, 0, &has_uuid);

	if (r == 0)
		r = check_paths(file, g);
	if (r == 0)
		r = definition_path(g->name, path, sizeof(path));
	if (r == 0 && !has_uuid) {
		r = guest_make_uuid(g->uuid);
		snprintf(line, sizeof(line), "\nuuid = \"%s\"\n", g->uuid);
	}
	if (r == 0 && !replace && access(path, F_OK) == 0) {
		log_error("the guest %s is known already; --replace puts this in the place of it",
			  g->name);
		r = -EEXIST;
	}
	if (r == 0)
		r = check_uuid(file, g);
	if (r == 0)
		r = make_folder();
	return r == 0 ? store(file, line, path) : r;
}

int definition_remove(const char *name)
{
	char path[PATH_MAX];
	int r = definition_path(name, path, sizeof(path));

	if (r < 0)
		return r;
	if (unlink(path) == 0)
		return 0;
	if (errno == ENOENT)
		return unknown(name);
	r = -errno;
	log_error("cannot remove %s: %s", path, strerror(-r));
	return r;
}

/* --- editing --- */

static int run_editor(const char *file)
{
	const char *editor = getenv("VISUAL");
	int status;
	pid_t pid;

	if (!editor || !*editor)
		editor = getenv("EDITOR");
	if (!editor || !*editor)
		editor = "vi";
	pid = fork();
	if (pid == 0) {
		/* the editor may come with options, so the shell takes it apart */
		setenv("XENHOST_EDITOR", editor, 1);
		execl("/bin/sh", "sh", "-c", "eval \"exec $XENHOST_EDITOR \\\"\\$1\\\"\"", "sh",
		      file, (char *)NULL);
		_exit(127);
	}
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	log_error("the editor %s failed: nothing is changed", editor);
	return -ECANCELED;
}

static int check_edited(const char *name, const char *uuid, const char *file)
{
	struct guest g;
	int r;

	guest_init(&g);
	r = guest_file_read(&g, file, NULL, 0, NULL);
	if (r == 0)
		r = check_paths(name, &g);
	if (r == 0 && strcmp(g.name, name) != 0) {
		log_error("the name of %s was changed to %s: define another guest instead", name,
			  g.name);
		r = -EINVAL;
	}
	if (r == 0 && strcmp(g.uuid, uuid) != 0) {
		log_error("the uuid of %s was changed: it is %s, by which others know the guest",
			  name, uuid);
		r = -EINVAL;
	}
	guest_fini(&g);
	return r;
}

static bool asks_again(void)
{
	char answer[16];

	if (!isatty(STDIN_FILENO))
		return false;
	fprintf(stderr, "Edit it again? [Y/n] ");
	return fgets(answer, sizeof(answer), stdin) && answer[0] != 'n' && answer[0] != 'N';
}

int definition_edit(const char *name)
{
	char path[PATH_MAX], temporary[PATH_MAX];
	struct guest g;
	int r = definition_path(name, path, sizeof(path));

	if (r < 0)
		return r;
	guest_init(&g);
	r = definition_read(name, &g);
	if (r == 0) {
		r = make_copy(path, "", temporary, sizeof(temporary));
		if (r < 0)
			log_error("cannot copy %s: %s", path, strerror(-r));
	}
	if (r < 0)
		goto out;
	do {
		r = run_editor(temporary);
		if (r < 0)
			break;
		r = check_edited(name, g.uuid, temporary);
	} while (r < 0 && asks_again());
	if (r == 0 && rename(temporary, path) < 0) {
		r = -errno;
		log_error("cannot replace %s: %s", path, strerror(-r));
	}
	if (r < 0)
		(void)unlink(temporary);
out:
	guest_fini(&g);
	return r;
}
