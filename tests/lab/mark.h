/* An instruction of x86_64 that does nothing, and that nobody uses: nopl 0x52415253(%rax,%rax,1).
 */
#ifndef SARANG_TESTS_LAB_MARK_H
#define SARANG_TESTS_LAB_MARK_H

#define MARK 0x0f, 0x1f, 0x84, 0x00, 0x53, 0x52, 0x41, 0x52

#endif
