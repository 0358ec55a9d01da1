/* The keys of a stdio console: see keys.h. */
#include "char/keys.h"

const char keys_help[] = "\r\n"
			 "Ctrl-A x       end the guest\r\n"
			 "Ctrl-A b       send a break (Linux: the next key is a SysRq)\r\n"
			 "Ctrl-A c       let a paused guest go on\r\n"
			 "Ctrl-A p       press the guest's power button\r\n"
			 "Ctrl-A Ctrl-A  send Ctrl-A itself (also Ctrl-A a)\r\n"
			 "Ctrl-A h       this help\r\n";

enum keys_meaning keys_feed(struct keys *keys, uint8_t byte)
{
	if (!keys->prefixed) {
		keys->prefixed = byte == KEYS_CTRL_A;
		return keys->prefixed ? KEYS_NOTHING : KEYS_BYTE;
	}
	keys->prefixed = false;
	switch (byte) {
	case 'x':
	case 'X':
		return KEYS_QUIT;
	case 'h':
	case '?':
		return KEYS_HELP;
	case 'b':
		return KEYS_BREAK;
	case 'c':
		return KEYS_RESUME;
	case 'p':
		return KEYS_POWER;
	case 'a':
	case KEYS_CTRL_A:
		return KEYS_PREFIX;
	default:
		return KEYS_NOTHING;
	}
}
