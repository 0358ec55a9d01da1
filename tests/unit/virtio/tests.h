/* The test cases of the virtio library, one file each. */
#ifndef SARANG_TESTS_VIRTIO_TESTS_H
#define SARANG_TESTS_VIRTIO_TESTS_H

#include "unit.h"

TCase *chain_cases(void);
TCase *chain_model_cases(void);
TCase *queue_cases(void);
TCase *mmio_cases(void);
TCase *blk_cases(void);
TCase *blk_io_cases(void);
TCase *blk_pause_cases(void);
TCase *rng_console_cases(void);
TCase *net_cases(void);
TCase *net_rx_cases(void);
TCase *net_thread_cases(void);
TCase *nap_cases(void);
TCase *thread_cases(void);

#endif
