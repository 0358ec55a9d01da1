/* The kernel's own thread: see loader.h. */
#include "machine/loader.h"

#include "base/thread.h"

static void *load(void *opaque)
{
	struct loader *loader = opaque;

	loader->ret = arch_load_kernel(&loader->load, &loader->entry, &loader->err);
	return NULL;
}

int loader_start(struct loader *loader, struct err *e)
{
	int ret = thread_create(&loader->thread, NULL, load, loader);

	if (ret)
		return err_errno(e, ret, "cannot start a thread to load the kernel");
	loader->running = true;
	return 0;
}

int loader_finish(struct loader *loader, struct err *e)
{
	loader_cancel(loader);
	if (loader->ret < 0)
		*e = loader->err;
	return loader->ret;
}

void loader_cancel(struct loader *loader)
{
	if (loader->running)
		pthread_join(loader->thread, NULL);
	loader->running = false;
}
