// Package kernels is the assembly that works on weights and caches: products of rows and of panels, attention, decoders, and the tiles of
// AMX. Each level of a processor has one function, which fills in its part of a table of inner loops over what the levels below it have
// put there. It is for the caller to know that the machine has the level, and to have filled in the loops over vectors.
package kernels
