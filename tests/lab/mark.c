/* Has the lab write down how many instructions have been executed so far: see count.c. */
#include "mark.h"

#define TEXT_OF(...) #__VA_ARGS__
#define TEXT(...)    TEXT_OF(__VA_ARGS__)

int main(void)
{
	__asm__ volatile(".byte " TEXT(MARK));
	return 0;
}
